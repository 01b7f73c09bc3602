"""A real coordinator dies under a query: what the client sees, and what happens to the next statement."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import orjson
import pytest
from trino.exceptions import Error, HttpError

from tests.clients.real_trino.conftest import before, connect
from tests.clients.real_trino.pages import ENDLESS, http, submit, to_the_end, until_state
from tests.clients.real_trino.server import RealTrino
from tests.support.gateway_process import until

pytestmark = pytest.mark.slow


@pytest.fixture
def doomed(home: Path, tmp_path: Path) -> Iterator[RealTrino]:
    server = RealTrino(home, tmp_path / "doomed")
    (tmp_path / "doomed").mkdir()
    server.start().until_ready()
    yield server
    server.stop()


async def test_a_query_of_a_killed_coordinator_fails_in_words_and_its_successor_serves(
    doomed: RealTrino, tmp_path: Path
) -> None:
    async with before(tmp_path, doomed.port) as client, http() as session:
        page = await until_state(session, await submit(session, client, ENDLESS), "RUNNING")
        await asyncio.to_thread(doomed.kill)
        # It may be the network only: clients are to ask again, and do.
        async with session.get(page["nextUri"]) as reply:
            assert reply.status == 502
            assert orjson.loads(await reply.read())["error"]["kind"] == "connect_failed"
        # A statement has not begun yet, so it can be refused in words at once.
        refused = await submit(session, client, "SELECT 1")
        assert "cannot be reached" in refused["error"]["message"]

        await asyncio.to_thread(doomed.start)
        await asyncio.to_thread(doomed.until_ready)

        async def serves() -> bool:
            first = await submit(session, client, "SELECT 1")
            if "error" in first:
                return False
            last, rows = await to_the_end(session, first)
            return "error" not in last and rows == 1

        await until(serves, 60, every=0.2)
        # By its first answer the new process has told who it is, so the old query is known to be lost.
        async with session.get(page["nextUri"]) as reply:
            assert reply.status == 200
            assert "is lost" in orjson.loads(await reply.read())["error"]["message"]


async def test_the_python_client_gets_an_error_and_no_silence(doomed: RealTrino, tmp_path: Path) -> None:
    async with before(tmp_path, doomed.port) as client:
        cursor = connect(client).cursor()
        running = asyncio.create_task(asyncio.to_thread(cursor.execute, ENDLESS))

        async def started() -> bool:
            return bool(cursor.query_id) and (await client.status())["summary"]["liveQueries"] == 1

        await until(started, 30)
        await asyncio.to_thread(doomed.kill)
        with pytest.raises((Error, HttpError)):
            await asyncio.wait_for(running, 60)
            await asyncio.wait_for(asyncio.to_thread(cursor.fetchall), 60)
