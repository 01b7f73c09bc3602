"""What of a client's bytes reaches the coordinator, and what is refused before it gets there."""

from __future__ import annotations

import pytest

from gateway.http1.limits import Limits
from gateway.proxy.settings import ProxySettings
from gateway.routing.model import Outcome
from tests.support.gateway_attacks import CHUNK_ATTACKS, SMUGGLING
from tests.support.gateway_wire import GET, OK, POST, Bench, body_of, chunked, status_of

FORWARDED = (
    b"X-Forwarded-For: 10.0.0.7\r\nX-Forwarded-Host: gw:8080\r\nX-Forwarded-Proto: http\r\nX-Forwarded-Port: 8080\r\n"
)


def test_a_request_goes_on_with_its_bytes_untouched_and_our_hop_added() -> None:
    head = b"GET /v1/info?x=%2f HTTP/1.1\r\nhost: gw:8080\r\nX-Trino-User:  \xc3\xa4 \r\nAuthorization: Bearer t\r\n"
    _, _, answered, forwarded = Bench().exchange(head + b"\r\n")
    assert forwarded == head + FORWARDED + b"\r\n"
    assert answered == OK


def test_the_selector_and_our_api_key_stay_with_us() -> None:
    request = b"GET /v1/info HTTP/1.1\r\nHost: gw:8080\r\nX-Trino-XTrinode: team/all\r\nX-API-Key: k\r\n\r\n"
    forwarded = Bench().exchange(request)[3]
    assert forwarded == b"GET /v1/info HTTP/1.1\r\nHost: gw:8080\r\n" + FORWARDED + b"\r\n"


def test_hop_by_hop_headers_stop_here() -> None:
    request = (
        b"GET / HTTP/1.1\r\nHost: gw:8080\r\nConnection: keep-alive, x-drop, Host\r\nX-Drop: 1\r\nTE: trailers\r\n"
        b"Upgrade: websocket\r\nKeep-Alive: 5\r\nProxy-Connection: x\r\nX-Keep: 2\r\n\r\n"
    )
    assert Bench().exchange(request)[3] == b"GET / HTTP/1.1\r\nHost: gw:8080\r\nX-Keep: 2\r\n" + FORWARDED + b"\r\n"


def test_forged_forwarding_headers_are_overwritten() -> None:
    request = GET[:-2] + b"X-Forwarded-For: 1.1.1.1\r\nX-Forwarded-Proto: https\r\nForwarded: for=1.1.1.1\r\n\r\n"
    forwarded = Bench().exchange(request)[3]
    assert forwarded == GET[:-2] + FORWARDED + b"\r\n"


def test_a_trusted_proxys_forwarding_headers_are_kept() -> None:
    bench = Bench(settings=ProxySettings(trusted_proxies=("10.0.0.0/24",)))
    request = GET[:-2] + b"X-Forwarded-For: 1.1.1.1\r\nX-Forwarded-Proto: https\r\nX-Forwarded-Host: t.example\r\n\r\n"
    forwarded = bench.exchange(request)[3]
    assert b"X-Forwarded-For: 1.1.1.1, 10.0.0.7\r\nX-Forwarded-Host: t.example\r\n" in forwarded
    assert b"X-Forwarded-Proto: https\r\nX-Forwarded-Port: 443\r\n" in forwarded


def test_tls_is_told_to_the_coordinator() -> None:
    bench = Bench()
    client = bench.client(tls=True)
    client.send(b"GET / HTTP/1.1\r\nHost: gw\r\n\r\n")
    assert b"X-Forwarded-Proto: https\r\nX-Forwarded-Port: 443\r\n" in bench.accept().take()


@pytest.mark.parametrize("step", [1, 2, 3, 7, 64])
def test_a_request_may_come_in_any_pieces(step: int) -> None:
    bench = Bench()
    client = bench.client()
    client.send(POST, step)
    upstream = bench.accept()
    assert upstream.take() == POST[:-10] + FORWARDED + b"\r\nSELECT 1"
    upstream.send(OK, step)
    assert client.take() == OK


