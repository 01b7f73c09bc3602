"""A message that is refused, as a value: the status to answer with, a short word for metrics, and the reason.

The connection that carried a problem cannot be trusted to be in step any more; whoever gets one answers and closes.
"""

from __future__ import annotations

from typing import Final


class Problem:
    """Why a head or body is refused. `kind` is a metric label, `message` is for whoever wrote the client."""

    __slots__ = ("kind", "message", "status")

    def __init__(self, status: int, kind: str, message: str) -> None:
        self.status = status
        self.kind = kind
        self.message = message

    def __repr__(self) -> str:
        return f"Problem({self.status}, {self.kind!r}, {self.message!r})"


BAD_REQUEST_LINE: Final = Problem(400, "request_line", "The request line is malformed")
BAD_TARGET: Final = Problem(
    400, "target", "The request target is not an absolute path or an http URL with a plain host"
)
BAD_METHOD: Final = Problem(
    501, "method", "The method is not supported; use GET, HEAD, POST, PUT, DELETE, OPTIONS or PATCH"
)
METHOD_REFUSED: Final = Problem(405, "method", "CONNECT and TRACE are not offered here")
BAD_VERSION: Final = Problem(505, "version", "Only HTTP/1.1 and HTTP/1.0 are spoken here")
BAD_HEADER: Final = Problem(
    400,
    "header",
    "A header line is malformed: folded, without a name, with a space before the colon, or with control bytes",
)
BARE_LINE_END: Final = Problem(400, "line_end", "A line ends in a bare CR or LF, or holds a NUL")
BAD_HOST: Final = Problem(400, "host", "Exactly one valid Host header is required")
HOST_MISMATCH: Final = Problem(400, "host", "The Host header and the host in the request target differ")
BAD_LENGTH: Final = Problem(400, "length", "Content-Length must be given once, in decimal digits only")
LENGTH_AND_CHUNKED: Final = Problem(
    400, "length_and_chunked", "Content-Length and Transfer-Encoding exclude each other"
)
BAD_CODING: Final = Problem(501, "transfer_coding", "The only transfer coding accepted is `chunked`, given once")
CODING_IN_1_0: Final = Problem(400, "transfer_coding", "An HTTP/1.0 request cannot have a transfer coding")
BAD_EXPECT: Final = Problem(417, "expect", "The only expectation supported is 100-continue")
HEAD_TOO_LARGE: Final = Problem(431, "head_too_large", "The request head is larger than this gateway accepts")
TOO_MANY_HEADERS: Final = Problem(
    431, "too_many_headers", "The request has more header lines than this gateway accepts"
)
TARGET_TOO_LONG: Final = Problem(414, "target_too_long", "The request target is longer than this gateway accepts")
BODY_TOO_LARGE: Final = Problem(413, "body_too_large", "The request body is larger than this gateway accepts")
BAD_CHUNK: Final = Problem(400, "chunk", "The chunked body is malformed")
HEAD_TIMEOUT: Final = Problem(408, "head_timeout", "The request head did not arrive in time")
BODY_TIMEOUT: Final = Problem(408, "body_timeout", "The request body stopped arriving")

# Of responses. The status is what the client gets instead.
BAD_RESPONSE: Final = Problem(502, "bad_response", "The coordinator answered with something that is not valid HTTP/1.1")
