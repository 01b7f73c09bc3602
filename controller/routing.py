"""What one runtime contributes to the routing table, and what can be read back from a published one.

The table is written by one writer from all runtimes. After a restart it has not planned them all yet; until then
the published table speaks for those that are missing (`entries_of`), so that no restart makes routes vanish.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

from crds.v1 import names
from crds.v1.lifecycle import RouteState
from crds.v1.routes import Backend, Route, RouteTable, RuntimeRoute
from crds.v1.runtime_shape import RuntimeShape
from crds.v1.xtrinode import XTrinode


def route_entry(
    x: XTrinode, shape: RuntimeShape, state: RouteState, drain_until: datetime | None = None
) -> RuntimeRoute:
    routing = shape.routing
    return RuntimeRoute(
        backend=Backend(
            namespace=shape.namespace,
            name=shape.name,
            url=names.coordinator_url(shape.name, shape.namespace, shape.service.port),
            state=state,
            active=state is not RouteState.DRAINING,
            capacity_units=routing.capacity_units,
            wakes=shape.lifecycle.resume_policy == "OnDemand",
            tier=shape.size,
            shape_version=shape.version,
            shape_hash=shape.hash,
            generation=x.metadata.generation,
            drain_until=drain_until,
        ),
        group=routing.group,
        shared=routing.shared,
        header=routing.header,
        hostname=routing.hostname,
        default=routing.default,
        created=x.metadata.creation_timestamp,
    )


def entries_of(table: RouteTable) -> dict[str, RuntimeRoute]:
    """Per runtime (`namespace/name`) what it must have contributed to this table, as far as the table tells."""
    entries: dict[str, RuntimeRoute] = {}
    for route in table.routes:
        for backend in route.backends:
            known = entries.get(backend.key)
            if known is None:
                entries[backend.key] = _entry(route, backend)
            elif _is_own(route, backend):
                continue  # the shared route says more than the runtime's own one
            else:
                entries[backend.key] = replace(_entry(route, backend), shared=True)
    return entries


def _is_own(route: Route, backend: Backend) -> bool:
    return len(route.backends) == 1 and backend.key in route.headers


def _entry(route: Route, backend: Backend) -> RuntimeRoute:
    header = next((value for value in route.headers if value != backend.key), None)
    return RuntimeRoute(
        backend=backend,
        group=route.group,
        shared=not _is_own(route, backend),
        header=header,
        hostname=route.hostname,
        default=route.default,
    )
