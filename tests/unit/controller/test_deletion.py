"""Deletion: drain, leave the routes, remove, let go; each step recognised by what is left, and none of them endless."""

from __future__ import annotations

from dataclasses import replace

from controller.actions import Delete, EndQueries, PatchOwner
from controller.observed import Observed
from controller.plan import plan
from crds.v1.lifecycle import RouteState
from crds.v1.meta import FINALIZER, to_dict
from tests.support.runtimes import BUSY, IDLE, NOW, RULES, child, running, runtime


def look(x, observed):
    return plan(x, observed, NOW, RULES)


def doomed(**spec):
    return runtime(spec, deleting=True)


def serving(x, **changes):
    alive = runtime(to_dict(x.spec))
    return running(alive, children=(child("Service", "trino-analytics"),), **changes)


def test_a_deleted_runtime_is_drained_first_with_its_route_draining():
    x = doomed()
    planned = look(x, serving(x))
    assert planned.route.backend.state is RouteState.DRAINING
    assert not planned.route.backend.active
    assert planned.actions == ()
    assert planned.status["drainStartedAt"]


def test_it_waits_for_live_queries_and_nothing_is_removed_under_them():
    x = doomed()
    settled = serving(x, published=RouteState.DRAINING, route_settled=True)
    assert look(x, settled).ask
    planned = look(x, replace(settled, activity=BUSY))
    assert planned.actions == ()
    assert planned.route is not None


def test_when_drained_it_leaves_the_routes_before_it_stops_answering():
    x = doomed()
    planned = look(x, serving(x, published=RouteState.DRAINING, route_settled=True, activity=IDLE))
    assert planned.route is None
    assert not [action for action in planned.actions if isinstance(action, Delete)]


def test_then_everything_that_it_owns_goes_deployments_first():
    x = doomed()
    observed = replace(
        serving(x, activity=IDLE),
        published=None,
        children=(child("Service", "a"), child("Deployment", "b", "apps/v1"), child("ConfigMap", "c")),
    )
    deleted = [action.ref.kind for action in look(x, observed).actions if isinstance(action, Delete)]
    assert deleted[0] == "Deployment"
    assert sorted(deleted) == ["ConfigMap", "Deployment", "Service"]


def test_last_the_finalizer_goes_and_those_of_others_stay():
    x = runtime(deleting=True, finalizers=[FINALIZER, "other/one"])
    planned = look(x, Observed())
    (patch,) = planned.actions
    assert isinstance(patch, PatchOwner)
    assert patch.patch == {"metadata": {"finalizers": ["other/one"]}}
    assert planned.status is None


def test_without_our_finalizer_there_is_nothing_to_do():
    x = runtime(deleting=True, finalizers=["other/one"])
    assert look(x, Observed()).actions == ()


def test_the_timeout_ends_the_wait_for_queries():
    x = runtime({"drainTimeout": "1m"}, deleting=True, status={"drainStartedAt": "2026-01-31T11:00:00Z"})
    planned = look(x, serving(x, published=RouteState.DRAINING, route_settled=True, activity=BUSY))
    assert [type(action) for action in planned.actions] == [EndQueries]
    assert planned.route is None


def test_a_spec_that_cannot_be_used_can_be_deleted():
    x = runtime({"valuesOverlay": {"service": {"port": "none"}}}, deleting=True)
    planned = look(x, Observed(children=(child("Service", "a"),)))
    assert [type(action) for action in planned.actions] == [Delete]


def test_a_suspended_runtime_is_deleted_without_asking_anybody():
    x = doomed(suspended=True)
    planned = look(x, Observed())
    assert [type(action) for action in planned.actions] == [PatchOwner]
