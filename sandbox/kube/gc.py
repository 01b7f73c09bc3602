"""The garbage collector: objects go when what owns them is gone, in the order that the deleter asked for.

Background, foreground and orphan propagation, by the uids in ownerReferences. It works through the verbs, as the
collector of a real cluster works through the API, so webhooks see its deletes and preconditions hold. What to do
is decided elsewhere; this only follows the store and acts.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from sandbox.kube.errors import StatusError
from sandbox.kube.ownership import (
    Collect,
    Disown,
    Node,
    Ownership,
    Release,
    node_of,
    without_finalizer,
    without_owners,
)
from sandbox.kube.rbac import User
from sandbox.kube.resources import Kind, Registry
from sandbox.kube.store import Change, Store
from sandbox.kube.verbs import Call, DeleteOptions, Verbs
from sandbox.kube.work import Follower

COLLECTOR: Final = User(
    "system:serviceaccount:kube-system:generic-garbage-collector",
    groups=("system:serviceaccounts", "system:serviceaccounts:kube-system", "system:authenticated"),
)


class GarbageCollector(Follower):
    """Keys are uids."""

    def __init__(self, store: Store, registry: Registry, verbs: Verbs) -> None:
        super().__init__(store)
        self._registry = registry
        self._verbs = verbs
        self._ownership = Ownership()

    def begin(self) -> Iterable[str]:
        self._ownership = Ownership()
        for table in self.store.resources():
            for entry in self.store.entries(table):
                self._ownership.add(node_of(table, entry.obj))
        return list(self._ownership.nodes)

    def touched(self, change: Change) -> Iterable[str]:
        return self._ownership.note(change)

    async def settle(self, key: str) -> None:
        node = self._ownership.nodes.get(key)
        action = self._ownership.decide(key, self._is_served)
        if node is None or action is None:
            return
        try:
            if isinstance(action, Collect):
                await self._collect(node, action)
            elif isinstance(action, Disown):
                await self._disown(node, action.owners)
            else:
                await self._release(node, action)
        except StatusError as error:
            # Gone in the meantime, or another object of that name: nothing is left to do here.
            if error.code != 404 and not self._is_another(node):
                raise

    async def _collect(self, node: Node, action: Collect) -> None:
        call = self._call(node, "delete")
        if call is not None:
            await self._verbs.delete(call, DeleteOptions(propagation=action.propagation, uid=node.uid))

    async def _disown(self, node: Node, owners: frozenset[str]) -> None:
        call = self._call(node, "patch")
        if call is not None:
            await self._verbs.modify(call, lambda obj: without_owners(obj, owners))

    async def _release(self, node: Node, action: Release) -> None:
        for dependent in action.dependents:
            await self._disown(dependent, frozenset((node.uid,)))
        call = self._call(node, "patch")
        if call is not None:
            await self._verbs.modify(call, lambda obj: without_finalizer(obj, action.finalizer))

    def _call(self, node: Node, verb: str) -> Call | None:
        """The request about a node; None when its kind is no longer served or the object was replaced."""
        kind = self._kind(node)
        if kind is None or self._is_another(node):
            return None
        return Call(
            kind=kind,
            verb=verb,
            user=COLLECTOR,
            namespace=node.namespace,
            name=node.name,
            manager="kube-controller-manager",
            field_validation="Ignore",
        )

    def _kind(self, node: Node) -> Kind | None:
        return next((kind for kind in self._registry.kinds() if kind.table == node.table), None)

    def _is_another(self, node: Node) -> bool:
        entry = self.store.get(node.table, node.namespace, node.name)
        return entry is None or entry.obj["metadata"].get("uid") != node.uid

    def _is_served(self, api_version: str, kind: str) -> bool:
        return self._registry.by_kind(api_version, kind) is not None
