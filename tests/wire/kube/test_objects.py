"""What a client sees of objects: create, read, update, delete, and every way to be refused.

Plan: metadata the server sets; conflicts; status apart from spec; generation; dry run; finalizers; preconditions;
validation messages; field validation.
"""

from __future__ import annotations

import io
from typing import Any

from tests.support.cluster import Api

MAPS = "/api/v1/namespaces/default/configmaps"
DEPLOYMENTS = "/apis/apps/v1/namespaces/default/deployments"


def config_map(name: str, **data: str) -> dict[str, Any]:
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": data}


def deployment(name: str = "web", **spec: Any) -> dict[str, Any]:
    labels = {"app": name}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": name},
        "spec": {
            "selector": {"matchLabels": labels},
            "template": {
                "metadata": {"labels": labels},
                "spec": {"containers": [{"name": "c", "image": "nginx"}]},
            },
            **spec,
        },
    }


async def test_create_sets_what_the_server_owns(api: Api) -> None:
    status, made = await api.post(MAPS, config_map("a", x="1"))
    assert status == 201
    metadata = made["metadata"]
    assert metadata["namespace"] == "default" and metadata["uid"] and metadata["creationTimestamp"].endswith("Z")
    assert int(metadata["resourceVersion"]) > 1
    assert (await api.get(f"{MAPS}/a"))[1] == made


async def test_created_twice_is_already_exists(api: Api) -> None:
    await api.post(MAPS, config_map("a"))
    status, refusal = await api.post(MAPS, config_map("a"))
    assert (status, refusal["reason"]) == (409, "AlreadyExists")
    assert refusal["message"] == 'configmaps "a" already exists'
    assert refusal["details"] == {"name": "a", "kind": "configmaps"}


async def test_generated_names_differ(api: Api) -> None:
    body = {"metadata": {"generateName": "job-"}}
    names = {(await api.post(MAPS, body))[1]["metadata"]["name"] for _ in range(5)}
    assert len(names) == 5 and all(name.startswith("job-") and len(name) == 9 for name in names)


async def test_a_stale_update_is_a_conflict(api: Api) -> None:
    _, first = await api.post(MAPS, config_map("a", x="1"))
    status, second = await api.put(f"{MAPS}/a", {**first, "data": {"x": "2"}})
    assert status == 200 and int(second["metadata"]["resourceVersion"]) > int(first["metadata"]["resourceVersion"])
    status, refusal = await api.put(f"{MAPS}/a", {**first, "data": {"x": "3"}})
    assert (status, refusal["reason"]) == (409, "Conflict")
    assert "the object has been modified" in refusal["message"]


async def test_an_update_without_a_version_is_unconditional(api: Api) -> None:
    await api.post(MAPS, config_map("a", x="1"))
    status, changed = await api.put(f"{MAPS}/a", config_map("a", x="2"))
    assert status == 200 and changed["data"] == {"x": "2"}


async def test_an_update_that_changes_nothing_keeps_the_version(api: Api) -> None:
    _, made = await api.post(MAPS, config_map("a", x="1"))
    _, again = await api.put(f"{MAPS}/a", made)
    assert again["metadata"]["resourceVersion"] == made["metadata"]["resourceVersion"]


async def test_missing_objects_and_namespaces(api: Api) -> None:
    status, refusal = await api.get(f"{MAPS}/nope")
    assert (status, refusal["reason"], refusal["message"]) == (404, "NotFound", 'configmaps "nope" not found')
    status, refusal = await api.post("/api/v1/namespaces/nowhere/configmaps", config_map("a"))
    assert (status, refusal["message"]) == (404, 'namespaces "nowhere" not found')
    status, refusal = await api.get("/apis/apps/v1/things")
    assert (status, refusal["message"]) == (404, "the server could not find the requested resource")
    assert await api.get("/apis/nope.io/v1/things") == (404, "404 page not found\n")


