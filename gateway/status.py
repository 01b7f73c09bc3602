"""What the gateway knows, as JSON for the admin page and for scripts. Pure reading of the router's state.

Made in pieces, like the metrics: with thousands of routes the whole, as objects, would be most of a worker's memory,
and making it at one go would hold requests back.
"""

from __future__ import annotations

import asyncio
from typing import Any

import orjson

from gateway.aggregate import coordinator_counts
from gateway.route_watch import RouteStatus
from gateway.routing.model import Backend, BackendState, Route, Target
from gateway.routing.router import Router

_ROUTES_AT_ONCE = 50


async def status_document(router: Router, routes: RouteStatus, now: float, generated_at: str) -> dict[str, Any]:
    """The document of `GET /ui/admin/api/gateway/status`, for orjson; ages in seconds."""
    table = router.table
    shown: list[orjson.Fragment] = []
    for number, route in enumerate(sorted(table.routes, key=_default_first), 1):
        shown.append(orjson.Fragment(orjson.dumps(_route(route, router, now))))
        if number % _ROUTES_AT_ONCE == 0:
            await asyncio.sleep(0)
    backends = list(table.backends.values())
    targets = router.targets()
    return {
        "generatedAt": generated_at,
        "summary": {
            "routes": len(table.routes),
            "backends": len(backends),
            "activeBackends": sum(backend.active for backend in backends),
            **{
                f"{state.value.lower()}Backends": sum(backend.state is state for backend in backends)
                for state in BackendState
            },
            "liveQueries": len(router.activity),
            "inflightRequests": sum(target.inflight for target in targets),
            **coordinator_counts((_health(target), _circuit(target)) for target in targets),
        },
        "reload": {
            "source": routes.source,
            "connected": routes.connected(),
            "stale": routes.stale,
            "reason": routes.reason,
            "ageSeconds": None if routes.loaded_at is None else round(now - routes.loaded_at, 1),
            "loads": routes.loads,
            "problems": list(routes.problems),
            "errors": dict(routes.errors),
            "suspectedForSeconds": None if routes.suspected_since is None else round(now - routes.suspected_since, 1),
        },
        "routes": shown,
    }


def _default_first(route: Route) -> tuple[bool, str]:
    return (not route.default, route.name)


def _route(route: Route, router: Router, now: float) -> dict[str, Any]:
    return {
        "name": route.name,
        "routingGroup": route.group,
        "hostnames": [host.decode("utf-8", "replace") for host in route.hostnames],
        "headers": [selector.decode("utf-8", "replace") for selector in route.selectors],
        "default": route.default,
        "backends": [_backend(backend, router.targets_of(backend.key), now) for backend in route.backends],
    }


def _backend(backend: Backend, targets: tuple[Target, ...], now: float) -> dict[str, Any]:
    return {
        "name": backend.name,
        "namespace": backend.namespace,
        "coordinator": f"{backend.service.host}:{backend.service.port}",
        "state": backend.state.value,
        "active": backend.active,
        "capacityUnits": backend.capacity_units,
        "coordinators": [_target(target, now) for target in targets],
    }


def _target(target: Target, now: float) -> dict[str, Any]:
    return {
        "address": f"{target.ip}:{target.port}",
        "coordinatorId": target.coordinator_id.decode("ascii", "replace") if target.coordinator_id else None,
        "inflightRequests": target.inflight,
        "liveQueries": target.queries,
        "health": {
            "state": _health(target),
            "ageSeconds": None if target.probed_at is None else round(now - target.probed_at, 1),
            "consecutiveFailures": target.health_failures,
            "detail": target.health_detail,
        },
        "circuitBreaker": {
            "state": _circuit(target),
            "retryInSeconds": round(target.circuit.retry_in(now), 1),
        },
    }


def _health(target: Target) -> str:
    return target.health.name.lower()


def _circuit(target: Target) -> str:
    return target.circuit.state.name.lower().replace("_", "-")
