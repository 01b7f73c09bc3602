"""`xtrinode-webhook`: wires certificate, registration and server, and keeps them in step."""

from __future__ import annotations

import asyncio
import datetime
import logging
import sys
import time

from crds.client import ApiError, KubeClient, KubeError
from crds.client.resources import resource_for
from crds.process.listener import PortTaken
from crds.process.main import run_program
from crds.process.management import Management
from webhook.authorizer import Authorizer
from webhook.certificates import Certificates
from webhook.config import PROGRAM, Settings
from webhook.registration import Endpoint, configurations
from webhook.runtimes import Runtimes
from webhook.server import Metrics, WebhookServer

_LOG = logging.getLogger("xtrinode-webhook")
FIELD_MANAGER = "xtrinode-webhook"
_RETRY_SECONDS = 2.0


def main() -> None:
    """Entry point of the console script."""
    sys.exit(run_program(Settings, PROGRAM, serve, (KubeError, PortTaken)))


async def serve(settings: Settings, stop: asyncio.Event) -> int:
    """Serve until `stop`; returns the exit code."""
    endpoint = Endpoint(settings.url, settings.service, settings.namespace, settings.service_port)
    async with await KubeClient.connect(settings.kubeconfig, settings.context, user_agent="xtrinode-webhook") as client:
        certificates = Certificates(client, namespace=settings.namespace, name=settings.secret, names=endpoint.names)
        await certificates.refresh(_now())
        registered = False

        def certificate_ends() -> float:
            return certificates.not_after.timestamp() if certificates.not_after else 0.0

        metrics = Metrics(certificate_ends)
        authorizer = Authorizer(client, clock=time.monotonic)

        runtimes = Runtimes(client)
        following = asyncio.create_task(runtimes.run())

        def not_ready() -> str | None:
            if not runtimes.synced:
                return "the runtimes are not listed yet"
            return None if registered else "not registered with the API server yet"

        server = WebhookServer(settings.address, certificates.context, authorizer, metrics, runtimes.all)
        management = Management(settings.management_address, not_ready=not_ready, page=metrics.page)
        async with server, management:
            _LOG.info("serving on %s, management on port %d", settings.address, management.port)
            while not stop.is_set():
                pause = settings.certificate_check
                try:
                    await certificates.refresh(_now())
                    await register(client, endpoint, certificates.trusted, settings.timeout_seconds)
                    registered = True
                except ApiError as error:
                    _LOG.warning("cannot keep certificate and registration in step: %s; trying again", error)
                    pause = _RETRY_SECONDS
                try:
                    await asyncio.wait_for(stop.wait(), pause)
                except TimeoutError:
                    continue
        following.cancel()
        await asyncio.gather(following, return_exceptions=True)
    return 0


async def register(client: KubeClient, endpoint: Endpoint, trusted: bytes, timeout_seconds: int) -> None:
    """Make the API server call us."""
    for configuration in configurations(endpoint, trusted, timeout_seconds):
        resource = resource_for(configuration["apiVersion"], configuration["kind"])
        await client.apply(resource, configuration, manager=FIELD_MANAGER, force=True)


def _now() -> datetime.datetime:
    return datetime.datetime.now(datetime.UTC)


if __name__ == "__main__":
    main()
