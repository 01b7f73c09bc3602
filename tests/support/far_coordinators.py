"""The coordinators behind pods that run nothing: an HTTP proxy on loopback that answers in their place.

kwok's pods have addresses that nothing can reach. A controller whose `--trino-proxy` is this one asks here, and tests
say what every coordinator answers: its live queries, which of them end when they are told to.
"""

from __future__ import annotations

from types import TracebackType

from aiohttp import web


class FarCoordinators:
    """`queries` are what every coordinator lists; `asked` is (address, path) of each request so far."""

    def __init__(self) -> None:
        self.queries: list[dict[str, str]] = []
        self.asked: list[tuple[str, str]] = []
        self.url = ""
        app = web.Application()
        app.router.add_route("*", "/{path:.*}", self._answer)
        self._runner = web.AppRunner(app, access_log=None)

    async def __aenter__(self) -> FarCoordinators:
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0).start()
        self.url = f"http://127.0.0.1:{self._runner.addresses[0][1]}"
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._runner.cleanup()

    async def _answer(self, request: web.Request) -> web.Response:
        self.asked.append((f"{request.url.host}:{request.url.port}", request.url.path))
        if request.method == "GET" and request.url.path == "/v1/query":
            return web.json_response(self.queries)
        if request.method == "PUT" and request.url.path.endswith("/killed"):
            ended = request.url.path.split("/")[-2]
            self.queries = [query for query in self.queries if query["queryId"] != ended]
            return web.Response(status=202)
        return web.Response(status=404)
