"""What of a coordinator's bytes reaches the client, and what becomes of both connections."""

from __future__ import annotations

import pytest

from gateway.routing.model import Outcome
from tests.support.gateway_wire import GET, OK, POST, Bench, chunked, reply, status_of

HEAD = b"HEAD /v1/info HTTP/1.1\r\nHost: gw:8080\r\n\r\n"
BIG = bytes(range(256)) * 40


@pytest.mark.parametrize(
    "response",
    [
        OK,
        b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 404\r\nContent-Length: 1\r\n\r\nx",
        b"HTTP/1.1 299 Odd Thing\r\nSet-Cookie: a\r\nSet-Cookie: b\r\nContent-Length: 1\r\n\r\nx",
        b"HTTP/1.1 204 No Content\r\n\r\n",
        b"HTTP/1.1 304 Not Modified\r\nContent-Length: 500\r\nETag: x\r\n\r\n",
        b"HTTP/1.1 303 See Other\r\nLocation: http://elsewhere/x\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 10240\r\n\r\n" + BIG,
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + chunked(BIG, 1000),
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: A\r\n\r\n" + chunked(b"hello", 1, b"A: b\r\n"),
        b'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4;x="y"\r\n\r\n\r\n\r\n0\r\n\r\n',
    ],
)
@pytest.mark.parametrize("step", [0, 1, 100])
def test_a_response_passes_byte_for_byte_and_the_connections_are_used_again(response: bytes, step: int) -> None:
    bench = Bench()
    client = bench.client()
    client.send(GET)
    upstream = bench.accept()
    for _ in range(3):
        upstream.take()
        upstream.send(response, step)
        assert client.take() == response
        client.send(GET)
        assert upstream.take().startswith(b"GET ")
    assert not client.ended
    assert not bench.connecting
    assert bench.counters.backend("team/one").connects == 1


def test_a_response_split_at_every_byte_passes() -> None:
    response = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + chunked(b"0123456789" * 2, 7, b"A: b\r\n")
    for cut in range(1, len(response)):
        bench = Bench()
        client = bench.client()
        client.send(GET)
        upstream = bench.accept()
        upstream.send(response[:cut])
        upstream.send(response[cut:])
        assert client.take() == response
        assert bench.balance == 0
        assert len(upstream.protocol.pool.idle) == 1


def test_head_has_no_body_whatever_its_length_says() -> None:
    bench = Bench()
    response = b"HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\n"
    client, upstream, answered, _ = bench.exchange(HEAD, response)
    assert answered == response
    client.send(GET)
    assert upstream.take().startswith(b"GET ")
    upstream.send(OK)
    assert client.take() == OK


@pytest.mark.parametrize(
    "framing",
    [b"Transfer-Encoding: chunked\r\n\r\n4\r\nevil\r\n0\r\n\r\n", b"Content-Length: 4\r\n\r\nevil"],
)
@pytest.mark.parametrize("step", [0, 1])
def test_a_204_has_no_body_whatever_its_head_says(framing: bytes, step: int) -> None:
    bench = Bench()
    client = bench.client()
    client.send(GET)
    upstream = bench.accept()
    upstream.send(b"HTTP/1.1 204 No Content\r\n" + framing, step)
    assert client.take() == b"HTTP/1.1 204 No Content\r\n\r\n"
    assert upstream.transport.aborted
    client.send(GET)
    bench.accept().send(OK)
    assert client.take() == OK


def test_the_coordinators_hop_by_hop_headers_stop_here() -> None:
    bench = Bench()
    response = (
        b"HTTP/1.1 200 OK\r\nConnection: close, X-Hop\r\nKeep-Alive: timeout=9\r\nX-Hop: 1\r\n"
        b"Content-Length: 2\r\nA: b\r\n\r\nok"
    )
    client, upstream, answered, _ = bench.exchange(GET, response)
    assert answered == b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nA: b\r\n\r\nok"
    assert not client.ended
    assert upstream.transport.closed


