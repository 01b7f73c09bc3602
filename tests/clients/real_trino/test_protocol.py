"""What a real server puts into its answers arrives, and points back to the gateway.

Plan: links of every kind; compressed pages; what the gateway counts; cancelling and killing; redirects of the web UI.
"""

from __future__ import annotations

import asyncio
import random
from pathlib import Path

import aiohttp
import orjson
import pytest
from trino.exceptions import TrinoQueryError

from tests.clients.real_trino.conftest import before, connect
from tests.clients.real_trino.pages import ENDLESS, LONG, follow, http, submit, to_the_end, until_state
from tests.support.gateway_process import Client, until


async def test_every_link_leads_back_through_the_gateway(front: Client) -> None:
    links: dict[str, set[str]] = {"infoUri": set(), "nextUri": set(), "partialCancelUri": set()}
    async with http() as session:
        page = await submit(session, front, LONG)
        while True:
            for name, found in links.items():
                if name in page:
                    found.add(page[name])
            if "nextUri" not in page:
                break
            page = await follow(session, page)
    assert "error" not in page
    for name, found in links.items():
        assert found, f"no page had {name}"
        assert all(link.startswith(f"{front.url}/") for link in found), (name, found)
    assert any("/queued/" in link for link in links["nextUri"])
    assert any("/executing/" in link for link in links["nextUri"])


async def test_the_links_name_the_host_and_the_scheme_that_a_trusted_proxy_in_front_says(
    tmp_path: Path, port: int
) -> None:
    async with before(tmp_path, port, trusted_proxies=("127.0.0.0/8",)) as client, http() as session:
        forwarded = {
            "X-Forwarded-For": "192.0.2.7",
            "X-Forwarded-Proto": "https",
            "X-Forwarded-Host": "sql.example.com",
            "X-Forwarded-Port": "443",
        }
        page = await submit(session, client, "SELECT 1", **forwarded)
    assert page["nextUri"].startswith(("https://sql.example.com/v1/", "https://sql.example.com:443/v1/"))
    assert page["infoUri"].startswith(("https://sql.example.com/ui/", "https://sql.example.com:443/ui/"))


async def test_what_an_untrusted_client_says_of_itself_reaches_no_link(front: Client) -> None:
    async with http() as session:
        page = await submit(session, front, "SELECT 1", **{"X-Forwarded-Host": "evil.example.com"})
        assert page["nextUri"].startswith(f"{front.url}/")
        await to_the_end(session, page)


@pytest.mark.parametrize("encoding", ["gzip", "identity"])
async def test_queries_are_counted_whether_pages_are_compressed_or_not(front: Client, encoding: str) -> None:
    async with http() as session:
        headers = {"Accept-Encoding": encoding}
        async with session.post(f"{front.url}/v1/statement", data=ENDLESS, headers=headers) as reply:
            assert reply.headers.get("Content-Encoding", "identity") == encoding
            page = orjson.loads(await reply.read())
        while page["stats"]["state"] != "RUNNING":
            async with session.get(page["nextUri"], headers=headers) as reply:
                assert reply.headers.get("Content-Encoding", "identity") == encoding
                page = orjson.loads(await reply.read())
        assert (await front.status())["summary"]["liveQueries"] == 1
        async with session.delete(page["nextUri"]) as reply:
            assert reply.status == 204
        async with session.get(page["nextUri"], headers=headers) as reply:
            page = orjson.loads(await reply.read())
        assert page["error"]["errorName"] == "USER_CANCELED"
        await front.until_no_query_is_live()


async def test_a_client_cancels_its_running_query(front: Client) -> None:
    connection = connect(front)
    cursor = connection.cursor()
    running = asyncio.create_task(asyncio.to_thread(cursor.execute, ENDLESS))

    async def started() -> bool:
        return bool(cursor.query_id) and (await front.status())["summary"]["liveQueries"] == 1

    await until(started, 30)
    await asyncio.to_thread(cursor.cancel)
    with pytest.raises(TrinoQueryError, match="canceled"):
        await running
        await asyncio.to_thread(cursor.fetchall)


