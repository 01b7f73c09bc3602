"""A spec becomes a RuntimeShape: `resolve`, the only way from one to the other.

Called by the controller before it renders, by the webhook to judge what a spec comes to, and by the
plugin to explain it. Pure and deterministic: the same spec and presets give the same shape, whatever the
order of keys. It works on every object that admission lets through, with or without the defaulting
webhook; an overlay with a used key of the wrong type raises InvalidObject.

Order: presets, typed resources, memory, workers, placement, files and mounts, overlay on top of each.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta

from crds.v1 import memory, names, overlay, presets, scaling, trino_files
from crds.v1.chart_config import HelmChartConfig
from crds.v1.overlay import Overlay
from crds.v1.properties import parse as parse_properties
from crds.v1.quantity import parse_duration, parse_trino_data_size
from crds.v1.role_shape import Given, resolve_role
from crds.v1.routes import header_value, normal_host
from crds.v1.runtime_shape import (
    ConfigFile,
    ControlAuth,
    ExposedPort,
    Hpa,
    Image,
    Ingress,
    Keda,
    Lifecycle,
    Memory,
    Mount,
    NetworkPolicy,
    Placement,
    Resources,
    Role,
    Routing,
    RuntimeShape,
    Service,
    ServiceAccount,
    ServiceMonitor,
    Sidecar,
    Workers,
)
from crds.v1.trino_files import RoleName, Settings
from crds.v1.xtrinode import MAX_WORKERS, XTrinode, XTrinodeSpec

__all__ = [
    "ConfigFile",
    "ControlAuth",
    "ExposedPort",
    "Hpa",
    "Image",
    "Ingress",
    "Keda",
    "Lifecycle",
    "Memory",
    "Mount",
    "NetworkPolicy",
    "Placement",
    "Resources",
    "Role",
    "Routing",
    "RuntimeShape",
    "Service",
    "ServiceAccount",
    "ServiceMonitor",
    "Sidecar",
    "Workers",
    "resolve",
]

DEFAULT_IMAGE_TAG = "480"
CONTROL_USER = "xtrinode-operator"
_IDENTITY_ANNOTATIONS = (
    "iam.gke.io/gcp-service-account",
    "eks.amazonaws.com/role-arn",
    "azure.workload.identity/client-id",
)
ROLES: tuple[RoleName, RoleName] = ("coordinator", "worker")


def resolve(x: XTrinode, table: presets.Presets = presets.DEFAULT) -> RuntimeShape:
    """What the runtime is, with everything decided."""
    spec, parsed = x.spec, _with_jmx(x.spec, overlay.parse_overlay(x.spec.values_overlay))
    sources: dict[str, str] = {}
    resources = _resources(spec, table, sources)
    workers, worker_sources = scaling.resolve_workers(x, parsed)
    sources |= worker_sources
    divided = {role: _memory(role, spec, parsed, resources[role], sources) for role in ROLES}
    image = _image(parsed, spec.helm_chart_config)
    sources["image"] = "spec.valuesOverlay.image" if "image" in parsed.model_fields_set else "default"
    settings = Settings(
        name=x.metadata.name,
        spec=spec,
        overlay=parsed,
        memory=divided,
        query_max_memory=_query_max_memory(spec, divided, sources),
        include_coordinator=parsed.coordinator.config.node_scheduler.include_coordinator or not workers.rendered,
        grace=_grace(spec, parsed),
        control_user=spec.trino_control_auth.username if spec.trino_control_auth else CONTROL_USER,
        image_takes_pinning=_takes_pinning(image),
        image_runs_java_23=image.version.isdigit() and int(image.version) >= 464,
    )
    given = Given(x, parsed, workers, settings, resources)
    shape = RuntimeShape(
        namespace=x.metadata.namespace,
        name=x.metadata.name,
        size=spec.size,
        image=image,
        coordinator=resolve_role("coordinator", given),
        worker=resolve_role("worker", given),
        workers=workers,
        service=Service(parsed.service.port, parsed.service.annotations),
        service_account=_service_account(x.metadata.name, given),
        common_labels=parsed.common_labels,
        ingress=_ingress(given.chart),
        network_policy=_network_policy(given),
        catalog_selector=spec.catalog_selector,
        builtin_catalogs=tuple(trino_files.BUILTIN_CATALOGS) if spec.catalog_selector is None else (),
        schemas=parsed.kafka.table_descriptions,
        control_auth=_control_auth(spec),
        graceful_shutdown_seconds=int(settings.grace.total_seconds()) if settings.grace else None,
        query_max_memory=settings.query_max_memory,
        routing=_routing(x, resources["worker"], workers, sources),
        lifecycle=_lifecycle(spec),
        sources=sources,
    )
    return replace(shape, hash=shape.fingerprint())


def _with_jmx(spec: XTrinodeSpec, parsed: Overlay) -> Overlay:
    """An exporter without JMX has nothing to export: it turns JMX on."""
    typed = spec.keda.jmx_exporter if spec.keda else None
    if parsed.jmx.enabled or not ((typed and typed.enabled) or parsed.jmx.exporter.enabled):
        return parsed
    return parsed.model_copy(update={"jmx": parsed.jmx.model_copy(update={"enabled": True})})


def _resources(spec: XTrinodeSpec, table: presets.Presets, sources: dict[str, str]) -> dict[RoleName, Resources]:
    preset = table[spec.size]
    made: dict[RoleName, Resources] = {}
    for role in ROLES:
        typed = getattr(spec.resources, role) if spec.resources else None
        made[role] = memory.resolve_resources(typed if typed is not None else getattr(preset, role))
        sources[f"{role}.resources"] = f"spec.resources.{role}" if typed is not None else f"preset {spec.size}"
    return made


def _memory(
    role: RoleName, spec: XTrinodeSpec, parsed: Overlay, resources: Resources, sources: dict[str, str]
) -> Memory:
    block = parsed.coordinator if role == "coordinator" else parsed.worker
    path = f"{overlay.PATH}.{role}"
    heap = memory.heap_option(block.additional_jvm_config)
    sources[f"{role}.heap"] = f"{path}.additionalJVMConfig" if heap is not None else f"{role}.resources"
    lines = overlay_lines(role, parsed)
    headroom = lines.get("memory.heap-headroom-per-node") or block.config.memory.heap_headroom_per_node
    query = lines.get("query.max-memory-per-node") or block.config.query.max_memory_per_node
    session = spec.limits.session if spec.limits else None
    if query:
        sources[f"{role}.queryMaxMemoryPerNode"] = path
    elif session and session.max_total_memory_per_node:
        # The coordinator's heap is another one: the limit is meant for workers and only caps it.
        whole = memory.divide(resources.memory_bytes, heap=heap)
        limit = parse_trino_data_size(session.max_total_memory_per_node)
        per_node = limit if role == "worker" else min(limit, whole.query_per_node)
        sources[f"{role}.queryMaxMemoryPerNode"] = "spec.limits.session.maxTotalMemoryPerNode"
        return memory.divide(resources.memory_bytes, heap=heap, headroom=_bytes(headroom), query=per_node)
    return memory.divide(resources.memory_bytes, heap=heap, headroom=_bytes(headroom), query=_bytes(query))


def _bytes(text: str | None) -> int | None:
    return parse_trino_data_size(text) if text else None


def overlay_lines(role: RoleName, parsed: Overlay) -> dict[str, str]:
    """The config.properties lines that an overlay adds to a role."""
    server = parsed.server
    extra = server.coordinator_extra_config if role == "coordinator" else server.worker_extra_config
    return parse_properties(parsed.additional_config_properties) | parse_properties(extra)


def _query_max_memory(spec: XTrinodeSpec, divided: Mapping[RoleName, Memory], sources: dict[str, str]) -> int:
    """What the most workers that there may ever be could give. So the limit per node is the one that holds, and the
    coordinator's configuration, and with it the coordinator, stays as it is when workers come and go."""
    session = spec.limits.session if spec.limits else None
    if session and session.max_query_memory:
        sources["queryMaxMemory"] = "spec.limits.session.maxQueryMemory"
        return parse_trino_data_size(session.max_query_memory)
    sources["queryMaxMemory"] = "share per node"
    return MAX_WORKERS * max(memory.query_per_node for memory in divided.values())


