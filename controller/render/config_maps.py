"""The ConfigMaps of a runtime: /etc/trino per role, table descriptions, the JMX exporter's configuration.

Each is named by its content. A change therefore makes a new one, and pods of the old revision keep theirs.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from controller.drift import digest
from controller.observed import Child, ObjectRef, Role
from controller.render.metadata import Labelled
from crds.v1 import names
from crds.v1.runtime_shape import RuntimeShape

_HASH_LENGTH = 12
JMX_FILE = "jmx-exporter-config.yaml"


@dataclass(frozen=True, slots=True)
class ConfigMaps:
    """The rendered ConfigMaps, and by which name pods find each of them."""

    manifests: tuple[dict[str, Any], ...]
    files: Mapping[Role, str]
    schemas: str | None
    jmx: Mapping[Role, str]


def render(at: Labelled) -> ConfigMaps:
    shape = at.shape
    manifests: list[dict[str, Any]] = []

    def add(base: str, data: Mapping[str, str], role: Role | None) -> str:
        name = f"{base}-{digest(data, _HASH_LENGTH)}"
        if all(made["metadata"]["name"] != name for made in manifests):
            manifests.append(
                {"apiVersion": "v1", "kind": "ConfigMap", "metadata": at.metadata(name, role), "data": dict(data)}
            )
        return name

    files = {
        Role.COORDINATOR: add(
            names.coordinator_config_map(shape.name),
            {file.key: file.content for file in shape.coordinator.files},
            Role.COORDINATOR,
        )
    }
    roles = [Role.COORDINATOR]
    if shape.workers.rendered:
        roles.append(Role.WORKER)
        files[Role.WORKER] = add(
            names.worker_config_map(shape.name),
            {file.key: file.content for file in shape.worker.files},
            Role.WORKER,
        )
    schemas = add(names.schemas_config_map(shape.name), shape.schemas, None) if shape.schemas else None
    jmx: dict[Role, str] = {}
    for role in roles:
        sidecar = at.role(role).sidecar
        if sidecar is not None:
            jmx[role] = sidecar.config_map or add(
                names.jmx_exporter_config_map(shape.name), {JMX_FILE: sidecar.config}, None
            )
    return ConfigMaps(tuple(manifests), files, schemas, jmx)


def is_superseding_name(name: str, base: str) -> bool:
    """Whether `name` is a ConfigMap of `base` with some content's hash."""
    stem, _, end = name.rpartition("-")
    return stem == base and len(end) == _HASH_LENGTH and all(char in "0123456789abcdef" for char in end)


def kept(shape: RuntimeShape, unrendered: Iterable[Child]) -> set[ObjectRef]:
    """Which ConfigMaps that are no longer rendered stay: as many of each kind, newest first, as the Deployment keeps
    revisions, because those are what a rollback goes to."""
    name = shape.name
    found: set[ObjectRef] = set()
    maps = [child for child in unrendered if child.ref.kind == "ConfigMap"]
    for base, role in (
        (names.coordinator_config_map(name), shape.coordinator),
        (names.worker_config_map(name), shape.worker),
        (names.schemas_config_map(name), shape.coordinator),
        (names.jmx_exporter_config_map(name), shape.coordinator),
    ):
        old = [child for child in maps if is_superseding_name(child.ref.name, base)]
        old.sort(key=lambda child: (child.created, child.ref.name), reverse=True)
        found.update(child.ref for child in old[: max(1, role.revision_history_limit)])
    return found
