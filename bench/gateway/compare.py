"""Our data path beside nginx, haproxy and an aiohttp proxy, in front of one upstream.

    python -m bench.gateway.compile build/compiled
    python -m bench.gateway.compare --compiled build/compiled --results bench/results/gateway-compare.json

Every build of ours that is there takes part: pure (from the source tree), compiled, and express. Prints a table per
workload while it runs and, last, one JSON line whose `metrics` name every figure. With --results the same goes to a
file, with every round; beside it a table for people (.md) and a plot (.png). Give it the machine: ratios move by a
tenth when something else runs. The default takes about 35 minutes; try `--rounds 1 --seconds 1` first.
"""

from __future__ import annotations

import argparse
import json
import shutil
import sys
import tempfile
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from bench.gateway import latency, machine, report, wrk
from bench.gateway.peers import Peer, nginx_command, peers
from bench.gateway.processes import Process, forget_peak, free_port, status_bytes, stop_in_order
from bench.gateway.spread import median, ratios, text
from bench.gateway.targets import verdicts
from bench.gateway.variants import NAMES
from bench.gateway.workloads import WORKLOADS, Workload, script, upstream_config

_OTHERS = ("haproxy", "aiohttp", "nginx_tuned")
Rounds = dict[str, list[float]]  # a figure's name to its value in every round


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m bench.gateway.compare",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    names = ", ".join(workload.name for workload in WORKLOADS)
    parser.add_argument("--rounds", type=int, default=5, help="interleaved rounds (default 5)")
    parser.add_argument("--seconds", type=int, default=4, help="length of a run (default 4)")
    parser.add_argument(
        "--reference-seconds", type=int, default=2, help="length of the nginx run before and after each (default 2)"
    )
    parser.add_argument("--workloads", default="", help=f"comma-separated, of: {names} (default all)")
    parser.add_argument("--peers", default="", help="comma-separated names besides nginx (default all)")
    parser.add_argument(
        "--compiled", type=Path, metavar="DIR", help="where `python -m bench.gateway.compile DIR` put the other builds"
    )
    parser.add_argument("--cores", default="0,1", help="cores for load and upstream, and for the proxy (default 0,1)")
    parser.add_argument("--no-latency", action="store_true", help="leave out the added latency at half load")
    parser.add_argument("--rate", type=float, help="requests a second for it (default half of the slowest peer's)")
    parser.add_argument(
        "--results", type=Path, metavar="FILE", help="write results to FILE.json, and .md and .png beside it"
    )
    parser.add_argument("--render", type=Path, metavar="FILE", help="only write .md and .png of this result again")
    return parser.parse_args()


class Comparison:
    """The running proxies, and what was measured of them so far."""

    def __init__(self, options: argparse.Namespace) -> None:
        self.options = options
        self.load_core, self.proxy_core = options.cores.split(",")
        self.running: dict[str, Process] = {}
        self.metrics: dict[str, float] = {}
        self.workloads: list[dict[str, Any]] = []

    def once(self, name: str, lua: Path, workload: Workload, seconds: int) -> wrk.Run:
        return wrk.run(self.running[name], lua, workload.connections, seconds, self.load_core)

    def measure(self, workload: Workload, lua: Path) -> None:
        """All rounds of one workload. nginx runs before and after every other run, and is compared with both."""
        names = list(self.running)
        runs: dict[str, list[wrk.Run]] = {name: [] for name in names}
        against: dict[str, list[float]] = {name: [] for name in names}
        for name in names:  # warms up connections, memory and caches
            self.once(name, lua, workload, 1)
            forget_peak(self.running[name].pid)
        warm = {name: process.resident() for name, process in self.running.items()}
        others = names[1:]
        for turn in range(self.options.rounds):
            before = self.once("nginx", lua, workload, self.options.reference_seconds)
            runs["nginx"].append(before)
            against["nginx"].append(1.0)
            for name in others[turn % len(others) :] + others[: turn % len(others)]:
                run = self.once(name, lua, workload, self.options.seconds)
                after = self.once("nginx", lua, workload, self.options.reference_seconds)
                runs[name].append(run)
                against[name].append((before.cpu_us + after.cpu_us) / 2 / run.cpu_us)
                before = after
        found: dict[str, Rounds] = {}
        for name in names:
            found[name] = {
                "rps": [run.rps for run in runs[name]],
                "cpu_us": [run.cpu_us for run in runs[name]],
                "p50_us": [run.p50_us for run in runs[name]],
                "p99_us": [run.p99_us for run in runs[name]],
                "errors": [run.errors for run in runs[name]],
                "resident": [run.resident for run in runs[name]],
                "waited": [run.waited for run in runs[name]],
                "ratio_nginx": against[name],
            }
        memory = {name: (warm[name], status_bytes(self.running[name].pid, "VmHWM")) for name in names}
        self.tell(workload, found, memory)
        self.workloads.append(
            {
                "name": workload.name,
                "what": workload.what,
                "connections": workload.connections,
                "peers": found,
                "rss": {name: {"warm_bytes": warm, "peak_bytes": peak} for name, (warm, peak) in memory.items()},
            }
        )

    def tell(self, workload: Workload, found: dict[str, Rounds], memory: dict[str, tuple[int, int]]) -> None:
        print(f"\n{workload.name}: {workload.what}, {workload.connections} connections")
        print(f"{'':12} {'rps':>8} {'p50 us':>8} {'p99 us':>8} {'CPU us':>8} {'RSS MiB':>8}  rps per core, nginx = 1")
        for name, rounds in found.items():
            middle = {figure: median(values) for figure, values in rounds.items()}
            errors = int(sum(rounds["errors"]))
            resident = max(rounds["resident"])
            print(
                f"{name:12} {middle['rps']:8.0f} {middle['p50_us']:8.0f} {middle['p99_us']:8.0f} "
                f"{middle['cpu_us']:8.2f} {resident / 2**20:8.1f}  {text(rounds['ratio_nginx'])}"
                + (f"  ERRORS: {errors}" if errors else ""),
                flush=True,
            )
            key = f"{workload.name}.{name}"
            for figure, digits in (("cpu_us", 3), ("rps", 1), ("p50_us", 1), ("p99_us", 1)):
                self.metrics[f"{key}.{figure}"] = round(middle[figure], digits)
            self.metrics[f"{key}.rss_bytes"] = resident
            self.metrics[f"{key}.errors"] = errors
            self.metrics[f"{key}.waited_share"] = round(middle["waited"], 4)
            self.metrics[f"{key}.rps_ratio_nginx"] = round(middle["ratio_nginx"], 4)
            self.metrics[f"{key}.cpu_ratio_nginx"] = round(1 / middle["ratio_nginx"], 4)
            if name in NAMES:
                warm, peak = memory[name]
                self.metrics[f"{key}.rss_growth_bytes"] = int(rounds["resident"][-1]) - warm
                self.metrics[f"{key}.rss_peak_bytes"] = peak
                for other in set(_OTHERS) & set(found):
                    # By way of nginx, so that each is compared with what ran next to it.
                    against = ratios(rounds["ratio_nginx"], found[other]["ratio_nginx"])
                    self.metrics[f"{key}.rps_ratio_{other}"] = round(median(against), 4)

    def latency(self, upstream: int) -> dict[str, Any]:
        # The aiohttp proxy would set the rate for everybody, and far below half of what they can do.
        proxies = {name: process for name, process in self.running.items() if name not in {"aiohttp", "nginx_tuned"}}
        found = latency.measure(
            upstream, proxies, self.options.rate, self.options.rounds, self.options.seconds, self.load_core
        )
        self.metrics["latency.rate"] = round(found["rate"], 1)
        self.metrics["latency.failed"] = found["failed"]
        for name, rounds in found["peers"].items():
            for figure, values in rounds.items():
                self.metrics[f"latency.{name}.{figure}"] = round(median(values), 4)
        return found


