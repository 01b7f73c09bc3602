"""Request heads: the request line by one strict pattern, the header block by one pass over its lines.

The header block is judged apart from the request line because clients send the same block with every request of a
connection: the proxy keeps the block it saw last beside what was derived from it, and compares bytes instead of
judging again. A `RequestHead` therefore holds nothing of the request line.
"""

from __future__ import annotations

import re
from typing import Final

from gateway.http1 import problem as p
from gateway.http1.lines import (
    BAD,
    BAD_LENGTH,
    CONNECTION,
    CONNECTION_KEPT,
    CONTENT_LENGTH,
    DATA_ENCODING,
    DROPPED,
    EXPECT,
    FORWARDED,
    HOST,
    MEMO,
    PASS,
    SELECTOR,
    TRANSACTION,
    TRANSFER_ENCODING,
    connection_options,
    kind_of,
    name_of,
    value_of,
)
from gateway.http1.problem import Problem

METHOD: Final = rb"(GET|HEAD|POST|PUT|DELETE|OPTIONS|PATCH)"
TARGET_REST: Final = rb"[\x21\x22\x24-\x7e]*+"  # no `#`: a fragment has no place on the wire
VERSION: Final = rb" HTTP/1\.([01])\r\n"

# Method, origin-form target, minor version; with the CRLF.
REQUEST_LINE: Final = re.compile(METHOD + rb" (/" + TARGET_REST + rb")" + VERSION).match
_ABSOLUTE_LINE: Final = re.compile(
    rb"(GET|HEAD|POST|PUT|DELETE|OPTIONS|PATCH) [Hh][Tt][Tt][Pp][Ss]?://([^/?# \r\n]*+)([/?][\x21\x22\x24-\x7e]*+|)"
    rb" HTTP/1\.([01])\r\n"
).match
_ANY_LINE: Final = re.compile(rb"([!#$%&'*+\-.^_`|~0-9A-Za-z]+) ([\x21-\x7e]+) HTTP/([0-9])\.([0-9])\r\n").match
_METHODS: Final = frozenset({b"GET", b"HEAD", b"POST", b"PUT", b"DELETE", b"OPTIONS", b"PATCH"})

# reg-name, IPv4 or bracketed IPv6, and a port. No user information, no percent signs, never empty.
_AUTHORITY: Final = re.compile(
    rb"(?:[A-Za-z0-9._~!$&'()*+,;=\-]{1,255}|\[[0-9A-Fa-f:.]{2,45}\])(?::[0-9]{0,5})?"
).fullmatch

_BARE: Final = re.compile(rb"(?<!\r)\n|\r(?!\n)|\x00").search
_BARE_BUT_LAST: Final = re.compile(rb"(?<!\r)\n|\r(?!\n|\Z)|\x00").search
_LINE_START: Final = re.compile(rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]{1,32}(?: |\Z)").match


class AbsoluteTarget:
    """A request line in absolute form, taken apart: `target` is what goes on, in origin form."""

    __slots__ = ("host", "method", "minor", "target")

    def __init__(self, method: bytes, host: bytes, target: bytes, minor: bytes) -> None:
        self.method = method
        self.host = host
        self.target = target
        self.minor = minor


def absolute_or_problem(head: bytes) -> AbsoluteTarget | Problem:
    """Of a head whose request line is not in plain origin form: its absolute form, or what is wrong with it."""
    found = _ABSOLUTE_LINE(head)
    if found is not None:
        method, host, target, minor = found.groups()
        if _AUTHORITY(host) is None:
            return p.BAD_TARGET
        if not target.startswith(b"/"):
            target = b"/" + target
        return AbsoluteTarget(method, host, target, minor)
    line_end = head.find(b"\r\n")
    line = head[: line_end + 2] if line_end >= 0 else head
    if _BARE(line) is not None:
        return p.BARE_LINE_END
    any_line = _ANY_LINE(head)
    if any_line is None:
        return p.BAD_REQUEST_LINE
    method, _, major, _ = any_line.groups()
    if major != b"1":
        return p.BAD_VERSION
    if method in (b"CONNECT", b"TRACE"):
        return p.METHOD_REFUSED
    if method not in _METHODS:
        return p.BAD_METHOD
    if any_line.group(4) not in (b"0", b"1"):
        return p.BAD_VERSION
    return p.BAD_TARGET


