"""One worker process of the gateway: the list of its parts, started top to bottom and stopped bottom to top."""

from __future__ import annotations

import asyncio
import datetime
import logging
import socket
import ssl
import time
from contextlib import AsyncExitStack

from aiohttp import web

from crds.client import KubeClient, KubeError
from crds.process.listener import port_taken
from crds.process.management import Management
from crds.process.settings import split_address
from gateway.addresses import AddressBook
from gateway.config import Settings
from gateway.http1.limits import Limits
from gateway.last_good import LastGood
from gateway.metrics import GatewayMetrics
from gateway.probes import Probes
from gateway.proxy.server import ProxyServer
from gateway.proxy.settings import ProxySettings
from gateway.route_watch import RouteWatch
from gateway.routing.router import Router
from gateway.status import status_document

_LOG = logging.getLogger("xtrinode-gateway")
_SWEEP_SECONDS = 1.0
_BACKLOG = 4096


class CannotServe(Exception):
    """The gateway cannot start; the message says why and what to do."""


async def serve(settings: Settings, stop: asyncio.Event) -> int:
    """Serve until `stop`; returns the exit code."""
    clock = time.monotonic
    async with AsyncExitStack() as stack:
        client = await _connect(settings, stack)
        router = Router()
        probes = await stack.enter_async_context(
            Probes(router, interval=settings.probe_interval, timeout=settings.probe_timeout, clock=clock)
        )
        last_good = LastGood(settings.state_dir)
        addresses = AddressBook(router, client, cluster_domain=settings.cluster_domain, changed=probes.follow)
        routes = RouteWatch(
            router, client, addresses, last_good, namespace=settings.namespace, clock=clock, loaded=probes.follow
        )
        routes.start_from_disk()
        proxy = ProxyServer(router, _proxy_settings(settings), probes.find_owner, clock)
        metrics = GatewayMetrics(proxy.counters, router, routes.status, clock)

        def not_ready() -> str | None:
            if stop.is_set():
                return "draining"
            return None if routes.status.loads else "no routes loaded yet"

        async def status(request: web.Request) -> web.Response:
            generated_at = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
            document = status_document(router, routes.status, clock(), generated_at)
            return web.json_response(document, headers={"Cache-Control": "no-store"})

        management = Management(
            settings.management_address,
            not_ready=not_ready,
            page=metrics.page,
            routes=[web.get("/ui/admin/api/gateway/status", status)],
        )
        await stack.enter_async_context(management)
        background = [
            asyncio.create_task(routes.run(), name="routes"),
            asyncio.create_task(addresses.run(), name="addresses"),
            asyncio.create_task(_sweep(proxy, router), name="sweep"),
        ]
        stack.push_async_callback(_cancel, background)
        listener = await _listen(settings, proxy)
        stack.callback(proxy.close)
        _LOG.info("serving SQL clients on %s, management on port %d", settings.address, management.port)
        ended = await _until(stop, background)
        listener.close()
        proxy.drain()
        try:
            await asyncio.wait_for(proxy.drained.wait(), settings.drain_timeout)
        except TimeoutError:
            _LOG.warning("cutting %d connections that did not end in time", len(proxy.clients))
        routes.keep()
        return ended


async def _connect(settings: Settings, stack: AsyncExitStack) -> KubeClient | None:
    """The Kubernetes client; None when there is no way to a cluster but there are routes on disk."""
    try:
        return await stack.enter_async_context(
            await KubeClient.connect(settings.kubeconfig, settings.context, user_agent="xtrinode-gateway")
        )
    except KubeError as error:
        if LastGood(settings.state_dir).read() is None:
            raise
        _LOG.warning("no way to the Kubernetes API (%s); routing by the last good routes on disk", error)
        return None


def _proxy_settings(settings: Settings) -> ProxySettings:
    return ProxySettings(
        limits=Limits(head=settings.max_head_size),
        trusted_proxies=settings.trusted_proxies,
        head_timeout=settings.header_timeout,
        idle_timeout=settings.idle_timeout,
        connect_timeout=settings.upstream_connect_timeout,
        response_timeout=settings.upstream_response_timeout,
        upstream_idle_timeout=settings.upstream_idle_timeout,
    )


async def _listen(settings: Settings, proxy: ProxyServer) -> asyncio.Server:
    host, port = split_address(settings.address)
    try:
        return await asyncio.get_running_loop().create_server(
            proxy.protocol_factory,
            host,
            port,
            family=socket.AF_INET6 if ":" in host else socket.AF_INET,
            reuse_port=settings.workers > 1,
            backlog=_BACKLOG,
            ssl=_tls(settings),
        )
    except OSError as error:
        raise port_taken(settings.address, error, "--address") from error


def _tls(settings: Settings) -> ssl.SSLContext | None:
    if settings.tls_cert is None:
        return None
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_alpn_protocols(["http/1.1"])
    try:
        context.load_cert_chain(settings.tls_cert, settings.tls_key)
    except (OSError, ssl.SSLError) as error:
        raise CannotServe(
            f"cannot use the certificate {settings.tls_cert} with the key {settings.tls_key or 'in it'}: {error}; "
            "set --tls-cert and --tls-key to PEM files that belong together"
        ) from error
    return context


async def _sweep(proxy: ProxyServer, router: Router) -> None:
    while True:
        await asyncio.sleep(_SWEEP_SECONDS)
        now = proxy.clock()
        proxy.sweep(now)
        router.sweep(now)


async def _until(stop: asyncio.Event, background: list[asyncio.Task[None]]) -> int:
    """Wait for `stop`. A background task that ends is a bug: better to be restarted than to route blindly."""
    stopping = asyncio.create_task(stop.wait())
    done, _ = await asyncio.wait([stopping, *background], return_when=asyncio.FIRST_COMPLETED)
    if stopping in done:
        return 0
    stopping.cancel()
    for task in done:
        _LOG.error("%s ended unexpectedly", task.get_name(), exc_info=task.exception())
    return 1


async def _cancel(tasks: list[asyncio.Task[None]]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
