"""Everything under /etc/trino, read and judged the way the real server does at start.

Called once by the server's wiring with the directory's files as bytes and the environment. The
result is either a `ServerConfiguration` or the complete list of problems, in the server's wording:
an unknown key, a duplicate, a bad size, memory that does not fit the heap, a secret that no variable
holds. It opens no file on its own but those that a property names.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from sandbox.trino import config_keys, plugin_files
from sandbox.trino.connector_keys import CONNECTORS
from sandbox.trino.jvm import parse_jvm_config
from sandbox.trino.properties import MalformedProperties, parse_properties
from sandbox.trino.resource_groups import ResourceGroups
from sandbox.trino.units import format_data_size, parse_data_size, parse_duration

_ENVIRONMENT_NAME = re.compile(r"[a-z0-9][_a-z0-9]*")
_VARIABLE = re.compile(r"\$\{ENV:([^}]*)\}")
_AUTHENTICATION_TYPES = {"insecure", "password", "certificate", "kerberos", "jwt", "oauth2", "header"}
_DEFAULT_SHARE = "30%"  # of the heap
_JAVA_TYPES = {
    config_keys.SIZE: "io.airlift.units.DataSize",
    config_keys.DURATION: "io.airlift.units.Duration",
    config_keys.INTEGER: "int",
    config_keys.DECIMAL: "double",
    config_keys.BOOLEAN: "boolean",
}


class ConfigurationInvalid(Exception):
    """The server refuses to start; `problems` holds every reason."""

    def __init__(self, problems: Iterable[str]) -> None:
        self.problems = tuple(problems)
        super().__init__(f"{len(self.problems)} configuration errors")


@dataclass(frozen=True, slots=True)
class CatalogConfiguration:
    """One `catalog/<name>.properties`, environment resolved."""

    name: str
    connector: str
    properties: Mapping[str, str] = field(repr=False)


@dataclass(frozen=True, slots=True)
class ServerConfiguration:
    """What the stand-in acts on, typed; sizes in bytes, times in seconds."""

    coordinator: bool
    include_coordinator: bool
    environment: str
    node_id: str | None
    http_port: int
    discovery_uri: str
    process_forwarded: bool
    authentication_types: tuple[str, ...]
    allow_insecure_over_http: bool
    shared_secret: str | None = field(repr=False)
    compression_enabled: bool
    client_timeout: float
    required_workers: int
    required_workers_max_wait: float
    max_history: int
    min_expire_age: float
    max_query_length: int
    max_concurrent_queries: int
    max_run_time: float
    grace_period: float
    heap: int
    max_memory_per_node: int
    web_ui_enabled: bool
    catalogs: tuple[CatalogConfiguration, ...]
    password_file: Path | None
    access_control: plugin_files.AccessControl
    resource_groups: ResourceGroups
    properties: Mapping[str, str] = field(repr=False, default_factory=dict)


@dataclass(slots=True)
class _Problems:
    found: list[str] = field(default_factory=list)

    def add(self, message: str) -> None:
        self.found.append(f"Error: {message}")


def read_etc(directory: Path) -> dict[str, bytes]:
    """The regular files of the directory and of its `catalog` folder, by path relative to it."""
    files: dict[str, bytes] = {}
    for folder in (directory, directory / "catalog"):
        if folder.is_dir():
            for path in sorted(folder.iterdir()):
                if path.is_file():
                    files[path.relative_to(directory).as_posix()] = path.read_bytes()
    return files


def load_configuration(
    files: Mapping[str, bytes],
    environment: Mapping[str, str],
    *,
    physical_memory: int,
    open_file: Callable[[Path], bytes] = Path.read_bytes,
) -> ServerConfiguration:
    """The whole configuration, or ConfigurationInvalid with every problem found."""
    problems = _Problems()
    if "config.properties" not in files:
        raise ConfigurationInvalid(
            ["Error: etc/config.properties: file does not exist. Mount the rendered ConfigMap at /etc/trino"]
        )
    node = _properties("node.properties", files, environment, problems)
    config = _properties("config.properties", files, environment, problems)
    known = {**config_keys.SERVER_KEYS, **config_keys.NODE_KEYS}
    _check_keys(config, known, problems)
    for key in config.keys() & node.keys():
        if key != "plugin.dir":
            problems.add(f"Duplicate configuration property '{key}'")
    values = _Values({**node, **config}, problems)
    heap = parse_jvm_config(files.get("jvm.config"), physical_memory, problems.add)
    catalogs = _catalogs(files, environment, config, problems)
    _check_jvm_options(catalogs, files.get("jvm.config", b""), problems)
    types = _authentication_types(config, problems)
    _check_node(node, config, types, problems)
    memory = _memory(values, heap, problems)
    plugins = plugin_files.check_plugin_files(
        {name: _properties(name, files, environment, problems) for name in plugin_files.NAMES if name in files},
        authentication_types=types,
        coordinator=values.boolean("coordinator", True),
        report=problems.add,
        open_file=open_file,
    )
    if not values.boolean("http-server.http.enabled", True) or values.boolean("http-server.https.enabled", False):
        problems.add(
            "The sandbox's stand-in serves plain HTTP only: set http-server.http.enabled=true and leave out "
            "http-server.https.enabled, or run a real Trino (--trino-home)"
        )
    _check_levels(_properties("log.properties", files, environment, problems), problems)
    result = ServerConfiguration(
        coordinator=values.boolean("coordinator", True),
        include_coordinator=values.boolean("node-scheduler.include-coordinator", True),
        environment=node.get("node.environment", config.get("node.environment", "")),
        node_id=values.text("node.id"),
        http_port=values.integer("http-server.http.port", 8080),
        discovery_uri=(config.get("discovery.uri") or "").rstrip("/"),
        process_forwarded=values.process_forwarded(),
        authentication_types=types,
        allow_insecure_over_http=values.boolean(
            "http-server.authentication.allow-insecure-over-http", types == ("insecure",)
        ),
        shared_secret=values.text("internal-communication.shared-secret"),
        compression_enabled=values.boolean("query-results.compression-enabled", True),
        client_timeout=values.duration("query.client.timeout", 300.0),
        required_workers=values.integer("query-manager.required-workers", 1),
        required_workers_max_wait=values.duration("query-manager.required-workers-max-wait", 300.0),
        max_history=values.integer("query.max-history", 100),
        min_expire_age=values.duration("query.min-expire-age", 900.0),
        max_query_length=values.integer("query.max-length", 1_000_000),
        max_concurrent_queries=values.integer("query.max-concurrent-queries", 1000),
        max_run_time=values.duration("query.max-run-time", 100 * 86400.0),
        grace_period=values.duration("shutdown.grace-period", 120.0),
        heap=heap,
        max_memory_per_node=memory,
        web_ui_enabled=values.boolean("web-ui.enabled", True),
        catalogs=catalogs,
        password_file=plugins.password_file,
        access_control=plugins.access_control,
        resource_groups=plugins.resource_groups,
        properties={**node, **config},
    )
    if problems.found:
        raise ConfigurationInvalid(problems.found)
    return result


def _properties(
    name: str, files: Mapping[str, bytes], environment: Mapping[str, str], problems: _Problems
) -> dict[str, str]:
    if name not in files:
        return {}
    try:
        parsed = parse_properties(files[name])
    except MalformedProperties as error:
        problems.add(f"{name}: {error}")
        return {}
    result: dict[str, str] = {}
    for entry in parsed:
        # A key that stands there twice has its last value, as in every Java properties file.
        result[entry.key] = _resolve(entry.key, entry.value.strip(), environment, problems)
    return result


def _resolve(key: str, value: str, environment: Mapping[str, str], problems: _Problems) -> str:
    def replace(match: re.Match[str]) -> str:
        if match[1] not in environment:
            problems.add(f"Configuration property '{key}' references unset environment variable '{match[1]}'")
            return ""
        return environment[match[1]]

    return _VARIABLE.sub(replace, value)


def _check_keys(present: Mapping[str, str], known: Mapping[str, str], problems: _Problems) -> None:
    for key in present:
        if key in config_keys.DEFUNCT:
            problems.add(f"Defunct property '{key}' cannot be configured.")
        elif key not in known:
            problems.add(f"Configuration property '{key}' was not used")


@dataclass(slots=True)
class _Values:
    """Typed access; building it judges every typed value, used by the stand-in or not."""

    properties: Mapping[str, str]
    problems: _Problems
    parsed: dict[str, float | int | bool] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for key, value in self.properties.items():
            kind = config_keys.SERVER_KEYS.get(key) or config_keys.NODE_KEYS.get(key, config_keys.TEXT)
            self._parse(key, kind, value)

    def _parse(self, key: str, kind: str, value: str) -> None:
        try:
            if kind == config_keys.SIZE:
                self.parsed[key] = parse_data_size(value)
            elif kind == config_keys.DURATION:
                self.parsed[key] = parse_duration(value)
            elif kind == config_keys.INTEGER:
                self.parsed[key] = int(value)
            elif kind == config_keys.DECIMAL:
                self.parsed[key] = float(value)
            elif kind == config_keys.BOOLEAN:
                if value.lower() not in ("true", "false"):
                    raise ValueError("expected true or false")
                self.parsed[key] = value.lower() == "true"
        except ValueError as error:
            java = _JAVA_TYPES[kind]
            self.problems.add(f"Invalid value '{value}' for type {java} (property '{key}'): {error}")

    def process_forwarded(self) -> bool:
        """True and false are what older servers had; IGNORE is not told apart from ACCEPT here."""
        key = "http-server.process-forwarded"
        mode = self.properties.get(key, "reject").upper()
        if mode not in ("TRUE", "FALSE", "ACCEPT", "REJECT", "IGNORE"):
            java = "io.airlift.http.server.HttpServerConfig$ProcessForwardedMode"
            self.problems.add(f"Invalid value '{self.properties[key]}' for type {java} (property '{key}')")
        return mode in ("TRUE", "ACCEPT", "IGNORE")

    def heap_share(self, key: str, heap: int) -> int:
        """A size, or a percentage of the heap."""
        text = self.properties.get(key, _DEFAULT_SHARE)
        try:
            if text.endswith("%"):
                return int(heap * float(text[:-1]) / 100)
            return parse_data_size(text)
        except ValueError as error:
            self.problems.add(f"Invalid value '{text}' for type java.lang.String (property '{key}'): {error}")
            return int(heap * float(_DEFAULT_SHARE[:-1]) / 100)

    def text(self, key: str) -> str | None:
        return self.properties.get(key)

    def boolean(self, key: str, default: bool) -> bool:
        return bool(self.parsed.get(key, default))

    def integer(self, key: str, default: int) -> int:
        return int(self.parsed.get(key, default))

    def duration(self, key: str, default: float) -> float:
        return float(self.parsed.get(key, default))


def _authentication_types(config: Mapping[str, str], problems: _Problems) -> tuple[str, ...]:
    text = config.get("http-server.authentication.type", "insecure")
    types = tuple(part.strip().lower() for part in text.split(",") if part.strip())
    for name in types:
        if name not in _AUTHENTICATION_TYPES:
            problems.add(f"Unknown authentication type: {name} (property 'http-server.authentication.type')")
    return types or ("insecure",)


def _check_node(
    node: Mapping[str, str], config: Mapping[str, str], types: tuple[str, ...], problems: _Problems
) -> None:
    name = node.get("node.environment", config.get("node.environment"))
    if name is None:
        problems.add("Invalid configuration property node.environment: must not be null")
    elif _ENVIRONMENT_NAME.fullmatch(name) is None:
        problems.add("Invalid configuration property node.environment: should match [a-z0-9][_a-z0-9]*")
    uri = config.get("discovery.uri")
    if uri is None:
        if config.get("coordinator", "true").strip().lower() == "false":
            problems.add("A worker of the sandbox's stand-in needs discovery.uri: the address of its coordinator")
    elif not re.match(r"https?://[^/\s]+", uri):
        problems.add(f"Invalid value '{uri}' for type java.net.URI (property 'discovery.uri')")
    if types != ("insecure",) and not config.get("internal-communication.shared-secret"):
        problems.add("Shared secret (internal-communication.shared-secret) is required when authentication is enabled")


def _memory(values: _Values, heap: int, problems: _Problems) -> int:
    per_node = values.heap_share("query.max-memory-per-node", heap)
    headroom = values.heap_share("memory.heap-headroom-per-node", heap)
    if per_node + headroom > heap:
        problems.add(
            "Invalid memory configuration. The sum of max query memory per node "
            f"({format_data_size(per_node)}) and heap headroom ({format_data_size(headroom)}) "
            f"cannot be larger than the available heap memory ({format_data_size(heap)})"
        )
    return per_node


def _catalogs(
    files: Mapping[str, bytes],
    environment: Mapping[str, str],
    config: Mapping[str, str],
    problems: _Problems,
) -> tuple[CatalogConfiguration, ...]:
    disabled = {name.strip() for name in config.get("catalog.disabled-catalogs", "").split(",")}
    result = []
    for path in files:
        if not path.startswith("catalog/") or not path.endswith(".properties"):
            continue
        name = path.removeprefix("catalog/").removesuffix(".properties")
        if name in disabled:
            continue
        found = _catalog(name, _properties(path, files, environment, problems), problems)
        if found is not None:
            result.append(found)
    return tuple(result)


def _check_jvm_options(catalogs: Iterable[CatalogConfiguration], jvm: bytes, problems: _Problems) -> None:
    given = {line.strip() for line in jvm.decode("utf-8", "replace").splitlines()}
    for catalog in catalogs:
        for option in CONNECTORS[catalog.connector].jvm:
            if option not in given:
                problems.add(
                    f"Connector '{catalog.connector}' requires additional JVM argument(s). Please add the following "
                    f"to the JVM configuration: '{option}' [catalog/{catalog.name}.properties]"
                )


def _catalog(name: str, properties: dict[str, str], problems: _Problems) -> CatalogConfiguration | None:
    where = f"[catalog/{name}.properties]"
    if name == "system":
        problems.add(f"Catalog name 'system' is reserved {where}")
    connector_name = properties.pop("connector.name", None)
    if not connector_name:
        problems.add(f"Catalog configuration {name} does not contain connector.name {where}")
        return None
    connector = CONNECTORS.get(connector_name)
    if connector is None:
        problems.add(f"No factory for connector '{connector_name}'. Available factories: {sorted(CONNECTORS)} {where}")
        return None
    for key in properties:
        if not connector.accepts(key):
            problems.add(f"Configuration property '{key}' was not used {where}")
    for key in sorted(connector.required - properties.keys()):
        problems.add(f"Invalid configuration property {key}: must not be null {where}")
    url = properties.get("connection-url")
    if connector.family == "jdbc" and url is not None and not url.startswith("jdbc:"):
        problems.add(f"Invalid JDBC URL for {connector_name} connector (property 'connection-url') {where}")
    return CatalogConfiguration(name, connector_name, properties)


def _check_levels(levels: Mapping[str, str], problems: _Problems) -> None:
    for logger, level in levels.items():
        if level.upper() not in ("OFF", "DEBUG", "INFO", "WARN", "ERROR", "TRACE"):
            problems.add(f"log.properties: unknown level '{level}' of logger '{logger}'")
