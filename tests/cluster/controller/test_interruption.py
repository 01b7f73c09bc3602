"""kill -9 at any moment: a controller that dies between any two actions is followed by one that reaches the same end.

The death is simulated where it hurts: the executor stops for good after the n-th write, nothing is flushed, and a new
controller with empty memory takes over. Also: the API server restarts, and of two controllers one acts.
"""

from __future__ import annotations

import asyncio
import re
from pathlib import Path

import pytest

from controller.config import Settings
from controller.manager import Manager
from crds.client.errors import NotFound, Unavailable
from crds.client.resources import CONFIG_MAPS, DEPLOYMENTS, PODS, SERVICES, XTRINODES
from crds.client.transport import KubeClient
from crds.v1.meta import SUSPEND_REQUESTED, SUSPEND_REQUESTED_AT
from sandbox.kube.server import KubeServer
from tests.cluster.controller.conftest import GATEWAY, NAMESPACE, Rig, idles, install, until
from tests.support.fake_nodes import FakeNodes

FAST = {"route_settle": 0.05, "drain_poll": 0.05, "event_delay": 0.005, "route_delay": 0.01, "leader_elect": False}


class Mortal(KubeClient):
    """A client whose process dies: after `lives` writes nothing is sent any more."""

    lives = 10**9
    buried: asyncio.Event

    async def _run(self, verb, *args, **kwargs):
        if verb in ("apply", "patch", "create", "delete", "update") and args[1].plural != "events":
            if self.lives <= 0:
                await self.buried.wait()
                raise Unavailable(0, "Dead", "this process is dead")
            self.lives -= 1
        return await super()._run(verb, *args, **kwargs)


async def run_and_die(rig: Rig, writes: int, done) -> bool:
    """A controller that dies after so many writes. Returns whether it got to `done` before."""
    mortal = await Mortal.connect(str(rig.server.kubeconfig_path))
    mortal.lives, mortal.buried = writes, asyncio.Event()
    async with mortal:
        manager = Manager(Settings(**FAST), mortal)
        stop = asyncio.Event()
        running = asyncio.create_task(manager.run(stop))
        try:

            async def over() -> bool:
                return mortal.lives <= 0 or bool(await done())

            await until(over)
            return bool(await done())
        finally:
            # Whatever it still wants to write comes too late.
            mortal.lives = 0
            mortal.buried.set()
            stop.set()
            await running


async def fingerprint(rig: Rig) -> dict[str, str]:
    """What there is, without what differs from run to run."""
    found: dict[str, str] = {}
    for kind in (DEPLOYMENTS, SERVICES, CONFIG_MAPS):
        for namespace in (NAMESPACE, GATEWAY):
            for obj in (await rig.client.list_(kind, namespace, "app.kubernetes.io/managed-by=xtrinode")).items:
                content = obj.get("spec", {}).get("replicas", obj.get("data"))
                found[f"{kind.plural}/{obj['metadata']['name']}"] = re.sub(
                    r'"observedGeneration":\d+', "", str(content)
                )
    return found


@pytest.mark.parametrize("step", [0, 1, 3, 6, 9, 12, 15, 18])
async def test_a_death_on_the_way_up_is_healed(rig: Rig, step: int):
    await rig.create({"maxWorkers": 2})

    async def ready() -> bool:
        return await rig.phase() == "Ready"

    await run_and_die(rig, step, ready)
    async with rig.controller():
        await rig.reaches("Ready")
        reached = await fingerprint(rig)
    assert reached["deployments/trino-analytics-worker"] == "2"
    assert reached["deployments/trino-analytics-coordinator"] == "1"
    assert '"state":"RUNNING"' in reached["configmaps/trino-gateway-routes"]


@pytest.mark.parametrize("step", range(0, 8, 2))
async def test_a_death_while_suspending_or_waking_is_healed(rig: Rig, step: int):
    async with rig.controller():
        await rig.create({"maxWorkers": 2})
        await rig.reaches("Ready")
        up = await fingerprint(rig)
    for suspended, phase in ((True, "Suspended"), (False, "Ready")):
        await rig.patch({"suspended": suspended})

        async def there(phase: str = phase) -> bool:
            return await rig.phase() == phase

        await run_and_die(rig, step, there)
        async with rig.controller():
            await rig.reaches(phase)
            if suspended:
                assert (await rig.client.list_(PODS, NAMESPACE)).items == []
    assert await fingerprint(rig) == up


@pytest.mark.parametrize("step", [0, 1, 2, 4])
async def test_a_death_while_replacing_changed_pods_is_healed(rig: Rig, step: int):
    async with rig.controller():
        await rig.create({"maxWorkers": 2})
        before = (await rig.reaches("Ready"))["status"]
    await rig.patch({"resources": {"coordinator": {"limits": {"cpu": "2", "memory": "4Gi"}}}})

    async def replaced() -> bool:
        status = (await rig.get())["status"]
        changed = status["coordinatorRolloutHash"] != before["coordinatorRolloutHash"]
        return changed and status["phase"] == "Ready"

    await run_and_die(rig, step, replaced)
    async with rig.controller():
        await until(replaced)
        assert "drainStartedAt" not in (await rig.get())["status"]
        reached = await fingerprint(rig)
    assert reached["deployments/trino-analytics-coordinator"] == "1"
    assert reached["deployments/trino-analytics-worker"] == "2"
    assert '"state":"RUNNING"' in reached["configmaps/trino-gateway-routes"]


