"""Server-side apply over the wire: who owns what, conflicts, force, and what goes when it is left out.

Plan: create by apply; shared ownership; conflicts with their causes; force; removal by omission; lists by key;
defaults; status under its own manager; handing replicas over; updates as managers; migration from client-side
apply; refusals.
"""

from __future__ import annotations

from typing import Any

import orjson

from tests.support.cluster import Api

MAPS = "/api/v1/namespaces/default/configmaps"
DEPLOYMENTS = "/apis/apps/v1/namespaces/default/deployments"


def config_map(**data: str) -> dict[str, Any]:
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a"}, "data": data}


def deployment(**spec: Any) -> dict[str, Any]:
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "web"},
        "spec": {
            "selector": {"matchLabels": {"app": "web"}},
            "template": {
                "metadata": {"labels": {"app": "web"}},
                "spec": {"containers": [{"name": "c", "image": "nginx"}]},
            },
            **spec,
        },
    }


def owned(obj: dict[str, Any], manager: str, operation: str = "Apply") -> dict[str, Any]:
    found = [e for e in obj["metadata"]["managedFields"] if (e["manager"], e["operation"]) == (manager, operation)]
    assert len(found) == 1, obj["metadata"]["managedFields"]
    fields: dict[str, Any] = found[0]["fieldsV1"]
    return fields


async def test_apply_creates_and_owns_exactly_what_it_says(api: Api) -> None:
    status, made = await api.apply(f"{MAPS}/a", config_map(x="1"), "one")
    assert status == 201
    assert owned(made, "one") == {"f:data": {"f:x": {}}}
    status, again = await api.apply(f"{MAPS}/a", config_map(x="1"), "one")
    assert status == 200 and again["metadata"]["resourceVersion"] == made["metadata"]["resourceVersion"]


async def test_equal_values_are_shared_and_different_ones_conflict(api: Api) -> None:
    await api.apply(f"{MAPS}/a", config_map(x="1"), "one")
    status, shared = await api.apply(f"{MAPS}/a", config_map(x="1", y="2"), "two")
    assert status == 200 and owned(shared, "one") == {"f:data": {"f:x": {}}}
    status, refusal = await api.apply(f"{MAPS}/a", config_map(x="3"), "two")
    assert (status, refusal["reason"]) == (409, "Conflict")
    assert refusal["message"] == 'Apply failed with 1 conflict: conflict with "one": .data.x'
    assert refusal["details"]["causes"] == [
        {"reason": "FieldManagerConflict", "message": 'conflict with "one"', "field": ".data.x"}
    ]


async def test_several_conflicts_are_listed_by_manager(api: Api) -> None:
    await api.apply(f"{MAPS}/a", config_map(x="1", y="1"), "one")
    _, refusal = await api.apply(f"{MAPS}/a", config_map(x="2", y="2"), "two")
    assert refusal["message"] == 'Apply failed with 2 conflicts: conflicts with "one":\n- .data.x\n- .data.y'


async def test_force_takes_ownership_over(api: Api) -> None:
    await api.apply(f"{MAPS}/a", config_map(x="1", y="1"), "one")
    status, taken = await api.apply(f"{MAPS}/a", config_map(x="2"), "two", force=True)
    assert status == 200 and taken["data"] == {"x": "2", "y": "1"}
    assert owned(taken, "two") == {"f:data": {"f:x": {}}}
    assert owned(taken, "one") == {"f:data": {"f:y": {}}}


async def test_what_is_left_out_goes_unless_another_owns_it(api: Api) -> None:
    await api.apply(f"{MAPS}/a", config_map(x="1", y="1"), "one")
    await api.apply(f"{MAPS}/a", config_map(x="1"), "two")
    empty = config_map()
    del empty["data"]
    _, left = await api.apply(f"{MAPS}/a", empty, "one")
    assert left["data"] == {"x": "1"}
    assert [each["manager"] for each in left["metadata"]["managedFields"]] == ["two"]


