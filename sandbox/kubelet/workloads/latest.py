"""A view of an informer that never forgets this process's own writes.

A controller that creates a pod and plans again before its watch shows the pod would create it twice. Each
object that the API server returned from a write is kept here until the watch has caught up with it, and reads
give whichever version is newer. Used by the controller shell for ReplicaSets, Pods and EndpointSlices.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from crds.client.informer import Informer
from sandbox.kubelet.objects import Object, meta, uid, version

PATIENCE = 30.0  # seconds until an object that the watch never showed is given up


class Latest:
    def __init__(self, informer: Informer, index: str, clock: Callable[[], float]) -> None:
        self._informer = informer
        self._index = index  # an index by namespace
        self._clock = clock
        self._written: dict[str, tuple[Object, float]] = {}
        self._deleted: dict[str, float] = {}
        informer.subscribe(self._changed)

    def wrote(self, obj: Object) -> None:
        self._written[uid(obj)] = (obj, self._clock() + PATIENCE)

    def deleted(self, obj: Object) -> None:
        """Our delete was accepted: the object is on its way out even while the watch does not say so."""
        self._deleted[uid(obj)] = self._clock() + PATIENCE

    def in_namespace(self, namespace: str) -> list[Object]:
        return self._merged(self._informer.by_index(self._index, namespace), namespace)

    def _merged(self, listed: Iterable[Object], namespace: str) -> list[Object]:
        now = self._clock()
        self._written = {name: entry for name, entry in self._written.items() if entry[1] > now}
        self._deleted = {name: until for name, until in self._deleted.items() if until > now}
        found = {uid(obj): obj for obj in listed}
        for name, (obj, _) in self._written.items():
            if (meta(obj).get("namespace") or "") != namespace:
                continue
            known = found.get(name)
            if known is None or version(known) < version(obj):
                found[name] = obj
        return [obj if name not in self._deleted else _leaving(obj) for name, obj in found.items()]

    def _changed(self, event: str, old: Object | None, new: Object | None) -> None:
        if new is None:
            if old is not None:
                self._written.pop(uid(old), None)
                self._deleted.pop(uid(old), None)
            return
        entry = self._written.get(uid(new))
        if entry is not None and version(new) >= version(entry[0]):
            del self._written[uid(new)]


def _leaving(obj: Object) -> Object:
    metadata = obj.get("metadata") or {}
    if metadata.get("deletionTimestamp"):
        return obj
    return {**obj, "metadata": {**metadata, "deletionTimestamp": "1970-01-01T00:00:00Z"}}
