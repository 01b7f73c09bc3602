"""Which request heads are taken, what is read from them, and which bytes go on."""

from __future__ import annotations

import pytest

from gateway.http1 import problem
from gateway.http1.problem import Problem
from gateway.http1.request import (
    REQUEST_LINE,
    AbsoluteTarget,
    RequestHead,
    absolute_or_problem,
    hopeless,
    parse_request_headers,
    without,
)


def headers(*lines: bytes) -> RequestHead | Problem:
    return parse_request_headers(b"".join(line + b"\r\n" for line in lines) + b"\r\n", 100)


def accepted(*lines: bytes) -> RequestHead:
    head = headers(*lines)
    assert isinstance(head, RequestHead)
    return head


def test_a_plain_head_goes_on_byte_for_byte() -> None:
    head = accepted(b"Host: a:8080", b"X-Trino-User:\talice ", b"accept: */*", b"Connection: keep-alive")
    assert head.kept == b"Host: a:8080\r\nX-Trino-User:\talice \r\naccept: */*\r\nConnection: keep-alive\r\n"
    assert (head.host, head.length, head.chunked, head.close, head.keep_alive) == (b"a:8080", 0, False, False, True)


def test_framing_is_read() -> None:
    assert accepted(b"Host: a", b"content-length:  42 ").length == 42
    assert accepted(b"Host: a", b"Transfer-Encoding: Chunked").chunked
    assert accepted(b"Host: a", b"Expect: 100-Continue").expects_continue


def test_hop_by_hop_headers_and_those_that_connection_nominates_are_taken_out() -> None:
    head = accepted(
        b"Host: a",
        b"Connection: X-Secret, close",
        b"Connection: x-other",
        b"X-Secret: 1",
        b"X-OTHER: 2",
        b"Keep-Alive: timeout=5",
        b"TE: trailers",
        b"Upgrade: h2c",
        b"HTTP2-Settings: AAMAAABkAAQAAP__",
        b"Proxy-Connection: keep-alive",
        b"Accept: a",
    )
    assert head.kept == b"Host: a\r\nAccept: a\r\n"
    assert head.close


def test_connection_cannot_nominate_what_frames_or_routes_a_message() -> None:
    head = accepted(b"Host: a", b"Connection: host, content-length, transfer-encoding", b"Content-Length: 3")
    assert head.kept == b"Host: a\r\nContent-Length: 3\r\n"


def test_our_own_headers_are_read_and_never_leave() -> None:
    head = accepted(b"Host: a", b"x-trino-xtrinode: team/one", b"X-API-Key: secret", b"X-Trino-User: u")
    assert head.selector == b"team/one"
    assert head.kept == b"Host: a\r\nX-Trino-User: u\r\n"


def test_forwarded_headers_are_set_aside() -> None:
    head = accepted(b"Host: a", b"X-Forwarded-For: 1.2.3.4", b"Forwarded: for=1.2.3.4", b"x-forwarded-prefix: /x")
    assert head.forwarded == [b"X-Forwarded-For: 1.2.3.4", b"Forwarded: for=1.2.3.4", b"x-forwarded-prefix: /x"]
    assert head.kept == b"Host: a\r\n"


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        ([b"Host: a", b"Content-Length: 3", b"Transfer-Encoding: chunked"], problem.LENGTH_AND_CHUNKED),
        ([b"Host: a", b"Transfer-Encoding: chunked", b"Content-Length: 0"], problem.LENGTH_AND_CHUNKED),
        ([b"Host: a", b"Content-Length: 3", b"Content-Length: 3"], problem.BAD_LENGTH),
        ([b"Host: a", b"Content-Length: 3, 3"], problem.BAD_LENGTH),
        ([b"Host: a", b"Content-Length: +3"], problem.BAD_LENGTH),
        ([b"Host: a", b"Content-Length: -1"], problem.BAD_LENGTH),
        ([b"Host: a", b"Content-Length: 0x10"], problem.BAD_LENGTH),
        ([b"Host: a", b"Content-Length: 1_0"], problem.BAD_LENGTH),
        ([b"Host: a", b"Content-Length:"], problem.BAD_LENGTH),
        ([b"Host: a", b"Content-Length: " + b"9" * 19], problem.BAD_LENGTH),
        ([b"Host: a", b"Transfer-Encoding: chunked", b"Transfer-Encoding: chunked"], problem.BAD_CODING),
        ([b"Host: a", b"Transfer-Encoding: gzip, chunked"], problem.BAD_CODING),
        ([b"Host: a", b"Transfer-Encoding: xchunked"], problem.BAD_CODING),
        ([b"Host: a", b"Transfer-Encoding: chunked, identity"], problem.BAD_CODING),
        ([b"Host: a", b'Transfer-Encoding: "chunked"'], problem.BAD_CODING),
        ([b"Host: a", b"Transfer-Encoding : chunked"], problem.BAD_HEADER),
        ([b"Host: a", b"Transfer-Encoding\t: chunked"], problem.BAD_HEADER),
        ([b"Host: a", b" folded: x"], problem.BAD_HEADER),
        ([b"Host: a", b"\tfolded"], problem.BAD_HEADER),
        ([b"Host: a", b": no name"], problem.BAD_HEADER),
        ([b"Host: a", b"no colon"], problem.BAD_HEADER),
        ([b"Host: a", b"N\xc3\xa4me: x"], problem.BAD_HEADER),
        ([b"Host: a", b"X: a\x0bb"], problem.BAD_HEADER),
        ([b"Host: a", b"X: a\x7fb"], problem.BAD_HEADER),
        ([b"Host: a", b"X: a\x00b"], problem.BARE_LINE_END),
        ([b"Host: a", b"X: a\nY: b"], problem.BARE_LINE_END),
        ([b"Host: a", b"X: a\rY: b"], problem.BARE_LINE_END),
        ([b"Host: a", b"X: a\r"], problem.BARE_LINE_END),
        ([b"Host: a", b"Host: a"], problem.BAD_HOST),
        ([b"Host: a", b"host: b"], problem.BAD_HOST),
        ([b"Host:"], problem.BAD_HOST),
        ([b"Host: a b"], problem.BAD_HOST),
        ([b"Host: user@a"], problem.BAD_HOST),
        ([b"Host: a/b"], problem.BAD_HOST),
        ([b"Host: [::1"], problem.BAD_HOST),
        ([b"Host: a:80:80"], problem.BAD_HOST),
        ([b"Host: a", b"Expect: 200-ok"], problem.BAD_EXPECT),
        ([b"Host: a", b"X-Trino-XTrinode: a/b", b"X-Trino-XTrinode: c/d"], problem.BAD_HEADER),
        ([b"X: y"] * 101, problem.TOO_MANY_HEADERS),
    ],
)
def test_what_readers_could_take_differently_is_refused(lines: list[bytes], expected: Problem) -> None:
    assert headers(*lines) is expected
    # The same answer a second time: a remembered line is judged as a new one.
    assert headers(*lines) is expected


