"""API servers that cluster tests run against: the sandbox's own always, the real one where its binaries are.

Tests ask for the fixture `cluster` and get each in turn. `sandbox()` is a context manager that runs one; `real()` is a
view of a control plane that runs already. A cluster outlives the event loop of any one test, so the sandbox runs in a
thread with a loop of its own.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from dataclasses import dataclass
from pathlib import Path

import pytest

from sandbox.kube.server import KubeServer
from tests.support.control_plane import ControlPlane

# A value of the fixture `cluster`. With `--dist loadgroup` the group runs in one worker, so that a session
# has one real control plane, not one per worker.
REAL = pytest.param("real", marks=[pytest.mark.real, pytest.mark.xdist_group("real")])
# For modules that are about the real one only: `pytestmark = ONLY_REAL`.
ONLY_REAL = pytest.mark.parametrize("cluster", [REAL], indirect=True)

# Changes that the sandbox remembers: few enough that a test can make it forget.
HISTORY = 500


@dataclass(frozen=True)
class Cluster:
    """One API server. `compact` makes it forget all history, so that older watches get 410."""

    name: str
    kubeconfig: str
    compact: Callable[[], None]
    control_plane: ControlPlane | None = None

    @property
    def is_real(self) -> bool:
        return self.control_plane is not None


@contextlib.contextmanager
def sandbox(folder: Path) -> Iterator[Cluster]:
    """The embedded server, persistent in `folder`."""
    started: Future[KubeServer] = Future()
    loop = asyncio.new_event_loop()
    stopped = asyncio.Event()

    async def serve() -> None:
        try:
            async with KubeServer(data_dir=folder, port=0, history=HISTORY) as server:
                started.set_result(server)
                await stopped.wait()
        except BaseException as error:
            if not started.done():
                started.set_exception(error)
            raise

    def run() -> None:
        loop.run_until_complete(serve())
        loop.run_until_complete(loop.shutdown_asyncgens())
        loop.close()

    thread = threading.Thread(target=run, name="sandbox-kube")
    thread.start()
    try:
        server = started.result(30)

        async def forget() -> None:
            server.store.compact()

        def compact() -> None:
            asyncio.run_coroutine_threadsafe(forget(), loop).result(10)

        yield Cluster("sandbox", str(server.kubeconfig_path), compact)
    finally:
        with contextlib.suppress(RuntimeError):
            loop.call_soon_threadsafe(stopped.set)
        thread.join(30)


def real(control_plane: ControlPlane) -> Cluster:
    """etcd, kube-apiserver, the controllers, the scheduler, and kwok nodes."""
    return Cluster("real", str(control_plane.kubeconfig), control_plane.compact, control_plane)
