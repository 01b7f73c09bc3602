"""What each injected fault looks like to a client that reads the socket itself."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator

import aiohttp
import pytest

from sandbox.trino.server import ServerOptions, TrinoServer
from tests.support.trino_standin import standin


@pytest.fixture
async def server() -> AsyncIterator[TrinoServer]:
    async with standin(options=ServerOptions(admin=True)) as running:
        yield running


async def inject(server: TrinoServer, **rule: object) -> None:
    async with aiohttp.ClientSession() as session:
        body = json.dumps([{"path": "/v1/statement", **rule}])
        async with session.put(f"{server.url}/sandbox/faults", data=body) as response:
            assert response.status == 200, await response.text()


async def exchange(server: TrinoServer, seconds: float = 5.0) -> tuple[bytes, str]:
    """The raw answer to a POST and how it ended: closed, reset or silence."""
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
    writer.write(b"POST /v1/statement HTTP/1.1\r\nHost: t\r\nX-Trino-User: a\r\nContent-Length: 8\r\n\r\nSELECT 1")
    data = b""
    try:
        async with asyncio.timeout(seconds):
            while True:
                chunk = await reader.read(65536)
                if not chunk:
                    return data, "closed"
                data += chunk
                if b"\r\n\r\n" in data and not _more(data):
                    return data, "complete"
    except ConnectionResetError:
        return data, "reset"
    except TimeoutError:
        return data, "silence"
    finally:
        writer.close()


def _more(data: bytes) -> bool:
    head, _, body = data.partition(b"\r\n\r\n")
    lines = [line for line in head.split(b"\r\n") if line.lower().startswith(b"content-length")]
    return not lines or len(body) < int(lines[0].split(b":")[1])


async def test_without_faults_the_answer_is_whole(server: TrinoServer) -> None:
    data, end = await exchange(server)
    assert end == "complete"
    assert json.loads(data.partition(b"\r\n\r\n")[2])["id"]


async def test_a_status_comes_alone(server: TrinoServer) -> None:
    await inject(server, kind="status", value=502, count=1)
    data, _ = await exchange(server)
    assert data.startswith(b"HTTP/1.1 502 ")
    assert data.endswith(b"\r\n\r\n")
    assert (await exchange(server))[0].startswith(b"HTTP/1.1 200 ")


async def test_a_reset_sends_nothing(server: TrinoServer) -> None:
    await inject(server, kind="reset")
    data, end = await exchange(server)
    assert data == b""
    assert end in ("reset", "closed")


async def test_a_reset_in_the_head_sends_part_of_it(server: TrinoServer) -> None:
    await inject(server, kind="reset-in-head")
    data, end = await exchange(server)
    assert b"\r\n\r\n" not in data
    assert end in ("reset", "closed")


async def test_a_reset_in_the_body_sends_part_of_it(server: TrinoServer) -> None:
    await inject(server, kind="reset-in-body")
    data, end = await exchange(server)
    if end == "closed":
        assert _more(data)
    assert end in ("reset", "closed")


async def test_a_stall_sends_half_and_then_nothing(server: TrinoServer) -> None:
    await inject(server, kind="stall", seconds=30)
    data, end = await exchange(server, seconds=2)
    assert data.startswith(b"HTTP/1.1 200")
    assert _more(data)
    assert end == "silence"


async def test_a_hang_never_answers(server: TrinoServer) -> None:
    await inject(server, kind="hang")
    assert await exchange(server, seconds=0.3) == (b"", "silence")


async def test_a_long_length_promises_more_than_comes(server: TrinoServer) -> None:
    await inject(server, kind="long-length")
    data, end = await exchange(server)
    assert end == "closed"
    assert _more(data)


async def test_a_short_length_cuts_the_document(server: TrinoServer) -> None:
    await inject(server, kind="short-length")
    data, _ = await exchange(server)
    head, _, body = data.partition(b"\r\n\r\n")
    length = next(int(line.split(b":")[1]) for line in head.split(b"\r\n") if line.startswith(b"Content-Length"))
    with pytest.raises(ValueError, match=r".+"):
        json.loads(body[:length])


async def test_garbage_is_not_http(server: TrinoServer) -> None:
    await inject(server, kind="garbage")
    data, end = await exchange(server)
    assert not data.startswith(b"HTTP/")
    assert data
    assert end == "closed"


async def test_an_empty_answer_is_a_success_without_a_body(server: TrinoServer) -> None:
    await inject(server, kind="empty")
    data, _ = await exchange(server)
    assert data.startswith(b"HTTP/1.1 200")
    assert data.endswith(b"\r\n\r\n")


async def test_a_delay_comes_first(server: TrinoServer) -> None:
    await inject(server, kind="delay", seconds=0.3)
    started = asyncio.get_running_loop().time()
    _, end = await exchange(server)
    assert end == "complete"
    assert asyncio.get_running_loop().time() - started >= 0.3


async def test_faults_can_be_seen_and_cleared(server: TrinoServer) -> None:
    await inject(server, kind="reset")
    async with aiohttp.ClientSession() as session:
        async with session.get(f"{server.url}/sandbox/faults") as response:
            assert [rule["kind"] for rule in await response.json()] == ["reset"]
        async with session.delete(f"{server.url}/sandbox/faults") as response:
            assert response.status == 204
        async with session.put(f"{server.url}/sandbox/faults", data='[{"kind": "nope"}]') as response:
            assert response.status == 400
    assert (await exchange(server))[1] == "complete"


async def test_the_admin_paths_are_not_there_without_the_flag() -> None:
    async with standin() as running, aiohttp.ClientSession() as session:
        async with session.get(f"{running.url}/sandbox/faults") as response:
            assert response.status == 404
        async with session.post(f"{running.url}/sandbox/restart") as response:
            assert response.status == 404
