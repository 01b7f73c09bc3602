"""The pod template of a role, and the hash that says when its pods must be replaced.

A template names its own ConfigMaps by content. Everything else that it reads (Secrets, users' ConfigMaps, catalog
files) is found by walking the finished template, and enters the hash as a digest: there is no second list of
references to keep in step.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from controller.drift import digest
from controller.observed import Role
from controller.render.config_maps import ConfigMaps
from controller.render.metadata import Labelled
from controller.render.services import HTTP_PORT, JMX_PORT
from controller.render.shutdown import is_generated, pre_stop
from crds.v1 import meta, names
from crds.v1.runtime_shape import CONFIG_ROOT, Mount
from crds.v1.runtime_shape import Role as RoleShape

if TYPE_CHECKING:
    from controller.render import SelectedCatalog

ROLLOUT_HASH = {Role.COORDINATOR: meta.COORDINATOR_ROLLOUT_HASH, Role.WORKER: meta.WORKER_ROLLOUT_HASH}
#: The Trino container's name in every pod of ours.
CONTAINER = "trino"

_CONFIG, _CATALOGS, _DATA, _JMX = "trino-config", "trino-catalogs", "trino-data", "jmx-exporter-config"
_DATA_PATH = "/data/trino"
_HASH_LENGTH = 12

Object = dict[str, Any]


def template(
    at: Labelled,
    role: Role,
    maps: ConfigMaps,
    catalogs: tuple[SelectedCatalog, ...],
    digests: Mapping[tuple[str, str], str],
) -> tuple[Object, str]:
    """The pod template with its rollout hash among the annotations, and that hash."""
    shape, wanted = at.shape, at.role(role)
    containers = [_trino(at, role, catalogs)]
    if wanted.sidecar is not None:
        containers.append(_exporter(wanted))
    spec: Object = {
        "serviceAccountName": shape.service_account.name,
        "automountServiceAccountToken": shape.service_account.automount_token,
        "securityContext": dict(wanted.pod_security_context),
        "terminationGracePeriodSeconds": wanted.termination_grace_seconds,
        "containers": containers,
        "volumes": _volumes(at, role, maps, catalogs),
    }
    if wanted.init_containers:
        spec["initContainers"] = [dict(container) for container in wanted.init_containers]
    if shape.image.pull_secrets:
        spec["imagePullSecrets"] = [{"name": name} for name in shape.image.pull_secrets]
    if wanted.share_process_namespace:
        spec["shareProcessNamespace"] = True
    if wanted.priority_class:
        spec["priorityClassName"] = wanted.priority_class
    spec.update(_placement(at, role))
    labels = at.pod_labels(role)
    content = {"spec": spec, "metadata": {"labels": labels, "annotations": dict(wanted.annotations)}}
    read = {f"{kind}/{name}": digests[kind, name] for kind, name in sources(spec) if (kind, name) in digests}
    read |= {f"catalog/{catalog.config_map}": catalog.digest for catalog in catalogs}
    rollout = digest({"template": content, "read": read}, _HASH_LENGTH)
    annotations = {**wanted.annotations, ROLLOUT_HASH[role]: rollout}
    return {"metadata": {"labels": labels, "annotations": annotations}, "spec": spec}, rollout


def sources(spec: Any) -> Iterator[tuple[str, str]]:
    """Every (kind, name) of a Secret or ConfigMap that a pod spec reads."""
    if isinstance(spec, Mapping):
        for key, value in spec.items():
            kind = _SOURCE_KEYS.get(key)
            if kind is not None and isinstance(value, Mapping):
                name = value.get("secretName") or value.get("name")
                if isinstance(name, str):
                    yield kind, name
            if key != "imagePullSecrets":
                yield from sources(value)
    elif isinstance(spec, list | tuple):
        for item in spec:
            yield from sources(item)


_SOURCE_KEYS = {
    "secret": "Secret",
    "secretRef": "Secret",
    "secretKeyRef": "Secret",
    "configMap": "ConfigMap",
    "configMapRef": "ConfigMap",
    "configMapKeyRef": "ConfigMap",
}


def _trino(at: Labelled, role: Role, catalogs: tuple[SelectedCatalog, ...]) -> Object:
    shape, wanted = at.shape, at.role(role)
    container: Object = {
        "name": CONTAINER,
        "image": shape.image.reference,
        "imagePullPolicy": shape.image.pull_policy,
        "ports": [
            {"name": HTTP_PORT, "containerPort": shape.service.port, "protocol": "TCP"},
            *({"name": port.name, "containerPort": port.port, "protocol": port.protocol} for port in wanted.ports),
        ],
        "env": _environment(wanted, catalogs),
        "resources": _resources(wanted),
        "securityContext": dict(wanted.container_security_context),
        "startupProbe": dict(wanted.startup_probe),
        "readinessProbe": dict(wanted.readiness_probe),
        "livenessProbe": dict(wanted.liveness_probe),
        "volumeMounts": _mounts(at, role, catalogs),
    }
    if wanted.env_from:
        container["envFrom"] = [dict(source) for source in wanted.env_from]
    lifecycle = wanted.lifecycle
    if role is Role.WORKER and shape.graceful_shutdown_seconds is not None and is_generated(lifecycle):
        lifecycle = {"preStop": pre_stop(shape)}
    if lifecycle is not None:
        container["lifecycle"] = dict(lifecycle)
    return container


def _resources(wanted: RoleShape) -> Object:
    resources: Object = {}
    if wanted.resources.requests:
        resources["requests"] = dict(wanted.resources.requests)
    if wanted.resources.limits:
        resources["limits"] = dict(wanted.resources.limits)
    return resources


def _environment(wanted: RoleShape, catalogs: tuple[SelectedCatalog, ...]) -> list[Object]:
    env: dict[str, Object] = {entry["name"]: dict(entry) for entry in wanted.env}
    env.setdefault("POD_IP", {"name": "POD_IP", "valueFrom": {"fieldRef": {"fieldPath": "status.podIP"}}})
    secrets: dict[str, Object] = {}
    for catalog in catalogs:
        for secret in catalog.properties.env:
            secrets[secret.env_name] = secret.to_env()
    # Sorted: the order in which catalogs were listed must never restart a pod.
    return [*env.values(), *(secrets[name] for name in sorted(secrets) if name not in env)]


def _mounts(at: Labelled, role: Role, catalogs: tuple[SelectedCatalog, ...]) -> list[Object]:
    wanted = at.role(role)
    mounts: list[Object] = [
        {"name": _CONFIG, "mountPath": CONFIG_ROOT, "readOnly": True},
        {"name": _DATA, "mountPath": _DATA_PATH},
    ]
    if catalogs:
        mounts.append({"name": _CATALOGS, "mountPath": f"{CONFIG_ROOT}/catalog", "readOnly": True})
    for mount in wanted.mounts:
        entry: Object = {"name": mount.volume, "mountPath": mount.path, "readOnly": True}
        if mount.sub_path is not None:
            entry["subPath"] = mount.sub_path
        mounts.append(entry)
    mounts += [dict(mount) for mount in wanted.volume_mounts]
    return mounts


def _volumes(at: Labelled, role: Role, maps: ConfigMaps, catalogs: tuple[SelectedCatalog, ...]) -> list[Object]:
    shape, wanted = at.shape, at.role(role)
    volumes: dict[str, Object] = {
        _CONFIG: {
            "name": _CONFIG,
            "configMap": {
                "name": maps.files[role],
                "items": [{"key": file.key, "path": file.path} for file in wanted.files],
            },
        },
        _DATA: {"name": _DATA, "emptyDir": {}},
    }
    if catalogs:
        files = [(catalog.config_map, names.catalog_file(catalog.properties.name)) for catalog in catalogs]
        volumes[_CATALOGS] = {
            "name": _CATALOGS,
            "projected": {
                "sources": [
                    {"configMap": {"name": name, "items": [{"key": file, "path": file}]}} for name, file in files
                ]
            },
        }
    for mount in wanted.mounts:
        if maps.schemas is not None and mount.source == names.schemas_config_map(shape.name):
            source = maps.schemas
        else:
            source = mount.source
        volumes.setdefault(mount.volume, _volume(mount, source))
    if wanted.sidecar is not None:
        volumes[_JMX] = {"name": _JMX, "configMap": {"name": maps.jmx[role]}}
    return [*volumes.values(), *(dict(volume) for volume in wanted.volumes)]


def _volume(mount: Mount, source: str) -> Object:
    content: Object = {"secretName": source} if mount.kind == "Secret" else {"name": source}
    if mount.items:
        content["items"] = [{"key": key, "path": path} for key, path in mount.items]
    return {"name": mount.volume, "secret" if mount.kind == "Secret" else "configMap": content}


def _exporter(wanted: RoleShape) -> Object:
    sidecar = wanted.sidecar
    assert sidecar is not None
    return {
        "name": JMX_PORT,
        "image": sidecar.image,
        "imagePullPolicy": sidecar.pull_policy,
        "args": [str(sidecar.port), "/etc/jmx-exporter/jmx-exporter-config.yaml"],
        "ports": [{"name": JMX_PORT, "containerPort": sidecar.port, "protocol": "TCP"}],
        "resources": dict(sidecar.resources),
        "securityContext": dict(sidecar.security_context),
        "volumeMounts": [{"name": _JMX, "mountPath": "/etc/jmx-exporter", "readOnly": True}],
    }


def _placement(at: Labelled, role: Role) -> Object:
    placement = at.role(role).placement
    found: Object = {}
    if placement.node_selector:
        found["nodeSelector"] = dict(placement.node_selector)
    if placement.tolerations:
        found["tolerations"] = [dict(toleration) for toleration in placement.tolerations]
    if placement.affinity is not None:
        found["affinity"] = dict(placement.affinity)
    if placement.topology_spread_constraints:
        own = {"matchLabels": at.selector(role)}
        found["topologySpreadConstraints"] = [
            {**constraint, "labelSelector": constraint.get("labelSelector") or own}
            for constraint in placement.topology_spread_constraints
        ]
    return found
