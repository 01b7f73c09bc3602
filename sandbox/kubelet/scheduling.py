"""Does a pod fit on the one node of the sandbox?

Called by the binder with the pod, the node and the pods already there; pure. It checks what a user can get
wrong on a laptop: requests, the number of pods, nodeSelector, required node affinity, taints and host ports.
Pod (anti-)affinity, topology spread and priorities are ignored: on a single node they could only refuse.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from crds.v1.quantity import cpu_millis, memory_bytes
from sandbox.kubelet.objects import Object, labels, meta, spec, status
from sandbox.kubelet.selectors import node_affinity_allows, selects_exactly


class Amounts(NamedTuple):
    cpu: int = 0  # millicores
    memory: int = 0  # bytes

    def plus(self, other: Amounts) -> Amounts:
        return Amounts(self.cpu + other.cpu, self.memory + other.memory)

    def at_least(self, other: Amounts) -> Amounts:
        return Amounts(max(self.cpu, other.cpu), max(self.memory, other.memory))


def refusal(pod: Object, node: Object, others: Iterable[Object]) -> str | None:
    """Why the pod cannot run, in the words of the Kubernetes scheduler; None when it can."""
    reasons = list(_reasons(pod, node, others))
    if not reasons:
        return None
    full = any(reason.startswith(("1 Insufficient", "1 Too many")) for reason in reasons)
    victims = (
        "1 No preemption victims found for incoming pod." if full else "1 Preemption is not helpful for scheduling."
    )
    return f"0/1 nodes are available: {', '.join(reasons)}. preemption: 0/1 nodes are available: {victims}"


def _reasons(pod: Object, node: Object, others: Iterable[Object]) -> Iterable[str]:
    node_name = str(meta(node).get("name"))
    selector = spec(pod).get("nodeSelector") or {}
    affinity = spec(pod).get("affinity") or {}
    if not selects_exactly(selector, labels(node)) or not node_affinity_allows(affinity, labels(node), node_name):
        yield "1 node(s) didn't match Pod's node affinity/selector"
        return
    for taint in spec(node).get("taints") or []:
        if taint.get("effect") in ("NoSchedule", "NoExecute") and not _tolerated(pod, taint):
            yield f"1 node(s) had untolerated taint {{{taint.get('key')}: {taint.get('value') or ''}}}"
            return
    there = [other for other in others if status(other).get("phase") not in ("Succeeded", "Failed")]
    allocatable = status(node).get("allocatable") or {}
    if len(there) >= int(allocatable.get("pods") or 0):
        yield "1 Too many pods"
    used = Amounts()
    for other in there:
        used = used.plus(requests(other))
    wanted = used.plus(requests(pod))
    if requests(pod).cpu and wanted.cpu > cpu_millis(allocatable.get("cpu") or 0):
        yield "1 Insufficient cpu"
    if requests(pod).memory and wanted.memory > memory_bytes(allocatable.get("memory") or 0):
        yield "1 Insufficient memory"


def requests(pod: Object) -> Amounts:
    """What the pod reserves: all containers together, or its largest init container if that is more."""
    total = Amounts()
    for container in spec(pod).get("containers") or []:
        total = total.plus(_container_requests(container))
    largest = Amounts()
    sidecars = Amounts()
    for container in spec(pod).get("initContainers") or []:
        if container.get("restartPolicy") == "Always":
            sidecars = sidecars.plus(_container_requests(container))
            largest = largest.at_least(sidecars)
        else:
            largest = largest.at_least(sidecars.plus(_container_requests(container)))
    total = total.plus(sidecars).at_least(largest)
    overhead = spec(pod).get("overhead") or {}
    return total.plus(_amounts(overhead))


def _container_requests(container: Mapping[str, Any]) -> Amounts:
    resources = container.get("resources") or {}
    return _amounts({**(resources.get("limits") or {}), **(resources.get("requests") or {})})


def _amounts(values: Mapping[str, Any]) -> Amounts:
    return Amounts(_read(cpu_millis, values.get("cpu")), _read(memory_bytes, values.get("memory")))


def _read(parse: Any, value: Any) -> int:
    try:
        return int(parse(value)) if value is not None else 0
    except (ValueError, TypeError):
        return 0  # the API server let a malformed quantity pass; it reserves nothing


def _tolerated(pod: Object, taint: Mapping[str, Any]) -> bool:
    for toleration in spec(pod).get("tolerations") or []:
        if toleration.get("effect") not in (None, "", taint.get("effect")):
            continue
        if toleration.get("operator") == "Exists":
            if toleration.get("key") in (None, "", taint.get("key")):
                return True
        elif toleration.get("key") == taint.get("key") and (toleration.get("value") or "") == (
            taint.get("value") or ""
        ):
            return True
    return False
