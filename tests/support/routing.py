"""Route tables and targets for tests, in few words."""

from __future__ import annotations

import random

from gateway.routing.circuit import Circuit, CircuitSettings
from gateway.routing.model import Backend, BackendState, Route, RouteTable, Service, Target
from gateway.routing.router import Router


def backend(
    name: str = "a",
    state: BackendState = BackendState.RUNNING,
    *,
    capacity: int = 1,
    active: bool = True,
    namespace: str = "team",
    port: int = 8080,
) -> Backend:
    service = Service(f"trino-{name}.{namespace}.svc.cluster.local", port)
    return Backend(namespace, name, service, state, active, capacity)


def route(
    *backends: Backend,
    name: str = "group",
    hostnames: tuple[bytes, ...] = (),
    selectors: tuple[bytes, ...] = (),
    default: bool = False,
) -> Route:
    return Route(name, name, backends, hostnames, selectors, default)


def target(name: str = "a", ip: str = "127.0.0.1", *, load: int = 0) -> Target:
    made = backend(name)
    circuit = Circuit(CircuitSettings(), random.Random(1))
    result = Target(made.namespace, made.name, "group", ip, 8080, made.service, circuit)
    result.inflight = load
    return result


def router(*routes: Route, addresses: dict[str, list[tuple[str, int]]] | None = None) -> Router:
    """A router with these routes; `addresses` by backend name, by default 127.0.0.1:8080 for each."""
    made = Router(random=random.Random(1))
    made.load(RouteTable.of(routes))
    for one in {backend.key: backend for route in routes for backend in route.backends}.values():
        found = [("127.0.0.1", 8080)] if addresses is None else addresses.get(one.name, [])
        made.set_addresses(one.service, found)
    return made
