"""Two real coordinators behind one route: every query and transaction stays where it began, whatever restarts.

Older servers do not tell their coordinator id in /v1/info: then it is learnt from their first answers. A gateway that
has just started knows neither and has to find the owner of a query that is under way.
"""

from __future__ import annotations

import asyncio
from pathlib import Path

from trino.transaction import IsolationLevel

from tests.clients.real_trino.conftest import before, connect
from tests.clients.real_trino.pages import LONG, follow, http, submit, to_the_end, until_state
from tests.clients.real_trino.server import RealTrino
from tests.support.gateway_process import Client


def suffix(query_id: str) -> str:
    return query_id.rpartition("_")[2]


async def test_statements_go_to_both_and_polls_to_their_own(both: list[RealTrino], tmp_path: Path) -> None:
    async with before(tmp_path, *(server.port for server in both)) as client, http() as session:

        async def one() -> str:
            first = await submit(session, client, "SELECT count(*) FROM tpch.tiny.lineitem")
            last, rows = await to_the_end(session, first)
            assert "error" not in last, last["error"]
            assert rows == 1
            return suffix(last["id"])

        owners = await asyncio.gather(*(one() for _ in range(12)))
        assert len(set(owners)) == 2
        await client.until_no_query_is_live()


async def test_a_transaction_stays_on_the_coordinator_that_began_it(both: list[RealTrino], tmp_path: Path) -> None:
    async with before(tmp_path, *(server.port for server in both)) as client:

        def work() -> set[str]:
            connection = connect(client, isolation_level=IsolationLevel.READ_UNCOMMITTED)
            owners = set()
            for _ in range(4):
                cursor = connection.cursor()
                cursor.execute("SELECT count(*) FROM nation")
                assert cursor.fetchall() == [[25]]
                owners.add(suffix(cursor.query_id))
            connection.commit()
            connection.close()
            return owners

        found = await asyncio.gather(*(asyncio.to_thread(work) for _ in range(4)))
    assert all(len(owners) == 1 for owners in found), found


async def test_a_gateway_that_restarts_in_mid_query_finds_the_owner(both: list[RealTrino], tmp_path: Path) -> None:
    ports = [server.port for server in both]
    async with http() as session:
        async with before(tmp_path, *ports) as client:
            first = [await submit(session, client, LONG) for _ in range(4)]
            pages = [await until_state(session, page, "RUNNING", "FINISHED") for page in first]
            pages = [await follow(session, page) for page in pages]
            old = client.url
        owners = {suffix(page["id"]) for page in pages}
        seen = [len(page.get("data") or []) for page in pages]
        async with before(tmp_path, *ports) as client:  # another process as far as memory goes, at another address
            for number, page in enumerate(pages):
                moved = {**page, "nextUri": page["nextUri"].replace(old, client.url)}
                last, rows = await to_the_end(session, moved)
                assert "error" not in last, last["error"]
                # Rows of the pages before these two were not counted here.
                assert rows > seen[number]
                assert last["stats"]["state"] == "FINISHED"
    assert len(owners) == 2


async def test_a_query_is_found_by_its_id_on_the_right_coordinator(both: list[RealTrino], tmp_path: Path) -> None:
    async with http() as session:
        ids = []
        for server in both:
            direct = Client(server.port, server.port)
            last, _ = await to_the_end(session, await submit(session, direct, "SELECT 1"))
            await direct.http.close()
            ids.append(last["id"])
        async with before(tmp_path, *(server.port for server in both)) as client:
            for query_id in ids:
                async with session.get(f"{client.url}/v1/query/{query_id}") as reply:
                    assert reply.status == 200, (query_id, await reply.text())
