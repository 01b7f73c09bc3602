"""The HTTP server: requests to commands, commands to annotations under a Lease, and answers with codes.

Errors are JSON `{"error", "code", "details"?}`. A runtime that is already as asked answers 200; a write answers 202;
one that somebody else is making, or has made and the controller has not taken, answers 202 as well, with `gated`.
"""

from __future__ import annotations

import contextlib
import logging
import time
from collections.abc import Awaitable, Callable, Mapping
from datetime import UTC, datetime
from types import TracebackType
from typing import Any

from aiohttp import web
from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest

from controller.lifecycle_api.access import Access
from controller.lifecycle_api.requests import (
    RETRY_AFTER,
    BadRequest,
    Command,
    Operation,
    choose_candidate,
    decide,
    group_of,
    lease_name,
    read_command,
    read_key,
    read_pool_resume,
)
from crds.client import ApiError, Forbidden, Invalid, KubeClient, NotFound, release, try_acquire
from crds.client import BadRequest as RefusedRequest
from crds.client.resources import XTRINODES
from crds.process.listener import Listener

_LOG = logging.getLogger(__name__)
_PREFIX = "/api/v1"
_MAX_BODY = 64 << 10
_LEASE_LABELS = {"app.kubernetes.io/name": "xtrinode", "app.kubernetes.io/component": "lifecycle-api"}

Handler = Callable[[web.Request], Awaitable[web.Response]]


