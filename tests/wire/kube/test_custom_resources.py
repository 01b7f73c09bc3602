"""CustomResourceDefinitions over the wire: registration, schemas at work, sub-resources, columns, and their end.

Plan: served at once; refused definitions; defaulting, pruning, validation, CEL; status and scale; printer columns;
versions; names in use; deletion takes the objects along; survival of a restart.
"""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

from sandbox.kube.server import KubeServer
from tests.support.cluster import Api

CRDS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
WIDGETS = "/apis/example.io/v1/namespaces/default/widgets"
TABLE = "application/json;as=Table;v=v1;g=meta.k8s.io"


def definition(**version: Any) -> dict[str, Any]:
    schema = {
        "type": "object",
        "properties": {
            "spec": {
                "type": "object",
                "required": ["size"],
                "properties": {
                    "size": {"type": "string", "enum": ["s", "m"]},
                    "workers": {"type": "integer", "minimum": 0, "default": 2},
                    "free": {"type": "object", "x-kubernetes-preserve-unknown-fields": True},
                    "parts": {
                        "type": "array",
                        "x-kubernetes-list-type": "map",
                        "x-kubernetes-list-map-keys": ["name"],
                        "items": {
                            "type": "object",
                            "required": ["name"],
                            "properties": {"name": {"type": "string"}, "value": {"type": "string"}},
                        },
                    },
                },
                "x-kubernetes-validations": [
                    {"rule": "self.size != 's' || self.workers <= 5", "message": "small ones have at most 5 workers"}
                ],
            },
            "status": {
                "type": "object",
                "properties": {"workers": {"type": "integer"}, "selector": {"type": "string"}},
            },
        },
    }
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": "widgets.example.io"},
        "spec": {
            "group": "example.io",
            "scope": "Namespaced",
            "names": {"kind": "Widget", "plural": "widgets", "shortNames": ["wd"], "categories": ["all"]},
            "versions": [
                {
                    "name": "v1",
                    "served": True,
                    "storage": True,
                    "schema": {"openAPIV3Schema": schema},
                    "subresources": {
                        "status": {},
                        "scale": {
                            "specReplicasPath": ".spec.workers",
                            "statusReplicasPath": ".status.workers",
                            "labelSelectorPath": ".status.selector",
                        },
                    },
                    "additionalPrinterColumns": [
                        {"name": "Size", "type": "string", "jsonPath": ".spec.size"},
                        {"name": "Workers", "type": "integer", "jsonPath": ".spec.workers", "priority": 1},
                        {"name": "Age", "type": "date", "jsonPath": ".metadata.creationTimestamp"},
                    ],
                    **version,
                }
            ],
        },
    }


def widget(name: str = "w", **spec: Any) -> dict[str, Any]:
    return {
        "apiVersion": "example.io/v1",
        "kind": "Widget",
        "metadata": {"name": name},
        "spec": {"size": "s", **spec},
    }


async def test_a_definition_is_served_at_once(api: Api) -> None:
    assert (await api.get(WIDGETS))[0] == 404
    status, made = await api.post(CRDS, definition())
    assert status == 201, made
    conditions = {each["type"]: each["status"] for each in made["status"]["conditions"]}
    assert conditions == {"NamesAccepted": "True", "Established": "True"}
    assert made["status"]["storedVersions"] == ["v1"]
    assert made["spec"]["names"]["listKind"] == "WidgetList" and made["spec"]["names"]["singular"] == "widget"
    assert (await api.post(WIDGETS, widget()))[0] == 201
    _, groups = await api.get("/apis/example.io/v1")
    assert [each["name"] for each in groups["resources"]] == ["widgets", "widgets/scale", "widgets/status"]


