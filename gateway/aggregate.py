"""Several workers as one gateway: their metrics, readiness and status documents folded into one of each. Pure.

The supervisor's management port answers with these. Counters must never go backwards while workers come and go, or a
rate over them shows a spike: what a worker had counted when it was last seen stays in the sum when it has died.

The pages are our own workers': name and labels of a sample are written the same way in each, and are one key here,
never taken apart. With thousands of runtimes that is a tenth of the time and memory of the library's objects.
"""

from __future__ import annotations

import datetime
import math
import operator
import sys
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from gateway.exposition import head

# Every worker sees the same routes and coordinators: the worst of what they see, not a multiple of it.
_GREATEST = frozenset(
    {
        "process_max_fds",
        "process_start_time_seconds",
        "xtrinode_gateway_backends",
        "xtrinode_gateway_circuit_state",
        "xtrinode_gateway_coordinator_health",
        "xtrinode_gateway_routes",
        "xtrinode_gateway_routes_age_seconds",
        "xtrinode_gateway_routes_refused_total",
        "xtrinode_gateway_routes_stale",
    }
)
# Of these the smallest is the worst.
_LEAST = frozenset({"xtrinode_gateway_routes_watched"})
# What lives on when the worker that counted it has died.
_LASTING = frozenset({"counter", "histogram", "summary"})


@dataclass(slots=True)
class Family:
    """One metric: its samples by name and labels as they are written, in the order in which they were first seen."""

    name: str
    explain: str
    kind: str
    samples: dict[str, float] = field(default_factory=dict)

    def add(self, samples: Mapping[str, float]) -> None:
        fold = max if self.name in _GREATEST else min if self.name in _LEAST else operator.add
        for key, value in samples.items():
            known = self.samples.get(key)
            self.samples[key] = value if known is None else fold(known, value)

    def lines(self) -> str:
        samples = [f"{key} {_written(value)}\n" for key, value in self.samples.items()]
        return head(self.name, self.kind, self.explain) + "".join(samples)


Families = dict[str, Family]


def read_page(page: bytes) -> Families:
    """A worker's exposition. Raises ValueError when it is none."""
    found: Families = {}
    explain, family = "", None
    for line in page.decode().split("\n"):
        if line.startswith("# HELP "):
            explain = line[7:].partition(" ")[2]
        elif line.startswith("# TYPE "):
            name, _, kind = line[7:].partition(" ")
            family = found.setdefault(name, Family(name, explain, kind))
        elif line and not line.startswith("#"):
            key, _, value = line.rpartition(" ")
            if family is None or not key.startswith(family.name):
                raise ValueError(f"a sample that belongs to no metric: {key[:100]}")
            family.samples[sys.intern(key)] = float(value)  # one text for all workers
    return found


def _written(value: float) -> str:
    if math.isinf(value):
        return "+Inf" if value > 0 else "-Inf"
    return "NaN" if math.isnan(value) else repr(value)


class Totals:
    """The metrics of all workers, over their lives."""

    def __init__(self) -> None:
        self._seen: dict[int, Families] = {}  # by worker, what it last told
        self._fresh: set[int] = set()
        self._ended: Families = {}

    def seen(self, worker: int, families: Families) -> None:
        """What a worker tells now."""
        self._seen[worker] = families
        self._fresh.add(worker)

    def unheard(self, worker: int) -> None:
        """A worker did not answer: what it had counted stands, its gauges are unknown."""
        self._fresh.discard(worker)

    def ended(self, worker: int) -> None:
        """The worker's process is gone; the next one of its number counts from zero."""
        self._fresh.discard(worker)
        _fold(self._ended, (family for family in self._seen.pop(worker, {}).values() if family.kind in _LASTING))

    def page(self, own: Iterable[Family] = ()) -> bytes:
        """The exposition of all, with metrics of the supervisor's own."""
        total: Families = {}
        _fold(total, self._ended.values())
        for worker, families in sorted(self._seen.items()):
            fresh = worker in self._fresh
            _fold(total, (family for family in families.values() if fresh or family.kind in _LASTING))
        return "".join(family.lines() for family in [*total.values(), *own]).encode()


def _fold(into: Families, families: Iterable[Family]) -> None:
    for family in families:
        into.setdefault(family.name, Family(family.name, family.explain, family.kind)).add(family.samples)


def worker_metrics(count: int, ready: int, restarts: int) -> list[Family]:
    """The supervisor's own metrics."""
    return [
        _single("workers", "Worker processes wanted", "gauge", count),
        _single("workers_ready", "Worker processes that are ready", "gauge", ready),
        _single("worker_restarts_total", "Worker processes started again after they died", "counter", restarts),
    ]


