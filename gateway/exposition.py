"""The Prometheus text of what there is one of per runtime or coordinator: lines, written straight.

With thousands of runtimes the library's sample objects would stop the event loop for a second per scrape. Everything
of which a process has one goes through the library; the metrics page puts both together. Pure.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from gateway.proxy.counters import BUCKET_BOUNDS, BackendCounters
from gateway.routing.model import Outcome, Route, Target

# Per runtime every second bound is plenty, and half the page.
_BOUNDS = [(index, f"{BUCKET_BOUNDS[index]:g}") for index in range(1, len(BUCKET_BOUNDS), 2)]
_OUTCOMES = [(outcome, outcome.name.lower()) for outcome in Outcome]

Backends = Sequence[tuple[str, BackendCounters]]
Counts = dict[tuple[str, str, bytes], int]


def head(name: str, kind: str, explain: str) -> str:
    return f"# HELP {name} {explain}\n# TYPE {name} {kind}\n"


def escaped(value: str) -> str:
    """A label's value as the format wants it."""
    return value.replace("\\", "\\\\").replace("\n", "\\n").replace('"', '\\"')


def _of(key: str) -> str:
    namespace, _, name = key.partition("/")
    return f'namespace="{escaped(namespace)}",xtrinode="{escaped(name)}"'


def backend_lines(backends: Backends) -> Iterator[str]:
    """The pieces of the families that each runtime with traffic has."""
    name = "xtrinode_gateway_backend_requests_total"
    yield head(name, "counter", "Forwarded requests by how they ended")
    for key, counters in backends:
        labels = _of(key)
        for outcome, word in _OUTCOMES:
            if counters.outcomes[outcome]:
                yield f'{name}{{{labels},outcome="{word}"}} {counters.outcomes[outcome]}\n'
    name = "xtrinode_gateway_backend_connects_total"
    yield head(name, "counter", "Connections opened to coordinators")
    for key, counters in backends:
        labels = _of(key)
        yield f'{name}{{{labels},result="ok"}} {counters.connects}\n'
        yield f'{name}{{{labels},result="failed"}} {counters.connect_failures}\n'
    name = "xtrinode_gateway_backend_first_byte_seconds"
    yield head(name, "histogram", "From forwarding to the response head")
    for key, counters in backends:
        yield from _histogram(name, _of(key), counters.first_byte, counters.first_byte_sum)


def _histogram(name: str, labels: str, buckets: Sequence[int], total: float) -> Iterator[str]:
    running, at = 0, 0
    for index, bound in _BOUNDS:
        running += sum(buckets[at : index + 1])
        at = index + 1
        yield f'{name}_bucket{{{labels},le="{bound}"}} {running}\n'
    running += sum(buckets[at:])
    yield f'{name}_bucket{{{labels},le="+Inf"}} {running}\n{name}_count{{{labels}}} {running}\n'
    yield f"{name}_sum{{{labels}}} {total!r}\n"


def coordinator_lines(targets: Sequence[Target]) -> Iterator[str]:
    """The pieces of the families that each coordinator address has."""
    labels = [f'{{{_of(target.key)},address="{target.ip}:{target.port}"}}' for target in targets]
    name = "xtrinode_gateway_coordinator_health"
    yield head(name, "gauge", "0 unknown, 1 healthy, 2 starting, 3 unhealthy, 4 sleeping")
    for label, target in zip(labels, targets, strict=True):
        yield f"{name}{label} {int(target.health)}\n"
    name = "xtrinode_gateway_circuit_state"
    yield head(name, "gauge", "0 closed, 1 open, 2 half-open")
    for label, target in zip(labels, targets, strict=True):
        yield f"{name}{label} {int(target.circuit.state)}\n"
    name = "xtrinode_gateway_inflight_requests"
    yield head(name, "gauge", "Requests now forwarded")
    for label, target in zip(labels, targets, strict=True):
        yield f"{name}{label} {target.inflight}\n"


def query_lines(counts: Counts, routes: Iterable[Route]) -> Iterator[str]:
    """Live queries. A runtime without any says so, also one that sleeps: a scaler must tell none from unknown."""
    name = "xtrinode_gateway_inflight_queries"
    yield head(name, "gauge", "Queries that are live behind this gateway")
    seen = set()
    for (key, group, state), number in sorted(counts.items()):
        seen.add(key)
        word = state.decode("ascii", "replace")
        yield f'{name}{{{_of(key)},routing_group="{escaped(group)}",state="{escaped(word)}"}} {number}\n'
    for route in routes:
        for backend in route.backends:
            if backend.key not in seen:
                seen.add(backend.key)
                yield f'{name}{{{_of(backend.key)},routing_group="{escaped(route.group)}",state="RUNNING"}} 0\n'
