"""The kubelet as a process of its own: how it ends, how it comes back, what it does while nobody answers.

Plan: SIGTERM leaves no process and exits 0; after SIGKILL the containers are gone too, and the next kubelet
restarts them in place; processes outlive the API server; a second kubelet and wrong flags are refused plainly.
"""

from __future__ import annotations

import asyncio
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from crds.client import KubeClient
from crds.client.resources import DEPLOYMENTS, NODES, PODS
from sandbox.kube.server import KubeServer
from sandbox.kubelet import guard
from sandbox.kubelet.settings import Settings
from tests.cluster.kubelet.conftest import NAMESPACE, Cluster, alive, is_ready, rolled_out
from tests.cluster.kubelet.test_trino_pods import CATALOG, config, deployment

Object = dict[str, Any]
MakePod = Callable[..., Object]


class Daemon:
    """`python -m sandbox.kubelet` on a data directory; its output is kept in a file."""

    def __init__(self, cluster: Cluster, data_dir: Path) -> None:
        self._cluster = cluster
        self._data_dir = data_dir
        self.output = data_dir.with_suffix(".log")
        self._processes: list[asyncio.subprocess.Process] = []

    async def start(self, *flags: str) -> asyncio.subprocess.Process:
        with self.output.open("ab") as output:
            process = await asyncio.create_subprocess_exec(
                *[sys.executable, "-m", "sandbox.kubelet", "--crash-backoff", "0.1"],
                *["--kubeconfig", str(self._cluster.server.kubeconfig_path), "--data-dir", str(self._data_dir)],
                *flags,
                stdout=output,
                stderr=subprocess.STDOUT,
            )
        self._processes.append(process)
        return process

    async def stop(self) -> None:
        for process in self._processes:
            if process.returncode is None:
                process.terminate()
            await process.wait()


@pytest_asyncio.fixture
async def daemon(cluster: Cluster, tmp_path: Path) -> AsyncIterator[Daemon]:
    made = Daemon(cluster, tmp_path / "data")
    try:
        yield made
    finally:
        await made.stop()


# The container's own process and a child of it that a signal to the first would miss.
FAMILY = "sleep 1000 & echo $$$$ $!; wait"


async def family(cluster: Cluster, name: str) -> list[int]:
    return [int(word) for word in (await cluster.said(name)).split()]


async def ended(processes: list[int]) -> None:
    for _ in range(500):
        if not any(map(alive, processes)):
            return
        await asyncio.sleep(0.02)
    raise AssertionError("processes were left behind")


async def test_sigterm_ends_all_containers_and_leaves_the_objects(
    cluster: Cluster, daemon: Daemon, pod: MakePod
) -> None:
    process = await daemon.start()
    await cluster.create(pod("a", FAMILY), pod("deaf", f'trap "" TERM; {FAMILY}'))
    for name in ("a", "deaf"):
        await cluster.ready_pod(name)
    processes = await family(cluster, "a") + await family(cluster, "deaf")
    process.terminate()
    assert await asyncio.wait_for(process.wait(), 10) == 0
    assert not any(map(alive, processes))
    await cluster.client.get(PODS, "a", NAMESPACE)
    await cluster.until_cluster_wide(NODES, "sandbox", lambda item: "KubeletStopped" in str(item["status"]))
    assert "Traceback" not in daemon.output.read_text()


async def test_after_sigkill_nothing_runs_on_and_the_next_kubelet_restarts_in_place(
    cluster: Cluster, daemon: Daemon, pod: MakePod
) -> None:
    process = await daemon.start()
    await cluster.create(pod("a", FAMILY))
    before = await cluster.ready_pod("a")
    processes = await family(cluster, "a")
    process.kill()
    await process.wait()
    await ended(processes)
    await daemon.start()
    after = await cluster.until(
        PODS, "a", lambda item: item["status"]["containerStatuses"][0]["restartCount"] == 1 and is_ready(item)
    )
    assert after["metadata"]["uid"] == before["metadata"]["uid"]
    assert after["status"]["podIP"] == before["status"]["podIP"]
    assert after["status"]["containerStatuses"][0]["lastState"]["terminated"]["exitCode"] == 137
    assert all(map(alive, await family(cluster, "a")))


async def test_trino_pods_end_with_a_killed_kubelet_and_come_back(cluster: Cluster, daemon: Daemon) -> None:
    process = await daemon.start()
    await cluster.create(CATALOG, config("coordinator"), deployment("coordinator"))
    await cluster.until(DEPLOYMENTS, "trino-a-coordinator", rolled_out)
    (pod,) = await cluster.all_until(PODS, lambda items: len(items) == 1)
    address = pod["status"]["podIP"]
    process.kill()
    await process.wait()
    for _ in range(500):
        try:
            _, writer = await asyncio.open_connection(address, 8080)
        except ConnectionRefusedError:
            break
        writer.close()
        await asyncio.sleep(0.02)
    else:
        raise AssertionError("the stand-in outlived the kubelet")
    await daemon.start()
    await cluster.until(
        PODS,
        pod["metadata"]["name"],
        lambda item: item["status"]["containerStatuses"][0]["restartCount"] == 1 and is_ready(item),
    )