def _image(parsed: Overlay, chart: HelmChartConfig | None) -> Image:
    image = parsed.image
    reference = image.repository
    version = image.tag or DEFAULT_IMAGE_TAG
    if image.use_repository_as_sole_image_reference:
        version = reference.rpartition(":")[2] if ":" in reference.rpartition("/")[2] else "unknown"
    else:
        if image.registry:
            reference = f"{image.registry}/{reference}"
        if image.digest:
            reference, version = f"{reference}@{image.digest}", image.tag or "unknown"
        else:
            reference = f"{reference}:{version}"
    if "@" in reference and not image.tag:
        version = "unknown"
    secrets = tuple(item.name for item in chart.image_pull_secrets) if chart else ()
    return Image(reference, version[:63], image.pull_policy, secrets)


def _takes_pinning(image: Image) -> bool:
    return image.reference.startswith("trinodb/trino:") and image.version.isdigit() and int(image.version) > 447


def _grace(spec: XTrinodeSpec, parsed: Overlay) -> timedelta | None:
    chart = spec.helm_chart_config
    typed = chart.worker.graceful_shutdown if chart and chart.worker else None
    for block in (typed, parsed.worker.graceful_shutdown):
        if block is not None:
            return timedelta(seconds=block.grace_period_seconds) if block.enabled else None
    return None


