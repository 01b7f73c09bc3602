"""On which nodes a role may run: common placement, the role's own, and an existing node pool."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel

from crds.v1.runtime_shape import Placement
from crds.v1.trino_files import RoleName
from crds.v1.xtrinode import ExistingNodePool, RolePlacement, XTrinodeSpec

POOL_LABELS: Mapping[str, str] = {
    "azure": "kubernetes.azure.com/agentpool",
    "aws": "eks.amazonaws.com/nodegroup",
    "gcp": "cloud.google.com/gke-nodepool",
}


def pool_selector(pool: ExistingNodePool | None) -> dict[str, str]:
    """The node label that a provider gives to the nodes of a pool."""
    return {POOL_LABELS[pool.provider]: pool.name} if pool else {}


def resolve_placement(role: RoleName, spec: XTrinodeSpec) -> Placement:
    """What goes into the pods of a role. What the role sets replaces what is common."""
    both = spec.placement
    own: RolePlacement | None = getattr(both, role) if both else None
    selector = own.node_selector if own and own.node_selector is not None else both.node_selector if both else None
    tolerations = own.tolerations if own and own.tolerations is not None else both.tolerations if both else None
    affinity = own.affinity if own and own.affinity is not None else both.affinity if both else None
    spread = own.topology_spread_constraints if own else None
    chart = spec.helm_chart_config
    if role == "worker" and spread is None and chart and chart.worker:
        spread = chart.worker.topology_spread_constraints
    return Placement(
        node_selector={**(selector or {}), **pool_selector(both.existing_node_pool if both else None)},
        tolerations=tuple(_plain(item) for item in tolerations or ()),
        affinity=affinity,
        topology_spread_constraints=tuple(_plain(item) for item in spread or ()),
    )


def _plain(model: BaseModel) -> dict[str, Any]:
    return model.model_dump(mode="json", by_alias=True, exclude_none=True, exclude_unset=True)
