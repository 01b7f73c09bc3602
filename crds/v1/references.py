"""Every Secret and ConfigMap that an object names: the only enumeration there is.

Used to ask whether who names a Secret may read it, to watch what a runtime depends on, and to restart
pods when it changes. A new field that names one is added here, and everything follows.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from crds.v1 import overlay as overlays
from crds.v1.chart_config import HelmChartConfig
from crds.v1.fields import SecretKeySelector, SecretMount
from crds.v1.meta import InvalidObject
from crds.v1.xtrinode import XTrinode
from crds.v1.xtrinodecatalog import Connector, XTrinodeCatalog


@dataclass(frozen=True, slots=True, order=True)
class Reference:
    """One mention. `key` None: the whole object."""

    kind: Literal["Secret", "ConfigMap"]
    name: str
    key: str | None
    field: str
    optional: bool = False


def references(obj: XTrinode | XTrinodeCatalog) -> tuple[Reference, ...]:
    """All mentions in an object, in the order of its fields. An overlay that cannot be read names nothing."""
    found = _of_catalog(obj) if isinstance(obj, XTrinodeCatalog) else _of_runtime(obj)
    return tuple(found)


def _selector(ref: SecretKeySelector | None, field: str) -> Iterator[Reference]:
    if ref is not None:
        yield Reference("Secret", ref.name, ref.key, field, bool(ref.optional))


def _of_catalog(catalog: XTrinodeCatalog) -> Iterator[Reference]:
    for field, block in catalog.spec.connector.chosen().items():
        yield from _of_connector(block, f"spec.connector.{field}")


def _of_connector(block: Connector, path: str) -> Iterator[Reference]:
    for name, info in type(block).model_fields.items():
        value = getattr(block, name)
        if isinstance(value, SecretKeySelector):
            yield from _selector(value, f"{path}.{info.alias or name}")
    for key, ref in block.property_secret_refs.items():
        yield from _selector(ref, f"{path}.propertySecretRefs[{key}]")


def _of_runtime(runtime: XTrinode) -> Iterator[Reference]:
    spec = runtime.spec
    if spec.resource_groups_profile:
        field = "spec.resourceGroupsProfile"
        yield Reference("ConfigMap", spec.resource_groups_profile, "resource-groups.json", field)
    for index, name in enumerate(spec.custom_config_maps):
        yield Reference("ConfigMap", name, None, f"spec.customConfigMaps[{index}]")
    if spec.trino_control_auth:
        yield from _selector(spec.trino_control_auth.password_secret, "spec.trinoControlAuth.passwordSecret")
    policy = spec.fault_tolerant_execution
    if policy and policy.exchange_manager:
        path = "spec.faultTolerantExecution.exchangeManager.propertySecretRefs"
        for key, ref in policy.exchange_manager.property_secret_refs.items():
            yield from _selector(ref, f"{path}[{key}]")
    if spec.keda and spec.keda.jmx_exporter and spec.keda.jmx_exporter.config_map:
        field = "spec.keda.jmxExporter.configMap"
        yield Reference("ConfigMap", spec.keda.jmx_exporter.config_map, None, field)
    if spec.helm_chart_config:
        yield from _of_chart(spec.helm_chart_config, "spec.helmChartConfig")
    if spec.values_overlay is not None:
        yield from _of_overlay(spec.values_overlay)


def _of_chart(chart: HelmChartConfig, path: str) -> Iterator[Reference]:
    yield from _secret_mounts(chart.secret_mounts, f"{path}.secretMounts")
    if chart.coordinator:
        yield from _secret_mounts(chart.coordinator.secret_mounts, f"{path}.coordinator.secretMounts")
    if chart.worker:
        yield from _secret_mounts(chart.worker.secret_mounts, f"{path}.worker.secretMounts")
    for index, secret in enumerate(chart.image_pull_secrets):
        yield Reference("Secret", secret.name, None, f"{path}.imagePullSecrets[{index}]")
    if chart.ingress:
        for index, tls in enumerate(chart.ingress.tls):
            yield Reference("Secret", tls.secret_name, None, f"{path}.ingress.tls[{index}].secretName")
    for index, variable in enumerate(chart.env):
        yield from _value_from(variable.value_from, f"{path}.env[{index}].valueFrom")
    yield from _env_from(chart.env_from, f"{path}.envFrom")
    if chart.init_containers:
        for role in ("coordinator", "worker"):
            containers: Iterable[Mapping[str, Any]] = getattr(chart.init_containers, role)
            for index, container in enumerate(containers):
                yield from _of_container(container, f"{path}.initContainers.{role}[{index}]")


def _of_container(container: Mapping[str, Any], path: str) -> Iterator[Reference]:
    for index, variable in enumerate(_objects(container.get("env"))):
        yield from _value_from(variable.get("valueFrom"), f"{path}.env[{index}].valueFrom")
    yield from _env_from(_objects(container.get("envFrom")), f"{path}.envFrom")


def _of_overlay(raw: Mapping[str, Any]) -> Iterator[Reference]:
    try:
        overlay = overlays.parse_overlay(raw)
    except InvalidObject:
        return
    path = overlays.PATH
    for key, secret, entry in (
        ("passwordAuthSecret", overlay.auth.password_auth_secret, "password.db"),
        ("groupsAuthSecret", overlay.auth.groups_auth_secret, "group.db"),
    ):
        if secret:
            yield Reference("Secret", secret, entry, f"{path}.auth.{key}")
    for index, variable in enumerate(overlay.env):
        yield from _value_from(variable.get("valueFrom"), f"{path}.env[{index}].valueFrom")
    blocks = ((overlay, path), (overlay.coordinator, f"{path}.coordinator"), (overlay.worker, f"{path}.worker"))
    for block, where in blocks:
        yield from _secret_mounts(block.secret_mounts, f"{where}.secretMounts")
        for index, mount in enumerate(block.config_mounts):
            yield Reference("ConfigMap", mount.config_map, None, f"{where}.configMounts[{index}].configMap")
    for role, where in (blocks[1], blocks[2]):
        for index, volume in enumerate(role.additional_volumes):
            yield from _of_volume(volume, f"{where}.additionalVolumes[{index}]")


def _secret_mounts(mounts: Iterable[SecretMount], path: str) -> Iterator[Reference]:
    for index, mount in enumerate(mounts):
        yield Reference("Secret", mount.secret_name, mount.sub_path, f"{path}[{index}].secretName")


def _objects(value: object) -> list[Mapping[str, Any]]:
    return [item for item in value if isinstance(item, Mapping)] if isinstance(value, list | tuple) else []


def _value_from(source: object, path: str) -> Iterator[Reference]:
    if not isinstance(source, Mapping):
        return
    yield from _keyed(source.get("secretKeyRef"), "Secret", f"{path}.secretKeyRef")
    yield from _keyed(source.get("configMapKeyRef"), "ConfigMap", f"{path}.configMapKeyRef")


def _keyed(ref: object, kind: Literal["Secret", "ConfigMap"], path: str) -> Iterator[Reference]:
    if isinstance(ref, Mapping) and isinstance(ref.get("name"), str) and ref["name"]:
        key = ref.get("key")
        yield Reference(kind, ref["name"], key if isinstance(key, str) else None, path, ref.get("optional") is True)


def _env_from(sources: Iterable[Mapping[str, Any]], path: str) -> Iterator[Reference]:
    for index, source in enumerate(sources):
        yield from _keyed(source.get("secretRef"), "Secret", f"{path}[{index}].secretRef")
        yield from _keyed(source.get("configMapRef"), "ConfigMap", f"{path}[{index}].configMapRef")


def _of_volume(volume: object, path: str) -> Iterator[Reference]:
    """Whatever kind of volume it is: a kind that we have never heard of names its Secret in one of these ways, too."""
    if isinstance(volume, list | tuple):
        for index, item in enumerate(volume):
            yield from _of_volume(item, f"{path}[{index}]")
    if not isinstance(volume, Mapping):
        return
    optional = volume.get("optional") is True
    if isinstance(volume.get("secretName"), str) and volume["secretName"]:
        yield Reference("Secret", volume["secretName"], None, path, optional)
    for key, item in volume.items():
        where = f"{path}.{key}"
        if key == "secret" or key.lower().endswith("secretref"):
            yield from _keyed(item, "Secret", where)
        elif key == "configMap":
            yield from _keyed(item, "ConfigMap", where)
        yield from _of_volume(item, where)
