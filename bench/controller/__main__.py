"""How the controller scales: N runtimes applied at once to a real API server, and what it costs to bring them up.

    python -m bench.controller --runtimes 1000

Black box: a control plane (etcd, kube-apiserver, the stock controllers, kwok nodes) is started as a process, CRDs and
rules are installed with kubectl, the controller runs as a process under its own account. What it asked the API server
is read from the audit log, what it cost from /proc. Nothing of the project is imported.

When all runtimes are Ready and the steady state was watched, the controller is stopped and started again, so that it
lists and looks at everything that exists: the second half of the figures.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import platform
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from bench.controller.cluster import Cluster
from bench.controller.measure import calls_by_verb, cpu_seconds, rss_mib, writes

ROOT = Path(__file__).resolve().parents[2]
ACCOUNT = ("xtrinode-system", "xtrinode-controller")
GATEWAY_NAMESPACE = "xtrinode-gateway"
# A process is idle when it used less than this (seconds of CPU) in each of so many seconds.
_IDLE, _QUIET = 0.05, 5


_ABOUT = """How the controller scales: N runtimes applied at once to a real API server (etcd, kube-apiserver, the stock
controllers and kwok nodes, built by `make controlplane`), what it costs to bring them up, and what a controller that
is restarted with all of them existing costs. Prints a table and, last, one line of JSON.
1,000 runtimes take about 4 minutes on two cores, 5,000 about 25; the machine should do nothing else."""
_FIGURES = """figures (all of the controller's process):
  all_ready_s                 from the first create until every runtime is Ready
  controller_peak_rss_mib     highest resident memory until the end of the steady state
  controller_steady_rss_mib   resident memory at the end of the steady state
  restart_synced_s            from the start of the second process until its caches are full (readyz)
  restart_idle_s              until it has looked at everything and does nothing any more
  restart_peak_rss_mib        highest resident memory of the second process, the lists of its start included
  restart_rss_mib             resident memory of the second process in the end
  restart_writes              what it wrote, which should be nothing
bench/controller/README.md explains the others."""


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m bench.controller",
        description=_ABOUT,
        epilog=_FIGURES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--runtimes", type=int, default=100, metavar="N", help="100 unless told")
    parser.add_argument(
        "--namespaces", type=int, metavar="N", help="the runtimes are spread over these; 10, or one per 100 runtimes"
    )
    parser.add_argument("--steady", type=float, default=60.0, metavar="S", help="seconds of watching the steady state")
    parser.add_argument(
        "--limit", type=float, metavar="S", help="give up when not all are Ready by then; 600 and 0.5 per runtime"
    )
    parser.add_argument(
        "--results", type=Path, metavar="FILE", help="write the result to FILE; bench/results/controller-N.json"
    )
    parser.add_argument("--profile", type=Path, help="write a cProfile of the controller to this file")
    options = parser.parse_args()
    # The stock controllers search the namespace for every Service and every pod: what grows with its square is theirs.
    options.namespaces = options.namespaces or max(10, options.runtimes // 100)
    options.limit = options.limit or 600 + options.runtimes / 2
    options.results = options.results or ROOT / "bench" / "results" / f"controller-{options.runtimes}.json"
    if options.results.is_dir():  # said now, and not when the figures are there
        parser.error(f"--results {options.results} is a directory; name the file, ending in .json")
    options.results.parent.mkdir(parents=True, exist_ok=True)
    return options


@contextlib.contextmanager
def control_plane() -> Iterator[dict[str, Any]]:
    """A running control plane: where it is, as it says itself. It ends when its standard input does."""
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.support.control_plane"], cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert process.stdin is not None and process.stdout is not None
    try:
        line = process.stdout.readline()
        if not line:
            raise SystemExit("the control plane did not start: `make controlplane` builds its binaries")
        yield json.loads(line)
    finally:
        process.stdin.close()
        process.wait(60)


@dataclass(frozen=True)
class Controller:
    """A running controller process. `synced` is what it took (seconds) until its caches were full."""

    pid: int
    log: Path
    began: float
    synced: float
    address: str

    def idles(self, runtimes: int, limit: float) -> float:
        """Until it leads, has looked at every runtime, and then used next to no CPU for some seconds; when (monotonic)
        that began."""
        deadline = time.monotonic() + limit
        while self.looks() < runtimes:
            self._must(deadline, "has not looked at every runtime")
            time.sleep(1)
        rests_since, before = time.monotonic(), cpu_seconds(self.pid)
        while time.monotonic() < rests_since + _QUIET:
            self._must(deadline, "is still busy")
            time.sleep(1)
            now = cpu_seconds(self.pid)
            if now - before >= _IDLE:
                rests_since = time.monotonic()
            before = now
        return rests_since

    def _must(self, deadline: float, what: str) -> None:
        if time.monotonic() > deadline:
            raise SystemExit(f"the controller {what}:\n{self.log.read_text(errors='replace')}")

    def looks(self) -> int:
        """How many reconciles of runtimes there were."""
        lines = self.page().splitlines()
        counted = [
            line for line in lines if line.startswith('controller_runtime_reconcile_total{controller="xtrinode"')
        ]
        return round(sum(float(line.rpartition(" ")[2]) for line in counted))

    def page(self) -> str:
        """Its metrics page. In production somebody asks for it, so the memory figures include that."""
        with urllib.request.urlopen(f"{self.address}/metrics", timeout=60) as answer:
            return str(answer.read().decode())

    def complaints(self) -> list[str]:
        return [line for line in self.log.read_text(errors="replace").splitlines() if line]


@contextlib.contextmanager
def controller(kubeconfig: Path, log: Path, limit: float, profile: Path | None = None) -> Iterator[Controller]:
    """The controller under its own account, once it is ready."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    measured = ["-m", "cProfile", "-o", str(profile), "-m", "controller"] if profile else ["-m", "controller"]
    command = [sys.executable, *measured, "--kubeconfig", str(kubeconfig), "--log-level", "warning"]
    began = time.monotonic()
    with log.open("wb") as out:
        process = subprocess.Popen(
            [*command, "--gateway-namespace", GATEWAY_NAMESPACE, "--management-address", f"127.0.0.1:{port}"],
            cwd=ROOT,
            stdout=out,
            stderr=out,
            stdin=subprocess.DEVNULL,
        )
    address = f"http://127.0.0.1:{port}"
    try:
        while True:
            try:
                with urllib.request.urlopen(f"{address}/readyz", timeout=2):
                    break
            except OSError:
                if process.poll() is not None or time.monotonic() > began + limit:
                    raise SystemExit(f"the controller is not ready:\n{log.read_text()}") from None
                time.sleep(0.1)
        yield Controller(process.pid, log, began, time.monotonic() - began, address)
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(60)


def install(cluster: Cluster, directory: Path) -> Path:
    """CRDs, namespaces, the controller's account with the rules that ship; returns its kubeconfig."""
    namespace, account = ACCOUNT
    cluster.kubectl("apply", "--server-side", "-f", str(ROOT / "crds" / "manifests"))
    cluster.kubectl("wait", "--for=condition=Established", "--timeout=60s", "crd", "--all")
    cluster.kubectl("create", "namespace", namespace)
    cluster.kubectl("create", "namespace", GATEWAY_NAMESPACE)
    cluster.kubectl("create", "serviceaccount", account, "-n", namespace)
    cluster.kubectl("apply", "-f", str(ROOT / "controller" / "rbac.yaml"))
    who = f"--serviceaccount={namespace}:{account}"
    cluster.kubectl("create", "clusterrolebinding", account, f"--clusterrole={account}", who)
    cluster.kubectl("create", "rolebinding", account, f"--role={account}", who, "-n", namespace)
    token = cluster.kubectl("create", "token", account, "-n", namespace, "--duration=24h").strip()
    config = yaml.safe_load(cluster.kubeconfig.read_text())
    config["users"] = [{"name": "admin", "user": {"token": token}}]
    path = directory / "controller.kubeconfig"
    path.touch(0o600)
    path.write_text(yaml.safe_dump(config))
    return path


def runtime(number: int, namespace: str) -> dict[str, Any]:
    # Never suspended: what is measured is their coming up, and that nothing moves afterwards.
    return {
        "apiVersion": "analytics.xtrinode.io/v1",
        "kind": "XTrinode",
        "metadata": {"name": f"bench-{number}", "namespace": namespace},
        "spec": {"size": "xs", "minWorkers": 1, "maxWorkers": 2, "autoSuspendAfter": "0s"},
    }


def machine() -> dict[str, Any]:
    """What a figure depends on besides the code."""

    def git(*arguments: str) -> str:
        done = subprocess.run(["git", *arguments], cwd=ROOT, capture_output=True, text=True, check=False)
        return done.stdout.strip()

    # A plus: what was measured is not what was committed.
    changed = "+" if git("status", "--porcelain", "controller", "crds") else ""
    return {
        "python": platform.python_version(),
        "kernel": platform.release(),
        "cores": os.cpu_count(),
        "load_before": round(os.getloadavg()[0], 2),
        "commit": git("rev-parse", "--short", "HEAD") + changed,
    }


def run(options: argparse.Namespace, directory: Path) -> dict[str, Any]:
    about = machine()
    with control_plane() as plane:
        cluster = Cluster(Path(plane["kubeconfig"]))
        about["kubernetes"] = cluster.version()
        account = install(cluster, directory)
        namespaces = [f"bench-{number}" for number in range(options.namespaces)]
        for namespace in namespaces:
            cluster.kubectl("create", "namespace", namespace)
        audit = Path(plane["audit_log"])
        with controller(account, directory / "first.log", options.limit, options.profile) as first:
            pid = first.pid
            idle_cpu = cpu_seconds(pid)
            before = {name: cpu_seconds(one) for name, one in plane["pids"].items()}
            offset = audit.stat().st_size
            began = time.monotonic()
            wanted = [runtime(n, namespaces[n % len(namespaces)]) for n in range(options.runtimes)]
            cluster.create_all(wanted)
            created = time.monotonic() - began
            half, ready = cluster.until_ready(options.runtimes, began, options.limit)
            cpu = cpu_seconds(pid) - idle_cpu
            others = {name: round(cpu_seconds(one) - before[name], 1) for name, one in plane["pids"].items()}
            calls = calls_by_verb(audit, offset)
            # The last endpoints and events settle before the steady state is looked at.
            time.sleep(15)
            first.idles(options.runtimes, options.limit)
            offset = audit.stat().st_size
            steady_cpu = cpu_seconds(pid)
            time.sleep(options.steady)
            moving = writes(audit, offset)
            steady_cpu = cpu_seconds(pid) - steady_cpu
            page = len(first.page())
            peak, steady_rss = rss_mib(pid)
        offset = audit.stat().st_size
        with controller(account, directory / "second.log", options.limit) as second:
            idle_after = second.idles(options.runtimes, options.limit) - second.began
            restart_cpu = cpu_seconds(second.pid)
            second.page()
            restart_peak, restart_rss = rss_mib(second.pid)
            rewritten = writes(audit, offset)
        complaints = first.complaints() + second.complaints()
    about["load_after"] = round(os.getloadavg()[0], 2)
    metrics = {
        "created_s": round(created, 1),
        "half_ready_s": round(half, 1),
        "all_ready_s": round(ready, 1),
        "controller_cpu_s": round(cpu, 1),
        "controller_cpu_ms_per_runtime": round(1000 * cpu / options.runtimes, 1),
        "controller_peak_rss_mib": round(peak, 1),
        "controller_steady_rss_mib": round(steady_rss, 1),
        "calls_per_runtime": round(sum(calls.values()) / options.runtimes, 2),
        "steady_writes_per_min": round(60 * sum(moving.values()) / options.steady, 2),
        "steady_cpu_percent": round(100 * steady_cpu / options.steady, 2),
        "metrics_page_mib": round(page / 2**20, 2),
        "restart_synced_s": round(second.synced, 1),
        "restart_idle_s": round(idle_after, 1),
        "restart_cpu_s": round(restart_cpu, 1),
        "restart_peak_rss_mib": round(restart_peak, 1),
        "restart_rss_mib": round(restart_rss, 1),
        "restart_writes": sum(rewritten.values()),
    }
    return {
        "bench": "controller",
        "runtimes": options.runtimes,
        "namespaces": options.namespaces,
        "machine": about,
        "metrics": metrics,
        "calls": calls,
        "steady_writes": moving,
        "restart_writes": rewritten,
        "steady_seconds": options.steady,
        "excluded": "renewals of the leader Lease",
        "cpu_s_of_others": others,
        "warnings": complaints[:20],
    }


def table(result: dict[str, Any]) -> str:
    rows = [(name.replace("_", " "), f"{value:g}") for name, value in result["metrics"].items()]
    rows += [(f"calls: {name}", str(count)) for name, count in result["calls"].items()]
    rows += [(f"steady state: {name}", str(count)) for name, count in result["steady_writes"].items()]
    rows += [(f"after the restart: {name}", str(count)) for name, count in result["restart_writes"].items()]
    width = max(len(name) for name, _ in rows)
    return "\n".join(f"{name:<{width}}  {value:>10}" for name, value in rows)


def main() -> None:
    options = arguments()
    with tempfile.TemporaryDirectory(prefix="xtrinode-bench-") as name:
        result = run(options, Path(name))
    print(table(result))
    options.results.write_text(json.dumps(result, indent=2) + "\n")
    print(json.dumps(result))


if __name__ == "__main__":
    main()
