"""The life of connections: pipelines, backpressure, half-close, aborts, time-outs, the pool, draining."""

from __future__ import annotations

import pytest

from gateway.proxy.settings import ProxySettings
from gateway.routing.model import Health, Outcome
from tests.support.gateway_wire import GET, OK, POST, Bench, backend, body_of, reply, status_of, table

GETS = [GET.replace(b"/v1/info", b"/%d" % i) for i in range(5)]


def answer(number: int) -> bytes:
    return b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n%d" % number


# -- pipelines


@pytest.mark.parametrize("step", [0, 1, 50])
def test_a_pipeline_is_answered_in_order_one_at_a_time(step: int) -> None:
    bench = Bench()
    client = bench.client()
    client.send(b"".join(GETS), step)
    upstream = bench.accept()
    for number in range(5):
        assert upstream.take().startswith(b"GET /%d " % number)
        upstream.send(answer(number))
        assert client.take() == answer(number)
    assert not bench.connecting
    assert bench.counters.requests == 5


def test_a_pipeline_with_bodies_is_taken_apart_right() -> None:
    bench = Bench()
    client = bench.client()
    chunked_post = b"POST /c HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n"
    client.send(POST + chunked_post + GET)
    upstream = bench.accept()
    assert upstream.take().endswith(b"\r\n\r\nSELECT 1")
    upstream.send(OK)
    assert upstream.take().endswith(b"\r\n\r\n3\r\nabc\r\n0\r\n\r\n")
    upstream.send(OK)
    assert upstream.take().startswith(b"GET /v1/info")


def test_what_is_sent_ahead_is_bounded() -> None:
    bench = Bench(settings=ProxySettings(pipeline_bytes=1000))
    client = bench.client()
    client.send(GET * 5)
    assert not client.transport.read_paused
    client.send(GET * 50)
    assert client.transport.read_paused
    upstream = bench.accept()
    for _ in range(54):
        upstream.send(OK)
        upstream.take()
    assert not client.transport.read_paused
    upstream.send(OK)
    assert client.take() == OK * 55


@pytest.mark.parametrize("step", [0, 50_000])
def test_a_large_head_that_was_sent_ahead_is_read_to_its_end(step: int) -> None:
    bench = Bench(settings=ProxySettings(pipeline_bytes=1000))
    client = bench.client()
    large = GET[:-2] + b"X-Trino-Prepared-Statement: " + b"x" * 200_000 + b"\r\n\r\n"
    client.send(GET + large[:100_000], step)
    assert client.transport.read_paused
    upstream = bench.accept()
    upstream.take()
    upstream.send(OK)
    assert not client.transport.read_paused  # it is the present request's now, and has a limit of its own
    client.send(large[100_000:])
    assert len(upstream.take()) > 200_000
    upstream.send(OK)
    assert client.take() == OK + OK


def test_a_pipelining_client_that_does_not_read_is_not_served_on() -> None:
    bench = Bench()
    client = bench.client()
    client.transport.peer_reads = False
    client.transport.high_water = 10
    client.send(GETS[0] + GETS[1])
    upstream = bench.accept()
    upstream.take()
    upstream.send(answer(0))
    assert upstream.take() == b""
    client.transport.drain()
    assert upstream.take().startswith(b"GET /1 ")


# -- backpressure


def test_a_slow_client_slows_the_coordinator_and_only_for_its_own_response() -> None:
    bench = Bench()
    client = bench.client()
    client.send(GET)
    upstream = bench.accept()
    client.transport.peer_reads = False
    upstream.send(b"HTTP/1.1 200 OK\r\nContent-Length: 200000\r\n\r\n" + b"x" * 100000)
    assert upstream.transport.read_paused
    client.transport.drain()
    assert not upstream.transport.read_paused
    client.transport.peer_reads = False
    upstream.send(b"x" * 100000)
    # The response is complete though not yet read: the connection must come back ready for the next request.
    assert not upstream.transport.read_paused
    assert len(upstream.protocol.pool.idle) == 1
    other = bench.client()
    other.send(GET)
    upstream.send(OK)
    assert other.take() == OK


