"""The client protocol on the wire, request by request.

Plan: what a POST gives; the queued phase and its tokens; the executing phase and its tokens; slugs;
cancel; headers; paging; compression; outer addresses; abandoned queries. Each test speaks HTTP to a
running stand-in and looks at bytes and documents, not at the server's insides.
"""

from __future__ import annotations

import asyncio
import gzip
import json
import re
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from sandbox.trino.server import ServerOptions, TrinoServer
from tests.support.trino_standin import standin

USER = {
    "X-Trino-User": "alice",
    "X-Trino-Client-Capabilities": "PARAMETRIC_DATETIME",
    "Accept-Encoding": "identity",
}
QUERY_ID = re.compile(r"\d{8}_\d{6}_\d{5}_[a-km-np-z2-9]{5}")


@dataclass
class Reply:
    status: int
    headers: Any
    body: bytes

    @property
    def json(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.body)
        return found


class Client:
    """A client that follows nothing on its own and unpacks nothing."""

    def __init__(self, session: aiohttp.ClientSession, server: TrinoServer) -> None:
        self.session = session
        self.server = server

    async def call(self, method: str, url: str, data: str | None = None, **headers: str) -> Reply:
        target = url if url.startswith("http") else self.server.url + url
        named = {key.replace("_", "-"): value for key, value in headers.items()}
        async with self.session.request(method, target, data=data, headers={**USER, **named}) as response:
            return Reply(response.status, response.headers, await response.read())

    async def post(self, sql: str, **headers: str) -> dict[str, Any]:
        reply = await self.call("POST", "/v1/statement", sql, **headers)
        assert reply.status == 200, reply.body
        return reply.json

    async def pages(self, sql: str, **headers: str) -> list[Reply]:
        """Every page of the executing phase."""
        document = await self.post(sql, **headers)
        result: list[Reply] = []
        while "nextUri" in document:
            reply = await self.call("GET", document["nextUri"])
            assert reply.status == 200, reply.body
            executing = "/executing/" in document["nextUri"]
            document = reply.json
            if executing or "nextUri" not in document:
                result.append(reply)
        return result

    async def executing(self, sql: str, **headers: str) -> str:
        """The first address of the executing phase."""
        document = await self.post(sql, **headers)
        while "/executing/" not in document["nextUri"]:
            document = (await self.call("GET", document["nextUri"])).json
        uri: str = document["nextUri"]
        return uri


def rows_of(pages: list[Reply]) -> list[Any]:
    return [row for page in pages for row in page.json.get("data", [])]


@pytest.fixture
async def client() -> AsyncIterator[Client]:
    async with standin() as server, aiohttp.ClientSession(auto_decompress=False) as session:
        yield Client(session, server)


# POST


async def test_a_post_registers_the_query_and_nothing_more(client: Client) -> None:
    reply = await client.call("POST", "/v1/statement", "SELECT * FROM nowhere.at.all")
    document = reply.json
    assert reply.headers["Content-Type"].startswith("application/json")
    assert QUERY_ID.fullmatch(document["id"])
    assert document["infoUri"] == f"{client.server.url}/ui/query.html?{document['id']}"
    assert re.fullmatch(
        rf"{client.server.url}/v1/statement/queued/{document['id']}/y[0-9a-f]{{40}}/1", document["nextUri"]
    )
    stats = document["stats"]
    assert (stats["state"], stats["queued"], stats["scheduled"]) == ("QUEUED", True, False)
    assert all(value == 0 for key, value in stats.items() if key not in ("state", "queued", "scheduled"))
    assert document["warnings"] == []
    assert "columns" not in document
    assert "progressPercentage" not in stats
    assert (await client.call("GET", "/v1/query")).json == []


async def test_the_id_ends_in_the_coordinators_id(client: Client) -> None:
    info = (await client.call("GET", "/v1/info")).json
    assert (await client.post("SELECT 1"))["id"].endswith("_" + info["coordinatorId"])


async def test_an_empty_statement_is_a_bad_request(client: Client) -> None:
    reply = await client.call("POST", "/v1/statement", "")
    assert (reply.status, reply.body) == (400, b"Error 400 Bad Request: SQL statement is empty")


