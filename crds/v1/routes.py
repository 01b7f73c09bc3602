"""The routing table: how the controller tells the gateway which runtime answers to what.

The controller calls `fold` over *all* runtimes and writes `to_text` into a ConfigMap; the gateway reads
it back with `from_document`. The document is YAML's JSON subset, one route per line, so that a diff of
two tables is readable and a JSON parser is enough.

What a client can select by: a host name, a value of the header X-Trino-XTrinode, or nothing (the
default route). Every runtime answers to `<namespace>/<name>`, whether or not it declares routing. When
two runtimes want the same selector the older one has it (then the smaller key), whatever order they
come in; the loser keeps its other selectors and is named in `conflicts`. The value `<namespace>/<name>`
belongs to that runtime and cannot be won by another.

This module never reads `status.phase`: the state of a backend is given by the caller, from what was
observed (`lifecycle.route_state`).
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import orjson

from crds.v1.lifecycle import RouteState
from crds.v1.meta import format_time, object_key, parse_time

ROUTES_CONFIG_MAP = "trino-gateway-routes"
ROUTES_KEY = "routes.yaml"
GATEWAY_NAMESPACE = "xtrinode-gateway"
#: A ConfigMap holds 1 MiB; a shard is closed well before, because an object is sent and logged as a whole.
SHARD_BYTES = 512 * 1024


@dataclass(frozen=True, slots=True)
class Backend:
    """One coordinator behind a route."""

    namespace: str
    name: str
    url: str
    """`http://host:port`, without a path."""
    state: RouteState = RouteState.RUNNING
    active: bool = True
    """false: takes no new statements whatever its state."""
    capacity_units: int = 1
    wakes: bool = True
    """false: resumePolicy Manual; a statement for it while PAUSED is refused, not held."""
    tier: str = ""
    shape_version: str = ""
    shape_hash: str = ""
    generation: int = 0
    drain_until: datetime | None = None

    @property
    def key(self) -> str:
        return object_key(self.namespace, self.name)


@dataclass(frozen=True, slots=True)
class Route:
    """What clients select, and the backends that may answer."""

    name: str
    group: str
    backends: tuple[Backend, ...]
    headers: tuple[str, ...] = ()
    """Values of X-Trino-XTrinode, case kept."""
    hostname: str | None = None
    """Lower case, no port."""
    default: bool = False


@dataclass(frozen=True, slots=True)
class Conflict:
    """A selector that a runtime wanted and did not get."""

    loser: str
    """`namespace/name`"""
    winner: str
    selector: str
    """Such as `hostname a.example.com`, `header x`, `default`."""

    def __str__(self) -> str:
        return (
            f"{self.selector} belongs to {self.winner}, which had it first; "
            f"choose another for {self.loser} or remove it there"
        )


@dataclass(frozen=True, slots=True)
class RouteTable:
    """All routes, sorted by name; every selector occurs once."""

    routes: tuple[Route, ...] = ()
    conflicts: tuple[Conflict, ...] = ()


@dataclass(frozen=True, slots=True)
class RuntimeRoute:
    """What one runtime contributes: its wishes (from its shape) and its backend (from observation)."""

    backend: Backend
    group: str
    """Full name of its routing group, such as team-a--analytics."""
    shared: bool = False
    header: str | None = None
    hostname: str | None = None
    default: bool = False
    created: datetime | None = None
    """Creation time of the object: the elder wins a conflict."""


@dataclass(frozen=True, slots=True)
class Problem:
    """An entry of a document that could not be used as it stands."""

    where: str
    """Such as `routes[3]` or `routes[3].backends[0].state`."""
    message: str

    def __str__(self) -> str:
        return f"{self.where}: {self.message}"


def header_value(spec: str) -> str:
    """The value in `X-Trino-XTrinode=value`, `X-Trino-XTrinode: value` or plain `value`."""
    for mark in "=:":
        _, found, value = spec.partition(mark)
        if found:
            return value.strip()
    return spec.strip()


def normal_host(host: str) -> str:
    """A host as it is compared: lower case, without port and without the root dot."""
    host = host.strip().lower()
    name, colon, port = host.rpartition(":")
    if colon and port.isdigit() and not name.endswith(":"):
        host = name
    return host.removesuffix(".")


def fold(entries: Iterable[RuntimeRoute]) -> RouteTable:
    """Make the table of all runtimes. The result depends on the set of entries only, not on their order."""
    ranked = sorted(entries, key=_rank)
    claims = _Claims()
    for entry in ranked:
        claims.take("header", entry.backend.key, entry.backend.key)
    drafts: dict[tuple[str, str, bool], _Draft] = {}
    own: list[_Draft] = []
    for entry in ranked:
        key = entry.backend.key
        alone = _Draft(entry.group, [entry.backend], [key])
        if entry.shared:
            place = (entry.backend.namespace, entry.group, True)
            draft = drafts.get(place)
            if draft is None:
                draft = drafts[place] = _Draft(entry.group, [], [])
            draft.backends.append(entry.backend)
            alone.group = f"{entry.backend.namespace}--{entry.backend.name}"
            owner = f"group {entry.group} of namespace {entry.backend.namespace}"
        else:
            draft, owner = alone, key
        own.append(alone)
        if entry.header and entry.header != key and claims.take("header", entry.header, owner, key):
            draft.add_header(entry.header)
        if entry.hostname:
            host = normal_host(entry.hostname)
            if claims.take("hostname", host, owner, key):
                # A route has one host; members of a group that ask for several get the eldest's.
                if draft.hostname in {None, host}:
                    draft.hostname = host
                else:
                    claims.refuse("hostname", host, key, owner)
        if entry.default and claims.take("default", "", owner, key):
            draft.default = True
    return RouteTable(_name_routes([*own, *drafts.values()]), tuple(sorted(claims.conflicts, key=str)))


def _rank(entry: RuntimeRoute) -> tuple[float, str]:
    return (entry.created.timestamp() if entry.created else float("inf"), entry.backend.key)


class _Draft:
    __slots__ = ("backends", "default", "group", "headers", "hostname")

    def __init__(self, group: str, backends: list[Backend], headers: list[str]) -> None:
        self.group = group
        self.backends = backends
        self.headers = headers
        self.hostname: str | None = None
        self.default = False

    def add_header(self, value: str) -> None:
        if value not in self.headers:
            self.headers.append(value)


class _Claims:
    """Who has which selector."""

    def __init__(self) -> None:
        self.owners: dict[tuple[str, str], str] = {}
        self.conflicts: list[Conflict] = []

    def take(self, kind: str, value: str, owner: str, runtime: str | None = None) -> bool:
        winner = self.owners.setdefault((kind, value), owner)
        if winner != owner:
            self.refuse(kind, value, runtime or owner, winner)
        return winner == owner

    def refuse(self, kind: str, value: str, loser: str, winner: str) -> None:
        self.conflicts.append(Conflict(loser, winner, f"{kind} {value}".rstrip()))


def _name_routes(drafts: list[_Draft]) -> tuple[Route, ...]:
    """Give each draft a name of its own: `a--b--c` may come from two namespaces, or a group and a runtime."""
    taken: set[str] = set()
    routes = []
    for draft in drafts:
        name = draft.group
        if name in taken:
            backends = " ".join(backend.key for backend in draft.backends)
            name = f"{name}-{hashlib.sha256(backends.encode()).hexdigest()[:8]}"
        taken.add(name)
        draft.backends.sort(key=_backend_key)
        routes.append(Route(name, name, tuple(draft.backends), tuple(draft.headers), draft.hostname, draft.default))
    routes.sort(key=_route_name)
    return tuple(routes)


def _backend_key(backend: Backend) -> tuple[str, str]:
    return (backend.namespace, backend.name)


def _route_name(route: Route) -> str:
    return route.name


def to_document(table: RouteTable) -> dict[str, Any]:
    """The document, as plain JSON values."""
    return {"routes": [_route_document(route) for route in table.routes]}


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
        return '{"routes": []}\n'
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
    routes.sort(key=_route_name)
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
