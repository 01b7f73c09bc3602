"""kill -9 of any part at any moment: after its restart the system is where it would have been without it.

One life of a runtime (applied, Ready, queried, suspended, resumed, queried) is lived once undisturbed and then once
per part with that part killed over and over, at moments that differ in every run of the life. What the system has
made must be the same in the end.
"""

from __future__ import annotations

import asyncio
import random

import pytest

from sandbox.up import Sandbox
from tests.support.system import User, runtime

COUNT = "SELECT count(*) FROM tpch.tiny.nation"


async def live(user: User) -> None:
    """One life of a runtime, as a user sees it."""
    selector, host = f"{user.namespace}/life", f"life.{user.namespace}.example.com"
    await user.apply(runtime("life", routing={"hostname": host}))
    await user.until_phase("life", "Ready")
    assert await user.query(COUNT, selector=selector) == [[25]]
    await user.set_suspended("life", True)
    await user.until_phase("life", "Suspended")
    await user.set_suspended("life", False)
    await user.until_phase("life", "Ready")
    assert await user.query(COUNT, host=host) == [[25]]


KILLS = 6


async def harass(user: User, part: str, dice: random.Random) -> None:
    """Kill `part` a few times, at moments that the life does not know; often while it is still starting again."""
    for _ in range(KILLS):
        await asyncio.sleep(0.2 + 3.0 * dice.random())
        user.kill(part)


@pytest.mark.timeout(400)
@pytest.mark.parametrize("part", ["controller", "webhook", "gateway", "kube"])
async def test_a_part_that_is_killed_over_and_over_changes_nothing_in_the_end(sandbox: Sandbox, part: str) -> None:
    undisturbed, killed = User(sandbox, "calm"), User(sandbox, "stormy")
    await live(undisturbed)
    expected = await undisturbed.footprint()
    harassment = asyncio.create_task(harass(killed, part, random.Random(part)))
    try:
        await live(killed)
    finally:
        harassment.cancel()
        await asyncio.gather(harassment, return_exceptions=True)
    # The last kill may have been a moment ago: the query is answered once its part is back.
    await killed.until_phase("life", "Ready")
    assert await killed.query(COUNT, selector="stormy/life") == [[25]]
    found = await killed.footprint()
    assert renamed(found["deployments"]) == renamed(expected["deployments"])
    assert found["services"] == expected["services"]
    for selector in ("calm/life", "stormy/life"):
        assert any(selector in text for data in found["routes"] for text in data.values())


def renamed(value: object) -> str:
    """Namespaces differ by design; nothing else may."""
    return repr(value).replace("stormy", "calm")
