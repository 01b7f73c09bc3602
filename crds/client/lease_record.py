"""What a Lease says and what follows from it: take it, renew it, or wait. Pure; the clocks are arguments.

Two ways to judge expiry, for two uses. An elector watches a Lease over time and trusts its own monotonic clock
only: a Lease is expired when *it has not changed while we looked* for its whole duration, so clocks that
disagree cannot make two leaders. A single-flight gate asks once and has nothing but the written time; it adds
an allowance for skew, and what it guards must bear running twice in the worst case.
"""

from __future__ import annotations

import enum
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

KEY_ANNOTATION = "xtrinode.io/lease-key"

_TIME = re.compile(r"(\d{4})-(\d\d)-(\d\d)T(\d\d):(\d\d):(\d\d)(?:\.(\d{1,9}))?(Z|[+-]\d\d:\d\d)", re.ASCII)


def format_micro_time(when: datetime) -> str:
    """RFC 3339 in UTC with six digits, the only form that the API server takes for a MicroTime."""
    return when.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def parse_micro_time(text: object) -> datetime | None:
    """The instant, or None for anything that is no RFC 3339 time."""
    match = _TIME.fullmatch(text) if isinstance(text, str) else None
    if match is None:
        return None
    *whole, fraction, zone = match.groups()
    micros = int((fraction or "0")[:6].ljust(6, "0"))
    try:
        when = datetime(*(int(part) for part in whole), micros, tzinfo=UTC)  # type: ignore[arg-type, misc]
        if zone != "Z":
            shift = timedelta(hours=int(zone[1:3]), minutes=int(zone[4:6]))
            when = when - shift if zone[0] == "+" else when + shift
    except (ValueError, OverflowError):
        return None
    return when


@dataclass(frozen=True, slots=True)
class LeaseRecord:
    """The spec of a Lease. `seconds` is its duration; an empty holder means that it was given back."""

    holder: str
    seconds: float
    acquired: datetime | None
    renewed: datetime | None
    transitions: int
    key: str = ""

    @classmethod
    def of(cls, lease: Mapping[str, Any]) -> LeaseRecord:
        """Lenient: anyone may write a Lease, and one that makes no sense is one that nobody holds."""
        spec = lease.get("spec")
        spec = spec if isinstance(spec, Mapping) else {}
        metadata = lease.get("metadata")
        annotations = metadata.get("annotations") if isinstance(metadata, Mapping) else None
        key = annotations.get(KEY_ANNOTATION) if isinstance(annotations, Mapping) else None
        holder = spec.get("holderIdentity")
        return cls(
            holder=holder if isinstance(holder, str) else "",
            seconds=float(_count(spec.get("leaseDurationSeconds"))),
            acquired=parse_micro_time(spec.get("acquireTime")),
            renewed=parse_micro_time(spec.get("renewTime")),
            transitions=_count(spec.get("leaseTransitions")),
            key=key if isinstance(key, str) else "",
        )

    def remaining(self, now: datetime, skew: float) -> float:
        """Seconds for which others must leave it alone by its written time, `skew` included; 0 when free."""
        if not self.holder or self.renewed is None:
            return 0.0
        return max(0.0, (self.renewed - now).total_seconds() + self.seconds + skew)


def _count(value: object) -> int:
    return value if isinstance(value, int) and not isinstance(value, bool) and value >= 0 else 0


def lease_spec(holder: str, seconds: float, now: datetime, previous: LeaseRecord | None = None) -> dict[str, Any]:
    """The spec to write. Keeps the acquire time while the holder stays; counts hand-overs."""
    same = previous is not None and previous.holder == holder
    acquired = previous.acquired if same and previous is not None and previous.acquired else now
    transitions = previous.transitions if previous is not None else 0
    return {
        "holderIdentity": holder,
        "leaseDurationSeconds": max(1, round(seconds)),
        "acquireTime": format_micro_time(acquired),
        "renewTime": format_micro_time(now),
        "leaseTransitions": transitions if same or previous is None else transitions + 1,
    }


def released_spec(previous: LeaseRecord, now: datetime) -> dict[str, Any]:
    """Given back: the next one need not wait. A duration of 0 is refused by the server, so it is 1."""
    return {
        "holderIdentity": "",
        "leaseDurationSeconds": 1,
        "acquireTime": format_micro_time(previous.acquired or now),
        "renewTime": format_micro_time(now),
        "leaseTransitions": previous.transitions,
    }


class Standing(enum.Enum):
    OURS = "ours"
    FREE = "free"
    HELD = "held"


@dataclass(slots=True)
class Watcher:
    """What one elector has seen of a Lease; `seen_at` is when it last changed, on our own clock."""

    record: LeaseRecord | None = None
    seen_at: float = 0.0

    def look(self, record: LeaseRecord, identity: str, now: float) -> Standing:
        if record != self.record:
            self.record, self.seen_at = record, now
        if not record.holder:
            return Standing.FREE
        if record.holder == identity:
            return Standing.OURS
        # Also when its times are nonsense: a holder that is alive changes something.
        return Standing.FREE if now - self.seen_at >= record.seconds else Standing.HELD
