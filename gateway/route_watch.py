"""Follows the route ConfigMaps and gives the router a table that can be trusted.

What is published as broken YAML, emptied, or missing most of its backends at once does not replace what works: the
last good table stays, in memory and on disk, and `status` says why (the metrics and the admin page show it).
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass, field

from crds.client import Informer, KubeClient
from crds.client.resources import CONFIG_MAPS
from crds.v1.meta import ROUTES_LABEL
from crds.v1.routes import ROUTES_KEY
from gateway.addresses import AddressBook
from gateway.last_good import LastGood, Snapshot
from gateway.routing.document import DocumentError, compile_table, read_document
from gateway.routing.lastgood import judge
from gateway.routing.model import RouteTable
from gateway.routing.router import Router

_LOG = logging.getLogger(__name__)
# How often a table that was refused is judged again.
_SUSPECT_INTERVAL = 5.0


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
    errors: dict[str, str] = field(default_factory=dict)  # ConfigMap name -> why its newest text is not used


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
        self._parsed: dict[str, object] = {}
        self._pending: asyncio.Handle | None = None
        self._judged: RouteTable | None = None  # None until the first table of any source
        self._informer = (
            Informer(
                client,
                CONFIG_MAPS,
                namespace=namespace,
                label_selector=f"{ROUTES_LABEL}=true",
                on_change=lambda event, old, new: self._soon(),
            )
            if client is not None
            else None
        )
        self.status = RouteStatus()

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
        self._load("disk")
        self._addresses.remember(snapshot.addresses)

    async def run(self) -> None:
        """Follow the ConfigMaps until cancelled."""
        if self._informer is None:
            return
        async with asyncio.TaskGroup() as group:
            group.create_task(self._informer.run())
            group.create_task(self._rejudge(self._informer))

    def keep(self) -> None:
        """Write routes and addresses to disk, if they are the cluster's word."""
        if self.status.source == "cluster":
            self._last_good.write(Snapshot(dict(self._documents), self._addresses.snapshot()))

    async def _rejudge(self, informer: Informer) -> None:
        await informer.synced.wait()
        self._refresh()
        while True:
            await asyncio.sleep(_SUSPECT_INTERVAL)
            if self.status.suspected_since is not None:
                self._refresh()
            self.keep()

    def _soon(self) -> None:
        """Changes that arrive together are loaded together."""
        if self._pending is None and self.synced:
            self._pending = asyncio.get_running_loop().call_later(0.005, self._refresh)

    def _refresh(self) -> None:
        self._pending = None
        if self._informer is None:
            return
        objects = sorted(self._informer.items(), key=lambda obj: str(obj["metadata"]["name"]))
        self._take({str(obj["metadata"]["name"]): str((obj.get("data") or {}).get(ROUTES_KEY, "")) for obj in objects})
        self._load("cluster")

    def _take(self, texts: dict[str, str]) -> None:
        """Parse what is new; a text that does not parse leaves the good one before it in force."""
        for name, text in texts.items():
            if self._documents.get(name) == text:
                self.status.errors.pop(name, None)
                continue
            try:
                document = read_document(text)
            except DocumentError as error:
                if self.status.errors.get(name) != str(error):
                    self.status.refused_documents += 1
                    _LOG.error("routes in ConfigMap %s are not used, the last good ones stay: %s", name, error)
                self.status.errors[name] = str(error)
                continue
            self.status.errors.pop(name, None)
            self._documents[name] = text
            self._parsed[name] = document
        for name in [name for name in self._documents if name not in texts]:
            del self._documents[name]
            del self._parsed[name]

    def _load(self, source: str) -> None:
        table, problems = compile_table(self._parsed[name] for name in sorted(self._parsed))
        now = self._clock()
        since = self.status.suspected_since
        verdict = judge(self._judged, table, 0.0 if since is None else now - since)
        if not verdict.accept:
            if since is None:
                self.status.suspected_since = now
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
        if self._judged == table:
            return
        self._judged = table
        self._router.load(table)
        self._addresses.follow()
        self._loaded()
        self.keep()
        _LOG.info("%d routes with %d backends loaded from %s", len(table.routes), len(table.backends), source)
