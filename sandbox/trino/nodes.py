"""The coordinator's list of nodes: who announced itself, in which state, how long ago; pure.

Written by the announcement resource, read by the dispatcher, system.runtime.nodes and the metrics.
A node that has not announced itself for a while is INACTIVE, then forgotten.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from sandbox.trino.node_state import NodeState

INACTIVE_AFTER = 10.0
FORGOTTEN_AFTER = 300.0


@dataclass(frozen=True, slots=True)
class Node:
    node_id: str
    uri: str
    version: str
    coordinator: bool
    state: NodeState
    seen: float


class NodeInventory:
    """`own` is the coordinator itself, which never expires."""

    def __init__(self, own: Node, *, include_coordinator: bool, clock: Callable[[], float]) -> None:
        self._own = own
        self._include = include_coordinator
        self._clock = clock
        self._workers: dict[str, Node] = {}

    def announced(self, node: Node) -> None:
        self._workers[node.node_id] = node

    def withdrawn(self, node_id: str) -> None:
        self._workers.pop(node_id, None)

    def nodes(self) -> list[Node]:
        now = self._clock()
        result = [self._own]
        for node_id, node in list(self._workers.items()):
            silence = now - node.seen
            if silence > FORGOTTEN_AFTER:
                del self._workers[node_id]
            elif silence > INACTIVE_AFTER or node.version != self._own.version:
                # A node of another version is never used.
                result.append(
                    Node(node.node_id, node.uri, node.version, node.coordinator, NodeState.INACTIVE, node.seen)
                )
            else:
                result.append(node)
        return result

    def active_workers(self) -> int:
        """Nodes that could run a task: the coordinator only when it takes part."""
        return sum(node.state == NodeState.ACTIVE and (not node.coordinator or self._include) for node in self.nodes())
