"""Rows of `kubectl get` for the built-in kinds: `ROWS` maps a kind to its columns and to the function of its cells.

Columns and words are those that kubectl shows for a real cluster. Objects may lack anything: a row is never an
error. Pure.
"""

from __future__ import annotations

from typing import Any, Final

from sandbox.kube import selectors
from sandbox.kube.cells import age_of, columns, get, joined, name_of
from sandbox.kube.printing import NONE, Cells, age
from sandbox.kube.resources import Column
from sandbox.kube.workload_rows import WORKLOAD_ROWS

Object = dict[str, Any]


def _namespace(obj: Object, now: float) -> list[Any]:
    return [name_of(obj), get(obj, "status", "phase"), age_of(obj, now)]


def _config_map(obj: Object, now: float) -> list[Any]:
    size = len(obj.get("data") or ()) + len(obj.get("binaryData") or ())
    return [name_of(obj), size, age_of(obj, now)]


def _secret(obj: Object, now: float) -> list[Any]:
    return [name_of(obj), obj.get("type"), len(obj.get("data") or ()), age_of(obj, now)]


def _service(obj: Object, now: float) -> list[Any]:
    spec = obj.get("spec") or {}
    ports = []
    for port in spec.get("ports") or ():
        node = f":{port['nodePort']}" if port.get("nodePort") else ""
        ports.append(f"{port.get('port')}{node}/{port.get('protocol', 'TCP')}")
    ingress = get(obj, "status", "loadBalancer", "ingress") or []
    external = [*(spec.get("externalIPs") or ()), *(each.get("ip") or each.get("hostname") for each in ingress)]
    if spec.get("type") == "ExternalName":
        external = [spec.get("externalName")]
    outside = joined(external) if external else "<pending>" if spec.get("type") == "LoadBalancer" else NONE
    chosen = joined(f"{key}={value}" for key, value in sorted((spec.get("selector") or {}).items()))
    address = spec.get("clusterIP") or NONE
    return [name_of(obj), spec.get("type"), address, outside, joined(ports), age_of(obj, now), chosen]


def _event(obj: Object, now: float) -> list[Any]:
    about = obj.get("involvedObject") or obj.get("regarding") or {}
    created = obj["metadata"].get("creationTimestamp")
    first = obj.get("firstTimestamp") or obj.get("deprecatedFirstTimestamp") or obj.get("eventTime")
    latest = obj.get("lastTimestamp") or obj.get("deprecatedLastTimestamp")
    last = get(obj, "series", "lastObservedTime") or latest or first
    times = get(obj, "series", "count") or obj.get("count") or obj.get("deprecatedCount") or 1
    origin = obj.get("source") or obj.get("deprecatedSource") or {}
    source = origin.get("component") or obj.get("reportingComponent") or obj.get("reportingController") or ""
    host = origin.get("host") or obj.get("reportingInstance") or ""
    return [
        age(last or created, now),
        obj.get("type"),
        obj.get("reason"),
        f"{str(about.get('kind', '')).lower()}/{about.get('name', '')}",
        about.get("fieldPath") or "",
        f"{source}, {host}" if host else source,
        str(obj.get("message") or obj.get("note") or "").strip(),
        age(first or created, now),
        times,
        name_of(obj),
    ]


def _lease(obj: Object, now: float) -> list[Any]:
    return [name_of(obj), get(obj, "spec", "holderIdentity") or "", age_of(obj, now)]


def _service_account(obj: Object, now: float) -> list[Any]:
    return [name_of(obj), age_of(obj, now)]


def _slice(obj: Object, now: float) -> list[Any]:
    ports = joined(port.get("port") for port in obj.get("ports") or ())
    addresses = [address for each in obj.get("endpoints") or () for address in each.get("addresses") or ()]
    shown = ",".join(addresses[:3]) + (f" + {len(addresses) - 3} more..." if len(addresses) > 3 else "")
    return [name_of(obj), obj.get("addressType"), ports, shown or "<unset>", age_of(obj, now)]


def _endpoints(obj: Object, now: float) -> list[Any]:
    found = [
        f"{address.get('ip')}:{port.get('port')}"
        for subset in obj.get("subsets") or ()
        for address in subset.get("addresses") or ()
        for port in subset.get("ports") or ()
    ]
    return [name_of(obj), joined(found), age_of(obj, now)]


