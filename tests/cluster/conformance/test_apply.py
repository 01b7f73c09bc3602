"""Server-side apply: who owns which field, what a conflict says, and how ownership is handed over."""

from __future__ import annotations

from typing import Any

import pytest

from crds.client import ApiError, Conflict, Invalid, KubeClient, NotFound
from crds.client.resources import CONFIG_MAPS, DEPLOYMENTS, SERVICES, Resource
from tests.cluster.conformance.conftest import widget

Object = dict[str, Any]


def deployment(image: str = "one", **spec: Any) -> Object:
    pod = {"metadata": {"labels": {"a": "b"}}, "spec": {"containers": [{"name": "main", "image": image}]}}
    return {"metadata": {"name": "d"}, "spec": {"selector": {"matchLabels": {"a": "b"}}, "template": pod, **spec}}


def at(namespace: str, obj: Object) -> Object:
    return {**obj, "metadata": {**obj["metadata"], "namespace": namespace}}


def owners(obj: Object) -> set[tuple[str, str, str]]:
    return {
        (each["manager"], each["operation"], each.get("subresource", "")) for each in obj["metadata"]["managedFields"]
    }


def owned(obj: Object, manager: str, operation: str = "Apply") -> Object:
    return next(
        each["fieldsV1"]
        for each in obj["metadata"]["managedFields"]
        if (each["manager"], each["operation"]) == (manager, operation)
    )


async def test_apply_creates_and_owns_what_it_says(client: KubeClient, namespace: str) -> None:
    body = at(namespace, {"metadata": {"name": "c", "labels": {"l": "1"}}, "data": {"a": "1"}})
    made = await client.apply(CONFIG_MAPS, body, manager="one")
    assert owners(made) == {("one", "Apply", "")}
    assert owned(made, "one") == {"f:data": {"f:a": {}}, "f:metadata": {"f:labels": {"f:l": {}}}}


async def test_the_same_again_changes_nothing(client: KubeClient, namespace: str, widgets: Resource) -> None:
    ports = [{"name": "http", "port": 80}, {"name": "metrics", "port": 81, "targetPort": "m"}]
    service = {"metadata": {"name": "s"}, "spec": {"selector": {"a": "b"}, "ports": ports}}
    for resource, body in ((SERVICES, service), (widgets, widget(parts=[{"name": "a"}], tags=["x"]))):
        first = await client.apply(resource, at(namespace, body), manager="one")
        again = await client.apply(resource, at(namespace, body), manager="one")
        assert again["metadata"]["resourceVersion"] == first["metadata"]["resourceVersion"]


async def test_what_is_left_out_is_removed(client: KubeClient, namespace: str) -> None:
    await client.apply(
        CONFIG_MAPS, at(namespace, {"metadata": {"name": "c"}, "data": {"a": "1", "b": "2"}}), manager="one"
    )
    await client.apply(CONFIG_MAPS, at(namespace, {"metadata": {"name": "c"}, "data": {"x": "9"}}), manager="two")
    left = await client.apply(
        CONFIG_MAPS, at(namespace, {"metadata": {"name": "c"}, "data": {"b": "2"}}), manager="one"
    )
    assert left["data"] == {"b": "2", "x": "9"}


async def test_another_managers_field_is_a_conflict_that_names_it(client: KubeClient, namespace: str) -> None:
    body = at(namespace, {"metadata": {"name": "c"}, "data": {"a": "1"}})
    await client.apply(CONFIG_MAPS, body, manager="one")
    with pytest.raises(Conflict) as refused:
        await client.apply(CONFIG_MAPS, {**body, "data": {"a": "2"}}, manager="two")
    assert refused.value.message == 'Apply failed with 1 conflict: conflict with "one": .data.a'
    (cause,) = refused.value.causes
    assert (cause["reason"], cause["field"]) == ("FieldManagerConflict", ".data.a")
    assert cause["message"] == 'conflict with "one"'
    taken = await client.apply(CONFIG_MAPS, {**body, "data": {"a": "2"}}, manager="two", force=True)
    assert taken["data"] == {"a": "2"} and owners(taken) == {("two", "Apply", "")}


async def test_the_same_value_is_shared_and_outlives_one_of_its_owners(client: KubeClient, namespace: str) -> None:
    body = at(namespace, {"metadata": {"name": "c"}, "data": {"a": "1"}})
    await client.apply(CONFIG_MAPS, body, manager="one")
    shared = await client.apply(CONFIG_MAPS, body, manager="two")
    assert owners(shared) == {("one", "Apply", ""), ("two", "Apply", "")}
    with pytest.raises(Conflict):
        await client.apply(CONFIG_MAPS, {**body, "data": {"a": "2"}}, manager="one")
    left = await client.apply(CONFIG_MAPS, {**body, "data": {}}, manager="one")
    assert left["data"] == {"a": "1"}