def test_a_body_without_a_length_ends_with_both_connections() -> None:
    bench = Bench()
    client, upstream, answered, _ = bench.exchange(GET, b"HTTP/1.1 200 OK\r\nA: b\r\n\r\nsome")
    assert answered == b"HTTP/1.1 200 OK\r\nA: b\r\nConnection: close\r\n\r\nsome"
    upstream.send(b" more")
    upstream.half_close()
    assert client.take() == b" more"
    assert client.transport.closed
    assert not client.transport.aborted
    assert bench.outcomes == {Outcome.OK: 1}


def test_a_body_without_a_length_that_is_cut_off_does_not_look_complete() -> None:
    bench = Bench()
    client, upstream, _, _ = bench.exchange(GET, b"HTTP/1.1 200 OK\r\n\r\nsome")
    upstream.reset()
    assert client.transport.aborted
    assert bench.outcomes == {Outcome.RESET: 1}


def test_http_1_0_responses_are_announced_as_1_1() -> None:
    bench = Bench()
    client, upstream, answered, _ = bench.exchange(GET, b"HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok")
    assert answered == OK
    assert upstream.transport.closed
    assert not client.ended


def test_interim_responses_are_relayed_and_waited_past() -> None:
    bench = Bench()
    interim = b"HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n"
    client, _, answered, _ = bench.exchange(GET, interim + b"HTTP/1.1 102 Processing\r\n\r\n" + OK)
    assert answered == interim + b"HTTP/1.1 102 Processing\r\n\r\n" + OK
    client = bench.client()
    client.send(b"GET / HTTP/1.0\r\n\r\n")
    bench.accept() if bench.connecting else None
    bench.upstreams[-1].send(interim + OK)
    assert b"103" not in client.take()


def test_chunks_are_no_answer_to_http_1_0() -> None:
    bench = Bench()
    answer = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n"
    _, upstream, answered, _ = bench.exchange(b"GET /v1/info HTTP/1.0\r\nHost: gw\r\n\r\n", answer)
    assert status_of(answered) == 502
    assert upstream.transport.closed


def test_switching_protocols_is_not_on_offer() -> None:
    bench = Bench()
    client, _, answered, forwarded = bench.exchange(
        b"GET / HTTP/1.1\r\nHost: gw\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n",
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n",
    )
    assert b"pgrade" not in forwarded
    assert status_of(answered) == 502
    assert not client.ended


GARBAGE = {
    "not HTTP": b"SSH-2.0-OpenSSH_9\r\n\r\n",
    "no end of line": b"\x00" * 100,
    "HTTP/2": b"HTTP/2 200\r\n\r\n",
    "two lengths": b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\nabc",
    "length and chunked": b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "unknown coding": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
    "bare LF": b"HTTP/1.1 200 OK\r\nA: b\nSet-Cookie: evil\r\nContent-Length: 0\r\n\r\n",
    "folded": b"HTTP/1.1 200 OK\r\nA: b\r\n c\r\nContent-Length: 0\r\n\r\n",
    "bad status": b"HTTP/1.1 2x0 OK\r\n\r\n",
    "too many interims": b"HTTP/1.1 100 Continue\r\n\r\n" * 33,
    "head without end": b"HTTP/1.1 200 OK\r\nA: " + b"x" * (2 * 1024 * 1024 + 10),
}


@pytest.mark.parametrize("case", GARBAGE)
def test_a_response_that_cannot_be_trusted_becomes_a_502(case: str) -> None:
    bench = Bench()
    client, upstream, answered, _ = bench.exchange(GET, GARBAGE[case])
    assert status_of(answered.replace(b"HTTP/1.1 100 Continue\r\n\r\n", b"")) == 502
    assert upstream.transport.aborted
    assert bench.outcomes == {Outcome.BAD_RESPONSE: 1}
    client.send(GET)  # and the client goes on
    bench.accept().send(OK)
    assert client.take() == OK


@pytest.mark.parametrize(
    "body", [b"zz\r\n", b"5\r\nhelloX", b"5\nhello\r\n", b"0\r\nContent-Length: 9\r\n\r\n", b"fffffffffffffffff\r\n"]
)
def test_a_chunked_response_that_goes_wrong_is_cut_off(body: bytes) -> None:
    bench = Bench()
    client, upstream, _, _ = bench.exchange(GET, b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + body)
    assert client.transport.aborted
    assert upstream.transport.aborted
    assert bench.outcomes == {Outcome.BAD_RESPONSE: 1}


