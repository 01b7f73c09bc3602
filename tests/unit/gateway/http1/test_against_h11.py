"""What we accept, h11 accepts, and reads alike: 10,000 heads and bodies, mutated by hypothesis.

The other way round does not hold and must not: h11 takes folded lines, bare line feeds and repeated equal lengths.
"""

from __future__ import annotations

import h11
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gateway.http1.chunks import MORE, ChunkScanner
from gateway.http1.request import (
    REQUEST_LINE,
    AbsoluteTarget,
    RequestHead,
    absolute_or_problem,
    parse_request_headers,
)
from gateway.http1.response import parse_response_head

MANY = settings(max_examples=2500, deadline=None, suppress_health_check=[HealthCheck.too_slow])

SOUND_LINES = [
    b"Content-Length: 3\r\n",
    b"Transfer-Encoding: chunked\r\n",
    b"Connection: close, x-a\r\n",
    b"X-A:\r\n",
    b"x_b: \xe4 \t b \r\n",
    b"Expect: 100-continue\r\n",
    b"Upgrade: h2c\r\n",
    b"X-Trino-XTrinode: a/b\r\n",
]
SOUND_REQUESTS = [
    b"GET / HTTP/1.1",
    b"POST /v1/statement HTTP/1.1",
    b"HEAD /x?y=%20&z HTTP/1.1",
    b"DELETE /a HTTP/1.0",
    b"GET http://h/x HTTP/1.1",
    b"PUT http://H HTTP/1.0",
]
METHODS = st.sampled_from([b"GET", b"POST", b"HEAD", b"DELETE", b"PUT", b"OPTIONS", b"get", b"TRACE", b"G@T", b""])
TARGETS = st.sampled_from(
    [b"/", b"/v1/statement", b"/a?b=c", b"/%zz", b"*", b"http://h/x", b"http://h", b"//", b"/a#b", b"/ b", b"/\xff"]
)
VERSIONS = st.sampled_from([b"HTTP/1.1", b"HTTP/1.1", b"HTTP/1.0", b"HTTP/2.0", b"HTTP/1.10", b"http/1.1"])
NAMES = st.sampled_from(
    [
        b"Host",
        b"Content-Length",
        b"content-length",
        b"Transfer-Encoding",
        b"Connection",
        b"Expect",
        b"X-A",
        b"x_b",
        b"A b",
        b"",
        b" X",
    ]
)
VALUES = st.one_of(
    st.sampled_from(
        [
            b"h",
            b"h:80",
            b"3",
            b"0",
            b"+3",
            b"3, 3",
            b"chunked",
            b"Chunked",
            b"gzip, chunked",
            b"close",
            b"keep-alive, x-a",
            b"100-continue",
            b"",
            b" ",
        ]
    ),
    st.binary(max_size=6),
)
SEPARATORS = st.sampled_from([b": ", b":", b":\t", b" : ", b" :", b"=", b":  "])
ENDS = st.sampled_from([b"\r\n"] * 12 + [b"\n", b"\r", b"\r\r\n", b"\r\n "])


@st.composite
def header_blocks(draw: st.DrawFn) -> bytes:
    """Mostly sound lines with at most one odd one, or odd ones only."""
    sound = st.sampled_from(SOUND_LINES)
    odd = st.tuples(NAMES, SEPARATORS, VALUES, ENDS).map(b"".join)
    lines = [b"Host: h\r\n", *draw(st.lists(sound, max_size=4, unique=True))]
    if draw(st.booleans()):
        lines.insert(draw(st.integers(0, len(lines))), draw(odd))
    elif draw(st.booleans()):
        lines = draw(st.lists(odd, max_size=5))
    return b"".join(lines) + b"\r\n"


@st.composite
def request_heads(draw: st.DrawFn) -> bytes:
    if draw(st.booleans()):
        line = draw(st.sampled_from(SOUND_REQUESTS)) + b"\r\n"
    else:
        gap = draw(st.sampled_from([b" ", b" ", b" ", b" ", b"  ", b"\t"]))
        line = draw(METHODS) + gap + draw(TARGETS) + gap + draw(VERSIONS) + draw(ENDS)
    return line + draw(header_blocks())


def ours(data: bytes) -> tuple[bytes, bytes, bytes, RequestHead] | None:
    """Method, target, minor version and head when the gateway would forward this request."""
    if data.find(b"\r\n\r\n") != len(data) - 4:
        return None
    plain = REQUEST_LINE(data)
    host = None
    if plain is not None:
        method, target, minor = plain.groups()
    else:
        absolute = absolute_or_problem(data)
        if not isinstance(absolute, AbsoluteTarget):
            return None
        method, target, minor, host = absolute.method, absolute.target, absolute.minor, absolute.host
    head = parse_request_headers(data[data.index(b"\r\n") + 2 :], 100)
    if not isinstance(head, RequestHead):
        return None
    if head.host is None and minor == b"1":
        return None
    if host is not None and head.host is not None and host.lower() != head.host.lower():
        return None
    if head.chunked and minor == b"0":
        return None
    return method, target, minor, head


