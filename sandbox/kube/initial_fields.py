"""What built-in objects show without being told: counts of their status, and defaults that come in groups.

Called with every object of a built-in kind that is written, after its static defaults. Pure.
"""

from __future__ import annotations

import copy
from typing import Any, Final

Object = dict[str, Any]

_STATUS: Final[dict[str, Object]] = {
    "Deployment": {},
    "ReplicaSet": {"replicas": 0},
    "StatefulSet": {"replicas": 0, "availableReplicas": 0},
    "DaemonSet": {"currentNumberScheduled": 0, "numberMisscheduled": 0, "desiredNumberScheduled": 0, "numberReady": 0},
    "Job": {},
    "ResourceQuota": {},
    "CronJob": {},
    "Service": {"loadBalancer": {}},
    "Ingress": {"loadBalancer": {}},
    "PodDisruptionBudget": {"disruptionsAllowed": 0, "currentHealthy": 0, "desiredHealthy": 0, "expectedPods": 0},
    "HorizontalPodAutoscaler": {"desiredReplicas": 0},
}
_POD: Final[Object] = {"containers": []}
_TEMPLATE: Final[Object] = {"metadata": {}, "spec": _POD}
ZERO: Final[dict[str, Object]] = {
    **{kind: {"spec": {}, "status": {}} for kind in ("Namespace", "PersistentVolume", "ResourceQuota")},
    "Pod": {"spec": _POD, "status": {}},
    **{kind: {"spec": {}} for kind in ("LimitRange", "IngressClass", "Lease")},
    **{kind: {"roleRef": {"apiGroup": "", "kind": "", "name": ""}} for kind in ("RoleBinding", "ClusterRoleBinding")},
    "Service": {"spec": {}, "status": {"loadBalancer": {}}},
    "Event": {"involvedObject": {}, "source": {}, "reportingComponent": "", "reportingInstance": ""},
    "NewEvent": {"regarding": {}, "deprecatedSource": {}},
    "Node": {"spec": {}, "status": {"daemonEndpoints": {"kubeletEndpoint": {"Port": 0}}, "nodeInfo": {}}},
    "PersistentVolumeClaim": {"spec": {"resources": {}}, "status": {}},
    "Deployment": {"spec": {"strategy": {}, "template": _TEMPLATE}, "status": {}},
    "ReplicaSet": {"spec": {"template": _TEMPLATE}, "status": {"replicas": 0}},
    "StatefulSet": {
        "spec": {"serviceName": "", "template": _TEMPLATE, "updateStrategy": {}},
        "status": _STATUS["StatefulSet"],
    },
    "DaemonSet": {"spec": {"template": _TEMPLATE, "updateStrategy": {}}, "status": _STATUS["DaemonSet"]},
    "ControllerRevision": {"revision": 0},
    "Job": {"spec": {"template": _TEMPLATE}, "status": {}},
    "CronJob": {
        "spec": {"schedule": "", "jobTemplate": {"metadata": {}, "spec": {"template": _TEMPLATE}}},
        "status": {},
    },
    "HorizontalPodAutoscaler": {
        "spec": {"maxReplicas": 0, "scaleTargetRef": {"kind": "", "name": ""}},
        "status": _STATUS["HorizontalPodAutoscaler"],
    },
    "PodDisruptionBudget": {"spec": {}, "status": _STATUS["PodDisruptionBudget"]},
    "Ingress": {"spec": {}, "status": {"loadBalancer": {}}},
    "NetworkPolicy": {"spec": {"podSelector": {}}},
    "EndpointSlice": {"addressType": ""},
    "CustomResourceDefinition": {
        "spec": {"group": "", "names": {"kind": "", "plural": ""}, "scope": ""},
        "status": {"acceptedNames": {"kind": "", "plural": ""}},
    },
    "PriorityClass": {"value": 0},
    "StorageClass": {"provisioner": ""},
    "RuntimeClass": {"handler": ""},
    "APIService": {"spec": {"groupPriorityMinimum": 0, "versionPriority": 0}, "status": {}},
}
"""What an empty object of a type holds already: structs by value and plain fields that are always written."""

_METRICS: Final = [
    {"type": "Resource", "resource": {"name": "cpu", "target": {"type": "Utilization", "averageUtilization": 80}}}
]
_PERIOD: Final = 15  # seconds
_SCALE_UP: Final = [
    {"type": "Pods", "value": 4, "periodSeconds": _PERIOD},
    {"type": "Percent", "value": 100, "periodSeconds": _PERIOD},
]
_SCALE_DOWN: Final = [{"type": "Percent", "value": 100, "periodSeconds": _PERIOD}]


def complete(kind: str, obj: Object) -> None:
    """Adds what the real server would show."""
    status = obj.setdefault("status", {}) if kind in _STATUS else None
    if isinstance(status, dict):
        for key, value in _STATUS[kind].items():
            status.setdefault(key, copy.deepcopy(value))
    spec = obj.get("spec")
    if not isinstance(spec, dict):
        return
    if kind == "HorizontalPodAutoscaler":
        if not spec.get("metrics"):
            spec["metrics"] = copy.deepcopy(_METRICS)
        _behavior(spec.get("behavior"))
    elif kind == "NetworkPolicy":
        for rule in [*(spec.get("ingress") or []), *(spec.get("egress") or [])]:
            for port in (rule.get("ports") if isinstance(rule, dict) else None) or []:
                if isinstance(port, dict):
                    port.setdefault("protocol", "TCP")


def _behavior(behavior: Any) -> None:
    """Either direction is completed as soon as one is configured."""
    if not isinstance(behavior, dict):
        return
    up, down = behavior.setdefault("scaleUp", {}), behavior.setdefault("scaleDown", {})
    if isinstance(up, dict) and isinstance(down, dict):
        up.setdefault("stabilizationWindowSeconds", 0)
        for rules, policies in ((up, _SCALE_UP), (down, _SCALE_DOWN)):
            rules.setdefault("selectPolicy", "Max")
            rules.setdefault("policies", copy.deepcopy(policies))
