"""A spec becomes a RuntimeShape: `resolve`, the only way from one to the other.

Called by the controller before it renders, by the webhook to judge what a spec comes to, and by the
plugin to explain it. Pure and deterministic: the same spec and presets give the same shape, whatever the
order of keys. It works on every object that admission lets through, with or without the defaulting
webhook; an overlay with a used key of the wrong type raises InvalidObject.

Order: presets, typed resources, memory, workers, placement, files and mounts, overlay on top of each.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import timedelta
from functools import cache
from typing import Any, Literal

from crds import trino
from crds.v1 import memory, names, overlay, placement, presets, scaling, trino_files
from crds.v1.chart_config import HelmChartConfig
from crds.v1.fields import ConfigMapMount, SecretMount
from crds.v1.overlay import Overlay
from crds.v1.properties import parse as parse_properties
from crds.v1.quantity import parse_duration, parse_trino_data_size
from crds.v1.routes import header_value, normal_host
from crds.v1.runtime_shape import (
    CONFIG_ROOT,
    ConfigFile,
    ControlAuth,
    ExposedPort,
    Hpa,
    Image,
    Ingress,
    Json,
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
from crds.v1.xtrinode import XTrinode, XTrinodeSpec

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
DEFAULT_JMX_IMAGE = "bitnami/jmx-exporter@sha256:7c0014b7e1d736faec9760a89727389ba1ba7ad920c764417167abecfb7fd032"
CONTROL_USER = "xtrinode-operator"
#: Trino needs a moment to write down what it was doing; workers may have to finish tasks.
GRACE_SECONDS: Mapping[RoleName, int] = {"coordinator": 900, "worker": 3600}
_IDENTITY_ANNOTATIONS = (
    "iam.gke.io/gcp-service-account",
    "eks.amazonaws.com/role-arn",
    "azure.workload.identity/client-id",
)
ROLES: tuple[RoleName, RoleName] = ("coordinator", "worker")


@cache
def _no_chart() -> HelmChartConfig:
    return HelmChartConfig()


@dataclass(frozen=True, slots=True)
class _Given:
    """The inputs of one resolution, read once."""

    runtime: XTrinode
    overlay: Overlay
    workers: Workers
    settings: Settings
    resources: Mapping[RoleName, Resources]

    @property
    def spec(self) -> XTrinodeSpec:
        return self.runtime.spec

    @property
    def chart(self) -> HelmChartConfig:
        return self.runtime.spec.helm_chart_config or _no_chart()


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
        query_max_memory=_query_max_memory(spec, divided, workers, sources),
        include_coordinator=parsed.coordinator.config.node_scheduler.include_coordinator or not workers.rendered,
        grace=_grace(spec, parsed),
        control_user=spec.trino_control_auth.username if spec.trino_control_auth else CONTROL_USER,
        image_takes_pinning=_takes_pinning(image),
    )
    given = _Given(x, parsed, workers, settings, resources)
    shape = RuntimeShape(
        namespace=x.metadata.namespace,
        name=x.metadata.name,
        size=spec.size,
        image=image,
        coordinator=_role("coordinator", given),
        worker=_role("worker", given),
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


def _query_max_memory(
    spec: XTrinodeSpec, divided: Mapping[RoleName, Memory], workers: Workers, sources: dict[str, str]
) -> int:
    session = spec.limits.session if spec.limits else None
    if session and session.max_query_memory:
        sources["queryMaxMemory"] = "spec.limits.session.maxQueryMemory"
        return parse_trino_data_size(session.max_query_memory)
    sources["queryMaxMemory"] = "share per node times workers"
    if not workers.rendered:
        return divided["coordinator"].query_per_node
    return divided["worker"].query_per_node * workers.max


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


def _role(role: RoleName, given: _Given) -> Role:
    parsed, spec = given.overlay, given.spec
    block = parsed.coordinator if role == "coordinator" else parsed.worker
    grace = given.settings.grace if role == "worker" else None
    exporter = _sidecar(role, given)
    init = given.chart.init_containers
    rollout = spec.rollout_policy
    return Role(
        role=role,
        resources=given.resources[role],
        memory=given.settings.memory[role],
        placement=placement.resolve_placement(role, spec),
        files=tuple(ConfigFile(path, text) for path, text in sorted(trino_files.files(role, given.settings).items())),
        mounts=tuple(_mounts(role, given)),
        env=tuple(_env(role, given)),
        env_from=given.chart.env_from,
        init_containers=getattr(init, role) if init else (),
        volumes=block.additional_volumes,
        volume_mounts=block.additional_volume_mounts,
        startup_probe=block.startup_probe or _exec_probe(initial=10, period=2, timeout=2, failures=60),
        readiness_probe=block.readiness_probe or _exec_probe(initial=10, period=10, timeout=5, failures=6),
        liveness_probe=block.liveness_probe or _LIVENESS,
        lifecycle=block.lifecycle or (_pre_stop(given) if grace else None),
        termination_grace_seconds=_termination(role, block.termination_grace_period_seconds, grace),
        pod_security_context=parsed.security_context if parsed.security_context is not None else _POD_SECURITY,
        container_security_context=_CONTAINER_SECURITY | (parsed.container_security_context or {}),
        share_process_namespace=getattr(parsed.share_process_namespace, role),
        labels=block.labels,
        annotations=block.annotations,
        deployment_annotations=block.deployment.annotations,
        strategy=_strategy(role, spec),
        revision_history_limit=rollout.revision_history_limit
        if rollout and rollout.revision_history_limit is not None
        else 10,
        progress_deadline_seconds=block.deployment.progress_deadline_seconds,
        priority_class=block.priority_class_name or None,
        ports=tuple(
            ExposedPort(port.name or key, port.port, port.service_port or port.port, port.protocol)
            for key, port in sorted(block.additional_exposed_ports.items())
        ),
        disruption_budget=_disruption_budget(role, block.pod_disruption_budget),
        metrics_service=block.metrics_service.enabled,
        sidecar=exporter,
        service_monitor=_service_monitor(role, given.chart),
    )


def _exec_probe(*, initial: int, period: int, timeout: int, failures: int) -> dict[str, Any]:
    return {
        "exec": {"command": [trino.HEALTH_CHECK_COMMAND]},
        "initialDelaySeconds": initial,
        "periodSeconds": period,
        "timeoutSeconds": timeout,
        "failureThreshold": failures,
    }


_LIVENESS: Json = {
    "httpGet": {"path": trino.INFO_PATH, "port": "http"},
    "initialDelaySeconds": 30,
    "periodSeconds": 10,
    "timeoutSeconds": 5,
    "failureThreshold": 6,
}
# The restricted Pod Security Standard, which a namespace of tenants may well enforce.
_POD_SECURITY: Json = {
    "runAsNonRoot": True,
    "runAsUser": 1000,
    "runAsGroup": 1000,
    "fsGroup": 1000,
    "seccompProfile": {"type": "RuntimeDefault"},
}
_CONTAINER_SECURITY: dict[str, Any] = {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}}


def _termination(role: RoleName, asked: int | None, grace: timedelta | None) -> int:
    least = 2 * int(grace.total_seconds()) if grace else 0
    return max(asked if asked is not None else GRACE_SECONDS[role], least)


def _pre_stop(given: _Given) -> dict[str, Any]:
    """Ask Trino to shut down and wait until it has: the kubelet's signal would cut its tasks off."""
    auth = '-H "X-Forwarded-Proto: https" -u "$XTRINODE_TRINO_CONTROL_USER:$XTRINODE_TRINO_CONTROL_PASSWORD" '
    command = (
        "curl -sf -m 5 -X PUT -d '\"SHUTTING_DOWN\"' -H 'Content-Type: application/json' "
        '-H "X-Trino-User: $XTRINODE_TRINO_CONTROL_USER" '
        + (auth if given.spec.trino_control_auth else "")
        + f"http://localhost:{given.overlay.service.port}{trino.INFO_STATE_PATH} || exit 1; "
        "while kill -0 1 2>/dev/null; do sleep 1; done"
    )
    return {"preStop": {"exec": {"command": ["/bin/sh", "-c", command]}}}


