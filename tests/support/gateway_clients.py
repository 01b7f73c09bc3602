"""A gateway before Trino servers, for real clients: two stand-ins, or the server that XTRINODE_TEST_TRINO names.

Clients are synchronous, or processes of their own; the gateway and the stand-ins run on the test's loop meanwhile.
"""

from __future__ import annotations

import asyncio
import hashlib
import os
import shutil
import subprocess
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import trino

from sandbox.trino.server import TrinoServer
from tests.support.authority import Authority
from tests.support.gateway_process import Client, FarRoutes, backend, document, gateway, route
from tests.support.trino_standin import standin

REAL = os.environ.get("XTRINODE_TEST_TRINO")
USER, PASSWORD = "alice", "secret"
_BEHIND = {"http-server.process-forwarded": "true"}


@dataclass
class Front:
    """The gateway's address for clients, and the servers behind: `one` is the default, `two` has its own selectors."""

    client: Client
    one: TrinoServer | None
    two: TrinoServer | None
    authority: Path | None = None

    @property
    def port(self) -> int:
        return self.client.port

    def connect(self, **options: Any) -> Any:
        """A connection of the Python client."""
        settings = {"user": USER, "catalog": "tpch", "schema": "tiny", "http_scheme": "http", "host": "127.0.0.1"}
        return trino.dbapi.connect(port=self.port, **{**settings, **options})


@asynccontextmanager
async def front(directory: Path, *, passwords: bool = False, **settings: Any) -> AsyncIterator[Front]:
    """A running gateway. With `passwords` it speaks TLS, and the servers ask who is there."""
    async with AsyncExitStack() as stack:
        routes = await stack.enter_async_context(FarRoutes(directory))
        servers: list[TrinoServer | None] = [None, None]
        if REAL is not None:
            ports = [_relayed_port(REAL)] * 2
        else:
            options: dict[str, Any] = _password_files(directory) if passwords else {"config": _BEHIND}
            started = [await stack.enter_async_context(standin(**options)) for _ in range(2)]
            servers, ports = list(started), [server.port for server in started]
        routes.publish(
            document(
                route("one", backend("one", ports[0]), default=True),
                route("two", backend("two", ports[1]), hostname="localhost"),
            )
        )
        authority: Path | None = None
        if passwords:
            authority = _certificate(directory)
            settings |= {"tls_cert": str(directory / "tls.crt"), "tls_key": str(directory / "tls.key")}
        client = await stack.enter_async_context(gateway(routes, **settings))
        await client.until_ready()
        yield Front(client, *servers, authority)


def _relayed_port(url: str) -> int:
    """A real server must be reachable from here at 127.0.0.1, as the routes of these tests say."""
    parts = urlsplit(url)
    assert parts.hostname in ("127.0.0.1", "localhost"), (
        "XTRINODE_TEST_TRINO must be http://127.0.0.1:PORT; use a tunnel"
    )
    return parts.port or 8080


def _password_files(directory: Path) -> dict[str, Any]:
    salt = bytes.fromhex("5b4240333032306164")
    digest = hashlib.pbkdf2_hmac("sha1", PASSWORD.encode(), salt, 1000)
    (directory / "password.db").write_text(f"{USER}:1000:{salt.hex()}:{digest.hex()}\n")
    authenticator = f"password-authenticator.name=file\nfile.password-file={directory}/password.db\n"
    return {
        "config": {
            **_BEHIND,
            "http-server.authentication.type": "PASSWORD",
            "internal-communication.shared-secret": "x",
        },
        "files": {"password-authenticator.properties": authenticator.encode()},
    }


def _certificate(directory: Path) -> Path:
    authority = Authority("test")
    cert, key = authority.issue("gateway", addresses=("127.0.0.1", "localhost"))
    (directory / "tls.crt").write_bytes(cert)
    (directory / "tls.key").write_bytes(key)
    path = directory / "ca.crt"
    path.write_bytes(authority.certificate_pem)
    return path


# -- Java ------------------------------------------------------------------------------------------------------------


def jar(pattern: str) -> Path | str:
    """A client's jar, or why it cannot be used."""
    if shutil.which("java") is None:
        return "no java on PATH"
    cache = (
        os.environ.get("XTRINODE_CACHE")
        or Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "xtrinode"
    )
    found = sorted((Path(cache) / "clients").glob(pattern))
    return found[-1] if found else f"no {pattern}; `tools/fetch-clients` fetches it"


async def run(*command: str, stdin: bytes = b"", within: float = 60.0) -> tuple[int | None, str, str]:
    """Exit code, output and errors of a program."""
    process = await asyncio.create_subprocess_exec(
        *command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    try:
        out, errors = await asyncio.wait_for(process.communicate(stdin), within)
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    return process.returncode, out.decode(), errors.decode()


__all__ = ["PASSWORD", "REAL", "USER", "Front", "front", "jar", "run"]