async def test_containers_merge_by_name(api: Api) -> None:
    await api.apply(f"{DEPLOYMENTS}/web", deployment(), "one")
    sidecar = deployment()
    sidecar["spec"] = {"template": {"spec": {"containers": [{"name": "side", "image": "busybox"}]}}}
    status, both = await api.apply(f"{DEPLOYMENTS}/web", sidecar, "two")
    assert status == 200, both
    assert [each["name"] for each in both["spec"]["template"]["spec"]["containers"]] == ["c", "side"]
    assert 'k:{"name":"side"}' in owned(both, "two")["f:spec"]["f:template"]["f:spec"]["f:containers"]
    sidecar["spec"] = {}
    _, back = await api.apply(f"{DEPLOYMENTS}/web", sidecar, "two")
    assert [each["name"] for each in back["spec"]["template"]["spec"]["containers"]] == ["c"]


async def test_ports_are_keyed_with_their_default_protocol(api: Api) -> None:
    ports = [{"containerPort": 80, "name": "http"}]
    config = deployment()
    config["spec"]["template"]["spec"]["containers"][0]["ports"] = ports
    _, made = await api.apply(f"{DEPLOYMENTS}/web", config, "one")
    container = owned(made, "one")["f:spec"]["f:template"]["f:spec"]["f:containers"]['k:{"name":"c"}']
    assert list(container["f:ports"]) == ['k:{"containerPort":80,"protocol":"TCP"}']
    status, again = await api.apply(f"{DEPLOYMENTS}/web", config, "one")
    assert status == 200 and again["metadata"]["resourceVersion"] == made["metadata"]["resourceVersion"]


async def test_a_duplicate_list_member_is_refused(api: Api) -> None:
    config = deployment()
    config["spec"]["template"]["spec"]["containers"] *= 2
    status, refusal = await api.apply(f"{DEPLOYMENTS}/web", config, "one")
    assert status == 500 and 'duplicate entries for key [name="c"]' in refusal["message"]


async def test_replicas_are_handed_to_a_scaler(api: Api) -> None:
    await api.apply(f"{DEPLOYMENTS}/web", deployment(replicas=3), "controller", force=True)
    _, scale = await api.merge(f"{DEPLOYMENTS}/web/scale", {"spec": {"replicas": 5}})
    assert scale["spec"]["replicas"] == 5
    status, refusal = await api.apply(f"{DEPLOYMENTS}/web", deployment(replicas=3), "controller")
    assert status == 409 and refusal["details"]["causes"][0]["field"] == ".spec.replicas"
    assert 'with subresource "scale" using apps/v1' in refusal["message"]
    status, kept = await api.apply(f"{DEPLOYMENTS}/web", deployment(), "controller")
    assert status == 200 and kept["spec"]["replicas"] == 5
    assert "f:replicas" not in owned(kept, "controller")["f:spec"]


async def test_a_field_that_is_dropped_by_its_only_owner_is_defaulted_again(api: Api) -> None:
    await api.apply(f"{DEPLOYMENTS}/web", deployment(replicas=3), "controller")
    _, dropped = await api.apply(f"{DEPLOYMENTS}/web", deployment(), "controller")
    assert dropped["spec"]["replicas"] == 1


async def test_updates_own_what_they_change(api: Api) -> None:
    await api.apply(f"{MAPS}/a", config_map(x="1"), "one")
    _, changed = await api.ask(
        "PATCH", f"{MAPS}/a?fieldManager=editor", {"data": {"y": "2"}}, content_type="application/merge-patch+json"
    )
    assert owned(changed, "editor", "Update") == {"f:data": {"f:y": {}}}
    status, refusal = await api.apply(f"{MAPS}/a", config_map(x="1", y="3"), "one")
    assert status == 409 and 'conflict with "editor" using v1' in refusal["message"]
    _, other = await api.ask(
        "PATCH", f"{MAPS}/a?fieldManager=other", {"data": {"y": "4"}}, content_type="application/merge-patch+json"
    )
    assert [e["manager"] for e in other["metadata"]["managedFields"]] == ["one", "other"]


