"""The official Python client against the stand-in, end to end.

The client is synchronous and runs in a thread; the server runs on the test's loop. What is asserted
is what an application sees: rows and their Python types, descriptions, errors, cancel, transactions.
"""

from __future__ import annotations

import asyncio
import datetime as dt
import hashlib
import threading
import uuid
from collections.abc import AsyncIterator, Callable
from decimal import Decimal
from pathlib import Path
from typing import Any, TypeVar
from zoneinfo import ZoneInfo

import pytest
import trino
from trino.exceptions import HttpError, TrinoQueryError, TrinoUserError
from trino.transaction import IsolationLevel

from sandbox.trino.server import TrinoServer
from tests.support.trino_standin import standin

T = TypeVar("T")


@pytest.fixture
async def server() -> AsyncIterator[TrinoServer]:
    async with standin() as running:
        yield running


def connect(server: TrinoServer, **options: Any) -> Any:
    settings = {"user": "alice", "catalog": "tpch", "schema": "tiny", **options}
    return trino.dbapi.connect(host="127.0.0.1", port=server.port, http_scheme="http", **settings)


async def with_cursor(server: TrinoServer, work: Callable[[Any], T], **options: Any) -> T:
    def run() -> T:
        with connect(server, **options) as connection:
            return work(connection.cursor())

    return await asyncio.to_thread(run)


def fetch(sql: str, parameters: Any = None) -> Callable[[Any], list[Any]]:
    def work(cursor: Any) -> list[Any]:
        cursor.execute(sql, parameters)
        rows: list[Any] = cursor.fetchall()
        return rows

    return work


async def test_a_join_gives_its_rows(server: TrinoServer) -> None:
    sql = "SELECT n.name, r.name FROM nation n JOIN region r ON n.regionkey = r.regionkey ORDER BY 1 LIMIT 3"
    assert await with_cursor(server, fetch(sql)) == [
        ["ALGERIA", "AFRICA"],
        ["ARGENTINA", "AMERICA"],
        ["BRAZIL", "AMERICA"],
    ]


async def test_values_arrive_as_python_types(server: TrinoServer) -> None:
    sql = """
        SELECT 1, 9223372036854775807, 1.50, 1.5e0, 'text', true, NULL, DATE '2020-01-02', TIME '03:04:05.006',
               TIMESTAMP '2020-01-02 03:04:05.678', TIMESTAMP '2020-01-02 03:04:05.678 UTC', X'AA',
               ARRAY[1, 2], MAP(ARRAY['a'], ARRAY[1]), CAST(ROW(1, 'x') AS ROW(a bigint, b varchar)),
               nan(), infinity(), INTERVAL '3' DAY, UUID '12151fd2-7586-11e9-8f9e-2a86e4085a59', CAST(1.1 AS real),
               CAST('x' AS char(3))
    """
    (row,) = await with_cursor(server, fetch(sql))
    assert row[:8] == [1, 9223372036854775807, Decimal("1.50"), 1.5, "text", True, None, dt.date(2020, 1, 2)]
    assert row[8] == dt.time(3, 4, 5, 6000)
    assert row[9] == dt.datetime.fromisoformat("2020-01-02T03:04:05.678")
    assert row[10] == dt.datetime(2020, 1, 2, 3, 4, 5, 678000, tzinfo=ZoneInfo("UTC"))
    assert row[11] == b"\xaa"
    assert row[12:14] == [[1, 2], {"a": 1}]
    assert tuple(row[14]) == (1, "x")
    assert row[15] != row[15]
    assert row[16] == float("inf")
    assert row[17] == dt.timedelta(days=3)
    assert row[18] == uuid.UUID("12151fd2-7586-11e9-8f9e-2a86e4085a59")
    assert row[19:] == [1.1, "x  "]


async def test_the_description_names_and_types_the_columns(server: TrinoServer) -> None:
    def work(cursor: Any) -> list[Any]:
        cursor.execute("SELECT nationkey, name, 1.25 AS price, current_timestamp FROM nation LIMIT 1")
        cursor.fetchall()
        return [(column.name, column.type_code, column.precision, column.scale) for column in cursor.description]

    assert await with_cursor(server, work) == [
        ("nationkey", "bigint", None, None),
        ("name", "varchar(25)", None, None),
        ("price", "decimal(3,2)", 3, 2),
        ("_col3", "timestamp(3) with time zone", 3, None),
    ]


