"""HTTP/1.1 messages for fuzzing the gateway: mostly sound, each with an oddity or two, thousands of them in seconds.

A case is one string of bytes that hypothesis draws, and `Choices` spends: one draw instead of dozens is what makes
10,000 cases cheap, and it still shrinks, because the first of all options is the plainest.

By default 10,000 cases, the same in every run. `XTRINODE_FUZZ=200000 pytest ...` tries that many new ones instead.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import TypeVar

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st

T = TypeVar("T")

CASES = int(os.environ.get("XTRINODE_FUZZ", "10000"))
FUZZ = settings(
    max_examples=CASES,
    derandomize="XTRINODE_FUZZ" not in os.environ,
    database=None,
    deadline=None,
    suppress_health_check=list(HealthCheck),
)
PATIENT = pytest.mark.timeout(max(300, CASES // 30))  # seconds


class Choices:
    """A case's decisions, one after the other. When they run out, all that follow are the plainest."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0

    def __repr__(self) -> str:
        return f"Choices({self._data!r})"

    def below(self, bound: int) -> int:
        """A number from 0 to `bound` - 1; up to 65536."""
        if bound <= 1:
            return 0
        size = 1 if bound <= 256 else 2
        return int.from_bytes(self.take(size), "big") % bound

    def one_in(self, number: int) -> bool:
        """True about once in `number` times."""
        return self.below(number) == number - 1

    def pick(self, options: Sequence[T]) -> T:
        return options[self.below(len(options))]

    def take(self, size: int) -> bytes:
        """Bytes of no meaning, zero when there are none left."""
        found = self._data[self._at : self._at + size]
        self._at += size
        return found + bytes(size - len(found))


CHOICES = st.binary(min_size=64, max_size=64).map(Choices)

_SOUND_LINES = [
    b"X-A:\r\n",
    b"Connection: close, x-a\r\n",
    b"Connection: keep-alive\r\n",
    b"x_b: \xe4 \t b \r\n",
    b"Expect: 100-continue\r\n",
    b"Upgrade: h2c\r\n",
    b"X-Trino-XTrinode: team/all\r\n",
    b"X-Forwarded-For: 1.2.3.4\r\n",
    b"Location: http://10.1.0.1:8080/x\r\n",
    b"Content-Encoding: gzip\r\n",
]
_FRAMING = [
    (),
    (b"Content-Length: 3\r\n",),
    (b"Transfer-Encoding: chunked\r\n",),
    (b"content-length: 0\r\n",),
    (b"Content-Length: 3\r\n",),
    (b"transfer-encoding:Chunked\r\n",),
    (b"Content-Length: 3\r\n", b"Transfer-Encoding: chunked\r\n"),
    (b"Content-Length: 3\r\n", b"content-length:  3\r\n"),
]
_NAMES = [
    b"X-A",
    b"Host",
    b"Content-Length",
    b"content-length",
    b"Transfer-Encoding",
    b"Connection",
    b"Expect",
    b"x_b",
    b"A b",
    b"",
    b" X",
    b"X\x00",
]
_VALUES = [
    b"h",
    b"h:80",
    b"3",
    b"0",
    b"+3",
    b"-3",
    b"3, 3",
    b"0x3",
    b"3\x0b",
    b"chunked",
    b"Chunked",
    b"chunked ",
    b"\x0bchunked",
    b"gzip, chunked",
    b"close",
    b"keep-alive, x-a",
    b"content-length",
    b"100-continue",
    b"",
    b" ",
]
_SEPARATORS = [b": ", b":", b":\t", b" : ", b" :", b"=", b":  ", b"\t:"]
_ENDS = [b"\r\n"] * 12 + [b"\n", b"\r", b"\r\r\n", b"\r\n ", b"\n\r\n", b"\x00\r\n"]
_METHODS = [b"GET", b"POST", b"HEAD", b"DELETE", b"PUT", b"OPTIONS", b"PATCH", b"get", b"TRACE", b"G@T", b"", b"PRI"]
_TARGETS = [
    b"/",
    b"/v1/statement",
    b"/a?b=c",
    b"/%zz",
    b"//",
    b"http://h/x",
    b"http://h",
    b"*",
    b"/a#b",
    b"/ b",
    b"/\xff",
    b"h:80",
]
_VERSIONS = [b"HTTP/1.1", b"HTTP/1.1", b"HTTP/1.0", b"HTTP/2.0", b"HTTP/1.10", b"http/1.1", b"HTTP/0.9", b"HTTP/1.2"]
_GAPS = [b" ", b" ", b" ", b" ", b"  ", b"\t"]
_REQUEST_LINES = [
    b"GET / HTTP/1.1",
    b"POST /x HTTP/1.1",
    b"GET /v1/statement/executing/20261120_101010_00001_abcde/y/1 HTTP/1.1",
    b"PATCH /~a(b)'c;d=e,f HTTP/1.1",
    b"HEAD /x?y=%20&z HTTP/1.1",
    b"DELETE /a HTTP/1.0",
    b"GET http://h/x HTTP/1.1",
    b"PUT http://H HTTP/1.0",
]
_STATUS_LINES = [
    b"HTTP/1.1 200 OK",
    b"HTTP/1.1 404",
    b"HTTP/1.1 204 No",
    b"HTTP/1.1 304 Same",
    b"HTTP/1.0 200 ok",
    b"HTTP/1.1 999 x",
    b"HTTP/1.1 503 \xe4",
]
_ODD_STATUS_LINES = [
    b"HTTP/1.1 20 x",
    b"HTTP/1.1 200\tx",
    b"HTTP/1.1  200 OK",
    b"HTTP/1.2 200 OK",
    b"HTTP/1.1 2x0 OK",
    b"HTTP/1.1 200 \x00",
]


