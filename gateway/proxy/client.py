"""A client's connection: reads requests, has each one routed and forwarded, answers in order.

One request is in progress at a time; what a client sends ahead waits, bounded. State is grouped by lifetime. The
decisions on a request are in `dispatch`; this class moves bytes and keeps the promises of the connection: order,
backpressure both ways, one `end` for each `begin`, and a `Connection: close` before every close that can say so.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct
from typing import TYPE_CHECKING, Final

from gateway.http1 import problem as problems
from gateway.http1.chunks import MALFORMED, ChunkScanner
from gateway.http1.limits import DEFAULT_LIMITS
from gateway.http1.problem import Problem
from gateway.http1.request import absolute_or_problem, hopeless, without
from gateway.http1.response import ResponseHead
from gateway.proxy import dispatch
from gateway.proxy.answers import plain_error
from gateway.proxy.counters import BUCKET_SCALE, BUCKETS, count
from gateway.proxy.memory import NO_MEMO, HeaderMemory, Memo
from gateway.proxy.pages import Page
from gateway.proxy.paths import OTHER, POLL, SUBMIT, polled_id, request_line
from gateway.proxy.states import (
    CHUNKED,
    CLOSED,
    CLOSING,
    IDLE,
    LENGTH,
    LINGERING,
    NO_BODY,
    PARKED,
    RELAYING,
    WAITING,
)
from gateway.routing.model import Outcome, Target

if TYPE_CHECKING:
    from gateway.proxy.pool import Pool
    from gateway.proxy.server import ProxyServer
    from gateway.proxy.upstream import Upstream

_OK: Final = Outcome.OK
_OVERLOAD: Final = Outcome.OVERLOAD
_SERVER_ERROR: Final = Outcome.SERVER_ERROR

_DETACHED: Final = asyncio.Transport()
_NO_MEMORY: Final = HeaderMemory(DEFAULT_LIMITS, b"http", b"", b"unknown", False)
_RESET: Final = struct.pack("ii", 1, 0)


class Client:
    """asyncio protocol (by shape) of the client's side."""

    __slots__ = (
        "begun",
        "body",
        "body_left",
        "buffer",
        "chunks",
        "clock",
        "counters",
        "half_closed",
        "head_limit",
        "keep",
        "kind",
        "memo_now",
        "memory",
        "method",
        "moved",
        "outgoing",
        "parked_body",
        "partial",
        "phase",
        "pool",
        "probe",
        "pumping",
        "query_id",
        "read_paused",
        "repeats",
        "reusable",
        "router",
        "seen_moved",
        "sent",
        "serial",
        "server",
        "settings",
        "since",
        "started",
        "status",
        "target",
        "target_limit",
        "target_path",
        "tls",
        "transport",
        "unsent",
        "upstream",
        "write_paused",
    )

    def __init__(self, server: ProxyServer) -> None:
        # process
        self.server = server
        self.router = server.router
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
        self.seen_moved = 0
        self.unsent = 0
        # request
        self.serial = 0  # of searches for an owner
        self.kind = OTHER
        self.method = b""
        self.target_path = b""
        self.memo_now = NO_MEMO
        self.query_id = b""
        self.keep = True  # the client wants the connection kept
        self.reusable = True  # the coordinator's connection can be kept
        self.outgoing = b""  # what goes to the coordinator at once
        self.body = NO_BODY
        self.body_left = 0
        self.chunks: ChunkScanner | None = None
        self.parked_body: list[bytes] | None = None
        self.started = 0.0
        self.sent = 0.0
        self.target: Target | None = None
        self.pool: Pool | None = None
        self.upstream: Upstream | None = None
        self.begun = False
        self.probe = False
        self.repeats = 0
        self.status = 0

    # -- called by the event loop -----------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.Transport) -> None:
        self.transport = transport
        peer, port = b"unknown", b""
        there = transport.get_extra_info("peername")
        if isinstance(there, tuple) and there:
            peer = str(there[0]).partition("%")[0].encode("ascii", "replace")
        here = transport.get_extra_info("sockname")
        if isinstance(here, tuple) and len(here) > 1:
            port = str(here[1]).encode()
        self.tls = transport.get_extra_info("sslcontext") is not None
        proto = b"https" if self.tls else b"http"
        self.memory = HeaderMemory(self.settings.limits, proto, port, peer, self.server.trusted.trusts(peer))
        self.since = self.clock()
        self.counters.connections += 1
        self.counters.open_connections += 1
        self.server.clients[self] = None

    def connection_lost(self, error: Exception | None) -> None:
        self._abandon()
        self.phase = CLOSED
        self.counters.open_connections -= 1
        self.buffer = None
        self.memory.forget()
        self.server.client_gone(self)

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
            self._keep_for_later(data)

    def eof_received(self) -> bool:
        """The client will send no more. What it has asked for it still gets, unless it cannot have asked in full."""
        phase = self.phase
        asked = phase != IDLE or (self.buffer is not None and not self.partial)
        if asked and phase < LINGERING and self.body == NO_BODY and not self.tls:
            self.half_closed = True
            return True
        self._abandon()
        if phase < CLOSING:
            self.close()
        return False

    def pause_writing(self) -> None:
        self.write_paused = True
        if self.upstream is not None:
            self.upstream.hold()

    def resume_writing(self) -> None:
        self.write_paused = False
        if self.upstream is not None:
            self.upstream.unhold()
        elif self.phase == IDLE and self.buffer is not None:
            self._pump()

    # -- reading requests -------------------------------------------------------------------------------------------

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
            self._start(method, target, query_id, data[:line_end], memo, data, end + 4)
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
            self._start(found.method, found.target, polled_id(found.target), line, memo, data, end + 4)
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
        self._start(method, target, polled_id(target), line, plain, data, end + 4)

    def _start(
        self,
        method: bytes,
        target: bytes,
        query_id: bytes | None,
        line: bytes,
        memo: Memo,
        data: bytes,
        body_start: int,
    ) -> None:
        """A request is accepted: take what has come of its body, and route it."""
        now = self.clock()
        self.since = self.started = now
        self.counters.requests += 1
        head = memo.head
        self.memo_now = memo
        self.method = method
        self.target_path = target
        self.repeats = 0
        if head.length == 0 and not head.chunked:
            self.outgoing = line + memo.forward
            if body_start < len(data):
                self._keep_for_later(data[body_start:])
        elif not self._start_body(line, memo, data, body_start):
            return
        if query_id is not None:
            self.kind = POLL
            self.query_id = query_id
            owner = self.router.owner(query_id, now)
            if isinstance(owner, Target):
                self.forward(owner, now)
            else:
                dispatch.unowned(self, owner, now)
        else:
            dispatch.route(self, memo, now)

    def _start_body(self, line: bytes, memo: Memo, data: bytes, body_start: int) -> bool:
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

    def _keep_for_later(self, data: bytes) -> None:
        """Bytes of requests that come after the one in progress."""
        if self.buffer is None:
            self.buffer = bytearray(data)
        else:
            self.buffer += data
        if len(self.buffer) > self.settings.pipeline_bytes:
            self.hold()

    def _pump(self) -> None:
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

    # -- the request's body -----------------------------------------------------------------------------------------

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
            self._keep_for_later(rest)
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
        """Read on, unless too much is waiting already."""
        if self.read_paused and (self.buffer is None or len(self.buffer) <= self.settings.pipeline_bytes):
            self.read_paused = False
            if self.phase < CLOSING and not self.transport.is_closing():
                self.transport.resume_reading()

    # -- forwarding -------------------------------------------------------------------------------------------------

    def forward(self, target: Target, now: float) -> None:
        """Send the request to `target`, now or as soon as there is a connection."""
        self.target = target
        self.probe = self.router.begin(target, now)
        self.begun = True
        pool: Pool | None = target.pool
        if pool is None:
            pool = self.server.pool_of(target)
        self.pool = pool
        upstream = pool.take(now)
        if upstream is not None:
            self.phase = WAITING
            self.sent = now
            self.upstream = upstream
            upstream.start(self, self.outgoing)
            return
        self.park()
        if not pool.wait(self):
            self.phase = WAITING
            self.end(Outcome.CLIENT_ABORT, now)
            dispatch.overloaded(self)

    def park(self) -> None:
        """Wait for a connection or an owner; the rest of the body stays with the client meanwhile."""
        self.phase = PARKED
        self.counters.parked += 1
        if self.body != NO_BODY:
            self.hold()

    def connected(self, upstream: Upstream) -> None:
        """The pool has a connection for this request."""
        if self.phase != PARKED:
            return
        self.phase = WAITING
        self.since = self.sent = self.clock()
        self.upstream = upstream
        outgoing = self.outgoing
        if self.parked_body is not None:
            outgoing = b"".join((outgoing, *self.parked_body))
            self.parked_body = None
        upstream.start(self, outgoing)
        if not upstream.write_paused:
            self.unhold()

    def connect_failed(self, timed_out: bool) -> None:
        """The pool could not open a connection for this request. Nothing was sent."""
        now = self.clock()
        self.end(Outcome.TIMEOUT if timed_out else Outcome.CONNECT_FAILED, now)
        dispatch.connect_failed(self, timed_out, now)

    def failed(self, upstream: Upstream, outcome: Outcome) -> None:
        """The coordinator's connection broke, or what came over it cannot be trusted."""
        self.upstream = None
        if self.phase == RELAYING:
            self.end(outcome, self.clock())
            self.abort()
            return
        stale = outcome is Outcome.RESET and upstream.requests > 1 and not upstream.touched
        if stale and self.repeats == 0 and self._replayable() and self.pool is not None:
            self.repeats += 1
            self.counters.retries += 1
            self.phase = PARKED
            self.pool.connect_for(self)
            return
        self.end(outcome, self.clock())
        dispatch.failed(self, outcome)

    def _replayable(self) -> bool:
        """Whether the request changes nothing and is all in `outgoing`: it may be sent again."""
        head = self.memo_now.head
        return self.method in (b"GET", b"HEAD") and head.length == 0 and not head.chunked

    @property
    def parked_for_owner(self) -> bool:
        """Whether the request waits for its query's owner to be found."""
        return self.phase == PARKED and self.pool is None

    def unpark(self) -> None:
        """Wait for a connection no longer."""
        if self.phase == PARKED and self.pool is not None:
            self.pool.forget(self)

    def drop_upstream(self) -> None:
        """End the connection that the request went over, if it went over one."""
        upstream, self.upstream = self.upstream, None
        if upstream is not None:
            upstream.close()

    def give_up(self, problem: Problem) -> None:
        """The request's body turned out to be unacceptable while it was already being forwarded, or about to be."""
        self.unpark()
        self.drop_upstream()
        self.end(Outcome.CLIENT_ABORT, self.clock())
        if self.phase == RELAYING:
            self.abort()
        else:
            self.refuse(problem)

    def end(self, outcome: Outcome, now: float) -> None:
        """Tell the router, once, how the forwarded request ended."""
        if self.begun:
            self.begun = False
            target = self.target
            assert target is not None
            self.router.end(target, outcome, self.probe, now)
            if self.pool is not None:
                self.pool.stats.outcomes[outcome] += 1

    # -- the response -----------------------------------------------------------------------------------------------

    def write(self, data: bytes) -> None:
        """Pass bytes of the response on."""
        self.moved += 1
        self.counters.bytes_out += len(data)
        self.transport.write(data)

    def interim(self, head: bytes) -> None:
        """A 1xx response: passed on to those who know what it is."""
        if self.reusable:
            self.write(head)

    def cancelled(self, now: float) -> None:
        """The coordinator has agreed to a DELETE of a query."""
        target = self.target
        assert target is not None
        self.router.query_seen(target, self.query_id, None, True, now)

    def inspect(self, head: ResponseHead, kept: bytes) -> bytes:
        """Headers that pin something to the coordinator, or may have to be edited."""
        return dispatch.inspect(self, head, kept)

    def page_seen(self, page: Page, now: float) -> None:
        """The head of a statement's page has told what it holds."""
        target = self.target
        assert target is not None
        if self.kind == SUBMIT:
            self.router.learned(page.query_id, target)
        self.router.query_seen(target, page.query_id, page.state, page.done, now)

    def response_done(self, now: float) -> None:
        """The last byte of the coordinator's response has gone on."""
        self.upstream = None
        status = self.status
        counters = self.counters
        counters.responses[status // 100] += 1
        elapsed = now - self.started
        bucket = int(elapsed * BUCKET_SCALE).bit_length()
        counters.latency[bucket if bucket < BUCKETS else BUCKETS - 1] += 1
        counters.latency_sum += elapsed
        self.begun = False
        target = self.target
        pool = self.pool
        assert target is not None
        assert pool is not None
        outcome = _OK if status < 500 else _OVERLOAD if status == 503 else _SERVER_ERROR
        pool.stats.outcomes[outcome] += 1
        self.router.end(target, outcome, self.probe, now)
        if self.keep and self.buffer is None and not self.half_closed and not self.read_paused:
            self.phase = IDLE
            self.since = now
        else:
            self._next(now)

    def answer(self, data: bytes, status: int) -> None:
        """An answer of our own ends the request. It says `Connection: close` when `closes` says so."""
        self.counters.responses[status // 100] += 1
        self.write(data)
        if self.closes:
            self.keep = False
        self._next(self.clock())

    @property
    def closes(self) -> bool:
        """Whether an answer of our own must announce the connection's end."""
        return not self.keep or self.body != NO_BODY or self.server.draining

    def refuse(self, problem: Problem) -> None:
        """The connection is out of step: say why, and close it."""
        count(self.counters.problems, problem.kind)
        self.counters.responses[problem.status // 100] += 1
        self.buffer = None
        self.partial = False
        self.write(plain_error(problem.status, problem.kind, problem.message, True))
        self.linger()

    def _next(self, now: float) -> None:
        """The request is over: on to the next one, or the end."""
        self.since = now
        if not self.keep:
            if self.body != NO_BODY or self.read_paused:
                self.linger()
            else:
                self.close()
            return
        self.phase = IDLE
        self.parked_body = None
        if self.buffer is not None or self.half_closed or self.read_paused:
            self._pump()

    # -- ending the connection --------------------------------------------------------------------------------------

    def linger(self) -> None:
        """Close, but first let the client read its answer: a reset for bytes still coming would take it away."""
        self.body = NO_BODY
        self.chunks = None
        self.buffer = None
        self.parked_body = None
        self.since = self.clock()
        if not self.transport.can_write_eof() or self.half_closed or self.transport.is_closing():
            self.close()
            return
        self.phase = LINGERING
        self.transport.write_eof()
        if self.read_paused:
            self.read_paused = False
            self.transport.resume_reading()

    def close(self) -> None:
        """Close once all bytes are out."""
        self.buffer = None
        self.body = NO_BODY
        self.since = self.clock()
        self.phase = CLOSING
        self.transport.close()

    def abort(self) -> None:
        """Cut the connection so that the client can tell: a truncated response must not look complete."""
        self.phase = CLOSED
        self.buffer = None
        raw = self.transport.get_extra_info("socket")
        if raw is not None:
            with contextlib.suppress(OSError):
                raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
        self.transport.abort()

    def _abandon(self) -> None:
        """Nobody waits for the present request any more."""
        self.unpark()
        self.drop_upstream()
        if self.phase in (PARKED, WAITING, RELAYING):
            self.counters.client_aborts += 1
        self.end(Outcome.CLIENT_ABORT, self.clock())

    def drain(self) -> None:
        """The server is going down: an idle connection is closed now, a busy one after its response."""
        if self.phase == IDLE and self.buffer is None and not self.write_paused:
            self.close()
