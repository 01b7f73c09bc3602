"""What a probe of /v1/info says about a target, decided apart from the socket that asked.

An answer that says `starting` is no health. A coordinator that cannot be reached at all sleeps; one that is reached
and answers wrongly is unhealthy. A target turns bad after `FAILURES` probes in a row and good with the first good one.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from gateway.routing.model import Health, Target

FAILURES = 3


class Reach(Enum):
    """How far a probe got."""

    ANSWERED = "answered"
    UNREACHABLE = "unreachable"  # refused, no route, connect timed out: nobody is there
    BROKEN = "broken"  # connected, but no usable answer


@dataclass(frozen=True, slots=True)
class Probe:
    """One probe's result; `starting` and `coordinator_id` only when it was answered."""

    reach: Reach
    detail: str = ""
    starting: bool = False
    coordinator_id: bytes | None = None


def after(target: Target, probe: Probe) -> tuple[Health, int]:
    """The target's health and its failures in a row, given what it was and the newest probe."""
    if probe.reach is Reach.ANSWERED:
        return (Health.STARTING if probe.starting else Health.HEALTHY), 0
    failures = target.health_failures + 1
    if failures < FAILURES and target.health in (Health.HEALTHY, Health.UNKNOWN):
        return target.health, failures
    return (Health.SLEEPING if probe.reach is Reach.UNREACHABLE else Health.UNHEALTHY), failures
