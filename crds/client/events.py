"""Events on objects, as `kubectl describe` shows them. Reporting one never waits and never fails.

    events = EventRecorder(client, "xtrinode-controller")
    task = asyncio.create_task(events.run())
    events.event(runtime, "Warning", "CoordinatorCrashing", "the coordinator restarted 3 times")
    await events.close(); await task

Events are for people: they may be lost (a full queue, a server that refuses), are merged and paced (see the
correlator), and expire after an hour. State belongs into conditions, and Secrets belong nowhere near a message.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
import time
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any, Literal

from crds.client.errors import AlreadyExists, ApiError, NotFound
from crds.client.event_record import Correlator, Entry, Limits, Regarding
from crds.client.leases import wall_clock
from crds.client.resources import EVENTS
from crds.client.transport import KubeClient

log = logging.getLogger(__name__)

QUEUE = 1000


class EventRecorder:
    """Use it from the event loop that runs it. `written` and `dropped` (reports that caused no write) are metrics."""

    def __init__(
        self,
        client: KubeClient,
        component: str,
        *,
        instance: str = "",
        limits: Limits = Limits(),  # noqa: B008 - frozen
        queue: int = QUEUE,
        clock: Callable[[], float] = time.monotonic,
        wall: Callable[[], datetime] = wall_clock,
    ) -> None:
        self.written = 0
        self.dropped = 0
        self._client = client
        self._component = component
        self._instance = instance or socket.gethostname()
        self._correlator = Correlator(limits)
        self._queue: asyncio.Queue[Entry | None] = asyncio.Queue(queue)
        self._clock, self._wall = clock, wall
        self._closed = False

    def event(
        self,
        obj: Mapping[str, Any],
        type: Literal["Normal", "Warning"],  # noqa: A002 - the field's word
        reason: str,
        message: str,
        *,
        action: str = "",
    ) -> None:
        """Report `reason` (one CamelCase word) about `obj`; `action` is what was being done, by default the reason."""
        try:
            entry = self._correlator.observe(
                Regarding.of(obj), type, reason, action, message, now=self._clock(), wall=self._wall()
            )
            if entry is None or self._closed:
                self.dropped += 1
            elif not entry.queued:
                # A repeat that is queued already goes out with the count that it has by then.
                self._queue.put_nowait(entry)
                entry.queued = True
        except asyncio.QueueFull:
            self.dropped += 1
        except Exception:
            log.exception("the event %s could not be recorded", reason)
            self.dropped += 1

    async def run(self) -> None:
        """Write what is reported until `close()` or cancellation."""
        while (entry := await self._queue.get()) is not None:
            await self._post(entry)

    async def close(self, timeout: float = 5.0) -> None:  # noqa: ASYNC109 - a bound on the flush
        """Write out what is queued, for at most `timeout` seconds. `run()` may be alive or not."""
        if self._closed:
            return
        self._closed = True
        try:
            async with asyncio.timeout(timeout):
                while not self._queue.empty():
                    entry = self._queue.get_nowait()
                    if entry is not None:
                        await self._post(entry)
        except TimeoutError:
            self.dropped += 1  # the one that was under way
        self.dropped += self._queue.qsize()
        while not self._queue.empty():
            self._queue.get_nowait()
        # Wakes `run()`, if it runs, to end.
        self._queue.put_nowait(None)

    async def _post(self, entry: Entry) -> None:
        entry.queued = False
        try:
            if not entry.written:
                await self._create(entry)
            elif entry.count > entry.written:
                await self._bump(entry)
        except ApiError as error:
            log.debug("the event %s of %s was not written: %s", entry.reason, entry.regarding.name, error)
            self.dropped += 1
        except Exception:
            log.exception("writing the event %s failed", entry.reason)
            self.dropped += 1
        else:
            self.written += 1

    async def _create(self, entry: Entry) -> None:
        count = entry.count
        # The name is ours, so a repeated create cannot make two.
        with contextlib.suppress(AlreadyExists):
            await self._client.create(EVENTS, entry.to_object(self._component, self._instance), idempotent=True)
        entry.written = count

    async def _bump(self, entry: Entry) -> None:
        count = entry.count
        try:
            await self._client.patch(EVENTS, entry.name, entry.namespace, {"series": entry.series()})
            entry.written = count
        except NotFound:
            # Events expire after an hour: what happens again now is a new one, under a new name.
            entry.first, entry.count = entry.last, 1
            await self._create(entry)
