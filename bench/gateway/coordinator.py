"""Coordinators that answer at once: `python -m bench.gateway.coordinator --port N --count 3`.

As many as wanted in one process, each at an address of its own (127.1.0.1, 127.1.0.2, ...) with an id of its own.
Enough of Trino's statement protocol for clients and for the gateway: /v1/info, submit, poll, cancel. What a query does
is said in its text, `polls=4 bytes=600` anywhere in it: so many pages, each of that size; text without it gets the
defaults. Everything about a query is in its links, so that any number of them costs no memory here.
"""

from __future__ import annotations

import argparse
import asyncio
import re
import signal
import time
from functools import partial
from typing import cast

import uvloop

# Trino draws its coordinator ids from these.
_ALPHABET = "23456789abcdefghijkmnpqrstuvwxyz"
_MOST_PAGE_BYTES = 16 * 2**20
_SHAPE = re.compile(rb"polls=(\d{1,6}) bytes=(\d{1,8})").search
_LINK = re.compile(rb"/v1/statement/(queued|executing)/([0-9a-z_]+)/y(\d{1,6})-(\d{1,8})/(\d{1,7})").fullmatch
_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE).search
_FORWARDED = re.compile(rb"\r\nx-forwarded-(host|proto|port): *([^\r]+)", re.IGNORECASE).findall
_HOST = re.compile(rb"\r\nhost: *([^\r]+)", re.IGNORECASE).search
_STATS = (
    b'"stats":{"state":"%b","queued":false,"scheduled":true,"nodes":3,"totalSplits":100,"queuedSplits":10,'
    b'"runningSplits":20,"completedSplits":70,"cpuTimeMillis":1234,"wallTimeMillis":2345,"queuedTimeMillis":12,'
    b'"elapsedTimeMillis":3456,"processedRows":123456,"processedBytes":12345678,"peakMemoryBytes":1234567}'
)
_COLUMNS = b'"columns":[{"name":"c","type":"varchar","typeSignature":{"rawType":"varchar","arguments":[]}}],'


def address(number: int) -> str:
    """Where coordinator `number` (from 0) listens: all of 127/8 is this machine."""
    return f"127.1.{(number + 1) // 250}.{(number + 1) % 250}"


def coordinator_id(number: int) -> str:
    """Its five characters."""
    text = ""
    for _ in range(5):
        number, digit = divmod(number, len(_ALPHABET))
        text = _ALPHABET[digit] + text
    return text


class Coordinator:
    """One process's worth of Trino: its id, and a counter for query ids."""

    def __init__(self, number: int, polls: int, size: int) -> None:
        self.id = coordinator_id(number)
        self.polls = polls
        self.size = size
        self._started = 0

    def answer(self, head: bytes, body: bytes) -> bytes:
        """The whole response to a request."""
        method, _, rest = head.partition(b" ")
        target = rest[: rest.find(b" ")]
        if method == b"POST" and target == b"/v1/statement":
            return self._submitted(head, body)
        link = _LINK(target)
        if link is not None:
            if not link[2].endswith(self.id.encode()):
                return _response(b"404 Not Found", b"Query not found")
            return _response(b"204 No Content", b"") if method == b"DELETE" else self._page(head, link)
        if target == b"/v1/info":
            return _response(
                b"200 OK",
                b'{"nodeVersion":{"version":"480"},"environment":"bench","coordinator":true,"starting":false,'
                b'"uptime":"1.00d","coordinatorId":"%b"}' % self.id.encode(),
            )
        return _response(b"404 Not Found", b"nothing here")

    def _submitted(self, head: bytes, body: bytes) -> bytes:
        self._started += 1
        stamp = time.strftime("%Y%m%d_%H%M%S", time.gmtime())
        query = f"{stamp}_{self._started % 100_000:05d}_{self.id}".encode()
        shape = _SHAPE(body)
        polls, size = (shape[1], shape[2]) if shape is not None else (b"%d" % self.polls, b"%d" % self.size)
        base = _base(head)
        following = b"%b/v1/statement/queued/%b/y%b-%b/1" % (base, query, polls, size)
        return _json(query, base, following, b"QUEUED", b"")

    def _page(self, head: bytes, link: re.Match[bytes]) -> bytes:
        _, query, polls, size, token = link.groups()
        base, number = _base(head), int(token)
        if number >= int(polls):
            return _json(query, base, None, b"FINISHED", b"")
        following = b"%b/v1/statement/executing/%b/y%b-%b/%d" % (base, query, polls, size, number + 1)
        return _json(query, base, following, b"RUNNING", _data(min(int(size), _MOST_PAGE_BYTES)))


