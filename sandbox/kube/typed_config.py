"""What server-side apply refuses before it merges: a configuration that does not fit its kind's schema.

The real server reads an applied configuration by the schema first, so an unknown field or a wrong type is an error
there whatever `fieldValidation` says. The verbs ask `mismatches` for every kind and `stray_nulls` for custom resources,
whose nulls mean something. Pure.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from sandbox.kube.causes import quote, type_invalid
from sandbox.kube.errors import Cause
from sandbox.kube.schema_validation import child_path, list_map_keys
from sandbox.kube.store import Object

_NUMERIC: Final = ("integer", "number")


def mismatches(config: Object, schema: dict[str, Any]) -> list[str]:
    """`.path: what is wrong` for each place, in order."""
    return sorted(_walk(config, schema, ""))


def stray_nulls(config: Any, schema: dict[str, Any], path: str = "") -> list[Cause]:
    """Nulls where the schema wants a value. A plain write drops them; an applied one is refused for them."""
    if config is None:
        wanted = "integer,string" if schema.get("x-kubernetes-int-or-string") else schema.get("type")
        if not wanted or schema.get("nullable") or schema.get("default") is not None:
            return []
        return [type_invalid(path, "null", f'{path} in body must be of type {wanted}: "null"')]
    found: list[Cause] = []
    if isinstance(config, dict):
        properties, additional = schema.get("properties") or {}, schema.get("additionalProperties")
        for key, item in config.items():
            below = properties.get(key, additional)
            if isinstance(below, dict):
                found += stray_nulls(item, below, child_path(path, key))
    elif isinstance(config, list) and isinstance(schema.get("items"), dict):
        for index, item in enumerate(config):
            found += stray_nulls(item, schema["items"], f"{path}[{index}]")
    return found


def refusal(api_version: str, kind: str, config: Object, wrong: list[str]) -> str:
    """The message of the refusal."""
    metadata = config.get("metadata") or {}
    named = f"{metadata.get('namespace') or ''}/{metadata.get('name') or ''}"
    version = api_version if "/" in api_version else f"/{api_version}"
    text = wrong[0] if len(wrong) == 1 else "errors:" + "".join(f"\n  {each}" for each in wrong)
    return f"failed to create typed patch object ({named}; {version}, Kind={kind}): {text}"


def _walk(value: Any, schema: dict[str, Any], path: str) -> Iterator[str]:
    if value is None or schema.get("x-kubernetes-int-or-string"):
        return
    kind = schema.get("type")
    if kind == "object":
        yield from _object(value, schema, path)
    elif kind == "array":
        yield from _list(value, schema, path)
    elif kind == "string" and not isinstance(value, str):
        yield f"{path}: expected string, got {_shown(value)}"
    elif kind in _NUMERIC and (isinstance(value, bool) or not isinstance(value, int | float)):
        yield f"{path}: expected numeric (int or float), got {_type_name(value)}"
    elif kind == "boolean" and not isinstance(value, bool):
        yield f"{path}: expected boolean, got {_shown(value)}"


def _object(value: Any, schema: dict[str, Any], path: str) -> Iterator[str]:
    if not isinstance(value, dict):
        yield f"{path}: expected map, got {_shown(value)}"
        return
    properties, additional = schema.get("properties") or {}, schema.get("additionalProperties")
    open_ended = schema.get("x-kubernetes-preserve-unknown-fields") or additional is True
    for key, item in value.items():
        below = properties.get(key, additional)
        if isinstance(below, dict):
            yield from _walk(item, below, f"{path}.{key}")
        elif not open_ended:
            yield f"{path}.{key}: field not declared in schema"


def _list(value: Any, schema: dict[str, Any], path: str) -> Iterator[str]:
    if not isinstance(value, list):
        yield f"{path}: expected list, got {_shown(value)}"
        return
    items = schema.get("items") or {}
    if schema.get("x-kubernetes-list-type") not in ("map", "set"):
        for index, item in enumerate(value):
            yield from _walk(item, items, f"{path}[{index}]")
        return
    keys, seen = list_map_keys(schema), set[str]()
    for index, item in enumerate(value):
        why = _no_member(item, keys, items)
        if why:
            # Without an identity for this one, the others are not looked at.
            yield f"{path}: element {index}: {why}"
            return
        identity = _identity(item, keys)
        if identity in seen:
            yield f"{path}: duplicate entries for key [{identity}]"
        seen.add(identity)
        yield from _walk(item, items, f"{path}[{identity}]")


def _no_member(item: Any, keys: list[str], items: dict[str, Any]) -> str:
    """Why an item has no identity in its list; empty when it has one."""
    if not keys:
        return "associative list without keys has an element that's a map type" if isinstance(item, dict) else ""
    if item is None:
        return "associative list with keys may not have a null element"
    if not isinstance(item, dict):
        return "associative list with keys may not have non-map elements"
    properties = items.get("properties") or {}
    if any(key in item or (properties.get(key) or {}).get("default") is not None for key in keys):
        return ""
    listed = " ".join(quote(key) for key in keys)
    return (
        f"associative list with keys has an element that omits all key fields [{listed}] "
        "(and doesn't have default values for any key fields)"
    )


def _identity(item: Any, keys: list[str]) -> str:
    if not keys:
        return f"={quote(item)}"
    return ",".join(f"{key}={quote(item[key])}" for key in sorted(keys) if key in item)


def _shown(value: Any) -> str:
    return f"&value.valueUnstructured{{Value:{quote(value)}}}"


def _type_name(value: Any) -> str:
    if isinstance(value, bool):
        return "bool"
    if isinstance(value, str):
        return "string"
    return "list" if isinstance(value, list) else "map"
