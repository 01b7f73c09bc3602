"""The life of a namespace: what each has from the start, and how it ends.

Every namespace gets a ServiceAccount `default` and a ConfigMap `kube-root-ca.crt`, and gets them back when somebody
deletes them. A namespace that is being deleted is emptied first; what keeps it (finalizers, Pods that are still
stopping) is said in its conditions; then its own finalizer `kubernetes` goes, and with it the namespace.
Refusing new content in a terminating namespace is the verbs' part.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from datetime import datetime
from typing import Any, Final

import orjson

from sandbox.kube.errors import StatusError
from sandbox.kube.meta import timestamp
from sandbox.kube.rbac import User
from sandbox.kube.resources import Kind, Registry
from sandbox.kube.store import Change, Entry, GroupResource, Object, Store
from sandbox.kube.verbs import Call, DeleteOptions, Verbs
from sandbox.kube.work import Follower

NAMESPACES: Final = GroupResource("", "namespaces")
CONFIG_MAPS: Final = GroupResource("", "configmaps")
SERVICE_ACCOUNTS: Final = GroupResource("", "serviceaccounts")

INITIAL: Final = ("default", "kube-node-lease", "kube-public", "kube-system")
ROOT_CA: Final = "kube-root-ca.crt"
FINALIZER: Final = "kubernetes"

CONTROLLER: Final = User(
    "system:serviceaccount:kube-system:namespace-controller",
    groups=("system:serviceaccounts", "system:serviceaccounts:kube-system", "system:authenticated"),
)


class Namespaces(Follower):
    """Keys are namespaces."""

    def __init__(self, store: Store, registry: Registry, verbs: Verbs, ca_pem: bytes) -> None:
        super().__init__(store)
        self._registry = registry
        self._verbs = verbs
        self._root_ca = {"ca.crt": ca_pem.decode("ascii")}
        self._clock: Callable[[], datetime] = verbs.clock

    def begin(self) -> Iterable[str]:
        return [entry.name for entry in self.store.entries(NAMESPACES)]

    def touched(self, change: Change) -> Iterable[str]:
        if change.resource == NAMESPACES:
            return (change.entry.name,)
        # Of what lives in a namespace, its defaults matter, and every departure while it is being emptied.
        if change.resource in (CONFIG_MAPS, SERVICE_ACCOUNTS) or self._is_ending(change.entry.namespace):
            return (change.entry.namespace,)
        return ()

    async def settle(self, key: str) -> None:
        entry = self.store.get(NAMESPACES, "", key)
        if entry is None:
            return
        if "deletionTimestamp" in entry.obj["metadata"]:
            await self._end(entry)
        else:
            await self._furnish(key)

    async def _furnish(self, namespace: str) -> None:
        if self.store.get(SERVICE_ACCOUNTS, namespace, "default") is None:
            await self._create("serviceaccounts", namespace, {"metadata": {"name": "default"}})
        config = self.store.get(CONFIG_MAPS, namespace, ROOT_CA)
        if config is None:
            notes = {"kubernetes.io/description": "Trust anchor of this API server, for clients inside Pods."}
            body = {"metadata": {"name": ROOT_CA, "annotations": notes}, "data": self._root_ca}
            await self._create("configmaps", namespace, body)
        elif config.obj.get("data") != self._root_ca:
            call = self._call(self._core("configmaps"), namespace, ROOT_CA, "update")
            await self._verbs.modify(call, lambda obj: {**obj, "data": self._root_ca})

    async def _create(self, plural: str, namespace: str, body: Object) -> None:
        try:
            await self._verbs.create(self._call(self._core(plural), namespace, "", "create"), body)
        except StatusError as error:
            # Somebody else made it, or the namespace went: both are fine.
            if error.code not in (404, 409):
                raise

    # -- the end

    async def _end(self, entry: Entry) -> None:
        namespace = entry.name
        for kind in self._namespaced():
            for each in self.store.entries(kind.table, namespace):
                # What is on its way already is left to its finalizers, or to whoever stops its processes.
                if "deletionTimestamp" not in each.obj["metadata"]:
                    await self._delete(kind, each)
        left = {kind.table: self.store.entries(kind.table, namespace) for kind in self._namespaced()}
        remaining = {table: entries for table, entries in left.items() if entries}
        call = self._call(self._core("namespaces"), "", namespace, "update")
        if remaining:
            conditions = remaining_conditions(remaining, timestamp(self._clock()))
            await self._verbs.modify(
                Call(
                    kind=call.kind,
                    verb="update",
                    user=CONTROLLER,
                    name=namespace,
                    subresource="status",
                    manager="kube-controller-manager",
                ),
                lambda obj: _with_conditions(obj, conditions),
            )
            return
        current = self.store.get(NAMESPACES, "", namespace)
        if current is not None:
            self._finalize(current)

    async def _delete(self, kind: Kind, entry: Entry) -> None:
        call = self._call(kind, entry.namespace, entry.name, "delete")
        uid = entry.obj["metadata"].get("uid", "")
        try:
            await self._verbs.delete(call, DeleteOptions(propagation="Background", uid=uid))
        except StatusError as error:
            if error.code not in (404, 409):
                raise

    def _finalize(self, entry: Entry) -> None:
        """Takes our finalizer off; the namespace goes when no other is left."""
        obj: Object = orjson.loads(entry.raw)
        spec = obj.get("spec") or {}
        kept = [each for each in spec.get("finalizers") or [] if each != FINALIZER]
        if not kept and not obj["metadata"].get("finalizers"):
            self.store.delete(NAMESPACES, entry)
        elif kept != spec.get("finalizers", []):
            obj["spec"] = {**spec, "finalizers": kept}
            self.store.update(NAMESPACES, entry, obj)

    def _is_ending(self, namespace: str) -> bool:
        entry = self.store.get(NAMESPACES, "", namespace)
        return entry is not None and "deletionTimestamp" in entry.obj["metadata"]

    def _namespaced(self) -> list[Kind]:
        """One kind for each table of namespaced objects."""
        return list({kind.table: kind for kind in self._registry.kinds() if kind.namespaced}.values())

    def _core(self, plural: str) -> Kind:
        kind = self._registry.find("", "v1", plural)
        assert kind is not None, "the core kinds are always served"
        return kind

    def _call(self, kind: Kind, namespace: str, name: str, verb: str) -> Call:
        return Call(
            kind=kind,
            verb=verb,
            user=CONTROLLER,
            namespace=namespace,
            name=name,
            manager="kube-controller-manager",
            field_validation="Ignore",
        )


def initial_namespaces() -> list[Object]:
    """The namespaces that every cluster has."""
    return [{"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}} for name in INITIAL]


def remaining_conditions(remaining: dict[GroupResource, list[Entry]], stamp: str) -> list[dict[str, Any]]:
    """What keeps a namespace from ending, as its conditions say it."""
    counts = ", ".join(
        f"{_qualified(table)} has {len(entries)} resource instances" for table, entries in sorted(remaining.items())
    )
    finalizers = Counter(
        finalizer
        for entries in remaining.values()
        for entry in entries
        for finalizer in entry.obj["metadata"].get("finalizers") or ()
    )
    conditions = [
        {
            "type": "NamespaceContentRemaining",
            "status": "True",
            "reason": "SomeResourcesRemain",
            "message": f"Some resources are remaining: {counts}",
            "lastTransitionTime": stamp,
        }
    ]
    if finalizers:
        listed = ", ".join(f"{name} in {count} resource instances" for name, count in sorted(finalizers.items()))
        conditions.append(
            {
                "type": "NamespaceFinalizersRemaining",
                "status": "True",
                "reason": "SomeFinalizersRemain",
                "message": f"Some content in the namespace has finalizers remaining: {listed}",
                "lastTransitionTime": stamp,
            }
        )
    return conditions


def _with_conditions(obj: Object, conditions: list[dict[str, Any]]) -> Object:
    before = {each.get("type"): each for each in (obj.get("status") or {}).get("conditions") or ()}
    for each in conditions:
        known = before.get(each["type"])
        if known is not None and known.get("status") == each["status"]:
            each["lastTransitionTime"] = known.get("lastTransitionTime", each["lastTransitionTime"])
    obj["status"] = {**(obj.get("status") or {}), "phase": "Terminating", "conditions": conditions}
    return obj


def _qualified(table: GroupResource) -> str:
    return f"{table.plural}.{table.group}" if table.group else f"{table.plural}."
