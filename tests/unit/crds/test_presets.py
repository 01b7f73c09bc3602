"""Sizes: one table, growing in every column, replaceable without leaving holes."""

import itertools

import pytest

from crds.v1.meta import InvalidObject
from crds.v1.presets import DEFAULT, parse_presets
from crds.v1.quantity import parse_quantity
from crds.v1.xtrinode import SIZES


@pytest.mark.parametrize("role", ["coordinator", "worker"])
def test_every_size_is_at_least_the_one_before(role):
    rows = [getattr(DEFAULT[size], role) for size in SIZES]
    for smaller, larger in itertools.pairwise(rows):
        for block in ("requests", "limits"):
            for key in ("cpu", "memory"):
                assert parse_quantity(getattr(smaller, block)[key]) <= parse_quantity(getattr(larger, block)[key])


def test_the_coordinator_grows_too():
    assert parse_quantity(DEFAULT["xl"].coordinator.limits["memory"]) > parse_quantity(
        DEFAULT["s"].coordinator.limits["memory"]
    )


def test_a_replacement_keeps_what_it_does_not_name():
    table = parse_presets({"s": {"worker": {"requests": {"cpu": "500m"}, "limits": {"memory": "1Gi"}}}})
    assert table["s"].worker.limits == {"memory": "1Gi"}
    assert table["s"].coordinator == DEFAULT["s"].coordinator
    assert table["m"] == DEFAULT["m"]


@pytest.mark.parametrize(
    ("raw", "path"),
    [
        ({"xxl": {}}, "xxl"),
        ({"s": {"driver": {}}}, "s"),
        ({"s": {"worker": {"limits": {"cpu": "x"}}}}, "s.worker.limits.cpu"),
    ],
)
def test_a_wrong_table_is_refused_with_a_place(raw, path):
    with pytest.raises(InvalidObject) as caught:
        parse_presets(raw)
    assert [error.path for error in caught.value.errors] == [path]