def hopeless(partial: bytes | bytearray, start: int = 0) -> Problem | None:
    """Whether a head that is still arriving can be refused now: no use waiting for the end of a TLS hello.

    `start` is where the bytes begin that were not looked at before.
    """
    if start == 0 and partial and _LINE_START(partial) is None:
        return p.BAD_REQUEST_LINE
    # One byte back: the CR of a pair may have been the last byte of the piece before.
    if _BARE_BUT_LAST(partial, max(0, start - 1)) is not None:
        return p.BARE_LINE_END
    return None


class RequestHead:
    """What one header block means to a proxy. Values of absent headers are None, or 0 for `length`."""

    __slots__ = (
        "chunked",
        "close",
        "expects_continue",
        "forwarded",
        "has_length",
        "host",
        "keep_alive",
        "kept",
        "length",
        "selector",
        "spools",
        "transaction",
    )

    def __init__(self) -> None:
        self.host: bytes | None = None
        self.selector: bytes | None = None
        self.transaction: bytes | None = None
        self.length = 0
        self.has_length = False
        self.chunked = False
        self.close = False
        self.keep_alive = False
        self.expects_continue = False
        self.spools = False  # the client takes results in segments
        self.forwarded: list[bytes] | None = None  # X-Forwarded-* and Forwarded lines, as they came
        self.kept = b""  # the lines that go on, each with its CRLF; without X-Forwarded-* and ours


def parse_request_headers(block: bytes, max_headers: int) -> RequestHead | Problem:
    """Judge a header block: every byte after the request line, up to and with the empty line."""
    lines = block.split(b"\r\n")
    count = len(lines) - 2  # the block ends in an empty line: two empty pieces
    if count > max_headers:
        return p.TOO_MANY_HEADERS
    head = RequestHead()
    connection: list[bytes] | None = None
    dropped: list[bytes] = []
    del lines[count:]
    for line in lines:
        known = MEMO.get(line)
        kind = kind_of(line) if known is None else known
        if kind == PASS:
            continue
        if kind == HOST:
            if head.host is not None:
                return p.BAD_HOST
            head.host = value_of(line)
            if _AUTHORITY(head.host) is None:
                return p.BAD_HOST
        elif kind == CONNECTION_KEPT:
            head.keep_alive = True
        elif kind >= CONTENT_LENGTH:
            if head.has_length:
                return p.BAD_LENGTH
            head.length = kind - CONTENT_LENGTH
            head.has_length = True
        elif kind == BAD_LENGTH:
            return p.BAD_LENGTH
        elif kind == TRANSFER_ENCODING:
            if head.chunked or value_of(line).lower() != b"chunked":
                return p.BAD_CODING
            head.chunked = True
        elif kind == CONNECTION:
            if connection is None:
                connection = []
            connection.append(value_of(line))
            dropped.append(line)
        elif kind == EXPECT:
            if value_of(line).lower() != b"100-continue":
                return p.BAD_EXPECT
            head.expects_continue = True
        elif kind == FORWARDED:
            if head.forwarded is None:
                head.forwarded = []
            head.forwarded.append(line)
            dropped.append(line)
        elif kind == SELECTOR:
            # Two selectors would let one reader see the first and another the last.
            if head.selector is not None:
                return p.BAD_HEADER
            head.selector = value_of(line)
            dropped.append(line)
        elif kind == TRANSACTION:
            head.transaction = value_of(line)
        elif kind == DATA_ENCODING:
            head.spools = True
        elif kind >= DROPPED:
            dropped.append(line)
        elif kind == BAD:
            return p.BARE_LINE_END if _BARE(line) is not None else p.BAD_HEADER
    if head.chunked and head.has_length:
        return p.LENGTH_AND_CHUNKED
    if not dropped:
        head.kept = block[:-2]
        return head
    for line in dropped:
        lines.remove(line)  # equal lines are of one kind, and all of them go
    if connection is not None:
        head.close, keep_alive, nominated = connection_options(connection)
        head.keep_alive = head.keep_alive or keep_alive
        if nominated:
            lines = [line for line in lines if name_of(line) not in nominated]
            if b"x-trino-transaction-id" in nominated:
                head.transaction = None
    lines.append(b"")
    head.kept = b"\r\n".join(lines)
    return head


def without(kept: bytes, name: bytes) -> bytes:
    """`kept` less the lines called `name` (lower case): for the rare edits that depend on the request line."""
    lines = [line for line in kept.split(b"\r\n")[:-1] if name_of(line) != name]
    lines.append(b"")
    return b"\r\n".join(lines)
