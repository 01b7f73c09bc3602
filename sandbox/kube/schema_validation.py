"""Validates a value against an OpenAPI v3 schema, with Kubernetes' paths and sentences.

This is the slow, talkative half: it runs only when the compiled validator has said no (or when lists
must be checked for uniqueness), and finds out where and why. Values that are equal in the stored
object are not judged again ("ratcheting"): a schema that was tightened later must not block an update
of something else. Pure.
"""

from __future__ import annotations

import functools
from typing import Any, Final

import jsonschema_rs

from sandbox.kube import formats
from sandbox.kube.causes import (
    duplicate,
    invalid,
    not_supported,
    required,
    too_long,
    too_many,
    type_invalid,
)
from sandbox.kube.errors import Cause

ABSENT: Final = object()
"""Stands for "there is no stored value here": null is a value."""

_NUMERIC_FORMATS: Final = frozenset({"int32", "int64", "float", "double"})


def validate_value(value: Any, schema: dict[str, Any], path: str = "", old: Any = None) -> list[Cause]:
    """All causes for refusing `value` at `path`; `old` is the stored value, None when there is none."""
    causes: list[Cause] = []
    _value(value, schema, path, ABSENT if old is None else old, causes)
    _lists(value, schema, path, ABSENT if old is None else old, causes)
    return causes


def same(left: Any, right: Any) -> bool:
    """JSON equality: unlike Python's, true is not 1. Does not recurse, however deep the value."""
    stack = [(left, right)]
    while stack:
        a, b = stack.pop()
        if a is b:
            continue
        if isinstance(a, dict) and isinstance(b, dict):
            if a.keys() != b.keys():
                return False
            stack.extend((a[key], b[key]) for key in a)
        elif isinstance(a, list) and isinstance(b, list):
            if len(a) != len(b):
                return False
            stack.extend(zip(a, b, strict=True))
        elif isinstance(a, bool) or isinstance(b, bool) or a != b:
            return False
    return True


@functools.lru_cache(maxsize=4096)
def pattern(expression: str) -> jsonschema_rs.Draft202012Validator:
    """A compiled `pattern`. The engine is linear in time, as the real server's is."""
    return jsonschema_rs.Draft202012Validator({"pattern": expression}, pattern_options=jsonschema_rs.RegexOptions())


def child_path(path: str, key: str) -> str:
    """The path of a property below `path`."""
    return f"{path}.{key}" if path else key


def _value(value: Any, schema: dict[str, Any], path: str, old: Any, causes: list[Cause]) -> None:
    if old is not ABSENT and same(value, old):
        return
    fits = _type(value, schema, path, causes)
    if isinstance(schema.get("enum"), list) and not any(same(value, item) for item in schema["enum"]):
        causes.append(not_supported(path, value, schema["enum"]))
    if not fits:
        return
    if isinstance(value, str):
        _string(value, schema, path, causes)
    elif isinstance(value, int | float) and not isinstance(value, bool):
        _number(value, schema, path, causes)
    elif isinstance(value, list):
        _list(value, schema, path, old, causes)
    elif isinstance(value, dict):
        _object(value, schema, path, old, causes)
    _junctors(value, schema, path, causes)