async def test_updates_own_what_they_change_and_apply_respects_them(client: KubeClient, namespace: str) -> None:
    body = at(namespace, {"metadata": {"name": "c"}, "data": {"a": "1"}})
    await client.apply(CONFIG_MAPS, body, manager="one")
    patched = await client.patch(CONFIG_MAPS, "c", namespace, {"data": {"a": "2", "b": "3"}}, field_manager="hand")
    assert owned(patched, "hand", "Update") == {"f:data": {"f:a": {}, "f:b": {}}}
    with pytest.raises(Conflict) as refused:
        await client.apply(CONFIG_MAPS, body, manager="one")
    assert "hand" in refused.value.message
    forced = await client.apply(CONFIG_MAPS, body, manager="one", force=True)
    assert forced["data"] == {"a": "1", "b": "3"}


class TestReplicasGoToAScaler:
    """How a controller gives one field away: it stops sending it, after the other has taken it."""

    async def test_by_the_scale_subresource(self, client: KubeClient, namespace: str) -> None:
        await client.apply(DEPLOYMENTS, at(namespace, deployment(replicas=0)), manager="controller")
        await client.patch(
            DEPLOYMENTS, "d", namespace, {"spec": {"replicas": 3}}, subresource="scale", field_manager="scaler"
        )
        scaled = await client.get(DEPLOYMENTS, "d", namespace)
        assert scaled["spec"]["replicas"] == 3
        assert owned(scaled, "scaler", "Update") == {"f:spec": {"f:replicas": {}}}
        assert ("scaler", "Update", "scale") in owners(scaled)
        assert "f:replicas" not in owned(scaled, "controller")["f:spec"]
        with pytest.raises(Conflict) as refused:
            await client.apply(DEPLOYMENTS, at(namespace, deployment(replicas=0)), manager="controller")
        assert 'with "scaler" with subresource "scale"' in refused.value.message
        kept = await client.apply(DEPLOYMENTS, at(namespace, deployment("two")), manager="controller")
        assert kept["spec"]["replicas"] == 3
        assert kept["spec"]["template"]["spec"]["containers"][0]["image"] == "two"

    async def test_leaving_it_out_while_nobody_else_has_it_resets_it(
        self, client: KubeClient, namespace: str, widgets: Resource
    ) -> None:
        await client.apply(widgets, at(namespace, widget(replicas=2)), manager="controller")
        left = await client.apply(widgets, at(namespace, widget()), manager="controller")
        assert "replicas" not in left["spec"]

    async def test_on_custom_resources_as_well(self, client: KubeClient, namespace: str, widgets: Resource) -> None:
        await client.apply(widgets, at(namespace, widget(replicas=2)), manager="controller")
        change = {"spec": {"replicas": 4}}
        await client.patch(widgets, "w", namespace, change, subresource="scale", field_manager="scaler")
        kept = await client.apply(widgets, at(namespace, widget(note="new")), manager="controller")
        assert kept["spec"]["replicas"] == 4 and kept["spec"]["note"] == "new"


class TestLists:
    async def test_list_maps_are_merged_by_key(self, client: KubeClient, namespace: str, widgets: Resource) -> None:
        one = at(namespace, widget(parts=[{"name": "a", "count": 1}, {"name": "b", "count": 2}]))
        await client.apply(widgets, one, manager="one")
        two = at(namespace, {"metadata": {"name": "w"}, "spec": {"size": "s", "parts": [{"name": "c", "count": 3}]}})
        both = await client.apply(widgets, two, manager="two")
        assert [part["name"] for part in both["spec"]["parts"]] == ["a", "b", "c"]
        left = await client.apply(widgets, at(namespace, widget(parts=[{"name": "b", "count": 2}])), manager="one")
        assert [part["name"] for part in left["spec"]["parts"]] == ["b", "c"]
        assert 'k:{"name":"c"}' in owned(left, "two")["f:spec"]["f:parts"]

    async def test_sets_are_unions(self, client: KubeClient, namespace: str, widgets: Resource) -> None:
        await client.apply(widgets, at(namespace, widget(tags=["a", "b"])), manager="one")
        both = await client.apply(widgets, at(namespace, widget(tags=["b", "c"])), manager="two")
        assert sorted(both["spec"]["tags"]) == ["a", "b", "c"]
        left = await client.apply(widgets, at(namespace, widget(tags=["a"])), manager="one")
        assert sorted(left["spec"]["tags"]) == ["a", "b", "c"], "b has another owner"
        left = await client.apply(widgets, at(namespace, widget(tags=["c"])), manager="two")
        assert sorted(left["spec"]["tags"]) == ["a", "c"]

    async def test_service_ports_are_known_by_port_and_protocol(self, client: KubeClient, namespace: str) -> None:
        ports = [{"name": "a", "port": 80}, {"name": "b", "port": 81}]
        body = {"metadata": {"name": "s"}, "spec": {"selector": {"a": "b"}, "ports": ports}}
        made = await client.apply(SERVICES, at(namespace, body), manager="one")
        assert 'k:{"port":80,"protocol":"TCP"}' in owned(made, "one")["f:spec"]["f:ports"]
        body["spec"]["ports"] = ports[1:]
        left = await client.apply(SERVICES, at(namespace, body), manager="one")
        assert [port["port"] for port in left["spec"]["ports"]] == [81]

    async def test_environments_are_merged_by_name(self, client: KubeClient, namespace: str) -> None:
        body = deployment(replicas=0)
        container = body["spec"]["template"]["spec"]["containers"][0]
        container["env"] = [{"name": "A", "value": "1"}, {"name": "B", "value": "2"}]
        await client.apply(DEPLOYMENTS, at(namespace, body), manager="one")
        container["env"] = [{"name": "B", "value": "2"}]
        left = await client.apply(DEPLOYMENTS, at(namespace, body), manager="one")
        assert left["spec"]["template"]["spec"]["containers"][0]["env"] == [{"name": "B", "value": "2"}]


