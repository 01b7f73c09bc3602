"""Structural schemas: what a CRD's `openAPIV3Schema` does to the objects of its kind.

`StructuralSchema(openapi)` is compiled once per CRD version and then asked three things, in the order
in which the real server does them: `prune` drops fields the schema does not know (and lists them, for
strict field validation), `default` fills in defaults (nested ones too) and `validate` returns causes.
An object is changed in place by the first two and never by the last.

Whether a schema is structural in the first place is decided when the CRD is created, elsewhere; CEL
rules are elsewhere too. This module is pure.
"""

from __future__ import annotations

import copy
from dataclasses import dataclass, field
from typing import Any, Final

import jsonschema_rs

from sandbox.kube.errors import Cause
from sandbox.kube.formats import CHECKS
from sandbox.kube.schema_validation import validate_value

TYPE_META: Final = ("apiVersion", "kind", "metadata")

OBJECT_META_FIELDS: Final = frozenset(
    {
        "name",
        "generateName",
        "namespace",
        "selfLink",
        "uid",
        "resourceVersion",
        "generation",
        "creationTimestamp",
        "deletionTimestamp",
        "deletionGracePeriodSeconds",
        "labels",
        "annotations",
        "ownerReferences",
        "finalizers",
        "managedFields",
    }
)

_NO_DEFAULT: Final = object()


@dataclass(slots=True)
class _Node:
    """One schema, with what pruning and defaulting need already looked up."""

    properties: dict[str, _Node] = field(default_factory=dict)
    additional: _Node | None = None
    # `additionalProperties: true` lets any key in, but says nothing of what is below it.
    any_key: bool = False
    items: _Node | None = None
    preserve: bool = False
    embedded: bool = False
    nullable: bool = False
    default: Any = _NO_DEFAULT
    # True when a default, or a null to be dropped, can be met at or below this node.
    defaults_below: bool = False


class StructuralSchema:
    """A compiled `openAPIV3Schema`. Call only with a schema that passed the structural check."""

    def __init__(self, openapi: dict[str, Any]) -> None:
        self.openapi = openapi
        self._root = _compile(openapi)
        # The root of a custom resource always keeps apiVersion, kind and metadata.
        self._root.embedded = True
        self._has_unique_lists = has_unique_lists(openapi)
        self._fast = jsonschema_rs.Draft202012Validator(
            _json_schema(openapi),
            validate_formats=True,
            formats=CHECKS,
            pattern_options=jsonschema_rs.RegexOptions(),
        )

    def prune(self, obj: dict[str, Any]) -> list[str]:
        """Drops unknown fields from `obj`; returns their paths (`spec.list[0].typo`)."""
        unknown: list[str] = []
        _prune(obj, self._root, "", unknown)
        return sorted(unknown)

    def default(self, obj: dict[str, Any]) -> None:
        """Drops nulls where the schema is not nullable, then fills in defaults."""
        _drop_nulls(obj, self._root)
        _default(obj, self._root)

    def validate(self, obj: dict[str, Any], old: dict[str, Any] | None = None) -> list[Cause]:
        """What is wrong with `obj`. Parts that are equal in `old` are not held against it (ratcheting)."""
        return self.validate_part(obj, old, "")

    def validate_part(self, value: Any, old: Any, path: str) -> list[Cause]:
        """The same for a value at `path`: for defaults within a schema."""
        if self._is_valid(value) and not self._has_unique_lists:
            return []
        return validate_value(value, self.openapi, path, old)

    def _is_valid(self, value: Any) -> bool:
        try:
            return bool(self._fast.is_valid(value))
        except ValueError:
            # A value that the Rust side cannot represent (too deep): the walker decides.
            return False


def has_unique_lists(schema: dict[str, Any]) -> bool:
    """Whether a list anywhere in `schema` must hold distinct items: JSON Schema cannot say that."""
    if schema.get("x-kubernetes-list-type") in ("set", "map"):
        return True
    return any(has_unique_lists(child) for child in _children(schema))


def _children(schema: dict[str, Any]) -> list[dict[str, Any]]:
    found = list((schema.get("properties") or {}).values())
    found.extend(schema.get(key) for key in ("items", "additionalProperties"))
    return [child for child in found if isinstance(child, dict)]


def _compile(schema: dict[str, Any]) -> _Node:
    additional, items = schema.get("additionalProperties"), schema.get("items")
    node = _Node(
        properties={key: _compile(value) for key, value in (schema.get("properties") or {}).items()},
        additional=_compile(additional) if isinstance(additional, dict) else None,
        any_key=additional is True,
        items=_compile(items) if isinstance(items, dict) else None,
        preserve=schema.get("x-kubernetes-preserve-unknown-fields") is True,
        embedded=schema.get("x-kubernetes-embedded-resource") is True,
        nullable=schema.get("nullable") is True,
        default=schema["default"] if schema.get("default") is not None else _NO_DEFAULT,
    )
    below = [*node.properties.values(), *(child for child in (node.additional, node.items) if child)]
    node.defaults_below = any(child.default is not _NO_DEFAULT or child.defaults_below for child in below)
    return node


