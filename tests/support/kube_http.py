"""Plain HTTP to an API server, for what our client has no words for: headers, media types, query parameters.

Reads the kubeconfigs of the sandbox (a token) and of the real control plane (client certificates). It retries
nothing and raises nothing for a refusal: tests look at the reply.
"""

from __future__ import annotations

import base64
import json
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import yaml


@dataclass(frozen=True)
class Reply:
    """A whole answer. `body` is the decoded JSON, or text when it is none."""

    status: int
    headers: Any
    body: Any

    @property
    def warnings(self) -> list[str]:
        return [value.split('"', 1)[1].rsplit('"', 1)[0] for value in self.headers.getall("Warning", [])]


class KubeHttp:
    """One session; `token` replaces the kubeconfig's credentials, "" sends none."""

    def __init__(self, kubeconfig: str, *, token: str | None = None) -> None:
        config = yaml.safe_load(Path(kubeconfig).read_text())
        cluster, user = config["clusters"][0]["cluster"], config["users"][0]["user"]
        self.server: str = cluster["server"]
        data = cluster.get("certificate-authority-data")
        authority = base64.b64decode(data) if data else Path(cluster["certificate-authority"]).read_bytes()
        self._context = ssl.create_default_context(cadata=authority.decode())
        self._headers = {}
        if token is None and "token" in user:
            token = user["token"]
        if token:
            self._headers["Authorization"] = f"Bearer {token}"
        elif token is None:
            self._context.load_cert_chain(user["client-certificate"], user["client-key"])
        self._session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> KubeHttp:
        connector = aiohttp.TCPConnector(ssl=self._context)
        self._session = aiohttp.ClientSession(self.server, headers=self._headers, connector=connector)
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._session is not None
        await self._session.close()

    async def __call__(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        content_type: str = "application/json",
        headers: dict[str, str] | None = None,
        **params: str,
    ) -> Reply:
        assert self._session is not None
        data = body if isinstance(body, bytes | None) else json.dumps(body).encode()
        sent = {"Content-Type": content_type, **(headers or {})} if data is not None else headers
        async with self._session.request(method, path, data=data, headers=sent, params=params) as response:
            text = await response.text()
            try:
                return Reply(response.status, response.headers, json.loads(text))
            except ValueError:
                return Reply(response.status, response.headers, text)

    @asynccontextmanager
    async def watch(self, path: str, **params: str) -> AsyncIterator[AsyncIterator[dict[str, Any]]]:
        """The events of a watch that the server accepted."""
        assert self._session is not None
        async with self._session.get(path, params={"watch": "true", **params}) as response:
            assert response.status == 200, await response.text()

            async def events() -> AsyncIterator[dict[str, Any]]:
                async for line in response.content:
                    yield json.loads(line)

            try:
                yield events()
            finally:
                # Ends the connection; waiting for the rest of an endless answer would take for ever.
                transport = response.connection.transport if response.connection else None
                response.close()
                if transport is not None:
                    transport.abort()
