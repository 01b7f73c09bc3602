"""Which runtime answers to what: the table, and the one way to make it (`fold`).

What a client can select by: a host name, a value of the header X-Trino-XTrinode, or nothing (the
default route). Every runtime answers to `<namespace>/<name>`, whether or not it declares routing. When
two runtimes want the same selector the older one has it (then the smaller key), whatever order they
come in; the loser keeps its other selectors and is named in `conflicts`. The value `<namespace>/<name>`
belongs to that runtime and cannot be won by another.

This module never reads `status.phase`: the state of a backend is given by the caller, from what was
observed. How a table is written down and read back is another module's work.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from crds.v1.lifecycle import RouteState
from crds.v1.spelling import object_key


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
    routes.sort(key=route_name)
    return tuple(routes)


def _backend_key(backend: Backend) -> tuple[str, str]:
    return (backend.namespace, backend.name)


def route_name(route: Route) -> str:
    """Sort key of a table."""
    return route.name
