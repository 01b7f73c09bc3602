"""Types in both engines' spellings, their signatures, and values as the client protocol's JSON."""

from __future__ import annotations

import datetime as dt
import json
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sandbox.trino.encoding import encoder_of
from sandbox.trino.errors import QueryFailure
from sandbox.trino.time_zones import UnknownTimeZone, time_zone
from sandbox.trino.trino_types import TrinoType, UnknownType, parse_type


def moment(text: str) -> dt.datetime:
    """Without a zone, as the engine gives plain timestamps."""
    return dt.datetime.fromisoformat(text)


@pytest.mark.parametrize(
    ("spelled", "shown"),
    [
        ("varchar(25)", "varchar(25)"),
        ("VARCHAR", "varchar"),
        ("HUGEINT", "bigint"),
        ("UBIGINT", "bigint"),
        ("FLOAT", "real"),
        ("DECIMAL(10,2)", "decimal(10,2)"),
        ("decimal(10)", "decimal(10,0)"),
        ("TIMESTAMP WITH TIME ZONE", "timestamp(3) with time zone"),
        ("timestamp(6) with time zone", "timestamp(6) with time zone"),
        ("TIMESTAMP_NS", "timestamp(9)"),
        ("time", "time(3)"),
        ("INTEGER[]", "array(integer)"),
        ("INTEGER[3][]", "array(array(integer))"),
        ("MAP(INTEGER, DECIMAL(2,1)[])", "map(integer, array(decimal(2,1)))"),
        ('STRUCT("_0" INTEGER, "_1" VARCHAR)', "row(integer, varchar)"),
        ('STRUCT(a INTEGER, "b c" DOUBLE)', 'row(a integer, "b c" double)'),
        ("TUPLE(INTEGER, VARCHAR)", "row(integer, varchar)"),
        ("row(x bigint, y row(z date))", "row(x bigint, y row(z date))"),
        ("row(timestamp timestamp(3), d date)", "row(timestamp timestamp(3), d date)"),
        ('"NULL"', "unknown"),
        ("ENUM('a', 'b')", "varchar"),
        ("INTERVAL", "interval day to second"),
        ("interval year to month", "interval year to month"),
        ("double precision", "double"),
        ("char", "char(1)"),
    ],
)
def test_types_are_read_in_either_spelling(spelled: str, shown: str) -> None:
    assert parse_type(spelled).display() == shown


@pytest.mark.parametrize("text", ["", "nope", "decimal(", "array(", "row(a", "map(a)", "integer integer", "[]"])
def test_what_is_no_type_is_refused(text: str) -> None:
    with pytest.raises(UnknownType):
        parse_type(text)


@given(st.text(max_size=30))
def test_any_text_is_a_type_or_refused(text: str) -> None:
    try:
        parse_type(text).display()
    except UnknownType:
        return


leaves = st.sampled_from(
    ["bigint", "varchar(7)", "varchar", "double", "date", "decimal(9,3)", "timestamp(6) with time zone"]
)
trees = st.recursive(
    leaves,
    lambda inner: st.one_of(
        inner.map(lambda child: f"array({child})"),
        st.tuples(inner, inner).map(lambda pair: f"map({pair[0]}, {pair[1]})"),
        st.lists(inner, min_size=1, max_size=3).map(
            lambda kinds: f"row({', '.join(f'f{index} {kind}' for index, kind in enumerate(kinds))})"
        ),
    ),
    max_leaves=6,
)


@given(trees)
def test_a_displayed_type_reads_back_as_itself(text: str) -> None:
    kind = parse_type(text)
    assert kind.display() == text
    assert json.dumps(kind.signature())


def test_signatures_have_the_shape_that_clients_parse() -> None:
    assert parse_type("varchar").signature() == {
        "rawType": "varchar",
        "arguments": [{"kind": "LONG", "value": 2147483647}],
    }
    assert parse_type("timestamp(3) with time zone").signature() == {
        "rawType": "timestamp with time zone",
        "arguments": [{"kind": "LONG", "value": 3}],
    }
    assert parse_type("row(x bigint)").signature() == {
        "rawType": "row",
        "arguments": [
            {
                "kind": "NAMED_TYPE",
                "value": {"fieldName": {"name": "x"}, "typeSignature": {"rawType": "bigint", "arguments": []}},
            }
        ],
    }


def test_clients_without_parametric_datetime_see_plain_types() -> None:
    kind = parse_type("array(row(a timestamp(6), b decimal(3,1)))").without_precision()
    assert kind.display() == "array(row(a timestamp, b decimal(3,1)))"


def encoded(kind: str, value: Any, zone: str = "UTC") -> Any:
    encoder = encoder_of(parse_type(kind), ZoneInfo(zone))
    return value if encoder is None else encoder(value)


