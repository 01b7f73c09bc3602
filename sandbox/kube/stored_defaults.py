"""New defaults reach old objects: when a CRD's schema changes, what is stored is read by the new one.

A real API server prunes and defaults each object as it comes out of etcd. Here objects are kept as they are read, so
they are amended once per change of their CRD: no new version, no event, as there.
"""

from __future__ import annotations

import orjson

from sandbox.kube.custom import CRDS
from sandbox.kube.resources import Registry
from sandbox.kube.store import Change, GroupResource, Store


class StoredDefaults:
    """Listens to the store, after the one that serves CRDs."""

    def __init__(self, store: Store, registry: Registry) -> None:
        self._store = store
        self._registry = registry

    def follow(self, change: Change) -> None:
        """Amends the objects of a CRD whose spec was changed."""
        if change.resource != CRDS or change.type != "MODIFIED" or change.previous is None:
            return
        spec = change.entry.obj["spec"]
        if spec.get("versions") != change.previous.obj["spec"].get("versions"):
            self.refresh(GroupResource(spec["group"], spec["names"]["plural"]))

    def refresh(self, resource: GroupResource) -> None:
        """Reads every object of one resource by the schema that is served now."""
        kind = self._registry.by_resource(resource.group, resource.plural)
        if kind is None:
            return
        for entry in self._store.entries(kind.table):
            obj = orjson.loads(entry.raw)
            kind.strategy.prune(obj)
            kind.strategy.default(obj)
            if obj != entry.obj:
                entry.amend(obj)
