"""The informer against a server that misbehaves in every way that servers and networks do.

First the plain case, then each way in which a watch ends (one test per way), then what stays true while the
server is away, then callbacks, transforms and metadata-only. Pauses take no time: the sleep is a double that
counts, so a hot loop would show as hundreds of requests.
"""

import asyncio
import logging
import weakref
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest

from crds.client import Credentials, Informer, KubeClient, RetryPolicy, ShapedInformer, by_namespace
from crds.client.resources import PODS, SECRETS
from crds.client.store import LAST_APPLIED
from tests.support.fake_api import Answer, FakeApi, Feed, Watch, obj, object_list, refusal, status

PATH = "/api/v1/pods"


class World:
    """A fake server, an informer on it, and what its callbacks were told."""

    def __init__(self, api: FakeApi, client: KubeClient) -> None:
        self.api = api
        self.client = client
        self.watch: Watch = api.watch(PATH)
        self.told: list[tuple[str, str, str]] = []
        self.pauses: list[float] = []
        self.gate: asyncio.Event | None = None
        self._changed = asyncio.Condition()
        self._waiting: list[tuple[int, asyncio.Event]] = []

    def informer(self, **options: Any) -> Informer:
        options.setdefault("on_change", self.changed)
        return Informer(self.client, options.pop("res", PODS), sleep=self.sleep, dice=lambda: 1.0, **options)

    def changed(self, event: str, old: dict[str, Any] | None, new: dict[str, Any] | None) -> None:
        about = new or old
        assert about is not None
        self.told.append((event, about["metadata"]["name"], about["metadata"]["resourceVersion"]))
        for count, reached in self._waiting:
            if len(self.told) >= count:
                reached.set()

    async def until_told(self, count: int) -> list[tuple[str, str, str]]:
        reached = asyncio.Event()
        self._waiting.append((count, reached))
        if len(self.told) < count:
            await asyncio.wait_for(reached.wait(), 10)
        return self.told

    async def sleep(self, seconds: float) -> None:
        self.pauses.append(seconds)
        if self.gate is not None:
            await self.gate.wait()
        await asyncio.sleep(0)

    def lists(self, *answers: Answer) -> None:
        self.api.on("GET", PATH, *answers)

    @property
    def list_count(self) -> int:
        return len(self.api.seen("GET", PATH))


@pytest.fixture
async def world() -> AsyncIterator[World]:
    async with FakeApi() as api:
        async with KubeClient(Credentials.fixed(api.url), retry=RetryPolicy(attempts=1)) as client:
            yield World(api, client)


@asynccontextmanager
async def running(informer: Informer) -> AsyncIterator[Informer]:
    task = asyncio.create_task(informer.run())
    try:
        yield informer
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        assert not informer.connected


def listed(version: str, *names: str) -> Answer:
    return Answer(json=object_list(version, *(obj(name, version) for name in names)))


async def first_watch(world: World, version: str = "5") -> Feed:
    feed = await world.watch.opened()
    assert feed.resource_version == version
    return feed


async def test_list_then_watch_from_the_list_s_version(world: World) -> None:
    world.lists(listed("5", "a", "b"))
    async with running(world.informer(indexers={"namespace": by_namespace})) as informer:
        feed = await first_watch(world)
        assert informer.synced.is_set()
        feed.send("ADDED", obj("c", "6"))
        feed.send("MODIFIED", obj("a", "7"))
        feed.send("DELETED", obj("b", "8"))
        await world.until_told(5)
        assert world.told == [
            ("ADDED", "a", "5"),
            ("ADDED", "b", "5"),
            ("ADDED", "c", "6"),
            ("MODIFIED", "a", "7"),
            ("DELETED", "b", "5"),
        ]
        assert [item["metadata"]["name"] for item in informer.items()] == ["a", "c"]
        assert informer.get("ns", "b") is None
        assert len(informer.by_index("namespace", "ns")) == len(informer) == 2
        assert informer.connected


async def test_selectors_go_to_list_and_watch(world: World) -> None:
    path = "/api/v1/namespaces/ns/pods"
    world.api.on("GET", path, listed("5"))
    watch = world.api.watch(path)
    async with running(world.informer(namespace="ns", label_selector="a=b", field_selector="spec.x=y")):
        feed = await watch.opened()
    for query in (world.api.seen("GET", path)[0].query, feed.seen.query):
        assert query["labelSelector"] == "a=b"
        assert query["fieldSelector"] == "spec.x=y"


