"""The whole gateway, as it is deployed, in front of stand-in coordinators and with a stand-in of the Kubernetes API.

For the benchmarks that need more than the data path: load, memory, soak. Three processes besides the gateway's own.
"""

from __future__ import annotations

import json
import sys
import time
import urllib.error
import urllib.request
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType

from bench.gateway.processes import Process, children, free_ports
from bench.gateway.variants import Variant

_READY_SECONDS = 120


class Deployment:
    """`with Deployment(...) as it:` is ready to serve; `it.port` is where SQL clients connect."""

    def __init__(
        self,
        build: Variant,
        directory: Path,
        runtimes: int,
        *,
        gateway_core: str,
        other_core: str,
        workers: int = 1,
        coordinator_port: int | None = None,
    ) -> None:
        """With `coordinator_port` somebody else's coordinator answers, at the first runtime's address."""
        self._build = build
        self._directory = directory
        self._runtimes = runtimes
        self._cores = gateway_core, other_core
        self._workers = workers
        ports = free_ports(4)
        self._own_coordinators = coordinator_port is None
        self.coordinator_port = coordinator_port or ports[0]
        self._cluster_port, self.port, self.management_port = ports[1:]
        self._stack = ExitStack()

    def __enter__(self) -> Deployment:
        with ExitStack() as stack:
            gateway_core, other_core = self._cores
            numbers = ["--runtimes", str(self._runtimes), "--coordinator-port", str(self.coordinator_port)]
            if self._own_coordinators:
                command = ["--port", str(self.coordinator_port), "--count", str(self._runtimes)]
                stack.enter_context(
                    Process(
                        [sys.executable, "-m", "bench.gateway.coordinator", *command], other_core, self.coordinator_port
                    )
                )
            cluster = [sys.executable, "-m", "bench.gateway.cluster", "--port", str(self._cluster_port), *numbers]
            stack.enter_context(Process(cluster, other_core, self._cluster_port))
            self.gateway = stack.enter_context(
                Process(self._command(), gateway_core, self.management_port, self._build.environment, self._build.root)
            )
            self.wait_ready()
            self._build.check(self.workers()[0])
            self._stack = stack.pop_all()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._stack.close()

    def _command(self) -> list[str]:
        kubeconfig = self._directory / "kubeconfig.json"
        server = {"server": f"http://127.0.0.1:{self._cluster_port}"}
        context = {"cluster": "bench", "user": "bench", "namespace": "xtrinode-gateway"}
        kubeconfig.write_text(
            json.dumps(
                {
                    "apiVersion": "v1",
                    "kind": "Config",
                    "clusters": [{"name": "bench", "cluster": server}],
                    "users": [{"name": "bench", "user": {"token": "none"}}],
                    "contexts": [{"name": "bench", "context": context}],
                    "current-context": "bench",
                }
            )
        )
        addresses = ["--address", f"127.0.0.1:{self.port}", "--management-address", f"127.0.0.1:{self.management_port}"]
        return [
            *[sys.executable, "-m", "gateway", "--kubeconfig", str(kubeconfig), *addresses],
            *["--workers", str(self._workers), "--log-level", "warning"],
        ]

    def wait_ready(self) -> None:
        deadline = time.monotonic() + _READY_SECONDS
        while True:
            try:
                self.management("/readyz")
                return
            except (OSError, urllib.error.HTTPError) as error:
                if time.monotonic() > deadline or not self.gateway.alive:
                    raise SystemExit(f"the gateway is not ready: {error}\n{self.gateway.errors()}") from None
                time.sleep(0.1)

    def management(self, path: str) -> str:
        """What the management port says."""
        with urllib.request.urlopen(f"http://127.0.0.1:{self.management_port}{path}", timeout=30) as answer:
            return str(answer.read().decode())

    def metric(self, name: str) -> float:
        """The sum of a metric over all its labels."""
        return sum(
            float(line.rpartition(" ")[2])
            for line in self.management("/metrics").splitlines()
            if line.startswith((f"{name}{{", f"{name} "))
        )

    def publish(self, count: int) -> None:
        """Change the route table to that of `count` runtimes."""
        url = f"http://127.0.0.1:{self._cluster_port}/bench/routes?count={count}"
        with urllib.request.urlopen(urllib.request.Request(url, method="POST"), timeout=30) as answer:
            answer.read()

    def workers(self) -> list[int]:
        """Process ids of those who serve: with one worker the gateway itself, with several its children."""
        return [self.gateway.pid] if self._workers == 1 else children(self.gateway.pid)
