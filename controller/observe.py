"""Builds the snapshot of one runtime from the caches.

Called by the reconciler before every plan. Reads memory only: what it takes is proportional to the runtime, not to
the cluster.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from controller.caches import Caches
from controller.drift import digest
from controller.observed import CatalogFacts, Child, Observed, Role, Source
from controller.reading import merged
from controller.render.workloads import deployment_name
from controller.selection import matches
from crds.v1 import names
from crds.v1.lifecycle import RouteState
from crds.v1.meta import InvalidObject
from crds.v1.references import references
from crds.v1.xtrinode import XTrinode
from crds.v1.xtrinodecatalog import XTrinodeCatalog


def observe(
    caches: Caches,
    x: XTrinode,
    *,
    published: RouteState | None,
    route_settled: bool,
    conflicts: tuple[str, ...],
    route_problem: str,
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
        # What only has the name of one of ours is neither scaled nor drained.
        if live is not None and live.workload is not None and live.is_owned_by(uid):
            workloads[role] = live.workload
    return Observed(
        workloads=workloads,
        pods=tuple(
            sorted(
                (live.pod for live in caches.pods.by_index("instance", (namespace, name))),
                key=lambda pod: pod.name,
            )
        ),
        endpoints=merged(caches.endpoints(namespace, name)),
        children=children(caches, uid),
        sources=sources,
        catalogs=catalogs,
        published=published,
        route_settled=route_settled,
        conflicts=conflicts,
        route_problem=route_problem,
        last_active=last_active,
    )


def children(caches: Caches, uid: str) -> tuple[Child, ...]:
    """What carries the owner's reference, unless it is going."""
    return tuple(Child(live.ref, live.created) for live in caches.children(uid) if not live.deleting)


def _catalogs(caches: Caches, x: XTrinode) -> Iterable[CatalogFacts]:
    selector = x.spec.catalog_selector
    if selector is None:
        return
    for declared in caches.catalogs.by_index("namespace", x.metadata.namespace):
        if declared.deleting:
            continue
        try:
            catalog = caches.parsed_catalogs.of(declared)
        except InvalidObject:
            continue  # its own status says so
        if matches(selector, catalog.selection_labels()):
            yield CatalogFacts(catalog, published_digest(caches, catalog))


def published_digest(caches: Caches, catalog: XTrinodeCatalog) -> str:
    """The digest of the data that the catalog's own ConfigMap has; "" when there is none."""
    live = caches.config_maps.get(catalog.metadata.namespace, names.catalog_config_map(catalog.metadata.name))
    if live is None or not live.is_owned_by(catalog.metadata.uid):
        return ""
    return digest(caches.whole(live).get("data") or {})
