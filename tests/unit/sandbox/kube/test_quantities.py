"""Quantities in the form that the real server writes: the same amount, one spelling."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crds.v1.quantity import parse_quantity
from sandbox.kube.quantities import canonical


@pytest.mark.parametrize(
    ("given", "shown"),
    [
        *((1, "1"), (0, "0"), (0.5, "500m"), ("1000m", "1"), ("1500m", "1500m"), (1000000, "1M"), ("0.5", "500m")),
        *(
            ("1024Mi", "1Gi"),
            ("1.5Gi", "1536Mi"),
            ("0.5Ki", "512"),
            ("1025", "1025"),
            ("1Ki", "1Ki"),
            ("-2048", "-2048"),
        ),
        *(("1e3", "1e3"), ("12e2", "1200"), ("1E", "1E"), ("100k", "100k"), ("1n", "1n"), ("-2Ki", "-2Ki")),
    ],
)
def test_a_quantity_has_one_spelling(given, shown):
    assert canonical(given) == shown


@given(st.sampled_from(["", "Ki", "Mi", "Gi", "k", "M", "m", "u", "e3"]), st.integers(0, 10**7))
def test_the_amount_stays_and_the_spelling_settles(unit, number):
    once = canonical(f"{number}{unit}")
    assert parse_quantity(once) == parse_quantity(f"{number}{unit}") and canonical(once) == once


@given(st.text(max_size=8))
def test_anything_else_is_no_quantity(text):
    try:
        assert parse_quantity(canonical(text)) is not None
    except ValueError as error:
        assert str(error)
