"""`/v1/query`: the list of queries, one query, and its end by the hand of somebody else."""

from __future__ import annotations

from aiohttp import web

from sandbox.trino.documents import query_details, query_summary
from sandbox.trino.errors import QueryFailure
from sandbox.trino.query import STATES, Query
from sandbox.trino.request_context import SERVER, json_response, resource_error


def routes() -> list[web.RouteDef]:
    return [
        web.get("/v1/query", list_queries),
        web.get("/v1/query/{query_id}", get_query),
        web.delete("/v1/query/{query_id}", cancel_query),
        web.put("/v1/query/{query_id}/killed", kill_query),
        web.put("/v1/query/{query_id}/preempted", kill_query),
    ]


async def list_queries(request: web.Request) -> web.StreamResponse:
    server = request.app[SERVER]
    dispatcher = server.require_dispatcher()
    server.user_of(request)
    wanted = request.query.get("state")
    if wanted is not None and wanted.upper() not in STATES:
        return resource_error(400, f"Unknown state: {wanted}")
    base = server.uri_of(request).base
    return json_response(
        [
            query_summary(query, base)
            for query in dispatcher.queries.values()
            if query.submitted and (wanted is None or query.state == wanted.upper())
        ]
    )


def _known(request: web.Request) -> Query:
    server = request.app[SERVER]
    dispatcher = server.require_dispatcher()
    server.user_of(request)
    query = dispatcher.get(request.match_info["query_id"])
    if query is None or not query.submitted:
        raise web.HTTPGone()
    return query


async def get_query(request: web.Request) -> web.StreamResponse:
    query = _known(request)
    return json_response(query_details(query, request.app[SERVER].uri_of(request).base))


async def cancel_query(request: web.Request) -> web.StreamResponse:
    """Idempotent: a query that is not known is as good as cancelled."""
    server = request.app[SERVER]
    dispatcher = server.require_dispatcher()
    server.user_of(request)
    query = dispatcher.get(request.match_info["query_id"])
    if query is not None:
        query.cancel()
    return web.Response(status=204)


async def kill_query(request: web.Request) -> web.StreamResponse:
    query = _known(request)
    name = "ADMINISTRATIVELY_KILLED"
    message = (await request.read()).decode("utf-8", "replace")
    text = f"Message: {message}" if message else "No message provided."
    if not query.fail(QueryFailure(name, f"Query killed. {text}")):
        return web.Response(status=409)
    return web.Response(status=202)
