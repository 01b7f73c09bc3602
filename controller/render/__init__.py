"""From a resolved runtime to the Kubernetes objects that make it: a list, in the order of application.

Called by the plan with a `RuntimeShape` (everything that a spec decides) and `Inputs` (what other objects
contribute: selected catalogs, digests of Secrets and ConfigMaps that the pods read). Pure and deterministic: equal
inputs give equal bytes, whatever the order in which anything was found. No object here carries spec.replicas.

Two rules that are easy to break: a ConfigMap that pods read is named by its content, so that a rollback finds what
it ran with; and whatever a pod reads but does not name by content goes, as a digest, into its rollout hash.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from controller.observed import Role
from controller.render import access, config_maps, scaling, services, workloads
from controller.render.metadata import Labelled
from crds.v1.connectors import CatalogProperties
from crds.v1.runtime_shape import RuntimeShape

Manifest = dict[str, Any]


@dataclass(frozen=True, slots=True)
class SelectedCatalog:
    """A catalog that the runtime's pods get: the ConfigMap that holds its file, and what the file says."""

    config_map: str
    properties: CatalogProperties
    digest: str


@dataclass(frozen=True, slots=True)
class Inputs:
    """`owner` is the owner reference; `digests` are those of everything that the pods read by reference:
    (kind, name) -> digest. Catalogs may come in any order."""

    owner: Mapping[str, Any]
    catalogs: tuple[SelectedCatalog, ...] = ()
    digests: Mapping[tuple[str, str], str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Rendering:
    """The objects in order, and per role the hash that its pods carry."""

    manifests: tuple[Manifest, ...]
    rollout: Mapping[Role, str]


def render(shape: RuntimeShape, inputs: Inputs) -> Rendering:
    at = Labelled(shape, inputs.owner)
    catalogs = tuple(sorted(inputs.catalogs, key=lambda catalog: catalog.config_map))
    maps = config_maps.render(at)
    coordinator = workloads.render(at, Role.COORDINATOR, maps, catalogs, inputs.digests)
    deployments = [coordinator]
    if shape.workers.rendered:
        deployments.append(workloads.render(at, Role.WORKER, maps, catalogs, inputs.digests))
    return Rendering(
        manifests=(
            *access.service_account(at),
            *maps.manifests,
            *services.render(at),
            *(deployment.manifest for deployment in deployments),
            *workloads.disruption_budgets(at),
            *scaling.render(at),
            *access.ingress(at),
            *access.network_policy(at),
        ),
        rollout={deployment.role: deployment.rollout for deployment in deployments},
    )
