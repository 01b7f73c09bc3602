"""A connection to a coordinator: takes one request at a time, relays its response, goes back to its pool.

The response's framing is followed byte by byte, and its bytes pass as they came. A response that comes in one piece
is written to the client in one piece. What cannot be trusted ends the connection: `Client.failed` decides what the
client gets to see of that.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

from gateway.http1.chunks import MALFORMED, ChunkScanner
from gateway.http1.response import PACKED, ResponseHead, kept_of, parse_response_head
from gateway.proxy.counters import BUCKET_SCALE, BUCKETS
from gateway.proxy.editing import HEAD_BYTES, edited_page, grown_head, names_own, whole_head
from gateway.proxy.pages import (
    PREFIX_BYTES,
    dechunked,
    first_page,
    has_rows,
    inflated,
    may_be_spooled,
    poll_state,
    read_page,
    usual_page,
)
from gateway.proxy.paths import POLL, SUBMIT
from gateway.proxy.segments import SegmentWatch
from gateway.proxy.states import RELAYING, WAITING
from gateway.routing.model import Outcome

if TYPE_CHECKING:
    from gateway.proxy.client import Client
    from gateway.proxy.pool import Pool

IDLE: Final = 0
HEAD: Final = 1  # a request is out; its response head has not (all) come
LENGTH: Final = 2  # within a body of known length
CHUNKED: Final = 3
UNTIL_CLOSE: Final = 4
CLOSED: Final = 5


_DETACHED: Final = asyncio.Transport()
_PAGED: Final = (POLL, SUBMIT)
_INFLATED_BYTES: Final = 1024 * 1024
_INTERIM_LIMIT: Final = 32  # 1xx responses to one request


class Upstream:
    """asyncio protocol (by shape) of the coordinator's side."""

    __slots__ = (
        "chunks",
        "client",
        "counters",
        "encoding",
        "head_buffer",
        "held",
        "held_head",
        "held_total",
        "idle_since",
        "interim",
        "left",
        "limits",
        "look_at",
        "phase",
        "pool",
        "prefix",
        "read_paused",
        "requests",
        "reusable",
        "stats",
        "touched",
        "transport",
        "watch",
        "write_paused",
    )

    def __init__(self, pool: Pool) -> None:
        # process
        self.pool = pool
        self.counters = pool.counters
        self.stats = pool.stats
        self.limits = pool.settings.limits
        # connection
        self.transport = _DETACHED
        self.requests = 0
        self.idle_since = 0.0
        self.read_paused = False
        self.write_paused = False
        # request
        self.client: Client | None = None
        self.phase = IDLE
        self.touched = False  # a byte of the response has come
        self.interim = 0
        self.head_buffer = b""
        self.reusable = True
        self.left = 0
        self.chunks: ChunkScanner | None = None
        self.prefix: bytearray | None = None  # of a statement's page whose head has not told all yet
        self.watch: SegmentWatch | None = None
        self.look_at = 0  # length of the prefix at which to look again
        self.encoding: bytes | None = None
        self.held: bytearray | None = None  # of a page that may have to be edited
        self.held_head = b""
        self.held_total = 0

    # -- asked by pool and client -----------------------------------------------------------------------------------

    def fit(self, deadline: float) -> bool:
        """Whether this idle connection may be used; `deadline` is the earliest `idle_since` that is fresh enough."""
        return (
            self.phase == IDLE
            and (self.idle_since >= deadline or self.requests == 0)
            and not self.transport.is_closing()
            and not self.write_paused
        )

    def start(self, client: Client, data: bytes) -> None:
        """Send a request, or its beginning."""
        self.client = client
        self.phase = HEAD
        self.touched = False
        self.interim = 0
        self.requests += 1
        self.counters.upstream_bytes_out += len(data)
        self.transport.write(data)

    def taken_over(self, client: Client, requests: int) -> None:
        """The express lane has sent a request of `client` that it will not see the end of, the last of `requests`."""
        self.requests += requests
        self.client = client
        self.phase = HEAD
        self.touched = False
        self.interim = 0

    def send(self, data: bytes) -> None:
        """Send more of the request's body."""
        self.counters.upstream_bytes_out += len(data)
        self.transport.write(data)

    def hold(self) -> None:
        """The client is not taking bytes: stop reading."""
        if not self.read_paused and self.phase != CLOSED:
            self.read_paused = True
            self.transport.pause_reading()

    def unhold(self) -> None:
        """The client takes bytes again."""
        if self.read_paused:
            self.read_paused = False
            if self.phase != CLOSED and not self.transport.is_closing():
                self.transport.resume_reading()

    def close(self) -> None:
        """Let go of the connection; nothing on it is of use to anyone."""
        if self.phase != CLOSED:
            self.phase = CLOSED
            self.client = None
            self.transport.abort()

    # -- called by the event loop -----------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.Transport) -> None:
        self.transport = transport
        self.pool.open += 1
        self.counters.upstream_open += 1

    def pause_writing(self) -> None:
        self.write_paused = True
        if self.client is not None:
            self.client.hold()

    def resume_writing(self) -> None:
        self.write_paused = False
        if self.client is not None:
            self.client.unhold()

    def eof_received(self) -> bool:
        if self.phase == IDLE:
            self.close()
        return False

    def connection_lost(self, error: Exception | None) -> None:
        phase = self.phase
        client = self.client
        self.phase = CLOSED
        self.client = None
        self.pool.lost(self)
        if client is None:
            return
        if phase == UNTIL_CLOSE and error is None:
            if self.prefix is not None:
                self._look(client, b"", True)
            client.response_done(client.clock())
        else:
            client.failed(self, Outcome.RESET)

    def data_received(self, data: bytes) -> None:
        self.counters.upstream_bytes_in += len(data)
        client = self.client
        if client is None:
            self.close()  # nobody asked
            return
        phase = self.phase
        if phase == HEAD:
            self.touched = True
            if self.head_buffer:
                data = self.head_buffer + data
                self.head_buffer = b""
            self._head(client, data)
        elif phase == LENGTH:
            size = len(data)
            if size < self.left:
                self.left -= size
                self._pass(client, data, False)
            elif size == self.left:
                self._pass(client, data, True)
            else:
                self.reusable = False  # whatever follows, we did not ask for it
                self._pass(client, data[: self.left], True)
        elif phase == CHUNKED:
            self._chunk(client, data)
        elif phase == UNTIL_CLOSE:
            self._pass(client, data, False)

    # -- the response -----------------------------------------------------------------------------------------------

    def _head(self, client: Client, data: bytes) -> None:
        """Bytes of the response head, from its beginning, and what follows them."""
        limits = self.limits
        end = data.find(b"\r\n\r\n")
        if end < 0 or end > limits.head:
            if len(data) > limits.head or (not data.startswith(b"HTTP/1.") and len(data) >= 7):
                self._distrust(client)
            else:
                self.head_buffer = data
            return
        body_start = end + 4
        size = len(data)
        raw = data if body_start == size else data[:body_start]
        head = parse_response_head(raw, limits.headers)
        # Chunks are no answer to HTTP/1.0, whose readers would take them for the body.
        if head is None or head.status == 101 or (head.chunked and not client.reusable):
            self._distrust(client)
            return
        usual = client.plain_poll and head.length == size - body_start and not self.pool.leaks
        if usual and not client.server.draining and self._usual(client, head, data, body_start):
            return
        status = head.status
        if status < 200:
            self.interim += 1
            if self.interim > _INTERIM_LIMIT:
                self._distrust(client)
                return
            client.interim(raw if head.kept is None else head.kept + b"\r\n")
            if body_start < size and self.client is client:
                self._head(client, data[body_start:])
            return
        now = client.clock()
        elapsed = now - client.sent
        stats = self.stats
        bucket = int(elapsed * BUCKET_SCALE).bit_length()
        stats.first_byte[bucket if bucket < BUCKETS else BUCKETS - 1] += 1
        stats.first_byte_sum += elapsed
        client.status = status
        client.since = now
        client.phase = RELAYING

        if head.chunked and status != 304 and client.method != b"HEAD":
            phase = CHUNKED
        elif status in (204, 304) or client.method == b"HEAD":
            phase = LENGTH
            self.left = 0
            if status == 204 and client.method == b"DELETE" and client.query_id:
                client.cancelled(now)
        elif head.length >= 0:
            phase = LENGTH
            self.left = head.length
        else:
            phase = UNTIL_CLOSE
        self.phase = phase
        # A request body that is still under way has no reader any more: neither connection can be used again.
        self.reusable = not head.close and phase != UNTIL_CLOSE and client.body == 0 and client.reusable
        out_head = raw if head.kept is None else head.kept + b"\r\n"
        if head.noted is not None:
            out_head = client.inspect(head, kept_of(head, raw)) + b"\r\n"
        if not client.keep or phase == UNTIL_CLOSE or client.body != 0 or client.server.draining:
            client.keep = False
            kept = kept_of(head, raw) if head.noted is None else out_head[:-2]
            out_head = kept + b"Connection: close\r\n\r\n"

        paged = status == 200 and client.kind in _PAGED
        if paged and (self.pool.leaks or client.kind == SUBMIT) and self._may_leak(head, data, body_start):
            # Where pages can name their coordinator's address, their beginning is looked at before it goes on.
            client.phase = WAITING
            self.held = bytearray()
            self.held_head = out_head
            self.held_total = self.left
        if phase == LENGTH:
            have = size - body_start
            if have > self.left:
                self.reusable = False
                data = data[: body_start + self.left]
                have = self.left
            self.left -= have
            if self.held is not None:
                self._begin_prefix(head)
                self._pass(client, data[body_start:], self.left == 0)
                return
            if paged:
                self._first_look(client, head, data, body_start, now)
            if out_head is not raw:
                data = out_head + data[body_start:] if have else out_head
            client.moved += 1
            self.counters.bytes_out += len(data)
            client.transport.write(data)
            if self.left == 0:
                self._done(client, now)
            return
        if phase == CHUNKED:
            self.chunks = ChunkScanner(limits.chunk_line, limits.trailers)
        if paged:
            self._begin_prefix(head)
        if self.held is not None:
            if body_start < size:
                self._chunk(client, data[body_start:])
        elif body_start == size:
            client.write(out_head)
        elif phase == CHUNKED:
            self._chunk(client, data[body_start:], out_head)
        else:
            body = data[body_start:]
            if self.prefix is not None:
                self._look(client, body, False)
            client.write(out_head + body)

    def _usual(self, client: Client, head: ResponseHead, data: bytes, body_start: int) -> bool:
        """Nearly every response there is: one piece, a page that says that more follow, nothing to be done to it.

        False, and nothing has been done, when a closer look shows that it is another one. What it counts, `_head`
        counts in the same words: a call for it would cost more than it does.
        """
        target = client.target
        assert target is not None
        now = client.clock()
        if head.usual:
            state = poll_state(data, body_start)
            if state is None and not has_rows(data, body_start):
                return False
            client.router.query_seen(target, client.query_id, state, False, now)
        elif not head.packed or head.length > PREFIX_BYTES:
            return False
        elif client.router.page_passed(target, client.query_id, now):
            client.went_unread(target, client.query_id, data[body_start:])
        else:
            return False
        elapsed = now - client.sent
        stats = self.stats
        bucket = int(elapsed * BUCKET_SCALE).bit_length()
        stats.first_byte[bucket if bucket < BUCKETS else BUCKETS - 1] += 1
        stats.first_byte_sum += elapsed
        client.status = 200
        self.counters.bytes_out += len(data)
        client.transport.write(data)
        self.client = client.upstream = None
        self.phase = IDLE
        if self.read_paused:
            self.unhold()
        if self.write_paused:
            self.close()
        else:
            self.pool.release(self, now)
        client.response_done(now)
        return True

    def _chunk(self, client: Client, data: bytes, out_head: bytes = b"") -> None:
        """Bytes of a chunked body; `out_head` goes before them."""
        chunks = self.chunks
        assert chunks is not None
        end = chunks.feed(data, 0)
        if end == MALFORMED:
            if out_head:
                client.write(out_head)
            self._distrust(client)
            return
        if 0 <= end < len(data):
            self.reusable = False
            data = data[:end]
        self._pass(client, data, end >= 0, out_head)

    def _pass(self, client: Client, data: bytes, last: bool, out_head: bytes = b"") -> None:
        """Pass body bytes on."""
        if self.prefix is not None:
            self._look(client, data, last)
        elif self.watch is not None:
            client.segments_seen(self.watch.feed(data))
        if self.held is not None:
            self.held += data
            if not last and len(self.held) < HEAD_BYTES:
                return
            data = self._release(client, last)
            client.phase = RELAYING
        client.write(out_head + data if out_head else data)
        if last:
            self._done(client, client.clock())

    def _may_leak(self, head: ResponseHead, data: bytes, body_start: int) -> bool:
        """Whether a page has to be held back to see if it names its coordinator's address: not if all of it is here."""
        if self.phase == UNTIL_CLOSE:
            return False  # complete when it ends: too late for an edit of its head
        if self.phase == LENGTH and head.encoding is None and len(data) - body_start >= self.left:
            return names_own(data, body_start, self.pool.own_marks, self.pool.own_port)
        return True

    def _release(self, client: Client, last: bool) -> bytes:
        """The response as far as it was held back, with the coordinator's address edited out of the page's head."""
        assert self.held is not None
        raw = bytes(self.held)
        head = self.held_head
        self.held = None
        self.held_head = b""
        payload = raw if self.chunks is None else dechunked(raw)
        plain = self.encoding is None
        if self.encoding in PACKED and last:
            payload = inflated(payload, _INFLATED_BYTES)
            plain = len(payload) < _INFLATED_BYTES
        edited = edited_page(payload, self.pool.own, client.memo_now.base) if plain else None
        if edited is None:
            return head + raw
        self.pool.leaks = True
        if self.pool.lane is not None:
            self.pool.lane.leaks = True
        self.counters.rewrites += 1
        if last:
            return whole_head(head, len(edited)) + edited
        if self.chunks is not None:
            return head + self.chunks.resumed(edited)
        return grown_head(head, self.held_total + len(edited) - len(payload)) + edited

    def _done(self, client: Client, now: float) -> None:
        """The response is complete: the connection goes back before the client goes on, so that it finds it."""
        self.client = None
        self.phase = IDLE
        self.chunks = None
        self.prefix = None
        self.watch = None
        self.held = None
        if self.reusable and not self.write_paused and client.body == 0:
            self.unhold()  # else the next request on this connection would wait for ever
            client.upstream = None
            self.pool.release(self, now)
        else:
            self.close()
        client.response_done(now)

    def _distrust(self, client: Client) -> None:
        self.phase = CLOSED
        self.client = None
        self.transport.abort()
        client.failed(self, Outcome.BAD_RESPONSE)

    # -- what a statement's page tells ------------------------------------------------------------------------------

    def _first_look(self, client: Client, head: ResponseHead, data: bytes, body_start: int, now: float) -> None:
        """A page that did not tell all at the first glance."""
        if head.encoding is None:
            page = first_page(data, body_start) if client.kind == SUBMIT else None
            if page is not None:
                client.page_seen(page, now)
                return
            page = usual_page(data, body_start)
            whole = self.left == 0 or len(data) - body_start >= PREFIX_BYTES
            if page is not None and (whole or page.state is not None) and not may_be_spooled(data, body_start):
                client.page_seen(page, now)
                return
        self._begin_prefix(head)
        self._look(client, data[body_start:], self.left == 0)

    def _begin_prefix(self, head: ResponseHead) -> None:
        self.prefix = bytearray()
        self.look_at = 0
        self.encoding = head.encoding

    def _look(self, client: Client, data: bytes, last: bool) -> None:
        """Look at the page's prefix as it grows: with the first piece, at each doubling, and at its end."""
        prefix = self.prefix
        assert prefix is not None
        before = bytes(prefix)
        prefix += data[: PREFIX_BYTES - len(prefix)]
        full = last or len(prefix) >= PREFIX_BYTES
        if len(prefix) < self.look_at and not full:
            return
        self.look_at = 2 * len(prefix)
        page = read_page(bytes(prefix), self.chunks is not None, self.encoding, full)
        # The state comes last: wait for it while it can still come into view.
        if page is not None and (full or page.state is not None):
            client.page_seen(page, client.clock())
            self.prefix = None
            if page.spooled:
                self.watch = SegmentWatch(self.chunks is not None, self.encoding in PACKED)
                client.segments_seen(self.watch.feed(before + data))
        elif full:
            self.prefix = None
