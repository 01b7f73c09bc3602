"""The controller's calls to a coordinator, on the wire: headers, bounds, and what each failure says."""

from __future__ import annotations

from contextlib import asynccontextmanager
from datetime import UTC, datetime

import pytest
from aiohttp import web

from controller.trino_client import Control, TrinoClient, TrinoError

NOW = datetime(2026, 1, 31, 12, 0, tzinfo=UTC)


@asynccontextmanager
async def coordinator(handler):
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", handler)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    try:
        yield runner.addresses[0][1]
    finally:
        await runner.cleanup()


@asynccontextmanager
async def client(**settings):
    trino = TrinoClient(**settings)
    try:
        yield trino
    finally:
        await trino.close()


async def test_it_names_its_user_and_sends_no_credentials_without_a_password():
    seen = {}

    async def answer(request: web.Request) -> web.Response:
        seen.update(request.headers, path=request.path)
        return web.json_response([{"queryId": "q1", "state": "RUNNING"}])

    async with coordinator(answer) as port, client() as trino:
        found = await trino.activity("127.0.0.1", port, Control(), NOW)
    assert found.live == ("q1",)
    assert seen["path"] == "/v1/query"
    assert seen["X-Trino-User"] == "xtrinode-operator"
    assert "Authorization" not in seen
    assert "X-Forwarded-Proto" not in seen


async def test_a_password_travels_as_basic_authentication_declared_as_https():
    seen = {}

    async def answer(request: web.Request) -> web.Response:
        seen.update(request.headers)
        return web.json_response([])

    async with coordinator(answer) as port, client() as trino:
        await trino.activity("127.0.0.1", port, Control("ctl", "pä:ss"), NOW)
    assert seen["Authorization"].startswith("Basic ")
    assert seen["X-Forwarded-Proto"] == "https"


def test_the_password_is_not_in_the_representation():
    assert "s3cret" not in repr(Control("ctl", "s3cret"))


async def test_refused_credentials_say_which_field_to_set():
    async def answer(request: web.Request) -> web.Response:
        return web.Response(status=401)

    async with coordinator(answer) as port, client() as trino:
        with pytest.raises(TrinoError, match=r"spec\.trinoControlAuth"):
            await trino.activity("127.0.0.1", port, Control(), NOW)


async def test_a_redirect_is_not_followed():
    async def answer(request: web.Request) -> web.Response:
        return web.Response(status=302, headers={"Location": "http://127.0.0.1:1/"})

    async with coordinator(answer) as port, client() as trino:
        with pytest.raises(TrinoError, match="302"):
            await trino.activity("127.0.0.1", port, Control(), NOW)


async def test_an_endless_answer_is_cut_at_the_bound():
    async def answer(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        for _ in range(64):
            await response.write(b"[" * 1024)
        return response

    async with coordinator(answer) as port, client(largest_list=4096) as trino:
        with pytest.raises(TrinoError, match="longer than 4096"):
            await trino.activity("127.0.0.1", port, Control(), NOW)


async def test_a_coordinator_that_does_not_answer_costs_the_timeout_and_no_more():
    import asyncio

    hang = asyncio.Event()

    async def answer(request: web.Request) -> web.Response:
        await hang.wait()
        return web.Response()

    async with coordinator(answer) as port, client(timeout=0.05) as trino:
        with pytest.raises(TrinoError, match="did not answer"):
            await trino.activity("127.0.0.1", port, Control(), NOW)
        hang.set()


async def test_nobody_listening_is_a_trino_error():
    async with client() as trino:
        with pytest.raises(TrinoError, match=r"127\.0\.0\.1:1"):
            await trino.activity("127.0.0.1", 1, Control(), NOW)


async def test_killing_tells_the_client_why_and_reports_what_would_not_end():
    killed = {}

    async def answer(request: web.Request) -> web.Response:
        if "stubborn" in request.path:
            return web.Response(status=409)
        killed[request.path] = await request.json()
        return web.Response(status=202)

    async with coordinator(answer) as port, client() as trino:
        failed = await trino.kill("127.0.0.1", port, Control(), ["q1", "stubborn"], "suspending")
    assert killed == {"/v1/query/q1/killed": "suspending"}
    assert list(failed) == ["stubborn"]


async def test_with_a_proxy_the_coordinators_address_is_only_named_to_it(monkeypatch):
    """239.0.0.0/8 takes no TCP connection: only the proxy can have answered."""
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    seen = []

    async def answer(request: web.Request) -> web.Response:
        seen.append(str(request.url))
        return web.json_response([])

    async with coordinator(answer) as port:
        async with client(proxy=f"http://127.0.0.1:{port}") as trino:
            await trino.activity("239.0.0.7", 8080, Control(), NOW)
        assert seen == ["http://239.0.0.7:8080/v1/query"]
        async with client() as trino:
            with pytest.raises(TrinoError):
                await trino.activity("239.0.0.7", 8080, Control(), NOW)
        assert len(seen) == 1