async def test_a_post_without_a_user_is_challenged(client: Client) -> None:
    async with client.session.post(f"{client.server.url}/v1/statement", data="SELECT 1") as response:
        assert response.status == 401
        assert response.headers["WWW-Authenticate"] == 'Basic realm="Trino"'


@pytest.mark.parametrize(
    "headers",
    [
        {"X_Trino_Schema": "tiny"},
        {"X_Trino_Transaction_Id": "first"},
        {"X_Trino_Session": "novalue"},
        {"X_Trino_Prepared_Statement": "=x"},
    ],
)
async def test_bad_session_headers_are_bad_requests(client: Client, headers: dict[str, str]) -> None:
    assert (await client.call("POST", "/v1/statement", "SELECT 1", **headers)).status == 400


async def test_an_unknown_time_zone_fails_the_query(client: Client) -> None:
    error = (await client.pages("SELECT 1", X_Trino_Time_Zone="Mars/Olympus"))[-1].json["error"]
    assert (error["errorName"], error["message"]) == ("NOT_SUPPORTED", "Time zone not supported: Mars/Olympus")


async def test_a_transaction_needs_a_client_that_knows_of_them(client: Client) -> None:
    error = (await client.pages("START TRANSACTION"))[-1].json["error"]
    assert error["errorName"] == "INCOMPATIBLE_CLIENT"


async def test_drivers_ask_whether_a_user_is_let_in(client: Client) -> None:
    assert (await client.call("HEAD", "/v1/statement")).status == 200
    async with client.session.head(f"{client.server.url}/v1/statement") as response:
        assert response.status == 401


async def test_answers_carry_the_headers_of_the_real_server_and_no_others(client: Client) -> None:
    async with client.session.get(f"{client.server.url}/v1/info", headers={"Accept-Encoding": "gzip"}) as response:
        names = set(response.headers) - {"Date"}
        assert response.headers["Content-Encoding"] == "gzip"
    assert names == {"Vary", "Content-Type", "X-Content-Type-Options", "Content-Encoding", "Content-Length"}


async def test_a_large_prepared_statement_header_is_taken(client: Client) -> None:
    prepared = "p=" + "SELECT+1+--" + "x" * 1_000_000
    assert rows_of(await client.pages("EXECUTE p", X_Trino_Prepared_Statement=prepared)) == [[1]]


# The queued phase


async def test_the_first_get_submits_and_leads_to_the_executing_phase(client: Client) -> None:
    document = await client.post("SELECT 1")
    page = (await client.call("GET", document["nextUri"])).json
    assert "/v1/statement/executing/" in page["nextUri"]
    assert page["nextUri"].endswith("/0")
    assert page["stats"]["state"] == "QUEUED"
    listed = (await client.call("GET", "/v1/query")).body
    assert document["id"].encode() in listed


async def test_a_queued_page_can_be_repeated_and_going_elsewhere_is_refused(client: Client) -> None:
    document = await client.post("SELECT 1")
    first = await client.call("GET", document["nextUri"])
    again = await client.call("GET", document["nextUri"])
    assert first.json["nextUri"] == again.json["nextUri"]
    wrong = re.sub(r"/1$", "/2", document["nextUri"])
    assert (await client.call("GET", wrong)).status == 404


async def test_a_query_waits_for_workers_in_the_queued_phase() -> None:
    config = {"node-scheduler.include-coordinator": "false", "query-manager.required-workers-max-wait": "1500ms"}
    async with standin(config) as server, aiohttp.ClientSession() as session:
        client = Client(session, server)
        document = await client.post("SELECT 1")
        page = (await client.call("GET", document["nextUri"] + "?maxWait=50ms")).json
        assert "/queued/" in page["nextUri"]
        assert page["stats"]["state"] == "QUEUED"
        assert page["nextUri"].endswith("/2")
        listed = json.loads((await client.call("GET", "/v1/query")).body)
        assert listed[0]["state"] == "WAITING_FOR_RESOURCES"
        while "nextUri" in page:
            page = (await client.call("GET", page["nextUri"])).json
        assert page["error"]["errorName"] == "GENERIC_INSUFFICIENT_RESOURCES"
        assert page["error"]["errorType"] == "INSUFFICIENT_RESOURCES"
        assert page["stats"]["state"] == "FAILED"
        # Going back two tokens is gone, even with the right slug.
        assert (await client.call("GET", document["nextUri"])).status == 410


