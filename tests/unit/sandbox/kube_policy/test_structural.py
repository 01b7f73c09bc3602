"""Schemas prune, default and validate as Kubernetes does, and say so in its words."""

import copy

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sandbox.kube.schema_check import check_structural
from sandbox.kube.schema_validation import same, validate_value
from sandbox.kube.structural import StructuralSchema


def schema(**spec):
    return {"type": "object", "properties": {"spec": {"type": "object", "properties": spec}}}


def judge(properties, spec, old=None):
    compiled = StructuralSchema(schema(**properties))
    return [
        f"{cause.field}: {cause.message}"
        for cause in compiled.validate({"spec": spec}, None if old is None else {"spec": old})
    ]


def prune(openapi, obj):
    unknown = StructuralSchema(openapi).prune(obj)
    return unknown, obj


def default(openapi, obj):
    StructuralSchema(openapi).default(obj)
    return obj


STRING, INTEGER = {"type": "string"}, {"type": "integer"}


class TestPruning:
    def test_unknown_fields_go_and_are_named(self):
        openapi = schema(size=STRING, items={"type": "array", "items": {"type": "object", "properties": {"a": STRING}}})
        obj = {
            "apiVersion": "v1",
            "kind": "K",
            "spec": {"size": "s", "typo": 1, "items": [{"a": "x", "b": {}}]},
            "x": 1,
        }
        unknown, obj = prune(openapi, obj)
        assert sorted(unknown) == ["spec.items[0].b", "spec.typo", "x"]
        assert obj == {"apiVersion": "v1", "kind": "K", "spec": {"size": "s", "items": [{"a": "x"}]}}

    def test_metadata_keeps_only_what_object_meta_has(self):
        unknown, obj = prune(schema(), {"metadata": {"name": "a", "nam": "b"}})
        assert unknown == ["metadata.nam"] and obj == {"metadata": {"name": "a"}}

    def test_preserved_objects_keep_unknown_but_still_prune_what_they_specify(self):
        free = {
            "type": "object",
            "x-kubernetes-preserve-unknown-fields": True,
            "properties": {"known": {"type": "object", "properties": {"a": STRING}}},
        }
        unknown, obj = prune(schema(free=free), {"spec": {"free": {"x": {"y": 1}, "known": {"a": "1", "b": 2}}}})
        assert unknown == ["spec.free.known.b"]
        assert obj["spec"]["free"] == {"x": {"y": 1}, "known": {"a": "1"}}

    def test_maps_prune_their_values(self):
        values = {"type": "object", "additionalProperties": {"type": "object", "properties": {"a": STRING}}}
        assert prune(schema(m=values), {"spec": {"m": {"k": {"a": "1", "b": 1}}}})[0] == ["spec.m.k.b"]

    def test_an_embedded_resource_keeps_its_type_and_metadata(self):
        embedded = {
            "type": "object",
            "x-kubernetes-embedded-resource": True,
            "properties": {"spec": {"type": "object", "properties": {"a": STRING}}},
        }
        obj = {"spec": {"e": {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "x", "q": 1}, "spec": {"b": 1}}}}
        unknown, obj = prune(schema(e=embedded), obj)
        assert unknown == ["spec.e.metadata.q", "spec.e.spec.b"]
        assert obj["spec"]["e"] == {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "x"}, "spec": {}}


