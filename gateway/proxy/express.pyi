import asyncio
import socket
from typing import Any

from gateway.proxy.server import ProxyServer

class Connection:
    """A plain TCP connection's transport, by the shape of asyncio.Transport."""

class Lane:
    """The express lane to one coordinator address."""

    leaks: bool

class Express:
    """The sockets of one event loop."""

    loop: asyncio.AbstractEventLoop
    open: bool
    @property
    def taken(self) -> int: ...
    @property
    def handed_over(self) -> int: ...
    def __init__(self, server: ProxyServer, loop: asyncio.AbstractEventLoop) -> None: ...
    def adopt(self, sock: socket.socket, protocol: Any, client: bool) -> Connection: ...
    def lane_for(self, pool: Any) -> Lane: ...
    def drop_lane(self, lane: Lane) -> None: ...
    def settle(self, now: float, patience: float) -> None: ...
    def close(self) -> None: ...
