"""The official Python client through the gateway: what applications do, and what they see when it goes wrong."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any
from urllib.parse import quote_plus

import aiohttp
import orjson
import pytest
from trino.auth import BasicAuthentication
from trino.exceptions import HttpError, TrinoQueryError, TrinoUserError
from trino.transaction import IsolationLevel

from tests.support.gateway_clients import PASSWORD, REAL, USER, Front, front

standins_only = pytest.mark.skipif(REAL is not None, reason="needs what only the stand-in has")


@pytest.fixture
async def gateway(tmp_path: Path) -> AsyncIterator[Front]:
    async with front(tmp_path) as running:
        yield running


async def ask(gateway: Front, sql: str, parameters: Any = None, **options: Any) -> list[Any]:
    def work() -> list[Any]:
        with gateway.connect(**options) as connection:
            cursor = connection.cursor()
            cursor.execute(sql, parameters)
            rows: list[Any] = cursor.fetchall()
            return rows

    return await asyncio.to_thread(work)


async def suffix(gateway: Front, **options: Any) -> str:
    """The coordinator that a statement went to."""

    def work() -> str:
        with gateway.connect(**options) as connection:
            cursor = connection.cursor()
            cursor.execute("SELECT 1")
            cursor.fetchall()
            return str(cursor.query_id)[-5:]

    return await asyncio.to_thread(work)


async def test_a_query_gives_its_rows(gateway: Front) -> None:
    sql = "SELECT n.name, r.name FROM nation n JOIN region r ON n.regionkey = r.regionkey ORDER BY 1 LIMIT 2"
    assert await ask(gateway, sql) == [["ALGERIA", "AFRICA"], ["ARGENTINA", "AMERICA"]]
    async with gateway.client.http.get(f"{gateway.client.management}/metrics") as reply:
        assert 'gateway_requests_total{status_code="2xx"}' in await reply.text()


@pytest.mark.parametrize("encoding", [None, "json", ["json+zstd", "json"]])
async def test_a_large_result_comes_whole_page_by_page(gateway: Front, encoding: Any) -> None:
    def work() -> tuple[int, int]:
        with gateway.connect(encoding=encoding) as connection:
            cursor = connection.cursor()
            cursor.execute("SELECT orderkey, linenumber, comment FROM lineitem")
            count, keys = 0, set()
            while rows := cursor.fetchmany(5000):
                count += len(rows)
                keys.update((row[0], row[1]) for row in rows)
            return count, len(keys)

    assert await asyncio.to_thread(work) == (60175, 60175)


@standins_only
async def test_a_query_is_cancelled_while_it_runs(gateway: Front) -> None:
    connection = gateway.connect()
    cursor = connection.cursor()
    failures: list[BaseException] = []

    def work() -> None:
        try:
            cursor.execute("SELECT sandbox_sleep(60)")
            cursor.fetchall()
        except TrinoQueryError as error:
            failures.append(error)

    thread = threading.Thread(target=work)
    thread.start()
    assert gateway.one is not None
    assert gateway.one.context is not None
    dispatcher = gateway.one.context.require_dispatcher()
    async with asyncio.timeout(20):
        while not dispatcher.running() or not cursor.query_id:
            await asyncio.sleep(0.01)
    await asyncio.to_thread(cursor.cancel)
    await asyncio.to_thread(thread.join, 20)
    assert not dispatcher.running()
    await gateway.client.until_no_query_is_live()


@pytest.mark.parametrize("legacy", [True, False])
async def test_parameters_are_bound_in_both_ways_of_the_client(gateway: Front, legacy: bool) -> None:
    sql = "SELECT ?, name FROM nation WHERE nationkey = ? AND name LIKE ?"
    rows = await ask(gateway, sql, ("it's", 3, "CAN%"), legacy_prepared_statements=legacy)
    assert rows == [["it's", "CANADA"]]


async def test_a_prepared_statement_of_a_megabyte_travels_in_a_header(gateway: Front) -> None:
    """Sent by hand: the client itself cannot read the response header in which a server repeats it."""
    sql = quote_plus(f"SELECT '{'=' * 400_000}'")
    assert len(sql) > 1_000_000
    ((text,),) = await ask(gateway, "EXECUTE big", http_headers={"X-Trino-Prepared-Statement": f"big={sql}"})
    assert len(text) == 400_000


async def test_errors_are_trino_s_own(gateway: Front) -> None:
    with pytest.raises(TrinoUserError) as caught:
        await ask(gateway, "SELECT * FROM nowhere")
    assert caught.value.error_name == "TABLE_NOT_FOUND"
    with pytest.raises(TrinoUserError) as caught:
        await ask(gateway, "SELECT 1", http_headers={"X-Trino-XTrinode": "team/none"})
    assert "No route found for X-Trino-XTrinode: team/none" in caught.value.message


async def test_a_transaction_stays_on_its_coordinator(gateway: Front) -> None:
    def work(commit: bool) -> list[Any]:
        connection = gateway.connect(isolation_level=IsolationLevel.READ_UNCOMMITTED)
        cursor = connection.cursor()
        for sql in ("SELECT count(*) FROM nation", "SELECT count(*) FROM region"):
            cursor.execute(sql)
            found: list[Any] = cursor.fetchall()
        (connection.commit if commit else connection.rollback)()
        connection.close()
        return found

    assert await asyncio.to_thread(work, True) == [[5]]
    assert await asyncio.to_thread(work, False) == [[5]]


async def test_session_changes_come_back_to_the_client(gateway: Front) -> None:
    def work() -> list[Any]:
        connection = gateway.connect(catalog=None, schema=None)
        cursor = connection.cursor()
        for sql in ("USE tpch.tiny", "SET SESSION join_distribution_type = 'BROADCAST'"):
            cursor.execute(sql)
            cursor.fetchall()
        cursor.execute("SHOW SESSION LIKE 'join_distribution_type'")
        value = cursor.fetchall()[0][1]
        cursor.execute("SELECT count(*) FROM nation")
        return [value, *cursor.fetchall()]

    assert await asyncio.to_thread(work) == ["BROADCAST", [25]]


@standins_only
async def test_the_runtime_is_selected_by_host_then_header_then_default(gateway: Front) -> None:
    default = await suffix(gateway)
    by_header = await suffix(gateway, http_headers={"X-Trino-XTrinode": "team/two"})
    by_host = await suffix(gateway, host="localhost")
    assert default != by_header
    assert by_header == by_host
    assert await suffix(gateway, host="localhost", http_headers={"X-Trino-XTrinode": "team/one"}) == by_host


async def test_pages_pass_compressed_as_they_came(gateway: Front) -> None:
    """The client asks for gzip always; here the bytes are looked at."""
    headers = {"X-Trino-User": USER, "Accept-Encoding": "gzip"}
    sql = "SELECT * FROM tpch.tiny.orders LIMIT 2000"
    encodings = set()
    async with aiohttp.ClientSession(headers=headers) as session:
        async with session.post(f"{gateway.client.url}/v1/statement", data=sql) as reply:
            page = orjson.loads(await reply.read())
        rows = 0
        while "nextUri" in page:
            assert page["nextUri"].startswith(gateway.client.url)
            async with session.get(page["nextUri"]) as reply:
                encodings.add(reply.headers.get("Content-Encoding"))
                page = orjson.loads(await reply.read())
            rows += len(page.get("data") or [])
    assert rows == 2000
    assert "gzip" in encodings


@standins_only
async def test_passwords_pass_through_tls_that_ends_at_the_gateway(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Trino takes a password over plain HTTP only from a proxy that says it came over TLS: the gateway does."""
    for variable in ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"):  # they would win over the client's own setting
        monkeypatch.delenv(variable, raising=False)
    async with front(tmp_path, passwords=True) as gateway:

        def options(password: str) -> dict[str, Any]:
            auth: Callable[..., Any] = BasicAuthentication
            return {"http_scheme": "https", "verify": str(gateway.authority), "auth": auth(USER, password)}

        assert await ask(gateway, "SELECT current_user", **options(PASSWORD)) == [[USER]]
        with pytest.raises(HttpError, match="401"):
            await ask(gateway, "SELECT current_user", **options("wrong"))
