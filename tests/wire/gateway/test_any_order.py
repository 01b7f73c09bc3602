"""Whatever happens in whatever order: nothing is lost, doubled, mixed up or kept.

Hypothesis plays both far sides and the clock. Requests carry a number and their answers repeat it, so that an answer
that reaches the wrong request is seen. Losses of connections are announced a turn later, as event loops do.
"""

from __future__ import annotations

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from gateway.proxy.settings import ProxySettings
from tests.support.gateway_wire import Bench, Peer, backend, chunked, page, table

SETTINGS = ProxySettings(
    upstream_connections=3,
    upstream_waiting=4,
    pipeline_bytes=300,
    response_timeout=20,
    body_timeout=15,
    park_timeout=10,
)


def request(number: int, kind: int) -> bytes:
    if kind == 0:
        return b"GET /n/%d HTTP/1.1\r\nHost: a\r\n\r\n" % number
    if kind == 1:
        body = b"SELECT %d" % number
        return b"POST /v1/statement HTTP/1.1\r\nHost: a\r\nX-N: /n/%d \r\nContent-Length: %d\r\n\r\n%b" % (
            number,
            len(body),
            body,
        )
    head = b"PUT /n/%d HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n" % number
    return head + chunked(b"x" * 50, 20)


def answer(number: int, kind: int) -> bytes:
    mark = b"answer /n/%d " % number
    if kind == 0:
        return b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(mark), mark)
    if kind == 1:
        return b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + chunked(mark, 64)
    body = page(data=[[f"answer /n/{number} "]])
    return b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body)


class Upstream:
    """What the coordinator's side of one connection has got and has still to send."""

    def __init__(self, peer: Peer) -> None:
        self.peer = peer
        self.got = b""
        self.answered = 0
        self.owed = b""

    def read(self) -> None:
        self.got += self.peer.take()

    def whole_requests(self) -> list[int]:
        """Numbers of the requests that have come in full, in order."""
        numbers = []
        rest = self.got
        while True:
            head, end, tail = rest.partition(b"\r\n\r\n")
            if not end:
                return numbers
            low = head.lower()
            if b"transfer-encoding: chunked" in low:
                size = tail.find(b"0\r\n\r\n") + 5
                if size < 5:
                    return numbers
            elif b"content-length: " in low:
                size = int(low.partition(b"content-length: ")[2].partition(b"\r\n")[0])
                if len(tail) < size:
                    return numbers
            else:
                size = 0
            numbers.append(int(head.partition(b"/n/")[2].split()[0]))
            rest = tail[size:]