async def test_a_full_resource_group_makes_queries_wait_and_then_refuses_them(tmp_path: Path) -> None:
    groups = tmp_path / "groups.json"
    limits = {"name": "global", "softMemoryLimit": "80%", "hardConcurrencyLimit": 1, "maxQueued": 1}
    groups.write_text(json.dumps({"rootGroups": [limits], "selectors": [{"group": "global"}]}))
    text = f"resource-groups.configuration-manager=file\nresource-groups.config-file={groups}\n"
    files = {"resource-groups.properties": text.encode()}
    async with standin(files=files) as server, aiohttp.ClientSession() as session:
        client = Client(session, server)
        running = await client.executing("SELECT sandbox_sleep(60)")
        waiting = await client.post("SELECT 1")
        page = (await client.call("GET", waiting["nextUri"] + "?maxWait=10ms")).json
        assert "/queued/" in page["nextUri"]
        refused = await client.post("SELECT 1")
        error = (await client.call("GET", refused["nextUri"])).json["error"]
        assert (error["errorName"], error["errorType"]) == ("QUERY_QUEUE_FULL", "INSUFFICIENT_RESOURCES")
        assert b"trino_execution_name_QueryManager_QueuedQueries 1\n" in (await client.call("GET", "/metrics")).body
        assert (await client.call("DELETE", running)).status == 204
        while "/executing/" not in page["nextUri"]:
            page = (await client.call("GET", page["nextUri"])).json
        assert (await client.call("GET", page["nextUri"])).json["data"] == [[1]]


# The executing phase


async def test_results_have_columns_data_and_an_end(client: Client) -> None:
    pages = await client.pages("SELECT nationkey, name FROM tpch.tiny.nation ORDER BY 1 LIMIT 2")
    first = pages[0].json
    assert first["columns"] == [
        {"name": "nationkey", "type": "bigint", "typeSignature": {"rawType": "bigint", "arguments": []}},
        {
            "name": "name",
            "type": "varchar(25)",
            "typeSignature": {"rawType": "varchar", "arguments": [{"kind": "LONG", "value": 25}]},
        },
    ]
    assert rows_of(pages) == [[0, "ALGERIA"], [1, "ARGENTINA"]]
    last = pages[-1].json
    assert "nextUri" not in last
    assert "data" not in last
    stats = last["stats"]
    assert (stats["state"], stats["processedRows"], stats["progressPercentage"]) == ("FINISHED", 2, 100.0)
    assert stats["elapsedTimeMillis"] >= stats["queuedTimeMillis"] >= 0


async def test_what_a_proxy_must_read_stands_before_the_data(client: Client) -> None:
    body = (await client.pages("SELECT 1"))[0].body
    positions = [body.index(f'"{key}"'.encode()) for key in ("id", "infoUri", "nextUri", "columns", "data", "stats")]
    assert positions == sorted(positions)
    assert body.startswith(b'{"id":"')


async def test_the_last_page_comes_back_byte_for_byte(client: Client) -> None:
    uri = await client.executing("SELECT 1")
    first = await client.call("GET", uri)
    assert (await client.call("GET", uri)).body == first.body
    following = await client.call("GET", first.json["nextUri"])
    assert (await client.call("GET", first.json["nextUri"])).body == following.body
    assert (await client.call("GET", uri)).status == 410


async def test_parallel_gets_of_one_page_see_the_same_page(client: Client) -> None:
    uri = await client.executing("SELECT sandbox_sleep(0.2)")
    replies = await asyncio.gather(*(client.call("GET", uri) for _ in range(5)))
    assert len({reply.body for reply in replies}) == 1


async def test_after_the_end_there_is_nothing(client: Client) -> None:
    uri = await client.executing("SELECT 1")
    query_id = uri.split("/")[-3]
    while True:
        document = (await client.call("GET", uri)).json
        if "nextUri" not in document:
            break
        uri = document["nextUri"]
    beyond = re.sub(r"/\d+$", f"/{int(uri.rsplit('/', 1)[1]) + 1}", uri)
    assert (await client.call("GET", beyond)).status == 404
    assert query_id in uri


