"""Is a CRD's schema structural? Asked when a CustomResourceDefinition is created or changed.

`check_structural` returns the causes of the 422 reply, with the paths and sentences of the real server;
an empty list means that `StructuralSchema` will take the schema. CEL rules are checked elsewhere. Pure.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator
from typing import Any, Final

from sandbox.kube.causes import forbidden, invalid, not_supported, required
from sandbox.kube.errors import Cause
from sandbox.kube.schema_validation import pattern, validate_value
from sandbox.kube.structural import StructuralSchema

_TYPES: Final = ("array", "boolean", "integer", "number", "object", "string")
_UNSUPPORTED: Final = (
    "$ref",
    "id",
    "additionalItems",
    "patternProperties",
    "dependencies",
    "definitions",
    "deprecated",
    "discriminator",
    "readOnly",
    "writeOnly",
    "xml",
)
_KNOWN: Final = frozenset(
    {
        "$schema",
        "type",
        "format",
        "title",
        "description",
        "default",
        "enum",
        "example",
        "nullable",
        "externalDocs",
        "minimum",
        "maximum",
        "exclusiveMinimum",
        "exclusiveMaximum",
        "multipleOf",
        "minLength",
        "maxLength",
        "pattern",
        "minItems",
        "maxItems",
        "uniqueItems",
        "items",
        "properties",
        "additionalProperties",
        "required",
        "minProperties",
        "maxProperties",
        "allOf",
        "anyOf",
        "oneOf",
        "not",
        *_UNSUPPORTED,
    }
)
_JUNCTORS: Final = ("allOf", "anyOf", "oneOf")
# What may only stand in the structural skeleton, never below a logical junctor.
_SKELETON_ONLY: Final = (
    "additionalProperties",
    "default",
    "description",
    "nullable",
    "title",
    "x-kubernetes-embedded-resource",
    "x-kubernetes-int-or-string",
    "x-kubernetes-list-map-keys",
    "x-kubernetes-list-type",
    "x-kubernetes-map-type",
    "x-kubernetes-preserve-unknown-fields",
)
_NUMBERS: Final = (
    "minLength",
    "maxLength",
    "minItems",
    "maxItems",
    "minProperties",
    "maxProperties",
)


def check_structural(openapi: dict[str, Any], path: str = "spec.validation.openAPIV3Schema") -> list[Cause]:
    """What keeps `openapi` from being a structural schema."""
    causes = list(_shape(openapi, path))
    if causes:
        return causes
    causes.extend(_root(openapi, path))
    causes.extend(_node(openapi, path, "must not be empty at the root"))
    if not causes:
        causes.extend(_defaults(openapi, path))
    return causes


def _shape(schema: Any, path: str) -> Iterator[Cause]:
    """Wrong JSON types first, so that everything after may trust the keywords."""
    if not isinstance(schema, dict):
        yield invalid(path, schema, "must be an object")
        return
    for key in schema:
        if key not in _KNOWN and not key.startswith("x-kubernetes-"):
            yield forbidden(f"{path}.{key}", "unknown keyword of a schema")
    for key in ("type", "format", "pattern", "description", "title"):
        if not isinstance(schema.get(key, ""), str):
            yield invalid(f"{path}.{key}", schema[key], "must be a string")
    for key in _NUMBERS:
        number = schema.get(key, 0)
        if isinstance(number, bool) or not isinstance(number, int) or number < 0:
            yield invalid(f"{path}.{key}", schema[key], "must be a non-negative integer")
    for key in ("minimum", "maximum", "multipleOf"):
        number = schema.get(key, 1)
        if isinstance(number, bool) or not isinstance(number, int | float):
            yield invalid(f"{path}.{key}", schema[key], "must be a number")
        elif key == "multipleOf" and number <= 0:
            yield invalid(f"{path}.{key}", schema[key], "must be greater than 0")
    for key in ("exclusiveMinimum", "exclusiveMaximum", "nullable", "uniqueItems"):
        if not isinstance(schema.get(key, False), bool):
            yield invalid(f"{path}.{key}", schema[key], "must be a boolean")
    names = schema.get("required", [])
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        yield invalid(f"{path}.required", names, "must be a list of strings")
    if not isinstance(schema.get("enum", []), list):
        yield invalid(f"{path}.enum", schema["enum"], "must be a list")
    yield from _shape_below(schema, path)


def _shape_below(schema: dict[str, Any], path: str) -> Iterator[Cause]:
    properties = schema.get("properties", {})
    if not isinstance(properties, dict):
        yield invalid(f"{path}.properties", properties, "must be an object")
    else:
        for name, child in properties.items():
            yield from _shape(child, f"{path}.properties[{name}]")
    if "items" in schema:
        yield from _shape(schema["items"], f"{path}.items")
    if not isinstance(schema.get("additionalProperties", True), bool):
        yield from _shape(schema["additionalProperties"], f"{path}.additionalProperties")
    if "not" in schema:
        yield from _shape(schema["not"], f"{path}.not")
    for key in _JUNCTORS:
        alternatives = schema.get(key, [])
        if not isinstance(alternatives, list):
            yield invalid(f"{path}.{key}", alternatives, "must be a list")
            continue
        for index, alternative in enumerate(alternatives):
            yield from _shape(alternative, f"{path}.{key}[{index}]")


def _root(schema: dict[str, Any], path: str) -> Iterator[Cause]:
    if schema.get("type") not in (None, "", "object"):
        yield invalid(f"{path}.type", schema["type"], "must be object at the root")
    if schema.get("nullable"):
        yield forbidden(f"{path}.nullable", "nullable cannot be true at the root")
    metadata = (schema.get("properties") or {}).get("metadata")
    if metadata is not None:
        bare = {key: value for key, value in metadata.items() if key not in ("properties", "description")}
        names = set(metadata.get("properties") or {})
        if bare != {"type": "object"} or not names <= {"name", "generateName"}:
            yield forbidden(
                f"{path}.properties[metadata]",
                "must not specify anything other than name and generateName, but metadata is implicitly specified",
            )


def _node(schema: dict[str, Any], path: str, empty: str) -> Iterator[Cause]:
    yield from _type_of(schema, path, empty)
    yield from _keywords(schema, path)
    yield from _list_type(schema, path)
    properties = schema.get("properties") or {}
    additional = schema.get("additionalProperties")
    if properties and additional not in (None, False):
        yield forbidden(f"{path}.additionalProperties", "additionalProperties and properties are mutual exclusive")
    if additional is False:
        yield forbidden(f"{path}.additionalProperties", "must not be false to be structural")
    for name, child in properties.items():
        yield from _node(child, f"{path}.properties[{name}]", "must not be empty for specified object fields")
    if isinstance(additional, dict):
        text = "must not be empty for specified object fields"
        yield from _node(additional, f"{path}.additionalProperties", text)
    if isinstance(schema.get("items"), dict):
        yield from _node(schema["items"], f"{path}.items", "must not be empty for specified array items")
    for key in _JUNCTORS:
        for index, alternative in enumerate(schema.get(key) or []):
            yield from _below_junctor(alternative, schema, f"{path}.{key}[{index}]", path, key)
    if isinstance(schema.get("not"), dict):
        yield from _below_junctor(schema["not"], schema, f"{path}.not", path, "not")


def _type_of(schema: dict[str, Any], path: str, empty: str) -> Iterator[Cause]:
    kind = schema.get("type", "")
    int_or_string = schema.get("x-kubernetes-int-or-string") is True
    preserve = schema.get("x-kubernetes-preserve-unknown-fields") is True
    if kind == "null":
        yield forbidden(f"{path}.type", "type cannot be set to null, use nullable as an alternative")
    elif kind and kind not in _TYPES:
        yield not_supported(f"{path}.type", kind, _TYPES)
    elif int_or_string and kind:
        yield invalid(f"{path}.type", kind, "must be empty if x-kubernetes-int-or-string is true")
    elif not kind and not int_or_string and not preserve:
        yield required(f"{path}.type", empty)
    if schema.get("x-kubernetes-embedded-resource") is True:
        if kind != "object":
            yield invalid(f"{path}.type", kind, "must be object if x-kubernetes-embedded-resource is true")
        if not preserve and not schema.get("properties"):
            yield required(
                f"{path}.properties",
                "must not be empty if x-kubernetes-embedded-resource is true without "
                "x-kubernetes-preserve-unknown-fields",
            )
    if kind == "array" and schema.get("items") is None:
        yield required(f"{path}.items", "must be specified")


def _keywords(schema: dict[str, Any], path: str) -> Iterator[Cause]:
    for key in _UNSUPPORTED:
        if schema.get(key):
            yield forbidden(f"{path}.{key}", f"{key} is not supported")
    if schema.get("uniqueItems"):
        text = "uniqueItems cannot be set to true since the runtime complexity becomes quadratic"
        yield forbidden(f"{path}.uniqueItems", text)
    if schema.get("x-kubernetes-preserve-unknown-fields") is False:
        text = "must be true or undefined"
        yield invalid(f"{path}.x-kubernetes-preserve-unknown-fields", False, text)
    if schema.get("pattern"):
        try:
            pattern(schema["pattern"])
        except ValueError as error:
            reason = str(error).splitlines()[0]
            text = f"must be a valid regular expression, but isn't: {reason}"
            yield invalid(f"{path}.pattern", schema["pattern"], text)


def _list_type(schema: dict[str, Any], path: str) -> Iterator[Cause]:
    kind, keys = schema.get("x-kubernetes-list-type"), schema.get("x-kubernetes-list-map-keys")
    where = f"{path}.x-kubernetes-list-type"
    if kind is not None:
        if kind not in ("atomic", "map", "set"):
            yield not_supported(where, kind, ["atomic", "map", "set"])
            return
        if schema.get("type") != "array":
            text = "must be array if x-kubernetes-list-type is specified"
            yield invalid(f"{path}.type", schema.get("type", ""), text)
            return
    map_type = schema.get("x-kubernetes-map-type")
    if map_type not in (None, "atomic", "granular"):
        yield not_supported(f"{path}.x-kubernetes-map-type", map_type, ["atomic", "granular"])
    where = f"{path}.x-kubernetes-list-map-keys"
    if kind != "map":
        if keys:
            yield forbidden(where, "must not be set if x-kubernetes-list-type is not map")
        if kind == "set" and schema["items"].get("type") in ("object", "array"):
            atomic = "x-kubernetes-map-type" if schema["items"]["type"] == "object" else "x-kubernetes-list-type"
            if schema["items"].get(atomic) != "atomic":
                text = "must be atomic as item of a list with x-kubernetes-list-type=set"
                yield invalid(f"{path}.items.{atomic}", schema["items"].get(atomic), text)
        return
    if not isinstance(keys, list) or not keys or not all(isinstance(key, str) for key in keys):
        yield required(where, "must not be empty if x-kubernetes-list-type is map")
        return
    items = schema.get("items") or {}
    if items.get("type") != "object":
        text = "must be object if parent array's x-kubernetes-list-type is map"
        yield invalid(f"{path}.items.type", items.get("type", ""), text)
        return
    for key in keys:
        child = (items.get("properties") or {}).get(key)
        if child is None:
            yield invalid(where, key, "entries must all be names of item properties")
        elif child.get("type") in ("array", "object"):
            text = "must be a scalar type if parent array's x-kubernetes-list-type is map"
            yield invalid(f"{path}.items.properties[{key}].type", child["type"], text)
        elif key not in (items.get("required") or []) and child.get("default") is None:
            text = "this property is in x-kubernetes-list-map-keys, so it must have a default or be a required property"
            yield required(f"{path}.items.properties[{key}].default", text)


def _below_junctor(
    schema: dict[str, Any], skeleton: dict[str, Any], path: str, skeleton_path: str, junctor: str
) -> Iterator[Cause]:
    for key in _SKELETON_ONLY:
        if schema.get(key) not in (None, False, ""):
            yield forbidden(f"{path}.{key}", "must be undefined to be structural")
    kind = schema.get("type")
    if kind and not (skeleton.get("x-kubernetes-int-or-string") and kind in ("integer", "string")):
        yield forbidden(f"{path}.type", "must be empty to be structural")
    known = skeleton.get("properties") or {}
    for name, child in (schema.get("properties") or {}).items():
        if name not in known:
            where = f"{skeleton_path}.properties[{name}]"
            yield required(where, f"because it is defined in {path}.properties[{name}]")
            continue
        below = f"{skeleton_path}.properties[{name}]"
        yield from _below_junctor(child, known[name], f"{path}.properties[{name}]", below, junctor)
    if isinstance(schema.get("items"), dict):
        items = skeleton.get("items")
        if not isinstance(items, dict):
            yield required(f"{skeleton_path}.items", f"because it is defined in {path}.items")
        else:
            yield from _below_junctor(schema["items"], items, f"{path}.items", f"{skeleton_path}.items", junctor)
    for key in _JUNCTORS:
        for index, alternative in enumerate(schema.get(key) or []):
            yield from _below_junctor(alternative, skeleton, f"{path}.{key}[{index}]", skeleton_path, key)
    if isinstance(schema.get("not"), dict):
        yield from _below_junctor(schema["not"], skeleton, f"{path}.not", skeleton_path, "not")
    yield from _keywords(schema, path)


def _defaults(schema: dict[str, Any], path: str) -> Iterator[Cause]:
    """A default must itself be pruned and valid: it is stored as if the user had written it."""
    if schema.get("default") is not None:
        value = copy.deepcopy(schema["default"])
        unknown = StructuralSchema({"type": "object", "properties": {"value": schema}}).prune({"value": value})
        for name in unknown:
            where = name.removeprefix("value").lstrip(".")
            text = f"must not have unknown fields: {where}"
            yield invalid(f"{path}.default", schema["default"], text)
        causes = validate_value(value, schema)
        yield from (cause._replace(field=f"{path}.default{_below(cause.field)}") for cause in causes)
    for name, child in (schema.get("properties") or {}).items():
        yield from _defaults(child, f"{path}.properties[{name}]")
    for key in ("items", "additionalProperties"):
        if isinstance(schema.get(key), dict):
            yield from _defaults(schema[key], f"{path}.{key}")


def _below(field: str) -> str:
    if field == "<nil>":
        return ""
    return field if field.startswith("[") else f".{field}"
