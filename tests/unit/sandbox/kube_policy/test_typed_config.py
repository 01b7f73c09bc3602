"""A configuration to be applied is read by the schema first; what does not fit is named where it is."""

from hypothesis import given
from hypothesis import strategies as st

from sandbox.kube.typed_config import mismatches, refusal, stray_nulls

STRING = {"type": "string"}
PART = {"type": "object", "properties": {"name": STRING, "count": {"type": "integer"}}}
SCHEMA = {
    "type": "object",
    "properties": {
        "s": STRING,
        "n": {"type": "number"},
        "b": {"type": "boolean"},
        "port": {"x-kubernetes-int-or-string": True},
        "map": {"type": "object", "additionalProperties": STRING},
        "free": {"type": "object", "x-kubernetes-preserve-unknown-fields": True},
        "plain": {"type": "array", "items": STRING},
        "parts": {
            "type": "array",
            "items": PART,
            "x-kubernetes-list-type": "map",
            "x-kubernetes-list-map-keys": ["name"],
        },
    },
}


def test_what_fits_is_not_mentioned():
    config = {
        "s": None,
        "n": 1.5,
        "b": True,
        "port": "http",
        "map": {"k": "v"},
        "free": {"x": [1]},
        "plain": ["a", None],
        "parts": [{"name": "a", "count": 1}],
    }
    assert mismatches(config, SCHEMA) == []


def test_what_does_not_fit_is_named():
    config = {
        "s": 3,
        "n": "x",
        "b": "x",
        "map": {"k": 1},
        "free": [],
        "plain": [1],
        "parts": [{"name": "a", "z": 1}, None],
        "typo": 1,
    }
    assert mismatches(config, SCHEMA) == [
        '.b: expected boolean, got &value.valueUnstructured{Value:"x"}',
        ".free: expected map, got &value.valueUnstructured{Value:[]}",
        ".map.k: expected string, got &value.valueUnstructured{Value:1}",
        ".n: expected numeric (int or float), got string",
        ".parts: element 1: associative list with keys may not have a null element",
        '.parts[name="a"].z: field not declared in schema',
        ".plain[0]: expected string, got &value.valueUnstructured{Value:1}",
        ".s: expected string, got &value.valueUnstructured{Value:3}",
        ".typo: field not declared in schema",
    ]


def test_members_of_associative_lists_need_an_identity_of_their_own():
    openapi = {"type": "object", "properties": {**SCHEMA["properties"]}}
    openapi["properties"]["tags"] = {"type": "array", "items": STRING, "x-kubernetes-list-type": "set"}
    assert mismatches({"tags": ["a", "a"]}, openapi) == ['.tags: duplicate entries for key [="a"]']
    assert mismatches({"tags": [1]}, openapi)[0].startswith(".tags[=1]: expected string")
    assert mismatches({"parts": [{"count": 1}]}, openapi) == [
        '.parts: element 0: associative list with keys has an element that omits all key fields ["name"] '
        "(and doesn't have default values for any key fields)"
    ]
    assert mismatches({"parts": [{"name": "a"}, {"name": "a"}]}, openapi) == [
        '.parts: duplicate entries for key [name="a"]'
    ]


def test_nulls_are_found_where_a_value_is_wanted():
    properties = {
        "plain": STRING,
        "nullable": {"type": "string", "nullable": True},
        "defaulted": {"type": "string", "default": "d"},
        "free": {"x-kubernetes-preserve-unknown-fields": True},
        "items": {"type": "array", "items": {"type": "object", "properties": {"a": STRING}}},
    }
    config = {**dict.fromkeys(properties), "items": [{"a": None}, None]}
    found = stray_nulls(config, {"type": "object", "properties": properties})
    assert [cause.field for cause in found] == ["plain", "items[0].a", "items[1]"]
    assert found[0].message == 'Invalid value: "null": plain in body must be of type string: "null"'


def test_the_refusal_names_the_object():
    config = {"metadata": {"name": "a", "namespace": "ns"}}
    head = "failed to create typed patch object (ns/a; test.io/v1, Kind=Gadget): "
    assert refusal("test.io/v1", "Gadget", config, [".x: y"]) == f"{head}.x: y"
    assert refusal("test.io/v1", "Gadget", config, [".x: y", ".z: y"]) == f"{head}errors:\n  .x: y\n  .z: y"
    assert "(ns/a; /v1, Kind=ConfigMap)" in refusal("v1", "ConfigMap", config, [".x: y"])


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=3),
        lambda below: (
            st.lists(below, max_size=3)
            | st.dictionaries(st.sampled_from([*SCHEMA["properties"], "name", "count"]), below, max_size=4)
        ),
        max_leaves=10,
    )
)
def test_any_value_is_judged(value):
    assert all(text.startswith((".", ": ")) for text in mismatches(value, SCHEMA))
