"""Containers as local processes: start, wait, signal, and never leave one behind.

Each process leads a session and process group of its own, so that a signal reaches its children too, and dies
with the kubelet in three ways: the kubelet kills it when it stops, the guard kills it when the kubelet was
killed, and where util-linux is installed the kernel kills it (PR_SET_PDEATHSIG) should both be killed at once.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from sandbox.kubelet import guard

DRAIN = 1.0  # seconds for the last output of a process that has ended


class StartFailed(Exception):
    """The command could not be executed; the message says which and why."""


class Guard:
    """Keeps the guard process informed."""

    def __init__(self) -> None:
        self._inherited: tuple[int, ...] = ()
        self._process: subprocess.Popen[bytes] | None = None
        self._groups: set[int] = set()

    def start(self, inherited: Sequence[int] = ()) -> None:
        """Start the guard, which keeps the inherited descriptors open until its work is done."""
        self._inherited = tuple(inherited)
        self._process = subprocess.Popen(
            [sys.executable, "-I", "-S", guard.__file__],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
            pass_fds=self._inherited,
        )

    def stop(self) -> None:
        """End the guard; whatever is still listed is killed by it."""
        if self._process is not None:
            self._process.communicate()
            self._process = None

    def add(self, group: int) -> None:
        self._groups.add(group)
        self._tell(f"+{group}\n")

    def remove(self, group: int) -> None:
        self._groups.discard(group)
        self._tell(f"-{group}\n")

    def _tell(self, line: str) -> None:
        process = self._process
        if process is None or process.stdin is None:
            return
        try:
            process.stdin.write(line.encode())
            process.stdin.flush()
        except OSError:
            # Somebody killed the guard: a new one learns all groups.
            process.wait()
            self.start(self._inherited)
            for group in self._groups:
                assert self._process is not None and self._process.stdin is not None
                self._process.stdin.write(f"+{group}\n".encode())
            if self._process is not None and self._process.stdin is not None:
                self._process.stdin.flush()


class _Protocol(asyncio.SubprocessProtocol):
    def __init__(self, on_output: Callable[[bool, bytes], None]) -> None:
        self._on_output = on_output
        self.exited: asyncio.Event = asyncio.Event()
        self.drained: asyncio.Event = asyncio.Event()

    def pipe_data_received(self, fd: int, data: bytes) -> None:
        self._on_output(fd == 2, data)

    def process_exited(self) -> None:
        self.exited.set()

    def connection_lost(self, exc: Exception | None) -> None:
        self.exited.set()
        self.drained.set()


class LocalProcess:
    """A running process and its group."""

    def __init__(self, transport: asyncio.SubprocessTransport, protocol: _Protocol, guard_: Guard) -> None:
        self._transport = transport
        self._protocol = protocol
        self._guard = guard_
        self.pid = transport.get_pid()
        guard_.add(self.pid)

    @property
    def running(self) -> bool:
        return not self._protocol.exited.is_set()

    async def exited(self) -> None:
        """Wait for the end without looking at it."""
        await self._protocol.exited.wait()

    async def wait(self) -> int:
        """The exit code once the process has ended and its output is read: 128 + N after signal N.

        Children that outlive their leader are killed, as a container's are with its first process.
        """
        await self._protocol.exited.wait()
        self.signal(signal.SIGKILL)
        try:
            async with asyncio.timeout(DRAIN):
                await self._protocol.drained.wait()
        except TimeoutError:
            pass  # something outside the group still holds the pipes open
        finally:
            self._transport.close()
            self._guard.remove(self.pid)
        code = self._transport.get_returncode()
        if code is None:
            return 255
        return code if code >= 0 else 128 - code

    def signal(self, number: int) -> None:
        """Send a signal to the whole group."""
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self.pid, number)


async def start(
    argv: Sequence[str],
    environment: Mapping[str, str],
    directory: Path,
    on_output: Callable[[bool, bytes], None],
    guard_: Guard,
) -> LocalProcess:
    """Start a process; `on_output(is_stderr, bytes)` gets what it writes. Raises StartFailed."""
    if not argv:
        raise StartFailed("no command specified")
    program = shutil.which(argv[0], path=environment.get("PATH") or os.defpath)
    if program is None:
        raise StartFailed(f'exec: "{argv[0]}": executable file not found in $PATH')
    line = [program, *argv[1:]]
    setpriv = shutil.which("setpriv")
    if setpriv is not None and os.access(program, os.X_OK):
        line = [setpriv, "--pdeathsig", "KILL", "--", *line]
    spawning = asyncio.ensure_future(
        asyncio.get_running_loop().subprocess_exec(
            lambda: _Protocol(on_output),
            *line,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            cwd=directory,
            env=dict(environment),
            start_new_session=True,
        )
    )
    try:
        # A start that is cancelled half-way would leave a process that nobody knows.
        transport, protocol = await asyncio.shield(spawning)
    except (OSError, ValueError) as error:
        raise StartFailed(f'exec: "{argv[0]}": {error}') from error
    except asyncio.CancelledError:
        await asyncio.wait({spawning})
        if spawning.exception() is None:
            process = LocalProcess(*spawning.result(), guard_)
            process.signal(signal.SIGKILL)
            await process.wait()
        raise
    return LocalProcess(transport, protocol, guard_)


async def run(
    argv: Sequence[str],
    environment: Mapping[str, str],
    directory: Path,
    seconds: float,
    guard_: Guard,
    limit: int = 10_000,
) -> tuple[int | None, str]:
    """Run a short command (probe, hook) to its end: exit code (None: it did not end in time) and output."""
    output = bytearray()

    def take(_: bool, data: bytes) -> None:
        output.extend(data[: max(0, limit - len(output))])

    process = await start(argv, environment, directory, take, guard_)
    code: int | None = None
    try:
        code = await asyncio.wait_for(process.wait(), seconds)
    except TimeoutError:
        pass
    finally:
        if process.running:
            process.signal(signal.SIGKILL)
        await process.wait()
    return code, output.decode("utf-8", "replace").strip()
