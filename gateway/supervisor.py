"""`--workers N`: starts N processes of this same program on one address, keeps them running, and speaks for them.

The supervisor serves no SQL. It holds the address (bound, not listening, so that port 0 means one port for all and
nobody else takes it), restarts a worker that dies, passes SIGTERM and SIGHUP on, and answers the one management port
from the workers' private ones. Each worker watches the routes itself: a worker then needs nobody to serve, a dead
supervisor feeds nobody stale tables, and a handful of watches more cost the API server nothing.
"""

from __future__ import annotations

import asyncio
import contextlib
import datetime
import logging
import os
import shutil
import signal
import socket
import sys
import tempfile
import time
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import aiohttp
import orjson
from aiohttp import web

from crds.process.listener import port_taken
from crds.process.management import Management
from crds.process.settings import split_address
from gateway.admin_page import STATUS_PATH, admin_routes, status_response
from gateway.aggregate import Families, Totals, merge_status, read_page, readiness, worker_metrics
from gateway.config import Settings
from gateway.server import certificate_of
from gateway.worker import Worker

_LOG = logging.getLogger("xtrinode-gateway")
_ASK_SECONDS = 2.0
_UP_POLL_SECONDS = 0.05
_PAUSE_FIRST = 0.2
_PAUSE_MAX = 10.0
_SETTLED_SECONDS = 30.0
_LOOK_SECONDS = 2.0
_PATIENCE_SECONDS = 30.0  # a worker that says nothing for so long will not say anything any more
_KILL_AFTER = 5.0  # seconds beyond the workers' own time to drain


class Slot:
    """One worker's place: its present process, if any, and the way to its management endpoints."""

    def __init__(self, worker: Worker) -> None:
        self.worker = worker
        self.process: asyncio.subprocess.Process | None = None
        self.session = aiohttp.ClientSession(
            connector=aiohttp.UnixConnector(worker.management_path, force_close=True),
            timeout=aiohttp.ClientTimeout(total=_ASK_SECONDS),
        )
        self.up = False  # its management endpoints have answered in this life
        self.started_at = 0.0
        self.restarts = 0

    async def get(self, path: str) -> tuple[int, bytes] | None:
        """What it answers; None when it does not."""
        try:
            async with self.session.get(f"http://worker{path}") as reply:
                return reply.status, await reply.read()
        except (aiohttp.ClientError, TimeoutError, OSError):
            return None

    def send(self, number: signal.Signals) -> None:
        """A signal for the process, if it lives."""
        if self.process is not None and self.process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                self.process.send_signal(number)


