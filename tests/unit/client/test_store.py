"""The store: every change is told exactly once, indexes follow, and a re-list finds what was missed."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crds.client.store import (
    LAST_APPLIED,
    Change,
    Store,
    by_label,
    by_namespace,
    key_of,
    metadata_alone,
    slim,
)
from tests.support.fake_api import obj

Whole = Store[dict[str, Any]]


def put(store: Whole, whole: dict[str, Any]) -> list[Change[dict[str, Any]]]:
    return store.upsert(whole, whole)


def replace(store: Whole, objects: list[dict[str, Any]]) -> list[Change[dict[str, Any]]]:
    """What a list does."""
    changes = [change for whole in objects for change in put(store, whole)]
    return changes + store.retain({key_of(whole) for whole in objects})


def told(changes: list[Change[dict[str, Any]]]) -> list[tuple[str, str]]:
    return [(change.event, (change.new or change.old or {})["metadata"]["name"]) for change in changes]


def test_a_new_object_is_added_and_a_new_version_modifies() -> None:
    store: Whole = Store()
    assert told(put(store, obj("a", "1"))) == [("ADDED", "a")]
    (change,) = put(store, obj("a", "2"))
    assert (change.event, change.old, change.new) == ("MODIFIED", obj("a", "1"), obj("a", "2"))


def test_the_same_version_again_is_no_change() -> None:
    store: Whole = Store()
    put(store, obj("a", "1"))
    assert put(store, obj("a", "1")) == []


def test_another_uid_under_the_name_is_a_deletion_and_an_addition() -> None:
    store: Whole = Store()
    put(store, obj("a", "1"))
    assert told(put(store, obj("a", "2", metadata={"uid": "other"}))) == [("DELETED", "a"), ("ADDED", "a")]


def test_a_relist_deletes_what_is_gone_and_tells_only_differences() -> None:
    store: Whole = Store()
    for name in "abc":
        put(store, obj(name, "1"))
    changes = replace(store, [obj("a", "1"), obj("b", "2"), obj("d", "3")])
    assert told(changes) == [("MODIFIED", "b"), ("ADDED", "d"), ("DELETED", "c")]


def test_what_is_kept_may_be_something_else_than_the_object() -> None:
    store: Store[int] = Store({"parity": lambda number: (number % 2,)})
    store.upsert(obj("a", "1"), 4)
    (change,) = store.upsert(obj("a", "2"), 5)
    assert (change.old, change.new) == (4, 5)
    assert (store.by_index("parity", 0), store.by_index("parity", 1), list(store)) == ([], [5], [5])


def test_removing_the_unknown_is_no_change() -> None:
    store: Whole = Store()
    assert store.remove(("ns", "a")) == []


def test_indexes_follow_the_objects() -> None:
    store: Whole = Store({"namespace": by_namespace, "app": by_label("app")})
    put(store, obj("a", "1", metadata={"labels": {"app": "x"}}))
    put(store, obj("b", "1", namespace="other", metadata={"labels": {"app": "x"}}))
    assert [o["metadata"]["name"] for o in store.by_index("app", "x")] == ["a", "b"]
    put(store, obj("a", "2", metadata={"labels": {"app": "y"}}))
    assert [o["metadata"]["name"] for o in store.by_index("app", "x")] == ["b"]
    store.remove(("other", "b"))
    assert store.by_index("app", "x") == []
    assert store.index_values("app") == ["y"]
    assert [o["metadata"]["name"] for o in store.by_index("namespace", "ns")] == ["a"]


def test_an_index_that_nobody_declared_is_an_error() -> None:
    store: Whole = Store()
    with pytest.raises(KeyError):
        store.by_index("typo", "x")


def test_an_indexer_that_fails_leaves_the_object_readable(caplog: pytest.LogCaptureFixture) -> None:
    def broken(obj: dict[str, Any]) -> list[str]:
        return [obj["spec"]["nowhere"]]

    store: Whole = Store({"broken": broken, "namespace": by_namespace})
    put(store, obj("a", "1"))
    assert store.get(("ns", "a")) is not None
    assert len(store.by_index("namespace", "ns")) == 1
    assert "the index broken fails" in caplog.text
    assert told(store.remove(("ns", "a"))) == [("DELETED", "a")]


def test_slim_drops_the_ballast_and_leaves_the_original_alone() -> None:
    fat = obj("a", "1", metadata={"managedFields": [{}], "annotations": {LAST_APPLIED: "{}", "keep": "1"}})
    thin = slim(fat)
    assert "managedFields" not in thin["metadata"]
    assert thin["metadata"]["annotations"] == {"keep": "1"}
    assert "managedFields" in fat["metadata"]


def test_metadata_alone_holds_no_secret() -> None:
    secret = obj("a", "1", kind="Secret", data={"password": "x"}, stringData={}, type="Opaque")
    assert metadata_alone(secret) == {"kind": "Secret", "metadata": secret["metadata"]}


versions = st.dictionaries(st.sampled_from("abcde"), st.integers(1, 3))


@given(st.lists(versions, max_size=6))
def test_replaying_the_changes_gives_the_content(lists: list[dict[str, int]]) -> None:
    store: Whole = Store({"label": by_label("v")})
    replayed: dict[Any, Any] = {}
    for content in lists:
        objects = [obj(n, str(v), metadata={"labels": {"v": str(v)}}) for n, v in content.items()]
        for change in replace(store, objects):
            target = change.new or change.old
            assert target is not None
            if change.event == "DELETED":
                del replayed[key_of(target)]
            else:
                assert (change.event == "ADDED") == (key_of(target) not in replayed)
                replayed[key_of(target)] = target
        assert replayed == {key_of(o): o for o in objects}
        assert sorted(len(store.by_index("label", v)) for v in store.index_values("label")) == sorted(
            list(content.values()).count(v) for v in set(content.values())
        )
