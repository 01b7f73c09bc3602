"""Programs started by forking: they behave as if they had been started on their own, and never outlive the kubelet."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest_asyncio

from crds.client.resources import DEPLOYMENTS, PODS
from sandbox.kubelet.forked import Nursery
from sandbox.kubelet.nursery import MESSAGE_LIMIT
from sandbox.kubelet.processes import Guard
from tests.cluster.kubelet.conftest import Cluster, alive, rolled_out
from tests.cluster.kubelet.test_trino_pods import CATALOG, config, deployment, service

PROGRAM = "tests.cluster.kubelet.nursery_program"


class Setting:
    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.guard = Guard()
        self.nursery = Nursery(self.guard, (PROGRAM,))
        self.output = {False: bytearray(), True: bytearray()}
        self.heard = asyncio.Event()

    def take(self, is_stderr: bool, data: bytes) -> None:
        self.output[is_stderr] += data
        self.heard.set()

    async def start(self, *arguments: str, **environment: str) -> Any:
        found = await self.nursery.start(PROGRAM, arguments, environment, self.directory, self.take)
        assert found is not None
        return found

    async def run(self, *arguments: str, **environment: str) -> int:
        process = await self.start(*arguments, **environment)
        return int(await asyncio.wait_for(process.wait(), 30))

    async def family(self) -> tuple[Any, list[int]]:
        self.heard.clear()
        process = await self.start("family")
        await asyncio.wait_for(self.heard.wait(), 30)
        return process, [int(word) for word in self.output[False].split()]


@pytest_asyncio.fixture
async def setting(tmp_path: Path) -> AsyncIterator[Setting]:
    made = Setting(tmp_path)
    made.guard.start()
    yield made
    made.nursery.stop()
    made.guard.stop()


async def ended(processes: list[int]) -> bool:
    for _ in range(500):
        if not any(map(alive, processes)):
            return True
        await asyncio.sleep(0.02)
    return False


async def test_output_exit_code_directory_and_environment_are_the_programs_own(setting: Setting) -> None:
    assert await setting.run("say", "x", WORD="given") == 7
    assert setting.output[False].decode() == f"out x given None 1 {setting.directory}\n"
    assert setting.output[True] == b"err\n"


async def test_every_way_to_end_gives_its_exit_code(setting: Setting) -> None:
    assert await setting.run("exit", "100") == 100
    assert await setting.run("raise") == 1
    assert b"out of luck" in setting.output[True]
    process, _ = await setting.family()
    process.signal(signal.SIGTERM)
    assert await asyncio.wait_for(process.wait(), 30) == 128 + signal.SIGTERM


async def test_programs_share_neither_random_numbers_nor_descriptors(setting: Setting) -> None:
    for _ in range(3):
        await setting.run("draw")
    assert len(set(setting.output[False].decode().split())) == 3
    setting.output[False].clear()
    await setting.run("descriptors")
    assert setting.output[False].decode() == "[0, 1, 2]\n"


async def test_many_programs_at_once_are_told_apart(setting: Setting) -> None:
    codes = await asyncio.gather(*(setting.run("exit", str(code)) for code in range(30)))
    assert codes == list(range(30))


async def test_stopping_the_nursery_ends_its_programs(setting: Setting) -> None:
    process, family = await setting.family()
    setting.nursery.stop()
    assert await asyncio.wait_for(process.wait(), 30) == 137
    assert await ended(family)


async def test_a_killed_nursery_counts_as_killed_programs_and_is_replaced(setting: Setting) -> None:
    process, family = await setting.family()
    parent = int(Path(f"/proc/{family[0]}/stat").read_text().rpartition(")")[2].split()[1])
    os.kill(parent, signal.SIGKILL)
    assert await asyncio.wait_for(process.wait(), 30) == 137
    assert await ended(family)
    assert await setting.run("exit", "3") == 3


async def test_a_request_that_is_too_long_is_left_to_the_caller(setting: Setting) -> None:
    found = await setting.nursery.start(PROGRAM, ["x" * MESSAGE_LIMIT], {}, setting.directory, setting.take)
    assert found is None


async def test_a_start_that_is_cancelled_leaves_nothing_running(setting: Setting) -> None:
    await setting.run("exit", "0")
    task = asyncio.create_task(setting.start("family"))
    await asyncio.sleep(0)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    assert task.cancelled()
    await setting.run("exit", "0")  # by now the other one has started
    assert await ended([int(word) for word in setting.output[False].split()])


async def test_forked_trino_pods_have_ids_of_their_own(cluster: Cluster) -> None:
    await cluster.start_kubelet()
    worker = deployment("worker")
    worker["spec"]["replicas"] = 3
    await cluster.create(CATALOG, config("coordinator"), config("worker"), service(), deployment("coordinator"), worker)
    for role in ("coordinator", "worker"):
        await cluster.until(DEPLOYMENTS, f"trino-a-{role}", rolled_out)
    pods = await cluster.all_until(PODS, lambda items: len(items) == 4)
    ids = set()
    for item in pods:
        text = await cluster.logs(item["metadata"]["name"])
        ids.add(next(line for line in text.splitlines() if "listens on" in line).split("Stand-in ")[1].split()[1])
    assert len(ids) == 4
