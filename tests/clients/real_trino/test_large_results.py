"""Results larger than the gateway may keep: over 100 MB pass through it, and spooled segments are fetched by link."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import aiohttp
import orjson
import pytest

from tests.clients.real_trino.conftest import before, connect
from tests.clients.real_trino.pages import http, submit
from tests.clients.real_trino.server import RealTrino, Store
from tests.support.gateway_process import FarRoutes, backend, document, process, route

pytestmark = pytest.mark.slow
WIDE = "SELECT * FROM tpch.sf1.lineitem LIMIT 900000"
MEBIBYTE = 2**20


def resident(pid: int) -> int:
    """Bytes of memory that a process occupies."""
    fields = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in fields if line.startswith("VmRSS"))


async def test_over_100_mb_pass_in_memory_that_does_not_grow_with_them(port: int, tmp_path: Path) -> None:
    async with FarRoutes(tmp_path) as routes:
        routes.publish(document(route("group", backend("c0", port), default=True)))
        async with process(routes, tmp_path) as running, http() as session:
            await submit(session, running.client, "SELECT 1")
            before_it = resident(running.process.pid)
            page = await submit(session, running.client, WIDE)
            received, largest, rows = 0, 0, 0
            while "nextUri" in page:
                async with session.get(page["nextUri"], headers={"Accept-Encoding": "identity"}) as reply:
                    body = await reply.read()
                received += len(body)
                page = orjson.loads(body)
                rows += len(page.get("data") or [])
                largest = max(largest, resident(running.process.pid))
    assert "error" not in page, page["error"]
    assert rows == 900_000
    assert received > 100 * MEBIBYTE
    assert largest - before_it < 16 * MEBIBYTE, f"{(largest - before_it) / MEBIBYTE:.1f} MiB more"


@pytest.mark.parametrize("encoding", ["json", "json+zstd", "json+lz4"])
async def test_spooled_segments_come_through_the_gateway_of_two(
    both: list[RealTrino], store: Store, tmp_path: Path, encoding: str
) -> None:
    """The segment's address says nothing of its coordinator; the gateway remembers whose page named it."""
    stored = len(store.objects)
    async with before(tmp_path, *(server.port for server in both)) as client:

        def work() -> int:
            cursor = connect(client, encoding=encoding).cursor()
            cursor.execute("SELECT orderkey, linenumber, comment FROM tpch.sf1.lineitem LIMIT 100000")
            count = 0
            while rows := cursor.fetchmany(10_000):
                count += len(rows)
            return count

        counts = await asyncio.gather(*(asyncio.to_thread(work) for _ in range(2)))
    assert counts == [100_000] * 2
    assert len(store.objects) >= stored  # acknowledged segments are removed again


async def test_links_of_segments_lead_through_the_gateway(both: list[RealTrino], tmp_path: Path) -> None:
    headers = {"X-Trino-Query-Data-Encoding": "json"}
    segments: list[dict[str, Any]] = []
    async with before(tmp_path, both[0].port) as client, http() as session:
        page = await submit(session, client, "SELECT * FROM tpch.sf1.orders LIMIT 50000", **headers)
        while "nextUri" in page:
            async with session.get(page["nextUri"], headers=headers) as reply:
                page = orjson.loads(await reply.read())
            segments += (page.get("data") or {}).get("segments", [])
        assert "error" not in page, page["error"]
        spooled = [one for one in segments if one["type"] == "spooled"]
        assert spooled
        rows = 0
        for one in spooled:
            assert one["uri"].startswith(f"{client.url}/v1/spooled/download/")
            assert one["ackUri"].startswith(f"{client.url}/v1/spooled/ack/")
            rows += len(orjson.loads(await _fetch(session, one["uri"])))
            async with session.get(one["ackUri"]) as reply:
                assert reply.status == 200
    assert rows + sum(one["metadata"]["rowsCount"] for one in segments if one["type"] == "inline") == 50_000


async def _fetch(session: aiohttp.ClientSession, uri: str) -> bytes:
    async with session.get(uri) as reply:
        assert reply.status == 200, await reply.text()
        return await reply.read()
