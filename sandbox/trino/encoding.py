"""Result values as Trino's JSON: what stands in the `data` rows of the client protocol.

Called by the query's worker thread with Python values from the engine. Numbers stay numbers, but
decimals, dates, intervals and binary data are strings, and so are NaN and the infinities, because
JSON has none.
"""

from __future__ import annotations

import base64
import datetime as dt
import math
import struct
from collections.abc import Callable
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

from sandbox.trino.errors import QueryFailure
from sandbox.trino.trino_types import TrinoType

Encoder = Callable[[Any], Any]
_BIGINT_LIMIT = 2**63
_MICROSECOND_DIGITS = 6
_SIGNIFICANT = range(6, 10)


def encoder_of(kind: TrinoType, zone: ZoneInfo) -> Encoder | None:
    """The function for one column's values, None where they go out as they are. None stays null."""
    inner = _encoder(kind, zone)
    if inner is None:
        return None
    return lambda value: None if value is None else inner(value)


def _encoder(kind: TrinoType, zone: ZoneInfo) -> Encoder | None:
    base = kind.base
    if base in _SIMPLE:
        return _SIMPLE[base]
    if base == "char":
        length = kind.numbers[0]
        return lambda value: str(value).ljust(length)
    if base == "decimal":
        return _decimal(kind.numbers[1])
    if base.startswith("timestamp"):
        return _timestamp(kind.precision, zone if base.endswith("zone") else None)
    if base.startswith("time"):
        return _time(kind.precision, zoned=base.endswith("zone"))
    if base == "array":
        element = encoder_of(kind.children[0][1], zone)
        return None if element is None else lambda value: [element(item) for item in value]
    if base == "map":
        return _map(kind, zone)
    if base == "row":
        return _row(kind, zone)
    return None


def _bigint(value: int) -> int:
    if not -_BIGINT_LIMIT <= value < _BIGINT_LIMIT:
        raise QueryFailure("NUMERIC_VALUE_OUT_OF_RANGE", f"Out of range for bigint: {value}")
    return value


def _double(value: float) -> float | str:
    if math.isfinite(value):
        return value
    if math.isnan(value):
        return "NaN"
    return "Infinity" if value > 0 else "-Infinity"


def _real(value: float) -> float | str:
    """The shortest decimal that is this 32-bit number, not its 64-bit neighbour."""
    if not math.isfinite(value):
        return _double(value)
    packed = struct.pack("f", value)
    for digits in _SIGNIFICANT:
        shortest = float(f"{value:.{digits}g}")
        if struct.pack("f", shortest) == packed:
            return shortest
    return value


def _varbinary(value: bytes) -> str:
    return base64.b64encode(value).decode("ascii")


def _days_to_seconds(micros: int) -> str:
    sign = "-" if micros < 0 else ""
    millis = abs(micros) // 1000
    days, millis = divmod(millis, 86_400_000)
    hours, millis = divmod(millis, 3_600_000)
    minutes, millis = divmod(millis, 60_000)
    seconds, millis = divmod(millis, 1000)
    return f"{sign}{days} {hours:02d}:{minutes:02d}:{seconds:02d}.{millis:03d}"


def _years_to_months(months: int) -> str:
    sign = "-" if months < 0 else ""
    return f"{sign}{abs(months) // 12}-{abs(months) % 12}"


def _decimal(scale: int) -> Encoder:
    quantum = Decimal(1).scaleb(-scale)

    def encode(value: Any) -> str:
        number = value if isinstance(value, Decimal) else Decimal(value)
        if number.as_tuple().exponent != -scale:
            number = number.quantize(quantum)
        return format(number, "f")

    return encode


def _fraction(microsecond: int, precision: int) -> str:
    if precision == 0:
        return ""
    digits = f"{microsecond:06d}"
    return "." + (digits[:precision] if precision <= _MICROSECOND_DIGITS else digits.ljust(precision, "0"))


def _timestamp(precision: int, zone: ZoneInfo | None) -> Encoder:
    def encode(value: Any) -> str:
        if not isinstance(value, dt.datetime):
            return str(value)
        if zone is not None:
            value = value.astimezone(zone)
        text = value.strftime("%Y-%m-%d %H:%M:%S") if value.year >= 1000 else _early(value)
        text += _fraction(value.microsecond, precision)
        return text if zone is None else f"{text} {zone_name(zone)}"

    return encode


def _early(value: dt.datetime) -> str:
    """strftime does not pad years before 1000 on every platform."""
    return f"{value.year:04d}-{value.month:02d}-{value.day:02d} {value.hour:02d}:{value.minute:02d}:{value.second:02d}"


def zone_name(zone: ZoneInfo) -> str:
    return "UTC" if zone.key in ("Etc/UTC", "UTC", "Zulu", "Etc/Zulu") else zone.key


def _time(precision: int, *, zoned: bool) -> Encoder:
    def encode(value: Any) -> str:
        if not isinstance(value, dt.time):
            return str(value)
        text = value.strftime("%H:%M:%S") + _fraction(value.microsecond, precision)
        if not zoned:
            return text
        offset = value.utcoffset() or dt.timedelta()
        minutes = int(offset.total_seconds()) // 60
        return f"{text}{'-' if minutes < 0 else '+'}{abs(minutes) // 60:02d}:{abs(minutes) % 60:02d}"

    return encode


def _map(kind: TrinoType, zone: ZoneInfo) -> Encoder:
    key_encoder = encoder_of(kind.children[0][1], zone)
    value_encoder = encoder_of(kind.children[1][1], zone)

    def key_text(key: Any) -> str:
        encoded = key if key_encoder is None else key_encoder(key)
        if isinstance(encoded, bool):
            return "true" if encoded else "false"
        return str(encoded)

    def encode(value: Any) -> dict[str, Any]:
        return {key_text(key): item if value_encoder is None else value_encoder(item) for key, item in value.items()}

    return encode


def _row(kind: TrinoType, zone: ZoneInfo) -> Encoder:
    encoders = [encoder_of(child, zone) for _, child in kind.children]

    def encode(value: Any) -> list[Any]:
        items = value.values() if isinstance(value, dict) else value
        return [item if encoder is None else encoder(item) for item, encoder in zip(items, encoders, strict=True)]

    return encode


_SIMPLE: dict[str, Encoder] = {
    "bigint": _bigint,
    "double": _double,
    "real": _real,
    "varbinary": _varbinary,
    "date": str,
    "uuid": str,
    "interval day to second": _days_to_seconds,
    "interval year to month": _years_to_months,
}
