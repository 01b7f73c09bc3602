"""What the built-in kinds complete and check beyond their static schemas.

Each rule is a small function on a fresh object, looked up by kind in `PREPARE` and `VALIDATE`; the static defaults
stand in the schemas. Rules that need to see other objects (Service addresses) get the store from `builtin`.
The set is what clients rely on (a Deployment's rolling update, a Secret's stringData, immutable selectors), not all
that Kubernetes checks. Pure.
"""

from __future__ import annotations

import base64
from collections.abc import Callable
from typing import Any, Final

from sandbox.kube import causes, selectors
from sandbox.kube.errors import Cause
from sandbox.kube.webhook_match import check_configuration

Object = dict[str, Any]
Prepare = Callable[[Object, "Object | None"], None]
Validate = Callable[[Object, "Object | None"], "list[Cause]"]

RBAC_GROUP: Final = "rbac.authorization.k8s.io"


# -- completing


def _namespace(obj: Object, old: Object | None) -> None:
    metadata = obj["metadata"]
    if metadata.get("name"):
        metadata.setdefault("labels", {})["kubernetes.io/metadata.name"] = metadata["name"]
    if old is None:
        obj.setdefault("spec", {}).setdefault("finalizers", ["kubernetes"])
        obj["status"] = {"phase": "Active"}


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
    retention = {"whenDeleted": "Retain", "whenScaled": "Retain"}
    spec.setdefault("persistentVolumeClaimRetentionPolicy", retention)


def _daemon_set(obj: Object, _old: Object | None) -> None:
    _template(obj)
    update = (obj.get("spec") or {}).get("updateStrategy") or {}
    if update.get("type") == "RollingUpdate":
        rolling = update.setdefault("rollingUpdate", {})
        rolling.setdefault("maxSurge", 0)
        rolling.setdefault("maxUnavailable", 1)


def _job(obj: Object, old: Object | None) -> None:
    _template(obj)
    spec = obj.get("spec") or {}
    if "completions" not in spec and "parallelism" not in spec:
        spec["completions"] = spec["parallelism"] = 1
    spec.setdefault("parallelism", 1)
    spec.setdefault("manualSelector", False)
    spec.setdefault("podReplacementPolicy", "TerminatingOrFailed")
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


