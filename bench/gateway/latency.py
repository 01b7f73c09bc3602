"""Added latency: what a proxy costs beside talking to the coordinator directly, at a rate that leaves it air.

Called by `compare`. Direct and proxied runs alternate; the rate is the same for all of them, about half of what the
slowest of the proxies can do, and no more than half of what the generator itself can.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from dataclasses import dataclass
from typing import Any

from bench.gateway.processes import ROOT, Process
from bench.gateway.spread import median, text

SHARE = 0.5
_FLAT_OUT = 0.0


@dataclass(frozen=True)
class Sample:
    rate: float
    failed: int
    p50_ms: float
    p99_ms: float


def sample(port: int, rate: float, seconds: float, core: str) -> Sample:
    """One run of the generator, in a process of its own."""
    command = [sys.executable, "-m", "bench.gateway.paced", "--port", str(port), "--rate", str(rate)]
    done = subprocess.run(
        ["taskset", "-c", core, *command, "--seconds", str(seconds)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        timeout=seconds + 60,
    )
    if done.returncode:
        raise SystemExit(f"the load generator failed: {done.stderr}")
    said = json.loads(done.stdout)
    return Sample(said["rate"], said["failed"], said["p50_ms"], said["p99_ms"])


def measure(
    upstream: int, proxies: dict[str, Process], rate: float | None, rounds: int, seconds: float, core: str
) -> dict[str, Any]:
    """Latencies of every proxy and of no proxy, in milliseconds, by round; `rate` None means half load."""
    capacity = {name: sample(process.port, _FLAT_OUT, 1, core).rate for name, process in proxies.items()}
    capacity["direct"] = sample(upstream, _FLAT_OUT, 1, core).rate
    if rate is None:
        rate = SHARE * min(capacity.values())
    print(f"\nadded latency at {rate:.0f} requests a second", flush=True)
    fields = ("p50_ms", "p99_ms", "added_p50_ms", "added_p99_ms", "core_share")
    found: dict[str, dict[str, list[float]]] = {name: {field: [] for field in fields} for name in proxies}
    found["direct"] = {field: [] for field in fields[:2]}
    failed = 0
    names = list(proxies)
    for turn in range(rounds):
        before = sample(upstream, rate, seconds, core)
        for name in names[turn % len(names) :] + names[: turn % len(names)]:
            used, started = proxies[name].cpu_ns(), time.monotonic_ns()
            via = sample(proxies[name].port, rate, seconds, core)
            found[name]["core_share"].append((proxies[name].cpu_ns() - used) / (time.monotonic_ns() - started))
            after = sample(upstream, rate, seconds, core)
            failed += via.failed + after.failed
            own = found[name]
            own["p50_ms"].append(via.p50_ms)
            own["p99_ms"].append(via.p99_ms)
            own["added_p50_ms"].append(via.p50_ms - (before.p50_ms + after.p50_ms) / 2)
            own["added_p99_ms"].append(via.p99_ms - (before.p99_ms + after.p99_ms) / 2)
            found["direct"]["p50_ms"].append(after.p50_ms)
            found["direct"]["p99_ms"].append(after.p99_ms)
            before = after
    for name, own in found.items():
        line = f"{name:12} p50 {median(own['p50_ms']):.3f} ms, p99 {median(own['p99_ms']):.3f} ms"
        if name in proxies:
            line += f"; added p50 {text(own['added_p50_ms'], 3)}, p99 {text(own['added_p99_ms'], 3)}"
            line += f"; {median(own['core_share']):.0%} of its core"
        print(line)
    # What the generator got through when it did not wait for the schedule: its own limit is in it, too.
    return {"rate": rate, "failed": failed, "flat_out": capacity, "peers": found}
