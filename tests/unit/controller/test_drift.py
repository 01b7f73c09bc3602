"""Drift: what counts as a difference between a rendered object and the live one, and what does not."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from controller.drift import agrees, digest

JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 5) | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("abcname"), inner, max_size=3),
    max_leaves=12,
)


@pytest.mark.parametrize(
    ("desired", "live"),
    [
        ({"a": 1}, {"a": 1, "defaulted": True}),
        ({"limits": {"cpu": "1000m", "memory": "1024Mi"}}, {"limits": {"cpu": "1", "memory": "1Gi"}}),
        ({"emptyDir": {}}, {"emptyDir": {}}),
        ({"annotations": {}}, {}),
        ({"items": []}, {}),
        ([{"name": "trino", "image": "x"}], [{"name": "istio"}, {"name": "trino", "image": "x", "y": 1}]),
        ([{"uid": "1"}], [{"uid": "2"}, {"uid": "1"}]),
        (["a", "b"], ["a", "b"]),
    ],
)
def test_what_others_added_or_respelled_is_no_drift(desired, live):
    assert agrees(desired, live)


@pytest.mark.parametrize(
    ("desired", "live"),
    [
        ({"a": 1}, {"a": 2}),
        ({"a": 1}, {}),
        ({"a": True}, {"a": 1}),
        ({"limits": {"cpu": "1"}}, {"limits": {"cpu": "2"}}),
        ({"data": {"cpu": "1000m"}}, {"data": {"cpu": "1"}}),
        ([{"name": "trino"}], [{"name": "other"}]),
        (["a", "b"], ["b", "a"]),
        (["a"], ["a", "b"]),
        ({"a": {"b": 1}}, {"a": "text"}),
    ],
)
def test_an_edited_or_missing_field_is_drift(desired, live):
    assert not agrees(desired, live)


@settings(deadline=None)
@given(JSON)
def test_a_value_agrees_with_itself(value):
    assert agrees(value, value)


@settings(deadline=None)
@given(JSON, JSON)
def test_any_two_values_can_be_compared(one, other):
    assert agrees(one, other) in (True, False)


@settings(deadline=None)
@given(st.dictionaries(st.text(max_size=3), st.integers(-9, 9), min_size=2, max_size=5))
def test_the_digest_does_not_depend_on_key_order(value):
    assert digest(value) == digest(dict(reversed(value.items())))
