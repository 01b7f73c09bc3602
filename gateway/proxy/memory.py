"""What a connection remembers of header blocks, so that it judges each one once.

Clients send the same headers with every request of a connection; comparing two blocks of bytes costs a fortieth of
judging one. Two blocks are kept because statements and polls differ, and alternate. Everything remembered follows
from the block and the connection alone, except the route, which is good for one epoch of the route table.
"""

from __future__ import annotations

from typing import Final

from gateway.http1 import problem as problems
from gateway.http1.forwarded import Origin, origin_of
from gateway.http1.limits import Limits
from gateway.http1.problem import Problem
from gateway.http1.request import RequestHead, parse_request_headers
from gateway.routing.model import Refusal, Route

_KEPT_IDLE: Final = 4096  # bytes of remembered blocks that an idle connection may keep


class Memo:
    """What follows from a header block; `route` holds for `epoch` only."""

    __slots__ = ("base", "epoch", "forward", "head", "route")

    def __init__(self, head: RequestHead, base: bytes, forward: bytes) -> None:
        self.head = head
        self.base = base  # the address that the client used, as a URI without a trailing slash
        self.forward = forward  # the block that goes to the coordinator
        self.route: Route | Refusal | None = None
        self.epoch = -1


NO_MEMO: Final = Memo(RequestHead(), b"", b"")


class HeaderMemory:
    """Of one connection: who is at its other end, and the last two header blocks that came over it."""

    __slots__ = (
        "_before",
        "_block_before",
        "_limits",
        "_origin",
        "_origin_host",
        "_peer",
        "_port",
        "_proto",
        "_trusted",
        "block",
        "memo",
    )

    def __init__(self, limits: Limits, proto: bytes, port: bytes, peer: bytes, trusted: bool) -> None:
        self._limits = limits
        self._proto = proto
        self._port = port
        self._peer = peer
        self._trusted = trusted
        self.block = b""
        self.memo: Memo | None = None
        self._block_before = b""
        self._before: Memo | None = None
        self._origin: Origin | None = None  # of the last request that brought no X-Forwarded-* along
        self._origin_host = b""

    def recall(self, block: bytes) -> Memo | Problem:
        """What a block means that is not the last one's: that of the one before, or judged anew."""
        memo = self._before
        if memo is None or block != self._block_before:
            head = self.judge(block)
            if isinstance(head, Problem):
                return head
            memo = self.derive(head)
        self._before, self._block_before = self.memo, self.block
        self.memo, self.block = memo, block
        return memo

    def judge(self, block: bytes) -> RequestHead | Problem:
        """What a header block says, if it may."""
        head = parse_request_headers(block, self._limits.headers)
        if isinstance(head, RequestHead) and head.length > self._limits.body:
            return problems.BODY_TOO_LARGE
        return head

    def derive(self, head: RequestHead) -> Memo:
        """All that follows from a header block and this connection."""
        shown = head.host or self.own_host()
        origin = self._origin
        if origin is None or shown != self._origin_host or head.forwarded is not None:
            origin = origin_of(shown, self._proto, self._port, self._peer, head.forwarded, self._trusted)
            if head.forwarded is None:
                self._origin = origin
                self._origin_host = shown
        return Memo(head, origin.base, b"".join((head.kept, origin.lines, b"\r\n")))

    def own_host(self) -> bytes:
        """What to call ourselves to a client that did not say what it calls us."""
        return b"localhost:" + self._port if self._port else b"localhost"

    def forget(self) -> None:
        """Let go of the blocks."""
        self.memo = self._before = None
        self.block = self._block_before = b""

    def forget_if_large(self) -> None:
        """An idle connection does not keep a prepared statement of a megabyte."""
        if len(self.block) + len(self._block_before) > _KEPT_IDLE:
            self.forget()
