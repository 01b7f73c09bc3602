"""Where a request goes, and what the client gets when it goes nowhere.

Functions over one `Client`'s present request. The router decides; this asks it the question that fits the request
(who owns this query, which route is this, who has a token of this kind) and turns a refusal or a failure into what
the client at the other end understands.
"""

from __future__ import annotations

import itertools
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from crds.trino import GENERIC_INTERNAL_ERROR, ErrorCode
from gateway.http1.lines import CHALLENGE, LOCATION, STARTED_TRANSACTION
from gateway.http1.response import ResponseHead, replace_header
from gateway.proxy import answers
from gateway.proxy.counters import count
from gateway.proxy.editing import edited_uri, own_names
from gateway.proxy.paths import (
    OTHER,
    POLL,
    QUERY,
    SUBMIT,
    TOKEN,
    challenge_tokens,
    killed_id,
    kind_of,
    login_token,
    token_of,
    transaction_token,
)
from gateway.routing.model import Candidates, Outcome, Refusal, RefusalKind, Target

if TYPE_CHECKING:
    from gateway.proxy.client import Client
    from gateway.proxy.memory import Memo

_refused: Final = itertools.count()

_FAILURES: Final[dict[Outcome, tuple[int, str, str]]] = {
    Outcome.CONNECT_FAILED: (502, "connect_failed", "cannot be reached"),
    Outcome.RESET: (502, "reset", "closed the connection before it answered"),
    Outcome.TIMEOUT: (504, "timeout", "did not answer in time"),
    Outcome.BAD_RESPONSE: (502, "bad_response", "answered with something that is not valid HTTP"),
}


def route(client: Client, memo: Memo, now: float) -> None:
    """Route a request that is not a poll of a statement."""
    kind, client.query_id = kind_of(client.method, client.target_path)
    client.kind = kind
    if kind == QUERY:
        if client.query_id.endswith(answers.OUR_SUFFIX):
            _never_ran(client)
            return
        owner = client.router.owner(client.query_id, now)
        if isinstance(owner, Target):
            client.forward(owner, now)
        else:
            unowned(client, owner, now)
        return
    token: bytes | None = None
    if kind == SUBMIT:
        killed = killed_id(client.outgoing)
        runs_at = None if killed is None else client.router.owner(killed, now)
        if isinstance(runs_at, Target):
            client.forward(runs_at, now)
            return
        transaction = memo.head.transaction
        token = None if transaction is None else transaction_token(transaction)
    elif kind == TOKEN:
        token = token_of(client.target_path)
    if token is not None:
        pinned = client.router.pinned(token, now)
        if pinned is not None:
            client.forward(pinned, now)
            return
    router = client.router
    if memo.epoch != router.epoch:
        memo.route = router.match(memo.head.host or b"", memo.head.selector)
        memo.epoch = router.epoch
    found = memo.route
    if found is None or isinstance(found, Refusal):
        assert found is not None
        refused(client, found)
        return
    chosen = router.choose(found, now)
    if isinstance(chosen, Target):
        client.forward(chosen, now)
    else:
        refused(client, chosen)


def unowned(client: Client, answer: Refusal | Candidates, now: float) -> None:
    """A query id whose coordinator is not known: ask the candidates, or refuse."""
    if isinstance(answer, Refusal):
        refused(client, answer)
        return
    client.pool = None
    client.park()
    client.server.search(client, client.query_id, answer)


def found_owner(client: Client, serial: int, owner: Target | None) -> None:
    """A search for the query's owner has ended; the request may be gone by now."""
    if client.serial != serial or not client.parked_for_owner:
        return
    now = client.clock()
    if owner is not None:
        client.forward(owner, now)
        return
    client.router.not_found(client.query_id, now)
    again = client.router.owner(client.query_id, now)
    if isinstance(again, Target):
        client.forward(again, now)
    elif isinstance(again, Refusal):
        refused(client, again)
    else:
        shown = client.query_id.decode("ascii", "replace")
        refused(client, Refusal(RefusalKind.COORDINATOR_GONE, f"Query {shown} belongs to no coordinator that answers"))


def connect_failed(client: Client, timed_out: bool, now: float) -> None:
    """No connection: nothing was sent, so a request that no coordinator owns yet may try another one."""
    head = client.memo_now.head
    if client.repeats < client.settings.connect_retries and _goes_anywhere(client, now):
        client.repeats += 1
        before = client.target
        found = client.router.match(head.host or b"", head.selector)
        if not isinstance(found, Refusal):
            chosen = client.router.choose(found, now)
            if isinstance(chosen, Target) and chosen is not before:
                client.forward(chosen, now)
                return
    failed(client, Outcome.TIMEOUT if timed_out else Outcome.CONNECT_FAILED)


