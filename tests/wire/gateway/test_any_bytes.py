"""Any bytes from either side, in any pieces: nothing raises, nothing leaks, and what is said is valid HTTP."""

from __future__ import annotations

import gzip

import h11
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gateway.proxy.pages import read_page
from gateway.proxy.segments import SegmentWatch
from tests.support.gateway_wire import GET, OK, POLL, POST, QUERY_ID, Bench, chunked, page, reply

MANY = settings(max_examples=400, deadline=None, suppress_health_check=[HealthCheck.too_slow])
POLL_GET = f"GET {POLL} HTTP/1.1\r\nHost: gw:8080\r\n\r\n".encode()
SPOOLED = page(data={"encoding": "json", "segments": [{"uri": "http://10.1.0.1:8080/v1/spooled/download/a?b"}]})
SAMPLES = [
    OK,
    reply(page()),
    reply(page(data=[[1]] * 300)),
    reply(SPOOLED),
    reply(page().replace(b"gw:8080", b"10.1.0.1:8080")),
    reply(gzip.compress(page().replace(b"gw:8080", b"10.1.0.1:8080")), b"Content-Encoding: gzip"),
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + chunked(SPOOLED, 50, b"A: b\r\n"),
    b"HTTP/1.1 100 Continue\r\n\r\n" + OK,
    b"HTTP/1.0 302 Found\r\nLocation: http://10.1.0.1:8080/x\r\n\r\nbye",
    b'HTTP/1.1 401\r\nWWW-Authenticate: Bearer x_token_server="http://a/oauth2/token/t"\r\nContent-Length:0\r\n\r\n',
]


@st.composite
def mangled(draw: st.DrawFn, samples: list[bytes]) -> bytes:
    """A sound message with a few bytes put in, taken out or changed; or noise."""
    if draw(st.integers(0, 9)) == 0:
        return draw(st.binary(max_size=200))
    data = draw(st.sampled_from(samples))
    for _ in range(draw(st.integers(0, 3))):
        at = draw(st.integers(0, len(data)))
        data = data[:at] + draw(st.binary(max_size=4)) + data[at + draw(st.integers(0, 4)) :]
    return data


def pieces(draw: st.DataObject, data: bytes) -> list[bytes]:
    cuts = sorted(draw.draw(st.lists(st.integers(0, len(data)), max_size=4)))
    return [data[a:b] for a, b in zip([0, *cuts], [*cuts, len(data)], strict=True) if a < b]


def finish(bench: Bench) -> None:
    bench.close()
    bench.turn()
    assert bench.balance == 0
    assert bench.counters.open_connections == 0
    assert bench.counters.upstream_open == 0


@MANY
@given(mangled([GET, POST, POLL_GET, GET + POST, POST + POLL_GET + GET]), st.data())
def test_any_request(data: bytes, draw: st.DataObject) -> None:
    bench = Bench(deferred=True)
    client = bench.client()
    for piece in pieces(draw, data):
        if not client.transport.closed:
            client.send(piece)
    for _ in range(5):
        while bench.connecting:
            bench.accept()
        for upstream in bench.upstreams:
            if upstream.take() and not upstream.transport.closed:
                upstream.send(OK)
    # Whatever the client hears is a row of responses that a client can read.
    heard = client.take()
    reader = h11.Connection(h11.CLIENT)
    while heard:
        reader.send(h11.Request(method="GET", target="/", headers=[("Host", "a")]))
        reader.send(h11.EndOfMessage())
        reader.receive_data(heard)
        event = reader.next_event()
        while not isinstance(event, h11.EndOfMessage):
            assert event is not h11.NEED_DATA
            event = reader.next_event()
        heard = reader.trailing_data[0]
        if reader.their_state is not h11.DONE:
            break
        reader = h11.Connection(h11.CLIENT)
    assert heard == b""
    finish(bench)


@MANY
@given(st.sampled_from([GET, POST, POLL_GET]), mangled(SAMPLES), st.data(), st.sampled_from(["reset", "half_close"]))
def test_any_response(request: bytes, data: bytes, draw: st.DataObject, end: str) -> None:
    bench = Bench(deferred=True)
    bench.router.identified(bench.only_target, b"abcde")
    client = bench.client()
    client.send(request)
    upstream = bench.accept()
    for piece in pieces(draw, data):
        if not upstream.transport.closed:
            upstream.send(piece)
    if not upstream.transport.closed:
        getattr(upstream, end)()
    bench.turn()
    # The client has a complete answer, or a connection that was cut: never one that hangs.
    assert bench.balance == 0
    assert client.take() or client.transport.aborted
    finish(bench)


@MANY
@given(
    mangled([page(), SPOOLED, b'{"id":"%b"}' % QUERY_ID.encode()]),
    st.sampled_from([None, b"gzip", b"br"]),
    st.booleans(),
)
def test_any_page(body: bytes, encoding: bytes | None, complete: bool) -> None:
    read_page(body, False, encoding, complete)
    read_page(gzip.compress(body), False, b"gzip", complete)
    framed = chunked(body, 7)
    for cut in range(0, len(framed), 11):
        read_page(framed[:cut], True, encoding, complete)


@MANY
@given(mangled([SPOOLED * 3]), st.booleans(), st.booleans(), st.data())
def test_segments_are_found_alike_in_any_pieces(
    body: bytes, in_chunks: bool, compressed: bool, draw: st.DataObject
) -> None:
    wire = gzip.compress(body) if compressed else body
    wire = chunked(wire, 50) if in_chunks else wire
    whole = SegmentWatch(in_chunks, compressed).feed(wire)
    watch = SegmentWatch(in_chunks, compressed)
    assert [found for piece in pieces(draw, wire) for found in watch.feed(piece)] == whole