def _single(name: str, explain: str, kind: str, value: float) -> Family:
    return Family(f"xtrinode_gateway_{name}", explain, kind, {f"xtrinode_gateway_{name}": float(value)})


def readiness(reasons: Sequence[str | None]) -> str | None:
    """Why the gateway is not ready, None when all its workers are; `reasons` has each worker's."""
    waiting = {f"worker {number}: {reason}" for number, reason in enumerate(reasons) if reason is not None}
    return "; ".join(sorted(waiting)) or None


def merge_status(
    documents: Sequence[dict[str, Any]], workers: Sequence[dict[str, Any]], now: datetime.datetime
) -> dict[str, Any]:
    """One status document of the workers' own. `workers` says how each process fares, also those that do not answer."""
    merged: dict[str, Any] = {
        "generatedAt": now.isoformat(timespec="seconds"),
        "workers": list(workers),
        "summary": {},
        "reload": None,
        "routes": [],
    }
    if not documents:
        return merged
    # The one whose routes are worst says why; routes that differ for a moment show as the newest worker has them.
    reloads = [document["reload"] for document in documents]
    merged["reload"] = max(reloads, key=lambda reload: (reload["stale"], reload["ageSeconds"] or 0.0))
    merged["routes"] = _merged_routes([document["routes"] for document in documents])
    merged["summary"] = {
        **documents[0]["summary"],
        "liveQueries": sum(document["summary"]["liveQueries"] for document in documents),
        "inflightRequests": sum(document["summary"]["inflightRequests"] for document in documents),
        **coordinator_counts(_coordinators(merged["routes"])),
    }
    return merged


def _coordinators(routes: Iterable[Mapping[str, Any]]) -> Iterable[tuple[str, str]]:
    """Health and circuit of every coordinator; one that serves several routes comes once."""
    seen: dict[tuple[str, str], tuple[str, str]] = {}
    for route in routes:
        for backend in route["backends"]:
            for coordinator in backend["coordinators"]:
                states = coordinator["health"]["state"], coordinator["circuitBreaker"]["state"]
                seen[f"{backend['namespace']}/{backend['name']}", coordinator["address"]] = states
    return seen.values()


def coordinator_counts(coordinators: Iterable[tuple[str, str]]) -> dict[str, int]:
    """How many coordinators fare how, by their health and circuit."""
    counted = Counter(coordinators)
    states = ("healthy", "starting", "unhealthy", "sleeping", "unknown")
    return {
        **{f"{state}Coordinators": sum(n for (health, _), n in counted.items() if health == state) for state in states},
        "openCircuits": sum(n for (_, circuit), n in counted.items() if circuit != "closed"),
    }


def _merged_routes(tables: Sequence[list[dict[str, Any]]]) -> list[dict[str, Any]]:
    """The first worker's routes, with each coordinator as all workers together see it."""
    seen: dict[tuple[str, str], dict[str, Any]] = {}
    for number, table in enumerate(tables):
        once: set[tuple[str, str]] = set()  # a runtime in two routes is one runtime
        for route in table:
            for backend in route["backends"]:
                for coordinator in backend["coordinators"]:
                    key = (f"{backend['namespace']}/{backend['name']}", coordinator["address"])
                    if key not in once:
                        once.add(key)
                        seen[key] = coordinator if number == 0 else _worse(seen.get(key), coordinator)
    return [
        {
            **route,
            "backends": [
                {
                    **backend,
                    "coordinators": [
                        seen[f"{backend['namespace']}/{backend['name']}", coordinator["address"]]
                        for coordinator in backend["coordinators"]
                    ],
                }
                for backend in route["backends"]
            ],
        }
        for route in tables[0]
    ]


_HEALTH = ("unknown", "healthy", "starting", "sleeping", "unhealthy")
_CIRCUIT = ("closed", "half-open", "open")


def _worse(one: dict[str, Any] | None, other: dict[str, Any]) -> dict[str, Any]:
    """Two workers' views of a coordinator: load added up, health and circuit of whoever fares worse."""
    if one is None:
        return other
    return {
        **one,
        "coordinatorId": one["coordinatorId"] or other["coordinatorId"],
        "inflightRequests": one["inflightRequests"] + other["inflightRequests"],
        "liveQueries": one["liveQueries"] + other["liveQueries"],
        "health": max(one["health"], other["health"], key=lambda health: _HEALTH.index(health["state"])),
        "circuitBreaker": max(
            one["circuitBreaker"], other["circuitBreaker"], key=lambda circuit: _CIRCUIT.index(circuit["state"])
        ),
    }
