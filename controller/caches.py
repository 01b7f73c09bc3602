"""Everything the controller watches, and which runtime or catalog each change concerns.

One informer per kind. A change leads to keys by an index, never by a search through all runtimes: children by
their owner reference, Secrets and ConfigMaps by who names them, catalogs by the runtimes of their namespace that
select them. Secrets are reduced on arrival to their keys and a digest, so that no secret content stays in memory;
foreign ConfigMaps likewise, and pods and Deployments to what is read of them, for their size: five thousand
runtimes have tens of thousands of objects. Parsed objects are remembered by version.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Hashable, Iterable
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

import orjson
from cachetools import LRUCache
from pydantic import BaseModel

from controller.actions import APPLIED_HASH, HELD_REPLICAS
from controller.drift import digest
from controller.execute import OWNED
from controller.observed import ObjectRef, Source
from controller.selection import matches
from crds.client.informer import Informer
from crds.client.resources import (
    CONFIG_MAPS,
    DEPLOYMENTS,
    ENDPOINT_SLICES,
    PODS,
    SECRETS,
    XTRINODE_CATALOGS,
    XTRINODES,
    Resource,
)
from crds.client.transport import KubeClient
from crds.v1 import meta
from crds.v1.meta import InvalidObject, parse
from crds.v1.references import references
from crds.v1.xtrinode import XTrinode
from crds.v1.xtrinodecatalog import XTrinodeCatalog

Object = dict[str, Any]
Key = tuple[str, str]

OURS = f"{meta.MANAGED_BY_LABEL}={meta.MANAGED_BY}"
SERVICE_NAME_LABEL = "kubernetes.io/service-name"

_KEYS, _DIGEST, _PACKED = "keys", "contentDigest", "packedSpec"

M = TypeVar("M", bound=BaseModel)


#: Parsed objects that are remembered: those that are looked at just now.
_PARSED = 1024


class Parsed(Generic[M]):
    """Objects as their type, parsed once per version while they are in use."""

    def __init__(self, kind: type[M]) -> None:
        self._kind = kind
        self._known: LRUCache[Key, tuple[str, M | InvalidObject]] = LRUCache(_PARSED)

    def of(self, obj: Object) -> M:
        """Raises InvalidObject."""
        metadata = obj["metadata"]
        key = (metadata.get("namespace", ""), metadata["name"])
        version = f"{metadata.get('uid')}/{metadata.get('resourceVersion')}"
        known = self._known.get(key)
        if known is None or known[0] != version:
            found: M | InvalidObject
            try:
                found = parse(self._kind, obj)
            except InvalidObject as error:
                found = error
            known = self._known[key] = (version, found)
        if isinstance(known[1], InvalidObject):
            raise known[1]
        return known[1]

    def forget(self, key: Key) -> None:
        self._known.pop(key, None)


def reduce_source(obj: Object) -> Object:
    """A Secret or foreign ConfigMap without its content."""
    content = {**(obj.get("binaryData") or {}), **(obj.get("data") or {})}
    metadata = obj["metadata"]
    kept = {
        key: metadata[key]
        for key in ("name", "namespace", "uid", "resourceVersion", "labels", "ownerReferences", "creationTimestamp")
        if key in metadata
    }
    return {"metadata": kept, _KEYS: tuple(sorted(content)), _DIGEST: digest(content)}


def reduce_pod(obj: Object) -> Object:
    """A pod without its spec: what it is made of stands in its Deployment."""
    metadata, status = obj["metadata"], obj.get("status") or {}
    kept = ("name", "namespace", "uid", "resourceVersion", "labels", "annotations", "deletionTimestamp")
    told = ("phase", "reason", "message", "startTime", "conditions", "containerStatuses", "initContainerStatuses")
    return {
        "metadata": {key: metadata[key] for key in kept if key in metadata},
        "status": {key: status[key] for key in told if key in status},
    }


def reduce_slice(obj: Object) -> Object:
    """An EndpointSlice as far as an address is read from it."""
    metadata = obj["metadata"]
    service = (metadata.get("labels") or {}).get(SERVICE_NAME_LABEL)
    return {
        "metadata": {
            "name": metadata["name"],
            "namespace": metadata.get("namespace", ""),
            "resourceVersion": metadata.get("resourceVersion", ""),
            "labels": {SERVICE_NAME_LABEL: service} if service else {},
        },
        "ports": [{key: port.get(key) for key in ("name", "port")} for port in obj.get("ports") or ()],
        "endpoints": [
            {
                "addresses": endpoint.get("addresses"),
                "conditions": {"ready": (endpoint.get("conditions") or {}).get("ready")},
            }
            for endpoint in obj.get("endpoints") or ()
        ],
    }


def pack(obj: Object) -> Object:
    """A child of ours, small: what is read at every look stands as it is, the whole is compressed. As a dict it takes
    eight times the memory, and it is read whole only when something may have changed it."""
    metadata = obj["metadata"]
    annotations = metadata.get("annotations") or {}
    kept = {key: metadata[key] for key in _KEPT_METADATA if key in metadata}
    kept["annotations"] = {key: annotations[key] for key in (APPLIED_HASH, HELD_REPLICAS) if key in annotations}
    kept["labels"] = {meta.MANAGED_BY_LABEL: meta.MANAGED_BY} if _is_ours(obj) else {}
    kept["ownerReferences"] = [
        {key: owner.get(key) for key in ("kind", "name", "uid")} for owner in metadata.get("ownerReferences") or ()
    ]
    whole = {key: value for key, value in obj.items() if key != "status"}
    whole["metadata"] = {key: value for key, value in metadata.items() if key not in _MOVING_METADATA}
    packed: Object = {key: obj[key] for key in ("apiVersion", "kind") if key in obj}
    packed |= {"metadata": kept, _PACKED: zlib.compress(orjson.dumps(whole), 1)}
    if obj.get("kind") == DEPLOYMENTS.kind:
        spec = obj.get("spec") or {}
        template = (spec.get("template") or {}).get("metadata") or {}
        packed["spec"] = {"replicas": spec.get("replicas"), "template": {"metadata": template}}
        packed["status"] = obj.get("status") or {}
    return packed


def unpack(obj: Object) -> Object:
    """The whole object again, except its status."""
    if _PACKED not in obj:
        return obj
    whole: Object = orjson.loads(zlib.decompress(obj[_PACKED]))
    moving = {key: obj["metadata"][key] for key in _MOVING_METADATA if key in obj["metadata"]}
    whole["metadata"] = {**whole["metadata"], **moving}
    return whole


_KEPT_METADATA = (
    "name",
    "namespace",
    "uid",
    "resourceVersion",
    "generation",
    "creationTimestamp",
    "deletionTimestamp",
)
_MOVING_METADATA = ("resourceVersion", "generation")


def _is_ours(obj: Object) -> bool:
    labels = obj["metadata"].get("labels") or {}
    return labels.get(meta.MANAGED_BY_LABEL) == meta.MANAGED_BY or meta.ROUTES_LABEL in labels


def _is_route(obj: Object) -> bool:
    return meta.ROUTES_LABEL in (obj["metadata"].get("labels") or {})


def _shrink_config_map(obj: Object) -> Object:
    if _is_route(obj):
        return obj
    return pack(obj) if _is_ours(obj) else reduce_source(obj)


def _by_owner(obj: Object) -> Iterable[Hashable]:
    return [reference.get("uid", "") for reference in obj["metadata"].get("ownerReferences") or ()]


def _by_namespace(obj: Object) -> Iterable[Hashable]:
    return (obj["metadata"].get("namespace", ""),)


def _by_instance(obj: Object) -> Iterable[Hashable]:
    metadata = obj["metadata"]
    name = (metadata.get("labels") or {}).get(meta.INSTANCE_LABEL)
    return ((metadata.get("namespace", ""), name),) if name else ()


def _by_service(obj: Object) -> Iterable[Hashable]:
    metadata = obj["metadata"]
    name = (metadata.get("labels") or {}).get(SERVICE_NAME_LABEL)
    return ((metadata.get("namespace", ""), name),) if name else ()


def _routes_only(obj: Object) -> Iterable[Hashable]:
    return (True,) if meta.ROUTES_LABEL in (obj["metadata"].get("labels") or {}) else ()


@dataclass(frozen=True, slots=True)
class Wake:
    """Whom changes are reported to. `soon` gathers a burst of events, `now` does not wait."""

    runtime_now: Callable[[Key], None]
    runtime_soon: Callable[[Key], None]
    catalog: Callable[[Key], None]
    routes: Callable[[], None]
    gone: Callable[[ObjectRef], None]
    arrived: Callable[[Key], None]
    """The cache has a newer version of a runtime."""


class Caches:
    def __init__(self, client: KubeClient, wake: Wake) -> None:
        self._wake = wake
        self.parsed_runtimes = Parsed(XTrinode)
        self.parsed_catalogs = Parsed(XTrinodeCatalog)
        self.runtimes = Informer(
            client,
            XTRINODES,
            indexers={"namespace": _by_namespace, "source": self._runtime_sources},
            on_change=self._runtime_changed,
        )
        self.catalogs = Informer(
            client,
            XTRINODE_CATALOGS,
            indexers={"namespace": _by_namespace, "source": self._catalog_sources},
            on_change=self._catalog_changed,
        )
        self.owned: dict[tuple[str, str], Informer] = {}
        for resource in OWNED:
            self.owned[resource.api_version, resource.kind] = Informer(
                client,
                resource,
                label_selector=None if resource is CONFIG_MAPS else OURS,
                indexers={"owner": _by_owner, "routes": _routes_only}
                if resource is CONFIG_MAPS
                else {"owner": _by_owner},
                on_change=self._config_map_changed if resource is CONFIG_MAPS else self._child_changed,
                transform=_shrink_config_map if resource is CONFIG_MAPS else pack,
            )
        self.config_maps = self.owned[CONFIG_MAPS.api_version, CONFIG_MAPS.kind]
        self.deployments = self.owned[DEPLOYMENTS.api_version, DEPLOYMENTS.kind]
        self.secrets = Informer(client, SECRETS, on_change=self._secret_changed, transform=reduce_source)
        self.pods = Informer(
            client,
            PODS,
            label_selector=OURS,
            indexers={"instance": _by_instance},
            on_change=self._pod_changed,
            transform=reduce_pod,
        )
        self.slices = Informer(
            client,
            ENDPOINT_SLICES,
            indexers={"service": _by_service},
            on_change=self._slice_changed,
            transform=reduce_slice,
        )
        self.all: tuple[Informer, ...] = (
            self.runtimes,
            self.catalogs,
            *self.owned.values(),
            self.secrets,
            self.pods,
            self.slices,
        )

    def unsynced(self) -> list[str]:
        return [informer.resource.plural for informer in self.all if not informer.synced.is_set()]

    def live(self, ref: ObjectRef) -> Object | None:
        informer = self.owned.get((ref.api_version, ref.kind))
        return informer.get(ref.namespace, ref.name) if informer is not None else None

    def children(self, uid: str) -> Iterable[tuple[Resource, Object]]:
        for informer in self.owned.values():
            for obj in informer.by_index("owner", uid):
                yield informer.resource, obj

    def source(self, kind: str, namespace: str, name: str) -> Source | None:
        """A Secret or ConfigMap as far as pods depend on it."""
        obj = (self.secrets if kind == "Secret" else self.config_maps).get(namespace, name)
        if obj is None:
            return None
        if _DIGEST not in obj:
            obj = reduce_source(unpack(obj))
        return Source(frozenset(obj[_KEYS]), obj[_DIGEST])

    def route_shards(self, namespace: str) -> list[Object]:
        """The live ConfigMaps of the routing table, first shard first."""
        found = [obj for obj in self.config_maps.by_index("routes", True) if obj["metadata"]["namespace"] == namespace]
        return sorted(found, key=lambda obj: (len(obj["metadata"]["name"]), obj["metadata"]["name"]))

    def runtimes_that_select(self, catalog: Object) -> Iterable[Key]:
        """The runtimes whose selector takes a catalog with these labels."""
        metadata = catalog["metadata"]
        spec_labels = (catalog.get("spec") or {}).get("labels") or {}
        labels = {**(metadata.get("labels") or {}), **(spec_labels if isinstance(spec_labels, dict) else {})}
        for runtime in self.runtimes.by_index("namespace", metadata.get("namespace", "")):
            if "catalogSelector" not in (runtime.get("spec") or {}):
                continue
            try:
                selector = self.parsed_runtimes.of(runtime).spec.catalog_selector
            except InvalidObject:
                continue
            if selector is not None and matches(selector, labels):
                yield key_of(runtime)

    # Indexes.

    def _runtime_sources(self, obj: Object) -> Iterable[Hashable]:
        return self._sources(self.parsed_runtimes, obj)

    def _catalog_sources(self, obj: Object) -> Iterable[Hashable]:
        return self._sources(self.parsed_catalogs, obj)

    def _sources(self, parsed: Parsed[Any], obj: Object) -> Iterable[Hashable]:
        namespace = obj["metadata"].get("namespace", "")
        try:
            return {(ref.kind, namespace, ref.name) for ref in references(parsed.of(obj))}
        except InvalidObject:
            return ()

    # Events.

    def _runtime_changed(self, event: str, old: Object | None, new: Object | None) -> None:
        obj = new or old
        assert obj is not None
        if new is None:
            self.parsed_runtimes.forget(key_of(obj))
        self._wake.arrived(key_of(obj))
        if old is None or new is None or _wish(old) != _wish(new):
            self._wake.runtime_now(key_of(obj))

    def _catalog_changed(self, event: str, old: Object | None, new: Object | None) -> None:
        if old is not None and new is not None and _wish(old) == _wish(new):
            return
        for obj in (old, new):
            if obj is not None:
                self._wake.catalog(key_of(obj))
                for key in self.runtimes_that_select(obj):
                    self._wake.runtime_soon(key)
        if new is None and old is not None:
            self.parsed_catalogs.forget(key_of(old))

    def _child_changed(self, event: str, old: Object | None, new: Object | None) -> None:
        obj = new or old
        assert obj is not None
        if new is None:
            self._wake.gone(ref_of(obj))
        elif old is not None and _facts(old) == _facts(new):
            return
        for reference in obj["metadata"].get("ownerReferences") or ():
            if reference.get("kind") == meta.XTRINODE_KIND:
                self._wake.runtime_soon((obj["metadata"].get("namespace", ""), reference.get("name", "")))

    def _config_map_changed(self, event: str, old: Object | None, new: Object | None) -> None:
        obj = new or old
        assert obj is not None
        metadata = obj["metadata"]
        namespace = metadata.get("namespace", "")
        if meta.ROUTES_LABEL in (metadata.get("labels") or {}):
            self._wake.routes()
            return
        if not _is_ours(obj):
            self._source_changed("ConfigMap", namespace, metadata["name"], old, new)
            return
        self._child_changed(event, old, new)
        for reference in metadata.get("ownerReferences") or ():
            if reference.get("kind") == meta.CATALOG_KIND:
                self._wake.catalog((namespace, reference.get("name", "")))
                catalog = self.catalogs.get(namespace, reference.get("name", ""))
                for key in self.runtimes_that_select(catalog) if catalog is not None else ():
                    self._wake.runtime_soon(key)

    def _secret_changed(self, event: str, old: Object | None, new: Object | None) -> None:
        obj = new or old
        assert obj is not None
        self._source_changed("Secret", obj["metadata"].get("namespace", ""), obj["metadata"]["name"], old, new)

    def _source_changed(self, kind: str, namespace: str, name: str, old: Object | None, new: Object | None) -> None:
        if old is not None and new is not None and old.get(_DIGEST) == new.get(_DIGEST):
            return
        source = (kind, namespace, name)
        for runtime in self.runtimes.by_index("source", source):
            self._wake.runtime_soon(key_of(runtime))
        for catalog in self.catalogs.by_index("source", source):
            for key in self.runtimes_that_select(catalog):
                self._wake.runtime_soon(key)

    def _pod_changed(self, event: str, old: Object | None, new: Object | None) -> None:
        obj = new or old
        assert obj is not None
        if old is not None and new is not None and _facts(old) == _facts(new):
            return
        for key in _by_instance(obj):
            self._wake.runtime_soon(key)  # type: ignore[arg-type]

    def _slice_changed(self, event: str, old: Object | None, new: Object | None) -> None:
        obj = new or old
        assert obj is not None
        if old is not None and new is not None and _addresses(old) == _addresses(new):
            return
        namespace = obj["metadata"].get("namespace", "")
        service = (obj["metadata"].get("labels") or {}).get(SERVICE_NAME_LABEL, "")
        name = service.removeprefix("trino-")
        if name != service and self.runtimes.get(namespace, name) is not None:
            self._wake.runtime_soon((namespace, name))


def key_of(obj: Object) -> Key:
    return (obj["metadata"].get("namespace", ""), obj["metadata"]["name"])


def ref_of(obj: Object) -> ObjectRef:
    metadata = obj["metadata"]
    return ObjectRef(obj.get("apiVersion", ""), obj.get("kind", ""), metadata.get("namespace", ""), metadata["name"])


def _wish(obj: Object) -> tuple[Any, ...]:
    """What of one of our own kinds a user or a command changes; the status that we write is not in it."""
    metadata = obj["metadata"]
    return (
        metadata.get("uid"),
        metadata.get("generation"),
        metadata.get("deletionTimestamp"),
        metadata.get("annotations"),
        metadata.get("finalizers"),
        metadata.get("labels"),
    )


def _facts(obj: Object) -> tuple[Any, ...]:
    """What of a child a decision may depend on: everything but versions and heartbeats."""
    metadata = {key: value for key, value in obj["metadata"].items() if key not in ("resourceVersion", "managedFields")}
    status = obj.get("status") or {}
    conditions = [
        {key: value for key, value in condition.items() if key not in ("lastUpdateTime", "lastProbeTime")}
        for condition in status.get("conditions") or ()
    ]
    rest = {key: value for key, value in obj.items() if key not in ("metadata", "status")}
    return (metadata, {**status, "conditions": conditions}, rest)


def _addresses(obj: Object) -> tuple[Any, ...]:
    return (obj.get("endpoints"), obj.get("ports"), (obj["metadata"].get("labels") or {}).get(SERVICE_NAME_LABEL))
