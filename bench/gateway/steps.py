"""More users, step by step, until more of them tell nothing more: what a step is, and whether another one follows.

Pure. The shape that Locust asks acts on it, and `load` reads what came of it. A step is `seconds` long; what comes
before all of its users are there, and the first second after, is left out of its figures.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

VARIABLE = "XTRINODE_BENCH_STEPS"
# Of one core: what is left is what the kernel and a Python process never use.
SATURATED = 0.95
# Half as many users again and less than this much more throughput: something is full.
_GROWTH = 1.05


@dataclass(frozen=True)
class Settings:
    """`start` users at first, `factor` times as many each step, never above `most`; `pids` are the gateway's."""

    file: str
    pids: list[int]
    start: int
    factor: float
    most: int
    seconds: float


@dataclass(frozen=True)
class Counted:
    """What Locust has counted so far, the CPU time that it and the gateway have used, and how long it had no core."""

    at: float
    requests: int
    failures: int
    times: dict[str, dict[int, int]]  # by request name: milliseconds to how many
    locust_cpu: float
    locust_waited: float
    gateway_cpu: float


@dataclass(frozen=True)
class Step:
    users: int
    rps: float
    failures: int
    locust_cores: float
    locust_waiting: float
    gateway_cores: float
    gateway_us_per_request: float
    latency_ms: dict[str, dict[str, float]]  # by request name, and of all: p50, p95, p99


def percentiles(times: Mapping[int, int]) -> dict[str, float]:
    """p50, p95 and p99 of a histogram, in its own unit; empty of an empty one."""
    total = sum(times.values())
    found: dict[str, float] = {}
    for name, share in (("p50", 0.50), ("p95", 0.95), ("p99", 0.99)):
        seen = 0
        for value in sorted(times):
            seen += times[value]
            if seen and seen >= share * total:
                found[name] = value
                break
    return found


def between(users: int, before: Counted, after: Counted) -> Step:
    """What happened from one count to the next."""
    seconds, requests = after.at - before.at, after.requests - before.requests
    everything: dict[int, int] = {}
    latency = {}
    for name, times in after.times.items():
        old = before.times.get(name, {})
        own = {value: count - old.get(value, 0) for value, count in times.items() if count > old.get(value, 0)}
        for value, count in own.items():
            everything[value] = everything.get(value, 0) + count
        if own:
            latency[name] = percentiles(own)
    latency["all"] = percentiles(everything)
    gateway = after.gateway_cpu - before.gateway_cpu
    return Step(
        users,
        requests / seconds,
        after.failures - before.failures,
        (after.locust_cpu - before.locust_cpu) / seconds,
        (after.locust_waited - before.locust_waited) / seconds,
        gateway / seconds,
        gateway / max(requests, 1) * 1e6,
        latency,
    )


def plateau(steps: Sequence[Step]) -> bool:
    """Whether the last two steps brought no more than the one before them."""
    return len(steps) > 2 and max(steps[-1].rps, steps[-2].rps) < steps[-3].rps * _GROWTH


def decide(steps: Sequence[Step], settings: Settings) -> int | None:
    """How many users come next; None when the last step was the last one that tells anything."""
    if not steps:
        return settings.start
    last = steps[-1]
    if _busy(last) or last.users >= settings.most or plateau(steps):
        return None
    return min(settings.most, max(last.users + 1, round(last.users * settings.factor)))


def _busy(step: Step) -> bool:
    """Whether Locust had work all the time, also when it was not let."""
    return step.locust_cores + step.locust_waiting >= SATURATED


def limit(steps: Sequence[Step], settings: Settings) -> str:
    """Why the last step was the last."""
    last = steps[-1]
    if last.locust_cores >= SATURATED:
        return "Locust: it used a whole core, so the gateway's own limit is higher"
    if _busy(last):
        return (
            f"the machine: Locust used {last.locust_cores:.0%} of its core and waited for it "
            f"{last.locust_waiting:.0%} of the time, because something else ran there"
        )
    if last.users >= settings.most:
        return f"the {settings.most} users that were allowed"
    return (
        f"not Locust ({last.locust_cores:.0%} of a core): more users brought no more requests; "
        f"the gateway used {last.gateway_cores:.0%} of a core"
    )