def test_bytes_after_a_response_are_dropped_with_their_connection() -> None:
    bench = Bench()
    client, upstream, answered, _ = bench.exchange(GET, OK + b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil")
    assert answered == OK
    assert upstream.transport.aborted
    assert not client.ended


def test_bytes_that_nobody_asked_for_end_an_idle_connection() -> None:
    bench = Bench()
    client, upstream, _, _ = bench.exchange()
    upstream.send(b"HTTP/1.1 408 Request Timeout\r\nContent-Length: 0\r\n\r\n")
    assert upstream.transport.aborted
    client.send(GET)
    bench.accept().send(OK)
    assert client.take() == OK


@pytest.mark.parametrize("kind", ["reset", "half_close"])
def test_a_response_cut_short_is_not_completed(kind: str) -> None:
    for partial in (
        b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nok",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n",
    ):
        bench = Bench()
        client, upstream, _, _ = bench.exchange(GET, partial)
        getattr(upstream, kind)()
        assert client.transport.aborted
        assert bench.outcomes == {Outcome.RESET: 1}
        assert bench.balance == 0


@pytest.mark.parametrize("partial", [b"", b"HTTP/1.1 200 OK\r\nContent-Le"])
def test_a_connection_lost_before_the_head_is_a_502(partial: bytes) -> None:
    bench = Bench()
    client = bench.client()
    client.send(GET)
    upstream = bench.accept()
    upstream.send(partial) if partial else None
    upstream.reset()
    assert status_of(client.take()) == 502
    assert not client.ended
    assert bench.outcomes == {Outcome.RESET: 1}


def test_an_early_response_ends_both_connections_after_it() -> None:
    bench = Bench()
    client = bench.client()
    client.send(b"POST /x HTTP/1.1\r\nHost: gw\r\nContent-Length: 100\r\n\r\nsome")
    upstream = bench.accept()
    upstream.send(b"HTTP/1.1 413 Too Large\r\nContent-Length: 2\r\n\r\nno")
    assert client.take() == b"HTTP/1.1 413 Too Large\r\nContent-Length: 2\r\nConnection: close\r\n\r\nno"
    assert upstream.transport.aborted
    assert client.transport.eof_sent
    client.send(b"the rest that nobody reads" + GET)
    assert client.take() == b""
    assert not bench.connecting
    bench.pass_time(3)
    assert client.transport.closed


def test_an_early_response_head_lets_the_body_go_on_until_it_ends() -> None:
    bench = Bench()
    client = bench.client()
    client.send(b"POST /x HTTP/1.1\r\nHost: gw\r\nContent-Length: 8\r\n\r\nsome")
    upstream = bench.accept()
    upstream.take()
    upstream.send(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nab")
    client.send(b"rest")
    assert upstream.take() == b"rest"
    upstream.send(b"cd")
    assert client.take().endswith(b"Connection: close\r\n\r\nabcd")
    assert client.ended


def test_a_client_that_asks_for_it_gets_connection_close() -> None:
    bench = Bench()
    client, upstream, answered, _ = bench.exchange(GET[:-2] + b"Connection: close\r\n\r\n")
    assert answered == b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok"
    assert client.transport.closed
    assert not upstream.transport.closed


def test_a_location_that_names_the_coordinator_is_led_back_through_the_gateway() -> None:
    for authority in (b"10.1.0.1:8080", b"trino-one.team.svc:8080", b"TRINO-one.team.svc"):
        bench = Bench()
        answered = bench.exchange(
            GET, reply(b"", b"Location: http://" + authority + b"/ui/login?x", status=b"303 See")
        )[2]
        assert b"\r\nLocation: http://gw:8080/ui/login?x\r\n" in answered
        assert bench.counters.rewrites == 1


@pytest.mark.parametrize(
    "location", [b"/ui/", b"http://gw:8080/ui/", b"https://s3.example.com/x?y", b"//10.1.0.1:8080/", b"http://"]
)
def test_any_other_location_stays_as_it_is(location: bytes) -> None:
    response = reply(b"", b"Location: " + location, status=b"303 See Other")
    assert Bench().exchange(GET, response)[2] == response


def test_a_post_answer_passes() -> None:
    assert Bench().exchange(POST, OK)[2] == OK
