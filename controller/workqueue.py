"""The queue between events and reconciles: a set of keys that want attention, each handled once at a time.

Informer callbacks `add` keys; workers `get` a key, reconcile it and call `done`. The rules are those of
the Kubernetes client libraries, because controllers depend on them without noticing:

- a key that is queued twice is handled once (dirty set);
- a key that is being handled is never handed to a second worker; when it is added meanwhile, it is queued
  again by `done` (processing set);
- a key that fails waits longer each time (`retry`), until it succeeds (`forget`).

One thing differs: handing a key out drops its pending timer, because a reconcile decides anew when it
wants to be called again. The queue does not know what a key means and never drops one.
"""

from __future__ import annotations

import asyncio
import heapq
import math
from collections import deque
from collections.abc import Hashable
from typing import Generic, Protocol, TypeVar

K = TypeVar("K", bound=Hashable)

#: Overtaken timers that may lie about, beyond as many as there are live ones.
_STALE = 64


class QueueClosed(Exception):
    """No more keys: the queue was closed and is empty."""


class QueueListener(Protocol):
    """What a queue tells whoever measures it. Times are seconds on the loop's clock."""

    def added(self, depth: int) -> None: ...

    def started(self, depth: int, waited: float) -> None: ...

    def finished(self, depth: int, worked: float) -> None: ...

    def retried(self) -> None: ...


class _Silent:
    def added(self, depth: int) -> None: ...

    def started(self, depth: int, waited: float) -> None: ...

    def finished(self, depth: int, worked: float) -> None: ...

    def retried(self) -> None: ...


class WorkQueue(Generic[K]):
    """Use from one event loop. `base_delay` and `max_delay` (seconds) bound the back-off of a failing key."""

    def __init__(self, *, base_delay: float = 0.005, max_delay: float = 300.0) -> None:
        self._base_delay = base_delay
        self._max_delay = max_delay
        self.listener: QueueListener = _Silent()
        self._loop = asyncio.get_running_loop()
        self._ready: deque[K] = deque()
        self._dirty: dict[K, float] = {}  # key -> when it was added
        self._processing: dict[K, float] = {}  # key -> when it was handed out
        self._failures: dict[K, int] = {}
        self._deadlines: dict[K, float] = {}  # key -> when its timer fires; the heap may hold stale entries
        self._heap: list[tuple[float, int, K]] = []
        self._sequence = 0  # ties in the heap never compare keys
        self._timer: asyncio.TimerHandle | None = None
        self._getters: deque[asyncio.Future[None]] = deque()
        self._closed = False

    def __len__(self) -> int:
        return len(self._ready)

    @property
    def processing(self) -> int:
        return len(self._processing)

    @property
    def delayed(self) -> int:
        return len(self._deadlines)

    def longest_running(self) -> float:
        """Seconds since the oldest key in work was handed out; 0 when none is."""
        return self._loop.time() - min(self._processing.values()) if self._processing else 0.0

    def add(self, key: K) -> None:
        if self._closed or key in self._dirty:
            return
        self._dirty[key] = self._loop.time()
        if key in self._processing:
            return
        self._ready.append(key)
        self.listener.added(len(self._ready))
        self._wake_one()

    def add_after(self, key: K, delay: float) -> None:
        """Adds the key in `delay` seconds; of several pending times the earliest wins."""
        if delay <= 0:
            self.add(key)
            return
        if self._closed or (key in self._dirty and key not in self._processing):
            return
        deadline = self._loop.time() + delay
        pending = self._deadlines.get(key)
        if pending is not None and pending <= deadline:
            return
        self._deadlines[key] = deadline
        self._sequence += 1
        heapq.heappush(self._heap, (deadline, self._sequence, key))
        if len(self._heap) > 2 * len(self._deadlines) + _STALE:
            self._tidy()
        if self._heap[0][2] == key:
            self._arm()

    def retry(self, key: K, at_most: float = math.inf) -> float:
        """Adds the key after its back-off and returns that delay. `at_most` (seconds) is for failures that end for all
        keys at once."""
        failures = self._failures.get(key, 0)
        self._failures[key] = failures + 1
        delay = min(at_most, self._max_delay, self._base_delay * 2.0 ** min(failures, 60))
        self.listener.retried()
        self.add_after(key, delay)
        return delay

    def forget(self, key: K) -> None:
        """The key succeeded: its next failure starts from the shortest delay."""
        self._failures.pop(key, None)

    async def get(self) -> K:
        """The next key, now in processing: pass it to `done` when handled. Raises QueueClosed."""
        while not self._ready:
            if self._closed:
                raise QueueClosed
            getter: asyncio.Future[None] = self._loop.create_future()
            self._getters.append(getter)
            try:
                await getter
            except asyncio.CancelledError:
                # The wake-up may already be ours: hand it on, or a key waits for nobody.
                if getter.done() and not getter.cancelled() and self._ready:
                    self._wake_one()
                raise
            finally:
                if getter in self._getters:
                    self._getters.remove(getter)
        key = self._ready.popleft()
        now = self._loop.time()
        waited = now - self._dirty.pop(key)
        self._processing[key] = now
        self._deadlines.pop(key, None)
        self.listener.started(len(self._ready), waited)
        return key

    def done(self, key: K) -> None:
        worked = self._loop.time() - self._processing.pop(key)
        if key in self._dirty:
            self._ready.append(key)
            self._wake_one()
        self.listener.finished(len(self._ready), worked)

    def close(self) -> None:
        """Hands out what is ready, then makes every `get` raise QueueClosed. Timers are dropped."""
        self._closed = True
        self._deadlines.clear()
        self._heap.clear()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        while self._getters:
            self._wake_one()

    def _wake_one(self) -> None:
        while self._getters:
            getter = self._getters.popleft()
            if not getter.done():
                getter.set_result(None)
                return

    def _tidy(self) -> None:
        """Drops what was overtaken. A timer may be days ahead, and every look at its key replaces it."""
        self._heap = [entry for entry in self._heap if self._deadlines.get(entry[2]) == entry[0]]
        heapq.heapify(self._heap)

    def _arm(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = self._loop.call_at(self._heap[0][0], self._fire) if self._heap else None

    def _fire(self) -> None:
        self._timer = None
        now = self._loop.time()
        # The loop's clock has a resolution: what is due within it is due.
        while self._heap and self._heap[0][0] <= now + 0.001:
            deadline, _, key = heapq.heappop(self._heap)
            if self._deadlines.get(key) == deadline:
                del self._deadlines[key]
                self.add(key)
        if self._heap:
            self._arm()
