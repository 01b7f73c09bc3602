"""Serves container logs over HTTP on loopback, for the API server to pass on to `kubectl logs`.

    GET /containerLogs/<namespace>/<pod>/<container>?follow=&tailLines=&previous=&timestamps=&sinceSeconds=&sinceTime=

Its port is published in the Node's `daemonEndpoints`. It reads files and knows which run is the current one;
what a container writes goes through unchanged.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta

from aiohttp import web

from sandbox.kubelet.containers import ContainerRunner
from sandbox.kubelet.logs import ReadOptions, read, run_path
from sandbox.kubelet.pod_status import HOST_IP, Waiting
from sandbox.kubelet.pod_worker import PodWorker

#: Finds the worker of a pod by namespace and name.
FindPod = Callable[[str, str], PodWorker | None]


class BadQuery(Exception):
    """A query parameter makes no sense; the message names it."""


class LogEndpoint:
    def __init__(self, find: FindPod) -> None:
        self.port = 0
        self._find = find
        app = web.Application()
        app.router.add_get("/containerLogs/{namespace}/{pod}/{container}", self._serve)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.2, handler_cancellation=True)

    async def start(self) -> None:
        await self._runner.setup()
        site = web.TCPSite(self._runner, HOST_IP, 0)
        await site.start()
        self.port = int(self._runner.addresses[0][1])

    async def stop(self) -> None:
        await self._runner.cleanup()

    async def _serve(self, request: web.Request) -> web.StreamResponse:
        names = request.match_info
        worker = self._find(names["namespace"], names["pod"])
        if worker is None:
            text = f'pod "{names["pod"]}" in namespace "{names["namespace"]}" does not run on this node'
            return web.Response(status=404, text=text)
        runner = worker.log_of(names["container"])
        if runner is None:
            text = f"container {names['container']} is not valid for pod {names['pod']}"
            return web.Response(status=400, text=text)
        try:
            options, follow, previous = read_query(request.query, datetime.now(UTC))
        except BadQuery as error:
            return web.Response(status=400, text=str(error))
        if previous:
            return await self._previous(request, worker, runner, options)
        return await self._current(request, worker, runner, options, follow)

    async def _previous(
        self, request: web.Request, worker: PodWorker, runner: ContainerRunner, options: ReadOptions
    ) -> web.StreamResponse:
        path = run_path(worker.directory.logs(runner.name), previous_run(runner))
        if path is None:
            pod = request.match_info["pod"]
            text = f'previous terminated container "{runner.name}" in pod "{pod}" not found'
            return web.Response(status=400, text=text)
        return web.Response(body=b"".join(read(path, options)), content_type="text/plain")

    async def _current(
        self, request: web.Request, worker: PodWorker, runner: ContainerRunner, options: ReadOptions, follow: bool
    ) -> web.StreamResponse:
        path = run_path(worker.directory.logs(runner.name), current_run(runner))
        state = runner.record.state
        if path is None:
            reason = state.reason if isinstance(state, Waiting) else "unknown"
            pod = request.match_info["pod"]
            text = f'container "{runner.name}" in pod "{pod}" is waiting to start: {reason}'
            return web.Response(status=400, text=text)
        if not follow or runner.log is None or runner.log.path != path:
            return web.Response(body=b"".join(read(path, options)), content_type="text/plain")
        response = web.StreamResponse(headers={"Content-Type": "text/plain"})
        await response.prepare(request)
        with contextlib.suppress(ConnectionError):  # the reader left, which is how following usually ends
            async for line in runner.log.follow(options):
                await response.write(line)
            await response.write_eof()
        return response


def current_run(runner: ContainerRunner) -> int:
    """The number of the run whose log is current: the one that runs, or the last one that did."""
    return runner.record.restart_count


def previous_run(runner: ContainerRunner) -> int:
    """The number of the last run that ended; while a container waits to be restarted that is the current one."""
    run = current_run(runner)
    return run if isinstance(runner.record.state, Waiting) else run - 1


def read_query(values: Mapping[str, str], now: datetime) -> tuple[ReadOptions, bool, bool]:
    """Options, follow and previous of a query mapping. Raises BadQuery."""
    tail = values.get("tailLines", "")
    if tail and not (tail.isascii() and tail.isdigit()):
        raise BadQuery(f"tailLines must be a number of lines, not {tail!r}")
    since = values.get("sinceTime", "")
    seconds = values.get("sinceSeconds", "")
    if seconds:
        if not (seconds.isascii() and seconds.isdigit() and len(seconds) < 10):
            raise BadQuery(f"sinceSeconds must be a number of seconds, not {seconds!r}")
        since = (now - timedelta(seconds=int(seconds))).strftime("%Y-%m-%dT%H:%M:%S")
    elif since:
        try:
            since = datetime.fromisoformat(since).astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S")
        except ValueError as error:
            raise BadQuery(f"sinceTime must be an RFC 3339 time, not {since!r}") from error
    options = ReadOptions(int(tail) if tail else None, _true(values, "timestamps"), since)
    return options, _true(values, "follow"), _true(values, "previous")


def _true(values: Mapping[str, str], name: str) -> bool:
    return values.get(name, "").lower() in ("true", "1")