async def test_defaults_of_a_deployment(api: Api) -> None:
    _, made = await api.post(DEPLOYMENTS, deployment())
    spec = made["spec"]
    assert (spec["replicas"], spec["revisionHistoryLimit"], spec["progressDeadlineSeconds"]) == (1, 10, 600)
    assert spec["strategy"] == {
        "type": "RollingUpdate",
        "rollingUpdate": {"maxSurge": "25%", "maxUnavailable": "25%"},
    }
    pod = spec["template"]["spec"]
    assert (pod["restartPolicy"], pod["dnsPolicy"], pod["terminationGracePeriodSeconds"]) == (
        "Always",
        "ClusterFirst",
        30,
    )
    assert pod["containers"][0]["imagePullPolicy"] == "Always"
    assert made["metadata"]["generation"] == 1


async def test_status_is_written_by_its_own_endpoint_only(api: Api) -> None:
    _, made = await api.post(DEPLOYMENTS, {**deployment(), "status": {"replicas": 7}})
    assert made["status"] == {}
    _, changed = await api.merge(f"{DEPLOYMENTS}/web", {"status": {"replicas": 7}})
    assert changed["status"] == {}
    _, changed = await api.merge(
        f"{DEPLOYMENTS}/web/status",
        {"status": {"replicas": 7}, "spec": {"replicas": 9}, "metadata": {"labels": {"a": "b"}}},
    )
    assert changed["status"] == {"replicas": 7}
    assert changed["spec"]["replicas"] == 1 and "labels" not in changed["metadata"]
    assert changed["metadata"]["generation"] == 1


async def test_generation_counts_changes_of_the_spec(api: Api) -> None:
    await api.post(DEPLOYMENTS, deployment())
    _, labelled = await api.merge(f"{DEPLOYMENTS}/web", {"metadata": {"labels": {"a": "b"}}})
    assert labelled["metadata"]["generation"] == 1
    _, scaled = await api.merge(f"{DEPLOYMENTS}/web", {"spec": {"replicas": 3}})
    assert scaled["metadata"]["generation"] == 2


async def test_dry_run_stores_nothing(api: Api) -> None:
    status, made = await api.post(f"{MAPS}?dryRun=All", config_map("a"))
    assert status == 201 and made["metadata"]["uid"]
    assert (await api.get(f"{MAPS}/a"))[0] == 404
    await api.post(MAPS, config_map("b", x="1"))
    _, changed = await api.ask(
        "PATCH", f"{MAPS}/b?dryRun=All", {"data": {"x": "2"}}, content_type="application/merge-patch+json"
    )
    assert changed["data"] == {"x": "2"}
    assert (await api.get(f"{MAPS}/b"))[1]["data"] == {"x": "1"}
    await api.delete(f"{MAPS}/b?dryRun=All")
    assert (await api.get(f"{MAPS}/b"))[0] == 200
    assert (await api.post(f"{MAPS}?dryRun=Some", config_map("a")))[0] == 422


async def test_finalizers_keep_an_object_until_the_last_is_gone(api: Api) -> None:
    body = config_map("a")
    body["metadata"]["finalizers"] = ["example.io/hold"]
    _, made = await api.post(MAPS, body)
    status, marked = await api.delete(f"{MAPS}/a")
    assert status == 200 and marked["metadata"]["deletionTimestamp"]
    assert (await api.get(f"{MAPS}/a"))[0] == 200
    status, refusal = await api.merge(f"{MAPS}/a", {"metadata": {"finalizers": ["example.io/hold", "example.io/more"]}})
    assert status == 422 and "no new finalizers can be added" in refusal["message"]
    await api.merge(f"{MAPS}/a", {"metadata": {"finalizers": None}})
    assert (await api.get(f"{MAPS}/a"))[0] == 404
    assert made["metadata"]["uid"] == marked["metadata"]["uid"]


async def test_delete_answers_with_the_uid_and_honours_preconditions(api: Api) -> None:
    _, made = await api.post(MAPS, config_map("a"))
    status, refusal = await api.delete(f"{MAPS}/a", {"preconditions": {"uid": "other"}})
    assert (status, refusal["reason"]) == (
        409,
        "Conflict",
    ) and "the UID in the precondition (other) does not match" in refusal["message"]
    status, done = await api.delete(f"{MAPS}/a", {"preconditions": {"uid": made["metadata"]["uid"]}})
    assert status == 200
    assert done["status"] == "Success" and done["details"]["uid"] == made["metadata"]["uid"]


