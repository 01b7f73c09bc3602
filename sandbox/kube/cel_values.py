"""How CEL sees an object: by its schema, not by its JSON.

A `date-time` string is a timestamp, a `duration` a duration, a `number` a double; a property whose name
CEL could not spell is escaped (`a-b` is `a__dash__b`); the root shows no metadata but name and generateName.
Most schemas need none of that, and then the value is passed as it is. Pure.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any, Final

_IDENTIFIER: Final = re.compile(r"[A-Za-z_]\w*", re.ASCII)
_RESERVED: Final = frozenset(
    [
        "true",
        "false",
        "null",
        "in",
        "as",
        "break",
        "const",
        "continue",
        "else",
        "for",
        "function",
        "if",
        "import",
        "let",
        "loop",
        "package",
        "namespace",
        "return",
        "var",
        "void",
        "while",
    ]
)
_ESCAPES: Final = {"__": "__underscores__", ".": "__dot__", "-": "__dash__", "/": "__slash__"}
_ESCAPED: Final = re.compile(r"__|[./-]")
_UNITS: Final = {"h": 3600.0, "m": 60.0, "s": 1.0, "ms": 1e-3, "us": 1e-6, "µs": 1e-6, "μs": 1e-6, "ns": 1e-9}
_DURATION_PART: Final = re.compile(r"(\d+(?:\.\d*)?|\.\d+)(ns|us|µs|μs|ms|s|m|h)")


class Converter:
    """Converts the values of one schema; `convert` never changes its argument."""

    def __init__(self, schema: dict[str, Any], *, root: bool = False) -> None:
        self._resource = root or schema.get("x-kubernetes-embedded-resource") is True
        self._scalar = _scalar(schema)
        self._properties = {
            key: (escape(key), Converter(child)) for key, child in (schema.get("properties") or {}).items()
        }
        additional, items = schema.get("additionalProperties"), schema.get("items")
        self._additional = Converter(additional) if isinstance(additional, dict) else None
        self._items = Converter(items) if isinstance(items, dict) else None
        self._plain: bool = not (
            self._resource
            or self._scalar
            or any(key != name or not child._plain for key, (name, child) in self._properties.items())
            or (self._additional and not self._additional._plain)
            or (self._items and not self._items._plain)
        )

    def convert(self, value: Any) -> Any:
        """The value as CEL sees it. A value that is not of its format stays a string."""
        if self._plain or value is None:
            return value
        if isinstance(value, dict):
            return self._object(value)
        if isinstance(value, list):
            return [self._items.convert(item) for item in value] if self._items else value
        return self._scalar(value) if self._scalar else value

    def _object(self, value: dict[str, Any]) -> dict[str, Any]:
        converted: dict[str, Any] = {}
        for key, item in value.items():
            if self._resource and key in ("apiVersion", "kind"):
                converted[key] = item
            elif self._resource and key == "metadata":
                metadata = item if isinstance(item, dict) else {}
                converted[key] = {name: metadata[name] for name in ("name", "generateName") if name in metadata}
            elif key in self._properties:
                name, child = self._properties[key]
                converted[name] = child.convert(item)
            elif self._additional is not None:
                converted[key] = self._additional.convert(item)
        return converted


def escape(name: str) -> str:
    """How a rule spells the property `name`."""
    if name in _RESERVED:
        return f"__{name}__"
    if _IDENTIFIER.fullmatch(name) and "__" not in name:
        return name
    return _ESCAPED.sub(lambda match: _ESCAPES[match[0]], name)


def _scalar(schema: dict[str, Any]) -> Callable[[Any], Any] | None:
    kind, form = schema.get("type"), schema.get("format")
    if kind == "number":
        return lambda value: float(value) if isinstance(value, int) and not isinstance(value, bool) else value
    if kind == "integer":
        return lambda value: int(value) if isinstance(value, float) and value.is_integer() else value
    if kind == "string" and form in ("date", "date-time", "datetime"):
        return _timestamp
    if kind == "string" and form == "duration":
        return _duration
    if kind == "string" and form == "byte":
        return _bytes
    return None


def _timestamp(value: Any) -> Any:
    try:
        moment = datetime.fromisoformat(value)
    except (TypeError, ValueError):
        return value
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def _duration(value: Any) -> Any:
    if not isinstance(value, str):
        return value
    parts = _DURATION_PART.findall(value)
    if not parts and value != "0":
        return value
    seconds = sum(float(number) * _UNITS[unit] for number, unit in parts)
    try:
        return timedelta(seconds=-seconds if value.startswith("-") else seconds)
    except OverflowError:
        return value


def _bytes(value: Any) -> Any:
    try:
        return base64.b64decode(value, validate=True)
    except (TypeError, ValueError, binascii.Error):
        return value