_FILLERS: dict[int, bytes] = {}


def _data(size: int) -> bytes:
    """Columns and one long row, so that the page is about `size` bytes; nothing for pages that are small anyway."""
    if size <= 700:
        return b""
    if size not in _FILLERS:
        if len(_FILLERS) > 16:
            _FILLERS.clear()
        _FILLERS[size] = _COLUMNS + b'"data":[["' + b"x" * (size - 700) + b'"]],'
    return _FILLERS[size]


def _json(query: bytes, base: bytes, following: bytes | None, state: bytes, data: bytes) -> bytes:
    link = b"" if following is None else b'"nextUri":"%b",' % following
    return _response(
        b"200 OK",
        b'{"id":"%b","infoUri":"%b/ui/query.html?%b",%b%b%b,"warnings":[]}'
        % (query, base, query, link, data, _STATS % state),
    )


def _response(status: bytes, body: bytes) -> bytes:
    framing = b"" if status.startswith(b"204") else b"Content-Length: %d\r\n" % len(body)
    return (
        b"HTTP/1.1 %b\r\nX-Content-Type-Options: nosniff\r\nContent-Type: application/json\r\n"
        b"Vary: Accept-Encoding\r\n%b\r\n%b" % (status, framing, body)
    )


def _base(head: bytes) -> bytes:
    """The address that links begin with: the one that the client came to."""
    said = {name.lower(): value for name, value in _FORWARDED(head)}
    host = _HOST(head)
    return b"%b://%b" % (said.get(b"proto", b"http"), said.get(b"host") or (host[1] if host else b"localhost"))


class Connection(asyncio.Protocol):
    """Reads requests and answers each at once, in order."""

    def __init__(self, coordinator: Coordinator) -> None:
        self._coordinator = coordinator
        self._received = b""
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        assert self._transport is not None
        received = self._received + data if self._received else data
        while True:
            end = received.find(b"\r\n\r\n")
            if end < 0:
                break
            length = _LENGTH(received, 0, end + 2)
            whole = end + 4 + (int(length[1]) if length else 0)
            if len(received) < whole:
                break
            self._transport.write(self._coordinator.answer(received[: end + 2], received[end + 4 : whole]))
            received = received[whole:]
        self._received = received


async def serve(port: int, count: int, polls: int, size: int) -> None:
    loop = asyncio.get_running_loop()
    stop = asyncio.Event()
    for ending in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(ending, stop.set)
    servers = []
    # 127.0.0.1 comes last: whoever waits for it finds all the others there.
    for number, host in enumerate([*map(address, range(count)), "127.0.0.1"]):
        factory = partial(Connection, Coordinator(number, polls, size))
        servers.append(await loop.create_server(factory, host, port))
    await stop.wait()
    for server in servers:
        server.close()


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.gateway.coordinator", description=__doc__)
    parser.add_argument("--port", type=int, required=True, help="of all of them")
    parser.add_argument("--count", type=int, default=1, help="how many coordinators (default 1)")
    parser.add_argument("--polls", type=int, default=4, help="pages of a query that does not say (default 4)")
    parser.add_argument("--bytes", type=int, default=600, help="size of such a page (default 600)")
    options = parser.parse_args()
    uvloop.run(serve(options.port, options.count, options.polls, options.bytes))


if __name__ == "__main__":
    main()
