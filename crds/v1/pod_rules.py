"""Rules about what goes into the pods beside Trino: files, mounts, variables, ports, tolerations, init containers.

What the types and the overlay let through one by one can still not live together in one pod, and a Deployment that
the API server refuses is a runtime in phase Error. These rules say so while the author is looking.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from crds.v1 import pod_security
from crds.v1.chart_config import CoordinatorChartConfig, WorkerChartConfig
from crds.v1.meta import FieldError, InvalidObject, field_path
from crds.v1.overlay import PATH, jmx_of
from crds.v1.rule_subject import Errors, Rule, Subject
from crds.v1.runtime_shape import CONFIG_ROOT
from crds.v1.shape import ROLES, resolve
from crds.v1.trino_files import RoleName
from crds.v1.xtrinode import XTrinode

#: Beside the files that this very runtime has: what another edit may bring at any time.
_RESERVED_NAMES = frozenset({"exchange-manager.properties", "catalog"})


def config_files_are_new(at: Subject) -> Errors:
    blocks = _blocks(at.runtime)
    if not any(block.additional_config_files for block in blocks.values()):
        return
    generated = _generated(at.runtime)
    for role, block in blocks.items():
        for name in block.additional_config_files:
            if name in _RESERVED_NAMES or name in generated[role]:
                path = f"spec.helmChartConfig.{role}.additionalConfigFiles[{name}]"
                yield FieldError(path, "is generated; use the fields that make it, or the overlay's lines", "Forbidden")


def _blocks(runtime: XTrinode) -> dict[str, CoordinatorChartConfig | WorkerChartConfig]:
    """Role -> what helmChartConfig says about it alone."""
    chart = runtime.spec.helm_chart_config
    found = {"coordinator": chart.coordinator, "worker": chart.worker} if chart else {}
    return {role: block for role, block in found.items() if block is not None}


def _generated(runtime: XTrinode) -> dict[str, set[str]]:
    """Role -> names in /etc/trino that a runtime has without its additional files."""
    chart = runtime.spec.helm_chart_config
    bare = {role: block.model_copy(update={"additional_config_files": {}}) for role, block in _blocks(runtime).items()}
    spec = runtime.spec.model_copy(update={"helm_chart_config": chart.model_copy(update=bare) if chart else None})
    try:
        shape = resolve(runtime.model_copy(update={"spec": spec}))
    except (InvalidObject, ValueError):
        return {role: set() for role in ROLES}  # the reason is named by another rule
    return {role: {file.path.partition("/")[0] for file in getattr(shape, role).files} for role in ROLES}


#: Where Trino's own files are. Nothing may lie on one of these, nor on a directory above them.
_OWN_PATHS = (CONFIG_ROOT, f"{CONFIG_ROOT}/catalog", "/usr/lib/trino", "/data/trino")


@dataclass(frozen=True, slots=True)
class _Mount:
    """One mount, as far as its place in the container goes."""

    field: str
    path: str
    sub_path: str | None = None
    path_key: str = "path"
    """The field's key that holds the path; empty when the field itself decides it."""

    @property
    def path_field(self) -> str:
        return f"{self.field}.{self.path_key}" if self.path_key else self.field


def mounts_do_not_collide(at: Subject) -> Errors:
    found: dict[str, FieldError] = {}
    for role in ROLES:
        taken: dict[str, _Mount] = {}
        for mount in _mounts(at, role):
            target = normal_path(mount.path)
            error = _misplaced(mount, target)
            other = taken.setdefault(target, mount)
            if error is None and other is not mount:
                error = FieldError(mount.path_field, f"is where {other.field} is mounted", "Duplicate", target)
            if error is not None:
                found.setdefault(error.path, error)
    yield from found.values()


def normal_path(path: str) -> str:
    """The path as the kernel reads it: without doubled or trailing slashes and single dots."""
    return posixpath.normpath("/" + path.lstrip("/"))


def _misplaced(mount: _Mount, target: str) -> FieldError | None:
    """What is wrong with one mount on its own."""
    sub_path = mount.sub_path or ""
    if ".." in mount.path.split("/"):
        return FieldError(mount.path_field, "must not go up with ..; write the path itself", "Invalid", mount.path)
    if ".." in sub_path.split("/"):
        return FieldError(f"{mount.field}.subPath", "must not go up with ..; name the key", "Invalid", sub_path)
    if sub_path.startswith("/"):
        return FieldError(f"{mount.field}.subPath", "is a key, not an absolute path", "Invalid", sub_path)
    if any(own == target or own.startswith(f"{target.rstrip('/')}/") for own in _OWN_PATHS):
        message = "hides what Trino needs there; choose a directory below it"
        return FieldError(mount.path_field, message, "Forbidden", mount.path)
    return None


