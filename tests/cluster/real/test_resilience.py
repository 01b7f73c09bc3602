"""What happens to the API server, and the controller that lives through it: the same process before and after.

Plan, each time with a leader-elected controller that has brought a runtime to Ready: the API server is killed and comes
back; etcd is compacted, so that every version a watch could resume from is gone; the network stalls, shorter and longer
than a Lease lasts. Each time the runtime is changed and a Service of its removed in etcd itself while no API server is
there to tell. Afterwards both are done, by the same process, and nothing was refused.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from crds.client.resources import DEPLOYMENTS, LEASES, SERVICES
from crds.v1.meta import GROUP
from sandbox.install import SYSTEM_NAMESPACE
from tests.cluster.real.conftest import Part, System, until
from tests.support.clusters import ONLY_REAL

pytestmark = ONLY_REAL


@pytest.fixture
async def controller(system: System) -> AsyncIterator[Part]:
    """Leads, and has a runtime that is Ready."""
    part = await system.controller("--leader-elect")
    await system.create("one")
    await system.reaches("one", "Ready")
    yield part
    assert part.process.poll() is None, f"the controller ended:\n{part.tail()}"


def change_behind_the_servers_back(system: System) -> None:
    """A new wish, and something broken: while no API server can say so to anybody."""

    def three_workers(obj: dict[str, Any]) -> None:
        obj["spec"] |= {"minWorkers": 3, "maxWorkers": 3}
        obj["metadata"]["generation"] += 1

    system.control_plane.etcd.rewrite(f"{GROUP}/xtrinodes/{system.namespace}/one", three_workers)
    system.control_plane.etcd.remove(f"services/specs/{system.namespace}/trino-one-worker")


async def change(system: System) -> None:
    """The same by way of the API server."""
    await system.change("one", minWorkers=3, maxWorkers=3)
    await system.client.delete(SERVICES, "trino-one-worker", system.namespace)


async def converges(system: System) -> None:
    """The wish is fulfilled, and what was broken is mended."""

    async def is_done() -> bool:
        workers = await system.client.get(DEPLOYMENTS, "trino-one-worker", system.namespace)
        await system.client.get(SERVICES, "trino-one-worker", system.namespace)
        return bool(workers["spec"]["replicas"] == 3)

    await until(is_done)
    await system.reaches("one", "Ready")


async def test_the_api_server_is_killed_and_comes_back(system: System, controller: Part) -> None:
    async with system.without_api_server():
        await asyncio.to_thread(change_behind_the_servers_back, system)
    await converges(system)


async def test_a_change_made_just_before_the_api_server_dies_is_not_lost(system: System, controller: Part) -> None:
    await change(system)
    async with system.without_api_server():
        pass
    await converges(system)


async def test_every_version_that_a_watch_could_resume_from_is_gone(system: System, controller: Part) -> None:
    """etcd moves on and forgets before the API server is back: no watch can resume, and everything is listed again."""
    async with system.without_api_server() as since:
        await asyncio.to_thread(change_behind_the_servers_back, system)
        await asyncio.to_thread(system.control_plane.compact)
    await converges(system)
    watched = {call.resource for call in since if call.verb == "watch"}
    assert watched >= {"xtrinodes", "services", "deployments", "pods", "endpointslices", "secrets"}
    # All of them had to, each after a pause of its own.
    await until(lambda: {call.resource for call in since if call.verb == "list"} == watched)


@pytest.mark.parametrize(
    "seconds", [pytest.param(3, id="short"), pytest.param(30, id="longer than a Lease", marks=pytest.mark.slow)]
)
async def test_the_network_stalls(system: System, controller: Part, seconds: int) -> None:
    """Connections stay open and nothing is answered."""
    transitions = await lease_transitions(system)
    system.control_plane.pause("kube-apiserver")
    try:
        await asyncio.to_thread(change_behind_the_servers_back, system)
        await asyncio.sleep(seconds)  # the stall itself
    finally:
        system.control_plane.resume("kube-apiserver")
    await converges(system)
    assert await lease_transitions(system) == transitions, "it still is the same leader"


async def lease_transitions(system: System) -> tuple[str, int]:
    lease = await system.client.get(LEASES, "xtrinode-controller", SYSTEM_NAMESPACE)
    return lease["spec"]["holderIdentity"], lease["spec"].get("leaseTransitions", 0)
