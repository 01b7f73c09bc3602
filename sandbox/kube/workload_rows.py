"""Rows of `kubectl get` for workloads and what holds them: Pods, their owners, budgets, autoscalers, Nodes.

Columns and words are those that kubectl shows for a real cluster. Pure.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any, Final

from crds.v1.ages import age_text
from sandbox.kube import selectors
from sandbox.kube.cells import age_of, columns, count, get, images_of, joined, name_of
from sandbox.kube.printing import NONE, UNKNOWN, Cells, age
from sandbox.kube.resources import Column

Object = dict[str, Any]


def _workload_tail(obj: Object, *path: str) -> list[Any]:
    """Containers, images and selector, as the wide form of every workload ends."""
    names, images = images_of(get(obj, *path, "template", "spec"))
    return [names, images, selectors.format_spec(get(obj, *path, "selector")) or NONE]


def _stamp(text: Any) -> float | None:
    try:
        return datetime.fromisoformat(text).timestamp() if isinstance(text, str) else None
    except (ValueError, OverflowError):
        return None


def _pod_reason(obj: Object) -> tuple[str, int, int, float]:
    """STATUS, how many containers are ready, restarts, and when the last one was."""
    status = obj.get("status") or {}
    reason = status.get("reason") or status.get("phase") or "Unknown"
    restarts, ready = 0, 0
    for container in status.get("containerStatuses") or ():
        restarts += int(container.get("restartCount") or 0)
        state = container.get("state") or {}
        waiting, ended = state.get("waiting") or {}, state.get("terminated")
        if waiting.get("reason"):
            reason = waiting["reason"]
        elif ended is not None:
            reason = ended.get("reason") or f"ExitCode:{ended.get('exitCode', 0)}"
            if ended.get("signal"):
                reason = ended.get("reason") or f"Signal:{ended['signal']}"
        ready += container.get("ready") is True and "running" in state
    if obj["metadata"].get("deletionTimestamp"):
        reason = "Terminating"
    return str(reason), ready, restarts, _last_restart(status)


def _last_restart(status: Object) -> float:
    ended = [
        _stamp(get(container, "lastState", "terminated", "finishedAt"))
        for container in status.get("containerStatuses") or ()
    ]
    return max((stamp for stamp in ended if stamp is not None), default=0.0)


def _pod(obj: Object, now: float) -> list[Any]:
    reason, ready, restarts, last = _pod_reason(obj)
    spec, status = obj.get("spec") or {}, obj.get("status") or {}
    shown: Any = f"{restarts} ({age_text(now - last)} ago)" if restarts and last else str(restarts)
    gates = spec.get("readinessGates") or ()
    met = {c.get("type") for c in status.get("conditions") or () if c.get("status") == "True"}
    passed = sum(gate.get("conditionType") in met for gate in gates)
    return [
        name_of(obj),
        f"{ready}/{len(spec.get('containers') or ())}",
        reason,
        shown,
        age_of(obj, now),
        status.get("podIP") or NONE,
        spec.get("nodeName") or NONE,
        status.get("nominatedNodeName") or NONE,
        f"{passed}/{len(gates)}" if gates else NONE,
    ]


def _deployment(obj: Object, now: float) -> list[Any]:
    return [
        name_of(obj),
        f"{count(obj, 'status', 'readyReplicas')}/{count(obj, 'spec', 'replicas')}",
        count(obj, "status", "updatedReplicas"),
        count(obj, "status", "availableReplicas"),
        age_of(obj, now),
        *_workload_tail(obj, "spec"),
    ]


def _replica_set(obj: Object, now: float) -> list[Any]:
    counts = [count(obj, "spec", "replicas"), count(obj, "status", "replicas"), count(obj, "status", "readyReplicas")]
    return [name_of(obj), *counts, age_of(obj, now), *_workload_tail(obj, "spec")]


def _stateful_set(obj: Object, now: float) -> list[Any]:
    ready = f"{count(obj, 'status', 'readyReplicas')}/{count(obj, 'spec', 'replicas')}"
    return [name_of(obj), ready, age_of(obj, now), *_workload_tail(obj, "spec")[:2]]


def _daemon_set(obj: Object, now: float) -> list[Any]:
    counts = (
        *("desiredNumberScheduled", "currentNumberScheduled", "numberReady", "updatedNumberScheduled"),
        "numberAvailable",
    )
    chosen = joined(f"{k}={v}" for k, v in (get(obj, "spec", "template", "spec", "nodeSelector") or {}).items())
    shown = [count(obj, "status", key) for key in counts]
    return [name_of(obj), *shown, chosen, age_of(obj, now), *_workload_tail(obj, "spec")]


def _job(obj: Object, now: float) -> list[Any]:
    status = obj.get("status") or {}
    met = [c.get("type") for c in status.get("conditions") or () if c.get("status") == "True"]
    state = next((each for each in met if each in ("Complete", "Failed", "Suspended")), "Running")
    wanted, workers = get(obj, "spec", "completions"), count(obj, "spec", "parallelism")
    done = f"{count(obj, 'status', 'succeeded')}/{wanted if wanted is not None else 1}"
    if wanted is None and workers > 1:
        done += f" of {workers}"
    started, ended = _stamp(status.get("startTime")), _stamp(status.get("completionTime"))
    took = age_text((ended if ended is not None else now) - started) if started is not None else ""
    return [name_of(obj), state, done, took, age_of(obj, now), *_workload_tail(obj, "spec")]


def _cron_job(obj: Object, now: float) -> list[Any]:
    spec = obj.get("spec") or {}
    last = get(obj, "status", "lastScheduleTime")
    running = get(obj, "status", "active")
    return [
        name_of(obj),
        spec.get("schedule"),
        spec.get("timeZone") or NONE,
        str(bool(spec.get("suspend"))),
        len(running) if isinstance(running, list) else 0,
        age(last, now) if last else NONE,
        age_of(obj, now),
        *_workload_tail(obj, "spec", "jobTemplate", "spec"),
    ]


def _revision(obj: Object, now: float) -> list[Any]:
    owners = obj["metadata"].get("ownerReferences") or ()
    owner = next((f"{o.get('kind', '').lower()}/{o.get('name')}" for o in owners if o.get("controller")), NONE)
    return [name_of(obj), owner, str(obj.get("revision")), age_of(obj, now)]


def _budget(obj: Object, now: float) -> list[Any]:
    spec = obj.get("spec") or {}
    allowed = count(obj, "status", "disruptionsAllowed")
    low, high = spec.get("minAvailable", "N/A"), spec.get("maxUnavailable", "N/A")
    return [name_of(obj), str(low), str(high), allowed, age_of(obj, now)]


def _targets(obj: Object) -> str:
    """What is wanted of each metric, and what is measured as far as it is known."""
    measured = {
        get(each, "resource", "name"): get(each, "resource", "current", "averageUtilization")
        for each in get(obj, "status", "currentMetrics") or ()
    }
    shown = []
    for metric in get(obj, "spec", "metrics") or ():
        name, wanted = get(metric, "resource", "name"), get(metric, "resource", "target", "averageUtilization")
        if wanted is None:
            shown.append("<unknown>")
        else:
            now = measured.get(name)
            shown.append(f"{name}: {'<unknown>' if now is None else f'{now}%'}/{wanted}%")
    return ", ".join(shown) or UNKNOWN


def _autoscaler(obj: Object, now: float) -> list[Any]:
    spec = obj.get("spec") or {}
    target = spec.get("scaleTargetRef") or {}
    least = spec.get("minReplicas")
    return [
        name_of(obj),
        f"{target.get('kind')}/{target.get('name')}",
        _targets(obj),
        str(least) if least is not None else "<unset>",
        spec.get("maxReplicas"),
        count(obj, "status", "currentReplicas"),
        age_of(obj, now),
    ]


def _node(obj: Object, now: float) -> list[Any]:
    conditions = {c.get("type"): c.get("status") for c in get(obj, "status", "conditions") or ()}
    state = {"True": "Ready", "False": "NotReady"}.get(str(conditions.get("Ready")), "Unknown")
    if get(obj, "spec", "unschedulable"):
        state += ",SchedulingDisabled"
    prefix = "node-role.kubernetes.io/"
    roles = [key.removeprefix(prefix) for key in obj["metadata"].get("labels") or () if key.startswith(prefix)]
    info = get(obj, "status", "nodeInfo") or {}
    found = {a.get("type"): a.get("address") for a in get(obj, "status", "addresses") or ()}
    return [
        name_of(obj),
        state,
        joined(sorted(roles)),
        age_of(obj, now),
        info.get("kubeletVersion", ""),
        found.get("InternalIP") or NONE,
        found.get("ExternalIP") or NONE,
        info.get("osImage") or UNKNOWN,
        info.get("kernelVersion") or UNKNOWN,
        info.get("containerRuntimeVersion") or UNKNOWN,
    ]


_TAIL: Final = "wide:Containers wide:Images wide:Selector"

WORKLOAD_ROWS: Final[dict[str, tuple[tuple[Column, ...], Cells]]] = {
    "Pod": (
        columns("Name Ready Status Restarts Age wide:IP wide:Node wide:Nominated_Node wide:Readiness_Gates"),
        _pod,
    ),
    "Deployment": (columns(f"Name Ready Up-to-date Available Age {_TAIL}"), _deployment),
    "ReplicaSet": (columns(f"Name Desired!integer Current!integer Ready!integer Age {_TAIL}"), _replica_set),
    "StatefulSet": (columns("Name Ready Age wide:Containers wide:Images"), _stateful_set),
    "DaemonSet": (
        columns(
            "Name Desired!integer Current!integer Ready!integer Up-to-date!integer Available!integer "
            f"Node_Selector Age {_TAIL}"
        ),
        _daemon_set,
    ),
    "ControllerRevision": (columns("Name Controller Revision Age"), _revision),
    "Job": (columns(f"Name Status Completions Duration Age {_TAIL}"), _job),
    "CronJob": (
        columns(f"Name Schedule Timezone Suspend!boolean Active!integer Last_Schedule Age {_TAIL}"),
        _cron_job,
    ),
    "PodDisruptionBudget": (columns("Name Min_Available Max_Unavailable Allowed_Disruptions!integer Age"), _budget),
    "HorizontalPodAutoscaler": (columns("Name Reference Targets MinPods MaxPods Replicas Age"), _autoscaler),
    "Node": (
        columns(
            "Name Status Roles Age Version wide:Internal-IP wide:External-IP wide:OS-Image "
            "wide:Kernel-Version wide:Container-Runtime"
        ),
        _node,
    ),
}