def _mounts(at: Subject, role: RoleName) -> Iterator[_Mount]:
    """Everything that a user mounts into the Trino container of a role."""
    for index, name in enumerate(at.spec.custom_config_maps):
        yield _Mount(f"spec.customConfigMaps[{index}]", f"{CONFIG_ROOT}/custom/{name}", path_key="")
    if at.overlay.kafka.table_descriptions:
        yield _Mount(f"{PATH}.kafka", at.overlay.kafka.mount_path, path_key="mountPath")
    chart, block = at.spec.helm_chart_config, getattr(at.overlay, role)
    own = getattr(chart, role) if chart else None
    for field, mounts in (
        ("spec.helmChartConfig.secretMounts", chart.secret_mounts if chart else ()),
        (f"spec.helmChartConfig.{role}.secretMounts", own.secret_mounts if own else ()),
        (f"{PATH}.secretMounts", at.overlay.secret_mounts),
        (f"{PATH}.{role}.secretMounts", block.secret_mounts),
        (f"{PATH}.configMounts", at.overlay.config_mounts),
        (f"{PATH}.{role}.configMounts", block.config_mounts),
    ):
        for index, mount in enumerate(mounts):
            yield _Mount(f"{field}[{index}]", mount.path, mount.sub_path)
    for index, raw in enumerate(block.additional_volume_mounts):
        path, sub_path = raw.get("mountPath"), raw.get("subPath")
        field = f"{PATH}.{role}.additionalVolumeMounts[{index}]"
        if isinstance(path, str):
            yield _Mount(field, path, sub_path if isinstance(sub_path, str) else None, "mountPath")


def init_containers_are_tame(at: Subject) -> Errors:
    chart = at.spec.helm_chart_config
    groups = chart.init_containers if chart else None
    for role in ROLES:
        for index, container in enumerate(getattr(groups, role) if groups else ()):
            yield from _init_container(container, f"spec.helmChartConfig.initContainers.{role}[{index}]")


def _init_container(container: Mapping[str, object], path: str) -> Errors:
    for key in ("name", "image"):
        if not isinstance(container.get(key), str) or not container[key]:
            yield FieldError(f"{path}.{key}", f"a container needs a {key}", "Required")
    yield from pod_security.container_errors(container.get("securityContext"), f"{path}.securityContext")
    yield from pod_security.port_errors(container.get("ports"), f"{path}.ports")


def variables_are_said_once(at: Subject) -> Errors:
    chart = at.spec.helm_chart_config
    typed = [item.model_dump(by_alias=True, exclude_none=True) for item in chart.env] if chart else []
    for path, variables in ((f"{PATH}.env", at.overlay.env), ("spec.helmChartConfig.env", typed)):
        seen: set[str] = set()
        for index, variable in enumerate(variables):
            name = variable.get("name")
            if not isinstance(name, str) or not name:
                yield FieldError(f"{path}[{index}].name", "a variable needs a name", "Required")
            elif name in seen:
                yield FieldError(f"{path}[{index}].name", "is set twice; keep one of them", "Duplicate", name)
            else:
                seen.add(name)
            if variable.get("value") and variable.get("valueFrom"):
                yield FieldError(f"{path}[{index}].valueFrom", "cannot be combined with value", "Forbidden")


def tolerations_make_sense(at: Subject) -> Errors:
    both = at.spec.placement
    blocks = {"spec.placement": both, **{f"spec.placement.{role}": getattr(both, role) for role in ROLES if both}}
    for path, block in blocks.items():
        for index, taint in enumerate((block.tolerations or ()) if block else ()):
            field = f"{path}.tolerations[{index}]"
            if taint.operator == "Exists" and taint.value:
                yield FieldError(f"{field}.value", "must be empty with operator Exists", "Invalid", taint.value)
            if taint.operator != "Exists" and not taint.key:
                yield FieldError(f"{field}.key", "set the taint's key, or operator: Exists for all of them", "Required")
            if taint.toleration_seconds is not None and taint.effect != "NoExecute":
                yield FieldError(f"{field}.tolerationSeconds", "needs effect: NoExecute", "Invalid")


_PORT_NAME = re.compile(r"(?=.*[a-z])[a-z0-9]([-a-z0-9]{0,13}[a-z0-9])?\Z")


def ports_do_not_collide(at: Subject) -> Errors:
    """Containers of a pod share its ports."""
    found: dict[str, FieldError] = {}
    for role in ROLES:
        taken: dict[int, str] = {}
        for field, port in _ports(at, role):
            other = taken.setdefault(port, field)
            if other != field:
                found.setdefault(field, FieldError(field, f"is also {other}", "Duplicate", port))
    yield from found.values()
    for role in ROLES:
        for key, exposed in getattr(at.overlay, role).additional_exposed_ports.items():
            if not _PORT_NAME.match(exposed.name or key):
                field = field_path(["spec", "valuesOverlay", role, "additionalExposedPorts", key])
                message = "must be 1 to 15 lower-case letters, digits and dashes"
                yield FieldError(field, message, "Invalid", exposed.name or key)


def _ports(at: Subject, role: RoleName) -> Iterator[tuple[str, int]]:
    """Ports that somebody listens on. (An exposed port is a door to one of these, or to one that a line opens.)"""
    yield f"{PATH}.service.port", at.overlay.service.port
    typed = at.spec.keda.jmx_exporter if at.spec.keda else None
    try:
        jmx = jmx_of(at.overlay.jmx, role)
    except InvalidObject:
        return  # the reason is named by another rule
    if jmx.enabled or jmx.exporter.enabled or (typed and typed.enabled):
        yield f"{PATH}.jmx.registryPort", jmx.registry_port
        yield f"{PATH}.jmx.serverPort", jmx.server_port
    if typed and typed.enabled:
        yield "spec.keda.jmxExporter.port", typed.port
    elif jmx.exporter.enabled:
        yield f"{PATH}.jmx.exporter.port", jmx.exporter.port


RULES: tuple[Rule, ...] = (
    config_files_are_new,
    mounts_do_not_collide,
    init_containers_are_tame,
    variables_are_said_once,
    tolerations_make_sense,
    ports_do_not_collide,
)