@pytest.mark.parametrize(
    ("kind", "value", "expected"),
    [
        ("bigint", 5, 5),
        ("boolean", True, True),
        ("double", 1.5, 1.5),
        ("double", float("nan"), "NaN"),
        ("double", float("inf"), "Infinity"),
        ("double", float("-inf"), "-Infinity"),
        ("real", 1.100000023841858, 1.1),
        ("decimal(5,2)", Decimal("1.5"), "1.50"),
        ("decimal(38,0)", 10**30, str(10**30)),
        ("varchar", "é", "é"),
        ("char(3)", "a", "a  "),
        ("varbinary", b"\xaa", "qg=="),
        ("date", dt.date(2020, 1, 2), "2020-01-02"),
        ("timestamp(3)", moment("2020-01-02T03:04:05.123456"), "2020-01-02 03:04:05.123"),
        ("timestamp(0)", moment("2020-01-02T03:04:05.123456"), "2020-01-02 03:04:05"),
        ("timestamp(9)", moment("2020-01-02T03:04:05.123456"), "2020-01-02 03:04:05.123456000"),
        ("timestamp(3)", moment("0812-01-02T03:04:05.000000"), "0812-01-02 03:04:05.000"),
        ("time(3)", dt.time(3, 4, 5, 6000), "03:04:05.006"),
        (
            "time(0) with time zone",
            dt.time(3, 4, 5, tzinfo=dt.timezone(dt.timedelta(hours=-3, minutes=-30))),
            "03:04:05-03:30",
        ),
        ("interval day to second", 90061001000, "1 01:01:01.001"),
        ("interval day to second", -1000000, "-0 00:00:01.000"),
        ("interval year to month", 14, "1-2"),
        ("interval year to month", -14, "-1-2"),
        ("array(date)", [dt.date(2020, 1, 2), None], ["2020-01-02", None]),
        ("map(bigint, double)", {1: float("nan"), 2: None}, {"1": "NaN", "2": None}),
        ("map(boolean, bigint)", {True: 1}, {"true": 1}),
        ("row(a date, b bigint)", {"a": dt.date(2020, 1, 2), "b": 1}, ["2020-01-02", 1]),
        ("row(date, bigint)", (None, 1), [None, 1]),
        ("date", None, None),
    ],
)
def test_values_go_out_as_trino_sends_them(kind: str, value: Any, expected: Any) -> None:
    assert encoded(kind, value) == expected


def test_instants_are_shown_in_the_zone_asked_for() -> None:
    noon = dt.datetime(2020, 7, 1, 12, tzinfo=dt.UTC)
    assert encoded("timestamp(3) with time zone", noon) == "2020-07-01 12:00:00.000 UTC"
    assert encoded("timestamp(0) with time zone", noon, "Europe/Paris") == "2020-07-01 14:00:00 Europe/Paris"


def test_numbers_beyond_64_bits_fail_the_query() -> None:
    with pytest.raises(QueryFailure) as caught:
        encoded("bigint", 2**63)
    assert caught.value.name == "NUMERIC_VALUE_OUT_OF_RANGE"


@pytest.mark.parametrize(
    ("name", "key"),
    [("UTC", "UTC"), ("+02:00", "Etc/GMT-2"), ("-05:00", "Etc/GMT+5"), ("Europe/Paris", "Europe/Paris")],
)
def test_time_zones_are_found_with_and_without_a_system_database(name: str, key: str) -> None:
    import zoneinfo

    assert time_zone(name).key == key
    time_zone.cache_clear()
    zoneinfo.reset_tzpath([])
    try:
        ZoneInfo.clear_cache()
        assert time_zone(name).utcoffset(moment("2020-07-01T00:00:00")) is not None
    finally:
        zoneinfo.reset_tzpath()
        time_zone.cache_clear()


@pytest.mark.parametrize("name", ["Mars/Olympus", "../etc/passwd", "", "+02:30", "/UTC"])
def test_names_of_no_zone_are_refused(name: str) -> None:
    with pytest.raises(UnknownTimeZone):
        time_zone(name)


@given(st.floats(width=32, allow_nan=False, allow_infinity=False))
def test_a_real_is_the_same_32_bit_number_when_read_back(value: float) -> None:
    import struct

    assert struct.pack("f", encoded("real", value)) == struct.pack("f", value)


@given(st.integers(-(10**15), 10**15))
def test_day_intervals_read_back(micros: int) -> None:
    millis = abs(micros) // 1000
    text = encoded("interval day to second", micros).lstrip("-")
    days, clock = text.split(" ")
    hours, minutes, seconds = clock.split(":")
    total = ((int(days) * 24 + int(hours)) * 60 + int(minutes)) * 60_000 + round(float(seconds) * 1000)
    assert total == millis


def test_scalar_types_without_arguments_have_empty_lists() -> None:
    assert TrinoType("bigint").signature() == {"rawType": "bigint", "arguments": []}
