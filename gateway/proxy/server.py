"""The data path's front for wiring: settings and router in, a protocol factory out.

Wiring listens (see `listening`), calls `sweep` about once a second, and at the end `drain`,
then waits for `drained`, then `close`. One per process and event loop.
"""

from __future__ import annotations

import asyncio
import math
import ssl
import time
from collections.abc import Awaitable, Callable, Coroutine
from typing import TYPE_CHECKING, Any

from gateway.http1.forwarded import TrustedProxies
from gateway.proxy import dispatch
from gateway.proxy.client import Client
from gateway.proxy.counters import Counters, count
from gateway.proxy.deadlines import sweep
from gateway.proxy.pool import Pool
from gateway.proxy.settings import ProxySettings
from gateway.routing.model import Candidates, Target
from gateway.routing.router import Router

if TYPE_CHECKING:
    from gateway.proxy.express import Express

# Seconds that a request may take in the express lane, which knows no time-outs.
_LANE_PATIENCE = 0.5

FindOwner = Callable[[bytes, Candidates], Awaitable[Target | None]]


class ProxyServer:
    """All that the connections of one process share."""

    __slots__ = (
        "clients",
        "clock",
        "closed",
        "counters",
        "drained",
        "draining",
        "express",
        "find_owner",
        "pools",
        "router",
        "searches",
        "settings",
        "tasks",
        "trusted",
        "upstream_tls",
    )

    def __init__(
        self,
        router: Router,
        settings: ProxySettings | None = None,
        find_owner: FindOwner | None = None,
        clock: Callable[[], float] = time.monotonic,
        counters: Counters | None = None,
        upstream_tls: ssl.SSLContext | None = None,
    ) -> None:
        self.router = router
        self.settings = settings or ProxySettings()
        self.find_owner = find_owner
        self.clock = clock
        self.counters = counters or Counters()
        self.upstream_tls = upstream_tls
        self.express: Express | None = None  # serves plain TCP, where it is built
        self.trusted = TrustedProxies(self.settings.trusted_proxies)
        self.clients: dict[Client, None] = {}  # in order of arrival
        self.pools: dict[Target, Pool] = {}
        self.searches: dict[bytes, list[tuple[Client, int]]] = {}
        self.tasks: set[asyncio.Task[None]] = set()
        self.draining = False
        self.drained = asyncio.Event()
        self.closed = False

    def protocol_factory(self) -> Any:
        """A protocol for a new client connection."""
        return Client(self)

    def sweep(self, now: float) -> None:
        """End what takes too long and let go of what is not needed; call about once a second."""
        self.settle(now, _LANE_PATIENCE)
        for client in list(self.clients):
            sweep(client, now)
        for target, pool in list(self.pools.items()):
            pool.sweep(now)
            if target.retired and not pool.open and not pool.connecting and not pool.waiting:
                del self.pools[target]
                target.pool = None
                if self.express is not None and pool.lane is not None:
                    self.express.drop_lane(pool.lane)
                    pool.lane = None

    def settle(self, now: float, patience: float = math.inf) -> None:
        """Have the counters tell all; what has been in the express lane for over `patience` seconds leaves it."""
        if self.express is not None:
            self.express.settle(now, patience)

    def drain(self) -> None:
        """Close idle connections; every response from now on is its connection's last. Stop listening first."""
        self.draining = True
        if self.express is not None:
            self.express.open = False
            self.settle(self.clock(), 0.0)
        for client in list(self.clients):
            client.drain()
        if not self.clients:
            self.drained.set()

    def close(self) -> None:
        """Cut what is left."""
        self.draining = True
        self.closed = True
        if self.express is not None:
            self.express.open = False
            self.settle(self.clock(), 0.0)
        for client in list(self.clients):
            client.abort()
        for task in list(self.tasks):
            task.cancel()
        for pool in self.pools.values():
            pool.close()
        if self.express is not None:
            self.express.close()

    # -- asked by connections ---------------------------------------------------------------------------------------

    def pool_of(self, target: Target) -> Pool:
        """The pool of a target that has none yet."""
        pool = Pool(self, target)
        if self.express is not None and not target.tls:
            pool.lane = self.express.lane_for(pool)
        target.pool = pool
        self.pools[target] = pool
        return pool

    def client_gone(self, client: Client) -> None:
        """A client's connection has ended."""
        self.clients.pop(client, None)
        if self.draining and not self.clients:
            self.drained.set()

    def connect(self, pool: Pool) -> None:
        """Open a connection for `pool`."""
        self.spawn(pool.open_connection())

    def tls_to_upstreams(self) -> ssl.SSLContext:
        """How coordinators that speak TLS are verified; the system's authorities unless wiring says otherwise."""
        if self.upstream_tls is None:
            self.upstream_tls = ssl.create_default_context()
            # Python 3.13 asks for more than others do: authorities that a company made itself often lack it.
            self.upstream_tls.verify_flags &= ~ssl.VERIFY_X509_STRICT
        return self.upstream_tls

    def spawn(self, work: Coroutine[Any, Any, None]) -> None:
        """Run one of the few things that need a task, and hold on to it until it is done."""
        task = asyncio.get_running_loop().create_task(work)
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)

    def search(self, client: Client, query_id: bytes, candidates: Candidates) -> None:
        """Ask the candidates who owns `query_id`; polls of one query that come meanwhile share the answer."""
        client.serial += 1
        waiting = self.searches.get(query_id)
        if waiting is not None:
            waiting.append((client, client.serial))
            return
        self.searches[query_id] = [(client, client.serial)]
        self.spawn(self._search(query_id, candidates))

    async def _search(self, query_id: bytes, candidates: Candidates) -> None:
        owner: Target | None = None
        try:
            if self.find_owner is not None:
                async with asyncio.timeout(self.settings.park_timeout):
                    owner = await self.find_owner(query_id, candidates)
        except (OSError, ValueError):
            # Not being able to ask is not knowing; the request is refused and may be repeated.
            count(self.counters.timeouts, "owner")
        finally:
            waiting = self.searches.pop(query_id, [])
        if owner is not None:
            self.router.learned(query_id, owner)
        for client, serial in waiting:
            dispatch.found_owner(client, serial, owner)
