"""The status of a pod, computed from what its containers do. Pure; the only place that shapes it.

The pod's worker keeps one `ContainerRecord` per container up to date and calls `pod_status` whenever one has
changed. The status is output only: the kubelet never decides from what it wrote, except after its own restart,
when `recovered` turns the last published status into records of containers whose processes are gone.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from sandbox.kubelet.objects import (
    Object,
    deleting,
    find_condition,
    parse_time,
    spec,
    status,
    timestamp,
)
from sandbox.kubelet.restarts import is_sidecar

HOST_IP = "127.0.0.1"
_OURS = ("PodReadyToStartContainers", "Initialized", "ContainersReady", "Ready", "PodScheduled")


@dataclass(frozen=True)
class Waiting:
    reason: str
    message: str = ""


@dataclass(frozen=True)
class Running:
    since: datetime


@dataclass(frozen=True)
class Terminated:
    exit_code: int
    reason: str
    started: datetime | None
    finished: datetime
    message: str = ""


State = Waiting | Running | Terminated


@dataclass(frozen=True)
class ContainerRecord:
    """One container's run so far. `ready` and `started` are what its probes say while it runs."""

    name: str
    image: str
    state: State = Waiting("ContainerCreating")
    last: Terminated | None = None
    restart_count: int = 0
    started: bool = False
    ready: bool = False
    container_id: str = ""

    def entry(self, is_init: bool, sidecar: bool = False) -> Object:
        """The record as an element of containerStatuses."""
        running = isinstance(self.state, Running)
        done = isinstance(self.state, Terminated) and self.state.exit_code == 0
        ready = done if is_init and not sidecar else running and self.ready
        found: Object = {
            "name": self.name,
            "image": self.image,
            "imageID": f"sandbox://{self.image}" if self.container_id else "",
            "ready": ready,
            "started": running and self.started,
            "restartCount": self.restart_count,
            "state": _state(self.state),
            "lastState": _state(self.last) if self.last else {},
        }
        if self.container_id:
            found["containerID"] = f"sandbox://{self.container_id}"
        return found


def _state(state: State) -> Object:
    if isinstance(state, Waiting):
        body: Object = {"reason": state.reason}
        if state.message:
            body["message"] = state.message
        return {"waiting": body}
    if isinstance(state, Running):
        return {"running": {"startedAt": timestamp(state.since)}}
    body = {
        "exitCode": state.exit_code,
        "reason": state.reason,
        "startedAt": timestamp(state.started) if state.started else None,
        "finishedAt": timestamp(state.finished),
    }
    if state.message:
        body["message"] = state.message
    if state.exit_code > 128:
        body["signal"] = state.exit_code - 128
    return {"terminated": body}


@dataclass(frozen=True)
class Refusal:
    """The pod failed as a whole; it will not run again."""

    reason: str
    message: str


def pod_status(
    pod: Object,
    init: Sequence[ContainerRecord],
    main: Sequence[ContainerRecord],
    pod_ip: str,
    now: datetime,
    refusal: Refusal | None = None,
) -> Object:
    """The whole status; `pod` is the latest known object, whose foreign conditions are kept."""
    sidecars = {str(item.get("name")) for item in spec(pod).get("initContainers") or [] if is_sidecar(item)}
    phase = "Failed" if refusal else _phase(pod, init, main, sidecars)
    result: Object = {
        "phase": phase,
        "hostIP": HOST_IP,
        "hostIPs": [{"ip": HOST_IP}],
        "qosClass": qos_class(pod),
        "startTime": status(pod).get("startTime") or timestamp(now),
        "conditions": _conditions(pod, phase, init, main, sidecars, pod_ip, now),
        "containerStatuses": [record.entry(False) for record in main],
    }
    if pod_ip:
        result["podIP"] = pod_ip
        result["podIPs"] = [{"ip": pod_ip}]
    if init:
        result["initContainerStatuses"] = [record.entry(True, record.name in sidecars) for record in init]
    if refusal:
        result["reason"] = refusal.reason
        result["message"] = refusal.message
    return result


def _phase(pod: Object, init: Sequence[ContainerRecord], main: Sequence[ContainerRecord], sidecars: set[str]) -> str:
    policy = spec(pod).get("restartPolicy") or "Always"
    leaving = deleting(pod)
    for record in init:
        if record.name in sidecars:
            continue
        if isinstance(record.state, Terminated):
            if record.state.exit_code == 0:
                continue
            if policy == "Never" or leaving:
                return "Failed"
        return "Pending"
    if any(isinstance(record.state, Waiting) and record.last is None for record in main):
        return "Pending"
    ended = [record.state for record in main if isinstance(record.state, Terminated)]
    if len(ended) < len(main) or (policy == "Always" and not leaving):
        return "Running"
    if all(state.exit_code == 0 for state in ended):
        return "Succeeded"
    return "Running" if policy == "OnFailure" and not leaving else "Failed"


