"""The kubelet's end of the nursery: starts programs in it and follows them, as it does with processes of its own.

The nursery is started with the first program that it can run. When it is gone (killed, or never came up) its
children are gone too; they count as killed, and the next start makes a new nursery. What does not fit into one
request is started in the ordinary way by the caller.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from sandbox.kubelet.nursery import MESSAGE_LIMIT
from sandbox.kubelet.processes import DRAIN, Guard

OnOutput = Callable[[bool, bytes], None]


class NurseryGone(Exception):
    """The nursery ended before it could start the program."""


class _Pipe(asyncio.Protocol):
    def __init__(self, is_stderr: bool, on_output: OnOutput) -> None:
        self._is_stderr = is_stderr
        self._on_output = on_output
        self.closed = asyncio.Event()

    def data_received(self, data: bytes) -> None:
        self._on_output(self._is_stderr, data)

    def connection_lost(self, exc: Exception | None) -> None:
        self.closed.set()


class ForkedProcess:
    """A program of the nursery and its process group; the same to its user as a process of the kubelet's own."""

    def __init__(self, pid: int, guard: Guard, pipes: Sequence[tuple[asyncio.ReadTransport, _Pipe]]) -> None:
        self.pid = pid
        self._guard = guard
        self._pipes = pipes
        self._over = asyncio.Event()
        self._code = 255
        guard.add(pid)

    @property
    def running(self) -> bool:
        return not self._over.is_set()

    def ended(self, code: int) -> None:
        self._code = code if code >= 0 else 128 - code
        self._over.set()

    async def exited(self) -> None:
        await self._over.wait()

    async def wait(self) -> int:
        await self._over.wait()
        self.signal(signal.SIGKILL)
        try:
            async with asyncio.timeout(DRAIN):
                for _, pipe in self._pipes:
                    await pipe.closed.wait()
        except TimeoutError:
            pass  # something outside the group still holds the pipes open
        finally:
            for transport, _ in self._pipes:
                transport.close()
            self._guard.remove(self.pid)
        return self._code

    def signal(self, number: int) -> None:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self.pid, number)


class Nursery:
    """`modules` are imported before the first program starts."""

    def __init__(self, guard: Guard, modules: Sequence[str]) -> None:
        self._guard = guard
        self._modules = modules
        self._process: subprocess.Popen[bytes] | None = None
        self._channel: socket.socket | None = None
        self._starting: deque[asyncio.Future[int]] = deque()
        self._running: dict[int, ForkedProcess] = {}
        self._unclaimed: dict[int, int] = {}  # exit codes of programs that ended before they were known here

    def stop(self) -> None:
        """End the nursery; programs that still run in it are killed by the kernel."""
        self._lost()

    async def start(
        self, module: str, argv: Sequence[str], environment: Mapping[str, str], directory: Path, on_output: OnOutput
    ) -> ForkedProcess | None:
        """Run `module.main(argv)` in a process of its own; None when the request is too long for a message."""
        request = {"module": module, "argv": list(argv), "env": dict(environment), "cwd": str(directory)}
        message = json.dumps(request).encode()
        if len(message) > MESSAGE_LIMIT:
            return None
        channel = self._channel or self._begin()
        ends: list[int] = []
        pipes: list[tuple[asyncio.ReadTransport, _Pipe]] = []
        try:
            for is_stderr in (False, True):
                reader, writer = os.pipe()
                ends.append(writer)
                pipes.append(await self._follow(reader, is_stderr, on_output))
            started: asyncio.Future[int] = asyncio.get_running_loop().create_future()
            self._starting.append(started)
            socket.send_fds(channel, [message], ends)
        except OSError as error:
            for transport, _ in pipes:
                transport.close()
            self._lost()
            raise NurseryGone(f"the nursery does not answer: {error}") from error
        finally:
            for end in ends:
                os.close(end)
        try:
            pid = await asyncio.shield(started)
        except BaseException:
            # Cancelled half-way: what starts is ended as soon as it is known.
            started.add_done_callback(lambda done: None if done.exception() else _kill(done.result()))
            for transport, _ in pipes:
                transport.close()
            raise
        process = self._running[pid] = ForkedProcess(pid, self._guard, pipes)
        if pid in self._unclaimed:
            self._end(pid, self._unclaimed.pop(pid))
        return process

    async def _follow(self, reader: int, is_stderr: bool, on_output: OnOutput) -> tuple[asyncio.ReadTransport, _Pipe]:
        loop = asyncio.get_running_loop()
        return await loop.connect_read_pipe(lambda: _Pipe(is_stderr, on_output), os.fdopen(reader, "rb", 0))

    def _begin(self) -> socket.socket:
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        ours.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4 * MESSAGE_LIMIT)
        ours.setblocking(False)
        with theirs:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "sandbox.kubelet.nursery", *self._modules],
                stdin=theirs.fileno(),
                env={**os.environ, "PYTHONPATH": str(Path(__file__).resolve().parents[2])},
                start_new_session=True,
            )
        self._guard.add(self._process.pid)
        self._channel = ours
        asyncio.get_running_loop().add_reader(ours, self._readable, ours)
        return ours

    def _readable(self, channel: socket.socket) -> None:
        try:
            message = channel.recv(4096)
        except BlockingIOError:
            return
        except OSError:
            message = b""
        if not message:
            self._lost()
            return
        answer: dict[str, int] = json.loads(message)
        if "started" in answer:
            started = self._starting.popleft()
            if not started.done():
                started.set_result(answer["started"])
        else:
            self._end(answer["ended"], answer["code"])

    def _end(self, pid: int, code: int) -> None:
        process = self._running.pop(pid, None)
        if process is not None:
            process.ended(code)
        else:
            self._unclaimed[pid] = code

    def _lost(self) -> None:
        channel, self._channel = self._channel, None
        if channel is not None:
            asyncio.get_running_loop().remove_reader(channel)
            channel.close()
        process, self._process = self._process, None
        if process is not None:
            process.kill()
            process.wait()
            self._guard.remove(process.pid)
        for started in self._starting:
            if not started.done():
                started.set_exception(NurseryGone("the nursery ended while the program was starting"))
        self._starting.clear()
        for process_ in list(self._running.values()):
            process_.ended(-signal.SIGKILL)
        self._running.clear()
        self._unclaimed.clear()


def _kill(pid: int) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.kill(pid, signal.SIGKILL)