def _strategy(role: RoleName, spec: XTrinodeSpec) -> dict[str, Any]:
    if role == "coordinator":
        return {"type": "Recreate"}
    policy = spec.rollout_policy.rolling_update_strategy if spec.rollout_policy else None
    return {
        "type": "RollingUpdate",
        "rollingUpdate": {
            "maxSurge": policy.max_surge if policy and policy.max_surge is not None else "25%",
            "maxUnavailable": policy.max_unavailable if policy and policy.max_unavailable is not None else "25%",
        },
    }


def _disruption_budget(role: RoleName, asked: overlay.DisruptionBudget) -> dict[str, Any] | None:
    if asked.enabled is False:
        return None
    if asked.min_available is not None:
        return {"minAvailable": asked.min_available}
    if asked.max_unavailable is not None:
        return {"maxUnavailable": asked.max_unavailable}
    # A budget that never lets the only coordinator go would stop every node from being drained.
    if role == "coordinator":
        return {"minAvailable": 1} if asked.enabled else None
    return {"maxUnavailable": 1}


def _env(role: RoleName, given: _Given) -> Iterable[Json]:
    spec = given.spec
    made: dict[str, Json] = {str(item.get("name")): item for item in given.overlay.env}
    for variable in given.chart.env:
        made[variable.name] = variable.model_dump(mode="json", by_alias=True, exclude_none=True)
    auth = spec.trino_control_auth
    if role == "worker" and (auth or given.settings.grace):
        made["XTRINODE_TRINO_CONTROL_USER"] = {
            "name": "XTRINODE_TRINO_CONTROL_USER",
            "value": given.settings.control_user,
        }
    if role == "worker" and auth:
        ref = auth.password_secret
        name = "XTRINODE_TRINO_CONTROL_PASSWORD"
        made[name] = _secret_env(name, ref.name, ref.key, ref.optional)
    manager = trino_files.exchange_manager(spec.fault_tolerant_execution)
    if manager:
        for key, ref in sorted(manager.property_secret_refs.items()):
            name = trino_files.exchange_env_name(key)
            made[name] = _secret_env(name, ref.name, ref.key, ref.optional)
    return made.values()


