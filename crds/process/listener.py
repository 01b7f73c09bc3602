"""An aiohttp application on an address, for as long as it is entered: the one way our servers listen.

A port that cannot be had is a `PortTaken`, whose message says which and what to set instead.
"""

from __future__ import annotations

import os
import ssl
from types import TracebackType

from aiohttp import web

from crds.process.settings import split_address


class PortTaken(Exception):
    """The address cannot be listened on; the message says which and what to do."""


def port_taken(address: str, error: OSError, flag: str) -> PortTaken:
    """The one wording for an address that cannot be bound."""
    # Event loops word it in their own ways, and the address once more; the system has one way.
    reason = os.strerror(error.errno) if error.errno else str(error)
    return PortTaken(f"cannot listen on {address}: {reason}; stop what listens there or set {flag}")


class Listener:
    """Serves `app` on `address` (HOST:PORT, port 0: any free one) while it is entered; `port` is the port it got.

    `flag` is the setting that the user changes when the port is taken. With `path` a Unix socket is served
    instead. `keepalive` and `shutdown` are seconds.
    """

    def __init__(
        self,
        app: web.Application,
        address: str,
        flag: str,
        *,
        path: str | None = None,
        tls: ssl.SSLContext | None = None,
        keepalive: float = 75.0,
        shutdown: float = 1.0,
    ) -> None:
        self._address = address
        self._flag = flag
        self._path = path
        self._tls = tls
        self._runner = web.AppRunner(
            app, access_log=None, handle_signals=False, keepalive_timeout=keepalive, shutdown_timeout=shutdown
        )
        self.port = 0

    async def __aenter__(self) -> Listener:
        await self._runner.setup()
        if self._path is not None:
            await web.UnixSite(self._runner, self._path).start()
            return self
        host, port = split_address(self._address)
        try:
            await web.TCPSite(self._runner, host, port, ssl_context=self._tls).start()
        except OSError as error:
            await self._runner.cleanup()
            raise port_taken(self._address, error, self._flag) from error
        self.port = self._runner.addresses[0][1]
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._runner.cleanup()
