"""Custom resources: schemas that refuse, default and prune; rules in CEL; definitions that come and go."""

from __future__ import annotations

import copy
import itertools
from typing import Any

import pytest

from crds.client import ApiError, Invalid, KubeClient, NotFound
from crds.client.resources import CRDS, Resource
from tests.cluster.conformance.conftest import CRD, INTEGER, conditions_of, gone, until, widget
from tests.support.kube_http import KubeHttp

Object = dict[str, Any]
_numbers = itertools.count()


def definition(spec: Object | None = None, **root: Any) -> tuple[Resource, Object]:
    """A CRD of a fresh kind whose `spec` has this schema."""
    number = next(_numbers)
    group, plural, kind = "scratch.xtrinode.io", f"gadgets{number}", f"Gadget{number}"
    crd = copy.deepcopy(CRD)
    crd["metadata"] = {"name": f"{plural}.{group}"}
    crd["spec"]["group"] = group
    crd["spec"]["names"] = {"plural": plural, "kind": kind}
    version = crd["spec"]["versions"][0]
    version.pop("additionalPrinterColumns")
    version["subresources"] = {"status": {}}
    properties = {"spec": spec or {"type": "object"}}
    version["schema"] = {"openAPIV3Schema": {"type": "object", "properties": properties, **root}}
    return Resource(group, "v1", plural, kind), crd


async def install(client: KubeClient, spec: Object | None = None, **root: Any) -> Resource:
    resource, crd = definition(spec, **root)
    await client.create(CRDS, crd)
    await until(lambda: served(client, resource))
    return resource


async def served(client: KubeClient, resource: Resource) -> bool:
    crd = await client.get(CRDS, f"{resource.plural}.{resource.group}")
    conditions = conditions_of(crd)
    await client.list_(resource)
    return conditions.get("Established") == "True" and conditions.get("NamesAccepted") == "True"


async def causes_of(client: KubeClient, resource: Resource, obj: Object, namespace: str) -> list[tuple[str, str]]:
    with pytest.raises(Invalid) as refused:
        await client.create(resource, obj, namespace)
    return [(cause["field"], cause["message"]) for cause in refused.value.causes]


class TestValidation:
    @pytest.mark.parametrize(
        ("spec", "field", "message"),
        [
            ({"size": "xxl"}, "spec.size", 'Unsupported value: "xxl": supported values: "xs", "s", "m"'),
            (
                {"replicas": "3"},
                "spec.replicas",
                'Invalid value: "string": spec.replicas in body must be of type integer: "string"',
            ),
            (
                {"replicas": 11},
                "spec.replicas",
                "Invalid value: 11: spec.replicas in body should be less than or equal to 10",
            ),
            (
                {"replicas": -1},
                "spec.replicas",
                "Invalid value: -1: spec.replicas in body should be greater than or equal to 0",
            ),
            ({"note": "muchtoolong"}, "spec.note", "Too long: may not be more than 8 bytes"),
            ({"note": "A"}, "spec.note", "Invalid value: \"A\": spec.note in body should match '^[a-z]*$'"),
            ({"note": "a\n"}, "spec.note", "Invalid value: \"a\\n\": spec.note in body should match '^[a-z]*$'"),
            (
                {"port": True},
                "spec.port",
                'Invalid value: "boolean": spec.port in body must be of type integer,string: "boolean"',
            ),
            ({"tags": ["a", "a"]}, "spec.tags[1]", 'Duplicate value: "a"'),
            ({"tags": list("abcdef")}, "spec.tags", "Too many: 6: must have at most 5 items"),
            ({"parts": [{"count": 1}]}, "spec.parts[0].name", "Required value"),
            (
                {"tags": ["a", 1]},
                "spec.tags[1]",
                'Invalid value: "integer": spec.tags[1] in body must be of type string: "integer"',
            ),
        ],
    )
    async def test_a_bad_value_is_refused_with_its_path(
        self, client: KubeClient, namespace: str, widgets: Resource, spec: Object, field: str, message: str
    ) -> None:
        assert (field, message) in await causes_of(client, widgets, widget(**spec), namespace)

    async def test_the_message_names_object_and_field(
        self, client: KubeClient, namespace: str, widgets: Resource
    ) -> None:
        with pytest.raises(Invalid) as refused:
            await client.create(widgets, {"metadata": {"name": "w"}, "spec": {}}, namespace)
        text = 'Widget.conformance.xtrinode.io "w" is invalid: '
        assert refused.value.message.startswith(text) and "spec.size: Required value" in refused.value.message
        assert refused.value.details["kind"] == "Widget" and refused.value.details["name"] == "w"

    async def test_all_errors_are_told_at_once(self, client: KubeClient, namespace: str, widgets: Resource) -> None:
        bad = widget(size="xxl", replicas=99, note="B")
        fields = {field for field, _ in await causes_of(client, widgets, bad, namespace)}
        assert {"spec.size", "spec.replicas", "spec.note"} <= fields

    async def test_duplicate_keys_of_a_list_map(self, client: KubeClient, namespace: str, widgets: Resource) -> None:
        bad = widget(parts=[{"name": "a", "count": 1}, {"name": "a", "count": 2}])
        assert [field for field, _ in await causes_of(client, widgets, bad, namespace)] == ["spec.parts[1]"]

    async def test_either_of_int_and_string(self, client: KubeClient, namespace: str, widgets: Resource) -> None:
        await client.create(widgets, widget("a", port=80), namespace)
        await client.create(widgets, widget("b", port="http"), namespace)

    async def test_what_was_valid_once_may_stay(self, client: KubeClient, namespace: str) -> None:
        resource = await install(
            client, {"type": "object", "properties": {"a": {"type": "string"}, "b": {"type": "string"}}}
        )
        await client.create(resource, {"metadata": {"name": "x"}, "spec": {"a": "old", "b": "1"}}, namespace)
        tighter = [
            {
                "op": "add",
                "path": "/spec/versions/0/schema/openAPIV3Schema/properties/spec/properties/a/enum",
                "value": ["new"],
            }
        ]
        await client.patch(CRDS, f"{resource.plural}.{resource.group}", None, tighter, type="json")

        async def tightened() -> bool:
            try:
                await client.create(
                    resource, {"metadata": {"name": "y"}, "spec": {"a": "old"}}, namespace, dry_run=True
                )
            except Invalid:
                return True
            return False

        await until(tightened)
        kept = await client.patch(resource, "x", namespace, {"spec": {"b": "2"}})
        assert kept["spec"] == {"a": "old", "b": "2"}
        with pytest.raises(Invalid):
            await client.patch(resource, "x", namespace, {"spec": {"a": "older"}})


