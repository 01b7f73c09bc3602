"""A reverse proxy as one writes it with aiohttp, for comparison: takes a port and the upstream's port."""

from __future__ import annotations

import sys

import aiohttp
import uvloop
from aiohttp import web

_HOP = {"connection", "keep-alive", "te", "upgrade", "transfer-encoding", "content-length", "host"}


async def application(upstream: int) -> web.Application:
    session = aiohttp.ClientSession(
        auto_decompress=False, connector=aiohttp.TCPConnector(limit=0), skip_auto_headers=["User-Agent"]
    )

    async def forward(request: web.Request) -> web.StreamResponse:
        headers = [(name, value) for name, value in request.headers.items() if name.lower() not in _HOP]
        headers += [("X-Forwarded-For", request.remote or ""), ("X-Forwarded-Host", request.host)]
        headers += [("X-Forwarded-Proto", request.scheme)]
        url = f"http://127.0.0.1:{upstream}{request.rel_url}"
        body = await request.read() if request.can_read_body else None
        async with session.request(request.method, url, headers=headers, data=body, allow_redirects=False) as answer:
            response = web.StreamResponse(status=answer.status, reason=answer.reason)
            for name, value in answer.headers.items():
                if name.lower() not in _HOP or name.lower() == "content-length":
                    response.headers.add(name, value)
            await response.prepare(request)
            async for piece in answer.content.iter_any():
                await response.write(piece)
            await response.write_eof()
            return response

    app = web.Application(client_max_size=1 << 30)
    app.router.add_route("*", "/{path:.*}", forward)
    return app


def main() -> None:
    port, upstream = int(sys.argv[1]), int(sys.argv[2])
    loop = uvloop.new_event_loop()
    web.run_app(application(upstream), host="127.0.0.1", port=port, loop=loop, print=None, access_log=None)


if __name__ == "__main__":
    main()
