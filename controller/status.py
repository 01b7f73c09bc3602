"""The status of a runtime, as output: from what the plan found to phase, conditions and clocks.

Nothing is decided here, and nothing that is written here is read back to decide, except clocks (since when a drain
waits, when a query was last seen, how long a wake lasts) and the phase that was shown before, which only chooses
the next word to show. One status is computed per look and written at most once, and only when it differs.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any

from controller.observed import Role
from controller.render.metadata import selector
from crds.v1.conditions import ConditionType, Reason, Status, set_condition
from crds.v1.lifecycle import Phase, RouteState, allowed
from crds.v1.meta import format_time, to_dict
from crds.v1.names import coordinator_url
from crds.v1.runtime_shape import RuntimeShape
from crds.v1.xtrinode import Condition, XTrinode

_MESSAGE_LIMIT = 1000


class Situation(StrEnum):
    """What a look at a runtime found, in one word."""

    ABSENT = "absent"
    """Wanted, and none of its pods can be made yet."""
    STARTING = "starting"
    """Pods are on their way, or being replaced."""
    READY = "ready"
    SUSPENDING = "suspending"
    """Shall sleep: drains, or its pods are going."""
    SUSPENDED = "suspended"
    FAILED = "failed"
    """Cannot go on until somebody changes something."""
    DELETING = "deleting"


@dataclass(frozen=True, slots=True)
class Report:
    """What the plan tells the world. `reason` is the Ready condition's, `message` one sentence for people."""

    situation: Situation
    reason: Reason
    message: str
    shape: RuntimeShape | None = None
    rollout: Mapping[Role, str] = field(default_factory=dict)
    applied: bool = True
    catalogs: tuple[str, ...] = ()
    catalog_problems: tuple[str, ...] = ()
    blocked: str = ""
    """Why pods cannot be placed or started."""
    published: RouteState | None = None
    conflicts: tuple[str, ...] = ()
    """Selectors of the route that belong to another runtime."""
    route_problem: str = ""
    """Why the route could not be published."""
    autoscaler: str = ""
    """Why nobody scales the workers although somebody should."""
    workers: int = 0
    drain_started: datetime | None = None
    last_activity: datetime | None = None
    wake: tuple[int, datetime] | None = None


_PHASES = {
    Situation.READY: Phase.READY,
    Situation.SUSPENDING: Phase.SUSPENDING,
    Situation.SUSPENDED: Phase.SUSPENDED,
    Situation.FAILED: Phase.ERROR,
}
_ASLEEP = frozenset({Phase.SUSPENDED, Phase.SUSPENDING, Phase.RESUMING})


def wanted_phase(old: Phase | None, situation: Situation) -> Phase:
    """The phase that a situation is shown as."""
    if situation in _PHASES:
        return _PHASES[situation]
    if situation is Situation.DELETING:
        return old or Phase.PENDING
    if old in _ASLEEP:
        return Phase.RESUMING
    return Phase.PENDING if situation is Situation.ABSENT and old in (None, Phase.PENDING) else Phase.RECONCILING


def next_phase(old: Phase | None, wanted: Phase) -> Phase:
    """One allowed move towards `wanted`: the table has no shortcut from Ready to Suspended, for watchers count on
    seeing the way."""
    if allowed(old, wanted):
        return wanted
    assert old is not None  # everything is allowed to what has no phase
    if old is Phase.SUSPENDED and wanted is Phase.SUSPENDING:
        return old  # a stray pod while asleep is put away without waking anybody
    steps = (Phase.SUSPENDING, Phase.RESUMING, Phase.RECONCILING)
    return next((step for step in steps if allowed(old, step) and allowed(step, wanted)), old)


def shown_phase(x: XTrinode) -> Phase | None:
    return Phase(x.status.phase) if x.status.phase else None


def build_status(x: XTrinode, report: Report, now: datetime) -> dict[str, Any]:
    """The whole status. What this look could not find out (no shape: an invalid spec) keeps its last value."""
    old = shown_phase(x)
    status: dict[str, Any] = {
        "phase": next_phase(old, wanted_phase(old, report.situation)).value,
        "message": report.message[:_MESSAGE_LIMIT],
        "workers": report.workers,
        "selector": ",".join(f"{key}={value}" for key, value in selector(x.metadata.name, Role.WORKER).items()),
        "conditions": _conditions(x, report, now),
    }
    if report.applied:
        status["observedGeneration"] = x.metadata.generation
    elif x.status.observed_generation is not None:
        status["observedGeneration"] = x.status.observed_generation
    shape = report.shape
    if shape is not None:
        status["coordinatorURL"] = coordinator_url(shape.name, shape.namespace, shape.service.port)
        status["currentRevision"] = shape.hash
        status["observedRuntimeShape"] = shape.to_status()
        status["observedCatalogs"] = list(report.catalogs)
        for role, key in ((Role.COORDINATOR, "coordinatorRolloutHash"), (Role.WORKER, "workerRolloutHash")):
            if role in report.rollout:
                status[key] = report.rollout[role]
    else:
        kept = to_dict(x.status)
        for key in (
            "coordinatorURL",
            "currentRevision",
            "observedRuntimeShape",
            "observedCatalogs",
            "coordinatorRolloutHash",
            "workerRolloutHash",
        ):
            if key in kept:
                status[key] = kept[key]
    if report.drain_started is not None:
        status["drainStartedAt"] = format_time(report.drain_started)
    if report.last_activity is not None:
        status["lastActivity"] = format_time(report.last_activity)
    if report.wake is not None:
        floor, until = report.wake
        status["wake"] = {"minWorkers": floor, "expiresAt": format_time(until)}
    return status


