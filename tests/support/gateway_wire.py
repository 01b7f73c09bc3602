"""The gateway's data path between two fakes: bytes in, bytes out, a clock that tests move, no sockets.

`Bench` is a `ProxyServer` with a real `Router` over a small table. A test opens a client, sends raw bytes, answers on
the coordinator's side with raw bytes, and looks at what each side has been sent. Only the far sides of the wire are
fake: the transports and the act of connecting.
"""

from __future__ import annotations

import asyncio
import random
from collections import deque
from typing import Any

import orjson

from gateway.proxy.client import Client
from gateway.proxy.pool import Pool
from gateway.proxy.server import ProxyServer
from gateway.proxy.settings import ProxySettings
from gateway.proxy.upstream import Upstream
from gateway.routing.model import Backend, BackendState, Candidates, Outcome, Route, RouteTable, Service, Target
from gateway.routing.router import Router

QUERY_ID = "20261120_101010_00001_abcde"
POLL = f"/v1/statement/executing/{QUERY_ID}/yslug/1"
GET = b"GET /v1/info HTTP/1.1\r\nHost: gw:8080\r\n\r\n"
POST = b"POST /v1/statement HTTP/1.1\r\nHost: gw:8080\r\nX-Trino-User: u\r\nContent-Length: 8\r\n\r\nSELECT 1"
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


class FakeTransport(asyncio.Transport):
    """A TCP transport's near side. `peer_reads = False` makes writes pile up, as a slow peer does."""

    def __init__(
        self, protocol: Any, tls: bool = False, peer: str = "10.0.0.7", later: deque[Any] | None = None
    ) -> None:
        super().__init__(
            {"peername": (peer, 5555), "sockname": ("127.0.0.1", 8080), "sslcontext": object() if tls else None}
        )
        self.protocol = protocol
        self.later = later  # where the loss of the connection is announced, as a loop does it; at once when None
        self.lost = False
        self.gone = False  # the peer has reset the connection
        self.out = b""
        self.unsent = 0
        self.peer_reads = True
        self.read_paused = False
        self.eof_sent = False
        self.closed = False
        self.aborted = False
        self.high_water = 65536
        self._paused = False

    def write(self, data: Any) -> None:
        assert isinstance(data, bytes)
        assert not self.eof_sent, "written after write_eof"
        assert not self.closed or self.gone, "written after close"
        if self.gone:
            return  # as transports do until they have told the protocol
        self.out += data
        if not self.peer_reads:
            self.unsent += len(data)
            if self.unsent > self.high_water and not self._paused:
                self._paused = True
                self.protocol.pause_writing()

    def drain(self) -> None:
        """The peer takes all that was written."""
        self.peer_reads = True
        self.unsent = 0
        if self._paused:
            self._paused = False
            self.protocol.resume_writing()

    def get_write_buffer_size(self) -> int:
        return self.unsent

    def pause_reading(self) -> None:
        self.read_paused = True

    def resume_reading(self) -> None:
        self.read_paused = False

    def can_write_eof(self) -> bool:
        return self.get_extra_info("sslcontext") is None

    def write_eof(self) -> None:
        self.eof_sent = True

    def is_closing(self) -> bool:
        return self.closed

    def close(self) -> None:
        if not self.closed:
            self.closed = True
            self.lose(None)

    def lose(self, error: Exception | None) -> None:
        """Tell the protocol that the connection has ended, once."""
        if self.later is None:
            self.announce(error)
        else:
            self.later.append((self, error))

    def announce(self, error: Exception | None) -> None:
        if not self.lost:
            self.lost = True
            self.protocol.connection_lost(error)

    def abort(self) -> None:
        self.aborted = True
        self.close()

    @property
    def ended(self) -> bool:
        """Whether the peer has been told that no more will come."""
        return self.closed or self.eof_sent

    def take(self) -> bytes:
        """What was written since the last look."""
        out, self.out = self.out, b""
        return out


class Peer:
    """The far side of one connection."""

    def __init__(
        self, protocol: Any, tls: bool = False, peer: str = "10.0.0.7", later: deque[Any] | None = None
    ) -> None:
        self.protocol = protocol
        self.transport = FakeTransport(protocol, tls, peer, later)
        protocol.connection_made(self.transport)

    def send(self, data: bytes, step: int = 0) -> None:
        """Send bytes, in pieces of `step` when given."""
        for piece in [data[i : i + step] for i in range(0, len(data), step)] if step else [data]:
            if not self.transport.closed:
                self.protocol.data_received(piece)

    def take(self) -> bytes:
        return self.transport.take()

    def half_close(self) -> None:
        """No more from this side."""
        if not self.protocol.eof_received() and not self.transport.closed:
            self.transport.gone = True  # what is written now goes nowhere
            self.transport.close()

    def reset(self) -> None:
        """Gone without a word."""
        if not self.transport.closed:
            self.transport.closed = self.transport.gone = True
            self.transport.lose(ConnectionResetError())

    @property
    def ended(self) -> bool:
        return self.transport.ended


def backend(name: str, state: BackendState = BackendState.RUNNING) -> Backend:
    return Backend("team", name, Service(f"trino-{name}.team.svc", 8080), state)


def table(*backends: Backend, default: bool = True) -> RouteTable:
    """One route for all of them, selected by default, by header `team/all` and by host `all.example.com`."""
    route = Route("all", "all", backends, (b"all.example.com",), (b"team/all",), default)
    return RouteTable.of((route,))