class Supervisor:
    """All workers of one gateway. `argv` are the flags to start them with, after the program's name.

    `patience` is how long, in seconds, a worker may be silent before it is taken for dead.
    """

    def __init__(self, argv: list[str], count: int, directory: Path, patience: float = _PATIENCE_SECONDS) -> None:
        self._argv = argv
        self._patience = patience
        self._totals = Totals()
        self._stopping = False
        self.slots = [Slot(Worker(index, count, os.getpid(), directory)) for index in range(count)]

    # -- processes

    async def start(self, slot: Slot) -> None:
        """Start a worker's process."""
        slot.up = False
        slot.started_at = time.monotonic()
        slot.process = await asyncio.create_subprocess_exec(
            sys.executable,
            *([] if str(Path.cwd()) in sys.path or "" in sys.path else ["-P"]),
            "-m",
            "gateway",
            *self._argv,
            stdin=asyncio.subprocess.DEVNULL,
            env={**os.environ, **slot.worker.to_environment()},
            start_new_session=True,  # Ctrl-C is for the supervisor, which passes it on as one SIGTERM
        )

    async def until_up(self, slot: Slot) -> bool:
        """Wait until the worker's management endpoints answer; False when its process ended first."""
        process = slot.process
        while process is not None and process is slot.process and process.returncode is None:
            if await slot.get("/livez") is not None:
                slot.up = True
                return True
            await asyncio.sleep(_UP_POLL_SECONDS)
        return False

    async def keep(self, slot: Slot) -> None:
        """Start the worker again whenever it dies; the pause grows while it dies young."""
        pause = _PAUSE_FIRST
        while slot.process is not None:
            watched = asyncio.create_task(self._watch(slot, slot.process))
            code = await slot.process.wait()
            watched.cancel()
            slot.up = False
            self._totals.ended(slot.worker.index)
            if self._stopping:
                return
            lived = time.monotonic() - slot.started_at
            pause = _PAUSE_FIRST if lived > _SETTLED_SECONDS else min(pause * 2, _PAUSE_MAX)
            how = f"signal {-code}" if code < 0 else f"exit code {code}"
            _LOG.error("worker %d ended by %s; starting it again in %.1f s", slot.worker.index, how, pause)
            await asyncio.sleep(pause)
            await self._start_again(slot)

    async def _watch(self, slot: Slot, process: asyncio.subprocess.Process) -> None:
        """End a worker that is there but does not answer: its connections are lost already."""
        heard = time.monotonic()
        while slot.process is process:
            if await slot.get("/livez") is not None:
                heard = time.monotonic()
                slot.up = True
            elif time.monotonic() - heard > self._patience:
                _LOG.error("worker %d has not answered for %.0f s; ending it", slot.worker.index, self._patience)
                slot.send(signal.SIGKILL)
                return
            await asyncio.sleep(_LOOK_SECONDS if slot.up else _UP_POLL_SECONDS)

    async def _start_again(self, slot: Slot) -> None:
        if not self._stopping:
            slot.restarts += 1
            await self.start(slot)

    def reload(self) -> None:
        """Pass SIGHUP on to those who know what it means already."""
        for slot in self.slots:
            if slot.up:
                slot.send(signal.SIGHUP)

    async def stop(self, within: float) -> None:
        """Let all workers finish what they hold, `within` so many seconds."""
        self._stopping = True
        for slot in self.slots:
            slot.send(signal.SIGTERM)
        ending = [slot.process.wait() for slot in self.slots if slot.process is not None]
        try:
            await asyncio.wait_for(asyncio.gather(*ending), within)
        except TimeoutError:
            _LOG.error("workers did not end in time; killing them")
            for slot in self.slots:
                slot.send(signal.SIGKILL)

    async def close(self) -> None:
        """Leave nothing behind."""
        self._stopping = True
        for slot in self.slots:
            slot.send(signal.SIGKILL)
            if slot.process is not None:
                await slot.process.wait()
            await slot.session.close()

    # -- one answer for all

    async def not_ready(self) -> str | None:
        if self._stopping:
            return "draining"
        answers = await self._ask("/readyz")
        return readiness([_reason(answer) for answer in answers])

    async def page(self) -> bytes:
        for slot, answer in zip(self.slots, await self._ask("/metrics"), strict=True):
            families = await asyncio.to_thread(_families, answer)
            if families is None:
                self._totals.unheard(slot.worker.index)
            else:
                self._totals.seen(slot.worker.index, families)
        ready = sum(_reason(answer) is None for answer in await self._ask("/readyz"))
        restarts = sum(slot.restarts for slot in self.slots)
        return await asyncio.to_thread(self._totals.page, worker_metrics(len(self.slots), ready, restarts))

    async def status(self, request: web.Request) -> web.Response:
        documents: list[dict[str, Any]] = []
        workers: list[dict[str, Any]] = []
        for slot, answer in zip(self.slots, await self._ask(STATUS_PATH), strict=True):
            told = None
            if answer is not None and answer[0] == 200:
                document = orjson.loads(answer[1])
                documents.append(document)
                told = document["workers"][0]
            workers.append(self._row(slot, told))
        merged = merge_status(documents, workers, datetime.datetime.now(datetime.UTC))
        return status_response(merged)

    def _row(self, slot: Slot, told: dict[str, Any] | None) -> dict[str, Any]:
        process = slot.process
        alive = process is not None and process.returncode is None
        row: dict[str, Any] = told or {
            "index": slot.worker.index,
            "pid": process.pid if process is not None and alive else None,
            "state": "starting" if alive else "dead",
            "detail": "does not answer yet" if alive else "is being started again",
            "ageSeconds": round(time.monotonic() - slot.started_at, 1),
        }
        return {**row, "restarts": slot.restarts}

    async def _ask(self, path: str) -> list[tuple[int, bytes] | None]:
        return list(await asyncio.gather(*(slot.get(path) for slot in self.slots)))