# The ways a watch ends


async def test_a_server_that_closes_is_resumed_from_the_last_version(world: World) -> None:
    world.lists(listed("5", "a"))
    async with running(world.informer()):
        feed = await first_watch(world)
        feed.send("MODIFIED", obj("a", "6"))
        feed.end()
        again = await first_watch(world, "6")
        again.send("MODIFIED", obj("a", "7"))
        assert await world.until_told(3) == [("ADDED", "a", "5"), ("MODIFIED", "a", "6"), ("MODIFIED", "a", "7")]
    assert world.list_count == 1


async def test_a_reset_is_resumed_from_the_last_version(world: World) -> None:
    world.lists(listed("5", "a"))
    async with running(world.informer()):
        feed = await first_watch(world)
        feed.send("MODIFIED", obj("a", "6"))
        await world.until_told(2)
        feed.reset()
        await first_watch(world, "6")
    assert world.list_count == 1


async def test_an_event_cut_in_half_comes_again_whole(world: World) -> None:
    world.lists(listed("5"))
    async with running(world.informer()):
        feed = await first_watch(world)
        feed.write(b'{"type":"ADDED","object":{"metadata":{"na')
        feed.end()
        (await first_watch(world, "5")).send("ADDED", obj("a", "6"))
        assert await world.until_told(1) == [("ADDED", "a", "6")]


async def test_a_bookmark_moves_the_version_and_is_told_to_nobody(world: World) -> None:
    world.lists(listed("5"))
    async with running(world.informer()):
        feed = await first_watch(world)
        feed.bookmark("41")
        feed.end()
        await first_watch(world, "41")
    assert feed.seen.query["allowWatchBookmarks"] == "true"
    assert world.told == []


async def test_a_410_in_the_stream_lists_again_and_finds_what_was_missed(world: World) -> None:
    world.lists(listed("5", "a", "b"), Answer(json=object_list("50", obj("b", "5"), obj("c", "44"))))
    async with running(world.informer()):
        feed = await first_watch(world)
        feed.send("MODIFIED", obj("a", "6"))
        feed.send("ERROR", status(410, "Expired"))
        await first_watch(world, "50")
        await world.until_told(5)
    assert world.told[3:] == [("ADDED", "c", "44"), ("DELETED", "a", "6")]
    assert [feed.resource_version for feed in world.watch.feeds] == ["5", "50"]


async def test_a_410_before_the_first_event_loses_no_deletion(world: World) -> None:
    world.lists(listed("5", "a"), listed("50"))
    async with running(world.informer()):
        (await first_watch(world)).send("ERROR", status(410, "Expired"))
        await first_watch(world, "50")
    assert world.told == [("ADDED", "a", "5"), ("DELETED", "a", "5")]


async def test_a_410_at_connect_lists_again(world: World) -> None:
    world.lists(listed("5", "a"), listed("50", "a"))
    world.watch.refuse(refusal(410, "Expired"))
    async with running(world.informer()):
        await first_watch(world, "50")
    assert world.list_count == 2


async def test_a_server_that_always_says_410_is_not_hammered(world: World) -> None:
    world.lists(listed("5"))
    world.watch.refuse(*[refusal(410, "Expired")] * 8)
    async with running(world.informer()):
        await first_watch(world)
    assert world.pauses == [pytest.approx(s) for s in (0.8, 1.6, 3.2, 6.4, 12.8, 25.6, 30.0, 30.0)]
    assert world.list_count == 9


async def test_an_error_event_lists_again(world: World) -> None:
    world.lists(listed("5", "a"), listed("50"))
    async with running(world.informer()):
        (await first_watch(world)).send("ERROR", status(500, "InternalError"))
        await first_watch(world, "50")
    assert world.told[-1] == ("DELETED", "a", "5")


@pytest.mark.parametrize("garbage", [b"nonsense\n", b'{"type":"ADDED","object":{}}\n', b"\xff\xfe\n"])
async def test_bytes_that_are_no_event_list_again(world: World, garbage: bytes) -> None:
    world.lists(listed("5"), listed("50"))
    async with running(world.informer()):
        (await first_watch(world)).write(garbage)
        await first_watch(world, "50")


async def test_a_silent_peer_is_given_up_and_resumed(world: World) -> None:
    world.lists(listed("5"))
    async with running(world.informer(inactivity=0.05)):
        silent = await first_watch(world)
        await first_watch(world, "5")
        await asyncio.wait_for(silent.closed.wait(), 5)
    assert world.list_count == 1


