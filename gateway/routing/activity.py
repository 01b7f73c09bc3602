"""The queries that are live behind this gateway: load for choosing, the in-flight metric, signs of life.

Kept incrementally: a poll costs one dictionary look-up, and counts are never recomputed. A query leaves when its
last page has passed, when it was cancelled, when it has not been polled for longer than Trino itself would wait,
or when its coordinator is gone.
"""

from __future__ import annotations

from collections import Counter, OrderedDict
from collections.abc import Callable
from dataclasses import dataclass

from gateway.routing.model import Target

# Trino's query.client.timeout: a query that nobody polls for this long is abandoned by Trino itself.
CLIENT_TIMEOUT = 300.0


@dataclass(slots=True)
class LiveQuery:
    target: Target
    state: bytes
    seen: float


class Activity:
    """Live queries by id, least recently polled first."""

    __slots__ = ("_queries", "_states", "_timeout", "arrived", "last_seen", "submitted")

    def __init__(self, timeout: float = CLIENT_TIMEOUT) -> None:
        self._queries: OrderedDict[bytes, LiveQuery] = OrderedDict()
        self._states: Counter[tuple[str, str, bytes]] = Counter()
        self._timeout = timeout
        self.last_seen: dict[str, float] = {}  # backend key -> when a query of it was last seen
        self.submitted = b""  # the newest statement that came through here: nobody else can have counted it
        self.arrived: Callable[[bytes], None] | None = None  # hears of queries that somebody else may be counting

    def seen(self, target: Target, query_id: bytes, state: bytes | None, done: bool, now: float) -> None:
        """A response of `query_id` passed; `state` is None when the response did not tell."""
        self.last_seen[target.key] = now
        query = self._queries.get(query_id)
        if query is None:
            if query_id == self.submitted:
                self.submitted = b""  # from here on it may come and go
            elif self.arrived is not None:
                self.arrived(query_id)
            if not done:
                self._queries[query_id] = LiveQuery(target, state or b"QUEUED", now)
                target.queries += 1
                self._states[target.key, target.group, state or b"QUEUED"] += 1
            return
        if done:
            self._remove(query_id, query)
            return
        query.seen = now
        self._queries.move_to_end(query_id)
        if state is not None and state != query.state:
            self._uncount(query)
            query.state = state
            self._states[query.target.key, query.target.group, state] += 1

    def moved(self, query_id: bytes) -> None:
        """Somebody else counts `query_id` now, or has seen its end."""
        query = self._queries.get(query_id)
        if query is not None:
            self._remove(query_id, query)

    def sweep(self, now: float) -> int:
        """Forget queries that nobody polls any more; returns how many."""
        gone = 0
        while self._queries:
            query_id, query = next(iter(self._queries.items()))
            if now - query.seen < self._timeout and not query.target.retired:
                break
            self._remove(query_id, query)
            gone += 1
        return gone

    def forget(self, target: Target) -> None:
        """Drop the queries of a coordinator that is gone."""
        for query_id in [query_id for query_id, query in self._queries.items() if query.target is target]:
            self._remove(query_id, self._queries[query_id])

    def counts(self) -> dict[tuple[str, str, bytes], int]:
        """Live queries by (backend key, routing group, state); no zero entries."""
        return dict(self._states)

    def __len__(self) -> int:
        return len(self._queries)

    def _remove(self, query_id: bytes, query: LiveQuery) -> None:
        del self._queries[query_id]
        query.target.queries -= 1
        self._uncount(query)

    def _uncount(self, query: LiveQuery) -> None:
        key = (query.target.key, query.target.group, query.state)
        self._states[key] -= 1
        if not self._states[key]:
            del self._states[key]
