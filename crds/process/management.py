"""The management port of a server process: /livez, /readyz, /metrics, and what its owner adds.

Kept apart from the port that serves users, so that nobody outside the cluster can read metrics through an ingress
and a flood of user requests cannot starve the probes of their listener.
"""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable, Iterable
from types import TracebackType

from aiohttp import web

from crds.process.listener import Listener

METRICS_TYPE = "text/plain; version=0.0.4; charset=utf-8"


class Management:
    """Serves while it is entered (`async with`).

    `not_ready` returns why the process is not ready, None when it is. `page` renders the metrics. Both may have to
    ask others first, and then return an awaitable. With `path` a Unix socket there is served instead of the address.
    """

    def __init__(
        self,
        address: str,
        *,
        not_ready: Callable[[], str | Awaitable[str | None] | None],
        page: Callable[[], bytes | Awaitable[bytes | bytearray]],
        routes: Iterable[web.AbstractRouteDef] = (),
        flag: str = "--management-address",
        path: str | None = None,
    ) -> None:
        self._not_ready = not_ready
        self._page = page
        app = web.Application()
        app.add_routes(
            [web.get("/livez", self._livez), web.get("/readyz", self._readyz), web.get("/metrics", self._metrics)]
        )
        app.add_routes(routes)
        self._listener = Listener(app, address, flag, path=path)

    @property
    def port(self) -> int:
        return self._listener.port

    async def __aenter__(self) -> Management:
        await self._listener.__aenter__()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._listener.__aexit__(kind, error, trace)

    async def _livez(self, request: web.Request) -> web.Response:
        return web.Response(text="ok\n")

    async def _readyz(self, request: web.Request) -> web.Response:
        found = self._not_ready()
        reason = await found if inspect.isawaitable(found) else found
        return web.Response(text="ok\n") if reason is None else web.Response(status=503, text=f"not ready: {reason}\n")

    async def _metrics(self, request: web.Request) -> web.Response:
        found = self._page()
        page = await found if inspect.isawaitable(found) else found
        return web.Response(body=page, headers={"Content-Type": METRICS_TYPE})