def test_a_slow_coordinator_slows_the_client() -> None:
    bench = Bench()
    client = bench.client()
    client.send(b"POST /x HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000\r\n\r\n")
    upstream = bench.accept()
    upstream.transport.peer_reads = False
    client.send(b"x" * 100000)
    assert client.transport.read_paused
    upstream.transport.drain()
    assert not client.transport.read_paused


def test_a_request_body_waits_with_the_client_until_there_is_a_connection() -> None:
    bench = Bench()
    client = bench.client()
    client.send(b"POST /x HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\n01234")
    assert client.transport.read_paused
    client.send(b"56")  # was already on its way
    upstream = bench.accept()
    assert upstream.take().endswith(b"\r\n\r\n0123456")
    assert not client.transport.read_paused
    client.send(b"789")
    assert upstream.take() == b"789"


# -- ends


def test_a_client_may_close_its_sending_half_and_still_gets_its_answers() -> None:
    bench = Bench()
    client = bench.client()
    client.send(GETS[0] + GETS[1])
    client.half_close()
    upstream = bench.accept()
    upstream.send(answer(0))
    upstream.send(answer(1))
    assert client.take() == answer(0) + answer(1)
    assert client.transport.closed
    assert bench.outcomes == {Outcome.OK: 2}


@pytest.mark.parametrize("sent", [b"", b"GET / HT", POST[:-3]])
def test_a_client_that_closes_before_it_has_asked_is_let_go(sent: bytes) -> None:
    bench = Bench()
    client = bench.client()
    client.send(sent) if sent else None
    client.half_close()
    assert client.transport.closed
    assert bench.balance == 0
    assert not bench.clients


