"""The life of an object: what the server sets, what it protects, how it ends."""

from __future__ import annotations

import asyncio

import pytest

from crds.client import AlreadyExists, ApiError, BadRequest, Conflict, Forbidden, Invalid, KubeClient, NotFound
from crds.client.resources import CONFIG_MAPS, DEPLOYMENTS, LEASES, SECRETS, Resource
from tests.cluster.conformance.conftest import config_map, gone, widget
from tests.support.kube_http import KubeHttp


async def test_creation_sets_identity(client: KubeClient, namespace: str) -> None:
    made = await client.create(CONFIG_MAPS, config_map(data={"a": "1"}), namespace)
    metadata = made["metadata"]
    assert metadata["uid"] and metadata["resourceVersion"] and metadata["creationTimestamp"].endswith("Z")
    assert metadata["namespace"] == namespace
    assert await client.get(CONFIG_MAPS, "c", namespace) == made


async def test_generated_names_differ(client: KubeClient, namespace: str) -> None:
    body = {"metadata": {"generateName": "run-"}}
    names = {(await client.create(CONFIG_MAPS, body, namespace))["metadata"]["name"] for _ in range(5)}
    assert len(names) == 5 and all(name.startswith("run-") for name in names)


async def test_a_taken_name_is_refused(client: KubeClient, namespace: str) -> None:
    await client.create(CONFIG_MAPS, config_map(), namespace)
    with pytest.raises(AlreadyExists) as refused:
        await client.create(CONFIG_MAPS, config_map(), namespace)
    assert refused.value.message == 'configmaps "c" already exists'
    assert refused.value.details["name"] == "c" and refused.value.details["kind"] == "configmaps"


async def test_a_missing_object_says_which(client: KubeClient, namespace: str, widgets: Resource) -> None:
    with pytest.raises(NotFound) as refused:
        await client.get(widgets, "none", namespace)
    assert refused.value.message == 'widgets.conformance.xtrinode.io "none" not found'


async def test_a_namespace_must_exist(client: KubeClient) -> None:
    with pytest.raises(NotFound) as refused:
        await client.create(CONFIG_MAPS, config_map(), "no-such-namespace")
    assert refused.value.message == 'namespaces "no-such-namespace" not found'


@pytest.mark.parametrize("name", ["Upper", "under_score", "-dash", "x" * 254])
async def test_bad_names_are_refused(client: KubeClient, namespace: str, name: str) -> None:
    with pytest.raises(Invalid) as refused:
        await client.create(CONFIG_MAPS, config_map(name), namespace)
    assert refused.value.causes[0]["field"] == "metadata.name"


async def test_a_stale_version_is_a_conflict(client: KubeClient, namespace: str) -> None:
    first = await client.create(CONFIG_MAPS, config_map(data={"a": "1"}), namespace)
    await client.replace(CONFIG_MAPS, {**first, "data": {"a": "2"}})
    with pytest.raises(Conflict) as refused:
        await client.replace(CONFIG_MAPS, {**first, "data": {"a": "3"}})
    assert "the object has been modified" in refused.value.message
    with pytest.raises(Conflict):
        stale = {"metadata": {"resourceVersion": first["metadata"]["resourceVersion"]}, "data": {"a": "4"}}
        await client.patch(CONFIG_MAPS, "c", namespace, stale)


async def test_a_write_that_changes_nothing_makes_no_version(client: KubeClient, namespace: str) -> None:
    first = await client.create(CONFIG_MAPS, config_map(data={"a": "1"}), namespace)
    again = await client.replace(CONFIG_MAPS, first)
    patched = await client.patch(CONFIG_MAPS, "c", namespace, {"data": {"a": "1"}})
    versions = {each["metadata"]["resourceVersion"] for each in (first, again, patched)}
    assert len(versions) == 1


async def test_of_many_writers_of_one_version_one_wins(client: KubeClient, namespace: str) -> None:
    lease = await client.create(LEASES, {"metadata": {"name": "l"}, "spec": {"holderIdentity": ""}}, namespace)

    async def take(holder: str) -> str | None:
        try:
            await client.replace(LEASES, {**lease, "spec": {"holderIdentity": holder, "leaseDurationSeconds": 15}})
        except Conflict:
            return None
        return holder

    winners = [holder for holder in await asyncio.gather(*(take(f"h{number}") for number in range(8))) if holder]
    assert len(winners) == 1
    assert (await client.get(LEASES, "l", namespace))["spec"]["holderIdentity"] == winners[0]


