"""What the runtime says when its pods do not come up, and that it comes to Ready when they do.

Plan: pods that start slowly, crash, find no node, are evicted. kwok's stages and the real scheduler play the nodes.
"""

from __future__ import annotations

from typing import Any

from crds.client.resources import NODES, PODS
from tests.cluster.real.conftest import System, until
from tests.support.clusters import ONLY_REAL
from tests.support.control_plane import EVICT, START, START_DELAY

pytestmark = ONLY_REAL


def annotated(key: str, value: str | None) -> dict[str, Any]:
    """A spec part that puts an annotation on the coordinator's pods."""
    return {"valuesOverlay": {"coordinator": {"annotations": {key: value}}}}


async def tells(system: System, name: str, *words: str) -> None:
    """Waits until the runtime's status has these words in its message."""

    async def told() -> str | None:
        status = (await system.get(name)).get("status") or {}
        found = str(status.get("message"))
        return found if all(word in found for word in words) else None

    await until(told)


async def test_a_slow_start_is_waited_for(system: System) -> None:
    await system.controller()
    await system.create("slow", **annotated(START_DELAY, "2s"))
    await tells(system, "slow", "waiting for the coordinator")
    assert (await system.routes())[f"{system.namespace}/slow"] == "RESUMING"
    await system.reaches("slow", "Ready")
    assert (await system.routes())[f"{system.namespace}/slow"] == "RUNNING"


async def test_a_crash_is_told_and_a_mended_spec_heals_it(system: System) -> None:
    await system.controller()
    await system.create("crashing", **annotated(START, "crash"))
    await tells(system, "crashing", "CrashLoopBackOff", "last exit: Error (100)")
    await system.change("crashing", **annotated(START, None))
    await system.reaches("crashing", "Ready")


async def test_pods_without_a_node_say_so_and_start_when_there_is_one(system: System) -> None:
    await system.controller()
    await system.create("homeless", placement={"nodeSelector": {"rack": system.namespace}})
    await tells(system, "homeless", "cannot be scheduled")
    await system.client.patch(NODES, "kwok-0", None, {"metadata": {"labels": {"rack": system.namespace}}})
    await system.reaches("homeless", "Ready")


async def test_an_evicted_coordinator_is_replaced(system: System) -> None:
    await system.controller()
    await system.create("evicted")
    await system.reaches("evicted", "Ready")
    coordinators = "app.kubernetes.io/component=coordinator"
    (pod,) = (await system.client.list_(PODS, system.namespace, coordinators)).items
    name = pod["metadata"]["name"]
    await system.client.patch(PODS, name, system.namespace, {"metadata": {"annotations": {EVICT: "true"}}})

    async def replaced() -> bool:
        pods = (await system.client.list_(PODS, system.namespace, coordinators)).items
        phases = {one["metadata"]["name"]: one["status"]["phase"] for one in pods}
        return phases.pop(name, "Failed") == "Failed" and list(phases.values()) == ["Running"]

    await until(replaced)
    await system.reaches("evicted", "Ready")
