"""Where a request's time goes in the data path: `python -m bench.gateway.profile --help`.

    python -m bench.gateway.profile --compiled build/compiled --results bench/results/gateway-profile.json

By function: the pure build under Python's own profiler, which counts every call exactly and makes each of them
slower, so read its shares as a ranking. By shared object and by symbol: every build, and nginx beside them, sampled
by `perf` without slowing them down; where perf is missing or may not look into the kernel, it says so. System calls
per request by strace, where it is. All under the same workloads as `compare`. With --results the tables are written
as JSON and markdown. One JSON line last.
"""

from __future__ import annotations

import argparse
import json
import os
import pstats
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

from bench.gateway import machine, wrk
from bench.gateway.peers import Peer, nginx_command, peers
from bench.gateway.processes import ROOT, Process, free_port, stop_in_order
from bench.gateway.profile_tables import Function, Share, by_function, markdown, shares, system_calls
from bench.gateway.variants import NAMES, variant
from bench.gateway.workloads import WORKLOADS, Workload, script, upstream_config

_FREQUENCY = 2999
_SHOWN = 25


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m bench.gateway.profile",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--workloads", default="polls,mix", help="comma-separated (default polls,mix)")
    parser.add_argument("--seconds", type=int, default=10, help="length of a run (default 10)")
    parser.add_argument(
        "--compiled", type=Path, metavar="DIR", help="where `python -m bench.gateway.compile DIR` put the other builds"
    )
    parser.add_argument("--cores", default="0,1", help="cores for load and upstream, and for the proxy (default 0,1)")
    parser.add_argument("--results", type=Path, metavar="FILE", help="write FILE.json, and a table (.md) beside it")
    return parser.parse_args()


class Bench:
    """The upstream, and where things are."""

    def __init__(self, options: argparse.Namespace, directory: Path, upstream: int) -> None:
        self.seconds = options.seconds
        self.load_core, self.proxy_core = options.cores.split(",")
        self.directory = directory
        self.upstream = upstream

    def functions(self, workload: Workload) -> tuple[wrk.Run, list[Function]]:
        """The pure build under the profiler, from its start to its end."""
        out = self.directory / f"{workload.name}.pstats"
        build, port = variant("pure", None), free_port()
        (peer,) = [peer for peer in peers(None)[0] if peer.name == "pure"]
        plain = peer.command(self.directory, port, self.upstream)
        command = [*plain[:1], "-m", "cProfile", "-o", str(out), *plain[1:]]
        with Process(command, self.proxy_core, port, build.environment, build.root) as process:
            lua = script(workload, self.directory)
            run = wrk.run(process, lua, workload.connections, self.seconds, self.load_core)
            process.stop()  # the profile is written at the end
            if not out.exists():
                raise SystemExit(f"no profile was written: {process.errors()}")
        stats: Any = pstats.Stats(str(out))
        return run, by_function(stats.stats, run.requests, str(ROOT))

    def samples(self, peer: Peer, workload: Workload) -> tuple[wrk.Run, list[Share], list[Share], dict[str, float]]:
        """Shares by shared object and by symbol, and system calls per request.

        Raises PermissionError with perf's own words when it may not look.
        """
        lua, data = script(workload, self.directory), self.directory / f"{peer.name}.perf"
        with peer.start(self.directory, free_port(), self.upstream, self.proxy_core) as process:
            wrk.run(process, lua, workload.connections, 1, self.load_core)  # warm
            record = subprocess.Popen(
                [
                    *["taskset", "-c", self.load_core, "perf", "record", "-q", "-e", "cpu-clock"],
                    *["-F", str(_FREQUENCY), "-p", str(process.pid), "-o", str(data)],
                ],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.PIPE,
                text=True,
            )
            try:
                run = wrk.run(process, lua, workload.connections, self.seconds, self.load_core)
            finally:
                record.send_signal(signal.SIGINT)
                _, said = record.communicate(timeout=30)
            calls = self.system_calls(process, workload, lua) if shutil.which("strace") else {}
        if not data.exists():
            raise PermissionError(said.strip() or "perf wrote nothing")
        objects, symbols = self.report(data, "dso"), self.report(data, "dso,symbol")
        return run, objects, symbols[:_SHOWN], calls

    def system_calls(self, process: Process, workload: Workload, lua: Path) -> dict[str, float]:
        """Counted while strace slows the process down, which changes how many come together but not what they are."""
        out = self.directory / "strace"
        command = ["strace", "-c", "-f", "-qq", "-p", str(process.pid), "-o", str(out)]
        tracer = subprocess.Popen(command, stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            run = wrk.run(process, lua, workload.connections, 2, self.load_core)
        finally:
            tracer.send_signal(signal.SIGINT)
            tracer.wait(30)
        return system_calls(out.read_text() if out.exists() else "", run.requests)

    def report(self, data: Path, sort: str) -> list[Share]:
        command = [
            "perf",
            "report",
            "-i",
            str(data),
            "--stdio",
            "-q",
            "-t",
            "|",
            "--sort",
            sort,
            "--percent-limit",
            "0.3",
        ]
        environment = {**os.environ, "LC_ALL": "C"}
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120, env=environment)
        return shares(done.stdout)


