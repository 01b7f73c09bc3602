"""What the built-in kinds complete beyond the static defaults of their schemas.

Each rule is a small function on a fresh object, looked up by kind in `PREPARE`; it may trust the types. Rules that need
to see other objects (Service addresses) get the store from `builtin`. Pure.
"""

from __future__ import annotations

import base64
from collections.abc import Callable
from typing import Any, Final

Object = dict[str, Any]
Prepare = Callable[[Object, "Object | None"], None]

RBAC_GROUP: Final = "rbac.authorization.k8s.io"


def _namespace(obj: Object, _old: Object | None) -> None:
    metadata = obj["metadata"]
    if metadata.get("name"):
        metadata.setdefault("labels", {})["kubernetes.io/metadata.name"] = metadata["name"]


def _live_namespace(obj: Object, old: Object | None) -> None:
    if old is None:
        obj.setdefault("spec", {}).setdefault("finalizers", ["kubernetes"])
        obj["status"] = {"phase": "Active"}


def _service(obj: Object, _old: Object | None) -> None:
    spec = obj.setdefault("spec", {})
    for port in spec.get("ports") or ():
        if port.get("targetPort") in (None, "", 0) and "port" in port:
            port["targetPort"] = port["port"]
    if spec.get("type") != "ExternalName":
        spec.setdefault("internalTrafficPolicy", "Cluster")
    if spec.get("type") in ("NodePort", "LoadBalancer") or (
        spec.get("externalIPs") and spec.get("type") == "ClusterIP"
    ):
        spec.setdefault("externalTrafficPolicy", "Cluster")


def _secret(obj: Object, _old: Object | None) -> None:
    plain = obj.pop("stringData", None)
    if plain:
        data = obj.setdefault("data", {})
        for key, value in plain.items():
            data[key] = base64.b64encode(value.encode()).decode()


def _pod(obj: Object, old: Object | None) -> None:
    spec = obj.get("spec")
    if not isinstance(spec, dict):
        return
    pod_template(spec)
    spec.setdefault("enableServiceLinks", True)
    for container in _containers(spec):
        limits = (container.get("resources") or {}).get("limits")
        if limits:
            requests = container["resources"].setdefault("requests", {})
            for name, amount in limits.items():
                requests.setdefault(name, amount)
    if old is None:
        spec.setdefault("serviceAccountName", "default")
        spec["serviceAccount"] = spec["serviceAccountName"]
        spec.setdefault("priority", 0)
        spec.setdefault("preemptionPolicy", "PreemptLowerPriority")
        obj["status"] = {"phase": "Pending", "qosClass": _quality(spec)}


def pod_template(spec: Object) -> None:
    """The defaults of a pod spec that depend on its other fields."""
    name = spec.get("serviceAccountName") or spec.get("serviceAccount")
    if name:
        spec["serviceAccountName"] = spec["serviceAccount"] = name
    for container in _containers(spec):
        if not container.get("imagePullPolicy"):
            tag = str(container.get("image", "")).rpartition("/")[2]
            floating = tag.endswith(":latest") or (":" not in tag and "@" not in tag)
            container["imagePullPolicy"] = "Always" if floating else "IfNotPresent"
    for volume in spec.get("volumes") or ():
        if isinstance(volume, dict) and not any(key != "name" for key in volume):
            volume["emptyDir"] = {}


def _containers(spec: Object) -> list[Object]:
    listed = [*(spec.get("containers") or ()), *(spec.get("initContainers") or ())]
    return [container for container in listed if isinstance(container, dict)]


def _quality(spec: Object) -> str:
    all_set, any_set = True, False
    for container in _containers(spec):
        resources = container.get("resources") or {}
        requests, limits = resources.get("requests") or {}, resources.get("limits") or {}
        any_set = any_set or bool(requests or limits)
        for name in ("cpu", "memory"):
            all_set = all_set and name in limits and requests.get(name) == limits[name]
    return "BestEffort" if not any_set else "Guaranteed" if all_set else "Burstable"


def _template(obj: Object) -> None:
    spec = ((obj.get("spec") or {}).get("template") or {}).get("spec")
    if isinstance(spec, dict):
        pod_template(spec)


def _deployment(obj: Object, _old: Object | None) -> None:
    _template(obj)
    strategy = (obj.get("spec") or {}).get("strategy")
    if isinstance(strategy, dict) and strategy.get("type") == "RollingUpdate":
        rolling = strategy.setdefault("rollingUpdate", {})
        rolling.setdefault("maxSurge", "25%")
        rolling.setdefault("maxUnavailable", "25%")


