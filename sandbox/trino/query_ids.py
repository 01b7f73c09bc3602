"""Query ids and the slugs that make result addresses unguessable.

The coordinator's process id (five characters, drawn once per start) ends every query id, which is
what lets a gateway find the owner of a query without a store. `now` and randomness are arguments.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
from dataclasses import dataclass, field
from datetime import datetime
from enum import Enum

# Without vowels and look-alikes, so that no id spells a word.
ALPHABET = "abcdefghijkmnpqrstuvwxyz23456789"
_SUFFIX_LENGTH = 5
_COUNTER_LIMIT = 100_000
_QUERY_ID = re.compile(r"[_a-z0-9]+")


def new_coordinator_id() -> str:
    return "".join(secrets.choice(ALPHABET) for _ in range(_SUFFIX_LENGTH))


def is_query_id(text: str) -> bool:
    return _QUERY_ID.fullmatch(text) is not None


@dataclass(slots=True)
class QueryIdGenerator:
    """`YYYYMMDD_HHmmss_NNNNN_xxxxx`; the counter restarts with each UTC day and before 100,000."""

    coordinator_id: str = field(default_factory=new_coordinator_id)
    _day: str = ""
    _counter: int = 0

    def next(self, now: datetime) -> str:
        day = now.strftime("%Y%m%d")
        if day != self._day or self._counter >= _COUNTER_LIMIT:
            self._day = day
            self._counter = 0
        counter = self._counter
        self._counter += 1
        return f"{day}_{now.strftime('%H%M%S')}_{counter:05d}_{self.coordinator_id}"


class Context(Enum):
    """The two phases of a query's address; a slug of one is worthless in the other."""

    QUEUED = "QUEUED_QUERY"
    EXECUTING = "EXECUTING_QUERY"


@dataclass(frozen=True, slots=True)
class Slug:
    """One secret per query; each (phase, token) has its own slug derived from it."""

    key: bytes = field(default_factory=lambda: secrets.token_bytes(16))

    def make(self, context: Context, token: int) -> str:
        material = f"{context.value}:{token}".encode()
        return "y" + hmac.new(self.key, material, hashlib.sha1).hexdigest()

    def is_valid(self, slug: str, context: Context, token: int) -> bool:
        return hmac.compare_digest(self.make(context, token).encode(), slug.encode())
