"""Lists and watches: selection, paging from one state, resumption, bookmarks, 410, tables.

Plan: selectors; limit and continue under writes; resourceVersion rules; ADDED/MODIFIED/DELETED by selection; resume
from a version; too old; initial events; time-out; slow readers; Table and metadata-only forms.
"""

from __future__ import annotations

import asyncio
import functools
from contextlib import AsyncExitStack
from typing import Any

import orjson

from sandbox.kube.server import KubeServer
from sandbox.kube.store import GroupResource, Subscription
from tests.support.cluster import Api

MAPS = "/api/v1/namespaces/default/configmaps"
TABLE = "application/json;as=Table;v=v1;g=meta.k8s.io,application/json"
INITIAL = "sendInitialEvents=true&resourceVersionMatch=NotOlderThan&allowWatchBookmarks=true"
PARTIAL = "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1"


def body(name: str) -> dict[str, Any]:
    return {"metadata": {"name": name, "labels": {"name": name, "kind": "test"}}, "data": {"x": "1"}}


def names(document: dict[str, Any]) -> list[str]:
    return [each["metadata"]["name"] for each in document["items"]]


async def fill(api: Api, *given: str) -> None:
    for name in given:
        assert (await api.post(MAPS, body(name)))[0] == 201


async def test_selectors_choose(api: Api) -> None:
    await fill(api, "a", "b", "c")
    assert names((await api.get(f"{MAPS}?labelSelector=name+in+(a,c)"))[1]) == ["a", "c"]
    assert names((await api.get(f"{MAPS}?labelSelector=name,name!%3Da"))[1]) == ["b", "c"]
    assert names((await api.get(f"{MAPS}?fieldSelector=metadata.name%3Db"))[1]) == ["b"]
    assert "a" in names((await api.get("/api/v1/configmaps?fieldSelector=metadata.namespace%3Ddefault"))[1])
    status, refusal = await api.get(f"{MAPS}?fieldSelector=data.x%3D1")
    assert (status, refusal["message"]) == (400, 'field label not supported: "data.x"')
    assert (await api.get(f"{MAPS}?labelSelector=a+in+("))[0] == 400


async def test_pages_come_from_one_state(api: Api) -> None:
    await fill(api, "a", "b", "c", "d", "e")
    path = f"{MAPS}?limit=2&labelSelector=kind%3Dtest"
    _, first = await api.get(path)
    assert names(first) == ["a", "b"]
    await api.delete(f"{MAPS}/c")
    await fill(api, "bb")
    _, second = await api.get(f"{path}&continue={first['metadata']['continue']}")
    assert names(second) == ["c", "d"]
    assert second["metadata"]["resourceVersion"] == first["metadata"]["resourceVersion"]
    _, third = await api.get(f"{path}&continue={second['metadata']['continue']}")
    assert names(third) == ["e"] and "continue" not in third["metadata"]
    assert names((await api.get(f"{MAPS}?labelSelector=kind%3Dtest"))[1]) == ["a", "b", "bb", "d", "e"]


async def test_a_page_of_everything_says_how_much_is_left(api: Api) -> None:
    await fill(api, "a", "b", "c")
    _, page = await api.get("/api/v1/namespaces/default/configmaps?limit=1")
    assert page["metadata"]["remainingItemCount"] >= 2


async def test_a_page_after_compaction_is_gone(kube: KubeServer, api: Api) -> None:
    await fill(api, "a", "b", "c")
    _, first = await api.get(f"{MAPS}?limit=1")
    await fill(api, "d")
    kube.store.compact()
    status, refusal = await api.get(f"{MAPS}?limit=1&continue={first['metadata']['continue']}")
    assert (status, refusal["reason"]) == (410, "Expired")
    assert (await api.get(f"{MAPS}?limit=1&continue=nonsense"))[0] == 400


