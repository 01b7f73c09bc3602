"""Our data path beside nginx, haproxy and an aiohttp proxy: `python -m bench.gateway.compare --help`.

Prints a table per workload and, last, one JSON line whose `metrics` name every figure.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from bench.gateway.peers import Process, free_port, nginx_command, peers
from bench.gateway.workloads import WORKLOADS, Workload, script, upstream_config


@dataclass
class Run:
    """One run of one peer."""

    requests: int
    seconds: float
    cpu_us: float  # per request
    p50_us: float
    p99_us: float
    resident: int
    errors: int


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench.gateway.compare", description=__doc__)
    parser.add_argument("--rounds", type=int, default=5, help="interleaved rounds (default 5)")
    parser.add_argument("--seconds", type=int, default=5, help="length of a run (default 5)")
    parser.add_argument("--workloads", default="", help="comma-separated names (default all)")
    parser.add_argument("--peers", default="", help="comma-separated names besides nginx (default all)")
    parser.add_argument("--compiled", type=Path, help="tree with compiled modules, from bench.gateway.compile")
    parser.add_argument("--cores", default="0,1", help="cores for load and upstream, and for the proxy (default 0,1)")
    parser.add_argument("--plot", type=Path, help="write a bar chart of CPU per request here")
    return parser.parse_args()


def microseconds(text: str) -> float:
    found = re.fullmatch(r"([0-9.]+)(us|ms|s|m)", text)
    if found is None:  # wrk writes nan when nothing was completed
        return float("nan")
    return float(found.group(1)) * {"us": 1.0, "ms": 1e3, "s": 1e6, "m": 6e7}[found.group(2)]


def run_once(process: Process, workload: Workload, lua: Path, seconds: int, core: str) -> Run:
    before, started = process.cpu_ns(), time.monotonic()
    command = ["taskset", "-c", core, "wrk", "-t1", f"-c{workload.connections}", f"-d{seconds}s", "--latency"]
    url = f"http://127.0.0.1:{process.port}"
    out = subprocess.run(
        [*command, "-s", str(lua), url], capture_output=True, text=True, check=True, timeout=seconds + 60
    ).stdout
    elapsed, after = time.monotonic() - started, process.cpu_ns()
    if not (after > before and "Latency Distribution" in out and " requests in" in out):
        raise SystemExit(f"{workload.name}: the proxy did not answer: {out}\n{process.errors()}")
    requests = int(re.search(r"(\d+) requests in", out).group(1))  # type: ignore[union-attr]
    errors = sum(int(number) for number in re.findall(r"Non-2xx or 3xx responses: (\d+)", out))
    errors += sum(map(int, re.findall(r"(?:connect|read|write|timeout) (\d+)", out)))
    return Run(
        requests,
        elapsed,
        (after - before) / 1000 / max(requests, 1),
        microseconds(re.search(r"50%\s+(\S+)", out).group(1)),  # type: ignore[union-attr]
        microseconds(re.search(r"99%\s+(\S+)", out).group(1)),  # type: ignore[union-attr]
        process.resident(),
        errors,
    )


def spread(values: list[float]) -> str:
    return f"{statistics.median(values):.2f} ({min(values):.2f}-{max(values):.2f})"


def report(workload: Workload, runs: dict[str, list[Run]], metrics: dict[str, float]) -> None:
    print(f"\n{workload.name}: {workload.what}, {workload.connections} connections")
    print(f"{'':12} {'rps':>8} {'p50 us':>8} {'p99 us':>8} {'CPU us':>8} {'RSS MiB':>8}  rps per core vs nginx")
    for name, own in runs.items():
        cpu = statistics.median(run.cpu_us for run in own)
        ratios = [reference.cpu_us / run.cpu_us for reference, run in zip(runs["nginx"], own, strict=True)]
        rps = statistics.median(run.requests / run.seconds for run in own)
        p50, p99 = (statistics.median(getattr(run, field) for run in own) for field in ("p50_us", "p99_us"))
        resident = max(run.resident for run in own)
        errors = sum(run.errors for run in own)
        print(
            f"{name:12} {rps:8.0f} {p50:8.0f} {p99:8.0f} {cpu:8.2f} {resident / 2**20:8.1f}  {spread(ratios)}"
            + (f"  ERRORS: {errors}" if errors else "")
        )
        key = f"{workload.name}.{name}"
        metrics[f"{key}.cpu_us"] = round(cpu, 3)
        metrics[f"{key}.rps"] = round(rps, 1)
        metrics[f"{key}.p50_us"] = round(p50, 1)
        metrics[f"{key}.p99_us"] = round(p99, 1)
        metrics[f"{key}.rss_bytes"] = resident
        metrics[f"{key}.errors"] = errors
        metrics[f"{key}.rps_ratio_nginx"] = round(statistics.median(ratios), 4)
        metrics[f"{key}.cpu_ratio_nginx"] = round(statistics.median(1 / ratio for ratio in ratios), 4)


def plot(path: Path, metrics: dict[str, float], names: list[str], chosen: list[Workload]) -> None:
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(figsize=(1.6 * len(chosen) + 3, 4.5))
    width = 0.8 / len(names)
    for index, name in enumerate(names):
        heights = [metrics.get(f"{workload.name}.{name}.rps_ratio_nginx", 0) for workload in chosen]
        axes.bar([place + index * width for place in range(len(chosen))], heights, width, label=name)
    axes.axhline(1.0, color="black", linewidth=0.8)
    axes.set_xticks([place + 0.4 - width / 2 for place in range(len(chosen))], [w.name for w in chosen])
    axes.set_ylabel("requests per CPU second, nginx = 1")
    axes.legend()
    figure.tight_layout()
    figure.savefig(path)


def main() -> None:
    options = arguments()
    missing = [tool for tool in ("nginx", "haproxy", "wrk", "taskset") if shutil.which(tool) is None]
    if missing:
        raise SystemExit(
            f"not installed: {', '.join(missing)}. Type: apt-get install nginx-light haproxy wrk util-linux"
        )
    load_core, proxy_core = options.cores.split(",")
    wanted = set(filter(None, options.peers.split(","))) | {"nginx"}
    chosen = [w for w in WORKLOADS if not options.workloads or w.name in options.workloads.split(",")]
    metrics: dict[str, float] = {}
    with tempfile.TemporaryDirectory(prefix="xtrinode-bench-") as name:
        directory = Path(name)
        directory.chmod(0o755)
        upstream_port = free_port()
        config = upstream_config(directory, upstream_port)
        running = {"upstream": Process(nginx_command(config, directory, "upstream"), int(load_core), upstream_port)}
        try:
            for peer in peers(options.compiled):
                if not options.peers or peer.name in wanted:
                    port = free_port()
                    command = peer.command(directory, port, upstream_port)
                    running[peer.name] = Process(command, int(proxy_core), port, peer.environment)
            names = [peer for peer in running if peer != "upstream"]
            for workload in chosen:
                lua = script(workload, directory)
                runs: dict[str, list[Run]] = {peer: [] for peer in names}
                for turn in range(options.rounds + 1):
                    order = names[turn % len(names) :] + names[: turn % len(names)]
                    for peer in order:
                        seconds = options.seconds if turn else 1  # the first round warms up
                        run = run_once(running[peer], workload, lua, seconds, load_core)
                        if turn:
                            runs[peer].append(run)
                report(workload, runs, metrics)
        finally:
            for process in running.values():
                process.stop()
    if options.plot:
        plot(options.plot, metrics, names, chosen)
    commit = subprocess.run(["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True, check=False).stdout
    machine = {
        "python": platform.python_version(),
        "kernel": platform.release(),
        "cores": os.cpu_count(),
        "load": round(os.getloadavg()[1], 2),
        "commit": commit.strip(),
        "rounds": options.rounds,
        "seconds": options.seconds,
    }
    sys.stdout.flush()
    print(json.dumps({"bench": "gateway.compare", "machine": machine, "metrics": metrics}))


if __name__ == "__main__":
    main()
