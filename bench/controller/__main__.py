"""How the controller scales: N runtimes applied at once to a real API server, and what it costs to bring them up.

    python -m bench.controller --runtimes 1000

Black box: a control plane (etcd, kube-apiserver, the stock controllers, kwok nodes) is started as a process, CRDs and
rules are installed with kubectl, the controller runs as a process under its own account. What it asked the API server
is read from the audit log, what it cost from /proc. Nothing of the project is imported.
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
from pathlib import Path
from typing import Any

import yaml

from bench.controller.cluster import Cluster
from bench.controller.measure import calls_by_verb, cpu_seconds, peak_rss_mib, writes

ROOT = Path(__file__).resolve().parents[2]
ACCOUNT = ("xtrinode-system", "xtrinode-controller")
GATEWAY_NAMESPACE = "xtrinode-gateway"


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench.controller", description=__doc__.split("\n\n")[0])
    parser.add_argument("--runtimes", type=int, default=100, metavar="N")
    parser.add_argument("--namespaces", type=int, default=10, metavar="N", help="the runtimes are spread over these")
    parser.add_argument("--steady", type=float, default=60.0, metavar="S", help="seconds of watching the steady state")
    parser.add_argument(
        "--limit", type=float, default=900.0, metavar="S", help="give up when not all are Ready by then"
    )
    parser.add_argument("--results", type=Path, default=ROOT / "bench" / "results", help="where the result is written")
    parser.add_argument("--profile", type=Path, help="write a cProfile of the controller to this file")
    return parser.parse_args()


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


@contextlib.contextmanager
def controller(kubeconfig: Path, directory: Path, profile: Path | None) -> Iterator[tuple[int, Path]]:
    """The controller under its own account; its process id and its log."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    log = directory / "controller.log"
    measured = ["-m", "cProfile", "-o", str(profile), "-m", "controller"] if profile else ["-m", "controller"]
    command = [sys.executable, *measured, "--kubeconfig", str(kubeconfig), "--log-level", "warning"]
    with log.open("wb") as out:
        process = subprocess.Popen(
            [*command, "--gateway-namespace", GATEWAY_NAMESPACE, "--management-address", f"127.0.0.1:{port}"],
            cwd=ROOT,
            stdout=out,
            stderr=out,
            stdin=subprocess.DEVNULL,
        )
    try:
        deadline = time.monotonic() + 60
        while True:
            try:
                with urllib.request.urlopen(f"http://127.0.0.1:{port}/readyz", timeout=2):
                    break
            except OSError:
                if process.poll() is not None or time.monotonic() > deadline:
                    raise SystemExit(f"the controller is not ready:\n{log.read_text()}") from None
                time.sleep(0.1)
        yield process.pid, log
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
        with controller(account, directory, options.profile) as (pid, log):
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
            offset = audit.stat().st_size
            steady_cpu = cpu_seconds(pid)
            time.sleep(options.steady)
            moving = writes(audit, offset)
            steady_cpu = cpu_seconds(pid) - steady_cpu
            peak = peak_rss_mib(pid)
            complaints = [line for line in log.read_text(errors="replace").splitlines() if line]
    about["load_after"] = round(os.getloadavg()[0], 2)
    metrics = {
        "created_s": round(created, 1),
        "half_ready_s": round(half, 1),
        "all_ready_s": round(ready, 1),
        "controller_cpu_s": round(cpu, 1),
        "controller_cpu_ms_per_runtime": round(1000 * cpu / options.runtimes, 1),
        "controller_peak_rss_mib": round(peak, 1),
        "calls_per_runtime": round(sum(calls.values()) / options.runtimes, 2),
        "steady_writes_per_min": round(60 * sum(moving.values()) / options.steady, 2),
        "steady_cpu_percent": round(100 * steady_cpu / options.steady, 2),
    }
    return {
        "bench": "controller",
        "runtimes": options.runtimes,
        "machine": about,
        "metrics": metrics,
        "calls": calls,
        "steady_writes": moving,
        "steady_seconds": options.steady,
        "excluded": "renewals of the leader Lease",
        "cpu_s_of_others": others,
        "warnings": complaints[:20],
    }


def table(result: dict[str, Any]) -> str:
    rows = [(name.replace("_", " "), f"{value:g}") for name, value in result["metrics"].items()]
    rows += [(f"calls: {name}", str(count)) for name, count in result["calls"].items()]
    rows += [(f"steady state: {name}", str(count)) for name, count in result["steady_writes"].items()]
    width = max(len(name) for name, _ in rows)
    return "\n".join(f"{name:<{width}}  {value:>10}" for name, value in rows)


def main() -> None:
    options = arguments()
    with tempfile.TemporaryDirectory(prefix="xtrinode-bench-") as name:
        result = run(options, Path(name))
    options.results.mkdir(parents=True, exist_ok=True)
    path = options.results / f"controller-{options.runtimes}.json"
    path.write_text(json.dumps(result, indent=2) + "\n")
    print(table(result))
    print(json.dumps(result))


if __name__ == "__main__":
    main()
