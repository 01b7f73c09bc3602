"""When a container is probed and what the answers mean. Pure: times are numbers that the caller's clock gives.

The probing shell asks `next_at`, makes the attempt and hands the answer to `record`. Thresholds and delays are
Kubernetes's. One liberty is the sandbox's: until a startup or readiness probe has passed for the first time it
is also tried ahead of its schedule, at once and often. Such an attempt may succeed; it never counts as a
failure, so a manifest with generous delays starts fast and gets no less time than on a cluster.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any

EAGER_GROWTH = 1.3
EAGER_LIMIT = 1.0  # seconds between eager attempts, at most
LIVENESS_PAUSE = 1.0  # seconds before the first liveness attempt where the manifest asks for no delay


class ProbeKind(Enum):
    STARTUP = "startup"
    READINESS = "readiness"
    LIVENESS = "liveness"


@dataclass(frozen=True)
class Pace:
    """How the sandbox bends time for probes; see the settings of the same names."""

    speedup: float = 1.0
    eager: bool = True
    eager_interval: float = 0.05


@dataclass(frozen=True)
class Probe:
    """One probe of a container; durations in seconds, `speedup` already applied."""

    kind: ProbeKind
    check: Mapping[str, Any]
    initial_delay: float
    period: float
    timeout: float
    successes: int
    failures: int
    grace: int | None  # of the container when this probe kills it; None is the pod's


def read(container: Mapping[str, Any], kind: ProbeKind, pace: Pace) -> Probe | None:
    """The container's probe of that kind with the API's defaults, or None when it has none."""
    found = container.get(f"{kind.value}Probe")
    if not found:
        return None
    return Probe(
        kind=kind,
        check=found,
        initial_delay=float(found.get("initialDelaySeconds") or 0) / pace.speedup,
        period=float(found.get("periodSeconds") or 10) / pace.speedup,
        timeout=float(found.get("timeoutSeconds") or 1),
        successes=int(found.get("successThreshold") or 1),
        failures=int(found.get("failureThreshold") or 3),
        grace=found.get("terminationGracePeriodSeconds"),
    )


class ProbeTracker:
    """The history of one probe of one container run."""

    def __init__(self, probe: Probe, started_at: float, pace: Pace) -> None:
        self.probe = probe
        # Liveness presumes life, the others presume nothing.
        self.passed: bool = probe.kind is ProbeKind.LIVENESS
        self.failed = False
        self._eager = pace.eager and probe.kind is not ProbeKind.LIVENESS
        self._interval = pace.eager_interval
        self._last: float | None = None
        # A liveness attempt in the instant of the start could only fail, and says nothing.
        first = probe.initial_delay or (min(probe.period, LIVENESS_PAUSE) if pace.eager else 0.0)
        self._due = started_at + (first if probe.kind is ProbeKind.LIVENESS else probe.initial_delay)
        self._started_at = started_at
        self._streak = 0
        self._streak_of = False

    def next_at(self) -> float:
        """When the next attempt should be made."""
        if not self._eager:
            return self._due
        early = self._started_at if self._last is None else self._last + self._interval
        return min(self._due, early)

    def counts(self, began: float) -> bool:
        """Whether a failure of an attempt that began then would count."""
        return not self._eager or began >= self._due

    def record(self, success: bool, began: float, now: float) -> bool:
        """Take the answer to an attempt that began at `began`; says whether `passed` or `failed` changed."""
        counts = self.counts(began)
        if self._eager and self._last is not None:
            self._interval = min(self._interval * EAGER_GROWTH, EAGER_LIMIT, max(self.probe.period, 0.01))
        self._last = now
        if not success and not counts:
            return False
        # The schedule keeps its rhythm unless an attempt took longer than a period.
        self._due = max(began + self.probe.period, now)
        self._streak = self._streak + 1 if success == self._streak_of else 1
        self._streak_of = success
        before = (self.passed, self.failed)
        if success and self._streak >= self.probe.successes:
            self.passed, self.failed = True, False
            self._eager = False
        elif not success and self._streak >= self.probe.failures:
            self.passed, self.failed = False, True
        return before != (self.passed, self.failed)