@pytest.mark.parametrize("answer", [refusal(500, "InternalError"), refusal(503, ""), Answer(502, body=b"<html>")])
async def test_a_watch_refused_for_trouble_keeps_its_version(world: World, answer: Answer) -> None:
    world.lists(listed("5"))
    world.watch.refuse(answer, answer)
    async with running(world.informer()):
        await first_watch(world, "5")
    assert world.pauses == [pytest.approx(s) for s in (0.8, 1.6)]
    assert world.list_count == 1


async def test_a_server_that_came_back_with_older_state_is_listed_again(world: World) -> None:
    """Restored from a backup, or in memory: its versions start over, and ours is from its future."""
    world.lists(listed("5000", "a", "b"), listed("7", "b"))
    causes = [{"reason": "ResourceVersionTooLarge", "message": "Too large resource version"}]
    world.watch.refuse(refusal(504, "Timeout", causes=causes, retryAfterSeconds=1))
    async with running(world.informer()):
        await first_watch(world, "7")
    assert world.told[2:] == [("MODIFIED", "b", "7"), ("DELETED", "a", "5000")]


@pytest.mark.parametrize("answer", [refusal(504, "Timeout"), refusal(403, "Forbidden"), Answer(502, body=b"<html>")])
async def test_a_version_that_is_refused_again_and_again_is_given_up(world: World, answer: Answer) -> None:
    world.lists(listed("5"), listed("3"))
    world.watch.refuse(answer, answer, answer)
    async with running(world.informer()):
        await first_watch(world, "3")
    assert world.list_count == 2


async def test_a_version_that_only_meets_silence_is_given_up(world: World) -> None:
    world.lists(listed("5"), listed("3"))
    async with running(world.informer(inactivity=0.03)):
        for version in ("5", "5", "5", "3"):
            await first_watch(world, version)


async def test_an_outage_of_any_length_costs_no_list(world: World) -> None:
    world.lists(listed("5"))
    world.watch.refuse(*[Answer(reset=True)] * 6)
    async with running(world.informer()):
        await first_watch(world, "5")
    assert world.list_count == 1


async def test_a_shedding_server_s_retry_after_is_kept(world: World) -> None:
    world.lists(listed("5"))
    world.watch.refuse(Answer(429, headers={"Retry-After": "11"}))
    async with running(world.informer()):
        await first_watch(world, "5")
    assert world.pauses == [11.0]


@pytest.mark.parametrize("answer", [refusal(403, "Forbidden"), refusal(401, "Unauthorized"), refusal(404, "NotFound")])
async def test_a_refused_list_is_asked_again_with_growing_pauses(
    world: World, answer: Answer, caplog: pytest.LogCaptureFixture
) -> None:
    world.lists(*[answer] * 4, listed("5", "a"))
    async with running(world.informer()) as informer:
        await first_watch(world)
        assert informer.synced.is_set()
    assert world.pauses == [pytest.approx(s) for s in (0.8, 1.6, 3.2, 6.4)]
    warnings = [record for record in caplog.records if record.levelno == logging.WARNING]
    assert len(warnings) == 1


async def test_a_watch_that_lived_is_resumed_at_once_and_clears_the_back_off(world: World) -> None:
    now = 0.0
    world.lists(listed("5"))
    world.watch.refuse(refusal(503, ""), refusal(503, ""))
    async with running(world.informer(clock=lambda: now)):
        feed = await first_watch(world)
        feed.send("ADDED", obj("a", "6"))
        await world.until_told(1)  # now our side knows that the watch is open
        pauses = len(world.pauses)
        now += 300.0
        feed.end()
        short = await first_watch(world, "6")
        assert len(world.pauses) == pauses == 2
        short.end()
        await first_watch(world, "6")
    assert world.pauses[2] == pytest.approx(0.8)


async def test_a_410_while_paging_starts_the_list_again(world: World) -> None:
    world.lists(
        Answer(json=object_list("5", obj("a", "1"), token="t")),
        refusal(410, "Expired"),
        listed("9", "b"),
    )
    async with running(world.informer(page=1)) as informer:
        await first_watch(world, "9")
        assert [item["metadata"]["name"] for item in informer.items()] == ["b"]


# While the server is away