PREPARE: Final[dict[str, Prepare]] = {
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


# -- checking


def _same(path: str, obj: Object, old: Object | None) -> list[Cause]:
    """`path` may not change once set."""
    if old is None:
        return []
    new_value, old_value = _at(obj, path), _at(old, path)
    return [] if new_value == old_value else [causes.invalid(path, new_value, "field is immutable")]


def _at(obj: Object, path: str) -> Any:
    value: Any = obj
    for key in path.split("."):
        value = value.get(key) if isinstance(value, dict) else None
    return value


def _workload(obj: Object, old: Object | None) -> list[Cause]:
    spec = obj.get("spec") or {}
    selector = spec.get("selector") or {}
    found = _replicas(spec)
    labels = ((spec.get("template") or {}).get("metadata") or {}).get("labels")
    if not selector.get("matchLabels") and not selector.get("matchExpressions"):
        found.append(causes.invalid("spec.selector", selector, "empty selector is invalid for deployment"))
    elif spec.get("template") and not selectors.matches(selectors.from_spec(selector), labels):
        detail = "`selector` does not match template `labels`"
        found.append(causes.invalid("spec.template.metadata.labels", labels or {}, detail))
    found += _pod_spec((spec.get("template") or {}).get("spec"), "spec.template.spec", "Always")
    return found + _same("spec.selector", obj, old)


def _replicas(spec: Object) -> list[Cause]:
    replicas = spec.get("replicas", 0)
    if isinstance(replicas, int) and replicas < 0:
        return [causes.invalid("spec.replicas", replicas, "must be greater than or equal to 0")]
    return []


def _pod_spec(spec: Any, path: str, restart: str = "") -> list[Cause]:
    if not isinstance(spec, dict):
        return [causes.required(f"{path}.containers")]
    found: list[Cause] = []
    if not spec.get("containers"):
        found.append(causes.required(f"{path}.containers"))
    names: set[str] = set()
    volumes = {volume.get("name") for volume in spec.get("volumes") or () if isinstance(volume, dict)}
    for group in ("containers", "initContainers"):
        for index, container in enumerate(spec.get(group) or ()):
            at = f"{path}.{group}[{index}]"
            if not container.get("image"):
                found.append(causes.required(f"{at}.image"))
            if container.get("name") in names:
                found.append(causes.duplicate(f"{at}.name", container.get("name")))
            names.add(container.get("name", ""))
            for number, mount in enumerate(container.get("volumeMounts") or ()):
                if mount.get("name") not in volumes:
                    name = mount.get("name")
                    found.append(
                        Cause("FieldValueNotFound", f'Not found: "{name}"', f"{at}.volumeMounts[{number}].name")
                    )
    policy = spec.get("restartPolicy")
    if restart and policy != restart:
        found.append(causes.not_supported(f"{path}.restartPolicy", policy, [restart]))
    return found


_MUTABLE_POD_FIELDS: Final = (
    "activeDeadlineSeconds",
    "terminationGracePeriodSeconds",
    "tolerations",
    "schedulingGates",
    "nodeName",  # set once, by binding
)


def _pod_check(obj: Object, old: Object | None) -> list[Cause]:
    if old is None:
        return _pod_spec(obj.get("spec"), "spec")
    if _frozen_part(obj) == _frozen_part(old) and not _moved(obj, old):
        return []
    fields = (
        "`spec.containers[*].image`,`spec.initContainers[*].image`,`spec.activeDeadlineSeconds`,"
        "`spec.tolerations` (only additions to existing tolerations),`spec.terminationGracePeriodSeconds`"
    )
    return [causes.forbidden("spec", f"pod updates may not change fields other than {fields}")]


def _moved(pod: Object, old: Object) -> bool:
    """Whether a Pod that has a node is being put on another one."""
    before = (old.get("spec") or {}).get("nodeName")
    return bool(before) and (pod.get("spec") or {}).get("nodeName") != before


def _frozen_part(pod: Object) -> Object:
    spec = {key: value for key, value in (pod.get("spec") or {}).items() if key not in _MUTABLE_POD_FIELDS}
    for group in ("containers", "initContainers"):
        if spec.get(group):
            spec[group] = [{**container, "image": ""} for container in spec[group]]
    return spec


def _frozen_data(obj: Object, old: Object | None) -> list[Cause]:
    if old is None or not old.get("immutable"):
        return []
    found = []
    if not obj.get("immutable"):
        found.append(causes.forbidden("immutable", "field is immutable when `immutable` is set"))
    changed = [key for key in ("data", "binaryData") if (obj.get(key) or {}) != (old.get(key) or {})]
    return found + [causes.forbidden(key, "field is immutable when `immutable` is set") for key in changed]


def _data_keys(obj: Object, old: Object | None) -> list[Cause]:
    found = _frozen_data(obj, old)
    keys = [*(obj.get("data") or ()), *(obj.get("binaryData") or ())]
    for key in keys:
        if not key or len(key) > 253 or key in (".", "..") or not _config_key(key):
            detail = (
                "a valid config key must consist of alphanumeric characters, '-', '_' or '.' "
                "(e.g. 'key.name',  or 'KEY_NAME',  or 'key-name', regex used for validation is '[-._a-zA-Z0-9]+')"
            )
            found.append(causes.invalid(f"data[{key}]", key, detail))
    return found


def _config_key(key: str) -> bool:
    return all(char.isascii() and (char.isalnum() or char in "-_.") for char in key)


def _secret_check(obj: Object, old: Object | None) -> list[Cause]:
    found = _data_keys(obj, old) + _same("type", obj, old)
    if obj.get("type") == "kubernetes.io/tls":
        found += [
            causes.required(f"data[{key}]") for key in ("tls.crt", "tls.key") if key not in (obj.get("data") or {})
        ]
    return found


def _service_check(obj: Object, old: Object | None) -> list[Cause]:
    spec = obj.get("spec") or {}
    found: list[Cause] = []
    headless = spec.get("clusterIP") == "None" or spec.get("type") == "ExternalName"
    ports = spec.get("ports") or []
    if not ports and not headless:
        found.append(causes.required("spec.ports"))
    seen: set[tuple[Any, Any]] = set()
    for index, port in enumerate(ports):
        number = port.get("port")
        if not isinstance(number, int) or not 1 <= number <= 65535:
            at = f"spec.ports[{index}].port"
            found.append(causes.invalid(at, number, "must be between 1 and 65535, inclusive"))
        if len(ports) > 1 and not port.get("name"):
            found.append(causes.required(f"spec.ports[{index}].name"))
        target = port.get("targetPort")
        if isinstance(target, int) and not 1 <= target <= 65535:
            at = f"spec.ports[{index}].targetPort"
            found.append(causes.invalid(at, target, "must be between 1 and 65535, inclusive"))
        if (number, port.get("protocol")) in seen:
            found.append(causes.duplicate(f"spec.ports[{index}]", port))
        seen.add((number, port.get("protocol")))
    if old is not None and (old.get("spec") or {}).get("type") != "ExternalName" and not headless:
        found += _same("spec.clusterIP", obj, old)
    return found


def _role_ref(obj: Object, old: Object | None) -> list[Cause]:
    if old is not None and obj.get("roleRef") != old.get("roleRef"):
        return [causes.invalid("roleRef", obj.get("roleRef"), "cannot change roleRef")]
    return []


def _budget(obj: Object, _old: Object | None) -> list[Cause]:
    spec = obj.get("spec") or {}
    if spec.get("minAvailable") is not None and spec.get("maxUnavailable") is not None:
        return [causes.invalid("spec", spec, "minAvailable and maxUnavailable cannot be both set")]
    return []


def _job_check(obj: Object, old: Object | None) -> list[Cause]:
    found = _same("spec.selector", obj, old) + _same("spec.completionMode", obj, old)
    template = (obj.get("spec") or {}).get("template") or {}
    policy = (template.get("spec") or {}).get("restartPolicy")
    if policy not in ("OnFailure", "Never"):
        at = "spec.template.spec.restartPolicy"
        found.append(causes.not_supported(at, policy, ["OnFailure", "Never"]))
    return found + _pod_spec(template.get("spec"), "spec.template.spec")


def _webhooks(obj: Object, _old: Object | None) -> list[Cause]:
    return check_configuration(obj)


def _deployment_check(obj: Object, old: Object | None) -> list[Cause]:
    strategy = (obj.get("spec") or {}).get("strategy") or {}
    found = _workload(obj, old)
    if strategy.get("type") == "Recreate" and "rollingUpdate" in strategy:
        detail = "may not be specified when strategy `type` is 'Recreate'"
        found.append(causes.forbidden("spec.strategy.rollingUpdate", detail))
    return found


_MUTABLE_SET_FIELDS: Final = (
    *("replicas", "ordinals", "template", "updateStrategy", "revisionHistoryLimit"),
    *("persistentVolumeClaimRetentionPolicy", "minReadySeconds"),
)


def _unchangeable(obj: Object) -> Object:
    return {key: value for key, value in (obj.get("spec") or {}).items() if key not in _MUTABLE_SET_FIELDS}


def _stateful_set_check(obj: Object, old: Object | None) -> list[Cause]:
    update = (obj.get("spec") or {}).get("updateStrategy") or {}
    found = _workload(obj, old)
    if old is not None and _unchangeable(obj) != _unchangeable(old):
        allowed = ", ".join(f"'{name}'" for name in _MUTABLE_SET_FIELDS)
        detail = f"updates to statefulset spec for fields other than {allowed} are forbidden"
        found = [each for each in found if each.field != "spec.selector"]
        return [*found, causes.forbidden("spec", detail)]
    if update.get("type") == "OnDelete" and "rollingUpdate" in update:
        path = "spec.updateStrategy.rollingUpdate"
        found.append(causes.invalid(path, update["rollingUpdate"], "only allowed for updateStrategy 'RollingUpdate'"))
    return found


VALIDATE: Final[dict[str, Validate]] = {
    "Deployment": _deployment_check,
    "ReplicaSet": _workload,
    "StatefulSet": _stateful_set_check,
    "DaemonSet": _workload,
    "Job": _job_check,
    "Pod": _pod_check,
    "ConfigMap": _data_keys,
    "Secret": _secret_check,
    "Service": _service_check,
    "RoleBinding": _role_ref,
    "ClusterRoleBinding": _role_ref,
    "PodDisruptionBudget": _budget,
    "MutatingWebhookConfiguration": _webhooks,
    "ValidatingWebhookConfiguration": _webhooks,
}
