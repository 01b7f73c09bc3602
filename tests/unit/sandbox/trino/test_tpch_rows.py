"""The TPC-H rows are the specification's: known rows, exact counts, known answers, comment lengths."""

from __future__ import annotations

from itertools import islice
from typing import Any

import pytest

from sandbox.trino import tpch
from sandbox.trino.tpch_random import Stream, text_pool
from sandbox.trino.tpch_words import COLORS, NATIONS, REGIONS

COUNTS = {
    "customer": 1500,
    "lineitem": 60175,
    "nation": 25,
    "orders": 15000,
    "part": 2000,
    "partsupp": 8000,
    "region": 5,
    "supplier": 100,
}


def first(table: str) -> tuple[Any, ...]:
    return next(tpch.rows(table))


@pytest.mark.parametrize(("table", "count"), COUNTS.items())
def test_each_table_has_the_rows_of_scale_factor_one_hundredth(table: str, count: int) -> None:
    rows = list(tpch.rows(table))
    assert len(rows) == count
    assert {len(row) for row in rows} == {len(tpch.TABLES[table].columns)}


def test_first_rows_are_those_of_the_reference_generator() -> None:
    assert first("customer")[:7] == (
        1, "Customer#000000001", "IVhzIApeRb ot,c,E", 15, "25-989-741-2988", "711.56", "BUILDING",
    )  # fmt: skip
    assert first("orders")[:8] == (1, 370, "O", "172799.49", "1996-01-02", "5-LOW", "Clerk#000000951", 0)
    assert first("lineitem")[:15] == (
        1, 1552, 93, 1, 17, "24710.35", "0.04", "0.02", "N", "O", "1996-03-13", "1996-02-12", "1996-03-22",
        "DELIVER IN PERSON", "TRUCK",
    )  # fmt: skip
    assert first("part")[:8] == (
        1, "goldenrod lavender spring chocolate lace", "Manufacturer#1", "Brand#13", "PROMO BURNISHED COPPER", 7,
        "JUMBO PKG", "901.00",
    )  # fmt: skip
    assert first("supplier")[:6] == (
        1, "Supplier#000000001", " N kD4on9OM Ipw3,gf0JBoQDd7tgrzrddZ", 17, "27-918-335-1736", "5755.94",
    )  # fmt: skip
    assert first("partsupp")[:4] == (1, 2, 3325, "771.64")


def test_the_sixth_query_has_its_published_answer() -> None:
    revenue = sum(
        float(row[5]) * float(row[6])
        for row in tpch.rows("lineitem")
        if "1994-01-01" <= str(row[10]) < "1995-01-01" and 0.05 <= float(row[6]) <= 0.07 and row[4] < 24
    )
    assert round(revenue, 4) == 1193053.2253


def test_order_totals_agree_with_their_lines() -> None:
    totals = {row[0]: (row[2], float(str(row[3]))) for row in islice(tpch.rows("orders"), 500)}
    sums: dict[Any, float] = {}
    states: dict[Any, set[Any]] = {}
    for row in tpch.rows("lineitem"):
        if row[0] in totals:
            price, discount, tax = (float(row[index]) for index in (5, 6, 7))
            sums[row[0]] = sums.get(row[0], 0.0) + price * (1 - discount) * (1 + tax)
            states.setdefault(row[0], set()).add(row[9])
    for key, (status, total) in totals.items():
        assert abs(sums[key] - total) < 0.1
        assert status == ("P" if len(states[key]) == 2 else states[key].pop())


def test_keys_refer_to_rows_that_exist() -> None:
    assert {row[3] for row in tpch.rows("customer")} <= set(range(len(NATIONS)))
    assert {row[1] for row in tpch.rows("partsupp")} == set(range(1, 101))
    pairs = {(row[0], row[1]) for row in tpch.rows("partsupp")}
    assert all((row[1], row[2]) in pairs for row in islice(tpch.rows("lineitem"), 5000))
    assert all(row[1] % 3 for row in tpch.rows("orders"))


def test_fixed_comments_have_the_lengths_that_the_generator_draws() -> None:
    for seed, names in ((606179079, [row[2] for row in NATIONS]), (1500869201, [row[1] for row in REGIONS])):
        stream = Stream(seed, 2)
        for text in names:
            stream.between(0, 1)
            assert stream.between(28, 115) == len(text)
            stream.row_finished()


def test_generation_is_repeatable() -> None:
    assert list(tpch.rows("supplier")) == list(tpch.rows("supplier"))
    assert text_pool() is text_pool()
    assert len(COLORS) == 92