class Bench(ProxyServer):
    """The data path with a coordinator's side that tests answer for."""

    __slots__ = ("connecting", "later", "owners", "reached", "time", "upstreams")

    def __init__(
        self,
        routes: RouteTable | None = None,
        settings: ProxySettings | None = None,
        addresses: dict[str, list[tuple[str, int]]] | None = None,
        deferred: bool = False,
    ) -> None:
        self.time = 1000.0
        self.later: deque[Any] | None = deque() if deferred else None
        # The real one, and never a subclass: compiled, it cannot have any.
        router = Router(random.Random(1))
        super().__init__(router, settings, None, lambda: self.time)
        routes = routes or table(backend("one"))
        router.load(routes)
        for number, key in enumerate(sorted(routes.backends)):
            found = routes.backends[key]
            router.set_addresses(found.service, (addresses or {}).get(found.name, [(f"10.1.0.{number + 1}", 8080)]))
        self.connecting: deque[Pool] = deque()
        self.reached: list[Target] = []  # every target that was ever used, also when it is retired by now
        self.upstreams: list[Peer] = []
        self.owners: list[tuple[Client, bytes, Candidates]] = []

    # -- what would need an event loop

    def connect(self, pool: Pool) -> None:
        self.connecting.append(pool)

    def pool_of(self, target: Target) -> Pool:
        self.reached.append(target)
        return super().pool_of(target)

    def search(self, client: Client, query_id: bytes, candidates: Candidates) -> None:
        client.serial += 1
        self.owners.append((client, query_id, candidates))

    # -- what tests do

    def client(self, tls: bool = False, peer: str = "10.0.0.7") -> Peer:
        return Peer(self.protocol_factory(), tls, peer, self.later)

    def accept(self) -> Peer:
        """The coordinator takes the connection that was asked for first."""
        pool = self.connecting.popleft()
        upstream: Upstream = pool.new_upstream()
        peer = Peer(upstream, later=self.later)
        self.upstreams.append(peer)
        pool.opened(upstream)
        return peer

    def turn(self) -> None:
        """Announce the losses that a loop would announce in its next turn."""
        while self.later:
            transport, error = self.later.popleft()
            transport.announce(error)

    def decline(self, timed_out: bool = False) -> None:
        self.connecting.popleft().failed(timed_out)

    def pass_time(self, seconds: float) -> None:
        """Let time pass, with a sweep a second."""
        end = self.time + seconds
        while self.time < end:
            self.time = min(end, self.time + 1.0)
            self.sweep(self.time)

    def exchange(self, request: bytes = GET, reply: bytes = OK) -> tuple[Peer, Peer, bytes, bytes]:
        """One request and its response: client, coordinator, what the one got and what the other got."""
        client = self.client()
        client.send(request)
        upstream = self.accept()
        forwarded = upstream.take()
        upstream.send(reply)
        return client, upstream, client.take(), forwarded

    # -- what the router has been told

    @property
    def balance(self) -> int:
        """Requests that were begun and have not been ended."""
        assert all(target.inflight >= 0 for target in self.reached)
        return sum(target.inflight for target in self.reached)

    @property
    def outcomes(self) -> dict[Outcome, int]:
        """How often forwarded requests have ended in which way."""
        backends = self.counters.backends.values()
        totals = {outcome: sum(stats.outcomes[outcome] for stats in backends) for outcome in Outcome}
        return {outcome: total for outcome, total in totals.items() if total}

    @property
    def live(self) -> dict[bytes, int]:
        """Live queries by state."""
        return {state: number for (_, _, state), number in self.router.activity.counts().items()}

    @property
    def only_target(self) -> Target:
        (target,) = self.router.targets()
        return target


def page(query_id: str = QUERY_ID, state: str = "RUNNING", more: bool = True, **extra: Any) -> bytes:
    """A result page as Trino writes it."""
    fields: dict[str, Any] = {"id": query_id, "infoUri": f"http://gw:8080/ui/query.html?{query_id}"}
    if more:
        fields["nextUri"] = f"http://gw:8080/v1/statement/executing/{query_id}/yslug/1"
    fields.update(extra)
    fields["stats"] = {"state": state, "queued": state == "QUEUED", "nodes": 0}
    fields["warnings"] = []
    return orjson.dumps(fields)


def reply(body: bytes, *headers: bytes, status: bytes = b"200 OK") -> bytes:
    """A response with a Content-Length."""
    lines = [b"HTTP/1.1 " + status, b"Content-Type: application/json", b"Content-Length: %d" % len(body), *headers]
    return b"\r\n".join(lines) + b"\r\n\r\n" + body


def chunked(body: bytes, size: int, trailer: bytes = b"") -> bytes:
    """`body` in chunks of `size`."""
    parts = [b"%x\r\n%b\r\n" % (len(body[i : i + size]), body[i : i + size]) for i in range(0, len(body), size)]
    return b"".join(parts) + b"0\r\n" + trailer + b"\r\n"


def body_of(response: bytes) -> Any:
    """The JSON body of a response."""
    return orjson.loads(response.partition(b"\r\n\r\n")[2])


def status_of(response: bytes) -> int:
    assert response.startswith(b"HTTP/1.1 "), response[:80]
    return int(response[9:12])