async def test_an_exact_version_is_listed_as_it_was(api: Api) -> None:
    await fill(api, "a")
    _, before = await api.get(f"{MAPS}?labelSelector=kind")
    version = before["metadata"]["resourceVersion"]
    await fill(api, "b")
    exact = f"{MAPS}?labelSelector=kind&resourceVersion={version}&resourceVersionMatch=Exact"
    assert names((await api.get(exact))[1]) == ["a"]
    assert names((await api.get(f"{MAPS}?labelSelector=kind&resourceVersion={version}"))[1]) == ["a", "b"]
    status, refusal = await api.get(f"{MAPS}?resourceVersion=999999")
    assert (status, refusal["reason"]) == (504, "Timeout")
    assert (await api.get(f"{MAPS}?resourceVersion=abc"))[0] == 400


async def test_a_watch_tells_what_happens_after_a_version(api: Api) -> None:
    _, listed = await api.get(MAPS)
    version = listed["metadata"]["resourceVersion"]
    await fill(api, "a")
    await api.merge(f"{MAPS}/a", {"data": {"x": "2"}})
    await api.delete(f"{MAPS}/a")
    events = await api.watch(f"{MAPS}?resourceVersion={version}&labelSelector=kind", 3)
    assert [each["type"] for each in events] == ["ADDED", "MODIFIED", "DELETED"]
    versions = [int(each["object"]["metadata"]["resourceVersion"]) for each in events]
    assert versions == sorted(set(versions))
    resumed = await api.watch(f"{MAPS}?resourceVersion={versions[1]}&labelSelector=kind", 1)
    assert resumed == events[2:]


async def test_a_watch_without_a_version_begins_with_what_is_there(api: Api) -> None:
    await fill(api, "a", "b")
    for query in ("labelSelector=kind", "labelSelector=kind&resourceVersion=0"):
        events = await api.watch(f"{MAPS}?{query}", 2)
        assert [(each["type"], each["object"]["metadata"]["name"]) for each in events] == [
            ("ADDED", "a"),
            ("ADDED", "b"),
        ]


async def test_leaving_and_joining_a_selection_is_deletion_and_addition(api: Api) -> None:
    await fill(api, "a")
    _, listed = await api.get(MAPS)
    await api.merge(f"{MAPS}/a", {"metadata": {"labels": {"kind": "other"}}})
    await api.merge(f"{MAPS}/a", {"metadata": {"labels": {"kind": "test"}}})
    path = f"{MAPS}?resourceVersion={listed['metadata']['resourceVersion']}&labelSelector=kind%3Dtest"
    assert [each["type"] for each in await api.watch(path, 2)] == ["DELETED", "ADDED"]


async def test_a_version_that_is_too_old_is_gone(kube: KubeServer, api: Api) -> None:
    await fill(api, "a")
    kube.store.compact()
    await fill(api, "b")
    status, refusal = await api.get(f"{MAPS}?watch=true&resourceVersion=1")
    assert (status, refusal["reason"], refusal["code"]) == (410, "Expired", 410)
    assert "too old resource version" in refusal["message"]


async def test_history_is_bounded() -> None:
    async with KubeServer(history=4) as server, Api(server) as api:
        await fill(api, *"abcdefgh")
        _, listed = await api.get(f"{MAPS}/a")
        status, _ = await api.get(f"{MAPS}?watch=true&resourceVersion={listed['metadata']['resourceVersion']}")
        assert status == 410


async def test_initial_events_end_with_a_bookmark(api: Api) -> None:
    await fill(api, "a")
    path = f"{MAPS}?labelSelector=kind&{INITIAL}"
    added, mark = await api.watch(path, 2)
    assert added["type"] == "ADDED"
    assert mark["type"] == "BOOKMARK"
    assert mark["object"]["metadata"]["annotations"] == {"k8s.io/initial-events-end": "true"}
    assert int(mark["object"]["metadata"]["resourceVersion"]) >= int(added["object"]["metadata"]["resourceVersion"])
    assert (await api.get(f"{MAPS}?watch=true&sendInitialEvents=true"))[0] == 422


async def test_a_watch_ends_after_its_time_with_a_bookmark(api: Api) -> None:
    events = await api.watch(f"{MAPS}?timeoutSeconds=1&allowWatchBookmarks=true&labelSelector=nothing", 5)
    assert [each["type"] for each in events] == ["BOOKMARK"]
    assert await api.watch(f"{MAPS}?timeoutSeconds=1&labelSelector=nothing", 5) == []


