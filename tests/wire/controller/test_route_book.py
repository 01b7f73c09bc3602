"""The writer of the routing table against an API server: who may write, and what it knows of a table that it cannot
write or that somebody took away."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Any

import pytest

from controller.route_book import RouteBook
from controller.routing import route_entry
from crds.client import Credentials, KubeClient, RetryPolicy
from crds.v1.lifecycle import RouteState
from crds.v1.shape import resolve
from tests.support.fake_api import Answer, FakeApi, Seen, refusal
from tests.support.runtimes import runtime

PATH = "/api/v1/namespaces/gateways/configmaps/trino-gateway-routes"
KEY = ("team-a", "analytics")


class World:
    """A server, and a book whose cache shows what was written to it."""

    def __init__(self, api: FakeApi, client: KubeClient) -> None:
        self.api = api
        self.refusing = False
        self.leads = True
        self.table: list[dict[str, Any]] = []
        self.told: asyncio.Queue[tuple[str, str]] = asyncio.Queue()
        self.asked = asyncio.Event()
        self.book = RouteBook(
            client,
            "gateways",
            delay=0.0,
            settle=0.0,
            live=lambda: self.table,
            on_published=self.told.put_nowait,
            may_write=self._may_write,
        )
        api.on("PATCH", PATH, self._answer)

    def _may_write(self) -> bool:
        self.asked.set()
        return self.leads

    def _answer(self, seen: Seen) -> Answer:
        if self.refusing:
            return refusal(403, "Forbidden", "the namespace is being terminated")
        body = seen.json
        self.table = [{"metadata": {"name": "trino-gateway-routes"}, "data": body["data"]}]
        return Answer(json=body)

    def put(self, state: RouteState) -> None:
        x = runtime()
        self.book.put(KEY, route_entry(x, resolve(x), state))

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        task = asyncio.create_task(self.book.run())
        try:
            yield
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    async def until_told(self) -> None:
        assert await asyncio.wait_for(self.told.get(), 10) == KEY


@pytest.fixture
async def world() -> AsyncIterator[World]:
    async with FakeApi() as api, KubeClient(Credentials.fixed(api.url), retry=RetryPolicy(attempts=1)) as client:
        yield World(api, client)


async def test_a_copy_that_does_not_lead_at_the_moment_writes_nothing_and_forgets_nothing(world: World) -> None:
    world.leads = False
    world.put(RouteState.RUNNING)
    async with world.running():
        await asyncio.wait_for(world.asked.wait(), 10)
        assert world.api.seen("PATCH", PATH) == []
        world.leads = True
        await world.until_told()
    assert world.book.published(KEY) is RouteState.RUNNING


async def test_what_cannot_be_written_is_told_to_those_who_wait_for_it(world: World) -> None:
    world.put(RouteState.RESUMING)
    async with world.running():
        await world.until_told()
        world.refusing = True
        world.put(RouteState.RUNNING)
        await world.until_told()
        assert world.book.published(KEY) is RouteState.RESUMING
        assert "being terminated" in world.book.problem_of(KEY)
        assert world.book.problem_of(("team-b", "x")) == ""


async def test_a_table_that_is_gone_and_cannot_be_written_routes_to_nobody(world: World) -> None:
    world.put(RouteState.RUNNING)
    async with world.running():
        await world.until_told()
        world.refusing, world.table = True, []
        world.book.touched()
        await world.until_told()
        assert world.book.published(KEY) is None
        assert world.book.is_settled(KEY)
