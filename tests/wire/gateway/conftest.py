"""What the tests on real sockets run on: either event loop and, where they are built, the compiled transports."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any

import pytest
import uvloop

from gateway.proxy.listening import express_built
from tests.support.gateway_peers import Run
from tests.support.gateway_sockets import express

LOOPS = ["uvloop", "asyncio", *(["express on uvloop", "express on asyncio"] if express_built() else [])]


@pytest.fixture(params=LOOPS)
def run(request: pytest.FixtureRequest) -> Run:
    """Runs a scenario to its end, within 30 seconds."""
    factory = uvloop.new_event_loop if request.param.endswith("uvloop") else asyncio.new_event_loop

    def runner(scenario: Coroutine[Any, Any, None]) -> None:
        async def bounded() -> None:
            express.set(request.param.startswith("express"))
            async with asyncio.timeout(30):
                await scenario

        with asyncio.Runner(loop_factory=factory) as loop:
            loop.run(bounded())

    return runner
