"""Kubernetes' objects, read as facts.

Called at the caches' edge for every Deployment, pod and EndpointSlice that arrives, so that the objects themselves
need not be kept. They are read leniently; a field that is not there yet means that nothing was observed.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

from controller.actions import HELD_REPLICAS
from controller.observed import Endpoint, Pod, Role, Workload
from controller.render.pods import CONTAINER, ROLLOUT_HASH
from controller.render.services import HTTP_PORT
from crds.v1 import meta
from crds.v1.meta import parse_time

Object = Mapping[str, Any]

#: Waiting reasons that pass by themselves.
_BENIGN = frozenset({"ContainerCreating", "PodInitializing"})
_TEXT_LIMIT = 300


def read_workload(obj: Object, role: Role) -> Workload:
    metadata, spec, status = obj["metadata"], obj.get("spec") or {}, obj.get("status") or {}
    annotations = metadata.get("annotations") or {}
    template = (spec.get("template") or {}).get("metadata") or {}
    return Workload(
        generation=metadata.get("generation") or 0,
        observed_generation=status.get("observedGeneration") or 0,
        wanted=1 if spec.get("replicas") is None else int(spec["replicas"]),
        held=read_count(annotations.get(HELD_REPLICAS)),
        total=status.get("replicas") or 0,
        updated=status.get("updatedReplicas") or 0,
        ready=status.get("readyReplicas") or 0,
        available=status.get("availableReplicas") or 0,
        rollout=(template.get("annotations") or {}).get(ROLLOUT_HASH[role], ""),
        blocked=_blocked(status),
    )


def read_count(text: str | None) -> int | None:
    """A number of pods in an annotation. Anybody may have written there whatever they like."""
    return int(text) if text is not None and text.isascii() and text.isdigit() and len(text) < 6 else None


def _blocked(status: Mapping[str, Any]) -> str:
    for condition in status.get("conditions") or ():
        failed = condition.get("type") == "ReplicaFailure" and condition.get("status") == "True"
        stuck = condition.get("type") == "Progressing" and condition.get("status") == "False"
        if failed or stuck:
            return str(condition.get("message") or condition.get("reason") or "it makes no progress")[:_TEXT_LIMIT]
    return ""


def read_pod(obj: Object) -> Pod:
    metadata, status = obj["metadata"], obj.get("status") or {}
    component = (metadata.get("labels") or {}).get(meta.COMPONENT_LABEL)
    role = Role.COORDINATOR if component == Role.COORDINATOR else Role.WORKER
    conditions = {condition.get("type"): condition for condition in status.get("conditions") or ()}
    ready = (conditions.get("Ready") or {}).get("status") == "True"
    return Pod(
        name=metadata["name"],
        role=role,
        ready=ready,
        came_up=ready or any(_came_up(container) for container in status.get("containerStatuses") or ()),
        terminating=bool(metadata.get("deletionTimestamp")),
        trouble=_trouble(status, conditions),
        started=_usable_since(status, conditions) if ready else _moment(status.get("startTime")),
    )


def _usable_since(status: Mapping[str, Any], conditions: Mapping[Any, Mapping[str, Any]]) -> datetime | None:
    """A server may take longer to start than it may be idle: nobody could use it before it was ready."""
    moments = (_moment(status.get("startTime")), _moment(conditions["Ready"].get("lastTransitionTime")))
    return max((moment for moment in moments if moment is not None), default=None)


def _came_up(container: Mapping[str, Any]) -> bool:
    running = "running" in (container.get("state") or {})
    return container.get("name") == CONTAINER and container.get("started") is True and running


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


def read_endpoints(obj: Object) -> tuple[Endpoint, ...]:
    """The addresses of one EndpointSlice of a coordinator's Service."""
    for entry in obj.get("ports") or ():
        if entry.get("name") in (HTTP_PORT, None, "") and isinstance(entry.get("port"), int):
            port = entry["port"]
            break
    else:
        return ()
    return tuple(
        Endpoint(address, port, (endpoint.get("conditions") or {}).get("ready") is not False)
        for endpoint in obj.get("endpoints") or ()
        for address in endpoint.get("addresses") or ()
    )


def merged(slices: Iterable[tuple[Endpoint, ...]]) -> tuple[Endpoint, ...]:
    """The addresses of several slices, each once, the ready ones first."""
    found: dict[tuple[str, int], bool] = {}
    for one in slices:
        for endpoint in one:
            place = (endpoint.address, endpoint.port)
            found[place] = found.get(place, False) or endpoint.ready
    return tuple(
        Endpoint(address, port, ready)
        for (address, port), ready in sorted(found.items(), key=lambda item: (not item[1], item[0]))
    )
