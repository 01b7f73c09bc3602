"""What every handler needs: the server's parts, the user of a request and its outer address.

Set up once by the application and read by the resources through one key.
"""

from __future__ import annotations

import time
from http import HTTPStatus
from typing import Any, Protocol

import orjson
from aiohttp import web

from sandbox.trino.authentication import Authentication
from sandbox.trino.configuration import ServerConfiguration
from sandbox.trino.dispatcher import Dispatcher
from sandbox.trino.external_uri import ExternalUri, external_uri
from sandbox.trino.node_state import NodeStates
from sandbox.trino.nodes import NodeInventory


class Clock(Protocol):
    def __call__(self) -> float: ...


class ServerContext:
    """One running server; `dispatcher` and `inventory` are None on a worker."""

    def __init__(
        self,
        configuration: ServerConfiguration,
        *,
        address: str,
        port: int,
        node_id: str,
        states: NodeStates,
        clock: Clock = time.monotonic,
    ) -> None:
        self.configuration = configuration
        self.address = address
        self.port = port
        self.node_id = node_id
        self.states = states
        self.authentication = Authentication(configuration)
        self.started = clock()
        self.clock = clock
        self.starting = True
        self.dispatcher: Dispatcher | None = None
        self.inventory: NodeInventory | None = None

    def user_of(self, request: web.Request) -> str:
        return self.authentication.user_of(request.headers, secure=self.uri_of(request).secure)

    def uri_of(self, request: web.Request) -> ExternalUri:
        return external_uri(
            request.headers,
            scheme="http",
            fallback_authority=f"{self.address}:{self.port}",
            process_forwarded=self.configuration.process_forwarded,
        )

    def require_dispatcher(self) -> Dispatcher:
        """The coordinator's queries; a worker has no such resource."""
        if self.dispatcher is None:
            raise web.HTTPNotFound
        return self.dispatcher

    def require_inventory(self) -> NodeInventory:
        if self.inventory is None:
            raise web.HTTPNotFound
        return self.inventory

    @property
    def uptime(self) -> float:
        return self.clock() - self.started


SERVER: web.AppKey[ServerContext] = web.AppKey("server", ServerContext)


def json_bytes(body: bytes, status: int = 200) -> web.Response:
    return web.Response(body=body, status=status, content_type="application/json")


def json_response(value: Any, status: int = 200) -> web.Response:
    return json_bytes(orjson.dumps(value), status)


def text_error(status: int, message: str) -> web.Response:
    """What a filter answers before any resource is reached: the message alone."""
    return web.Response(status=status, text=message)


def resource_error(status: int, message: str | None = None) -> web.Response:
    """What a resource's refusal looks like; without a message of its own it says the status twice."""
    line = f"{status} {HTTPStatus(status).phrase}"
    body = f"Error {line}: {message or f'HTTP {line}'}"
    return web.Response(status=status, body=body.encode(), headers={"Content-Type": "text/plain"})
