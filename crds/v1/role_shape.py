"""One role of a runtime, resolved: everything that goes into the pods of the coordinator or of the workers."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from functools import cache
from typing import Any, Literal

from crds import trino
from crds.v1 import names, overlay, placement, trino_files
from crds.v1.chart_config import HelmChartConfig
from crds.v1.fields import ConfigMapMount, SecretMount
from crds.v1.overlay import Overlay
from crds.v1.quantity import parse_duration
from crds.v1.runtime_shape import (
    CONFIG_ROOT,
    ConfigFile,
    ExposedPort,
    Json,
    Mount,
    Resources,
    Role,
    ServiceMonitor,
    Sidecar,
    Workers,
)
from crds.v1.trino_files import RoleName, Settings
from crds.v1.xtrinode import XTrinode, XTrinodeSpec

DEFAULT_JMX_IMAGE = "bitnami/jmx-exporter@sha256:7c0014b7e1d736faec9760a89727389ba1ba7ad920c764417167abecfb7fd032"
#: Trino needs a moment to write down what it was doing; workers may have to finish tasks.
GRACE_SECONDS: Mapping[RoleName, int] = {"coordinator": 900, "worker": 3600}


@cache
def _no_chart() -> HelmChartConfig:
    return HelmChartConfig()


@dataclass(frozen=True, slots=True)
class Given:
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


def resolve_role(role: RoleName, given: Given) -> Role:
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


def _pre_stop(given: Given) -> dict[str, Any]:
    """Ask Trino to shut down and wait until it has: the kubelet's signal would cut its tasks off."""
    # A server that asks for no password refuses one.
    asked = trino_files.AUTHENTICATION_TYPE in trino_files.config("worker", given.settings)
    auth = '-H "X-Forwarded-Proto: https" -u "$XTRINODE_TRINO_CONTROL_USER:$XTRINODE_TRINO_CONTROL_PASSWORD" '
    command = (
        "curl -sf -m 5 -X PUT -d '\"SHUTTING_DOWN\"' -H 'Content-Type: application/json' "
        '-H "X-Trino-User: $XTRINODE_TRINO_CONTROL_USER" '
        + (auth if asked and given.spec.trino_control_auth else "")
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


def _env(role: RoleName, given: Given) -> Iterable[Json]:
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


def _mounts(role: RoleName, given: Given) -> Iterable[Mount]:
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


def _sidecar(role: RoleName, given: Given) -> Sidecar | None:
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
        prometheus_duration((own.interval if own else None) or both.interval),
        prometheus_duration((own.scrape_timeout if own else None) or both.scrape_timeout),
    )


_PROMETHEUS_DURATION = re.compile(r"([0-9]+h)?([0-9]+m)?([0-9]+s)?([0-9]+ms)?\Z", re.ASCII)


def prometheus_duration(text: str | None) -> str | None:
    """A duration as the Prometheus operator's CRD takes it: whole numbers, and no unit below a millisecond."""
    if text is None or (text and _PROMETHEUS_DURATION.match(text)):
        return text
    return f"{max(int(parse_duration(text).total_seconds() * 1000), 1)}ms"
