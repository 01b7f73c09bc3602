"""What the caches keep of an object: the facts that every look reads, and the rest packed.

Five thousand runtimes are some ninety thousand objects. As dicts they take a gigabyte; of most of them a handful of
fields is ever read. So each object is read once, where it arrives, into one of the frozen records below: about 0.6 KiB
each. What must be complete now and then (a child when its version is new to the executor, a runtime when it is
planned) is packed beside the facts. Equal records mean that nothing changed that a decision could depend on: versions,
heartbeats and what others added to a status are not in them. Pure; the caches own the records and hand them out.
"""

from __future__ import annotations

import sys
from collections.abc import Hashable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, TypeVar, cast

from controller.actions import APPLIED_HASH
from controller.drift import digest
from controller.observed import Endpoint, ObjectRef, Pod, Role, Source, Workload
from controller.packing import Packing
from controller.reading import read_endpoints, read_pod, read_workload
from crds.v1 import meta, names

Object = dict[str, Any]
Key = tuple[str, str]
H = TypeVar("H", bound=Hashable)

SERVICE_NAME_LABEL = "kubernetes.io/service-name"
_DEPLOYMENT = "Deployment"
#: Metadata that says nothing about what an object is.
_MOVING = ("uid", "resourceVersion", "generation", "creationTimestamp", "deletionTimestamp", "managedFields")


@dataclass(frozen=True, slots=True)
class Owner:
    kind: str
    name: str
    uid: str


@dataclass(frozen=True, slots=True)
class Live:
    """An object of a kind that we render. `packed` is empty for what is not ours: of that only `source` is known, its
    keys and a digest, so that no secret content stays in memory."""

    ref: ObjectRef
    version: str = field(compare=False)
    owners: tuple[Owner, ...] = ()
    created: str = ""  # RFC 3339, sorts as text
    deleting: bool = False
    applied: str = ""  # the hash of what we applied last
    routes: bool = False  # part of the routing table
    workload: Workload | None = None  # of a Deployment
    packed: bytes = b""
    source: Source | None = None

    @property
    def is_ours(self) -> bool:
        return self.packed != b""

    def is_owned_by(self, uid: str) -> bool:
        return any(owner.uid == uid for owner in self.owners)


@dataclass(frozen=True, slots=True)
class Shown:
    """What of a runtime's status the metrics page shows."""

    phase: str = ""
    workers: int = 0
    conditions: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Declared:
    """An XTrinode or XTrinodeCatalog. `wish` is a digest of what a user or a command changes; the status that we write
    is not in it. `sources` are the Secrets and ConfigMaps that it names, as (kind, namespace, name)."""

    key: Key
    kind: str
    uid: str
    version: str
    wish: str
    deleting: bool
    packed: bytes
    sources: tuple[tuple[str, str, str], ...] = ()
    selects: bool = False  # whether it has a catalog selector
    shown: Shown = Shown()

    def reference(self) -> dict[str, Any]:
        """The object as far as an Event names it."""
        namespace, name = self.key
        metadata = {"namespace": namespace, "name": name, "uid": self.uid}
        return {"apiVersion": meta.API_VERSION, "kind": self.kind, "metadata": metadata}


@dataclass(frozen=True, slots=True)
class LivePod:
    """`runtime`: whose pod it is."""

    runtime: Key | None
    pod: Pod


@dataclass(frozen=True, slots=True)
class Addresses:
    """An EndpointSlice that may be of a coordinator. `service` is (namespace, name)."""

    service: Key
    endpoints: tuple[Endpoint, ...]


def key_of(obj: Mapping[str, Any]) -> Key:
    metadata = obj["metadata"]
    return (sys.intern(metadata.get("namespace") or ""), metadata["name"])


def keep_child(obj: Object, packing: Packing) -> Live:
    """A child of ours, or an object of somebody else under the name of one."""
    metadata = obj["metadata"]
    annotations = metadata.get("annotations") or {}
    kind = obj.get("kind", "")
    return Live(
        ref=_ref(obj),
        version=str(metadata.get("resourceVersion", "")),
        owners=_owners(metadata),
        created=sys.intern(metadata.get("creationTimestamp") or ""),
        deleting=bool(metadata.get("deletionTimestamp")),
        applied=str(annotations.get(APPLIED_HASH, "")),
        routes=_is_of_routes(metadata),
        workload=read_workload(obj, _role(metadata["name"])) if kind == _DEPLOYMENT else None,
        packed=packing.pack(
            {
                **{key: value for key, value in obj.items() if key != "status"},
                "metadata": {key: value for key, value in metadata.items() if key not in _MOVING},
            }
        ),
    )


