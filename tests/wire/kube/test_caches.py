"""A cache that is fed by a watch ends up with what a list says, whatever happens in between.

Plan: random writers change, relabel and delete objects while a watcher of a selection is cut off and resumes at random;
the cache it keeps must equal the list at the end, and no version may be seen twice or out of order. Writers of one
object lose nothing to each other.
"""

from __future__ import annotations

import asyncio
import random
from typing import Any

import orjson
import pytest

from tests.support.cluster import Api

MAPS = "/api/v1/namespaces/default/configmaps"


@pytest.mark.parametrize("seed", range(3))
async def test_a_resumed_watch_and_a_list_agree(api: Api, seed: int) -> None:
    rng = random.Random(seed)
    query = "labelSelector=team%3Da"
    _, listed = await api.get(f"{MAPS}?{query}")
    since = int(listed["metadata"]["resourceVersion"])
    cache: dict[str, Any] = {}
    last = since

    async def follow(until: asyncio.Event) -> None:
        nonlocal last
        while True:
            finished = until.is_set()
            async with api.session.get(f"{MAPS}?watch=true&{query}&resourceVersion={last}&timeoutSeconds=1") as answer:
                assert answer.status == 200
                async for line in answer.content:
                    event = orjson.loads(line)
                    metadata = event["object"]["metadata"]
                    version = int(metadata["resourceVersion"])
                    assert version > last, "versions only grow"
                    last = version
                    if event["type"] == "DELETED":
                        del cache[metadata["name"]]
                    else:
                        assert (metadata["name"] in cache) is (event["type"] == "MODIFIED")
                        cache[metadata["name"]] = event["object"]
                    if rng.random() < 0.05:
                        break  # the connection is lost; what was seen last is where it goes on
            if finished:
                return

    async def write() -> None:
        for step in range(150):
            name = rng.choice("abcdefgh")
            labels = {"team": rng.choice("ab")}
            if rng.random() < 0.2:
                await api.delete(f"{MAPS}/{name}")
            else:
                body = {"metadata": {"name": name, "labels": labels}, "data": {"step": str(step)}}
                await api.apply(f"{MAPS}/{name}", {"apiVersion": "v1", "kind": "ConfigMap", **body}, "w", force=True)
            await asyncio.sleep(0)

    done = asyncio.Event()
    follower = asyncio.create_task(follow(done))
    await asyncio.gather(write(), write())
    done.set()
    await asyncio.wait_for(follower, 20)
    _, final = await api.get(f"{MAPS}?{query}")
    assert cache == {obj["metadata"]["name"]: obj for obj in final["items"]}


async def test_writers_of_one_object_lose_nothing(api: Api) -> None:
    await api.post(MAPS, {"metadata": {"name": "shared"}})
    replies = await asyncio.gather(
        *(api.merge(f"{MAPS}/shared", {"data": {f"k{number}": "v"}}) for number in range(40)),
        *(
            api.apply(
                f"{MAPS}/shared",
                {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "shared"}, "data": {f"a{number}": "v"}},
                f"m{number}",
            )
            for number in range(40)
        ),
    )
    assert {status for status, _ in replies} == {200}
    _, shared = await api.get(f"{MAPS}/shared")
    assert len(shared["data"]) == 80
