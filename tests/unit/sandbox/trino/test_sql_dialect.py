"""Trino's SQL gives Trino's answers: a corpus of statements with their names, types and values.

Plan: expressions by family (dates, casts, strings, JSON, arrays, maps, rows, lambdas, aggregates,
intervals), query forms (unnest, windows, grouping sets, recursion), names and types of columns,
definition and change of tables, failures with their codes, and what may not be reached from SQL.
The engine is real; it is started once.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from sandbox.trino import tpch
from sandbox.trino.encoding import encoder_of
from sandbox.trino.engine import Engine
from sandbox.trino.errors import QueryFailure
from sandbox.trino.session import Session
from sandbox.trino.trino_types import VARCHAR, TrinoType
from tests.support.trino_standin import CACHE, configured, etc


class Handle:
    """A query that nobody cancels."""

    def __init__(self) -> None:
        self.states: list[str] = []

    def entered(self, state: str) -> None:
        self.states.append(state)

    def interrupt_with(self, interrupt: Callable[[], None] | None) -> None:
        """Nothing interrupts it."""

    def wait(self, seconds: float) -> None:
        threading.Event().wait(seconds)


class System:
    def schemas(self) -> dict[str, dict[str, dict[str, TrinoType]]]:
        return {"runtime": {"nodes": {"node_id": VARCHAR}}}

    def rows(self, schema: str, table: str) -> list[tuple[str]]:
        return [("node-1",)]


@pytest.fixture(scope="module")
def engine() -> Iterator[Engine]:
    catalogs = {
        "tpch": "connector.name=tpch\n",
        "standard": "connector.name=tpch\ntpch.column-naming=STANDARD\n",
        "memory": "connector.name=memory\n",
        "nothing": "connector.name=blackhole\n",
        "ds": "connector.name=tpcds\n",
        "lake": "connector.name=hive\nhive.metastore.uri=thrift://h:9083\n",
    }
    found = Engine(configured(etc(catalogs=catalogs)), CACHE)
    found.system = System()
    found.start()
    yield found
    found.close()


def run(engine: Engine, sql: str, **session: Any) -> tuple[list[str], list[str], list[list[Any]]]:
    """Names, types and encoded rows."""
    settings = {"user": "alice", "catalog": "tpch", "schema": "tiny", **session}
    with engine.execute(sql, Session(**settings), Handle()) as outcome:
        columns = outcome.columns or []
        encoders = [encoder_of(column.type, ZoneInfo(column.zone or "UTC")) for column in columns]
        rows = [
            [value if encoder is None else encoder(value) for value, encoder in zip(row, encoders, strict=True)]
            for batch in outcome.batches
            for row in batch
        ]
        return [column.name for column in columns], [column.type.display() for column in columns], rows


def value(engine: Engine, expression: str) -> Any:
    return run(engine, f"SELECT {expression}")[2][0][0]


EXPRESSIONS: list[tuple[str, Any]] = [
    # dates and times
    ("DATE '2020-01-31' + INTERVAL '1' MONTH", "2020-02-29"),
    ("DATE '2020-03-01' - INTERVAL '1' DAY", "2020-02-29"),
    ("date_add('day', 3, DATE '2020-01-30')", "2020-02-02"),
    ("date_diff('day', DATE '2020-01-01', DATE '2020-02-01')", 31),
    ("date_trunc('month', DATE '2020-05-17')", "2020-05-01"),
    ("date_trunc('hour', TIMESTAMP '2020-05-17 10:11:12')", "2020-05-17 10:00:00.000000"),
    ("date_format(TIMESTAMP '2020-01-02 03:04:05', '%Y-%m-%d %H:%i:%s')", "2020-01-02 03:04:05"),
    ("date_parse('2020-01-02', '%Y-%m-%d')", "2020-01-02 00:00:00.000"),
    ("format_datetime(TIMESTAMP '2020-01-02 03:04:05', 'dd.MM.yyyy ''um'' HH:mm')", "02.01.2020 um 03:04"),
    ("parse_datetime('2020/01/02', 'yyyy/MM/dd')", "2020-01-02 00:00:00.000 UTC"),
    ("year(DATE '2020-05-17')", 2020),
    ("extract(quarter FROM DATE '2020-05-17')", 2),
    ("day_of_week(DATE '2020-01-01')", 3),
    ("day_of_year(DATE '2020-02-01')", 32),
    ("week(DATE '2020-01-01')", 1),
    ("year_of_week(DATE '2019-12-30')", 2020),
    ("last_day_of_month(DATE '2020-02-03')", "2020-02-29"),
    ("from_unixtime(86400)", "1970-01-02 00:00:00.000 UTC"),
    ("to_unixtime(TIMESTAMP '1970-01-02 00:00:00')", 86400.0),
    ("from_iso8601_date('2020-01-02')", "2020-01-02"),
    ("from_iso8601_timestamp('2020-01-02T03:04:05Z')", "2020-01-02 03:04:05.000 UTC"),
    ("to_iso8601(DATE '2020-01-02')", "2020-01-02"),
    ("TIMESTAMP '2020-01-01 00:00:00 UTC' AT TIME ZONE 'America/New_York'", "2019-12-31 19:00:00 America/New_York"),
    ("TIME '10:11:12.5'", "10:11:12.5"),
    ("date('2020-01-02')", "2020-01-02"),
    # intervals
    ("INTERVAL '3' DAY", "3 00:00:00.000"),
    ("INTERVAL '90' MINUTE", "0 01:30:00.000"),
    ("INTERVAL '14' MONTH", "1-2"),
    ("INTERVAL '2' YEAR", "2-0"),
    # casts and conditions
    ("CAST('12' AS bigint)", 12),
    ("CAST(1.5 AS varchar)", "1.5"),
    ("CAST('abcdef' AS varchar(3))", "abc"),
    ("CAST('ab' AS char(4))", "ab  "),
    ("CAST('2020-01-02' AS date)", "2020-01-02"),
    ("CAST(1 AS decimal(10, 2))", "1.00"),
    ("CAST('2020-01-02 03:04:05.678' AS timestamp(1))", "2020-01-02 03:04:05.6"),
    ("TRY_CAST('x' AS bigint)", None),
    ("TRY(1 / 0)", None),
    ("DECIMAL '1.50'", "1.50"),
    ("REAL '1.1'", 1.1),
    ("if(1 > 2, 'x', 'y')", "y"),
    ("if(1 > 2, 'x')", None),
    ("coalesce(NULL, 1)", 1),
    ("nullif(1, 1)", None),
    ("CASE WHEN 1 = 1 THEN 'a' ELSE 'b' END", "a"),
    ("1 IS DISTINCT FROM NULL", True),
    ("greatest(1, 3, 2)", 3),
    ("greatest(1, NULL)", None),
    # numbers
    ("7 / 2", 3),
    ("-7 / 2", -3),
    ("7 % 3", 1),
    ("1e0 / 4", 0.25),
    ("nan()", "NaN"),
    ("infinity()", "Infinity"),
    ("-infinity()", "-Infinity"),
    ("power(2, 10)", 1024.0),
    ("round(1.55, 1)", "1.6"),
    ("truncate(-1.5)", "-1"),
    ("log(2, 8)", 3.0),
    ("log10(100)", 2.0),
    ("width_bucket(3, 0, 10, 5)", 2),
    ("bitwise_and(6, 3)", 2),
    ("to_base(10, 2)", "1010"),
    ("is_nan(nan())", True),
    ("random(1)", 0),
    # strings
    ("'a' || 'b' || 'c'", "abc"),
    ("concat('a', 'b')", "ab"),
    ("substr('abc', 2)", "bc"),
    ("substring('abc' FROM 2 FOR 1)", "b"),
    ("strpos('abcb', 'b')", 2),
    ("position('c' IN 'abc')", 3),
    ("lpad('7', 3, '0')", "007"),
    ("split('a,b', ',')", ["a", "b"]),
    ("split_part('a,b', ',', 2)", "b"),
    ("reverse('abc')", "cba"),
    ("length('häuser')", 6),
    ("codepoint('A')", 65),
    ("chr(65)", "A"),
    ("format('%s has %d', 'a', 3)", "a has 3"),
    ("starts_with('abc', 'ab')", True),
    ("levenshtein_distance('ab', 'ac')", 1),
    ("upper(trim('  x '))", "X"),
    ("'100%' LIKE '100!%' ESCAPE '!'", True),
    ("regexp_like('abc', 'b')", True),
    ("regexp_extract('k=v', '(\\w)=(\\w)', 2)", "v"),
    ("regexp_replace('abc', '(b)', '<$1>')", "a<b>c"),
    ("regexp_extract_all('a1b2', '\\d')", ["1", "2"]),
    ("regexp_count('a1b2', '\\d')", 2),
    ("to_hex(X'AA01')", "AA01"),
    ("X'AA'", "qg=="),
    ("from_utf8(to_utf8('é'))", "é"),
    ("to_hex(md5(to_utf8('a')))", "0CC175B9C0F1B6A831C399E269772661"),
    ("url_extract_host('https://u@example.com:8080/p?q#f')", "example.com"),
    ("typeof('a')", "varchar"),
    ("version()", "480"),
    ("current_user", "alice"),
    ("current_catalog", "tpch"),
    ("current_schema", "tiny"),
    # JSON
    ("json_extract_scalar('{\"a\": {\"b\": 1}}', '$.a.b')", "1"),
    ("json_extract('{\"a\": [1, 2]}', '$.a')", "[1,2]"),
    ("json_format(JSON '{\"b\":2}')", '{"b":2}'),
    ("json_array_length('[1, 2]')", 2),
    ("json_value('{\"a\": 1}', 'lax $.a')", "1"),
    ("CAST(ARRAY[1, 2] AS json)", "[1,2]"),
    ("CAST(json_parse('5') AS bigint)", 5),
    ("CAST(json_extract('{\"a\": \"x\"}', '$.a') AS varchar)", "x"),
    ("CAST(json_parse('[1, 2]') AS array(bigint))", [1, 2]),
    # arrays, maps, rows, lambdas
    ("ARRAY[1, 2][1]", 1),
    ("element_at(ARRAY[1, 2], 5)", None),
    ("cardinality(ARRAY[1, 2])", 2),
    ("contains(ARRAY[1, 2], 2)", True),
    ("array_join(ARRAY[1, 2], '-')", "1-2"),
    ("sequence(1, 4)", [1, 2, 3, 4]),
    ("array_sort(ARRAY[3, 1, 2])", [1, 2, 3]),
    ("array_position(ARRAY[5, 6], 7)", 0),
    ("array_remove(ARRAY[1, 2, 1], 1)", [2]),
    ("array_except(ARRAY[1, 2], ARRAY[2])", [1]),
    ("slice(ARRAY[1, 2, 3], 2, 2)", [2, 3]),
    ("flatten(ARRAY[ARRAY[1], ARRAY[2]])", [1, 2]),
    ("ARRAY[1] || ARRAY[2]", [1, 2]),
    ("array_max(ARRAY[1, 3])", 3),
    ("transform(ARRAY[1, 2], x -> x * 10)", [10, 20]),
    ("filter(ARRAY[1, 2, 3], x -> x % 2 = 1)", [1, 3]),
    ("reduce(ARRAY[1, 2, 3], 0, (s, x) -> s + x, s -> s * 10)", 60),
    ("any_match(ARRAY[1, 2], x -> x = 2)", True),
    ("all_match(ARRAY[1, 2], x -> x = 2)", False),
    ("none_match(ARRAY[1, 2], x -> x = 3)", True),
    ("zip_with(ARRAY[1, 2], ARRAY[10, 20], (x, y) -> x + y)", [11, 22]),
    ("MAP(ARRAY['a'], ARRAY[1])['a']", 1),
    ("element_at(MAP(ARRAY['a'], ARRAY[1]), 'b')", None),
    ("cardinality(MAP(ARRAY['a'], ARRAY[1]))", 1),
    ("map_keys(MAP(ARRAY['a', 'b'], ARRAY[1, 2]))", ["a", "b"]),
    ("MAP(ARRAY[1], ARRAY[2])", {"1": 2}),
    ("transform_values(MAP(ARRAY['a'], ARRAY[1]), (k, v) -> v + 1)", {"a": 2}),
    ("transform_keys(MAP(ARRAY['a'], ARRAY[1]), (k, v) -> upper(k))", {"A": 1}),
    ("map_filter(MAP(ARRAY['a', 'b'], ARRAY[1, 2]), (k, v) -> v > 1)", {"b": 2}),
    ("ROW(1, 'x')", [1, "x"]),
    ("CAST(ROW(1, 'x') AS ROW(a bigint, b varchar)).b", "x"),
]  # fmt: skip


@pytest.mark.parametrize(("expression", "expected"), EXPRESSIONS)
def test_expressions(engine: Engine, expression: str, expected: Any) -> None:
    assert value(engine, expression) == expected


TYPES = [
    ("1", "integer"),
    ("9223372036854775807", "bigint"),
    ("1.50", "decimal(3,2)"),
    ("1e0", "double"),
    ("'abc'", "varchar(3)"),
    ("upper('abc')", "varchar"),
    ("NULL", "unknown"),
    ("count(*)", "bigint"),
    ("sum(1)", "bigint"),
    ("avg(1)", "double"),
    ("sum(1.5)", "decimal(38,1)"),
    ("current_date", "date"),
    ("current_timestamp", "timestamp(3) with time zone"),
    ("TIMESTAMP '2020-01-01 00:00:00.123456'", "timestamp(6)"),
    ("TIMESTAMP '2020-01-01 00:00:00 UTC'", "timestamp(0) with time zone"),
    ("CAST('1' AS varchar(7))", "varchar(7)"),
    ("ARRAY[1]", "array(integer)"),
    ("MAP(ARRAY[1], ARRAY[1.5])", "map(integer, decimal(2,1))"),
    ("ROW(1, 1e0)", "row(integer, double)"),
    ("X'00'", "varbinary"),
    ("JSON '1'", "json"),
    ("INTERVAL '1' DAY", "interval day to second"),
    ("INTERVAL '1' MONTH", "interval year to month"),
]


@pytest.mark.parametrize(("expression", "expected"), TYPES)
def test_types_of_expressions(engine: Engine, expression: str, expected: str) -> None:
    assert run(engine, f"SELECT {expression}")[1] == [expected]


QUERIES: list[tuple[str, list[list[Any]]]] = [
    ("SELECT * FROM UNNEST(ARRAY[1, 2], ARRAY['a']) AS t(a, b)", [[1, "a"], [2, None]]),
    ("SELECT * FROM UNNEST(ARRAY['x', 'y']) WITH ORDINALITY AS t(a, n) ORDER BY n", [["x", 1], ["y", 2]]),
    ("SELECT * FROM UNNEST(ARRAY[7, 8], ARRAY[9]) WITH ORDINALITY AS t(a, b, n)", [[7, 9, 1], [8, None, 2]]),
    ("SELECT * FROM UNNEST(MAP(ARRAY['a', 'b'], ARRAY[1, 2])) AS t(k, v)", [["a", 1], ["b", 2]]),
    (
        "SELECT name, x FROM nation CROSS JOIN UNNEST(ARRAY[1, 2]) AS t(x) WHERE nationkey = 1 ORDER BY x",
        [["ARGENTINA", 1], ["ARGENTINA", 2]],
    ),
    (
        "SELECT x, y FROM (SELECT ARRAY[ROW(1, 'a'), ROW(2, 'b')] r) CROSS JOIN UNNEST(r) AS t(x, y)",
        [[1, "a"], [2, "b"]],
    ),
    ("VALUES (1, 'a'), (2, 'b')", [[1, "a"], [2, "b"]]),
    ("SELECT * FROM (VALUES (1, 'a')) AS t(x, y)", [[1, "a"]]),
    ("WITH RECURSIVE t(n) AS (VALUES (1) UNION ALL SELECT n + 1 FROM t WHERE n < 3) SELECT * FROM t", [[1], [2], [3]]),
    ("SELECT * FROM TABLE(sequence(1, 3))", [[1], [2], [3]]),
    ("SELECT regionkey, count(*) FROM nation GROUP BY 1 HAVING count(*) > 4 ORDER BY 1 LIMIT 1", [[0, 5]]),
    (
        "SELECT orderstatus, count(*) FROM orders GROUP BY GROUPING SETS ((orderstatus), ()) ORDER BY 2",
        [["P", 363], ["F", 7304], ["O", 7333], [None, 15000]],
    ),
    ("SELECT name FROM nation ORDER BY name OFFSET 1 ROW FETCH NEXT 2 ROWS ONLY", [["ARGENTINA"], ["BRAZIL"]]),
    ("SELECT name FROM nation ORDER BY name DESC OFFSET 1 LIMIT 1", [["UNITED STATES"]]),
    (
        "SELECT name, rank() OVER (PARTITION BY regionkey ORDER BY name) FROM nation "
        "WHERE regionkey = 1 ORDER BY 2 LIMIT 2",
        [["ARGENTINA", 1], ["BRAZIL", 2]],
    ),
    ("SELECT lag(name) OVER (ORDER BY name) FROM nation ORDER BY name LIMIT 2", [[None], ["ALGERIA"]]),
    (
        "SELECT listagg(name, '/') WITHIN GROUP (ORDER BY name DESC) FROM region WHERE regionkey < 2",
        [["AMERICA/AFRICA"]],
    ),
    ("SELECT array_agg(name ORDER BY name) FROM region WHERE regionkey < 2", [[["AFRICA", "AMERICA"]]]),
    ("SELECT map_agg(regionkey, name) FROM region WHERE regionkey < 2", [[{"0": "AFRICA", "1": "AMERICA"}]]),
    ("SELECT histogram(regionkey) FROM nation WHERE nationkey < 3", [[{"0": 1, "1": 2}]]),
    ("SELECT count(DISTINCT regionkey) FILTER (WHERE nationkey > 0) FROM nation", [[5]]),
    ("SELECT max_by(name, nationkey), min_by(name, nationkey) FROM nation", [["UNITED STATES", "ALGERIA"]]),
    ("SELECT count_if(regionkey = 1), bool_or(regionkey = 1), every(regionkey < 9) FROM nation", [[5, True, True]]),
    ("SELECT approx_distinct(regionkey) FROM nation", [[5]]),
    ("SELECT round(geometric_mean(x), 3) FROM (VALUES 1, 4) AS t(x)", [[2.0]]),
    ("SELECT count(*) FROM nation TABLESAMPLE BERNOULLI (100)", [[25]]),
    (
        "SELECT name FROM region WHERE regionkey = ANY (SELECT 3) OR regionkey IN (SELECT 4) ORDER BY 1",
        [["EUROPE"], ["MIDDLE EAST"]],
    ),
    (
        "SELECT r.name FROM region r "
        "WHERE EXISTS (SELECT 1 FROM nation n WHERE n.regionkey = r.regionkey AND n.name = 'PERU')",
        [["AMERICA"]],
    ),
    ("SELECT name FROM nation EXCEPT SELECT name FROM nation WHERE nationkey > 0", [["ALGERIA"]]),
    ("SELECT tpch.tiny.region.name FROM tpch.tiny.region WHERE regionkey = 0", [["AFRICA"]]),
    ("TABLE region ORDER BY regionkey LIMIT 0", []),
    ("SELECT n_name FROM standard.tiny.nation WHERE n_nationkey = 0", [["ALGERIA"]]),
    ("SELECT * FROM system.runtime.nodes", [["node-1"]]),
    ("SELECT schema_name FROM tpch.information_schema.schemata WHERE schema_name = 'tiny'", [["tiny"]]),
]  # fmt: skip


@pytest.mark.parametrize(("sql", "expected"), QUERIES)
def test_queries(engine: Engine, sql: str, expected: list[list[Any]]) -> None:
    assert run(engine, sql)[2] == expected


def test_date_ranges_select_the_same_rows_as_the_generator(engine: Engine) -> None:
    sql = """
        SELECT count(*) FROM lineitem
        WHERE shipdate >= DATE '1995-01-01' AND shipdate < DATE '1995-01-01' + INTERVAL '3' MONTH
    """
    expected = sum("1995-01-01" <= str(row[10]) < "1995-04-01" for row in tpch.rows("lineitem"))
    assert run(engine, sql)[2] == [[expected]]


def test_columns_are_named_as_trino_names_them(engine: Engine) -> None:
    names, types, _ = run(engine, "SELECT nationkey AS Key, name || 'x', n.*, count(*) OVER () FROM nation n LIMIT 1")
    assert names == ["Key", "_col1", "nationkey", "name", "regionkey", "comment", "_col6"]
    assert types == ["bigint", "varchar", "bigint", "varchar(25)", "bigint", "varchar(152)", "bigint"]
    assert run(engine, "SELECT name, name FROM nation LIMIT 1")[0] == ["name", "name"]
    assert run(engine, "VALUES (1, 2)")[0] == ["_col0", "_col1"]


def test_dates_stay_dates_through_arithmetic(engine: Engine) -> None:
    _, types, _ = run(
        engine,
        "SELECT orderdate + INTERVAL '1' DAY, max(orderdate), date_add('day', 1, orderdate) FROM orders "
        "GROUP BY orderdate LIMIT 1",
    )
    assert types == ["date", "date", "date"]


FAILURES = [
    ("SELECT nope FROM nation", "COLUMN_NOT_FOUND", (1, 8)),
    ("SELECT n.nope\nFROM nation n", "COLUMN_NOT_FOUND", (1, 8)),
    ("SELECT m.name FROM nation n", "COLUMN_NOT_FOUND", (1, 8)),
    ("SELECT * FROM a.b.c", "CATALOG_NOT_FOUND", None),
    ("SELECT * FROM tpch.nope.c", "SCHEMA_NOT_FOUND", None),
    ("SELECT * FROM nope", "TABLE_NOT_FOUND", (1, 15)),
    ("SELECT nofun(1)", "FUNCTION_NOT_FOUND", (1, 8)),
    ("SELECT 1 / 0", "DIVISION_BY_ZERO", None),
    ("SELECT CAST('x' AS bigint)", "INVALID_CAST_ARGUMENT", None),
    ("SELECT CAST(300 AS tinyint)", "INVALID_CAST_ARGUMENT", None),
    ("SELECT 9223372036854775807 + 1", "NUMERIC_VALUE_OUT_OF_RANGE", None),
    ("SELECT (SELECT nationkey FROM nation)", "SUBQUERY_MULTIPLE_ROWS", None),
    ("SELECT 1 + ARRAY[1]", "TYPE_MISMATCH", None),
    ("SELECT * FROM lake.default.t", "HIVE_METASTORE_ERROR", None),
    ("SELECT * FROM tpch.sf1.nation", "NOT_SUPPORTED", None),
    ("INSERT INTO nation SELECT * FROM nation", "NOT_SUPPORTED", None),
    ("CREATE TABLE tpch.tiny.x (a bigint)", "NOT_SUPPORTED", None),
    ("DROP TABLE memory.default.nope", "TABLE_NOT_FOUND", None),
    ("SET SESSION nope = 1", "INVALID_SESSION_PROPERTY", None),
    ("USE nope.x", "CATALOG_NOT_FOUND", None),
    ("EXECUTE nope", "NOT_FOUND", None),
    ("COMMIT", "NOT_IN_TRANSACTION", None),
    ("CALL system.runtime.nope()", "PROCEDURE_NOT_FOUND", None),
    ("SELECT CAST('::1' AS ipaddress)", "NOT_SUPPORTED", None),
]


@pytest.mark.parametrize(("sql", "name", "location"), FAILURES)
def test_failures_have_trinos_codes(engine: Engine, sql: str, name: str, location: tuple[int, int] | None) -> None:
    with pytest.raises(QueryFailure) as caught:
        run(engine, sql)
    assert caught.value.name == name
    if location is not None:
        assert caught.value.location == location


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT * FROM read_text('/etc/hostname')",
        "SELECT * FROM read_csv('/etc/hostname')",
        "SELECT * FROM '/etc/hostname'",
        "SELECT * FROM TABLE(read_text('/etc/hostname'))",
        "SELECT read_text('/etc/hostname')",
        "COPY nation TO '/tmp/x.csv'",
        "ATTACH '/tmp/x.db'",
        "PRAGMA database_list",
        "INSTALL httpfs",
        "SET enable_external_access = true",
        "SELECT * FROM glob('/*')",
    ],
)
def test_nothing_outside_the_catalogs_can_be_reached(engine: Engine, sql: str) -> None:
    with pytest.raises(QueryFailure):
        run(engine, sql)


def test_tables_come_and_go_with_their_declared_types(engine: Engine) -> None:
    memory = {"catalog": "memory", "schema": "default"}
    run(
        engine,
        "CREATE TABLE t (a bigint NOT NULL, b varchar(10), c timestamp(3), d row(x integer, y varchar), "
        "e decimal(10,2) COMMENT 'price') WITH (format = 'ORC')",
        **memory,
    )
    described = run(engine, "DESCRIBE t", **memory)[2]
    assert [row[1] for row in described] == [
        "bigint", "varchar(10)", "timestamp(3)", "row(x integer, y varchar)", "decimal(10,2)",
    ]  # fmt: skip
    run(engine, "INSERT INTO t VALUES (1, 'x', TIMESTAMP '2020-01-01 00:00:00', ROW(1, 'y'), 1.5)", **memory)
    assert run(engine, "SELECT * FROM t", **memory)[2] == [[1, "x", "2020-01-01 00:00:00.000", [1, "y"], "1.50"]]
    with pytest.raises(QueryFailure, match="already exists"):
        run(engine, "CREATE TABLE t (a bigint)", **memory)
    run(engine, "ALTER TABLE t RENAME TO u", **memory)
    run(engine, "CREATE TABLE v AS SELECT name FROM tpch.tiny.nation WITH NO DATA", **memory)
    assert run(engine, "SHOW TABLES", **memory)[2] == [["u"], ["v"]]
    assert run(engine, "SELECT * FROM v", **memory)[1:] == (["varchar(25)"], [])
    run(engine, "CREATE VIEW w AS SELECT count(*) AS n FROM tpch.tiny.region", **memory)
    assert run(engine, "SELECT n FROM w", **memory)[2] == [[5]]
    for sql in ("DROP VIEW w", "DROP TABLE u", "DROP TABLE IF EXISTS u", "DROP TABLE v"):
        run(engine, sql, **memory)
    run(engine, "CREATE SCHEMA memory.other")
    assert ["other"] in run(engine, "SHOW SCHEMAS FROM memory")[2]
    run(engine, "DROP SCHEMA memory.other")


def test_a_blackhole_takes_rows_and_gives_none(engine: Engine) -> None:
    hole = {"catalog": "nothing", "schema": "default"}
    assert run(engine, "CREATE TABLE t AS SELECT * FROM tpch.tiny.nation", **hole)[2] == [[25]]
    assert run(engine, "INSERT INTO t SELECT * FROM tpch.tiny.nation", **hole)[2] == [[25]]
    assert run(engine, "SELECT name FROM t", **hole)[1:] == (["varchar(25)"], [])
    run(engine, "DROP TABLE t", **hole)


def test_tpcds_is_listed_and_has_no_rows(engine: Engine) -> None:
    assert ["tiny"] in run(engine, "SHOW SCHEMAS FROM ds")[2]
    assert ["store_sales"] in run(engine, "SHOW TABLES FROM ds.tiny")[2]
    with pytest.raises(QueryFailure, match="no TPC-DS data"):
        run(engine, "SELECT * FROM ds.tiny.store_sales")
    with pytest.raises(QueryFailure, match="does not exist"):
        run(engine, "SELECT * FROM ds.tiny.nope")


def test_metadata_tables_list_what_is_there(engine: Engine) -> None:
    sql = """
        SELECT column_name, data_type FROM information_schema.columns
        WHERE table_schema = 'tiny' AND table_name = 'region'
    """
    assert run(engine, sql)[2] == [["regionkey", "bigint"], ["name", "varchar(25)"], ["comment", "varchar(152)"]]
    assert run(engine, "SELECT count(*) FROM tpch.information_schema.tables WHERE table_schema = 'tiny'")[2] == [[8]]
    assert run(engine, "SELECT * FROM tpch.information_schema.views")[2] == []
    assert run(engine, "SELECT '\"columns\"', count(*) > 0 FROM information_schema.columns")[2] == [['"columns"', True]]


def test_prepared_statements_are_described(engine: Engine) -> None:
    prepared = {"p": "SELECT nationkey, name FROM nation WHERE nationkey = ? AND name = ?"}
    assert run(engine, "DESCRIBE INPUT p", prepared=prepared)[2] == [[0, "unknown"], [1, "unknown"]]
    output = run(engine, "DESCRIBE OUTPUT p", prepared=prepared)[2]
    assert [(row[0], row[4]) for row in output] == [("nationkey", "bigint"), ("name", "varchar(25)")]


def test_explain_plans_and_validates(engine: Engine) -> None:
    names, _, rows = run(engine, "EXPLAIN SELECT count(*) FROM nation")
    assert names == ["Query Plan"]
    assert rows[0][0]
    assert run(engine, "EXPLAIN (TYPE VALIDATE) SELECT 1")[2] == [[True]]
    with pytest.raises(QueryFailure):
        run(engine, "EXPLAIN SELECT nope FROM nation")
