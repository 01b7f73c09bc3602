"""The files of /etc/trino: what Trino reads when it starts, from what was resolved.

Each role gets a mapping of path to text. A setting that is made twice in one file stops Trino from
starting, so everything is merged by key: what we derive, then the user's lines, which win, except for
the few keys that decide who is coordinator and where it listens.

Catalogs of XTrinodeCatalog objects are not here: they are ConfigMaps of their own.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Literal

import orjson

from crds.v1 import names, properties
from crds.v1.chart_config import AccessControl
from crds.v1.overlay import Overlay, jmx_of
from crds.v1.quantity import jvm_heap, parse_duration, trino_data_size
from crds.v1.runtime_shape import CONFIG_ROOT, Memory
from crds.v1.xtrinode import ExchangeManager, FaultTolerantExecution, Limits, XTrinodeSpec

RoleName = Literal["coordinator", "worker"]

#: Keys of config.properties that no user line may change: the runtime would not find itself again.
FIXED_KEYS = frozenset({"coordinator", "discovery.uri", "http-server.http.port", "http-server.http.enabled"})

AUTHENTICATION_TYPE = "http-server.authentication.type"
BUILTIN_CATALOGS = {
    "tpcds": {"connector.name": "tpcds", "tpcds.splits-per-node": "4"},
    "tpch": {"connector.name": "tpch", "tpch.splits-per-node": "4"},
}
#: Where an exchange goes when nobody says so. Only good for a single worker and for trials.
LOCAL_EXCHANGE = "/tmp/trino-exchange"  # noqa: S108  # a path in the pod, not on this machine
ACCESS_CONTROL_DIR = f"{CONFIG_ROOT}/access-control"
RESOURCE_GROUPS_DIR = f"{CONFIG_ROOT}/resource-groups"
PASSWORD_DIR = f"{CONFIG_ROOT}/auth/password"
GROUP_DIR = f"{CONFIG_ROOT}/auth/group"
DEFAULT_MAX_QUEUED = 1000


@dataclass(frozen=True, slots=True)
class Settings:
    """What both roles' files are made from."""

    name: str
    spec: XTrinodeSpec
    overlay: Overlay
    memory: Mapping[RoleName, Memory]
    query_max_memory: int
    include_coordinator: bool
    grace: timedelta | None
    """Graceful shutdown of workers; None: off."""
    control_user: str
    image_takes_pinning: bool
    image_runs_java_23: bool
    """The image is new enough for G1's pinned-region option."""


def files(role: RoleName, given: Settings) -> dict[str, str]:
    """Path below /etc/trino -> text, for one role."""
    made = {
        "config.properties": properties.render(config(role, given)),
        "node.properties": properties.render(_node(given.overlay)),
        "log.properties": properties.render(_log(given.overlay)),
        "jvm.config": "\n".join(jvm(role, given)) + "\n",
    }
    exchange = _exchange(given.spec.fault_tolerant_execution, given.overlay)
    if exchange:
        made["exchange-manager.properties"] = properties.render(exchange)
    if given.overlay.event_listener_properties:
        listener = properties.parse(given.overlay.event_listener_properties)
        made["event-listener.properties"] = properties.render(listener)
    if given.spec.catalog_selector is None:
        for catalog, content in BUILTIN_CATALOGS.items():
            made[f"catalog/{names.catalog_file(catalog)}"] = properties.render(content)
    made |= _session_properties(given.overlay)
    made |= _coordinator_files(given) if role == "coordinator" else _worker_files(given)
    return made


def config(role: RoleName, given: Settings) -> dict[str, str]:
    """config.properties as a mapping."""
    port = given.overlay.service.port
    memory = given.memory[role]
    is_coordinator = role == "coordinator"
    service = names.coordinator_service(given.name)
    made = {
        "http-server.process-forwarded": "true",
        "memory.heap-headroom-per-node": trino_data_size(memory.headroom),
        "query.max-memory": trino_data_size(given.query_max_memory),
        "query.max-memory-per-node": trino_data_size(memory.query_per_node),
    }
    if is_coordinator:
        made["node-scheduler.include-coordinator"] = _flag(given.include_coordinator)
        # Clients sign in here; between nodes the shared secret counts, and a worker has no password file.
        if given.overlay.authentication_types:
            made[AUTHENTICATION_TYPE] = ",".join(given.overlay.authentication_types)
    if given.spec.fault_tolerant_execution:
        made["retry-policy"] = given.spec.fault_tolerant_execution.retry_policy
    if given.grace is not None:
        made["shutdown.grace-period"] = f"{int(given.grace.total_seconds())}s"
    jmx = jmx_of(given.overlay.jmx, role)
    if jmx.enabled:
        made["jmx.rmiregistry.port"] = str(jmx.registry_port)
        made["jmx.rmiserver.port"] = str(jmx.server_port)
    server = given.overlay.server
    made |= properties.parse(given.overlay.additional_config_properties)
    made |= properties.parse(server.coordinator_extra_config if is_coordinator else server.worker_extra_config)
    made.pop("http-server.http.enabled", None)
    made |= {
        "coordinator": _flag(is_coordinator),
        "http-server.http.port": str(port),
        "discovery.uri": f"http://localhost:{port}" if is_coordinator else f"http://{service}:{port}",
    }
    return made


