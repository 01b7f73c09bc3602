"""How many workers a runtime has and who decides: a fixed number, KEDA, or the plain HPA.

One question, "is KEDA active?", has one answer here; admission and rendering both use it.
"""

from __future__ import annotations

from typing import Any, Literal

from crds import trino
from crds.v1 import names
from crds.v1.overlay import Overlay
from crds.v1.quantity import parse_duration
from crds.v1.runtime_shape import Hpa, Keda, Workers
from crds.v1.xtrinode import Keda as KedaSpec
from crds.v1.xtrinode import XTrinode, XTrinodeSpec

FIXED_DEFAULT = 2
KEDA_MAX_DEFAULT = 24
PROMETHEUS_DEFAULT = "http://prometheus-operated.monitoring.svc.cluster.local:9090"
INFLIGHT_METRIC = "xtrinode_gateway_inflight_queries"

ScalerType = Literal["prometheus", "http"]
Metric = Literal["query", "memory", "cpu"]


def keda_active(keda: KedaSpec | None) -> bool:
    """Whether KEDA scales the workers: enabled, and told by at least one field how."""
    if keda is None or not keda.enabled:
        return False
    told = (keda.scaler_type, keda.scaling_metric, keda.prometheus_server, keda.prometheus_query, keda.http_endpoint)
    return any(told)


def scaler_type(keda: KedaSpec) -> ScalerType:
    """Where the metric comes from."""
    if keda.scaler_type:
        return keda.scaler_type
    return "prometheus" if keda.prometheus_server or keda.prometheus_query else "http"


def scaling_metric(keda: KedaSpec) -> Metric:
    """What is measured."""
    if keda.scaling_metric:
        return keda.scaling_metric
    return "query" if scaler_type(keda) == "prometheus" else "memory"


def mode(spec: XTrinodeSpec, overlay: Overlay) -> Literal["fixed", "keda", "hpa"]:
    if keda_active(spec.keda):
        return "keda"
    return "hpa" if overlay.server.autoscaling.active else "fixed"


def resolve_workers(runtime: XTrinode, overlay: Overlay) -> tuple[Workers, dict[str, str]]:
    """The workers, and where their numbers came from."""
    spec = runtime.spec
    asked = spec.max_workers
    source = "spec.maxWorkers" if asked is not None else "default"
    match mode(spec, overlay):
        case "keda":
            assert spec.keda is not None
            most = asked if asked is not None else KEDA_MAX_DEFAULT
            keda = _keda(runtime, spec.keda, overlay)
            workers = Workers("keda", spec.min_workers, most, None, most, most, keda, None)
            return workers, {"workers.min": "spec.minWorkers", "workers.max": source}
        case "hpa":
            scaler = overlay.server.autoscaling
            cpu, memory = scaler.targets()
            most = scaler.max_replicas
            hpa = Hpa(cpu, memory, scaler.behavior)
            workers = Workers("hpa", min(scaler.min_replicas, most), most, None, most, most, None, hpa)
            place = "spec.valuesOverlay.server.autoscaling"
            return workers, {"workers.min": f"{place}.minReplicas", "workers.max": f"{place}.maxReplicas"}
        case _:
            number = asked if asked is not None else FIXED_DEFAULT
            if spec.min_workers > number:
                number, source = spec.min_workers, "spec.minWorkers"
            return Workers("fixed", number, number, number, number, number, None, None), {"workers.fixed": source}


def _keda(runtime: XTrinode, keda: KedaSpec, overlay: Overlay) -> Keda:
    kind, metric = scaler_type(keda), scaling_metric(keda)
    threshold = keda.threshold or ("1" if metric == "query" else "80")
    asks_coordinator = False
    if kind == "prometheus":
        trigger = _prometheus(runtime, keda, metric, threshold)
    elif metric in {"memory", "cpu"}:
        trigger = {"type": metric, "metricType": "Utilization", "metadata": {"value": threshold}}
    else:
        trigger, asks_coordinator = _metrics_api(runtime, keda, overlay, threshold)
    fallback = overlay.server.keda.fallback
    return Keda(
        triggers=(trigger,),
        cooldown_seconds=_seconds(keda.scale_down_cooldown),
        scale_up_stabilization_seconds=_seconds(keda.scale_up_cooldown),
        fallback={"failureThreshold": fallback.failure_threshold, "replicas": fallback.replicas} if fallback else None,
        asks_coordinator=asks_coordinator,
    )


