"""A local, always current copy of a set of objects, and a call for every change. One per kind and selector.

Controller, gateway, webhook and the sandbox's kubelet read through it instead of asking the API server:

    pods = Informer(client, PODS, namespace="team-a", indexers={"namespace": by_namespace}, on_change=changed)
    task = asyncio.create_task(pods.run())
    await pods.synced.wait()

`run()` ends only by cancellation. It lists, a page at a time, watches from the list's version with bookmarks, and
resumes from the last version it saw; where that is not possible (410 by status or in the stream, an ERROR event, bytes
that are no event, a version that leads nowhere) it lists again and reports the difference, deletions last. A
silent peer is given up after `inactivity` seconds. Every short-lived round waits with jittered back-off, 0.8 s
doubling to 30 s.

Where thousands of objects are held, `ShapedInformer` keeps of each only what its reader makes of it, and never has
more whole objects in memory than one page of the list: that is what a process of many objects is as large as.

While the API server is away the last good copy stays readable; `connected`, `age()` and `last_error` say how
good it is. It makes no decisions, it queues nothing, and it never writes.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import math
import random
import time
from collections.abc import Awaitable, Callable, Hashable, Mapping
from typing import Generic, TypeVar

from crds.client.errors import ApiError, Gone, InternalError, Malformed, Unavailable
from crds.client.resources import Resource
from crds.client.retry import backoff
from crds.client.store import Change, Indexer, IndexerOf, Key, Object, Store, key_of, metadata_alone, slim
from crds.client.transport import INACTIVITY, KubeClient
from crds.client.watch_stream import BOOKMARK, DELETED, WatchEvent

log = logging.getLogger(__name__)

T = TypeVar("T")
# (event, old, new): ADDED(None, new), MODIFIED(old, new), DELETED(old, None).
OnChangeOf = Callable[[str, T | None, T | None], None]
OnChange = OnChangeOf[Object]

# Objects per page of a list. A page is in memory as a whole, decoded: 200 Deployments are 10 MiB.
PAGE = 200
# How much larger the pages get when a list took longer than its snapshot was kept.
LARGER = 10

BACKOFF_BASE = 0.8
BACKOFF_CAP = 30.0
# A watch that lived this long was a good one: it is resumed at once and clears the back-off.
SETTLED = 5.0
# After so many refused or silent watches of one version it is given up for a new list.
FRUITLESS = 3
# After so many callbacks in a row, others in the event loop get their turn.
_BATCH = 200


class ShapedInformer(Generic[T]):
    """Keeps what `shape` makes of each object; None: nothing, as if the object was not there."""

    def __init__(
        self,
        client: KubeClient,
        res: Resource,
        shape: Callable[[Object], T | None],
        *,
        namespace: str | None = None,
        label_selector: str | None = None,
        field_selector: str | None = None,
        indexers: Mapping[str, IndexerOf[T]] | None = None,
        on_change: OnChangeOf[T] | None = None,
        metadata_only: bool = False,
        inactivity: float = INACTIVITY,
        page: int = PAGE,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        dice: Callable[[], float] = random.random,
    ) -> None:
        self.resource = res
        self.synced = asyncio.Event()
        # True from the moment the server answers until the next failure.
        self.connected = False
        self.last_error: ApiError | None = None
        self._client = client
        self._shape = shape
        self._namespace = namespace
        self._label_selector, self._field_selector = label_selector, field_selector
        self._listeners: list[OnChangeOf[T]] = [on_change] if on_change is not None else []
        self._metadata_only = metadata_only
        self._inactivity = inactivity
        self._page = self._usual_page = page
        self._clock, self._sleep, self._dice = clock, sleep, dice
        self._store: Store[T] = Store(indexers)
        self._version: str | None = None
        self._heard_at = -math.inf
        self._failures = 0
        # Rounds since the last event or list in which the server refused the watch or stayed silent.
        self._fruitless = 0
        self._opened_at: float | None = None

    def __len__(self) -> int:
        return len(self._store)

    def get(self, namespace: str | None, name: str) -> T | None:
        return self._store.get((namespace or "", name))

    def items(self) -> list[T]:
        return list(self._store)

    def by_index(self, name: str, value: Hashable) -> list[T]:
        return self._store.by_index(name, value)

    def index_values(self, name: str) -> list[Hashable]:
        return self._store.index_values(name)

    def age(self) -> float:
        """Seconds since the server was last heard; infinite before the first list."""
        return self._clock() - self._heard_at

    def subscribe(self, on_change: OnChangeOf[T]) -> None:
        """One more callback; it hears of changes from now on, not of what is already there."""
        self._listeners.append(on_change)

    async def run(self) -> None:
        try:
            while True:
                pause = await self._round()
                if pause > 0:
                    await self._sleep(pause)
        finally:
            self.connected = False

    async def _round(self) -> float:
        """List if need be, watch until the stream ends; the seconds to wait before the next round."""
        retry_after = 0.0
        self._opened_at = None
        try:
            if self._version is None:
                await self._list()
            await self._watch()
        except ApiError as error:
            self._lost(error)
            retry_after = min(error.retry_after or 0.0, BACKOFF_CAP)
            if isinstance(error, Gone | Malformed) or error.in_stream or self._is_stuck(error):
                self._version = None
        except Exception:
            # A bug of ours: the copy may be wrong, so it is made anew.
            log.exception("the informer of %s failed; it lists again", self.resource.plural)
            self._version = None
            self.connected = False
        if self._settled():
            self._failures = 0
            return retry_after
        self._failures += 1
        pause = backoff(self._failures - 1, base=BACKOFF_BASE, cap=BACKOFF_CAP, dice=self._dice)
        return max(pause, retry_after)

    async def _list(self) -> None:
        pages = self._client.pages(
            self.resource,
            self._namespace,
            self._label_selector,
            self._field_selector,
            metadata_only=self._metadata_only,
            page=self._page,
        )
        listed: set[Key] = set()
        version: str | None = None
        try:
            async with contextlib.aclosing(pages):
                async for page in pages:
                    self._heard()
                    version = page.resource_version
                    # Emptied before anything is waited for: one page of all informers' lists is in memory at a time.
                    changes: list[Change[T]] = []
                    page.items.reverse()
                    while page.items:
                        changes += self._upsert(page.items.pop(), listed)
                    await self._tell_all(changes)
        except Gone:
            # The snapshot went while we paged through it.
            self._page *= LARGER
            raise
        await self._tell_all(self._store.retain(listed))
        self._page = self._usual_page
        # Only now: when the callbacks are cut short by a cancellation, nothing claims to be complete.
        self._version = version
        self._fruitless = 0
        self.synced.set()

    async def _tell_all(self, changes: list[Change[T]]) -> None:
        for number, change in enumerate(changes, 1):
            self._tell(change)
            if number % _BATCH == 0:
                await asyncio.sleep(0)

    async def _watch(self) -> None:
        events = self._client.watch(
            self.resource,
            self._namespace,
            resource_version=self._version,
            label_selector=self._label_selector,
            field_selector=self._field_selector,
            metadata_only=self._metadata_only,
            inactivity=self._inactivity,
            on_open=self._opened,
            dice=self._dice,
        )
        async with contextlib.aclosing(events):
            async for event in events:
                self._heard()
                self._fruitless = 0
                self._take(event)

    def _take(self, event: WatchEvent) -> None:
        if event.type == DELETED:
            changes = self._store.remove(key_of(event.object))
        elif event.type == BOOKMARK:
            changes = []
        else:
            changes = self._upsert(event.object)
        self._version = event.resource_version
        for change in changes:
            self._tell(change)

    def _upsert(self, obj: Object, listed: set[Key] | None = None) -> list[Change[T]]:
        key = key_of(obj)
        slimmed = slim(obj)
        try:
            kept = self._shape(metadata_alone(slimmed) if self._metadata_only else slimmed)
        except Exception:
            # One object that its reader did not think of, for which all others must not stand still.
            log.exception("%s %s cannot be read and stays as it was known", self.resource.kind, "/".join(key))
            if listed is not None:
                listed.add(key)
            return []
        if kept is None:
            return self._store.remove(key)
        if listed is not None:
            listed.add(key)
        return self._store.upsert(obj, kept)

    def _tell(self, change: Change[T]) -> None:
        for listener in self._listeners:
            try:
                listener(change.event, change.old, change.new)
            except Exception:
                log.exception("a callback failed on %s of a %s", change.event, self.resource.kind)

    def _is_stuck(self, error: ApiError) -> bool:
        """Whether this version leads nowhere: a server that came back with older state (restored, or in memory only)
        refuses it as too new, or just stays silent. Servers that cannot be reached say nothing about it."""
        if any(cause.get("reason") == "ResourceVersionTooLarge" for cause in error.causes):
            return True
        if error.status or error.reason == "ReadTimeout":
            self._fruitless += 1
        return self._fruitless >= FRUITLESS

    def _settled(self) -> bool:
        return self._opened_at is not None and self._clock() - self._opened_at >= SETTLED

    def _opened(self) -> None:
        self._opened_at = self._clock()
        self._heard()

    def _heard(self) -> None:
        self._heard_at = self._clock()
        if self.last_error is not None:
            log.info("%s are watched again", self.resource.plural)
        self.connected = True
        self.last_error = None

    def _lost(self, error: ApiError) -> None:
        self.connected = isinstance(error, Gone)
        # Restarts of the API server and stale versions are daily business; the rest deserves a look. Said once.
        level = logging.INFO if isinstance(error, Gone | Unavailable | InternalError) else logging.WARNING
        if self.last_error is None or type(self.last_error) is not type(error):
            log.log(level, "watching %s was interrupted: %s", self.resource.plural, error)
        self.last_error = error


class Informer(ShapedInformer[Object]):
    """Keeps the objects as they are, without managedFields; `transform` may leave out more."""

    def __init__(
        self,
        client: KubeClient,
        res: Resource,
        namespace: str | None = None,
        label_selector: str | None = None,
        field_selector: str | None = None,
        *,
        indexers: Mapping[str, Indexer] | None = None,
        on_change: OnChange | None = None,
        metadata_only: bool = False,
        transform: Callable[[Object], Object] | None = None,
        inactivity: float = INACTIVITY,
        page: int = PAGE,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        dice: Callable[[], float] = random.random,
    ) -> None:
        super().__init__(
            client,
            res,
            transform or _as_it_is,
            namespace=namespace,
            label_selector=label_selector,
            field_selector=field_selector,
            indexers=indexers,
            on_change=on_change,
            metadata_only=metadata_only,
            inactivity=inactivity,
            page=page,
            clock=clock,
            sleep=sleep,
            dice=dice,
        )


def _as_it_is(obj: Object) -> Object:
    return obj
