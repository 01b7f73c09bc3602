"""One embedded API server and one client of it per test."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from sandbox.kube.server import KubeServer
from tests.support.cluster import Api, kube

__all__ = ["api", "kube"]


@pytest.fixture
async def api(kube: KubeServer) -> AsyncIterator[Api]:
    """The administrator's client."""
    async with Api(kube) as client:
        yield client