async def test_a_slug_of_another_token_phase_or_query_is_not_found(client: Client) -> None:
    uri = await client.executing("SELECT 1")
    other = await client.executing("SELECT 2")
    slug, foreign = uri.split("/")[-2], other.split("/")[-2]
    wrong = [
        uri.replace(slug, foreign),
        uri.replace(slug, "y" + "0" * 40),
        uri.replace("/executing/", "/queued/"),
        re.sub(r"/0$", "/1", uri),
        re.sub(r"/0$", "/x", uri),
        uri.replace(uri.split("/")[-3], "20200101_000000_00000_aaaaa"),
    ]
    for address in wrong:
        reply = await client.call("GET", address)
        assert (reply.status, reply.body) == (404, b"Error 404 Not Found: Query not found"), address


async def test_polls_need_no_user(client: Client) -> None:
    uri = await client.executing("SELECT 1")
    async with client.session.get(uri) as response:
        assert response.status == 200


async def test_a_poll_is_held_while_there_is_nothing_to_say(client: Client) -> None:
    uri = await client.executing("SELECT sandbox_sleep(30)")
    started = asyncio.get_running_loop().time()
    page = (await client.call("GET", uri)).json
    held = asyncio.get_running_loop().time() - started
    assert 0.9 < held < 15
    assert page["stats"]["state"] == "RUNNING"
    assert page["stats"]["rootStage"]["state"] == "RUNNING"
    assert page["partialCancelUri"].startswith(f"{client.server.url}/v1/statement/executing/partialCancel/")
    started = asyncio.get_running_loop().time()
    await client.call("GET", page["nextUri"] + "?maxWait=10ms")
    assert asyncio.get_running_loop().time() - started < held


async def test_a_bad_wait_is_not_found(client: Client) -> None:
    uri = await client.executing("SELECT 1")
    assert (await client.call("GET", f"{uri}?maxWait=soon")).status == 404
    assert (await client.call("GET", f"{uri}?targetResultSize=big")).status == 404


async def test_large_results_come_in_pages_of_the_wanted_size(client: Client) -> None:
    uri = await client.executing("SELECT * FROM tpch.tiny.orders")
    sizes = []
    rows = 0
    while True:
        reply = await client.call("GET", f"{uri}?targetResultSize=200kB")
        assert reply.status == 200
        sizes.append(len(reply.body))
        rows += len(reply.json.get("data", []))
        if "nextUri" not in reply.json:
            break
        uri = reply.json["nextUri"]
    assert rows == 15000
    assert len(sizes) > 5
    assert max(sizes) < 400_000


async def test_heads_keep_a_query_alive_and_say_nothing(client: Client) -> None:
    uri = await client.executing("SELECT 1")
    reply = await client.call("HEAD", uri)
    assert (reply.status, reply.body) == (200, b"")
    assert (await client.call("HEAD", uri.replace("/executing/2", "/executing/1"))).status == 404


async def test_a_statement_without_a_result_has_an_empty_list_of_columns(client: Client) -> None:
    last = (await client.pages("CREATE SCHEMA memory.empty"))[-1].json
    assert (last["columns"], last["updateType"]) == ([], "CREATE SCHEMA")
    assert "data" not in last
    counted = (await client.pages("CREATE TABLE memory.empty.t AS SELECT 1 x"))[-1].json
    assert (counted["updateType"], counted["updateCount"]) == ("CREATE TABLE", 1)
    assert counted["columns"][0]["name"] == "rows"


# Errors


@pytest.mark.parametrize(
    ("sql", "name", "code", "kind", "location"),
    [
        ("SELECT nope FROM tpch.tiny.nation", "COLUMN_NOT_FOUND", 47, "USER_ERROR", (1, 8)),
        ("SELECT *\nFROM tpch.tiny.nope", "TABLE_NOT_FOUND", 46, "USER_ERROR", (2, 6)),
        ("SELECT 1/0", "DIVISION_BY_ZERO", 8, "USER_ERROR", None),
        ("SELECT 1;", "SYNTAX_ERROR", 1, "USER_ERROR", (1, 9)),
        ("SELECT * FROM nation", "MISSING_CATALOG_NAME", 56, "USER_ERROR", (1, 15)),
    ],
)
async def test_failures_are_pages_with_an_error(
    client: Client, sql: str, name: str, code: int, kind: str, location: tuple[int, int] | None
) -> None:
    last = (await client.pages(sql))[-1].json
    error = last["error"]
    assert (error["errorName"], error["errorCode"], error["errorType"]) == (name, code, kind)
    assert error["message"]
    assert error["failureInfo"]["message"] == error["message"]
    assert last["stats"]["state"] == "FAILED"
    assert "nextUri" not in last
    if location is None:
        assert "errorLocation" not in error
    else:
        assert error["errorLocation"] == {"lineNumber": location[0], "columnNumber": location[1]}


