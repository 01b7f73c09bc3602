"""Trino's SQL types: parsed from either engine's spelling, displayed and described for the client.

Used by the engine (DuckDB's type names in), by metadata (declared types in) and by the protocol
(display names and type signatures out). Values are not converted here.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import Any

_TOKEN = re.compile(r"""\s*(?:"((?:[^"]|"")*)"|'((?:[^']|'')*)'|([A-Za-z_][A-Za-z0-9_]*)|(\d+)|(\S))""")
_UNBOUNDED = 2147483647

# DuckDB's spelling (and SQL aliases) on the left, Trino's on the right.
_NAMES = {
    "bool": "boolean", "boolean": "boolean", "tinyint": "tinyint", "int1": "tinyint", "smallint": "smallint",
    "int2": "smallint", "short": "smallint", "int": "integer", "integer": "integer", "int4": "integer",
    "signed": "integer", "bigint": "bigint", "int8": "bigint", "long": "bigint", "hugeint": "bigint",
    "utinyint": "smallint", "usmallint": "integer", "uinteger": "bigint", "ubigint": "bigint",
    "float": "real", "real": "real", "float4": "real", "double": "double", "float8": "double",
    "decimal": "decimal", "numeric": "decimal", "dec": "decimal", "varchar": "varchar", "text": "varchar",
    "string": "varchar", "enum": "varchar", "char": "char", "bpchar": "char", "blob": "varbinary",
    "varbinary": "varbinary", "bytea": "varbinary", "date": "date", "time": "time", "timetz": "time with time zone",
    "timestamp": "timestamp", "datetime": "timestamp", "timestamptz": "timestamp with time zone",
    "timestamp_s": "timestamp", "timestamp_ms": "timestamp", "timestamp_us": "timestamp",
    "timestamp_ns": "timestamp", "interval": "interval day to second", "json": "json", "uuid": "uuid",
    "null": "unknown", "unknown": "unknown", "list": "array", "array": "array", "map": "map", "struct": "row",
    "row": "row", "tuple": "row", "bit": "varchar", "ipaddress": "ipaddress", "hyperloglog": "hyperloglog",
    "uhugeint": "decimal", "bignum": "varchar",
}  # fmt: skip
_PRECISIONS = {"timestamp_s": 0, "timestamp_ms": 3, "timestamp_us": 6, "timestamp_ns": 9}
_TEMPORAL = ("time", "time with time zone", "timestamp", "timestamp with time zone")
DEFAULT_PRECISION = 3
ENGINE_PRECISION = 6


class UnknownType(ValueError):
    """A type that the stand-in has no counterpart for."""


@dataclass(frozen=True, slots=True)
class TrinoType:
    """`base` is the raw type; `numbers` its lengths or precisions; `children` nested types with field names."""

    base: str
    numbers: tuple[int, ...] = ()
    children: tuple[tuple[str | None, TrinoType], ...] = ()

    def display(self) -> str:
        if self.base == "row":
            fields = ", ".join(
                f"{_quoted_if_needed(name)} {child.display()}" if name is not None else child.display()
                for name, child in self.children
            )
            return f"row({fields})"
        if self.children:
            return f"{self.base}({', '.join(child.display() for _, child in self.children)})"
        if not self.numbers:
            return self.base
        numbers = ",".join(map(str, self.numbers))
        head, separator, tail = self.base.partition(" ")
        return f"{head}({numbers}){separator}{tail}"

    def signature(self) -> dict[str, Any]:
        """The `typeSignature` object of a result column."""
        arguments: list[dict[str, Any]]
        if self.base == "row":
            arguments = [
                {
                    "kind": "NAMED_TYPE",
                    "value": {
                        **({"fieldName": {"name": name}} if name is not None else {}),
                        "typeSignature": child.signature(),
                    },
                }
                for name, child in self.children
            ]
        elif self.children:
            arguments = [{"kind": "TYPE", "value": child.signature()} for _, child in self.children]
        elif self.base == "varchar" and not self.numbers:
            arguments = [{"kind": "LONG", "value": _UNBOUNDED}]
        else:
            arguments = [{"kind": "LONG", "value": number} for number in self.numbers]
        return {"rawType": self.base, "arguments": arguments}

    def without_precision(self) -> TrinoType:
        """What a client that cannot read `timestamp(p)` is told: `timestamp`, three digits."""
        children = tuple((name, child.without_precision()) for name, child in self.children)
        numbers = () if self.base in _TEMPORAL else self.numbers
        return replace(self, numbers=numbers, children=children)

    @property
    def precision(self) -> int:
        """Digits of a second that a temporal type shows."""
        return self.numbers[0] if self.numbers else DEFAULT_PRECISION


def _quoted_if_needed(name: str) -> str:
    if re.fullmatch(r"[a-z_][a-z0-9_]*", name):
        return name
    return '"' + name.replace('"', '""') + '"'


