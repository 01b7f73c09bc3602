"""Who owns which fields after applies and updates: the algebra behind server-side apply, without a server.

Plan: apply twice is apply once; force; dropping; co-ownership; updates; versions of managers; the cap on updaters;
properties that hold for any sequence of writers.
"""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sandbox.kube import apply, fields
from sandbox.kube.builtin_types import TYPES

SCHEMA = TYPES.resolved("ConfigMap")
EMPTY = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {}}


def writer(name: str, now: str = "2026-01-01T00:00:00Z", subresource: str = "") -> apply.Writer:
    return apply.Writer(name, "v1", subresource, now, SCHEMA)


def config(**data: str) -> dict[str, Any]:
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a"}, **({"data": data} if data else {})}


def applied(live: dict[str, Any], name: str, *, force: bool = False, now: str = "t1", **data: str) -> dict[str, Any]:
    return apply.apply_config(live, config(**data), writer(name, now), force=force)


def owners(obj: dict[str, Any], key: str) -> set[str]:
    path = ("f:data", f"f:{key}")
    managers = apply.read_managers(obj["metadata"].get("managedFields", []))
    return {manager.name for manager, owned in managers.items() if path in owned.paths}


def test_a_repeated_apply_keeps_the_time_of_the_first() -> None:
    once = applied(EMPTY, "one", x="1")
    assert applied(once, "one", now="t2", x="1") == once
    assert applied(once, "one", now="t2", x="2")["metadata"]["managedFields"][0]["time"] == "t2"


def test_a_conflict_names_manager_and_field() -> None:
    live = applied(EMPTY, "one", x="1")
    with pytest.raises(apply.Conflicts) as caught:
        applied(live, "two", x="2")
    assert caught.value.paths == {("f:data", "f:x")}


def test_force_moves_a_field_and_nothing_else() -> None:
    live = applied(EMPTY, "one", x="1", y="1")
    taken = applied(live, "two", force=True, x="2")
    assert (owners(taken, "x"), owners(taken, "y")) == ({"two"}, {"one"})


def test_a_manager_that_owns_nothing_is_forgotten() -> None:
    live = applied(EMPTY, "one", x="1")
    left = applied(live, "one")
    assert "managedFields" not in left["metadata"] and not left.get("data")


def test_metadata_survives_the_last_label() -> None:
    labelled = {**config(), "metadata": {"name": "a", "labels": {"l": "1"}}}
    live = apply.apply_config(EMPTY, labelled, writer("one"), force=False)
    bare = apply.apply_config(live, config(), writer("one"), force=False)
    assert bare["metadata"] == {"name": "a"}


def test_an_update_takes_what_it_changes_and_gives_up_what_it_removes() -> None:
    live = applied(EMPTY, "one", x="1", y="1")
    changed = apply.track_update(live, {**live, "data": {"x": "2", "z": "3"}}, writer("editor"))
    assert [owners(changed, key) for key in "xyz"] == [{"editor"}, set(), {"editor"}]


def test_an_update_that_changes_nothing_owns_nothing() -> None:
    live = applied(EMPTY, "one", x="1")
    assert apply.track_update(live, {**live}, writer("editor")) == live


def test_status_is_not_owned_through_the_main_endpoint() -> None:
    schema = TYPES.resolved("Deployment")
    base = {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {}}
    main = apply.Writer("one", "apps/v1", "", "t", schema, lambda path: path[0] == "f:status")
    made = apply.track_update(base, {**base, "spec": {"replicas": 1}, "status": {"replicas": 1}}, main, created=True)
    assert list(made["metadata"]["managedFields"][0]["fieldsV1"]) == ["f:spec"]


def test_without_managers_nothing_is_recorded_before_the_first_apply() -> None:
    live = apply.track_update({**EMPTY, "metadata": {"name": "a"}}, {**config(x="1")}, writer("editor"))
    assert "managedFields" not in live["metadata"]
    with pytest.raises(apply.Conflicts) as caught:
        applied(live, "one", x="2")
    assert [manager.name for manager in caught.value.owners] == ["before-first-apply"]
    assert owners(applied(live, "one", force=True, x="2"), "x") == {"one"}


def test_updaters_beyond_ten_become_one() -> None:
    live = {**EMPTY, "metadata": {"name": "a"}}
    for number in range(15):
        data = {**live.get("data", {}), f"k{number}": "v"}
        made_by = writer(f"m{number:02}", f"2026-01-01T00:00:{number:02}Z")
        live = apply.track_update(live, {**live, "data": data}, made_by, created=number == 0)
    names = [each["manager"] for each in live["metadata"]["managedFields"]]
    assert len(names) == 10 and "ancient-changes" in names and "m14" in names
    assert owners(live, "k0") == {"ancient-changes"}


def test_managers_are_sorted_with_appliers_first() -> None:
    live = applied(EMPTY, "z", x="1")
    live = apply.track_update(live, {**live, "data": {"x": "1", "y": "2"}}, writer("a"))
    assert [(e["manager"], e["operation"]) for e in live["metadata"]["managedFields"]] == [
        ("z", "Apply"),
        ("a", "Update"),
    ]


@pytest.mark.parametrize(
    "entries", [["x"], [{"operation": "Guess", "fieldsV1": {}}], [{"operation": "Apply", "fieldsV1": 1}]]
)
def test_managed_fields_that_make_no_sense_are_refused(entries: list[Any]) -> None:
    with pytest.raises(fields.BadFields):
        apply.read_managers(entries)


steps = st.lists(
    st.tuples(
        st.sampled_from(["one", "two", "three"]),
        st.sampled_from(["apply", "force", "update"]),
        st.dictionaries(st.sampled_from("abc"), st.sampled_from("12"), max_size=3),
    ),
    max_size=6,
)


@settings(max_examples=200)
@given(steps)
def test_whatever_is_written_the_books_balance(given_steps: list[tuple[str, str, dict[str, str]]]) -> None:
    live: dict[str, Any] = {**EMPTY, "metadata": {"name": "a"}}
    for name, how, data in given_steps:
        if how == "update":
            live = apply.track_update(live, {**live, "data": data}, writer(name), created=True)
        else:
            try:
                live = applied(live, name, force=how == "force", **data)
            except apply.Conflicts as conflicts:
                assert how == "apply" and conflicts.paths
                continue
            # What was applied is there, and its applier owns it.
            assert all(live["data"][key] == value and name in owners(live, key) for key, value in data.items())
        managers = apply.read_managers(live["metadata"].get("managedFields", []))
        owned = {path for each in managers.values() for path in each.paths}
        present = {("f:data", f"f:{key}") for key in live.get("data") or {}}
        # Everything has an owner, and nothing is owned that is not there.
        assert present <= owned
        assert {path for path in owned if len(path) == 2} <= present
        assert apply.write_managers(managers) == live["metadata"].get("managedFields", [])
