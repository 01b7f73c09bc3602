"""Answers that the gateway gives itself, as bytes.

On statement paths a refusal is a Trino error in a genuine result page with status 200: every client shows its
message and stops, where a 4xx or 5xx makes one retry for ever, another fail with a stack trace, and a third believe
that its login has failed. Everywhere else it is a small JSON object. Never HTML, and Retry-After in whole seconds.
"""

from __future__ import annotations

from typing import Final

import orjson

from crds.trino import (
    GENERIC_INTERNAL_ERROR,
    NOT_FOUND,
    SERVER_SHUTTING_DOWN,
    SERVER_STARTING_UP,
    ErrorCode,
    QueryState,
    query_error,
)
from gateway.routing.model import RefusalKind

REASONS: Final[dict[int, bytes]] = {
    200: b"OK",
    204: b"No Content",
    400: b"Bad Request",
    404: b"Not Found",
    405: b"Method Not Allowed",
    408: b"Request Timeout",
    413: b"Content Too Large",
    414: b"URI Too Long",
    417: b"Expectation Failed",
    431: b"Request Header Fields Too Large",
    501: b"Not Implemented",
    502: b"Bad Gateway",
    503: b"Service Unavailable",
    504: b"Gateway Timeout",
    505: b"HTTP Version Not Supported",
}

# Status outside statement paths.
STATUS: Final[dict[RefusalKind, int]] = {
    RefusalKind.UNKNOWN_SELECTOR: 404,
    RefusalKind.NO_ROUTE: 404,
    RefusalKind.PAUSED: 503,
    RefusalKind.RESUMING: 503,
    RefusalKind.DRAINING: 503,
    RefusalKind.UNAVAILABLE: 503,
    RefusalKind.COORDINATOR_GONE: 404,
}


_ERRORS: Final[dict[RefusalKind, ErrorCode]] = {
    RefusalKind.UNKNOWN_SELECTOR: NOT_FOUND,
    RefusalKind.NO_ROUTE: NOT_FOUND,
    RefusalKind.PAUSED: SERVER_STARTING_UP,
    RefusalKind.RESUMING: SERVER_STARTING_UP,
    RefusalKind.DRAINING: SERVER_SHUTTING_DOWN,
    RefusalKind.UNAVAILABLE: SERVER_STARTING_UP,
    RefusalKind.COORDINATOR_GONE: SERVER_SHUTTING_DOWN,
}


def error_of(kind: RefusalKind) -> ErrorCode:
    """How a refusal reads in Trino's vocabulary."""
    return _ERRORS.get(kind, GENERIC_INTERNAL_ERROR)


def response(status: int, body: bytes, close: bool, head_only: bool = False, extra: bytes = b"") -> bytes:
    """A complete response. `extra` is header lines, each with its CRLF."""
    parts = [b"HTTP/1.1 %d " % status, REASONS.get(status, b"Error"), b"\r\n"]
    if body:
        parts.append(
            b"Content-Type: application/json\r\nX-Content-Type-Options: nosniff\r\nCache-Control: no-store\r\n"
        )
    if status != 204:
        parts.append(b"Content-Length: %d\r\n" % len(body))
    parts.append(extra)
    if close:
        parts.append(b"Connection: close\r\n")
    parts.append(b"\r\n")
    if not head_only:
        parts.append(body)
    return b"".join(parts)


def plain_error(
    status: int, kind: str, message: str, close: bool, head_only: bool = False, retry_after: int | None = None
) -> bytes:
    """An error outside statement paths."""
    body = orjson.dumps({"error": {"code": status, "kind": kind, "message": message}})
    extra = b"" if retry_after is None else b"Retry-After: %d\r\n" % retry_after
    if status == 405:
        extra += b"Allow: GET, HEAD, POST, PUT, DELETE, OPTIONS, PATCH\r\n"
    return response(status, body, close, head_only, extra)


def statement_error(query_id: str, base: str, message: str, error: ErrorCode, close: bool) -> bytes:
    """A failed result page. `base` is the address that the client used, without a trailing slash."""
    body = orjson.dumps(
        {
            "id": query_id,
            "infoUri": f"{base}/ui/query.html?{query_id}",
            "stats": {
                "state": QueryState.FAILED.value,
                "queued": False,
                "scheduled": False,
                "nodes": 0,
                "totalSplits": 0,
                "queuedSplits": 0,
                "runningSplits": 0,
                "completedSplits": 0,
                "cpuTimeMillis": 0,
                "wallTimeMillis": 0,
                "queuedTimeMillis": 0,
                "elapsedTimeMillis": 0,
                "processedRows": 0,
                "processedBytes": 0,
                "physicalInputBytes": 0,
                "peakMemoryBytes": 0,
                "spilledBytes": 0,
            },
            "error": query_error(error, message),
            "warnings": [],
        }
    )
    return response(200, body, close)


NO_CONTENT: Final = b"HTTP/1.1 204 No Content\r\n\r\n"
NO_CONTENT_CLOSE: Final = b"HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n"

# The last five characters name a coordinator process; real ones are drawn from an alphabet without l, o, 0 and 1.
OUR_SUFFIX: Final = b"_0l1o0"