async def test_a_large_result_is_fetched_page_by_page(server: TrinoServer) -> None:
    def work(cursor: Any) -> tuple[int, set[Any]]:
        cursor.execute("SELECT orderkey, linenumber, comment FROM lineitem")
        count, keys = 0, set()
        while rows := cursor.fetchmany(5000):
            count += len(rows)
            keys.update((row[0], row[1]) for row in rows)
        return count, keys

    count, keys = await with_cursor(server, work)
    assert (count, len(keys)) == (60175, 60175)


@pytest.mark.parametrize("legacy", [True, False])
async def test_parameters_are_bound_in_both_ways_of_the_client(server: TrinoServer, legacy: bool) -> None:
    sql = "SELECT ?, ?, name FROM nation WHERE nationkey = ? AND name LIKE ?"
    parameters = (1.5, "it's", 3, "CAN%")
    rows = await with_cursor(server, fetch(sql, parameters), legacy_prepared_statements=legacy)
    assert rows == [[1.5, "it's", "CANADA"]]


async def test_rich_parameters_are_bound(server: TrinoServer) -> None:
    parameters = (dt.date(2020, 1, 2), Decimal("1.5"), [1, 2], None, True, b"\x01", dt.datetime(2020, 1, 2, 3, 4, 5))  # noqa: DTZ001
    (row,) = await with_cursor(server, fetch("SELECT ?, ?, ?, ?, ?, ?, ?", parameters))
    assert row == [
        dt.date(2020, 1, 2), Decimal("1.5"), [1, 2], None, True, b"\x01",
        dt.datetime.fromisoformat("2020-01-02T03:04:05"),
    ]  # fmt: skip


async def test_user_errors_are_told_apart(server: TrinoServer) -> None:
    def failing(sql: str) -> Callable[[Any], Any]:
        def work(cursor: Any) -> Any:
            with pytest.raises(TrinoUserError) as caught:
                cursor.execute(sql)
                cursor.fetchall()
            return caught.value

        return work

    error = await with_cursor(server, failing("SELECT * FROM nowhere"))
    assert (error.error_name, error.error_code) == ("TABLE_NOT_FOUND", 46)
    assert "line 1:15: Table 'tpch.tiny.nowhere' does not exist" in error.message
    assert error.query_id is not None
    assert (await with_cursor(server, failing("SELEC 1"))).error_name == "SYNTAX_ERROR"
    assert (await with_cursor(server, failing("SELECT 1/0"))).error_name == "DIVISION_BY_ZERO"


async def test_external_errors_are_told_apart() -> None:
    catalogs = {"pg": "connector.name=postgresql\nconnection-url=jdbc:postgresql://h/d\n"}
    async with standin(catalogs=catalogs) as running:

        def work(cursor: Any) -> Any:
            with pytest.raises(TrinoQueryError) as caught:
                cursor.execute("SELECT * FROM pg.public.t")
            return caught.value

        error = await with_cursor(running, work, catalog=None, schema=None)
        assert error.error_type == "EXTERNAL"
        assert "postgresql" in error.message


async def test_a_running_query_is_cancelled(server: TrinoServer) -> None:
    connection = connect(server)
    cursor = connection.cursor()
    failures: list[BaseException] = []

    def run() -> None:
        try:
            cursor.execute("SELECT sandbox_sleep(60)")
            cursor.fetchall()
        except TrinoQueryError as error:
            failures.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    dispatcher = server.context.require_dispatcher()  # type: ignore[union-attr]
    async with asyncio.timeout(20):
        while not dispatcher.running():
            await asyncio.sleep(0.01)
    await asyncio.to_thread(cursor.cancel)
    await asyncio.to_thread(thread.join, 20)
    assert not dispatcher.running()
    assert [query.failure.name for query in dispatcher.queries.values() if query.failure] == ["USER_CANCELED"]


async def test_a_statement_that_changes_rows_counts_them(server: TrinoServer) -> None:
    def work(cursor: Any) -> list[Any]:
        found = []
        for sql in (
            "CREATE TABLE memory.default.t AS SELECT * FROM nation",
            "DELETE FROM memory.default.t WHERE regionkey = 1",
            "INSERT INTO memory.default.t SELECT * FROM nation WHERE nationkey < 3",
            "UPDATE memory.default.t SET name = 'x' WHERE nationkey = 2",
        ):
            cursor.execute(sql)
            cursor.fetchall()
            found.append((cursor.update_type, cursor.rowcount))
        cursor.execute("SELECT count(*) FROM memory.default.t")
        return [*found, cursor.fetchone()]

    assert await with_cursor(server, work) == [
        ("CREATE TABLE", 25), ("DELETE", 5), ("INSERT", 3), ("UPDATE", 1), [23],
    ]  # fmt: skip


