"""The admin page: what the gateway knows, for people. Three static files that read the status document.

Served on the management port only. It changes nothing, has no inline code, and asks nothing of other hosts: the
content security policy says so.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import orjson
from aiohttp import web

STATUS_PATH = "/ui/admin/api/gateway/status"
_FILES = {
    "": ("index.html", "text/html"),
    "admin.css": ("admin.css", "text/css"),
    "admin.js": ("admin.js", "text/javascript"),
}
_HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' data:; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-cache",
}


def admin_routes() -> list[web.AbstractRouteDef]:
    """The page and the ways people type its address."""
    folder = Path(__file__).with_name("static")
    routes: list[web.AbstractRouteDef] = [web.get("/", _to_page), web.get("/ui/admin", _to_page)]
    for name, (file, kind) in _FILES.items():
        routes.append(web.get(f"/ui/admin/{name}", _serving((folder / file).read_bytes(), kind)))
    return routes


def status_response(document: dict[str, Any]) -> web.Response:
    """The status document as the page and scripts get it."""
    headers = {"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff"}
    return web.Response(body=orjson.dumps(document), content_type="application/json", headers=headers)


def _serving(content: bytes, kind: str) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
    async def serve(request: web.Request) -> web.StreamResponse:
        return web.Response(body=content, content_type=kind, charset="utf-8", headers=_HEADERS)

    return serve


async def _to_page(request: web.Request) -> web.StreamResponse:
    raise web.HTTPFound("/ui/admin/")