class Metrics:
    """Counters of this process."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.commands = Counter(
            "xtrinode_api_commands", "Commands by operation and result", ["operation", "result"], registry=self.registry
        )
        self.seconds = Histogram(
            "xtrinode_api_request_duration_seconds", "Time to answer", ["route", "code"], registry=self.registry
        )

    def page(self) -> bytes:
        return generate_latest(self.registry)


class LifecycleServer:
    """Serves while it is entered (`async with`)."""

    def __init__(
        self,
        address: str,
        client: KubeClient,
        access: Access,
        metrics: Metrics,
        *,
        namespace: str,
        holder: str,
        lease: float,
    ) -> None:
        self._client = client
        self._access = access
        self._metrics = metrics
        self._namespace = namespace
        self._holder = holder
        self._lease = lease
        app = web.Application(client_max_size=_MAX_BODY, middlewares=[self._guard])
        one = f"{_PREFIX}/runtimes/{{namespace}}/{{name}}"
        app.add_routes(
            [
                web.get(f"{_PREFIX}/runtimes", self._list),
                web.get(one, self._get),
                web.get(f"{one}/status", self._status),
                web.post(f"{one}/resume", self._command("resume")),
                web.post(f"{one}/suspend", self._command("suspend")),
                web.post(f"{_PREFIX}/resume", self._resume_pool),
            ]
        )
        self._listener = Listener(app, address, "--address", shutdown=5.0)

    async def __aenter__(self) -> LifecycleServer:
        await self._listener.__aenter__()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._listener.__aexit__(kind, error, trace)

    @web.middleware
    async def _guard(
        self, request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
    ) -> web.StreamResponse:
        """Turn every failure into an answer with a code, and count the answers."""
        resource = request.match_info.route.resource
        started = time.perf_counter()
        code = 500
        try:
            answer = await self._answered(request, handler)
            code = answer.status
            return answer
        except web.HTTPException as error:
            code = error.status
            raise
        finally:
            # By pattern: there are as many paths as there are callers who mistype.
            route = resource.canonical if resource is not None else "none"
            self._metrics.seconds.labels(route, str(code)).observe(time.perf_counter() - started)

    @staticmethod
    async def _answered(
        request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
    ) -> web.StreamResponse:
        try:
            return await handler(request)
        except BadRequest as error:
            return _error(400, error.code, str(error))
        except NotFound as error:
            return _error(404, "NOT_FOUND", error.message)
        except RefusedRequest as error:
            return _error(400, "INVALID_REQUEST", error.message)
        except (Forbidden, Invalid) as error:
            return _error(422, "REFUSED", error.message)
        except ApiError as error:
            _LOG.warning("%s %s: %s", request.method, request.path, error)
            return _error(503, "UNAVAILABLE", "the Kubernetes API did not answer; try again", retry_after=RETRY_AFTER)
        except web.HTTPRequestEntityTooLarge:
            return _error(413, "INVALID_REQUEST", f"the body may have {_MAX_BODY} bytes")
        except web.HTTPMethodNotAllowed as error:
            allowed = ", ".join(sorted(error.allowed_methods))
            return _error(405, "METHOD_NOT_ALLOWED", f"allowed here: {allowed}", headers={"Allow": allowed})
        except web.HTTPNotFound:
            return _error(404, "INVALID_PATH", f"there is nothing at {request.path}; see xtrinode-api --help")

    async def _require(self, request: web.Request, verb: str, subresource: str, namespace: str, name: str) -> None:
        caller = await self._access.caller(request.headers.get("Authorization"))
        if caller is None:
            raise web.HTTPUnauthorized(
                text='{"error": "send a Kubernetes token: Authorization: Bearer ...", "code": "UNAUTHORIZED"}',
                content_type="application/json",
                headers={"WWW-Authenticate": 'Bearer realm="xtrinode-api"'},
            )
        if not await self._access.may(caller, verb, subresource, namespace, name):
            what = f"xtrinodes/{subresource}" if subresource else "xtrinodes"
            raise web.HTTPForbidden(
                text=f'{{"error": "you need permission to {verb} {what}", "code": "FORBIDDEN"}}',
                content_type="application/json",
            )

    async def _list(self, request: web.Request) -> web.Response:
        namespace = request.query.get("namespace") or None
        await self._require(request, "list", "", namespace or "", "")
        found = await self._client.list_(XTRINODES, namespace, label_selector=request.query.get("labelSelector"))
        return web.json_response({"items": found.items})

    async def _get(self, request: web.Request) -> web.Response:
        return web.json_response(await self._runtime(request, "get", ""))

    async def _status(self, request: web.Request) -> web.Response:
        return web.json_response(status_of(await self._runtime(request, "get", "")))

    async def _runtime(self, request: web.Request, verb: str, subresource: str) -> dict[str, Any]:
        namespace, name = read_key(request.match_info["namespace"], request.match_info["name"])
        await self._require(request, verb, subresource, namespace, name)
        return await self._client.get(XTRINODES, name, namespace)

    def _command(self, operation: Operation) -> Handler:
        async def handle(request: web.Request) -> web.Response:
            command = read_command(operation, await request.read())
            return await self._run(command, await self._runtime(request, "update", operation))

        return handle

    async def _resume_pool(self, request: web.Request) -> web.Response:
        wanted = read_pool_resume(await request.read())
        if wanted.candidate is not None:
            namespace, name = wanted.candidate
            await self._require(request, "update", "resume", namespace, name)
            runtime: Mapping[str, Any] | None = await self._client.get(XTRINODES, name, namespace)
            if runtime is not None and wanted.routing_group and group_of(runtime) != wanted.routing_group:
                runtime = None
        else:
            await self._require(request, "update", "resume", "", "")
            runtime = choose_candidate(wanted.routing_group, (await self._client.list_(XTRINODES)).items)
        if runtime is None:
            return _error(404, "NO_CANDIDATE", f"no runtime to wake in routing group {wanted.routing_group!r}")
        return await self._run(Command("resume"), runtime)

    async def _run(self, command: Command, runtime: Mapping[str, Any]) -> web.Response:
        """Leave the command on the runtime, unless it is so already or somebody is just doing it."""
        metadata = runtime["metadata"]
        namespace, name = str(metadata["namespace"]), str(metadata["name"])
        step = decide(command, runtime, datetime.now(UTC))
        answer: dict[str, Any] = {
            "namespace": namespace,
            "name": name,
            "desired": "resumed" if command.operation == "resume" else "suspended",
            "currentPhase": step.phase,
            "pollUrl": f"{_PREFIX}/runtimes/{namespace}/{name}/status",
            "retryAfter": RETRY_AFTER,
            "triggered": False,
            "gated": False,
            "key": f"rt/{namespace}/{name}",
            "keyType": "runtime",
        }
        if step.annotations is None:
            if step.is_pending:
                return self._gated(command, answer)
            self._metrics.commands.labels(command.operation, "already").inc()
            settled = step.phase in ("Ready", "Suspended")
            return _answer(200, {**answer, "retryAfter": 0} if settled else answer)
        lease = lease_name(command.operation, namespace, name)
        grant = await try_acquire(
            self._client,
            lease,
            self._namespace,
            holder=self._holder,
            seconds=self._lease,
            key=f"{command.operation}/{namespace}/{name}",
            labels=_LEASE_LABELS,
        )
        if not grant.acquired:
            return self._gated(command, {**answer, "holder": grant.holder})
        try:
            patch = {"metadata": {"annotations": dict(step.annotations)}}
            await self._client.patch(XTRINODES, name, namespace, patch)
        finally:
            # From here on the object itself says what was asked; held on, the Lease would swallow the next command.
            with contextlib.suppress(ApiError):
                await release(self._client, grant)
        self._metrics.commands.labels(command.operation, "triggered").inc()
        _LOG.info("%s requested for %s/%s", command.operation, namespace, name)
        return _answer(202, {**answer, "triggered": True})

    def _gated(self, command: Command, answer: dict[str, Any]) -> web.Response:
        self._metrics.commands.labels(command.operation, "gated").inc()
        return _answer(202, {**answer, "gated": True})


def status_of(runtime: Mapping[str, Any]) -> dict[str, Any]:
    """The short form of a runtime's state."""
    status = runtime.get("status") or {}
    return {
        "phase": status.get("phase") or "Pending",
        "coordinatorURL": status.get("coordinatorURL"),
        "workers": status.get("workers") or 0,
        "lastActivity": status.get("lastActivity"),
        "conditions": status.get("conditions") or [],
    }


def _answer(code: int, body: dict[str, Any]) -> web.Response:
    headers = {"Retry-After": str(body["retryAfter"])} if body["retryAfter"] else {}
    return web.json_response(body, status=code, headers=headers)


def _error(
    status: int, code: str, message: str, *, retry_after: int = 0, headers: Mapping[str, str] | None = None
) -> web.Response:
    extra = {"Retry-After": str(retry_after)} if retry_after else {}
    return web.json_response({"error": message, "code": code}, status=status, headers={**extra, **(headers or {})})
