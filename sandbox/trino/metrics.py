"""`/metrics`: a few of the real server's families in OpenMetrics text."""

from __future__ import annotations

from aiohttp import web

from sandbox.trino.request_context import SERVER, ServerContext

_CONTENT_TYPE = "application/openmetrics-text; version=1.0.0; charset=utf-8"


def routes() -> list[web.RouteDef]:
    return [web.get("/metrics", metrics)]


async def metrics(request: web.Request) -> web.StreamResponse:
    server = request.app[SERVER]
    server.user_of(request)
    lines: list[str] = []
    for name, kind, value in _samples(server):
        sample = f"{name}_total" if kind == "counter" else name
        lines += [f"# TYPE {name} {kind}", f"{sample} {value}"]
    lines.append("# EOF\n")
    return web.Response(body="\n".join(lines).encode(), headers={"Content-Type": _CONTENT_TYPE})


def _samples(server: ServerContext) -> list[tuple[str, str, float]]:
    samples: list[tuple[str, str, float]] = [
        ("trino_server_uptime_seconds", "gauge", round(server.uptime, 3)),
        ("jvm_memory_heap_max_bytes", "gauge", server.configuration.heap),
    ]
    dispatcher, inventory = server.dispatcher, server.inventory
    if dispatcher is not None and inventory is not None:
        manager = "trino_execution_name_QueryManager"
        samples += [
            (f"{manager}_RunningQueries", "gauge", dispatcher.running()),
            (f"{manager}_QueuedQueries", "gauge", dispatcher.queued()),
            (f"{manager}_StartedQueries_TotalCount", "counter", dispatcher.totals["started"]),
            (f"{manager}_CompletedQueries_TotalCount", "counter", dispatcher.totals["completed"]),
            (f"{manager}_FailedQueries_TotalCount", "counter", dispatcher.totals["failed"]),
            (
                "trino_execution_ClusterSizeMonitor_RequiredWorkers",
                "gauge",
                server.configuration.required_workers if dispatcher.queued() else 0,
            ),
            ("trino_node_CoordinatorNodeManager_ActiveNodeCount", "gauge", inventory.active_workers()),
        ]
    return samples
