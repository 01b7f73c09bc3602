"""Builds the snapshot of one runtime from the caches.

Called by the reconciler before every plan. Reads memory only: what it takes is proportional to the runtime, not to
the cluster. Kubernetes' objects are read leniently; a field that is not there yet means that nothing was observed.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

from controller.actions import HELD_REPLICAS
from controller.caches import Caches, Object, ref_of, unpack
from controller.drift import digest
from controller.observed import CatalogFacts, Child, Endpoint, Observed, Pod, Role, Source, Workload
from controller.render.pods import ROLLOUT_HASH
from controller.render.services import HTTP_PORT
from controller.render.workloads import deployment_name
from controller.selection import matches
from crds.v1 import meta, names
from crds.v1.lifecycle import RouteState
from crds.v1.meta import InvalidObject, parse_time
from crds.v1.references import references
from crds.v1.xtrinode import XTrinode
from crds.v1.xtrinodecatalog import XTrinodeCatalog

#: Waiting reasons that pass by themselves.
_BENIGN = frozenset({"ContainerCreating", "PodInitializing"})
_TEXT_LIMIT = 300


def observe(
    caches: Caches,
    x: XTrinode,
    *,
    published: RouteState | None,
    route_settled: bool,
    conflicts: tuple[str, ...],
    last_active: datetime | None,
) -> Observed:
    namespace, name, uid = x.metadata.namespace, x.metadata.name, x.metadata.uid
    catalogs = tuple(_catalogs(caches, x))
    named = [*references(x)]
    for facts in catalogs:
        named += references(facts.catalog)
    sources: dict[tuple[str, str], Source] = {}
    for reference in named:
        source = caches.source(reference.kind, namespace, reference.name)
        if source is not None:
            sources[reference.kind, reference.name] = source
    workloads = {}
    for role in Role:
        live = caches.deployments.get(namespace, deployment_name(name, role))
        if live is not None:
            workloads[role] = read_workload(live, role)
    return Observed(
        workloads=workloads,
        pods=tuple(
            sorted(
                (read_pod(pod) for pod in caches.pods.by_index("instance", (namespace, name))),
                key=lambda pod: pod.name,
            )
        ),
        endpoints=tuple(
            read_endpoints(caches.slices.by_index("service", (namespace, names.coordinator_service(name))))
        ),
        children=tuple(_children(caches, uid)),
        sources=sources,
        catalogs=catalogs,
        published=published,
        route_settled=route_settled,
        conflicts=conflicts,
        last_active=last_active,
    )


def _children(caches: Caches, uid: str) -> Iterable[Child]:
    for resource, obj in caches.children(uid):
        ref = ref_of({**obj, "apiVersion": resource.api_version, "kind": resource.kind})
        metadata = obj["metadata"]
        if not metadata.get("deletionTimestamp"):
            yield Child(
                ref=type(ref)(ref.api_version, ref.kind, ref.namespace, ref.name, metadata.get("uid", "")),
                created=metadata.get("creationTimestamp") or "",
            )


def _catalogs(caches: Caches, x: XTrinode) -> Iterable[CatalogFacts]:
    selector = x.spec.catalog_selector
    if selector is None:
        return
    for obj in caches.catalogs.by_index("namespace", x.metadata.namespace):
        if obj["metadata"].get("deletionTimestamp"):
            continue
        try:
            catalog = caches.parsed_catalogs.of(obj)
        except InvalidObject:
            continue  # its own status says so
        if matches(selector, catalog.selection_labels()):
            yield CatalogFacts(catalog, published_digest(caches, catalog))


def published_digest(caches: Caches, catalog: XTrinodeCatalog) -> str:
    """The digest of the data that the catalog's own ConfigMap has; "" when there is none."""
    live = caches.config_maps.get(catalog.metadata.namespace, names.catalog_config_map(catalog.metadata.name))
    if live is None:
        return ""
    owners = live["metadata"].get("ownerReferences") or ()
    if all(owner.get("uid") != catalog.metadata.uid for owner in owners):
        return ""
    return digest(unpack(live).get("data") or {})