async def test_deletecollection_takes_what_is_selected(api: Api) -> None:
    for name, team in (("a", "x"), ("b", "x"), ("c", "y")):
        body = config_map(name)
        body["metadata"]["labels"] = {"team": team}
        await api.post(MAPS, body)
    status, gone = await api.delete(f"{MAPS}?labelSelector=team%3Dx")
    assert status == 200 and [each["metadata"]["name"] for each in gone["items"]] == ["a", "b"]
    assert (await api.get(f"{MAPS}/c"))[0] == 200 and (await api.get(f"{MAPS}/a"))[0] == 404


async def test_invalid_objects_name_the_field(api: Api) -> None:
    status, refusal = await api.post(MAPS, config_map("Not_A_Name"))
    assert (status, refusal["reason"]) == (422, "Invalid")
    assert refusal["message"].startswith(
        'ConfigMap "Not_A_Name" is invalid: metadata.name: Invalid value: "Not_A_Name"'
    )
    assert refusal["details"]["causes"][0]["field"] == "metadata.name"
    wrong = deployment()
    wrong["spec"]["template"]["metadata"]["labels"] = {"app": "other"}
    status, refusal = await api.post(DEPLOYMENTS, wrong)
    assert status == 422 and "`selector` does not match template `labels`" in refusal["message"]
    wrong = deployment()
    del wrong["spec"]["template"]["spec"]["containers"][0]["image"]
    _, refusal = await api.post(DEPLOYMENTS, wrong)
    assert refusal["details"]["causes"][0]["field"] == "spec.template.spec.containers[0].image"


async def test_a_wrong_type_is_a_bad_request(api: Api) -> None:
    status, refusal = await api.post(DEPLOYMENTS, deployment(replicas="three"))
    assert (status, refusal["reason"]) == (400, "BadRequest") and "spec.replicas" in refusal["message"]


async def test_selectors_are_immutable(api: Api) -> None:
    await api.post(DEPLOYMENTS, deployment())
    changed = deployment()
    changed["spec"]["selector"] = changed["spec"]["template"]["metadata"] = {"matchLabels": {"app": "b"}}
    changed["spec"]["template"]["metadata"] = {"labels": {"app": "b"}}
    status, refusal = await api.put(f"{DEPLOYMENTS}/web", changed)
    assert status == 422 and "spec.selector: Invalid value" in refusal["message"]
    assert "field is immutable" in refusal["message"]


async def test_unknown_fields_warn_are_refused_or_are_ignored(api: Api) -> None:
    body = deployment(replcas=3)
    status, refusal = await api.post(f"{DEPLOYMENTS}?fieldValidation=Strict", body)
    assert (status, refusal["reason"]) == (400, "BadRequest")
    assert 'strict decoding error: unknown field "spec.replcas"' in refusal["message"]
    status, made = await api.post(f"{DEPLOYMENTS}?dryRun=All&fieldValidation=Ignore", body)
    assert status == 201 and "replcas" not in made["spec"] and "Warning" not in api.headers
    status, _ = await api.post(DEPLOYMENTS, body)
    assert status == 201 and api.headers["Warning"] == '299 - "unknown field \\"spec.replcas\\""'


async def test_duplicate_fields_are_seen(api: Api) -> None:
    raw = b'{"metadata":{"name":"a"},"data":{"x":"1","x":"2"}}'
    status, refusal = await api.ask("POST", f"{MAPS}?fieldValidation=Strict", raw)
    assert status == 400 and 'duplicate field "data.x"' in refusal["message"]


async def test_secret_strings_are_stored_encoded(api: Api) -> None:
    body = {"metadata": {"name": "s"}, "stringData": {"password": "hunter2"}}
    _, made = await api.post("/api/v1/namespaces/default/secrets", body)
    assert made["data"] == {"password": "aHVudGVyMg=="} and made["type"] == "Opaque" and "stringData" not in made


