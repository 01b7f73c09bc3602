"""Which response heads are trusted, and which of their lines go on."""

from __future__ import annotations

import pytest

from gateway.http1.lines import CHALLENGE, LOCATION, MEMO, STARTED_TRANSACTION
from gateway.http1.response import HEADS, ResponseHead, kept_of, parse_response_head, replace_header


def parsed(*lines: bytes) -> ResponseHead | None:
    return parse_response_head(b"".join(line + b"\r\n" for line in lines) + b"\r\n", 100)


def trusted(*lines: bytes) -> ResponseHead:
    head = parsed(*lines)
    assert head is not None
    return head


def test_a_plain_head_goes_on_as_it_came() -> None:
    head = trusted(
        b"HTTP/1.1 200 OK", b"Content-Length: 5", b"Connection: keep-alive", b"Set-Cookie: a", b"Set-Cookie: b"
    )
    assert head.kept is None
    assert (head.status, head.length, head.chunked, head.close) == (200, 5, False, False)


@pytest.mark.parametrize("line", [b"HTTP/1.1 299", b"HTTP/1.1 299 ", b"HTTP/1.1 299 Fine \xe4 indeed"])
def test_any_status_and_reason_is_taken(line: bytes) -> None:
    assert trusted(line).status == 299


def test_hop_by_hop_lines_go() -> None:
    head = trusted(
        b"HTTP/1.1 200 OK", b"Connection: close, X-Hop", b"Keep-Alive: timeout=5", b"X-Hop: 1", b"Upgrade: h2", b"A: b"
    )
    assert head.kept == b"HTTP/1.1 200 OK\r\nA: b\r\n"
    assert head.close


def test_http_1_0_is_announced_as_1_1_and_closes_unless_it_says_otherwise() -> None:
    head = trusted(b"HTTP/1.0 200 OK", b"Content-Length: 1")
    assert head.kept == b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n"
    assert head.close
    assert not trusted(b"HTTP/1.0 200 OK", b"Content-Length: 1", b"Connection: keep-alive").close


@pytest.mark.parametrize("status", [b"204 No Content", b"100 Continue", b"103 Early Hints"])
def test_framing_that_must_not_be_there_is_taken_out(status: bytes) -> None:
    head = trusted(b"HTTP/1.1 " + status, b"Content-Length: 5", b"A: b")
    assert head.kept == b"HTTP/1.1 " + status + b"\r\nA: b\r\n"


@pytest.mark.parametrize("framing", [b"Content-Length: 5", b"Transfer-Encoding: chunked"])
def test_a_204_that_announces_a_body_has_none_and_is_its_connections_last(framing: bytes) -> None:
    head = trusted(b"HTTP/1.1 204 No Content", framing)
    assert head.kept == b"HTTP/1.1 204 No Content\r\n"
    assert head.close
    assert not head.chunked
    assert not trusted(b"HTTP/1.1 204 No Content", b"Content-Length: 0").close


@pytest.mark.parametrize(
    "lines",
    [
        [b"HTTP/1.1 200 OK", b"Content-Length: 5", b"Content-Length: 5"],
        [b"HTTP/1.1 200 OK", b"Content-Length: 5, 5"],
        [b"HTTP/1.1 200 OK", b"Content-Length: -5"],
        [b"HTTP/1.1 200 OK", b"Content-Length: 5", b"Transfer-Encoding: chunked"],
        [b"HTTP/1.1 200 OK", b"Transfer-Encoding: gzip"],
        [b"HTTP/1.1 200 OK", b"Transfer-Encoding: chunked", b"Transfer-Encoding: chunked"],
        [b"HTTP/1.0 200 OK", b"Transfer-Encoding: chunked"],
        [b"HTTP/1.1 200 OK", b" folded: x"],
        [b"HTTP/1.1 200 OK", b"A : b"],
        [b"HTTP/1.1 200 OK", b"A: b\nC: d"],
        [b"HTTP/1.1 200 OK", b"A: b\rC: d"],
        [b"HTTP/1.1 200 OK", b"A: \x00"],
        [b"HTTP/1.1 200 O\nK"],
        [b"HTTP/1.1 20 OK"],
        [b"HTTP/1.1 099 OK"],
        [b"HTTP/1.1 2000 OK"],
        [b"HTTP/1.1  200 OK"],
        [b"HTTP/2 200"],
        [b"ICY 200 OK"],
        [b""],
        [b"HTTP/1.1 200 OK"] + [b"A: b"] * 101,
    ],
)
def test_what_clients_could_take_differently_is_not_trusted(lines: list[bytes]) -> None:
    assert parsed(*lines) is None
    assert parsed(*lines) is None


def test_what_a_proxy_for_trino_wants_to_know_is_read() -> None:
    head = trusted(
        b"HTTP/1.1 401 Unauthorized",
        b"Content-Encoding: GZIP",
        b"Location: http://x/",
        b"X-Trino-Started-Transaction-Id: t1",
        b'WWW-Authenticate: Bearer x_redirect_server="a", x_token_server="b"',
        b'WWW-Authenticate: Basic realm="Trino"',
    )
    assert head.encoding == b"gzip"
    assert head.noted is not None
    assert head.noted[LOCATION] == b"http://x/"
    assert head.noted[STARTED_TRANSACTION] == b"t1"
    assert b"x_token_server" in head.noted[CHALLENGE]


def test_lines_can_be_replaced_and_removed() -> None:
    raw = b"HTTP/1.1 200 OK\r\nconnection: keep-alive\r\nContent-Length: 5\r\n\r\n"
    head = parse_response_head(raw, 100)
    assert head is not None
    kept = kept_of(head, raw)
    assert kept == b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n"
    assert replace_header(kept, b"content-length", b"7") == b"HTTP/1.1 200 OK\r\nContent-Length: 7\r\n"
    assert replace_header(kept, b"content-length", None) == b"HTTP/1.1 200 OK\r\n"


def test_heads_are_remembered_but_never_those_that_carry_credentials() -> None:
    plain = (b"HTTP/1.1 200 OK", b"Content-Length: 77", b"A-Plain: line")
    secret = (b"HTTP/1.1 200 OK", b"Content-Length: 77", b"Set-Cookie: s=1")
    for _ in range(3):
        assert trusted(*plain).length == trusted(*secret).length == 77
    assert trusted(*plain) is trusted(*plain)
    assert trusted(*secret) is not trusted(*secret)
    assert not any(b"Set-Cookie" in raw for raw in HEADS)
    assert not any(b"Set-Cookie" in line for line in MEMO)


def test_what_is_remembered_is_bounded() -> None:
    for number in range(5000):
        for _ in range(2):
            trusted(b"HTTP/1.1 200 OK", b"Content-Length: %d" % number)
    assert len(HEADS) <= 1024
    assert len(MEMO) <= 4096
