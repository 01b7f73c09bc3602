"""What the built-in kinds check beyond their schemas: one function per kind, looked up in `VALIDATE`.

The set is what clients rely on (immutable selectors, required images, ports, budgets), not all that Kubernetes
checks. Causes carry the real server's paths and sentences. Pure.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from sandbox.kube import causes, selectors
from sandbox.kube.errors import Cause
from sandbox.kube.webhook_match import check_configuration

Object = dict[str, Any]
Validate = Callable[[Object, "Object | None"], "list[Cause]"]


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
    selector = spec.get("selector")
    found = _replicas(spec)
    labels = ((spec.get("template") or {}).get("metadata") or {}).get("labels")
    if selector is None:
        found.append(causes.required("spec.selector"))
        detail = "`selector` does not match template `labels`"
        found.append(causes.invalid("spec.template.metadata.labels", labels, detail))
    elif not selector.get("matchLabels") and not selector.get("matchExpressions"):
        detail = f"empty selector is invalid for {str(obj.get('kind')).lower()}"
        found.append(causes.invalid("spec.selector", selector, detail))
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


_MOST_DATA: Final = 1 << 20  # bytes


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
    held = [*(obj.get("data") or {}).items(), *(obj.get("binaryData") or {}).items()]
    if sum(len(key) + len(value) for key, value in held) > _MOST_DATA:
        found.append(causes.too_long("[]" if obj.get("kind") == "ConfigMap" else "data", _MOST_DATA))
    if obj.get("kind") == "ConfigMap":
        twice = (obj.get("data") or {}).keys() & (obj.get("binaryData") or {}).keys()
        found += [
            causes.invalid(f"data[{key}]", key, "duplicate of key present in binaryData") for key in sorted(twice)
        ]
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
        *names, last = (f"'{name}'" for name in _MUTABLE_SET_FIELDS)
        allowed = f"{', '.join(names)} and {last}"
        detail = f"updates to statefulset spec for fields other than {allowed} are forbidden"
        found = [each for each in found if each.field != "spec.selector"]
        return [*found, causes.forbidden("spec", detail)]
    if update.get("type") == "OnDelete" and "rollingUpdate" in update:
        path = "spec.updateStrategy.rollingUpdate"
        found.append(causes.invalid(path, update["rollingUpdate"], "only allowed for updateStrategy 'RollingUpdate'"))
    return found


def _event_check(obj: Object, _old: Object | None) -> list[Cause]:
    """An event lives in the namespace of what it is about; those about cluster-scoped objects live in default."""
    key = "involvedObject" if "involvedObject" in obj else "regarding"
    about = (obj.get(key) or {}).get("namespace") or ""
    if about == obj["metadata"].get("namespace") or (not about and obj["metadata"].get("namespace") == "default"):
        return []
    return [causes.invalid("involvedObject.namespace", about, "does not match event.namespace")]


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
    "Event": _event_check,
    "MutatingWebhookConfiguration": _webhooks,
    "ValidatingWebhookConfiguration": _webhooks,
}