class TestDefaulting:
    def test_defaults_nest_through_objects_lists_and_maps(self):
        item = {"type": "object", "properties": {"n": {"type": "integer", "default": 7}}}
        openapi = schema(
            one={"type": "object", "default": {}, "properties": {"n": {"type": "integer", "default": 1}}},
            many={"type": "array", "items": item},
            named={"type": "object", "additionalProperties": item},
        )
        obj = default(openapi, {"spec": {"many": [{}, {"n": 2}], "named": {"k": {}}}})
        assert obj["spec"] == {"one": {"n": 1}, "many": [{"n": 7}, {"n": 2}], "named": {"k": {"n": 7}}}

    def test_an_absent_parent_is_not_invented(self):
        assert default(schema(n={"type": "integer", "default": 1}), {}) == {}

    def test_null_is_dropped_defaulted_or_kept(self):
        openapi = schema(
            plain=STRING,
            with_default={"type": "string", "default": "d"},
            nullable={"type": "string", "nullable": True, "default": "d"},
        )
        obj = default(openapi, {"spec": {"plain": None, "with_default": None, "nullable": None}})
        assert obj == {"spec": {"with_default": "d", "nullable": None}}

    def test_defaults_are_not_shared_between_objects(self):
        compiled = StructuralSchema(schema(a={"type": "object", "default": {"l": []}, "properties": {}}))
        first, second = {"spec": {}}, {"spec": {}}
        compiled.default(first)
        first["spec"]["a"]["l"].append(1)
        compiled.default(second)
        assert second == {"spec": {"a": {"l": []}}}

    def test_false_and_zero_are_defaults_too(self):
        openapi = schema(a={"type": "boolean", "default": False}, b={"type": "integer", "default": 0})
        assert default(openapi, {"spec": {}}) == {"spec": {"a": False, "b": 0}}


SIZE = {"type": "string", "enum": ["xs", "s", "m"]}


@pytest.mark.parametrize(
    ("properties", "spec", "expected"),
    [
        ({"size": SIZE}, {"size": "xxl"}, 'spec.size: Unsupported value: "xxl": supported values: "xs", "s", "m"'),
        (
            {"n": INTEGER},
            {"n": "3"},
            'spec.n: Invalid value: "string": spec.n in body must be of type integer: "string"',
        ),
        (
            {"n": INTEGER},
            {"n": True},
            'spec.n: Invalid value: "boolean": spec.n in body must be of type integer: "boolean"',
        ),
        (
            {"n": INTEGER},
            {"n": 1.5},
            'spec.n: Invalid value: "number": spec.n in body must be of type integer: "number"',
        ),
        ({"s": STRING}, {"s": None}, 'spec.s: Invalid value: "null": spec.s in body must be of type string: "null"'),
        (
            {"n": {"type": "integer", "minimum": 1}},
            {"n": 0},
            "spec.n: Invalid value: 0: spec.n in body should be greater than or equal to 1",
        ),
        (
            {"n": {"type": "integer", "maximum": 5}},
            {"n": 9},
            "spec.n: Invalid value: 9: spec.n in body should be less than or equal to 5",
        ),
        (
            {"n": {"type": "number", "minimum": 0, "exclusiveMinimum": True}},
            {"n": 0},
            "spec.n: Invalid value: 0: spec.n in body should be greater than 0",
        ),
        (
            {"n": {"type": "integer", "multipleOf": 5}},
            {"n": 7},
            "spec.n: Invalid value: 7: spec.n in body should be a multiple of 5",
        ),
        ({"s": {"type": "string", "maxLength": 2}}, {"s": "abc"}, "spec.s: Too long: may not be more than 2 bytes"),
        (
            {"s": {"type": "string", "minLength": 2}},
            {"s": "a"},
            'spec.s: Invalid value: "a": spec.s in body should be at least 2 chars long',
        ),
        (
            {"s": {"type": "string", "pattern": "^a+$"}},
            {"s": "b"},
            "spec.s: Invalid value: \"b\": spec.s in body should match '^a+$'",
        ),
        (
            {"s": {"type": "string", "pattern": "^a+$"}},
            {"s": "a\n"},
            "spec.s: Invalid value: \"a\\n\": spec.s in body should match '^a+$'",
        ),
        (
            {"s": {"type": "string", "format": "date-time"}},
            {"s": "noon"},
            'spec.s: Invalid value: "noon": spec.s in body must be of type date-time: "noon"',
        ),
        (
            {"l": {"type": "array", "items": STRING, "maxItems": 1}},
            {"l": ["a", "b"]},
            "spec.l: Too many: 2: must have at most 1 item",
        ),
        (
            {"l": {"type": "array", "items": STRING}},
            {"l": ["a", 1]},
            'spec.l[1]: Invalid value: "integer": spec.l[1] in body must be of type string: "integer"',
        ),
        (
            {"l": {"type": "array", "items": STRING, "x-kubernetes-list-type": "set"}},
            {"l": ["a", "a"]},
            'spec.l[1]: Duplicate value: "a"',
        ),
        (
            {"p": {"x-kubernetes-int-or-string": True}},
            {"p": True},
            'spec.p: Invalid value: "boolean": spec.p in body must be of type integer,string: "boolean"',
        ),
        (
            {"o": {"type": "object", "required": ["a"], "properties": {"a": STRING}}},
            {"o": {}},
            "spec.o.a: Required value",
        ),
        (
            {"m": {"type": "object", "additionalProperties": INTEGER}},
            {"m": {"k": "v"}},
            'spec.m.k: Invalid value: "string": spec.m.k in body must be of type integer: "string"',
        ),
    ],
)
def test_a_bad_value_is_refused_in_the_servers_words(properties, spec, expected):
    assert judge(properties, spec) == [expected]


