"""A sandbox API server with a kubelet on it, in this process; waiting is by watch, never by sleeping."""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from crds.client import KubeClient
from crds.client.informer import Informer
from crds.client.resources import DEPLOYMENTS, PODS, Resource, resource_for
from sandbox.kube.server import KubeServer
from sandbox.kubelet.kubelet import Kubelet
from sandbox.kubelet.settings import Settings

Object = dict[str, Any]
Predicate = Callable[[Object], Any]
NAMESPACE = "default"
PATIENCE = 20.0


class Cluster:
    def __init__(self, server: KubeServer, client: KubeClient, settings: Settings) -> None:
        self.server = server
        self.client = client
        self.settings = settings
        self._informers: dict[Resource, tuple[Informer, asyncio.Task[None], asyncio.Event]] = {}
        self._stack = contextlib.AsyncExitStack()

    async def start_kubelet(self, **changes: Any) -> Kubelet:
        """A kubelet that lives until `stop_kubelet` or the end of the test."""
        return await self._stack.enter_async_context(Kubelet(self.client, replace(self.settings, **changes)))

    async def stop_kubelet(self) -> None:
        await self._stack.aclose()

    async def close(self) -> None:
        await self.stop_kubelet()
        tasks = [task for _, task, _ in self._informers.values()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def create(self, *objects: Object) -> None:
        for obj in objects:
            await self.client.create(resource_for(obj["apiVersion"], obj["kind"]), obj, NAMESPACE)

    async def _watched(self, res: Resource) -> tuple[Informer, asyncio.Event]:
        if res not in self._informers:
            changed = asyncio.Event()
            informer = Informer(self.client, res, on_change=lambda *_: changed.set())
            task = asyncio.create_task(informer.run())
            self._informers[res] = (informer, task, changed)
        informer, _, changed = self._informers[res]
        await informer.synced.wait()
        return informer, changed

    async def all_until(
        self, res: Resource, predicate: Callable[[list[Object]], Any], namespace: str | None = NAMESPACE
    ) -> list[Object]:
        """The objects of the namespace, once the predicate holds for them together."""
        informer, changed = await self._watched(res)
        try:
            async with asyncio.timeout(PATIENCE):
                while True:
                    changed.clear()
                    found = [item for item in informer.items() if item["metadata"].get("namespace") == namespace]
                    if predicate(found):
                        return found
                    await changed.wait()
        except TimeoutError:
            raise AssertionError(f"the {res.plural} never got there; they are: {found}") from None

    async def until_cluster_wide(self, res: Resource, name: str, predicate: Predicate) -> Object:
        return await self.until(res, name, predicate, namespace=None)

    async def until(self, res: Resource, name: str, predicate: Predicate, namespace: str | None = NAMESPACE) -> Object:
        """One object, once the predicate holds for it."""

        def named(found: list[Object]) -> Object | None:
            return next((item for item in found if item["metadata"]["name"] == name), None)

        def holds(found: list[Object]) -> bool:
            item = named(found)
            return item is not None and bool(predicate(item))

        found = named(await self.all_until(res, holds, namespace))
        assert found is not None
        return found

    async def gone(self, res: Resource, name: str) -> None:
        await self.all_until(res, lambda found: all(item["metadata"]["name"] != name for item in found))

    async def ready_pod(self, name: str) -> Object:
        return await self.until(PODS, name, is_ready)

    async def rolled_out(self, name: str) -> Object:
        """The Deployment, once its controller has seen its latest spec and all pods of it are available."""
        return await self.until(DEPLOYMENTS, name, rolled_out)

    async def said(self, name: str, lines: int = 1, **options: Any) -> str:
        """What a container wrote, once that is so many lines: a process is up before it says anything."""
        seen = b""
        async with asyncio.timeout(PATIENCE):
            async for chunk in self.client.logs(name, NAMESPACE, follow=True, **options):
                seen += chunk
                if seen.count(b"\n") >= lines:
                    break
        return seen.decode()

    async def logs(self, name: str, **options: Any) -> str:
        chunks = [chunk async for chunk in self.client.logs(name, NAMESPACE, **options)]
        return b"".join(chunks).decode()


def service_address() -> str:
    """A ClusterIP that no test running beside this one uses."""
    return f"127.32.{random.randrange(256)}.{random.randrange(1, 255)}"


def alive(process: int) -> bool:
    """Whether a process still runs; one that only waits to be reaped does not."""
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] not in ("Z", "X")
    except FileNotFoundError:
        return False


def is_ready(pod: Object) -> bool:
    conditions = (pod.get("status") or {}).get("conditions") or []
    return any(item["type"] == "Ready" and item["status"] == "True" for item in conditions)


def rolled_out(deployment: Object) -> bool:
    status = deployment.get("status") or {}
    wanted = deployment["spec"]["replicas"]
    return status.get("observedGeneration", 0) >= deployment["metadata"]["generation"] and all(
        status.get(field, 0) == wanted for field in ("replicas", "updatedReplicas", "availableReplicas")
    )


@pytest_asyncio.fixture
async def cluster(tmp_path: Path) -> AsyncIterator[Cluster]:
    """The server alone; tests start the kubelet that they want."""
    settings = Settings(tmp_path / "kubelet", crash_backoff=0.05, crash_backoff_limit=0.2, image_backoff=0.1)
    async with KubeServer() as server:
        async with await KubeClient.connect(str(server.kubeconfig_path)) as client:
            made = Cluster(server, client, settings)
            try:
                yield made
            finally:
                await made.close()


@pytest.fixture
def pod() -> Callable[..., Object]:
    """Makes a pod of one container that runs a shell script as a local process."""

    def make(name: str, script: str = "exec sleep 1000", *, spec: Object | None = None, **container: Any) -> Object:
        body = {"name": "main", "image": "sandbox/process", "command": ["/bin/sh", "-c", script], **container}
        grace = {"terminationGracePeriodSeconds": 5}
        return {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {"name": name, "labels": {"app": name}},
            "spec": {**grace, "containers": [body], **(spec or {})},
        }

    return make
