"""The life of a runtime: its phases, the moves between them, and the state of its route.

One table. The controller asks `allowed` before it writes a phase; nothing else assigns one. A phase is
output: no decision is made from it, and the route's state comes from what was observed,
never from the phase that we wrote ourselves a moment ago.
"""

from __future__ import annotations

from enum import StrEnum


class Phase(StrEnum):
    """What `kubectl get` shows. It moves only when something changed: a re-checked Ready stays Ready."""

    PENDING = "Pending"
    RECONCILING = "Reconciling"
    READY = "Ready"
    SUSPENDING = "Suspending"
    SUSPENDED = "Suspended"
    RESUMING = "Resuming"
    ERROR = "Error"


_P = Phase

#: From each phase, where it may go. A deleted runtime leaves by its finalizer, from any of them.
#: Suspending -> Resuming: a query may wake a runtime that has not finished draining.
#: Resuming -> Ready: nothing but the replicas had changed. Any phase may fail.
TRANSITIONS: dict[Phase, frozenset[Phase]] = {
    _P.PENDING: frozenset({_P.RECONCILING, _P.READY, _P.SUSPENDING, _P.SUSPENDED, _P.ERROR}),
    _P.RECONCILING: frozenset({_P.READY, _P.SUSPENDING, _P.ERROR}),
    _P.READY: frozenset({_P.RECONCILING, _P.SUSPENDING, _P.ERROR}),
    _P.SUSPENDING: frozenset({_P.SUSPENDED, _P.RESUMING, _P.ERROR}),
    _P.SUSPENDED: frozenset({_P.RESUMING, _P.ERROR}),
    _P.RESUMING: frozenset({_P.RECONCILING, _P.READY, _P.SUSPENDING, _P.ERROR}),
    _P.ERROR: frozenset({_P.RECONCILING, _P.READY, _P.SUSPENDING, _P.SUSPENDED, _P.RESUMING}),
}


def allowed(old: Phase | None, new: Phase) -> bool:
    """Whether a runtime may move from `old` (None: never had a phase) to `new`. Staying is allowed."""
    if old is None:
        return new is Phase.PENDING or new in TRANSITIONS[Phase.PENDING]
    return old is new or new in TRANSITIONS[old]


class RouteState(StrEnum):
    """What the gateway does with new statements for a backend. A removed backend is simply absent."""

    RUNNING = "RUNNING"
    """Takes new statements."""
    RESUMING = "RESUMING"
    """Not yet: it is starting."""
    PAUSED = "PAUSED"
    """Sleeps until it is resumed."""
    DRAINING = "DRAINING"
    """Finishes what it has and takes nothing new."""
