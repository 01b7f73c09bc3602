"""Makes the attempts that probes and lifecycle hooks ask for: HTTP, TCP, a command, Trino's own health check.

Called by the container's runner, which judges the answers. A placeholder container passes every check, since
nothing listens in it. The health check that ships with Trino images is answered in process by the HTTP call it
would make: starting a shell for it costs more than the rest of the sandbox together.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import aiohttp

from sandbox.kubelet.images import Runner
from sandbox.kubelet.launches import Launch, Place, inside_command, is_health_check
from sandbox.kubelet.processes import Guard, StartFailed, run

_STARTED = re.compile(rb'"starting"\s*:\s*false')
_BODY_LIMIT = 10 * 1024
_DEFAULT_TRINO_PORT = 8080


class Answer(NamedTuple):
    success: bool
    message: str = ""


@dataclass(frozen=True)
class Subject:
    """The container that is checked."""

    container: Mapping[str, Any]
    runner: Runner
    place: Place
    launch: Launch


class Checker:
    """Holds the one HTTP client of all probes. Connections are never kept: a probe tests accepting them."""

    def __init__(self, guard: Guard) -> None:
        self._guard = guard
        self._session: aiohttp.ClientSession | None = None

    async def close(self) -> None:
        if self._session is not None:
            await self._session.close()
            self._session = None

    async def check(self, action: Mapping[str, Any], subject: Subject, seconds: float) -> Answer:
        """Make one attempt; every failure is an answer, nothing is raised."""
        if subject.runner is Runner.PLACEHOLDER:
            return Answer(True)
        if action.get("httpGet") is not None:
            return await self._http(action["httpGet"], subject, seconds)
        if action.get("tcpSocket") is not None:
            return await _tcp(action["tcpSocket"], subject, seconds)
        if action.get("exec") is not None:
            argv = [str(part) for part in action["exec"].get("command") or []]
            if is_health_check(argv) and subject.runner is Runner.TRINO:
                return await self._trino(subject, seconds)
            return await self._exec(argv, subject, seconds)
        if action.get("sleep") is not None:
            await asyncio.sleep(float(action["sleep"].get("seconds") or 0))
            return Answer(True)
        kind = next((name for name in ("grpc",) if name in action), "of no known kind")
        return Answer(False, f"the sandbox has no check {kind}; use httpGet, tcpSocket or exec")

    async def _http(self, action: Mapping[str, Any], subject: Subject, seconds: float) -> Answer:
        port = port_number(action.get("port"), subject.container)
        if port is None:
            return Answer(False, f"the container has no port named {action.get('port')!r}")
        host = str(action.get("host") or subject.place.pod_ip)
        if host in ("localhost", "127.0.0.1"):
            host = subject.place.pod_ip
        scheme = str(action.get("scheme") or "HTTP").lower()
        path = str(action.get("path") or "/")
        url = f"{scheme}://{host}:{port}{path if path.startswith('/') else '/' + path}"
        headers = {str(item.get("name")): str(item.get("value")) for item in action.get("httpHeaders") or []}
        status, body = await self._fetch(url, headers, seconds)
        if status is None:
            return Answer(False, f'Get "{url}": {body.decode(errors="replace")}')
        if 200 <= status < 400:
            return Answer(True)
        return Answer(False, f"HTTP probe failed with statuscode: {status}")

    async def _trino(self, subject: Subject, seconds: float) -> Answer:
        """What Trino's health check script does: ask /v1/info and look for "starting":false."""
        url = f"http://{subject.place.pod_ip}:{trino_port(subject)}/v1/info"
        status, body = await self._fetch(url, {}, seconds)
        if status is None:
            return Answer(False, f"{url}: {body.decode(errors='replace')}")
        if status != 200:
            return Answer(False, f"{url} answered {status}")
        return Answer(True) if _STARTED.search(body) else Answer(False, f"{url}: Trino is starting")

    async def _fetch(self, url: str, headers: Mapping[str, str], seconds: float) -> tuple[int | None, bytes]:
        """Status and the beginning of the body; or None and why there is no answer."""
        if self._session is None:
            connector = aiohttp.TCPConnector(force_close=True, limit=0, ssl=False)
            self._session = aiohttp.ClientSession(connector=connector, cookie_jar=aiohttp.DummyCookieJar())
        sent = {"User-Agent": "kube-probe/sandbox", "Accept": "*/*", **headers}
        try:
            async with (
                asyncio.timeout(seconds),
                self._session.get(url, headers=sent, allow_redirects=False) as response,
            ):
                return response.status, await response.content.read(_BODY_LIMIT)
        except TimeoutError:
            return None, b"context deadline exceeded (Client.Timeout exceeded while awaiting headers)"
        except (aiohttp.ClientError, OSError, ValueError) as error:
            return None, str(error).encode()

    async def _exec(self, argv: list[str], subject: Subject, seconds: float) -> Answer:
        place = subject.place
        if subject.runner is Runner.TRINO:
            argv = inside_command(argv, place.pod_ip)
        try:
            code, output = await run(argv, subject.launch.environment, place.work, seconds, self._guard)
        except StartFailed as error:
            return Answer(False, str(error))
        if code is None:
            return Answer(False, f"command {argv!r} timed out after {seconds:g} s")
        if code == 0:
            return Answer(True)
        return Answer(False, output or f"command exited with {code}")


async def _tcp(action: Mapping[str, Any], subject: Subject, seconds: float) -> Answer:
    port = port_number(action.get("port"), subject.container)
    if port is None:
        return Answer(False, f"the container has no port named {action.get('port')!r}")
    host = str(action.get("host") or subject.place.pod_ip)
    try:
        async with asyncio.timeout(seconds):
            _, writer = await asyncio.open_connection(host, port)
            writer.close()
    except TimeoutError:
        return Answer(False, f"dial tcp {host}:{port}: i/o timeout")
    except OSError as error:
        return Answer(False, f"dial tcp {host}:{port}: {error.strerror or error}")
    return Answer(True)


def port_number(port: Any, container: Mapping[str, Any]) -> int | None:
    """A port by number or by the container's name for it."""
    if isinstance(port, int):
        return port
    if isinstance(port, str) and port.isdigit():
        return int(port)
    for item in container.get("ports") or []:
        if item.get("name") == port:
            return int(item["containerPort"])
    return None


def trino_port(subject: Subject) -> int:
    """The HTTP port of a Trino container: its configuration's, else the container port named http."""
    config = Path(subject.place.root) / "etc" / "trino" / "config.properties"
    try:
        for line in config.read_text(errors="replace").splitlines():
            name, _, value = line.partition("=")
            if name.strip() == "http-server.http.port" and value.strip().isdigit():
                return int(value.strip())
    except OSError:
        pass
    return port_number("http", subject.container) or _DEFAULT_TRINO_PORT