async def test_sigkill_during_a_rollout_makes_no_duplicates(cluster: Cluster, daemon: Daemon, pod: MakePod) -> None:
    template = {"metadata": {"labels": {"app": "web"}}, "spec": pod("x", FAMILY)["spec"]}
    spec = {"replicas": 4, "selector": {"matchLabels": {"app": "web"}}, "template": template}
    process = await daemon.start()
    await cluster.create({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "web"}, "spec": spec})
    for _ in range(3):
        # Killed at the first sign of work, so each time at another point of it.
        await cluster.all_until(PODS, lambda items: any(item["spec"].get("nodeName") for item in items))
        process.kill()
        await process.wait()
        process = await daemon.start()
    await cluster.until(DEPLOYMENTS, "web", rolled_out)
    pods = await cluster.all_until(PODS, lambda items: len(items) == 4 and all(map(is_ready, items)))
    assert len({item["status"]["podIP"] for item in pods}) == 4


async def test_a_pod_deleted_while_no_kubelet_runs_is_removed_by_the_next(
    cluster: Cluster, daemon: Daemon, pod: MakePod
) -> None:
    process = await daemon.start()
    await cluster.create(pod("a"))
    await cluster.ready_pod("a")
    process.kill()
    await process.wait()
    await cluster.client.delete(PODS, "a", NAMESPACE)
    await daemon.start()
    await cluster.gone(PODS, "a")


async def test_a_second_kubelet_on_the_same_directory_is_refused(
    cluster: Cluster, daemon: Daemon, monkeypatch: pytest.MonkeyPatch
) -> None:
    await daemon.start()
    await cluster.until_cluster_wide(NODES, "sandbox", lambda item: bool(item.get("status")))
    second = await daemon.start()
    assert await asyncio.wait_for(second.wait(), 30) == 1
    text = daemon.output.read_text()
    assert "another kubelet uses" in text and "Traceback" not in text


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--kubeconfig", "/no/such/file"], "/no/such/file"),
        (["--trino-home", "/no/such/trino"], "bin/launcher"),
        (["--allocatable-cpu", "lots"], "quantity"),
        (["--speedup", "0"], "--speedup"),
    ],
)
async def test_wrong_flags_are_refused_without_a_traceback(daemon: Daemon, flags: list[str], message: str) -> None:
    process = await daemon.start(*flags)
    assert await asyncio.wait_for(process.wait(), 20) == 1
    text = daemon.output.read_text()
    assert message in text and "Traceback" not in text


async def test_a_kubelet_that_finds_no_api_server_keeps_trying_and_can_be_stopped(
    cluster: Cluster, daemon: Daemon, tmp_path: Path
) -> None:
    kubeconfig = tmp_path / "kubeconfig"
    kubeconfig.write_bytes(cluster.server.kubeconfig_path.read_bytes())
    await cluster.server.stop()
    process = await daemon.start("--log-level", "debug", "--kubeconfig", str(kubeconfig))
    while "not registered yet" not in daemon.output.read_text():
        assert process.returncode is None
        await asyncio.sleep(0.02)
    process.terminate()
    assert await asyncio.wait_for(process.wait(), 20) == 0
    assert "Traceback" not in daemon.output.read_text()


async def test_containers_outlive_the_api_server_and_it_learns_what_happened_meanwhile(
    tmp_path: Path, pod: MakePod
) -> None:
    settings = Settings(tmp_path / "kubelet", crash_backoff=0.05)
    data = tmp_path / "kube"
    first = KubeServer(data)
    await first.start()
    port = first.port
    async with await KubeClient.connect(str(first.kubeconfig_path)) as client:
        cluster = Cluster(first, client, settings)
        kubelet = await cluster.start_kubelet()
        await cluster.create(pod("steady", "echo $$$$; exec sleep 1000"), pod("dies", "echo $$$$; exec sleep 1000"))
        for name in ("steady", "dies"):
            await cluster.ready_pod(name)
        steady, dies = int(await cluster.said("steady")), int(await cluster.said("dies"))
        await first.stop()
        subprocess.run(["kill", "-KILL", str(dies)], check=True)
        worker = kubelet.find(NAMESPACE, "dies")
        assert worker is not None
        while not (worker.directory.logs("main") / "1.log").exists():  # it is restarted without being told to
            await asyncio.sleep(0.02)
        async with KubeServer(data, port):
            await cluster.until(PODS, "dies", lambda item: item["status"]["containerStatuses"][0]["restartCount"] == 1)
            await cluster.create(pod("later"))
            await cluster.ready_pod("later")
            assert alive(steady)
            assert (await client.get(PODS, "steady", NAMESPACE))["status"]["containerStatuses"][0]["restartCount"] == 0
            await cluster.close()
    assert not alive(steady)


def test_the_guard_kills_what_is_listed_and_nothing_else() -> None:
    kept = subprocess.Popen(["sleep", "1000"], start_new_session=True)
    lost = subprocess.Popen(["sleep", "1000"], start_new_session=True)
    try:
        lines = f"+{lost.pid}\n+{kept.pid}\nrubbish\n+1\n-{kept.pid}\n"
        subprocess.run([sys.executable, guard.__file__], input=lines, text=True, check=True, timeout=10)
        assert lost.wait(timeout=10) == -signal.SIGKILL
        assert kept.poll() is None
    finally:
        kept.kill()
        kept.wait()
