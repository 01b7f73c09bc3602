"""Far sides for the gateway's tests on real sockets: a coordinator that turns bad on command, a client that can tell.

`Coordinator` answers every request with a page of a running query until `fault` is set; what then happens is one of
`Fault`: bytes of an answer, and what comes after them. It keeps the heads of all requests that have reached it.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.support.gateway_sockets import read_head
from tests.support.gateway_wire import POLL, page, reply

Run = Callable[[Coroutine[Any, Any, None]], None]

POLL_GET = f"GET {POLL} HTTP/1.1\r\nHost: gw:8080\r\nX-Trino-User: u\r\n\r\n".encode()
PAGE = reply(page())


def reset(writer: asyncio.StreamWriter) -> None:
    """End a connection with a RST instead of a FIN."""
    raw = writer.get_extra_info("socket")
    raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()


def descriptors() -> int:
    """File descriptors that this process has open."""
    return len(list(Path("/proc/self/fd").iterdir()))


@dataclass(frozen=True)
class Fault:
    """`said` and then the end: `reset`, `close`, or `silence` until the gateway gives up."""

    said: bytes
    then: str


class Coordinator:
    """A handler for `coordinator(...)`."""

    def __init__(self, answer: bytes = PAGE) -> None:
        self.answer = answer
        self.fault: Fault | None = None
        self.relayed = asyncio.Event()  # set when the client has what was said, before the end comes
        self.requests: list[bytes] = []
        self.connections = 0

    async def __call__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        while True:
            head = await read_head(reader)
            self.requests.append(head)
            length = head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0]
            await reader.readexactly(int(length or b"0"))
            if self.fault is not None:
                await self._fail(self.fault, reader, writer)
                return
            writer.write(self.answer)

    async def _fail(self, fault: Fault, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(fault.said)
        if fault.then == "silence":
            with contextlib.suppress(ConnectionError):
                await reader.read()
            return
        await self.relayed.wait()
        if fault.then == "reset":
            reset(writer)
        else:
            writer.close()


async def until_reset(reader: asyncio.StreamReader) -> bytes:
    """What still comes before the connection is cut; fails when it ends as a complete one would."""
    got = b""
    while True:
        try:
            piece = await reader.read(65536)
        except ConnectionResetError:
            return got
        assert piece, "a clean end"
        got += piece
