"""Merge, JSON and strategic merge patches: what they change, and what they refuse."""

from __future__ import annotations

import copy
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sandbox.kube import patching
from sandbox.kube.builtin_types import TYPES
from sandbox.kube.errors import StatusError

json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | st.text(max_size=3),
    lambda below: st.lists(below, max_size=3) | st.dictionaries(st.text(max_size=3), below, max_size=3),
    max_leaves=10,
)
DEPLOYMENT = TYPES.resolved("Deployment")


def deployment(*containers: dict[str, Any], **pod: Any) -> dict[str, Any]:
    return {"spec": {"template": {"spec": {"containers": list(containers), **pod}}}}


def strategic(live: dict[str, Any], patch: dict[str, Any]) -> dict[str, Any]:
    return patching.strategic_patch(copy.deepcopy(live), patch, DEPLOYMENT)


def pod(obj: dict[str, Any]) -> dict[str, Any]:
    spec: dict[str, Any] = obj["spec"]["template"]["spec"]
    return spec


def test_merge_patch_sets_removes_and_replaces_lists() -> None:
    live = {"a": {"x": 1, "y": 2}, "l": [1, 2]}
    assert patching.merge_patch(live, {"a": {"y": None, "z": 3}, "l": [9]}) == {"a": {"x": 1, "z": 3}, "l": [9]}


@given(json_values, json_values)
def test_a_merge_patch_applied_twice_is_applied_once(live: Any, patch: Any) -> None:
    once = patching.merge_patch(copy.deepcopy(live), copy.deepcopy(patch))
    twice = patching.merge_patch(copy.deepcopy(once), copy.deepcopy(patch))
    assert once == twice


def test_json_patch_and_its_failures() -> None:
    live = {"a": [1]}
    assert patching.json_patch(copy.deepcopy(live), b'[{"op":"add","path":"/a/-","value":2}]') == {"a": [1, 2]}
    for body, code in (
        (b'[{"op":"test","path":"/a/0","value":2}]', 422),
        (b'[{"op":"remove","path":"/b"}]', 422),
        (b'[{"op":"fly","path":"/b"}]', 422),
        (b'[{"path":"/b"}]', 422),
        (b"{}", 400),
        (b"nonsense", 400),
        (orjson.dumps([{"op": "test", "path": "", "value": 1}] * 10_001), 413),
    ):
        with pytest.raises(StatusError) as caught:
            patching.json_patch(copy.deepcopy(live), body)
        assert caught.value.code == code, body[:60]


@given(
    st.lists(
        st.fixed_dictionaries(
            {},
            optional={
                "op": st.sampled_from(["add", "remove", "replace", "move", "copy", "test", "?"]) | json_values,
                "path": st.text("/a0-~1", max_size=6) | json_values,
                "from": st.text("/a0-", max_size=4),
                "value": json_values,
            },
        ),
        max_size=4,
    )
)
def test_any_json_patch_is_applied_or_refused(operations: list[Any]) -> None:
    try:
        patching.json_patch({"a": [{"a": 0}], "0": 1}, orjson.dumps(operations))
    except StatusError as error:
        assert error.code in (400, 422)


def test_containers_are_merged_by_name() -> None:
    live = deployment({"name": "a", "image": "1", "env": [{"name": "X", "value": "1"}]}, {"name": "b", "image": "2"})
    patch = deployment({"name": "a", "env": [{"name": "Y", "value": "2"}]}, {"name": "c", "image": "3"})
    result = pod(strategic(live, patch))["containers"]
    # What the patch names comes in its order; the rest keeps its place before what it stood before.
    assert [each["name"] for each in result] == ["a", "c", "b"]
    assert result[0] == {"name": "a", "image": "1", "env": [{"name": "Y", "value": "2"}, {"name": "X", "value": "1"}]}


def test_a_member_is_deleted_or_the_list_replaced_on_demand() -> None:
    live = deployment({"name": "a"}, {"name": "b"})
    assert pod(strategic(live, deployment({"name": "a", "$patch": "delete"})))["containers"] == [{"name": "b"}]
    replaced = strategic(live, deployment({"$patch": "replace"}, {"name": "z"}))
    assert pod(replaced)["containers"] == [{"name": "z"}]


def test_element_order_is_followed() -> None:
    live = deployment({"name": "a"}, {"name": "b"})
    patch = deployment({"name": "c"})
    pod(patch)["$setElementOrder/containers"] = [{"name": "c"}, {"name": "b"}, {"name": "a"}]
    assert [each["name"] for each in pod(strategic(live, patch))["containers"]] == ["c", "b", "a"]


def test_retained_keys_drop_the_others() -> None:
    live = {"spec": {"strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 1}}}}
    patch = {"spec": {"strategy": {"$retainKeys": ["type"], "type": "Recreate"}}}
    assert strategic(live, patch) == {"spec": {"strategy": {"type": "Recreate"}}}


def test_primitive_lists_with_a_merge_strategy_are_sets() -> None:
    live = {"metadata": {"finalizers": ["a/x", "b/y"]}}
    assert strategic(live, {"metadata": {"finalizers": ["c/z"]}})["metadata"]["finalizers"] == ["c/z", "a/x", "b/y"]
    gone = strategic(live, {"metadata": {"$deleteFromPrimitiveList/finalizers": ["a/x"]}})
    assert gone["metadata"]["finalizers"] == ["b/y"]


def test_atomic_lists_and_whole_maps_are_replaced() -> None:
    live = deployment({"name": "a", "args": ["1", "2"]})
    assert pod(strategic(live, deployment({"name": "a", "args": ["3"]})))["containers"][0]["args"] == ["3"]
    labels = {"metadata": {"labels": {"a": "1", "b": "2"}}}
    assert strategic(labels, {"metadata": {"labels": {"$patch": "replace", "c": "3"}}}) == {
        "metadata": {"labels": {"c": "3"}}
    }
    assert strategic(labels, {"metadata": {"labels": None}}) == {"metadata": {}}


def test_a_member_without_its_merge_key_is_refused() -> None:
    with pytest.raises(StatusError, match="does not contain declared merge key: name"):
        strategic(deployment({"name": "a"}), deployment({"image": "x"}))


@given(json_values)
def test_any_strategic_patch_is_applied_or_refused(value: Any) -> None:
    live = deployment({"name": "a"}, volumes=[{"name": "v", "emptyDir": {}}])
    for patch in ({"spec": value}, {"spec": {"template": {"spec": {"containers": value}}}}):
        try:
            strategic(live, patch)
        except StatusError as error:
            assert error.code == 400
