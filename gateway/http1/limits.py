"""How much of a message is accepted before it is refused: one definition of each bound."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds on one message.

    `head` is generous because clients carry their prepared statements in headers: Trino itself takes up to 2 MB.
    """

    head: int = 2 * 1024 * 1024  # bytes of request or status line plus headers
    headers: int = 512  # header lines
    target: int = 64 * 1024  # bytes of the request target
    body: int = 1024 * 1024 * 1024  # bytes of a request body; responses are not limited
    chunk_line: int = 4096  # bytes of a chunk-size line with its extensions
    trailers: int = 64 * 1024  # bytes of a trailer section


DEFAULT_LIMITS = Limits()
