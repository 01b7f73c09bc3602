"""What the worker processes of one gateway tell each other: whose count a query is in, and what is pinned where.

A client's polls may come over several connections, and so to several workers. Without a word between them the worker
that took the statement would count the query until it times out, and one that sees a transaction's second statement
would not know its coordinator. Messages are datagrams on private Unix sockets, sent at once (the client cannot ask
again before its answer has left), best effort: one that is lost costs an old count for five minutes, never a request.
A query that stays on one connection, which is the usual case, costs none.

The wiring of a worker makes one `Channel`; a gateway of one process has none.
"""

from __future__ import annotations

import asyncio
import binascii
import contextlib
import logging
import re
import socket
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from gateway.routing.model import Target
from gateway.routing.router import Router

_LOG = logging.getLogger(__name__)
_MAX_DATAGRAM = 65_536
_MAX_TOKEN = 8192
_MESSAGES_PER_TURN = 256
_QUERY_ID = re.compile(rb"[0-9]{8}_[0-9]{6}_[0-9]{5}_[a-z0-9]{5}").fullmatch


@dataclass(frozen=True, slots=True)
class Moved:
    """The sender counts this query from now on, or has seen its end."""

    query_id: bytes


@dataclass(frozen=True, slots=True)
class Pinned:
    """A token that was given out by the coordinator of backend `key` at ip:port."""

    token: bytes
    key: str
    ip: str
    port: int


def encode(message: Moved | Pinned) -> bytes:
    if isinstance(message, Moved):
        return b"moved " + message.query_id
    where = f"{message.key} {message.ip} {message.port} ".encode()
    return b"pinned " + where + binascii.hexlify(message.token)


def decode(data: bytes) -> Moved | Pinned | None:
    """The message in a datagram; None for anything else."""
    kind, _, rest = data.partition(b" ")
    if kind == b"moved":
        return Moved(rest) if _QUERY_ID(rest) else None
    if kind != b"pinned":
        return None
    try:
        key, ip, port, token = rest.decode("ascii").split(" ")
        return Pinned(binascii.unhexlify(token), key, ip, int(port))
    except ValueError:  # binascii.Error and UnicodeDecodeError are among them
        return None


def socket_path(directory: Path, index: int) -> Path:
    """Where worker `index` listens for its siblings."""
    return directory / f"{index}.siblings"


class Channel:
    """Talks for one worker while it is entered (`with`); needs a running event loop."""

    def __init__(self, router: Router, directory: Path, index: int, count: int, clock: Callable[[], float]) -> None:
        self._router = router
        self._clock = clock
        self._own = socket_path(directory, index)
        self._others = [str(socket_path(directory, other)) for other in range(count) if other != index]
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.setblocking(False)

    def __enter__(self) -> Channel:
        self._own.unlink(missing_ok=True)  # of this worker's life before
        self._socket.bind(str(self._own))
        asyncio.get_running_loop().add_reader(self._socket, self._readable)
        self._router.share_with(self)
        return self

    def __exit__(self, *_: object) -> None:
        asyncio.get_running_loop().remove_reader(self._socket)
        self._socket.close()
        self._own.unlink(missing_ok=True)

    # -- told by the router

    def moved(self, query_id: bytes) -> None:
        self._send(Moved(query_id))

    def pinned(self, token: bytes, target: Target) -> None:
        if len(token) <= _MAX_TOKEN:
            self._send(Pinned(token, target.key, target.ip, target.port))

    def _send(self, message: Moved | Pinned) -> None:
        data = encode(message)
        for path in self._others:
            # A sibling that is being restarted knows nothing to be corrected; one that is flooded catches up by time.
            with contextlib.suppress(OSError):
                self._socket.sendto(data, path)

    # -- told by the loop

    def _readable(self) -> None:
        for _ in range(_MESSAGES_PER_TURN):
            try:
                data = self._socket.recv(_MAX_DATAGRAM)
            except OSError:  # no more for now (BlockingIOError), or nothing that a reader can mend
                return
            message = decode(data)
            if isinstance(message, Moved):
                self._router.moved_away(message.query_id)
            elif message is not None:
                self._router.pinned_elsewhere(message.token, message.key, message.ip, message.port, self._clock())
            else:
                _LOG.warning("a sibling sent %d bytes that mean nothing", len(data))