async def test_status_has_managers_of_its_own(api: Api) -> None:
    await api.apply(f"{DEPLOYMENTS}/web", deployment(), "controller")
    condition = {"type": "Ready", "status": "True"}
    config = {**deployment(), "status": {"replicas": 2, "conditions": [condition]}}
    del config["spec"]
    status, made = await api.apply(f"{DEPLOYMENTS}/web/status", config, "status-writer")
    assert status == 200 and made["status"]["replicas"] == 2 and made["spec"]["replicas"] == 1
    entry = next(e for e in made["metadata"]["managedFields"] if e["manager"] == "status-writer")
    assert entry["subresource"] == "status"
    assert 'k:{"type":"Ready"}' in entry["fieldsV1"]["f:status"]["f:conditions"]
    _, both = await api.apply(
        f"{DEPLOYMENTS}/web/status",
        {**config, "status": {"conditions": [{"type": "Live", "status": "True"}]}},
        "another",
    )
    assert [each["type"] for each in both["status"]["conditions"]] == ["Ready", "Live"]


async def test_status_sent_to_the_main_endpoint_is_not_owned(api: Api) -> None:
    _, made = await api.apply(f"{DEPLOYMENTS}/web", {**deployment(), "status": {"replicas": 2}}, "one")
    assert made["status"] == {} and "f:status" not in owned(made, "one")


async def test_client_side_apply_goes_over_without_conflicts(api: Api) -> None:
    config = config_map(x="1")
    record = orjson.dumps(config).decode()
    client_side = config_map(x="1")
    client_side["metadata"]["annotations"] = {"kubectl.kubernetes.io/last-applied-configuration": record}
    await api.post(f"{MAPS}?fieldManager=kubectl-client-side-apply", client_side)
    status, refusal = await api.apply(f"{MAPS}/a", config_map(x="2"), "someone-else")
    assert status == 409 and "kubectl-client-side-apply" in refusal["message"]
    status, taken = await api.apply(f"{MAPS}/a", config_map(x="2"), "kubectl")
    assert status == 200 and taken["data"] == {"x": "2"}
    refreshed = taken["metadata"]["annotations"]["kubectl.kubernetes.io/last-applied-configuration"]
    assert orjson.loads(refreshed)["data"] == {"x": "2"}


async def test_managed_fields_can_be_reset(api: Api) -> None:
    await api.apply(f"{MAPS}/a", config_map(x="1"), "one")
    status, reset = await api.ask(
        "PATCH",
        f"{MAPS}/a",
        [{"op": "replace", "path": "/metadata/managedFields", "value": [{}]}],
        content_type="application/json-patch+json",
    )
    assert status == 200 and "managedFields" not in reset["metadata"]
    _, changed = await api.merge(f"{MAPS}/a", {"data": {"y": "1"}})
    assert "managedFields" not in changed["metadata"]
    status, refusal = await api.apply(f"{MAPS}/a", config_map(x="2"), "two")
    assert status == 409 and 'conflict with "before-first-apply" using v1' in refusal["message"]
    status, taken = await api.apply(f"{MAPS}/a", config_map(x="2"), "two", force=True)
    assert status == 200 and owned(taken, "before-first-apply", "Update") == {"f:data": {".": {}, "f:y": {}}}


async def test_what_apply_refuses(api: Api) -> None:
    path, media = f"{MAPS}/a", "application/apply-patch+yaml"
    status, refusal = await api.ask("PATCH", path, config_map(x="1"), content_type=media)
    assert status == 422 and "fieldManager" in refusal["message"]
    managed = config_map(x="1")
    managed["metadata"]["managedFields"] = []
    status, refusal = await api.apply(path, managed, "one")
    assert (status, refusal["message"]) == (400, "metadata.managedFields must be nil")
    other = config_map(x="1")
    other["metadata"]["name"] = "b"
    assert (await api.apply(path, other, "one"))[0] == 400
    status, refusal = await api.apply(f"{path}?fieldValidation=Strict", {**config_map(x="1"), "dta": {}}, "one")
    assert status == 500 and ".dta: field not declared in schema" in refusal["message"]
    stale = config_map(x="1")
    stale["metadata"]["resourceVersion"] = "1"
    await api.apply(path, config_map(x="1"), "one")
    assert (await api.apply(path, stale, "one"))[0] == 409


async def test_apply_reads_yaml(api: Api) -> None:
    text = b"apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: a\ndata:\n  x: 'yes'\n"
    status, made = await api.ask(
        "PATCH", f"{MAPS}/a?fieldManager=one", text, content_type="application/apply-patch+yaml"
    )
    assert status == 201 and made["data"] == {"x": "yes"}
