"""Locust's Trino users before the whole gateway: `python -m bench.gateway.load --help`.

    python -m bench.gateway.load --results bench/results/gateway-load.json

Starts stand-in coordinators, the gateway with its routes from a stand-in Kubernetes API, and Locust, which adds users
step by step until it needs a whole core itself: from there on its latencies are its own. Prints a line per step and,
last, one JSON line. With --results the JSON, a table (.md), Locust's report (.html) and its statistics (_stats.csv,
_stats_history.csv, _failures.csv) are written. Exits with 1 when any request failed.

For a deployment of your own run the users alone: `locust -f bench/gateway/locustfile.py --help`.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from bench.gateway import machine
from bench.gateway.cluster import hostname, key
from bench.gateway.deployment import Deployment
from bench.gateway.processes import ROOT, stop_in_order
from bench.gateway.steps import VARIABLE
from bench.gateway.variants import add_options, chosen

_REPORTS = (".html", "_stats.csv", "_stats_history.csv", "_failures.csv")


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m bench.gateway.load", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add_options(parser)
    parser.add_argument("--runtimes", type=int, default=4, help="coordinators, each with its route (default 4)")
    parser.add_argument("--start", type=int, default=20, metavar="USERS", help="users of the first step (default 20)")
    parser.add_argument("--factor", type=float, default=1.5, help="times as many in every step (default 1.5)")
    parser.add_argument("--most", type=int, default=2000, metavar="USERS", help="users at most (default 2000)")
    parser.add_argument("--seconds", type=float, default=15.0, help="length of a step (default 15)")
    parser.add_argument("--think", type=float, default=0.5, help="seconds a user waits between queries (default 0.5)")
    parser.add_argument("--cores", default="0,1", help="cores for Locust, and for the rest (default 0,1)")
    parser.add_argument("--results", type=Path, metavar="FILE", help="write FILE.json, and the reports beside it")
    return parser.parse_args()


def locust(options: argparse.Namespace, port: int, directory: Path, pids: list[int]) -> dict[str, Any]:
    """Run it to its end; what the steps showed."""
    settings = {
        "file": str(directory / "steps.json"),
        "pids": pids,
        "start": options.start,
        "factor": options.factor,
        "most": options.most,
        "seconds": options.seconds,
    }
    here = Path(__file__).parent
    command = [
        *["taskset", "-c", options.cores.split(",")[0], sys.executable, "-m", "locust"],
        *[
            "-f",
            f"{here / 'locustfile.py'},{here / 'step_shape.py'}",
            "--headless",
            "--host",
            f"http://127.0.0.1:{port}",
        ],
        *["--runtimes", ",".join(key(number) for number in range(options.runtimes))],
        *["--hostnames", ",".join(hostname(number) for number in range(options.runtimes))],
        *["--think", str(options.think), "--csv", str(directory / "locust"), "--html", str(directory / "locust.html")],
        *["--only-summary", "--loglevel", "WARNING", "--exit-code-on-error", "0"],
    ]
    environment = {**os.environ, VARIABLE: json.dumps(settings), "PYTHONPATH": str(ROOT)}
    done = subprocess.run(command, cwd=directory, env=environment, check=False)
    steps = directory / "steps.json"
    if done.returncode or not steps.exists():
        raise SystemExit(f"Locust ended with {done.returncode} before its last step")
    found: dict[str, Any] = json.loads(steps.read_text())
    return found


def metrics_of(build: str, found: dict[str, Any]) -> dict[str, float]:
    """The best step that Locust had air in tells latencies; the best of all tells throughput."""
    steps = found["steps"]
    fastest = max(steps, key=lambda step: step["rps"])
    relaxed = [step for step in steps if step["locust_cores"] < 0.7] or steps[:1]
    calm = max(relaxed, key=lambda step: step["rps"])
    key = f"load.{build}"
    metrics = {
        f"{key}.users": fastest["users"],
        f"{key}.rps": round(fastest["rps"], 1),
        f"{key}.failures": sum(step["failures"] for step in steps),
        f"{key}.gateway_cpu_us": round(fastest["gateway_us_per_request"], 2),
        f"{key}.gateway_cores": round(fastest["gateway_cores"], 3),
        f"{key}.calm_users": calm["users"],
        f"{key}.calm_rps": round(calm["rps"], 1),
    }
    for name, latency in calm["latency_ms"].items():
        for share, value in latency.items():
            metrics[f"{key}.{name}.{share}_ms"] = value
    return metrics


def markdown(result: dict[str, Any], source: str) -> str:
    lines = [
        f"# The gateway under Trino-shaped users ({result['settings']['variant']})",
        "",
        f"Made from `{source}` by `python -m bench.gateway.load`; not edited by hand.",
        "",
        f"{machine.in_words(result['machine'])}.",
        "",
        f"The limit was {result['limit']}.",
        "Latencies are Locust's, in whole milliseconds; near its limit they are its own.",
        "",
        "| users | requests/s | failed | p50 ms | p95 ms | p99 ms | Locust cores | gateway cores | CPU us/request |",
        "| ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |",
    ]
    for step in result["steps"]:
        all_ = step["latency_ms"]["all"]
        lines.append(
            f"| {step['users']} | {step['rps']:.0f} | {step['failures']} | {all_.get('p50', 0):.0f} "
            f"| {all_.get('p95', 0):.0f} | {all_.get('p99', 0):.0f} | {step['locust_cores']:.2f} "
            f"| {step['gateway_cores']:.2f} | {step['gateway_us_per_request']:.0f} |"
        )
    users = result["metrics"][f"load.{result['settings']['variant']}.calm_users"]
    lines += ["", f"## By request, at {users} users", "", "| request | p50 ms | p95 ms | p99 ms |"]
    lines.append("| --- | ---: | ---: | ---: |")
    calm = next(step for step in result["steps"] if step["users"] == users)
    for name, latency in sorted(calm["latency_ms"].items()):
        lines.append(
            f"| {name} | " + " | ".join(f"{latency.get(share, 0):.0f}" for share in ("p50", "p95", "p99")) + " |"
        )
    return "\n".join(lines) + "\n"


def main() -> None:
    stop_in_order()
    options = arguments()
    build, about = chosen(options), machine.record()
    print(machine.in_words(about), flush=True)
    gateway_core = options.cores.split(",")[1]
    with tempfile.TemporaryDirectory(prefix="xtrinode-bench-") as name:
        directory = Path(name)
        # The coordinators run beside the gateway: on Locust's core they would hide that it is full.
        with Deployment(
            build, directory, options.runtimes, gateway_core=gateway_core, other_core=gateway_core
        ) as deployment:
            found = locust(options, deployment.port, directory, deployment.workers())
        settings = {
            key: getattr(options, key) for key in ("variant", "runtimes", "start", "factor", "seconds", "think")
        }
        metrics = metrics_of(build.name, found)
        result = {"bench": "gateway.load", "machine": about, "settings": settings, "metrics": metrics, **found}
        if options.results:
            options.results.parent.mkdir(parents=True, exist_ok=True)
            options.results.write_text(json.dumps(result, indent=1) + "\n")
            options.results.with_suffix(".md").write_text(markdown(result, options.results.name))
            for ending in _REPORTS:
                options.results.with_name(options.results.stem + ending).write_bytes(
                    (directory / f"locust{ending}").read_bytes()
                )
            print(f"wrote {options.results}, and .md{', '.join(('', *_REPORTS))} beside it")
    print(f"the limit was {found['limit']}", flush=True)
    print(json.dumps({"bench": "gateway.load", "machine": about, "metrics": metrics}))
    if metrics[f"load.{build.name}.failures"]:
        raise SystemExit(1)


if __name__ == "__main__":
    main()