def _conditions(
    pod: Object,
    phase: str,
    init: Sequence[ContainerRecord],
    main: Sequence[ContainerRecord],
    sidecars: set[str],
    pod_ip: str,
    now: datetime,
) -> list[Object]:
    finished = phase in ("Succeeded", "Failed")
    old = status(pod).get("conditions") or []
    uninitialized = [record.name for record in init if not _initialized(record, record.name in sidecars)]
    unready = [
        record.name
        for record in [*main, *(item for item in init if item.name in sidecars)]
        if not (isinstance(record.state, Running) and record.ready)
    ]
    over = ("PodCompleted", "") if phase == "Succeeded" else ("PodFailed", "")
    containers = over if finished else ("ContainersNotReady", _listed("containers with unready status", unready))
    gates = [
        str(gate.get("conditionType"))
        for gate in spec(pod).get("readinessGates") or []
        if (find_condition(old, str(gate.get("conditionType"))) or {}).get("status") != "True"
    ]
    ready_text = containers
    if not unready and not finished:
        text = ", ".join(f'corresponding condition of pod readiness gate "{gate}" does not exist.' for gate in gates)
        ready_text = ("ReadinessGatesNotReady", text)
    init_text = (
        over
        if phase == "Failed"
        else (
            "ContainersNotInitialized",
            _listed("containers with incomplete status", uninitialized),
        )
    )
    all_ready = not unready and not finished
    wanted: list[tuple[str, bool, tuple[str, str]]] = [
        ("PodReadyToStartContainers", bool(pod_ip) and not finished, ("", "")),
        ("Initialized", not uninitialized, init_text),
        ("Ready", all_ready and not gates, ready_text),
        ("ContainersReady", all_ready, containers),
        ("PodScheduled", True, ("", "")),
    ]
    return [_condition(old, kind, value, why, now) for kind, value, why in wanted] + [
        dict(item) for item in old if item.get("type") not in _OURS
    ]


def _initialized(record: ContainerRecord, sidecar: bool) -> bool:
    if sidecar:
        return record.started
    return isinstance(record.state, Terminated) and record.state.exit_code == 0


def _listed(text: str, names: Sequence[str]) -> str:
    return f"{text}: [{' '.join(names)}]"


def _condition(old: Sequence[Mapping[str, Any]], kind: str, value: bool, why: tuple[str, str], now: datetime) -> Object:
    before = find_condition(old, kind)
    text = "True" if value else "False"
    same = before is not None and before.get("status") == text
    found: Object = {
        "type": kind,
        "status": text,
        "lastProbeTime": None,
        "lastTransitionTime": before.get("lastTransitionTime") if same and before else timestamp(now),
    }
    if not value:
        reason, message = why
        if reason:
            found["reason"] = reason
        if message:
            found["message"] = message
    return found


def qos_class(pod: Object) -> str:
    """Guaranteed, Burstable or BestEffort, from requests and limits of all containers."""
    some = False
    guaranteed = True
    for container in [*(spec(pod).get("containers") or []), *(spec(pod).get("initContainers") or [])]:
        resources = container.get("resources") or {}
        limits = resources.get("limits") or {}
        requests = resources.get("requests") or {}
        some = some or bool(limits or requests)
        for name in ("cpu", "memory"):
            if name not in limits or requests.get(name, limits[name]) != limits[name]:
                guaranteed = False
    if not some:
        return "BestEffort"
    return "Guaranteed" if guaranteed else "Burstable"


def ready_at_start(container: Mapping[str, Any]) -> bool:
    """A container without a readiness probe is ready as soon as it has started."""
    return not container.get("readinessProbe")


def new_record(container: Mapping[str, Any], is_init: bool, has_init: bool) -> ContainerRecord:
    reason = "PodInitializing" if has_init and not is_init else "ContainerCreating"
    return ContainerRecord(str(container.get("name")), str(container.get("image") or ""), Waiting(reason))


def recovered(record: ContainerRecord, pod: Object, is_init: bool, now: datetime) -> ContainerRecord:
    """The record of a container of which an earlier kubelet published a status; its process is gone.

    A run that was going on counts as ended (the process died with the kubelet), so the next one is a restart.
    An init container that had finished stays finished.
    """
    field = "initContainerStatuses" if is_init else "containerStatuses"
    entry = find_named(status(pod).get(field) or [], record.name)
    if entry is None:
        return record
    record = replace(record, restart_count=int(entry.get("restartCount") or 0))
    state = entry.get("state") or {}
    last = _read_terminated((entry.get("lastState") or {}).get("terminated"))
    ended = _read_terminated(state.get("terminated"))
    if ended is not None:
        return replace(record, state=ended, last=last, container_id=_identity(entry))
    if state.get("running"):
        began = parse_time(state["running"].get("startedAt"))
        died = Terminated(137, "Error", began, now, "the process ended together with the kubelet")
        return replace(record, state=died, last=died, container_id=_identity(entry))
    return replace(record, last=last)


def find_named(entries: Sequence[Mapping[str, Any]], name: str) -> Mapping[str, Any] | None:
    return next((item for item in entries if item.get("name") == name), None)


def _identity(entry: Mapping[str, Any]) -> str:
    return str(entry.get("containerID") or "").removeprefix("sandbox://")


def _read_terminated(body: Mapping[str, Any] | None) -> Terminated | None:
    if not body:
        return None
    finished = parse_time(body.get("finishedAt"))
    if finished is None:
        return None
    return Terminated(
        int(body.get("exitCode") or 0),
        str(body.get("reason") or ""),
        parse_time(body.get("startedAt")),
        finished,
        str(body.get("message") or ""),
    )