def _ingress(obj: Object, now: float) -> list[Any]:
    spec = obj.get("spec") or {}
    hosts = [rule.get("host") or "*" for rule in spec.get("rules") or ()]
    ports = "80, 443" if spec.get("tls") else "80"
    ingress = get(obj, "status", "loadBalancer", "ingress") or []
    address = ",".join(str(each.get("ip") or each.get("hostname")) for each in ingress)
    return [
        name_of(obj),
        spec.get("ingressClassName") or NONE,
        joined(hosts) if hosts else "*",
        address,
        ports,
        age_of(obj, now),
    ]


def _created(obj: Object, _now: float) -> list[Any]:
    return [name_of(obj), obj["metadata"].get("creationTimestamp")]


def _binding(obj: Object, now: float) -> list[Any]:
    role = obj.get("roleRef") or {}
    named: dict[str, list[str]] = {"User": [], "Group": [], "ServiceAccount": []}
    for subject in obj.get("subjects") or ():
        where = f"{subject['namespace']}/" if subject.get("namespace") else ""
        named.setdefault(str(subject.get("kind")), []).append(where + str(subject.get("name", "")))
    shown = [", ".join(named[kind]) for kind in ("User", "Group", "ServiceAccount")]
    return [name_of(obj), f"{role.get('kind')}/{role.get('name')}", age_of(obj, now), *shown]


def _webhooks(obj: Object, now: float) -> list[Any]:
    return [name_of(obj), len(obj.get("webhooks") or ()), age_of(obj, now)]


def _claim(obj: Object, now: float) -> list[Any]:
    spec, status = obj.get("spec") or {}, obj.get("status") or {}
    return [
        name_of(obj),
        status.get("phase"),
        spec.get("volumeName") or "",
        get(status, "capacity", "storage") or "",
        _modes(status.get("accessModes")),
        spec.get("storageClassName") or "",
        spec.get("volumeAttributesClassName") or "<unset>",
        age_of(obj, now),
        spec.get("volumeMode") or "<unset>",
    ]


def _volume(obj: Object, now: float) -> list[Any]:
    spec, status = get(obj, "spec") or {}, get(obj, "status") or {}
    claim = get(spec, "claimRef") or {}
    return [
        name_of(obj),
        get(spec, "capacity", "storage") or "",
        _modes(get(spec, "accessModes")),
        get(spec, "persistentVolumeReclaimPolicy") or "",
        get(status, "phase") or "",
        f"{get(claim, 'namespace')}/{get(claim, 'name')}" if claim else "",
        get(spec, "storageClassName") or "",
        get(spec, "volumeAttributesClassName") or "<unset>",
        get(status, "reason") or "",
        age_of(obj, now),
        get(spec, "volumeMode") or "<unset>",
    ]


def _modes(modes: Any) -> str:
    short = {"ReadWriteOnce": "RWO", "ReadOnlyMany": "ROX", "ReadWriteMany": "RWX", "ReadWriteOncePod": "RWOP"}
    return ",".join(short.get(str(mode), str(mode)) for mode in modes) if isinstance(modes, list) else ""


def _quota(obj: Object, now: float) -> list[Any]:
    hard, used = get(obj, "status", "hard") or {}, get(obj, "status", "used") or {}
    shown: dict[bool, list[str]] = {True: [], False: []}
    for key in sorted(hard):
        shown[key.startswith("limits.")].append(f"{key}: {used.get(key, 0)}/{hard[key]}")
    return [name_of(obj), ", ".join(shown[False]), ", ".join(shown[True]), age_of(obj, now)]


def _network_policy(obj: Object, now: float) -> list[Any]:
    return [name_of(obj), selectors.format_spec(get(obj, "spec", "podSelector")) or NONE, age_of(obj, now)]


def _ingress_class(obj: Object, now: float) -> list[Any]:
    about = get(obj, "spec", "parameters")
    named = f"{get(about, 'kind')}.{get(about, 'apiGroup')}/{get(about, 'name')}" if about else NONE
    return [name_of(obj), get(obj, "spec", "controller"), named, age_of(obj, now)]


