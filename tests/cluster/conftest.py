"""The clusters that tests run against, and what most tests need of one.

`cluster` is the sandbox's API server and, where its binaries are built, the real one: the same test for both.
"""

from __future__ import annotations

import itertools
import os
import shutil
import subprocess
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path

import pytest

from crds.client import KubeClient
from crds.client.resources import NAMESPACES
from tests.support import clusters
from tests.support.clusters import REAL, Cluster
from tests.support.control_plane import ControlPlane, binaries, why_absent
from tests.support.kube_http import KubeHttp

_numbers = itertools.count()

# Files and folders whose tests need not take their cluster from the parameter `cluster`, and why.
ON_THEIR_OWN = {
    "client/test_restarts.py": "a server that forgets everything at once",
    "controller": "pods and nodes that a test moves by hand, in milliseconds; real/ has the same on kube-apiserver",
    "differential": "both servers side by side",
    "kubelet": "the sandbox's own kubelet",
    "plugin/test_verbs.py": "one of its tests has no cluster at all",
    "real/test_control_plane.py": "control planes of their own",
    "system": "the sandbox as a whole",
}


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Every test runs on both servers, or stands above with the reason.

    Here TLS connections end on both sides at once, and asyncio closes one only when its peer has said goodbye; what
    the collector then finds says nothing about the test that happens to run. The other tiers are strict."""
    here = Path(__file__).parent
    for item in items:
        if here not in item.path.parents:
            continue
        item.add_marker(pytest.mark.filterwarnings("ignore:unclosed:ResourceWarning"))
        path = item.path.relative_to(here)
        if isinstance(item, pytest.Function) and "control_plane" in item.fixturenames:
            for mark in REAL.marks:
                item.add_marker(mark)
        if not {str(path), path.parts[0]} & ON_THEIR_OWN.keys() and not _takes_its_cluster(item):
            raise pytest.UsageError(f"{item.nodeid} does not ask for the fixture `cluster`, and is not in ON_THEIR_OWN")


def _takes_its_cluster(item: pytest.Item) -> bool:
    return isinstance(item, pytest.Function) and "cluster" in item.fixturenames


@pytest.fixture(scope="session")
def control_plane() -> Iterator[ControlPlane]:
    """The real one, for all tests of the session that ask for it."""
    directory = binaries()
    if directory is None:
        pytest.skip(why_absent())
    with ControlPlane(directory) as running:
        yield running


@pytest.fixture(scope="session", params=["sandbox", REAL])
def cluster(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    if request.param == "sandbox":
        with clusters.sandbox(tmp_path_factory.mktemp("sandbox")) as running:
            yield running
    else:
        yield clusters.real(request.getfixturevalue("control_plane"))


@pytest.fixture
async def client(cluster: Cluster) -> AsyncIterator[KubeClient]:
    """A cluster administrator."""
    async with await KubeClient.connect(cluster.kubeconfig) as client:
        yield client


@pytest.fixture
async def http(cluster: Cluster) -> AsyncIterator[KubeHttp]:
    """The same administrator, in plain HTTP."""
    async with KubeHttp(cluster.kubeconfig) as http:
        yield http


@pytest.fixture
async def namespace(client: KubeClient) -> str:
    """A namespace of this test's own."""
    name = f"test-{next(_numbers)}"
    await client.create(NAMESPACES, {"metadata": {"name": name}})
    return name


Kubectl = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def kubectl(cluster: Cluster, namespace: str, tmp_path: Path) -> Kubectl:
    """Runs the stock kubectl in the test's namespace; `check=False` for commands that shall fail."""
    program = shutil.which("kubectl")
    if program is None:
        pytest.skip("kubectl is not installed")
    environment = {"PATH": os.environ["PATH"], "HOME": str(tmp_path), "KUBECONFIG": cluster.kubeconfig}

    def run(*arguments: str, stdin: str | None = None, check: bool = True) -> subprocess.CompletedProcess[str]:
        # A cache of its own: kubectl remembers discovery per address for hours.
        command = [program, f"--cache-dir={tmp_path / 'cache'}", f"--namespace={namespace}", *arguments]
        done = subprocess.run(command, input=stdin, capture_output=True, text=True, env=environment, timeout=60)
        assert not check or done.returncode == 0, f"kubectl {' '.join(arguments)}: {done.stderr}{done.stdout}"
        return done

    return run
