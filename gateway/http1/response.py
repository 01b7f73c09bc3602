"""Response heads: status, framing, and the bytes that go on to the client.

Held to the same strictness as requests, because a coordinator (or whoever answers in its place) that can make two
readers disagree on where a response ends can put words into the next client's mouth.
"""

from __future__ import annotations

import re
from typing import Final

from gateway.http1.lines import (
    BAD,
    BAD_LENGTH,
    CHALLENGE,
    CONNECTION,
    CONNECTION_KEPT,
    CONTENT_ENCODING,
    CONTENT_LENGTH,
    DROPPED,
    LOCATION,
    MEMO,
    PASS,
    STARTED_TRANSACTION,
    TRANSFER_ENCODING,
    connection_options,
    kind_of,
    name_of,
    value_of,
)

_STATUS_LINE: Final = re.compile(rb"HTTP/1\.([01]) ([1-9][0-9][0-9])(?: [\t\x20-\x7e\x80-\xff]*+)?").fullmatch

PACKED: Final = (b"gzip", b"x-gzip", b"deflate")
NOTED: Final = (LOCATION, STARTED_TRANSACTION, CHALLENGE)
_STATUS_MEMO_LINES: Final = 256
_STATUS_MEMO: dict[bytes, int] = {}  # status line -> status * 2 + minor version


class ResponseHead:
    """What a response head means to a proxy. `length` is -1 when there is no Content-Length."""

    __slots__ = ("chunked", "close", "encoding", "kept", "length", "minor", "noted", "packed", "status", "usual")

    def __init__(self, status: int, minor: int) -> None:
        self.status = status
        self.minor = minor
        self.length = -1
        self.chunked = False
        self.close = minor == 0
        self.encoding: bytes | None = None
        # Headers that a proxy for Trino acts upon, by kind; None when there are none.
        self.noted: dict[int, bytes] | None = None
        # Status line and the lines that go on, each with its CRLF, when anything had to be taken out or
        # rewritten; None when the head may go on as it came.
        self.kept: bytes | None = None
        # A plain 200 with a length, to be passed on as it came: what nearly every page of a statement has.
        self.usual = False
        self.packed = False  # as usual, but compressed


def _status(line: bytes) -> int:
    found = _STATUS_LINE(line)
    if found is None:
        return -1
    verdict = int(found.group(2)) * 2 + (1 if found.group(1) == b"1" else 0)
    if len(line) <= 64:
        if len(_STATUS_MEMO) >= _STATUS_MEMO_LINES:
            _STATUS_MEMO.clear()
        _STATUS_MEMO[line] = verdict
    return verdict


_HEAD_MEMO_ENTRIES: Final = 1024
_HEAD_MEMO_BYTES: Final = 1024
HEADS: Final[dict[bytes, ResponseHead]] = {}


