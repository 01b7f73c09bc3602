"""The token that nodes of one cluster show each other when a shared secret is configured.

A signed, short-lived token derived from `internal-communication.shared-secret`; nodes with another
secret stay out, as in a real cluster.
"""

from __future__ import annotations

import hashlib
import hmac
import time

_LIFETIME = 300


def token(secret: str | None, node_id: str, now: float | None = None) -> str | None:
    """None when no secret is configured."""
    if secret is None:
        return None
    stamp = int(time.time() if now is None else now)
    return f"{node_id}:{stamp}:{_signature(secret, node_id, stamp)}"


def verify(shown: str | None, secret: str | None, now: float | None = None) -> bool:
    if secret is None:
        return True
    node_id, _, rest = (shown or "").rpartition(":")[0].partition(":")
    signature = (shown or "").rpartition(":")[2]
    if not rest.isascii() or not rest.isdigit():
        return False
    stamp = int(rest)
    current = time.time() if now is None else now
    expected = _signature(secret, node_id, stamp)
    return abs(current - stamp) <= _LIFETIME and hmac.compare_digest(expected.encode(), signature.encode())


def _signature(secret: str, node_id: str, stamp: int) -> str:
    key = hashlib.sha256(secret.encode()).digest()
    return hmac.new(key, f"{node_id}:{stamp}".encode(), hashlib.sha256).hexdigest()
