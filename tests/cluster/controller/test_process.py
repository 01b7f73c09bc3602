"""The process: starts against a kubeconfig, says that it is ready, stops in good order, and explains why it cannot."""

from __future__ import annotations

import asyncio
import re
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import aiohttp

from tests.cluster.controller.conftest import Rig, until


@asynccontextmanager
async def process(*flags: str) -> AsyncIterator[tuple[asyncio.subprocess.Process, list[str]]]:
    started = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "controller", *flags, stderr=asyncio.subprocess.PIPE
    )
    lines: list[str] = []

    async def read() -> None:
        assert started.stderr is not None
        async for line in started.stderr:
            lines.append(line.decode())  # noqa: PERF401 - seen while it runs

    reading = asyncio.create_task(read())
    try:
        yield started, lines
    finally:
        if started.returncode is None:
            started.kill()
        await started.wait()
        await reading


def port_in(lines: list[str]) -> str | None:
    found = re.search(r"management port: (\d+)", "".join(lines))
    return found[1] if found else None


async def test_it_gets_ready_serves_its_metrics_and_stops_on_sigterm(rig: Rig):
    assert rig.server is not None
    async with process("--kubeconfig", str(rig.server.kubeconfig_path), "--log-format", "json") as (started, lines):
        port = await until(lambda: port_in(lines))
        async with aiohttp.ClientSession() as session:

            async def ready() -> bool:
                async with session.get(f"http://127.0.0.1:{port}/readyz") as answer:
                    return answer.status == 200

            await until(ready)
            await rig.create()
            await rig.reaches("Ready")
            async with session.get(f"http://127.0.0.1:{port}/metrics") as answer:
                page = await answer.text()
        assert 'xtrinode_state{name="analytics",namespace="team-a",phase="Ready"} 1.0' in page
        assert 'leader_election_master_status{name="xtrinode-controller"} 1.0' in page
        started.send_signal(signal.SIGTERM)
        assert await asyncio.wait_for(started.wait(), 20) == 0
    assert all(line.startswith("{") for line in lines)
    assert not any("Traceback" in line for line in lines)


async def test_a_management_port_that_is_taken_is_one_clear_line(rig: Rig):
    assert rig.server is not None
    taken = f"127.0.0.1:{rig.server.port}"
    flags = ("--kubeconfig", str(rig.server.kubeconfig_path), "--management-address", taken)
    async with process(*flags) as (started, lines):
        assert await asyncio.wait_for(started.wait(), 20) == 1
    assert taken in lines[-1]
    assert not any("Traceback" in line for line in lines)


async def test_a_kubeconfig_that_is_not_there_is_one_clear_line(tmp_path):
    async with process("--kubeconfig", str(tmp_path / "none")) as (started, lines):
        assert await asyncio.wait_for(started.wait(), 20) == 1
    assert str(tmp_path / "none") in lines[-1]
    assert not any("Traceback" in line for line in lines)


async def test_a_wrong_flag_says_what_to_write():
    async with process("--drain-poll", "soon") as (started, lines):
        assert await asyncio.wait_for(started.wait(), 20) == 2
    assert "--drain-poll cannot be 'soon'" in lines[-1]
