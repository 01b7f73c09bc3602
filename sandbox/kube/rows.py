"""Rows of `kubectl get` for the built-in kinds: `ROWS` maps a kind to its columns and to the function of its cells.

Columns and words are those that kubectl shows for a real cluster. Objects may lack anything: a row is never an
error. Pure.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Any, Final

from crds.v1.ages import age_text
from sandbox.kube import selectors
from sandbox.kube.printing import NONE, UNKNOWN, Cells, age
from sandbox.kube.resources import Column

Object = dict[str, Any]


def _age(obj: Object, now: float) -> str:
    return age(obj["metadata"].get("creationTimestamp"), now)


def _name(obj: Object) -> str:
    return str(obj["metadata"].get("name", ""))


def _get(obj: Any, *path: str) -> Any:
    for key in path:
        obj = obj.get(key) if isinstance(obj, dict) else None
    return obj


def _count(obj: Object, *path: str) -> int:
    value = _get(obj, *path)
    return value if isinstance(value, int) else 0


def _joined(values: Iterable[Any]) -> str:
    return ",".join(str(value) for value in values) or NONE


def _images(spec: Any) -> tuple[str, str]:
    containers = _get(spec, "containers") or []
    return _joined(c.get("name", "") for c in containers), _joined(c.get("image", "") for c in containers)


def _namespace(obj: Object, now: float) -> list[Any]:
    return [_name(obj), _get(obj, "status", "phase"), _age(obj, now)]


def _config_map(obj: Object, now: float) -> list[Any]:
    return [_name(obj), len(obj.get("data") or ()) + len(obj.get("binaryData") or ()), _age(obj, now)]


def _secret(obj: Object, now: float) -> list[Any]:
    return [_name(obj), obj.get("type"), len(obj.get("data") or ()), _age(obj, now)]


def _service(obj: Object, now: float) -> list[Any]:
    spec = obj.get("spec") or {}
    ports = []
    for port in spec.get("ports") or ():
        node = f":{port['nodePort']}" if port.get("nodePort") else ""
        ports.append(f"{port.get('port')}{node}/{port.get('protocol', 'TCP')}")
    ingress = _get(obj, "status", "loadBalancer", "ingress") or []
    external = [*(spec.get("externalIPs") or ()), *(each.get("ip") or each.get("hostname") for each in ingress)]
    if spec.get("type") == "ExternalName":
        external = [spec.get("externalName")]
    outside = _joined(external) if external else "<pending>" if spec.get("type") == "LoadBalancer" else NONE
    chosen = _joined(f"{key}={value}" for key, value in sorted((spec.get("selector") or {}).items()))
    address = spec.get("clusterIP") or NONE
    return [_name(obj), spec.get("type"), address, outside, _joined(ports), _age(obj, now), chosen]


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
        _get(container, "lastState", "terminated", "finishedAt") for container in status.get("containerStatuses") or ()
    ]
    stamps = [stamp for stamp in ended if isinstance(stamp, str)]
    try:
        return max((datetime.fromisoformat(stamp).timestamp() for stamp in stamps), default=0.0)
    except ValueError:
        return 0.0


def _pod(obj: Object, now: float) -> list[Any]:
    reason, ready, restarts, last = _pod_reason(obj)
    spec, status = obj.get("spec") or {}, obj.get("status") or {}
    shown: Any = f"{restarts} ({age_text(now - last)} ago)" if restarts and last else str(restarts)
    gates = spec.get("readinessGates") or ()
    met = {c.get("type") for c in status.get("conditions") or () if c.get("status") == "True"}
    passed = sum(gate.get("conditionType") in met for gate in gates)
    return [
        _name(obj),
        f"{ready}/{len(spec.get('containers') or ())}",
        reason,
        shown,
        _age(obj, now),
        status.get("podIP") or NONE,
        spec.get("nodeName") or NONE,
        status.get("nominatedNodeName") or NONE,
        f"{passed}/{len(gates)}" if gates else NONE,
    ]


def _deployment(obj: Object, now: float) -> list[Any]:
    names, images = _images(_get(obj, "spec", "template", "spec"))
    return [
        _name(obj),
        f"{_count(obj, 'status', 'readyReplicas')}/{_count(obj, 'spec', 'replicas')}",
        _count(obj, "status", "updatedReplicas"),
        _count(obj, "status", "availableReplicas"),
        _age(obj, now),
        names,
        images,
        selectors.format_spec(_get(obj, "spec", "selector")) or NONE,
    ]


def _replica_set(obj: Object, now: float) -> list[Any]:
    names, images = _images(_get(obj, "spec", "template", "spec"))
    return [
        _name(obj),
        _count(obj, "spec", "replicas"),
        _count(obj, "status", "replicas"),
        _count(obj, "status", "readyReplicas"),
        _age(obj, now),
        names,
        images,
        selectors.format_spec(_get(obj, "spec", "selector")) or NONE,
    ]


def _stateful_set(obj: Object, now: float) -> list[Any]:
    names, images = _images(_get(obj, "spec", "template", "spec"))
    ready = f"{_count(obj, 'status', 'readyReplicas')}/{_count(obj, 'spec', 'replicas')}"
    return [_name(obj), ready, _age(obj, now), names, images]


def _job(obj: Object, now: float) -> list[Any]:
    status = obj.get("status") or {}
    met = [c.get("type") for c in status.get("conditions") or () if c.get("status") == "True"]
    state = next((each for each in met if each in ("Complete", "Failed", "Suspended")), "Running")
    wanted = _get(obj, "spec", "completions")
    done = f"{_count(obj, 'status', 'succeeded')}/{wanted if wanted is not None else 1}"
    started, ended = status.get("startTime"), status.get("completionTime")
    took = ""
    if started:
        end = datetime.fromisoformat(ended).timestamp() if ended else now
        took = age_text(end - datetime.fromisoformat(started).timestamp())
    return [_name(obj), state, done, took, _age(obj, now)]


def _budget(obj: Object, now: float) -> list[Any]:
    spec = obj.get("spec") or {}
    allowed = _count(obj, "status", "disruptionsAllowed")
    low, high = spec.get("minAvailable", "N/A"), spec.get("maxUnavailable", "N/A")
    return [_name(obj), str(low), str(high), allowed, _age(obj, now)]


def _autoscaler(obj: Object, now: float) -> list[Any]:
    spec = obj.get("spec") or {}
    target = spec.get("scaleTargetRef") or {}
    least = spec.get("minReplicas")
    return [
        _name(obj),
        f"{target.get('kind')}/{target.get('name')}",
        "<unknown>",
        str(least) if least is not None else "<unset>",
        spec.get("maxReplicas"),
        _count(obj, "status", "currentReplicas"),
        _age(obj, now),
    ]


def _event(obj: Object, now: float) -> list[Any]:
    about = obj.get("involvedObject") or {}
    first = obj.get("firstTimestamp") or obj.get("eventTime")
    last = _get(obj, "series", "lastObservedTime") or obj.get("lastTimestamp") or first
    count = _get(obj, "series", "count") or obj.get("count") or 1
    source = _get(obj, "source", "component") or obj.get("reportingComponent") or ""
    host = _get(obj, "source", "host") or obj.get("reportingInstance") or ""
    seen = age(last or obj["metadata"].get("creationTimestamp"), now)
    return [
        seen,
        obj.get("type"),
        obj.get("reason"),
        f"{str(about.get('kind', '')).lower()}/{about.get('name', '')}",
        about.get("fieldPath") or "",
        f"{source}, {host}" if host else source,
        str(obj.get("message") or "").strip(),
        age(first or obj["metadata"].get("creationTimestamp"), now),
        count,
        _name(obj),
    ]


def _node(obj: Object, now: float) -> list[Any]:
    conditions = {c.get("type"): c.get("status") for c in _get(obj, "status", "conditions") or ()}
    state = {"True": "Ready", "False": "NotReady"}.get(str(conditions.get("Ready")), "Unknown")
    if _get(obj, "spec", "unschedulable"):
        state += ",SchedulingDisabled"
    prefix = "node-role.kubernetes.io/"
    roles = [key.removeprefix(prefix) for key in obj["metadata"].get("labels") or () if key.startswith(prefix)]
    info = _get(obj, "status", "nodeInfo") or {}
    found = {a.get("type"): a.get("address") for a in _get(obj, "status", "addresses") or ()}
    return [
        _name(obj),
        state,
        _joined(sorted(roles)),
        _age(obj, now),
        info.get("kubeletVersion", ""),
        found.get("InternalIP") or NONE,
        found.get("ExternalIP") or NONE,
        info.get("osImage") or UNKNOWN,
        info.get("kernelVersion") or UNKNOWN,
        info.get("containerRuntimeVersion") or UNKNOWN,
    ]


def _lease(obj: Object, now: float) -> list[Any]:
    return [_name(obj), _get(obj, "spec", "holderIdentity") or "", _age(obj, now)]


def _service_account(obj: Object, now: float) -> list[Any]:
    return [_name(obj), len(obj.get("secrets") or ()), _age(obj, now)]


def _slice(obj: Object, now: float) -> list[Any]:
    ports = _joined(port.get("port") for port in obj.get("ports") or ())
    addresses = [address for each in obj.get("endpoints") or () for address in each.get("addresses") or ()]
    shown = ",".join(addresses[:3]) + (f" + {len(addresses) - 3} more..." if len(addresses) > 3 else "")
    return [_name(obj), obj.get("addressType"), ports, shown or "<unset>", _age(obj, now)]


def _endpoints(obj: Object, now: float) -> list[Any]:
    found = [
        f"{address.get('ip')}:{port.get('port')}"
        for subset in obj.get("subsets") or ()
        for address in subset.get("addresses") or ()
        for port in subset.get("ports") or ()
    ]
    return [_name(obj), _joined(found), _age(obj, now)]


def _ingress(obj: Object, now: float) -> list[Any]:
    spec = obj.get("spec") or {}
    hosts = [rule.get("host") or "*" for rule in spec.get("rules") or ()]
    ports = "80, 443" if spec.get("tls") else "80"
    ingress = _get(obj, "status", "loadBalancer", "ingress") or []
    address = ",".join(str(each.get("ip") or each.get("hostname")) for each in ingress)
    return [
        _name(obj),
        spec.get("ingressClassName") or NONE,
        _joined(hosts) if hosts else "*",
        address,
        ports,
        _age(obj, now),
    ]


def _created(obj: Object, _now: float) -> list[Any]:
    return [_name(obj), obj["metadata"].get("creationTimestamp")]


def _binding(obj: Object, now: float) -> list[Any]:
    role = obj.get("roleRef") or {}
    named: dict[str, list[str]] = {"User": [], "Group": [], "ServiceAccount": []}
    for subject in obj.get("subjects") or ():
        where = f"{subject['namespace']}/" if subject.get("namespace") else ""
        named.setdefault(str(subject.get("kind")), []).append(where + str(subject.get("name", "")))
    shown = [", ".join(named[kind]) for kind in ("User", "Group", "ServiceAccount")]
    return [_name(obj), f"{role.get('kind')}/{role.get('name')}", _age(obj, now), *shown]


def _webhooks(obj: Object, now: float) -> list[Any]:
    return [_name(obj), len(obj.get("webhooks") or ()), _age(obj, now)]


def _daemon_set(obj: Object, now: float) -> list[Any]:
    counts = (
        *("desiredNumberScheduled", "currentNumberScheduled", "numberReady", "updatedNumberScheduled"),
        "numberAvailable",
    )
    chosen = _joined(f"{k}={v}" for k, v in (_get(obj, "spec", "template", "spec", "nodeSelector") or {}).items())
    return [_name(obj), *(_count(obj, "status", key) for key in counts), chosen, _age(obj, now)]


def _claim(obj: Object, now: float) -> list[Any]:
    spec, status = obj.get("spec") or {}, obj.get("status") or {}
    size = _get(status, "capacity", "storage") or ""
    modes = ",".join(status.get("accessModes") or ())
    storage = spec.get("storageClassName") or ""
    return [_name(obj), status.get("phase"), spec.get("volumeName") or "", size, modes, storage, _age(obj, now)]


def _columns(text: str) -> tuple[Column, ...]:
    """`Name Ready!integer wide:IP`: columns in order; `!type`, and `wide:` for `-o wide` only."""
    made = []
    for word in text.split():
        shown, _, kind = word.partition("!")
        title = shown.removeprefix("wide:").replace("_", " ")
        made.append(
            Column(
                title,
                kind or "string",
                "name" if title == "Name" else "",
                title,
                1 if shown.startswith("wide:") else 0,
            )
        )
    return tuple(made)


ROWS: Final[dict[str, tuple[tuple[Column, ...], Cells]]] = {
    "Namespace": (_columns("Name Status Age"), _namespace),
    "ConfigMap": (_columns("Name Data!integer Age"), _config_map),
    "Secret": (_columns("Name Type Data!integer Age"), _secret),
    "Service": (_columns("Name Type Cluster-IP External-IP Port(s) Age wide:Selector"), _service),
    "Pod": (
        _columns("Name Ready Status Restarts Age wide:IP wide:Node wide:Nominated_Node wide:Readiness_Gates"),
        _pod,
    ),
    "Deployment": (
        _columns("Name Ready Up-to-date!integer Available!integer Age wide:Containers wide:Images wide:Selector"),
        _deployment,
    ),
    "ReplicaSet": (
        _columns("Name Desired!integer Current!integer Ready!integer Age wide:Containers wide:Images wide:Selector"),
        _replica_set,
    ),
    "StatefulSet": (_columns("Name Ready Age wide:Containers wide:Images"), _stateful_set),
    "DaemonSet": (
        _columns(
            "Name Desired!integer Current!integer Ready!integer Up-to-date!integer Available!integer Node_Selector Age"
        ),
        _daemon_set,
    ),
    "Job": (_columns("Name Status Completions Duration Age"), _job),
    "PodDisruptionBudget": (_columns("Name Min_Available Max_Unavailable Allowed_Disruptions!integer Age"), _budget),
    "HorizontalPodAutoscaler": (
        _columns("Name Reference Targets MinPods MaxPods!integer Replicas!integer Age"),
        _autoscaler,
    ),
    "Event": (
        _columns(
            "Last_Seen Type Reason Object wide:Subobject wide:Source Message wide:First_Seen "
            "wide:Count!integer wide:Name"
        ),
        _event,
    ),
    "Node": (
        _columns(
            "Name Status Roles Age Version wide:Internal-IP wide:External-IP wide:OS-Image "
            "wide:Kernel-Version wide:Container-Runtime"
        ),
        _node,
    ),
    "Lease": (_columns("Name Holder Age"), _lease),
    "ServiceAccount": (_columns("Name Secrets!integer Age"), _service_account),
    "EndpointSlice": (_columns("Name AddressType Ports Endpoints Age"), _slice),
    "Endpoints": (_columns("Name Endpoints Age"), _endpoints),
    "Ingress": (_columns("Name Class Hosts Address Ports Age"), _ingress),
    "CustomResourceDefinition": (_columns("Name Created_At"), _created),
    "Role": (_columns("Name Created_At"), _created),
    "ClusterRole": (_columns("Name Created_At"), _created),
    "RoleBinding": (_columns("Name Role Age wide:Users wide:Groups wide:ServiceAccounts"), _binding),
    "ClusterRoleBinding": (_columns("Name Role Age wide:Users wide:Groups wide:ServiceAccounts"), _binding),
    "MutatingWebhookConfiguration": (_columns("Name Webhooks!integer Age"), _webhooks),
    "ValidatingWebhookConfiguration": (_columns("Name Webhooks!integer Age"), _webhooks),
    "PersistentVolumeClaim": (_columns("Name Status Volume Capacity Access_Modes StorageClass Age"), _claim),
}