class TestDefaultsAndPruning:
    async def test_defaults_are_filled_in_at_every_depth(
        self, client: KubeClient, namespace: str, widgets: Resource
    ) -> None:
        made = await client.create(widgets, widget(parts=[{"name": "a"}, {"name": "b", "count": 5}]), namespace)
        assert made["spec"]["mode"] == "auto"
        assert made["spec"]["parts"] == [{"name": "a", "count": 1}, {"name": "b", "count": 5}]

    async def test_nulls_are_dropped_defaulted_or_kept(
        self, client: KubeClient, namespace: str, widgets: Resource
    ) -> None:
        made = await client.create(widgets, widget(mode=None, note=None, nothing=None), namespace)
        assert made["spec"] == {"size": "s", "mode": "auto", "nothing": None}

    async def test_unknown_fields_are_pruned_unless_preserved(
        self, client: KubeClient, namespace: str, widgets: Resource
    ) -> None:
        body = widget(typo=1, parts=[{"name": "a", "typo": 2}], free={"any": {"thing": [1]}})
        made = await client.create(widgets, body, namespace)
        assert "typo" not in made["spec"] and made["spec"]["parts"] == [{"name": "a", "count": 1}]
        assert made["spec"]["free"] == {"any": {"thing": [1]}}

    async def test_old_objects_get_new_defaults_when_read(self, client: KubeClient, namespace: str) -> None:
        resource = await install(client)
        await client.create(resource, {"metadata": {"name": "x"}, "spec": {}}, namespace)
        schema = {"type": "object", "properties": {"late": {"type": "string", "default": "yes"}}}
        change = [{"op": "replace", "path": "/spec/versions/0/schema/openAPIV3Schema/properties/spec", "value": schema}]
        await client.patch(CRDS, f"{resource.plural}.{resource.group}", None, change, type="json")

        async def defaulted() -> bool:
            return bool((await client.get(resource, "x", namespace))["spec"] == {"late": "yes"})

        await until(defaulted)


