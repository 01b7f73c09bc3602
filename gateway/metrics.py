"""The gateway's numbers as Prometheus metrics, read from plain counters when somebody asks.

Names are the field's where they exist (`gateway_requests_total`, `gateway_request_duration_seconds`,
`xtrinode_gateway_inflight_queries`, which drives worker scaling); the rest start with `xtrinode_gateway_`.
"""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Callable, Iterator

from prometheus_client import CollectorRegistry, ProcessCollector, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector

from gateway.exposition import backend_lines, coordinator_lines, query_lines
from gateway.proxy.counters import BUCKET_BOUNDS, Counters
from gateway.route_watch import RouteStatus
from gateway.routing.router import Router

_LINES_AT_ONCE = 250

Histogram = tuple[list[tuple[str, float]], float]


class GatewayMetrics(Collector):
    """All metrics of one process. `page` is what /metrics answers."""

    def __init__(self, counters: Counters, router: Router, routes: RouteStatus, clock: Callable[[], float]) -> None:
        self._counters = counters
        self._router = router
        self._routes = routes
        self._clock = clock
        self._registry = CollectorRegistry()
        self._registry.register(self)
        ProcessCollector(registry=self._registry)

    async def page(self) -> bytearray:
        """The exposition; written in pieces, so that requests pass between them."""
        page = bytearray(generate_latest(self._registry))
        lines = itertools.chain(
            backend_lines(sorted(self._counters.backends.items())),
            coordinator_lines(self._router.targets()),
            query_lines(self._router.activity.counts(), self._router.table.routes),
        )
        while piece := "".join(itertools.islice(lines, _LINES_AT_ONCE)):
            page += piece.encode()
            await asyncio.sleep(0)
        return page

    def describe(self) -> Iterator[Metric]:
        return iter(())

    def collect(self) -> Iterator[Metric]:
        yield from self._requests()
        yield from self._connections()
        yield from self._route_table()

    def _requests(self) -> Iterator[Metric]:
        counters = self._counters
        requests = CounterMetricFamily("gateway_requests", "Responses by status class", labels=["status_code"])
        for digit, number in enumerate(counters.responses):
            if number or digit == 2:
                requests.add_metric([f"{digit}xx"], number)
        yield requests
        duration = HistogramMetricFamily(
            "gateway_request_duration_seconds", "Forwarded requests, from head read to response complete"
        )
        duration.add_metric([], *_histogram(counters.latency, counters.latency_sum))
        yield duration
        for name, help_text, label, values in (
            ("refusals", "Requests that the gateway answered itself, by reason", "reason", counters.refusals),
            ("protocol_errors", "Requests and responses that broke HTTP, by kind", "kind", counters.problems),
            ("timeouts", "Waits that were given up, by what was waited for", "waiting_for", counters.timeouts),
        ):
            family = CounterMetricFamily(f"xtrinode_gateway_{name}", help_text, labels=[label])
            for key, number in sorted(values.items()):
                family.add_metric([key], number)
            yield family
        for name, help_text, number in (
            ("client_aborts", "Requests whose client went away", counters.client_aborts),
            ("retries", "Requests sent to another coordinator or once more", counters.retries),
            ("parked", "Requests that waited for a connection or an owner", counters.parked),
            ("rewrites", "Responses with an address edited", counters.rewrites),
        ):
            yield CounterMetricFamily(f"xtrinode_gateway_{name}", help_text, value=number)

    def _connections(self) -> Iterator[Metric]:
        counters = self._counters
        open_now = GaugeMetricFamily("xtrinode_gateway_open_connections", "Connections that are open", labels=["side"])
        open_now.add_metric(["client"], counters.open_connections)
        open_now.add_metric(["coordinator"], counters.upstream_open)
        yield open_now
        yield CounterMetricFamily(
            "xtrinode_gateway_connections", "Client connections accepted", value=counters.connections
        )
        moved = CounterMetricFamily("xtrinode_gateway_bytes", "Bytes moved", labels=["side", "direction"])
        moved.add_metric(["client", "in"], counters.bytes_in)
        moved.add_metric(["client", "out"], counters.bytes_out)
        moved.add_metric(["coordinator", "in"], counters.upstream_bytes_in)
        moved.add_metric(["coordinator", "out"], counters.upstream_bytes_out)
        yield moved

    def _route_table(self) -> Iterator[Metric]:
        status = self._routes
        table = self._router.table
        yield GaugeMetricFamily("xtrinode_gateway_routes", "Routes in force", value=len(table.routes))
        yield GaugeMetricFamily("xtrinode_gateway_backends", "Backends in force", value=len(table.backends))
        yield GaugeMetricFamily(
            "xtrinode_gateway_routes_stale",
            "1 while the newest routes are refused and the last good ones stay",
            value=float(status.stale),
        )
        yield GaugeMetricFamily(
            "xtrinode_gateway_routes_watched", "1 while the Kubernetes API is being watched", value=status.connected()
        )
        if status.loaded_at is not None:
            age = self._clock() - status.loaded_at
            yield GaugeMetricFamily("xtrinode_gateway_routes_age_seconds", "Since routes were last read", value=age)
        refused = CounterMetricFamily("xtrinode_gateway_routes_refused", "Route updates refused", labels=["reason"])
        refused.add_metric(["invalid"], status.refused_documents)
        refused.add_metric(["mass_disappearance"], status.refused_tables)
        yield refused


def _histogram(buckets: list[int], total: float) -> Histogram:
    """Cumulative buckets with their upper bounds, and the sum, as the exposition format wants them."""
    cumulative, running = [], 0
    for index, number in enumerate(buckets):
        running += number
        bound = str(BUCKET_BOUNDS[index]) if index < len(BUCKET_BOUNDS) else "+Inf"
        cumulative.append((bound, float(running)))
    return cumulative, total
