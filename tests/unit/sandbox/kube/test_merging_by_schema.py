"""What apply reads from a schema: granular and atomic maps, lists by key, sets; merge, compare and remove agree."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sandbox.kube import fields, merge

SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {
        "n": {"type": "integer"},
        "labels": {"type": "object", "additionalProperties": {"type": "string"}},
        "atom": {"type": "object", "x-kubernetes-map-type": "atomic", "additionalProperties": {"type": "string"}},
        "whole": {"type": "array", "items": {"type": "string"}},
        "set": {"type": "array", "x-kubernetes-list-type": "set", "items": {"type": "string"}},
        "keyed": {
            "type": "array",
            "x-kubernetes-list-type": "map",
            "x-kubernetes-list-map-keys": ["name", "proto"],
            "items": {
                "type": "object",
                "properties": {
                    "name": {"type": "string"},
                    "proto": {"type": "string", "default": "TCP"},
                    "value": {"type": "string"},
                },
            },
        },
    },
}
words = st.sampled_from(["a", "b", "c"])
texts = st.dictionaries(words, words, max_size=3)
objects = st.fixed_dictionaries(
    {},
    optional={
        "n": st.integers(0, 3),
        "labels": texts,
        "atom": texts,
        "whole": st.lists(words, max_size=3),
        "set": st.lists(words, max_size=3, unique=True),
        "keyed": st.lists(
            st.fixed_dictionaries({"name": words}, optional={"value": words}), max_size=3, unique_by=lambda m: m["name"]
        ),
    },
)


def test_the_fields_of_an_object() -> None:
    found = merge.field_set(
        {
            "n": 1,
            "labels": {"a": "b"},
            "atom": {"x": "y"},
            "whole": ["p"],
            "set": ["q"],
            "keyed": [{"name": "k", "value": "v"}],
        },
        SCHEMA,
    )
    key = 'k:{"name":"k","proto":"TCP"}'
    assert found == {
        ("f:n",),
        ("f:labels", "f:a"),
        ("f:atom",),
        ("f:whole",),
        ("f:set", 'v:"q"'),
        ("f:keyed", key),
        ("f:keyed", key, "f:name"),
        ("f:keyed", key, "f:value"),
    }


def test_without_a_schema_maps_are_granular_and_lists_are_not() -> None:
    found = merge.field_set({"a": {"b": [1, {"c": 2}]}, "e": {}}, None)
    assert found == {("f:a",), ("f:a", "f:b"), ("f:e",)}


@given(objects, objects)
def test_merging_leads_to_no_difference_in_what_was_applied(live: dict[str, Any], config: dict[str, Any]) -> None:
    merged = merge.merge(live, config, SCHEMA)
    difference = merge.compare(merged, merge.merge(merged, config, SCHEMA), SCHEMA)
    assert difference.same
    leaves = {path for path in merge.field_set(config, SCHEMA) if not _hollow(config, path)}
    assert leaves <= merge.field_set(merged, SCHEMA)


def _hollow(config: dict[str, Any], path: fields.Path) -> bool:
    """An empty map merges into a fuller one and is then no field of its own."""
    return len(path) == 1 and config.get(path[0][2:]) == {}


@given(objects)
def test_an_object_does_not_differ_from_itself(obj: dict[str, Any]) -> None:
    assert merge.compare(obj, {**obj}, SCHEMA).same


@given(objects, objects)
def test_a_difference_is_the_mirror_of_its_reverse(one: dict[str, Any], two: dict[str, Any]) -> None:
    there, back = merge.compare(one, two, SCHEMA), merge.compare(two, one, SCHEMA)
    assert (there.added, there.removed, there.modified) == (back.removed, back.added, back.modified)


@given(objects, objects)
def test_what_was_added_can_be_removed_again(live: dict[str, Any], config: dict[str, Any]) -> None:
    merged = merge.merge(live, config, SCHEMA)
    added = merge.compare(live, merged, SCHEMA).added
    # What was emptied is null, which whoever stores the object takes for absent.
    left = {key: value for key, value in (merge.remove(merged, added, SCHEMA) or {}).items() if value is not None}
    assert not added & merge.field_set(left, SCHEMA)


def test_the_applied_order_wins_and_others_keep_their_place() -> None:
    live = {"keyed": [{"name": n} for n in "cad"]}
    config = {"keyed": [{"name": n} for n in "abc"]}
    assert [m["name"] for m in merge.merge(live, config, SCHEMA)["keyed"]] == ["a", "d", "b", "c"]
    appended = merge.merge({"keyed": [{"name": "a"}]}, {"keyed": [{"name": "z"}]}, SCHEMA)
    assert [m["name"] for m in appended["keyed"]] == ["a", "z"]
    between = merge.merge({"keyed": [{"name": n} for n in "axb"]}, {"keyed": [{"name": "a"}, {"name": "b"}]}, SCHEMA)
    assert [m["name"] for m in between["keyed"]] == ["a", "x", "b"]


def test_the_default_of_a_key_counts_as_the_key() -> None:
    live = {"keyed": [{"name": "a", "proto": "TCP", "value": "1"}]}
    merged = merge.merge(live, {"keyed": [{"name": "a", "value": "2"}]}, SCHEMA)
    assert merged == {"keyed": [{"name": "a", "proto": "TCP", "value": "2"}]}


def test_parents_that_the_schema_names_become_members() -> None:
    key = 'k:{"name":"a","proto":"TCP"}'
    owned = frozenset({("f:keyed", key, "f:value"), ("f:labels", "f:a"), ("f:unknown", "f:x")})
    assert merge.with_named_parents(owned, SCHEMA) == owned | {("f:keyed",), ("f:labels",)}


def test_inputs_stay_as_they_were() -> None:
    live = {"labels": {"a": "1"}, "keyed": [{"name": "a"}]}
    merge.merge(live, {"labels": {"b": "2"}, "keyed": [{"name": "a", "value": "x"}]}, SCHEMA)
    merge.remove(live, frozenset({("f:labels", "f:a")}), SCHEMA)
    assert live == {"labels": {"a": "1"}, "keyed": [{"name": "a"}]}


@pytest.mark.parametrize("member", ["text", {"value": "no key"}])
def test_a_member_without_its_keys_is_refused(member: Any) -> None:
    schema = {**SCHEMA["properties"]["keyed"], "items": {"type": "object", "properties": {}}}
    with pytest.raises(merge.BadItem):
        merge.field_set([member], schema)


def test_a_key_given_twice_is_refused() -> None:
    with pytest.raises(merge.BadItem, match=r'duplicate entries for key \[name="a",proto="TCP"\]'):
        merge.check_unique({"keyed": [{"name": "a"}, {"name": "a"}]}, SCHEMA)


def test_true_is_not_one() -> None:
    assert merge.compare({"n": 1}, {"n": True}, None).modified == {("f:n",)}
