"""Conditions: the aspects of an object's state, each with a machine-readable reason.

The types and reasons that we publish are listed here; a name that others match on is part of the API.
`set_condition` is the only way to change the list: the time of the last transition moves when the
status flips, and only then, so that "not ready for ten minutes" can be read off it.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from enum import StrEnum
from typing import Literal

from crds.v1.status import Condition

Status = Literal["True", "False", "Unknown"]


class ConditionType(StrEnum):
    """Aspects of a runtime. A catalog has Ready only."""

    READY = "Ready"
    RECONCILING = "Reconciling"
    SUSPENDED = "Suspended"
    ERROR = "Error"
    TRINO_RESOURCES_READY = "TrinoResourcesReady"
    CATALOGS_READY = "CatalogsReady"
    GATEWAY_READY = "GatewayReady"
    SCHEDULING_READY = "SchedulingReady"
    KEDA_READY = "KEDAReady"


class Reason(StrEnum):
    """Why a condition has its status."""

    ALL_COMPONENTS_READY = "AllComponentsReady"
    RUNTIME_NOT_READY = "RuntimeNotReady"
    RECONCILING = "Reconciling"
    RECONCILED = "Reconciled"
    SUSPENDED = "Suspended"
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
    RESUME_FAILED = "ResumeFailed"
    CATALOG_INVALID = "CatalogInvalid"
    CATALOG_NAME_TAKEN = "CatalogNameTaken"
    REFERENCE_MISSING = "ReferenceMissing"
    SCHEDULING_READY = "SchedulingReady"
    SCHEDULING_BLOCKED = "SchedulingBlocked"
    KEDA_CONFIGURED = "KEDAConfigured"
    KEDA_DISABLED = "KEDADisabled"
    KEDA_PLATFORM_MISSING = "KEDAPlatformMissing"
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
    CATALOG_RENDERED = "CatalogRendered"
    CATALOGS_READY = "CatalogsReady"
    CATALOGS_NOT_READY = "CatalogsNotReady"


_LONGEST_MESSAGE = 32_768


def set_condition(
    conditions: Iterable[Condition],
    type_: str,
    status: Status,
    reason: str,
    message: str,
    generation: int,
    now: datetime,
) -> list[Condition]:
    """The list with this one condition as given; all others, and the order, as they were."""
    changed = list(conditions)
    place = next((index for index, old in enumerate(changed) if old.type == type_), None)
    # Whole seconds, as the API server keeps them: a condition that was read back compares equal.
    since = now.replace(microsecond=0)
    if place is not None and changed[place].status == status:
        since = changed[place].last_transition_time
    new = Condition(
        type=str(type_),
        status=status,
        reason=str(reason),
        message=message[:_LONGEST_MESSAGE],
        lastTransitionTime=since,
        observedGeneration=generation,
    )
    if place is None:
        return [*changed, new]
    changed[place] = new
    return changed


def find(conditions: Iterable[Condition], type_: str) -> Condition | None:
    """The condition of that type, if there is one."""
    return next((item for item in conditions if item.type == type_), None)


def is_true(conditions: Iterable[Condition], type_: str) -> bool:
    """Whether the condition is there and True."""
    found = find(conditions, type_)
    return found is not None and found.status == "True"