def read_workload(obj: Object, role: Role) -> Workload:
    metadata, spec, status = obj["metadata"], obj.get("spec") or {}, obj.get("status") or {}
    annotations = metadata.get("annotations") or {}
    template = (spec.get("template") or {}).get("metadata") or {}
    held = annotations.get(HELD_REPLICAS, "")
    return Workload(
        generation=metadata.get("generation") or 0,
        observed_generation=status.get("observedGeneration") or 0,
        wanted=1 if spec.get("replicas") is None else int(spec["replicas"]),
        held=int(held) if held.isdigit() else None,
        total=status.get("replicas") or 0,
        updated=status.get("updatedReplicas") or 0,
        ready=status.get("readyReplicas") or 0,
        available=status.get("availableReplicas") or 0,
        rollout=(template.get("annotations") or {}).get(ROLLOUT_HASH[role], ""),
        blocked=_blocked(status),
    )


def _blocked(status: Mapping[str, Any]) -> str:
    for condition in status.get("conditions") or ():
        failed = condition.get("type") == "ReplicaFailure" and condition.get("status") == "True"
        stuck = condition.get("type") == "Progressing" and condition.get("status") == "False"
        if failed or stuck:
            return str(condition.get("message") or condition.get("reason") or "it makes no progress")[:_TEXT_LIMIT]
    return ""


def read_pod(obj: Object) -> Pod:
    metadata, status = obj["metadata"], obj.get("status") or {}
    annotations = metadata.get("annotations") or {}
    component = (metadata.get("labels") or {}).get(meta.COMPONENT_LABEL)
    role = Role.COORDINATOR if component == Role.COORDINATOR else Role.WORKER
    conditions = {condition.get("type"): condition for condition in status.get("conditions") or ()}
    return Pod(
        name=metadata["name"],
        role=role,
        ready=(conditions.get("Ready") or {}).get("status") == "True",
        terminating=bool(metadata.get("deletionTimestamp")),
        rollout=annotations.get(ROLLOUT_HASH[role], ""),
        trouble=_trouble(status, conditions),
        started=_moment(status.get("startTime")),
    )


def _trouble(status: Mapping[str, Any], conditions: Mapping[Any, Mapping[str, Any]]) -> str:
    scheduled = conditions.get("PodScheduled") or {}
    if scheduled.get("status") == "False":
        return f"cannot be scheduled: {scheduled.get('message') or scheduled.get('reason') or 'no reason given'}"[
            :_TEXT_LIMIT
        ]
    for container in [*(status.get("initContainerStatuses") or ()), *(status.get("containerStatuses") or ())]:
        waiting = (container.get("state") or {}).get("waiting") or {}
        reason = waiting.get("reason")
        if reason and reason not in _BENIGN:
            ended = (container.get("lastState") or {}).get("terminated") or {}
            last = f"; last exit: {ended['reason']} ({ended.get('exitCode')})" if ended.get("reason") else ""
            message = waiting.get("message")
            return f"{reason}{f': {message}' if message else ''}{last}"[:_TEXT_LIMIT]
    if status.get("phase") == "Failed":
        return str(status.get("message") or status.get("reason") or "it failed")[:_TEXT_LIMIT]
    return ""


def _moment(text: object) -> datetime | None:
    try:
        return parse_time(text) if isinstance(text, str) else None
    except ValueError:
        return None


def read_endpoints(slices: Iterable[Object]) -> Iterable[Endpoint]:
    """Addresses of the coordinator, the ready ones first."""
    found: dict[tuple[str, int], bool] = {}
    for obj in slices:
        port = next(
            (
                entry["port"]
                for entry in obj.get("ports") or ()
                if entry.get("name") in (HTTP_PORT, None, "") and isinstance(entry.get("port"), int)
            ),
            None,
        )
        if port is None:
            continue
        for endpoint in obj.get("endpoints") or ():
            ready = (endpoint.get("conditions") or {}).get("ready") is not False
            for address in endpoint.get("addresses") or ():
                found[address, port] = found.get((address, port), False) or ready
    return [
        Endpoint(address, port, ready)
        for (address, port), ready in sorted(found.items(), key=lambda item: (not item[1], item[0]))
    ]