async def test_the_last_good_copy_stays_readable(world: World) -> None:
    now = 100.0
    world.lists(listed("5", "a"), Answer(reset=True))
    world.gate = asyncio.Event()
    lost = asyncio.Event()

    async def sleep(seconds: float) -> None:
        lost.set()
        await asyncio.Event().wait()

    informer = Informer(world.client, PODS, sleep=sleep, clock=lambda: now)
    assert informer.age() == float("inf")
    async with running(informer):
        feed = await first_watch(world)
        assert informer.connected
        assert informer.age() == 0.0
        feed.reset()
        await asyncio.wait_for(lost.wait(), 5)
        now = 142.0
        assert not informer.connected
        assert informer.age() == 42.0
        assert "broke" in str(informer.last_error)
        assert informer.synced.is_set()
        assert informer.get("ns", "a") is not None


async def test_opening_the_watch_again_already_counts_as_connected(world: World) -> None:
    world.lists(listed("5"))
    async with running(world.informer()) as informer:
        (await first_watch(world)).reset()
        await first_watch(world)
        async with asyncio.timeout(5):
            while not informer.connected:
                await asyncio.sleep(0)
        assert informer.last_error is None


async def test_a_server_that_comes_back_empty_is_believed(world: World) -> None:
    """An empty list is a fact to the informer; whoever must not lose everything at once guards against it."""
    world.lists(listed("5", "a", "b"), listed("50"))
    async with running(world.informer()):
        (await first_watch(world)).send("ERROR", status(410, "Expired"))
        await world.until_told(4)
    assert [event for event, _, _ in world.told[2:]] == ["DELETED", "DELETED"]


# Callbacks, transforms, metadata


async def test_a_callback_that_fails_stops_nothing(world: World, caplog: pytest.LogCaptureFixture) -> None:
    def broken(event: str, old: Any, new: Any) -> None:
        raise RuntimeError("a bug")

    world.lists(listed("5", "a"))
    informer = world.informer(on_change=broken)
    informer.subscribe(world.changed)
    async with running(informer):
        (await first_watch(world)).send("ADDED", obj("b", "6"))
        await world.until_told(2)
    assert caplog.text.count("a callback failed on ADDED of a Pod") == 2
    assert world.list_count == 1


async def test_what_nobody_reads_is_not_kept(world: World) -> None:
    fat = obj("a", "5", metadata={"managedFields": [{}], "annotations": {LAST_APPLIED: "{}"}})
    world.lists(Answer(json=object_list("5", fat)))
    async with running(world.informer(transform=lambda o: {**o, "extra": 1})) as informer:
        (await first_watch(world)).send("ADDED", {**fat, "metadata": {**fat["metadata"], "name": "b"}})
        await world.until_told(2)
        for item in informer.items():
            assert "managedFields" not in item["metadata"]
            assert item["metadata"]["annotations"] == {}
            assert item["extra"] == 1


async def test_secrets_by_metadata_hold_no_data_even_from_a_server_that_sends_it(world: World) -> None:
    path = "/api/v1/secrets"
    world.api.on("GET", path, Answer(json=object_list("5", obj("s", "5", data={"password": "x"}))))
    watch = world.api.watch(path)
    async with running(world.informer(res=SECRETS, metadata_only=True)) as informer:
        feed = await watch.opened()
        feed.send("ADDED", obj("t", "6", data={"password": "y"}, stringData={"z": "1"}))
        await world.until_told(2)
        assert [sorted(item) for item in informer.items()] == [["apiVersion", "kind", "metadata"], ["metadata"]]
    assert "as=PartialObjectMetadata;" in feed.seen.headers["Accept"]


