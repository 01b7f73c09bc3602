"""Follows the route ConfigMaps and gives the router a table that can be trusted.

What is published as broken YAML, emptied, or missing most of its backends at once does not replace what works: the
last good table stays, in memory and on disk, and `status` says why (the metrics and the admin page show it).
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from crds.client import KubeClient
from crds.client.informer import ShapedInformer
from crds.client.resources import CONFIG_MAPS
from crds.v1.routes import ROUTES_KEY
from crds.v1.spelling import ROUTES_LABEL
from gateway.addresses import AddressBook
from gateway.last_good import LastGood, Snapshot
from gateway.routing.document import Document, DocumentError, compile_table, read_document
from gateway.routing.lastgood import judge
from gateway.routing.model import RouteTable
from gateway.routing.router import Router

_LOG = logging.getLogger(__name__)
# How often a table that was refused is judged again.
_SUSPECT_INTERVAL = 5.0
# Changes that arrive together are loaded together.
_GATHER_SECONDS = 0.005
# Texts from this size on (about a thousand routes) are read in a thread: requests must not wait for them.
_LARGE_TEXT = 250_000


@dataclass(slots=True)
class RouteStatus:
    """How fresh and how good the routes are; times are monotonic seconds."""

    source: str = "none"  # none, disk, cluster
    loaded_at: float | None = None
    loads: int = 0
    refused_documents: int = 0
    refused_tables: int = 0
    problems: tuple[str, ...] = ()
    suspected_since: float | None = None
    suspicion: str = ""
    connected: Callable[[], bool] = lambda: False  # whether the cluster is being watched right now
    errors: dict[str, str] = field(default_factory=dict)  # ConfigMap name -> why its newest text is not used

    @property
    def stale(self) -> bool:
        """Whether what is published is not what is used."""
        return self.suspected_since is not None or bool(self.errors)

    @property
    def reason(self) -> str:
        """Why the routes are stale; empty when they are not."""
        broken = [f"ConfigMap {name}: {error}" for name, error in sorted(self.errors.items())]
        return "; ".join([*broken, *([self.suspicion] if self.suspected_since is not None else [])])


class RouteWatch:
    """Loads routes while it runs. `loaded` is called after the router got a new table."""

    def __init__(
        self,
        router: Router,
        client: KubeClient | None,
        addresses: AddressBook,
        last_good: LastGood,
        *,
        namespace: str,
        clock: Callable[[], float],
        loaded: Callable[[], None],
    ) -> None:
        self._router = router
        self._addresses = addresses
        self._last_good = last_good
        self._clock = clock
        self._loaded = loaded
        self._documents: dict[str, str] = {}  # the good text of each ConfigMap
        self._read: dict[str, Document] = {}
        self._accepted: dict[str, str] = {}  # the texts of the table in force; what is kept on disk
        self._changed = asyncio.Event()
        self._kept = (0, 0)
        self._judged: RouteTable | None = None  # None until the first table of any source
        self._informer = (
            ShapedInformer(
                client,
                CONFIG_MAPS,
                _name_and_text,
                namespace=namespace,
                label_selector=f"{ROUTES_LABEL}=true",
                on_change=lambda event, old, new: self._changed.set(),
            )
            if client is not None
            else None
        )
        self.status = RouteStatus()
        if self._informer is not None:
            informer = self._informer
            self.status.connected = lambda: informer.connected

    @property
    def synced(self) -> bool:
        """Whether the cluster has told its routes in this process's life."""
        return self._informer is not None and self._informer.synced.is_set()

    def start_from_disk(self) -> None:
        """Use the last good table of an earlier life until the cluster tells another."""
        snapshot = self._last_good.read()
        if snapshot is None:
            return
        self._take(snapshot.documents)
        self._load("disk", *self._compile())
        self._addresses.remember(snapshot.addresses)

    async def run(self) -> None:
        """Follow the ConfigMaps until cancelled."""
        if self._informer is None:
            await asyncio.get_running_loop().create_future()  # nothing to follow: the routes on disk are all there is
            return
        async with asyncio.TaskGroup() as group:
            group.create_task(self._informer.run())
            group.create_task(self._follow(self._informer))
            group.create_task(self._rejudge())

    def refresh(self) -> None:
        """Read what is published once more, soon; from disk when there is no cluster."""
        if self._informer is None:
            self.start_from_disk()
        else:
            self._changed.set()

    def keep(self) -> None:
        """Write routes and addresses to disk, if they are the cluster's word and not there yet."""
        snapshot = self._unkept()
        if snapshot is not None:
            self._last_good.write(snapshot)

    def _unkept(self) -> Snapshot | None:
        """What is to be written; None when nothing has changed since it was last asked for."""
        state = (self.status.loads, self._addresses.changes)
        if self.status.source != "cluster" or state == self._kept:
            return None
        self._kept = state
        return Snapshot(self._accepted, self._addresses.snapshot())

    async def _follow(self, informer: ShapedInformer[tuple[str, str]]) -> None:
        await informer.synced.wait()
        while True:
            self._changed.clear()
            texts = dict(sorted(informer.items()))
            if sum(map(len, texts.values())) < _LARGE_TEXT:
                self._take(texts)
                read = self._compile()
            else:
                await asyncio.to_thread(self._take, texts)
                read = await asyncio.to_thread(self._compile)
            self._load("cluster", *read)
            await self._keep_aside()
            await self._changed.wait()
            await asyncio.sleep(_GATHER_SECONDS)

    async def _rejudge(self) -> None:
        while True:
            await asyncio.sleep(_SUSPECT_INTERVAL)
            if self.status.suspected_since is not None:
                self._changed.set()
            await self._keep_aside()

    async def _keep_aside(self) -> None:
        """As `keep`, in a thread: a disk may be slow."""
        snapshot = self._unkept()
        if snapshot is not None:
            await asyncio.to_thread(self._last_good.write, snapshot)

    def _take(self, texts: dict[str, str]) -> None:
        """Parse what is new; a text that does not parse leaves the good one before it in force."""
        for name, text in texts.items():
            if self._documents.get(name) == text:
                self.status.errors.pop(name, None)
                continue
            try:
                document = read_document(text, self._read.get(name))
            except DocumentError as error:
                if self.status.errors.get(name) != str(error):
                    self.status.refused_documents += 1
                    _LOG.error("routes in ConfigMap %s are not used, the last good ones stay: %s", name, error)
                self.status.errors[name] = str(error)
                continue
            self.status.errors.pop(name, None)
            self._documents[name] = text
            self._read[name] = document
        for name in [name for name in self._documents if name not in texts]:
            del self._documents[name]
            del self._read[name]

    def _compile(self) -> tuple[RouteTable, list[str]]:
        return compile_table(self._read[name] for name in sorted(self._read))

    def _load(self, source: str, table: RouteTable, problems: list[str]) -> None:
        if self._judged is None and self.status.errors and not table.routes:
            return  # nothing good yet: better not to be ready than to refuse everything
        now = self._clock()
        since = self.status.suspected_since
        meant = bool(self._read) and all(document.empty for document in self._read.values())
        verdict = judge(self._judged, table, 0.0 if since is None else now - since, meant=meant)
        if not verdict.accept:
            if since is None:
                self.status.suspected_since = now
                self.status.suspicion = verdict.reason
                self.status.refused_tables += 1
                _LOG.error("routes refused: %s", verdict.reason)
            return
        self.status.suspected_since = None
        for problem in problems:
            if problem not in self.status.problems:
                _LOG.warning("route not used: %s", problem)
        self.status.problems = tuple(problems)
        self.status.source, self.status.loaded_at = source, now
        self.status.loads += 1
        self._accepted = dict(self._documents)
        if self._judged == table:
            return
        self._judged = table
        self._router.load(table)
        self._addresses.follow()
        self._loaded()
        _LOG.info("%d routes with %d backends loaded from %s", len(table.routes), len(table.backends), source)


def _name_and_text(obj: dict[str, Any]) -> tuple[str, str]:
    """What is kept of a ConfigMap."""
    return str(obj["metadata"]["name"]), str((obj.get("data") or {}).get(ROUTES_KEY, ""))
