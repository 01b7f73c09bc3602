"""Everything the controller watches, and which runtime or catalog each change concerns.

One informer per kind. A change leads to keys by an index, never by a search through all runtimes: children by
their owner reference, Secrets and ConfigMaps by who names them, catalogs by the runtimes of their namespace that
select them. What is kept of an object is a small record made on arrival; a change is a record that differs.
Parsed objects are remembered by version.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable
from dataclasses import dataclass
from functools import partial
from typing import Any, Generic, TypeVar

from cachetools import LRUCache

from controller.execute import OWNED
from controller.kept import (
    Addresses,
    Declared,
    Key,
    Live,
    LivePod,
    Object,
    keep_child,
    keep_config_map,
    keep_declared,
    keep_pod,
    keep_slice,
    keep_source,
    key_of,
    source_of,
)
from controller.observed import Endpoint, ObjectRef, Source
from controller.packing import Packing
from controller.selection import matches
from crds.client.informer import ShapedInformer
from crds.client.resources import (
    CONFIG_MAPS,
    DEPLOYMENTS,
    ENDPOINT_SLICES,
    PODS,
    SECRETS,
    XTRINODE_CATALOGS,
    XTRINODES,
)
from crds.client.transport import KubeClient
from crds.v1 import meta, names
from crds.v1.meta import InvalidObject, parse
from crds.v1.references import references
from crds.v1.xtrinode import XTrinode
from crds.v1.xtrinodecatalog import XTrinodeCatalog

OURS = f"{meta.MANAGED_BY_LABEL}={meta.MANAGED_BY}"

M = TypeVar("M", XTrinode, XTrinodeCatalog)

#: Parsed objects that are remembered: those that are looked at just now.
_PARSED = 256


class Parsed(Generic[M]):
    """Objects of one of our kinds: what is kept of them, and as their type, parsed once per version while in use.

    An object may have come from a newer version of ours, or without a schema. A status that cannot be read is one that
    was never written; a spec that cannot be read is InvalidObject, and `placeholder` takes its place where only the
    rest is wanted."""

    def __init__(self, kind: type[M], placeholder: Object) -> None:
        self._kind: type[M] = kind
        self._placeholder = placeholder
        self._packing = Packing()
        self._known: LRUCache[Key, tuple[str, M | InvalidObject]] = LRUCache(_PARSED)

    def keep(self, obj: Object) -> Declared:
        key = key_of(obj)
        try:
            named = references(self._read(key, _version(obj), obj))
        except InvalidObject:
            named = ()
        return keep_declared(obj, self._packing, tuple(dict.fromkeys((ref.kind, key[0], ref.name) for ref in named)))

    def of(self, declared: Declared) -> M:
        """Raises InvalidObject."""
        version = f"{declared.uid}/{declared.version}"
        known = self._known.get(declared.key)
        if known is None or known[0] != version:
            return self._read(declared.key, version, self.whole(declared))
        if isinstance(known[1], InvalidObject):
            raise known[1]
        return known[1]

    def without_spec(self, declared: Declared) -> M:
        """Metadata and status of an object that `of` refuses. Nothing may be concluded from the spec that it has."""
        whole = self.whole(declared)
        return self._parse({"metadata": whole["metadata"], "spec": self._placeholder, "status": whole.get("status")})

    def whole(self, declared: Declared) -> Object:
        return self._packing.unpack(declared.packed)

    def forget(self, key: Key) -> None:
        self._known.pop(key, None)

    def _read(self, key: Key, version: str, obj: Object) -> M:
        try:
            found = self._parse(obj)
        except InvalidObject as error:
            self._known[key] = (version, error)
            raise
        self._known[key] = (version, found)
        return found

    def _parse(self, obj: Object) -> M:
        try:
            found: M = parse(self._kind, obj)
        except InvalidObject as error:
            if any(wrong.path.partition(".")[0] != "status" for wrong in error.errors):
                raise
            found = parse(self._kind, {key: value for key, value in obj.items() if key != "status"})
        return found


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
        self.parsed_runtimes = Parsed(XTrinode, {"size": "xs"})
        self.parsed_catalogs = Parsed(XTrinodeCatalog, {"connector": {"tpch": {}}})
        self.runtimes: ShapedInformer[Declared] = ShapedInformer(
            client,
            XTRINODES,
            self.parsed_runtimes.keep,
            indexers={"namespace": _by_namespace, "source": _by_source},
            on_change=self._runtime_changed,
        )
        self.catalogs: ShapedInformer[Declared] = ShapedInformer(
            client,
            XTRINODE_CATALOGS,
            self.parsed_catalogs.keep,
            indexers={"namespace": _by_namespace, "source": _by_source},
            on_change=self._catalog_changed,
        )
        self.owned: dict[tuple[str, str], ShapedInformer[Live]] = {}
        self._packings: dict[str, Packing] = {}
        for resource in OWNED:
            packing = self._packings[resource.kind] = Packing()
            ours = resource is not CONFIG_MAPS
            self.owned[resource.api_version, resource.kind] = ShapedInformer(
                client,
                resource,
                partial(keep_child if ours else keep_config_map, packing=packing),
                label_selector=OURS if ours else None,
                indexers={"owner": _by_owner} if ours else {"owner": _by_owner, "routes": _routes_only},
                on_change=self._child_changed if ours else self._config_map_changed,
            )
        self.config_maps = self.owned[CONFIG_MAPS.api_version, CONFIG_MAPS.kind]
        self.deployments = self.owned[DEPLOYMENTS.api_version, DEPLOYMENTS.kind]
        self.secrets: ShapedInformer[Live] = ShapedInformer(
            client, SECRETS, keep_source, on_change=self._secret_changed
        )
        self.pods: ShapedInformer[LivePod] = ShapedInformer(
            client,
            PODS,
            keep_pod,
            label_selector=OURS,
            indexers={"instance": _by_instance},
            on_change=self._pod_changed,
        )
        self.slices: ShapedInformer[Addresses] = ShapedInformer(
            client, ENDPOINT_SLICES, keep_slice, indexers={"service": _by_service}, on_change=self._slice_changed
        )
        self.all: tuple[ShapedInformer[Any], ...] = (
            self.runtimes,
            self.catalogs,
            *self.owned.values(),
            self.secrets,
            self.pods,
            self.slices,
        )

    def unsynced(self) -> list[str]:
        return [informer.resource.plural for informer in self.all if not informer.synced.is_set()]

    def live(self, ref: ObjectRef) -> Live | None:
        informer = self.owned.get((ref.api_version, ref.kind))
        return informer.get(ref.namespace, ref.name) if informer is not None else None

    def keep(self, obj: Object) -> Live:
        """What would be kept of an object that came otherwise than through an informer."""
        return keep_child(obj, self._packings[obj["kind"]])

    def whole(self, live: Live) -> Object:
        """The object without its status and versions; of what is not ours, nothing."""
        return self._packings[live.ref.kind].unpack(live.packed) if live.is_ours else {}

    def children(self, uid: str) -> Iterable[Live]:
        for informer in self.owned.values():
            yield from informer.by_index("owner", uid)

    def source(self, kind: str, namespace: str, name: str) -> Source | None:
        """A Secret or ConfigMap as far as pods depend on it."""
        live = (self.secrets if kind == "Secret" else self.config_maps).get(namespace, name)
        if live is None:
            return None
        return live.source or source_of(self.whole(live))

    def endpoints(self, namespace: str, runtime: str) -> list[tuple[Endpoint, ...]]:
        """The addresses of a runtime's coordinator, slice by slice."""
        service = (namespace, names.coordinator_service(runtime))
        return [addresses.endpoints for addresses in self.slices.by_index("service", service)]

    def route_shards(self, namespace: str) -> list[Object]:
        """The live ConfigMaps of the routing table, first shard first."""
        found = [live for live in self.config_maps.by_index("routes", True) if live.ref.namespace == namespace]
        return [self.whole(live) for live in sorted(found, key=lambda live: (len(live.ref.name), live.ref.name))]

    def runtimes_that_select(self, catalog: Declared) -> Iterable[Key]:
        """The runtimes whose selector takes a catalog with these labels."""
        selecting = [runtime for runtime in self.runtimes.by_index("namespace", catalog.key[0]) if runtime.selects]
        if not selecting:
            return
        whole = self.parsed_catalogs.whole(catalog)
        spec_labels = (whole.get("spec") or {}).get("labels") or {}
        labels = {**(whole["metadata"].get("labels") or {}), **(spec_labels if isinstance(spec_labels, dict) else {})}
        for runtime in selecting:
            try:
                selector = self.parsed_runtimes.of(runtime).spec.catalog_selector
            except InvalidObject:
                continue
            if selector is not None and matches(selector, labels):
                yield runtime.key

    # Events.

    def _runtime_changed(self, event: str, old: Declared | None, new: Declared | None) -> None:
        declared = new or old
        assert declared is not None
        if new is None:
            self.parsed_runtimes.forget(declared.key)
        self._wake.arrived(declared.key)
        if old is None or new is None or old.wish != new.wish:
            self._wake.runtime_now(declared.key)

    def _catalog_changed(self, event: str, old: Declared | None, new: Declared | None) -> None:
        if old is not None and new is not None and old.wish == new.wish:
            return
        for declared in (old, new):
            if declared is not None:
                self._wake.catalog(declared.key)
                for key in self.runtimes_that_select(declared):
                    self._wake.runtime_soon(key)
        if new is None and old is not None:
            self.parsed_catalogs.forget(old.key)

    def _child_changed(self, event: str, old: Live | None, new: Live | None) -> None:
        live = new or old
        assert live is not None
        if new is None:
            self._wake.gone(live.ref)
        elif old == new:
            return
        for owner in live.owners:
            if owner.kind == meta.XTRINODE_KIND:
                self._wake.runtime_soon((live.ref.namespace, owner.name))

    def _config_map_changed(self, event: str, old: Live | None, new: Live | None) -> None:
        live = new or old
        assert live is not None
        namespace = live.ref.namespace
        if any(one is not None and one.routes for one in (old, new)):
            self._wake.routes()
            return
        if not live.is_ours:
            self._source_changed("ConfigMap", old, new)
            return
        self._child_changed(event, old, new)
        for owner in live.owners:
            if owner.kind == meta.CATALOG_KIND:
                self._wake.catalog((namespace, owner.name))
                catalog = self.catalogs.get(namespace, owner.name)
                for key in self.runtimes_that_select(catalog) if catalog is not None else ():
                    self._wake.runtime_soon(key)

    def _secret_changed(self, event: str, old: Live | None, new: Live | None) -> None:
        self._source_changed("Secret", old, new)

    def _source_changed(self, kind: str, old: Live | None, new: Live | None) -> None:
        live = new or old
        assert live is not None
        if old is not None and new is not None and old.source == new.source:
            return
        source = (kind, live.ref.namespace, live.ref.name)
        for runtime in self.runtimes.by_index("source", source):
            self._wake.runtime_soon(runtime.key)
        for catalog in self.catalogs.by_index("source", source):
            for key in self.runtimes_that_select(catalog):
                self._wake.runtime_soon(key)

    def _pod_changed(self, event: str, old: LivePod | None, new: LivePod | None) -> None:
        for pod in (old, new):
            if pod is not None and pod.runtime is not None and old != new:
                self._wake.runtime_soon(pod.runtime)

    def _slice_changed(self, event: str, old: Addresses | None, new: Addresses | None) -> None:
        for addresses in (old, new):
            if addresses is not None and old != new:
                namespace, service = addresses.service
                name = service.removeprefix(names.coordinator_service(""))
                if self.runtimes.get(namespace, name) is not None:
                    self._wake.runtime_soon((namespace, name))


def _version(obj: Object) -> str:
    metadata = obj["metadata"]
    return f"{metadata.get('uid', '')}/{metadata.get('resourceVersion', '')}"


# Indexes.


def _by_namespace(declared: Declared) -> Iterable[Hashable]:
    return (declared.key[0],)


def _by_source(declared: Declared) -> Iterable[Hashable]:
    return declared.sources


def _by_owner(live: Live) -> Iterable[Hashable]:
    return [owner.uid for owner in live.owners]


def _routes_only(live: Live) -> Iterable[Hashable]:
    return (True,) if live.routes else ()


def _by_instance(pod: LivePod) -> Iterable[Hashable]:
    return (pod.runtime,) if pod.runtime is not None else ()


def _by_service(addresses: Addresses) -> Iterable[Hashable]:
    return (addresses.service,)
