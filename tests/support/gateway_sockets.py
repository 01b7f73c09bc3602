"""The gateway's data path on real sockets, before a coordinator that does whatever a test tells it to.

Everything listens on loopback, on ports that the kernel chooses, and is gone when the `async with` ends.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from contextvars import ContextVar
from dataclasses import replace

from gateway.proxy.listening import listen
from gateway.proxy.server import FindOwner, ProxyServer
from gateway.proxy.settings import ProxySettings
from gateway.routing.model import Backend, BackendState, Route, RouteTable, Service
from gateway.routing.router import Router

# Whether plain TCP goes over the compiled transports, in which case they have to be built.
express: ContextVar[bool] = ContextVar("express", default=False)

Handler = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


class Gateway:
    """A running data path and the address that it listens on."""

    def __init__(self, proxy: ProxyServer, port: int) -> None:
        self.proxy = proxy
        self.port = port

    async def connect(self, tls: ssl.SSLContext | None = None) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        name = "localhost" if tls else None
        return await asyncio.open_connection("127.0.0.1", self.port, ssl=tls, server_hostname=name)


@asynccontextmanager
async def gateway_before(
    *ports: int,
    settings: ProxySettings | None = None,
    tls: ssl.SSLContext | None = None,
    upstream_tls: ssl.SSLContext | None = None,
    find_owner: FindOwner | None = None,
) -> AsyncIterator[Gateway]:
    """A gateway whose default route leads to 127.0.0.1 at `ports`, one backend each; swept ten times a second."""
    router = Router()
    backends = tuple(
        Backend("team", f"t{number}", Service("localhost", port, upstream_tls is not None), BackendState.RUNNING)
        for number, port in enumerate(ports)
    )
    router.load(RouteTable.of((Route("all", "all", backends, default=True),)))
    for backend in backends:
        router.set_addresses(backend.service, [("127.0.0.1", backend.service.port)])
    loop = asyncio.get_running_loop()
    settings = replace(settings or ProxySettings(), express=express.get())
    # The sweep's clock and the proxy's must be the same one.
    proxy = ProxyServer(router, settings, find_owner, loop.time, upstream_tls=upstream_tls)
    listener = await listen(proxy, "127.0.0.1", 0, tls=tls)

    async def sweep() -> None:
        while True:
            await asyncio.sleep(0.1)
            proxy.sweep(loop.time())

    sweeper = loop.create_task(sweep())
    try:
        yield Gateway(proxy, listener.sockets[0].getsockname()[1])
    finally:
        sweeper.cancel()
        listener.close()
        proxy.close()
        for _ in range(100):
            if not proxy.clients and not proxy.tasks and not proxy.counters.upstream_open:
                break
            await asyncio.sleep(0.01)
        assert not proxy.clients
        assert not proxy.tasks
        assert proxy.counters.upstream_open == 0
        assert all(target.inflight == 0 for target in router.targets())


@asynccontextmanager
async def coordinator(handler: Handler, tls: ssl.SSLContext | None = None) -> AsyncIterator[int]:
    """A server that runs `handler` for each connection; its port."""
    writers: set[asyncio.StreamWriter] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writers.add(writer)
        try:
            await handler(reader, writer)
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writers.discard(writer)
            if not writer.is_closing():
                writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=tls, limit=1 << 20)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
        for writer in list(writers):
            writer.transport.abort()
        await asyncio.sleep(0)


async def read_head(reader: asyncio.StreamReader) -> bytes:
    return await reader.readuntil(b"\r\n\r\n")


async def read_response(reader: asyncio.StreamReader) -> bytes:
    """A response with a Content-Length, head and body."""
    head = await read_head(reader)
    for line in head.lower().split(b"\r\n"):
        if line.startswith(b"content-length:"):
            return head + await reader.readexactly(int(line[15:]))
    return head


async def closed(writer: asyncio.StreamWriter) -> None:
    """Close our side and wait for it."""
    writer.close()
    with suppress(ConnectionError, ssl.SSLError):
        await writer.wait_closed()
