"""Container logs on disk: one bounded file per run, with times, readable while it grows.

The process's shell feeds raw output; readers (the log endpoint) ask for the last lines and may follow. Each
line is stored as `<time> <stdout|stderr> <F|P> <text>`, the format that container runtimes use; P marks a part
of a line longer than the limit. The file and one older part are kept, and the runs before the previous one are
removed.
"""

from __future__ import annotations

import asyncio
import re
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import IO

_STREAMS = (b"stdout", b"stderr")
_RUN = re.compile(r"(\d+)\.log(\.old)?\Z")


def now_nanoseconds() -> str:
    """RFC 3339 with nine digits, as container runtimes write it."""
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%f") + "000Z"


class ContainerLog:
    """The log of one run of one container."""

    def __init__(
        self, directory: Path, run: int, limit: int, line_limit: int, clock: Callable[[], str] = now_nanoseconds
    ) -> None:
        self.path = directory / f"{run}.log"
        self.closed = False
        self._limit = limit // 2  # the current file and the older one together stay below the limit
        self._line_limit = line_limit
        self._clock = clock
        self._partial = [bytearray(), bytearray()]
        self._waiters: set[asyncio.Event] = set()
        directory.mkdir(parents=True, exist_ok=True)
        _forget(directory, run - 1)
        self._file: IO[bytes] = self.path.open("ab", buffering=0)
        self._size = self.path.stat().st_size

    @property
    def followers(self) -> int:
        return len(self._waiters)

    def feed(self, is_stderr: bool, data: bytes) -> None:
        """Take output as it comes; whole lines are written at once."""
        rest = self._partial[is_stderr]
        rest.extend(data)
        lines = bytearray()
        stamp = self._clock().encode() + b" " + _STREAMS[is_stderr]
        while (end := rest.find(b"\n")) >= 0 or len(rest) > self._line_limit:
            if 0 <= end <= self._line_limit:
                lines += stamp + b" F " + rest[:end] + b"\n"
                del rest[: end + 1]
            else:
                lines += stamp + b" P " + rest[: self._line_limit] + b"\n"
                del rest[: self._line_limit]
        if lines:
            self._write(bytes(lines))

    def note(self, text: str) -> None:
        """A line of the sandbox's own."""
        self.feed(True, text.encode() + b"\n")

    def close(self) -> None:
        if self.closed:
            return
        for is_stderr in (False, True):
            if self._partial[is_stderr]:
                self.feed(is_stderr, b"\n")
        self.closed = True
        self._file.close()
        self._wake()

    def _write(self, lines: bytes) -> None:
        if self.closed:
            return
        if self._size and self._size + len(lines) > self._limit:
            self._file.close()
            self.path.replace(_older(self.path))
            self._file = self.path.open("ab", buffering=0)
            self._size = 0
        self._file.write(lines)
        self._size += len(lines)
        self._wake()

    def _wake(self) -> None:
        for waiter in self._waiters:
            waiter.set()

    async def follow(self, options: ReadOptions) -> AsyncIterator[bytes]:
        """What `read` gives, then new lines until the run ends."""
        changed = asyncio.Event()
        self._waiters.add(changed)
        try:
            position = self._size
            inode = self.path.stat().st_ino
            for line in read(self.path, options, until=position):
                yield line
            while True:
                changed.clear()
                closed = self.closed
                if self.path.stat().st_ino != inode:
                    for line in _lines(_older(self.path), position):
                        yield _shown(line, options.timestamps)
                    position, inode = 0, self.path.stat().st_ino
                for line in _lines(self.path, position):
                    position += len(line)
                    yield _shown(line, options.timestamps)
                if closed:
                    return
                await changed.wait()
        finally:
            self._waiters.discard(changed)


@dataclass(frozen=True)
class ReadOptions:
    tail: int | None = None  # lines; None is all
    timestamps: bool = False
    since: str = ""  # RFC 3339; lines before it are left out


def read(path: Path, options: ReadOptions, until: int | None = None) -> Iterator[bytes]:
    """The stored lines as the container wrote them; `until` is a position in the current file."""
    lines: Iterator[bytes] = _all_lines(path, until)
    if options.since:
        floor = options.since.encode()
        lines = (line for line in lines if line[: len(floor)] >= floor)
    if options.tail is not None:
        lines = iter(deque(lines, maxlen=max(0, options.tail)))
    for line in lines:
        yield _shown(line, options.timestamps)


def _all_lines(path: Path, until: int | None) -> Iterator[bytes]:
    yield from _lines(_older(path), 0)
    yield from _lines(path, 0, until)


def _lines(path: Path, position: int, until: int | None = None) -> Iterator[bytes]:
    try:
        with path.open("rb") as file:
            file.seek(position)
            for line in file:
                position += len(line)
                if not line.endswith(b"\n") or (until is not None and position > until):
                    return
                yield line
    except FileNotFoundError:
        return


def _shown(line: bytes, timestamps: bool) -> bytes:
    """A stored line as the reader sees it; a part of a longer line carries no line break."""
    stamp, _, rest = line.partition(b" ")
    _, _, rest = rest.partition(b" ")
    kind, _, text = rest.partition(b" ")
    if kind == b"P":
        text = text[:-1]
    return stamp + b" " + text if timestamps else text


def _older(path: Path) -> Path:
    return path.with_name(path.name + ".old")


def run_path(directory: Path, run: int) -> Path | None:
    """The log file of a run, or None when there is none (any more)."""
    path = directory / f"{run}.log"
    return path if path.exists() else None


def _forget(directory: Path, oldest: int) -> None:
    for path in directory.iterdir():
        match = _RUN.match(path.name)
        if match and int(match.group(1)) < oldest:
            path.unlink(missing_ok=True)
