"""The executor against an API server: what is written, and above all what is not.

An object as it should be is left alone, however often it is looked at; one that somebody changed is mended; one that
the server spells in a way we do not know is tried once; one that is somebody else's is not taken.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest

from controller.actions import Apply, EndQueries, PatchOwner
from controller.execute import ActionFailed, Executor, stamped
from controller.kept import Live, keep_child
from controller.observed import ObjectRef
from controller.packing import Packing
from crds.client import Credentials, KubeClient, RetryPolicy
from tests.support.fake_api import Answer, FakeApi, refusal

PATH = "/api/v1/namespaces/n/services/trino-x"
OWNER = ObjectRef("analytics.xtrinode.io/v1", "XTrinode", "n", "x", "uid-x")
MANIFEST: dict[str, Any] = {
    "apiVersion": "v1",
    "kind": "Service",
    "metadata": {
        "name": "trino-x",
        "namespace": "n",
        "ownerReferences": [{"kind": "XTrinode", "name": "x", "uid": "uid-x"}],
    },
    "spec": {"ports": [{"name": "http", "port": 8080}]},
}


class World:
    """A server, an executor, and the cache that it reads, which a test fills."""

    def __init__(self, api: FakeApi, client: KubeClient) -> None:
        self.api = api
        self.packing = Packing()
        self.cache: dict[str, Live] = {}
        self.executor = Executor(
            client,
            lambda ref: self.cache.get(ref.name),
            lambda live: self.packing.unpack(live.packed),
            lambda obj: keep_child(obj, self.packing),
        )
        api.on("PATCH", PATH, Answer(json={}))

    def cached(self, version: str = "1", uid: str = "u", owner: str = "x", **spec: Any) -> None:
        """The cache shows the object as the server has it after our apply, with these fields changed."""
        whole, _ = stamped(MANIFEST)
        whole["metadata"] |= {"uid": uid, "resourceVersion": version}
        whole["metadata"]["ownerReferences"] = [{"kind": "XTrinode", "name": owner, "uid": f"uid-{owner}"}]
        whole["spec"] = {**whole["spec"], "clusterIP": "10.0.0.1", **spec}
        self.cache["trino-x"] = keep_child(whole, self.packing)

    async def apply(self, manifest: dict[str, Any] = MANIFEST) -> int:
        """Applies it; how many writes there have been by now."""

        async def unused(action: PatchOwner | EndQueries) -> None:
            raise AssertionError(action)

        await self.executor.run((Apply(manifest),), owner=OWNER, patch_owner=unused, end_queries=unused)
        return len(self.api.seen("PATCH", PATH))


@pytest.fixture
async def world() -> AsyncIterator[World]:
    async with FakeApi() as api, KubeClient(Credentials.fixed(api.url), retry=RetryPolicy(attempts=1)) as client:
        yield World(api, client)


async def test_what_is_in_order_is_not_written_however_often_it_is_looked_at(world: World) -> None:
    world.cached("1")
    assert await world.apply() == 0
    assert await world.apply() == 0
    world.cached("2", sessionAffinity="None")
    assert await world.apply() == 0


async def test_our_own_write_is_waited_for(world: World) -> None:
    assert await world.apply() == 1
    assert await world.apply() == 1
    world.cached("1")
    assert await world.apply() == 1


async def test_an_edit_of_what_we_rendered_is_mended_also_after_it_was_in_order(world: World) -> None:
    world.cached("1")
    assert await world.apply() == 0
    world.cached("2", ports=[{"name": "http", "port": 1}])
    assert await world.apply() == 1
    world.cached("3")
    assert await world.apply() == 1
    world.cached("4", ports=[{"name": "http", "port": 1}])
    assert await world.apply() == 2


async def test_a_value_that_the_server_spells_otherwise_is_tried_once(world: World) -> None:
    world.cached("1", ports=[{"name": "http", "port": "8080"}])
    assert await world.apply() == 1
    for version in "23":
        world.cached(version, ports=[{"name": "http", "port": "8080"}])
        assert await world.apply() == 1
    world.cached("4", ports=[{"name": "http", "port": "9090"}])
    assert await world.apply() == 2


async def test_what_we_render_anew_is_written(world: World) -> None:
    world.cached("1")
    assert await world.apply() == 0
    assert await world.apply({**MANIFEST, "spec": {"ports": []}}) == 1


async def test_an_object_that_was_deleted_and_made_again_is_looked_at_again(world: World) -> None:
    world.cached("1")
    assert await world.apply() == 0
    world.executor.forget(ObjectRef("v1", "Service", "n", "trino-x", "u"))
    del world.cache["trino-x"]
    assert await world.apply() == 1
    world.cached("1", uid="u2", ports=[])
    world.executor.forget(ObjectRef("v1", "Service", "n", "trino-x", "u"))
    assert await world.apply() == 2


async def test_an_object_of_somebody_else_is_not_taken(world: World) -> None:
    world.cached("1", owner="other")
    with pytest.raises(ActionFailed, match="belongs to XTrinode other"):
        await world.apply()
    assert world.api.seen("PATCH", PATH) == []


async def test_a_name_that_was_taken_unseen_is_not_taken_back(world: World) -> None:
    world.api.on("PATCH", PATH, refusal(409, "Conflict"))
    theirs = {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "trino-x", "namespace": "n", "uid": "t"}}
    world.api.on("GET", PATH, Answer(json=theirs))
    with pytest.raises(ActionFailed, match="somebody else"):
        await world.apply()
    (only,) = world.api.seen("PATCH", PATH)
    assert only.query["force"] == "false"