def test_list_maps_refuse_a_key_twice():
    item = {"type": "object", "required": ["name"], "properties": {"name": STRING, "v": INTEGER}}
    many = {"type": "array", "items": item, "x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["name"]}
    assert judge({"l": many}, {"l": [{"name": "a", "v": 1}, {"name": "a", "v": 2}]}) == [
        'spec.l[1]: Duplicate value: {"name":"a"}'
    ]


def test_junctors_name_the_place():
    either = {
        "type": "object",
        "properties": {"a": STRING, "b": STRING},
        "oneOf": [{"required": ["a"]}, {"required": ["b"]}],
    }
    assert judge({"e": either}, {"e": {"a": "1"}}) == []
    (text,) = judge({"e": either}, {"e": {"a": "1", "b": "1"}})
    assert '"spec.e" must validate one and only one schema (oneOf). Found 2 valid alternatives' in text


def test_int_or_string_takes_both():
    port = {"x-kubernetes-int-or-string": True}
    assert judge({"p": port}, {"p": 1}) == judge({"p": port}, {"p": "http"}) == []


@pytest.mark.parametrize("good", ["5m", "1h30m", "1.5s", "0", "-2ns"])
def test_durations(good):
    assert judge({"d": {"type": "string", "format": "duration"}}, {"d": good}) == []
    assert judge({"d": {"type": "string", "format": "duration"}}, {"d": good + "x"}) != []


class TestRatcheting:
    TIGHT = {"size": SIZE, "n": {"type": "integer", "maximum": 3}}

    def test_what_did_not_change_may_stay(self):
        assert judge(self.TIGHT, {"size": "old", "n": 1}, old={"size": "old", "n": 2}) == []

    def test_what_changed_is_judged(self):
        assert len(judge(self.TIGHT, {"size": "old", "n": 9}, old={"size": "old", "n": 2})) == 1

    def test_items_of_list_maps_are_matched_by_key(self):
        item = {
            "type": "object",
            "required": ["name"],
            "properties": {"name": STRING, "v": {"type": "integer", "maximum": 3}},
        }
        many = {"type": "array", "items": item, "x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["name"]}
        old = {"l": [{"name": "a", "v": 9}]}
        assert judge({"l": many}, {"l": [{"name": "b", "v": 1}, {"name": "a", "v": 9}]}, old=old) == []
        assert len(judge({"l": many}, {"l": [{"name": "b", "v": 9}, {"name": "a", "v": 9}]}, old=old)) == 1


@pytest.mark.parametrize(
    ("openapi", "expected"),
    [
        ({}, ".type: Required value: must not be empty at the root"),
        ({"type": "string"}, '.type: Invalid value: "string": must be object at the root'),
        (
            schema(a={}),
            ".properties[spec].properties[a].type: Required value: must not be empty for specified object fields",
        ),
        (schema(a={"type": "array"}), ".properties[spec].properties[a].items: Required value: must be specified"),
        (
            schema(a={"type": "array", "items": {}}),
            ".properties[spec].properties[a].items.type: Required value: must not be empty for specified array items",
        ),
        (schema(a={"type": "string", "pattern": "("}), ".properties[spec].properties[a].pattern: Invalid value"),
        (schema(a={"type": "sting"}), '.properties[spec].properties[a].type: Unsupported value: "sting"'),
        (schema(a={"type": "array", "items": STRING, "uniqueItems": True}), ".uniqueItems: Forbidden"),
        (
            {"type": "object", "properties": {"a": STRING}, "additionalProperties": STRING},
            ".additionalProperties: Forbidden: additionalProperties and properties are mutual exclusive",
        ),
        (schema(a={"type": "string", "default": 3}), ".properties[spec].properties[a].default: Invalid value"),
        (
            schema(a={"type": "object", "properties": {}, "default": {"x": 1}}),
            'default: Invalid value: {"x":1}: must not have unknown fields: x',
        ),
        (
            schema(a={"type": "array", "items": {"type": "object"}, "x-kubernetes-list-type": "map"}),
            ".x-kubernetes-list-map-keys: Required value",
        ),
        (
            {"type": "object", "properties": {"a": STRING}, "anyOf": [{"properties": {"b": {"minLength": 1}}}]},
            "because it is defined in",
        ),
        (
            {
                "type": "object",
                "properties": {"metadata": {"type": "object", "properties": {"labels": {"type": "object"}}}},
            },
            "implicitly specified",
        ),
        (schema(a={"type": "string", "minlength": 1}), "minlength: Forbidden"),
        (schema(a={"type": 3}), "must be a string"),
    ],
)
def test_schemas_that_are_not_structural_are_refused(openapi, expected):
    texts = [f"{cause.field}: {cause.message}" for cause in check_structural(openapi)]
    assert any(expected in text for text in texts), texts


def test_true_is_not_one():
    assert not same(True, 1) and same(1, 1.0) and not same({"a": [True]}, {"a": [1]})


json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 5) | st.floats(-3, 3) | st.text("ab", max_size=3),
    lambda below: st.lists(below, max_size=3) | st.dictionaries(st.sampled_from("abc"), below, max_size=3),
    max_leaves=8,
)


