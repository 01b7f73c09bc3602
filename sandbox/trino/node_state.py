"""The life of a node: ACTIVE, DRAINING, DRAINED, SHUTTING_DOWN; one table, pure but for its timers.

Changed by PUT /v1/info/state and by the timers that the change starts. Shutting down takes two grace
periods, one for the coordinators to see it and one for them to fetch what is left; DRAINING can be
taken back, SHUTTING_DOWN cannot. Coordinators only know ACTIVE.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from enum import StrEnum


class NodeState(StrEnum):
    ACTIVE = "ACTIVE"
    INACTIVE = "INACTIVE"
    DRAINING = "DRAINING"
    DRAINED = "DRAINED"
    SHUTTING_DOWN = "SHUTTING_DOWN"


class RefusedTransition(Exception):
    """The node stays as it is; the message is for the caller."""


_ALLOWED: dict[NodeState, frozenset[NodeState]] = {
    NodeState.ACTIVE: frozenset((NodeState.DRAINING, NodeState.SHUTTING_DOWN)),
    NodeState.DRAINING: frozenset((NodeState.ACTIVE, NodeState.SHUTTING_DOWN)),
    NodeState.DRAINED: frozenset((NodeState.ACTIVE, NodeState.SHUTTING_DOWN)),
    NodeState.SHUTTING_DOWN: frozenset(),
}


def check_transition(current: NodeState, wanted: NodeState, *, coordinator: bool) -> None:
    """RefusedTransition with the server's words; a wish for the current state is always granted."""
    if wanted == current:
        return
    if wanted == NodeState.DRAINED:
        raise RefusedTransition(
            f"Invalid state transition from {current} to DRAINED, transition to DRAINED is internal only"
        )
    if wanted == NodeState.INACTIVE:
        raise RefusedTransition(
            f"Invalid state transition from {current} to INACTIVE, INACTIVE is not a valid internal state"
        )
    if coordinator and wanted == NodeState.SHUTTING_DOWN:
        raise RefusedTransition("Cannot shutdown coordinator")
    if coordinator and wanted == NodeState.DRAINING:
        raise RefusedTransition("Cannot drain coordinator")
    if wanted not in _ALLOWED[current]:
        raise RefusedTransition(f"Invalid state transition from {current} to {wanted}")


class NodeStates:
    """The current state and what follows from it in time; `stopped` is called when the process may end."""

    def __init__(self, *, coordinator: bool, grace: float, stopped: Callable[[], None]) -> None:
        self.current = NodeState.ACTIVE
        self._coordinator = coordinator
        self._grace = grace
        self._stopped = stopped
        self._timer: asyncio.TimerHandle | None = None
        self.changed: Callable[[], None] = lambda: None
        """Called after every change, so that the coordinator hears of it."""

    def request(self, wanted: NodeState) -> None:
        check_transition(self.current, wanted, coordinator=self._coordinator)
        if wanted == self.current:
            return
        before = self.current
        self._enter(wanted)
        if wanted == NodeState.SHUTTING_DOWN:
            # Drained nodes have waited already.
            self._after(0 if before == NodeState.DRAINED else 2 * self._grace, self._stopped)
        elif wanted == NodeState.DRAINING:
            self._after(2 * self._grace, self._drained)

    def _drained(self) -> None:
        self._enter(NodeState.DRAINED)

    def _enter(self, state: NodeState) -> None:
        self.close()
        self.current = state
        self.changed()

    def _after(self, seconds: float, action: Callable[[], None]) -> None:
        self._timer = asyncio.get_running_loop().call_later(seconds, action)

    def close(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
