"""A circuit breaker per target: a rolling window of outcomes decides, and a probe closes it again.

Consecutive counters open on a burst that the traffic hides and stay shut on steady error rates; a window with a
volume floor does neither. The probe slot is taken by `begin` and always given back by `end`, whatever the outcome,
so a probe that ends in a redirect or a client abort cannot block a target for ever.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from typing import Final, Protocol


class State(IntEnum):
    CLOSED = 0
    OPEN = 1
    HALF_OPEN = 2


class Verdict(IntEnum):
    """What an ended request says about its target."""

    SUCCESS = 0
    FAILURE = 1
    OVERLOAD = 2
    NOTHING = 3


_CLOSED: Final = State.CLOSED  # enumerations are slow to look up in


class Random(Protocol):
    """The part of random.Random that is used; tests pass a seeded one."""

    def random(self) -> float: ...


@dataclass(frozen=True, slots=True)
class CircuitSettings:
    """When a circuit opens and for how long; times in seconds."""

    window: float = 10.0
    buckets: int = 10
    min_failures: int = 5  # volume floor: fewer failures than this never open it
    failure_ratio: float = 0.5
    overload_weight: float = 1 / 3  # a 503 is a third of a failure: it is also how a busy server says wait
    open_for: float = 5.0  # first pause; doubles with every failed probe
    open_for_max: float = 60.0
    jitter: float = 0.25  # share of the pause that is random, so that replicas do not probe in step
    successes_to_close: int = 2


class Circuit:
    """The breaker's state. Not thread-safe; owned by one event loop."""

    __slots__ = (
        "_bucket",
        "_bucket_ends",
        "_failures",
        "_fresh",
        "_random",
        "_retry_at",
        "_settings",
        "_successes",
        "_totals",
        "_width",
        "opened_count",
        "probing",
        "state",
    )

    def __init__(self, settings: CircuitSettings, random: Random) -> None:
        self._settings = settings
        self._random = random
        self._width = settings.window / settings.buckets
        self._failures = [0.0] * settings.buckets
        self._totals = [0.0] * settings.buckets
        self._bucket = 0  # number of the newest bucket since time 0
        self._bucket_ends = 0.0
        self._fresh = 0  # successes that are not in `_totals` yet; all of them fell into the newest bucket
        self._retry_at = 0.0
        self._successes = 0  # of probes in a row
        self.opened_count = 0  # openings since it was last closed: the back-off's exponent
        self.probing = False
        self.state = State.CLOSED

    def allows(self, now: float) -> bool:
        """Whether `begin` may be called now: closed, or a probe is due and no other runs."""
        if self.state is _CLOSED:
            return True
        return not self.probing and (self.state is State.HALF_OPEN or now >= self._retry_at)

    def retry_in(self, now: float) -> float:
        """Seconds until the next probe may start; 0 when one may start now."""
        return max(0.0, self._retry_at - now) if self.state is State.OPEN else 0.0

    def begin(self, now: float) -> bool:
        """Note the start of a request; True when it is the probe, which `end` must be told."""
        if self.state is State.CLOSED or self.probing:
            return False
        if self.state is State.OPEN:
            if now < self._retry_at:
                return False  # sent in spite of an open circuit: every other target was in doubt too
            self.state = State.HALF_OPEN
            self._successes = 0
        self.probing = True
        return True

    def end(self, verdict: Verdict, probe: bool, now: float) -> None:
        """Note how the request ended. `probe` is what `begin` answered."""
        if probe:
            self.probing = False
        if verdict is Verdict.NOTHING:
            return
        if self.state is _CLOSED:
            self._count(verdict, now)
            return
        if verdict is Verdict.SUCCESS:
            if self.state is State.HALF_OPEN:
                self._successes += 1
                if self._successes >= self._settings.successes_to_close:
                    self._close()
        elif probe:
            self._open(now)

    def succeeded(self, now: float, times: int = 1) -> None:
        """`end` for what nearly every request is: a success on a closed circuit, or several."""
        if now >= self._bucket_ends:
            self._count(Verdict.SUCCESS, now)
            times -= 1
        self._fresh += times  # all that a success costs until something else happens

    def _count(self, verdict: Verdict, now: float) -> None:
        settings = self._settings
        self._totals[self._bucket % settings.buckets] += self._fresh
        self._fresh = 0
        number = int(now / self._width)
        behind = number - self._bucket
        if behind > 0:
            for step in range(min(behind, settings.buckets)):
                index = (number - step) % settings.buckets
                self._failures[index] = 0.0
                self._totals[index] = 0.0
            self._bucket = number
            self._bucket_ends = (number + 1) * self._width
        index = self._bucket % settings.buckets
        # An overload counts for less on both sides of the ratio.
        weight = settings.overload_weight if verdict is Verdict.OVERLOAD else 1.0
        self._totals[index] += weight
        if verdict is Verdict.SUCCESS:
            return
        self._failures[index] += weight
        failures = sum(self._failures)
        # A few thirds do not sum to a whole in binary; the epsilon keeps "15 overloads" meaning fifteen.
        if failures + 1e-9 >= settings.min_failures and failures >= settings.failure_ratio * sum(self._totals):
            self._open(now)

    def _open(self, now: float) -> None:
        settings = self._settings
        pause = min(settings.open_for * 2**self.opened_count, settings.open_for_max)
        pause *= 1.0 - settings.jitter * self._random.random()
        self.opened_count = min(self.opened_count + 1, 30)
        self.state = State.OPEN
        self._retry_at = now + pause

    def _close(self) -> None:
        self.state = State.CLOSED
        self.probing = False  # a probe that is still out there is an ordinary request now
        self.opened_count = 0
        self._fresh = 0
        self._failures = [0.0] * self._settings.buckets
        self._totals = [0.0] * self._settings.buckets