def schemas():
    scalar = st.one_of(
        st.fixed_dictionaries(
            {"type": st.just("string")},
            optional={
                "maxLength": st.integers(0, 3),
                "pattern": st.sampled_from(["^a", "b$"]),
                "nullable": st.booleans(),
            },
        ),
        st.fixed_dictionaries(
            {"type": st.sampled_from(["integer", "number"])},
            optional={
                "minimum": st.integers(-3, 3),
                "exclusiveMinimum": st.booleans(),
                "multipleOf": st.integers(1, 3),
            },
        ),
        st.just({"x-kubernetes-int-or-string": True}),
        st.fixed_dictionaries({"type": st.just("boolean")}, optional={"enum": st.just([True])}),
    )
    return st.recursive(
        scalar,
        lambda below: st.one_of(
            st.fixed_dictionaries({"type": st.just("array"), "items": below}, optional={"maxItems": st.integers(0, 2)}),
            st.fixed_dictionaries(
                {"type": st.just("object"), "properties": st.dictionaries(st.sampled_from("abc"), below, max_size=3)},
                optional={
                    "required": st.lists(st.sampled_from("abc"), unique=True, max_size=2),
                    "nullable": st.booleans(),
                },
            ),
            st.fixed_dictionaries({"type": st.just("object"), "additionalProperties": below}),
        ),
        max_leaves=6,
    )


@given(schemas(), json_values)
def test_the_fast_and_the_talkative_validator_agree(openapi, value):
    compiled = StructuralSchema(openapi)
    assert compiled._is_valid(value) == (not validate_value(value, openapi))


@given(schemas(), st.dictionaries(st.sampled_from("abc"), json_values, max_size=3))
def test_pruning_and_defaulting_are_idempotent(openapi, obj):
    compiled = StructuralSchema(openapi)
    compiled.prune(obj)
    compiled.default(obj)
    again = copy.deepcopy(obj)
    assert compiled.prune(again) == []
    compiled.default(again)
    assert again == obj


@given(json_values)
def test_any_json_is_judged_as_a_schema_without_a_crash(value):
    if isinstance(value, dict):
        check_structural(value)