BIGINT = TrinoType("bigint")
INTEGER = TrinoType("integer")
BOOLEAN = TrinoType("boolean")
DOUBLE = TrinoType("double")
DATE = TrinoType("date")
VARCHAR = TrinoType("varchar")
TIMESTAMP_TZ = TrinoType("timestamp with time zone", (DEFAULT_PRECISION,))


def varchar(length: int) -> TrinoType:
    return TrinoType("varchar", (length,))


def parse_type(text: str, *, precision: int = DEFAULT_PRECISION) -> TrinoType:
    """A type in Trino's or DuckDB's spelling; `precision` is for temporal types that do not say."""
    parser = _Parser(text, precision)
    result = parser.type()
    if parser.peek() is not None:
        raise UnknownType(f"Unknown type: {text}")
    return result


class _Parser:
    def __init__(self, text: str, precision: int) -> None:
        self.text = text
        self.precision = precision
        self.tokens = [
            ("name", (match[1] if match[1] is not None else match[2] or "").replace('""', '"'))
            if match[1] is not None or match[2] is not None
            else ("word", match[3])
            if match[3]
            else ("number", match[4])
            if match[4]
            else ("symbol", match[5])
            for match in _TOKEN.finditer(text)
        ]
        self.position = 0

    def peek(self, ahead: int = 0) -> tuple[str, str] | None:
        index = self.position + ahead
        return self.tokens[index] if index < len(self.tokens) else None

    def take(self, expected: str | None = None) -> str:
        token = self.peek()
        if token is None or (expected is not None and token[1].lower() != expected):
            raise UnknownType(f"Unknown type: {self.text}")
        self.position += 1
        return token[1]

    def accept(self, expected: str) -> bool:
        token = self.peek()
        if token is not None and token[0] != "name" and token[1].lower() == expected:
            self.position += 1
            return True
        return False

    def type(self) -> TrinoType:
        result = self._base()
        while self.accept("["):
            if self.peek() is not None and self.peek() != ("symbol", "]"):
                self.take()
            self.take("]")
            result = TrinoType("array", (), ((None, result),))
        return result

    def _base(self) -> TrinoType:
        word = self.take().lower()
        name = _NAMES.get(word)
        if name is None:
            raise UnknownType(f"Unknown type: {self.text}")
        if word == "double":
            self.accept("precision")
        if word == "interval" and self.accept("year"):
            self.take("to")
            self.take("month")
            return TrinoType("interval year to month")
        if word == "interval" and self.accept("day"):
            self.take("to")
            self.take("second")
        if word == "uhugeint":
            return TrinoType("decimal", (38, 0))
        if name == "row":
            return TrinoType("row", (), self._fields())
        if name in ("array", "map"):
            return TrinoType(name, (), tuple((None, child) for child in self._types()))
        numbers = self._numbers()
        return self._scalar(word, name, numbers)

    def _scalar(self, word: str, name: str, numbers: tuple[int, ...]) -> TrinoType:
        if name in ("time", "timestamp"):
            if self.accept("with"):
                self.take("time")
                self.take("zone")
                name += " with time zone"
            elif self.accept("without"):
                self.take("time")
                self.take("zone")
        if name in _TEMPORAL:
            return TrinoType(name, numbers or (_PRECISIONS.get(word, self.precision),))
        if name == "decimal":
            return TrinoType(name, (numbers + (0,))[:2] if numbers else (38, 0))
        if name == "char":
            return TrinoType(name, numbers or (1,))
        return TrinoType(name, numbers if name == "varchar" else ())

    def _numbers(self) -> tuple[int, ...]:
        if not self.accept("("):
            return ()
        numbers: list[int] = []
        while not self.accept(")"):
            token = self.take()
            if token.isdigit():
                numbers.append(int(token))
        return tuple(numbers)

    def _types(self) -> list[TrinoType]:
        self.take("(")
        result = [self.type()]
        while self.accept(","):
            result.append(self.type())
        self.take(")")
        return result

    def _fields(self) -> tuple[tuple[str | None, TrinoType], ...]:
        """`a bigint, b varchar` or, for an anonymous row, only types."""
        self.take("(")
        fields: list[tuple[str | None, TrinoType]] = []
        while True:
            fields.append(self._field())
            if not self.accept(","):
                break
        self.take(")")
        if all(name == f"_{index}" for index, (name, _) in enumerate(fields)):
            # The translator names the fields of an anonymous ROW this way.
            fields = [(None, child) for _, child in fields]
        return tuple(fields)

    def _field(self) -> tuple[str | None, TrinoType]:
        token, following = self.peek(), self.peek(1)
        named = following is not None and (following[0] in ("word", "name"))
        if token is not None and token[0] == "word" and token[1].lower() in ("time", "timestamp", "double", "interval"):
            # `timestamp with time zone` is a type of several words, `timestamp timestamp` a field.
            named = named and following is not None and following[1].lower() in _NAMES
        if named:
            return self.take(), self.type()
        return None, self.type()
