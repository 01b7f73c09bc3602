"""The routing table as a document: how the controller tells the gateway which runtime answers to what.

The controller folds all runtimes into a table and writes `to_text` into a ConfigMap (`to_shards` when
it is large); the gateway reads it back with `from_document`. The document is YAML's JSON subset, one
route per line, so that a diff of two tables is readable and a JSON parser is enough.

Reading is forgiving per entry: what cannot be used is left out and named, and costs no other entry.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import orjson

from crds.v1.lifecycle import RouteState
from crds.v1.route_table import (
    Backend,
    Conflict,
    Route,
    RouteTable,
    RuntimeRoute,
    fold,
    header_value,
    normal_host,
    route_name,
)
from crds.v1.spelling import format_time, parse_time

__all__ = [
    "GATEWAY_NAMESPACE",
    "ROUTES_CONFIG_MAP",
    "ROUTES_KEY",
    "SHARD_BYTES",
    "Backend",
    "Conflict",
    "Problem",
    "Route",
    "RouteTable",
    "RuntimeRoute",
    "fold",
    "from_document",
    "from_documents",
    "header_value",
    "is_coordinator_url",
    "normal_host",
    "shard_name",
    "to_document",
    "to_shards",
    "to_text",
]

ROUTES_CONFIG_MAP = "trino-gateway-routes"
ROUTES_KEY = "routes.yaml"
GATEWAY_NAMESPACE = "xtrinode-gateway"
#: A ConfigMap holds 1 MiB; a shard is closed well before, because an object is sent and logged as a whole.
SHARD_BYTES = 512 * 1024


@dataclass(frozen=True, slots=True)
class Problem:
    """An entry of a document that could not be used as it stands."""

    where: str
    """Such as `routes[3]` or `routes[3].backends[0].state`."""
    message: str

    def __str__(self) -> str:
        return f"{self.where}: {self.message}"


def to_document(table: RouteTable) -> dict[str, Any]:
    """The document, as plain JSON values."""
    routes = [_route_document(route) for route in table.routes]
    return {"routes": routes} if routes else {"routes": [], "empty": True}


def to_text(table: RouteTable) -> str:
    """The document as text: JSON, one route per line."""
    return _text([_line(route) for route in table.routes])


def to_shards(table: RouteTable, limit: int = SHARD_BYTES) -> list[str]:
    """The document cut into texts of at most `limit` bytes each. Always at least one."""
    shards: list[list[bytes]] = [[]]
    size = 0
    for route in table.routes:
        line = _line(route)
        if shards[-1] and size + len(line) > limit - 32:
            shards.append([])
            size = 0
        shards[-1].append(line)
        size += len(line) + 2
    return [_text(lines) for lines in shards]


def shard_name(index: int) -> str:
    """Name of the ConfigMap of the shard: the first has the plain name."""
    return ROUTES_CONFIG_MAP if index == 0 else f"{ROUTES_CONFIG_MAP}-{index}"


def _text(lines: list[bytes]) -> str:
    if not lines:
        # Said in so many words, because readers do not believe that all routes are gone when it may be an accident.
        return '{"routes": [], "empty": true}\n'
    return '{"routes": [\n' + b",\n".join(lines).decode() + "\n]}\n"


def _line(route: Route) -> bytes:
    return orjson.dumps(_route_document(route))


def _route_document(route: Route) -> dict[str, Any]:
    document: dict[str, Any] = {
        "name": route.name,
        "routingGroup": route.group,
        "backends": [_backend_document(backend) for backend in route.backends],
    }
    if route.headers:
        # Readers that know one header only get the one that was asked for, else the built-in one.
        document["header"] = route.headers[-1]
        if len(route.headers) > 1:
            document["headers"] = list(route.headers)
    if route.hostname:
        document["hostname"] = route.hostname
    if route.default:
        document["default"] = True
    return document


def _backend_document(backend: Backend) -> dict[str, Any]:
    document: dict[str, Any] = {
        "name": backend.name,
        "namespace": backend.namespace,
        "coordinatorURL": backend.url,
        "state": backend.state.value,
        "active": backend.active,
        "capacityUnits": backend.capacity_units,
    }
    if not backend.wakes:
        document["resumePolicy"] = "Manual"
    if backend.tier:
        document["tier"] = backend.tier
    if backend.shape_hash:
        document["runtimeShapeVersion"] = backend.shape_version
        document["runtimeShapeHash"] = backend.shape_hash
    if backend.generation:
        document["observedGeneration"] = backend.generation
    if backend.drain_until:
        document["drainUntil"] = format_time(backend.drain_until)
    return document


def from_document(document: object) -> tuple[RouteTable, tuple[Problem, ...]]:
    """Read a document. What is wrong in one entry never costs another entry: it is left out and named.

    `None` and a mapping without `routes` are a table without routes *and* a problem, so that a caller can
    keep its last good table instead of forgetting everything.
    """
    return from_documents([document])


def from_documents(documents: Sequence[object]) -> tuple[RouteTable, tuple[Problem, ...]]:
    """Read the shards of one table. Of two entries with the same selector the first has it."""
    problems: list[Problem] = []
    seen: set[tuple[str, str]] = set()
    routes: list[Route] = []
    for number, document in enumerate(documents):
        prefix = "routes" if len(documents) == 1 else f"shard[{number}].routes"
        if not isinstance(document, Mapping) or not isinstance(document.get("routes"), list):
            problems.append(Problem(prefix, "the document must be a mapping with a list of routes"))
            continue
        for index, entry in enumerate(document["routes"]):
            route = _read_route(entry, f"{prefix}[{index}]", seen, problems)
            if route is not None:
                routes.append(route)
    routes.sort(key=route_name)
    return RouteTable(tuple(routes)), tuple(problems)


def _read_route(entry: object, where: str, seen: set[tuple[str, str]], problems: list[Problem]) -> Route | None:
    if not isinstance(entry, Mapping):
        problems.append(Problem(where, "a route must be a mapping"))
        return None
    name = _text_of(entry, "name")
    if not name:
        problems.append(Problem(f"{where}.name", "a route needs a name"))
        return None
    listed = entry.get("backends")
    backends = [
        backend
        for number, item in enumerate(listed if isinstance(listed, list) else ())
        if (backend := _read_backend(item, f"{where}.backends[{number}]", problems)) is not None
    ]
    if not backends:
        problems.append(Problem(f"{where}.backends", f"route {name} has no usable backend"))
        return None
    group = _text_of(entry, "routingGroup") or name
    if ("group", group) in seen:
        problems.append(Problem(f"{where}.routingGroup", f"{group} is taken by an earlier route"))
        return None
    seen.add(("group", group))
    headers = _read_headers(entry, where, seen, problems)
    hostname = normal_host(_text_of(entry, "hostname") or "") or None
    if hostname and not _claim(seen, "hostname", hostname, f"{where}.hostname", problems):
        hostname = None
    default = entry.get("default") is True and _claim(seen, "default", "", f"{where}.default", problems)
    return Route(name, group, tuple(backends), headers, hostname, default)


def _read_headers(
    entry: Mapping[str, Any], where: str, seen: set[tuple[str, str]], problems: list[Problem]
) -> tuple[str, ...]:
    wanted: dict[str, None] = {}
    more = entry.get("headers")
    for value in more if isinstance(more, list) else ():
        if isinstance(value, str) and value:
            wanted[value] = None
        else:
            problems.append(Problem(f"{where}.headers", "a header value must be a text"))
    single = _text_of(entry, "header")
    if single:
        wanted[single] = None
    return tuple(value for value in wanted if _claim(seen, "header", value, f"{where}.header", problems))


def _claim(seen: set[tuple[str, str]], kind: str, value: str, where: str, problems: list[Problem]) -> bool:
    if (kind, value) in seen:
        problems.append(Problem(where, f"{value or kind} is taken by an earlier route"))
        return False
    seen.add((kind, value))
    return True


def _read_backend(item: object, where: str, problems: list[Problem]) -> Backend | None:
    if not isinstance(item, Mapping):
        problems.append(Problem(where, "a backend must be a mapping"))
        return None
    namespace, name = _text_of(item, "namespace"), _text_of(item, "name")
    url = _text_of(item, "coordinatorURL")
    if not (namespace and name and url):
        problems.append(Problem(where, "a backend needs namespace, name and coordinatorURL"))
        return None
    if not is_coordinator_url(url):
        problems.append(Problem(f"{where}.coordinatorURL", "must be like http://host:8080"))
        return None
    state = RouteState.RUNNING
    if item.get("state") is not None:
        try:
            state = RouteState(item["state"])
        except ValueError:
            # Keeps the queries that it has; new ones need a state that we understand.
            problems.append(Problem(f"{where}.state", "must be RUNNING, RESUMING, PAUSED or DRAINING"))
            state = RouteState.DRAINING
    units = item.get("capacityUnits")
    generation = item.get("observedGeneration")
    return Backend(
        namespace,
        name,
        url.rstrip("/"),
        state,
        item.get("active") is not False,
        units if type(units) is int and units > 0 else 1,
        item.get("resumePolicy") != "Manual",
        _text_of(item, "tier"),
        _text_of(item, "runtimeShapeVersion"),
        _text_of(item, "runtimeShapeHash"),
        generation if type(generation) is int else 0,
        _read_time(item.get("drainUntil"), f"{where}.drainUntil", problems),
    )


def _read_time(value: object, where: str, problems: list[Problem]) -> datetime | None:
    if value is None:
        return None
    try:
        return parse_time(value)  # type: ignore[arg-type]  # it refuses what is neither text nor time
    except ValueError as error:
        problems.append(Problem(where, str(error)))
        return None


def _text_of(entry: Mapping[str, Any], key: str) -> str:
    value = entry.get(key)
    return value if isinstance(value, str) else ""


_COORDINATOR_URL = re.compile(
    r"https?://(?:[A-Za-z0-9](?:[-A-Za-z0-9.]*[A-Za-z0-9])?|\[[0-9A-Fa-f:.]{2,45}\])(?::([0-9]{1,5}))?/?\Z"
)


def is_coordinator_url(url: str) -> bool:
    """Whether this is `http(s)://host[:port]` and nothing more."""
    if len(url) > 512:
        return False
    match = _COORDINATOR_URL.match(url)
    return match is not None and (match[1] is None or 0 < int(match[1]) < 65_536)
