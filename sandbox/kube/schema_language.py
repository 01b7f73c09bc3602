"""A compact notation for the schemas of the built-in kinds, and its translation to OpenAPI v3.

Only `builtin_types` writes it. A definition is `TypeName field:type field:type ...`; lines that start with a
space continue the one before. A type is

    str int32 int64 bool number time bytes quantity intstr any     scalars ("any" keeps whatever it gets)
    Name                                                           another type
    {T}                                                            map of T, merged key by key
    [T]  [T]@k1,k2  [T]#                                           list: atomic, map by keys, set

followed by `!` (required), `^` (replaced as a whole by apply), `~` (a strategic patch keeps only the keys it
names), `%` (a strategic patch replaces it as a whole), `-` (a strategic patch does not merge the list), `?` (0, "" and
false mean absent) and `=value` (default). `TypeName^` is a type that apply replaces as a whole wherever it stands. The
result carries the x-kubernetes-* extensions that server-side apply and strategic merge read.
"""

from __future__ import annotations

import re
from typing import Any, Final

import orjson

Schema = dict[str, Any]

_SCALARS: Final[dict[str, Schema]] = {
    "str": {"type": "string"},
    "int32": {"type": "integer", "format": "int32"},
    "int64": {"type": "integer", "format": "int64"},
    "number": {"type": "number"},
    "bool": {"type": "boolean"},
    "time": {"type": "string", "format": "date-time"},
    "bytes": {"type": "string", "format": "byte"},
    # 0.5 is a quantity as well as "500m" and 1, so nothing narrower fits.
    "quantity": {"x-kubernetes-preserve-unknown-fields": True, "x-xtrinode-quantity": True},
    "intstr": {"x-kubernetes-int-or-string": True},
    "any": {"x-kubernetes-preserve-unknown-fields": True},
}
ZERO_IS_ABSENT: Final = "x-xtrinode-zero-is-absent"
QUANTITY: Final = "x-xtrinode-quantity"
_FIELD: Final = re.compile(
    r"(?P<name>[$\w-]+):(?P<type>[\w{}\[\]]+)(?:@(?P<keys>\w+(?:,\w+)*))?(?P<set>#)?"
    r"(?P<marks>[!^~?%-]*)(?:=(?P<default>\S+))?"
)


class Types:
    """Named types: `resolved` gives one with everything inlined, `document` one with `$ref` to the others."""

    def __init__(self, text: str, prefix: str) -> None:
        self.prefix = prefix
        self._fields: dict[str, list[re.Match[str]]] = {}
        self._atomic: set[str] = set()
        self._inlined: dict[str, Schema] = {}
        for marked, body in _definitions(text):
            name = marked.removesuffix("^")
            if name != marked:
                self._atomic.add(name)
            matches = [(field, _FIELD.fullmatch(field)) for field in body]
            wrong = [field for field, match in matches if match is None]
            if wrong or name in self._fields:
                raise ValueError(f"type {name}: cannot read {wrong}" if wrong else f"type {name} is there twice")
            self._fields[name] = [match for _, match in matches if match is not None]

    def names(self) -> list[str]:
        return list(self._fields)

    def resolved(self, name: str) -> Schema:
        """The schema with every type it uses in place. A type inside itself becomes "any"."""
        if name not in self._inlined:
            self._inlined[name] = _SCALARS["any"]
            self._inlined[name] = self._object(name, refer=False)
        return self._inlined[name]

    def document(self, name: str) -> Schema:
        return self._object(name, refer=True)

    def _object(self, name: str, *, refer: bool) -> Schema:
        properties = {match["name"]: self._property(match, refer) for match in self._fields[name]}
        schema: Schema = {"type": "object", "properties": properties}
        if name in self._atomic:
            schema["x-kubernetes-map-type"] = "atomic"
        required = [match["name"] for match in self._fields[name] if "!" in match["marks"]]
        if required:
            schema["required"] = required
        return schema

    def _property(self, match: re.Match[str], refer: bool) -> Schema:
        schema = self._type(match["type"], refer)
        extra = _extensions(match)
        if "?" in match["marks"] and not refer:
            extra[ZERO_IS_ABSENT] = True
        if not extra:
            return schema
        return {"allOf": [schema], **extra} if "$ref" in schema else {**schema, **extra}

    def _type(self, text: str, refer: bool) -> Schema:
        if text.startswith("["):
            return {"type": "array", "items": self._type(text[1:-1], refer)}
        if text.startswith("{"):
            return {"type": "object", "additionalProperties": self._type(text[1:-1], refer)}
        if text in _SCALARS:
            return _SCALARS[text]
        return {"$ref": f"#/components/schemas/{self.prefix}{text}"} if refer else self.resolved(text)


def _extensions(match: re.Match[str]) -> Schema:
    extra: Schema = {}
    marks = match["marks"]
    if match["keys"]:
        keys = match["keys"].split(",")
        extra["x-kubernetes-list-type"] = "map"
        extra["x-kubernetes-list-map-keys"] = keys
        if "-" not in marks:
            extra["x-kubernetes-patch-merge-key"] = keys[0]
            extra["x-kubernetes-patch-strategy"] = "merge,retainKeys" if "~" in marks else "merge"
    elif match["set"]:
        extra["x-kubernetes-list-type"] = "set"
        if "-" not in marks:
            extra["x-kubernetes-patch-strategy"] = "merge"
    elif match["type"].startswith("["):
        extra["x-kubernetes-list-type"] = "atomic"
    elif "~" in marks:
        extra["x-kubernetes-patch-strategy"] = "retainKeys"
    elif "%" in marks:
        extra["x-kubernetes-patch-strategy"] = "replace"
    if "^" in marks:
        extra["x-kubernetes-map-type"] = "atomic"
    if match["default"] is not None:
        extra["default"] = _default(match["default"])
    return extra


def _definitions(text: str) -> list[tuple[str, list[str]]]:
    found: list[tuple[str, list[str]]] = []
    for line in text.splitlines():
        words = line.split()
        if not words or words[0].startswith("#"):
            continue
        if line[0] == " ":
            found[-1][1].extend(words)
        else:
            found.append((words[0], words[1:]))
    return found


def _default(text: str) -> Any:
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError:
        return text
