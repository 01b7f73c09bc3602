"""Lists and watches: nothing lost between them, selectors, pages, bookmarks, and versions too old."""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import AsyncIterator
from contextlib import aclosing
from typing import Any

import pytest

from crds.client import Gone, KubeClient
from crds.client.resources import CONFIG_MAPS, PODS, Resource
from tests.cluster.conformance.conftest import config_map, until, widget
from tests.support.clusters import Cluster
from tests.support.kube_http import KubeHttp

Object = dict[str, Any]


def names(items: list[Object]) -> list[str]:
    return [each["metadata"]["name"] for each in items]


async def create_all(client: KubeClient, namespace: str, *made: str, **labels: str) -> None:
    for name in made:
        await client.create(CONFIG_MAPS, config_map(name, labels=labels), namespace)


async def take(events: AsyncIterator[Object], count: int) -> list[tuple[str, str]]:
    """The next events, bookmarks aside, as (type, name)."""
    seen: list[tuple[str, str]] = []
    async with asyncio.timeout(20):
        async for event in events:
            if event["type"] != "BOOKMARK":
                seen.append((event["type"], event["object"]["metadata"]["name"]))
            if len(seen) == count:
                break
    return seen


class TestLists:
    @pytest.mark.parametrize(
        ("selector", "expected"),
        [
            ("tier=gold", ["a"]),
            ("tier==gold", ["a"]),
            ("tier!=gold", ["b", "c"]),
            ("tier", ["a", "b"]),
            ("!tier", ["c"]),
            ("tier in (gold,lead)", ["a", "b"]),
            ("tier notin (gold)", ["b", "c"]),
            ("tier in (gold,lead),x=1", ["a"]),
        ],
    )
    async def test_labels_select(self, client: KubeClient, namespace: str, selector: str, expected: list[str]) -> None:
        await create_all(client, namespace, "a", tier="gold", x="1")
        await create_all(client, namespace, "b", tier="lead")
        await create_all(client, namespace, "c", kind="own")
        found = await client.list_(CONFIG_MAPS, namespace, label_selector=f"{selector}")
        assert [name for name in names(found.items) if len(name) == 1] == expected

    async def test_fields_select(self, client: KubeClient, namespace: str, http: KubeHttp) -> None:
        await create_all(client, namespace, "a", "b")
        found = await client.list_(CONFIG_MAPS, namespace, field_selector="metadata.name=b")
        assert names(found.items) == ["b"]
        everywhere = await client.list_(CONFIG_MAPS, field_selector=f"metadata.namespace={namespace},metadata.name=a")
        assert names(everywhere.items) == ["a"]
        path = f"/api/v1/namespaces/{namespace}/configmaps"
        assert (await http("GET", path, fieldSelector="data.x=1")).status == 400

    async def test_pods_are_found_by_node_and_phase(self, client: KubeClient, namespace: str) -> None:
        spec = {"containers": [{"name": "c", "image": "i"}], "nodeSelector": {"no": "where"}}
        await until(lambda: client.create(PODS, {"metadata": {"name": "p"}, "spec": spec}, namespace))
        assert names((await client.list_(PODS, namespace, field_selector="status.phase=Pending")).items) == ["p"]
        assert names((await client.list_(PODS, namespace, field_selector="spec.nodeName=n")).items) == []

    async def test_pages_are_one_snapshot(self, client: KubeClient, http: KubeHttp, namespace: str) -> None:
        await create_all(client, namespace, *(f"p{number}" for number in range(5)))
        path = f"/api/v1/namespaces/{namespace}/configmaps"
        first = (await http("GET", path, limit="3", labelSelector="")).body
        assert len(first["items"]) == 3 and first["metadata"]["continue"]
        await client.create(CONFIG_MAPS, config_map("p9"), namespace)
        await client.delete(CONFIG_MAPS, "p4", namespace)
        second = (await http("GET", path, limit="50", **{"continue": first["metadata"]["continue"]})).body
        both = names(first["items"] + second["items"])
        assert [name for name in both if name.startswith("p")] == ["p0", "p1", "p2", "p3", "p4"]
        assert second["metadata"]["resourceVersion"] == first["metadata"]["resourceVersion"]
        assert not second["metadata"].get("continue")

    async def test_a_continue_token_expires(
        self, cluster: Cluster, client: KubeClient, http: KubeHttp, namespace: str, widgets: Resource
    ) -> None:
        for name in ("a", "b", "c"):
            await client.create(widgets, widget(name), namespace)
        path = f"/apis/{widgets.group}/v1/namespaces/{namespace}/widgets"
        first = (await http("GET", path, limit="1")).body
        await client.create(widgets, widget("d"), namespace)
        token = first["metadata"]["continue"]
        cluster.compact()
        if cluster.is_real:
            # Its watch cache still holds what etcd forgot; only a token from before both of them is too old.
            fields = json.loads(base64.urlsafe_b64decode(token + "=" * (-len(token) % 4)))
            token = base64.urlsafe_b64encode(json.dumps({**fields, "rv": 2}).encode()).decode().rstrip("=")
        reply = await http("GET", path, limit="1", **{"continue": token})
        assert (reply.status, reply.body["reason"]) == (410, "Expired")

    async def test_a_bad_continue_token_is_a_bad_request(self, http: KubeHttp, namespace: str) -> None:
        path = f"/api/v1/namespaces/{namespace}/configmaps"
        assert (await http("GET", path, limit="1", **{"continue": "rubbish"})).status == 400

    async def test_the_table_form_has_the_columns(
        self, client: KubeClient, http: KubeHttp, namespace: str, widgets: Resource
    ) -> None:
        await client.create(widgets, widget(), namespace)
        path = f"/apis/{widgets.group}/v1/namespaces/{namespace}/widgets"
        table = (await http("GET", path, headers={"Accept": "application/json;as=Table;v=v1;g=meta.k8s.io"})).body
        assert (table["kind"], table["apiVersion"]) == ("Table", "meta.k8s.io/v1")
        columns = [(each["name"], each["priority"]) for each in table["columnDefinitions"]]
        assert columns == [("Name", 0), ("Size", 0), ("Phase", 0), ("Mode", 1), ("Age", 0)]
        (row,) = table["rows"]
        assert row["cells"][:2] == ["w", "s"] and row["cells"][3] == "auto"
        assert row["object"]["kind"] == "PartialObjectMetadata" and row["object"]["metadata"]["name"] == "w"

    async def test_metadata_alone_can_be_asked_for(self, client: KubeClient, http: KubeHttp, namespace: str) -> None:
        await client.create(CONFIG_MAPS, config_map(data={"a": "1"}, labels={"x": "y"}), namespace)
        path = f"/api/v1/namespaces/{namespace}/configmaps"
        accept = {"Accept": "application/json;as=PartialObjectMetadataList;v=v1;g=meta.k8s.io"}
        body = (await http("GET", path, headers=accept, labelSelector="x=y")).body
        assert body["kind"] == "PartialObjectMetadataList"
        assert body["items"][0]["metadata"]["name"] == "c" and "data" not in body["items"][0]


