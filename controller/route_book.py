"""The one writer of the routing table: gathers every runtime's entry, folds them, and writes the ConfigMaps.

Reconciles `put` what a runtime contributes; a single task writes, a moment after the last change and never more
often than the API server takes. It remembers since when each runtime's state has been published, which is what
a drain must know before it may trust an empty query list. What somebody else writes into the table is repaired.

It starts from the table that it finds, so that runtimes which were not planned yet keep their routes.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Iterable
from typing import Any

import orjson

from controller.actions import MANAGER
from controller.routing import entries_of
from crds.client.errors import ApiError, NotFound, Unavailable
from crds.client.resources import CONFIG_MAPS
from crds.client.retry import backoff
from crds.client.transport import KubeClient
from crds.v1 import meta
from crds.v1.lifecycle import RouteState
from crds.v1.meta import object_key
from crds.v1.routes import (
    ROUTES_KEY,
    Conflict,
    RouteTable,
    RuntimeRoute,
    fold,
    from_documents,
    shard_name,
    to_shards,
)

log = logging.getLogger("controller.routes")

#: Pause after a write, as a multiple of what the write took.
_REST = 4.0
#: Seconds until a copy that does not lead at the moment looks again.
_LAPSED = 1.0

Key = tuple[str, str]
Object = dict[str, Any]


class RouteBook:
    """`delay` and `settle` in seconds. `on_published` hears of every runtime whose published state changed, and of
    those that wait for a table that cannot be written."""

    def __init__(
        self,
        client: KubeClient,
        namespace: str,
        *,
        delay: float,
        settle: float,
        live: Callable[[], list[Object]],
        on_published: Callable[[Key], None],
        on_written: Callable[[int, int], None] = lambda backends, conflicts: None,
        count: Callable[[str, str], None] = lambda verb, kind: None,
        may_write: Callable[[], bool] = lambda: True,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._client = client
        self._namespace = namespace
        self._delay = delay
        self._settle = settle
        self._live = live
        self._on_published = on_published
        self._on_written = on_written
        self._count = count
        self._may_write = may_write
        self._clock = clock
        self._entries: dict[str, RuntimeRoute] = {}
        self._published: dict[str, tuple[RouteState, float]] = {}
        self._dirty = asyncio.Event()
        self.conflicts: tuple[Conflict, ...] = ()
        self.last_error: str = ""

    def start_from(self, existing: Iterable[Key]) -> None:
        """Takes over the table that is there, as far as it is about runtimes that exist."""
        known = {object_key(*key) for key in existing}
        table = _read(self._live())
        now = self._clock()
        for name, entry in entries_of(table).items():
            self._published[name] = (entry.backend.state, now)
            if name in known:
                self._entries.setdefault(name, entry)
        self._dirty.set()

    def put(self, key: Key, entry: RuntimeRoute | None) -> None:
        name = object_key(*key)
        if self._entries.get(name) == entry:
            return
        if entry is None:
            self._entries.pop(name, None)
        else:
            self._entries[name] = entry
        self._dirty.set()

    def touched(self) -> None:
        """Somebody changed the ConfigMaps; perhaps it was us."""
        self._dirty.set()

    def published(self, key: Key) -> RouteState | None:
        found = self._published.get(object_key(*key))
        return found[0] if found else None

    def conflicts_of(self, key: Key) -> tuple[str, ...]:
        """The selectors that the runtime wanted and did not get, as sentences."""
        name = object_key(*key)
        return tuple(str(conflict) for conflict in self.conflicts if conflict.loser == name)

    def problem_of(self, key: Key) -> str:
        """Why the table does not say of the runtime what it should, "" when nothing is in the way."""
        entry = self._entries.get(object_key(*key))
        wanted = entry.backend.state if entry is not None else None
        return "" if self.published(key) is wanted else self.last_error

    def is_settled(self, key: Key) -> bool:
        """Whether the runtime's published state takes no new statements, and has not for long enough."""
        found = self._published.get(object_key(*key))
        if found is None:
            return True
        state, since = found
        return state is not RouteState.RUNNING and self._clock() >= since + self._settle

    async def run(self) -> None:
        """Writes until cancelled."""
        failures = 0
        pause = self._delay
        while True:
            await self._dirty.wait()
            await asyncio.sleep(pause)
            if not self._may_write():
                # The Lease ran out by the clock; that this term is over comes to us as a cancellation.
                pause = _LAPSED
                continue
            self._dirty.clear()
            started = self._clock()
            try:
                await self.write()
            except ApiError as error:
                failures += 1
                self._failed(error)
                pause = backoff(failures, base=0.2, cap=15.0)
                continue
            failures, self.last_error = 0, ""
            # A large table takes its time, and in a burst it is outdated at once: four fifths go to everything else.
            pause = max(self._delay, _REST * (self._clock() - started))

    def _failed(self, error: ApiError) -> None:
        self._dirty.set()
        if not self._live():
            # With its ConfigMaps, or their namespace, the table itself went: no gateway has a route any more.
            self._note({}, set())
        told = _explain(error, self._namespace)
        if told == self.last_error:
            return
        log.error("the routes were not written: %s", told)
        self.last_error = told
        if not isinstance(error, Unavailable):  # nobody could be told anyway
            for name, entry in self._entries.items():
                if self._state(name) is not entry.backend.state:
                    self._tell(name)

    async def write(self) -> None:
        """Folds and writes what differs. Raises ApiError."""
        table = fold(self._entries.values())
        shards = to_shards(table)
        live = {obj["metadata"]["name"]: obj for obj in self._live()}
        for index, text in enumerate(shards):
            name = shard_name(index)
            if _text(live.pop(name, None)) != text:
                await self._write_shard(name, text)
        for name in live:
            if name.startswith(shard_name(0)):
                await self._remove_shard(name)
        settled = set(self.conflicts) ^ set(table.conflicts)
        self.conflicts = table.conflicts
        states = {backend.key: backend.state for route in table.routes for backend in route.backends}
        self._on_written(len(states), len(table.conflicts))
        self._note(states, {conflict.loser for conflict in settled})

    async def _write_shard(self, name: str, text: str) -> None:
        await self._client.apply(
            CONFIG_MAPS,
            {
                "apiVersion": "v1",
                "kind": "ConfigMap",
                "metadata": {
                    "name": name,
                    "namespace": self._namespace,
                    "labels": {meta.ROUTES_LABEL: "true", meta.MANAGED_BY_LABEL: meta.MANAGED_BY},
                },
                "data": {ROUTES_KEY: text},
            },
            manager=MANAGER,
            force=True,
        )
        self._count("apply", CONFIG_MAPS.kind)

    async def _remove_shard(self, name: str) -> None:
        try:
            await self._client.delete(CONFIG_MAPS, name, self._namespace)
        except NotFound:
            return
        self._count("delete", CONFIG_MAPS.kind)

    def _note(self, states: dict[str, RouteState], losers: set[str]) -> None:
        now = self._clock()
        changed = {name for name in self._published.keys() | states.keys() if self._state(name) is not states.get(name)}
        for name in changed:
            if name in states:
                self._published[name] = (states[name], now)
            else:
                del self._published[name]
        for name in sorted(changed | losers):
            self._tell(name)

    def _tell(self, name: str) -> None:
        namespace, _, own = name.partition("/")
        self._on_published((namespace, own))

    def _state(self, name: str) -> RouteState | None:
        found = self._published.get(name)
        return found[0] if found else None


def _text(obj: Object | None) -> str | None:
    text = (obj.get("data") or {}).get(ROUTES_KEY) if obj is not None else None
    return text if isinstance(text, str) else None


def _read(shards: list[Object]) -> RouteTable:
    documents: list[object] = []
    for obj in shards:
        try:
            documents.append(orjson.loads(_text(obj) or "null"))
        except orjson.JSONDecodeError:
            log.warning("the routes in ConfigMap %s cannot be read and will be written anew", obj["metadata"]["name"])
    if not documents:
        return RouteTable()
    table, problems = from_documents(documents)
    for problem in problems:
        log.warning("in the published routes: %s", problem)
    return table


def _explain(error: ApiError, namespace: str) -> str:
    if isinstance(error, NotFound):
        return f"namespace {namespace} does not exist; create it, or set --gateway-namespace to the gateway's"
    return str(error)