def parse_response_head(raw: bytes, max_headers: int) -> ResponseHead | None:
    """Judge a response head: from the status line up to and with the empty line. None when it is not trusted.

    Busy servers send the same head many times within a second (the date changes once in it), so heads are remembered
    by the whole, if every line of theirs was known before: never one with a credential in it.
    """
    remembered = HEADS.get(raw)
    if remembered is not None:
        return remembered
    lines = raw.split(b"\r\n")
    count = len(lines) - 3
    if count < 0 or count > max_headers:
        return None
    first = lines[0]
    known = _STATUS_MEMO.get(first)
    verdict = _status(first) if known is None else known
    if verdict < 0:
        return None
    head = ResponseHead(verdict >> 1, verdict & 1)
    dropped = head.minor == 0  # the version is ours to state
    connection: list[bytes] | None = None
    lines = lines[1:-2]
    seen = True
    for line in lines:
        known = MEMO.get(line)
        if known is None:
            seen = False
            kind = kind_of(line)
        else:
            kind = known
        if kind == PASS:
            continue
        if kind >= CONTENT_LENGTH:
            if head.length >= 0:
                return None
            head.length = kind - CONTENT_LENGTH
        elif kind == CONNECTION_KEPT:
            if head.minor == 0:
                head.close = False
        elif kind == TRANSFER_ENCODING:
            if head.chunked or value_of(line).lower() != b"chunked":
                return None
            head.chunked = True
        elif kind == CONTENT_ENCODING:
            head.encoding = value_of(line).lower()
        elif kind == CONNECTION:
            if connection is None:
                connection = []
            connection.append(value_of(line))
            dropped = True
        elif kind >= DROPPED:
            dropped = True
        elif kind in (BAD, BAD_LENGTH):
            return None
        elif kind in NOTED:
            _note(head, kind, value_of(line))
    if head.chunked and (head.length >= 0 or head.minor == 0):
        return None
    status = head.status
    bodiless = (status == 204 or status < 200) and (head.chunked or head.length >= 0)
    if dropped or bodiless:
        _rebuild(head, first, lines, connection, bodiless)
    elif status == 200 and head.length >= 0 and head.noted is None and not head.close:
        head.usual = head.encoding is None
        head.packed = head.encoding in PACKED
    if status == 204 and (head.chunked or head.length > 0):
        # There is no body, whatever is announced. Whether one comes all the same cannot be told from the next response.
        head.chunked = False
        head.close = True
    if seen and len(raw) <= _HEAD_MEMO_BYTES:
        if len(HEADS) >= _HEAD_MEMO_ENTRIES:
            HEADS.clear()
        HEADS[raw] = head
    return head


def _note(head: ResponseHead, kind: int, value: bytes) -> None:
    if head.noted is None:
        head.noted = {}
    # Several challenges may come; the one that names a token server is the one of interest.
    if kind != CHALLENGE or kind not in head.noted or b"x_token_server" in value:
        head.noted[kind] = value


def _rebuild(
    head: ResponseHead, first: bytes, lines: list[bytes], connection: list[bytes] | None, bodiless: bool
) -> None:
    """Leave out what concerns our connection only, and framing where there must be no body."""
    nominated: frozenset[bytes] = frozenset()
    if connection is not None:
        close, keep_alive, nominated = connection_options(connection)
        head.close = close or (head.minor == 0 and not keep_alive)
    kept = [b"HTTP/1.1" + first[8:]]
    for line in lines:
        known = MEMO.get(line)
        kind = kind_of(line) if known is None else known
        if CONNECTION_KEPT <= kind < CONTENT_LENGTH:
            continue
        # What must not be there makes some readers wait for a body.
        if bodiless and (kind >= CONTENT_LENGTH or kind == TRANSFER_ENCODING):
            continue
        if nominated and name_of(line) in nominated:
            continue
        kept.append(line)
    kept.append(b"")
    head.kept = b"\r\n".join(kept)


def kept_of(head: ResponseHead, raw: bytes) -> bytes:
    """The head's lines that go on, each with its CRLF and without the empty line: ready to have lines added."""
    if head.kept is not None:
        return head.kept
    lines = [line for line in raw.split(b"\r\n")[:-2] if name_of_or_none(line) != b"connection"]
    lines.append(b"")
    return b"\r\n".join(lines)


def replace_header(kept: bytes, name: bytes, value: bytes | None) -> bytes:
    """`kept` with every line called `name` (lower case) replaced by one of `value`, or removed for None."""
    lines = kept.split(b"\r\n")[:-1]
    result = [lines[0]]
    for line in lines[1:]:
        if name_of_or_none(line) != name:
            result.append(line)
        elif value is not None:
            result.append(line[: len(name)] + b": " + value)
            value = None
    result.append(b"")
    return b"\r\n".join(result)


def name_of_or_none(line: bytes) -> bytes | None:
    """The lower-cased name of a header line; None for a status line or no header at all."""
    colon = line.find(b":")
    return None if colon <= 0 or b" " in line[:colon] else line[:colon].lower()
