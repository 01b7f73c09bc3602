"""An API server for the client's cluster tests: the sandbox's always, the real one where its binaries are.

Each server lives for the whole run of this folder; each test gets a namespace of its own and a client.
"""

import asyncio
import itertools
import threading
from collections.abc import AsyncIterator, Iterator
from concurrent.futures import Future
from dataclasses import dataclass
from pathlib import Path

import pytest

from crds.client import KubeClient
from crds.client.resources import NAMESPACES
from sandbox.kube.server import KubeServer
from tests.support.control_plane import ControlPlane, binaries, why_absent

# Few enough that a test can make the sandbox forget; the real one is compacted instead.
HISTORY = 200
_numbers = itertools.count()


@dataclass(frozen=True)
class Cluster:
    kubeconfig: str
    control_plane: ControlPlane | None = None


def _sandbox(folder: Path) -> Iterator[Cluster]:
    """In a thread with a loop of its own, so that it outlives each test's loop."""
    started: Future[str] = Future()
    loop = asyncio.new_event_loop()
    stopped = asyncio.Event()

    async def serve() -> None:
        try:
            async with KubeServer(data_dir=folder, port=0, history=HISTORY) as server:
                started.set_result(str(server.kubeconfig_path))
                await stopped.wait()
        except BaseException as error:
            if not started.done():
                started.set_exception(error)
            raise

    def run() -> None:
        loop.run_until_complete(serve())
        loop.run_until_complete(loop.shutdown_asyncgens())
        loop.run_until_complete(loop.shutdown_default_executor())
        loop.close()

    thread = threading.Thread(target=run, name="sandbox-kube")
    thread.start()
    try:
        yield Cluster(started.result(30))
    finally:
        loop.call_soon_threadsafe(stopped.set)
        thread.join(30)


@pytest.fixture(scope="session", params=["sandbox", pytest.param("real", marks=pytest.mark.real)])
def cluster(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    if request.param == "sandbox":
        yield from _sandbox(tmp_path_factory.mktemp("sandbox"))
        return
    directory = binaries()
    if directory is None:
        pytest.skip(why_absent())
    with ControlPlane(directory, workloads=False) as control_plane:
        yield Cluster(str(control_plane.kubeconfig), control_plane)


@pytest.fixture
async def client(cluster: Cluster) -> AsyncIterator[KubeClient]:
    async with await KubeClient.connect(cluster.kubeconfig) as client:
        yield client


@pytest.fixture
async def namespace(client: KubeClient) -> str:
    name = f"client-{next(_numbers)}"
    await client.create(NAMESPACES, {"metadata": {"name": name}})
    return name
