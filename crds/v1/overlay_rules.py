"""What an overlay may say: the keys that are denied to everybody, and lines that would break the runtime.

Permission to use the overlay at all is asked elsewhere; this is about what is wrong even then.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from crds.v1 import memory, pod_security
from crds.v1 import overlay as overlays
from crds.v1.meta import FieldError, InvalidObject, parse
from crds.v1.overlay import PATH, JmxExporter, Overlay
from crds.v1.properties import parse as parse_properties
from crds.v1.quantity import parse_trino_data_size
from crds.v1.trino_files import AUTHENTICATION_TYPE, FIXED_KEYS
from crds.v1.xtrinode import XTrinodeSpec

SHARED_SECRET = "internal-communication.shared-secret"  # noqa: S105  # a property's name
_DATA_SIZES = (
    "query.max-memory",
    "query.max-memory-per-node",
    "query.max-total-memory",
    "memory.heap-headroom-per-node",
)
#: Lines that Trino 480 no longer knows; it would not start with them.
_GONE = {
    "query.max-total-memory-per-node": "Trino no longer has it; use query.max-memory-per-node",
    "discovery-server.enabled": "Trino no longer has it; leave it out",
}


_ENVIRONMENT = re.compile(r"[a-z0-9][_a-z0-9]*\Z")
_TRINO_DURATION = re.compile(r"[0-9]{1,9}(\.[0-9]{1,9})? ?(ns|us|ms|s|m|h|d)\Z")
_FILE_NAME = re.compile(r"[-_a-zA-Z0-9][-._a-zA-Z0-9]{0,252}\Z")


def check(spec: XTrinodeSpec, overlay: Overlay) -> Iterator[FieldError]:
    """Everything that is wrong in the overlay of a spec."""
    raw = spec.values_overlay or {}
    yield from _denied(raw)
    yield from _exporters(overlay)
    yield from _options(overlay)
    yield from _scaling(overlay)
    yield from _lines(overlay)
    yield from _files(overlay)
    yield from _names(overlay)
    yield from _authentication(spec, overlay)
    if spec.resource_groups_profile and overlay.resource_groups is not None:
        message = "cannot be combined with spec.resourceGroupsProfile; keep one of them"
        yield FieldError(f"{PATH}.resourceGroups", message, "Forbidden")


def _denied(raw: Mapping[str, object]) -> Iterator[FieldError]:
    for path, instead in overlays.DENIED.items():
        if _present(raw, path):
            yield FieldError(f"{PATH}.{path}", f"must not be set here; {instead}", "Forbidden")
    service = raw.get("service")
    if isinstance(service, Mapping) and service.get("type") not in {None, "", "ClusterIP"}:
        message = "must be ClusterIP; clients come in through the gateway"
        yield FieldError(f"{PATH}.service.type", message, "Forbidden", service["type"])
    yield from pod_security.container_errors(raw.get("containerSecurityContext"), f"{PATH}.containerSecurityContext")
    yield from pod_security.pod_errors(raw.get("securityContext"), f"{PATH}.securityContext")
    for role in ("coordinator", "worker"):
        block = raw.get(role)
        volumes = block.get("additionalVolumes") if isinstance(block, Mapping) else None
        for index, volume in enumerate(volumes if isinstance(volumes, list) else ()):
            if isinstance(volume, Mapping) and "hostPath" in volume:
                path = f"{PATH}.{role}.additionalVolumes[{index}].hostPath"
                yield FieldError(path, "must not be set; a runtime does not reach into its node's disk", "Forbidden")
    yield from _templates(raw, PATH)


def _exporters(overlay: Overlay) -> Iterator[FieldError]:
    """Each role may say for itself how its exporter runs."""
    path = f"{PATH}.jmx.exporter.securityContext"
    yield from pod_security.container_errors(overlay.jmx.exporter.security_context, path)
    for role in ("coordinator", "worker"):
        own = getattr(overlay.jmx, role).exporter
        if own is None:
            continue
        path = f"{PATH}.jmx.{role}.exporter"
        yield from pod_security.container_errors(own.get("securityContext"), f"{path}.securityContext")
        try:
            parse(JmxExporter, own)
        except InvalidObject as error:
            yield from (FieldError(f"{path}.{item.path}", item.message, item.kind, item.value) for item in error.errors)


def _options(overlay: Overlay) -> Iterator[FieldError]:
    """JVM options: one a line, and a heap that we can read."""
    for role in ("coordinator", "worker"):
        for index, option in enumerate(getattr(overlay, role).additional_jvm_config):
            path, text = f"{PATH}.{role}.additionalJVMConfig[{index}]", option.strip()
            if any(not char.isprintable() for char in text):
                yield FieldError(path, "must be one option; put each on a line of its own", "Invalid", option)
            elif text.startswith("-Xmx") and not memory.heap_option([text]):
                yield FieldError(path, "must be a size alone, such as -Xmx4G", "Invalid", option)


def _scaling(overlay: Overlay) -> Iterator[FieldError]:
    scaler = overlay.server.autoscaling
    if scaler.active and scaler.min_replicas > scaler.max_replicas:
        message = f"must not be greater than maxReplicas ({scaler.max_replicas})"
        yield FieldError(f"{PATH}.server.autoscaling.minReplicas", message, "Invalid", scaler.min_replicas)
    for role in ("coordinator", "worker"):
        budget = getattr(overlay, role).pod_disruption_budget
        if budget.min_available is not None and budget.max_unavailable is not None:
            yield FieldError(f"{PATH}.{role}.podDisruptionBudget", "set either minAvailable or maxUnavailable")


def _present(raw: Mapping[str, object], path: str) -> bool:
    value: object = raw
    for part in path.split("."):
        if not isinstance(value, Mapping) or part not in value:
            return False
        value = value[part]
    return value is not None


def _templates(value: object, path: str) -> Iterator[FieldError]:
    if isinstance(value, str):
        if "{{" in value:
            yield FieldError(path, "holds a Helm template, which nothing evaluates here; write the value itself")
    elif isinstance(value, Mapping):
        for key, item in value.items():
            yield from _templates(item, f"{path}.{key}")
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from _templates(item, f"{path}[{index}]")


def config_lines(overlay: Overlay) -> dict[str, dict[str, str]]:
    """Path -> the config.properties lines that stand there."""
    return {
        f"{PATH}.additionalConfigProperties": parse_properties(overlay.additional_config_properties),
        f"{PATH}.server.coordinatorExtraConfig": parse_properties(overlay.server.coordinator_extra_config),
        f"{PATH}.server.workerExtraConfig": parse_properties(overlay.server.worker_extra_config),
    }


def _lines(overlay: Overlay) -> Iterator[FieldError]:
    for path, lines in config_lines(overlay).items():
        for key in sorted(FIXED_KEYS & lines.keys()):
            instead = "use service.port" if key == "http-server.http.port" else "it is what makes the runtime one"
            yield FieldError(path, f"must not set {key}; {instead}", "Forbidden")
        for key, advice in _GONE.items():
            if key in lines:
                yield FieldError(path, f"must not set {key}: {advice}", "Forbidden")
        for key in _DATA_SIZES:
            if key in lines:
                yield from _data_size(lines[key], f"{path}[{key}]")
    for role in ("coordinator", "worker"):
        config = getattr(overlay, role).config
        for path, value in (
            (f"{PATH}.{role}.config.memory.heapHeadroomPerNode", config.memory.heap_headroom_per_node),
            (f"{PATH}.{role}.config.query.maxMemoryPerNode", config.query.max_memory_per_node),
        ):
            if value:
                yield from _data_size(value, path)


def _data_size(text: str, path: str) -> Iterator[FieldError]:
    try:
        parse_trino_data_size(text)
    except ValueError as error:
        yield FieldError(path, str(error), "Invalid", text)


def _files(overlay: Overlay) -> Iterator[FieldError]:
    for key, block in (("sessionProperties", overlay.session_properties), ("resourceGroups", overlay.resource_groups)):
        if block is not None and block.type not in {"configmap", "properties"}:
            yield FieldError(f"{PATH}.{key}.type", "must be configmap or properties", "NotSupported", block.type)


def _names(overlay: Overlay) -> Iterator[FieldError]:
    environment = overlay.server.node.environment
    if not _ENVIRONMENT.match(environment):
        message = "must be lower-case letters, digits and underscores: Trino does not start otherwise"
        yield FieldError(f"{PATH}.server.node.environment", message, "Invalid", environment)
    node = parse_properties(overlay.additional_node_properties)
    path = f"{PATH}.additionalNodeProperties"
    if not _ENVIRONMENT.match(node.get("node.environment", "production")):
        message = "node.environment must be lower-case letters, digits and underscores: Trino does not start otherwise"
        yield FieldError(path, message, "Invalid", node["node.environment"])
    if "node.id" in node:
        yield FieldError(path, "must not set node.id; all nodes would have the same one", "Forbidden")
    if not _TRINO_DURATION.match(overlay.auth.refresh_period):
        message = "must be a number and one of ms, s, m, h, d, such as 5s"
        yield FieldError(f"{PATH}.auth.refreshPeriod", message, "Invalid", overlay.auth.refresh_period)
    for name in overlay.kafka.table_descriptions:
        if not _FILE_NAME.match(name):
            message = "must be a file name: letters, digits, dots, dashes and underscores"
            yield FieldError(f"{PATH}.kafka.tableDescriptions[{name}]", message, "Invalid", name)


def _authentication(spec: XTrinodeSpec, overlay: Overlay) -> Iterator[FieldError]:
    places = {f"{PATH}.server.config.authenticationType": overlay.authentication_types}
    shared_secret = False
    for path, lines in config_lines(overlay).items():
        types = lines.get(AUTHENTICATION_TYPE, "")
        places[path] = tuple(item.strip().upper() for item in types.split(",") if item.strip())
        shared_secret = shared_secret or bool(lines.get(SHARED_SECRET, "").strip())
    asked = False
    for path, types_here in places.items():
        for kind in types_here:
            asked = True
            if kind != "PASSWORD":
                message = "only PASSWORD works: controller and gateway have to sign in too"
                yield FieldError(path, message, "NotSupported", kind)
    if not asked:
        return
    if spec.trino_control_auth is None:
        message = "Trino asks for passwords, so the controller needs one: name its Secret here"
        yield FieldError("spec.trinoControlAuth.passwordSecret", message, "Required")
    if not shared_secret:
        message = f"with authentication Trino's nodes need a line {SHARED_SECRET}=..., the same on both roles"
        yield FieldError(f"{PATH}.additionalConfigProperties", message, "Required")
