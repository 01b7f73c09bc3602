"""wrk: one run against one proxy, and its report read back."""

from __future__ import annotations

import re
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path

from bench.gateway.processes import Process, waited_ns

_UNITS = {"us": 1.0, "ms": 1e3, "s": 1e6, "m": 6e7}


@dataclass(frozen=True)
class Report:
    """What wrk says of one run. Latencies in microseconds."""

    requests: int
    errors: int
    p50_us: float
    p99_us: float


@dataclass(frozen=True)
class Run:
    """One run of one proxy. CPU is the proxy's own, per request; `waited` is the share of the run in which it was ready
    and had no core.
    """

    requests: int
    errors: int
    rps: float
    cpu_us: float
    p50_us: float
    p99_us: float
    resident: int
    waited: float


def read_report(text: str) -> Report | None:
    """The report in wrk's output; None when it is none, or when nothing was completed."""
    requests = re.search(r"(\d+) requests in", text)
    p50, p99 = (re.search(rf"^\s+{share}%\s+(\d+(?:\.\d+)?)(us|ms|s|m)\s*$", text, re.MULTILINE) for share in (50, 99))
    if requests is None or p50 is None or p99 is None or int(requests[1]) == 0:
        return None
    errors = sum(int(number) for number in re.findall(r"Non-2xx or 3xx responses: (\d+)", text))
    errors += sum(map(int, re.findall(r"(?:connect|read|write|timeout) (\d+)", text)))
    return Report(int(requests[1]), errors, float(p50[1]) * _UNITS[p50[2]], float(p99[1]) * _UNITS[p99[2]])


def run(process: Process, script: Path, connections: int, seconds: int, core: str) -> Run:
    """Load `process` for `seconds` from `core`. Raises SystemExit when it does not answer."""
    before, waited, started = process.cpu_ns(), waited_ns(process.pid), time.monotonic()
    command = ["taskset", "-c", core, "wrk", "-t1", f"-c{connections}", f"-d{seconds}s", "--latency"]
    url = f"http://127.0.0.1:{process.port}"
    done = subprocess.run(
        [*command, "-s", str(script), url], capture_output=True, text=True, check=False, timeout=seconds + 60
    )
    elapsed = time.monotonic() - started
    report = read_report(done.stdout)
    if report is None:
        raise SystemExit(f"{script.stem}: nothing was answered: {done.stdout}{done.stderr}\n{process.errors()}")
    cpu_us = (process.cpu_ns() - before) / 1000 / report.requests
    return Run(
        report.requests,
        report.errors,
        report.requests / elapsed,
        cpu_us,
        report.p50_us,
        report.p99_us,
        process.resident(),
        (waited_ns(process.pid) - waited) / 1e9 / elapsed,
    )
