"""The end of a CustomResourceDefinition: its objects first, then the definition.

A CRD that is being deleted keeps its finalizer `customresourcecleanup.apiextensions.k8s.io` until the last of its
objects is gone; their own finalizers are respected.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from sandbox.kube.errors import StatusError
from sandbox.kube.ownership import without_finalizer
from sandbox.kube.rbac import User
from sandbox.kube.resources import Kind, Registry
from sandbox.kube.store import Change, Entry, GroupResource, Store
from sandbox.kube.verbs import Call, DeleteOptions, Verbs
from sandbox.kube.work import Follower

CRDS: Final = GroupResource("apiextensions.k8s.io", "customresourcedefinitions")
FINALIZER: Final = "customresourcecleanup.apiextensions.k8s.io"
CONTROLLER: Final = User("system:apiserver", groups=("system:masters",))


class CrdCleanup(Follower):
    """Keys are names of CRDs, which are `plural.group`."""

    def __init__(self, store: Store, registry: Registry, verbs: Verbs) -> None:
        super().__init__(store)
        self._registry = registry
        self._verbs = verbs

    def begin(self) -> Iterable[str]:
        return [entry.name for entry in self.store.entries(CRDS)]

    def touched(self, change: Change) -> Iterable[str]:
        if change.resource == CRDS:
            return (change.entry.name,)
        return (f"{change.resource.plural}.{change.resource.group}",) if change.type == "DELETED" else ()

    async def settle(self, key: str) -> None:
        entry = self.store.get(CRDS, "", key)
        if entry is None or "deletionTimestamp" not in entry.obj["metadata"]:
            return
        if FINALIZER not in (entry.obj["metadata"].get("finalizers") or ()):
            return
        plural, _, group = key.partition(".")
        kind = self._registry.by_resource(group, plural)
        if kind is not None:
            for each in self.store.entries(kind.table):
                if "deletionTimestamp" not in each.obj["metadata"]:
                    await self._delete(kind, each)
            if self.store.entries(kind.table):
                return
        definition = self._registry.by_resource(CRDS.group, CRDS.plural)
        if definition is not None:
            call = Call(kind=definition, verb="patch", user=CONTROLLER, name=key, manager="kube-apiserver")
            await self._verbs.modify(call, lambda obj: without_finalizer(obj, FINALIZER))

    async def _delete(self, kind: Kind, entry: Entry) -> None:
        call = Call(
            kind=kind,
            verb="delete",
            user=CONTROLLER,
            namespace=entry.namespace,
            name=entry.name,
            manager="kube-apiserver",
        )
        try:
            await self._verbs.delete(call, DeleteOptions(uid=entry.obj["metadata"].get("uid", "")))
        except StatusError as error:
            if error.code not in (404, 409):
                raise
