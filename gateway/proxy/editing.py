"""URIs that lead past the gateway, made to lead back to it.

Trino builds the URIs that it hands out from X-Forwarded-* or, failing that, from Host, and both name the gateway: its
pages and redirects pass untouched. A coordinator that writes its own address instead would have clients follow it to
where they cannot go, or must not. Only the authority is exchanged, only in `infoUri`, `nextUri`, `partialCancelUri`
and `Location`, and only when it is the coordinator's own; data is never touched.

Pure: bytes in, bytes out.
"""

from __future__ import annotations

import re
from typing import Final

from gateway.http1.response import replace_header
from gateway.routing.model import Target

HEAD_BYTES: Final = 16 * 1024  # of a page: where its URIs are

_DATA: Final = b'"data":'  # Trino writes its URIs before it; what looks like one behind it is a row's
_PAGE_URI: Final = re.compile(rb'("(?:infoUri|nextUri|partialCancelUri)"\s*:\s*")(https?://([^/"?#\\]+))')
_URI: Final = re.compile(rb"https?://([^/?#]+)", re.IGNORECASE).match


def own_names(target: Target) -> frozenset[bytes]:
    """The authorities under which a coordinator may speak of itself."""
    address = f"[{target.ip}]" if ":" in target.ip else target.ip
    full = target.authority.lower()
    return frozenset({full, full.rpartition(b":")[0], f"{address}:{target.port}".encode(), address.encode()})


def own_marks(target: Target) -> tuple[bytes, ...]:
    """What a URI with one of those authorities has in it, up to its port."""
    address = f"[{target.ip}]" if ":" in target.ip else target.ip
    return tuple({b"://" + address.encode(), b"://" + target.authority.lower().rpartition(b":")[0]})


def names_own(payload: bytes, start: int, marks: tuple[bytes, ...], port: bytes) -> bool:
    """Whether the head of a page may hold a URI of the coordinator's own: a tenth of the cost of looking properly.

    `port` is the coordinator's, with its colon.
    """
    head = payload[start : start + HEAD_BYTES].lower()
    for mark in marks:
        at = head.find(mark)
        while at >= 0:
            at += len(mark)
            if head.startswith(port, at) or head[at : at + 1] != b":":
                return True
            at = head.find(mark, at)
    return False


def edited_uri(uri: bytes, own: frozenset[bytes], base: bytes) -> bytes | None:
    """`uri` with `base` in place of the coordinator's own address; None when it does not name that."""
    found = _URI(uri)
    if found is None or found.group(1).lower() not in own:
        return None
    return base + uri[found.end() :]


def edited_page(payload: bytes, own: frozenset[bytes], base: bytes) -> bytes | None:
    """A page, or its beginning, with `base` in place of the coordinator's own address; None when nothing changes."""
    changed = False
    parts = []
    pos = 0
    data = payload.find(_DATA, 0, HEAD_BYTES)
    for found in _PAGE_URI.finditer(payload, 0, HEAD_BYTES if data < 0 else data):
        if found.group(3).lower() in own:
            changed = True
            parts.append(payload[pos : found.start(2)])
            parts.append(base)
            pos = found.end(2)
    if not changed:
        return None
    parts.append(payload[pos:])
    return b"".join(parts)


def whole_head(head: bytes, length: int) -> bytes:
    """The head (up to its empty line) of a response whose body is now plain and of known length."""
    kept = head[:-2]
    for name in (b"transfer-encoding", b"content-encoding", b"content-length"):
        kept = replace_header(kept, name, None)
    return kept + b"Content-Length: %d\r\n\r\n" % length


def grown_head(head: bytes, length: int) -> bytes:
    """The head of a response whose Content-Length has changed."""
    return replace_header(head[:-2], b"content-length", b"%d" % length) + b"\r\n"


def without_compression(request: bytes) -> bytes:
    """A request (its head complete) that asks for a plain response."""
    head, end, body = request.partition(b"\r\n\r\n")
    return replace_header(head + b"\r\n", b"accept-encoding", None) + end[2:] + body