def _secret_env(name: str, secret: str, key: str, optional: bool | None) -> Json:
    ref: dict[str, Any] = {"name": secret, "key": key}
    if optional:
        ref["optional"] = True
    return {"name": name, "valueFrom": {"secretKeyRef": ref}}


def _mount(
    kind: Literal["ConfigMap", "Secret"], source: str, path: str, sub_path: str | None = None, *keys: str
) -> Mount:
    volume = names.volume_name(kind, "/".join((source, *keys)))
    return Mount(volume, kind, source, path, sub_path, tuple((key, key) for key in keys))


def _mounts(role: RoleName, given: _Given) -> Iterable[Mount]:
    spec, parsed, chart = given.spec, given.overlay, given.chart
    for name in spec.custom_config_maps:
        yield _mount("ConfigMap", name, f"{CONFIG_ROOT}/custom/{name}")
    typed, block = getattr(chart, role), getattr(parsed, role)
    secrets: list[SecretMount] = [*chart.secret_mounts, *(typed.secret_mounts if typed else ())]
    secrets += [*parsed.secret_mounts, *block.secret_mounts]
    for secret in secrets:
        yield _mount("Secret", secret.secret_name, secret.path, secret.sub_path)
    config_maps: list[ConfigMapMount] = [*parsed.config_mounts, *block.config_mounts]
    for item in config_maps:
        yield _mount("ConfigMap", item.config_map, item.path, item.sub_path)
    if parsed.kafka.table_descriptions:
        source = names.schemas_config_map(given.runtime.metadata.name)
        yield _mount("ConfigMap", source, parsed.kafka.mount_path)
    if role == "worker":
        return
    if spec.resource_groups_profile:
        yield _mount("ConfigMap", spec.resource_groups_profile, trino_files.RESOURCE_GROUPS_DIR)
    if parsed.auth.password_auth_secret:
        yield _mount("Secret", parsed.auth.password_auth_secret, trino_files.PASSWORD_DIR, None, "password.db")
    if parsed.auth.groups_auth_secret:
        yield _mount("Secret", parsed.auth.groups_auth_secret, trino_files.GROUP_DIR, None, "group.db")


def _sidecar(role: RoleName, given: _Given) -> Sidecar | None:
    typed = given.spec.keda.jmx_exporter if given.spec.keda else None
    exporter = overlay.jmx_of(given.overlay.jmx, role).exporter
    if not (exporter.enabled or (typed and typed.enabled)):
        return None
    use_typed = typed if typed and typed.enabled else None
    return Sidecar(
        image=(use_typed.image if use_typed else None) or exporter.image or DEFAULT_JMX_IMAGE,
        pull_policy=exporter.pull_policy,
        port=use_typed.port if use_typed else exporter.port,
        config_map=use_typed.config_map if use_typed else None,
        config=exporter.config_properties
        or f"hostPort: localhost:{given.overlay.jmx.registry_port}\nstartDelaySeconds: 0\nssl: false\n",
        resources=exporter.resources,
        security_context=_CONTAINER_SECURITY | exporter.security_context,
    )


def _service_monitor(role: RoleName, chart: HelmChartConfig) -> ServiceMonitor | None:
    both = chart.service_monitor
    if both is None:
        return None
    own = getattr(both, role)
    if not (own.enabled if own and own.enabled is not None else both.enabled):
        return None
    return ServiceMonitor(
        both.api_version,
        own.labels if own and own.labels is not None else both.labels,
        (own.interval if own else None) or both.interval,
        (own.scrape_timeout if own else None) or both.scrape_timeout,
    )


def _service_account(runtime: str, given: _Given) -> ServiceAccount:
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


def _network_policy(given: _Given) -> NetworkPolicy | None:
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