async def test_dry_runs_store_nothing(client: KubeClient, namespace: str) -> None:
    made = await client.create(CONFIG_MAPS, config_map(), namespace, dry_run=True)
    assert made["metadata"]["uid"]
    with pytest.raises(NotFound):
        await client.get(CONFIG_MAPS, "c", namespace)
    await client.create(CONFIG_MAPS, config_map(data={"a": "1"}), namespace)
    await client.patch(CONFIG_MAPS, "c", namespace, {"data": {"a": "2"}}, dry_run=True)
    await client.delete(CONFIG_MAPS, "c", namespace, dry_run=True)
    assert (await client.get(CONFIG_MAPS, "c", namespace))["data"] == {"a": "1"}


class TestGeneration:
    async def test_it_counts_changes_of_spec_only(self, client: KubeClient, namespace: str, widgets: Resource) -> None:
        made = await client.create(widgets, widget(), namespace)
        assert made["metadata"]["generation"] == 1
        labelled = await client.patch(widgets, "w", namespace, {"metadata": {"labels": {"a": "b"}}})
        assert labelled["metadata"]["generation"] == 1
        status = await client.patch(widgets, "w", namespace, {"status": {"phase": "Ready"}}, subresource="status")
        assert status["metadata"]["generation"] == 1
        changed = await client.patch(widgets, "w", namespace, {"spec": {"size": "m"}})
        assert changed["metadata"]["generation"] == 2
        same = await client.patch(widgets, "w", namespace, {"spec": {"size": "m"}})
        assert same["metadata"]["generation"] == 2

    async def test_a_client_cannot_choose_it(self, client: KubeClient, namespace: str, widgets: Resource) -> None:
        body = widget()
        body["metadata"]["generation"] = 40
        made = await client.create(widgets, body, namespace)
        assert made["metadata"]["generation"] == 1


class TestStatus:
    async def test_spec_and_status_are_written_apart(
        self, client: KubeClient, namespace: str, widgets: Resource
    ) -> None:
        made = await client.create(widgets, {**widget(), "status": {"phase": "Ready"}}, namespace)
        assert "status" not in made
        both = {"spec": {"size": "m"}, "status": {"phase": "Ready"}}
        by_main = await client.patch(widgets, "w", namespace, both)
        assert by_main["spec"]["size"] == "m" and "status" not in by_main
        both = {"spec": {"size": "xs"}, "status": {"phase": "Ready"}}
        by_status = await client.patch(widgets, "w", namespace, both, subresource="status")
        assert by_status["spec"]["size"] == "m" and by_status["status"] == {"phase": "Ready"}

    async def test_replacing_the_object_keeps_its_status(
        self, client: KubeClient, namespace: str, widgets: Resource
    ) -> None:
        made = await client.create(widgets, widget(), namespace)
        await client.patch(widgets, "w", namespace, {"status": {"phase": "Ready"}}, subresource="status")
        metadata = {key: value for key, value in made["metadata"].items() if key != "resourceVersion"}
        current = (await client.get(widgets, "w", namespace))["metadata"]["resourceVersion"]
        body = {"metadata": {**metadata, "resourceVersion": current}, "spec": {"size": "m"}}
        replaced = await client.replace(widgets, body)
        assert replaced["spec"]["size"] == "m"
        assert replaced["status"] == {"phase": "Ready"}

    async def test_a_deployments_status_is_apart_too(self, client: KubeClient, namespace: str) -> None:
        pod = {"metadata": {"labels": {"a": "b"}}, "spec": {"containers": [{"name": "c", "image": "i"}]}}
        spec = {"replicas": 0, "selector": {"matchLabels": {"a": "b"}}, "template": pod}
        await client.create(DEPLOYMENTS, {"metadata": {"name": "d"}, "spec": spec}, namespace)
        changed = await client.patch(
            DEPLOYMENTS,
            "d",
            namespace,
            {"status": {"readyReplicas": 7, "replicas": 7}, "spec": {"replicas": 9}},
            subresource="status",
        )
        assert changed["spec"]["replicas"] == 0 and changed["status"]["readyReplicas"] == 7


