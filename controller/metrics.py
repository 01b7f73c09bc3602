"""What the controller counts, under the names that controller-runtime made common, and the page that shows it.

The queue and the manager call the methods here; inner parts know nothing of Prometheus. What describes a
runtime (phase, conditions, workers) is read from the informer's cache at scrape time instead of being kept
in gauges, so the series of a deleted runtime end with it.

Names that follow controller-runtime and client-go: `controller_runtime_*`, `workqueue_*`,
`leader_election_master_status`. Names of our own start with `xtrinode_`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

from controller.kept import Declared
from crds.v1.lifecycle import Phase

_QUEUE_BUCKETS = (1e-4, 1e-3, 1e-2, 0.1, 0.5, 1, 5, 10, 30, 60, 300)
_RECONCILE_BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60)
_DRAIN_BUCKETS = (1, 5, 15, 30, 60, 120, 300, 600, 1800, 3600)


class QueueMetrics:
    """One queue's numbers; the queue calls these as its listener."""

    def __init__(self, metrics: Metrics, name: str) -> None:
        self._depth = metrics.queue_depth.labels(name)
        self._adds = metrics.queue_adds.labels(name)
        self._waited = metrics.queue_waited.labels(name)
        self._worked = metrics.queue_worked.labels(name)
        self._retries = metrics.queue_retries.labels(name)

    def added(self, depth: int) -> None:
        self._adds.inc()
        self._depth.set(depth)

    def started(self, depth: int, waited: float) -> None:
        self._depth.set(depth)
        self._waited.observe(waited)

    def finished(self, depth: int, worked: float) -> None:
        self._depth.set(depth)
        self._worked.observe(worked)

    def retried(self) -> None:
        self._retries.inc()


@dataclass(frozen=True, slots=True)
class Watched:
    """An informer as the metrics see it: name, how many objects it holds."""

    resource: str
    count: Callable[[], int]


class Metrics:
    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self._runtimes: Callable[[], Iterable[Declared]] = tuple
        registry = self.registry
        by_name = ["name"]
        self.queue_depth = Gauge("workqueue_depth", "Keys that wait", by_name, registry=registry)
        self.queue_adds = Counter("workqueue_adds", "Keys added", by_name, registry=registry)
        self.queue_retries = Counter("workqueue_retries", "Keys added after a failure", by_name, registry=registry)
        self.queue_waited = Histogram(
            "workqueue_queue_duration_seconds",
            "Time from added to handed out",
            by_name,
            buckets=_QUEUE_BUCKETS,
            registry=registry,
        )
        self.queue_worked = Histogram(
            "workqueue_work_duration_seconds",
            "Time from handed out to done",
            by_name,
            buckets=_QUEUE_BUCKETS,
            registry=registry,
        )
        self.queue_longest = Gauge(
            "workqueue_longest_running_processor_seconds",
            "Age of the oldest key in work",
            by_name,
            registry=registry,
        )
        by_controller = ["controller"]
        self.reconciles = Counter(
            "controller_runtime_reconcile",
            "Reconciles by result: success, error, requeue_after",
            ["controller", "result"],
            registry=registry,
        )
        self.reconcile_errors = Counter(
            "controller_runtime_reconcile_errors", "Reconciles that failed", by_controller, registry=registry
        )
        self.reconcile_seconds = Histogram(
            "controller_runtime_reconcile_time_seconds",
            "Duration of a reconcile",
            by_controller,
            buckets=_RECONCILE_BUCKETS,
            registry=registry,
        )
        self.workers = Gauge(
            "controller_runtime_max_concurrent_reconciles",
            "Reconciles that may run at the same time",
            by_controller,
            registry=registry,
        )
        self.active = Gauge(
            "controller_runtime_active_workers", "Reconciles that run now", by_controller, registry=registry
        )
        self.leader = Gauge("leader_election_master_status", "1 while this copy leads", by_name, registry=registry)
        self.requests = Counter(
            "rest_client_requests",
            "Requests to the API server, by status code (0: no answer), verb and resource",
            ["code", "verb", "resource"],
            registry=registry,
        )
        self.writes = Counter(
            "xtrinode_controller_writes",
            "Writes to the API server, by verb and kind",
            ["verb", "kind"],
            registry=registry,
        )
        self.loop_lag = Gauge(
            "xtrinode_controller_loop_lag_seconds",
            "How late the event loop's heartbeat was, last measured",
            registry=registry,
        )
        self.routes = Gauge("xtrinode_controller_routes", "Backends in the published routes", registry=registry)
        self.route_conflicts = Gauge(
            "xtrinode_controller_route_conflicts",
            "Claims of a hostname, header or default route that lost to an older one",
            registry=registry,
        )
        self.suspended = Counter(
            "xtrinode_suspended", "Runtimes that finished suspending", ["namespace"], registry=registry
        )
        self.resumed = Counter(
            "xtrinode_resumed", "Runtimes that became ready after a sleep", ["namespace"], registry=registry
        )
        self.drain_seconds = Histogram(
            "xtrinode_drain_duration_seconds",
            "Time from the first wish to stop until the coordinator could be stopped",
            buckets=_DRAIN_BUCKETS,
            registry=registry,
        )

    def queue(self, name: str, longest_running: Callable[[], float]) -> QueueMetrics:
        self.queue_longest.labels(name).set_function(longest_running)
        return QueueMetrics(self, name)

    def describe(self, runtimes: Callable[[], Iterable[Declared]], watched: Iterable[Watched]) -> None:
        """Adds the series that are read from the caches when scraped."""
        self._runtimes = runtimes
        objects = Gauge(
            "xtrinode_controller_cached_objects", "Objects in an informer's cache", ["resource"], registry=self.registry
        )
        for watch in watched:
            objects.labels(watch.resource).set_function(watch.count)

    def page(self) -> bytes:
        return generate_latest(self.registry) + "".join(_series(self._runtimes())).encode()


def _series(runtimes: Iterable[Declared]) -> Iterator[str]:
    """The series of the runtimes. Written here, because as the library's samples those of 5,000 take 60 MiB."""
    known = [(f'name="{runtime.key[1]}",namespace="{runtime.key[0]}"', runtime.shown) for runtime in runtimes]
    yield _head("xtrinode_state", "1 for the phase a runtime is in")
    for labels, shown in known:
        for phase in Phase:
            yield f'xtrinode_state{{{labels},phase="{phase.value}"}} {float(shown.phase == phase.value)}\n'
    yield _head("xtrinode_condition", "1 when True, 0 when False, -1 when Unknown")
    for labels, shown in known:
        for kind, status in shown.conditions:
            value = {"True": 1.0, "False": 0.0}.get(status, -1.0)
            yield f'xtrinode_condition{{{labels},type="{_escaped(kind)}"}} {value}\n'
    yield _head("xtrinode_workers_current", "Ready workers")
    for labels, shown in known:
        yield f"xtrinode_workers_current{{{labels}}} {float(shown.workers)}\n"


def _head(name: str, meaning: str) -> str:
    return f"# HELP {name} {meaning}\n# TYPE {name} gauge\n"


def _escaped(value: str) -> str:
    return value.replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n")
