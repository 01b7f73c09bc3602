"""The loop of the API server's own small controllers: follow every change, work on keys one at a time.

A controller subclasses `Follower`, says which keys a change touches (`touched`) and brings one key to where it
should be (`settle`). A key that fails is tried again with growing pauses; a key that changes while it is worked
on is worked on again. A subscription that lags is replaced by a fresh look at everything.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Iterable
from typing import Final

from sandbox.kube.errors import StatusError
from sandbox.kube.store import Change, Store

_log = logging.getLogger(__name__)

_FIRST_PAUSE: Final = 0.05  # seconds
_LONGEST_PAUSE: Final = 5.0


class Follower:
    """One controller. `start` and `stop` it inside an event loop."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self._queue: dict[str, None] = {}
        self._failures: dict[str, int] = {}
        self._ready = asyncio.Event()
        self._timers: dict[str, asyncio.TimerHandle] = {}
        self._tasks: list[asyncio.Task[None]] = []

    # -- what a controller says

    def begin(self) -> Iterable[str]:
        """Forget everything and look at the whole store: the keys to start with."""
        raise NotImplementedError

    def touched(self, change: Change) -> Iterable[str]:
        """The keys that one change concerns."""
        raise NotImplementedError

    async def settle(self, key: str) -> None:
        """Bring one key to where it should be. Idempotent."""
        raise NotImplementedError

    # -- what it gets

    def start(self) -> None:
        name = type(self).__name__
        self._tasks = [
            asyncio.create_task(self._follow(), name=f"{name} follows"),
            asyncio.create_task(self._work(), name=f"{name} works"),
        ]

    async def stop(self) -> None:
        for task in self._tasks:
            task.cancel()
        for task in self._tasks:
            with contextlib.suppress(asyncio.CancelledError):
                await task
        for timer in self._timers.values():
            timer.cancel()
        self._tasks, self._timers = [], {}

    def add(self, keys: Iterable[str]) -> None:
        """Queue keys; each is worked on once however often it is added."""
        self._queue.update(dict.fromkeys(keys))
        if self._queue:
            self._ready.set()

    async def _follow(self) -> None:
        while True:
            with self.store.subscribe(None) as subscription:
                self.add(self.begin())
                while await subscription.wait():
                    for change in subscription.drain():
                        self._note(change)
                if not subscription.overflowed:
                    return

    def _note(self, change: Change) -> None:
        try:
            self.add(self.touched(change))
        except Exception:
            # One odd object must not make this controller blind to all others.
            _log.exception("%s: cannot follow %s", type(self).__name__, change.resource)

    async def _work(self) -> None:
        while True:
            await self._ready.wait()
            while self._queue:
                key = next(iter(self._queue))
                del self._queue[key]
                await self._try(key)
                # Requests come first: cleaning up may take a while.
                await asyncio.sleep(0)
            self._ready.clear()

    async def _try(self, key: str) -> None:
        try:
            await self.settle(key)
        except Exception as error:
            if not isinstance(error, StatusError | OSError):
                # A bug in the handling of one key must not stop the others.
                _log.exception("%s: %s", type(self).__name__, key)
            failures = self._failures[key] = self._failures.get(key, 0) + 1
            pause = min(_LONGEST_PAUSE, _FIRST_PAUSE * 2 ** min(failures, 10))
            _log.debug("%s: %s failed, again in %.2f s", type(self).__name__, key, pause)
            self._again(key, pause)
        else:
            self._failures.pop(key, None)

    def _again(self, key: str, pause: float) -> None:
        def back() -> None:
            self._timers.pop(key, None)
            self.add([key])

        if key not in self._timers:
            self._timers[key] = asyncio.get_running_loop().call_later(pause, back)
