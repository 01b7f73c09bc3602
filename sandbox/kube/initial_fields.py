"""What built-in objects show without being told: an empty status at first, and defaults that come in groups.

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
_METRICS: Final = [
    {"type": "Resource", "resource": {"name": "cpu", "target": {"type": "Utilization", "averageUtilization": 80}}}
]
_PERIOD: Final = 15  # seconds
_SCALE_UP: Final = [
    {"type": "Pods", "value": 4, "periodSeconds": _PERIOD},
    {"type": "Percent", "value": 100, "periodSeconds": _PERIOD},
]
_SCALE_DOWN: Final = [{"type": "Percent", "value": 100, "periodSeconds": _PERIOD}]


def complete(kind: str, obj: Object, *, new: bool) -> None:
    """Adds what the real server would show."""
    if new and kind in _STATUS and "status" not in obj:
        obj["status"] = copy.deepcopy(_STATUS[kind])
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
