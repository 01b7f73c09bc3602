"""The routing core's vocabulary: what a route table compiles to, and what a routing decision is.

`Route` and `Backend` are values, made anew with every table. `Target` is the one thing that lives on across
tables: a coordinator's address, with the state that must survive a reload (load, circuit, health, the proxy's
connection pool). The proxy and the probes hold targets; only the router creates and retires them.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import IntEnum, StrEnum
from typing import Any, NamedTuple

from gateway.routing.circuit import Circuit


class BackendState(StrEnum):
    """Route state of a backend, as the controller publishes it."""

    RUNNING = "RUNNING"
    RESUMING = "RESUMING"
    PAUSED = "PAUSED"
    DRAINING = "DRAINING"


class Health(IntEnum):
    """What the active probes last said of a target.

    UNKNOWN and HEALTHY take new work. STARTING answers but is not ready. SLEEPING cannot be reached at all
    (refused, no such host, packets dropped); UNHEALTHY is reached and broken.
    """

    UNKNOWN = 0
    HEALTHY = 1
    STARTING = 2
    UNHEALTHY = 3
    SLEEPING = 4


class Outcome(IntEnum):
    """How a forwarded request ended, as far as its target is to blame."""

    OK = 0  # any complete response below 500: proof of life
    OVERLOAD = 1  # 503
    SERVER_ERROR = 2  # other 5xx
    CONNECT_FAILED = 3
    RESET = 4  # connection lost before the response was complete
    TIMEOUT = 5
    BAD_RESPONSE = 6  # not HTTP, or framing that cannot be trusted
    CLIENT_ABORT = 7  # says nothing about the target


class RefusalKind(StrEnum):
    """Why a request is not forwarded. The proxy turns each into an answer the client understands."""

    UNKNOWN_SELECTOR = "unknown_selector"
    NO_ROUTE = "no_route"
    PAUSED = "paused"
    RESUMING = "resuming"
    DRAINING = "draining"
    UNAVAILABLE = "unavailable"
    COORDINATOR_GONE = "coordinator_gone"


@dataclass(frozen=True, slots=True)
class Refusal:
    """A request that is answered by the gateway itself.

    `message` is for the person who typed the query; `retry_after` is whole seconds, None when waiting is no help.
    """

    kind: RefusalKind
    message: str
    retry_after: int | None = None


class Service(NamedTuple):
    """Where a runtime's coordinator is reached: a host name and port that a resolver turns into addresses.

    A tuple, because thousands of them are keys, and each is looked up several times whenever a table is loaded.
    """

    host: str
    port: int
    tls: bool = False

    @property
    def authority(self) -> bytes:
        """The Host header for requests to it."""
        return f"{self.host}:{self.port}".encode("ascii", "ignore")


@dataclass(frozen=True, slots=True)
class Backend:
    """One runtime within a route."""

    namespace: str
    name: str
    service: Service
    state: BackendState
    active: bool = True
    capacity_units: int = 1
    # Derived once: they are asked for with every statement.
    key: str = field(init=False, compare=False)
    takes_new_work: bool = field(init=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "key", f"{self.namespace}/{self.name}")
        object.__setattr__(self, "takes_new_work", self.active and self.state is BackendState.RUNNING)


@dataclass(frozen=True, slots=True)
class Route:
    """A routing group: the selectors that lead to it and the backends that serve it."""

    name: str
    group: str
    backends: tuple[Backend, ...]
    hostnames: tuple[bytes, ...] = ()
    selectors: tuple[bytes, ...] = ()
    default: bool = False


@dataclass(frozen=True, slots=True)
class RouteTable:
    """All routes, indexed by what a request carries."""

    routes: tuple[Route, ...] = ()
    by_host: dict[bytes, Route] = field(default_factory=dict)
    by_selector: dict[bytes, Route] = field(default_factory=dict)
    default: Route | None = None
    backends: dict[str, Backend] = field(default_factory=dict)
    """Every backend by key; a backend that stands in several routes counts once."""

    @classmethod
    def of(cls, routes: tuple[Route, ...]) -> RouteTable:
        """Index routes; of two that claim one selector the first keeps it (the writer reports the conflict)."""
        by_host: dict[bytes, Route] = {}
        by_selector: dict[bytes, Route] = {}
        default: Route | None = None
        for route in routes:
            for host in route.hostnames:
                by_host.setdefault(host, route)
            for selector in route.selectors:
                by_selector.setdefault(selector, route)
            if route.default and default is None:
                default = route
        backends = {backend.key: backend for route in routes for backend in route.backends}
        return cls(routes, by_host, by_selector, default, backends)


class Target:
    """One coordinator address: what the proxy connects to, and all that is known about it. Compared by identity."""

    __slots__ = (
        "authority",
        "circuit",
        "coordinator_id",
        "group",
        "health",
        "health_detail",
        "health_failures",
        "inflight",
        "ip",
        "key",
        "last_seen",
        "name",
        "namespace",
        "pool",
        "port",
        "probed_at",
        "queries",
        "retired",
        "service",
        "tls",
    )

    def __init__(self, namespace: str, name: str, group: str, ip: str, port: int, service: Service, circuit: Circuit):
        self.namespace = namespace
        self.name = name
        self.key = f"{namespace}/{name}"
        self.group = group
        self.ip = ip
        self.port = port
        self.service = service
        self.authority = service.authority
        self.tls = service.tls
        self.circuit = circuit
        self.inflight = 0  # requests now forwarded
        self.queries = 0  # queries known to be live
        self.last_seen = 0.0  # when a response of one of its queries last passed; monotonic seconds, 0 is never
        self.health = Health.UNKNOWN
        self.health_detail = ""
        self.health_failures = 0
        self.probed_at: float | None = None
        self.coordinator_id: bytes | None = None
        self.retired = False  # its address left the Service: existing queries only, and they are lost
        self.pool: Any = None  # the proxy's connection pool for this address

    @property
    def load(self) -> int:
        return self.inflight + self.queries

    def __repr__(self) -> str:
        return f"<Target {self.key} {self.ip}:{self.port} {self.health.name} load={self.load}>"


@dataclass(frozen=True, slots=True)
class Candidates:
    """A query id whose owner is not known: any of these may have made it; ask them."""

    targets: tuple[Target, ...]
