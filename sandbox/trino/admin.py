"""`/sandbox/...`: change the stand-in's faults while it runs; only there with --admin.

For tests. The real server has no such paths, and without the flag they answer 404 like any other.
"""

from __future__ import annotations

import orjson
from aiohttp import web

from sandbox.trino.faults import Faults, InvalidFault, fault_from_document
from sandbox.trino.request_context import SERVER, json_response, text_error

FAULTS: web.AppKey[Faults] = web.AppKey("faults", Faults)


def routes() -> list[web.RouteDef]:
    return [
        web.get("/sandbox/faults", show),
        web.put("/sandbox/faults", replace),
        web.delete("/sandbox/faults", clear),
        web.post("/sandbox/restart", restart),
    ]


async def show(request: web.Request) -> web.StreamResponse:
    return json_response([rule.document() for rule in request.app[FAULTS].rules])


async def replace(request: web.Request) -> web.StreamResponse:
    try:
        documents = orjson.loads(await request.read())
        rules = [fault_from_document(document) for document in documents]
    except (ValueError, TypeError, InvalidFault) as error:
        return text_error(400, f"Not a list of faults: {error}")
    request.app[FAULTS].rules = rules
    return json_response([rule.document() for rule in rules])


async def clear(request: web.Request) -> web.StreamResponse:
    request.app[FAULTS].rules = []
    return web.Response(status=204)


async def restart(request: web.Request) -> web.StreamResponse:
    """As if the process had been replaced: another coordinator id, no query known."""
    dispatcher = request.app[SERVER].require_dispatcher()
    dispatcher.forget_everything()
    return json_response({"coordinatorId": dispatcher.ids.coordinator_id})
