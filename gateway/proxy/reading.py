"""Reading requests off a client's connection: heads, bodies, and what is sent ahead.

The half of a client's protocol that turns bytes into requests; the other half, which forwards and answers them, builds
on it. A request that is sound goes to `accepted`; one that is not to `refuse`, or, once its body has begun to go on,
to `give_up`. Reading stops whenever nobody could take what comes.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

from gateway.http1 import problem as problems
from gateway.http1.chunks import MALFORMED, ChunkScanner
from gateway.http1.limits import DEFAULT_LIMITS
from gateway.http1.problem import Problem
from gateway.http1.request import absolute_or_problem, hopeless, without
from gateway.proxy.memory import HeaderMemory, Memo
from gateway.proxy.paths import polled_id, request_line
from gateway.proxy.states import CHUNKED, CLOSING, IDLE, LENGTH, LINGERING, NO_BODY, PARKED

if TYPE_CHECKING:
    from gateway.proxy.server import ProxyServer
    from gateway.proxy.upstream import Upstream

_DETACHED: Final = asyncio.Transport()
_NO_MEMORY: Final = HeaderMemory(DEFAULT_LIMITS, b"http", b"", b"unknown", False)


class RequestReader:
    """What of a client's connection has to do with reading."""

    __slots__ = (
        "body",
        "body_left",
        "buffer",
        "chunks",
        "clock",
        "counters",
        "half_closed",
        "head_limit",
        "keep",
        "memory",
        "moved",
        "outgoing",
        "parked_body",
        "partial",
        "phase",
        "pumping",
        "read_paused",
        "reusable",
        "server",
        "settings",
        "since",
        "target_limit",
        "tls",
        "transport",
        "upstream",
        "write_paused",
    )

    def __init__(self, server: ProxyServer) -> None:
        # process
        self.server = server
        self.settings = server.settings
        self.counters = server.counters
        self.clock = server.clock
        self.head_limit = server.settings.limits.head
        self.target_limit = server.settings.limits.target
        # connection
        self.transport = _DETACHED
        self.tls = False
        self.memory = _NO_MEMORY
        self.phase = IDLE
        self.buffer: bytearray | None = None  # an unfinished head, or requests sent ahead
        self.partial = False  # the buffer is an unfinished head, already looked at
        self.write_paused = False
        self.read_paused = False
        self.half_closed = False
        self.pumping = False
        self.since = 0.0  # when the present state began, or last made progress; for the sweep
        self.moved = 0  # counts pieces of body that moved; the sweep compares
        # request
        self.keep = True  # the client wants the connection kept
        self.reusable = True  # the coordinator's connection can be kept
        self.outgoing = b""  # what goes to the coordinator at once
        self.body = NO_BODY
        self.body_left = 0
        self.chunks: ChunkScanner | None = None
        self.parked_body: list[bytes] | None = None  # body that came while there was no connection to send it on
        self.upstream: Upstream | None = None

    # -- the other half ---------------------------------------------------------------------------------------------

    def accepted(
        self,
        method: bytes,
        target: bytes,
        query_id: bytes | None,
        line: bytes,
        memo: Memo,
        data: bytes,
        body_start: int,
    ) -> None:
        """A request's head is sound; its body begins at data[body_start]."""
        raise NotImplementedError

    def refuse(self, problem: Problem) -> None:
        """What came is no request."""
        raise NotImplementedError

    def give_up(self, problem: Problem) -> None:
        """The body of a request that was accepted is unacceptable."""
        raise NotImplementedError

    def close(self) -> None:
        """Close once all bytes are out."""
        raise NotImplementedError

    def data_received(self, data: bytes) -> None:
        self.counters.bytes_in += len(data)
        phase = self.phase
        if phase == IDLE and self.buffer is None and not self.write_paused:
            self._serve(data)
        elif phase == IDLE and self.partial:
            self._more_head(data)
        elif phase >= LINGERING:
            return
        elif self.body != NO_BODY and phase != IDLE:
            self._more_body(data)
        else:
            self.keep_for_later(data)

    # -- heads ------------------------------------------------------------------------------------------------------

    def _serve(self, data: bytes) -> None:
        """Bytes that begin with a request."""
        end = data.find(b"\r\n\r\n")
        if end < 0:
            self._begin_head(data)
            return
        line = request_line(data)
        if line is None:
            self._serve_absolute(data, end)
            return
        method, target, query_id, minor = line.groups()
        line_end = line.end()
        block = data[line_end : end + 4]
        memory = self.memory
        memo = memory.memo
        if memo is None or block != memory.block:
            recalled = memory.recall(block)
            if isinstance(recalled, Problem):
                self.refuse(recalled)
                return
            memo = recalled
        if end > self.head_limit:
            self.refuse(problems.HEAD_TOO_LARGE)
        elif line_end > self.target_limit:
            self.refuse(problems.TARGET_TOO_LONG)
        elif minor == b"1" and memo.head.host is not None:
            self.keep = not memo.head.close
            self.reusable = True
            self.accepted(method, target, query_id, data[:line_end], memo, data, end + 4)
        elif minor == b"1":
            self.refuse(problems.BAD_HOST)
        else:
            self._serve_1_0(method, target, memo, data, end)

    def _serve_absolute(self, data: bytes, end: int) -> None:
        """A request line that is not in plain form: an absolute one, whose host rules, or none."""
        found = absolute_or_problem(data)
        if isinstance(found, Problem):
            self.refuse(found)
            return
        head = self.memory.judge(data[data.index(b"\r\n") + 2 : end + 4])
        if isinstance(head, Problem):
            self.refuse(head)
            return
        if head.host is None:
            if found.minor == b"1":
                self.refuse(problems.BAD_HOST)
                return
            head.host = found.host
            head.kept = b"".join((b"Host: ", found.host, b"\r\n", head.kept))
        elif head.host.lower() != found.host.lower():
            self.refuse(problems.HOST_MISMATCH)
            return
        memo = self.memory.derive(head)
        if found.minor == b"1":
            self.keep = not head.close
            self.reusable = True
            line = b"".join((found.method, b" ", found.target, b" HTTP/1.1\r\n"))
            self.accepted(found.method, found.target, polled_id(found.target), line, memo, data, end + 4)
        else:
            self._serve_1_0(found.method, found.target, memo, data, end)

    def _serve_1_0(self, method: bytes, target: bytes, memo: Memo, data: bytes, end: int) -> None:
        """HTTP/1.0: no transfer codings, no interim responses, and one request per connection."""
        if memo.head.chunked:
            self.refuse(problems.CODING_IN_1_0)
            return
        self.keep = False
        self.reusable = False
        forward = memo.forward
        if memo.head.expects_continue:
            forward = without(forward[:-2], b"expect") + b"\r\n"
        if memo.head.host is None:
            forward = b"Host: " + self.memory.own_host() + b"\r\n" + forward
        plain = Memo(memo.head, memo.base, forward)
        line = b"".join((method, b" ", target, b" HTTP/1.0\r\n"))
        self.accepted(method, target, polled_id(target), line, plain, data, end + 4)

    # -- bodies -----------------------------------------------------------------------------------------------------

    def start_body(self, line: bytes, memo: Memo, data: bytes, body_start: int) -> bool:
        """The beginning of a request with a body; False when it was given up already."""
        head = memo.head
        if head.chunked:
            self.body = CHUNKED
            self.chunks = ChunkScanner(self.settings.limits.chunk_line, self.settings.limits.trailers)
        else:
            self.body = LENGTH
            self.body_left = head.length
        piece: bytes | None = b""
        if body_start < len(data):
            piece = self._body_piece(data[body_start:])
        if piece is None:
            return False
        self.outgoing = b"".join((line, memo.forward, piece))
        return True

    def _begin_head(self, data: bytes) -> None:
        problem = hopeless(data)
        if problem is None and len(data) > self.head_limit:
            problem = problems.HEAD_TOO_LARGE
        if problem is not None:
            self.refuse(problem)
            return
        self.buffer = bytearray(data)
        self.partial = True
        self.since = self.clock()

    def _more_head(self, data: bytes) -> None:
        buffer = self.buffer
        assert buffer is not None
        seen = len(buffer)
        buffer += data
        if buffer.find(b"\r\n\r\n", max(0, seen - 3)) >= 0:
            self.buffer = None
            self.partial = False
            self._serve(bytes(buffer))
            return
        problem = hopeless(buffer, 0 if seen < 64 else seen)
        if problem is None and len(buffer) > self.head_limit:
            problem = problems.HEAD_TOO_LARGE
        if problem is not None:
            self.refuse(problem)

    def keep_for_later(self, data: bytes) -> None:
        """Bytes of requests that come after the one in progress."""
        if self.buffer is None:
            self.buffer = bytearray(data)
        else:
            self.buffer += data
        if len(self.buffer) > self.settings.pipeline_bytes:
            self.hold()

    def pump(self) -> None:
        """Serve what was sent ahead, until a request is in progress or more bytes are needed."""
        if self.pumping:
            return
        self.pumping = True
        while self.phase == IDLE and self.buffer is not None and not self.partial and not self.write_paused:
            data = bytes(self.buffer)
            self.buffer = None
            self._serve(data)
        self.pumping = False
        if self.phase < LINGERING and self.body == NO_BODY:
            self.unhold()
        if self.phase == IDLE and self.half_closed and not self.write_paused:
            self.close()

    def _body_piece(self, data: bytes) -> bytes | None:
        """What of `data` belongs to the body; the rest is kept for later. None when the request was given up."""
        if self.body == LENGTH:
            size = len(data)
            if size < self.body_left:
                self.body_left -= size
                return data
            end = self.body_left
        else:
            chunks = self.chunks
            assert chunks is not None
            end = chunks.feed(data, 0)
            if end == MALFORMED:
                self.give_up(problems.BAD_CHUNK)
                return None
            if chunks.payload > self.settings.limits.body:
                self.give_up(problems.BODY_TOO_LARGE)
                return None
            if end < 0:
                return data
            self.chunks = None
        self.body = NO_BODY
        self.body_left = 0
        if end < len(data):
            rest = data[end:]
            data = data[:end]
            self.keep_for_later(rest)
        return data

    def _more_body(self, data: bytes) -> None:
        self.moved += 1
        piece = self._body_piece(data)
        if not piece:
            return
        if self.upstream is not None:
            self.upstream.send(piece)
        elif self.phase == PARKED:
            if self.parked_body is None:
                self.parked_body = []
            self.parked_body.append(piece)
            self.hold()

    def hold(self) -> None:
        """Read no more for now."""
        if not self.read_paused and self.phase < CLOSING and not self.transport.is_closing():
            self.read_paused = True
            self.transport.pause_reading()

    def unhold(self) -> None:
        """Read on, unless too much is waiting already. A head that is being read has a limit of its own."""
        buffer = self.buffer
        if self.read_paused and (buffer is None or self.partial or len(buffer) <= self.settings.pipeline_bytes):
            self.read_paused = False
            if self.phase < CLOSING and not self.transport.is_closing():
                self.transport.resume_reading()
