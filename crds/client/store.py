"""The objects an informer knows, by key and by index, and what changed. Pure: no clock, no network.

Owned by one informer, which alone writes; everyone in the same event loop may read. What is kept of an object is its
owner's choice: the dict, or something smaller that was made of it. What it hands out are the stored values
themselves, so readers must not change them (copying 5,000 objects per reconcile is what this cache is there to avoid).
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Container, Hashable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from crds.client.watch_stream import ADDED, DELETED, MODIFIED

log = logging.getLogger(__name__)

Object = dict[str, Any]
Key = tuple[str, str]
T = TypeVar("T")
#: Under which values a kept object is found. Must say the same whenever it is asked about the same object.
IndexerOf = Callable[[T], Iterable[Hashable]]
Indexer = IndexerOf[Object]

LAST_APPLIED = "kubectl.kubernetes.io/last-applied-configuration"


@dataclass(frozen=True, slots=True)
class Change(Generic[T]):
    """ADDED has no `old`, DELETED has no `new`."""

    event: str
    old: T | None
    new: T | None


@dataclass(frozen=True, slots=True)
class _Entry(Generic[T]):
    kept: T
    version: str
    uid: str


def key_of(obj: Mapping[str, Any]) -> Key:
    """(namespace, name); the namespace of a cluster-scoped object is empty."""
    metadata = obj["metadata"]
    return (metadata.get("namespace") or "", metadata["name"])


def by_namespace(obj: Object) -> Iterable[Hashable]:
    return (obj["metadata"].get("namespace") or "",)


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


class Store(Generic[T]):
    def __init__(self, indexers: Mapping[str, IndexerOf[T]] | None = None) -> None:
        self._entries: dict[Key, _Entry[T]] = {}
        self._indexers = dict(indexers or {})
        # Dicts as ordered sets: the same order on every replica.
        self._indexes: dict[str, dict[Hashable, dict[Key, None]]] = {name: {} for name in self._indexers}

    def __len__(self) -> int:
        return len(self._entries)

    def __iter__(self) -> Iterator[T]:
        return (entry.kept for entry in self._entries.values())

    def get(self, key: Key) -> T | None:
        entry = self._entries.get(key)
        return entry.kept if entry is not None else None

    def by_index(self, name: str, value: Hashable) -> list[T]:
        """KeyError for an index that was not declared: a typo must not look like an empty answer."""
        return [self._entries[key].kept for key in self._indexes[name].get(value, ())]

    def index_values(self, name: str) -> list[Hashable]:
        return list(self._indexes[name])

    def upsert(self, obj: Object, kept: T) -> list[Change[T]]:
        """Store what is kept of `obj`. Two changes when it was deleted and made again under its name meanwhile."""
        key = key_of(obj)
        old = self._entries.get(key)
        if old is None:
            self._put(key, obj, kept)
            return [Change(ADDED, None, kept)]
        if old.version == _version(obj):
            return []
        self._unindex(key, old.kept)
        self._put(key, obj, kept)
        if old.uid != _uid(obj):
            return [Change(DELETED, old.kept, None), Change(ADDED, None, kept)]
        return [Change(MODIFIED, old.kept, kept)]

    def remove(self, key: Key) -> list[Change[T]]:
        old = self._entries.pop(key, None)
        if old is None:
            return []
        self._unindex(key, old.kept)
        return [Change(DELETED, old.kept, None)]

    def retain(self, keys: Container[Key]) -> list[Change[T]]:
        """Remove all but these: a fresh list did not have the others."""
        return [change for key in [key for key in self._entries if key not in keys] for change in self.remove(key)]

    def _put(self, key: Key, obj: Object, kept: T) -> None:
        self._entries[key] = _Entry(kept, _version(obj), _uid(obj))
        for name, value in self._values(key, kept):
            self._indexes[name].setdefault(value, {})[key] = None

    def _unindex(self, key: Key, kept: T) -> None:
        for name, value in self._values(key, kept):
            keys = self._indexes[name].get(value, {})
            keys.pop(key, None)
            if not keys:
                self._indexes[name].pop(value, None)

    def _values(self, key: Key, kept: T) -> Iterator[tuple[str, Hashable]]:
        """Asked again when the object goes rather than remembered: that would take as much memory as small objects."""
        for name, indexer in self._indexers.items():
            try:
                values = dict.fromkeys(indexer(kept))
            except Exception:
                # An object of a shape that the indexer's author did not think of must not stop the others.
                log.exception("the index %s fails for %s; the object is left out of it", name, key)
                continue
            for value in values:
                yield name, value


def _version(obj: Object) -> str:
    return str(obj["metadata"].get("resourceVersion", ""))


def _uid(obj: Object) -> str:
    return str(obj["metadata"].get("uid", ""))
