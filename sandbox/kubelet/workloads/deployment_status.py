"""The status of a Deployment: counters, the conditions that follow from them, and the progress of a rollout.

Computed by the Deployment decisions on every step; pure. It also says what the sizes in a spec mean, because
availability is judged by them. A finished rollout stays finished when pods come and go afterwards.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sandbox.kubelet.objects import Object, find_condition, generation, meta, parse_time, spec, status, timestamp

DEFAULT_PROGRESS_DEADLINE = 600
NO_PROGRESS_DEADLINE = 2147483647  # the API's spelling of "never"


@dataclass(frozen=True)
class Bounds:
    """How many pods a rolling update may add above, and miss below, the wanted number."""

    surge: int
    unavailable: int


def wanted_replicas(deployment: Mapping[str, Any]) -> int:
    value = spec(deployment).get("replicas")
    return 1 if value is None else int(value)


def bounds(deployment: Mapping[str, Any]) -> Bounds:
    """maxSurge and maxUnavailable in pods: a percentage of surge rounds up, of unavailable down; never both 0."""
    strategy = spec(deployment).get("strategy") or {}
    replicas = wanted_replicas(deployment)
    if strategy.get("type") == "Recreate":
        return Bounds(0, replicas)
    rolling = strategy.get("rollingUpdate") or {}
    surge = _amount(rolling.get("maxSurge", "25%"), replicas, math.ceil)
    unavailable = min(_amount(rolling.get("maxUnavailable", "25%"), replicas, math.floor), replicas)
    if surge == 0 and unavailable == 0:
        unavailable = 1
    return Bounds(surge, unavailable)


def _amount(value: Any, replicas: int, rounding: Any) -> int:
    if value is None:
        value = "25%"
    if isinstance(value, str) and value.endswith("%") and value[:-1].isdigit():
        return int(rounding(int(value[:-1]) * replicas / 100))
    if isinstance(value, str) and value.isdigit():
        return int(value)
    return int(value) if isinstance(value, int) and not isinstance(value, bool) else 0


def replicas_of(replica_set: Mapping[str, Any]) -> int:
    value = spec(replica_set).get("replicas")
    return 1 if value is None else int(value)


def total(replica_sets: Iterable[Mapping[str, Any]]) -> int:
    return sum(replicas_of(item) for item in replica_sets)


def count(replica_sets: Iterable[Mapping[str, Any]], name: str) -> int:
    return sum(int(status(item).get(name) or 0) for item in replica_sets)


def new_status(deployment: Object, owned: list[Object], current: Object | None, now: datetime) -> Object:
    """Counters and the conditions that follow from them; progress is added by the caller."""
    available = count(owned, "availableReplicas")
    old = status(deployment)
    result: Object = {
        "observedGeneration": generation(deployment),
        "replicas": count(owned, "replicas"),
        "updatedReplicas": count([current] if current is not None else [], "replicas"),
        "readyReplicas": count(owned, "readyReplicas"),
        "availableReplicas": available,
        "unavailableReplicas": max(0, total(owned) - available),
        "conditions": [dict(item) for item in old.get("conditions") or []],
    }
    if old.get("collisionCount"):
        result["collisionCount"] = old["collisionCount"]
    if available >= wanted_replicas(deployment) - bounds(deployment).unavailable:
        text = "Deployment has minimum availability."
        _set(result, "Available", "True", "MinimumReplicasAvailable", text, now)
    else:
        text = "Deployment does not have minimum availability."
        _set(result, "Available", "False", "MinimumReplicasUnavailable", text, now)
    failure = _replica_failure(owned, current)
    if failure is not None:
        reason, message = str(failure.get("reason") or ""), str(failure.get("message") or "")
        _set(result, "ReplicaFailure", "True", reason, message, now)
    else:
        _drop(result, "ReplicaFailure")
    return result


def _replica_failure(owned: list[Object], current: Object | None) -> Mapping[str, Any] | None:
    for item in [current, *owned]:
        if item is not None:
            found = find_condition(status(item).get("conditions") or [], "ReplicaFailure")
            if found is not None and found.get("status") == "True":
                return found
    return None


def complete(deployment: Object, new: Mapping[str, Any]) -> bool:
    wanted = wanted_replicas(deployment)
    return bool(new["updatedReplicas"] == wanted and new["replicas"] == wanted and new["availableReplicas"] == wanted)


def report_progress(
    deployment: Object, new: Object, current: Object | None, create: Object | None, paused: bool, now: datetime
) -> None:
    """Set the Progressing condition."""
    deadline = progress_deadline(deployment)
    if deadline is None:
        _drop(new, "Progressing")
        return
    before = find_condition(new["conditions"], "Progressing")
    reason = (before or {}).get("reason")
    if paused:
        if reason != "ProgressDeadlineExceeded":
            _set(new, "Progressing", "Unknown", "DeploymentPaused", "Deployment is paused", now)
        return
    if reason == "DeploymentPaused":
        _set(new, "Progressing", "Unknown", "DeploymentResumed", "Deployment is resumed", now)
        return
    if create is not None:
        text = f'Created new replica set "{meta(create).get("name")}"'
        _set(new, "Progressing", "True", "NewReplicaSetCreated", text, now, touch=True)
        return
    if current is None:
        return
    name = meta(current).get("name")
    if before is None:
        _set(new, "Progressing", "True", "FoundNewReplicaSet", f'Found new replica set "{name}"', now)
    if reason == "NewReplicaSetAvailable" and new["replicas"] == new["updatedReplicas"]:
        return  # a finished rollout is not undone by pods that come and go
    if complete(deployment, new):
        text = f'ReplicaSet "{name}" has successfully progressed.'
        _set(new, "Progressing", "True", "NewReplicaSetAvailable", text, now)
    elif _advanced(status(deployment), new):
        _set(new, "Progressing", "True", "ReplicaSetUpdated", f'ReplicaSet "{name}" is progressing.', now, touch=True)
    elif _late(before, deadline, now):
        text = f'ReplicaSet "{name}" has timed out progressing.'
        _set(new, "Progressing", "False", "ProgressDeadlineExceeded", text, now)


def progress_deadline(deployment: Mapping[str, Any]) -> int | None:
    """Seconds without progress after which a rollout is called stuck; None for never."""
    value = spec(deployment).get("progressDeadlineSeconds")
    if value is None:
        return DEFAULT_PROGRESS_DEADLINE
    return None if int(value) >= NO_PROGRESS_DEADLINE else int(value)


def _advanced(before: Mapping[str, Any], new: Mapping[str, Any]) -> bool:
    def old(name: str) -> int:
        return int(before.get(name) or 0)

    return bool(
        new["updatedReplicas"] > old("updatedReplicas")
        or new["replicas"] - new["updatedReplicas"] < old("replicas") - old("updatedReplicas")
        or new["readyReplicas"] > old("readyReplicas")
        or new["availableReplicas"] > old("availableReplicas")
    )


def _late(before: Mapping[str, Any] | None, deadline: int, now: datetime) -> bool:
    if before is None or before.get("reason") == "NewReplicaSetAvailable":
        return False
    if before.get("reason") == "ProgressDeadlineExceeded":
        return True
    updated = parse_time(before.get("lastUpdateTime"))
    return updated is not None and updated + timedelta(seconds=deadline) < now


def next_look(deployment: Object, new: Mapping[str, Any], now: datetime) -> float | None:
    """Seconds until the progress deadline has to be looked at again."""
    deadline = progress_deadline(deployment)
    found = find_condition(new["conditions"], "Progressing")
    if deadline is None or found is None or spec(deployment).get("paused"):
        return None
    if found.get("reason") in ("NewReplicaSetAvailable", "ProgressDeadlineExceeded"):
        return None
    updated = parse_time(found.get("lastUpdateTime"))
    if updated is None:
        return None
    return max(0.0, (updated + timedelta(seconds=deadline) - now).total_seconds()) + 1.0


def _set(new: Object, kind: str, value: str, reason: str, message: str, now: datetime, *, touch: bool = False) -> None:
    """Set a condition; an equal one keeps its times unless `touch` says that something moved."""
    before = find_condition(new["conditions"], kind)
    if before is not None and not touch and before.get("status") == value and before.get("reason") == reason:
        return
    at = timestamp(now)
    moved = before is None or before.get("status") != value
    entry = {
        "type": kind,
        "status": value,
        "reason": reason,
        "message": message,
        "lastUpdateTime": at,
        "lastTransitionTime": at if moved or before is None else before.get("lastTransitionTime", at),
    }
    new["conditions"] = [item for item in new["conditions"] if item.get("type") != kind] + [entry]


def _drop(new: Object, kind: str) -> None:
    new["conditions"] = [item for item in new["conditions"] if item.get("type") != kind]


def changed(deployment: Object, new: Object) -> Object | None:
    """The new status, or None when the stored one says the same (absent and zero are the same)."""
    old = {name: value for name, value in status(deployment).items() if value}
    return None if old == {name: value for name, value in new.items() if value} else new