class TestFieldValidation:
    def path(self, widgets: Resource, namespace: str) -> str:
        return f"/apis/{widgets.group}/v1/namespaces/{namespace}/widgets"

    def typo(self) -> Object:
        return {"apiVersion": "conformance.xtrinode.io/v1", "kind": "Widget", **widget(typo=1)}

    async def test_strict_refuses(self, http: KubeHttp, namespace: str, widgets: Resource) -> None:
        reply = await http("POST", self.path(widgets, namespace), self.typo(), fieldValidation="Strict")
        assert (reply.status, reply.body["reason"]) == (400, "BadRequest")
        assert 'strict decoding error: unknown field "spec.typo"' in reply.body["message"]

    async def test_warn_stores_and_says_so(self, http: KubeHttp, namespace: str, widgets: Resource) -> None:
        reply = await http("POST", self.path(widgets, namespace), self.typo(), fieldValidation="Warn")
        assert reply.status == 201 and "typo" not in reply.body["spec"]
        assert [text.replace('\\"', '"') for text in reply.warnings] == ['unknown field "spec.typo"']

    async def test_ignore_stores_in_silence(self, http: KubeHttp, namespace: str, widgets: Resource) -> None:
        reply = await http("POST", self.path(widgets, namespace), self.typo(), fieldValidation="Ignore")
        assert reply.status == 201 and reply.warnings == []

    async def test_duplicate_fields_are_noticed(self, http: KubeHttp, namespace: str, widgets: Resource) -> None:
        head = b'{"apiVersion":"conformance.xtrinode.io/v1","kind":"Widget","metadata":{"name":"w"},'
        body = head + b'"spec":{"size":"s","size":"m"}}'
        reply = await http("POST", self.path(widgets, namespace), body, fieldValidation="Strict")
        assert reply.status == 400 and 'duplicate field "spec.size"' in reply.body["message"]

    async def test_built_in_kinds_are_checked_too(self, http: KubeHttp, namespace: str) -> None:
        path = f"/api/v1/namespaces/{namespace}/configmaps"
        body = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "c"}, "dta": {"a": "1"}}
        reply = await http("POST", path, body, fieldValidation="Strict")
        assert reply.status == 400 and 'unknown field "dta"' in reply.body["message"]
        reply = await http("POST", path, body, fieldValidation="Nonsense")
        assert reply.status in (400, 422)


class TestRules:
    async def test_a_broken_rule_speaks_for_itself(self, client: KubeClient, namespace: str, widgets: Resource) -> None:
        (cause,) = await causes_of(client, widgets, widget(min=3, max=2), namespace)
        assert cause == ("spec.min", "Invalid value: min is above max")

    async def test_a_message_can_be_computed(self, client: KubeClient, namespace: str, widgets: Resource) -> None:
        (cause,) = await causes_of(client, widgets, widget(note="taken"), namespace)
        assert cause == ("spec.note", 'Invalid value: "taken": the note taken is taken')

    async def test_transition_rules_compare_with_the_stored_object(
        self, client: KubeClient, namespace: str, widgets: Resource
    ) -> None:
        await client.create(widgets, widget(owner="a"), namespace)
        await client.patch(widgets, "w", namespace, {"spec": {"replicas": 1}})
        with pytest.raises(Invalid) as refused:
            await client.patch(widgets, "w", namespace, {"spec": {"owner": "b"}})
        (cause,) = refused.value.causes
        assert (cause["field"], cause["message"]) == ("spec.owner", 'Invalid value: "b": owner is immutable')

    async def test_rules_wait_for_the_schema(self, client: KubeClient, namespace: str, widgets: Resource) -> None:
        found = await causes_of(client, widgets, widget(size="xxl", min=3, max=2), namespace)
        fields = {field for field, _ in found}
        assert "spec.size" in fields and "spec.min" not in fields
        assert any("some validation rules were not checked" in message for _, message in found)

    async def test_size_counts_characters(self, client: KubeClient, namespace: str) -> None:
        name = {"type": "string", "maxLength": 9, "x-kubernetes-validations": [{"rule": "self.size() <= 2"}]}
        resource = await install(client, {"type": "object", "properties": {"name": name}})
        await client.create(resource, {"metadata": {"name": "x"}, "spec": {"name": "äö"}}, namespace)
        with pytest.raises(Invalid):
            await client.create(resource, {"metadata": {"name": "y"}, "spec": {"name": "äöü"}}, namespace)

    async def test_the_root_knows_its_name(self, client: KubeClient, namespace: str) -> None:
        rules = [{"rule": "self.metadata.name.startsWith('x')", "message": "names begin with x"}]
        resource = await install(client, **{"x-kubernetes-validations": rules})
        await client.create(resource, {"metadata": {"name": "x1"}, "spec": {}}, namespace)
        (cause,) = await causes_of(client, resource, {"metadata": {"name": "y1"}, "spec": {}}, namespace)
        assert cause[1] == "Invalid value: names begin with x"


