"""The sandbox's small curl, against a server: what lifecycle hooks use works, failures have curl's exit codes."""

from __future__ import annotations

import asyncio
import subprocess
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio
from aiohttp import web

from sandbox.kubelet import curl


@pytest_asyncio.fixture
async def url() -> AsyncIterator[str]:
    async def answer(request: web.Request) -> web.Response:
        body = await request.text()
        headers = request.headers
        text = f"{request.method} {headers.get('X-Trino-User')} {headers.get('Authorization')} {body}"
        return web.Response(text=text, status=404 if request.path == "/missing" else 200)

    app = web.Application()
    app.router.add_route("*", "/{path:.*}", answer)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    await runner.cleanup()


async def run(tmp_path: Path, *arguments: str, given: bytes = b"") -> tuple[int, str]:
    script = curl.install(tmp_path / "bin") / "curl"
    process = await asyncio.create_subprocess_exec(
        script, *arguments, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )
    output, _ = await process.communicate(given)
    return int(process.returncode or 0), output.decode()


async def test_a_hook_can_put_with_headers_from_its_input(tmp_path: Path, url: str) -> None:
    line = ["-fsS", "-m", "5", "-X", "PUT", "-H", "@-", "-d", '"SHUTTING_DOWN"', f"{url}/v1/info/state"]
    assert await run(tmp_path, *line, given=b"X-Trino-User: ops\n") == (0, 'PUT ops None "SHUTTING_DOWN"')


async def test_basic_authentication_and_output_to_a_file(tmp_path: Path, url: str) -> None:
    target = tmp_path / "out"
    assert await run(tmp_path, "-s", "-u", "a:b", "-o", str(target), url) == (0, "")
    assert target.read_text() == "GET None Basic YTpi "


@pytest.mark.parametrize(
    ("arguments", "code"),
    [(["-f", "{url}/missing"], 22), (["http://127.0.0.1:9/"], 7), (["file:///etc/passwd"], 1), (["--no-such-flag"], 2)],
)
async def test_failures_have_their_codes(tmp_path: Path, url: str, arguments: list[str], code: int) -> None:
    found, output = await run(tmp_path, *(part.format(url=url) for part in arguments))
    assert found == code and output
    assert "Traceback" not in output
