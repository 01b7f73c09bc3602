"""`xtrinode-controller`: settings, client, manager, exit code."""

from __future__ import annotations

import asyncio
import logging
import sys

from controller.config import PROGRAM, Settings
from controller.manager import LostLeadership, Manager
from controller.metrics import Metrics
from crds.client.errors import KubeError
from crds.client.transport import KubeClient
from crds.process.listener import PortTaken
from crds.process.main import run_program

log = logging.getLogger("xtrinode-controller")


async def serve(settings: Settings, stop: asyncio.Event) -> int:
    metrics = Metrics()

    def on_call(verb: str, resource: str, status: int, seconds: float) -> None:
        metrics.requests.labels(str(status), verb, resource).inc()

    client = await KubeClient.connect(
        settings.kubeconfig, settings.context, user_agent="xtrinode-controller", on_call=on_call
    )
    async with client:
        log.info("API server: %s", client.server)
        await Manager(settings, client, metrics).run(stop)
    log.info("stopped")
    return 0


def main() -> None:
    sys.exit(run_program(Settings, PROGRAM, serve, (KubeError, PortTaken, LostLeadership)))


if __name__ == "__main__":
    main()