def failed_status(
    x: XTrinode, status: Mapping[str, Any], reason: Reason, message: str, now: datetime
) -> dict[str, Any]:
    """The status when performing the plan failed on the way: the rest of it stays as planned."""
    old = shown_phase(x)
    conditions = [Condition.model_validate(entry) for entry in status["conditions"]]
    values: tuple[tuple[ConditionType, Status], ...] = (
        (ConditionType.READY, "False"),
        (ConditionType.ERROR, "True"),
        (ConditionType.TRINO_RESOURCES_READY, "False"),
    )
    for kind, value in values:
        conditions = list(set_condition(conditions, kind, value, reason, message, x.metadata.generation, now))
    failed = {
        **status,
        "phase": next_phase(old, Phase.ERROR).value,
        "message": message[:_MESSAGE_LIMIT],
        "conditions": [to_dict(condition) for condition in conditions],
    }
    failed.pop("observedGeneration", None)
    if x.status.observed_generation is not None:
        failed["observedGeneration"] = x.status.observed_generation
    return failed


def status_patch(old: Mapping[str, Any], new: Mapping[str, Any]) -> dict[str, Any] | None:
    """The JSON merge patch from one status to the other, None when they are equal. Lists are replaced whole."""
    patch: dict[str, Any] = {}
    for key in old.keys() | new.keys():
        before, after = old.get(key), new.get(key)
        if before == after:
            continue
        if isinstance(before, Mapping) and isinstance(after, Mapping):
            patch[key] = status_patch(before, after)
        else:
            patch[key] = after
    return dict(sorted(patch.items())) or None


def _conditions(x: XTrinode, report: Report, now: datetime) -> list[dict[str, Any]]:
    conditions = list(x.status.conditions)

    def put(kind: ConditionType, status: bool, reason: Reason, message: str) -> None:
        nonlocal conditions
        conditions = list(
            set_condition(conditions, kind, "True" if status else "False", reason, message, x.metadata.generation, now)
        )

    situation, message = report.situation, report.message
    put(ConditionType.READY, situation is Situation.READY, report.reason, message)
    busy = situation in (Situation.ABSENT, Situation.STARTING, Situation.SUSPENDING, Situation.DELETING)
    put(ConditionType.RECONCILING, busy, Reason.RECONCILING if busy else Reason.RECONCILED, message if busy else "")
    asleep = situation is Situation.SUSPENDED
    put(
        ConditionType.SUSPENDED,
        asleep,
        report.reason if asleep or situation is Situation.SUSPENDING else Reason.NOT_SUSPENDED,
        message if asleep or situation is Situation.SUSPENDING else "",
    )
    failed = situation is Situation.FAILED
    put(ConditionType.ERROR, failed, report.reason if failed else Reason.NO_ERROR, message if failed else "")
    put(
        ConditionType.TRINO_RESOURCES_READY,
        report.applied,
        Reason.RESOURCES_APPLIED if report.applied else report.reason,
        "" if report.applied else message,
    )
    running = report.published is RouteState.RUNNING
    if report.conflicts:
        put(ConditionType.GATEWAY_READY, False, Reason.ROUTE_CONFLICT, "; ".join(report.conflicts))
    elif report.route_problem:
        put(ConditionType.GATEWAY_READY, False, Reason.GATEWAY_REGISTRATION_FAILED, report.route_problem)
    else:
        put(
            ConditionType.GATEWAY_READY,
            running,
            Reason.GATEWAY_REGISTERED if running else Reason.RUNTIME_NOT_READY,
            # The same for all states in which it takes nothing: their order is not worth a write each.
            "the gateway's route is RUNNING" if running else "the gateway sends no new queries here",
        )
    if report.shape is not None:
        wanted = report.shape.workers.keda is not None
        put(
            ConditionType.KEDA_READY,
            wanted and not report.autoscaler,
            Reason.KEDA_PLATFORM_MISSING if report.autoscaler else Reason.KEDA_DISABLED,
            report.autoscaler,
        )
    put(
        ConditionType.CATALOGS_READY,
        not report.catalog_problems,
        Reason.CATALOGS_READY if not report.catalog_problems else Reason.CATALOGS_NOT_READY,
        "; ".join(report.catalog_problems),
    )
    put(
        ConditionType.SCHEDULING_READY,
        not report.blocked,
        Reason.SCHEDULING_READY if not report.blocked else Reason.SCHEDULING_BLOCKED,
        report.blocked,
    )
    return [to_dict(condition) for condition in conditions]


def told_differently(x: XTrinode, status: Mapping[str, Any]) -> bool:
    """Whether the Ready condition now says something else than the last written one: worth an Event."""
    before = next((c for c in x.status.conditions if c.type == ConditionType.READY), None)
    after = next((c for c in status["conditions"] if c["type"] == ConditionType.READY), None)
    if before is None or after is None:
        return before is not after
    return (before.status, before.reason) != (after["status"], after["reason"])
