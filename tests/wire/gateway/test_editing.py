"""A coordinator that hands out its own address: its pages are edited, wherever they are split; data never is."""

from __future__ import annotations

import gzip

import orjson
import pytest

from tests.support.gateway_wire import POLL, POST, QUERY_ID, Bench, body_of, chunked, reply

OWN = "http://10.1.0.1:8080"
POLL_GET = f"GET {POLL} HTTP/1.1\r\nHost: gw:8080\r\nAccept-Encoding: gzip\r\n\r\n".encode()


def leaking(rows: int = 1) -> bytes:
    return orjson.dumps(
        {
            "id": QUERY_ID,
            "infoUri": f"{OWN}/ui/query.html?{QUERY_ID}",
            "partialCancelUri": "http://TRINO-one.team.svc:8080/v1/x",
            "nextUri": f"{OWN}/v1/statement/queued/{QUERY_ID}/y/1",
            "columns": [{"name": "nextUri"}],
            "data": [[f"{OWN}/untouched", {"nextUri": f"{OWN}/a-map's-entry"}]] * rows,
            "stats": {"state": "QUEUED"},
        }
    )


def edited(body: bytes) -> bytes:
    """What a client should get: the page with the three URIs led back."""
    page = orjson.loads(body)
    page["infoUri"] = f"http://gw:8080/ui/query.html?{QUERY_ID}"
    page["partialCancelUri"] = "http://gw:8080/v1/x"
    page["nextUri"] = f"http://gw:8080/v1/statement/queued/{QUERY_ID}/y/1"
    return orjson.dumps(page)


def unframed(response: bytes) -> bytes:
    """The body of a response, its framing checked and taken off."""
    head, _, body = response.partition(b"\r\n\r\n")
    low = head.lower()
    assert b"content-encoding" not in low
    if b"transfer-encoding: chunked" in low:
        payload = b""
        while True:
            line, _, body = body.partition(b"\r\n")
            size = int(line, 16)
            payload += body[:size]
            assert body[size : size + 2] == b"\r\n"
            body = body[size + 2 :]
            if size == 0:
                assert body == b""
                return payload
    length = int(low.partition(b"content-length: ")[2].partition(b"\r\n")[0])
    assert len(body) == length
    return body


def framed(body: bytes, framing: str) -> bytes:
    if framing == "length":
        return reply(body)
    if framing == "gzip":
        return reply(gzip.compress(body), b"Content-Encoding: gzip")
    size = {"chunked": 100, "one chunk": len(body), "chunked 7000": 7000}[framing]
    return b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nX-Other: y\r\n\r\n" + chunked(body, size)


def answer_to(request: bytes, response: bytes, pieces: list[bytes], bench: Bench | None = None) -> tuple[Bench, bytes]:
    bench = bench or Bench()
    bench.router.identified(bench.only_target, b"abcde")
    client = bench.client()
    client.send(request)
    upstream = bench.accept()
    for piece in pieces:
        upstream.send(piece)
    assert bench.balance == 0
    assert not client.ended
    assert len(upstream.protocol.pool.idle) == 1
    return bench, client.take()


@pytest.mark.parametrize("framing", ["length", "gzip", "chunked", "one chunk"])
def test_the_first_answer_is_edited_wherever_it_is_split(framing: str) -> None:
    body = leaking()
    response = framed(body, framing)
    for cut in range(0, len(response), 3):
        pieces = [piece for piece in (response[:cut], response[cut:]) if piece]
        bench, answered = answer_to(POST, response, pieces)
        assert orjson.loads(unframed(answered)) == orjson.loads(edited(body))
        assert bench.counters.rewrites == 1
        assert bench.live == {b"QUEUED": 1}
        assert bench.router.owner(QUERY_ID.encode(), bench.time) is bench.only_target


def leaky() -> Bench:
    """A bench whose coordinator has been seen to leak."""
    return answer_to(POST, b"", [framed(leaking(), "length")])[0]


@pytest.mark.parametrize("framing", ["length", "chunked", "one chunk", "chunked 7000"])
@pytest.mark.parametrize("step", [0, 1000, 4999])
def test_later_pages_are_edited_too_and_only_their_heads(framing: str, step: int) -> None:
    body = leaking(rows=2000)
    response = framed(body, framing)
    bench = leaky()
    bench.pools[bench.only_target].close()
    pieces = [response[i : i + step] for i in range(0, len(response), step)] if step else [response]
    _, answered = answer_to(POLL_GET, response, pieces, bench)
    assert orjson.loads(unframed(answered)) == orjson.loads(edited(body))
    assert b"/untouched" in answered


def test_a_large_page_goes_on_while_it_is_still_coming() -> None:
    for framing in ("length", "chunked", "one chunk"):
        body = leaking(rows=4000)
        response = framed(body, framing)
        for cut in (17_000, 17_001, 17_050, 17_099, 17_100, 17_101, 17_102, 17_103, 17_104, 17_105, 17_106, 17_107):
            bench = leaky()
            bench.pools[bench.only_target].close()
            client = bench.client()
            client.send(POLL_GET)
            upstream = bench.accept()
            upstream.send(response[:cut])
            first = client.take()
            assert len(first) > 16_000
            upstream.send(response[cut:])
            assert orjson.loads(unframed(first + client.take())) == orjson.loads(edited(body))


def test_a_coordinator_that_leaks_is_asked_for_plain_pages() -> None:
    bench = leaky()
    client = bench.client()
    client.send(POLL_GET)
    assert b"Accept-Encoding" not in bench.upstreams[-1].take().partition(b"SELECT 1")[2]
    client.reset()


def test_a_coordinator_that_fails_while_its_page_is_held_back_is_told_of() -> None:
    bench = Bench()
    client = bench.client()
    client.send(POST)
    upstream = bench.accept()
    upstream.send(framed(leaking(), "length")[:300])
    assert client.take() == b""
    upstream.reset()
    assert body_of(client.take())["error"]["errorType"] == "INTERNAL_ERROR"
    assert not client.ended


@pytest.mark.parametrize("framing", ["length", "gzip", "chunked"])
def test_pages_that_name_the_gateway_pass_byte_for_byte(framing: str) -> None:
    response = framed(edited(leaking()), framing)
    for cut in range(1, len(response), 7):
        bench, answered = answer_to(POST, response, [response[:cut], response[cut:]])
        assert answered == response
        assert bench.counters.rewrites == 0