def _runtime_class(obj: Object, now: float) -> list[Any]:
    return [name_of(obj), obj.get("handler"), age_of(obj, now)]


def _priority_class(obj: Object, now: float) -> list[Any]:
    default = bool(obj.get("globalDefault"))
    return [name_of(obj), obj.get("value"), default, age_of(obj, now), obj.get("preemptionPolicy")]


def _storage_class(obj: Object, now: float) -> list[Any]:
    default = get(obj, "metadata", "annotations", "storageclass.kubernetes.io/is-default-class") == "true"
    name = name_of(obj) + (" (default)" if default else "")
    policy, mode = obj.get("reclaimPolicy"), obj.get("volumeBindingMode")
    expands = str(bool(obj.get("allowVolumeExpansion"))).lower()
    return [name, obj.get("provisioner"), policy, mode, expands, age_of(obj, now)]


def _api_service(obj: Object, now: float) -> list[Any]:
    service = get(obj, "spec", "service")
    named = f"{get(service, 'namespace')}/{get(service, 'name')}" if service else "Local"
    conditions = get(obj, "status", "conditions")
    listed = conditions if isinstance(conditions, list) else []
    state = next((str(get(c, "status")) for c in listed if get(c, "type") == "Available"), "Unknown")
    return [name_of(obj), named, state, age_of(obj, now)]


ROWS: Final[dict[str, tuple[tuple[Column, ...], Cells]]] = {
    **WORKLOAD_ROWS,
    "Namespace": (columns("Name Status Age"), _namespace),
    "ConfigMap": (columns("Name Data Age"), _config_map),
    "Secret": (columns("Name Type Data Age"), _secret),
    "Service": (columns("Name Type Cluster-IP External-IP Port(s) Age wide:Selector"), _service),
    "Event": (
        columns("Last_Seen Type Reason Object wide:Subobject wide:Source Message wide:First_Seen wide:Count wide:Name"),
        _event,
    ),
    "Lease": (columns("Name Holder Age"), _lease),
    "ServiceAccount": (columns("Name Age"), _service_account),
    "EndpointSlice": (columns("Name AddressType Ports Endpoints Age"), _slice),
    "Endpoints": (columns("Name Endpoints Age"), _endpoints),
    "Ingress": (columns("Name Class Hosts Address Ports Age"), _ingress),
    "IngressClass": (columns("Name Controller Parameters Age"), _ingress_class),
    "NetworkPolicy": (columns("Name Pod-Selector Age"), _network_policy),
    "CustomResourceDefinition": (columns("Name Created_At!date"), _created),
    "Role": (columns("Name Created_At!date"), _created),
    "ClusterRole": (columns("Name Created_At!date"), _created),
    "LimitRange": (columns("Name Created_At!date"), _created),
    "RoleBinding": (columns("Name Role Age wide:Users wide:Groups wide:ServiceAccounts"), _binding),
    "ClusterRoleBinding": (columns("Name Role Age wide:Users wide:Groups wide:ServiceAccounts"), _binding),
    "MutatingWebhookConfiguration": (columns("Name Webhooks!integer Age"), _webhooks),
    "ValidatingWebhookConfiguration": (columns("Name Webhooks!integer Age"), _webhooks),
    "PersistentVolumeClaim": (
        columns("Name Status Volume Capacity Access_Modes StorageClass VolumeAttributesClass Age wide:VolumeMode"),
        _claim,
    ),
    "PersistentVolume": (
        columns(
            "Name Capacity Access_Modes Reclaim_Policy Status Claim StorageClass VolumeAttributesClass Reason Age "
            "wide:VolumeMode"
        ),
        _volume,
    ),
    "ResourceQuota": (columns("Name Request Limit Age"), _quota),
    "RuntimeClass": (columns("Name Handler Age"), _runtime_class),
    "PriorityClass": (columns("Name Value!integer Global-Default!boolean Age PreemptionPolicy"), _priority_class),
    "StorageClass": (
        columns("Name Provisioner ReclaimPolicy VolumeBindingMode AllowVolumeExpansion Age"),
        _storage_class,
    ),
    "APIService": (columns("Name Service Available Age"), _api_service),
}