class TestDefinitions:
    @pytest.mark.parametrize(
        ("schema", "field"),
        [
            ({}, "properties[spec].properties[a].type"),
            ({"type": "array"}, "properties[spec].properties[a].items"),
            ({"type": "string", "pattern": "("}, "properties[spec].properties[a].pattern"),
            ({"type": "integer", "default": "x"}, "properties[spec].properties[a].default"),
            ({"type": "nonsense"}, "properties[spec].properties[a].type"),
            (
                {"type": "string", "x-kubernetes-validations": [{"rule": "slef == 'a'"}]},
                "properties[spec].properties[a].x-kubernetes-validations[0].rule",
            ),
            (
                {
                    "type": "object",
                    "properties": {"b": INTEGER},
                    "x-kubernetes-validations": [{"rule": "!has(self.c) || self.b > 1"}],
                },
                "properties[spec].properties[a].x-kubernetes-validations[0].rule",
            ),
            (
                {"type": "string", "x-kubernetes-validations": [{"rule": "self =="}]},
                "properties[spec].properties[a].x-kubernetes-validations[0].rule",
            ),
        ],
    )
    async def test_a_bad_schema_is_refused_where_it_is_bad(
        self, client: KubeClient, schema: Object, field: str
    ) -> None:
        _, crd = definition({"type": "object", "properties": {"a": schema}})
        with pytest.raises(Invalid) as refused:
            await client.create(CRDS, crd)
        fields = [cause["field"] for cause in refused.value.causes]
        assert any(each == f"spec.validation.openAPIV3Schema.{field}" for each in fields), refused.value.causes

    async def test_the_name_must_fit(self, client: KubeClient) -> None:
        _, crd = definition()
        crd["metadata"]["name"] = "other.scratch.xtrinode.io"
        with pytest.raises(Invalid) as refused:
            await client.create(CRDS, crd)
        assert "metadata.name" in [cause["field"] for cause in refused.value.causes]

    async def test_deleting_one_deletes_its_objects(self, client: KubeClient, namespace: str) -> None:
        resource = await install(client)
        body = {"metadata": {"name": "x", "finalizers": ["test.io/wait"]}, "spec": {}}
        await client.create(resource, body, namespace)
        name = f"{resource.plural}.{resource.group}"
        await client.delete(CRDS, name)

        async def marked() -> bool:
            return "deletionTimestamp" in (await client.get(resource, "x", namespace))["metadata"]

        await until(marked)
        assert "deletionTimestamp" in (await client.get(CRDS, name))["metadata"]
        await client.patch(resource, "x", namespace, {"metadata": {"finalizers": None}})
        await gone(client, CRDS, name)
        with pytest.raises(NotFound):
            await client.list_(resource, namespace)

    async def test_discovery_shows_it(self, http: KubeHttp, widgets: Resource) -> None:
        listed = (await http("GET", f"/apis/{widgets.group}/v1")).body
        found = {each["name"]: each for each in listed["resources"]}
        assert found["widgets"]["shortNames"] == ["wd"] and found["widgets"]["categories"] == ["conformance"]
        assert found["widgets"]["namespaced"] is True and "watch" in found["widgets"]["verbs"]
        assert {"widgets/status", "widgets/scale"} <= found.keys()
        accept = {"Accept": "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList"}
        groups = (await http("GET", "/apis", headers=accept)).body
        assert groups["kind"] == "APIGroupDiscoveryList"
        assert widgets.group in [each["metadata"]["name"] for each in groups["items"]]

    async def test_openapi_describes_it(self, http: KubeHttp, widgets: Resource) -> None:
        async def described() -> Object | None:
            index = (await http("GET", "/openapi/v3")).body
            entry = index["paths"].get(f"apis/{widgets.group}/v1")
            if entry is None:
                return None
            path, _, query = entry["serverRelativeURL"].partition("?")
            document = (await http("GET", path, **dict([query.split("=", 1)] if query else []))).body
            schemas = document["components"]["schemas"].values()
            wanted = {"group": widgets.group, "version": "v1", "kind": "Widget"}
            return next((each for each in schemas if wanted in each.get("x-kubernetes-group-version-kind", [])), None)

        schema = await until(described)
        assert schema["properties"]["spec"]["properties"]["size"]["enum"] == ["xs", "s", "m"]

    async def test_two_kinds_cannot_have_one_name(self, client: KubeClient, widgets: Resource) -> None:
        _, crd = definition()
        crd["spec"]["group"] = widgets.group
        crd["spec"]["names"] = {"plural": "widgetsagain", "kind": "Widget"}
        crd["metadata"]["name"] = f"widgetsagain.{widgets.group}"
        await client.create(CRDS, crd)

        async def rejected() -> bool:
            stored = await client.get(CRDS, crd["metadata"]["name"])
            return conditions_of(stored).get("NamesAccepted") == "False"

        await until(rejected)
        with pytest.raises(ApiError):
            await client.list_(Resource(widgets.group, "v1", "widgetsagain", "Widget"))
        await client.delete(CRDS, crd["metadata"]["name"])
