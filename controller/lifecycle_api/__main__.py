"""`xtrinode-api`: wires the lifecycle server to the Kubernetes API."""

from __future__ import annotations

import asyncio
import logging
import secrets
import socket
import sys
import time

from controller.lifecycle_api.access import Access
from controller.lifecycle_api.config import PROGRAM, Settings
from controller.lifecycle_api.server import LifecycleServer, Metrics
from crds.client import KubeClient, KubeError
from crds.process.listener import PortTaken
from crds.process.main import run_program
from crds.process.management import Management

_LOG = logging.getLogger("xtrinode-api")


def main() -> None:
    """Entry point of the console script."""
    sys.exit(run_program(Settings, PROGRAM, serve, (KubeError, PortTaken)))


async def serve(settings: Settings, stop: asyncio.Event) -> int:
    """Serve until `stop`; returns the exit code."""
    holder = settings.identity or f"{socket.gethostname()}-{secrets.token_hex(3)}"
    async with await KubeClient.connect(settings.kubeconfig, settings.context, user_agent="xtrinode-api") as client:
        metrics = Metrics()
        server = LifecycleServer(
            settings.address,
            client,
            Access(client, time.monotonic),
            metrics,
            namespace=settings.namespace,
            holder=holder,
            lease=settings.lease,
        )

        def not_ready() -> str | None:
            return "stopping" if stop.is_set() else None

        async with server, Management(settings.management_address, not_ready=not_ready, page=metrics.page) as port:
            _LOG.info("serving on %s, management on port %d", settings.address, port.port)
            await stop.wait()
    return 0


if __name__ == "__main__":
    main()
