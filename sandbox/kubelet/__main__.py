"""`python -m sandbox.kubelet`: flags, logging, signals. The wiring of the workload side of the sandbox.

Every flag has an environment twin (`--data-dir` is XTRINODE_DATA_DIR). SIGTERM and SIGINT stop all containers
within a few seconds and end with exit code 0.
"""

from __future__ import annotations

import argparse
import asyncio
import logging
import os
import signal
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from crds.client.errors import ConfigError
from crds.client.retry import RetryPolicy
from crds.client.transport import KubeClient
from crds.v1.quantity import cpu_millis, memory_bytes
from sandbox.kubelet.java import java_for
from sandbox.kubelet.kubelet import DataDirectoryBusy, Kubelet
from sandbox.kubelet.settings import Settings

log = logging.getLogger("sandbox.kubelet")


def parser(environment: Mapping[str, str]) -> argparse.ArgumentParser:
    made = argparse.ArgumentParser(
        prog="python -m sandbox.kubelet",
        description="Run the pods of a sandbox API server as local processes of this machine.",
    )

    def flag(name: str, default: str | None, help_: str, *, required: bool = False) -> None:
        twin = "XTRINODE_" + name.upper().replace("-", "_")
        value = environment.get(twin, default)
        made.add_argument(f"--{name}", default=value, required=required and value is None, help=f"{help_} [{twin}]")

    flag("kubeconfig", None, "how to reach the API server", required=True)
    flag("data-dir", None, "where pods keep their files; one kubelet per directory", required=True)
    flag("trino-home", None, "run a real Trino server from this installation instead of the stand-in")
    cache = Path(environment.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "xtrinode" / "sandbox"
    flag("trino-cache", str(cache), "where stand-ins keep the tables that they generate")
    flag("node-name", "sandbox", "name of the Node object")
    flag("allocatable-cpu", "256", "CPU that pods may request in all, whatever this machine has")
    flag("allocatable-memory", "1Ti", "memory that pods may request in all, whatever this machine has")
    flag("speedup", "1", "divide the delays and periods of probes by this number")
    flag("crash-backoff", "10", "seconds before the second restart of a crashing container; doubles")
    flag("crash-backoff-limit", "300", "longest pause between restarts, in seconds")
    flag("log-level", "info", "debug, info, warning or error")
    made.add_argument(
        "--no-eager-probes",
        action="store_true",
        help="probe on the manifest's schedule only, not at once and often until the first success",
    )
    made.add_argument(
        "--placeholder-image",
        action="append",
        default=[],
        metavar="PATTERN",
        help="one more image (without registry and tag) to stand in for with a sleeping placeholder",
    )
    return made


def settings_of(options: argparse.Namespace, environment: Mapping[str, str]) -> Settings:
    """Raises ValueError with a sentence when a value makes no sense."""
    speedup = float(options.speedup)
    if speedup <= 0:
        raise ValueError("--speedup must be greater than 0")
    home = Path(options.trino_home).resolve() if options.trino_home else None
    if home is not None and not (home / "bin" / "launcher").exists():
        raise ValueError(f"--trino-home {home} holds no bin/launcher; give the directory of a Trino server")
    return Settings(
        data_dir=Path(options.data_dir).resolve(),
        node_name=options.node_name,
        trino_home=home,
        java_home=java_for(home, environment) if home is not None else None,
        trino_cache=Path(options.trino_cache).resolve(),
        allocatable_cpu=cpu_millis(options.allocatable_cpu),
        allocatable_memory=memory_bytes(options.allocatable_memory),
        speedup=speedup,
        eager_probes=not options.no_eager_probes,
        crash_backoff=float(options.crash_backoff),
        crash_backoff_limit=float(options.crash_backoff_limit),
        placeholder_images=tuple(options.placeholder_image),
    )


async def serve(kubeconfig: str, settings: Settings) -> int:
    """Run until SIGTERM or SIGINT, or until a part of the kubelet fails; returns the exit code."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    # The kubelet has back-off of its own; a call that fails should come back soon.
    retry = RetryPolicy(attempts=2, base=0.1, cap=0.5)
    client = await KubeClient.connect(kubeconfig, user_agent="xtrinode-sandbox-kubelet", retry=retry)
    async with client:
        kubelet = Kubelet(client, settings)
        stopping = asyncio.create_task(stop.wait())
        failing = asyncio.create_task(kubelet.failed.wait())
        starting = asyncio.create_task(kubelet.start())  # as long as the API server does not answer
        try:
            await asyncio.wait({starting, stopping}, return_when=asyncio.FIRST_COMPLETED)
            if starting.done():
                await starting
                log.info("node %s is ready; logs are served on port %d", settings.node_name, kubelet.log_port)
            await asyncio.wait({stopping, failing}, return_when=asyncio.FIRST_COMPLETED)
            log.info("stopping")
            return 0 if stop.is_set() else 1
        finally:
            for task in (starting, stopping, failing):
                task.cancel()
            await asyncio.gather(starting, stopping, failing, return_exceptions=True)
            await kubelet.stop()


def main(argv: Sequence[str] | None = None) -> int:
    options = parser(os.environ).parse_args(argv)
    logging.basicConfig(
        level=options.log_level.upper(),
        stream=sys.stderr,
        format="%(asctime)s %(levelname)s %(name)s: %(message)s",
    )
    try:
        return asyncio.run(serve(options.kubeconfig, settings_of(options, os.environ)))
    except (ConfigError, DataDirectoryBusy, ValueError, OSError) as error:
        print(f"sandbox kubelet: {error}", file=sys.stderr)  # noqa: T201 - for the person who started it
        return 1


if __name__ == "__main__":
    sys.exit(main())
