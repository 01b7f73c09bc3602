"""Trouble on both sides of a proxy: a coordinator that answers most of the time, and clients of every manner.

The coordinator stalls, resets, talks nonsense, ends early and lies about lengths; only /v1/info is always right, so
that it stays in rotation. The clients pipeline, upload, read late, send what must be refused, and vanish in the
middle.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
import socket
import struct
from collections import Counter

from bench.gateway.coordinator import coordinator_id

# No fault of the coordinator here lasts longer than two seconds: an answer that takes longer than this never comes.
PATIENCE = 20.0
HANGS = "no answer"
_ID = coordinator_id(0).encode()
_INFO = b'{"coordinator":true,"starting":false,"coordinatorId":"%b"}' % _ID
_PAGE = (
    b'{"id":"20261120_101010_00001_%b","infoUri":"http://g/","nextUri":"http://g/n","stats":{"state":"RUNNING"}}' % _ID
)
_POLL = (
    b"GET /v1/statement/executing/20261120_101010_00001_"
    + _ID
    + b"/y/%d HTTP/1.1\r\nHost: g\r\nX-Trino-User: u%d\r\n\r\n"
)


def reset(writer: asyncio.StreamWriter) -> None:
    raw = writer.get_extra_info("socket")
    with contextlib.suppress(OSError):
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()


async def coordinator(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Answers most of the time."""
    try:
        while True:
            head = (await reader.readuntil(b"\r\n\r\n")).lower()
            if b"content-length: " in head:
                await reader.readexactly(int(head.partition(b"content-length: ")[2].partition(b"\r\n")[0]))
            dice = random.random()
            if head.startswith(b"get /v1/info "):
                writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(_INFO), _INFO))
            elif dice < 0.80:
                writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(_PAGE), _PAGE))
            elif dice < 0.85:
                writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n%x\r\n%b\r\n" % (len(_PAGE), _PAGE))
                await asyncio.sleep(random.random() / 20)
                writer.write(b"0\r\n\r\n")
            elif dice < 0.90:
                size = random.randrange(2_000_000)
                writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % size)
                for sent in range(0, size, 65536):
                    writer.write(b"x" * min(65536, size - sent))
                    await writer.drain()
            elif dice < 0.92:
                return reset(writer)
            elif dice < 0.94:
                writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\nshort")
                return None
            elif dice < 0.95:
                writer.write(random.randbytes(300))
                return None
            elif dice < 0.97:
                await asyncio.sleep(random.random() * 2)
                writer.write(b"HTTP/1.1 503 Busy\r\nContent-Length: 0\r\n\r\n")
            else:
                writer.write(b"HTTP/1.1 200 OK\r\n\r\nuntil the end")
                return None
    except (asyncio.IncompleteReadError, ConnectionError, asyncio.LimitOverrunError):
        return None
    finally:
        writer.close()


async def client(port: int, stop: asyncio.Event, tally: Counter[str]) -> None:
    """Connects, asks in one way or another, and goes; again and again."""
    while not stop.is_set():
        try:
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
        except OSError:
            tally["refused"] += 1
            await asyncio.sleep(0.1)
            continue
        try:
            await visit(reader, writer, tally)
        except TimeoutError:
            tally[HANGS] += 1
        except (ConnectionError, asyncio.IncompleteReadError) as error:
            tally[type(error).__name__] += 1
        finally:
            if random.random() < 0.3:
                reset(writer)
            writer.close()


async def visit(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, tally: Counter[str]) -> None:
    for _ in range(random.randrange(1, 30)):
        dice = random.random()
        count = 1
        if dice < 0.7:
            writer.write(_POLL % (random.randrange(99), random.randrange(9)))
        elif dice < 0.8:
            count = 5
            writer.write((_POLL % (1, 1)) * count)
        elif dice < 0.9:
            body = b"SELECT " + b"x" * random.randrange(100_000)
            head = b"POST /v1/statement HTTP/1.1\r\nHost: g\r\nContent-Length: %d\r\n\r\n" % len(body)
            writer.write(head + body[: len(body) // 2])
            await asyncio.sleep(0)
            writer.write(body[len(body) // 2 :])
        elif dice < 0.95:
            writer.write(b"GET / HTTP/1.1\r\nHost: g\r\nContent-Length: 1, 2\r\n\r\n")
        else:
            return writer.write(b"GET / HTTP/1.1\r\nHo")
        dice = random.random()
        if dice < 0.03:
            await asyncio.sleep(random.random())  # reads late: what was sent meanwhile has filled the buffers
        elif dice < 0.05:
            return None  # vanishes while the answer is on its way
        for _ in range(count):
            async with asyncio.timeout(PATIENCE):
                if not await answered(reader, tally):
                    return None
    return None


async def answered(reader: asyncio.StreamReader, tally: Counter[str]) -> bool:
    """Read one answer; whether another one may follow."""
    head = (await reader.readuntil(b"\r\n\r\n")).lower()
    tally[head[9:12].decode()] += 1
    if b"chunked" in head:
        while (await reader.readuntil(b"\r\n")) != b"0\r\n":
            await reader.readuntil(b"\r\n")
        await reader.readuntil(b"\r\n")
    elif b"content-length: " in head:
        await reader.readexactly(int(head.partition(b"content-length: ")[2].partition(b"\r\n")[0]))
    if b"connection: close" in head:
        await reader.read()
        return False
    return True
