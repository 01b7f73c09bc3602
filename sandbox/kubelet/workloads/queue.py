"""Keys to look at: each at most once in the queue, now or later, retried with a growing pause.

Used by the workload controllers, one queue and one task per kind: work on one kind is sequential, which is
what makes the decisions simple.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable

from crds.client.errors import ApiError
from crds.client.retry import backoff
from sandbox.kubelet.objects import Key

log = logging.getLogger(__name__)

BACKOFF_BASE = 0.05
BACKOFF_CAP = 5.0


class KeyQueue:
    def __init__(self, name: str, work: Callable[[Key], Awaitable[float | None]]) -> None:
        self._name = name
        self._work = work  # returns the seconds after which to look again, or None
        self._queue: asyncio.Queue[Key] = asyncio.Queue()
        self._queued: set[Key] = set()
        self._timers: dict[Key, asyncio.TimerHandle] = {}
        self._failures: dict[Key, int] = {}

    def add(self, key: Key) -> None:
        timer = self._timers.pop(key, None)
        if timer is not None:
            timer.cancel()
        if key not in self._queued:
            self._queued.add(key)
            self._queue.put_nowait(key)

    def add_after(self, key: Key, seconds: float) -> None:
        """Look at the key later, unless something makes it due before."""
        timer = self._timers.get(key)
        due = asyncio.get_running_loop().time() + seconds
        if timer is not None:
            if timer.when() <= due:
                return
            timer.cancel()
        self._timers[key] = asyncio.get_running_loop().call_at(due, self.add, key)

    async def run(self) -> None:
        try:
            while True:
                key = await self._queue.get()
                self._queued.discard(key)
                await self._one(key)
        finally:
            for timer in self._timers.values():
                timer.cancel()

    async def _one(self, key: Key) -> None:
        try:
            again = await self._work(key)
        except ApiError as error:
            self._retry(key, error)
        except Exception:
            log.exception("%s %s failed and is tried again", self._name, key)
            self._retry(key, None)
        else:
            self._failures.pop(key, None)
            if again is not None:
                self.add_after(key, again)

    def _retry(self, key: Key, error: ApiError | None) -> None:
        count = self._failures[key] = self._failures.get(key, 0) + 1
        if error is not None:
            log.log(logging.WARNING if count == 8 else logging.DEBUG, "%s %s: %s", self._name, key, error)
        self.add_after(key, backoff(count - 1, base=BACKOFF_BASE, cap=BACKOFF_CAP))
