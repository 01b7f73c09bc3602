"""What a ReplicaSet needs next: which pods to adopt, create and delete, and what its status says.

Called by the controller shell with every pod of the namespace; pure, `now` is an argument. Pods that wait,
that are not ready, that cost least to lose and that are newest go first when there are too many, in the order
that Kubernetes documents (`controller.kubernetes.io/pod-deletion-cost` included).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from sandbox.kubelet.objects import (
    Object,
    annotations_of,
    controlled_by,
    controller_of,
    controller_reference,
    created,
    deleting,
    generation,
    labels,
    meta,
    pod_active,
    pod_ready_since,
    spec,
    status,
    timestamp,
    uid,
)
from sandbox.kubelet.selectors import selects, selects_exactly

DELETION_COST = "controller.kubernetes.io/pod-deletion-cost"
_PHASE_ORDER = {"Pending": 0, "Unknown": 1, "Running": 2}
_EPOCH = datetime.fromtimestamp(0, UTC)


@dataclass(frozen=True)
class ReplicaSetPlan:
    adopt: tuple[Object, ...] = ()
    release: tuple[Object, ...] = ()
    create: int = 0
    delete: tuple[Object, ...] = ()
    requeue_after: float | None = None  # seconds, until a ready pod counts as available


def plan(replica_set: Object, pods: Iterable[Object], now: datetime) -> ReplicaSetPlan:
    """The next step towards `spec.replicas`."""
    adopt, release, owned = _claim(replica_set, pods)
    if deleting(replica_set):
        return ReplicaSetPlan(release=release)
    if adopt or release:
        return ReplicaSetPlan(adopt=adopt, release=release)
    wanted = 1 if spec(replica_set).get("replicas") is None else int(spec(replica_set)["replicas"])
    active = [pod for pod in owned if pod_active(pod)]
    surplus = len(active) - wanted
    return ReplicaSetPlan(
        create=max(0, -surplus),
        delete=tuple(sorted(active, key=expendable)[:surplus]) if surplus > 0 else (),
        requeue_after=_next_availability(replica_set, active, now),
    )


def _claim(replica_set: Object, pods: Iterable[Object]) -> tuple[tuple[Object, ...], tuple[Object, ...], list[Object]]:
    selector = spec(replica_set).get("selector")
    adopt: list[Object] = []
    release: list[Object] = []
    owned: list[Object] = []
    for pod in sorted(pods, key=created):
        matches = selects(selector, labels(pod))
        if controlled_by(pod, uid(replica_set)):
            if matches:
                owned.append(pod)
            elif not deleting(pod):
                release.append(pod)
        elif matches and controller_of(pod) is None and pod_active(pod):
            adopt.append(pod)
    return tuple(adopt), tuple(release), owned


def expendable(pod: Mapping[str, Any]) -> tuple[bool, int, bool, int, float, int, tuple[float, str]]:
    """Sorts pods so that the first is the one to lose first."""
    ready = pod_ready_since(pod)
    cost = annotations_of(pod).get(DELETION_COST, "0")
    restarts = sum(int(item.get("restartCount") or 0) for item in status(pod).get("containerStatuses") or [])
    birth, name = created(pod)
    age = datetime.fromisoformat(birth).timestamp() if birth else 0.0
    return (
        bool(spec(pod).get("nodeName")),
        _PHASE_ORDER.get(str(status(pod).get("phase") or "Pending"), 0),
        ready is not None,
        int(cost) if cost.lstrip("-").isdigit() else 0,
        -(ready or _EPOCH).timestamp(),
        -restarts,
        (-age, name),
    )


def new_pod(replica_set: Object, name: str) -> Object:
    """A pod of the template under the given name."""
    template = spec(replica_set).get("template") or {}
    template_meta = template.get("metadata") or {}
    metadata: Object = {
        "name": name,
        "namespace": meta(replica_set).get("namespace"),
        "labels": dict(template_meta.get("labels") or {}),
        "ownerReferences": [controller_reference("apps/v1", "ReplicaSet", replica_set)],
    }
    if template_meta.get("annotations"):
        metadata["annotations"] = dict(template_meta["annotations"])
    if template_meta.get("finalizers"):
        metadata["finalizers"] = list(template_meta["finalizers"])
    return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec(replica_set)["template"]["spec"]}


def new_status(
    replica_set: Object, pods: Iterable[Object], failure: tuple[str, str] | None, now: datetime
) -> Object | None:
    """The status to write, or None when the stored one says the same. `failure` is reason and message."""
    template_labels = ((spec(replica_set).get("template") or {}).get("metadata") or {}).get("labels") or {}
    owned = [pod for pod in pods if controlled_by(pod, uid(replica_set)) and pod_active(pod)]
    wait = int(spec(replica_set).get("minReadySeconds") or 0)
    new: Object = {
        "replicas": len(owned),
        "fullyLabeledReplicas": sum(selects_exactly(template_labels, labels(pod)) for pod in owned),
        "readyReplicas": sum(pod_ready_since(pod) is not None for pod in owned),
        "availableReplicas": sum(_available(pod, wait, now) for pod in owned),
        "observedGeneration": generation(replica_set),
        "conditions": _failure_condition(replica_set, failure, now),
    }
    old = {name: value for name, value in status(replica_set).items() if value}
    return None if old == {name: value for name, value in new.items() if value} else new


def _failure_condition(replica_set: Object, failure: tuple[str, str] | None, now: datetime) -> list[Object]:
    others = [
        dict(item) for item in status(replica_set).get("conditions") or [] if item.get("type") != "ReplicaFailure"
    ]
    if failure is None:
        return others
    for item in status(replica_set).get("conditions") or []:
        if item.get("type") == "ReplicaFailure" and (item.get("reason"), item.get("message")) == failure:
            return [*others, dict(item)]
    reason, message = failure
    return [
        *others,
        {
            "type": "ReplicaFailure",
            "status": "True",
            "reason": reason,
            "message": message,
            "lastTransitionTime": timestamp(now),
        },
    ]


def _available(pod: Object, wait: int, now: datetime) -> bool:
    ready = pod_ready_since(pod)
    return ready is not None and ready + timedelta(seconds=wait) <= now


def _next_availability(replica_set: Object, active: list[Object], now: datetime) -> float | None:
    wait = int(spec(replica_set).get("minReadySeconds") or 0)
    if not wait:
        return None
    moments = [
        (ready + timedelta(seconds=wait) - now).total_seconds()
        for ready in map(pod_ready_since, active)
        if ready is not None
    ]
    waiting = [seconds for seconds in moments if seconds > 0]
    return min(waiting) if waiting else None