async def test_a_live_change_arrives_at_every_watcher(api: Api) -> None:
    path = f"{MAPS}?watch=true&labelSelector=kind&{INITIAL}"
    async with AsyncExitStack() as stack:
        streams = [await stack.enter_async_context(api.session.get(path)) for _ in range(20)]
        for stream in streams:
            assert orjson.loads(await stream.content.readline())["type"] == "BOOKMARK"
        await fill(api, "live")
        for stream in streams:
            assert orjson.loads(await stream.content.readline())["object"]["metadata"]["name"] == "live"


async def test_tables_have_columns_and_metadata(api: Api) -> None:
    await fill(api, "a")
    _, table = await api.get(f"{MAPS}?labelSelector=kind", Accept=TABLE)
    assert table["kind"] == "Table"
    assert [column["name"] for column in table["columnDefinitions"]] == ["Name", "Data", "Age"]
    assert table["rows"][0]["cells"][:2] == ["a", 1]
    assert table["rows"][0]["object"]["kind"] == "PartialObjectMetadata"
    _, whole = await api.get(f"{MAPS}?labelSelector=kind&includeObject=Object", Accept=TABLE)
    assert whole["rows"][0]["object"]["data"] == {"x": "1"}


async def test_a_table_watch_sends_columns_once(api: Api) -> None:
    await fill(api, "a", "b")
    async with api.session.get(f"{MAPS}?watch=true&labelSelector=kind", headers={"Accept": TABLE}) as answer:
        first, second = [orjson.loads(await answer.content.readline()) for _ in range(2)]
    assert first["object"]["columnDefinitions"] and second["object"]["columnDefinitions"] is None
    assert second["object"]["rows"][0]["cells"][0] == "b"


async def test_metadata_only_lists_hold_no_data(api: Api) -> None:
    await fill(api, "a")
    _, listed = await api.get(f"{MAPS}?labelSelector=kind", Accept=PARTIAL)
    assert listed["kind"] == "PartialObjectMetadataList"
    assert listed["items"][0]["metadata"]["name"] == "a" and "data" not in listed["items"][0]


async def test_an_unknown_form_is_not_acceptable(api: Api) -> None:
    status, refusal = await api.get(MAPS, Accept="application/json;as=Picture;g=meta.k8s.io;v=v1")
    assert (status, refusal["reason"]) == (406, "NotAcceptable")


async def test_a_watcher_that_leaves_is_forgotten_at_once(kube: KubeServer, api: Api) -> None:
    closed = asyncio.Event()
    table = GroupResource("", "configmaps")
    forget = kube.store.forget

    def note(resource: GroupResource | None, subscription: Subscription) -> None:
        forget(resource, subscription)
        if resource == table:
            closed.set()

    kube.store.forget = note  # type: ignore[method-assign]
    async with api.session.get(f"{MAPS}?watch=true&{INITIAL}") as answer:
        await answer.content.readline()
        answer.close()
    await asyncio.wait_for(closed.wait(), 5)


async def test_a_reader_that_does_not_read_is_cut_off_and_harms_nobody(kube: KubeServer, api: Api) -> None:
    subscribe = kube.store.subscribe
    kube.store.subscribe = functools.partial(subscribe, limit=20)  # type: ignore[method-assign]
    async with api.session.get(f"{MAPS}?watch=true&{INITIAL}") as answer:
        await answer.content.readline()
        await fill(api, "big")
        for number in range(300):
            await api.merge(f"{MAPS}/big", {"data": {"x": str(number) + "x" * 100_000}})
        lines = [line async for line in answer.content.iter_any()]
    assert lines, "what was sent before the cut arrives, then the stream ends"


async def test_the_older_spelling_of_a_watch(api: Api) -> None:
    await fill(api, "a")
    async with api.session.get("/api/v1/watch/namespaces/default/configmaps?labelSelector=kind") as answer:
        assert orjson.loads(await answer.content.readline())["object"]["metadata"]["name"] == "a"
