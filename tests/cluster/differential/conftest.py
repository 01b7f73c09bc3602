"""Both API servers side by side. Tests here need the real control plane and skip without it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator

import pytest

from tests.support import clusters
from tests.support.clusters import Cluster
from tests.support.control_plane import ControlPlane
from tests.support.kube_http import KubeHttp

Both = tuple[KubeHttp, KubeHttp]


@pytest.fixture(scope="session")
def pair(control_plane: ControlPlane, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Cluster, Cluster]]:
    with clusters.sandbox(tmp_path_factory.mktemp("sandbox")) as ours:
        yield ours, clusters.real(control_plane)


@pytest.fixture
async def servers(pair: tuple[Cluster, Cluster]) -> AsyncIterator[Both]:
    """Clients of ours and of the real one, in this order."""
    ours, real = pair
    async with KubeHttp(ours.kubeconfig) as one, KubeHttp(real.kubeconfig) as two:
        yield one, two
