"""Reads the protobuf bodies that kubectl and typed Go clients send, into the objects that JSON would have given.

`decode` takes a body of content type `application/vnd.kubernetes.protobuf`: four magic bytes and a
`runtime.Unknown` with the message inside. Nothing is written as protobuf: every client that sends it also reads JSON.
Bytes come from outside: wrong ones raise BadProtobuf, and neither depth nor length can hurt. Pure.
"""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import orjson

from sandbox.kube.protobuf_types import KINDS, MESSAGES
from sandbox.kube.store import Object

CONTENT_TYPE: Final = "application/vnd.kubernetes.protobuf"
MAGIC: Final = b"k8s\x00"
_DEEPEST: Final = 32  # messages within messages; the tables allow fewer


class BadProtobuf(Exception):
    """The body is not what it says it is."""


class UnknownMessage(Exception):
    """A kind that is not read from protobuf here."""


@dataclass(slots=True)
class Decoded:
    """The object, and the paths of fields that this reader does not know and has skipped."""

    obj: Object
    skipped: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class _Field:
    name: str
    type: str
    shape: str
    """`one`, `list`, `map`, `inline` or `ignore`."""
    keep_zero: bool


def decode(body: bytes) -> Decoded:
    """The object in a body."""
    if not body.startswith(MAGIC):
        raise BadProtobuf("the body does not begin with the Kubernetes protobuf magic number")
    api_version = kind = ""
    raw = b""
    for number, value in _fields(memoryview(body)[len(MAGIC) :]):
        if number == 1 and isinstance(value, memoryview):
            for key, text in _fields(value):
                if key == 1:
                    api_version = _text(text)
                elif key == 2:
                    kind = _text(text)
        elif number == 2 and isinstance(value, memoryview):
            raw = bytes(value)
        elif number == 3 and isinstance(value, memoryview) and len(value):
            raise BadProtobuf("encoded content is not supported")
    if kind not in KINDS.get(api_version, "").split() and kind != "DeleteOptions":
        raise UnknownMessage(f"{api_version or '?'}, Kind={kind or '?'} cannot be read from protobuf: send JSON")
    decoded = Decoded({})
    decoded.obj = _message(kind, memoryview(raw), "", decoded.skipped, 0)
    decoded.obj = {"apiVersion": api_version, "kind": kind, **decoded.obj}
    return decoded


def _message(name: str, data: memoryview, path: str, skipped: list[str], depth: int) -> Object:
    if depth > _DEEPEST:
        raise BadProtobuf("the message is nested too deeply")
    known = _TYPES[name]
    result: Object = {}
    for number, value in _fields(data):
        found = known.get(number)
        if found is None:
            where = f"{path}.{number}" if path else str(number)
            if where not in skipped:
                skipped.append(where)
            continue
        if found.shape == "ignore":
            continue
        at = f"{path}.{found.name}" if path else found.name
        if found.shape == "map":
            key, item = _entry(found.type, value, at, skipped, depth)
            result.setdefault(found.name, {})[key] = item
            continue
        item = _value(found.type, value, at, skipped, depth)
        if found.shape == "list":
            # Integers may come packed; the tables have no such list, so each element is a field of its own.
            result.setdefault(found.name, []).append(item)
        elif found.shape == "inline":
            result.update(item)
        elif found.keep_zero or not _is_zero(item):
            result[found.name] = item
    return result


def _is_zero(value: Any) -> bool:
    """What Go leaves out of JSON: fields are always on the wire, set or not. Empty messages stay: `emptyDir: {}`."""
    return value is None or value is False or value == "" or (isinstance(value, int) and value == 0)


def _entry(kind: str, value: int | memoryview, path: str, skipped: list[str], depth: int) -> tuple[str, Any]:
    key, item = "", _empty(kind)
    for number, part in _fields(_bytes(value)):
        if number == 1:
            key = _text(part)
        elif number == 2:
            item = _value(kind, part, path, skipped, depth)
    return key, item


def _empty(kind: str) -> Any:
    return "" if kind in ("s", "B") else _value(kind, memoryview(b""), "", [], 0)


def _value(kind: str, value: int | memoryview, path: str, skipped: list[str], depth: int) -> Any:
    if kind == "s":
        return _text(value)
    if kind == "i":
        return _signed(value)
    if kind == "b":
        return bool(_signed(value))
    if kind == "B":
        return base64.b64encode(_bytes(value)).decode("ascii")
    special = _SPECIAL.get(kind)
    if special is not None:
        return special(_bytes(value))
    return _message(kind, _bytes(value), path, skipped, depth + 1)


# -- messages that are not objects in JSON


