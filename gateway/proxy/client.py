"""A client's connection: has each request routed and forwarded, and answers in order.

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

from gateway.http1.problem import Problem
from gateway.http1.response import PACKED, ResponseHead
from gateway.proxy import dispatch
from gateway.proxy.answers import plain_error
from gateway.proxy.counters import BUCKET_SCALE, BUCKETS, count
from gateway.proxy.editing import without_compression
from gateway.proxy.memory import NO_MEMO, HeaderMemory, Memo
from gateway.proxy.pages import Page, read_page
from gateway.proxy.paths import OTHER, POLL, SUBMIT, segment_token
from gateway.proxy.reading import RequestReader
from gateway.proxy.states import (
    CLOSED,
    CLOSING,
    IDLE,
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

_RESET: Final = struct.pack("ii", 1, 0)


class Client(RequestReader):
    """asyncio protocol (by shape) of the client's side."""

    __slots__ = (
        "begun",
        "kind",
        "memo_now",
        "method",
        "plain_poll",
        "pool",
        "probe",
        "query_id",
        "repeats",
        "router",
        "seen_moved",
        "sent",
        "serial",
        "started",
        "status",
        "target",
        "target_path",
        "unread",
        "unread_id",
        "unread_target",
        "unsent",
    )

    def __init__(self, server: ProxyServer) -> None:
        super().__init__(server)
        # process
        self.router = server.router
        # connection
        self.seen_moved = 0  # what the sweep saw last
        self.unsent = 0
        # The last page that passed without being read. When its query is polled again, it was not the last one of it.
        self.unread: bytes | None = None
        self.unread_id = b""
        self.unread_target: Target | None = None
        # request
        self.serial = 0  # of searches for an owner
        self.kind = OTHER
        self.plain_poll = False  # a GET of a statement's own URI, after which the connection goes on
        self.method = b""
        self.target_path = b""
        self.memo_now = NO_MEMO
        self.query_id = b""
        self.started = 0.0
        self.sent = 0.0
        self.target: Target | None = None
        self.pool: Pool | None = None
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
        if self.unread is not None:
            self.look_back(b"", self.clock())
        self.server.client_gone(self)

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
            self.pump()

    # -- forwarding -------------------------------------------------------------------------------------------------

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
        """A request's head is sound: take what has come of its body, and route it."""
        now = self.clock()
        self.since = self.started = now
        self.counters.requests += 1
        if self.unread is not None:
            self.look_back(query_id, now)
        head = memo.head
        self.memo_now = memo
        self.method = method
        self.target_path = target
        self.repeats = 0
        if head.length == 0 and not head.chunked:
            self.outgoing = line + memo.forward
            if body_start < len(data):
                self.keep_for_later(data[body_start:])
        elif not self.start_body(line, memo, data, body_start):
            return
        if query_id is not None:
            self.kind = POLL
            self.plain_poll = self.keep and self.body == NO_BODY and method == b"GET"
            self.query_id = query_id
            owner = self.router.owner(query_id, now)
            if isinstance(owner, Target):
                self.forward(owner, now)
            else:
                dispatch.unowned(self, owner, now)
        else:
            self.plain_poll = False
            dispatch.route(self, memo, now)

    def forward(self, target: Target, now: float) -> None:
        """Send the request to `target`, now or as soon as there is a connection."""
        self.target = target
        self.probe = self.router.begin(target, now)
        self.begun = True
        pool: Pool | None = target.pool
        if pool is None:
            pool = self.server.pool_of(target)
        self.pool = pool
        if pool.leaks and self.kind in (POLL, SUBMIT):
            self.outgoing = without_compression(self.outgoing)
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

    def taken_over(
        self, memo: Memo, outgoing: bytes, query_id: bytes, pool: Pool, upstream: Upstream, started: float
    ) -> None:
        """The express lane has forwarded a poll of ours that it will not see the end of: what `accepted` would be
        remembering now, had it come here."""
        self.since = self.started = self.sent = started
        self.kind = POLL
        self.plain_poll = True
        self.memo_now = memo
        self.method = b"GET"
        self.target_path = outgoing[4 : outgoing.index(b" HTTP/1.1\r\n")]
        self.outgoing = outgoing
        self.query_id = query_id
        self.keep = True
        self.reusable = True
        self.repeats = 0
        self.target = pool.target
        self.pool = pool
        self.begun = True
        self.probe = False
        self.upstream = upstream
        self.phase = WAITING

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
            self.router.submitted(page.query_id, target, self.memo_now.head.spools)
        self.router.query_seen(target, page.query_id, page.state, page.done, now)

    def went_unread(self, target: Target, query_id: bytes, page: bytes) -> None:
        """A compressed page has passed that nobody had to read; it is kept until that is certain."""
        self.unread = page
        self.unread_id = query_id
        self.unread_target = target

    def look_back(self, polled: bytes | None, now: float) -> None:
        """Read the page that passed unread, unless its query is being polled again."""
        body, target = self.unread, self.unread_target
        self.unread = None
        if polled == self.unread_id or body is None or target is None:
            return
        if not self.router.is_live(self.unread_id):
            return  # it has ended since, over another connection: an old page must not bring it back
        page = read_page(body, False, PACKED[0], True)
        if page is not None:
            self.router.query_seen(target, self.unread_id, page.state, page.done, now)

    def segments_seen(self, identifiers: list[bytes]) -> None:
        """The page names spooled segments, which its coordinator alone can serve."""
        target = self.target
        assert target is not None
        now = self.clock()
        for identifier in identifiers:
            self.router.pin(segment_token(identifier), target, now)

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
            self.pump()

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
