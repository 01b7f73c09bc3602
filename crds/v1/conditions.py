"""Conditions: the aspects of an object's state, each with a machine-readable reason.

The types and reasons that we publish are listed here; a name that others match on is part of the API.
`set_condition` is the only way to change the list: the time of the last transition moves when the
status flips, and only then, so that "not ready for ten minutes" can be read off it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any, Literal

from crds.v1.meta import format_time

Status = Literal["True", "False", "Unknown"]

# Types of an XTrinode.
READY = "Ready"
RECONCILING = "Reconciling"
SUSPENDED = "Suspended"
ERROR = "Error"
RESOURCES_READY = "TrinoResourcesReady"
CATALOGS_READY = "CatalogsReady"
GATEWAY_READY = "GatewayReady"
SCHEDULING_READY = "SchedulingReady"
KEDA_READY = "KEDAReady"
ROUTE_ACCEPTED = "RouteAccepted"

# Reasons.
ALL_COMPONENTS_READY = "AllComponentsReady"
RUNTIME_NOT_READY = "RuntimeNotReady"
RECONCILING_REASON = "Reconciling"
RECONCILED = "Reconciled"
SUSPENDED_REASON = "Suspended"
SUSPENDING = "Suspending"
DRAINING = "Draining"
NOT_SUSPENDED = "NotSuspended"
RESUMING = "Resuming"
DELETING = "Deleting"
NO_ERROR = "NoError"
INVALID_SPEC = "InvalidSpec"
COMMAND_REJECTED = "CommandRejected"
RESOURCE_BUILD_FAILED = "ResourceBuildFailed"
RESOURCE_APPLY_FAILED = "ResourceApplyFailed"
RESOURCES_APPLIED = "ResourcesApplied"
GATEWAY_REGISTERED = "GatewayRegistered"
GATEWAY_REGISTRATION_FAILED = "GatewayRegistrationFailed"
ROUTE_CONFLICT = "RouteConflict"
ROUTE_ACCEPTED_REASON = "RouteAccepted"
RESUME_FAILED = "ResumeFailed"
CATALOGS_FOUND = "CatalogsFound"
CATALOG_INVALID = "CatalogInvalid"
CATALOG_NAME_TAKEN = "CatalogNameTaken"
REFERENCE_MISSING = "ReferenceMissing"
SCHEDULING_READY_REASON = "SchedulingReady"
SCHEDULING_BLOCKED = "SchedulingBlocked"
KEDA_CONFIGURED = "KEDAConfigured"
KEDA_DISABLED = "KEDADisabled"
KEDA_PLATFORM_MISSING = "KEDAPlatformMissing"

# Why a runtime is not ready, most fundamental first.
COORDINATOR_DEPLOYMENT_MISSING = "CoordinatorDeploymentMissing"
COORDINATOR_DEPLOYMENT_NOT_READY = "CoordinatorDeploymentNotReady"
COORDINATOR_ROLLOUT_PENDING = "CoordinatorRolloutPending"
COORDINATOR_ROLLOUT_FAILED = "CoordinatorRolloutFailed"
COORDINATOR_ENDPOINTS_NOT_READY = "CoordinatorEndpointsNotReady"
COORDINATOR_STARTING = "CoordinatorStarting"
WORKER_DEPLOYMENT_MISSING = "WorkerDeploymentMissing"
WORKER_DEPLOYMENT_NOT_READY = "WorkerDeploymentNotReady"
WORKER_ROLLOUT_PENDING = "WorkerRolloutPending"
WORKER_ROLLOUT_FAILED = "WorkerRolloutFailed"

# Of an XTrinodeCatalog (type Ready).
CATALOG_RENDERED = "CatalogRendered"

_LONGEST_MESSAGE = 32_768


def set_condition(
    conditions: Iterable[Mapping[str, Any]],
    type_: str,
    status: Status,
    reason: str,
    message: str,
    generation: int,
    now: datetime,
) -> list[dict[str, Any]]:
    """The list with this one condition as given; all others, and the order, as they were.

    `conditions` and the result are in wire form, as in `status.conditions`.
    """
    changed = list(map(dict, conditions))
    new: dict[str, Any] = {
        "type": type_,
        "status": status,
        "reason": reason,
        "message": message[:_LONGEST_MESSAGE],
        "lastTransitionTime": format_time(now),
        "observedGeneration": generation,
    }
    for index, old in enumerate(changed):
        if old.get("type") == type_:
            if old.get("status") == status and old.get("lastTransitionTime"):
                new["lastTransitionTime"] = old["lastTransitionTime"]
            changed[index] = new
            return changed
    changed.append(new)
    return changed


def find(conditions: Iterable[Mapping[str, Any]], type_: str) -> Mapping[str, Any] | None:
    """The condition of that type, if there is one."""
    return next((item for item in conditions if item.get("type") == type_), None)


def is_true(conditions: Iterable[Mapping[str, Any]], type_: str) -> bool:
    """Whether the condition is there and True."""
    found = find(conditions, type_)
    return found is not None and found.get("status") == "True"
