"""What a node says of itself, and the announcements that make a cluster of nodes.

`/v1/info`, `/v1/info/state`, `/v1/status` and, on a coordinator, `/v1/announcement`.
"""

from __future__ import annotations

import os
from typing import Any

import orjson
from aiohttp import web

from sandbox.trino.dialect_version import VERSION
from sandbox.trino.internal_authentication import verify
from sandbox.trino.node_state import NodeState, RefusedTransition
from sandbox.trino.nodes import Node
from sandbox.trino.request_context import SERVER, json_response, resource_error, text_error
from sandbox.trino.units import format_duration

INTERNAL_HEADER = "X-Trino-Internal-Bearer"


def routes() -> list[web.RouteDef]:
    return [
        web.get("/v1/info", info),
        web.get("/v1/info/coordinator", info_coordinator),
        web.get("/v1/info/state", state),
        web.put("/v1/info/state", change_state),
        web.get("/v1/status", status),
        web.put("/v1/announcement/{node_id}", announce),
        web.delete("/v1/announcement/{node_id}", withdraw),
    ]


async def info(request: web.Request) -> web.StreamResponse:
    server = request.app[SERVER]
    document: dict[str, Any] = {
        "nodeId": server.node_id,
        "state": server.states.current.value,
        "nodeVersion": {"version": VERSION},
        "environment": server.configuration.environment,
        "coordinator": server.configuration.coordinator,
    }
    if server.dispatcher is not None:
        document["coordinatorId"] = server.dispatcher.ids.coordinator_id
    return json_response({**document, "starting": server.starting, "uptime": format_duration(server.uptime)})


async def info_coordinator(request: web.Request) -> web.StreamResponse:
    """For load balancers that look for the coordinator."""
    return web.Response() if request.app[SERVER].configuration.coordinator else resource_error(404)


async def state(request: web.Request) -> web.StreamResponse:
    return json_response(request.app[SERVER].states.current.value)


async def change_state(request: web.Request) -> web.StreamResponse:
    server = request.app[SERVER]
    server.authentication.require_system_write(server.user_of(request))
    try:
        wanted = NodeState(orjson.loads(await request.read()))
    except (ValueError, TypeError):
        return resource_error(400, 'Invalid node state; the body is a JSON string such as "SHUTTING_DOWN"')
    try:
        server.states.request(wanted)
    except RefusedTransition as error:
        return resource_error(400, str(error))
    return web.Response(status=200)


async def status(request: web.Request) -> web.StreamResponse:
    server = request.app[SERVER]
    heap = server.configuration.heap
    load = os.getloadavg()[0] / (os.cpu_count() or 1)
    return json_response(
        {
            "nodeId": server.node_id,
            "nodeVersion": {"version": VERSION},
            "environment": server.configuration.environment,
            "coordinator": server.configuration.coordinator,
            "uptime": format_duration(server.uptime),
            "externalAddress": server.address,
            "internalAddress": server.address,
            "memoryInfo": {"availableProcessors": os.cpu_count() or 1, "pool": {"maxBytes": heap}},
            "processors": os.cpu_count() or 1,
            "processCpuLoad": min(load, 1.0),
            "systemCpuLoad": min(load, 1.0),
            "heapUsed": 0,
            "heapAvailable": heap,
            "nonHeapUsed": 0,
        }
    )


async def announce(request: web.Request) -> web.StreamResponse:
    server = request.app[SERVER]
    inventory = server.require_inventory()
    node_id = request.match_info["node_id"]
    if not verify(request.headers.get(INTERNAL_HEADER), server.configuration.shared_secret):
        return text_error(401, "Internal authentication failed: the shared secret differs")
    try:
        document = orjson.loads(await request.read())
        properties = document["services"][0]["properties"]
        node = Node(
            node_id,
            str(properties["http"]),
            str(properties["node_version"]),
            str(properties.get("coordinator", "false")) == "true",
            NodeState(properties.get("state", "ACTIVE")),
            server.clock(),
        )
        environment = document["environment"]
    except (ValueError, KeyError, IndexError, TypeError):
        return resource_error(400, "Malformed announcement")
    if environment != server.configuration.environment:
        return resource_error(400, f"Environment '{environment}' is not '{server.configuration.environment}'")
    inventory.announced(node)
    return web.Response(status=202)


async def withdraw(request: web.Request) -> web.StreamResponse:
    server = request.app[SERVER]
    if not verify(request.headers.get(INTERNAL_HEADER), server.configuration.shared_secret):
        return text_error(401, "Internal authentication failed: the shared secret differs")
    server.require_inventory().withdrawn(request.match_info["node_id"])
    return web.Response(status=204)