class TestStatus:
    async def test_it_is_applied_and_owned_apart(self, client: KubeClient, namespace: str, widgets: Resource) -> None:
        await client.apply(widgets, at(namespace, widget()), manager="user")
        status = at(namespace, {"metadata": {"name": "w"}, "status": {"phase": "Ready"}})
        done = await client.apply(widgets, status, manager="controller", subresource="status")
        assert done["status"] == {"phase": "Ready"} and done["spec"]["size"] == "s"
        assert ("controller", "Apply", "status") in owners(done)
        again = await client.apply(widgets, at(namespace, widget(size="m")), manager="user")
        assert again["status"] == {"phase": "Ready"}
        other = at(namespace, {"metadata": {"name": "w"}, "status": {"replicas": 1}})
        done = await client.apply(widgets, other, manager="controller", subresource="status")
        assert done["status"] == {"replicas": 1}

    async def test_there_is_no_status_without_an_object(
        self, client: KubeClient, namespace: str, widgets: Resource
    ) -> None:
        status = at(namespace, {"metadata": {"name": "none"}, "status": {"phase": "Ready"}})
        with pytest.raises(NotFound):
            await client.apply(widgets, status, manager="controller", subresource="status")


async def test_defaults_belong_to_nobody(client: KubeClient, namespace: str, widgets: Resource) -> None:
    made = await client.apply(widgets, at(namespace, widget()), manager="one")
    assert made["spec"]["mode"] == "auto"
    assert "f:mode" not in owned(made, "one")["f:spec"]
    taken = await client.apply(widgets, at(namespace, widget(mode="manual")), manager="two")
    assert taken["spec"]["mode"] == "manual"


async def test_dry_runs_answer_and_store_nothing(client: KubeClient, namespace: str) -> None:
    body = at(namespace, {"metadata": {"name": "c"}, "data": {"a": "1"}})
    answered = await client.apply(CONFIG_MAPS, body, manager="one", dry_run=True)
    assert answered["data"] == {"a": "1"}
    with pytest.raises(NotFound):
        await client.get(CONFIG_MAPS, "c", namespace)


async def test_unknown_and_invalid_fields_are_refused(client: KubeClient, namespace: str, widgets: Resource) -> None:
    with pytest.raises(ApiError) as refused:
        await client.apply(widgets, at(namespace, widget(typo=1)), manager="one")
    assert refused.value.message == (
        f"failed to create typed patch object ({namespace}/w; conformance.xtrinode.io/v1, Kind=Widget): "
        ".spec.typo: field not declared in schema"
    )
    with pytest.raises(Invalid) as invalid:
        await client.apply(widgets, at(namespace, widget(size="xxl")), manager="one")
    assert invalid.value.causes[0]["field"] == "spec.size"


async def test_a_null_is_a_value_of_the_wrong_type(client: KubeClient, namespace: str, widgets: Resource) -> None:
    with pytest.raises(Invalid) as refused:
        await client.apply(widgets, at(namespace, widget(replicas=None)), manager="one")
    assert "spec.replicas" in [cause["field"] for cause in refused.value.causes]


async def test_a_wrong_uid_is_refused(client: KubeClient, namespace: str) -> None:
    body = at(namespace, {"metadata": {"name": "c"}, "data": {"a": "1"}})
    made = await client.apply(CONFIG_MAPS, body, manager="one")
    with pytest.raises(Conflict):
        await client.replace(CONFIG_MAPS, {**made, "metadata": {**made["metadata"], "uid": "another"}})
    body["metadata"]["uid"] = "another"
    with pytest.raises(Invalid) as refused:
        await client.apply(CONFIG_MAPS, body, manager="one")
    assert refused.value.causes[0]["field"] == "metadata.uid"