async def test_a_failure_in_mid_result_drops_the_rest(client: Client) -> None:
    pages = await client.pages("SELECT 1/(59000 - n) FROM (SELECT row_number() OVER () n FROM tpch.tiny.lineitem)")
    assert pages[-1].json["error"]["errorName"] == "DIVISION_BY_ZERO"


# Cancel


async def test_deleting_a_running_page_cancels_the_query(client: Client) -> None:
    uri = await client.executing("SELECT sandbox_sleep(60)")
    reply = await client.call("DELETE", uri)
    assert (reply.status, reply.body) == (204, b"")
    assert (await client.call("DELETE", uri)).status == 204
    page = (await client.call("GET", uri)).json
    assert page["error"]["errorName"] == "USER_CANCELED"


async def test_a_long_computation_is_interrupted(client: Client) -> None:
    sql = "SELECT count(*) FROM tpch.tiny.lineitem a, tpch.tiny.lineitem b WHERE a.partkey * b.partkey % 7 = 3"
    uri = await client.executing(sql)
    await client.call("GET", f"{uri}?maxWait=100ms")
    assert (await client.call("DELETE", uri)).status in (204, 404)
    query = client.server.context.require_dispatcher().queries[uri.split("/")[-3]]  # type: ignore[union-attr]
    query.cancel()
    async with asyncio.timeout(10):
        while client.server.context.require_dispatcher().running():  # type: ignore[union-attr]
            await asyncio.sleep(0.01)


async def test_deleting_a_queued_page_cancels_before_anything_ran(client: Client) -> None:
    document = await client.post("SELECT 1")
    assert (await client.call("DELETE", document["nextUri"])).status == 204
    page = (await client.call("GET", document["nextUri"])).json
    assert page["error"]["errorName"] == "USER_CANCELED"
    assert "nextUri" not in page


async def test_a_partial_cancel_finishes_the_query_without_an_error(client: Client) -> None:
    uri = await client.executing("SELECT sandbox_sleep(60)")
    page = (await client.call("GET", uri)).json
    assert (await client.call("DELETE", page["partialCancelUri"])).status == 204
    document = page
    while "nextUri" in document:
        document = (await client.call("GET", document["nextUri"])).json
    assert "error" not in document
    assert document["stats"]["state"] == "FINISHED"


async def test_deleting_by_id_cancels_too(client: Client) -> None:
    uri = await client.executing("SELECT sandbox_sleep(60)")
    query_id = uri.split("/")[-3]
    assert (await client.call("DELETE", f"/v1/query/{query_id}")).status == 204
    assert (await client.call("DELETE", "/v1/query/20200101_000000_00000_aaaaa")).status == 204
    details = (await client.call("GET", f"/v1/query/{query_id}")).json
    assert (details["state"], details["errorCode"]["name"]) == ("FAILED", "USER_CANCELED")


async def test_kill_query_ends_another_query_with_its_message(client: Client) -> None:
    uri = await client.executing("SELECT sandbox_sleep(60)")
    query_id = uri.split("/")[-3]
    pages = await client.pages(f"CALL system.runtime.kill_query(query_id => '{query_id}', message => 'too dear')")
    assert "error" not in pages[-1].json
    error = (await client.call("GET", uri)).json["error"]
    assert error["errorName"] == "ADMINISTRATIVELY_KILLED"
    assert error["message"] == "Query killed. Message: too dear"
    pages = await client.pages("CALL system.runtime.kill_query('20200101_000000_00000_aaaaa', 'x')")
    assert pages[-1].json["error"]["errorName"] == "NOT_FOUND"


# Session headers


