"""Coordinators as the gateway finds them: by EndpointSlices, by the ids that they tell, and by asking around.

A gateway that has just started knows no query; it must find every query's coordinator all the same, and nobody may
turn made-up query ids into a storm of questions.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest

from tests.support.gateway_process import (
    Client,
    FarCoordinator,
    FarRoutes,
    backend,
    document,
    gateway,
    route,
    until,
)


@pytest.fixture
async def routes(tmp_path: Path) -> AsyncIterator[FarRoutes]:
    async with FarRoutes(tmp_path) as far:
        yield far


def coordinator(coordinator_id: str, **more: Any) -> FarCoordinator:
    made = FarCoordinator(coordinator_id, **more)
    made.release.set()
    return made


async def healthy(client: Client, number: int) -> bool:
    summary = (await client.status())["summary"]
    return bool(summary.get("healthyCoordinators") == number)


async def test_a_coordinator_that_moves_is_followed(routes: FarRoutes) -> None:
    service = {**backend("a", 8080), "coordinatorURL": "http://trino-a.team.svc.cluster.local:8080"}
    routes.publish(document(route("a", service, default=True)))
    async with gateway(routes) as client, coordinator("aaaaa", address="127.80.0.1") as one:
        await client.until_ready()
        await routes.watched()
        assert "has no coordinator address yet" in (await client.submit())["error"]["message"]
        routes.place("trino-a", "127.80.0.1", port=one.port)

        async def taken() -> bool:
            return "nextUri" in await client.submit()

        await until(taken)
        first = await client.submit()
        async with coordinator("bbbbb", address="127.80.0.2", port=one.port) as two:
            routes.place("trino-a", "127.80.0.2", port=two.port)

            async def moved() -> bool:
                return str((await client.submit())["id"]).endswith("bbbbb")

            await until(moved)
            lost = await client.poll(first)
            assert "is lost: the coordinator that ran it has stopped" in lost["error"]["message"]


async def test_a_fresh_gateway_finds_the_coordinator_of_any_query(routes: FarRoutes) -> None:
    async with coordinator("aaaaa") as one, coordinator("bbbbb") as two:
        routes.publish(
            document(route("one", backend("one", one.port), default=True), route("two", backend("two", two.port)))
        )
        async with gateway(routes) as client:
            await client.until_ready()
            pages = [await client.submit("team/one"), await client.submit("team/two")]
        async with gateway(routes, probe_interval=600.0) as client:
            await client.until_ready()
            for page in pages:
                path = page["nextUri"].partition("/v1/")[2]
                assert (await client.poll({"nextUri": f"{client.url}/v1/{path}"}))["id"] == page["id"]


async def test_made_up_query_ids_do_not_multiply_into_questions(routes: FarRoutes) -> None:
    async with AsyncExitStack() as stack:
        found = [
            await stack.enter_async_context(coordinator(f"a{number:04d}".replace("0", "x"))) for number in range(5)
        ]
        routes.publish(
            document(*(route(f"r{number}", backend(f"r{number}", one.port)) for number, one in enumerate(found)))
        )
        client = await stack.enter_async_context(gateway(routes, probe_interval=600.0))
        await client.until_ready()
        await until(lambda: healthy(client, 5))
        before = sum(one.probes for one in found)

        async def guess(number: int) -> str:
            path = f"/v1/statement/executing/20261120_101010_00001_z{number:04d}/yslug/1"
            page = await client.poll({"nextUri": f"{client.url}{path}"})
            return str(page["error"]["message"])

        answers = await asyncio.gather(*(guess(number) for number in range(100)))
        assert all("belongs to no coordinator" in answer for answer in answers)
        # One round for all of them, or two when a second passes meanwhile; not a hundred.
        assert sum(one.probes for one in found) - before <= 3 * len(found)


async def test_a_coordinator_that_starts_takes_nothing_until_it_is_ready(routes: FarRoutes) -> None:
    async with coordinator("aaaaa", starting=True) as slow, coordinator("bbbbb") as ready:
        routes.publish(document(route("both", backend("slow", slow.port), backend("ready", ready.port), default=True)))
        async with gateway(routes, probe_interval=0.05) as client:
            await client.until_ready()
            await until(lambda: healthy(client, 1))
            for _ in range(6):
                assert "nextUri" in await client.submit()
            assert (slow.statements, ready.statements) == (0, 6)
            slow.starting = False
            await until(lambda: healthy(client, 2))
            for _ in range(6):
                await client.submit()
            assert slow.statements == 6  # the other one has six live queries already


async def test_when_all_are_in_doubt_the_request_is_sent_all_the_same(routes: FarRoutes) -> None:
    async with FarCoordinator("aaaaa") as one:
        one.release.set()
        routes.publish(document(route("a", backend("a", one.port), default=True)))
        async with gateway(routes, probe_interval=600.0) as client:
            await client.until_ready()
            await until(lambda: healthy(client, 1))
            port = one.port
            await one.__aexit__()

            async def doubted() -> bool:
                page = await client.submit()
                (found,) = (await client.status())["routes"][0]["backends"][0]["coordinators"]
                return "error" in page and found["circuitBreaker"]["state"] == "open"

            await until(doubted)
            async with coordinator("bbbbb", port=port):
                assert "nextUri" in await client.submit()
