"""`xtrinode-gateway`: the entry point of the gateway's process, of its supervisor, and of each worker."""

from __future__ import annotations

import asyncio
import os
import signal
import sys

from crds.client import KubeError
from crds.process.listener import PortTaken
from crds.process.main import run_program
from gateway import interpreter
from gateway.certificates import CannotServe
from gateway.config import PROGRAM, Settings
from gateway.server import serve
from gateway.worker import end_with_supervisor, sign_log_lines, worker_of


async def run(settings: Settings, stop: asyncio.Event) -> int:
    worker = worker_of(os.environ)
    if worker is not None:
        sign_log_lines(worker)
        return await serve(settings, stop, worker)
    if settings.workers > 1:
        from gateway.supervisor import supervise  # what it takes is of no use to the workers

        return await supervise(settings, stop, sys.argv[1:])
    return await serve(settings, stop)


def main() -> None:
    """Entry point of the console script."""
    interpreter.begin()
    signal.signal(signal.SIGHUP, signal.SIG_IGN)  # until there is something to load again
    worker = worker_of(os.environ)
    if worker is not None:
        end_with_supervisor(worker)
    sys.exit(run_program(Settings, PROGRAM, run, (KubeError, PortTaken, CannotServe)))


if __name__ == "__main__":
    main()
