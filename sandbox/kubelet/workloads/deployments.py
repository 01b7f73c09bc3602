"""What a Deployment needs next: one pure decision from the Deployment, its ReplicaSets and its pods.

The controller shell gathers the lists, calls `plan`, carries the plan out and calls again on the next event.
Rolling updates, Recreate, scaling during a rollout, pausing, history and conditions follow the rules that
Kubernetes documents; each plan is one safe step, and the spec of a ReplicaSet, not its lagging status, bounds
how far a step may go. Nothing here does I/O, and `now` is always an argument.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from sandbox.kubelet.objects import (
    Object,
    annotations_of,
    controlled_by,
    controller_of,
    created,
    deleting,
    find_condition,
    generation,
    labels,
    meta,
    parse_time,
    spec,
    status,
    timestamp,
    uid,
)
from sandbox.kubelet.selectors import selects
from sandbox.kubelet.workloads import revisions
from sandbox.kubelet.workloads.revisions import DESIRED_REPLICAS, MAX_REPLICAS, REVISION

DEFAULT_PROGRESS_DEADLINE = 600
NO_PROGRESS_DEADLINE = 2147483647  # the API's spelling of "never"
DEFAULT_HISTORY = 10


@dataclass(frozen=True)
class ReplicaSetChange:
    """A merge patch for one ReplicaSet; `replicas` None leaves the scale alone."""

    replica_set: Object
    replicas: int | None = None
    annotations: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class DeploymentPlan:
    """One step. Empty fields mean that nothing of that kind is to be done."""

    adopt: tuple[Object, ...] = ()
    release: tuple[Object, ...] = ()
    create: Object | None = None
    changes: tuple[ReplicaSetChange, ...] = ()
    delete: tuple[Object, ...] = ()
    annotate: Mapping[str, str] = field(default_factory=dict)
    status: Object | None = None
    events: tuple[tuple[str, str], ...] = ()
    requeue_after: float | None = None  # seconds


@dataclass(frozen=True)
class Bounds:
    """How many pods a rolling update may add above, and miss below, the wanted number."""

    surge: int
    unavailable: int


def plan(deployment: Object, replica_sets: Iterable[Object], pods: Iterable[Object], now: datetime) -> DeploymentPlan:
    """The next step. The lists may hold objects of others in the namespace; pods matter to Recreate only."""
    adopt, release, owned = _claim(deployment, replica_sets)
    if adopt or release:
        return DeploymentPlan(adopt=adopt, release=release)
    current = revisions.find_current(deployment, owned)
    if deleting(deployment):
        return DeploymentPlan(status=_changed(deployment, _status(deployment, owned, current, now)))
    old = [item for item in owned if item is not current]
    paused = bool(spec(deployment).get("paused"))
    step = _Step(deployment, owned, current, old, now)
    if paused or step.scaling():
        step.scale()
    elif (spec(deployment).get("strategy") or {}).get("type") == "Recreate":
        step.recreate([pod for pod in pods if _running_pod_of(pod, old)])
    else:
        step.roll()
    return step.finish(paused)


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


def _total(replica_sets: Iterable[Mapping[str, Any]]) -> int:
    return sum(replicas_of(item) for item in replica_sets)


def _count(replica_sets: Iterable[Mapping[str, Any]], name: str) -> int:
    return sum(int(status(item).get(name) or 0) for item in replica_sets)


def _claim(
    deployment: Object, replica_sets: Iterable[Object]
) -> tuple[tuple[Object, ...], tuple[Object, ...], list[Object]]:
    """Orphans to adopt, owned ones whose labels no longer match, and those that are ours."""
    selector = spec(deployment).get("selector")
    adopt: list[Object] = []
    release: list[Object] = []
    owned: list[Object] = []
    for item in sorted(replica_sets, key=created):
        matches = selects(selector, labels(item))
        if controlled_by(item, uid(deployment)):
            if matches or deleting(item):
                owned.append(item)
            else:
                release.append(item)
        elif matches and controller_of(item) is None and not deleting(item) and not deleting(deployment):
            adopt.append(item)
    return tuple(adopt), tuple(release), owned


def _running_pod_of(pod: Object, replica_sets: Sequence[Object]) -> bool:
    """A pod that still holds its place: Recreate waits for terminating ones as well."""
    if status(pod).get("phase") in ("Succeeded", "Failed"):
        return False
    return any(controlled_by(pod, uid(item)) for item in replica_sets)


class _Step:
    """Collects what one call decides; lives for one `plan`."""

    def __init__(
        self, deployment: Object, owned: list[Object], current: Object | None, old: list[Object], now: datetime
    ) -> None:
        self.deployment = deployment
        self.owned = owned
        self.current = current
        self.old = old
        self.now = now
        self.wanted = wanted_replicas(deployment)
        self.bounds = bounds(deployment)
        self.create: Object | None = None
        self.resize: dict[str, int] = {}  # ReplicaSet name -> replicas
        self.events: list[tuple[str, str]] = []

    # The three ways forward.

    def scaling(self) -> bool:
        """The Deployment's size changed since its ReplicaSets were last sized."""
        for item in self.owned:
            noted = annotations_of(item).get(DESIRED_REPLICAS)
            if replicas_of(item) > 0 and noted is not None and noted != str(self.wanted):
                return True
        return False

    def scale(self) -> None:
        active = [item for item in self.owned if replicas_of(item) > 0]
        if len(active) <= 1:
            target = active[0] if active else self.current
            if target is not None:
                self._resize(target, self.wanted)
            return
        if self.current is not None and self._saturated(self.current):
            for item in active:
                if item is not self.current:
                    self._resize(item, 0)
            return
        self._scale_proportionally(active)

    def recreate(self, old_pods: Sequence[Object]) -> None:
        shrinking = [item for item in self.old if replicas_of(item) > 0]
        for item in shrinking:
            self._resize(item, 0)
        if shrinking or old_pods:
            return
        if self.current is None:
            self._create(self.wanted)
        else:
            self._resize(self.current, self.wanted)

    def roll(self) -> None:
        if self.current is None:
            self._create(self._room_for_new(0))
            return
        have = replicas_of(self.current)
        if have > self.wanted:
            self._resize(self.current, self.wanted)
            return
        grown = have + self._room_for_new(have)
        if grown > have:
            self._resize(self.current, grown)
            return
        self._shrink_old()

    # Sizes.

    def _room_for_new(self, have: int) -> int:
        if not any(replicas_of(item) for item in self.old):
            return self.wanted - have
        room = self.wanted + self.bounds.surge - _total(self.owned)
        return max(0, min(room, self.wanted - have))

    def _shrink_old(self) -> None:
        assert self.current is not None
        if not _total(self.old):
            return
        least = self.wanted - self.bounds.unavailable
        missing = replicas_of(self.current) - int(status(self.current).get("availableReplicas") or 0)
        allowed = _total(self.owned) - least - max(0, missing)
        if allowed <= 0:
            return
        sizes = {str(meta(item).get("name")): replicas_of(item) for item in self.old}
        # Pods that serve nobody go first: they cost no availability.
        budget = allowed
        for item in self.old:
            name = str(meta(item).get("name"))
            idle = min(budget, sizes[name] - int(status(item).get("availableReplicas") or 0))
            if idle > 0:
                sizes[name] -= idle
                budget -= idle
        spare = min(budget, _count(self.owned, "availableReplicas") - least)
        for item in self.old:
            name = str(meta(item).get("name"))
            cut = min(max(0, spare), sizes[name])
            sizes[name] -= cut
            spare -= cut
        for item in self.old:
            self._resize(item, sizes[str(meta(item).get("name"))])

    def _saturated(self, current: Object) -> bool:
        return (
            replicas_of(current) == self.wanted
            and annotations_of(current).get(DESIRED_REPLICAS) == str(self.wanted)
            and int(status(current).get("availableReplicas") or 0) == self.wanted
        )

    def _scale_proportionally(self, active: list[Object]) -> None:
        total = _total(active)
        allowed = self.wanted + self.bounds.surge if self.wanted > 0 else 0
        change = allowed - total
        # The largest share first; among equals the newest grows first and the oldest shrinks first.
        ordered = sorted(active, key=created, reverse=change > 0)
        ordered.sort(key=replicas_of, reverse=True)
        sizes = {str(meta(item).get("name")): replicas_of(item) for item in ordered}
        left = change
        for item in ordered:
            share = self._proportion(item, allowed, change, left)
            sizes[str(meta(item).get("name"))] += share
            left -= share
        if left and ordered:
            first = str(meta(ordered[0]).get("name"))
            sizes[first] = max(0, sizes[first] + left)
        for item in ordered:
            self._resize(item, sizes[str(meta(item).get("name"))])

    def _proportion(self, item: Object, allowed: int, change: int, left: int) -> int:
        """This ReplicaSet's part of the change, never more than is left of it."""
        noted = annotations_of(item).get(MAX_REPLICAS, "")
        before = int(noted) if noted.isdigit() and int(noted) > 0 else _total(self.owned)
        have = replicas_of(item)
        share = (-have if self.wanted == 0 else round(have * allowed / before) - have) if before else 0
        return max(0, min(share, left)) if change > 0 else min(0, max(share, left, -have))

    def _resize(self, item: Object, replicas: int) -> None:
        have = replicas_of(item)
        if replicas == have:
            return
        name = str(meta(item).get("name"))
        self.resize[name] = replicas
        verb = "up" if replicas > have else "down"
        self.events.append(("ScalingReplicaSet", f"Scaled {verb} replica set {name} from {have} to {replicas}"))

    def _create(self, replicas: int) -> None:
        number = max((revisions.revision_of(item) for item in self.owned), default=0) + 1
        self.create = revisions.new_replica_set(self.deployment, replicas, number, self._notes())
        self.events.append(
            ("ScalingReplicaSet", f"Scaled up replica set {self.create['metadata']['name']} to {replicas}")
        )

    def _notes(self) -> dict[str, str]:
        return {
            DESIRED_REPLICAS: str(self.wanted),
            MAX_REPLICAS: str(self.wanted + self.bounds.surge),
        }

    # The plan.

    def finish(self, paused: bool) -> DeploymentPlan:
        new_status = _status(self.deployment, self.owned, self.current, self.now)
        _report_progress(self.deployment, new_status, self.current, self.create, paused, self.now)
        complete = _complete(self.deployment, new_status)
        return DeploymentPlan(
            create=self.create,
            changes=self._changes(paused),
            delete=tuple(self._history()) if complete and not paused else (),
            annotate=self._revision_note(),
            status=_changed(self.deployment, new_status),
            events=tuple(self.events),
            requeue_after=_deadline(self.deployment, new_status, self.now),
        )

    def _changes(self, paused: bool) -> tuple[ReplicaSetChange, ...]:
        changes = []
        for item in self.owned:
            name = str(meta(item).get("name"))
            size = self.resize.get(name)
            notes: dict[str, str] = {}
            if size is not None or replicas_of(item) > 0 or item is self.current:
                notes.update(self._notes())
            if item is self.current and not paused:
                notes.update(revisions.inherited_annotations(self.deployment))
                others = max((revisions.revision_of(other) for other in self.old), default=0)
                notes[REVISION] = str(max(others + 1, revisions.revision_of(item)))
            notes = {key: value for key, value in notes.items() if annotations_of(item).get(key) != value}
            if size is not None or notes:
                changes.append(ReplicaSetChange(item, size, notes))
        return tuple(changes)

    def _revision_note(self) -> dict[str, str]:
        if self.create is not None:
            wanted = annotations_of(self.create).get(REVISION, "1")
        elif self.current is not None:
            others = max((revisions.revision_of(item) for item in self.old), default=0)
            wanted = str(max(others + 1, revisions.revision_of(self.current)))
        else:
            return {}
        return {} if annotations_of(self.deployment).get(REVISION) == wanted else {REVISION: wanted}

    def _history(self) -> list[Object]:
        limit = spec(self.deployment).get("revisionHistoryLimit")
        keep = DEFAULT_HISTORY if limit is None else int(limit)
        empty = [
            item
            for item in self.old
            if replicas_of(item) == 0
            and not int(status(item).get("replicas") or 0)
            and int(status(item).get("observedGeneration") or 0) >= generation(item)
            and not deleting(item)
        ]
        empty.sort(key=revisions.revision_of)
        return empty[: max(0, len(empty) - keep)]


def _status(deployment: Object, owned: list[Object], current: Object | None, now: datetime) -> Object:
    """Counters and the conditions that follow from them; progress is added by the caller."""
    available = _count(owned, "availableReplicas")
    old = status(deployment)
    result: Object = {
        "observedGeneration": generation(deployment),
        "replicas": _count(owned, "replicas"),
        "updatedReplicas": _count([current] if current is not None else [], "replicas"),
        "readyReplicas": _count(owned, "readyReplicas"),
        "availableReplicas": available,
        "unavailableReplicas": max(0, _total(owned) - available),
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


def _complete(deployment: Object, new: Mapping[str, Any]) -> bool:
    wanted = wanted_replicas(deployment)
    return bool(new["updatedReplicas"] == wanted and new["replicas"] == wanted and new["availableReplicas"] == wanted)


def _report_progress(
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
    if _complete(deployment, new):
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


def _deadline(deployment: Object, new: Mapping[str, Any], now: datetime) -> float | None:
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


def _changed(deployment: Object, new: Object) -> Object | None:
    """The new status, or None when the stored one says the same (absent and zero are the same)."""
    old = {name: value for name, value in status(deployment).items() if value}
    return None if old == {name: value for name, value in new.items() if value} else new
