"""Time-outs of client connections, judged by a sweep about once a second: no timer per request or connection.

A connection's `since` says when its present state began; the sweep moves it on when bytes have moved in the meantime,
so that the path of a byte pays for nothing but a counter.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from gateway.http1 import problem as problems
from gateway.proxy import dispatch
from gateway.proxy.counters import count
from gateway.proxy.states import CLOSING, IDLE, LINGERING, NO_BODY, PARKED, RELAYING, WAITING
from gateway.routing.model import Outcome

if TYPE_CHECKING:
    from gateway.proxy.client import Client

_FORGET_AFTER = 2.0  # seconds of idleness


def sweep(client: Client, now: float) -> None:
    """End what takes too long."""
    phase = client.phase
    if phase < CLOSING and client.transport.is_closing():
        return  # the peer is gone, and connection_lost on its way
    if client.unread is not None:
        client.look_back(None, now)
    if client.moved != client.seen_moved:
        client.seen_moved = client.moved
        if phase in (WAITING, RELAYING):
            client.since = now
    if client.write_paused:
        unsent = client.transport.get_write_buffer_size()
        if unsent != client.unsent:
            client.unsent = unsent
            client.since = now
    settings = client.settings
    waited = now - client.since
    if client.write_paused and phase in (IDLE, RELAYING):
        if waited > settings.stall_timeout:
            _cut(client, "client_stalled", Outcome.CLIENT_ABORT, now)
    elif phase == IDLE:
        _idle(client, waited)
    elif phase == PARKED:
        if waited > settings.park_timeout:
            count(client.counters.timeouts, "parked")
            client.unpark()
            client.end(Outcome.CLIENT_ABORT, now)
            dispatch.overloaded(client)
    elif phase == WAITING:
        _waiting(client, waited, now)
    elif phase == RELAYING:
        if waited > settings.upstream_body_timeout:
            _cut(client, "response_body", Outcome.TIMEOUT, now)
    elif phase == LINGERING:
        if waited > settings.linger_timeout:
            client.close()
    elif phase == CLOSING and waited > settings.stall_timeout:
        _cut(client, "client_stalled", Outcome.CLIENT_ABORT, now)


def _idle(client: Client, waited: float) -> None:
    if client.partial:
        if waited > client.settings.head_timeout:
            count(client.counters.timeouts, "request_head")
            client.refuse(problems.HEAD_TIMEOUT)
    elif waited > client.settings.idle_timeout:
        count(client.counters.timeouts, "idle")
        client.close()
    elif waited > _FORGET_AFTER:
        client.memory.forget_if_large()


def _waiting(client: Client, waited: float, now: float) -> None:
    """Forwarded and not answered: either the client still owes its body, or the coordinator its response."""
    upstream = client.upstream
    if client.body != NO_BODY and upstream is not None and not upstream.write_paused:
        if waited > client.settings.body_timeout:
            count(client.counters.timeouts, "request_body")
            client.give_up(problems.BODY_TIMEOUT)
    elif waited > client.settings.response_timeout:
        count(client.counters.timeouts, "response_head")
        client.drop_upstream()
        client.end(Outcome.TIMEOUT, now)
        dispatch.failed(client, Outcome.TIMEOUT)


def _cut(client: Client, what: str, outcome: Outcome, now: float) -> None:
    count(client.counters.timeouts, what)
    client.drop_upstream()
    client.end(outcome, now)
    client.abort()
