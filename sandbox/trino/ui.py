"""The web pages that clients link to: a login and one page per query; and the cluster's figures.

Not the real server's UI. It exists so that `infoUri` leads somewhere and so that tools which read
`/ui/api/stats` find what they look for.
"""

from __future__ import annotations

import base64
import html
import secrets

import orjson
from aiohttp import web

from sandbox.trino.authentication import Unauthorized
from sandbox.trino.documents import query_details, query_summary
from sandbox.trino.request_context import SERVER, ServerContext, json_response

_COOKIE = "Trino-UI-Token"
_SESSIONS: web.AppKey[dict[str, str]] = web.AppKey("ui_sessions", dict)
_PAGE = """<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{title}</title></head>
<body><h1>{title}</h1>{body}<p>Sandbox stand-in for a Trino coordinator.</p></body></html>"""
_FORM = """<form method="post" action="/ui/login"><label>User <input name="username" required></label>
<label>Password <input name="password" type="password"></label><button>Log in</button></form>"""


def routes() -> list[web.RouteDef]:
    return [
        web.get("/", to_ui),
        web.get("/ui", to_ui),
        web.get("/ui/", front),
        web.get("/ui/login.html", login_page),
        web.get("/ui/login", login_page),
        web.post("/ui/login", login),
        web.get("/ui/logout", logout),
        web.get("/ui/query.html", query_page),
        web.get("/ui/api/stats", stats),
        web.get("/ui/api/query", queries),
        web.get("/ui/api/query/{query_id}", query),
    ]


def prepare(app: web.Application) -> None:
    app[_SESSIONS] = {}


def _html(title: str, body: str) -> web.Response:
    return web.Response(text=_PAGE.format(title=html.escape(title), body=body), content_type="text/html")


def _server(request: web.Request) -> ServerContext:
    server = request.app[SERVER]
    server.require_dispatcher()
    if not server.configuration.web_ui_enabled:
        raise web.HTTPNotFound
    return server


def _user(request: web.Request) -> str | None:
    return request.app[_SESSIONS].get(request.cookies.get(_COOKIE, ""))


async def to_ui(request: web.Request) -> web.StreamResponse:
    raise web.HTTPSeeOther(f"{_server(request).uri_of(request).base}/ui/")


async def front(request: web.Request) -> web.StreamResponse:
    server = _server(request)
    if _user(request) is None:
        raise web.HTTPSeeOther(f"{server.uri_of(request).base}/ui/login.html")
    items = "".join(
        f'<li><a href="query.html?{html.escape(item.id)}">{html.escape(item.id)}</a> {item.state}</li>'
        for item in server.require_dispatcher().queries.values()
        if item.submitted
    )
    return _html("Cluster overview", f"<ul>{items}</ul>")


async def login_page(request: web.Request) -> web.StreamResponse:
    _server(request)
    return _html("Log in", _FORM)


async def login(request: web.Request) -> web.StreamResponse:
    server = _server(request)
    form = await request.post()
    user, password = str(form.get("username", "")), str(form.get("password", ""))
    base = server.uri_of(request)

    credentials = base64.b64encode(f"{user}:{password}".encode()).decode()
    try:
        server.authentication.user_of({"Authorization": f"Basic {credentials}"}, secure=base.secure)
    except Unauthorized as error:
        raise web.HTTPSeeOther(f"{base.base}/ui/login.html") from error
    identifier = secrets.token_urlsafe(16)
    request.app[_SESSIONS][identifier] = user
    response = web.Response(status=303, headers={"Location": f"{base.base}/ui/"})
    response.set_cookie(_COOKIE, identifier, httponly=True, path="/ui", secure=base.secure)
    return response


async def logout(request: web.Request) -> web.StreamResponse:
    request.app[_SESSIONS].pop(request.cookies.get(_COOKIE, ""), None)
    target = f"{_server(request).uri_of(request).base}/ui/login.html"
    response = web.Response(status=303, headers={"Location": target})
    response.del_cookie(_COOKIE, path="/ui")
    return response


async def query_page(request: web.Request) -> web.StreamResponse:
    """The id is the whole query string, as in the real server's links."""
    server = _server(request)
    if _user(request) is None:
        raise web.HTTPSeeOther(f"{server.uri_of(request).base}/ui/login.html?{request.path_qs}")
    found = server.require_dispatcher().get(request.query_string)
    if found is None or not found.submitted:
        raise web.HTTPNotFound(text="Query not found")
    text = orjson.dumps(query_details(found, server.uri_of(request).base), option=orjson.OPT_INDENT_2).decode()
    return _html(f"Query {found.id}", f"<p>{found.state}</p><pre>{html.escape(text)}</pre>")


def _require_login(request: web.Request) -> ServerContext:
    server = _server(request)
    if _user(request) is None:
        raise web.HTTPUnauthorized(text="Unauthorized", headers={"WWW-Authenticate": "Trino-Form-Login"})
    return server


async def stats(request: web.Request) -> web.StreamResponse:
    server = _require_login(request)
    dispatcher, inventory = server.require_dispatcher(), server.require_inventory()
    return json_response(
        {
            "runningQueries": dispatcher.running(),
            "blockedQueries": 0,
            "queuedQueries": dispatcher.queued(),
            "activeCoordinators": 1,
            "activeWorkers": inventory.active_workers(),
            "runningDrivers": dispatcher.running(),
            "totalAvailableProcessors": 0,
            "reservedMemory": 0,
            "totalInputRows": 0,
            "totalInputBytes": 0,
            "totalCpuTimeSecs": int(sum(item.cpu_seconds for item in dispatcher.queries.values())),
        }
    )


async def queries(request: web.Request) -> web.StreamResponse:
    server = _require_login(request)
    base = server.uri_of(request).base
    items = [query_summary(item, base) for item in server.require_dispatcher().queries.values() if item.submitted]
    return json_response(items)


async def query(request: web.Request) -> web.StreamResponse:
    server = _require_login(request)
    found = server.require_dispatcher().get(request.match_info["query_id"])
    if found is None or not found.submitted:
        raise web.HTTPGone()
    return json_response(query_details(found, server.uri_of(request).base))