def _goes_anywhere(client: Client, now: float) -> bool:
    """Whether any coordinator of its route could serve the request: not what is inside a transaction, or kills."""
    if client.kind != SUBMIT:
        return client.kind == OTHER
    transaction = client.memo_now.head.transaction
    token = None if transaction is None else transaction_token(transaction)
    if token is not None and client.router.pinned(token, now) is not None:
        return False
    return killed_id(client.outgoing) is None


def failed(client: Client, outcome: Outcome) -> None:
    """The coordinator failed us. A poll gets a 502 or 504, which clients repeat; a statement an error to show."""
    status, kind, what = _FAILURES[outcome]
    name = client.target.key if client.target is not None else "the runtime"
    message = f"The coordinator of {name} {what}"
    count(client.counters.refusals, kind)
    if client.kind == SUBMIT:
        _statement_error(client, f"{message}. Run the query again", GENERIC_INTERNAL_ERROR)
    else:
        _plain(client, status, kind, message, None)


def overloaded(client: Client) -> None:
    """The request waited for a connection or an owner for too long, or too many others do."""
    name = client.target.key if client.target is not None else "the runtime"
    message = f"No connection to the coordinator of {name} came free in time"
    count(client.counters.refusals, "overloaded")
    if client.kind == SUBMIT:
        _statement_error(client, f"{message}. Run the query again", GENERIC_INTERNAL_ERROR)
    else:
        _plain(client, 503, "overloaded", message, 1)


def refused(client: Client, refusal: Refusal) -> None:
    """The router's own no."""
    count(client.counters.refusals, refusal.kind.value)
    kind = client.kind
    if kind == POLL and client.method == b"DELETE":
        # What it would cancel does not run any more, and clients insist on a 204.
        _no_content(client)
    elif kind == SUBMIT or (kind == POLL and client.method == b"GET"):
        _statement_error(client, refusal.message, answers.error_of(refusal.kind))
    else:
        status = answers.STATUS.get(refusal.kind, 503)
        _plain(client, status, refusal.kind.value, refusal.message, refusal.retry_after)


def inspect(client: Client, head: ResponseHead, kept: bytes) -> bytes:
    """Remember what the response pins to its coordinator; edit a Location that leads past the gateway."""
    target = client.target
    noted = head.noted
    assert target is not None
    assert noted is not None
    now = client.clock()
    transaction = noted.get(STARTED_TRANSACTION)
    if transaction is not None:
        token = transaction_token(transaction)
        if token is not None:
            client.router.pin(token, target, now)
    challenge = noted.get(CHALLENGE)
    if challenge is not None:
        for token in challenge_tokens(challenge):
            client.router.pin(token, target, now)
    location = noted.get(LOCATION)
    if location is not None:
        login = login_token(location) if 300 <= client.status < 400 else None
        if login is not None:
            client.router.pin(login, target, now)
        edited = edited_uri(location, own_names(target), client.memo_now.base)
        if edited is not None:
            client.counters.rewrites += 1
            return replace_header(kept, b"location", edited)
    return kept


def _never_ran(client: Client) -> None:
    """A query id that a refusal of ours carried."""
    if client.method == b"DELETE":
        _no_content(client)
    else:
        message = "This query was refused by the gateway and never reached a coordinator"
        _plain(client, 404, "never_ran", message, None)


def _no_content(client: Client) -> None:
    client.answer(answers.NO_CONTENT_CLOSE if client.closes else answers.NO_CONTENT, 204)


def _statement_error(client: Client, message: str, error: ErrorCode) -> None:
    query_id = client.query_id.decode("ascii") if client.query_id else _refused_id()
    base = client.memo_now.base.decode("ascii", "replace")
    client.answer(answers.statement_error(query_id, base, message, error, client.closes), 200)


def _plain(client: Client, status: int, kind: str, message: str, retry_after: int | None) -> None:
    data = answers.plain_error(status, kind, message, client.closes, client.method == b"HEAD", retry_after)
    client.answer(data, status)


def _refused_id() -> str:
    """A query id for a statement that never reached a coordinator: well-formed, and nobody's."""
    stamp = datetime.now(UTC).strftime("%Y%m%d_%H%M%S")
    return f"{stamp}_{next(_refused) % 100000:05d}{answers.OUR_SUFFIX.decode()}"
