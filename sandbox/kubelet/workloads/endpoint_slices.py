"""The EndpointSlices of a Service: which should exist, given its pods, and what to change to get there.

Called by the controller shell with the Service, the pods of its namespace and the slices it manages; pure.
Terminating pods stay listed (not ready, serving while they pass their probe), finished ones do not, and pods
whose named target ports differ get slices of their own. Slices that other hands made are left alone.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import orjson

from sandbox.kubelet.objects import Object, condition, deleting, key, labels, meta, spec, status, uid
from sandbox.kubelet.selectors import selects_exactly

MANAGED_BY_LABEL = "endpointslice.kubernetes.io/managed-by"
MANAGED_BY = "endpointslice-controller.k8s.io"
SERVICE_LABEL = "kubernetes.io/service-name"
HEADLESS_LABEL = "service.kubernetes.io/headless"
MAX_ENDPOINTS = 100  # per slice


@dataclass(frozen=True)
class SlicePlan:
    create: tuple[Object, ...] = ()
    update: tuple[Object, ...] = ()  # full objects, resourceVersion included
    delete: tuple[Object, ...] = ()


def plan(service: Object, pods: Iterable[Object], slices: Iterable[Object]) -> SlicePlan:
    """Compare what should exist with the slices that carry our label; unchanged ones are not touched."""
    ours = {
        str(meta(item).get("name")): item
        for item in slices
        if labels(item).get(MANAGED_BY_LABEL) == MANAGED_BY
        and labels(item).get(SERVICE_LABEL) == meta(service).get("name")
        and not deleting(item)
    }
    if deleting(service) or not spec(service).get("selector"):
        return SlicePlan(delete=tuple(ours.values()))
    create: list[Object] = []
    update: list[Object] = []
    wanted = desired(service, pods)
    for item in wanted:
        have = ours.pop(item["metadata"]["name"], None)
        if have is None:
            create.append(item)
        elif not _same(have, item):
            update.append({**item, "metadata": {**have["metadata"], **item["metadata"]}})
    return SlicePlan(tuple(create), tuple(update), tuple(ours.values()))


def _same(have: Mapping[str, Any], wanted: Mapping[str, Any]) -> bool:
    return (
        (have.get("endpoints") or []) == wanted["endpoints"]
        and (have.get("ports") or []) == wanted["ports"]
        and labels(have) == labels(wanted)
    )


def desired(service: Object, pods: Iterable[Object]) -> list[Object]:
    """Every slice the Service should have; at least one, which is empty when there are no endpoints."""
    groups: dict[bytes, tuple[list[Object], list[Object]]] = {}
    for pod in sorted(pods, key=lambda item: str(meta(item).get("name"))):
        if not _listed(service, pod):
            continue
        ports = [port for port in (_port(entry, pod) for entry in spec(service).get("ports") or []) if port]
        if not ports and spec(service).get("ports"):
            continue  # none of the Service's named ports exists in this pod
        group = groups.setdefault(orjson.dumps(ports), (ports, []))
        group[1].append(_endpoint(service, pod))
    if not groups:
        fixed = [port for port in (_port(entry, None) for entry in spec(service).get("ports") or []) if port]
        groups[orjson.dumps(fixed)] = (fixed, [])
    found: list[Object] = []
    for ports, endpoints in groups.values():
        for start in range(0, max(1, len(endpoints)), MAX_ENDPOINTS):
            found.append(_slice(service, ports, endpoints[start : start + MAX_ENDPOINTS], len(found)))
    return found


def _listed(service: Object, pod: Object) -> bool:
    if not selects_exactly(spec(service).get("selector") or {}, labels(pod)):
        return False
    return bool(status(pod).get("podIP")) and status(pod).get("phase") not in ("Succeeded", "Failed")


def _port(entry: Mapping[str, Any], pod: Object | None) -> Object | None:
    target = entry.get("targetPort")
    if target in (None, 0, ""):
        target = entry.get("port")
    number = target if isinstance(target, int) else None
    if number is None and isinstance(target, str):
        number = int(target) if target.isdigit() else (named_port(pod, target) if pod is not None else None)
    if number is None:
        return None
    port: Object = {"name": entry.get("name") or "", "port": number, "protocol": entry.get("protocol") or "TCP"}
    if entry.get("appProtocol"):
        port["appProtocol"] = entry["appProtocol"]
    return port


def named_port(pod: Mapping[str, Any], name: str) -> int | None:
    """The number of a named container port."""
    for container in spec(pod).get("containers") or []:
        for port in container.get("ports") or []:
            if port.get("name") == name:
                return int(port["containerPort"])
    return None


def _endpoint(service: Object, pod: Object) -> Object:
    found = condition(pod, "Ready")
    serving = found is not None and found.get("status") == "True"
    terminating = deleting(pod)
    publish = bool(spec(service).get("publishNotReadyAddresses"))
    endpoint: Object = {
        "addresses": [status(pod)["podIP"]],
        "conditions": {
            "ready": publish or (serving and not terminating),
            "serving": publish or serving,
            "terminating": terminating,
        },
        "targetRef": {
            "kind": "Pod",
            "namespace": meta(pod).get("namespace"),
            "name": meta(pod).get("name"),
            "uid": uid(pod),
        },
    }
    if spec(pod).get("nodeName"):
        endpoint["nodeName"] = spec(pod)["nodeName"]
    if spec(pod).get("hostname") and spec(pod).get("subdomain") == meta(service).get("name"):
        endpoint["hostname"] = spec(pod)["hostname"]
    return endpoint


def _slice(service: Object, ports: list[Object], endpoints: list[Object], index: int) -> Object:
    """A slice under a stable name: the same Service gives the same names after a restart."""
    name = str(meta(service).get("name"))
    suffix = hashlib.sha256(f"{uid(service)}/{index}".encode()).hexdigest()[:5]
    kept = {label: value for label, value in labels(service).items() if label != HEADLESS_LABEL}
    if spec(service).get("clusterIP") == "None":
        kept[HEADLESS_LABEL] = ""
    return {
        "apiVersion": "discovery.k8s.io/v1",
        "kind": "EndpointSlice",
        "addressType": "IPv4",
        "metadata": {
            "name": f"{name[:240]}-{suffix}",
            "namespace": key(service).namespace,
            "labels": {**kept, SERVICE_LABEL: name, MANAGED_BY_LABEL: MANAGED_BY},
            "ownerReferences": [
                {
                    "apiVersion": "v1",
                    "kind": "Service",
                    "name": name,
                    "uid": uid(service),
                    "controller": True,
                    "blockOwnerDeletion": True,
                }
            ],
        },
        "endpoints": endpoints,
        "ports": ports,
    }
