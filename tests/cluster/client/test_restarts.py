"""The client across restarts of the API server: kept state is resumed, lost state is found out.

The sandbox's server, because it restarts in milliseconds and can forget everything; kube-apiserver's restart is part
of the tests beside this one.
"""

import asyncio
from pathlib import Path

from crds.client import Informer, KubeClient
from crds.client.resources import CONFIG_MAPS
from sandbox.kube.server import KubeServer


def config_map(name: str) -> dict[str, object]:
    return {"metadata": {"name": name, "namespace": "default", "labels": {"mine": "1"}}}


class Names:
    """The names that an informer holds, awaitable."""

    def __init__(self, client: KubeClient) -> None:
        self._news = asyncio.Event()
        self.informer = Informer(
            client,
            CONFIG_MAPS,
            "default",
            "mine=1",
            on_change=lambda *_: self._news.set(),
            sleep=lambda seconds: asyncio.sleep(min(seconds, 0.05)),
        )

    async def until(self, *names: str) -> None:
        async with asyncio.timeout(20):
            while {item["metadata"]["name"] for item in self.informer.items()} != set(names):
                self._news.clear()
                await self._news.wait()


async def test_a_server_that_kept_its_state_is_resumed(tmp_path: Path) -> None:
    async with KubeServer(tmp_path) as server:
        port, kubeconfig = server.port, str(server.kubeconfig_path)
        client = await KubeClient.connect(kubeconfig)
        names = Names(client)
        task = asyncio.create_task(names.informer.run())
        await client.create(CONFIG_MAPS, config_map("a"))
        await names.until("a")
    assert names.informer.get("default", "a") is not None
    async with KubeServer(tmp_path, port):
        await client.create(CONFIG_MAPS, config_map("b"))
        await names.until("a", "b")
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        await client.close()


async def test_a_server_that_forgot_everything_is_believed(tmp_path: Path) -> None:
    """New certificates, a new token and versions that start over, under the same address and kubeconfig."""
    kubeconfig = tmp_path / "kubeconfig"
    async with KubeServer(kubeconfig=kubeconfig) as server:
        port = server.port
        client = await KubeClient.connect(str(kubeconfig))
        names = Names(client)
        task = asyncio.create_task(names.informer.run())
        for number in range(20):
            await client.create(CONFIG_MAPS, config_map(f"m{number}"))
        await names.until(*(f"m{number}" for number in range(20)))
    async with KubeServer(port=port, kubeconfig=kubeconfig):
        await client.create(CONFIG_MAPS, config_map("new"))
        await names.until("new")
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        await client.close()
