"""The whole system on one machine, as `make sandbox` runs it: every part a process, on ports of its own."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from sandbox.up import Options, Sandbox


@pytest.fixture
async def sandbox(tmp_path: Path) -> AsyncIterator[Sandbox]:
    """A running sandbox whose state is on disk, so that its API server may be killed."""
    said: list[str] = []
    async with Sandbox(Options(tmp_path / "sandbox", kube_port=0, gateway_port=0, api_port=0), said.append) as running:
        yield running