@pytest.mark.parametrize("step", [0, 1, 2, 3])
async def test_a_death_while_taking_a_command_loses_it_not(rig: Rig, step: int):
    async with rig.controller():
        await rig.create()
        await rig.reaches("Ready")
    command = {SUSPEND_REQUESTED: "true", SUSPEND_REQUESTED_AT: "2026-01-31T12:00:00Z"}
    await rig.client.patch(XTRINODES, "analytics", NAMESPACE, {"metadata": {"annotations": command}})

    async def asleep() -> bool:
        return await rig.phase() == "Suspended"

    await run_and_die(rig, step, asleep)
    async with rig.controller():
        obj = await rig.reaches("Suspended")
    assert obj["spec"]["suspended"] is True
    assert not obj["metadata"].get("annotations")


@pytest.mark.parametrize("step", range(0, 14, 3))
async def test_a_death_while_deleting_leaves_nothing_behind_in_the_end(rig: Rig, step: int):
    async with rig.controller():
        await rig.create()
        await rig.reaches("Ready")
    await rig.client.delete(XTRINODES, "analytics", NAMESPACE)
    await run_and_die(rig, step, rig.is_gone)
    async with rig.controller():
        await until(rig.is_gone)

        async def clean() -> bool:
            left = await fingerprint(rig)
            return set(left) == {"configmaps/trino-gateway-routes"} and "analytics" not in str(left)

        await until(clean)


async def test_of_two_controllers_one_acts_and_the_other_takes_over(rig: Rig):
    async with rig.controller(leader_elect=True, identity="one") as one:
        await rig.create()
        await rig.reaches("Ready")
        async with rig.controller(leader_elect=True, identity="two") as two:
            await until(lambda: two.caches.unsynced() == [])
            assert b'leader_election_master_status{name="xtrinode-controller"} 1.0' in one.metrics.page()
            assert b'leader_election_master_status{name="xtrinode-controller"} 1.0' not in two.metrics.page()
    async with rig.controller(leader_elect=True, identity="three"):
        await rig.patch({"suspended": True})
        await rig.reaches("Suspended")


async def test_a_restarted_controller_writes_nothing_when_all_is_well(rig: Rig):
    async with rig.controller() as manager:
        await rig.create({"autoSuspendAfter": "0s"})
        await rig.settles()
        await idles(manager)
    async with rig.counted() as writes, rig.controller() as manager:
        await idles(manager)
    assert writes == []


async def test_routes_survive_a_restart_without_a_gap(rig: Rig):
    async with rig.controller():
        await rig.create()
        await rig.reaches("Ready")
    seen = set()
    async with rig.controller(event_delay=0.05):
        for _ in range(20):
            obj = await rig.client.get(CONFIG_MAPS, "trino-gateway-routes", GATEWAY)
            seen.add("RUNNING" in obj["data"]["routes.yaml"])
            await asyncio.sleep(0.01)
    assert seen == {True}


async def test_without_the_gateways_namespace_the_message_says_what_to_do(rig: Rig):
    async with rig.controller(gateway_namespace="nowhere") as manager:
        await rig.create()
        await until(lambda: "nowhere does not exist; create it" in manager.routes.last_error)
        with pytest.raises(NotFound):
            await rig.client.get(CONFIG_MAPS, "trino-gateway-routes", "nowhere")


async def test_an_api_server_that_went_away_is_waited_for(tmp_path: Path):
    async with KubeServer(tmp_path) as first:
        port = first.port
        client = await KubeClient.connect(str(first.kubeconfig_path))
        await install(client)
        nodes = FakeNodes(client)
        await nodes.__aenter__()
        rig = Rig(first, client, nodes)
        controller = rig.controller()
        await controller.__aenter__()
        await rig.create()
        await rig.reaches("Ready")
    await asyncio.sleep(1.0)
    async with KubeServer(tmp_path, port):
        try:
            await rig.patch({"suspended": True})
            await rig.reaches("Suspended", seconds=40)
        finally:
            await controller.__aexit__(None, None, None)
            await nodes.__aexit__()
            await client.close()


async def test_a_stop_finishes_what_is_being_written(rig: Rig):
    """SIGTERM in the middle of a reconcile: its remaining writes still happen, and no new one begins."""
    async with rig.controller(workers=1) as manager:
        await rig.create()
        await until(lambda: manager.runtimes.processing == 1)
    names = {obj["metadata"]["name"] for obj in (await rig.client.list_(DEPLOYMENTS, NAMESPACE)).items}
    assert names == {"trino-analytics-coordinator", "trino-analytics-worker"}
    assert await rig.phase() == "Reconciling"
