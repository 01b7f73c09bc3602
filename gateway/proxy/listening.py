"""Where clients come in: plain TCP on compiled transports where they are built, anything else on the event loop's.

The compiled module is an extension that a wheel may lack. Nothing but speed depends on it: the same protocols stand
on either kind of transport. TLS is always the event loop's.
"""

from __future__ import annotations

import asyncio
import errno
import logging
import socket
import ssl
from typing import TYPE_CHECKING, Protocol

try:
    from gateway.proxy.express import Express
except ImportError:
    Express = None  # type: ignore[assignment,misc]

if TYPE_CHECKING:
    from gateway.proxy.server import ProxyServer

_LOG = logging.getLogger("xtrinode-gateway")
_AT_ONCE = 64  # connections that are accepted before others get a turn
_BREATH = 1.0  # seconds without accepting when the process has no file descriptors left
_EXHAUSTED = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM})


class Listener(Protocol):
    """What a server of asyncio and ours have in common."""

    @property
    def sockets(self) -> tuple[socket.socket, ...]: ...

    def close(self) -> None: ...


def express_built() -> bool:
    """Whether the compiled transports are installed."""
    return Express is not None


async def listen(
    proxy: ProxyServer,
    host: str,
    port: int,
    *,
    backlog: int = 4096,
    reuse_port: bool = False,
    tls: ssl.SSLContext | None = None,
) -> Listener:
    """Serve clients of `proxy` at this address; raises OSError when it cannot be had."""
    loop = asyncio.get_running_loop()
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # Bound here, because the loop would start threads to look the address up.
    sock = socket.create_server((host, port), family=family, backlog=backlog, reuse_port=reuse_port)
    if tls is None and proxy.settings.express and express_built():
        return _ExpressListener(proxy, sock, loop)
    return await loop.create_server(proxy.protocol_factory, sock=sock, backlog=backlog, ssl=tls)


class _ExpressListener:
    """Accepts plain TCP connections for the compiled transports."""

    def __init__(self, proxy: ProxyServer, sock: socket.socket, loop: asyncio.AbstractEventLoop) -> None:
        self._proxy = proxy
        self._sock = sock
        self._loop = loop
        self._closed = False
        sock.setblocking(False)
        if proxy.express is None:
            proxy.express = Express(proxy, loop)
        self._express = proxy.express
        loop.add_reader(sock.fileno(), self._accept)

    @property
    def sockets(self) -> tuple[socket.socket, ...]:
        return () if self._closed else (self._sock,)

    def close(self) -> None:
        """Accept no more. What the kernel has queued is reset, as by any server that stops listening."""
        if not self._closed:
            self._closed = True
            self._loop.remove_reader(self._sock.fileno())
            self._sock.close()

    def _accept(self) -> None:
        for _ in range(_AT_ONCE):
            try:
                peer, _ = self._sock.accept()
            except (BlockingIOError, InterruptedError, ConnectionAbortedError):
                return
            except OSError as error:
                if error.errno not in _EXHAUSTED:
                    raise
                _LOG.error("cannot accept connections: %s; trying again in %g s", error.strerror, _BREATH)
                self._loop.remove_reader(self._sock.fileno())
                self._loop.call_later(_BREATH, self._resume)
                return
            self._express.adopt(peer, self._proxy.protocol_factory(), True)

    def _resume(self) -> None:
        if not self._closed:
            self._loop.add_reader(self._sock.fileno(), self._accept)
