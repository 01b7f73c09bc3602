"""The store: revisions, optimistic locking, history, subscriptions, and the journal that may refuse."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sandbox.kube.errors import StatusError
from sandbox.kube.store import RECENT, Change, GroupResource, Store

MAPS = GroupResource("", "configmaps")
PODS = GroupResource("", "pods")


def obj(name: str, **data: Any) -> dict[str, Any]:
    return {"metadata": {"name": name, "namespace": "n"}, "data": data}


def create(store: Store, name: str, **data: Any) -> Any:
    return store.create(MAPS, "n", name, obj(name, **data))


def reason(error: pytest.ExceptionInfo[StatusError]) -> str:
    return error.value.reason


def test_every_change_has_a_revision_of_its_own() -> None:
    store = Store()
    first = create(store, "a")
    second = store.update(MAPS, first, obj("a", x=1))
    third = store.delete(MAPS, second)
    assert first.revision < second.revision < third.revision == store.revision
    assert third.obj["metadata"]["resourceVersion"] == str(third.revision)
    assert store.get(MAPS, "n", "a") is None


def test_only_the_newest_revision_can_be_replaced() -> None:
    store = Store()
    first = create(store, "a")
    store.update(MAPS, first, obj("a"))
    for act in (lambda: store.update(MAPS, first, obj("a")), lambda: store.delete(MAPS, first)):
        with pytest.raises(StatusError) as caught:
            act()
        assert reason(caught) == "Conflict"
    with pytest.raises(StatusError) as caught:
        create(store, "a")
    assert reason(caught) == "AlreadyExists"


def test_entries_come_sorted_whatever_came_and_went() -> None:
    store = Store()
    for name in "dbca":
        create(store, name)
    store.entries(MAPS)
    store.delete(MAPS, store.get(MAPS, "n", "b"))  # type: ignore[arg-type]
    create(store, "bb")
    store.create(MAPS, "m", "z", {"metadata": {"name": "z", "namespace": "m"}})
    assert [(e.namespace, e.name) for e in store.entries(MAPS)] == [("m", "z")] + [
        ("n", x) for x in ("a", "bb", "c", "d")
    ]
    assert [e.name for e in store.entries(MAPS, "n")] == ["a", "bb", "c", "d"]
    assert store.entries(MAPS, "elsewhere") == []


@given(st.lists(st.tuples(st.sampled_from("abc"), st.sampled_from(["put", "delete"])), max_size=20))
def test_the_past_can_be_read_back(steps: list[tuple[str, str]]) -> None:
    store = Store()
    pods = store.create(PODS, "n", "p", obj("p"))
    states = {pods.revision: [("p", 0)][:0]}
    for number, (name, act) in enumerate(steps):
        entry = store.get(MAPS, "n", name)
        if act == "delete":
            if entry is None:
                continue
            store.delete(MAPS, entry)
        elif entry is None:
            create(store, name, at=number)
        else:
            store.update(MAPS, entry, obj(name, at=number))
        states[store.revision] = [(e.name, e.obj["data"]["at"]) for e in store.entries(MAPS)]
    for revision, state in states.items():
        assert [(e.name, e.obj["data"]["at"]) for e in store.entries_at(MAPS, None, revision)] == state


def test_history_is_bounded_per_table() -> None:
    store = Store(history=2)
    create(store, "a")
    since = store.revision
    for name in "bcd":
        create(store, name)
    with pytest.raises(StatusError) as caught:
        store.entries_at(MAPS, None, since)
    assert caught.value.code == 410
    store.create(PODS, "n", "p", obj("p"))
    with pytest.raises(StatusError) as caught:
        store.check_revision(MAPS, store.revision + 1)
    assert caught.value.code == 504


async def test_a_subscriber_sees_what_came_after_and_what_comes() -> None:
    store = Store()
    create(store, "a")
    since = store.revision
    create(store, "b")
    with store.subscribe(MAPS, since=since) as subscription:
        create(store, "c")
        store.create(PODS, "n", "p", obj("p"))
        assert await subscription.wait()
        assert [change.entry.name for change in subscription.drain()] == ["b", "c"]
        waiting = asyncio.create_task(subscription.wait())
        await asyncio.sleep(0)
        create(store, "d")
        assert await waiting
    assert not await asyncio.wait_for(subscription.wait(), 1) or subscription.drain()


async def test_a_subscriber_that_lags_is_cut_off() -> None:
    store = Store()
    subscription = store.subscribe(MAPS, limit=2)
    for name in "abc":
        create(store, name)
    assert subscription.overflowed and subscription.closed
    assert [change.entry.name for change in subscription.drain()] == ["a", "b"]
    assert not await subscription.wait()


async def test_closing_ends_every_subscription() -> None:
    store = Store()
    one, everything = store.subscribe(MAPS), store.subscribe(None)
    waiting = [asyncio.create_task(each.wait()) for each in (one, everything)]
    await asyncio.sleep(0)
    store.close()
    assert await asyncio.gather(*waiting) == [False, False]


def test_namespaces_are_kept_apart() -> None:
    store = Store()
    subscription = store.subscribe(MAPS, namespace="n")
    store.create(MAPS, "m", "x", {"metadata": {"name": "x", "namespace": "m"}})
    create(store, "a")
    assert [change.entry.name for change in subscription.drain()] == ["a"]


def test_a_change_that_cannot_be_journalled_did_not_happen() -> None:
    def refuse(_change: Change) -> None:
        raise OSError("disk full")

    store = Store(journal=refuse)
    before = store.revision
    with pytest.raises(StatusError, match="not kept: disk full"):
        create(store, "a")
    assert store.get(MAPS, "n", "a") is None and store.revision == before


def test_listeners_and_journal_see_the_same_changes_in_order() -> None:
    journalled: list[Change] = []
    heard: list[Change] = []
    store = Store(journal=journalled.append)
    store.listeners.append(heard.append)
    entry = create(store, "a")
    store.delete(MAPS, entry)
    assert heard == journalled and [change.type for change in heard] == ["ADDED", "DELETED"]


def test_what_is_restored_has_no_history() -> None:
    store = Store()
    kept = obj("a")
    kept["metadata"]["resourceVersion"] = "7"
    store.restore([(MAPS, kept)], 9)
    assert store.revision == 9 and store.entries(MAPS)[0].revision == 7
    with pytest.raises(StatusError) as caught:
        store.subscribe(MAPS, since=8)
    assert caught.value.code == 410
    assert create(store, "b").revision == 10


def test_history_is_kept_as_bytes() -> None:
    store = Store()
    first = create(store, "a", x=1)
    entry = first
    for number in range(RECENT + 1):
        entry = store.update(MAPS, entry, obj("a", x=number))
    assert first._obj is None and entry._obj is not None
    assert first.obj["data"] == {"x": 1} and first.obj["metadata"]["resourceVersion"] == str(first.revision)
    assert store.entries_at(MAPS, None, first.revision)[0].obj["data"] == {"x": 1}


def test_bytes_are_made_once() -> None:
    entry = create(Store(), "a", x="é")
    assert entry.raw is entry.raw and b'"x":"\xc3\xa9"' in entry.raw
