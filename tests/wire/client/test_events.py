"""The recorder on the wire: what is posted, how repeats become a series, and that nothing fails the caller."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any

import pytest

from crds.client import Credentials, EventRecorder, KubeClient, RetryPolicy
from tests.support.fake_api import Answer, FakeApi, refusal

COLLECTION = "/apis/events.k8s.io/v1/namespaces/ns/events"
RUNTIME = {
    "apiVersion": "analytics.xtrinode.io/v1",
    "kind": "XTrinode",
    "metadata": {"name": "sales", "namespace": "ns", "uid": "u1", "resourceVersion": "7"},
}
NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


@pytest.fixture
async def api() -> AsyncIterator[FakeApi]:
    async with FakeApi() as api:
        api.on("POST", COLLECTION, Answer(201, json={"kind": "Event"}))
        yield api


@pytest.fixture
async def client(api: FakeApi) -> AsyncIterator[KubeClient]:
    async with KubeClient(Credentials.fixed(api.url), retry=RetryPolicy(attempts=2, base=0.001)) as client:
        yield client


def recorder(client: KubeClient, **options: Any) -> EventRecorder:
    return EventRecorder(client, "xtrinode-controller", instance="host", clock=lambda: 0.0, wall=lambda: NOW, **options)


@asynccontextmanager
async def running(events: EventRecorder) -> AsyncIterator[EventRecorder]:
    task = asyncio.create_task(events.run())
    yield events
    await events.close()
    await asyncio.wait_for(task, 5)


async def test_an_event_is_posted_for_its_object(api: FakeApi, client: KubeClient) -> None:
    async with running(recorder(client)) as events:
        events.event(RUNTIME, "Warning", "Crashing", "the coordinator restarted", action="Reconcile")
        await api.until(lambda: len(api.requests) == 1)
    posted = api.requests[0].json
    assert posted["apiVersion"] == "events.k8s.io/v1"
    assert posted["metadata"]["namespace"] == "ns"
    assert posted["metadata"]["name"].startswith("sales.")
    assert posted["regarding"] == {
        "apiVersion": "analytics.xtrinode.io/v1",
        "kind": "XTrinode",
        "namespace": "ns",
        "name": "sales",
        "uid": "u1",
    }
    assert (posted["type"], posted["reason"], posted["action"]) == ("Warning", "Crashing", "Reconcile")
    assert posted["note"] == "the coordinator restarted"
    assert posted["eventTime"] == "2026-01-02T03:04:05.000000Z"
    assert events.written == 1


async def test_a_repeat_patches_the_series(api: FakeApi, client: KubeClient) -> None:
    async with running(recorder(client)) as events:
        events.event(RUNTIME, "Normal", "Resumed", "up")
        await api.until(lambda: len(api.requests) == 1)
        name = api.requests[0].json["metadata"]["name"]
        api.on("PATCH", f"{COLLECTION}/{name}", Answer(json={}))
        events.event(RUNTIME, "Normal", "Resumed", "up")
        await api.until(lambda: len(api.requests) == 2)
    patch = api.requests[1]
    assert patch.headers["Content-Type"] == "application/merge-patch+json"
    assert patch.json == {"series": {"count": 2, "lastObservedTime": "2026-01-02T03:04:05.000000Z"}}


async def test_repeats_before_the_first_write_are_one_write(api: FakeApi, client: KubeClient) -> None:
    events = recorder(client)
    for _ in range(5):
        events.event(RUNTIME, "Normal", "Resumed", "up")
    await events.close()
    (posted,) = api.requests
    assert posted.json["series"]["count"] == 5


async def test_an_expired_event_is_written_anew(api: FakeApi, client: KubeClient) -> None:
    async with running(recorder(client)) as events:
        events.event(RUNTIME, "Normal", "Resumed", "up")
        await api.until(lambda: len(api.requests) == 1)
        events.event(RUNTIME, "Normal", "Resumed", "up")
        await api.until(lambda: len(api.seen("POST", COLLECTION)) == 2)
    assert "series" not in api.seen("POST", COLLECTION)[1].json


async def test_a_lost_answer_makes_no_second_event(api: FakeApi, client: KubeClient) -> None:
    api.on("POST", COLLECTION, Answer(reset=True), refusal(409, "AlreadyExists"))
    events = recorder(client)
    events.event(RUNTIME, "Normal", "Resumed", "up")
    await events.close()
    assert events.written == 1
    assert len({seen.json["metadata"]["name"] for seen in api.requests}) == 1


@pytest.mark.parametrize("answer", [refusal(403, "Forbidden"), refusal(503, ""), Answer(reset=True), Answer(body=b"x")])
async def test_a_server_that_refuses_costs_only_the_event(api: FakeApi, client: KubeClient, answer: Answer) -> None:
    api.on("POST", COLLECTION, answer)
    async with running(recorder(client)) as events:
        events.event(RUNTIME, "Normal", "Resumed", "up")
    assert events.dropped == 1


async def test_a_full_queue_drops(api: FakeApi, client: KubeClient) -> None:
    events = recorder(client, queue=3)
    for n in range(5):
        events.event(RUNTIME, "Normal", "Reason", f"text {n}")
    assert events.dropped == 2
    await events.close()
    assert len(api.requests) == 3


async def test_closing_does_not_wait_for_a_server_that_hangs(api: FakeApi, client: KubeClient) -> None:
    api.on("POST", COLLECTION, Answer(after=asyncio.Event()))
    events = recorder(client)
    for n in range(3):
        events.event(RUNTIME, "Normal", "Reason", f"text {n}")
    await asyncio.wait_for(events.close(timeout=0.05), 5)
    assert events.dropped == 3
    events.event(RUNTIME, "Normal", "Late", "after the end")
    assert events.dropped == 4


@pytest.mark.parametrize("odd", [{}, {"metadata": None}, {"metadata": {"name": 7}}])
async def test_an_odd_object_fails_nobody(client: KubeClient, odd: dict[str, Any]) -> None:
    events = recorder(client)
    events.event(odd, "Normal", "Reason", "text \ud800")
    await events.close()


async def test_an_event_while_a_write_is_under_way_is_not_lost(api: FakeApi, client: KubeClient) -> None:
    answered = asyncio.Event()
    api.on("POST", COLLECTION, Answer(201, after=answered))
    async with running(recorder(client)) as events:
        events.event(RUNTIME, "Normal", "Resumed", "up")
        await api.until(lambda: len(api.requests) == 1)
        name = api.requests[0].json["metadata"]["name"]
        api.on("PATCH", f"{COLLECTION}/{name}", Answer())
        events.event(RUNTIME, "Normal", "Resumed", "up")
        answered.set()
        await api.until(lambda: len(api.requests) == 2)
    assert api.requests[1].json["series"]["count"] == 2
