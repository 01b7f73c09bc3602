"""Own writes are seen at once, whatever the watch says; keys are worked on once, retried, and later when asked."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from crds.client.errors import Unavailable
from sandbox.kubelet.objects import Key
from sandbox.kubelet.workloads.latest import PATIENCE, Latest
from sandbox.kubelet.workloads.queue import KeyQueue

Object = dict[str, Any]
OnChange = Callable[[str, Object | None, Object | None], None]


def pod(name: str, version: int, **more: Any) -> Object:
    return {"metadata": {"name": name, "namespace": "n", "uid": name, "resourceVersion": str(version), **more}}


class Watch:
    """The part of an informer that is read, driven by hand."""

    def __init__(self) -> None:
        self.objects: dict[str, Object] = {}
        self.listener: OnChange | None = None

    def subscribe(self, listener: OnChange) -> None:
        self.listener = listener

    def by_index(self, name: str, value: str) -> list[Object]:
        return list(self.objects.values())

    def show(self, obj: Object) -> None:
        old = self.objects.get(obj["metadata"]["uid"])
        self.objects[obj["metadata"]["uid"]] = obj
        assert self.listener is not None
        self.listener("MODIFIED" if old else "ADDED", old, obj)

    def remove(self, uid: str) -> None:
        assert self.listener is not None
        self.listener("DELETED", self.objects.pop(uid), None)


class Setting:
    def __init__(self) -> None:
        self.now = 0.0
        self.watch = Watch()
        self.latest = Latest(self.watch, "namespace", lambda: self.now)  # type: ignore[arg-type]

    def versions(self) -> dict[str, str]:
        return {item["metadata"]["name"]: item["metadata"]["resourceVersion"] for item in self.latest.in_namespace("n")}


def test_a_created_object_is_there_before_the_watch_shows_it() -> None:
    setting = Setting()
    setting.latest.wrote(pod("a", 5))
    assert setting.versions() == {"a": "5"}
    assert setting.latest.in_namespace("other") == []


def test_the_newer_version_wins_whoever_has_it() -> None:
    setting = Setting()
    setting.watch.show(pod("a", 4))
    setting.latest.wrote(pod("a", 6))
    assert setting.versions() == {"a": "6"}
    setting.watch.show(pod("a", 5))
    assert setting.versions() == {"a": "6"}
    setting.watch.show(pod("a", 7))
    assert setting.versions() == {"a": "7"}


def test_what_the_watch_removes_stays_removed() -> None:
    setting = Setting()
    setting.watch.show(pod("a", 4))
    setting.latest.wrote(pod("a", 6))
    setting.watch.remove("a")
    assert setting.versions() == {}


def test_an_own_delete_counts_before_the_watch_shows_it() -> None:
    setting = Setting()
    setting.watch.show(pod("a", 4))
    setting.latest.deleted(pod("a", 4))
    (found,) = setting.latest.in_namespace("n")
    assert found["metadata"]["deletionTimestamp"]


def test_an_object_that_never_shows_is_given_up() -> None:
    setting = Setting()
    setting.latest.wrote(pod("a", 5))
    setting.now = PATIENCE + 1
    assert setting.versions() == {}


async def run_until(queue: KeyQueue, done: asyncio.Event) -> None:
    task = asyncio.create_task(queue.run())
    await asyncio.wait_for(done.wait(), 5)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def test_a_key_that_is_queued_twice_is_worked_on_once() -> None:
    seen: list[Key] = []
    done = asyncio.Event()

    async def work(key: Key) -> None:
        seen.append(key)
        if key.name == "last":
            done.set()

    queue = KeyQueue("thing", work)
    for name in ("a", "a", "b", "last"):
        queue.add(Key("n", name))
    await run_until(queue, done)
    assert [key.name for key in seen] == ["a", "b", "last"]


async def test_failures_are_tried_again_and_do_not_stop_others() -> None:
    calls: dict[str, int] = {}
    done = asyncio.Event()

    async def work(key: Key) -> None:
        calls[key.name] = calls.get(key.name, 0) + 1
        if key.name == "down" and calls["down"] < 3:
            raise Unavailable(0, "Unavailable", "nobody answered")
        if key.name == "broken" and calls["broken"] < 2:
            raise KeyError("bug")
        if calls.get("down") == 3 and calls.get("broken") == 2 and calls.get("fine"):
            done.set()

    queue = KeyQueue("thing", work)
    for name in ("down", "broken", "fine"):
        queue.add(Key("n", name))
    await run_until(queue, done)
    assert calls == {"down": 3, "broken": 2, "fine": 1}


async def test_a_key_comes_back_after_the_time_that_its_work_asked_for() -> None:
    calls = 0
    done = asyncio.Event()

    async def work(key: Key) -> float | None:
        nonlocal calls
        calls += 1
        if calls == 2:
            done.set()
            return None
        return 0.01

    queue = KeyQueue("thing", work)
    queue.add(Key("n", "a"))
    await run_until(queue, done)
    assert calls == 2