async def test_session_changes_come_as_headers(client: Client) -> None:
    async def headers(sql: str, **sent: str) -> Any:
        return (await client.pages(sql, **sent))[-1].headers

    found = await headers("USE tpch.tiny")
    assert (found["X-Trino-Set-Catalog"], found["X-Trino-Set-Schema"]) == ("tpch", "tiny")
    assert (await headers("SET SESSION query_max_run_time = '1h 5'")).get("X-Trino-Set-Session") is None
    assert (await headers("SET SESSION join_distribution_type = 'BROADCAST'"))["X-Trino-Set-Session"] == (
        "join_distribution_type=BROADCAST"
    )
    assert (await headers("RESET SESSION query_priority"))["X-Trino-Clear-Session"] == "query_priority"
    assert (await headers("PREPARE p FROM SELECT 1 + ?"))["X-Trino-Added-Prepare"] == "p=SELECT+1+%2B+%3F"
    sent = {"X_Trino_Prepared_Statement": "p=SELECT+1+%2B+%3F"}
    assert (await headers("DEALLOCATE PREPARE p", **sent))["X-Trino-Deallocated-Prepare"] == "p"
    assert rows_of(await client.pages("EXECUTE p USING 2", **sent)) == [[3]]


async def test_a_transaction_lives_in_its_header(client: Client) -> None:
    started = (await client.pages("START TRANSACTION", X_Trino_Transaction_Id="NONE"))[-1].headers
    identifier = started["X-Trino-Started-Transaction-Id"]
    within = {"X_Trino_Transaction_Id": identifier}
    await client.pages("CREATE TABLE memory.default.t AS SELECT 1 x", **within)
    assert rows_of(await client.pages("SELECT * FROM memory.default.t", **within)) == [[1]]
    outside = await client.pages("SELECT * FROM memory.default.t")
    assert outside[-1].json["error"]["errorName"] == "TABLE_NOT_FOUND"
    ended = (await client.pages("ROLLBACK", **within))[-1].headers
    assert ended["X-Trino-Clear-Transaction-Id"] == "true"
    again = await client.pages("SELECT 1", **within)
    assert again[-1].json["error"]["errorName"] == "UNKNOWN_TRANSACTION"


async def test_an_error_aborts_the_transaction(client: Client) -> None:
    started = await client.pages("START TRANSACTION", X_Trino_Transaction_Id="NONE")
    identifier = started[-1].headers["X-Trino-Started-Transaction-Id"]
    within = {"X_Trino_Transaction_Id": identifier}
    await client.pages("SELECT 1/0", **within)
    error = (await client.pages("SELECT 1", **within))[-1].json["error"]
    assert error["errorName"] == "TRANSACTION_ALREADY_ABORTED"
    assert "error" not in (await client.pages("ROLLBACK", **within))[-1].json


async def test_unknown_session_properties_fail_the_query(client: Client) -> None:
    error = (await client.pages("SELECT 1", X_Trino_Session="no_such_property=1"))[-1].json["error"]
    assert error["errorName"] == "INVALID_SESSION_PROPERTY"


async def test_clients_without_parametric_datetime_get_plain_types(client: Client) -> None:
    sql = "SELECT TIMESTAMP '2020-01-01 10:00:00.123456'"
    modern = (await client.pages(sql))[0].json
    old = (await client.pages(sql, X_Trino_Client_Capabilities=""))[0].json
    assert (modern["columns"][0]["type"], modern["data"]) == ("timestamp(6)", [["2020-01-01 10:00:00.123456"]])
    assert (old["columns"][0]["type"], old["data"]) == ("timestamp", [["2020-01-01 10:00:00.123"]])


async def test_the_sessions_time_zone_is_used(client: Client) -> None:
    pages = await client.pages("SELECT from_unixtime(0)", X_Trino_Time_Zone="America/New_York")
    assert rows_of(pages) == [["1969-12-31 19:00:00.000 America/New_York"]]


# Compression


async def test_results_are_compressed_for_clients_that_can(client: Client) -> None:
    uri = await client.executing("SELECT * FROM tpch.tiny.nation")
    reply = await client.call("GET", uri, Accept_Encoding="gzip, deflate")
    assert reply.headers["Content-Encoding"] == "gzip"
    assert len(json.loads(gzip.decompress(reply.body))["data"]) == 25
    plain = await client.call("GET", uri, Accept_Encoding="identity")
    assert "Content-Encoding" not in plain.headers
    assert len(plain.json["data"]) == 25


