"""What a coordinator's circuit makes of the ways in which requests end: the documented reaction, with a clock."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from gateway.proxy.settings import ProxySettings
from gateway.routing.circuit import State
from tests.support.gateway_wire import GET, OK, Bench, Peer, backend, reply, table

SETTINGS = ProxySettings(response_timeout=3, upstream_body_timeout=3)


def close_idle(bench: Bench) -> None:
    for pool in bench.pools.values():
        pool.close()


def refused(bench: Bench) -> None:
    close_idle(bench)
    bench.client().send(GET)
    bench.decline()


def dropped(bench: Bench) -> None:
    close_idle(bench)
    bench.client().send(GET)
    bench.decline(timed_out=True)


def asked(bench: Bench) -> tuple[Peer, Peer]:
    """A client that has asked, and the coordinator's connection that has the request."""
    client = bench.client()
    client.send(GET)
    if bench.connecting:
        bench.accept()
    return client, next(peer for peer in bench.upstreams if peer.protocol is client.protocol.upstream)


def reset_before_the_head(bench: Bench) -> None:
    close_idle(bench)  # a connection that has served before may be stale, and the request is repeated
    asked(bench)[1].reset()


def reset_in_the_body(bench: Bench) -> None:
    upstream = asked(bench)[1]
    upstream.send(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nsome")
    upstream.reset()


def garbage(bench: Bench) -> None:
    asked(bench)[1].send(b"SSH-2.0-OpenSSH_9.2\r\n\r\n")


def silent(bench: Bench) -> None:
    asked(bench)
    bench.pass_time(5)


def stalled(bench: Bench) -> None:
    asked(bench)[1].send(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nsome")
    bench.pass_time(5)


def error(bench: Bench) -> None:
    asked(bench)[1].send(reply(b"", status=b"500 Internal Server Error"))


def busy(bench: Bench) -> None:
    asked(bench)[1].send(reply(b"", status=b"503 Service Unavailable"))


def answered(bench: Bench) -> None:
    asked(bench)[1].send(OK)


def not_found(bench: Bench) -> None:
    asked(bench)[1].send(reply(b"", status=b"404 Not Found"))


def gone_away(bench: Bench) -> None:
    asked(bench)[0].reset()


def malformed_body(bench: Bench) -> None:
    client = bench.client()
    client.send(b"POST /x HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n")
    if bench.connecting:
        bench.accept()
    client.send(b"zz\r\n")


def fresh() -> Bench:
    return Bench(table(backend("one")), SETTINGS)


@pytest.mark.parametrize("way", [refused, dropped, reset_before_the_head, reset_in_the_body, garbage, error])
def test_the_fifth_failure_opens_it(way: Callable[[Bench], None]) -> None:
    bench = fresh()
    answered(bench)
    for number in range(1, 6):
        assert bench.only_target.circuit.state is State.CLOSED
        way(bench)
        assert bench.balance == 0, number
    assert bench.only_target.circuit.state is State.OPEN


@pytest.mark.parametrize("begun", [b"", b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nsome"])
def test_five_that_hang_at_once_open_it(begun: bytes) -> None:
    bench = fresh()
    for _ in range(5):
        bench.client().send(GET)
        bench.accept().send(begun) if begun else bench.accept()
    bench.pass_time(6)
    assert bench.balance == 0
    assert bench.only_target.circuit.state is State.OPEN


def test_fifteen_overloads_open_it() -> None:
    bench = fresh()
    for _ in range(14):
        busy(bench)
    assert bench.only_target.circuit.state is State.CLOSED
    busy(bench)
    assert bench.only_target.circuit.state is State.OPEN


@pytest.mark.parametrize("way", [gone_away, malformed_body, not_found])
def test_what_is_not_the_coordinators_fault_never_opens_it(way: Callable[[Bench], None]) -> None:
    bench = fresh()
    for _ in range(40):
        way(bench)
    assert bench.balance == 0
    assert bench.only_target.circuit.state is State.CLOSED


def test_failures_among_enough_successes_do_not_open_it() -> None:
    bench = fresh()
    for _ in range(20):
        error(bench)
        answered(bench)
        answered(bench)
    assert bench.only_target.circuit.state is State.CLOSED


@pytest.mark.parametrize("way", [refused, reset_before_the_head, garbage, silent, stalled, error, busy])
def test_a_probe_that_fails_keeps_it_open_and_two_that_succeed_close_it(way: Callable[[Bench], None]) -> None:
    bench = fresh()
    for _ in range(5):
        error(bench)
    circuit = bench.only_target.circuit
    bench.pass_time(6)
    assert circuit.allows(bench.time)
    way(bench)
    assert circuit.state is State.OPEN
    assert not circuit.probing
    bench.pass_time(11)
    answered(bench)
    assert circuit.state is State.HALF_OPEN
    answered(bench)
    assert circuit.state is State.CLOSED


@pytest.mark.parametrize("way", [gone_away, malformed_body])
def test_a_probe_that_tells_nothing_gives_its_slot_back(way: Callable[[Bench], None]) -> None:
    bench = fresh()
    for _ in range(5):
        error(bench)
    bench.pass_time(6)
    circuit = bench.only_target.circuit
    way(bench)
    assert not circuit.probing
    assert circuit.allows(bench.time)
    answered(bench)
    answered(bench)
    assert circuit.state is State.CLOSED