def test_a_request_split_at_every_byte_reads_the_same() -> None:
    whole = b"POST /x HTTP/1.1\r\nHost: gw:8080\r\nTransfer-Encoding: chunked\r\n\r\n" + chunked(
        b"hello", 3, b"A: b\r\n"
    )
    for cut in range(1, len(whole)):
        bench = Bench()
        client = bench.client()
        client.send(whole[:cut])
        client.send(whole[cut:])
        sent = bench.accept().take()
        assert sent.replace(FORWARDED, b"") == whole
        assert not client.ended


def test_the_same_header_block_again_is_the_same_request_again() -> None:
    bench = Bench()
    client, upstream, _, first = bench.exchange()
    for _ in range(3):
        client.send(GET)
        assert upstream.take() == first
        upstream.send(OK)
    client.send(GET.replace(b"gw:8080", b"gw:9090"))
    assert b"X-Forwarded-Port: 9090" in upstream.take()


def test_large_prepared_statement_headers_pass() -> None:
    request = GET[:-2] + b"X-Trino-Prepared-Statement: q=" + b"x" * 1_900_000 + b"\r\n\r\n"
    bench = Bench()
    client = bench.client()
    client.send(request, 65536)
    assert len(bench.accept().take()) > 1_900_000


def test_absolute_targets_become_plain_ones() -> None:
    bench = Bench()
    forwarded = bench.exchange(b"GET http://GW:8080/v1/info HTTP/1.1\r\nHost: gw:8080\r\n\r\n")[3]
    assert forwarded.startswith(b"GET /v1/info HTTP/1.1\r\nHost: gw:8080\r\n")


def test_an_absolute_target_decides_the_route() -> None:
    bench = Bench()
    client = bench.client()
    client.send(b"GET http://all.example.com/v1/info HTTP/1.0\r\nX-Trino-XTrinode: no/such\r\n\r\n")
    forwarded = bench.accept().take()
    assert b"\r\nHost: all.example.com\r\n" in forwarded
    assert b"\r\nX-Forwarded-Host: all.example.com\r\n" in forwarded


@pytest.mark.parametrize("expect", [b"100-continue", b"100-Continue"])
def test_expect_continue_is_relayed_not_invented(expect: bytes) -> None:
    bench = Bench()
    client = bench.client()
    client.send(b"POST /x HTTP/1.1\r\nHost: gw:8080\r\nExpect: " + expect + b"\r\nContent-Length: 3\r\n\r\n")
    upstream = bench.accept()
    assert b"\r\nExpect: " + expect in upstream.take()
    assert client.take() == b""
    upstream.send(b"HTTP/1.1 100 Continue\r\n\r\n")
    assert client.take() == b"HTTP/1.1 100 Continue\r\n\r\n"
    client.send(b"abc")
    assert upstream.take() == b"abc"
    upstream.send(OK)
    assert client.take() == OK


@pytest.mark.parametrize("case", SMUGGLING)
@pytest.mark.parametrize("step", [0, 1])
def test_ambiguity_is_refused_and_the_connection_closed(case: str, step: int) -> None:
    attack, status = SMUGGLING[case]
    bench = Bench()
    client = bench.client()
    client.send(attack + GET, step if len(attack) < 10_000 else step * 1000)
    answer = client.take()
    assert status_of(answer) == status
    assert b"\r\nConnection: close\r\n" in answer
    assert b"\r\nContent-Type: application/json\r\n" in answer
    assert body_of(answer)["error"]["message"]
    assert answer.count(b"\r\nContent-Length: ") == 1  # what followed was not served
    assert client.ended
    assert not bench.connecting
    assert bench.balance == 0


