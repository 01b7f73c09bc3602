"""What we accept, h11 accepts, and reads alike: 10,000 request heads, as many response heads and chunk streams.

The other way round does not hold and must not: h11 takes folded lines, bare line feeds and repeated equal lengths.
Each test also asserts that enough of its cases were taken: a parser that refuses everything agrees with anyone.
"""

from __future__ import annotations

import h11
from hypothesis import given

from gateway.http1.chunks import MORE, ChunkScanner
from gateway.http1.request import (
    REQUEST_LINE,
    AbsoluteTarget,
    RequestHead,
    absolute_or_problem,
    parse_request_headers,
)
from gateway.http1.response import parse_response_head
from tests.support.gateway_fuzz import CASES, CHOICES, FUZZ, PATIENT, Choices, chunk_stream, request_head, response_head


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


@PATIENT
def test_a_request_head_that_we_take_reads_the_same_to_h11() -> None:
    taken = 0

    @FUZZ
    @given(CHOICES)
    def cases(choices: Choices) -> None:
        nonlocal taken
        data = request_head(choices)
        found = ours(data)
        if found is None:
            return
        taken += 1
        method, target, minor, head = found
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

    cases()
    assert taken > CASES // 5


@PATIENT
def test_a_response_head_that_we_trust_reads_the_same_to_h11() -> None:
    taken = 0

    @FUZZ
    @given(CHOICES)
    def cases(choices: Choices) -> None:
        nonlocal taken
        data = response_head(choices)
        if data.find(b"\r\n\r\n") != len(data) - 4:
            return
        head = parse_response_head(data, 100)
        if head is None:
            return
        taken += 1
        client = h11.Connection(h11.CLIENT)
        client.send(h11.Request(method="GET", target="/", headers=[("Host", "h")]))
        client.send(h11.EndOfMessage())
        client.receive_data(data)
        event = client.next_event()
        assert isinstance(event, h11.Response)
        assert event.status_code == head.status
        read = dict(event.headers)
        assert int(read.get(b"content-length", b"-1")) == head.length
        assert (b"transfer-encoding" in read and head.status != 204) == head.chunked

    cases()
    assert taken > CASES // 5


def scanned(pieces: list[bytes]) -> tuple[int, int]:
    """Where the body ended in the whole (or MORE, or MALFORMED), and how much payload was announced."""
    scanner = ChunkScanner(4096, 65536)
    offset = 0
    for piece in pieces:
        end = scanner.feed(piece, 0)
        if end != MORE:
            return (offset + end if end >= 0 else end), scanner.payload
        offset += len(piece)
    return MORE, scanner.payload


@PATIENT
def test_a_chunked_body_that_we_pass_reads_the_same_to_h11_however_it_is_split() -> None:
    taken = 0

    @FUZZ
    @given(CHOICES)
    def cases(choices: Choices) -> None:
        nonlocal taken
        body = chunk_stream(choices) + choices.pick((b"", b"GET /next"))
        end, announced = scanned([body])
        for cut in range(1, len(body)):
            assert scanned([body[:cut], body[cut:]])[0] == end
        assert scanned([body[i : i + 1] for i in range(len(body))])[0] == end
        if end < 0:
            return
        taken += 1
        server = h11.Connection(h11.SERVER)
        server.receive_data(b"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n" + body)
        assert isinstance(server.next_event(), h11.Request)
        payload = 0
        while True:
            event = server.next_event()
            if isinstance(event, h11.EndOfMessage):
                break
            assert isinstance(event, h11.Data)
            payload += len(event.data)
        assert payload == announced
        assert server.trailing_data[0] == body[end:]

    cases()
    assert taken > CASES // 5
