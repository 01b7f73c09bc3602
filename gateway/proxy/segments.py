"""Which spooled segments a result page hands out: only the coordinator that made them can serve or free them.

A segment's URL names no query and its requests carry no header that would lead anywhere, so the gateway remembers the
identifiers as they pass. The page itself is not held up, changed or kept: a watch reads along, taking framing and
compression off a copy. Pages of the spooled kind are small, their data being elsewhere.
"""

from __future__ import annotations

import re
import zlib
from typing import Final

MARK: Final = b'"segments":['
_SEGMENT: Final = re.compile(rb'/v1/spooled/(?:download|ack)/([^"/?\\\s]{1,512})').finditer
_CARRY: Final = 600  # bytes of the end of a piece that may begin a URL
_LIMIT: Final = 64 * 1024 * 1024  # bytes of a page that are read along


class SegmentWatch:
    """Reads along with one page from its first byte."""

    __slots__ = ("_carry", "_chunk_left", "_chunked", "_ended", "_inflate", "_line", "_read", "_seen")

    def __init__(self, chunked: bool, compressed: bool) -> None:
        self._chunked = chunked
        self._chunk_left = 0
        self._ended = False
        self._line = b""  # of a chunk's framing, unfinished
        self._inflate = zlib.decompressobj(47) if compressed else None
        self._carry = b""
        self._read = 0
        self._seen: set[bytes] = set()

    def feed(self, data: bytes) -> list[bytes]:
        """Identifiers that this piece of the body completes."""
        if self._read > _LIMIT:
            return []
        payload = self._dechunked(data) if self._chunked else data
        if self._inflate is not None:
            try:
                payload = self._inflate.decompress(payload, _LIMIT)
            except zlib.error:
                self._read = _LIMIT + 1
                return []
        self._read += len(payload)
        text = self._carry + payload
        fresh = []
        for found in _SEGMENT(text):
            identifier = found.group(1)
            if found.end() < len(text) and identifier not in self._seen:
                self._seen.add(identifier)
                fresh.append(identifier)
        self._carry = text[-_CARRY:]
        return fresh

    def _dechunked(self, data: bytes) -> bytes:
        """The payload in the next piece of a chunked body that is known to be well-formed."""
        parts = []
        pos = 0
        while pos < len(data) and not self._ended:
            if self._chunk_left:
                piece = data[pos : pos + self._chunk_left]
                self._chunk_left -= len(piece)
                pos += len(piece)
                parts.append(piece)
                continue
            end = data.find(b"\n", pos)
            if end < 0:
                self._line += data[pos:]
                break
            line = (self._line + data[pos:end]).strip()
            self._line = b""
            pos = end + 1
            if line:  # else the line end after a chunk
                self._chunk_left = int(line.partition(b";")[0], 16)
                if self._chunk_left == 0:  # the last one: what follows are trailers
                    self._ended = True
                    break
                if self._chunk_left == 0:
                    break  # trailers
        return b"".join(parts)
