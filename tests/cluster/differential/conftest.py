"""Both API servers side by side. Tests here need the real control plane and skip without it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator

import pytest

from tests.support import clusters
from tests.support.clusters import Cluster
from tests.support.control_plane import binaries, why_absent
from tests.support.kube_http import KubeHttp

Both = tuple[KubeHttp, KubeHttp]


@pytest.fixture(scope="session")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Cluster, Cluster]]:
    directory = binaries()
    if directory is None:
        pytest.skip(why_absent())
    with clusters.sandbox(tmp_path_factory.mktemp("sandbox")) as ours, clusters.real(directory) as real:
        yield ours, real


@pytest.fixture
async def servers(pair: tuple[Cluster, Cluster]) -> AsyncIterator[Both]:
    """Clients of ours and of the real one, in this order."""
    ours, real = pair
    async with KubeHttp(ours.kubeconfig) as one, KubeHttp(real.kubeconfig) as two:
        yield one, two
