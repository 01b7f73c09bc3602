"""The data path alone, before a fixed list of coordinators: `python -m gateway.proxy --coordinator team/one=HOST:PORT`.

For benchmarks and for looking at the proxy without a cluster. Real deployments run the gateway proper, which feeds
the same data path from the cluster's route table.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import os
import signal
import socket
import sys

import uvloop

from gateway import interpreter
from gateway.proxy.listening import listen
from gateway.proxy.server import ProxyServer
from gateway.proxy.settings import ProxySettings
from gateway.routing.model import Backend, BackendState, Route, RouteTable, Service
from gateway.routing.router import Router


def arguments(argv: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m gateway.proxy", description=__doc__)
    parser.add_argument("--address", default="127.0.0.1:0", help="HOST:PORT to listen on")
    parser.add_argument(
        "--coordinator",
        action="append",
        required=True,
        metavar="NS/NAME[=ID]@IP:PORT",
        help="a runtime, optionally its coordinator id, and its address; the first is the default route",
    )
    return parser.parse_args(argv)


def router_for(coordinators: list[str]) -> Router:
    """A router in which every coordinator is a route of its own, selected by `namespace/name`."""
    router = Router()
    routes = []
    ids: dict[str, bytes] = {}
    addresses: dict[Service, tuple[str, int]] = {}
    for number, text in enumerate(coordinators):
        who, _, where = text.partition("@")
        key, _, coordinator_id = who.partition("=")
        namespace, _, name = key.partition("/")
        ip, _, port = where.rpartition(":")
        service = Service(f"{name}.{namespace}", int(port))
        addresses[service] = (ip, int(port))
        ids[key] = coordinator_id.encode()
        backend = Backend(namespace, name, service, BackendState.RUNNING)
        hosts = (f"{name}.example.com".encode(),)
        routes.append(Route(key, key, (backend,), hosts, (key.encode(),), default=number == 0))
    router.load(RouteTable.of(tuple(routes)))
    for service, address in addresses.items():
        router.set_addresses(service, [address])
    for target in router.targets():
        if ids[target.key]:
            router.identified(target, ids[target.key])
    return router


async def serve(address: str, coordinators: list[str]) -> None:
    settings = ProxySettings(express=os.environ.get("XTRINODE_EXPRESS", "1") != "0")
    proxy = ProxyServer(router_for(coordinators), settings)
    host, _, port = address.rpartition(":")
    loop = asyncio.get_running_loop()
    listener = await listen(proxy, host, int(port), reuse_port=True)
    bound: socket.socket = listener.sockets[0]
    sys.stdout.write("listening on {}:{}\n".format(*bound.getsockname()[:2]))
    sys.stdout.flush()
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    interpreter.set_aside()
    while not stop.is_set():
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(stop.wait(), 1.0)
        proxy.sweep(proxy.clock())
    listener.close()
    proxy.drain()
    with contextlib.suppress(TimeoutError):
        await asyncio.wait_for(proxy.drained.wait(), 5.0)
    proxy.close()


def main(argv: list[str] | None = None) -> None:
    options = arguments(argv)
    interpreter.begin()
    uvloop.run(serve(options.address, options.coordinator))


if __name__ == "__main__":
    main()
