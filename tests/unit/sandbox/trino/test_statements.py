"""Statements are recognised and taken apart; errors say where; parameters are bound in text order."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from sandbox.trino.errors import QueryFailure
from sandbox.trino.sleeping import take_sleeps
from sandbox.trino.statements import (
    Call,
    Deallocate,
    DescribeParameters,
    Execute,
    Explain,
    Prepare,
    ResetSession,
    SetSession,
    Show,
    Sql,
    Transaction,
    Use,
    bind_parameters,
    count_parameters,
    parse_statement,
)


@pytest.mark.parametrize(
    ("sql", "expected"),
    [
        ("SHOW CATALOGS", Show("CATALOGS")),
        ("show schemas from TPCH like 'a%'", Show("SCHEMAS", ("tpch",), "a%")),
        ("SHOW TABLES IN a.b LIKE 'x!_%' ESCAPE '!'", Show("TABLES", ("a", "b"), "x!_%", "!")),
        ("DESCRIBE tpch.tiny.nation", Show("COLUMNS", ("tpch", "tiny", "nation"))),
        ("DESC nation", Show("COLUMNS", ("nation",))),
        ("SHOW CREATE TABLE a.b.c", Show("CREATE TABLE", ("a", "b", "c"))),
        ("SHOW SESSION", Show("SESSION")),
        ("SHOW CURRENT ROLES", Show("CURRENT ROLES")),
        ("USE memory.default", Use("memory", "default")),
        ("USE tiny", Use(None, "tiny")),
        ("RESET SESSION a.b", ResetSession("a.b")),
        ("PREPARE p FROM SELECT ?", Prepare("p", "SELECT ?")),
        ("EXECUTE p", Execute("p", None)),
        ("EXECUTE p USING 1, 'a,b', f(1, 2)", Execute("p", None, ("1", "'a,b'", "f(1, 2)"))),
        ("EXECUTE IMMEDIATE 'SELECT ''x'', ?' USING ARRAY[1, 2]", Execute(None, "SELECT 'x', ?", ("ARRAY[1, 2]",))),
        ("DEALLOCATE PREPARE p", Deallocate("p")),
        ("DESCRIBE OUTPUT p", DescribeParameters("p", True)),
        ("DESCRIBE INPUT p", DescribeParameters("p", False)),
        ("START TRANSACTION ISOLATION LEVEL SERIALIZABLE, READ ONLY", Transaction("START")),
        ("COMMIT WORK", Transaction("COMMIT")),
        ("ROLLBACK", Transaction("ROLLBACK")),
        ("EXPLAIN SELECT 1", Explain("SELECT 1", False, "DISTRIBUTED")),
        ("EXPLAIN (TYPE VALIDATE, FORMAT JSON) SELECT 1", Explain("SELECT 1", False, "VALIDATE")),
        ("EXPLAIN ANALYZE VERBOSE SELECT 1", Explain("SELECT 1", True, "DISTRIBUTED")),
        (
            "CALL system.runtime.kill_query(query_id => 'q', message => NULL)",
            Call(("system", "runtime", "kill_query"), {"query_id": "q", "message": None}),
        ),
        ("CALL a.b('x', 1)", Call(("a", "b"), {"0": "x", "1": "1"})),
    ],
)
def test_server_statements_are_taken_apart(sql: str, expected: Any) -> None:
    assert parse_statement(sql) == expected


@pytest.mark.parametrize(
    ("sql", "kind"),
    [
        ("SELECT 1", None),
        ("-- comment\nSELECT 1", None),
        ("VALUES 1, 2", None),
        ("TABLE nation", None),
        ("WITH a AS (SELECT 1) SELECT * FROM a", None),
        ("(SELECT 1) UNION ALL SELECT 2", None),
        ("INSERT INTO t VALUES 1", "INSERT"),
        ("CREATE TABLE t AS SELECT 1 x", "CREATE TABLE"),
        ("CREATE TABLE t (a bigint)", "CREATE TABLE"),
        ("CREATE OR REPLACE VIEW v AS SELECT 1", "CREATE VIEW"),
        ("CREATE SCHEMA s", "CREATE SCHEMA"),
        ("DROP TABLE IF EXISTS t", "DROP TABLE"),
        ("DELETE FROM t", "DELETE"),
        ("UPDATE t SET a = 1", "UPDATE"),
        ("ALTER TABLE t RENAME TO u", "ALTER TABLE"),
        ("TRUNCATE TABLE t", "TRUNCATE TABLE"),
    ],
)
def test_engine_statements_have_trinos_update_type(sql: str, kind: str | None) -> None:
    statement = parse_statement(sql)
    assert isinstance(statement, Sql)
    assert statement.kind == kind


def test_set_session_keeps_its_expression() -> None:
    statement = parse_statement("SET SESSION query_max_run_time = '1h'")
    assert isinstance(statement, SetSession)
    assert (statement.name, statement.value.sql()) == ("query_max_run_time", "'1h'")


@pytest.mark.parametrize(
    ("sql", "place", "text"),
    [
        ("selec 1", (1, 7), "mismatched input '1'"),
        ("SELECT 1;", (1, 9), "mismatched input ';'. Expecting: <EOF>"),
        ("SELECT\n 1 +", None, "mismatched input"),
        ("", (1, 1), "mismatched input '<EOF>'"),
        ("   ", (1, 4), "mismatched input '<EOF>'"),
        ("SHOW FOO", (1, 6), "mismatched input 'foo'"),
        ("SELECT 'abc", (1, 1), "unterminated"),
        ("EXECUTE p USING", (1, 16), "Expecting: <expression>"),
        ("USE a.b.c", (1, 5), "mismatched input '.'"),
        ("SHOW CATALOGS x", (1, 15), "mismatched input 'x'"),
    ],
)
def test_syntax_errors_say_where(sql: str, place: tuple[int, int] | None, text: str) -> None:
    with pytest.raises(QueryFailure) as caught:
        parse_statement(sql)
    assert caught.value.name == "SYNTAX_ERROR"
    assert text in caught.value.message
    if place is not None:
        assert caught.value.location == place
        assert caught.value.message.startswith(f"line {place[0]}:{place[1]}: ")


def test_parameters_are_bound_in_the_order_of_the_text() -> None:
    sql = "SELECT ?, '?' FROM t -- ?\nWHERE a = ? LIMIT ?"
    assert count_parameters(sql) == 3
    assert bind_parameters(sql, ["1", "a + b", "3"]) == "SELECT 1, '?' FROM t -- ?\nWHERE a = (a + b) LIMIT 3"
    with pytest.raises(QueryFailure) as caught:
        bind_parameters(sql, ["1"])
    assert caught.value.name == "INVALID_PARAMETER_USAGE"


@given(st.text(max_size=60))
@example("ELSE")
def test_any_text_is_a_statement_or_a_failure_with_a_code(sql: str) -> None:
    try:
        parse_statement(sql)
    except QueryFailure as failure:
        assert failure.name in ("SYNTAX_ERROR", "NOT_SUPPORTED")


def test_sleeps_are_taken_out_and_added_up() -> None:
    statement = parse_statement("SELECT sandbox_sleep(1.5), sandbox_sleep(2), 3")
    assert isinstance(statement, Sql)
    assert take_sleeps(statement.tree) == 3.5
    assert statement.tree.sql() == "SELECT TRUE, TRUE, 3"
