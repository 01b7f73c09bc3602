"""POST and polls of /v1/statement: the client protocol.

Handlers only: tokens, queries and documents have modules of their own. The POST needs a user; the
polls are public, because the slug in their address is the capability.
"""

from __future__ import annotations

import asyncio
import contextlib
from urllib.parse import quote_plus

from aiohttp import web

from sandbox.trino import documents
from sandbox.trino.dispatcher import Dispatcher
from sandbox.trino.query import Query
from sandbox.trino.query_ids import Context
from sandbox.trino.request_context import SERVER, ServerContext, json_bytes, resource_error
from sandbox.trino.session import InvalidSessionHeader, session_from_headers
from sandbox.trino.tokens import TokenGone, TokenUnknown
from sandbox.trino.units import parse_data_size, parse_duration

MAX_WAIT = 1.0
DEFAULT_TARGET = 16 * 2**20
MAX_TARGET = 128 * 2**20


def routes() -> list[web.RouteDef]:
    queued = "/v1/statement/queued/{query_id}/{slug}/{token}"
    executing = "/v1/statement/executing/{query_id}/{slug}/{token}"
    return [
        web.post("/v1/statement", post_statement),
        web.head("/v1/statement", check_user),
        web.get(queued, get_queued, allow_head=False),
        web.delete(queued, cancel_queued),
        web.get(executing, get_results, allow_head=False),
        web.head(executing, heartbeat),
        web.delete(executing, cancel_executing),
        web.delete("/v1/statement/executing/partialCancel/{query_id}/{stage}/{slug}/{token}", partial_cancel),
    ]


async def post_statement(request: web.Request) -> web.StreamResponse:
    server = request.app[SERVER]
    dispatcher = server.require_dispatcher()
    user = server.user_of(request)
    try:
        sql = (await request.read()).decode("utf-8")
    except UnicodeDecodeError:
        return resource_error(400, "SQL statement is not valid UTF-8")
    if not sql:
        return resource_error(400, "SQL statement is empty")
    try:
        session = session_from_headers(request.headers, user)
    except InvalidSessionHeader as error:
        return resource_error(400, str(error))
    query = dispatcher.register(sql, session)
    base = server.uri_of(request).base
    body = documents.queued_document(query, base, documents.queued_uri(query, base, 1), failed=False)
    return _page(request, server, body)


async def check_user(request: web.Request) -> web.StreamResponse:
    """Drivers ask this way whether their credentials are good."""
    server = request.app[SERVER]
    server.require_dispatcher()
    server.user_of(request)
    return web.Response(content_type="application/json")


async def get_queued(request: web.Request) -> web.StreamResponse:
    server = request.app[SERVER]
    query, token = _find(request, server.require_dispatcher(), Context.QUEUED)
    wait = _wait_of(request)
    query.beat()
    server.require_dispatcher().submit(query, starting=server.starting)
    if not query.dispatched.is_set():
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(query.dispatched.wait(), wait)
    try:
        query.queued_tokens.advance(token)
    except TokenGone:
        return resource_error(410, "Invalid token")
    base = server.uri_of(request).base
    failed = query.failure is not None
    next_uri: str | None = None
    if not failed:
        if query.dispatched.is_set():
            next_uri = documents.executing_uri(query, base, 0)
        else:
            next_uri = documents.queued_uri(query, base, token + 1)
    return _page(request, server, documents.queued_document(query, base, next_uri, failed=failed))


async def get_results(request: web.Request) -> web.StreamResponse:
    server = request.app[SERVER]
    query, token = _find(request, server.require_dispatcher(), Context.EXECUTING)
    wait = _wait_of(request)
    target = _target_of(request)
    query.beat()
    try:
        page = query.result_tokens.repeated(token)
        if page is None:
            await query.wait_for_change(wait)
            page = query.result_tokens.repeated(token)
        if page is None:
            page = _next_page(query, token, server.uri_of(request).base, target)
    except TokenGone:
        return resource_error(410)
    except TokenUnknown:
        return resource_error(404)
    assert isinstance(page, bytes)
    response = _page(request, server, page)
    _add_session_headers(response, query)
    return response


