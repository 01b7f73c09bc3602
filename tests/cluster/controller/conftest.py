"""A sandbox API server, our CRDs, nodes that we control, and the controller in this very process."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
import yaml

from controller.config import Settings
from controller.manager import Manager
from crds.client.errors import AlreadyExists, ApiError, NotFound
from crds.client.resources import CRDS, DEPLOYMENTS, NAMESPACES, XTRINODES
from crds.client.transport import KubeClient
from sandbox.kube.server import KubeServer
from tests.support.control_plane import REPOSITORY
from tests.support.fake_nodes import FakeNodes

Object = dict[str, Any]
NAMESPACE = "team-a"
GATEWAY = "xtrinode-gateway"


async def until(check: Callable[[], Any], seconds: float = 20.0) -> Any:
    """The first true answer of an (async) question; what was last answered is in the failure."""
    answer: Any = None
    try:
        async with asyncio.timeout(seconds):
            while True:
                answer = check()
                if asyncio.iscoroutine(answer):
                    answer = await answer
                if answer:
                    return answer
                await asyncio.sleep(0.02)
    except TimeoutError:
        raise AssertionError(f"not within {seconds} s; the last answer was {answer!r}") from None


class Rig:
    """The parts of a test, and shorthands for what tests do with them."""

    def __init__(self, server: KubeServer | None, client: KubeClient, nodes: FakeNodes) -> None:
        self.server, self.client, self.nodes = server, client, nodes
        self.controller_client = client

    async def create(self, spec: Object | None = None, name: str = "analytics", **metadata: Any) -> Object:
        return await self.client.create(
            XTRINODES,
            {"metadata": {"name": name, "namespace": NAMESPACE, **metadata}, "spec": {"size": "xs"} | (spec or {})},
        )

    async def get(self, name: str = "analytics") -> Object:
        return await self.client.get(XTRINODES, name, NAMESPACE)

    async def patch(self, spec: Object, name: str = "analytics") -> None:
        await self.client.patch(XTRINODES, name, NAMESPACE, {"spec": spec})

    async def phase(self, name: str = "analytics") -> str | None:
        found = (await self.get(name)).get("status", {}).get("phase")
        return str(found) if found else None

    async def reaches(self, phase: str, name: str = "analytics", seconds: float = 20.0) -> Object:
        async def there() -> Object | None:
            obj = await self.get(name)
            return obj if obj.get("status", {}).get("phase") == phase else None

        try:
            found: Object = await until(there, seconds)
        except AssertionError:
            raise AssertionError(f"{name} never was {phase}: {(await self.get(name)).get('status')}") from None
        return found

    async def settles(self, name: str = "analytics") -> None:
        """Ready comes before the last worker does. After this, every pod is up and the status says so."""

        async def all_up() -> bool:
            workers = (await self.reaches("Ready", name))["status"]["workers"]
            deployments = (await self.client.list_(DEPLOYMENTS, NAMESPACE)).items
            up = {d["metadata"]["name"]: (d.get("status") or {}).get("availableReplicas", 0) for d in deployments}
            wanted = {d["metadata"]["name"]: d["spec"]["replicas"] for d in deployments}
            return up == wanted and workers == up[f"trino-{name}-worker"]

        await until(all_up)

    async def is_gone(self, name: str = "analytics") -> bool:
        try:
            await self.get(name)
        except NotFound:
            return True
        return False

    @contextlib.asynccontextmanager
    async def controller(self, **settings: Any) -> AsyncIterator[Manager]:
        """A running controller; leaving stops it in good order."""
        given: Object = {
            "leader_elect": False,
            "route_settle": 0.1,
            "drain_poll": 0.05,
            "event_delay": 0.005,
            "route_delay": 0.01,
        }
        manager = Manager(Settings(**(given | settings)), self.controller_client)
        stop = asyncio.Event()
        running = asyncio.create_task(manager.run(stop))
        try:
            yield manager
        finally:
            stop.set()
            await running

    @contextlib.asynccontextmanager
    async def counted(self) -> AsyncIterator[list[str]]:
        """Controllers that run inside write down what they ask the server to change, whoever else writes meanwhile."""
        writes: list[str] = []

        def on_call(verb: str, resource: str, status: int, seconds: float) -> None:
            if verb not in ("get", "list", "watch"):
                writes.append(f"{verb} {resource}: {status}")

        usual = self.controller_client
        async with self.client.clone(on_call=on_call) as self.controller_client:
            try:
                yield writes
            finally:
                self.controller_client = usual


async def idles(manager: Manager) -> None:
    """Until the controller has looked at everything and nothing is under way or planned."""
    queue = manager.runtimes
    page = b"controller_runtime_reconcile_total{"
    await until(lambda: page in manager.metrics.page() and len(queue) == queue.processing == queue.delayed == 0)


async def namespaces(client: KubeClient) -> None:
    for name in (NAMESPACE, GATEWAY, "xtrinode-system"):
        with contextlib.suppress(AlreadyExists):
            await client.create(NAMESPACES, {"metadata": {"name": name}})


async def install(client: KubeClient) -> None:
    """CRDs and namespaces."""
    for path in sorted((REPOSITORY / "crds" / "manifests").glob("*.yaml")):
        for document in yaml.safe_load_all(path.read_text()):
            with contextlib.suppress(AlreadyExists):
                await client.create(CRDS, document)
    await namespaces(client)

    async def served() -> bool:
        try:
            await client.list_(XTRINODES)
        except ApiError:
            return False
        return True

    await until(served)


@pytest.fixture
async def rig() -> AsyncIterator[Rig]:
    async with KubeServer() as server:
        client = await KubeClient.connect(str(server.kubeconfig_path))
        async with client:
            await install(client)
            async with FakeNodes(client) as nodes:
                yield Rig(server, client, nodes)
