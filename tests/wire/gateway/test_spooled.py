"""Spooled segments: requests for them carry nothing but an identifier, and must find the coordinator that made it."""

from __future__ import annotations

import gzip

import pytest

from tests.support.gateway_wire import OK, POLL, Bench, backend, chunked, page, reply, table

POLL_GET = f"GET {POLL} HTTP/1.1\r\nHost: gw:8080\r\n\r\n".encode()
NAMES = [f"segment-{number}-{'s' * 200}" for number in range(60)]


def spooled_page(padding: int = 0) -> bytes:
    segments = [
        {
            "type": "spooled",
            "uri": f"http://gw:8080/v1/spooled/download/{name}",
            "ackUri": f"http://gw:8080/v1/spooled/ack/{name}",
            "metadata": {"rowsCount": 1},
        }
        for name in NAMES
    ]
    inline = [{"type": "inline", "data": "x" * padding}] if padding else []
    return page(columns=[{"name": "a"}], data={"encoding": "json+zstd", "segments": inline + segments})


def framed(body: bytes, framing: str) -> bytes:
    if framing == "length":
        return reply(body)
    if framing == "gzip":
        return reply(gzip.compress(body), b"Content-Encoding: gzip")
    if framing == "gzip chunked":
        head = b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nTransfer-Encoding: chunked\r\n\r\n"
        return head + chunked(gzip.compress(body), 77)
    trailer = b"Expires: never\r\n" if framing == "trailers" else b""
    return b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + chunked(body, 333, trailer)


@pytest.mark.parametrize("framing", ["length", "gzip", "chunked", "trailers", "gzip chunked"])
@pytest.mark.parametrize(("step", "padding"), [(0, 0), (1, 0), (100, 0), (5000, 0), (0, 40_000), (999, 40_000)])
def test_segments_are_fetched_from_the_coordinator_that_made_them(framing: str, step: int, padding: int) -> None:
    bench = Bench(table(backend("one"), backend("two")))
    owner, other = bench.router.targets()
    bench.router.identified(owner, b"abcde")
    client = bench.client()
    client.send(POLL_GET)
    upstream = bench.accept()
    upstream.take()
    response = framed(spooled_page(padding), framing)
    upstream.send(response, step)
    assert client.take() == response
    assert owner.queries == 1
    owner.inflight += 100  # nobody would choose it
    for name in NAMES:
        for verb in ("download", "ack"):
            client.send(f"GET /v1/spooled/{verb}/{name} HTTP/1.1\r\nHost: gw\r\n\r\n".encode())
            assert upstream.take().startswith(f"GET /v1/spooled/{verb}/{name} ".encode())
            upstream.send(OK)
    client.send(b"GET /v1/spooled/download/unknown HTTP/1.1\r\nHost: gw\r\n\r\n")
    assert bench.connecting[0].target is other


def test_a_page_that_is_not_what_it_says_passes_all_the_same() -> None:
    bench = Bench()
    bench.router.identified(bench.only_target, b"abcde")
    whole = gzip.compress(spooled_page(40_000))
    response = reply(whole[:-3000] + b"\x00" * 3000, b"Content-Encoding: gzip")
    assert bench.exchange(POLL_GET, response)[2] == response


def test_rows_that_only_mention_segments_are_nobodys() -> None:
    bench = Bench()
    bench.router.identified(bench.only_target, b"abcde")
    bench.exchange(POLL_GET, reply(page(data=[['"segments":[ http://gw/v1/spooled/download/evil"']])))
    assert bench.router.pinned(b"spooled:evil", bench.time) is None


@pytest.mark.parametrize(
    ("location", "expected"),
    [
        # The coordinator's own address: nobody outside can follow it, and the gateway knows whose the segment is.
        ("http://10.1.0.1:8080/v1/spooled/download/{}", "http://gw:8080/v1/spooled/download/{}"),
        ("http://trino-one.team.svc:8080/v1/spooled/download/{}", "http://gw:8080/v1/spooled/download/{}"),
        # A worker's, or an object store's: theirs.
        ("http://10.1.0.77:8080/v1/spooled/download/{}", "http://10.1.0.77:8080/v1/spooled/download/{}"),
        ("https://s3.example.com/b/{}?X-Amz-Signature=ab%2Fc", "https://s3.example.com/b/{}?X-Amz-Signature=ab%2Fc"),
        ("/v1/spooled/download/{}", "/v1/spooled/download/{}"),
    ],
)
def test_a_redirect_to_a_segment_leads_back_only_where_it_names_the_coordinator(location: str, expected: str) -> None:
    bench = Bench()
    bench.router.identified(bench.only_target, b"abcde")
    client = bench.client()
    client.send(POLL_GET)
    upstream = bench.accept()
    upstream.send(framed(spooled_page(0), "length"))
    client.take()
    client.send(f"GET /v1/spooled/download/{NAMES[0]} HTTP/1.1\r\nHost: gw:8080\r\n\r\n".encode())
    upstream.send(reply(b"", f"Location: {location.format(NAMES[0])}".encode(), status=b"303 See Other"))
    assert f"\r\nLocation: {expected.format(NAMES[0])}\r\n".encode() in client.take()
    assert bench.counters.rewrites == (location != expected)
