"""A statement's result page, read by its head: query id, whether more pages follow, state.

Pure. The page itself passes untouched and undecoded; this looks at a bounded prefix of it, inflated when it is
compressed. Trino writes `nextUri` before `columns` and `data`, so the verdict is nearly always in the first bytes;
another order of fields is understood as long as the prefix holds it.
"""

from __future__ import annotations

import re
import zlib
from typing import Final

from crds.trino import QueryState
from gateway.http1.response import PACKED
from gateway.proxy.segments import MARK as SEGMENTS

PREFIX_BYTES: Final = 16 * 1024  # of a response body, at most, that are looked at
_INFLATED_BYTES: Final = 16 * 1024

_ID: Final = rb"[0-9]{8}_[0-9]{6}_[0-9]{5}_[a-z0-9]{5}"
# What Trino itself writes when more pages follow: the order is its serializer's.
_USUAL: Final = re.compile(
    rb'\{"id":"(' + _ID + rb')","infoUri":"[^"\\]*+"(?:,"partialCancelUri":"[^"\\]*+")?,"nextUri":"[^"\\]*+"'
).match
_STATE: Final = b'"stats":{"state":"'
_STATE_END: Final = re.compile(rb'([A-Z_]{1,32})"').match
_DIRECT: Final = b'"data":['
_NEAR: Final = 1024  # bytes within which a page without rows usually has its state

STATES: Final = frozenset(state.value.encode() for state in QueryState)

_SPACE: Final = re.compile(rb"[ \t\r\n]*").match
_STRING: Final = re.compile(rb'"((?:[^"\\]|\\.)*+)"', re.DOTALL).match
_SCALAR: Final = re.compile(rb"[^,}\]\s]+").match
_NESTING: Final = re.compile(rb'"(?:[^"\\]|\\.)*+"|[{}\[\]]|"', re.DOTALL).finditer
_VALID_ID: Final = re.compile(_ID).fullmatch
_BULKY: Final = frozenset({b"columns", b"data"})


class Page:
    """What the head of a page told. `state` is None when it lay beyond the prefix."""

    __slots__ = ("done", "query_id", "spooled", "state")

    def __init__(self, query_id: bytes, done: bool, state: bytes | None) -> None:
        self.query_id = query_id
        self.done = done
        self.state = state
        self.spooled = False  # its data is in segments elsewhere


def poll_state(data: bytes, start: int) -> bytes | None:
    """The state in the page of a poll whose plain JSON begins at data[start]; None when it takes a closer look.

    The cheap way through nearly every poll: more pages follow, and the state is in view.
    """
    more = data.find(b'"nextUri":"', start, start + 2048)
    if more < 0 or not data.startswith(b'{"id":"', start):
        return None
    at = _state_at(data, more, start + PREFIX_BYTES)
    if at < 0 or data.find(SEGMENTS, more, at) >= 0:
        return None
    end = data.find(b'"', at + 18, at + 50)
    if end < 0:
        return None  # and no slice whose end is before its start: compiled, that raises
    state = data[at + 18 : end]
    return state if state in STATES else None


def _state_at(data: bytes, start: int, end: int) -> int:
    """Where the state stands in data[start:end]; -1 when it does not. Not behind rows: nobody wants to look there."""
    at = data.find(_STATE, start, min(start + _NEAR, end))
    if at < 0 and data.find(_DIRECT, start, end) < 0:
        at = data.find(_STATE, start, end)
    return at


def has_rows(data: bytes, start: int) -> bool:
    """Whether the page of a poll whose plain JSON begins at data[start] says that more follow, and carries rows.

    Its state lies behind them. It is of the direct protocol: no segments are in it.
    """
    more = data.find(b'"nextUri":"', start, start + 2048)
    return more >= 0 and data.startswith(b'{"id":"', start) and data.find(_DIRECT, more, start + PREFIX_BYTES) >= 0


def first_page(data: bytes, start: int) -> Page | None:
    """The answer to a new statement, when it is as Trino writes it and in view; None when it takes a closer look."""
    if data[start + 34 : start + 36] != b'",':
        return None
    state = poll_state(data, start)
    query_id = data[start + 7 : start + 34]
    if state is None or _VALID_ID(query_id) is None:
        return None
    return Page(query_id, False, state)


