"""An embedded API server per test, and small helpers to talk to it.

Import the fixture where it is needed (`from tests.support.cluster import kube`), or open `KubeServer()` yourself. Each
server starts in some 20 ms on a port that the kernel chose, with its own certificates, and leaves nothing behind.
`Api` speaks plain HTTP to it, so that tests see status codes and documents as a client would.
"""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import AsyncIterator
from pathlib import Path
from types import TracebackType
from typing import Any

import aiohttp
import orjson
import pytest

from sandbox.kube import tls
from sandbox.kube.server import KubeServer

KUBECTL = shutil.which("kubectl")

needs_kubectl = pytest.mark.skipif(KUBECTL is None, reason="kubectl is not installed")


@pytest.fixture
async def kube() -> AsyncIterator[KubeServer]:
    """A running API server with the namespace `default`."""
    async with KubeServer() as server:
        yield server


class Api:
    """A client of one server. `async with Api(server) as api: status, document = await api.get(path)`."""

    def __init__(self, server: KubeServer, token: str | None = None) -> None:
        self.server = server
        self._token = server.admin_token if token is None else token
        self._session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Api:
        context = tls.client_context(self.server.credentials.ca_pem)
        self._session = aiohttp.ClientSession(
            self.server.url,
            connector=aiohttp.TCPConnector(ssl=context, limit=0),
            headers={"Authorization": f"Bearer {self._token}", "User-Agent": "tests/1"},
        )
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.session.close()

    @property
    def session(self) -> aiohttp.ClientSession:
        assert self._session is not None, "use `async with Api(...)`"
        return self._session

    async def ask(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        content_type: str = "application/json",
        headers: dict[str, str] | None = None,
    ) -> tuple[int, Any]:
        """One request: its status and its document (text when it is not JSON)."""
        data = body if isinstance(body, bytes | None) else orjson.dumps(body)
        sent = {"Content-Type": content_type, **(headers or {})} if data is not None else headers
        async with self.session.request(method, path, data=data, headers=sent) as answer:
            raw = await answer.read()
            self.headers = answer.headers
            try:
                return answer.status, orjson.loads(raw)
            except orjson.JSONDecodeError:
                return answer.status, raw.decode()

    async def get(self, path: str, **headers: str) -> tuple[int, Any]:
        return await self.ask("GET", path, headers=headers or None)

    async def post(self, path: str, body: Any) -> tuple[int, Any]:
        return await self.ask("POST", path, body)

    async def put(self, path: str, body: Any) -> tuple[int, Any]:
        return await self.ask("PUT", path, body)

    async def delete(self, path: str, body: Any = None) -> tuple[int, Any]:
        return await self.ask("DELETE", path, body)

    async def merge(self, path: str, body: Any) -> tuple[int, Any]:
        return await self.ask("PATCH", path, body, content_type="application/merge-patch+json")

    async def apply(self, path: str, body: Any, manager: str, *, force: bool = False) -> tuple[int, Any]:
        query = f"{'&' if '?' in path else '?'}fieldManager={manager}&force={str(force).lower()}"
        return await self.ask("PATCH", path + query, body, content_type="application/apply-patch+yaml")

    async def watch(self, path: str, count: int, *, within: float = 10.0) -> list[dict[str, Any]]:
        """The first `count` events of a watch."""
        events: list[dict[str, Any]] = []
        separator = "&" if "?" in path else "?"
        async with asyncio.timeout(within):
            async with self.session.get(f"{path}{separator}watch=true") as answer:
                assert answer.status == 200, await answer.text()
                while len(events) < count:
                    line = await answer.content.readline()
                    if not line:
                        break
                    events.append(orjson.loads(line))
        return events


async def kubectl(
    server: KubeServer, *arguments: str, stdin: str | None = None, cache: Path, within: float = 60.0
) -> tuple[int, str, str]:
    """Run kubectl against a server: exit code, stdout, stderr."""
    assert KUBECTL is not None
    process = await asyncio.create_subprocess_exec(
        KUBECTL,
        "--kubeconfig",
        str(server.kubeconfig_path),
        "--cache-dir",
        str(cache),
        *arguments,
        stdin=asyncio.subprocess.PIPE if stdin is not None else asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        async with asyncio.timeout(within):
            out, err = await process.communicate(None if stdin is None else stdin.encode())
    except TimeoutError:
        process.kill()
        await process.wait()
        raise
    return process.returncode or 0, out.decode(), err.decode()