async def test_objects_are_defaulted_pruned_and_validated(api: Api) -> None:
    await api.post(CRDS, definition())
    status, made = await api.post(WIDGETS, widget(colour="red", free={"any": {"thing": 1}}))
    assert status == 201 and made["spec"] == {"size": "s", "workers": 2, "free": {"any": {"thing": 1}}}
    assert api.headers["Warning"] == '299 - "unknown field \\"spec.colour\\""'
    assert made["metadata"]["generation"] == 1
    status, refusal = await api.post(WIDGETS, widget("x", size="xl", workers=-1))
    assert (status, refusal["reason"]) == (422, "Invalid")
    assert refusal["message"].startswith('Widget.example.io "x" is invalid: ')
    assert 'spec.size: Unsupported value: "xl": supported values: "s", "m"' in refusal["message"]
    assert {each["field"] for each in refusal["details"]["causes"]} >= {"spec.size", "spec.workers"}
    status, refusal = await api.post(WIDGETS, widget("x", workers=6))
    assert status == 422 and "small ones have at most 5 workers" in refusal["message"]
    status, refusal = await api.post(f"{WIDGETS}?fieldValidation=Strict", widget("x", colour="red"))
    assert status == 400 and 'strict decoding error: unknown field "spec.colour"' in refusal["message"]


async def test_strategic_patches_are_not_for_custom_resources(api: Api) -> None:
    await api.post(CRDS, definition())
    await api.post(WIDGETS, widget())
    status, refusal = await api.ask(
        "PATCH", f"{WIDGETS}/w", {"spec": {}}, content_type="application/strategic-merge-patch+json"
    )
    assert (status, refusal["reason"]) == (415, "UnsupportedMediaType")


async def test_status_and_scale(api: Api) -> None:
    await api.post(CRDS, definition())
    await api.post(WIDGETS, {**widget(), "status": {"workers": 9}})
    assert "status" not in (await api.get(f"{WIDGETS}/w"))[1]
    status, changed = await api.merge(
        f"{WIDGETS}/w/status", {"status": {"workers": 1, "selector": "a=b"}, "spec": {"size": "m"}}
    )
    assert status == 200 and changed["status"]["workers"] == 1
    assert changed["spec"]["size"] == "s" and changed["metadata"]["generation"] == 1
    _, scale = await api.get(f"{WIDGETS}/w/scale")
    assert (scale["spec"], scale["status"]) == ({"replicas": 2}, {"replicas": 1, "selector": "a=b"})
    assert (await api.merge(f"{WIDGETS}/w/scale", {"spec": {"replicas": 4}}))[0] == 200
    _, scaled = await api.get(f"{WIDGETS}/w")
    assert scaled["spec"]["workers"] == 4 and scaled["metadata"]["generation"] == 2


async def test_lists_by_key_have_an_owner_per_item(api: Api) -> None:
    await api.post(CRDS, definition())
    await api.apply(f"{WIDGETS}/w", widget(parts=[{"name": "a", "value": "1"}]), "one")
    config = widget(parts=[{"name": "b", "value": "2"}])
    del config["spec"]["size"]
    status, both = await api.apply(f"{WIDGETS}/w", config, "two")
    assert status == 200 and [each["name"] for each in both["spec"]["parts"]] == ["a", "b"]
    config["spec"] = {}
    _, back = await api.apply(f"{WIDGETS}/w", config, "two")
    assert [each["name"] for each in back["spec"]["parts"]] == ["a"]


async def test_printer_columns(api: Api) -> None:
    await api.post(CRDS, definition())
    await api.post(WIDGETS, widget())
    _, table = await api.get(WIDGETS, Accept=TABLE)
    columns = [(each["name"], each["priority"]) for each in table["columnDefinitions"]]
    assert columns == [("Name", 0), ("Size", 0), ("Workers", 1), ("Age", 0)]
    assert table["rows"][0]["cells"][:3] == ["w", "s", 2] and table["rows"][0]["cells"][3].endswith("s")


async def test_refused_definitions_name_the_field(api: Api) -> None:
    wrong = definition()
    wrong["metadata"]["name"] = "gadgets.example.io"
    _, refusal = await api.post(CRDS, wrong)
    assert (
        'metadata.name: Invalid value: "gadgets.example.io": must be spec.names.plural+"."+spec.group'
        in refusal["message"]
    )
    _, refusal = await api.post(CRDS, definition(storage=False))
    assert "must have exactly one version marked as storage version" in refusal["message"]
    bad_schema = {"openAPIV3Schema": {"type": "object", "properties": {"spec": {"properties": {}}}}}
    status, refusal = await api.post(CRDS, definition(schema=bad_schema))
    assert status == 422 and "spec.validation.openAPIV3Schema.properties[spec].type" in refusal["message"]
    columns = [{"name": "x", "type": "string", "jsonPath": ".spec[?nope"}]
    status, refusal = await api.post(CRDS, definition(additionalPrinterColumns=columns))
    assert status == 422 and "additionalPrinterColumns[0].jsonPath" in refusal["message"]


