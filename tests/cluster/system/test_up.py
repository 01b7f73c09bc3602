"""`xtrinode-sandbox up` as a person runs it: starts, says where, stops clean, keeps its state, refuses clearly."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import sys
import time
from pathlib import Path

import pytest

from crds.client import KubeClient
from crds.client.resources import XTRINODES
from sandbox.processes import end_with_parent
from tests.support.system import runtime

READY = "Ctrl-C stops everything."


class Up:
    """One `up` process on a data directory."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.output = ""
        self._process: asyncio.subprocess.Process | None = None

    async def start(self, *arguments: str, until: str = READY, within: float = 300.0) -> None:
        self.output = ""
        ports = ("--kube-port", "0", "--gateway-port", "0", "--api-port", "0")
        command = [sys.executable, "-m", "sandbox", "up", "--data-dir", str(self.directory), *ports, *arguments]
        self._process = await asyncio.create_subprocess_exec(
            *command, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT, preexec_fn=end_with_parent
        )
        assert self._process.stdout is not None
        async with asyncio.timeout(within):
            async for line in self._process.stdout:
                self.output += line.decode()
                if until in self.output:
                    return
        assert until != READY, f"it ended before it was up:\n{self.output}"

    async def end(self, how: signal.Signals) -> int:
        assert self._process is not None
        if self._process.returncode is None:
            self._process.send_signal(how)
        assert self._process.stdout is not None
        async with asyncio.timeout(60):
            self.output += (await self._process.stdout.read()).decode()
            return await self._process.wait()

    async def exit_code(self) -> int:
        """How a process that refused to start ended."""
        assert self._process is not None
        async with asyncio.timeout(30):
            return await self._process.wait()

    def processes(self) -> list[str]:
        """Command lines of living processes that name this directory."""
        found = []
        for entry in Path("/proc").iterdir():
            if entry.name.isdigit() and int(entry.name) != os.getpid():
                try:
                    command = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode("utf-8", "replace")
                except OSError:
                    continue
                if str(self.directory) in command:
                    found.append(command)
        return found

    async def until_nothing_is_left(self) -> None:
        deadline = time.monotonic() + 10
        while self.processes():
            assert time.monotonic() < deadline, self.processes()
            await asyncio.sleep(0.05)


@pytest.fixture
async def up(tmp_path: Path):
    running = Up(tmp_path / "state")
    yield running
    for _ in range(50):
        if not running.processes():
            break
        await running.end(signal.SIGKILL)
        await asyncio.sleep(0.1)


@pytest.mark.timeout(400)
async def test_it_stops_clean_and_its_state_survives(up: Up) -> None:
    await up.start()
    assert "controller" in up.output
    async with await KubeClient.connect(str(up.directory / "kubeconfig")) as client:
        body = runtime("kept")
        body["metadata"]["namespace"] = "default"
        await client.create(XTRINODES, body)
    assert await up.end(signal.SIGINT) == 0, up.output
    assert "no process is left" in up.output
    assert "Traceback" not in up.output
    await up.until_nothing_is_left()

    await up.start()
    async with await KubeClient.connect(str(up.directory / "kubeconfig")) as client:
        async with asyncio.timeout(120):
            while ((await client.get(XTRINODES, "kept", "default")).get("status") or {}).get("phase") != "Ready":
                await asyncio.sleep(0.1)
    assert await up.end(signal.SIGTERM) == 0


@pytest.mark.timeout(400)
async def test_even_kill_9_leaves_no_process_behind(up: Up) -> None:
    await up.start()
    async with await KubeClient.connect(str(up.directory / "kubeconfig")) as client:
        body = runtime("orphan")
        body["metadata"]["namespace"] = "default"
        await client.create(XTRINODES, body)
        async with asyncio.timeout(120):
            while ((await client.get(XTRINODES, "orphan", "default")).get("status") or {}).get("phase") != "Ready":
                await asyncio.sleep(0.1)
    await up.end(signal.SIGKILL)
    await up.until_nothing_is_left()


@pytest.mark.timeout(400)
async def test_second_sandbox_on_the_same_state_is_refused_in_one_line(up: Up) -> None:
    await up.start()
    second = Up(up.directory)
    await second.start(until="\0", within=120)
    assert await second.exit_code() == 1
    assert "already runs" in second.output
    assert "--data-dir" in second.output
    assert "Traceback" not in second.output
    assert await up.end(signal.SIGINT) == 0


async def test_port_that_is_taken_is_said_before_anything_starts(up: Up) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        await up.start("--gateway-port", str(port), until="\0", within=120)
        assert await up.exit_code() == 1
    assert f"port {port} is taken" in up.output
    assert "--gateway-port" in up.output
    assert "Traceback" not in up.output