@pytest.mark.parametrize("host", [b"a", b"A.b-c.d:80", b"127.0.0.1:1", b"[::1]", b"[fe80::1]:8443", b"a_b", b"a:"])
def test_hosts_that_are_taken(host: bytes) -> None:
    assert accepted(b"Host: " + host).host == host


def test_no_headers_at_all() -> None:
    head = parse_request_headers(b"\r\n", 100)
    assert isinstance(head, RequestHead)
    assert (head.kept, head.host) == (b"", None)


def test_a_line_can_be_taken_out_by_name() -> None:
    assert without(b"Host: a\r\nExpect: 100-continue\r\nX: y\r\n", b"expect") == b"Host: a\r\nX: y\r\n"


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        (b"GET http://a:80/x?y HTTP/1.1", (b"GET", b"a:80", b"/x?y", b"1")),
        (b"POST HTTPS://A HTTP/1.0", (b"POST", b"A", b"/", b"0")),
        (b"GET http://a?b HTTP/1.1", (b"GET", b"a", b"/?b", b"1")),
    ],
)
def test_absolute_targets_are_taken_apart(line: bytes, expected: tuple[bytes, ...]) -> None:
    head = line + b"\r\n\r\n"
    assert REQUEST_LINE(head) is None
    found = absolute_or_problem(head)
    assert isinstance(found, AbsoluteTarget)
    assert (found.method, found.host, found.target, found.minor) == expected


@pytest.mark.parametrize(
    ("line", "status"),
    [
        (b"get / HTTP/1.1", 501),
        (b"BREW / HTTP/1.1", 501),
        (b"PRI * HTTP/2.0", 505),
        (b"GET / HTTP/1.2", 505),
        (b"GET / HTTP/0.9", 505),
        (b"GET /", 400),
        (b"GET  / HTTP/1.1", 400),
        (b"GET /  HTTP/1.1", 400),
        (b" GET / HTTP/1.1", 400),
        (b"GET\t/ HTTP/1.1", 400),
        (b"GET / HTTP/1.1 ", 400),
        (b"GET / http/1.1", 400),
        (b"GET /a b HTTP/1.1", 400),
        (b"GET /\xc3\xa4 HTTP/1.1", 400),
        (b"GET /a\x00 HTTP/1.1", 400),
        (b"GET /a#b HTTP/1.1", 400),
        (b"GET * HTTP/1.1", 400),
        (b"OPTIONS * HTTP/1.1", 400),
        (b"GET a HTTP/1.1", 400),
        (b"GET ftp://a/ HTTP/1.1", 400),
        (b"GET http:///x HTTP/1.1", 400),
        (b"GET http://u:p@a/x HTTP/1.1", 400),
        (b"GET / HTTP/1.1\nHost: a", 400),
        (b"GET / HTTP/1.1\rHost: a", 400),
        (b"CONNECT a:443 HTTP/1.1", 405),
        (b"TRACE / HTTP/1.1", 405),
        (b"", 400),
    ],
)
def test_other_request_lines_are_refused(line: bytes, status: int) -> None:
    head = line + b"\r\nHost: a\r\n\r\n"
    assert REQUEST_LINE(head) is None
    found = absolute_or_problem(head)
    assert isinstance(found, Problem)
    assert found.status == status


@pytest.mark.parametrize(
    "partial",
    [
        b"\x16\x03\x01\x02\x00",
        b"\r\n",
        b"GET / HTTP/1.1\n",
        b"GET / HTTP/1.1\r\nA: b\nC",
        b"GET /\rx",
        b"A" * 40,
        b"GET /\x00",
    ],
)
def test_a_beginning_that_cannot_become_a_head_is_refused_at_once(partial: bytes) -> None:
    assert hopeless(partial) is not None


@pytest.mark.parametrize("partial", [b"G", b"GET", b"GET ", b"GET / HTTP/1.1\r", b"GET / HTTP/1.1\r\nHost: a\r\n\r"])
def test_a_beginning_that_can_become_a_head_is_waited_for(partial: bytes) -> None:
    assert hopeless(partial) is None


def test_a_pair_of_cr_and_lf_may_arrive_in_two_pieces() -> None:
    first = b"GET / HTTP/1.1\r"
    assert hopeless(first + b"\nHost", len(first)) is None
    assert hopeless(first + b"Host", len(first)) is problem.BARE_LINE_END