def jvm(role: RoleName, given: Settings) -> list[str]:
    """jvm.config, one option per line."""
    overlay_role = given.overlay.coordinator if role == "coordinator" else given.overlay.worker
    extra = [line.strip() for line in overlay_role.additional_jvm_config if line.strip()]
    options = [
        "-server",
        "-agentpath:/usr/lib/trino/bin/libjvmkill.so",
        f"-Xmx{jvm_heap(given.memory[role].heap)}",
        "-XX:+UseG1GC",
        "-XX:G1HeapRegionSize=32M",
        "-XX:+ExplicitGCInvokesConcurrent",
        "-XX:+HeapDumpOnOutOfMemoryError",
        "-XX:+ExitOnOutOfMemoryError",
        "-XX:-OmitStackTraceInFastThrow",
        "-XX:ReservedCodeCacheSize=512M",
        "-XX:PerMethodRecompilationCutoff=10000",
        "-XX:PerBytecodeRecompilationCutoff=10000",
        "-Djdk.attach.allowAttachSelf=true",
        "-Djdk.nio.maxCachedBufferSize=2000000",
        "-XX:+EnableDynamicAgentLoading",
        # Connectors that use Arrow (BigQuery, Snowflake, Ignite) refuse to load without.
        "--add-opens=java.base/java.nio=ALL-UNNAMED",
    ]
    if given.image_runs_java_23:
        options.append("--sun-misc-unsafe-memory-access=allow")
    if given.image_takes_pinning:
        options += ["-XX:+UnlockDiagnosticVMOptions", "-XX:G1NumCollectionsKeepPinned=10000000"]
    jmx = jmx_of(given.overlay.jmx, role)
    if jmx.enabled:
        options.append(f"-Dcom.sun.management.jmxremote.rmi.port={jmx.server_port}")
    # The heap was taken from the last -Xmx already; two of them in the file would only confuse the reader.
    options += [option for option in extra if not option.startswith("-Xmx")]
    return options


def _node(overlay: Overlay) -> dict[str, str]:
    made = {
        "node.environment": overlay.server.node.environment,
        "node.data-dir": "/data/trino",
        "plugin.dir": "/usr/lib/trino/plugin",
    }
    return made | properties.parse(overlay.additional_node_properties)


def _log(overlay: Overlay) -> dict[str, str]:
    return {"io.trino": overlay.server.log.trino.level} | properties.parse(overlay.additional_log_properties)


def exchange_manager(policy: FaultTolerantExecution | None) -> ExchangeManager | None:
    """The exchange manager in effect; None: there is none."""
    if policy is None:
        return None
    manager = policy.exchange_manager
    if manager is None:
        return ExchangeManager() if policy.retry_policy == "TASK" else None
    return manager if manager.enabled else None


def exchange_env_name(key: str) -> str:
    """Environment variable that carries a secret property of the exchange manager."""
    return names.env_name("EXCHANGE", "exchange-manager", key)


def _exchange(policy: FaultTolerantExecution | None, overlay: Overlay) -> dict[str, str]:
    manager = exchange_manager(policy)
    if manager is None:
        return {}
    directories = list(manager.base_directories)
    if not directories and manager.name == "filesystem":
        directories = [LOCAL_EXCHANGE]
    made = dict(manager.properties)
    made |= {key: f"${{ENV:{exchange_env_name(key)}}}" for key in manager.property_secret_refs}
    made |= properties.parse(overlay.additional_exchange_manager_properties)
    made["exchange-manager.name"] = manager.name
    if directories:
        made["exchange.base-directories"] = ",".join(directories)
    return made


def _session_properties(overlay: Overlay) -> dict[str, str]:
    session = overlay.session_properties
    if session is None:
        return {}
    if session.type == "properties":
        return {"session-property-config.properties": _verbatim(session.properties)}
    return {
        "session-property-config.properties": properties.render(
            {
                "session-property-config.configuration-manager": "file",
                "session-property-manager.config-file": f"{CONFIG_ROOT}/session-property-config.json",
            }
        ),
        "session-property-config.json": session.session_properties_config,
    }


