"""The bytes of a watch, as events. Pure; the transport feeds it, the informer reads what comes out.

A watch is one JSON document per line, `{"type": ..., "object": ...}`, cut into chunks anywhere. An `ERROR`
event is not an event for anybody: it is raised as the error that its Status describes (410 as `Gone`). A line
that ends with the stream rather than with a newline is dropped: resuming from the last
version brings it again, whole.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import orjson

from crds.client.errors import Malformed, error_from_status

ADDED, MODIFIED, DELETED, BOOKMARK = "ADDED", "MODIFIED", "DELETED", "BOOKMARK"
# A tuple, compared by equality: what comes may be unhashable.
_TYPES = (ADDED, MODIFIED, DELETED, BOOKMARK)

# etcd refuses objects over 1.5 MiB; what is far larger is no event, and must not fill the memory.
MAX_LINE = 32 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class WatchEvent:
    type: str
    object: dict[str, Any]

    @property
    def resource_version(self) -> str:
        version: str = self.object["metadata"]["resourceVersion"]
        return version


class WatchDecoder:
    """Feed it chunks; it yields whole events and keeps the rest."""

    def __init__(self, *, target: str = "watch", max_line: int = MAX_LINE) -> None:
        self._pending: list[bytes] = []
        self._size = 0
        self._target = target
        self._max_line = max_line

    def feed(self, chunk: bytes) -> Iterator[WatchEvent]:
        start = 0
        while (end := chunk.find(b"\n", start)) >= 0:
            line = b"".join((*self._pending, chunk[start:end]))
            self._pending.clear()
            self._size = 0
            start = end + 1
            if line and not line.isspace():
                yield self._event(line)
        if start < len(chunk):
            self._pending.append(chunk[start:])
            self._size += len(chunk) - start
            if self._size > self._max_line:
                raise self._malformed(f"an event is longer than {self._max_line} bytes")

    def _event(self, line: bytes) -> WatchEvent:
        try:
            parsed = orjson.loads(line)
        except orjson.JSONDecodeError as error:
            raise self._malformed("an event is not JSON") from error
        if not isinstance(parsed, dict):
            raise self._malformed("an event is not a JSON object")
        kind, obj = parsed.get("type"), parsed.get("object")
        if not isinstance(obj, dict):
            raise self._malformed("an event has no object")
        if kind == "ERROR":
            told = error_from_status(obj, target=self._target)
            told.in_stream = True
            raise told
        if kind not in _TYPES:
            raise self._malformed(f"an event has the unknown type {str(kind)[:40]!r}")
        metadata = obj.get("metadata")
        if not isinstance(metadata, dict) or not _text(metadata.get("resourceVersion")):
            raise self._malformed("an event's object has no resourceVersion")
        if kind != BOOKMARK and not _text(metadata.get("name")):
            raise self._malformed("an event's object has no name")
        return WatchEvent(kind, obj)

    def _malformed(self, message: str) -> Malformed:
        error = Malformed(200, "Malformed", message, target=self._target)
        error.in_stream = True
        return error


def _text(value: object) -> bool:
    return isinstance(value, str) and value != ""
