"""The decision about one catalog: its ConfigMap and its status.

Pure. A catalog becomes one ConfigMap with one properties file; secrets stay in their Secrets and reach Trino as
environment variables, so nothing secret is ever written. There is no finalizer: the ConfigMap goes with its owner.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from controller.actions import Announcement, Apply, Delete
from controller.observed import Child
from controller.selection import catalog_data, catalog_digest, checked_catalog
from crds.v1 import meta
from crds.v1.conditions import ConditionType, Reason, Status, set_condition
from crds.v1.meta import InvalidObject, format_time, to_dict
from crds.v1.names import catalog_config_map
from crds.v1.xtrinodecatalog import XTrinodeCatalog


@dataclass(frozen=True, slots=True)
class CatalogPlan:
    actions: tuple[Apply | Delete, ...]
    status: dict[str, Any]
    announcements: tuple[Announcement, ...] = ()


def plan_catalog(catalog: XTrinodeCatalog, children: tuple[Child, ...], published: str, now: datetime) -> CatalogPlan:
    """`published`: digest of the data that its ConfigMap has now, "" when there is none."""
    try:
        properties = checked_catalog(catalog)
    except InvalidObject as error:
        return refused_catalog(catalog, error, now)
    name = catalog_config_map(catalog.metadata.name)
    wanted = catalog_digest(properties)
    manifest = {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {
            "name": name,
            "namespace": catalog.metadata.namespace,
            "labels": {
                **catalog.spec.labels,
                "app": "trino",
                meta.CATALOG_LABEL: catalog.metadata.name,
                meta.CATALOG_GENERATED_LABEL: "true",
                meta.MANAGED_BY_LABEL: meta.MANAGED_BY,
            },
            "annotations": {meta.CATALOG_HASH: wanted},
            "ownerReferences": [meta.owner_reference(meta.CATALOG_KIND, catalog.metadata)],
        },
        "data": catalog_data(properties),
    }
    stale = tuple(Delete(child.ref) for child in children if child.ref.name != name)
    message = f"catalog {properties.name} is in ConfigMap {name}"
    status = _status(catalog, "Ready", Reason.CATALOG_RENDERED, message, now)
    status["connector"] = properties.connector
    status["configMapName"] = name
    updated = catalog.status.last_updated
    if published != wanted or updated is None:
        updated = now
    status["lastUpdated"] = format_time(updated)
    return CatalogPlan((Apply(manifest), *stale), status, _announce(catalog, status, "Normal"))


def refused_catalog(catalog: XTrinodeCatalog, error: InvalidObject, now: datetime) -> CatalogPlan:
    """The ConfigMap stays as it was: pods that mount it may have to start again."""
    status = _status(catalog, "Error", Reason.CATALOG_INVALID, f"the catalog cannot be used: {error}", now)
    return CatalogPlan((), status, _announce(catalog, status, "Warning"))


def failed_catalog(catalog: XTrinodeCatalog, message: str, now: datetime) -> dict[str, Any]:
    return _status(catalog, "Error", Reason.RESOURCE_APPLY_FAILED, message, now)


def _status(catalog: XTrinodeCatalog, phase: str, reason: Reason, message: str, now: datetime) -> dict[str, Any]:
    old = to_dict(catalog.status)
    ready: Status = "True" if phase == "Ready" else "False"
    conditions = set_condition(
        catalog.status.conditions, ConditionType.READY, ready, reason, message, catalog.metadata.generation, now
    )
    kept: dict[str, Any] = {key: old[key] for key in ("connector", "configMapName", "lastUpdated") if key in old}
    return {
        **kept,
        "phase": phase,
        "message": message[:1000],
        "observedGeneration": catalog.metadata.generation,
        "conditions": [to_dict(condition) for condition in conditions],
    }


def _announce(catalog: XTrinodeCatalog, status: dict[str, Any], kind: Any) -> tuple[Announcement, ...]:
    if catalog.status.phase == status["phase"]:
        return ()
    return (Announcement(status["conditions"][0]["reason"], status["message"], kind),)
