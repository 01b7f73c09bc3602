"""The management port: /livez, /readyz and /metrics for Kubernetes and Prometheus.

Served by the manager from its own event loop, so that a loop that is stuck answers nothing. Liveness means
that the loop's heartbeat is fresh; readiness that the caches are full. Neither depends on leadership: a
copy that waits for the Lease is healthy.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

from aiohttp import web

from controller.metrics import CONTENT_TYPE, Metrics

_BEAT = 1.0
_STALE = 30.0


class Heartbeat:
    """Measures how late the loop runs a callback that it was asked for; `age` is how long ago one ran."""

    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics
        self._last = time.monotonic()

    @property
    def age(self) -> float:
        return time.monotonic() - self._last

    async def run(self) -> None:
        while True:
            before = time.monotonic()
            await asyncio.sleep(_BEAT)
            self._last = time.monotonic()
            self._metrics.loop_lag.set(max(0.0, self._last - before - _BEAT))


class ManagementServer:
    """`waiting_for` returns what the process is not ready for, "" when it is ready."""

    def __init__(self, address: str, metrics: Metrics, heartbeat: Heartbeat, waiting_for: Callable[[], str]) -> None:
        host, _, port = address.rpartition(":")
        self._host, self._port = host.strip("[]"), int(port)
        self._metrics = metrics
        self._heartbeat = heartbeat
        self._waiting_for = waiting_for
        self._runner: web.AppRunner | None = None
        self.address = ""

    async def start(self) -> None:
        """Raises OSError when the address is taken."""
        app = web.Application()
        app.router.add_get("/livez", self._livez)
        app.router.add_get("/readyz", self._readyz)
        app.router.add_get("/metrics", self._page)
        self._runner = web.AppRunner(app, access_log=None)
        await self._runner.setup()
        await web.TCPSite(self._runner, self._host, self._port).start()
        host, port = self._runner.addresses[0][:2]
        self.address = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"

    async def stop(self) -> None:
        if self._runner is not None:
            await self._runner.cleanup()
            self._runner = None

    async def _livez(self, request: web.Request) -> web.Response:
        age = self._heartbeat.age
        if age > _STALE:
            return web.Response(status=500, text=f"the event loop stood still for {age:.0f} s\n")
        return web.Response(text="ok\n")

    async def _readyz(self, request: web.Request) -> web.Response:
        waiting = self._waiting_for()
        return web.Response(status=503, text=f"waiting for {waiting}\n") if waiting else web.Response(text="ok\n")

    async def _page(self, request: web.Request) -> web.Response:
        return web.Response(body=self._metrics.page(), headers={"Content-Type": CONTENT_TYPE})