def _coordinator_files(given: Settings) -> dict[str, str]:
    overlay, chart = given.overlay, given.spec.helm_chart_config
    made = _access_control(chart.access_control) if chart and chart.access_control else {}
    made |= _resource_groups(given.spec, overlay)
    if "PASSWORD" in overlay.authentication_types and overlay.auth.password_auth_secret:
        made["password-authenticator.properties"] = properties.render(
            {
                "password-authenticator.name": "file",
                "file.password-file": f"{PASSWORD_DIR}/password.db",
            }
        )
    if overlay.auth.groups or overlay.auth.groups_auth_secret:
        made["group-provider.properties"] = properties.render(
            {
                "group-provider.name": "file",
                "file.group-file": f"{GROUP_DIR}/group.db",
                "file.refresh-period": overlay.auth.refresh_period,
            }
        )
        if not overlay.auth.groups_auth_secret:
            made["auth/group/group.db"] = overlay.auth.groups
    if chart and chart.coordinator:
        made |= chart.coordinator.additional_config_files
    return made


def _worker_files(given: Settings) -> dict[str, str]:
    chart = given.spec.helm_chart_config
    made: dict[str, str] = {}
    if given.grace is not None:
        # Only who may write system information may shut a node down; without rules nobody may.
        made["access-control.properties"] = properties.render(
            {
                "access-control.name": "file",
                "security.config-file": f"{ACCESS_CONTROL_DIR}/graceful-shutdown.json",
            }
        )
        rule = {"allow": ["read", "write"], "user": _literal_pattern(given.control_user)}
        made["access-control/graceful-shutdown.json"] = _json({"system_information": [rule]})
    if chart and chart.worker:
        made |= chart.worker.additional_config_files
    return made


def _access_control(control: AccessControl) -> dict[str, str]:
    if control.type == "properties":
        return {"access-control.properties": _verbatim(control.properties or "")}
    lines = {
        "access-control.name": "file",
        "security.config-file": f"{ACCESS_CONTROL_DIR}/{control.config_file}",
    }
    if control.refresh_period:
        lines["security.refresh-period"] = trino_duration(control.refresh_period)
    made = {"access-control.properties": properties.render(lines)}
    return made | {f"access-control/{name}": text for name, text in control.rules.items()}


def _resource_groups(spec: XTrinodeSpec, overlay: Overlay) -> dict[str, str]:
    config_file = None
    made: dict[str, str] = {}
    if spec.resource_groups_profile:
        config_file = f"{RESOURCE_GROUPS_DIR}/resource-groups.json"
    elif overlay.resource_groups and overlay.resource_groups.type == "properties":
        return {"resource-groups.properties": _verbatim(overlay.resource_groups.properties)}
    elif overlay.resource_groups:
        config_file = f"{CONFIG_ROOT}/resource-groups.json"
        made["resource-groups.json"] = overlay.resource_groups.resource_groups_config
    elif spec.limits and limits_group(spec.limits):
        config_file = f"{CONFIG_ROOT}/resource-groups.json"
        made["resource-groups.json"] = _json(
            {"rootGroups": [limits_group(spec.limits)], "selectors": [{"group": "global"}]}
        )
    if config_file is None:
        return {}
    made["resource-groups.properties"] = properties.render(
        {
            "resource-groups.configuration-manager": "file",
            "resource-groups.config-file": config_file,
        }
    )
    return made


def limits_group(limits: Limits) -> dict[str, object] | None:
    """The one resource group that `spec.limits` asks for; None when it sets neither number."""
    running, waiting = limits.hard_concurrency_per_group, limits.max_queued_per_group
    if running is None and waiting is None:
        return None
    return {
        "name": "global",
        "softMemoryLimit": "100%",
        "hardConcurrencyLimit": running if running is not None else 100_000,
        "maxQueued": waiting if waiting is not None else DEFAULT_MAX_QUEUED,
    }


def trino_duration(text: str) -> str:
    """A duration as Trino writes it: one number and one unit."""
    seconds = parse_duration(text).total_seconds()
    return f"{int(seconds)}s" if seconds == int(seconds) else f"{int(seconds * 1000)}ms"


def _literal_pattern(text: str) -> str:
    """A regular expression that matches only `text`."""
    return "".join(char if char.isalnum() or char in "-_@" else f"\\{char}" for char in text)


def _json(value: object) -> str:
    return orjson.dumps(value, option=orjson.OPT_INDENT_2 | orjson.OPT_SORT_KEYS).decode() + "\n"


def _verbatim(text: str) -> str:
    return text if text.endswith("\n") or not text else text + "\n"


def _flag(value: bool) -> str:
    return "true" if value else "false"
