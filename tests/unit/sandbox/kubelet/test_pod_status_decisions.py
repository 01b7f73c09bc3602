"""Pod status: phases, conditions and their times, container entries, recovery after the kubelet's own restart."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from sandbox.kubelet.objects import find_condition
from sandbox.kubelet.pod_status import (
    ContainerRecord,
    Refusal,
    Running,
    Terminated,
    Waiting,
    pod_status,
    qos_class,
    recovered,
)
from sandbox.kubelet.restarts import Backoff, restarts

NOW = datetime(2026, 1, 1, tzinfo=UTC)
Object = dict[str, Any]
WAITING = Waiting("ContainerCreating")
RUNNING = Running(NOW)
DONE = Terminated(0, "Completed", NOW, NOW)
FAILED = Terminated(3, "Error", NOW, NOW)


def record(state: Any, *, ready: bool = False, name: str = "c", last: Terminated | None = None) -> ContainerRecord:
    return ContainerRecord(name, "image", state, last=last, ready=ready, started=ready)


def pod(policy: str = "Always", **metadata: Any) -> Object:
    return {"metadata": {"name": "p", **metadata}, "spec": {"restartPolicy": policy, "containers": []}}


def make(subject: Object, *main: ContainerRecord, init: tuple[ContainerRecord, ...] = (), **more: Any) -> Object:
    return pod_status(subject, init, main, "127.64.0.1", more.pop("now", NOW), **more)


def value(status: Object, kind: str) -> str:
    return str((find_condition(status["conditions"], kind) or {}).get("status"))


@pytest.mark.parametrize(
    ("policy", "states", "phase"),
    [
        ("Always", [WAITING], "Pending"),
        ("Always", [RUNNING], "Running"),
        ("Always", [RUNNING, WAITING], "Pending"),
        ("Always", [DONE], "Running"),
        ("Never", [DONE], "Succeeded"),
        ("Never", [DONE, FAILED], "Failed"),
        ("Never", [DONE, RUNNING], "Running"),
        ("OnFailure", [FAILED], "Running"),
        ("OnFailure", [DONE], "Succeeded"),
    ],
)
def test_phase_follows_the_containers(policy: str, states: list[Any], phase: str) -> None:
    assert make(pod(policy), *(record(state) for state in states))["phase"] == phase


def test_a_crash_loop_stays_running() -> None:
    status = make(pod(), record(Waiting("CrashLoopBackOff", "back-off 10s"), last=FAILED))
    assert status["phase"] == "Running"
    entry = status["containerStatuses"][0]
    assert entry["state"]["waiting"]["reason"] == "CrashLoopBackOff"
    assert entry["lastState"]["terminated"]["exitCode"] == 3


def test_a_pod_is_ready_when_all_containers_are() -> None:
    assert value(make(pod(), record(RUNNING, ready=True)), "Ready") == "True"
    status = make(pod(), record(RUNNING, ready=True), record(RUNNING, name="slow"))
    assert value(status, "Ready") == "False"
    assert (find_condition(status["conditions"], "Ready") or {})["message"] == "containers with unready status: [slow]"


def test_init_containers_hold_the_pod_back() -> None:
    status = make(pod(), record(Waiting("PodInitializing")), init=(record(RUNNING, name="first"),))
    assert (status["phase"], value(status, "Initialized")) == ("Pending", "False")
    status = make(pod(), record(RUNNING, ready=True), init=(record(DONE, name="first"),))
    assert (status["phase"], value(status, "Initialized"), value(status, "Ready")) == ("Running", "True", "True")
    assert status["initContainerStatuses"][0]["ready"] is True


def test_a_failed_init_container_fails_a_pod_that_never_restarts() -> None:
    assert make(pod("Never"), record(WAITING), init=(record(FAILED, name="first"),))["phase"] == "Failed"


def test_a_deleted_pod_ends_in_a_final_phase() -> None:
    gone = pod(deletionTimestamp="2026-01-01T00:00:00Z")
    assert make(gone, record(DONE))["phase"] == "Succeeded"
    assert make(gone, record(replace(FAILED, exit_code=143)))["phase"] == "Failed"


def test_transition_times_move_only_when_the_status_flips() -> None:
    first = make(pod(), record(RUNNING))
    later = NOW + timedelta(minutes=1)
    same = make({**pod(), "status": first}, record(RUNNING), now=later)
    assert same["conditions"] == first["conditions"]
    flipped = make({**pod(), "status": first}, record(RUNNING, ready=True), now=later)
    assert (find_condition(flipped["conditions"], "Ready") or {})["lastTransitionTime"] == "2026-01-01T00:01:00Z"
    assert flipped["startTime"] == first["startTime"]


def test_readiness_gates_and_foreign_conditions_are_respected() -> None:
    subject = pod()
    subject["spec"]["readinessGates"] = [{"conditionType": "example.com/ok"}]
    assert value(make(subject, record(RUNNING, ready=True)), "Ready") == "False"
    subject["status"] = {"conditions": [{"type": "example.com/ok", "status": "True"}]}
    status = make(subject, record(RUNNING, ready=True))
    assert value(status, "Ready") == "True"
    assert value(status, "example.com/ok") == "True"


def test_a_refused_pod_has_failed_for_good() -> None:
    status = make(pod(), record(WAITING), refusal=Refusal("OutOfAddresses", "none left"))
    assert (status["phase"], status["reason"], value(status, "Ready")) == ("Failed", "OutOfAddresses", "False")


def test_a_signal_is_reported_beside_the_exit_code() -> None:
    entry = record(replace(FAILED, exit_code=137)).entry(False)
    assert entry["state"]["terminated"]["signal"] == 9


@pytest.mark.parametrize(
    ("resources", "wanted"),
    [
        ({}, "BestEffort"),
        ({"requests": {"cpu": "1"}}, "Burstable"),
        ({"limits": {"cpu": "1", "memory": "1Gi"}}, "Guaranteed"),
        ({"limits": {"cpu": "1", "memory": "1Gi"}, "requests": {"cpu": "500m"}}, "Burstable"),
    ],
)
def test_quality_of_service(resources: Object, wanted: str) -> None:
    assert qos_class({"spec": {"containers": [{"resources": resources}]}}) == wanted


def test_after_a_kubelet_restart_a_running_container_counts_as_killed() -> None:
    published = make(pod(), replace(record(RUNNING, ready=True), restart_count=2, container_id="x"))
    found = recovered(record(WAITING), {**pod(), "status": published}, False, NOW)
    assert isinstance(found.state, Terminated) and found.state.exit_code == 137
    assert (found.restart_count, found.container_id, found.ready) == (2, "x", False)


def test_after_a_kubelet_restart_finished_work_stays_finished() -> None:
    published = make(pod("Never"), record(WAITING), init=(record(DONE, name="first"),))
    found = recovered(record(WAITING, name="first"), {**pod("Never"), "status": published}, True, NOW)
    assert isinstance(found.state, Terminated) and found.state.exit_code == 0
    assert not restarts(pod("Never"), {}, True, 0)


def test_the_first_restart_is_immediate_and_the_next_ones_wait_longer() -> None:
    backoff = Backoff(10, 60, 600)
    delays = []
    for ran_for in (1, 1, 1, 1, 1, 1, 700, 1):
        delays.append(backoff.now(ran_for))
        backoff = backoff.after_run(ran_for)
    assert delays == [0, 10, 20, 40, 60, 60, 0, 10]


@pytest.mark.parametrize(
    ("policy", "init", "code", "again"),
    [
        ("Always", False, 0, True),
        ("OnFailure", False, 0, False),
        ("OnFailure", False, 1, True),
        ("Never", False, 1, False),
        ("Always", True, 0, False),
        ("Always", True, 1, True),
        ("Never", True, 1, False),
    ],
)
def test_restart_policies(policy: str, init: bool, code: int, again: bool) -> None:
    assert restarts(pod(policy), {}, init, code) is again
