"""The client protocol spoken page by page, for tests that stop between the pages or look at the bytes."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import orjson

from tests.support.gateway_process import Client

USER = {"X-Trino-User": "alice"}
#: Long enough for any test, and a real server begins it at once.
ENDLESS = "SELECT count(*) FROM tpch.sf10000.lineitem"
#: Many pages, a few seconds of work.
LONG = "SELECT orderkey, linenumber, comment FROM tpch.sf1.lineitem LIMIT 400000"


@asynccontextmanager
async def http(**options: Any) -> AsyncIterator[aiohttp.ClientSession]:
    timeout = aiohttp.ClientTimeout(total=60)
    async with aiohttp.ClientSession(headers=USER, timeout=timeout, trust_env=False, **options) as session:
        yield session


async def submit(session: aiohttp.ClientSession, client: Client, sql: str, **headers: str) -> dict[str, Any]:
    async with session.post(f"{client.url}/v1/statement", data=sql, headers=headers) as reply:
        assert reply.status == 200, await reply.text()
        found: dict[str, Any] = orjson.loads(await reply.read())
        return found


async def follow(session: aiohttp.ClientSession, page: dict[str, Any]) -> dict[str, Any]:
    async with session.get(page["nextUri"]) as reply:
        assert reply.status == 200, (reply.status, await reply.text())
        found: dict[str, Any] = orjson.loads(await reply.read())
        return found


async def until_state(session: aiohttp.ClientSession, page: dict[str, Any], *states: str) -> dict[str, Any]:
    while page["stats"]["state"] not in states:
        assert "nextUri" in page, page
        page = await follow(session, page)
    return page


async def to_the_end(session: aiohttp.ClientSession, page: dict[str, Any]) -> tuple[dict[str, Any], int]:
    """The last page, and how many rows there were from `page` on."""
    rows = len(page.get("data") or [])
    while "nextUri" in page:
        page = await follow(session, page)
        rows += len(page.get("data") or [])
    return page, rows
