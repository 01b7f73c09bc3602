"""Which events are worth a write, and what is written. Pure; `now` is an argument.

The recorder asks `Correlator.observe` for each event that a component reports. Repeats of one event become a
series, many similar ones (same object, type and reason, ever new texts) are folded into one, and an object
that talks too much is cut off until its bucket fills again. All memory is bounded: the least
recently seen is forgotten, which at worst writes an event twice.
"""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from crds.client.lease_record import format_micro_time

# The server counts bytes, not characters.
NOTE_BYTES = 1024
_FOLDED = "(combined from similar events): "


@dataclass(frozen=True, slots=True)
class Limits:
    remembered: int = 4096
    # More different texts than this within `similar_window` seconds become one event.
    similar: int = 10
    similar_window: float = 600.0
    # Writes per object: so many at once, then one per `refill` seconds.
    burst: int = 25
    refill: float = 300.0


@dataclass(frozen=True, slots=True)
class Regarding:
    """The object that an event is about."""

    api_version: str
    kind: str
    namespace: str
    name: str
    uid: str

    @classmethod
    def of(cls, obj: Mapping[str, Any]) -> Regarding:
        metadata = obj.get("metadata")
        metadata = metadata if isinstance(metadata, Mapping) else {}

        def text(source: Mapping[str, Any], key: str) -> str:
            value = source.get(key)
            return value if isinstance(value, str) else ""

        return cls(
            text(obj, "apiVersion"),
            text(obj, "kind"),
            text(metadata, "namespace"),
            text(metadata, "name"),
            text(metadata, "uid"),
        )

    def to_dict(self) -> dict[str, str]:
        fields = {
            "apiVersion": self.api_version,
            "kind": self.kind,
            "namespace": self.namespace,
            "name": self.name,
            "uid": self.uid,
        }
        return {key: value for key, value in fields.items() if value}


@dataclass(slots=True)
class Entry:
    """One event as it stands: what was said first, and how often since. Owned by the correlator."""

    regarding: Regarding
    type: str
    reason: str
    action: str
    note: str
    first: datetime
    last: datetime
    count: int = 1
    # The count that the server knows, 0 before the first write.
    written: int = 0
    queued: bool = False

    @property
    def namespace(self) -> str:
        return self.regarding.namespace or "default"

    @property
    def name(self) -> str:
        seed = "\0".join(
            (self.regarding.uid, self.type, self.reason, self.action, self.note, format_micro_time(self.first))
        )
        digest = hashlib.sha256(seed.encode()).hexdigest()[:16]
        return f"{self.regarding.name[:230]}.{digest}"

    def to_object(self, component: str, instance: str) -> dict[str, Any]:
        obj: dict[str, Any] = {
            "metadata": {"name": self.name, "namespace": self.namespace},
            "eventTime": format_micro_time(self.first),
            "reportingController": component,
            "reportingInstance": instance[:128],
            "action": self.action,
            "reason": self.reason,
            "regarding": self.regarding.to_dict(),
            "note": self.note,
            "type": self.type,
        }
        if self.count > 1:
            obj["series"] = self.series()
        return obj

    def series(self) -> dict[str, Any]:
        return {"count": self.count, "lastObservedTime": format_micro_time(self.last)}


@dataclass(slots=True)
class _Bucket:
    tokens: float
    at: float


@dataclass(slots=True)
class _Similar:
    started: float
    notes: set[str] = field(default_factory=set)


class Correlator:
    def __init__(self, limits: Limits = Limits()) -> None:
        self._limits = limits
        self._entries: OrderedDict[tuple[str, ...], Entry] = OrderedDict()
        self._similar: OrderedDict[tuple[str, ...], _Similar] = OrderedDict()
        self._buckets: OrderedDict[tuple[str, ...], _Bucket] = OrderedDict()

    def __len__(self) -> int:
        return len(self._entries)

    def observe(
        self,
        regarding: Regarding,
        type: str,  # noqa: A002 - the field's word
        reason: str,
        action: str,
        message: str,
        *,
        now: float,
        wall: datetime,
    ) -> Entry | None:
        """The entry to write (new, or with a higher count), or None when this one is only counted or dropped.

        `now` is monotonic and paces; `wall` is what the event will say.
        """
        about = (regarding.uid or "", regarding.kind, regarding.namespace, regarding.name)
        note = clip(message)
        if self._is_flood((*about, type, reason), note, now):
            # The same key for all of them: one event whose count grows.
            key = (*about, type, reason, action, _FOLDED)
            note = clip(_FOLDED + message)
        else:
            key = (*about, type, reason, action, note)
        entry = self._entries.get(key)
        if entry is None:
            if not self._admit(about, now):
                return None
            entry = Entry(regarding, type, reason[:128], (action or reason)[:128], note, wall, wall)
            self._remember(self._entries, key, entry)
            return entry
        self._entries.move_to_end(key)
        entry.count += 1
        entry.last = wall
        return entry if self._admit(about, now) else None

    def _is_flood(self, key: tuple[str, ...], note: str, now: float) -> bool:
        similar = self._similar.get(key)
        if similar is None or now - similar.started > self._limits.similar_window:
            similar = _Similar(now)
            self._remember(self._similar, key, similar)
        self._similar.move_to_end(key)
        if note in similar.notes:
            return False
        if len(similar.notes) >= self._limits.similar:
            return True
        similar.notes.add(note)
        return False

    def _admit(self, about: tuple[str, ...], now: float) -> bool:
        bucket = self._buckets.get(about)
        if bucket is None:
            bucket = _Bucket(float(self._limits.burst), now)
            self._remember(self._buckets, about, bucket)
        self._buckets.move_to_end(about)
        bucket.tokens = min(float(self._limits.burst), bucket.tokens + (now - bucket.at) / self._limits.refill)
        bucket.at = now
        if bucket.tokens < 1.0:
            return False
        bucket.tokens -= 1.0
        return True

    def _remember(self, memory: OrderedDict[tuple[str, ...], Any], key: tuple[str, ...], value: object) -> None:
        memory[key] = value
        memory.move_to_end(key)
        while len(memory) > self._limits.remembered:
            memory.popitem(last=False)


def clip(message: str) -> str:
    """At most NOTE_BYTES of UTF-8, cut between characters; surrogates, which JSON cannot hold, are replaced."""
    raw = message.encode("utf-8", "replace")
    if len(raw) <= NOTE_BYTES:
        return raw.decode()
    return raw[: NOTE_BYTES - 3].decode("utf-8", "ignore") + "…"