def _moment(data: memoryview) -> tuple[int, int]:
    seconds = nanos = 0
    for number, value in _fields(data):
        if number == 1:
            seconds = _signed(value)
        elif number == 2:
            nanos = _signed(value)
    return seconds, nanos


def _time(data: memoryview) -> str | None:
    return _stamp(data, lambda moment, _nanos: moment.strftime("%Y-%m-%dT%H:%M:%SZ"))


def _micro_time(data: memoryview) -> str | None:
    return _stamp(data, lambda moment, nanos: f"{moment.strftime('%Y-%m-%dT%H:%M:%S')}.{nanos // 1000:06d}Z")


def _stamp(data: memoryview, show: Callable[[datetime, int], str]) -> str | None:
    if not len(data):
        return None
    seconds, nanos = _moment(data)
    if not 0 <= nanos < 1_000_000_000:
        raise BadProtobuf("a time has no such nanoseconds")
    try:
        moment = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(seconds=seconds)
    except OverflowError as error:
        raise BadProtobuf("a time is out of range") from error
    return show(moment, nanos) if moment.year >= 1000 else None


def _quantity(data: memoryview) -> str:
    return next((_text(value) for number, value in _fields(data) if number == 1), "0")


def _int_or_string(data: memoryview) -> int | str:
    kind, number, text = 0, 0, ""
    for key, value in _fields(data):
        if key == 1:
            kind = _signed(value)
        elif key == 2:
            number = _signed(value)
        elif key == 3:
            text = _text(value)
    return text if kind else number


def _strings(data: memoryview) -> list[str]:
    return [_text(value) for number, value in _fields(data) if number == 1]


def _json(data: memoryview) -> Any:
    for number, value in _fields(data):
        if number == 1:
            try:
                return orjson.loads(_bytes(value))
            except orjson.JSONDecodeError as error:
                raise BadProtobuf("embedded JSON cannot be read") from error
    return None


_SPECIAL: Final[dict[str, Callable[[memoryview], Any]]] = {
    "Time": _time,
    "MicroTime": _micro_time,
    "Quantity": _quantity,
    "IntOrString": _int_or_string,
    "ExtraValue": _strings,
    "FieldsV1": _json,
    "RawExtension": _json,
}


# -- the wire


def _fields(data: memoryview) -> Iterator[tuple[int, int | memoryview]]:
    """Each field's number and value: an integer, or the bytes of a length-delimited one."""
    position, end = 0, len(data)
    while position < end:
        key, position = _varint(data, position)
        number, wire = key >> 3, key & 7
        if number == 0:
            raise BadProtobuf("field number 0")
        if wire == 0:
            value, position = _varint(data, position)
            yield number, value
            continue
        if wire == 2:
            length, position = _varint(data, position)
        elif wire in (1, 5):
            length = 8 if wire == 1 else 4
        else:
            raise BadProtobuf(f"wire type {wire}")
        if length > end - position:
            raise BadProtobuf("the message ends in the middle of a field")
        yield number, data[position : position + length]
        position += length


def _varint(data: memoryview, position: int) -> tuple[int, int]:
    result = 0
    for shift in range(0, 70, 7):
        if position >= len(data):
            raise BadProtobuf("the message ends in the middle of a number")
        byte = data[position]
        position += 1
        result |= (byte & 0x7F) << shift
        if byte < 0x80:
            return result & 0xFFFFFFFFFFFFFFFF, position
    raise BadProtobuf("a number is too long")


def _signed(value: int | memoryview) -> int:
    if not isinstance(value, int):
        raise BadProtobuf("a number was expected")
    return value - (1 << 64) if value >= 1 << 63 else value


def _bytes(value: int | memoryview) -> memoryview:
    if isinstance(value, int):
        raise BadProtobuf("bytes were expected")
    return value


def _text(value: int | memoryview) -> str:
    try:
        return str(_bytes(value), "utf-8")
    except UnicodeDecodeError as error:
        raise BadProtobuf("a string is not UTF-8") from error


# -- the tables


def _parse(table: str) -> dict[str, dict[int, _Field]]:
    types: dict[str, dict[int, _Field]] = {}
    for line in table.strip().replace("\n ", " ").splitlines():
        name, *fields = line.split()
        types[name] = {}
        for text in fields:
            number, label, kind = text.split(":")
            shape = "one"
            if kind == "-":
                shape = "ignore"
            elif kind[0] in "[{":
                shape, kind = ("list" if kind[0] == "[" else "map"), kind[1:-1]
            elif label[0] == "~":
                shape, label = "inline", label[1:]
            types[name][int(number)] = _Field(label, kind.rstrip("*"), shape, kind.endswith("*"))
    return types


_TYPES: Final = _parse(MESSAGES)