async def test_a_rolled_back_transaction_leaves_nothing(server: TrinoServer) -> None:
    def run(commit: bool) -> list[Any]:
        connection = connect(server, isolation_level=IsolationLevel.READ_COMMITTED, catalog="memory", schema="default")
        cursor = connection.cursor()
        cursor.execute("CREATE TABLE moved AS SELECT 1 x")
        cursor.fetchall()
        (connection.commit if commit else connection.rollback)()
        cursor = connection.cursor()
        cursor.execute("SHOW TABLES LIKE 'moved'")
        found: list[Any] = cursor.fetchall()
        connection.commit()
        connection.close()
        return found

    assert await asyncio.to_thread(run, False) == []
    assert await asyncio.to_thread(run, True) == [["moved"]]


async def test_session_changes_stick_to_the_connection(server: TrinoServer) -> None:
    def run() -> list[Any]:
        connection = connect(server, catalog=None, schema=None)
        cursor = connection.cursor()
        for sql in ("USE tpch.tiny", "SET SESSION join_distribution_type = 'BROADCAST'"):
            cursor.execute(sql)
            cursor.fetchall()
        cursor.execute("SHOW SESSION LIKE 'join_distribution_type'")
        value = cursor.fetchall()[0][1]
        cursor.execute("SELECT count(*) FROM nation")
        return [value, cursor.fetchone()]

    assert await asyncio.to_thread(run) == ["BROADCAST", [25]]


async def test_metadata_is_there_for_tools(server: TrinoServer) -> None:
    assert await with_cursor(server, fetch("SHOW CATALOGS")) == [["memory"], ["system"], ["tpch"]]
    assert ["lineitem"] in await with_cursor(server, fetch("SHOW TABLES"))
    columns = await with_cursor(
        server,
        fetch(
            "SELECT column_name, data_type FROM information_schema.columns "
            "WHERE table_schema = 'tiny' AND table_name = 'region'"
        ),
    )
    assert columns == [["regionkey", "bigint"], ["name", "varchar(25)"], ["comment", "varchar(152)"]]
    (node,) = await with_cursor(server, fetch("SELECT node_version, coordinator, state FROM system.runtime.nodes"))
    assert node == ["480", True, "active"]
    queries = await with_cursor(server, fetch("SELECT state, user FROM system.runtime.queries"))
    assert {row[1] for row in queries} == {"alice"}
    assert {row[0] for row in queries} >= {"FINISHED"}


async def test_passwords_are_asked_for(tmp_path: Path) -> None:
    salt = bytes.fromhex("5b4240333032306164")
    digest = hashlib.pbkdf2_hmac("sha1", b"secret", salt, 1000)
    (tmp_path / "password.db").write_text(f"alice:1000:{salt.hex()}:{digest.hex()}\n")
    config = {
        "http-server.authentication.type": "PASSWORD",
        "http-server.process-forwarded": "true",
        "internal-communication.shared-secret": "x",
    }
    files = {
        "password-authenticator.properties": (
            f"password-authenticator.name=file\nfile.password-file={tmp_path}/password.db\n"
        ).encode()
    }
    async with standin(config, files=files) as running:

        def run(password: str, proto: str) -> list[Any]:
            # The client refuses passwords over plain HTTP itself; a proxy that ends TLS looks like this.
            connection = connect(
                running,
                http_headers={"X-Forwarded-Proto": proto, "X-Forwarded-Host": f"127.0.0.1:{running.port}"},
            )
            connection._http_session.auth = ("alice", password)
            cursor = connection.cursor()
            cursor.execute("SELECT current_user")
            rows: list[Any] = cursor.fetchall()
            return rows

        with pytest.raises(HttpError):
            await asyncio.to_thread(run, "wrong", "https")
        with pytest.raises(HttpError):
            await asyncio.to_thread(run, "secret", "http")


async def test_a_held_first_query_runs_when_the_workers_are_there() -> None:
    async with standin({"node-scheduler.include-coordinator": "false"}) as coordinator:
        waiting = asyncio.create_task(with_cursor(coordinator, fetch("SELECT 1")))
        dispatcher = coordinator.context.require_dispatcher()  # type: ignore[union-attr]
        async with asyncio.timeout(20):
            while not dispatcher.queued():
                await asyncio.sleep(0.01)
            async with standin({"discovery.uri": coordinator.url}, coordinator=False, catalogs={}):
                assert await waiting == [[1]]
