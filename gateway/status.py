"""What the gateway knows, as JSON for the admin page and for scripts. Pure reading of the router's state."""

from __future__ import annotations

from typing import Any

from gateway.aggregate import coordinator_counts
from gateway.route_watch import RouteStatus
from gateway.routing.model import Backend, BackendState, Route, Target
from gateway.routing.router import Router


def status_document(router: Router, routes: RouteStatus, now: float, generated_at: str) -> dict[str, Any]:
    """The document of `GET /ui/admin/api/gateway/status`; ages in seconds."""
    table = router.table
    backends = list(table.backends.values())
    shown = [_route(route, router, now) for route in sorted(table.routes, key=_default_first)]
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
            "inflightRequests": sum(target.inflight for target in router.targets()),
            **coordinator_counts(shown),
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
            "state": target.health.name.lower(),
            "ageSeconds": None if target.probed_at is None else round(now - target.probed_at, 1),
            "consecutiveFailures": target.health_failures,
            "detail": target.health_detail,
        },
        "circuitBreaker": {
            "state": target.circuit.state.name.lower().replace("_", "-"),
            "retryInSeconds": round(target.circuit.retry_in(now), 1),
        },
    }
