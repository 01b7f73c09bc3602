"""Routes from the cluster to the wire, through the real wiring of one process.

A change is live at once; what is published by accident does not replace what works, and says so; the last good table
survives a restart without the Kubernetes API; what a runtime's state means to a client.
"""

from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import AsyncIterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from tests.support.gateway_process import (
    Client,
    FarCoordinator,
    FarRoutes,
    backend,
    document,
    free_port,
    gateway,
    route,
    until,
)

STALE = "xtrinode_gateway_routes_stale"


@pytest.fixture
async def routes(tmp_path: Path) -> AsyncIterator[FarRoutes]:
    async with FarRoutes(tmp_path) as far:
        yield far


@pytest.fixture
async def coordinator() -> AsyncIterator[FarCoordinator]:
    async with FarCoordinator() as far:
        far.release.set()
        yield far


async def stale(client: Client) -> bool:
    return (await client.metrics())[STALE] == 1


async def fresh(client: Client) -> bool:
    return (await client.metrics())[STALE] == 0


def error_of(page: dict[str, Any]) -> str:
    assert "nextUri" not in page
    return str(page["error"]["message"])


async def test_a_change_is_live_at_once(
    routes: FarRoutes, coordinator: FarCoordinator, record_property: pytest.RecordProperty
) -> None:
    async with gateway(routes) as client:
        await routes.watched()
        took = []
        for number in range(20):
            name = f"r{number}"
            start = time.perf_counter()
            routes.publish(document(route(name, backend(name, coordinator.port))))

            async def routed(name: str = name) -> bool:
                return "nextUri" in await client.submit(f"team/{name}")

            await until(routed, 5, every=0.001)
            took.append(time.perf_counter() - start)
        took.sort()
        record_property("median_seconds", took[10])
        print(f"\nroute change to effect: median {took[10] * 1000:.1f} ms, worst {took[-1] * 1000:.1f} ms")
        # The target is 100 ms; loaded machines get room.
        assert took[10] < 0.5


@pytest.mark.parametrize(
    ("published", "reason"),
    [
        ("routes: [\n  broken", "invalid YAML: line 3"),
        ("just a text", "must be a mapping with a list"),
        ("", "must be a mapping with a list"),
        ('{"routes": []}', "4 of 4 backends disappeared"),
        (document(route("r0", backend("r0", 1))), "3 of 4 backends disappeared"),
        (None, "4 of 4 backends disappeared"),
    ],
)
async def test_an_accident_keeps_the_last_good_routes_and_shows(
    routes: FarRoutes, coordinator: FarCoordinator, tmp_path: Path, published: str | None, reason: str
) -> None:
    good = document(*(route(f"r{number}", backend(f"r{number}", coordinator.port)) for number in range(4)))
    routes.publish(good)
    state = tmp_path / "state"
    async with gateway(routes, state_dir=str(state)) as client:
        await client.until_ready()
        await routes.watched()
        routes.publish(published)
        await until(lambda: stale(client))
        assert "nextUri" in await client.submit("team/r3")
        reload = (await client.status())["reload"]
        assert reload["stale"]
        assert reason in reload["reason"]
        routes.publish(good)
        await until(lambda: fresh(client))
        assert (await client.status())["reload"]["reason"] == ""
        routes.publish(published)
        await until(lambda: stale(client))
    # What was refused is not what a restart starts from.
    await routes.api.stop()
    async with gateway(routes, state_dir=str(state)) as client:
        assert "nextUri" in await client.submit("team/r3")


async def test_the_last_runtime_goes_at_once_when_the_writer_means_it(
    routes: FarRoutes, coordinator: FarCoordinator
) -> None:
    routes.publish(document(route("last", backend("last", coordinator.port), default=True)))
    async with gateway(routes) as client:
        await client.until_ready()
        await routes.watched()
        assert "nextUri" in await client.submit()
        routes.publish('{"routes": [], "empty": true}')

        async def gone() -> bool:
            return (await client.metrics())["xtrinode_gateway_routes"] == 0

        await until(gone)
        assert not await stale(client)
        assert "No route found" in error_of(await client.submit())


async def test_one_bad_entry_costs_no_other_and_is_named(routes: FarRoutes, coordinator: FarCoordinator) -> None:
    routes.publish(document(route("good", backend("good", coordinator.port)), route("bad", {"name": "x"})))
    async with gateway(routes) as client:
        await client.until_ready()
        assert "nextUri" in await client.submit("team/good")
        assert any(
            "route bad has no usable backend" in problem for problem in (await client.status())["reload"]["problems"]
        )


async def test_routes_that_were_never_good_make_no_gateway_ready(routes: FarRoutes) -> None:
    routes.publish("routes: [")
    async with gateway(routes) as client:
        await until(lambda: stale(client))
        assert await client.readyz() == (503, "not ready: no routes loaded yet\n")


