"""Gateways before real Trino servers, for what only a real server shows.

Two settings, both optional; without either every test here is skipped and says so:

- XTRINODE_TEST_TRINO_HOME: the directory of a Trino server. The tests start two coordinators of their own from it, and
  more of them to kill.
- XTRINODE_TEST_TRINO: the address of a running one (http://127.0.0.1:PORT, with http-server.process-forwarded=true).
  Tests that need two servers, or that end one, are skipped.
"""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import trino

from tests.clients.real_trino.server import RealTrino, Store
from tests.support.gateway_process import Client, FarRoutes, backend, document, gateway, route

HOME = os.environ.get("XTRINODE_TEST_TRINO_HOME")
URL = os.environ.get("XTRINODE_TEST_TRINO")
NONE = (
    "no real Trino: set XTRINODE_TEST_TRINO_HOME to a server's directory (tools/fetch-trino gets one; it needs "
    "JAVA_HOME), or XTRINODE_TEST_TRINO to the address of a running one"
)
NO_HOME = "starts servers of its own: set XTRINODE_TEST_TRINO_HOME to a Trino server's directory"
USER = "alice"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Skipped in one place, so that the summary says it in one line. Starting servers takes its time, too."""
    for item in items:
        if item.path.is_relative_to(Path(__file__).parent):
            if item.get_closest_marker("timeout") is None:
                item.add_marker(pytest.mark.timeout(400))
            if HOME is None and URL is None:
                item.add_marker(pytest.mark.skip(reason=NONE))


@pytest.fixture(scope="session")
def home() -> Path:
    if HOME is None:
        pytest.skip(NO_HOME)
    return Path(HOME)


@pytest.fixture(scope="session")
def store() -> Iterator[Store]:
    with Store() as running:
        yield running


@pytest.fixture(scope="session")
def both(home: Path, store: Store, tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[RealTrino]]:
    """Two coordinators that know nothing of each other."""
    servers = [RealTrino(home, tmp_path_factory.mktemp(name), store=store) for name in ("one", "two")]
    try:
        for server in servers:
            server.start()
        yield [server.until_ready() for server in servers]
    finally:
        for server in servers:
            server.stop()


@pytest.fixture(scope="session")
def port(request: pytest.FixtureRequest) -> int:
    """Where a real coordinator listens."""
    if HOME is not None:
        one: RealTrino = request.getfixturevalue("both")[0]
        return one.port
    parts = urlsplit(URL or "")
    assert parts.hostname in ("127.0.0.1", "localhost"), "XTRINODE_TEST_TRINO must be http://127.0.0.1:PORT"
    return parts.port or 8080


@asynccontextmanager
async def before(directory: Path, *ports: int, **settings: Any) -> AsyncIterator[Client]:
    """A gateway whose default route has a coordinator at each of the ports."""
    async with FarRoutes(directory) as routes:
        backends = [backend(f"c{number}", port) for number, port in enumerate(ports)]
        routes.publish(document(route("group", *backends, default=True)))
        async with gateway(routes, **settings) as client:
            await client.until_ready()
            yield client


@pytest.fixture
async def front(tmp_path: Path, port: int) -> AsyncIterator[Client]:
    """A gateway before one coordinator."""
    async with before(tmp_path, port) as client:
        yield client


def connect(client: Client, **options: Any) -> Any:
    settings = {"user": USER, "catalog": "tpch", "schema": "tiny", "http_scheme": "http", "host": "127.0.0.1"}
    make: Any = trino.dbapi.connect  # has no types
    return make(port=client.port, **{**settings, **options})