def keep_config_map(obj: Object, packing: Packing) -> Live:
    """Ours, and the routing table, whole; of others what a pod depends on."""
    return keep_child(obj, packing) if _is_ours(obj) else keep_source(obj)


def keep_source(obj: Object) -> Live:
    """A Secret or foreign ConfigMap without its content."""
    metadata = obj["metadata"]
    return Live(
        ref=_ref(obj),
        version=str(metadata.get("resourceVersion", "")),
        owners=_owners(metadata),
        created=sys.intern(metadata.get("creationTimestamp") or ""),
        deleting=bool(metadata.get("deletionTimestamp")),
        source=source_of(obj),
    )


def source_of(obj: Object) -> Source:
    content = {**(obj.get("binaryData") or {}), **(obj.get("data") or {})}
    return Source(shared(frozenset(content)), digest(content))


def keep_declared(obj: Object, packing: Packing, sources: tuple[tuple[str, str, str], ...]) -> Declared:
    metadata = obj["metadata"]
    wish = [metadata.get(key) for key in ("generation", "deletionTimestamp", "annotations", "finalizers", "labels")]
    return Declared(
        key=key_of(obj),
        kind=sys.intern(obj.get("kind", "")),
        uid=sys.intern(metadata.get("uid", "")),
        version=str(metadata.get("resourceVersion", "")),
        wish=digest([metadata.get("uid"), *wish]),
        deleting=bool(metadata.get("deletionTimestamp")),
        packed=packing.pack(obj),
        sources=sources,
        selects="catalogSelector" in _mapping(obj.get("spec")),
        shown=shared(_shown(_mapping(obj.get("status")))),
    )


def _shown(status: Mapping[str, Any]) -> Shown:
    # Kinds of ours may have come in before their schema, or without it.
    workers, conditions = status.get("workers"), status.get("conditions")
    return Shown(
        phase=str(status.get("phase") or ""),
        workers=workers if isinstance(workers, int) else 0,
        conditions=tuple(
            (str(entry.get("type", "")), str(entry.get("status")))
            for entry in (conditions if isinstance(conditions, list) else ())
            if isinstance(entry, Mapping)
        ),
    )


def _mapping(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def keep_pod(obj: Object) -> LivePod:
    """A pod without its spec: what it is made of stands in its Deployment."""
    metadata = obj["metadata"]
    name = (metadata.get("labels") or {}).get(meta.INSTANCE_LABEL)
    return LivePod(shared((metadata.get("namespace") or "", name)) if name else None, read_pod(obj))


def keep_slice(obj: Object) -> Addresses | None:
    """None for slices of which no address is read: those of workers, of metrics, of other people's Services."""
    metadata = obj["metadata"]
    labels = metadata.get("labels") or {}
    service, instance = labels.get(SERVICE_NAME_LABEL) or "", labels.get(meta.INSTANCE_LABEL)
    if not service.startswith(names.coordinator_service("")):
        return None
    if instance and service in (
        names.worker_service(instance),
        names.coordinator_metrics_service(instance),
        names.worker_metrics_service(instance),
    ):
        return None
    return Addresses((sys.intern(metadata.get("namespace") or ""), service), read_endpoints(obj))


def shared(value: H) -> H:
    """The first value that is equal: what thousands of objects have in common is in memory once."""
    return cast(H, _first(value))


@lru_cache(maxsize=16384)
def _first(value: Hashable) -> Hashable:
    return value


def _ref(obj: Object) -> ObjectRef:
    namespace, name = key_of(obj)
    kind, version = sys.intern(obj.get("kind", "")), sys.intern(obj.get("apiVersion", ""))
    return ObjectRef(version, kind, namespace, name, obj["metadata"].get("uid", ""))


def _owners(metadata: Mapping[str, Any]) -> tuple[Owner, ...]:
    return shared(
        tuple(
            Owner(str(owner.get("kind", "")), str(owner.get("name", "")), str(owner.get("uid", "")))
            for owner in metadata.get("ownerReferences") or ()
        )
    )


def _role(deployment: str) -> Role:
    return Role.COORDINATOR if deployment.endswith(f"-{Role.COORDINATOR}") else Role.WORKER


def _is_ours(obj: Object) -> bool:
    labels = obj["metadata"].get("labels") or {}
    return labels.get(meta.MANAGED_BY_LABEL) == meta.MANAGED_BY or _is_of_routes(obj["metadata"])


def _is_of_routes(metadata: Mapping[str, Any]) -> bool:
    """Gateways find the table by this very value."""
    return (metadata.get("labels") or {}).get(meta.ROUTES_LABEL) == "true"