def usual_page(data: bytes, start: int) -> Page | None:
    """The page whose plain JSON begins at data[start], when Trino wrote it in the usual order and more follow."""
    found = _USUAL(data, start)
    if found is None:
        return None
    at = _state_at(data, found.end(), start + PREFIX_BYTES)
    state = None if at < 0 else _STATE_END(data, at + 18, start + PREFIX_BYTES)
    return Page(found.group(1), False, None if state is None else state.group(1))


def may_be_spooled(data: bytes, start: int) -> bool:
    """Whether the page whose plain JSON begins at data[start] may name segments, as far as it is here."""
    return data.find(_DIRECT, start, start + PREFIX_BYTES) < 0 and data.find(SEGMENTS, start) >= 0


def read_page(body: bytes, chunked: bool, encoding: bytes | None, complete: bool) -> Page | None:
    """The page that begins with `body`, as it is on the wire; None when the prefix does not tell (yet).

    `complete` says that no more bytes will come.
    """
    if chunked:
        body = dechunked(body)
    if encoding is not None and encoding != b"identity":
        if encoding not in PACKED:
            return None
        body = inflated(body)
    page = usual_page(body, 0) or _scan(body, complete or len(body) >= _INFLATED_BYTES)
    if page is not None and SEGMENTS in body:
        page.spooled = True
    return page


def dechunked(body: bytes) -> bytes:
    """The payload in a prefix of a chunked body that is known to be well-formed."""
    parts = []
    pos = 0
    while True:
        end = body.find(b"\r\n", pos)
        if end < 0:
            break
        size = int(body[pos:end].partition(b";")[0] or b"0", 16)
        if size == 0:
            break
        parts.append(body[end + 2 : end + 2 + size])
        pos = end + 4 + size
    return b"".join(parts)


def inflated(body: bytes, limit: int = _INFLATED_BYTES) -> bytes:
    """The beginning of what a compressed prefix holds; empty when it is not what it claims to be."""
    try:
        return zlib.decompressobj(47).decompress(body, limit)
    except zlib.error:
        return b""


def _scan(text: bytes, complete: bool) -> Page | None:
    """Read the top level of a JSON object, whatever the order of its fields."""
    query_id: bytes | None = None
    state: bytes | None = None
    more = False
    bulky = False
    ended = False
    pos = _skip_space(text, 0)
    if text[pos : pos + 1] != b"{":
        return None
    pos += 1
    while True:
        pos = _skip_space(text, pos)
        if text[pos : pos + 1] == b"}":
            ended = True
            break
        if text[pos : pos + 1] == b",":
            pos = _skip_space(text, pos + 1)
        key = _STRING(text, pos)
        if key is None:
            break
        pos = _skip_space(text, key.end())
        if text[pos : pos + 1] != b":":
            break
        pos = _skip_space(text, pos + 1)
        name = key.group(1)
        if name in _BULKY:
            bulky = True
        end = _value_end(text, pos)
        if end < 0:
            break
        value = text[pos:end]
        if name == b"id":
            query_id = value.strip(b'"')
        elif name == b"nextUri":
            more = value != b"null"
        elif name == b"stats":
            found = re.search(rb'"state"\s*:\s*"([A-Z_]{1,32})"', value)
            state = None if found is None else found.group(1)
        pos = end
    if query_id is None or _VALID_ID(query_id) is None:
        return None
    if more:
        return Page(query_id, False, state)
    # No nextUri so far: the last page, if the object has ended, or is so far in that Trino would have written it.
    if ended or (bulky and (complete or len(text) >= 1024)):
        return Page(query_id, True, state)
    return None


def _skip_space(text: bytes, pos: int) -> int:
    found = _SPACE(text, pos)
    return pos if found is None else found.end()


def _value_end(text: bytes, pos: int) -> int:
    """The index after the JSON value at `pos`; -1 when the text ends within it."""
    first = text[pos : pos + 1]
    if first == b'"':
        found = _STRING(text, pos)
        return -1 if found is None else found.end()
    if first in (b"{", b"["):
        depth = 0
        for token in _NESTING(text, pos):
            mark = token.group()
            if mark in (b"{", b"["):
                depth += 1
            elif mark in (b"}", b"]"):
                depth -= 1
                if depth == 0:
                    return token.end()
            elif mark == b'"':
                return -1
        return -1
    scalar = _SCALAR(text, pos)
    return -1 if scalar is None or scalar.end() == len(text) else scalar.end()
