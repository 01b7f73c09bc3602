"""Child processes that are started, watched, restarted and never left behind.

`Supervisor` runs a list of `Part`s: starts one and waits until it is ready, starts it again with a growing pause when
it dies, and stops all of them in reverse order. A child is told by the kernel to end when its parent does, so that
not even kill -9 of the supervisor leaves a process behind. It knows nothing of what the parts are.
"""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import os
import signal
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType

Ready = Callable[[], Awaitable[bool]]

_PR_SET_PDEATHSIG = 1
_libc = ctypes.CDLL(None, use_errno=True)


class PartFailed(Exception):
    """A part that ended, or did not get ready in time; the message ends with the end of its log."""


def end_with_parent() -> None:
    """Run in the child before exec: the kernel ends it when the thread that started it is gone (Linux)."""
    os.setpgid(0, 0)  # Ctrl-C reaches the supervisor only, which stops the parts in order
    prctl = getattr(_libc, "prctl", None)
    if prctl is not None:
        prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)


@dataclass(frozen=True, slots=True)
class Part:
    """One process: how to start it and how to tell that it is ready.

    `ready` is asked about every 50 ms; `ready_within` seconds later the start has failed. `stop_within` is how long
    SIGTERM may take before SIGKILL.
    """

    name: str
    argv: tuple[str, ...]
    ready: Ready
    where: str
    what: str
    env: Mapping[str, str] = field(default_factory=dict)
    ready_within: float = 120.0  # of a machine with much else to do; a part that ends has failed at once
    stop_within: float = 10.0


class Running:
    """A part's current process."""

    def __init__(self, part: Part, process: asyncio.subprocess.Process, log: Path) -> None:
        self.part = part
        self.process = process
        self.log = log
        self.restarts = 0

    @property
    def pid(self) -> int:
        return self.process.pid


class Supervisor:
    """Runs parts; an async context manager that stops all of them on the way out.

    `on_restart` hears (part's name, exit code) each time a part that was ready has died and is started again.
    """

    def __init__(self, directory: Path, on_restart: Callable[[str, int], None]) -> None:
        self._directory = directory
        self._on_restart = on_restart
        self._running: dict[str, Running] = {}
        self._watchers: dict[str, asyncio.Task[None]] = {}
        self._stopping = False

    async def __aenter__(self) -> Supervisor:
        self._directory.mkdir(parents=True, exist_ok=True)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.stop()

    def running(self) -> dict[str, Running]:
        return dict(self._running)

    def log_of(self, name: str) -> Path:
        return self._directory / f"{name}.log"

    async def start(self, part: Part) -> Running:
        """Start `part` and return once it is ready. Raises PartFailed."""
        running = Running(part, await self._spawn(part), self.log_of(part.name))
        self._running[part.name] = running
        await self._until_ready(running)
        self._watchers[part.name] = asyncio.create_task(self._watch(running), name=f"watch {part.name}")
        return running

    async def stop(self) -> None:
        """Stop every part, last started first."""
        self._stopping = True
        for watcher in self._watchers.values():
            watcher.cancel()
        await asyncio.gather(*self._watchers.values(), return_exceptions=True)
        for running in reversed(list(self._running.values())):
            await _end(running.process, running.part.stop_within)
        self._running.clear()

    async def _spawn(self, part: Part) -> asyncio.subprocess.Process:
        with self.log_of(part.name).open("ab") as log:
            return await asyncio.create_subprocess_exec(
                *part.argv,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                # Modules compiled once: a dozen processes of the same code start at the same time.
                env={**os.environ, "PYTHONDONTWRITEBYTECODE": "", **part.env},
                preexec_fn=end_with_parent,
            )

    async def _until_ready(self, running: Running) -> None:
        part, deadline = running.part, time.monotonic() + running.part.ready_within
        while not await part.ready():
            if running.process.returncode is not None:
                raise PartFailed(f"{part.name} ended with exit code {running.process.returncode}{self._why(part.name)}")
            if time.monotonic() > deadline:
                raise PartFailed(f"{part.name} is not ready after {part.ready_within:g} s{self._why(part.name)}")
            await asyncio.sleep(0.05)

    async def _watch(self, running: Running) -> None:
        """Start the part again whenever it dies; the pause grows while it dies young."""
        pause, started = 0.1, time.monotonic()
        while not self._stopping:
            code = await running.process.wait()
            pause = 0.1 if time.monotonic() - started > 30 else min(pause * 2, 10.0)
            self._on_restart(running.part.name, code)
            await asyncio.sleep(pause)
            started = time.monotonic()
            running.process = await self._spawn(running.part)
            running.restarts += 1

    def _why(self, name: str) -> str:
        text = tail(self.log_of(name))
        return f"; its last words:\n{text}" if text else " and said nothing"


async def _end(process: asyncio.subprocess.Process, within: float) -> None:
    if process.returncode is not None:
        return
    with contextlib.suppress(ProcessLookupError):
        process.terminate()
    try:
        await asyncio.wait_for(process.wait(), within)
    except TimeoutError:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await process.wait()


def tail(path: Path, lines: int = 12) -> str:
    """The last lines of a file, indented; empty when there is none."""
    try:
        with path.open("rb") as file:
            file.seek(max(0, path.stat().st_size - 16_384))
            text = file.read().decode("utf-8", "replace")
    except FileNotFoundError:
        return ""
    return "\n".join("    " + line for line in text.splitlines()[-lines:])
