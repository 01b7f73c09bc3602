"""What an API server holds before its first request: namespaces, default roles, and their bindings.

The server calls `bootstrap` once after the store was restored. What is there already stays as it is.
"""

from __future__ import annotations

from typing import Final

from sandbox.kube.namespaces import NAMESPACES, initial_namespaces
from sandbox.kube.rbac import MASTERS, User
from sandbox.kube.rbac_defaults import bootstrap_objects
from sandbox.kube.resources import Registry
from sandbox.kube.store import GroupResource, Object
from sandbox.kube.verbs import Call, Verbs

SERVER: Final = User("system:apiserver", groups=(MASTERS,))


async def bootstrap(verbs: Verbs, registry: Registry) -> None:
    """Creates what is missing."""
    for namespace in initial_namespaces():
        await _ensure(verbs, registry, NAMESPACES, namespace)
    for resource, obj in bootstrap_objects():
        await _ensure(verbs, registry, resource, obj)


async def _ensure(verbs: Verbs, registry: Registry, resource: GroupResource, obj: Object) -> None:
    name = obj["metadata"]["name"]
    kind = registry.by_resource(resource.group, resource.plural)
    if kind is None or verbs.store.get(kind.table, "", name) is not None:
        return
    call = Call(kind=kind, verb="create", user=SERVER, manager="kube-apiserver", field_validation="Ignore")
    await verbs.create(call, obj)
