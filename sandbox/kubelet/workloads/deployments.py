"""What a Deployment needs next: one pure decision from the Deployment, its ReplicaSets and its pods.

The controller shell gathers the lists, calls `plan`, carries the plan out and calls again on the next event.
Rolling updates, Recreate, scaling during a rollout, pausing, history and conditions follow the rules that
Kubernetes documents; each plan is one safe step, and the spec of a ReplicaSet, not its lagging status, bounds
how far a step may go. Nothing here does I/O, and `now` is always an argument.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from sandbox.kubelet.objects import (
    Object,
    annotations_of,
    controlled_by,
    controller_of,
    created,
    deleting,
    generation,
    labels,
    meta,
    spec,
    status,
    uid,
)
from sandbox.kubelet.selectors import selects
from sandbox.kubelet.workloads import revisions
from sandbox.kubelet.workloads.deployment_status import (
    bounds,
    changed,
    complete,
    count,
    new_status,
    next_look,
    replicas_of,
    report_progress,
    total,
    wanted_replicas,
)
from sandbox.kubelet.workloads.revisions import DESIRED_REPLICAS, MAX_REPLICAS, REVISION

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


def plan(deployment: Object, replica_sets: Iterable[Object], pods: Iterable[Object], now: datetime) -> DeploymentPlan:
    """The next step. The lists may hold objects of others in the namespace; pods matter to Recreate only."""
    adopt, release, owned = _claim(deployment, replica_sets)
    if adopt or release:
        return DeploymentPlan(adopt=adopt, release=release)
    current = revisions.find_current(deployment, owned)
    if deleting(deployment):
        return DeploymentPlan(status=changed(deployment, new_status(deployment, owned, current, now)))
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
        room = self.wanted + self.bounds.surge - total(self.owned)
        return max(0, min(room, self.wanted - have))

    def _shrink_old(self) -> None:
        assert self.current is not None
        if not total(self.old):
            return
        least = self.wanted - self.bounds.unavailable
        missing = replicas_of(self.current) - int(status(self.current).get("availableReplicas") or 0)
        allowed = total(self.owned) - least - max(0, missing)
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
        spare = min(budget, count(self.owned, "availableReplicas") - least)
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
        allowed = self.wanted + self.bounds.surge if self.wanted > 0 else 0
        change = allowed - total(active)
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
        before = int(noted) if noted.isdigit() and int(noted) > 0 else total(self.owned)
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
        new = new_status(self.deployment, self.owned, self.current, self.now)
        report_progress(self.deployment, new, self.current, self.create, paused, self.now)
        finished = complete(self.deployment, new)
        return DeploymentPlan(
            create=self.create,
            changes=self._changes(paused),
            delete=tuple(self._history()) if finished and not paused else (),
            annotate=self._revision_note(),
            status=changed(self.deployment, new),
            events=tuple(self.events),
            requeue_after=next_look(self.deployment, new, self.now),
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
