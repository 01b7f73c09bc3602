"""Where a chunked body ends, however it is split."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.http1.chunks import MALFORMED, MORE, ChunkScanner


def feed(pieces: list[bytes]) -> tuple[int, ChunkScanner]:
    """Feed pieces in order; the offset in the whole where the body ended, MORE, or MALFORMED."""
    scanner = ChunkScanner(64, 128)
    offset = 0
    for piece in pieces:
        end = scanner.feed(piece, 0)
        if end >= 0:
            return offset + end, scanner
        if end == MALFORMED:
            return MALFORMED, scanner
        offset += len(piece)
    return MORE, scanner


def every_split(data: bytes) -> list[list[bytes]]:
    return [[data], [data[i : i + 1] for i in range(len(data))]] + [[data[:i], data[i:]] for i in range(1, len(data))]


@pytest.mark.parametrize(
    "body",
    [
        b"0\r\n\r\n",
        b"5\r\nhello\r\n0\r\n\r\n",
        b"00A;x=y\r\n0123456789\r\n3\r\n\r\n\r\r\n0;last\r\nA: b\r\nC: d\r\n\r\n",
        b"1\r\n\n\r\n0\r\nX-Checksum:\r\n\r\n",
    ],
)
def test_the_end_is_found_at_every_split(body: bytes) -> None:
    for pieces in every_split(body + b"NEXT"):
        assert feed(pieces)[0] == len(body)
    for pieces in every_split(body):
        end, scanner = feed(pieces)
        assert end == len(body)
        assert scanner.done


@pytest.mark.parametrize(
    "body",
    [
        b"\r\n",
        b"5\nhello\r\n0\r\n\r\n",
        b"5\r\nhello0\r\n\r\n",
        b"5\r\nhello\n0\r\n\r\n",
        b"5\r\nhello\r0\r\n\r\n",
        b"+5\r\nhello\r\n0\r\n\r\n",
        b"-1\r\n",
        b"0x5\r\nhello\r\n0\r\n\r\n",
        b"5 \r\nhello\r\n0\r\n\r\n",
        b" 5\r\nhello\r\n0\r\n\r\n",
        b"5 ;x\r\nhello\r\n0\r\n\r\n",
        b"5;a\nb\r\nhello\r\n0\r\n\r\n",
        b"5;a\rb\r\nhello\r\n0\r\n\r\n",
        b"5;\x00\r\nhello\r\n0\r\n\r\n",
        b"g\r\n",
        b"1_0\r\n",
        b"1" * 16 + b"\r\n",
        b"5;" + b"x" * 80 + b"\r\nhello\r\n0\r\n\r\n",
        b"0\r\n folded\r\n\r\n",
        b"0\r\nA : b\r\n\r\n",
        b"0\r\nContent-Length: 5\r\n\r\n",
        b"0\r\nTransfer-Encoding: chunked\r\n\r\n",
        b"0\r\nHost: a\r\n\r\n",
        b"0\r\nConnection: keep-alive\r\n\r\n",
        b"0\r\nExpect: 100-continue\r\n\r\n",
        b"0\r\nX-Forwarded-Proto: https\r\n\r\n",
        b"0\r\nX-Trino-XTrinode: team/other\r\n\r\n",
        b"0\r\nA: b\n\r\n\r\n",
        b"0\r\n" + b"A: b\r\n" * 40 + b"\r\n",
        b"0\r\nA: " + b"b" * 200 + b"\r\n\r\n",
    ],
)
def test_malformed_bodies_are_seen_at_every_split(body: bytes) -> None:
    for pieces in every_split(body):
        assert feed(pieces)[0] == MALFORMED


def test_an_endless_line_is_not_kept() -> None:
    scanner = ChunkScanner(64, 128)
    assert scanner.feed(b"5;" + b"x" * 40, 0) == MORE
    assert scanner.feed(b"x" * 40, 0) == MALFORMED


def test_payload_is_counted_when_it_is_announced() -> None:
    scanner = ChunkScanner(64, 128)
    scanner.feed(b"a\r\n", 0)
    assert scanner.payload == 10


@given(st.lists(st.binary(min_size=1, max_size=40), max_size=8), st.data())
def test_any_body_in_any_pieces(chunks: list[bytes], data: st.DataObject) -> None:
    body = b"".join(b"%x\r\n%b\r\n" % (len(chunk), chunk) for chunk in chunks) + b"0\r\n\r\n"
    cuts = sorted(data.draw(st.lists(st.integers(0, len(body)), max_size=10)))
    pieces = [body[a:b] for a, b in zip([0, *cuts], [*cuts, len(body)], strict=True) if a < b]
    end, scanner = feed(pieces)
    assert end == len(body)
    assert scanner.payload == sum(map(len, chunks))


@given(st.binary(max_size=60))
def test_noise_never_confuses_the_splitting(noise: bytes) -> None:
    whole = feed([noise])[0]
    assert feed([noise[i : i + 1] for i in range(len(noise))])[0] == whole
