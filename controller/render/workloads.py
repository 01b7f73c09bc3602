"""Deployments and their disruption budgets.

A Deployment is rendered without replicas: their number has a writer of its own. The coordinator is never two: its
strategy comes from the shape, and two coordinators behind one Service would lose each other's queries.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from controller.observed import Role
from controller.render.config_maps import ConfigMaps
from controller.render.metadata import Labelled
from controller.render.pods import template
from crds.v1 import names

if TYPE_CHECKING:
    from controller.render import SelectedCatalog


def deployment_name(runtime: str, role: Role) -> str:
    return names.coordinator_deployment(runtime) if role is Role.COORDINATOR else names.worker_deployment(runtime)


@dataclass(frozen=True, slots=True)
class RenderedDeployment:
    role: Role
    manifest: dict[str, Any]
    rollout: str


def render(
    at: Labelled,
    role: Role,
    maps: ConfigMaps,
    catalogs: tuple[SelectedCatalog, ...],
    digests: Mapping[tuple[str, str], str],
) -> RenderedDeployment:
    wanted = at.role(role)
    pods, rollout = template(at, role, maps, catalogs, digests)
    manifest = {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": at.metadata(deployment_name(at.shape.name, role), role, wanted.deployment_annotations),
        "spec": {
            "selector": {"matchLabels": at.selector(role)},
            "strategy": dict(wanted.strategy),
            "revisionHistoryLimit": wanted.revision_history_limit,
            "progressDeadlineSeconds": wanted.progress_deadline_seconds,
            "template": pods,
        },
    }
    return RenderedDeployment(role, manifest, rollout)


def disruption_budgets(at: Labelled) -> list[dict[str, Any]]:
    found = []
    for role, name in (
        (Role.COORDINATOR, names.coordinator_disruption_budget(at.shape.name)),
        (Role.WORKER, names.worker_disruption_budget(at.shape.name)),
    ):
        budget = at.role(role).disruption_budget
        if budget is not None and (role is Role.COORDINATOR or at.shape.workers.rendered):
            found.append(
                {
                    "apiVersion": "policy/v1",
                    "kind": "PodDisruptionBudget",
                    "metadata": at.metadata(name, role),
                    "spec": {"selector": {"matchLabels": at.selector(role)}, **budget},
                }
            )
    return found
