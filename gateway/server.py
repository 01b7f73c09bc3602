"""One process of the gateway: the list of its parts, started top to bottom and stopped bottom to top.

The process is the whole gateway, or one of several workers that share the address; a worker serves its management
endpoints to its supervisor instead of to the world.
"""

from __future__ import annotations

import asyncio
import contextlib
import datetime
import logging
import os
import signal
import time
from contextlib import AsyncExitStack
from typing import Any

from aiohttp import web

from crds.client import KubeClient, KubeError
from crds.process.listener import port_taken
from crds.process.management import Management
from crds.process.settings import split_address
from gateway.addresses import AddressBook
from gateway.admin_page import STATUS_PATH, admin_routes, status_response
from gateway.certificates import CannotServe, Certificate
from gateway.config import Settings
from gateway.http1.limits import Limits
from gateway.interpreter import set_aside
from gateway.last_good import LastGood
from gateway.metrics import GatewayMetrics
from gateway.probes import Probes
from gateway.proxy.listening import Listener, express_built, listen
from gateway.proxy.server import ProxyServer
from gateway.proxy.settings import ProxySettings
from gateway.route_watch import RouteWatch
from gateway.routing.router import Router
from gateway.siblings import Channel
from gateway.status import status_document
from gateway.worker import Worker

__all__ = ["CannotServe", "certificate_of", "serve"]

_LOG = logging.getLogger("xtrinode-gateway")
_SWEEP_SECONDS = 1.0
_CERTIFICATE_SECONDS = 30.0
_BACKLOG = 4096


async def serve(settings: Settings, stop: asyncio.Event, worker: Worker | None = None) -> int:
    """Serve until `stop`; returns the exit code."""
    clock = time.monotonic
    started = clock()
    async with AsyncExitStack() as stack:
        certificate = certificate_of(settings)
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
        if worker is not None:
            stack.enter_context(Channel(router, worker.directory, worker.index, worker.count, clock))
        proxy = ProxyServer(router, _proxy_settings(settings), probes.find_owner, clock)
        metrics = GatewayMetrics(proxy.counters, router, routes.status, clock)

        def not_ready() -> str | None:
            if stop.is_set():
                return "draining"
            if not routes.status.loads:
                return "no routes loaded yet"
            return None if addresses.settled else "coordinators are being looked up"

        async def page() -> bytearray:
            proxy.settle(clock())
            return await metrics.page()

        async def status(request: web.Request) -> web.Response:
            document = await status_document(router, routes.status, clock(), _now())
            document["workers"] = [
                {
                    "index": worker.index if worker is not None else 0,
                    "pid": os.getpid(),
                    "state": "ready" if not_ready() is None else "not ready",
                    "detail": not_ready() or "",
                    "ageSeconds": round(clock() - started, 1),
                    "restarts": 0,
                }
            ]
            return status_response(document)

        management = Management(
            settings.management_address,
            not_ready=not_ready,
            page=page,
            routes=[web.get(STATUS_PATH, status), *admin_routes()],
            path=worker.management_path if worker is not None else None,
        )
        await stack.enter_async_context(management)
        background = [
            asyncio.create_task(routes.run(), name="routes"),
            asyncio.create_task(addresses.run(), name="addresses"),
            asyncio.create_task(_sweep(proxy, routes), name="sweep"),
        ]
        stack.push_async_callback(_cancel, background)
        listener = await _listen(settings, proxy, certificate)
        stack.callback(proxy.close)
        if certificate is not None:
            background.append(asyncio.create_task(_follow_certificate(certificate), name="certificate"))
        _on_hangup(routes, certificate, stack)
        bound = listener.sockets[0].getsockname()
        where = f"{bound[0]}:{bound[1]}"
        if worker is None:
            how = "compiled" if settings.express and express_built() else "pure Python"
            _LOG.info("serving SQL clients on %s (%s), management on port %d", where, how, management.port)
        else:
            _LOG.info("worker %d serves SQL clients on %s", worker.index, where)
        ended = await _until(stop, background)
        if ended == 0 and settings.drain_delay:
            # Not ready any more, and still serving: load balancers need a moment to look elsewhere.
            await asyncio.sleep(settings.drain_delay)
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
        express=settings.express,
    )


def certificate_of(settings: Settings) -> Certificate | None:
    """What the address speaks TLS with; None when it does not. Raises CannotServe."""
    if settings.tls_cert is None:
        if settings.tls_key is not None:
            raise CannotServe("--tls-key needs --tls-cert; set both, or none to serve without TLS")
        return None
    return Certificate(settings.tls_cert, settings.tls_key)


async def _listen(settings: Settings, proxy: ProxyServer, certificate: Certificate | None) -> Listener:
    host, port = split_address(settings.address)
    try:
        return await listen(
            proxy,
            host,
            port,
            backlog=_BACKLOG,
            reuse_port=settings.workers > 1,
            tls=None if certificate is None else certificate.context,
        )
    except OSError as error:
        raise port_taken(settings.address, error, "--address") from error


def _on_hangup(routes: RouteWatch, certificate: Certificate | None, stack: AsyncExitStack) -> None:
    """On SIGHUP, load again what can be loaded again."""

    def reload() -> None:
        _LOG.info("SIGHUP: loading routes%s again", "" if certificate is None else " and certificate")
        routes.refresh()
        if certificate is not None:
            certificate.reload()

    loop = asyncio.get_running_loop()
    # Only a main thread's loop hears signals; elsewhere (a server within a test) there is nothing to hear.
    with contextlib.suppress(RuntimeError, ValueError):
        loop.add_signal_handler(signal.SIGHUP, reload)
        stack.callback(loop.remove_signal_handler, signal.SIGHUP)


async def _follow_certificate(certificate: Certificate) -> None:
    while True:
        await asyncio.sleep(_CERTIFICATE_SECONDS)
        certificate.reload_if_changed()


async def _sweep(proxy: ProxyServer, routes: RouteWatch) -> None:
    loads = 0
    while True:
        await asyncio.sleep(_SWEEP_SECONDS)
        now = proxy.clock()
        proxy.sweep(now)
        proxy.router.sweep(now)
        if loads != routes.status.loads:
            loads = routes.status.loads
            set_aside()


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


async def _cancel(tasks: list[asyncio.Task[Any]]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


def _now() -> str:
    return datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
