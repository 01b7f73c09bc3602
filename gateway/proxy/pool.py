"""The connections to one coordinator address.

Idle connections are taken last in, first out, so that what is not needed goes stale and is closed. Whether one is at
hand is decided at once; only opening a new one is a task. Requests that find none wait in order: whichever comes
first, a connection given back or a new one, serves the request that has waited longest.
"""

from __future__ import annotations

import asyncio
from collections import deque
from typing import TYPE_CHECKING, Any

from gateway.proxy.connecting import connected_socket
from gateway.proxy.counters import BackendCounters, Counters
from gateway.proxy.editing import own_marks, own_names
from gateway.proxy.upstream import IDLE, Upstream
from gateway.routing.model import Target

if TYPE_CHECKING:
    from gateway.proxy.client import Client
    from gateway.proxy.express import Lane
    from gateway.proxy.server import ProxyServer


class Pool:
    """Connections to one `Target`, and the requests that wait for one."""

    __slots__ = (
        "connecting",
        "counters",
        "idle",
        "idle_timeout",
        "lane",
        "leaks",
        "open",
        "own",
        "own_marks",
        "own_port",
        "server",
        "settings",
        "stats",
        "target",
        "waiting",
    )

    def __init__(self, server: ProxyServer, target: Target) -> None:
        self.server = server
        self.settings = server.settings
        self.idle_timeout = server.settings.upstream_idle_timeout
        self.counters: Counters = server.counters
        self.stats: BackendCounters = server.counters.backend(target.key)
        self.target = target
        self.idle: list[Upstream] = []
        self.waiting: deque[Client] = deque()
        self.own = own_names(target)
        self.own_marks = own_marks(target)
        self.own_port = b":%d" % target.port
        self.lane: Lane | None = None  # the express lane to this address, where there is one
        self.leaks = False  # its pages have been seen to name its own address: they are read and edited from then on
        self.open = 0  # connected, idle or busy
        self.connecting = 0

    def take(self, now: float) -> Upstream | None:
        """An idle connection that is fit for use, or None."""
        idle = self.idle
        while idle:
            upstream = idle.pop()
            fresh = upstream.phase == IDLE and upstream.idle_since >= now - self.idle_timeout
            if fresh and not upstream.transport.is_closing():
                return upstream
            upstream.close()
        return None

    def wait(self, client: Client) -> bool:
        """Queue a request for the next connection; False when too many wait already."""
        if len(self.waiting) >= self.settings.upstream_waiting:
            return False
        self.waiting.append(client)
        self._balance()
        return True

    def connect_for(self, client: Client) -> None:
        """Open a connection for this request, ahead of all that wait: what was idle has proved stale."""
        self.waiting.appendleft(client)
        self._connect()

    def forget(self, client: Client) -> None:
        """A request that waits has gone away."""
        if client in self.waiting:
            self.waiting.remove(client)

    def release(self, upstream: Upstream, now: float) -> None:
        """A connection is free again, in step and with nothing unsent."""
        if self.waiting:
            self.waiting.popleft().connected(upstream)
        elif self.target.retired or self.server.closed:
            upstream.close()
        else:
            upstream.idle_since = now
            self.idle.append(upstream)

    def lost(self, upstream: Upstream) -> None:
        """A connection has ended. If it was idle, `take` or the sweep will find that it is unfit."""
        self.open -= 1
        self.counters.upstream_open -= 1
        if self.waiting:
            self._balance()

    def sweep(self, now: float) -> None:
        """Close what has been idle for too long. The oldest lie at the bottom."""
        deadline = now - self.settings.upstream_idle_timeout
        retired = self.target.retired
        stale = [upstream for upstream in self.idle if retired or not upstream.fit(deadline)]
        if stale:
            # In place: the express lane takes from the same list.
            self.idle[:] = [upstream for upstream in self.idle if not retired and upstream.fit(deadline)]
            for upstream in stale:
                upstream.close()

    def close(self) -> None:
        """Close all idle connections."""
        while self.idle:
            self.idle.pop().close()

    def _balance(self) -> None:
        """Open connections for the requests that wait, within the bound."""
        room = self.settings.upstream_connections - self.open - self.connecting
        for _ in range(min(len(self.waiting) - self.connecting, room)):
            self._connect()

    def _connect(self) -> None:
        self.connecting += 1
        self.server.connect(self)

    async def open_connection(self) -> None:
        """Open one connection and hand it to whoever waits."""
        try:
            async with asyncio.timeout(self.settings.connect_timeout):
                upstream = await self._connected()
        except OSError as error:  # TimeoutError and ssl.SSLError are among them
            self.failed(isinstance(error, TimeoutError))
        except BaseException:
            self.connecting -= 1
            raise
        else:
            self.opened(upstream)

    async def _connected(self) -> Upstream:
        """A new connection, on the express lane's transport where there is one."""
        target = self.target
        raw = await connected_socket(target.ip, target.port)
        express = self.server.express
        if express is not None and self.lane is not None:
            upstream = self.new_upstream()
            express.adopt(raw, upstream, False)
            return upstream
        make: Any = self.new_upstream
        tls = self.server.tls_to_upstreams() if target.tls else None
        name = target.authority.rpartition(b":")[0].decode("ascii", "replace") if target.tls else None
        loop = asyncio.get_running_loop()
        try:
            connected = await loop.create_connection(make, sock=raw, ssl=tls, server_hostname=name)
        except BaseException:
            raw.close()
            raise
        opened: Upstream = connected[1]
        return opened

    def new_upstream(self) -> Upstream:
        """The protocol of a new connection."""
        return Upstream(self)

    def opened(self, upstream: Upstream) -> None:
        """A connection that was asked for is up."""
        self.connecting -= 1
        self.stats.connects += 1
        if self.waiting:
            self.waiting.popleft().connected(upstream)
        elif upstream.fit(0.0):
            self.release(upstream, self.server.clock())

    def failed(self, timed_out: bool) -> None:
        """A connection that was asked for cannot be had."""
        self.connecting -= 1
        self.stats.connect_failures += 1
        if self.waiting:
            self.waiting.popleft().connect_failed(timed_out)
        self._balance()
