"""When a runtime may stop and how it wakes: drains, the idle clock, the floor of a wake, commands by annotation.

Pure decisions on values and `now`, called by the plan. A drain always ends: with no query left, with no
coordinator left to have one, by the drain policy, or by its timeout. A coordinator that cannot be asked is
assumed to be busy until then, because queries that nobody may list (access control, lost credentials) are
still queries.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum

from controller.observed import Observed, Role
from controller.reading import read_count
from crds.v1 import meta
from crds.v1.meta import format_time
from crds.v1.quantity import parse_duration
from crds.v1.runtime_shape import RuntimeShape
from crds.v1.xtrinode import XTrinode

#: How many live queries a message names.
_NAMED = 3


class Verdict(StrEnum):
    WAIT = "wait"
    """Queries live, or may."""
    EMPTY = "empty"
    """Nothing would be lost: stop."""
    CANCEL = "cancel"
    """End the live queries and stop."""


@dataclass(frozen=True, slots=True)
class Drain:
    """What to do about the queries of a runtime that shall stop."""

    verdict: Verdict
    message: str
    live: tuple[str, ...] = ()


def decide_drain(observed: Observed, *, started: datetime, now: datetime, timeout: timedelta, cancel: bool) -> Drain:
    """`started`: when the route was asked to pause. `cancel`: the policy ends queries at once."""
    coordinators = [pod for pod in observed.pods if pod.role is Role.COORDINATOR]
    if not observed.coordinator_up and not any(pod.ready or pod.came_up for pod in coordinators):
        return Drain(Verdict.EMPTY, "no coordinator runs, so no query does")
    deadline = started + timeout
    overdue = now >= deadline
    if not observed.route_settled and not overdue:
        return Drain(Verdict.WAIT, "waiting until the gateways no longer send queries here")
    activity = observed.activity
    if activity is None and observed.coordinator_up and not overdue:
        return Drain(Verdict.WAIT, "the coordinator has not been asked for its queries yet")
    if activity is None or activity.error:
        why = activity.error if activity is not None else "the coordinator is not ready"
        if cancel or overdue:
            rule = "drainPolicy" if cancel else "drainTimeout"
            return Drain(Verdict.EMPTY, f"stopped by spec.{rule} although live queries could not be counted: {why}")
        # The moment and not the time that is left: a message that changes by itself is written again and again.
        at = format_time(deadline)
        return Drain(Verdict.WAIT, f"cannot count live queries, will stop anyway at {at}: {why}")
    if not activity.live:
        return Drain(Verdict.EMPTY, "no query is live")
    count = len(activity.live)
    named = ", ".join(activity.live[:_NAMED]) + (", ..." if count > _NAMED else "")
    queries = f"{count} live {'query' if count == 1 else 'queries'} ({named})"
    if cancel:
        return Drain(Verdict.CANCEL, f"cancelling {queries}: spec.drainPolicy is Cancel", activity.live)
    if overdue:
        return Drain(Verdict.CANCEL, f"cancelling {queries}: spec.drainTimeout has passed", activity.live)
    return Drain(
        Verdict.WAIT,
        f"waiting for {queries} until {format_time(deadline)}; set spec.drainPolicy to Cancel to stop them now",
        live=activity.live,
    )


@dataclass(frozen=True, slots=True)
class Idleness:
    """How long a runtime has been without a query. `due`: it has been for long enough. `check_after` is in
    seconds: when asking again may give another answer, None when never."""

    since: datetime
    due: bool
    check_after: float | None


def idle_since(observed: Observed, *, known: datetime | None) -> datetime | None:
    """The newest moment at which something used the runtime, as far as anybody knows. A coordinator that has
    just started counts as used: the time asleep is not idle time."""
    moments = [
        known,
        observed.last_active,
        observed.activity.newest if observed.activity else None,
        *(pod.started for pod in observed.pods if pod.role == "coordinator" and not pod.terminating),
    ]
    return max((moment for moment in moments if moment is not None), default=None)


def decide_idle(since: datetime, *, after: timedelta, now: datetime, asked: bool) -> Idleness:
    """`after` zero means never. `asked`: the coordinator answered just now; without its answer nothing is due."""
    if after <= timedelta():
        return Idleness(since, due=False, check_after=None)
    left = (since + after - now).total_seconds()
    if left > 0:
        return Idleness(since, due=False, check_after=left)
    return Idleness(since, due=asked, check_after=None if asked else 0.0)


@dataclass(frozen=True, slots=True)
class Wake:
    """How many workers a wake asked for at least, until when (None: not at all), and annotations that wish in vain."""

    floor: int = 0
    until: datetime | None = None
    void: tuple[str, ...] = ()


def decide_wake(x: XTrinode, shape: RuntimeShape, observed: Observed, now: datetime) -> Wake:
    """At the moment of waking the wish comes from annotations or the spec; from then on its clock is in the status. A
    wish never exceeds what the runtime may have, means nothing where the number of workers is fixed, and is void once
    the runtime is awake, for it must never take workers away."""
    if shape.lifecycle.suspended:
        return Wake()
    annotations = x.metadata.annotations
    if any(live.held == 0 for live in observed.workloads.values()):
        floor = read_count(annotations.get(meta.WAKE_MIN_WORKERS))
        if floor is None:
            floor = shape.lifecycle.wake_min_workers or 0
        floor = min(floor, shape.workers.max)
        if floor == 0 or shape.workers.fixed is not None:
            return Wake()
        return Wake(floor, now + (_duration(annotations.get(meta.WAKE_TTL)) or shape.lifecycle.wake_ttl))
    void = tuple(key for key in (meta.WAKE_MIN_WORKERS, meta.WAKE_TTL) if key in annotations)
    known = x.status.wake
    if known is not None and known.expires_at > now:
        return Wake(min(known.min_workers, shape.workers.max), known.expires_at, void)
    return Wake(void=void)


def _duration(text: str | None) -> timedelta | None:
    try:
        return parse_duration(text) if text else None
    except ValueError:
        return None


class Command(StrEnum):
    RESUME = "resume"
    SUSPEND = "suspend"
    AUTO_SUSPEND = "auto-suspend"


@dataclass(frozen=True, slots=True)
class Intake:
    """What the command annotations of a runtime come to: the winner, and the annotations to remove."""

    command: Command | None
    consumed: tuple[str, ...]

    @property
    def suspended(self) -> bool | None:
        """The spec.suspended that the winner asks for."""
        return None if self.command is None else self.command is not Command.RESUME


_KEYS = {
    Command.RESUME: (meta.RESUME_REQUESTED, meta.RESUME_REQUESTED_AT),
    Command.SUSPEND: (meta.SUSPEND_REQUESTED, meta.SUSPEND_REQUESTED_AT),
    Command.AUTO_SUSPEND: (meta.AUTO_SUSPEND_REQUESTED, meta.AUTO_SUSPEND_REQUESTED_AT),
}
_NEVER = datetime.min.replace(tzinfo=UTC)


def take_commands(annotations: Mapping[str, str]) -> Intake:
    """A person's command beats the idle clock's; of resume and suspend the later wins, and suspend when nobody
    can tell. Losers are consumed too, or they would come back."""
    asked = [command for command, (key, _) in _KEYS.items() if annotations.get(key) == "true"]
    if not asked:
        return Intake(None, ())
    consumed = [key for command in asked for key in _KEYS[command] if key in annotations]
    if Command.RESUME in asked and Command.SUSPEND in asked:
        resume, suspend = (_time(annotations.get(_KEYS[c][1])) for c in (Command.RESUME, Command.SUSPEND))
        winner = Command.RESUME if resume > suspend else Command.SUSPEND
    elif Command.RESUME in asked:
        winner = Command.RESUME
    else:
        winner = Command.SUSPEND if Command.SUSPEND in asked else Command.AUTO_SUSPEND
    if winner is not Command.RESUME:
        # What a lost resume wanted to wake with has no meaning any more.
        consumed += [key for key in (meta.WAKE_MIN_WORKERS, meta.WAKE_TTL) if key in annotations]
    return Intake(winner, tuple(consumed))


def _time(text: str | None) -> datetime:
    try:
        return meta.parse_time(text) if text else _NEVER
    except ValueError:
        return _NEVER