class TestScale:
    async def test_it_shows_and_sets_replicas(self, client: KubeClient, namespace: str, widgets: Resource) -> None:
        await client.create(widgets, widget(replicas=2), namespace)
        status = {"status": {"replicas": 1, "selector": "a=b"}}
        await client.patch(widgets, "w", namespace, status, subresource="status")
        scale = await client.get(widgets, "w", namespace, subresource="scale")
        assert (scale["apiVersion"], scale["kind"]) == ("autoscaling/v1", "Scale")
        assert scale["spec"] == {"replicas": 2} and scale["status"] == {"replicas": 1, "selector": "a=b"}
        await client.patch(widgets, "w", namespace, {"spec": {"replicas": 5}}, subresource="scale")
        assert (await client.get(widgets, "w", namespace))["spec"]["replicas"] == 5

    async def test_the_schema_holds_there_too(self, client: KubeClient, namespace: str, widgets: Resource) -> None:
        await client.create(widgets, widget(replicas=2), namespace)
        with pytest.raises(ApiError) as refused:
            await client.patch(widgets, "w", namespace, {"spec": {"replicas": 50}}, subresource="scale")
        assert refused.value.status in (409, 422)
        assert (await client.get(widgets, "w", namespace))["spec"]["replicas"] == 2


class TestFinalizers:
    async def test_they_hold_an_object_until_the_last_is_gone(
        self, client: KubeClient, namespace: str, widgets: Resource
    ) -> None:
        body = widget()
        body["metadata"]["finalizers"] = ["test.io/one", "test.io/two"]
        await client.create(widgets, body, namespace)
        await client.delete(widgets, "w", namespace)
        held = await client.get(widgets, "w", namespace)
        assert held["metadata"]["deletionTimestamp"] and held["metadata"]["deletionGracePeriodSeconds"] == 0
        await client.patch(widgets, "w", namespace, {"metadata": {"finalizers": ["test.io/two"]}})
        assert (await client.get(widgets, "w", namespace))["metadata"]["deletionTimestamp"]
        await client.patch(widgets, "w", namespace, {"metadata": {"finalizers": None}})
        with pytest.raises(NotFound):
            await client.get(widgets, "w", namespace)

    async def test_none_is_added_to_an_object_on_its_way_out(
        self, client: KubeClient, namespace: str, widgets: Resource
    ) -> None:
        body = widget()
        body["metadata"]["finalizers"] = ["test.io/one"]
        await client.create(widgets, body, namespace)
        await client.delete(widgets, "w", namespace)
        with pytest.raises((Invalid, Forbidden)):
            more = {"metadata": {"finalizers": ["test.io/one", "test.io/late"]}}
            await client.patch(widgets, "w", namespace, more)

    async def test_deleting_twice_changes_nothing(self, client: KubeClient, namespace: str, widgets: Resource) -> None:
        body = widget()
        body["metadata"]["finalizers"] = ["test.io/one"]
        await client.create(widgets, body, namespace)
        first = await client.delete(widgets, "w", namespace)
        second = await client.delete(widgets, "w", namespace)
        stamps = {each["metadata"]["deletionTimestamp"] for each in (first, second)}
        assert len(stamps) == 1


class TestDeletion:
    async def test_preconditions_hold(self, client: KubeClient, namespace: str) -> None:
        made = await client.create(CONFIG_MAPS, config_map(), namespace)
        with pytest.raises(Conflict):
            await client.delete(CONFIG_MAPS, "c", namespace, uid="another")
        with pytest.raises(Conflict):
            await client.delete(CONFIG_MAPS, "c", namespace, resource_version="1")
        await client.delete(CONFIG_MAPS, "c", namespace, uid=made["metadata"]["uid"])
        await gone(client, CONFIG_MAPS, "c", namespace)

    async def test_the_answer_names_what_is_gone(self, client: KubeClient, namespace: str) -> None:
        made = await client.create(CONFIG_MAPS, config_map(), namespace)
        answer = await client.delete(CONFIG_MAPS, "c", namespace)
        assert answer["kind"] == "Status" and answer["status"] == "Success"
        assert answer["details"]["uid"] == made["metadata"]["uid"]

    async def test_a_collection_is_deleted_by_selector(
        self, client: KubeClient, http: KubeHttp, namespace: str
    ) -> None:
        for name, tier in (("a", "gold"), ("b", "gold"), ("c", "lead")):
            await client.create(SECRETS, {"metadata": {"name": name, "labels": {"tier": tier}}}, namespace)
        path = f"/api/v1/namespaces/{namespace}/secrets"
        assert (await http("DELETE", path, labelSelector="tier=gold")).status == 200
        left = await client.list_(SECRETS, namespace)
        assert [each["metadata"]["name"] for each in left.items] == ["c"]