async def supervise(settings: Settings, stop: asyncio.Event, argv: list[str]) -> int:
    """Run `settings.workers` workers until `stop`; returns the exit code."""
    certificate_of(settings)  # files that are no good are told once, not by every worker
    async with AsyncExitStack() as stack:
        reserved = stack.enter_context(_reserve(settings.address))
        where = _shown(reserved)
        directory = Path(tempfile.mkdtemp(prefix="xtrinode-gateway-"))
        stack.callback(shutil.rmtree, directory, ignore_errors=True)
        supervisor = Supervisor([*argv, "--address", where], settings.workers, directory)
        stack.push_async_callback(supervisor.close)
        management = Management(
            settings.management_address,
            not_ready=supervisor.not_ready,
            page=supervisor.page,
            routes=[web.get(STATUS_PATH, supervisor.status), *admin_routes()],
        )
        await stack.enter_async_context(management)
        # The first one alone: what stops it would stop all, and is said once.
        first = supervisor.slots[0]
        await supervisor.start(first)
        if not await _unless(stop, supervisor.until_up(first)):
            return 0 if stop.is_set() or first.process is None else first.process.returncode or 1
        for slot in supervisor.slots[1:]:
            await supervisor.start(slot)
        keepers = [asyncio.create_task(supervisor.keep(slot)) for slot in supervisor.slots]
        loop = asyncio.get_running_loop()
        loop.add_signal_handler(signal.SIGHUP, supervisor.reload)
        stack.callback(loop.remove_signal_handler, signal.SIGHUP)
        _LOG.info("%d workers share %s, management on port %d", len(supervisor.slots), where, management.port)
        await stop.wait()
        await supervisor.stop(settings.drain_delay + settings.drain_timeout + _KILL_AFTER)
        for keeper in keepers:
            keeper.cancel()
        await asyncio.gather(*keepers, return_exceptions=True)
        return 0


async def _unless(stop: asyncio.Event, work: Any) -> bool:
    """The result of `work`, or False when `stop` comes first."""
    doing, stopping = asyncio.create_task(work), asyncio.create_task(stop.wait())
    done, waiting = await asyncio.wait([doing, stopping], return_when=asyncio.FIRST_COMPLETED)
    for task in waiting:
        task.cancel()
    return bool(doing in done and doing.result())


def _reserve(address: str) -> socket.socket:
    """The address, bound so that the workers can share it and nobody else has it."""
    host, port = split_address(address)
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        # Without sharing first: two gateways that share a port by accident would each get half of the requests.
        with socket.socket(family) as alone:
            alone.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            alone.bind((host, port))
        shared = socket.socket(family)
        shared.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        shared.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        shared.bind((host, port))
    except OSError as error:
        raise port_taken(address, error, "--address") from error
    return shared


def _shown(bound: socket.socket) -> str:
    host, port = bound.getsockname()[:2]
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def _reason(answer: tuple[int, bytes] | None) -> str | None:
    """Why a worker is not ready, None when it is."""
    if answer is None:
        return "does not answer"
    status, body = answer
    return None if status == 200 else body.decode("utf-8", "replace").strip().removeprefix("not ready: ")


def _families(answer: tuple[int, bytes] | None) -> Families | None:
    if answer is None or answer[0] != 200:
        return None
    return read_page(answer[1])