def selected(options: argparse.Namespace) -> tuple[list[Peer], list[Workload]]:
    found, left_out = peers(options.compiled)
    for message in left_out:
        print(message)
    names = {name for name in options.peers.split(",") if name}
    wanted = {name for name in options.workloads.split(",") if name}
    unknown = names - {peer.name for peer in found} - set(NAMES)
    unknown |= wanted - {workload.name for workload in WORKLOADS}
    if unknown:
        raise SystemExit(f"unknown: {', '.join(sorted(unknown))}; see --help")
    chosen = [peer for peer in found if not names or peer.name in names | {"nginx"}]
    if len(chosen) < 2:
        raise SystemExit("nothing to compare nginx with; name a peer")
    return chosen, [workload for workload in WORKLOADS if not wanted or workload.name in wanted]


def run(options: argparse.Namespace) -> dict[str, Any]:
    chosen, mixes = selected(options)
    about = machine.record()
    print(machine.in_words(about), flush=True)
    comparison = Comparison(options)
    with tempfile.TemporaryDirectory(prefix="xtrinode-bench-") as name, ExitStack() as stack:
        directory = Path(name)
        directory.chmod(0o755)
        upstream = free_port()
        command = nginx_command(upstream_config(directory, upstream), directory, "upstream")
        stack.enter_context(Process(command, comparison.load_core, upstream))
        for peer in chosen:
            process = peer.start(directory, free_port(), upstream, comparison.proxy_core)
            comparison.running[peer.name] = stack.enter_context(process)
        for workload in mixes:
            comparison.measure(workload, script(workload, directory))
        added = None if options.no_latency else comparison.latency(upstream)
    return {
        "bench": "gateway.compare",
        "machine": about,
        "settings": {
            "rounds": options.rounds,
            "seconds": options.seconds,
            "reference_seconds": options.reference_seconds,
        },
        "metrics": comparison.metrics,
        "targets": [vars(verdict) for verdict in verdicts(comparison.metrics)],
        "workloads": comparison.workloads,
        "latency": added,
    }


def main() -> None:
    stop_in_order()
    options = arguments()
    if options.render:
        report.render(options.render)
        return
    missing = [tool for tool in ("nginx", "haproxy", "wrk", "taskset") if shutil.which(tool) is None]
    if missing:
        raise SystemExit(
            f"not installed: {', '.join(missing)}. Type: apt-get install nginx-light haproxy wrk util-linux"
        )
    result = run(options)
    print(f"\n{report.quiet(result)}")
    for verdict in result["targets"]:
        print(
            f"{'met   ' if verdict['met'] else 'MISSED'} {verdict['metric']} {verdict['value']:g} {verdict['target']}"
        )
    if options.results:
        options.results.parent.mkdir(parents=True, exist_ok=True)
        options.results.write_text(json.dumps(result, indent=1) + "\n")
        report.render(options.results)
    sys.stdout.flush()
    print(json.dumps({"bench": result["bench"], "machine": result["machine"], "metrics": result["metrics"]}))


if __name__ == "__main__":
    main()
