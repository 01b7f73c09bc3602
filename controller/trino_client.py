"""Asks a coordinator what it is doing, and ends queries that outlived a drain.

Called by the observing and the executing shell with an address that an EndpointSlice named, so that no
cluster DNS is needed. Every call is bounded in time and in bytes; a failure is a TrinoError that says what
happened, and the caller decides what it means (a drain waits, an idle check is skipped).
Credentials are passed per call and neither kept nor logged.
"""

from __future__ import annotations

import asyncio
import base64
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from urllib.parse import quote

import aiohttp

from controller.observed import Activity
from controller.queries import UnreadableQueries, read_activity

#: A coordinator keeps about a hundred finished queries; their texts may be long.
_LARGEST_LIST = 32 * 1024 * 1024
_DEFAULT_USER = "xtrinode-operator"


class TrinoError(Exception):
    """A coordinator could not be asked, or answered something else than asked."""


@dataclass(frozen=True, slots=True)
class Control:
    """As whom the controller speaks to a coordinator. Without a password only the name is sent."""

    user: str = _DEFAULT_USER
    password: str | None = field(default=None, repr=False)

    def headers(self) -> dict[str, str]:
        headers = {"X-Trino-User": self.user, "X-Trino-Source": "xtrinode-controller"}
        if self.password is not None:
            token = base64.b64encode(f"{self.user}:{self.password}".encode()).decode()
            headers["Authorization"] = f"Basic {token}"
            # Trino takes passwords over TLS only; `process-forwarded` lets it believe this header.
            headers["X-Forwarded-Proto"] = "https"
        return headers


class TrinoClient:
    """One HTTP session for all coordinators. `timeout` (seconds) bounds each call, `proxy` (a URL) carries it."""

    def __init__(self, *, timeout: float = 5.0, largest_list: int = _LARGEST_LIST, proxy: str | None = None) -> None:
        self._proxy = proxy
        self._timeout = aiohttp.ClientTimeout(total=timeout, connect=min(timeout, 3.0))
        self._seconds = timeout
        self._largest_list = largest_list
        self._session: aiohttp.ClientSession | None = None

    async def close(self) -> None:
        if self._session is not None:
            await self._session.close()
            self._session = None

    async def activity(self, address: str, port: int, control: Control, now: datetime) -> Activity:
        """The coordinator's queries. Raises TrinoError."""
        body = await self._call("GET", address, port, "/v1/query", control)
        try:
            return read_activity(body, now)
        except UnreadableQueries as error:
            raise TrinoError(f"{_place(address, port)}: {error}") from error

    async def kill(self, address: str, port: int, control: Control, queries: Sequence[str], why: str) -> dict[str, str]:
        """Ends queries so that their clients read `why`; returns the ids that would not end, with reasons."""
        failed: dict[str, str] = {}

        async def end(query: str) -> None:
            try:
                path = f"/v1/query/{quote(query, safe='')}/killed"
                await self._call("PUT", address, port, path, control, json=why)
            except TrinoError as error:
                failed[query] = str(error)

        for start in range(0, len(queries), 16):
            await asyncio.gather(*(end(query) for query in queries[start : start + 16]))
        return failed

    async def _call(
        self, method: str, address: str, port: int, path: str, control: Control, *, json: Any = None
    ) -> bytes:
        if self._session is None:
            self._session = aiohttp.ClientSession(
                timeout=self._timeout, cookie_jar=aiohttp.DummyCookieJar(), trust_env=False
            )
        url = f"http://{_place(address, port)}{path}"
        try:
            async with self._session.request(
                method, url, headers=control.headers(), json=json, allow_redirects=False, proxy=self._proxy
            ) as answer:
                if answer.status in (401, 403):
                    raise TrinoError(
                        f"{_place(address, port)} answered {answer.status} to {method} {path}: user {control.user!r} "
                        "may not do that; set spec.trinoControlAuth to a user that may"
                    )
                if answer.status >= 300:
                    raise TrinoError(f"{_place(address, port)} answered {answer.status} to {method} {path}")
                return await self._read(answer)
        except TimeoutError as error:
            raise TrinoError(f"{_place(address, port)} did not answer in {self._seconds:g} s") from error
        except aiohttp.ClientError as error:
            raise TrinoError(f"{_place(address, port)}: {type(error).__name__}: {error}") from error

    async def _read(self, answer: aiohttp.ClientResponse) -> bytes:
        body = bytearray()
        async for chunk in answer.content.iter_any():
            body += chunk
            if len(body) > self._largest_list:
                raise TrinoError(f"the answer is longer than {self._largest_list} bytes")
        return bytes(body)


def _place(address: str, port: int) -> str:
    return f"[{address}]:{port}" if ":" in address else f"{address}:{port}"
