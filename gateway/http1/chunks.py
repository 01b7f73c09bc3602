"""Where a chunked body ends, found without taking it apart: the bytes go on as they came.

A scanner is fed pieces of any size and split anywhere. It holds nothing but an unfinished line, bounded.
"""

from __future__ import annotations

import re
from typing import Final

from gateway.http1.lines import BAD, BAD_LENGTH, CONNECTION_KEPT, EXPECT, HOST, TRANSFER_ENCODING, kind_of

MORE: Final = -1  # all bytes belong to the body, and more must come
MALFORMED: Final = -2

# Size in hexadecimal and extensions. No space before the semicolon or the line's end: some readers stop there.
_SIZE_LINE: Final = re.compile(rb"([0-9A-Fa-f]{1,15})(?:;[\t\x20-\x7e\x80-\xff]*+)?").fullmatch

_LINE: Final = 0
_DATA: Final = 1
_DATA_END: Final = 2
_TRAILERS: Final = 3
_DONE: Final = 4


class ChunkScanner:
    """Follows one chunked body."""

    __slots__ = ("_left", "_line_limit", "_state", "_tail", "_trailer_bytes", "_trailer_limit", "payload")

    def __init__(self, line_limit: int, trailer_limit: int) -> None:
        self._state = _LINE
        self._left = 0
        self._tail = b""  # an unfinished line, or the CR after a chunk
        self._line_limit = line_limit
        self._trailer_limit = trailer_limit
        self._trailer_bytes = 0
        self.payload = 0  # body bytes announced so far, framing not counted

    @property
    def done(self) -> bool:
        return self._state == _DONE

    @property
    def place(self) -> int:
        """Payload bytes left of the chunk that has begun, 0 where a size line begins, -1 anywhere else."""
        state = self._state
        return self._left if state == _DATA else 0 if state == _LINE and not self._tail else -1

    def moved(self, place: int, payload: int) -> None:
        """Somebody else has followed a piece of the body, from `place` to here; it announced so much payload."""
        self._left = place
        self._state = _DATA if place else _LINE
        self.payload += payload

    def resumed(self, payload: bytes) -> bytes:
        """All payload passed so far as one chunk, and what must precede the bytes still to come.

        For whoever has held back the beginning of a body and sends another in its place.
        """
        begun = b"%x\r\n%b" % (len(payload), payload) if payload else b""
        if self._state == _DATA_END and payload:
            return begun + self._tail  # the CRLF, or the rest of it, is still to come
        begun += b"\r\n" if payload else b""
        if self._state == _DATA:
            return begun + b"%x\r\n" % self._left
        return begun + (b"0\r\n" if self._state in (_TRAILERS, _DONE) else b"") + self._tail

    def feed(self, data: bytes, start: int) -> int:
        """Look at data[start:]; the index just after the body's end, MORE, or MALFORMED."""
        pos = start
        size = len(data)
        while pos < size:
            state = self._state
            if state == _DATA:
                if size - pos < self._left:
                    self._left -= size - pos
                    return MORE
                pos += self._left
                self._left = 0
                self._state = _DATA_END
            elif state == _DATA_END:
                if self._tail:
                    if data[pos] != 10:
                        return MALFORMED
                    self._tail = b""
                    pos += 1
                elif data[pos] != 13:
                    return MALFORMED
                elif pos + 1 == size:
                    self._tail = b"\r"
                    return MORE
                elif data[pos + 1] != 10:
                    return MALFORMED
                else:
                    pos += 2
                self._state = _LINE
            elif state != _DONE:
                end = self._line_end(data, pos)
                if end < 0:
                    return end
                line = self._tail + data[pos : end - 2] if end - 2 >= pos else self._tail[: end - 2 - pos]
                self._tail = b""
                pos = end
                if state == _LINE:
                    if not self._size_line(line):
                        return MALFORMED
                elif not line:
                    self._state = _DONE
                    return pos
                elif not self._trailer(line):
                    return MALFORMED
            else:
                return MALFORMED
        return MORE

    def _line_end(self, data: bytes, pos: int) -> int:
        """The index after the CRLF that ends the current line, MORE (and the rest is kept), or MALFORMED."""
        if self._tail.endswith(b"\r"):
            return pos + 1 if data[pos] == 10 else MALFORMED
        limit = self._line_limit if self._state == _LINE else self._trailer_limit
        room = limit - len(self._tail)
        found = data.find(b"\r\n", pos, pos + room + 2)
        if found >= 0:
            return found + 2
        piece = data[pos:]
        # Without a CRLF in it, a line feed in the piece stands alone, and so does a CR that is not its last byte.
        if len(piece) > room or b"\n" in piece or b"\r" in piece[:-1]:
            return MALFORMED
        self._tail += piece
        return MORE

    def _size_line(self, line: bytes) -> bool:
        found = _SIZE_LINE(line)
        if found is None:
            return False
        size = int(found.group(1), 16)
        if size:
            self.payload += size
            self._left = size
            self._state = _DATA
        else:
            self._state = _TRAILERS
        return True

    def _trailer(self, line: bytes) -> bool:
        """A trailer must be a header line, and must not reframe, redirect or vouch for what has been judged already."""
        self._trailer_bytes += len(line) + 2
        if self._trailer_bytes > self._trailer_limit:
            return False
        kind = kind_of(line)
        return kind < CONNECTION_KEPT and kind not in (BAD, BAD_LENGTH, HOST, TRANSFER_ENCODING, EXPECT)
