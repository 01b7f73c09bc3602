"""The HTTP application: every resource behind the checks that come before all of them.

Built by the server. The order of the checks is the real server's: forwarding headers, then the start
of the server, then the resource with its own authentication.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from aiohttp import web

from sandbox.trino import admin, metrics, node_resource, query_resource, statement_resource, ui
from sandbox.trino.authentication import Forbidden, Unauthorized
from sandbox.trino.external_uri import refused_header
from sandbox.trino.faults import Faults, apply
from sandbox.trino.request_context import SERVER, ServerContext, resource_error, text_error

_Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
MAX_BODY = 64 * 2**20
# A starting server takes statements, too: they fail in the protocol.
_ALWAYS_READY = ("/v1/info", "/v1/status", "/v1/statement", "/v1/announcement", "/ui", "/sandbox/")
_WORTH_COMPRESSING = 32  # bytes


def build(server: ServerContext, faults: Faults, *, admin_paths: bool) -> web.Application:
    app = web.Application(
        client_max_size=MAX_BODY, middlewares=[_inject_faults, _compressed, _refuse_forwarded, _errors]
    )
    app.on_response_prepare.append(_headers)
    app[SERVER] = server
    app[admin.FAULTS] = faults
    ui.prepare(app)
    for module in (node_resource, metrics, statement_resource, query_resource, ui):
        app.add_routes(module.routes())
    if admin_paths:
        app.add_routes(admin.routes())
    return app


@web.middleware
async def _inject_faults(request: web.Request, handler: _Handler) -> web.StreamResponse:
    if request.path.startswith("/sandbox/"):
        return await handler(request)
    fault = request.app[admin.FAULTS].choose(request.method, request.path)
    return await handler(request) if fault is None else await apply(fault, request, handler)


@web.middleware
async def _refuse_forwarded(request: web.Request, handler: _Handler) -> web.StreamResponse:
    if not request.app[SERVER].configuration.process_forwarded:
        name = refused_header(request.headers)
        if name is not None:
            return text_error(406, f"Server configuration does not allow processing of the {name} header")
    return await handler(request)


@web.middleware
async def _errors(request: web.Request, handler: _Handler) -> web.StreamResponse:
    if request.app[SERVER].starting and not request.path.startswith(_ALWAYS_READY):
        return text_error(500, "io.trino.spi.TrinoException: Trino server is still initializing")
    try:
        return await handler(request)
    except Unauthorized as error:
        response = text_error(401, error.message)
        for challenge in error.challenges:
            response.headers.add("WWW-Authenticate", challenge)
        return response
    except Forbidden as error:
        return resource_error(403, str(error))
    except web.HTTPMethodNotAllowed as error:
        return web.Response(status=405, headers={"Allow": error.headers["Allow"]})
    except web.HTTPClientError as error:
        if error.status == 401:
            raise
        said = error.text if error.text != f"{error.status}: {error.reason}" else None
        return resource_error(error.status, said)


@web.middleware
async def _compressed(request: web.Request, handler: _Handler) -> web.StreamResponse:
    """JSON of any resource goes out compressed to whom asked for it; result pages decide for themselves."""
    response = await handler(request)
    if isinstance(response, web.Response) and response.content_type == "application/json":
        response.headers["X-Content-Type-Options"] = "nosniff"
        body = response.body
        if (
            "Content-Encoding" not in response.headers
            and isinstance(body, bytes)
            and len(body) >= _WORTH_COMPRESSING
            and "gzip" in request.headers.get("Accept-Encoding", "").lower()
            and not request.path.startswith("/v1/statement")
        ):
            response.enable_compression(web.ContentCoding.gzip)
    return response


async def _headers(request: web.Request, response: web.StreamResponse) -> None:
    response.headers.pop("Server", None)
    if request.method == "GET":
        response.headers["Vary"] = "Accept-Encoding"