async def test_services_get_addresses_of_their_own(api: Api) -> None:
    path = "/api/v1/namespaces/default/services"
    spec = {"ports": [{"port": 80}], "selector": {"app": "a"}}
    _, first = await api.post(path, {"metadata": {"name": "a"}, "spec": spec})
    _, second = await api.post(path, {"metadata": {"name": "b"}, "spec": spec})
    addresses = {first["spec"]["clusterIP"], second["spec"]["clusterIP"]}
    assert len(addresses) == 2 and all(each.startswith("127.32.") for each in addresses)
    assert first["spec"]["ports"] == [{"port": 80, "protocol": "TCP", "targetPort": 80}]
    _, headless = await api.post(path, {"metadata": {"name": "c"}, "spec": {**spec, "clusterIP": "None"}})
    assert headless["spec"]["clusterIP"] == "None"
    status, refusal = await api.merge(f"{path}/a", {"spec": {"clusterIP": "127.32.0.9"}})
    assert status == 422 and "spec.clusterIP" in refusal["message"]


async def test_scale_reads_and_writes_replicas(api: Api) -> None:
    _, made = await api.post(DEPLOYMENTS, deployment())
    _, scale = await api.get(f"{DEPLOYMENTS}/web/scale")
    assert (scale["kind"], scale["spec"], scale["status"]) == (
        "Scale",
        {"replicas": 1},
        {"replicas": 0, "selector": "app=web"},
    )
    status, scale = await api.merge(f"{DEPLOYMENTS}/web/scale", {"spec": {"replicas": 4}})
    assert status == 200 and scale["spec"] == {"replicas": 4}
    _, changed = await api.get(f"{DEPLOYMENTS}/web")
    assert changed["spec"]["replicas"] == 4 and changed["metadata"]["generation"] == 2
    stale = {**scale, "spec": {"replicas": 5}}
    stale["metadata"] = {**scale["metadata"], "resourceVersion": made["metadata"]["resourceVersion"]}
    assert (await api.put(f"{DEPLOYMENTS}/web/scale", stale))[0] == 409


async def test_events_are_one_object_in_two_groups(api: Api) -> None:
    core = "/api/v1/namespaces/default/events"
    body = {
        "metadata": {"name": "e1"},
        "involvedObject": {"kind": "Pod", "name": "p", "namespace": "default"},
        "reason": "Started",
        "message": "hello",
        "type": "Normal",
        "count": 2,
    }
    assert (await api.post(core, body))[0] == 201
    _, shown = await api.get("/apis/events.k8s.io/v1/namespaces/default/events/e1")
    assert (shown["apiVersion"], shown["note"], shown["regarding"]["name"]) == ("events.k8s.io/v1", "hello", "p")
    new = {
        "metadata": {"name": "e2"},
        "regarding": {"kind": "Pod", "name": "p"},
        "note": "bye",
        "reason": "Stopped",
        "type": "Normal",
        "action": "Stop",
        "eventTime": "2026-01-01T00:00:00.000000Z",
        "reportingController": "x",
        "reportingInstance": "x-1",
    }
    assert (await api.post("/apis/events.k8s.io/v1/namespaces/default/events", new))[0] == 201
    _, listed = await api.get(f"{core}?fieldSelector=involvedObject.name%3Dp,involvedObject.kind%3DPod")
    assert [each["metadata"]["name"] for each in listed["items"]] == ["e1", "e2"]
    assert listed["items"][1]["message"] == "bye"


