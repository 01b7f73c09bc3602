"""The plan of a living runtime: what is applied and scaled, when it sleeps and wakes, what its route and status say.

Behaviour by behaviour; drains, deletion, rendering and the status have files of their own.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from controller.actions import Apply, Delete, EndQueries, PatchOwner, Scale
from controller.observed import Activity, CatalogFacts, Endpoint, Observed, Pod, Role, Source
from controller.plan import Rules, plan
from crds.v1 import meta
from crds.v1.lifecycle import RouteState
from crds.v1.meta import format_time
from tests.support.runtimes import (
    BUSY,
    IDLE,
    NOW,
    RULES,
    applied,
    asleep,
    catalog,
    child,
    condition,
    rollouts,
    running,
    runtime,
    scales,
    up,
)


def look(x, observed=None, rules: Rules = RULES):
    return plan(x, observed or Observed(), NOW, rules)


def test_a_new_runtime_gets_everything_in_an_order_in_which_nothing_waits_for_a_later_object():
    names = applied(look(runtime()))
    kinds = [name.split("/")[0] for name in names]
    assert kinds.index("ServiceAccount") < kinds.index("ConfigMap") < kinds.index("Service") < kinds.index("Deployment")
    assert "Deployment/trino-analytics-coordinator" in names
    assert "Deployment/trino-analytics-worker" in names


def test_the_finalizer_is_added_before_anything_is_made_and_keeps_those_of_others():
    planned = look(runtime(finalizers=["other/one"]))
    first = planned.actions[0]
    assert isinstance(first, PatchOwner)
    assert first.patch["metadata"]["finalizers"] == ["other/one", meta.FINALIZER]
    assert first.resource_version == "1"


def test_a_new_deployment_starts_with_its_number_in_one_write():
    planned = look(runtime({"maxWorkers": 3}))
    created = {a.ref.name: a.replicas for a in planned.actions if isinstance(a, Apply) and a.ref.kind == "Deployment"}
    assert created == {"trino-analytics-coordinator": 1, "trino-analytics-worker": 3}
    assert scales(planned) == {}


def test_one_that_is_made_asleep_says_so():
    assert scales(look(runtime({"suspended": True}))) == {"trino-analytics-coordinator": 0, "trino-analytics-worker": 0}


def test_no_manifest_ever_says_replicas():
    for spec in ({}, {"maxWorkers": 0}, {"suspended": True}, {"keda": {"enabled": True, "scalerType": "prometheus"}}):
        for action in look(runtime(spec)).actions:
            if isinstance(action, Apply):
                assert "replicas" not in action.manifest.get("spec", {})


def test_a_ready_runtime_stays_ready_and_nothing_is_scaled():
    x = runtime(status={"phase": "Ready"})
    planned = look(x, running(x))
    assert planned.status["phase"] == "Ready"
    assert condition(planned, "Ready") == ("True", "AllComponentsReady")
    assert scales(planned) == {}
    assert planned.announcements == () or planned.announcements[0].reason == "AllComponentsReady"


def test_two_looks_at_the_same_thing_plan_the_same():
    x = runtime({"catalogSelector": {}})
    observed = running(x)
    assert look(x, observed) == look(x, observed)


def test_a_new_runtime_is_pending_while_nothing_can_be_made_then_reconciling_then_ready():
    spec = {"catalogSelector": {}}
    pending = look(runtime(spec), Observed(catalogs=(CatalogFacts(catalog("sales")),)))
    assert pending.status["phase"] == "Pending"
    first = look(runtime(status=pending.status))
    assert first.status["phase"] == "Reconciling"
    x = runtime(status=first.status)
    observed = running(x)
    starting = replace(
        observed,
        workloads={role: replace(live, ready=0, available=0) for role, live in observed.workloads.items()},
        endpoints=(),
        published=RouteState.RESUMING,
    )
    second = look(x, starting)
    # What was said when the objects were made is still true once they are seen: nothing to write.
    assert second.status == first.status
    assert look(runtime(status=second.status), observed).status["phase"] == "Ready"


def test_ready_is_never_said_before_the_route_is_published():
    x = runtime()
    observed = replace(running(x), published=RouteState.RESUMING)
    planned = look(x, observed)
    assert planned.route.backend.state is RouteState.RUNNING
    assert planned.status is None  # what was said before stays, for the moment that the write takes
    stuck = look(x, replace(observed, route_problem="namespace x does not exist"))
    assert condition(stuck, "Ready")[0] == "False"
    assert condition(stuck, "GatewayReady") == ("False", "GatewayRegistrationFailed")
    assert stuck.status["message"] == "waiting for the gateway's route: namespace x does not exist"


def test_somebody_elses_scaling_of_a_fixed_number_is_put_right():
    x = runtime({"maxWorkers": 2})
    observed = running(x)
    scaled = replace(observed.workloads[Role.WORKER], wanted=5)
    planned = look(x, replace(observed, workloads={**observed.workloads, Role.WORKER: scaled}))
    assert scales(planned) == {"trino-analytics-worker": 2}


@pytest.mark.parametrize("held", [1, None])
def test_an_autoscalers_number_is_left_alone(held):
    x = runtime({"minWorkers": 1, "maxWorkers": 8, "keda": {"enabled": True, "scalerType": "prometheus"}})
    observed = running(x)
    grown = replace(observed.workloads[Role.WORKER], wanted=5, held=held)
    assert scales(look(x, replace(observed, workloads={**observed.workloads, Role.WORKER: grown}))) == {}


# Suspend.


def test_suspend_pauses_the_route_before_it_asks_for_queries():
    x = runtime({"suspended": True})
    planned = look(x, replace(running(x), published=RouteState.RUNNING))
    assert planned.route.backend.state is RouteState.PAUSED
    assert scales(planned) == {}
    assert not planned.ask
    assert planned.status["phase"] == "Suspending"
    assert planned.requeue_after is not None


def test_suspend_asks_once_the_gateways_know_and_waits_for_live_queries():
    x = runtime({"suspended": True})
    settled = replace(running(x), published=RouteState.PAUSED, route_settled=True)
    assert look(x, settled).ask
    busy = look(x, replace(settled, activity=BUSY))
    assert scales(busy) == {}
    assert busy.status["drainStartedAt"] == format_time(NOW)
    assert condition(busy, "Suspended") == ("False", "Draining")


def test_suspend_scales_to_zero_when_no_query_is_left():
    x = runtime({"suspended": True})
    planned = look(x, replace(running(x), published=RouteState.PAUSED, route_settled=True, activity=IDLE))
    assert scales(planned) == {"trino-analytics-coordinator": 0, "trino-analytics-worker": 0}


def test_nothing_is_changed_under_live_queries_while_suspending():
    x = runtime({"suspended": True, "size": "m"})
    before = running(runtime())
    planned = look(x, replace(before, published=RouteState.PAUSED, route_settled=True, activity=BUSY))
    assert not rollouts(planned)


def test_suspend_by_timeout_ends_the_queries_that_are_left():
    x = runtime({"suspended": True, "drainTimeout": "1m"}, status={"drainStartedAt": "2026-01-31T11:00:00Z"})
    planned = look(x, replace(running(x), published=RouteState.PAUSED, route_settled=True, activity=BUSY))
    kinds = [type(action) for action in planned.actions]
    assert kinds.index(EndQueries) < kinds.index(Scale)
    assert set(scales(planned).values()) == {0}


def test_suspended_is_said_only_when_every_pod_is_gone():
    x = runtime({"suspended": True}, status={"phase": "Suspending"})
    workloads = {Role.COORDINATOR: asleep(), Role.WORKER: asleep()}
    going = Observed(workloads=workloads, pods=(Pod("c", Role.COORDINATOR, terminating=True),))
    assert look(x, going).status["phase"] == "Suspending"
    gone = look(x, Observed(workloads=workloads))
    assert gone.status["phase"] == "Suspended"
    assert condition(gone, "Suspended") == ("True", "Suspended")


def test_a_stray_pod_while_suspended_is_waited_for_without_looking_all_the_time():
    x = runtime({"suspended": True}, status={"phase": "Suspended"})
    workloads = {Role.COORDINATOR: asleep(), Role.WORKER: asleep()}
    stray = Observed(workloads=workloads, pods=(Pod("w", Role.WORKER, terminating=True),))
    planned = look(x, stray)
    assert planned.status["phase"] == "Suspended"
    assert planned.requeue_after is None


def test_an_edit_while_suspended_is_rendered_at_zero():
    x = runtime({"suspended": True, "size": "m"}, status={"phase": "Suspended"})
    planned = look(x, Observed(workloads={Role.COORDINATOR: asleep("old"), Role.WORKER: asleep("old")}))
    assert set(rollouts(planned)) == {Role.COORDINATOR, Role.WORKER}
    assert scales(planned) == {}


def test_a_runtime_created_suspended_never_starts_a_pod():
    planned = look(runtime({"suspended": True}))
    created = {a.ref.name: a.replicas for a in planned.actions if isinstance(a, Apply) and a.replicas is not None}
    assert set(created.values()) == {0}


# Resume.


def test_resume_applies_before_it_scales_up_and_holds_the_route_until_a_coordinator_answers():
    x = runtime({"maxWorkers": 2}, status={"phase": "Suspended"})
    planned = look(x, Observed(workloads={Role.COORDINATOR: asleep(), Role.WORKER: asleep()}))
    assert scales(planned) == {"trino-analytics-coordinator": 1, "trino-analytics-worker": 2}
    assert planned.route.backend.state is RouteState.RESUMING
    assert planned.status["phase"] == "Resuming"
    of_coordinator = [
        type(a) for a in planned.actions if getattr(getattr(a, "ref", None), "name", "").endswith("coordinator")
    ]
    assert of_coordinator[-2:] == [Apply, Scale]


def test_scaled_workers_wake_with_the_floor_that_was_asked_for_clamped_to_the_maximum():
    spec = {"minWorkers": 0, "maxWorkers": 3, "keda": {"enabled": True, "scalerType": "prometheus"}}
    x = runtime(spec, annotations={meta.WAKE_MIN_WORKERS: "9", meta.WAKE_TTL: "2m"}, status={"phase": "Suspended"})
    planned = look(x, Observed(workloads={Role.COORDINATOR: asleep(), Role.WORKER: asleep()}))
    assert scales(planned)["trino-analytics-worker"] == 3
    assert planned.status["wake"] == {"minWorkers": 3, "expiresAt": format_time(NOW + timedelta(minutes=2))}


def test_a_wake_that_died_halfway_still_has_its_floor():
    spec = {"minWorkers": 0, "maxWorkers": 3, "keda": {"enabled": True, "scalerType": "prometheus"}}
    x = runtime(spec, annotations={meta.WAKE_MIN_WORKERS: "2"}, status={"phase": "Suspended"})
    coordinator_is_up = {Role.COORDINATOR: replace(asleep(), wanted=1, held=1), Role.WORKER: asleep()}
    planned = look(x, Observed(workloads=coordinator_is_up))
    assert scales(planned)["trino-analytics-worker"] == 2


def test_what_is_waited_for_before_there_are_pods_is_told():
    unpublished = CatalogFacts(catalog("sales"))
    planned = look(runtime({"catalogSelector": {}}), Observed(catalogs=(unpublished,)))
    assert not rollouts(planned)
    assert "the ConfigMap of catalog sales" in planned.status["message"]


def test_a_wake_wish_never_takes_workers_from_a_running_runtime_and_is_consumed():
    x = runtime({"maxWorkers": 2}, annotations={meta.WAKE_MIN_WORKERS: "0"})
    planned = look(x, running(x))
    assert scales(planned) == {}
    patch = planned.actions[0]
    assert isinstance(patch, PatchOwner)
    assert patch.patch["metadata"]["annotations"] == {meta.WAKE_MIN_WORKERS: None}


def test_a_command_becomes_spec_and_is_acted_on_in_the_same_look():
    x = runtime(annotations={meta.SUSPEND_REQUESTED: "true"})
    planned = look(x, running(x))
    patch = planned.actions[0]
    assert isinstance(patch, PatchOwner)
    assert patch.patch == {
        "metadata": {"annotations": {meta.SUSPEND_REQUESTED: None}},
        "spec": {"suspended": True},
    }
    assert planned.route.backend.state is RouteState.PAUSED


# The route.


@pytest.mark.parametrize("published", [RouteState.RUNNING, RouteState.RESUMING, None])
def test_the_route_waits_for_a_first_worker_and_then_only_for_the_coordinator(published):
    x = runtime({"maxWorkers": 2})
    observed = running(x)
    workers = replace(observed.workloads[Role.WORKER], ready=0, available=0)
    lost = replace(observed, workloads={**observed.workloads, Role.WORKER: workers}, published=published)
    expected = RouteState.RUNNING if published is RouteState.RUNNING else RouteState.RESUMING
    assert look(x, lost).route.backend.state is expected


def test_a_stuck_rollout_does_not_take_the_route_from_a_coordinator_that_serves():
    x = runtime()
    observed = running(x)
    stuck = replace(observed.workloads[Role.WORKER], updated=0, blocked="quota exceeded")
    planned = look(x, replace(observed, workloads={**observed.workloads, Role.WORKER: stuck}))
    assert planned.route.backend.state is RouteState.RUNNING
    assert condition(planned, "Ready")[0] == "False"
    assert condition(planned, "SchedulingReady") == ("False", "SchedulingBlocked")


def test_no_coordinator_endpoint_means_statements_are_held():
    x = runtime()
    down = replace(running(x), endpoints=(Endpoint("127.64.0.1", 8080, ready=False),))
    assert look(x, down).route.backend.state is RouteState.RESUMING


# A changed coordinator.


def changed():
    """A running runtime whose spec now renders another coordinator."""
    before = runtime()
    x = runtime({"resources": {"coordinator": {"limits": {"cpu": "2", "memory": "4Gi"}}}})
    return x, running(before)


def test_a_coordinator_is_replaced_only_when_its_queries_are_done_and_new_ones_are_held():
    x, observed = changed()
    first = look(x, observed)
    assert first.route.backend.state is RouteState.RESUMING
    assert not rollouts(first)
    held = replace(observed, published=RouteState.RESUMING, route_settled=True)
    assert look(x, held).ask
    assert not rollouts(look(x, replace(held, activity=BUSY)))
    assert Role.COORDINATOR in rollouts(look(x, replace(held, activity=IDLE)))


def test_a_coordinator_that_does_not_answer_is_replaced_at_once():
    x, observed = changed()
    down = replace(observed, endpoints=(), pods=())
    assert Role.COORDINATOR in rollouts(look(x, down))


# What is missing.

WITH_SECRET = {"trinoControlAuth": {"passwordSecret": {"name": "control", "key": "password"}}}


def test_a_missing_secret_is_named_with_what_to_do_and_no_pod_is_made():
    planned = look(runtime(WITH_SECRET))
    assert planned.status["phase"] == "Error"
    assert condition(planned, "Ready") == ("False", "ReferenceMissing")
    assert "Secret control does not exist; create it with key password" in planned.status["message"]
    assert not rollouts(planned)
    assert "Service/trino-analytics" in applied(planned)


def test_a_secret_without_the_key_is_told_apart():
    planned = look(runtime(WITH_SECRET), Observed(sources={("Secret", "control"): Source(frozenset({"x"}), "d")}))
    assert "has no key password" in planned.status["message"]


def test_a_secret_that_vanishes_leaves_running_pods_and_their_route_alone():
    here = {("Secret", "control"): Source(frozenset({"password"}), "d")}
    x = runtime(WITH_SECRET)
    observed = running(x, sources=here)
    planned = look(x, replace(observed, sources={}))
    assert planned.route.backend.state is RouteState.RUNNING
    assert scales(planned) == {}
    assert not [action for action in planned.actions if isinstance(action, Delete)]
    assert not planned.ask


def test_changed_content_of_a_secret_restarts_the_pods_that_read_it():
    x = runtime(WITH_SECRET)
    hashes = [
        rollouts(look(x, Observed(sources={("Secret", "control"): Source(frozenset({"password"}), content)})))
        for content in ("one", "two")
    ]
    assert hashes[0][Role.WORKER] != hashes[1][Role.WORKER]
    assert hashes[0][Role.COORDINATOR] == hashes[1][Role.COORDINATOR]


# Pruning.


def test_what_is_no_longer_rendered_is_deleted_and_nothing_else():
    x = runtime({"maxWorkers": 0})
    observed = running(x, children=(child("Service", "trino-analytics"), child("Service", "trino-analytics-worker")))
    deleted = [action.ref.name for action in look(x, observed).actions if isinstance(action, Delete)]
    assert deleted == ["trino-analytics-worker"]


def test_superseded_config_maps_stay_as_long_as_a_rollback_could_need_them():
    x = runtime({"rolloutPolicy": {"revisionHistoryLimit": 2}})
    old = [
        child("ConfigMap", f"trino-analytics-coordinator-{index:012x}", created=f"2026-01-0{index + 1}T00:00:00Z")
        for index in range(4)
    ]
    deleted = {a.ref.name for a in look(x, running(x, children=tuple(old))).actions if isinstance(a, Delete)}
    assert deleted == {"trino-analytics-coordinator-000000000000", "trino-analytics-coordinator-000000000001"}


# Idle.


def test_an_idle_runtime_asks_its_coordinator_and_suspends_only_on_its_word():
    x = runtime({"autoSuspendAfter": "5m"}, status={"lastActivity": "2026-01-31T11:00:00Z"})
    observed = running(x)
    assert look(x, observed).ask
    suspended = look(x, replace(observed, activity=IDLE))
    patch = suspended.actions[0]
    assert isinstance(patch, PatchOwner)
    assert patch.patch["spec"] == {"suspended": True}
    failed = look(x, replace(observed, activity=Activity(error="answered 401")))
    assert not [action for action in failed.actions if isinstance(action, PatchOwner)]
    busy = look(x, replace(observed, activity=replace(BUSY, newest=NOW)))
    assert not [action for action in busy.actions if isinstance(action, PatchOwner)]


def test_a_runtime_is_looked_at_again_when_it_may_be_idle():
    x = runtime({"autoSuspendAfter": "5m"}, status={"lastActivity": "2026-01-31T11:58:00Z"})
    planned = look(x, running(x))
    assert not planned.ask
    assert planned.requeue_after == 180.0


@pytest.mark.parametrize("rules", [RULES, Rules(auto_suspend=False)])
def test_never_means_never(rules):
    x = runtime({"autoSuspendAfter": "0s" if rules is RULES else "5m"}, status={"lastActivity": "2026-01-01T00:00:00Z"})
    planned = look(x, running(x), rules)
    assert not planned.ask
    assert planned.requeue_after is None


# Bad input.


def test_a_spec_that_cannot_be_used_changes_nothing_and_says_why():
    x = runtime({"minWorkers": 5, "maxWorkers": 2, "keda": {"enabled": True, "scalerType": "prometheus"}})
    planned = look(x, running(runtime()))
    assert planned.keep_route
    assert not applied(planned)
    assert planned.status["phase"] == "Error"
    assert condition(planned, "Ready") == ("False", "InvalidSpec")
    assert "spec.minWorkers" in planned.status["message"]


def test_workers_that_nobody_scales_are_not_left_at_zero_in_silence():
    x = runtime({"minWorkers": 0, "maxWorkers": 3, "keda": {"enabled": True, "scalerType": "prometheus"}})
    planned = look(x)
    deployments = [a for a in planned.actions if isinstance(a, Apply) and a.ref.kind == "Deployment"]
    assert {a.ref.name: a.replicas for a in deployments}["trino-analytics-worker"] == 1
    assert condition(planned, "KEDAReady") == ("False", "KEDAPlatformMissing")


def test_a_selector_that_another_runtime_has_is_told_and_does_no_harm():
    x = runtime()
    planned = look(x, replace(running(x), conflicts=("hostname a.example.com belongs to team-b/x",)))
    assert condition(planned, "GatewayReady") == ("False", "RouteConflict")
    assert condition(planned, "Ready")[0] == "True"


def test_up_is_what_the_helpers_say():
    assert up(2, "x").serves(2)
    assert not replace(up(2, "x"), updated=1).serves(2)