async def test_the_body_must_fit_the_url(client: KubeClient, http: KubeHttp, namespace: str) -> None:
    path = f"/api/v1/namespaces/{namespace}/configmaps"
    wrong = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "a"}}
    assert (await http("POST", path, wrong)).status == 400
    elsewhere = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a", "namespace": "default"}}
    assert (await http("POST", path, elsewhere)).status == 400
    assert (await http("POST", path, b"{")).status == 400
    await client.create(CONFIG_MAPS, config_map("a"), namespace)
    other = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "b"}}
    assert (await http("PUT", f"{path}/a", other)).status == 400
    assert (await http("POST", path, b"<xml/>", content_type="text/xml")).status == 415
    assert (await http("GET", "/apis/none.example/v1/things")).status == 404


async def test_unknown_patch_types_are_refused(client: KubeClient, namespace: str, widgets: Resource) -> None:
    await client.create(widgets, widget(), namespace)
    with pytest.raises(ApiError) as refused:
        await client.patch(widgets, "w", namespace, {"spec": {"size": "m"}}, type="strategic")
    assert refused.value.status == 415


async def test_a_json_patch_tests_and_moves(client: KubeClient, namespace: str) -> None:
    await client.create(CONFIG_MAPS, config_map(data={"a": "1"}), namespace)
    with pytest.raises(Invalid):
        await client.patch(CONFIG_MAPS, "c", namespace, [{"op": "test", "path": "/data/a", "value": "2"}], type="json")
    steps = [
        {"op": "test", "path": "/data/a", "value": "1"},
        {"op": "move", "from": "/data/a", "path": "/data/b"},
        {"op": "add", "path": "/data/c", "value": "3"},
    ]
    moved = await client.patch(CONFIG_MAPS, "c", namespace, steps, type="json")
    assert moved["data"] == {"b": "1", "c": "3"}


async def test_a_merge_patch_removes_with_null(client: KubeClient, namespace: str) -> None:
    await client.create(CONFIG_MAPS, config_map(data={"a": "1", "b": "2"}), namespace)
    patched = await client.patch(CONFIG_MAPS, "c", namespace, {"data": {"a": None, "c": "3"}})
    assert patched["data"] == {"b": "2", "c": "3"}


async def test_a_strategic_patch_merges_containers_by_name(client: KubeClient, namespace: str) -> None:
    containers = [{"name": "main", "image": "one"}, {"name": "side", "image": "two"}]
    pod = {"metadata": {"labels": {"a": "b"}}, "spec": {"containers": containers}}
    spec = {"replicas": 0, "selector": {"matchLabels": {"a": "b"}}, "template": pod}
    await client.create(DEPLOYMENTS, {"metadata": {"name": "d"}, "spec": spec}, namespace)
    change = {"spec": {"template": {"spec": {"containers": [{"name": "side", "image": "three"}]}}}}
    patched = await client.patch(DEPLOYMENTS, "d", namespace, change, type="strategic")
    images = {each["name"]: each["image"] for each in patched["spec"]["template"]["spec"]["containers"]}
    assert images == {"main": "one", "side": "three"}
    remove = {"spec": {"template": {"spec": {"containers": [{"name": "side", "$patch": "delete"}]}}}}
    patched = await client.patch(DEPLOYMENTS, "d", namespace, remove, type="strategic")
    assert [each["name"] for each in patched["spec"]["template"]["spec"]["containers"]] == ["main"]


async def test_a_bad_request_says_so(client: KubeClient, namespace: str) -> None:
    with pytest.raises(BadRequest):
        await client.list_(CONFIG_MAPS, namespace, label_selector="a in (")
