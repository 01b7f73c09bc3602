"""An HTTP server that answers what a test tells it to: the far side of the wire for the Kubernetes client.

    async with FakeApi() as api:
        api.on("GET", "/api/v1/pods", Answer(503), Answer(json=pod_list("7", pod("a", "5"))))
        watch = api.watch("/api/v1/pods")          # every watch of that path, driven by the test
        ...
        feed = await watch.opened()                # the next connection
        feed.send("ADDED", pod("b", "8")); feed.reset()

Answers are used up in order and the last one stays. Every request is kept in `requests`. It knows nothing of
Kubernetes beyond the spelling of lists and events; behaviour is tested against the sandbox's API server.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any

import orjson
from aiohttp import web


@dataclass(frozen=True)
class Seen:
    method: str
    path: str
    query: Mapping[str, str]
    headers: Mapping[str, str]
    body: bytes
    # Which TCP connection it came over.
    peer: Any

    @property
    def json(self) -> Any:
        return orjson.loads(self.body)


@dataclass(frozen=True)
class Answer:
    """One answer; `json` wins over `body`. `reset` drops the connection instead, before any byte."""

    status: int = 200
    body: bytes = b"{}"
    json: Any = None
    headers: Mapping[str, str] = field(default_factory=dict)
    reset: bool = False
    # Not answered before this is set.
    after: asyncio.Event | None = None


Responder = Callable[[Seen], Answer | Awaitable[Answer]]


def status(code: int, reason: str, message: str = "refused", **details: Any) -> dict[str, Any]:
    return {
        "kind": "Status",
        "apiVersion": "v1",
        "status": "Failure",
        "message": message,
        "reason": reason,
        "details": details,
        "code": code,
    }


def refusal(code: int, reason: str, message: str = "refused", **details: Any) -> Answer:
    return Answer(code, json=status(code, reason, message, **details))


def obj(name: str, version: str, namespace: str = "ns", **more: Any) -> dict[str, Any]:
    metadata = {"name": name, "namespace": namespace, "uid": f"uid-{name}", "resourceVersion": version}
    metadata.update(more.pop("metadata", {}))
    return {"metadata": metadata, **more}


def object_list(version: str, *items: dict[str, Any], token: str = "") -> dict[str, Any]:
    return {"kind": "List", "metadata": {"resourceVersion": version, "continue": token}, "items": list(items)}


def event_line(kind: str, body: Mapping[str, Any]) -> bytes:
    return orjson.dumps({"type": kind, "object": body}) + b"\n"


class Feed:
    """One open watch connection, as the test writes it."""

    def __init__(self, seen: Seen) -> None:
        self.seen = seen
        self.closed = asyncio.Event()
        self._queue: asyncio.Queue[bytes | BaseException | None] = asyncio.Queue()

    @property
    def resource_version(self) -> str | None:
        return self.seen.query.get("resourceVersion")

    def write(self, raw: bytes) -> None:
        self._queue.put_nowait(raw)

    def send(self, kind: str, body: Mapping[str, Any]) -> None:
        self.write(event_line(kind, body))

    def bookmark(self, version: str) -> None:
        self.send("BOOKMARK", {"kind": "Pod", "metadata": {"resourceVersion": version}})

    def end(self) -> None:
        """A clean end, as a server does when the time of the watch is over."""
        self._queue.put_nowait(None)

    def reset(self) -> None:
        self._queue.put_nowait(ConnectionResetError())

    async def serve(self, request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": "application/json"})
        await response.prepare(request)
        try:
            while (item := await self._queue.get()) is not None:
                if isinstance(item, BaseException):
                    assert request.transport is not None
                    request.transport.abort()
                    break
                await response.write(item)
        finally:
            self.closed.set()
        return response


class Watch:
    """All watches of one path. `refuse` makes the next connections fail instead, in order."""

    def __init__(self) -> None:
        self.feeds: list[Feed] = []
        self._refusals: list[Answer] = []
        self._opened: asyncio.Queue[Feed] = asyncio.Queue()

    def refuse(self, *answers: Answer) -> None:
        self._refusals.extend(answers)

    async def opened(self) -> Feed:
        """The next connection that was opened and not yet asked for."""
        return await asyncio.wait_for(self._opened.get(), 10)

    def accept(self, seen: Seen) -> Feed | Answer:
        if self._refusals:
            return self._refusals.pop(0)
        feed = Feed(seen)
        self.feeds.append(feed)
        self._opened.put_nowait(feed)
        return feed


class FakeApi:
    def __init__(self, tls: ssl.SSLContext | None = None) -> None:
        self.requests: list[Seen] = []
        self.url = ""
        self._tls = tls
        self._answers: dict[tuple[str, str], list[Answer | Responder]] = {}
        self._watches: dict[str, Watch] = {}
        self._arrived = asyncio.Condition()
        self._runner: web.AppRunner | None = None
        self.port = 0

    def on(self, method: str, path: str, *answers: Answer | Responder) -> None:
        self._answers[(method, path)] = list(answers)

    def watch(self, path: str) -> Watch:
        return self._watches.setdefault(path, Watch())

    def seen(self, method: str, path: str) -> list[Seen]:
        """The calls so far; watches are not among the GETs."""
        return [
            seen for seen in self.requests if (seen.method, seen.path) == (method, path) and "watch" not in seen.query
        ]

    async def until(self, predicate: Callable[[], bool]) -> None:
        """Wait until a request made `predicate` true."""
        async with asyncio.timeout(10):
            async with self._arrived:
                await self._arrived.wait_for(predicate)

    async def start(self, port: int = 0) -> None:
        app = web.Application(client_max_size=64 * 1024 * 1024)
        app.router.add_route("*", "/{tail:.*}", self._handle)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1, handler_cancellation=True)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", port, ssl_context=self._tls, reuse_address=True).start()
        self.port = self._runner.addresses[0][1]
        self.url = f"{'https' if self._tls else 'http'}://127.0.0.1:{self.port}"

    async def stop(self) -> None:
        for watch in self._watches.values():
            for feed in watch.feeds:
                feed.reset()
        if self._runner is not None:
            await self._runner.cleanup()
            self._runner = None

    async def __aenter__(self) -> FakeApi:
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.stop()

    async def _handle(self, request: web.Request) -> web.StreamResponse:
        assert request.transport is not None
        seen = Seen(
            request.method,
            request.rel_url.raw_path,
            dict(request.query),
            request.headers.copy(),
            await request.read(),
            request.transport.get_extra_info("peername"),
        )
        self.requests.append(seen)
        async with self._arrived:
            self._arrived.notify_all()
        if "watch" in seen.query and seen.path in self._watches:
            accepted = self._watches[seen.path].accept(seen)
            if isinstance(accepted, Feed):
                return await accepted.serve(request)
            return await self._answer(request, accepted)
        script = self._answers.get((seen.method, seen.path))
        if not script:
            return await self._answer(request, refusal(404, "NotFound", f"no answer is scripted for {seen.path}"))
        step = script.pop(0) if len(script) > 1 else script[0]
        if not isinstance(step, Answer):
            made = step(seen)
            step = made if isinstance(made, Answer) else await made
        return await self._answer(request, step)

    @staticmethod
    async def _answer(request: web.Request, answer: Answer) -> web.StreamResponse:
        if answer.after is not None:
            await answer.after.wait()
        if answer.reset:
            assert request.transport is not None
            request.transport.abort()
            return web.Response()
        body = answer.body if answer.json is None else orjson.dumps(answer.json)
        headers = {"Content-Type": "application/json", **answer.headers}
        return web.Response(status=answer.status, body=body, headers=headers)
