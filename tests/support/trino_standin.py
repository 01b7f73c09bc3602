"""Stand-in Trino servers for tests: configuration files in, a running server out.

`etc(...)` builds the files of /etc/trino as bytes; `standin(...)` runs a server in this process on a
port that the kernel chooses and waits until it takes queries.
"""

from __future__ import annotations

import tempfile
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

from sandbox.trino.configuration import ServerConfiguration, load_configuration
from sandbox.trino.server import ServerOptions, TrinoServer

MEMORY = 16 * 2**30
# One folder for the whole test run: TPC-H tables are generated once.
CACHE = Path(tempfile.gettempdir()) / "xtrinode-test-tpch"


def etc(
    config: Mapping[str, str] | None = None,
    *,
    coordinator: bool = True,
    catalogs: Mapping[str, str] | None = None,
    files: Mapping[str, bytes] | None = None,
) -> dict[str, bytes]:
    """A valid configuration with the given keys on top; a value of None in `config` removes a key."""
    merged = {
        "coordinator": str(coordinator).lower(),
        "http-server.http.port": "0",
        "discovery.uri": "http://localhost:8080",
        **(config or {}),
    }
    result = {
        "config.properties": "".join(f"{key}={value}\n" for key, value in merged.items()).encode(),
        "node.properties": b"node.environment=test\n",
        "jvm.config": b"-server\n-Xmx4G\n",
    }
    named = {"tpch": "connector.name=tpch\n", "memory": "connector.name=memory\n"} if catalogs is None else catalogs
    result.update({f"catalog/{name}.properties": text.encode() for name, text in named.items()})
    result.update(files or {})
    return result


def configured(files: Mapping[str, bytes], environment: Mapping[str, str] | None = None) -> ServerConfiguration:
    return load_configuration(files, environment or {}, physical_memory=MEMORY)


@asynccontextmanager
async def standin(
    config: Mapping[str, str] | None = None,
    *,
    options: ServerOptions | None = None,
    wait: bool = True,
    **rest: object,
) -> AsyncIterator[TrinoServer]:
    """A running server; `rest` goes to `etc`."""
    files = etc(config, **rest)  # type: ignore[arg-type]
    settings = replace(options or ServerOptions(), port=0, cache=CACHE)
    async with TrinoServer(configured(files), settings) as server:
        if wait:
            await server.ready()
        yield server