async def test_a_pod_is_bound_once_and_evicted_under_its_budget(api: Api) -> None:
    pods = "/api/v1/namespaces/default/pods"
    pod = {"metadata": {"name": "p", "labels": {"app": "a"}}, "spec": {"containers": [{"name": "c", "image": "i"}]}}
    _, made = await api.post(pods, pod)
    assert made["status"]["phase"] == "Pending" and made["spec"]["serviceAccountName"] == "default"
    binding = {"metadata": {"name": "p"}, "target": {"kind": "Node", "name": "n1"}}
    assert (await api.post(f"{pods}/p/binding", binding))[0] == 201
    assert (await api.post(f"{pods}/p/binding", binding))[0] == 409
    await api.merge(f"{pods}/p/status", {"status": {"phase": "Running"}})
    budgets = "/apis/policy/v1/namespaces/default/poddisruptionbudgets"
    spec = {"minAvailable": 1, "selector": {"matchLabels": {"app": "a"}}}
    await api.post(budgets, {"metadata": {"name": "b"}, "spec": spec})
    status, refusal = await api.post(f"{pods}/p/eviction", {"metadata": {"name": "p"}})
    assert (status, refusal["reason"]) == (429, "TooManyRequests") and api.headers["Retry-After"] == "10"
    await api.merge(f"{budgets}/b/status", {"status": {"disruptionsAllowed": 1, "observedGeneration": 1}})
    assert (await api.post(f"{pods}/p/eviction", {"metadata": {"name": "p"}}))[0] == 201
    _, ending = await api.get(f"{pods}/p")
    assert ending["metadata"]["deletionGracePeriodSeconds"] == 30
    await api.delete(f"{pods}/p", {"gracePeriodSeconds": 0})
    assert (await api.get(f"{pods}/p"))[0] == 404


async def test_options_that_make_no_sense_are_refused(api: Api) -> None:
    await api.post(MAPS, config_map("a"))
    for query, field in (
        ("dryRun=Some", "dryRun"),
        ("fieldValidation=Maybe", "fieldValidation"),
        ("fieldManager=" + "m" * 129, "fieldManager"),
        ("fieldManager=a%0Ab", "fieldManager"),
        ("force=true", "force"),
    ):
        status, refusal = await api.merge(f"{MAPS}/a?{query}", {})
        assert status == 422, query
        assert refusal["details"]["causes"][0]["field"] == field


async def test_what_the_sandbox_does_not_offer_is_said(api: Api) -> None:
    for name in ("exec", "attach", "portforward", "proxy"):
        status, refusal = await api.get(f"/api/v1/namespaces/default/pods/p/{name}")
        assert status == 400 and f"does not offer pods/{name}" in refusal["message"]


async def test_an_object_of_another_kind_is_refused(api: Api) -> None:
    status, refusal = await api.post(MAPS, {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "a"}})
    assert (status, refusal["message"]) == (400, 'Secret in version "v1" cannot be handled as a ConfigMap')
    status, refusal = await api.post(MAPS, {"apiVersion": "v2", "kind": "ConfigMap", "metadata": {"name": "a"}})
    assert status == 400 and "does not match the expected API version (v1)" in refusal["message"]


async def test_pods_may_not_be_changed_after_the_fact(api: Api) -> None:
    pods = "/api/v1/namespaces/default/pods"
    await api.post(pods, {"metadata": {"name": "p"}, "spec": {"containers": [{"name": "c", "image": "i"}]}})
    patch = {"spec": {"containers": [{"name": "c", "image": "i", "command": ["sh"]}]}}
    status, refusal = await api.merge(f"{pods}/p", patch)
    assert status == 422 and refusal["details"]["causes"][0]["field"] == "spec"
    status, _ = await api.merge(f"{pods}/p", {"spec": {"containers": [{"name": "c", "image": "i2"}]}})
    assert status == 200


async def test_garbage_is_refused_and_never_a_server_error(api: Api) -> None:
    for body in (b"{", b"[]", b'"x"', b"{}", b'{"metadata":[]}', b'{"metadata":{"name":7}}', b"[" * 5000):
        status, refusal = await api.ask("POST", MAPS, body)
        assert status in (400, 422), (body[:20], refusal)
    status, refusal = await api.ask("POST", MAPS, b"<xml/>", content_type="application/xml")
    assert (status, refusal["reason"]) == (415, "UnsupportedMediaType")
    async with api.session.post(MAPS, data=io.BytesIO(b" " * (4 << 20))) as answer:
        assert answer.status == 413


async def test_yaml_is_read_like_json(api: Api) -> None:
    text = b"apiVersion: v1\nkind: ConfigMap\nmetadata: {name: y}\ndata: {a: '1'}\n"
    status, made = await api.ask("POST", MAPS, text, content_type="application/yaml")
    assert status == 201 and made["data"] == {"a": "1"}
