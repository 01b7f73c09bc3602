"""The Kubernetes API as far as the gateway asks: `python -m bench.gateway.cluster --port N --runtimes 3 ...`.

Lists and watches of the routes ConfigMaps and of EndpointSlices; any write is accepted and forgotten. Route number n
is `team/rNNNN`, also reached as `rNNNN.example.com`; its coordinator is number n of `bench.gateway.coordinator`. Routes
are changed from outside by POST /bench/routes?count=N, which every watch hears of at once, as from the real API server.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
from functools import lru_cache
from typing import Any

import uvloop
from aiohttp import web

from bench.gateway.coordinator import address

NAMESPACE = "xtrinode-gateway"
_SHARD_ROUTES = 1000
Object = dict[str, Any]


def key(number: int) -> str:
    """The selector of a runtime."""
    return f"team/r{number:04d}"


def hostname(number: int) -> str:
    return f"r{number:04d}.example.com"


def route(number: int, port: int) -> Object:
    """As the controller writes it."""
    return {
        "name": key(number),
        "routingGroup": key(number),
        "header": key(number),
        "hostname": hostname(number),
        "default": number == 0,
        "backends": [
            {
                "name": f"r{number:04d}",
                "namespace": "team",
                "coordinatorURL": f"http://r{number:04d}.team.svc.cluster.local:{port}",
                "state": "RUNNING",
                "active": True,
                "capacityUnits": 1,
            }
        ],
    }


def endpoint_slice(number: int, port: int) -> Object:
    return {
        "apiVersion": "discovery.k8s.io/v1",
        "kind": "EndpointSlice",
        "metadata": {
            "name": f"r{number:04d}-abcde",
            "namespace": "team",
            "uid": f"slice-{number}",
            "resourceVersion": "1",
            "labels": {"kubernetes.io/service-name": f"r{number:04d}"},
        },
        "addressType": "IPv4",
        "ports": [{"name": "http", "port": port, "protocol": "TCP"}],
        "endpoints": [{"addresses": [address(number)], "conditions": {"ready": True}}],
    }


@lru_cache(maxsize=8)  # changed to and fro, and making thousands of them takes longer than what is measured
def texts(count: int, port: int) -> tuple[str, ...]:
    """The routes of the first `count` runtimes, a thousand in a text."""
    lines = [json.dumps(route(number, port)) for number in range(count)]
    starts = range(0, max(count, 1), _SHARD_ROUTES)
    return tuple('{"routes": [\n' + ",\n".join(lines[start : start + _SHARD_ROUTES]) + "\n]}\n" for start in starts)


def shards(count: int, port: int, version: int) -> list[Object]:
    """The routes ConfigMaps of the first `count` runtimes."""
    return [
        {
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": {
                "name": "trino-gateway-routes" + (f"-{index}" if index else ""),
                "namespace": NAMESPACE,
                "uid": f"routes-{index}",
                "resourceVersion": str(version),
                "labels": {"xtrinode.io/routes": "true"},
            },
            "data": {"routes.yaml": text},
        }
        for index, text in enumerate(texts(count, port))
    ]


class Cluster:
    """What is published now, and who watches it."""

    def __init__(self, runtimes: int, port: int) -> None:
        self._port = port
        self._version = 1
        self._slices = [endpoint_slice(number, port) for number in range(runtimes)]
        self._routes = shards(runtimes, port, 1)
        self._watches: set[asyncio.Queue[bytes]] = set()

    async def answer(self, request: web.Request) -> web.StreamResponse:
        kind = request.path.rpartition("/")[2]
        if request.method != "GET":
            body = await request.json() if request.can_read_body else {}
            return web.json_response(body)
        items = {"configmaps": self._routes, "endpointslices": self._slices}.get(kind)
        if items is None:
            status = {"kind": "Status", "apiVersion": "v1", "status": "Failure", "reason": "NotFound", "code": 404}
            return web.json_response({**status, "message": f"{request.path} is not here"}, status=404)
        if request.query.get("watch") in {"1", "true"}:
            return await self._watch(request, kind == "configmaps")
        return web.json_response(
            {"kind": "List", "apiVersion": "v1", "metadata": {"resourceVersion": str(self._version)}, "items": items}
        )

    async def _watch(self, request: web.Request, routes: bool) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": "application/json"})
        await response.prepare(request)
        events: asyncio.Queue[bytes] = asyncio.Queue()
        if routes:
            self._watches.add(events)
        try:
            while True:
                with contextlib.suppress(TimeoutError):
                    await response.write(await asyncio.wait_for(events.get(), 20))
                    continue
                metadata = {"resourceVersion": str(self._version)}
                bookmark = {"type": "BOOKMARK", "object": {"kind": "Bookmark", "metadata": metadata}}
                await response.write(json.dumps(bookmark).encode() + b"\n")
        except (ConnectionError, asyncio.CancelledError):
            return response
        finally:
            self._watches.discard(events)

    async def change(self, request: web.Request) -> web.Response:
        """Publish the routes of `count` runtimes; those beyond the slices that exist have nobody behind them."""
        self._version += 1
        before = {routes["metadata"]["name"]: routes for routes in self._routes}
        self._routes = []
        for routes in shards(int(request.query["count"]), self._port, self._version):
            old = before.pop(routes["metadata"]["name"], None)
            if old is not None and old["data"] == routes["data"]:
                self._routes.append(old)  # as the controller, which writes only what differs
                continue
            self._routes.append(routes)
            self._tell("MODIFIED" if old is not None else "ADDED", routes)
        for gone in before.values():
            gone["metadata"]["resourceVersion"] = str(self._version)
            self._tell("DELETED", gone)
        return web.json_response({"version": self._version, "watches": len(self._watches)})

    def _tell(self, kind: str, routes: Object) -> None:
        line = json.dumps({"type": kind, "object": routes}).encode() + b"\n"
        for events in self._watches:
            events.put_nowait(line)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.gateway.cluster", description=__doc__)
    parser.add_argument("--port", type=int, required=True, help="where to listen, on 127.0.0.1")
    parser.add_argument("--runtimes", type=int, default=1, help="how many routes and coordinators there are")
    parser.add_argument("--coordinator-port", type=int, required=True, help="of all coordinators")
    options = parser.parse_args()
    cluster = Cluster(options.runtimes, options.coordinator_port)
    app = web.Application(client_max_size=1 << 24)
    app.router.add_post("/bench/routes", cluster.change)
    app.router.add_route("*", "/{path:.*}", cluster.answer)
    web.run_app(
        app,
        host="127.0.0.1",
        port=options.port,
        loop=uvloop.new_event_loop(),
        print=None,
        access_log=None,
        shutdown_timeout=0.5,
    )


if __name__ == "__main__":
    main()