@pytest.mark.parametrize("when", ["parked", "waiting", "relaying", "sending"])
def test_a_client_that_goes_away_takes_its_coordinators_connection_along(when: str) -> None:
    bench = Bench()
    client = bench.client()
    client.send(POST[:-3] if when == "sending" else GET)
    if when == "parked":
        client.reset()
        bench.accept()
        assert len(bench.upstreams[0].protocol.pool.idle) == 1
    else:
        upstream = bench.accept()
        if when == "relaying":
            upstream.send(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nsome")
        client.reset()
        assert upstream.transport.aborted
    assert bench.outcomes == {Outcome.CLIENT_ABORT: 1}
    assert bench.counters.client_aborts == 1
    assert bench.balance == 0
    assert not bench.clients


def test_client_aborts_never_open_the_circuit() -> None:
    bench = Bench()
    for _ in range(50):
        client = bench.client()
        client.send(GET)
        bench.accept()
        client.reset()
    assert bench.only_target.circuit.allows(bench.time)


# -- retries


def test_a_stale_connection_is_replaced_once_for_a_request_that_changes_nothing() -> None:
    bench = Bench()
    client, upstream, _, _ = bench.exchange()
    client.send(GET)
    upstream.reset()
    assert client.take() == b""
    fresh = bench.accept()
    assert fresh.take().startswith(b"GET /v1/info")
    fresh.send(OK)
    assert client.take() == OK
    assert bench.counters.retries == 1
    assert bench.outcomes == {Outcome.OK: 2}


def test_a_request_is_repeated_only_once() -> None:
    bench = Bench()
    client, upstream, _, _ = bench.exchange()
    client.send(GET)
    upstream.half_close()
    bench.accept().reset()
    assert status_of(client.take()) == 502
    assert not bench.connecting


def test_a_new_connection_that_breaks_is_not_repeated() -> None:
    bench = Bench()
    client = bench.client()
    client.send(GET)
    bench.accept().reset()
    assert status_of(client.take()) == 502
    assert not bench.connecting


def test_a_statement_is_never_sent_twice() -> None:
    bench = Bench()
    client, upstream, _, _ = bench.exchange()
    client.send(POST)
    upstream.reset()
    assert not bench.connecting
    answered = client.take()
    assert status_of(answered) == 200
    assert body_of(answered)["error"]["errorName"] == "GENERIC_INTERNAL_ERROR"
    assert bench.outcomes[Outcome.RESET] == 1


@pytest.mark.parametrize("method", [b"DELETE", b"PUT"])
def test_a_request_that_changes_something_is_never_sent_twice(method: bytes) -> None:
    bench = Bench()
    client, upstream, _, _ = bench.exchange()
    client.send(GET.replace(b"GET", method))
    upstream.reset()
    assert status_of(client.take()) == 502
    assert not bench.connecting


def test_a_response_that_has_begun_is_not_asked_for_again() -> None:
    bench = Bench()
    client, upstream, _, _ = bench.exchange()
    client.send(GET)
    upstream.send(b"H")
    upstream.reset()
    assert status_of(client.take()) == 502


# -- connecting


def test_a_refused_connection_is_tried_at_another_coordinator() -> None:
    bench = Bench(table(backend("one"), backend("two")))
    client = bench.client()
    client.send(POST)
    first = bench.connecting[0].target
    first.inflight += 5  # the router would choose the other one now
    bench.decline()
    assert bench.connecting[0].target is not first
    bench.accept().send(OK)
    assert client.take() == OK
    assert bench.outcomes == {Outcome.CONNECT_FAILED: 1, Outcome.OK: 1}


@pytest.mark.parametrize(("timed_out", "status", "outcome"), [(False, 502, "CONNECT_FAILED"), (True, 504, "TIMEOUT")])
def test_with_no_other_coordinator_the_failure_is_told(timed_out: bool, status: int, outcome: str) -> None:
    bench = Bench()
    client = bench.client()
    client.send(GET)
    bench.decline(timed_out)
    answered = client.take()
    assert status_of(answered) == status
    assert b"team/one" in answered
    assert b"10.1.0.1" not in answered
    assert bench.outcomes == {Outcome[outcome]: 1}
    client.send(POST)
    bench.decline(timed_out)
    assert status_of(client.take()) == 200


def test_each_request_that_waits_gets_the_first_connection_there_is() -> None:
    bench = Bench()
    clients = [bench.client() for _ in range(3)]
    for client in clients:
        client.send(GET)
    assert len(bench.connecting) == 3
    upstream = bench.accept()
    for number, client in enumerate(clients):
        upstream.send(answer(number))
        assert client.take() == answer(number)
    bench.accept()
    bench.accept()
    assert len(upstream.protocol.pool.idle) == 3


def test_connections_per_coordinator_are_bounded() -> None:
    bench = Bench(settings=ProxySettings(upstream_connections=2, upstream_waiting=3))
    clients = [bench.client() for _ in range(6)]
    for client in clients:
        client.send(GET)
    assert len(bench.connecting) == 2
    refused = [client.take() for client in clients[3:]]
    assert [status_of(got) for got in refused] == [503] * 3
    first, second = bench.accept(), bench.accept()
    first.send(OK)
    second.send(OK)
    first.send(OK)
    assert [client.take() for client in clients[:3]] == [OK] * 3
    assert not bench.connecting
    assert bench.balance == 0


def test_a_lost_connection_makes_room_for_those_that_wait() -> None:
    bench = Bench(settings=ProxySettings(upstream_connections=1))
    one, two = bench.client(), bench.client()
    one.send(GET)
    two.send(GET)
    bench.accept().reset()
    assert status_of(one.take()) == 502
    bench.accept().send(OK)
    assert two.take() == OK


# -- the pool


def test_the_connection_used_last_is_used_next() -> None:
    bench = Bench()
    clients = [bench.client() for _ in range(3)]
    for client in clients:
        client.send(GET)
    ups = [bench.accept() for _ in range(3)]
    for upstream in ups:
        upstream.send(OK)
        upstream.take()
    clients[0].send(GET)
    assert [bool(upstream.take()) for upstream in ups] == [False, False, True]


def test_an_idle_connection_is_closed_before_the_coordinator_would() -> None:
    bench = Bench(settings=ProxySettings(upstream_idle_timeout=20))
    client, upstream, _, _ = bench.exchange()
    bench.time += 20.5  # not swept yet: still not used
    client.send(GET)
    assert upstream.transport.closed
    bench.accept().send(OK)
    bench.pass_time(19)
    assert not bench.upstreams[1].transport.closed
    bench.pass_time(3)
    assert bench.upstreams[1].transport.closed
    assert bench.counters.upstream_open == 0


@pytest.mark.parametrize("how", ["reset", "half_close"])
def test_an_idle_connection_that_the_coordinator_closes_is_not_used(how: str) -> None:
    bench = Bench()
    client, upstream, _, _ = bench.exchange()
    getattr(upstream, how)()
    client.send(GET)
    bench.accept().send(OK)
    assert client.take().endswith(OK)


def test_the_connections_of_a_retired_coordinator_are_closed() -> None:
    bench = Bench()
    client, upstream, _, _ = bench.exchange()
    target = bench.only_target
    bench.router.set_addresses(backend("one").service, [("10.9.9.9", 8080)])
    bench.pass_time(1)
    assert upstream.transport.closed
    bench.pass_time(1)
    assert target not in bench.pools
    assert target.pool is None
    client.send(GET)
    assert bench.connecting[0].target.ip == "10.9.9.9"


# -- time


def test_a_slow_head_is_given_up() -> None:
    bench = Bench()
    client = bench.client()
    client.send(GET[:10])
    for _ in range(9):
        bench.pass_time(1)
        client.send(b"x")
    assert client.take() == b""
    bench.pass_time(2)
    assert status_of(client.take()) == 408
    assert client.ended
    assert bench.counters.timeouts == {"request_head": 1}


def test_a_stalled_body_is_given_up_and_a_slow_one_is_not() -> None:
    bench = Bench()
    client = bench.client()
    client.send(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\n\r\n")
    upstream = bench.accept()
    for _ in range(5):
        bench.pass_time(50)
        client.send(b"x")
    assert client.take() == b""
    bench.pass_time(63)
    assert status_of(client.take()) == 408
    assert upstream.transport.aborted
    assert bench.outcomes == {Outcome.CLIENT_ABORT: 1}


def test_an_idle_client_is_let_go_without_a_word() -> None:
    bench = Bench(settings=ProxySettings(idle_timeout=30))
    client, _, _, _ = bench.exchange()
    bench.pass_time(29)
    assert not client.ended
    bench.pass_time(4)
    assert client.transport.closed
    assert client.take() == b""


def test_a_coordinator_that_does_not_answer_costs_a_504() -> None:
    bench = Bench(settings=ProxySettings(response_timeout=15))
    client = bench.client()
    client.send(GET)
    upstream = bench.accept()
    bench.pass_time(14)
    assert client.take() == b""
    bench.pass_time(3)
    assert status_of(client.take()) == 504
    assert upstream.transport.aborted
    assert bench.outcomes == {Outcome.TIMEOUT: 1}
    client.send(GET)
    assert bench.connecting


def test_a_response_that_stalls_is_cut_and_one_that_trickles_is_not() -> None:
    bench = Bench(settings=ProxySettings(upstream_body_timeout=15))
    client, upstream, _, _ = bench.exchange(GET, b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n")
    for _ in range(5):
        bench.pass_time(10)
        upstream.send(b"x")
    assert not client.ended
    bench.pass_time(18)
    assert client.transport.aborted
    assert upstream.transport.aborted
    assert bench.outcomes == {Outcome.TIMEOUT: 1}


def test_a_client_that_stops_reading_is_cut_and_a_slow_one_is_not() -> None:
    bench = Bench(settings=ProxySettings(stall_timeout=15, upstream_body_timeout=5))
    client = bench.client()
    client.send(GET)
    upstream = bench.accept()
    client.transport.peer_reads = False
    upstream.send(b"HTTP/1.1 200 OK\r\nContent-Length: 200000\r\n\r\n" + b"x" * 100000)
    for _ in range(5):
        bench.pass_time(10)
        client.transport.unsent -= 1000
    assert not client.ended
    bench.pass_time(18)
    assert client.transport.aborted
    assert bench.outcomes == {Outcome.CLIENT_ABORT: 1}


def test_a_request_does_not_wait_for_a_connection_for_ever() -> None:
    bench = Bench(settings=ProxySettings(park_timeout=10))
    client = bench.client()
    client.send(GET)
    bench.pass_time(12)
    assert status_of(client.take()) == 503
    assert bench.balance == 0
    bench.accept()  # comes late, and is kept for the next one
    client.send(GET)
    bench.upstreams[0].send(OK)
    assert client.take() == OK


def test_a_large_header_block_is_not_remembered_by_an_idle_connection() -> None:
    bench = Bench()
    client, _, _, _ = bench.exchange(GET[:-2] + b"A: " + b"x" * 10000 + b"\r\n\r\n")
    bench.pass_time(5)
    assert client.protocol.memory.memo is None
    assert client.protocol.memory.block == b""


# -- draining


def test_draining_lets_what_is_in_flight_finish_and_says_so() -> None:
    bench = Bench()
    idle = bench.client()
    busy = bench.client()
    busy.send(GET)
    upstream = bench.accept()
    bench.drain()
    assert idle.transport.closed
    assert not bench.drained.is_set()
    upstream.send(OK)
    assert busy.take() == b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok"
    assert busy.transport.closed
    assert bench.drained.is_set()


def test_draining_with_nothing_to_do_is_done_at_once() -> None:
    bench = Bench()
    bench.drain()
    assert bench.drained.is_set()


def test_closing_cuts_everything() -> None:
    bench = Bench()
    client, upstream, _, _ = bench.exchange()
    busy = bench.client()
    busy.send(GET)
    bench.close()
    assert client.transport.closed
    assert busy.transport.closed
    assert upstream.transport.closed
    assert bench.balance == 0
    assert bench.counters.open_connections == 0
    assert bench.counters.upstream_open == 0


# -- accounts


def test_everything_is_counted_once() -> None:
    bench = Bench()
    client, upstream, _, forwarded = bench.exchange()
    client.send(GET)
    upstream.send(reply(b"", status=b"503 Service Unavailable"))
    counters = bench.counters
    assert (counters.requests, counters.connections, counters.open_connections) == (2, 1, 1)
    assert counters.responses[2] == 1
    assert counters.responses[5] == 1
    assert counters.bytes_in == 2 * len(GET)
    assert counters.upstream_bytes_out == 2 * len(forwarded)
    assert sum(counters.latency) == 2
    stats = counters.backend("team/one")
    assert (stats.connects, sum(stats.first_byte)) == (1, 2)
    assert stats.outcomes[Outcome.OK] == 1
    assert stats.outcomes[Outcome.OVERLOAD] == 1


def test_latency_is_measured_from_the_request_to_each_end() -> None:
    bench = Bench()
    client = bench.client()
    client.send(GET)
    upstream = bench.accept()
    bench.time += 0.5
    upstream.send(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n")
    bench.time += 1.5
    upstream.send(b"ok")
    assert bench.counters.latency_sum == pytest.approx(2.0)
    assert bench.counters.backend("team/one").first_byte_sum == pytest.approx(0.5)


def test_an_answer_is_proof_of_life() -> None:
    bench = Bench()
    bench.only_target.health = Health.SLEEPING
    bench.exchange()
    assert bench.only_target.health is Health.UNKNOWN