@MANY
@given(request_heads())
def test_a_request_head_that_we_take_reads_the_same_to_h11(data: bytes) -> None:
    taken = ours(data)
    if taken is None:
        return
    method, target, minor, head = taken
    server = h11.Connection(h11.SERVER, max_incomplete_event_size=1 << 20)
    server.receive_data(data)
    event = server.next_event()
    assert isinstance(event, h11.Request)
    assert event.method == method
    assert event.target == target or event.target.lower().startswith(b"http")
    assert event.http_version == b"1." + minor
    read = dict(event.headers)
    if head.host is not None:
        assert read[b"host"] == head.host
    assert int(read.get(b"content-length", b"0")) == head.length
    assert (b"transfer-encoding" in read) == head.chunked
    # What goes on is a head that h11 reads, with nothing added.
    onward = h11.Connection(h11.SERVER)
    onward.receive_data(method + b" " + target + b" HTTP/1." + minor + b"\r\n" + head.kept + b"\r\n")
    again = onward.next_event()
    assert isinstance(again, h11.Request)
    assert {name for name, _ in again.headers} <= {name for name, _ in event.headers}


@MANY
@given(
    st.sampled_from(
        [
            b"HTTP/1.1 200 OK",
            b"HTTP/1.1 204 No",
            b"HTTP/1.0 200",
            b"HTTP/1.1 999 x",
            b"HTTP/1.1 20 x",
            b"HTTP/1.1 200\tx",
        ]
    ),
    ENDS,
    header_blocks(),
)
def test_a_response_head_that_we_trust_reads_the_same_to_h11(status: bytes, end: bytes, block: bytes) -> None:
    data = status + end + block
    if data.find(b"\r\n\r\n") != len(data) - 4:
        return
    head = parse_response_head(data, 100)
    if head is None:
        return
    client = h11.Connection(h11.CLIENT)
    client.send(h11.Request(method="GET", target="/", headers=[("Host", "h")]))
    client.send(h11.EndOfMessage())
    client.receive_data(data)
    event = client.next_event()
    assert isinstance(event, h11.Response)
    assert event.status_code == head.status
    read = dict(event.headers)
    assert int(read.get(b"content-length", b"-1")) == head.length
    assert (b"transfer-encoding" in read) == head.chunked


SIZES = st.sampled_from(
    [b"0", b"1", b"3", b"a", b"A", b"03", b"+1", b" 1", b"1 ", b"0x1", b"1;a=b", b"1;\n", b"", b"0;x"]
)


@st.composite
def chunk_streams(draw: st.DrawFn) -> bytes:
    """Mostly sound chunks with now and then an odd one."""
    parts = []
    for _ in range(draw(st.integers(0, 4))):
        if draw(st.integers(0, 3)):
            payload = draw(st.binary(min_size=1, max_size=20))
            extension = draw(st.sampled_from([b"", b";a=b", b';q="\xe4"']))
            parts.append(b"%x%b\r\n%b\r\n" % (len(payload), extension, payload))
        else:
            parts.append(draw(SIZES) + draw(ENDS) + draw(st.sampled_from([b"x", b"abc", b""])) + draw(ENDS))
    trailer = draw(st.sampled_from([b"", b"", b"A: b\r\n", b"A : b\r\n", b" a\r\n", b"Content-Length: 1\r\n"]))
    end = draw(st.sampled_from([b"0\r\n", b"0\r\n", b"000\r\n", b"0;x\r\n", b""]))
    return b"".join(parts) + end + trailer + b"\r\n" + draw(st.sampled_from([b"", b"GET /next"]))


@MANY
@given(chunk_streams(), st.integers(1, 7))
def test_a_chunked_body_that_we_pass_reads_the_same_to_h11(body: bytes, step: int) -> None:
    scanner = ChunkScanner(4096, 65536)
    end = MORE
    offset = 0
    for offset in range(0, len(body), step):
        end = scanner.feed(body[offset : offset + step], 0)
        if end != MORE:
            break
    if end < 0:
        return
    total = offset + end
    server = h11.Connection(h11.SERVER)
    server.receive_data(b"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n" + body)
    assert isinstance(server.next_event(), h11.Request)
    payload = b""
    while True:
        event = server.next_event()
        if isinstance(event, h11.EndOfMessage):
            break
        assert isinstance(event, h11.Data)
        payload += event.data
    assert len(payload) == scanner.payload
    assert server.trailing_data[0] == body[total:]


@MANY
@given(request_heads(), st.data())
def test_noise_in_a_head_is_taken_or_refused_but_never_raises(data: bytes, draw: st.DataObject) -> None:
    position = draw.draw(st.integers(0, len(data)))
    mutated = data[:position] + draw.draw(st.binary(max_size=3)) + data[position:]
    ours(mutated)
    parse_response_head(mutated, 10)
