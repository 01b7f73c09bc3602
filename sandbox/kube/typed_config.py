"""What server-side apply refuses before it merges: a configuration that does not fit its kind's schema.

The real server reads an applied configuration by the schema first, so an unknown field or a wrong type is an error
there whatever `fieldValidation` says. The verbs ask `mismatches` for custom resources; built-in kinds are read by the
ordinary decoder, because their schemas here are a part of the real ones. The wording is the real server's. Pure.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

import orjson

from sandbox.kube.schema_validation import list_map_keys
from sandbox.kube.store import Object

_NUMERIC: Final = ("integer", "number")


def mismatches(config: Object, schema: dict[str, Any]) -> list[str]:
    """`.path: what is wrong` for each place, in order."""
    return sorted(_walk(config, schema, ""))


def refusal(api_version: str, kind: str, config: Object, wrong: list[str]) -> str:
    """The message of the refusal."""
    metadata = config["metadata"]
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
    items, keys = schema.get("items"), list_map_keys(schema)
    for index, item in enumerate(value):
        if keys and item is None:
            yield f"{path}: element {index}: associative list with keys may not have a null element"
        elif isinstance(items, dict):
            yield from _walk(item, items, f"{path}[{_key(item, keys, index)}]")


def _key(item: Any, keys: list[str], index: int) -> str:
    if not keys or not isinstance(item, dict):
        return str(index)
    return ",".join(f"{key}={_json(item[key])}" for key in sorted(keys) if key in item) or str(index)


def _shown(value: Any) -> str:
    return f"&value.valueUnstructured{{Value:{_json(value)}}}"


def _json(value: Any) -> str:
    return orjson.dumps(value).decode()


def _type_name(value: Any) -> str:
    if isinstance(value, bool):
        return "bool"
    if isinstance(value, str):
        return "string"
    return "list" if isinstance(value, list) else "map"