async def test_a_restart_without_the_api_routes_from_disk(
    routes: FarRoutes, coordinator: FarCoordinator, tmp_path: Path
) -> None:
    routes.publish(document(route("a", backend("a", coordinator.port), default=True)))
    async with gateway(routes, state_dir=str(tmp_path / "state")) as client:
        await client.until_ready()
        before = await client.submit()
    await routes.api.stop()
    async with gateway(routes, state_dir=str(tmp_path / "state")) as client:
        assert (await client.readyz())[0] == 200
        assert "nextUri" in await client.submit()
        # A query of the life before finds its coordinator, too.
        moved = {
            **before,
            "nextUri": before["nextUri"].replace(before["nextUri"].split("/")[2], f"127.0.0.1:{client.port}"),
        }
        assert (await client.poll(moved))["id"] == before["id"]
        status = await client.status()
        assert status["reload"]["source"] == "disk"
        assert not status["reload"]["connected"]


@pytest.mark.parametrize(
    ("state", "told", "name"),
    [
        ("PAUSED", "kubectl xtrinode resume a -n team", "SERVER_STARTING_UP"),
        ("RESUMING", "team/a is starting; retry when it is ready", "SERVER_STARTING_UP"),
        ("DRAINING", "team/a is being drained and takes no new queries", "SERVER_SHUTTING_DOWN"),
    ],
)
async def test_a_runtime_that_takes_no_queries_says_why_in_the_protocol(
    routes: FarRoutes, coordinator: FarCoordinator, state: str, told: str, name: str
) -> None:
    routes.publish(document(route("a", backend("a", coordinator.port, state))))
    async with gateway(routes) as client:
        await client.until_ready()
        page = await client.submit("team/a")
        assert told in error_of(page)
        assert page["error"]["errorName"] == name
        assert coordinator.statements == 0


async def test_a_coordinator_that_restarted_loses_its_queries_and_takes_new_ones(routes: FarRoutes) -> None:
    port = free_port()
    routes.publish(document(route("a", backend("a", port), default=True)))
    async with gateway(routes, probe_interval=0.05) as client:
        await client.until_ready()
        async with FarCoordinator("aaaaa", port) as one:
            one.release.set()
            first = await client.submit()
            assert (await client.poll(first))["stats"]["state"] == "RUNNING"
        async with FarCoordinator("bbbbb", port) as two:
            two.release.set()

            async def noticed() -> bool:
                (found,) = (await client.status())["routes"][0]["backends"][0]["coordinators"]
                return bool(found["coordinatorId"] == "bbbbb")

            await until(noticed)
            assert "is lost: the coordinator that ran it has stopped" in error_of(await client.poll(first))
            again = await client.submit()
            assert again["id"].endswith("bbbbb")
            assert (await client.poll(again))["stats"]["state"] == "RUNNING"
        assert (await client.status())["summary"]["liveQueries"] == 1


async def test_health_tells_nobody_there_from_nothing_said(routes: FarRoutes) -> None:
    """Dropped packets (here: a full accept queue) and a refused connection are sleep; silence is ill health."""
    with ExitStack() as stack:
        full = stack.enter_context(socket.socket())
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        for _ in range(4):
            filler = stack.enter_context(socket.socket())
            filler.setblocking(False)
            filler.connect_ex(full.getsockname())
        mute = await asyncio.start_server(_say_nothing, "127.0.0.1", 0)
        stack.callback(mute.close)
        routes.publish(
            document(
                route("dropped", backend("dropped", full.getsockname()[1])),
                route("mute", backend("mute", mute.sockets[0].getsockname()[1])),
                route("refused", backend("refused", free_port())),
            )
        )
        async with gateway(routes, probe_interval=0.05, probe_timeout=0.3) as client:
            await client.until_ready()

            async def health() -> dict[str, str]:
                found = (await client.status())["routes"]
                return {
                    one["name"]: coordinator["health"]["state"]
                    for one in found
                    for coordinator in one["backends"][0]["coordinators"]
                }

            async def settled() -> bool:
                found = await health()
                return len(found) == 3 and "unknown" not in found.values()

            await until(settled)
            assert await health() == {"dropped": "sleeping", "mute": "unhealthy", "refused": "sleeping"}


async def _say_nothing(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.read()
    writer.close()


async def test_the_admin_page_is_whole_and_guarded(routes: FarRoutes) -> None:
    async with gateway(routes) as client:
        async with client.http.get(f"{client.management}/") as page:
            assert str(page.url).endswith("/ui/admin/")
            text = await page.text()
            policy = page.headers["Content-Security-Policy"]
        assert "default-src 'none'" in policy
        assert "unsafe" not in policy
        assert "<style" not in text
        assert "http" not in text
        for part, kind in (("admin.css", "text/css"), ("admin.js", "text/javascript")):
            assert part in text
            async with client.http.get(f"{client.management}/ui/admin/{part}") as reply:
                assert (reply.status, reply.content_type) == (200, kind)


async def test_without_any_way_to_a_cluster_it_routes_from_disk_until_it_is_stopped(
    routes: FarRoutes, coordinator: FarCoordinator, tmp_path: Path
) -> None:
    routes.publish(document(route("a", backend("a", coordinator.port), default=True)))
    state = str(tmp_path / "state")
    async with gateway(routes, state_dir=state) as client:
        await client.until_ready()
    async with gateway(routes, state_dir=state, kubeconfig=str(tmp_path / "none")) as client:
        await client.until_ready()
        assert "nextUri" in await client.submit()
        assert (await client.status())["reload"]["source"] == "disk"