def _service_account(runtime: str, given: Given) -> ServiceAccount:
    typed = given.chart.service_account
    annotations = typed.annotations if typed else {}
    asked = given.overlay.service_account.automount_service_account_token
    automount = asked if asked is not None else any(key in annotations for key in _IDENTITY_ANNOTATIONS)
    name = (typed.name if typed else None) or names.service_account(runtime)
    return ServiceAccount(name, typed.create if typed else True, annotations, automount)


def _ingress(chart: HelmChartConfig) -> Ingress | None:
    typed = chart.ingress
    if typed is None or not typed.enabled:
        return None
    hosts = tuple(
        (host.host, tuple((path.path, path.path_type) for path in host.paths) or (("/", "Prefix"),))
        for host in typed.hosts
    )
    tls = tuple((item.secret_name, item.hosts) for item in typed.tls)
    return Ingress(typed.class_name, typed.annotations, hosts, tls)


def _network_policy(given: Given) -> NetworkPolicy | None:
    typed = given.chart.network_policy
    if typed is not None:
        return NetworkPolicy(typed.ingress, typed.egress) if typed.enabled else None
    block = given.overlay.network_policy
    return NetworkPolicy(block.ingress, block.egress) if block.enabled else None


def _control_auth(spec: XTrinodeSpec) -> ControlAuth:
    auth = spec.trino_control_auth
    if auth is None:
        return ControlAuth(CONTROL_USER, None, None)
    return ControlAuth(auth.username, auth.password_secret.name, auth.password_secret.key)


def _routing(x: XTrinode, worker: Resources, workers: Workers, sources: dict[str, str]) -> Routing:
    routing, meta = x.spec.routing, x.metadata
    own = names.routing_group(meta.namespace, meta.name)
    asked = routing.routing_group if routing else None
    shared = asked is not None and asked != own
    group = names.shared_routing_group(meta.namespace, asked) if shared and asked else own
    hostname = None
    if routing and routing.hostname:
        hostname = normal_host(routing.hostname)
    elif routing and routing.hostname_domain:
        hostname = normal_host(f"{asked or own}.{routing.hostname_domain}")
    units = routing.capacity_units if routing else None
    sources["capacityUnits"] = "spec.routing.capacityUnits" if units else "worker CPU requests"
    return Routing(
        group=group,
        shared=shared,
        hostname=hostname,
        header=header_value(routing.header) if routing and routing.header else None,
        default=bool(routing and routing.default),
        capacity_units=units or scaling.capacity_units(worker.cpu_millis, workers.capacity),
    )


def _lifecycle(spec: XTrinodeSpec) -> Lifecycle:
    return Lifecycle(
        suspended=spec.suspended,
        auto_suspend_after=parse_duration(spec.auto_suspend_after) or None,
        resume_policy=spec.resume_policy,
        drain_timeout=parse_duration(spec.drain_timeout),
        drain_policy=spec.drain_policy,
        wake_min_workers=spec.wake_min_workers,
        wake_ttl=parse_duration(spec.wake_ttl),
    )
