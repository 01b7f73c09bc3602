"""Medians, spreads and percentiles of measured values."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.gateway import spread

VALUES = st.lists(st.floats(0, 1e9), min_size=1)


def test_spread_is_told_with_its_ends() -> None:
    assert spread.text([0.9, 1.1, 1.0]) == "1.00 (0.90-1.10)"


def test_ratios_are_taken_within_a_round() -> None:
    assert spread.ratios([2.0, 9.0], [1.0, 3.0]) == [2.0, 3.0]


def test_ratios_of_different_rounds_are_refused() -> None:
    with pytest.raises(ValueError, match="longer"):
        spread.ratios([1.0], [1.0, 2.0])


def test_percentile_of_nothing_is_refused() -> None:
    with pytest.raises(ValueError, match="no values"):
        spread.percentile([], 0.5)


@given(VALUES, st.floats(0, 1))
def test_percentile_is_one_of_the_values_with_the_share_below_it(values: list[float], share: float) -> None:
    ordered = sorted(values)
    found = spread.percentile(ordered, share)
    assert found in ordered
    assert sum(value <= found for value in ordered) >= share * len(ordered)