def _next_page(query: Query, token: int, base: str, target: int) -> bytes:
    """Take rows and decide whether there is more to come; no await in here, so pages cannot be lost."""
    chunks = query.results.take(target) if query.failure is None else []
    if query.results.empty:
        query.consumed()
    more = query.failure is None and (query.state != "FINISHED" or bool(chunks))
    next_uri = documents.executing_uri(query, base, token + 1) if more else None
    partial = None
    if more and query.state == "RUNNING":
        partial = documents.partial_cancel_uri(query, base, token + 1)
    page = documents.result_document(query, base, next_uri, partial, chunks)
    query.result_tokens.answered(token, page, more=more)
    query.beat()
    return page


async def heartbeat(request: web.Request) -> web.StreamResponse:
    query, _ = _find(request, request.app[SERVER].require_dispatcher(), Context.EXECUTING)
    query.beat()
    return web.Response(status=200)


async def cancel_queued(request: web.Request) -> web.StreamResponse:
    query, _ = _find(request, request.app[SERVER].require_dispatcher(), Context.QUEUED)
    query.cancel()
    return web.Response(status=204)


async def cancel_executing(request: web.Request) -> web.StreamResponse:
    query, _ = _find(request, request.app[SERVER].require_dispatcher(), Context.EXECUTING)
    query.cancel()
    return web.Response(status=204)


async def partial_cancel(request: web.Request) -> web.StreamResponse:
    query, _ = _find(request, request.app[SERVER].require_dispatcher(), Context.EXECUTING)
    if not request.match_info["stage"].isdigit():
        raise web.HTTPNotFound
    query.stop_early()
    return web.Response(status=204)


def _find(request: web.Request, dispatcher: Dispatcher, context: Context) -> tuple[Query, int]:
    """The query, if the address is one that this process made for it."""
    token = request.match_info["token"]
    query = dispatcher.get(request.match_info["query_id"])
    if (
        query is None
        or not token.isascii()
        or not token.isdigit()
        or not query.slug.is_valid(request.match_info["slug"], context, int(token))
    ):
        raise web.HTTPNotFound(text="Query not found")
    return query, int(token)


def _wait_of(request: web.Request) -> float:
    wanted = request.query.get("maxWait")
    if wanted is None:
        return MAX_WAIT
    try:
        return min(parse_duration(wanted), MAX_WAIT)
    except ValueError as error:
        raise web.HTTPNotFound(text=str(error)) from error


def _target_of(request: web.Request) -> int:
    wanted = request.query.get("targetResultSize")
    if wanted is None:
        return DEFAULT_TARGET
    try:
        return min(parse_data_size(wanted), MAX_TARGET)
    except ValueError as error:
        raise web.HTTPNotFound(text=str(error)) from error


def _page(request: web.Request, server: ServerContext, body: bytes) -> web.Response:
    response = json_bytes(body)
    if not server.configuration.compression_enabled:
        response.headers["Content-Encoding"] = "identity"
    elif "gzip" in request.headers.get("Accept-Encoding", "").lower():
        response.enable_compression(web.ContentCoding.gzip)
    return response


def _add_session_headers(response: web.Response, query: Query) -> None:
    changes = query.changes
    headers = response.headers
    if changes.catalog is not None:
        headers.add("X-Trino-Set-Catalog", changes.catalog)
    if changes.schema is not None:
        headers.add("X-Trino-Set-Schema", changes.schema)
    for name, value in changes.set_properties.items():
        headers.add("X-Trino-Set-Session", f"{name}={quote_plus(value)}")
    for name in changes.reset_properties:
        headers.add("X-Trino-Clear-Session", name)
    for name, sql in changes.added_prepared.items():
        headers.add("X-Trino-Added-Prepare", f"{quote_plus(name)}={quote_plus(sql)}")
    for name in changes.deallocated_prepared:
        headers.add("X-Trino-Deallocated-Prepare", quote_plus(name))
    if changes.started_transaction is not None:
        headers.add("X-Trino-Started-Transaction-Id", changes.started_transaction)
    if changes.clear_transaction:
        headers.add("X-Trino-Clear-Transaction-Id", "true")
