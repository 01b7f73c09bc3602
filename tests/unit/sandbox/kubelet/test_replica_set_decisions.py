"""ReplicaSets: how many pods to create, which to delete, which to adopt, and what the status counts."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from sandbox.kubelet.objects import controller_reference
from sandbox.kubelet.workloads.replica_sets import new_pod, new_status, plan

NOW = datetime(2026, 1, 1, 1, tzinfo=UTC)
Object = dict[str, Any]


def replica_set(replicas: int = 2, **spec: Any) -> Object:
    return {
        "metadata": {"name": "web-1", "namespace": "n", "uid": "r1", "generation": 3},
        "spec": {
            "replicas": replicas,
            "selector": {"matchLabels": {"app": "web"}},
            "template": {"metadata": {"labels": {"app": "web"}}, "spec": {"containers": []}},
            **spec,
        },
    }


def pod(name: str, *, ready: bool = True, phase: str = "Running", owned: bool = True, **meta: Any) -> Object:
    metadata: Object = {
        "name": name,
        "namespace": "n",
        "uid": name,
        "labels": {"app": "web"},
        "creationTimestamp": "2026-01-01T00:00:00Z",
        **meta,
    }
    if owned:
        metadata["ownerReferences"] = [controller_reference("apps/v1", "ReplicaSet", replica_set())]
    condition = {"type": "Ready", "status": str(ready), "lastTransitionTime": "2026-01-01T00:30:00Z"}
    return {
        "metadata": metadata,
        "spec": {"nodeName": "sandbox"},
        "status": {"phase": phase, "conditions": [condition]},
    }


def names(pods: tuple[Object, ...]) -> list[str]:
    return [item["metadata"]["name"] for item in pods]


def test_missing_pods_are_created() -> None:
    assert plan(replica_set(3), [pod("a")], NOW).create == 2


def test_finished_and_terminating_pods_do_not_count() -> None:
    pods = [pod("a", phase="Failed"), pod("b", deletionTimestamp="2026-01-01T00:00:00Z"), pod("c")]
    made = plan(replica_set(2), pods, NOW)
    assert (made.create, made.delete) == (1, ())


def test_the_least_useful_pods_are_deleted_first() -> None:
    cheap = {"annotations": {"controller.kubernetes.io/pod-deletion-cost": "-5"}}
    pods = [
        pod("old", creationTimestamp="2026-01-01T00:00:00Z"),
        pod("new", creationTimestamp="2026-01-01T00:10:00Z"),
        pod("cheap", **cheap),
        pod("unready", ready=False),
        pod("pending", ready=False, phase="Pending"),
    ]
    assert names(plan(replica_set(1), pods, NOW).delete) == ["pending", "unready", "cheap", "new"]


def test_orphans_are_adopted_and_relabelled_pods_let_go() -> None:
    stranger = pod("stranger", labels={"app": "other"})
    made = plan(replica_set(), [pod("orphan", owned=False), stranger], NOW)
    assert (names(made.adopt), names(made.release)) == (["orphan"], ["stranger"])
    assert made.create == 0


def test_a_replica_set_that_is_being_deleted_makes_no_pods() -> None:
    leaving = replica_set()
    leaving["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:00Z"
    assert plan(leaving, [], NOW).create == 0


def test_min_ready_seconds_delays_availability_and_asks_to_come_back() -> None:
    young = replica_set(1, minReadySeconds=2400)  # the pod has been ready for 1800 s
    status = new_status(young, [pod("a")], None, NOW)
    assert status is not None and (status["readyReplicas"], status["availableReplicas"]) == (1, 0)
    assert plan(young, [pod("a")], NOW).requeue_after == 600


def test_status_counts_and_is_written_only_when_it_changes() -> None:
    subject = replica_set()
    pods = [pod("a"), pod("b", ready=False), pod("c", owned=False)]
    status = new_status(subject, pods, ("FailedCreate", "quota"), NOW)
    assert status is not None
    assert (status["replicas"], status["readyReplicas"], status["observedGeneration"]) == (2, 1, 3)
    assert status["conditions"][0]["reason"] == "FailedCreate"
    assert new_status({**subject, "status": status}, pods, ("FailedCreate", "quota"), NOW) is None
    cleared = new_status({**subject, "status": status}, pods, None, NOW)
    assert cleared is not None and cleared["conditions"] == []


def test_a_pod_is_the_template_with_an_owner() -> None:
    made = new_pod(replica_set(), "web-1-x")
    assert made["metadata"]["labels"] == {"app": "web"}
    assert made["metadata"]["ownerReferences"][0]["uid"] == "r1"
