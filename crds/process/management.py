"""The management port of a server process: /livez, /readyz, /metrics, and what its owner adds.

Kept apart from the port that serves users, so that nobody outside the cluster can read metrics through an ingress
and a flood of user requests cannot starve the probes of their listener.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from types import TracebackType

from aiohttp import web

from crds.process.settings import split_address

METRICS_TYPE = "text/plain; version=0.0.4; charset=utf-8"


class PortTaken(Exception):
    """The address cannot be listened on; the message says which and what to do."""


def port_taken(address: str, error: OSError, flag: str) -> PortTaken:
    """The one wording for an address that cannot be bound."""
    return PortTaken(f"cannot listen on {address}: {error.strerror or error}; stop what listens there or set {flag}")


class Management:
    """Serves while it is entered (`async with`).

    `not_ready` returns why the process is not ready, None when it is. `page` renders the metrics.
    """

    def __init__(
        self,
        address: str,
        *,
        not_ready: Callable[[], str | None],
        page: Callable[[], bytes],
        routes: Iterable[web.AbstractRouteDef] = (),
        flag: str = "--management-address",
    ) -> None:
        self._address = address
        self._flag = flag
        self._not_ready = not_ready
        self._page = page
        self._app = web.Application()
        self._app.add_routes(
            [web.get("/livez", self._livez), web.get("/readyz", self._readyz), web.get("/metrics", self._metrics)]
        )
        self._app.add_routes(routes)
        self._runner: web.AppRunner | None = None
        self.port = 0

    async def __aenter__(self) -> Management:
        host, port = split_address(self._address)
        self._runner = web.AppRunner(self._app, access_log=None, handle_signals=False, shutdown_timeout=1.0)
        await self._runner.setup()
        try:
            await web.TCPSite(self._runner, host, port, reuse_address=True).start()
        except OSError as error:
            await self._runner.cleanup()
            raise port_taken(self._address, error, self._flag) from error
        self.port = self._runner.addresses[0][1]
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._runner is not None:
            await self._runner.cleanup()

    async def _livez(self, request: web.Request) -> web.Response:
        return web.Response(text="ok\n")

    async def _readyz(self, request: web.Request) -> web.Response:
        reason = self._not_ready()
        return web.Response(text="ok\n") if reason is None else web.Response(status=503, text=f"not ready: {reason}\n")

    async def _metrics(self, request: web.Request) -> web.Response:
        return web.Response(body=self._page(), headers={"Content-Type": METRICS_TYPE})
