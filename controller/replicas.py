"""How many pods each role shall have, and which writes bring that about.

Replicas have one writer of ours, a field manager of their own. It acts when the number is ours to say: always for the
coordinator and for a fixed number of workers, and for scaled workers only at the ends of a sleep, because in
between the number belongs to the autoscaler. The number that we last asked for stands beside the replicas
(`held`), so that somebody else's change is seen as one and put right.
"""

from __future__ import annotations

from dataclasses import dataclass

from controller.observed import Role, Workload
from crds.v1.runtime_shape import RuntimeShape


@dataclass(frozen=True, slots=True)
class Target:
    """Replicas of one role. `replicas` None: the autoscaler's; `initial` is what a new Deployment starts with.
    `why` tells people."""

    replicas: int | None
    initial: int
    why: str


def asleep() -> Target:
    return Target(0, 0, "the runtime is suspended")


def awake(shape: RuntimeShape, role: Role, live: Workload | None, floor: int) -> Target:
    """`floor`: workers that a wake asked for; it never exceeds what the runtime may have."""
    if role is Role.COORDINATOR:
        return Target(1, 1, "a coordinator is one")
    workers = shape.workers
    if workers.fixed is not None:
        return Target(workers.fixed, workers.fixed, "spec.maxWorkers says so")
    # A HorizontalPodAutoscaler never leaves zero by itself, and nobody else may be there to do it.
    least = max(workers.min, min(floor, workers.max), 1)
    if live is not None and live.held == 0 and live.wanted < least:
        return Target(least, least, "the runtime woke up")
    return Target(None, least, "the autoscaler decides")


def is_due(target: Target, live: Workload) -> bool:
    """Whether the scaling manager has something to write."""
    if target.replicas is None:
        return False
    # A new Deployment has the number that it was created with, and nobody has asked for another one yet. That it was
    # put to sleep is always written down: it is how a wake is told from a start.
    known = (target.replicas,) if target.replicas == 0 else (None, target.replicas)
    return live.wanted != target.replicas or live.held not in known


def number(target: Target, live: Workload) -> int:
    """The number to write when `is_due`."""
    return live.wanted if target.replicas is None else target.replicas