def _with_template(obj: Object, _old: Object | None) -> None:
    _template(obj)


def _stateful_set(obj: Object, _old: Object | None) -> None:
    _template(obj)
    spec = obj.get("spec") or {}
    update = spec.get("updateStrategy") or {}
    if update.get("type") == "RollingUpdate":
        update.setdefault("rollingUpdate", {}).setdefault("partition", 0)
    retention = spec.setdefault("persistentVolumeClaimRetentionPolicy", {})
    for event in ("whenDeleted", "whenScaled"):
        retention.setdefault(event, "Retain")


def _daemon_set(obj: Object, _old: Object | None) -> None:
    _template(obj)
    update = (obj.get("spec") or {}).get("updateStrategy") or {}
    if update.get("type") == "RollingUpdate":
        rolling = update.setdefault("rollingUpdate", {})
        rolling.setdefault("maxSurge", 0)
        rolling.setdefault("maxUnavailable", 1)


def _job(obj: Object, _old: Object | None) -> None:
    _template(obj)
    spec = obj.get("spec") or {}
    if "completions" not in spec and "parallelism" not in spec:
        spec["completions"] = spec["parallelism"] = 1
    spec.setdefault("parallelism", 1)
    spec.setdefault("manualSelector", False)
    spec.setdefault("podReplacementPolicy", "TerminatingOrFailed")


def _job_selector(obj: Object, old: Object | None) -> None:
    spec = obj.get("spec") or {}
    if old is None and not spec.get("manualSelector") and obj["metadata"].get("uid"):
        uid = obj["metadata"]["uid"]
        spec["selector"] = {"matchLabels": {"batch.kubernetes.io/controller-uid": uid}}
        labels = spec.setdefault("template", {}).setdefault("metadata", {}).setdefault("labels", {})
        labels["batch.kubernetes.io/controller-uid"] = labels["controller-uid"] = uid
        name = obj["metadata"].get("name", "")
        labels["batch.kubernetes.io/job-name"] = labels["job-name"] = name


def _cron_job(obj: Object, _old: Object | None) -> None:
    job = ((obj.get("spec") or {}).get("jobTemplate") or {}).get("spec") or {}
    spec = (job.get("template") or {}).get("spec")
    if isinstance(spec, dict):
        pod_template(spec)


def _limit_range(obj: Object, _old: Object | None) -> None:
    for limit in (obj.get("spec") or {}).get("limits") or ():
        if limit.get("type") == "Container" and limit.get("default"):
            requests = limit.setdefault("defaultRequest", {})
            for name, amount in limit["default"].items():
                requests.setdefault(name, amount)


def _binding(obj: Object, _old: Object | None) -> None:
    for subject in obj.get("subjects") or ():
        if isinstance(subject, dict) and "apiGroup" not in subject and subject.get("kind") in ("User", "Group"):
            subject["apiGroup"] = RBAC_GROUP


def _mutating(obj: Object, _old: Object | None) -> None:
    for webhook in obj.get("webhooks") or ():
        if isinstance(webhook, dict):
            webhook.setdefault("reinvocationPolicy", "Never")


def _network_policy(obj: Object, _old: Object | None) -> None:
    spec = obj.setdefault("spec", {})
    if not spec.get("policyTypes"):
        spec["policyTypes"] = ["Ingress", "Egress"] if spec.get("egress") else ["Ingress"]


def _claim(obj: Object, old: Object | None) -> None:
    if old is None:
        obj["status"] = {"phase": "Pending"}


ALLOCATE: Final[dict[str, Prepare]] = {"Namespace": _live_namespace, "Job": _job_selector}
"""What the server adds on its own account: no writer owns it."""

PREPARE: Final[dict[str, Prepare]] = {
    "Service": _service,
    "Namespace": _namespace,
    "Secret": _secret,
    "Pod": _pod,
    "Deployment": _deployment,
    "ReplicaSet": _with_template,
    "StatefulSet": _stateful_set,
    "DaemonSet": _daemon_set,
    "Job": _job,
    "CronJob": _cron_job,
    "LimitRange": _limit_range,
    "RoleBinding": _binding,
    "ClusterRoleBinding": _binding,
    "MutatingWebhookConfiguration": _mutating,
    "NetworkPolicy": _network_policy,
    "PersistentVolumeClaim": _claim,
}