async def test_one_stage_is_cancelled_by_its_link_and_the_query_ends_well(front: Client) -> None:
    async with http() as session:
        page = await submit(session, front, "SELECT comment FROM tpch.sf100.lineitem")
        while "partialCancelUri" not in page:
            page = await follow(session, page)
        async with session.delete(page["partialCancelUri"]) as reply:
            assert reply.status == 204
        last, _ = await to_the_end(session, page)
    assert last["stats"]["state"] == "FINISHED"


async def test_an_administrator_kills_a_query_by_its_id(front: Client) -> None:
    async with http() as session:
        page = await until_state(session, await submit(session, front, ENDLESS), "RUNNING")
        kill = f"CALL system.runtime.kill_query(query_id => '{page['id']}', message => 'too long')"
        last, _ = await to_the_end(session, await submit(session, front, kill))
        assert "error" not in last, last["error"]
        last, _ = await to_the_end(session, page)
    assert last["error"]["errorName"] == "ADMINISTRATIVELY_KILLED"
    assert "too long" in last["error"]["message"]


async def test_the_server_s_own_pages_of_a_query_are_reached_by_its_id(front: Client) -> None:
    async with http() as session:
        last, _ = await to_the_end(session, await submit(session, front, "SELECT 1"))
        async with session.get(f"{front.url}/v1/query/{last['id']}") as reply:
            assert reply.status == 200
            assert orjson.loads(await reply.read())["state"] == "FINISHED"
        async with session.get(last["infoUri"], allow_redirects=False) as reply:
            assert reply.status == 303
            assert reply.headers["Location"].startswith(f"{front.url}/ui/login.html")


async def test_the_web_ui_is_signed_in_to_through_the_gateway(front: Client) -> None:
    async with http(cookie_jar=aiohttp.CookieJar(unsafe=True)) as session:
        async with session.get(f"{front.url}/ui", allow_redirects=False) as reply:
            assert reply.status == 303
            assert reply.headers["Location"] == f"{front.url}/ui/"
        async with session.get(f"{front.url}/ui/api/stats") as reply:
            assert reply.status == 401
            assert reply.headers["WWW-Authenticate"] == "Trino-Form-Login"
        form = {"username": "alice", "password": "", "redirectPath": ""}
        async with session.post(f"{front.url}/ui/login", data=form, allow_redirects=False) as reply:
            assert reply.status == 303
            assert reply.headers["Location"] == f"{front.url}/ui/"
        async with session.get(f"{front.url}/ui/api/stats") as reply:
            assert reply.status == 200
            assert "runningQueries" in orjson.loads(await reply.read())


async def test_a_wrong_slug_gets_the_server_s_own_answer(front: Client) -> None:
    async with http() as session:
        page = await submit(session, front, "SELECT 1")
        query_id = page["id"]
        async with session.get(f"{front.url}/v1/statement/queued/{query_id}/ybad/1") as reply:
            assert reply.status == 404
            assert "Query not found" in await reply.text()
        await to_the_end(session, page)


async def test_without_a_user_the_server_s_own_challenge_comes_back(front: Client) -> None:
    async with (
        http() as session,
        session.post(f"{front.url}/v1/statement", data="SELECT 1", headers={"X-Trino-User": ""}) as reply,
    ):
        assert reply.status == 401
        assert reply.headers["WWW-Authenticate"] == 'Basic realm="Trino"'


async def test_a_prepared_statement_of_100_kilobytes_comes_back_as_a_header(front: Client) -> None:
    noise = random.Random(1).randbytes(75_000).hex()  # the server compresses what it can
    sql = f"PREPARE big FROM SELECT '{noise}'"
    async with http(max_field_size=400_000, max_line_size=400_000) as session:
        page = await submit(session, front, sql)
        added = None
        while "nextUri" in page:
            async with session.get(page["nextUri"]) as reply:
                added = reply.headers.get("X-Trino-Added-Prepare", added)
                page = orjson.loads(await reply.read())
        assert "error" not in page, page["error"]
        assert added is not None
        assert len(added) > 90_000
        last, rows = await to_the_end(
            session, await submit(session, front, "EXECUTE big", **{"X-Trino-Prepared-Statement": added})
        )
        assert "error" not in last, last["error"]
        assert rows == 1
