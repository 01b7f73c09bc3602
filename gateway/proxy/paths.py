"""What a request is to Trino, told from its method and target.

Pure. Only what routing and refusing need: whether it submits a statement, polls one, names a query that already has
an owner, or carries a token that one coordinator handed out.
"""

from __future__ import annotations

import hashlib
import re
from typing import Final
from urllib.parse import unquote_to_bytes

from crds.trino import query_id_in_path
from gateway.http1.request import METHOD, TARGET_REST, VERSION

OTHER: Final = 0
SUBMIT: Final = 1  # POST /v1/statement
POLL: Final = 2  # a statement's nextUri or partialCancelUri
QUERY: Final = 3  # anything else that names a query
TOKEN: Final = 4  # a step of an OAuth2 login or a spooled segment

_ID: Final = rb"[0-9]{8}_[0-9]{6}_[0-9]{5}_[a-z0-9]{5}"
# A request line, with the query id when the target is one of a statement's own URIs: both in one look, because
# nearly every request is a poll. Groups: method, target, query id or None, minor version.
request_line: Final = re.compile(
    METHOD
    + rb" (/(?:v1/statement/(?:executing/(?:partialCancel/)?|queued/)("
    + _ID
    + rb")[/?])?"
    + TARGET_REST
    + rb")"
    + VERSION
).match
_TOKEN: Final = re.compile(rb"/(oauth2/token/(?:initiate/)?|v1/spooled/(?:download|ack)/)([^/?]+)").match
_CALLBACK: Final = re.compile(rb"/oauth2/callback/?\?").match
_STATE: Final = re.compile(rb"[?&]state=([^&#]+)").search
_CHALLENGE_URL: Final = re.compile(rb'x_(?:redirect|token)_server="[a-z]+://[^/"]+(/[^"]*)"').finditer


def polled_id(target: bytes) -> bytes | None:
    """The query id in a statement's own URI; None when the target is none."""
    return query_id_in_path(target) if target.startswith(b"/v1/statement/") else None


def kind_of(method: bytes, target: bytes) -> tuple[int, bytes]:
    """What a request that is no poll is, and the query id that it names or nothing."""
    if method == b"POST" and target.startswith(b"/v1/statement") and target[13:14] in (b"", b"?"):
        return SUBMIT, b""
    query_id = query_id_in_path(target)
    if query_id is not None:
        return QUERY, query_id
    return (OTHER if _TOKEN(target) is None and _CALLBACK(target) is None else TOKEN), b""


_KILL: Final = re.compile(
    rb"\s*CALL\s+(?:system\s*\.\s*)?(?:runtime\s*\.\s*)?kill_query\s*\(\s*(?:query_id\s*=>\s*)?'(" + _ID + rb")'",
    re.IGNORECASE,
).match


def killed_id(request: bytes) -> bytes | None:
    """The query that a submitted statement asks to kill; None when it is another statement.

    Only the coordinator that runs a query can kill it. Comments and other ways to write the call are not looked for:
    such a statement goes where any statement goes.
    """
    found = _KILL(request, request.find(b"\r\n\r\n") + 4)
    return None if found is None else found.group(1)


def token_of(target: bytes) -> bytes:
    """The key under which a target of kind TOKEN is pinned to a coordinator."""
    found = _TOKEN(target)
    if found is None:
        return login_token(target) or b""
    # A segment's download and its acknowledgement are one thing; so are both ends of an OAuth2 exchange.
    return segment_token(found.group(2)) if found.group(1).startswith(b"v1/") else b"oauth2:" + found.group(2)


def login_token(uri: bytes) -> bytes | None:
    """The key of the login that a URI belongs to by its `state`; None when it has none.

    A coordinator sends the browser to the identity provider with a `state` that it has signed, and the provider sends
    it back with the same one to `/oauth2/callback`, where nobody else could verify it. It may be long, and it is no
    business of the gateway's: what is kept is its digest.
    """
    found = _STATE(uri)
    if found is None:
        return None
    return b"login:" + hashlib.sha256(unquote_to_bytes(found.group(1))).hexdigest().encode()


def segment_token(identifier: bytes) -> bytes:
    """The key of a spooled segment."""
    return b"spooled:" + identifier


def transaction_token(transaction: bytes) -> bytes | None:
    """The key of a transaction id; None for the header's way to say that there is none."""
    return None if transaction.upper() == b"NONE" or not transaction else b"transaction:" + transaction


def challenge_tokens(challenge: bytes) -> list[bytes]:
    """The keys of the OAuth2 exchange that a WWW-Authenticate challenge starts."""
    tokens = [token_of(found.group(1)) for found in _CHALLENGE_URL(challenge)]
    return [token for token in tokens if token]