def header_block(choices: Choices, *always: bytes) -> bytes:
    """`always`, sound lines and at most one odd one, or odd ones only; with the empty line."""
    lines = list(always)
    if choices.one_in(8):
        lines = [_odd_line(choices) for _ in range(choices.below(5))]
    else:
        lines += choices.pick(_FRAMING)
        for line in dict.fromkeys(choices.pick(_SOUND_LINES) for _ in range(choices.below(5))):
            lines.insert(choices.below(len(lines) + 1), line)
        if choices.one_in(3):
            lines.insert(choices.below(len(lines) + 1), _odd_line(choices))
    return b"".join(lines) + b"\r\n"


def _odd_line(choices: Choices) -> bytes:
    value = choices.take(choices.below(6)) if choices.one_in(4) else choices.pick(_VALUES)
    return choices.pick(_NAMES) + choices.pick(_SEPARATORS) + value + choices.pick(_ENDS)


def request_head(choices: Choices) -> bytes:
    if choices.one_in(4):
        gap = choices.pick(_GAPS)
        line = choices.pick(_METHODS) + gap + choices.pick(_TARGETS) + gap + choices.pick(_VERSIONS)
        line += choices.pick(_ENDS)
    else:
        line = choices.pick(_REQUEST_LINES) + b"\r\n"
    return _noisy(choices, line + header_block(choices, b"Host: h\r\n"))


def response_head(choices: Choices) -> bytes:
    if choices.one_in(6):
        line = choices.pick(_ODD_STATUS_LINES) + choices.pick(_ENDS)
    else:
        line = choices.pick(_STATUS_LINES) + b"\r\n"
    return _noisy(choices, line + header_block(choices))


def _noisy(choices: Choices, head: bytes) -> bytes:
    """Now and then with a few bytes put in, or one taken out."""
    if not choices.one_in(12):
        return head
    at = choices.below(len(head))
    return head[:at] + choices.take(choices.below(4)) + head[at + choices.below(2) :]


_SIZES = [
    b"1",
    b"3",
    b"0",
    b"a",
    b"A",
    b"03",
    b"+1",
    b"-1",
    b" 1",
    b"1 ",
    b"0x1",
    b"1;a=b",
    b"1;\n",
    b"1;\x00",
    b"",
    b"0;x",
    b"f" * 16,
    b"1_0",
]
_EXTENSIONS = [b"", b"", b";a=b", b';q="\xe4"', b";"]
_TRAILERS = [b"", b"", b"", b"A: b\r\n", b"A: b\r\nC:\r\n", b"A : b\r\n", b" a\r\n", b"Content-Length: 1\r\n", b"A\n"]
_LAST = [b"0\r\n", b"0\r\n", b"000\r\n", b"0;x\r\n", b"0\n", b""]


def chunk_stream(choices: Choices) -> bytes:
    """Mostly sound chunks, now and then an odd one; a last chunk and trailers."""
    parts = []
    for _ in range(choices.below(4)):
        if choices.one_in(6):
            odd = choices.pick((b"x", b"abc", b"", b"\r\n"))
            parts.append(choices.pick(_SIZES) + choices.pick(_ENDS) + odd + choices.pick(_ENDS))
        else:
            payload = choices.take(1 + choices.below(12))
            parts.append(b"%x%b\r\n%b\r\n" % (len(payload), choices.pick(_EXTENSIONS), payload))
    return b"".join(parts) + choices.pick(_LAST) + choices.pick(_TRAILERS) + b"\r\n"


def body_for(choices: Choices, head: bytes) -> bytes:
    """A body that fits the head more often than not."""
    low = head.lower()
    if b"transfer-encoding" in low:
        return chunk_stream(choices)
    if b"content-length: 3" in low:
        return choices.take(choices.pick((3, 3, 3, 2, 4)))
    return choices.take(choices.pick((0, 0, 0, 1, 5)))


def in_pieces(choices: Choices, data: bytes) -> list[bytes]:
    """`data` byte by byte, or cut in a few places."""
    if choices.one_in(3):
        return [data[i : i + 1] for i in range(len(data))]
    cuts = sorted(choices.below(len(data) + 1) for _ in range(1 + choices.below(4)))
    return [data[a:b] for a, b in zip([0, *cuts], [*cuts, len(data)], strict=True) if a < b]