async def test_compression_can_be_turned_off() -> None:
    async with standin({"query-results.compression-enabled": "false"}) as server, aiohttp.ClientSession() as session:
        reply = await Client(session, server).call("POST", "/v1/statement", "SELECT 1", Accept_Encoding="gzip")
        assert reply.headers["Content-Encoding"] == "identity"
        assert reply.json["id"]


# Outer addresses


async def test_forwarding_headers_are_refused_unless_processed(client: Client) -> None:
    reply = await client.call("POST", "/v1/statement", "SELECT 1", X_Forwarded_Proto="https")
    assert reply.status == 406
    assert b"does not allow processing of the X-Forwarded-Proto header" in reply.body
    assert (await client.call("GET", "/v1/info", Forwarded="host=x")).status == 406


async def test_addresses_are_those_that_the_client_sees() -> None:
    async with standin({"http-server.process-forwarded": "true"}) as server, aiohttp.ClientSession() as session:
        client = Client(session, server)
        document = await client.post(
            "SELECT 1", X_Forwarded_Proto="https", X_Forwarded_Host="trino.example.com", X_Forwarded_Prefix="/a"
        )
        assert document["nextUri"].startswith("https://trino.example.com/a/v1/statement/queued/")
        assert document["infoUri"].startswith("https://trino.example.com/a/ui/query.html?")
        plain = await client.post("SELECT 1", Host="other:8080")
        assert plain["nextUri"].startswith("http://other:8080/v1/statement/queued/")


# Clients that go away


async def test_queries_that_nobody_polls_are_abandoned() -> None:
    async with standin({"query.client.timeout": "1s"}) as server, aiohttp.ClientSession() as session:
        client = Client(session, server)
        never = await client.post("SELECT 1")
        uri = await client.executing("SELECT sandbox_sleep(60)")
        dispatcher = server.context.require_dispatcher()  # type: ignore[union-attr]
        query = dispatcher.queries[uri.split("/")[-3]]
        async with asyncio.timeout(10):
            while not query.done or never["id"] in dispatcher.queries:
                await asyncio.sleep(0.02)
        assert query.failure is not None
        assert query.failure.name == "ABANDONED_QUERY"
        assert (await client.call("GET", never["nextUri"])).status == 404


async def test_polling_keeps_a_query_from_being_abandoned() -> None:
    async with standin({"query.client.timeout": "1500ms"}) as server, aiohttp.ClientSession() as session:
        client = Client(session, server)
        uri = await client.executing("SELECT sandbox_sleep(2.2)")
        document: dict[str, Any] = {"nextUri": uri}
        while "nextUri" in document:
            document = (await client.call("GET", document["nextUri"] + "?maxWait=100ms")).json
        assert "error" not in document


async def test_a_query_that_runs_too_long_is_stopped(client: Client) -> None:
    pages = await client.pages("SELECT sandbox_sleep(60)", X_Trino_Session="query_max_run_time=300ms")
    assert pages[-1].json["error"]["errorName"] == "EXCEEDED_TIME_LIMIT"


# Start and restart


async def test_a_starting_server_says_so_and_fails_statements_in_the_protocol() -> None:
    options = ServerOptions(startup_seconds=60)
    async with standin(options=options, wait=False) as server, aiohttp.ClientSession() as session:
        client = Client(session, server)
        assert (await client.call("GET", "/v1/info")).json["starting"] is True
        page = (await client.call("POST", "/v1/statement", "SELECT 1")).json
        page = (await client.call("GET", page["nextUri"])).json
        assert page["error"]["errorName"] == "SERVER_STARTING_UP"
        reply = await client.call("GET", "/v1/query")
        assert (reply.status, b"still initializing" in reply.body) == (500, True)


async def test_a_restarted_coordinator_has_another_id_and_knows_no_query() -> None:
    async with standin(options=ServerOptions(admin=True)) as server, aiohttp.ClientSession() as session:
        client = Client(session, server)
        uri = await client.executing("SELECT sandbox_sleep(60)")
        before = (await client.call("GET", "/v1/info")).json["coordinatorId"]
        assert (await client.call("POST", "/sandbox/restart")).status == 200
        assert (await client.call("GET", "/v1/info")).json["coordinatorId"] != before
        assert (await client.call("GET", uri)).status == 404
