"""The TPC-H tables at scale factor 0.01, with the columns that Trino's tpch connector gives them.

Called by the engine when a query first touches a table; rows are generated once and kept by the
engine as a file. Keys, dates, prices, names and every other column follow the specification's
generator draw by draw, so that results can be compared with a real server's; comments have the right
lengths but other words (the generator's text pool is left out for its size), except those of nation
and region, which are exact.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from dataclasses import dataclass

from sandbox.trino import tpch_words as words
from sandbox.trino.tpch_random import Stream, alphanumeric, comment, phone
from sandbox.trino.trino_types import BIGINT, DATE, DOUBLE, INTEGER, TrinoType, varchar

Row = tuple[object, ...]

CUSTOMERS, ORDERS, PARTS, SUPPLIERS = 1500, 15000, 2000, 100
_SUPPLIERS_PER_PART = 4
_MAX_LINES = 7
_EPOCH = dt.date(1970, 1, 1)
_START = (dt.date(1992, 1, 1) - _EPOCH).days
_ORDER_DAYS = 2557 - (121 + 30) - 1
_CURRENT = (dt.date(1995, 6, 17) - _EPOCH).days
_BALANCE = (-99999, 999999)
_COMMENTED_SUPPLIERS_PER_10000 = 10


@dataclass(frozen=True, slots=True)
class Table:
    """`prefix` is what the specification puts before each column name."""

    name: str
    prefix: str
    columns: tuple[tuple[str, TrinoType], ...]


TABLES: dict[str, Table] = {
    table.name: table
    for table in (
        Table("customer", "c_", (
            ("custkey", BIGINT), ("name", varchar(25)), ("address", varchar(40)), ("nationkey", BIGINT),
            ("phone", varchar(15)), ("acctbal", DOUBLE), ("mktsegment", varchar(10)), ("comment", varchar(117)))),
        Table("lineitem", "l_", (
            ("orderkey", BIGINT), ("partkey", BIGINT), ("suppkey", BIGINT), ("linenumber", INTEGER),
            ("quantity", DOUBLE), ("extendedprice", DOUBLE), ("discount", DOUBLE), ("tax", DOUBLE),
            ("returnflag", varchar(1)), ("linestatus", varchar(1)), ("shipdate", DATE), ("commitdate", DATE),
            ("receiptdate", DATE), ("shipinstruct", varchar(25)), ("shipmode", varchar(10)),
            ("comment", varchar(44)))),
        Table("nation", "n_", (
            ("nationkey", BIGINT), ("name", varchar(25)), ("regionkey", BIGINT), ("comment", varchar(152)))),
        Table("orders", "o_", (
            ("orderkey", BIGINT), ("custkey", BIGINT), ("orderstatus", varchar(1)), ("totalprice", DOUBLE),
            ("orderdate", DATE), ("orderpriority", varchar(15)), ("clerk", varchar(15)),
            ("shippriority", INTEGER), ("comment", varchar(79)))),
        Table("part", "p_", (
            ("partkey", BIGINT), ("name", varchar(55)), ("mfgr", varchar(25)), ("brand", varchar(10)),
            ("type", varchar(25)), ("size", INTEGER), ("container", varchar(10)), ("retailprice", DOUBLE),
            ("comment", varchar(23)))),
        Table("partsupp", "ps_", (
            ("partkey", BIGINT), ("suppkey", BIGINT), ("availqty", INTEGER), ("supplycost", DOUBLE),
            ("comment", varchar(199)))),
        Table("region", "r_", (
            ("regionkey", BIGINT), ("name", varchar(25)), ("comment", varchar(152)))),
        Table("supplier", "s_", (
            ("suppkey", BIGINT), ("name", varchar(25)), ("address", varchar(40)), ("nationkey", BIGINT),
            ("phone", varchar(15)), ("acctbal", DOUBLE), ("comment", varchar(101)))),
    )
}  # fmt: skip


def rows(table: str) -> Iterator[Row]:
    """The rows of one table; dates as ISO text, money as exact decimal text."""
    return _GENERATORS[table]()


def _region() -> Iterator[Row]:
    for key, (name, text) in enumerate(words.REGIONS):
        yield key, name, text


def _nation() -> Iterator[Row]:
    for key, (name, region, text) in enumerate(words.NATIONS):
        yield key, name, region, text


def _customer() -> Iterator[Row]:
    address, nation_key, phones = Stream(881155353, 9), Stream(1489529863), Stream(1521138112, 3)
    balance, segment, text = Stream(298370230), Stream(1140279430), Stream(1335826707, 2)
    streams = (address, nation_key, phones, balance, segment, text)
    for key in range(1, CUSTOMERS + 1):
        nation = nation_key.between(0, len(words.NATIONS) - 1)
        yield (
            key, f"Customer#{key:09d}", alphanumeric(address, 25), nation, phone(phones, nation),
            _money(balance.between(*_BALANCE)), segment.choice(words.SEGMENTS), comment(text, 73),
        )  # fmt: skip
        for stream in streams:
            stream.row_finished()


def _supplier() -> Iterator[Row]:
    address, nation_key, phones = Stream(706178559, 9), Stream(110356601), Stream(884434366, 3)
    balance, text = Stream(962338209), Stream(1341315363, 2)
    marked, noise, offset, kind = Stream(202794285), Stream(263032577), Stream(715851524), Stream(753643799)
    streams = (address, nation_key, phones, balance, text, marked, noise, offset, kind)
    for key in range(1, SUPPLIERS + 1):
        remark = comment(text, 63)
        if marked.between(1, 10_000) <= _COMMENTED_SUPPLIERS_PER_10000:
            remark = _marked(remark, noise, offset, kind)
        nation = nation_key.between(0, len(words.NATIONS) - 1)
        yield (
            key, f"Supplier#{key:09d}", alphanumeric(address, 25), nation, phone(phones, nation),
            _money(balance.between(*_BALANCE)), remark,
        )  # fmt: skip
        for stream in streams:
            stream.row_finished()


def _marked(text: str, noise: Stream, offset: Stream, kind: Stream) -> str:
    """A few suppliers carry `Customer ... Complaints` or `... Recommends` in their comment."""
    first, second_length = "Customer ", len("Complaints")
    whole = len(first) + second_length
    gap = noise.between(0, len(text) - whole)
    place = offset.between(0, len(text) - whole - gap)
    second = "Complaints" if kind.between(0, 100) < 50 else "Recommends"
    text = text[:place] + first + text[place + len(first) :]
    start = place + len(first) + gap
    return text[:start] + second + text[start + second_length :]


def _part() -> Iterator[Row]:
    name, maker, brand = Stream(709314158, len(words.COLORS)), Stream(1), Stream(46831694)
    kind, size, container = Stream(1841581359), Stream(1193163244), Stream(727633698)
    text = Stream(804159733, 2)
    streams = (name, maker, brand, kind, size, container, text)
    for key in range(1, PARTS + 1):
        colors = list(words.COLORS)
        for index in range(5):
            other = name.between(index, len(colors) - 1)
            colors[index], colors[other] = colors[other], colors[index]
        made_by = maker.between(1, 5)
        yield (
            key, " ".join(colors[:5]), f"Manufacturer#{made_by}", f"Brand#{made_by * 10 + brand.between(1, 5)}",
            kind.choice(words.TYPES), size.between(1, 50), container.choice(words.CONTAINERS),
            _money(_part_price(key)), comment(text, 14),
        )  # fmt: skip
        for stream in streams:
            stream.row_finished()


def _part_price(key: int) -> int:
    return 90000 + key // 10 % 20001 + key % 1000 * 100


def _supplier_of(part: int, number: int) -> int:
    return (part + number * (SUPPLIERS // _SUPPLIERS_PER_PART + (part - 1) // SUPPLIERS)) % SUPPLIERS + 1


def _partsupp() -> Iterator[Row]:
    quantity, cost = Stream(1671059989, _SUPPLIERS_PER_PART), Stream(1051288424, _SUPPLIERS_PER_PART)
    text = Stream(1961692154, 2 * _SUPPLIERS_PER_PART)
    for part in range(1, PARTS + 1):
        for number in range(_SUPPLIERS_PER_PART):
            yield (
                part, _supplier_of(part, number), quantity.between(1, 9999), _money(cost.between(100, 100_000)),
                comment(text, 124),
            )  # fmt: skip
        for stream in (quantity, cost, text):
            stream.row_finished()


def _order_key(index: int) -> int:
    """Keys are sparse: eight used of every thirty-two."""
    return (index >> 3 << 5) + (index & 7)


def _orders() -> Iterator[Row]:
    date, line_count, customer = Stream(1066728069), Stream(1434868289), Stream(851767375)
    priority, clerk, text = Stream(591449447), Stream(1171034773), Stream(276090261, 2)
    quantity, discount, tax, part, ship = (
        Stream(seed, _MAX_LINES) for seed in (209208115, 554590007, 721958466, 1808217256, 1769349045)
    )
    streams = (date, line_count, customer, priority, clerk, text, quantity, discount, tax, part, ship)
    for index in range(1, ORDERS + 1):
        ordered = _START + date.between(0, _ORDER_DAYS)
        key = customer.between(1, CUSTOMERS)
        step = 1
        while key % 3 == 0:  # a third of the customers never order
            key = min(key + step, CUSTOMERS)
            step = -step
        total = shipped = 0
        lines = line_count.between(1, _MAX_LINES)
        for _ in range(lines):
            amount = quantity.between(1, 50)
            reduction, rate = discount.between(0, 10), tax.between(0, 8)
            price = _part_price(part.between(1, PARTS)) * amount
            total += price * (100 - reduction) // 100 * (100 + rate) // 100
            shipped += ordered + ship.between(1, 121) <= _CURRENT
        status = "F" if shipped == lines else "P" if shipped else "O"
        yield (
            _order_key(index), key, status, _money(total), _date(ordered), priority.choice(words.PRIORITIES),
            f"Clerk#{clerk.between(1, 1000):09d}", 0, comment(text, 49),
        )  # fmt: skip
        for stream in streams:
            stream.row_finished()


def _lineitem() -> Iterator[Row]:
    date, line_count = Stream(1066728069), Stream(1434868289)
    (quantity, discount, tax, part, number, ship, commit, receipt, flag, instruct, mode) = (
        Stream(seed, _MAX_LINES)
        for seed in (
            209208115, 554590007, 721958466, 1808217256, 2095021727, 1769349045, 904914315, 373135028,
            717419739, 1371272478, 675466456,
        )
    )  # fmt: skip
    text = Stream(1095462486, 2 * _MAX_LINES)
    streams = (date, line_count, quantity, discount, tax, part, number, ship, commit, receipt, flag, instruct,
               mode, text)  # fmt: skip
    for index in range(1, ORDERS + 1):
        order = _order_key(index)
        ordered = _START + date.between(0, _ORDER_DAYS)
        for line in range(1, line_count.between(1, _MAX_LINES) + 1):
            amount = quantity.between(1, 50)
            reduction, rate = discount.between(0, 10), tax.between(0, 8)
            part_key = part.between(1, PARTS)
            supplier = _supplier_of(part_key, number.between(0, 3))
            shipped = ordered + ship.between(1, 121)
            committed = ordered + commit.between(30, 90)
            received = shipped + receipt.between(1, 30)
            returned = flag.choice(words.RETURN_FLAGS) if received <= _CURRENT else "N"
            yield (
                order, part_key, supplier, line, amount, _money(_part_price(part_key) * amount),
                _money(reduction), _money(rate), returned, "F" if shipped <= _CURRENT else "O", _date(shipped),
                _date(committed), _date(received), instruct.choice(words.INSTRUCTIONS), mode.choice(words.MODES),
                comment(text, 27),
            )  # fmt: skip
        for stream in streams:
            stream.row_finished()


def _money(cents: int) -> str:
    sign = "-" if cents < 0 else ""
    return f"{sign}{abs(cents) // 100}.{abs(cents) % 100:02d}"


def _date(day: int) -> str:
    return dt.date.fromordinal(_EPOCH.toordinal() + day).isoformat()


_GENERATORS = {
    "customer": _customer, "lineitem": _lineitem, "nation": _nation, "orders": _orders, "part": _part,
    "partsupp": _partsupp, "region": _region, "supplier": _supplier,
}  # fmt: skip