async def test_a_shape_is_all_that_is_kept_and_none_is_nothing(world: World) -> None:
    def shape(whole: dict[str, Any]) -> int | None:
        number = int(whole["metadata"]["resourceVersion"])
        return number if number < 7 else None

    told: list[tuple[str, int | None, int | None]] = []
    world.lists(listed("5", "a", "b"))
    informer = ShapedInformer(
        world.client,
        PODS,
        shape,
        indexers={"tens": lambda number: (number // 10,)},
        on_change=lambda event, old, new: told.append((event, old, new)),
        sleep=world.sleep,
    )
    task = asyncio.create_task(informer.run())
    try:
        feed = await first_watch(world)
        feed.send("MODIFIED", obj("a", "6"))
        feed.send("MODIFIED", obj("a", "7"))
        feed.send("ADDED", obj("c", "8"))
        feed.end()
        await first_watch(world, "8")
        assert told == [("ADDED", None, 5), ("ADDED", None, 5), ("MODIFIED", 5, 6), ("DELETED", 6, None)]
        assert (informer.items(), informer.by_index("tens", 0), len(informer)) == ([5], [5], 1)
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def test_of_a_list_one_page_at_a_time_is_in_memory(world: World) -> None:
    """Each object is given something that can be counted while the object lives."""

    class Tracked:
        pass

    alive: weakref.WeakSet[Tracked] = weakref.WeakSet()
    most = 0

    def shape(whole: dict[str, Any]) -> str:
        nonlocal most
        tracked = Tracked()
        whole["metadata"]["tracked"] = tracked
        alive.add(tracked)
        most = max(most, len(alive))
        return str(whole["metadata"]["name"])

    pages = [object_list("5", *(obj(f"{page}-{n}", "5") for n in range(10)), token=f"t{page}") for page in range(5)]
    world.lists(*(Answer(json=page) for page in pages), listed("5"))
    informer = ShapedInformer(world.client, PODS, shape, page=10, sleep=world.sleep)
    task = asyncio.create_task(informer.run())
    try:
        await first_watch(world)
        assert len(informer) == 50
        assert most <= 10
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def test_a_list_that_outlives_its_snapshot_is_made_in_larger_pages(world: World) -> None:
    world.lists(
        Answer(json=object_list("5", obj("a", "1"), token="t")),
        refusal(410, "Expired"),
        listed("9", "b"),
    )
    async with running(world.informer(page=1)):
        await first_watch(world, "9")
        assert [seen.query["limit"] for seen in world.api.seen("GET", PATH)] == ["1", "1", "10"]


async def test_an_object_that_a_transform_cannot_take_stays_as_it_was_and_stops_no_other(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    def transform(item: dict[str, Any]) -> dict[str, Any]:
        if item["metadata"].get("labels") == {"of": "nonsense"}:
            raise KeyError("spec")
        return item

    nonsense = {"labels": {"of": "nonsense"}}
    world.lists(Answer(json=object_list("5", obj("a", "1"), obj("never", "2", metadata=nonsense), obj("b", "3"))))
    async with running(world.informer(transform=transform)) as informer:
        feed = await first_watch(world)
        feed.send("MODIFIED", obj("a", "6", metadata=nonsense))
        feed.send("MODIFIED", obj("b", "7"))
        assert await world.until_told(3) == [("ADDED", "a", "1"), ("ADDED", "b", "3"), ("MODIFIED", "b", "7")]
        assert [item["metadata"]["resourceVersion"] for item in informer.items()] == ["1", "7"]
    assert world.list_count == 1
    assert "ns/never" in caplog.text


async def test_a_list_does_not_remove_what_it_holds_and_a_transform_cannot_take(world: World) -> None:
    broken = False

    def transform(item: dict[str, Any]) -> dict[str, Any]:
        if broken:
            raise KeyError("spec")
        return item

    world.lists(listed("5", "a"), listed("9", "a"))
    async with running(world.informer(transform=transform)) as informer:
        feed = await first_watch(world)
        broken = True
        feed.send("ERROR", status(410, "Expired"))
        await first_watch(world, "9")
        assert informer.get("ns", "a") is not None
    assert world.told == [("ADDED", "a", "5")]


async def test_thousands_of_objects_let_others_run(world: World) -> None:
    names = [f"p{n}" for n in range(1000)]
    world.lists(listed("5", *names))
    turns = 0
    done = asyncio.Event()

    async def other() -> None:
        nonlocal turns
        while not done.is_set():
            turns += world.told != [] and len(world.told) < len(names)
            await asyncio.sleep(0)

    task = asyncio.create_task(other())
    async with running(world.informer()):
        await first_watch(world)
    done.set()
    await task
    assert turns >= 3


async def test_stopping_closes_the_connection(world: World) -> None:
    world.lists(listed("5"))
    async with running(world.informer()):
        feed = await first_watch(world)
    feed.write(b"\n")
    await asyncio.wait_for(feed.closed.wait(), 5)


def test_informers_can_be_built_before_the_loop_runs() -> None:
    made: Callable[[], Informer] = lambda: Informer(KubeClient(Credentials.fixed("http://x")), PODS)  # noqa: E731
    assert not made().synced.is_set()
