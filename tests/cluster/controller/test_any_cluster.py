"""The controller under its own ServiceAccount on whatever API server there is, the real one included: a whole life, no
refused call, no write in the steady state, and nothing left behind.

On the real one kwok's pods turn Ready without running anything, so no coordinator answers and drains end by timeout.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from controller.config import Settings
from controller.manager import Manager
from crds.client.resources import (
    CONFIG_MAPS,
    DEPLOYMENTS,
    ENDPOINT_SLICES,
    HORIZONTAL_POD_AUTOSCALERS,
    INGRESSES,
    NETWORK_POLICIES,
    POD_DISRUPTION_BUDGETS,
    PODS,
    REPLICA_SETS,
    SERVICE_ACCOUNTS,
    SERVICES,
    XTRINODES,
)
from crds.client.transport import KubeClient
from sandbox.install import install
from tests.cluster.controller.conftest import NAMESPACE, Rig, namespaces, until
from tests.support.clusters import Cluster
from tests.support.fake_nodes import FakeNodes

SPEC = {
    "maxWorkers": 2,
    "drainTimeout": "1s",
    # Spelled as people do; the server stores them otherwise, which must not look like drift.
    "resources": {role: {"requests": {"cpu": "500m", "memory": "2048Mi"}} for role in ("coordinator", "worker")},
    "valuesOverlay": {"server": {"autoscaling": {"enabled": True}}},
    "helmChartConfig": {
        "ingress": {"enabled": True, "hosts": [{"host": "a.example.com"}]},
        "networkPolicy": {"enabled": True},
    },
}
MADE = (
    DEPLOYMENTS,
    REPLICA_SETS,
    PODS,
    SERVICES,
    CONFIG_MAPS,
    POD_DISRUPTION_BUDGETS,
    HORIZONTAL_POD_AUTOSCALERS,
    INGRESSES,
    NETWORK_POLICIES,
    SERVICE_ACCOUNTS,
    ENDPOINT_SLICES,
)


class Heard:
    def __init__(self) -> None:
        self.refused: set[tuple[str, str, int]] = set()

    def __call__(self, verb: str, resource: str, status: int, seconds: float) -> None:
        if status in (401, 403):
            self.refused.add((verb, resource, status))


@pytest.fixture
async def under_its_account(cluster: Cluster, tmp_path: Path) -> AsyncIterator[tuple[Rig, Manager, Heard]]:
    heard = Heard()
    async with await KubeClient.connect(cluster.kubeconfig) as admin:
        accounts = await install(admin, tmp_path, Path(cluster.kubeconfig))
        await namespaces(admin)
        async with (
            await KubeClient.connect(str(accounts["controller"]), on_call=heard) as own,
            FakeNodes(admin) as nodes,
        ):
            if cluster.is_real:
                await nodes.rest()
            manager = Manager(Settings(drain_poll=0.2, route_settle=0.1), own)
            stop = asyncio.Event()
            running = asyncio.create_task(manager.run(stop))
            try:
                yield Rig(None, admin, nodes), manager, heard
            finally:
                stop.set()
                await running


def writes(manager: Manager) -> float:
    families = [f for f in manager.metrics.registry.collect() if f.name == "xtrinode_controller_writes"]
    return sum(sample.value for family in families for sample in family.samples if sample.name.endswith("_total"))


async def test_a_whole_life(under_its_account):
    rig, manager, heard = under_its_account
    await rig.create(SPEC, "whole")
    await rig.reaches("Ready", "whole", 60)

    async def quiet() -> bool:
        before = writes(manager)
        manager.runtimes.add((NAMESPACE, "whole"))
        await asyncio.sleep(0.3)
        return writes(manager) == before

    await until(quiet)
    # Nothing changes any more, however often it looks.
    assert await quiet()
    assert await quiet()
    await rig.patch({"suspended": True}, "whole")
    await rig.reaches("Suspended", "whole", 60)
    await rig.patch({"suspended": False}, "whole")
    await rig.reaches("Ready", "whole", 60)
    await rig.client.delete(XTRINODES, "whole", NAMESPACE)
    await until(lambda: rig.is_gone("whole"), 60)

    async def clean() -> bool:
        for kind in MADE:
            for obj in (await rig.client.list_(kind, NAMESPACE)).items:
                if obj["metadata"]["name"].startswith("trino-whole"):
                    return False
        return True

    await until(clean, 60)
    assert heard.refused == set()
