"""Who changes the number of workers when we do not: the HorizontalPodAutoscaler."""

from __future__ import annotations

from typing import Any

from controller.observed import Role
from controller.render.metadata import Labelled
from crds.v1 import names


def render(at: Labelled) -> list[dict[str, Any]]:
    """The autoscaler of an awake runtime. It cannot scale from zero, and it must not undo a suspend: while the
    runtime is suspended it is not rendered, and therefore pruned."""
    hpa = at.shape.workers.hpa
    if hpa is None or at.shape.lifecycle.suspended:
        return []
    metrics = [
        {
            "type": "Resource",
            "resource": {"name": resource, "target": {"type": "Utilization", "averageUtilization": percent}},
        }
        for resource, percent in (("cpu", hpa.cpu_percent), ("memory", hpa.memory_percent))
        if percent is not None
    ]
    spec: dict[str, Any] = {
        "scaleTargetRef": {
            "apiVersion": "apps/v1",
            "kind": "Deployment",
            "name": names.worker_deployment(at.shape.name),
        },
        "minReplicas": max(1, at.shape.workers.min),
        "maxReplicas": at.shape.workers.max,
        "metrics": metrics,
    }
    if hpa.behavior is not None:
        spec["behavior"] = dict(hpa.behavior)
    return [
        {
            "apiVersion": "autoscaling/v2",
            "kind": "HorizontalPodAutoscaler",
            "metadata": at.metadata(names.worker_autoscaler(at.shape.name), Role.WORKER),
            "spec": spec,
        }
    ]