def _seconds(duration: str | None) -> int | None:
    return None if duration is None else int(parse_duration(duration).total_seconds())


def _prometheus(runtime: XTrinode, keda: KedaSpec, metric: Metric, threshold: str) -> dict[str, Any]:
    query = keda.prometheus_query or prometheus_query(metric)
    return {
        "type": "prometheus",
        "metadata": {
            "serverAddress": keda.prometheus_server or PROMETHEUS_DEFAULT,
            "query": _fill(query, runtime),
            "threshold": threshold,
        },
    }


def prometheus_query(metric: Metric) -> str:
    """The default PromQL of a metric, with our placeholders. All give "workers times threshold"."""
    if metric == "query":
        # A Prometheus that sets `namespace` to where the gateway runs keeps ours as exported_namespace.
        selector = 'xtrinode="{xtrinodeName}"'
        return (
            f'sum({INFLIGHT_METRIC}{{exported_namespace="{{namespace}}",{selector}}}) or '
            f'sum({INFLIGHT_METRIC}{{namespace="{{namespace}}",{selector}}}) or vector(0)'
        )
    pods = 'namespace="{namespace}",pod=~"{releaseName}-worker-.*",container="trino-worker"'
    if metric == "memory":
        used = f"sum(container_memory_working_set_bytes{{{pods}}})"
        limit = f'avg(kube_pod_container_resource_limits{{{pods},resource="memory"}})'
    else:
        used = f"sum(rate(container_cpu_usage_seconds_total{{{pods}}}[5m]))"
        limit = f'avg(kube_pod_container_resource_limits{{{pods},resource="cpu"}})'
    return f"100 * {used} / {limit}"


def _fill(template: str, runtime: XTrinode) -> str:
    meta = runtime.metadata
    for key, value in {
        "{namespace}": meta.namespace,
        "{xtrinodeName}": meta.name,
        "{releaseName}": names.coordinator_service(meta.name),
    }.items():
        template = template.replace(key, value)
    return template


#: Counts the queries of /v1/query that are not over (GJSON).
LIVE_QUERIES = '#(state!="FINISHED")#|#(state!="FAILED")#|#'


def _metrics_api(runtime: XTrinode, keda: KedaSpec, overlay: Overlay, threshold: str) -> tuple[dict[str, Any], bool]:
    meta = runtime.metadata
    endpoint = keda.http_endpoint or "coordinator"
    base = names.coordinator_url(meta.name, meta.namespace, overlay.service.port)
    metadata: dict[str, str] = {"targetValue": threshold}
    if endpoint == "coordinator":
        metadata |= {
            "url": base + trino.QUERY_PATH,
            "format": "json",
            "valueLocation": keda.http_value_location or LIVE_QUERIES,
        }
        trigger: dict[str, Any] = {
            "type": "metrics-api",
            "metadata": metadata,
            "authenticationRef": {"name": names.scaler_authentication(meta.name)},
        }
        return trigger, True
    if endpoint == "jmx":
        port = keda.jmx_exporter.port if keda.jmx_exporter else 5556
        host = names.host_of_service(names.coordinator_metrics_service(meta.name), meta.namespace)
        url, form = f"http://{host}:{port}/metrics", "prometheus"
    else:
        url = endpoint
        form = "json" if endpoint.endswith(trino.QUERY_PATH) else "prometheus"
    location = keda.http_value_location or (
        LIVE_QUERIES if form == "json" else "trino_execution_QueryManager_RunningQueries"
    )
    return {
        "type": "metrics-api",
        "metadata": {**metadata, "url": url, "format": form, "valueLocation": location},
    }, False


def capacity_units(cpu_millis: int, workers: int) -> int:
    """Weight at the gateway: worker CPU requests in units of two cores, at least 1."""
    return max(1, -(-cpu_millis * workers // 2000))