class TestWatches:
    async def test_nothing_is_lost_after_a_list(self, client: KubeClient, http: KubeHttp, namespace: str) -> None:
        await create_all(client, namespace, "a")
        listed = await client.list_(CONFIG_MAPS, namespace)
        await client.patch(CONFIG_MAPS, "a", namespace, {"data": {"x": "1"}})
        await create_all(client, namespace, "b")
        await client.delete(CONFIG_MAPS, "a", namespace)
        path = f"/api/v1/namespaces/{namespace}/configmaps"
        selector = "metadata.name!=kube-root-ca.crt"
        async with http.watch(path, resourceVersion=listed.resource_version, fieldSelector=selector) as events:
            assert await take(events, 3) == [("MODIFIED", "a"), ("ADDED", "b"), ("DELETED", "a")]

    async def test_a_watch_resumes_where_the_last_one_stopped(
        self, client: KubeClient, http: KubeHttp, namespace: str, widgets: Resource
    ) -> None:
        listed = await client.list_(widgets, namespace)
        await client.create(widgets, widget("a"), namespace)
        path = f"/apis/{widgets.group}/v1/namespaces/{namespace}/widgets"
        version, seen = listed.resource_version, []
        for change in ("b", "c", "d"):
            async with http.watch(path, resourceVersion=version) as events:
                async for event in events:
                    seen.append((event["type"], event["object"]["metadata"]["name"]))
                    version = event["object"]["metadata"]["resourceVersion"]
                    break
            await client.create(widgets, widget(change), namespace)
        assert seen == [("ADDED", "a"), ("ADDED", "b"), ("ADDED", "c")]

    async def test_without_a_version_it_starts_with_what_is_there(
        self, client: KubeClient, http: KubeHttp, namespace: str, widgets: Resource
    ) -> None:
        await client.create(widgets, widget("a"), namespace)
        path = f"/apis/{widgets.group}/v1/namespaces/{namespace}/widgets"
        for params in ({}, {"resourceVersion": "0"}):
            async with http.watch(path, **params) as events:
                assert await take(events, 1) == [("ADDED", "a")]

    async def test_an_object_that_leaves_the_selection_is_deleted_for_the_watcher(
        self, client: KubeClient, http: KubeHttp, namespace: str
    ) -> None:
        listed = await client.list_(CONFIG_MAPS, namespace)
        path = f"/api/v1/namespaces/{namespace}/configmaps"
        since = {"resourceVersion": listed.resource_version, "labelSelector": "tier=gold"}
        async with http.watch(path, **since) as events:
            await create_all(client, namespace, "a", tier="gold")
            await create_all(client, namespace, "b", tier="lead")
            await client.patch(CONFIG_MAPS, "a", namespace, {"metadata": {"labels": {"tier": "lead"}}})
            await client.patch(CONFIG_MAPS, "b", namespace, {"metadata": {"labels": {"tier": "gold"}}})
            assert await take(events, 3) == [("ADDED", "a"), ("DELETED", "a"), ("ADDED", "b")]

    async def test_the_last_state_of_a_deleted_object_has_the_version_of_its_end(
        self, client: KubeClient, http: KubeHttp, namespace: str
    ) -> None:
        made = await client.create(CONFIG_MAPS, config_map("a", {"x": "1"}), namespace)
        path = f"/api/v1/namespaces/{namespace}/configmaps"
        since = {"resourceVersion": made["metadata"]["resourceVersion"], "fieldSelector": "metadata.name=a"}
        async with http.watch(path, **since) as events:
            await client.delete(CONFIG_MAPS, "a", namespace)
            async for event in events:
                assert event["type"] == "DELETED" and event["object"]["data"] == {"x": "1"}
                assert int(event["object"]["metadata"]["resourceVersion"]) > int(since["resourceVersion"])
                break

    async def test_it_ends_when_its_time_is_up(self, http: KubeHttp, namespace: str) -> None:
        path = f"/api/v1/namespaces/{namespace}/secrets"
        async with asyncio.timeout(10), http.watch(path, timeoutSeconds="1") as events:
            assert [event async for event in events if event["type"] == "BOOKMARK"] == []

    async def test_initial_events_end_with_a_bookmark(
        self, client: KubeClient, http: KubeHttp, namespace: str, widgets: Resource
    ) -> None:
        await client.create(widgets, widget("a"), namespace)
        path = f"/apis/{widgets.group}/v1/namespaces/{namespace}/widgets"
        params = {
            "sendInitialEvents": "true",
            "resourceVersionMatch": "NotOlderThan",
            "allowWatchBookmarks": "true",
            "timeoutSeconds": "20",
        }
        async with http.watch(path, **params) as events:
            seen = []
            async for event in events:
                seen.append(event)
                if event["type"] == "BOOKMARK":
                    break
        assert [event["type"] for event in seen] == ["ADDED", "BOOKMARK"]
        metadata = seen[-1]["object"]["metadata"]
        assert metadata["annotations"] == {"k8s.io/initial-events-end": "true"} and metadata["resourceVersion"]

    async def test_a_version_too_old_is_gone(
        self, cluster: Cluster, client: KubeClient, http: KubeHttp, namespace: str, widgets: Resource
    ) -> None:
        old = (await client.create(widgets, widget("a"), namespace))["metadata"]["resourceVersion"]
        for number in range(3):
            await client.patch(widgets, "a", namespace, {"spec": {"replicas": number}})
        cluster.compact()
        # The real server's watch cache still knows what etcd forgot; version 1 is older than both remember.
        version = "1" if cluster.is_real else old
        with pytest.raises(Gone):
            async with aclosing(client.watch(widgets, namespace, resource_version=version)) as events:
                async for _ in events:
                    break

    async def test_the_gone_error_is_an_event_or_a_status_410(
        self, cluster: Cluster, client: KubeClient, http: KubeHttp, namespace: str, widgets: Resource
    ) -> None:
        await client.create(widgets, widget("a"), namespace)
        cluster.compact()
        path = f"/apis/{widgets.group}/v1/namespaces/{namespace}/widgets"
        reply = await http("GET", path, watch="true", resourceVersion="1", timeoutSeconds="3")
        body = json.loads(reply.body.splitlines()[0]) if isinstance(reply.body, str) else reply.body
        status = body["object"] if body.get("type") == "ERROR" else body
        assert (status["kind"], status["code"], status["reason"]) == ("Status", 410, "Expired")

    async def test_one_object_can_be_watched(self, client: KubeClient, http: KubeHttp, namespace: str) -> None:
        listed = await client.list_(CONFIG_MAPS, namespace)
        path = f"/api/v1/namespaces/{namespace}/configmaps"
        params = {"resourceVersion": listed.resource_version, "fieldSelector": "metadata.name=b"}
        async with http.watch(path, **params) as events:
            await create_all(client, namespace, "a", "b")
            assert await take(events, 1) == [("ADDED", "b")]
