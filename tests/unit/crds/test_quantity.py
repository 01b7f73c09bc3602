"""Amounts are exact, whatever their spelling, and hostile text is refused cheaply.

Plan: tables for each notation; a round trip for every number that can be written; no parser ever raises anything
but ValueError, whatever it is given.
"""

from datetime import timedelta
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crds.v1.quantity import (
    GIB,
    MIB,
    cpu_millis,
    format_duration,
    jvm_heap,
    memory_bytes,
    parse_duration,
    parse_quantity,
    parse_trino_data_size,
    trino_data_size,
)


@pytest.mark.parametrize(
    ("text", "amount"),
    [
        ("0", 0),
        ("2", 2),
        ("0.5", Fraction(1, 2)),
        (".5", Fraction(1, 2)),
        ("5.", 5),
        ("-1", -1),
        ("+3", 3),
        ("1500m", Fraction(3, 2)),
        ("250u", Fraction(1, 4000)),
        ("7n", Fraction(7, 10**9)),
        ("1k", 1000),
        ("2G", 2 * 10**9),
        ("3P", 3 * 10**15),
        ("1Ki", 1024),
        ("1.5Mi", 3 * 2**19),
        ("8Gi", 8 * 2**30),
        ("1Ti", 2**40),
        ("2Pi", 2**51),
        ("1e3", 1000),
        ("12E2", 1200),
        ("1E", 10**18),
        ("1e-2", Fraction(1, 100)),
        (4, 4),
        (0.1, Fraction(1, 10)),
    ],
)
def test_a_quantity_is_read_exactly(text, amount):
    assert parse_quantity(text) == amount


@pytest.mark.parametrize(
    "text",
    [
        "",
        " ",
        "1 Gi",
        "Gi",
        "1gi",
        "1K",
        "1KB",
        "--1",
        "1e",
        "1e999999999",
        "10E",
        "9" * 99,
        "1.2.3",
        "½",
        "\u0661",
        "1Gi\n",
    ],
)
def test_what_is_no_quantity_is_refused(text):
    with pytest.raises(ValueError, match="quantity"):
        parse_quantity(text)


@pytest.mark.parametrize("value", [True, float("inf"), float("nan")])
def test_values_that_are_no_amount_are_refused(value):
    with pytest.raises(ValueError, match="quantity"):
        parse_quantity(value)


def test_amounts_round_up_as_the_scheduler_does():
    assert cpu_millis("1.0001") == 1001
    assert cpu_millis("250m") == 250
    assert memory_bytes("100m") == 1
    assert memory_bytes("768Mi") == 768 * MIB


@given(st.integers(0, 2**62), st.sampled_from(["", "m", "k", "Ki"]))
def test_every_integer_survives_its_spelling(number, unit):
    factor = {"": 1, "m": Fraction(1, 1000), "k": 1000, "Ki": 1024}[unit]
    if number * factor < 2**63:
        assert parse_quantity(f"{number}{unit}") == number * factor


@pytest.mark.parametrize(
    ("text", "size"),
    [("0B", 0), ("1kB", 1024), ("4GB", 4 * GIB), (" 1.5 MB ", 3 * 2**19), ("2TB", 2**41), ("1PB", 2**50)],
)
def test_a_trino_data_size_counts_in_powers_of_1024(text, size):
    assert parse_trino_data_size(text) == size


@pytest.mark.parametrize("text", ["", "4", "4Gi", "4GiB", "4gb", "4KB", "-1GB", "1e3MB", "4GB GB"])
def test_spellings_that_trino_rejects_are_refused(text):
    with pytest.raises(ValueError, match="data size"):
        parse_trino_data_size(text)


@given(st.integers(0, 2**60))
def test_a_written_data_size_is_never_larger_than_what_it_stands_for(nbytes):
    written = parse_trino_data_size(trino_data_size(nbytes))
    assert nbytes - MIB < written <= nbytes


def test_sizes_are_written_in_whole_megabytes():
    assert trino_data_size(6 * GIB) == "6144MB"
    assert trino_data_size(6 * GIB + 5) == "6144MB"
    assert trino_data_size(5000) == "4kB"
    assert jvm_heap(6 * GIB) == "6144M"
    with pytest.raises(ValueError, match="negative"):
        trino_data_size(-1)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("0", 0),
        ("0s", 0),
        ("5m", 300),
        ("1h30m", 5400),
        ("1.5h", 5400),
        ("90s", 90),
        ("-1s", -1),
        ("250ms", 0.25),
        ("1µs", 1e-6),
    ],
)
def test_a_duration_is_read(text, seconds):
    assert parse_duration(text) == timedelta(seconds=seconds)


@pytest.mark.parametrize(
    "text", ["", "-", "5", "5 m", "5d", "m5", "1h-5m", "1" * 70 + "s", "9999999999h", "5m\n", "1.s.s"]
)
def test_what_is_no_duration_is_refused(text):
    with pytest.raises(ValueError, match="duration"):
        parse_duration(text)


@given(st.timedeltas(timedelta(days=-3000), timedelta(days=3000)))
def test_a_duration_survives_writing_and_reading(span):
    assert parse_duration(format_duration(span)) == span


@given(st.text(max_size=80) | st.from_regex(r"[-+]?[0-9.]{0,40}[eEKMGTPEimnuhs0-9]{0,8}", fullmatch=True))
def test_no_text_makes_a_parser_fail_otherwise(text):
    for parser in (parse_quantity, parse_trino_data_size, parse_duration):
        try:
            parser(text)
        except ValueError as error:
            assert str(error)
