"""The queries that are live behind this gateway: load for choosing, the in-flight metric, signs of life.

A poll costs one dictionary look-up and two assignments. Nothing is kept in order or counted on the way: who wants the
counts or looks for the silent walks over all queries, a few times a minute. A query leaves when its last page has
passed, when it was cancelled, when it has not been polled for longer than Trino itself would wait, or when its
coordinator is gone.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Final

from crds.trino import QueryState
from gateway.routing.model import Target

# Trino's query.client.timeout: a query that nobody polls for this long is abandoned by Trino itself.
CLIENT_TIMEOUT: Final = 300.0

# Seconds after which a query's state is read again from a page that takes work to read.
READ_EVERY: Final = 1.0

# Thousands of queries are in one of few states: they share the bytes.
_STATES: Final = {state.value.encode(): state.value.encode() for state in QueryState}
_QUEUED: Final = QueryState.QUEUED.value.encode()

# Of the time-out, how long a query may stay beyond it, so that one sweep finds more than one.
_SLACK: Final = 1 / 60


class LiveQuery:
    """What is known of one query."""

    __slots__ = ("lazy", "read_by", "seen", "state", "target")

    def __init__(self, target: Target, state: bytes, seen: float, lazy: bool) -> None:
        self.target = target
        self.state = state
        self.seen = seen  # when a response of it last passed
        self.lazy = lazy  # its pages name nothing that has to be known at once
        self.read_by = 0.0  # when one of them is to be read again


class Activity:
    """Live queries by id. The express lane looks into `queries` itself; only this class adds and removes."""

    __slots__ = ("_next_sweep", "_timeout", "arrived", "queries", "spools", "submitted")

    def __init__(self, timeout: float = CLIENT_TIMEOUT) -> None:
        self.queries: dict[bytes, LiveQuery] = {}
        self._timeout = timeout
        self._next_sweep = 0.0  # before this time no query can have been silent for too long
        self.submitted = b""  # the newest statement that came through here: nobody else can have counted it
        self.spools = False  # its client takes results in segments
        self.arrived: Callable[[bytes], None] | None = None  # hears of queries that somebody else may be counting

    def seen(self, target: Target, query_id: bytes, state: bytes | None, done: bool, now: float) -> None:
        """A response of `query_id` passed; `state` is None when the response did not tell."""
        target.last_seen = now
        query = self.queries.get(query_id)
        if query is None:
            self._first_seen(target, query_id, state, done, now)
        elif done:
            self._remove(query_id, query)
        else:
            query.seen = now
            if state is not None and state != query.state:
                query.state = _STATES.get(state, state)

    def began(self, query_id: bytes, spools: bool) -> None:
        """`query_id` is a new statement's that came through here; `spools` when its client takes segments."""
        self.submitted = query_id
        self.spools = spools
        query = self.queries.get(query_id)
        if query is not None:  # somebody was quicker to poll it than we to see that it began
            query.lazy = not spools

    def passed(self, target: Target, query_id: bytes, now: float) -> bool:
        """A page of `query_id` is about to pass; whether nobody has to read it."""
        query = self.queries.get(query_id)
        if query is None or not query.lazy:
            return False
        if now >= query.read_by:
            query.read_by = now + READ_EVERY
            return False
        query.seen = target.last_seen = now
        return True

    def _first_seen(self, target: Target, query_id: bytes, state: bytes | None, done: bool, now: float) -> None:
        ours = query_id == self.submitted
        if ours:
            self.submitted = b""  # from here on it may come and go
        elif self.arrived is not None:
            self.arrived(query_id)
        if not done and not target.retired:
            state = state or _QUEUED
            self.queries[query_id] = LiveQuery(target, _STATES.get(state, state), now, ours and not self.spools)
            target.queries += 1

    def moved(self, query_id: bytes) -> None:
        """Somebody else counts `query_id` now, or has seen its end."""
        query = self.queries.get(query_id)
        if query is not None:
            self._remove(query_id, query)

    def sweep(self, now: float) -> int:
        """Forget queries that nobody polls any more; returns how many."""
        if now < self._next_sweep:
            return 0
        before = now - self._timeout
        silent = [(query_id, query) for query_id, query in self.queries.items() if query.seen <= before]
        for query_id, query in silent:
            self._remove(query_id, query)
        oldest = min([query.seen for query in self.queries.values()], default=now)
        self._next_sweep = max(oldest, before + self._timeout * _SLACK) + self._timeout
        return len(silent)

    def forget(self, target: Target) -> None:
        """Drop the queries of a coordinator that is gone."""
        if not target.queries:
            return
        for query_id in [query_id for query_id, query in self.queries.items() if query.target is target]:
            self._remove(query_id, self.queries[query_id])

    def counts(self) -> dict[tuple[str, str, bytes], int]:
        """Live queries by (backend key, routing group, state); no zero entries."""
        # By coordinator first: hashing its names for each of its queries would be most of the work.
        found = Counter([(query.target, query.state) for query in self.queries.values()])
        counts: dict[tuple[str, str, bytes], int] = {}
        for (target, state), number in found.items():
            key = (target.key, target.group, state)
            counts[key] = counts.get(key, 0) + number
        return counts

    def __len__(self) -> int:
        return len(self.queries)

    def _remove(self, query_id: bytes, query: LiveQuery) -> None:
        del self.queries[query_id]
        query.target.queries -= 1