class Gateway(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.bench = Bench(table(backend("one"), backend("two")), SETTINGS, deferred=True)
        self.clients: list[Peer] = []
        self.asked: dict[int, list[int]] = {}  # client -> numbers of its requests
        self.unsent: dict[int, bytes] = {}
        self.received: dict[int, bytes] = {}
        self.upstreams: list[Upstream] = []
        self.number = 0

    def alive(self) -> list[int]:
        return [i for i, client in enumerate(self.clients) if not client.transport.closed]

    def open_upstreams(self) -> list[Upstream]:
        return [upstream for upstream in self.upstreams if not upstream.peer.transport.closed]

    @precondition(lambda self: len(self.clients) < 5)
    @rule()
    def a_client_comes(self) -> None:
        index = len(self.clients)
        self.clients.append(self.bench.client())
        self.asked[index], self.unsent[index], self.received[index] = [], b"", b""

    @precondition(lambda self: self.alive())
    @rule(data=st.data(), kind=st.integers(0, 2))
    def a_client_asks(self, data: st.DataObject, kind: int) -> None:
        index = data.draw(st.sampled_from(self.alive()))
        self.number += 1
        self.asked[index].append(self.number)
        self.unsent[index] += request(self.number, kind)

    @precondition(lambda self: self.alive())
    @rule(data=st.data(), size=st.integers(1, 400))
    def a_client_sends(self, data: st.DataObject, size: int) -> None:
        index = data.draw(st.sampled_from(self.alive()))
        client = self.clients[index]
        if self.unsent[index] and not client.transport.read_paused and not client.protocol.half_closed:
            piece, self.unsent[index] = self.unsent[index][:size], self.unsent[index][size:]
            client.send(piece)

    @precondition(lambda self: self.alive())
    @rule(data=st.data(), kinds=st.lists(st.integers(0, 2), min_size=1, max_size=4))
    def a_client_asks_all_at_once(self, data: st.DataObject, kinds: list[int]) -> None:
        index = data.draw(st.sampled_from(self.alive()))
        client = self.clients[index]
        for kind in kinds:
            self.number += 1
            self.asked[index].append(self.number)
            self.unsent[index] += request(self.number, kind)
        if not client.transport.read_paused and not client.protocol.half_closed:
            piece, self.unsent[index] = self.unsent[index], b""
            client.send(piece)

    @precondition(lambda self: self.bench.connecting)
    @rule()
    def all_connections_are_made(self) -> None:
        while self.bench.connecting:
            self.upstreams.append(Upstream(self.bench.accept()))

    @rule(data=st.data(), rounds=st.integers(1, 4))
    def all_coordinators_answer(self, data: st.DataObject, rounds: int) -> None:
        for _ in range(rounds):
            for upstream in self.open_upstreams():
                self.answer_from(upstream, data.draw(st.integers(0, 2)), 10_000)

    @precondition(lambda self: self.bench.connecting)
    @rule(refused=st.sampled_from([False, False, False, True]), timed_out=st.booleans())
    def a_connection_is_made(self, refused: bool, timed_out: bool) -> None:
        if refused:
            self.bench.decline(timed_out)
        else:
            self.upstreams.append(Upstream(self.bench.accept()))

    @precondition(lambda self: self.open_upstreams())
    @rule(data=st.data(), kind=st.integers(0, 2), size=st.integers(1, 500))
    def a_coordinator_answers(self, data: st.DataObject, kind: int, size: int) -> None:
        self.answer_from(data.draw(st.sampled_from(self.open_upstreams())), kind, size)

    def answer_from(self, upstream: Upstream, kind: int, size: int) -> None:
        upstream.read()
        if not upstream.owed:
            waiting = upstream.whole_requests()[upstream.answered :]
            if not waiting:
                return
            upstream.answered += 1
            upstream.owed = answer(waiting[0], kind)
        if not upstream.peer.transport.read_paused:
            piece, upstream.owed = upstream.owed[:size], upstream.owed[size:]
            upstream.peer.send(piece)

    @precondition(lambda self: self.open_upstreams())
    @rule(data=st.data(), how=st.sampled_from(["reset", "half_close"]))
    def a_coordinator_goes(self, data: st.DataObject, how: str) -> None:
        getattr(data.draw(st.sampled_from(self.open_upstreams())).peer, how)()

    @precondition(lambda self: self.alive())
    @rule(data=st.data(), how=st.sampled_from(["reset", "half_close"]))
    def a_client_goes(self, data: st.DataObject, how: str) -> None:
        index = data.draw(st.sampled_from(self.alive()))
        client = self.clients[index]
        if how == "reset" or not (client.protocol.half_closed or client.transport.read_paused):
            getattr(client, how)()

    @rule(data=st.data(), reading=st.booleans())
    def a_peer_reads_or_not(self, data: st.DataObject, reading: bool) -> None:
        peers = [self.clients[i] for i in self.alive()] + [upstream.peer for upstream in self.open_upstreams()]
        if peers:
            transport = data.draw(st.sampled_from(peers)).transport
            transport.high_water = 60
            if reading:
                transport.drain()
            else:
                transport.peer_reads = False

    @rule(seconds=st.sampled_from([1, 1, 1, 2, 25]))
    def time_passes(self, seconds: int) -> None:
        self.bench.pass_time(seconds)

    @rule()
    def the_loop_turns(self) -> None:
        self.bench.turn()

    @invariant()
    def answers_reach_those_who_asked_in_order(self) -> None:
        for index, client in enumerate(self.clients):
            self.received[index] += client.take()
            parts = self.received[index].split(b"answer /n/")[1:]
            heard = [int(part.split()[0]) for part in parts if b" " in part]
            assert all(number in self.asked[index] for number in heard)
            assert heard == sorted(heard)

    @invariant()
    def accounts_agree(self) -> None:
        bench = self.bench
        busy = sum(1 for upstream in bench.upstreams if upstream.protocol.client is not None)
        assert bench.balance >= busy
        assert bench.balance == sum(1 for client in bench.clients if client.begun)
        for pool in bench.pools.values():
            assert pool.open + pool.connecting <= SETTINGS.upstream_connections + 1  # one more for a retry
            for upstream in pool.idle:
                assert upstream.client is None
                assert not upstream.read_paused

    def teardown(self) -> None:
        bench = self.bench
        bench.turn()
        for index in self.alive():
            self.clients[index].reset()
        bench.turn()
        while bench.connecting:
            bench.accept()
        bench.close()
        bench.turn()
        assert bench.balance == 0
        assert bench.counters.open_connections == 0
        assert bench.counters.upstream_open == 0
        assert not bench.clients
        for pool in bench.pools.values():
            assert (pool.open, pool.connecting, len(pool.waiting)) == (0, 0, 0)


TestGateway = Gateway.TestCase
TestGateway.settings = settings(
    max_examples=200, stateful_step_count=50, deadline=None, suppress_health_check=list(HealthCheck)
)