async def test_a_changed_definition_holds_for_the_next_request(api: Api) -> None:
    _, made = await api.post(CRDS, definition())
    changed = {**definition(), "metadata": made["metadata"]}
    changed["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"]["properties"]["size"]["enum"] = [
        "xl"
    ]
    status, _ = await api.put(f"{CRDS}/widgets.example.io", changed)
    assert status == 200
    assert (await api.post(WIDGETS, widget(size="xl")))[0] == 201


async def test_every_served_version_shows_the_same_objects(api: Api) -> None:
    two = definition()
    two["spec"]["versions"].append({**two["spec"]["versions"][0], "name": "v2", "storage": False, "deprecated": True})
    await api.post(CRDS, two)
    await api.post(WIDGETS, widget())
    newer = WIDGETS.replace("/v1/", "/v2/")
    _, shown = await api.get(f"{newer}/w")
    assert shown["apiVersion"] == "example.io/v2" and "deprecated" in api.headers["Warning"]
    _, changed = await api.merge(f"{newer}/w", {"spec": {"workers": 3}})
    assert changed["apiVersion"] == "example.io/v2"
    assert (await api.get(f"{WIDGETS}/w"))[1]["apiVersion"] == "example.io/v1"
    _, listed = await api.get(newer)
    assert listed["items"][0]["apiVersion"] == "example.io/v2"


async def test_a_kind_in_use_is_not_accepted_twice(api: Api) -> None:
    await api.post(CRDS, definition())
    other = definition()
    other["metadata"]["name"] = "wodgets.example.io"
    other["spec"]["names"] = {"kind": "Widget", "plural": "wodgets"}
    _, made = await api.post(CRDS, other)
    conditions = {each["type"]: (each["status"], each["message"]) for each in made["status"]["conditions"]}
    assert conditions["NamesAccepted"] == ("False", '"Widget" is already in use')
    assert conditions["Established"][0] == "False"
    assert (await api.get(WIDGETS.replace("widgets", "wodgets")))[0] == 404


async def test_deletion_takes_the_objects_along(api: Api) -> None:
    await api.post(CRDS, definition())
    held = widget("held")
    held["metadata"]["finalizers"] = ["example.io/hold"]
    await api.post(WIDGETS, held)
    await api.post(WIDGETS, widget())
    await api.delete(f"{CRDS}/widgets.example.io")
    async with asyncio.timeout(5):
        while (await api.get(f"{WIDGETS}/w"))[0] != 404:
            await asyncio.sleep(0.01)
        _, kept = await api.get(f"{WIDGETS}/held")
        assert kept["metadata"]["deletionTimestamp"]
        await api.merge(f"{WIDGETS}/held", {"metadata": {"finalizers": None}})
        while (await api.get(f"{CRDS}/widgets.example.io"))[0] != 404:
            await asyncio.sleep(0.01)
    assert (await api.get(WIDGETS))[0] == 404


async def test_definitions_and_objects_survive_a_restart(tmp_path: Path) -> None:
    async with KubeServer(tmp_path) as first, Api(first) as api:
        await api.post(CRDS, definition())
        _, made = await api.post(WIDGETS, widget())
        before = first.store.revision
    async with KubeServer(tmp_path) as second, Api(second) as api:
        assert (await api.get(f"{WIDGETS}/w"))[1] == made
        _, changed = await api.merge(f"{WIDGETS}/w", {"spec": {"workers": 3}})
        assert int(changed["metadata"]["resourceVersion"]) > before
        status, refusal = await api.get(f"{WIDGETS}?watch=true&resourceVersion=3")
        assert (status, refusal["reason"]) == (410, "Expired")
