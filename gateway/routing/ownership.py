"""Which coordinator made a query: stickiness without a store.

A Trino query id ends in five characters that its coordinator process drew when it started, so one entry per
coordinator process answers for all its queries, on every replica, after every restart of the gateway. Entries are
learnt from probes of /v1/info and from first responses. A coordinator that is gone leaves a tombstone, so that
its queries get a clear answer instead of another coordinator's 404.
"""

from __future__ import annotations

from collections import OrderedDict
from enum import Enum

from crds.trino import coordinator_suffix
from gateway.routing.model import Target


class Absent(Enum):
    """Why a suffix has no target."""

    UNKNOWN = "unknown"  # never seen here: ask the candidates
    GONE = "gone"  # its process has ended, and its queries with it
    NOT_FOUND = "not found"  # asked a moment ago, and nobody owned up


class Owners:
    """Suffix to target, with tombstones and a short memory of fruitless searches.

    `tombstones` bounds how many ended processes are remembered; `retry_after` is how long, in seconds, a fruitless
    search is not repeated. The express lane looks into `by_suffix` and `by_query` itself; only this class changes them.
    """

    __slots__ = ("_gone", "_missed", "_retry_after", "_tombstones", "by_query", "by_suffix")

    def __init__(self, tombstones: int = 4096, retry_after: float = 2.0) -> None:
        self.by_suffix: dict[bytes, Target] = {}
        self.by_query: OrderedDict[bytes, Target] = OrderedDict()
        self._gone: OrderedDict[bytes, None] = OrderedDict()
        self._missed: OrderedDict[bytes, float] = OrderedDict()
        self._tombstones = tombstones
        self._retry_after = retry_after

    def known(self, query_id: bytes) -> Target | None:
        """The living target that made `query_id`, when it is known: all that nearly every poll asks."""
        if self.by_query:
            target = self.by_query.get(query_id)
            if target is not None:
                return target
        # coordinator_suffix, spelled out: calling it costs as much as the look-up.
        target = self.by_suffix.get(query_id[-5:])
        return None if target is None or target.retired else target

    def find(self, query_id: bytes, now: float) -> Target | Absent:
        """The target that made `query_id`, or why there is none."""
        target = self.known(query_id)
        if target is not None:
            return target
        suffix = coordinator_suffix(query_id)
        if suffix in self.by_suffix:
            return Absent.GONE
        if suffix in self._gone:
            return Absent.GONE
        missed = self._missed.get(suffix)
        if missed is not None and now - missed < self._retry_after:
            return Absent.NOT_FOUND
        return Absent.UNKNOWN

    def identify(self, target: Target, coordinator_id: bytes) -> None:
        """`target` runs the process `coordinator_id`; what ran there before has ended."""
        before = target.coordinator_id
        if before == coordinator_id and self.by_suffix.get(coordinator_id) is target:
            return
        if before is not None and before != coordinator_id:
            self._bury(before, target)
        target.coordinator_id = coordinator_id
        self._gone.pop(coordinator_id, None)
        self._missed.pop(coordinator_id, None)
        self.by_suffix[coordinator_id] = target

    def learn(self, query_id: bytes, target: Target) -> None:
        """`target` answered a statement with `query_id`."""
        suffix = query_id[-5:]  # as in `known`
        owner = self.by_suffix.get(suffix)
        if owner is target:
            return
        if owner is None or owner.retired:
            self.identify(target, suffix)
            return
        # Two living processes drew the same five characters (1 in 33 million): remember the queries one by one.
        self.by_query[query_id] = target
        while len(self.by_query) > self._tombstones:
            self.by_query.popitem(last=False)

    def missed(self, query_id: bytes, now: float) -> None:
        """A search among the candidates found no owner of `query_id`."""
        self._missed[coordinator_suffix(query_id)] = now
        while len(self._missed) > self._tombstones:
            self._missed.popitem(last=False)

    def retire(self, target: Target) -> None:
        """`target`'s address is gone, and the process behind it."""
        target.retired = True
        if target.coordinator_id is not None:
            self._bury(target.coordinator_id, target)
        for query_id in [query_id for query_id, owner in self.by_query.items() if owner is target]:
            del self.by_query[query_id]

    def _bury(self, suffix: bytes, target: Target) -> None:
        if self.by_suffix.get(suffix) is not target:
            return  # somebody else answers to it by now
        del self.by_suffix[suffix]
        self._gone[suffix] = None
        while len(self._gone) > self._tombstones:
            self._gone.popitem(last=False)
