"""The objects an informer knows, by key and by index, and what changed. Pure: no clock, no network.

Owned by one informer, which alone writes; everyone in the same event loop may read. What it hands out are the
stored dicts themselves, so readers must not change them (copying 5,000 objects per reconcile is
what this cache is there to avoid).
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from crds.client.watch_stream import ADDED, DELETED, MODIFIED

log = logging.getLogger(__name__)

Object = dict[str, Any]
Key = tuple[str, str]
Indexer = Callable[[Object], Iterable[Hashable]]

LAST_APPLIED = "kubectl.kubernetes.io/last-applied-configuration"


@dataclass(frozen=True, slots=True)
class Change:
    """ADDED has no `old`, DELETED has no `new`."""

    event: str
    old: Object | None
    new: Object | None


def key_of(obj: Mapping[str, Any]) -> Key:
    """(namespace, name); the namespace of a cluster-scoped object is empty."""
    metadata = obj["metadata"]
    return (metadata.get("namespace") or "", metadata["name"])


def by_namespace(obj: Object) -> Iterable[Hashable]:
    return (obj["metadata"].get("namespace") or "",)


def by_owner_uid(obj: Object) -> Iterable[Hashable]:
    """The uid of the controlling owner, if there is one."""
    owners = obj["metadata"].get("ownerReferences") or ()
    return tuple(owner["uid"] for owner in owners if owner.get("controller"))


def by_label(label: str) -> Indexer:
    def index(obj: Object) -> Iterable[Hashable]:
        value = (obj["metadata"].get("labels") or {}).get(label)
        return () if value is None else (value,)

    return index


def slim(obj: Object) -> Object:
    """The object without what nobody reads and what is half of its size: managedFields and last-applied."""
    metadata = dict(obj["metadata"])
    metadata.pop("managedFields", None)
    annotations = metadata.get("annotations")
    if isinstance(annotations, dict) and LAST_APPLIED in annotations:
        metadata["annotations"] = {key: value for key, value in annotations.items() if key != LAST_APPLIED}
    return {**obj, "metadata": metadata}


def metadata_alone(obj: Object) -> Object:
    """What is kept of a Secret: enough to see that it is there and that it changed."""
    return {key: obj[key] for key in ("apiVersion", "kind", "metadata") if key in obj}


class Store:
    def __init__(self, indexers: Mapping[str, Indexer] | None = None) -> None:
        self._objects: dict[Key, Object] = {}
        self._indexers = dict(indexers or {})
        # Dicts as ordered sets: the same order on every replica.
        self._indexes: dict[str, dict[Hashable, dict[Key, None]]] = {name: {} for name in self._indexers}
        self._entries: dict[Key, list[tuple[str, Hashable]]] = {}

    def __len__(self) -> int:
        return len(self._objects)

    def __iter__(self) -> Iterator[Object]:
        return iter(self._objects.values())

    def get(self, key: Key) -> Object | None:
        return self._objects.get(key)

    def by_index(self, name: str, value: Hashable) -> list[Object]:
        """KeyError for an index that was not declared: a typo must not look like an empty answer."""
        return [self._objects[key] for key in self._indexes[name].get(value, ())]

    def index_values(self, name: str) -> list[Hashable]:
        return list(self._indexes[name])

    def upsert(self, obj: Object) -> list[Change]:
        """Store `obj`. Two changes when the object of this name was deleted and made again meanwhile."""
        key = key_of(obj)
        old = self._objects.get(key)
        if old is not None and _version(old) == _version(obj):
            return []
        self._unindex(key)
        self._objects[key] = obj
        self._index(key, obj)
        if old is None:
            return [Change(ADDED, None, obj)]
        if _uid(old) != _uid(obj):
            return [Change(DELETED, old, None), Change(ADDED, None, obj)]
        return [Change(MODIFIED, old, obj)]

    def remove(self, key: Key) -> list[Change]:
        old = self._objects.pop(key, None)
        if old is None:
            return []
        self._unindex(key)
        return [Change(DELETED, old, None)]

    def replace(self, objects: Iterable[Object]) -> list[Change]:
        """Make the content that of a fresh list; what is no longer in it counts as deleted."""
        fresh = {key_of(obj): obj for obj in objects}
        changes: list[Change] = []
        for key in [key for key in self._objects if key not in fresh]:
            changes += self.remove(key)
        for obj in fresh.values():
            changes += self.upsert(obj)
        return changes

    def _index(self, key: Key, obj: Object) -> None:
        entries: list[tuple[str, Hashable]] = []
        for name, indexer in self._indexers.items():
            try:
                values = list(dict.fromkeys(indexer(obj)))
            except Exception:
                # An object of a shape that the indexer's author did not think of must not stop the others.
                log.exception("the index %s fails for %s; the object is left out of it", name, key)
                continue
            for value in values:
                self._indexes[name].setdefault(value, {})[key] = None
                entries.append((name, value))
        if entries:
            self._entries[key] = entries

    def _unindex(self, key: Key) -> None:
        for name, value in self._entries.pop(key, ()):
            keys = self._indexes[name][value]
            del keys[key]
            if not keys:
                del self._indexes[name][value]


def _version(obj: Object) -> object:
    return obj["metadata"].get("resourceVersion")


def _uid(obj: Object) -> object:
    return obj["metadata"].get("uid")