def show(title: str, lines: list[str]) -> None:
    print(f"\n{title}")
    print("\n".join(lines), flush=True)


def run(options: argparse.Namespace) -> dict[str, Any]:
    wanted = options.workloads.split(",")
    chosen = [workload for workload in WORKLOADS if workload.name in wanted]
    if len(chosen) != len(wanted):
        raise SystemExit(f"--workloads: one of {', '.join(workload.name for workload in WORKLOADS)}")
    about = machine.record()
    print(machine.in_words(about), flush=True)
    found, left_out = peers(options.compiled)
    builds = [peer for peer in found if peer.name in {*NAMES, "nginx"}]
    remarks = list(left_out)
    if shutil.which("perf") is None:
        remarks.append("no samples: perf is not installed (Debian: apt-get install linux-perf)")
        builds = []
    results: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory(prefix="xtrinode-bench-") as name:
        directory = Path(name)
        directory.chmod(0o755)
        upstream = free_port()
        bench = Bench(options, directory, upstream)
        config = upstream_config(directory, upstream)
        with Process(nginx_command(config, directory, "upstream"), bench.load_core, upstream):
            for workload in chosen:
                profiled, functions = bench.functions(workload)
                result: dict[str, Any] = {
                    "workload": workload.name,
                    "what": workload.what,
                    "profiled_requests": profiled.requests,
                    "functions": [asdict(one) for one in functions],
                    "builds": {},
                }
                show(
                    f"{workload.name}: {profiled.requests} requests under the profiler",
                    [f"{'calls/req':>10} {'share':>6}  function"]
                    + [f"{one.calls:10.2f} {one.share:6.1%}  {one.name}" for one in functions[:_SHOWN]],
                )
                for peer in builds:
                    try:
                        sampled, objects, symbols, calls = bench.samples(peer, workload)
                    except PermissionError as error:
                        remarks.append(f"no samples: {error}")
                        builds = []
                        break
                    result["builds"][peer.name] = {
                        "cpu_us": sampled.cpu_us,
                        "system_calls": calls,
                        "objects": [asdict(one) for one in objects],
                        "symbols": [asdict(one) for one in symbols],
                    }
                    counted = ", ".join(f"{call} {each:.2f}" for call, each in calls.items())
                    show(
                        f"{workload.name}, {peer.name}: {sampled.cpu_us:.1f} us of CPU per request",
                        [f"{one.share:6.1%} {one.share * sampled.cpu_us:6.2f} us  {one.name}" for one in objects]
                        + ([f"system calls per request: {counted}"] if counted else []),
                    )
                results.append(result)
    for remark in remarks:
        print(remark)
    return {
        "bench": "gateway.profile",
        "machine": about,
        "settings": {"seconds": options.seconds, "frequency": _FREQUENCY},
        "metrics": metrics_of(results),
        "remarks": remarks,
        "workloads": results,
    }


def metrics_of(results: list[dict[str, Any]]) -> dict[str, float]:
    metrics: dict[str, float] = {}
    for result in results:
        key = f"profile.{result['workload']}"
        metrics[f"{key}.pure.calls_per_request"] = round(sum(one["calls"] for one in result["functions"]), 2)
        for build, measured in result["builds"].items():
            metrics[f"{key}.{build}.cpu_us"] = round(measured["cpu_us"], 2)
            metrics[f"{key}.{build}.system_calls"] = round(sum(measured["system_calls"].values()), 3)
            for one in measured["objects"]:
                metrics[f"{key}.{build}.{one['kind']}_share"] = round(
                    metrics.get(f"{key}.{build}.{one['kind']}_share", 0.0) + one["share"], 4
                )
    return metrics


def main() -> None:
    stop_in_order()
    options = arguments()
    missing = [tool for tool in ("nginx", "wrk", "taskset") if shutil.which(tool) is None]
    if missing:
        raise SystemExit(f"not installed: {', '.join(missing)}. Type: apt-get install nginx-light wrk util-linux")
    started = time.monotonic()
    result = run(options)
    if options.results:
        options.results.parent.mkdir(parents=True, exist_ok=True)
        options.results.write_text(json.dumps(result, indent=1) + "\n")
        options.results.with_suffix(".md").write_text(markdown(result, options.results.name, machine.in_words))
        print(f"wrote {options.results} and {options.results.with_suffix('.md')}")
    print(f"took {time.monotonic() - started:.0f} s")
    sys.stdout.flush()
    print(json.dumps({"bench": result["bench"], "machine": result["machine"], "metrics": result["metrics"]}))


if __name__ == "__main__":
    main()