def kind_of(value: Any) -> str:
    """The JSON type's name, as the real server words it."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "boolean"
    if isinstance(value, str):
        return "string"
    if isinstance(value, int):
        return "integer"
    if isinstance(value, float):
        return "number"
    return "array" if isinstance(value, list) else "object"


def _type(value: Any, schema: dict[str, Any], path: str, causes: list[Cause]) -> bool:
    if schema.get("x-kubernetes-int-or-string"):
        allowed = ["integer", "string"]
    elif schema.get("type"):
        allowed = [schema["type"]]
    else:
        return True
    actual = kind_of(value)
    if actual == "null" and schema.get("nullable"):
        # Null is all that is allowed here; no other keyword applies but `enum`.
        return True
    if actual in allowed or (actual == "integer" and "number" in allowed):
        return True
    if actual == "number" and "integer" in allowed and float(value).is_integer():
        return True
    wanted = ",".join(allowed)
    causes.append(type_invalid(path, actual, f'{path} in body must be of type {wanted}: "{actual}"'))
    return False


def _string(value: str, schema: dict[str, Any], path: str, causes: list[Cause]) -> None:
    longest, shortest = schema.get("maxLength"), schema.get("minLength")
    if longest is not None and len(value) > longest:
        causes.append(too_long(path, longest))
    if shortest is not None and len(value) < shortest:
        causes.append(invalid(path, value, f"{path} in body should be at least {shortest} chars long"))
    expression = schema.get("pattern")
    if expression and not pattern(expression).is_valid(value):
        causes.append(invalid(path, value, f"{path} in body should match '{expression}'"))
    kind = schema.get("format")
    if kind and kind not in _NUMERIC_FORMATS and not formats.valid(kind, value):
        causes.append(type_invalid(path, value, f"{path} in body must be of type {kind}: {_quoted(value)}"))


def _quoted(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def _number(value: float, schema: dict[str, Any], path: str, causes: list[Cause]) -> None:
    low, high = schema.get("minimum"), schema.get("maximum")
    if high is not None:
        exclusive = schema.get("exclusiveMaximum") is True
        if value > high or (exclusive and value == high):
            words = "less than" if exclusive else "less than or equal to"
            causes.append(invalid(path, value, f"{path} in body should be {words} {_plain(high)}"))
    if low is not None:
        exclusive = schema.get("exclusiveMinimum") is True
        if value < low or (exclusive and value == low):
            words = "greater than" if exclusive else "greater than or equal to"
            causes.append(invalid(path, value, f"{path} in body should be {words} {_plain(low)}"))
    step = schema.get("multipleOf")
    if step and not jsonschema_rs.is_valid({"multipleOf": step}, value):
        causes.append(invalid(path, value, f"{path} in body should be a multiple of {_plain(step)}"))


def _plain(number: float) -> str:
    return str(int(number)) if float(number).is_integer() else str(number)


def _list(value: list[Any], schema: dict[str, Any], path: str, old: Any, causes: list[Cause]) -> None:
    longest, shortest = schema.get("maxItems"), schema.get("minItems")
    if longest is not None and len(value) > longest:
        causes.append(too_many(path, len(value), longest))
    if shortest is not None and len(value) < shortest:
        causes.append(invalid(path, len(value), f"{path} in body should have at least {shortest} items"))
    items = schema.get("items")
    if isinstance(items, dict):
        for index, item in enumerate(value):
            before = counterpart(item, schema, old)
            _value(item, items, f"{path}[{index}]", before, causes)


def counterpart(item: Any, schema: dict[str, Any], old: Any) -> Any:
    """The stored item that `item` corresponds to: only list maps tell, by their keys."""
    keys = list_map_keys(schema)
    if not keys or not isinstance(old, list) or not isinstance(item, dict):
        return ABSENT
    wanted = tuple(_frozen(item.get(key)) for key in keys)
    found = [
        candidate
        for candidate in old
        if isinstance(candidate, dict) and tuple(_frozen(candidate.get(key)) for key in keys) == wanted
    ]
    return found[0] if len(found) == 1 else ABSENT


def list_map_keys(schema: dict[str, Any]) -> list[str]:
    """The keys of a list map; empty for every other list."""
    if schema.get("x-kubernetes-list-type") != "map":
        return []
    return list(schema.get("x-kubernetes-list-map-keys") or [])


def _object(value: dict[str, Any], schema: dict[str, Any], path: str, old: Any, causes: list[Cause]) -> None:
    most, fewest = schema.get("maxProperties"), schema.get("minProperties")
    if most is not None and len(value) > most:
        causes.append(invalid(path, len(value), f"{path} in body should have at most {most} properties"))
    if fewest is not None and len(value) < fewest:
        causes.append(invalid(path, len(value), f"{path} in body should have at least {fewest} properties"))
    missing = [key for key in schema.get("required") or [] if key not in value]
    causes.extend(required(child_path(path, key)) for key in missing)
    properties, additional = schema.get("properties") or {}, schema.get("additionalProperties")
    before = old if isinstance(old, dict) else {}
    for key, item in value.items():
        below = properties.get(key, additional)
        if isinstance(below, dict):
            _value(item, below, child_path(path, key), before.get(key, ABSENT), causes)


def _junctors(value: Any, schema: dict[str, Any], path: str, causes: list[Cause]) -> None:
    # The real server reports these without a path of their own; the sentence names the place.
    def failures(alternative: dict[str, Any]) -> list[Cause]:
        found: list[Cause] = []
        _value(value, alternative, path, ABSENT, found)
        return found

    for alternative in schema.get("allOf") or []:
        if broken := failures(alternative):
            causes.extend(broken)
            causes.append(invalid("", "", f'"{path}" must validate all the schemas (allOf)'))
            break
    if schema.get("anyOf"):
        results = [failures(alternative) for alternative in schema["anyOf"]]
        if all(results):
            causes.append(invalid("", "", f'"{path}" must validate at least one schema (anyOf)'))
            causes.extend(_shortest(results))
    if schema.get("oneOf"):
        results = [failures(alternative) for alternative in schema["oneOf"]]
        passed = results.count([])
        if passed != 1:
            counted = "Found none valid" if not passed else f"Found {passed} valid alternatives"
            text = f'"{path}" must validate one and only one schema (oneOf). {counted}'
            causes.append(invalid("", "", text))
            if not passed:
                causes.extend(_shortest(results))
    if isinstance(schema.get("not"), dict) and not failures(schema["not"]):
        causes.append(invalid("", "", f'"{path}" must not validate the schema (not)'))


def _shortest(results: list[list[Cause]]) -> list[Cause]:
    """The alternative that came closest."""
    return sorted(results, key=len)[0]


def _lists(value: Any, schema: dict[str, Any], path: str, old: Any, causes: list[Cause]) -> None:
    if old is not ABSENT and same(value, old):
        return
    if isinstance(value, dict):
        properties, additional = schema.get("properties") or {}, schema.get("additionalProperties")
        before = old if isinstance(old, dict) else {}
        for key, item in value.items():
            below = properties.get(key, additional)
            if isinstance(below, dict):
                _lists(item, below, child_path(path, key), before.get(key, ABSENT), causes)
    elif isinstance(value, list):
        _unique(value, schema, path, causes)
        items = schema.get("items")
        if isinstance(items, dict):
            for index, item in enumerate(value):
                before_item = counterpart(item, schema, old)
                _lists(item, items, f"{path}[{index}]", before_item, causes)


def _unique(value: list[Any], schema: dict[str, Any], path: str, causes: list[Cause]) -> None:
    kind = schema.get("x-kubernetes-list-type")
    if kind not in ("set", "map"):
        return
    keys = list_map_keys(schema)
    seen: set[Any] = set()
    for index, item in enumerate(value):
        if kind == "map":
            if item is None:
                continue
            if not isinstance(item, dict):
                causes.append(invalid(f"{path}[{index}]", item, "must be an object for an array of list-type map"))
                continue
            shown: Any = {key: item[key] for key in keys if key in item}
        else:
            shown = item
        identity = _frozen(shown)
        if identity in seen:
            causes.append(duplicate(f"{path}[{index}]", shown))
        seen.add(identity)


def _frozen(value: Any) -> Any:
    """A hashable stand-in for a JSON value; true and 1 differ."""
    if isinstance(value, dict):
        return ("object", frozenset((key, _frozen(item)) for key, item in value.items()))
    if isinstance(value, list):
        return ("array", tuple(_frozen(item) for item in value))
    return (isinstance(value, bool), value)
