"""The Services of a runtime: the coordinator's address, the workers' names, and the targets of metrics scrapes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from controller.observed import Role
from controller.render.metadata import Labelled
from crds.v1 import names

HTTP_PORT = "http"
METRICS_PORT = "metrics"
JMX_PORT = "jmx-exporter"


def render(at: Labelled) -> list[dict[str, Any]]:
    shape = at.shape
    found = [
        _service(
            at,
            names.coordinator_service(shape.name),
            Role.COORDINATOR,
            _ports(at, Role.COORDINATOR),
            annotations=shape.service.annotations,
        )
    ]
    if shape.workers.rendered:
        found.append(
            _service(at, names.worker_service(shape.name), Role.WORKER, _ports(at, Role.WORKER), headless=True)
        )
    for role, name in (
        (Role.COORDINATOR, names.coordinator_metrics_service(shape.name)),
        (Role.WORKER, names.worker_metrics_service(shape.name)),
    ):
        if at.role(role).metrics_service and (role is Role.COORDINATOR or shape.workers.rendered):
            found.append(_metrics(at, name, role))
    return found


def _ports(at: Labelled, role: Role) -> list[dict[str, Any]]:
    ports = [{"name": HTTP_PORT, "port": at.shape.service.port, "targetPort": HTTP_PORT, "protocol": "TCP"}]
    ports += [
        {"name": port.name, "port": port.service_port, "targetPort": port.name, "protocol": port.protocol}
        for port in at.role(role).ports
    ]
    return ports


def _metrics(at: Labelled, name: str, role: Role) -> dict[str, Any]:
    sidecar = at.role(role).sidecar
    if sidecar is not None:
        port, port_name = sidecar.port, JMX_PORT
    else:
        port, port_name = at.shape.service.port, METRICS_PORT
    target = JMX_PORT if sidecar is not None else HTTP_PORT
    service = _service(
        at,
        name,
        role,
        [{"name": port_name, "port": port, "targetPort": target, "protocol": "TCP"}],
        headless=True,
        annotations={
            "prometheus.io/scrape": "true",
            "prometheus.io/path": "/metrics",
            "prometheus.io/port": str(port),
            "prometheus.io/scheme": "http",
        },
    )
    # A scraper wants to see pods that are not ready, too: that is when their numbers matter.
    service["spec"]["publishNotReadyAddresses"] = True
    service["metadata"]["labels"]["prometheus.io/scrape"] = "true"
    return service


def _service(
    at: Labelled,
    name: str,
    role: Role,
    ports: list[dict[str, Any]],
    *,
    headless: bool = False,
    annotations: Mapping[str, str] | None = None,
) -> dict[str, Any]:
    spec: dict[str, Any] = {"type": "ClusterIP", "selector": at.selector(role), "ports": ports}
    if headless:
        spec["clusterIP"] = "None"
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": at.metadata(name, role, annotations),
        "spec": spec,
    }