@pytest.mark.parametrize("step", [0, 1])
def test_a_refusal_in_the_middle_of_a_pipeline_comes_after_what_went_before(step: int) -> None:
    bench = Bench()
    client = bench.client()
    client.send(GET + b"GET / HTTP/1.1\r\n\r\n" + GET, step)
    bench.accept().send(OK)
    answer = client.take()
    assert answer.startswith(OK)
    assert status_of(answer[len(OK) :]) == 400
    assert client.ended


@pytest.mark.parametrize("case", CHUNK_ATTACKS)
@pytest.mark.parametrize("step", [0, 1])
@pytest.mark.parametrize("warm", [False, True])
def test_a_body_that_hides_a_request_is_refused_and_what_it_hides_goes_nowhere(
    case: str, step: int, warm: bool
) -> None:
    bench = Bench()
    client = bench.client()
    if warm:
        client.send(GET)
        bench.accept().send(OK)
        client.take()
        bench.upstreams[0].take()
    client.send(CHUNK_ATTACKS[case], step)
    answer = client.take()
    assert status_of(answer) == 400
    assert answer.count(b"HTTP/1.1 ") == 1
    assert client.ended
    assert bench.balance == 0
    while bench.connecting:
        bench.accept()
    for upstream in bench.upstreams:
        got = upstream.take()
        assert b"/hidden" not in got
        assert upstream.transport.aborted == bool(got)  # one that never heard of it is as good as before


def limited(**limits: int) -> Bench:
    return Bench(settings=ProxySettings(limits=Limits(**limits)))


@pytest.mark.parametrize("step", [0, 10])
def test_heads_are_bounded(step: int) -> None:
    bench = limited(head=1000)
    client = bench.client()
    client.send(GET[:-2] + b"A: " + b"x" * 1000 + b"\r\n\r\n", step)
    assert status_of(client.take()) == 431
    assert client.ended


def test_header_lines_and_targets_are_bounded() -> None:
    bench = limited(headers=5, target=100)
    client = bench.client()
    client.send(GET[:-2] + b"A: b\r\n" * 5 + b"\r\n")
    assert status_of(client.take()) == 431
    client = bench.client()
    client.send(b"GET /" + b"x" * 100 + b" HTTP/1.1\r\nHost: a\r\n\r\n")
    assert status_of(client.take()) == 414


def test_bodies_are_bounded() -> None:
    bench = limited(body=10)
    client = bench.client()
    client.send(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 11\r\n\r\n")
    assert status_of(client.take()) == 413
    assert not bench.connecting
    client = bench.client()
    client.send(b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n")
    upstream = bench.accept()
    client.send(b"6\r\nworld!\r\n0\r\n\r\n")
    assert status_of(client.take()) == 413
    assert upstream.transport.aborted
    assert bench.balance == 0


def test_a_chunked_body_that_goes_wrong_is_cut_on_both_sides() -> None:
    bench = Bench()
    client = bench.client()
    client.send(b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n")
    upstream = bench.accept()
    client.send(b"zz\r\n")
    assert status_of(client.take()) == 400
    assert client.ended
    assert upstream.transport.aborted
    assert bench.outcomes == {Outcome.CLIENT_ABORT: 1}
    assert bench.counters.problems == {"chunk": 1}


def test_http_1_0_gets_its_answer_and_the_end() -> None:
    bench = Bench()
    _, upstream, answered, forwarded = bench.exchange(b"GET /v1/info HTTP/1.0\r\nConnection: keep-alive\r\n\r\n")
    assert forwarded.startswith(b"GET /v1/info HTTP/1.0\r\nHost: localhost:8080\r\n")
    assert answered == b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok"
    assert upstream.transport.closed


def test_statements_and_polls_that_alternate_are_each_themselves() -> None:
    bench = Bench()
    client, upstream, _, first = bench.exchange(POST)
    for _ in range(3):
        client.send(GET)
        assert upstream.take().startswith(b"GET /v1/info")
        upstream.send(OK)
        client.send(POST)
        assert upstream.take() == first
        upstream.send(OK)
