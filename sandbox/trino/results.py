"""Encoded rows on their way from a query's thread to its client, with backpressure.

The worker thread puts chunks and blocks while the client is slow; the event loop takes a page's worth
and never blocks. A chunk is the JSON of some rows without the outer brackets.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable

_LIMIT = 16 * 1024 * 1024


class ResultBuffer:
    def __init__(self, changed: Callable[[], None], limit: int = _LIMIT) -> None:
        self._changed = changed
        self._limit = limit
        self._chunks: deque[tuple[bytes, int]] = deque()
        self._size = 0
        self._closed = False
        self._room = threading.Condition()
        self.rows = 0
        self.bytes = 0
        self.peak = 0

    def put(self, chunk: bytes, rows: int) -> bool:
        """False when nobody wants the rows any more."""
        with self._room:
            while self._size >= self._limit and not self._closed:
                self._room.wait()
            if self._closed:
                return False
            self._chunks.append((chunk, rows))
            self._size += len(chunk)
            self.rows += rows
            self.bytes += len(chunk)
            self.peak = max(self.peak, self._size)
        self._changed()
        return True

    def take(self, target: int) -> list[bytes]:
        """Whole chunks until `target` bytes are reached; at least one if there is any."""
        taken: list[bytes] = []
        size = 0
        with self._room:
            while self._chunks and size < target:
                chunk, _ = self._chunks.popleft()
                taken.append(chunk)
                size += len(chunk)
            self._size -= size
            self._room.notify_all()
        return taken

    @property
    def empty(self) -> bool:
        with self._room:
            return not self._chunks

    def close(self) -> None:
        """Drop what is there and release the writer."""
        with self._room:
            self._chunks.clear()
            self._size = 0
            self._closed = True
            self._room.notify_all()