def _prune(value: Any, node: _Node | None, path: str, unknown: list[str]) -> None:
    if isinstance(value, dict):
        _prune_object(value, node, path, unknown)
    elif isinstance(value, list):
        if node is not None and node.preserve and node.items is None:
            return
        for index, item in enumerate(value):
            _prune(item, node.items if node else None, f"{path}[{index}]", unknown)


def _prune_object(value: dict[str, Any], node: _Node | None, path: str, unknown: list[str]) -> None:
    for key in list(value):
        child_path = f"{path}.{key}" if path else key
        if node is not None and node.embedded and key in TYPE_META:
            if key == "metadata":
                _prune_metadata(value[key], child_path, unknown)
        elif node is not None and key in node.properties:
            _prune(value[key], node.properties[key], child_path, unknown)
        elif node is not None and node.additional is not None:
            _prune(value[key], node.additional, child_path, unknown)
        elif node is not None and node.preserve:
            continue
        elif node is not None and node.any_key:
            _prune(value[key], None, child_path, unknown)
        else:
            del value[key]
            unknown.append(child_path)


def _prune_metadata(metadata: Any, path: str, unknown: list[str]) -> None:
    if isinstance(metadata, dict):
        for key in [key for key in metadata if key not in OBJECT_META_FIELDS]:
            del metadata[key]
            unknown.append(f"{path}.{key}")


def _default(value: Any, node: _Node | None) -> None:
    if node is None or not node.defaults_below:
        return
    if isinstance(value, dict):
        for key, child in node.properties.items():
            if child.default is not _NO_DEFAULT and _lacks(value, key, child):
                value[key] = copy.deepcopy(child.default)
        for key in value:
            below = node.properties.get(key, node.additional)
            if below is not None and value[key] is None and not below.nullable:
                value[key] = copy.deepcopy(below.default) if below.default is not _NO_DEFAULT else None
            _default(value[key], below)
    elif isinstance(value, list) and node.items is not None:
        for index, item in enumerate(value):
            if item is None and not node.items.nullable and node.items.default is not _NO_DEFAULT:
                value[index] = copy.deepcopy(node.items.default)
            _default(value[index], node.items)


def _lacks(value: dict[str, Any], key: str, node: _Node) -> bool:
    return key not in value or (value[key] is None and not node.nullable)


def _drop_nulls(value: Any, node: _Node | None) -> None:
    if node is None:
        return
    if isinstance(value, dict):
        for key in list(value):
            below = node.properties.get(key, node.additional)
            if below is None:
                continue
            if value[key] is None and not below.nullable and below.default is _NO_DEFAULT:
                del value[key]
            else:
                _drop_nulls(value[key], below)
    elif isinstance(value, list):
        for item in value:
            _drop_nulls(item, node.items)


_KEPT = (
    "pattern",
    "minLength",
    "maxLength",
    "minItems",
    "maxItems",
    "minProperties",
    "maxProperties",
    "multipleOf",
    "required",
    "uniqueItems",
)


def _json_schema(schema: dict[str, Any]) -> dict[str, Any]:
    """The same constraints as a JSON Schema, for the compiled validator's quick yes or no."""
    out: dict[str, Any] = {key: schema[key] for key in _KEPT if schema.get(key) is not None}
    if schema.get("x-kubernetes-int-or-string"):
        out["type"] = ["integer", "string"]
    elif schema.get("type"):
        out["type"] = [schema["type"]]
    if schema.get("nullable") and "type" in out:
        out["type"] = [*out["type"], "null"]
    if schema.get("enum") is not None:
        out["enum"] = schema["enum"]
    if schema.get("format") in CHECKS:
        out["format"] = schema["format"]
    for bound in ("minimum", "maximum"):
        if schema.get(bound) is not None:
            exclusive = schema.get(f"exclusive{bound.capitalize()}") is True
            out[f"exclusive{bound.capitalize()}" if exclusive else bound] = schema[bound]
    if schema.get("properties"):
        out["properties"] = {key: _json_schema(child) for key, child in schema["properties"].items()}
    for key in ("items", "additionalProperties", "not"):
        if isinstance(schema.get(key), dict):
            out[key] = _json_schema(schema[key])
    for key in ("allOf", "anyOf", "oneOf"):
        if schema.get(key):
            out[key] = [_json_schema(child) for child in schema[key]]
    return out
