"""Amounts: Kubernetes quantities, Trino data sizes and Go durations, parsed exactly.

Kubernetes writes `1500m`, `8Gi`, `2G`, `1e3`; Trino writes `6144MB`, where a unit is always a power of
1024 and its spelling is fixed (`kB`, `MB`, never `Gi`); durations are Go's (`1h30m`). The three look
alike and mean different numbers, therefore every conversion in the system goes through here.

Numbers are fractions until the very end: no rounding by accident. Outside text is bounded before it is
computed with, so that `1e999999999` costs nothing.

Errors are ValueError with a sentence that says how to write it right.
"""

from __future__ import annotations

import math
import re
from datetime import timedelta
from fractions import Fraction

_UNITS = (
    {unit: Fraction(1024**power) for power, unit in enumerate(("Ki", "Mi", "Gi", "Ti", "Pi", "Ei"), 1)}
    | {unit: Fraction(1, 1000**power) for power, unit in enumerate(("m", "u", "n"), 1)}
    | {unit: Fraction(1000**power) for power, unit in enumerate(("", "k", "M", "G", "T", "P", "E"))}
)
_QUANTITY = re.compile(
    r"([+-]?)(\d{1,32}(?:\.\d{0,32})?|\.\d{1,32})(?:([eE])([+-]?\d{1,2})|([KMGTPE]i|[numkMGTPE]?))\Z",
    re.ASCII,
)
#: What the API server's quantities can hold. Larger ones are refused rather than cut.
_LARGEST = 2**63 - 1


def parse_quantity(value: str | int | float) -> Fraction:
    """Read a Kubernetes quantity: `2`, `0.5`, `1500m`, `8Gi`, `2G`, `1e3`."""
    if isinstance(value, bool):
        raise ValueError("a quantity is a number, not true or false")
    if isinstance(value, int | float):
        if not math.isfinite(value):
            raise ValueError("a quantity is a finite number")
        amount = Fraction(str(value))
    else:
        amount = _parse_quantity_text(value)
    if abs(amount) > _LARGEST:
        raise ValueError("the quantity is too large")
    return amount


def _parse_quantity_text(text: str) -> Fraction:
    match = _QUANTITY.match(text)
    if match is None:
        raise ValueError("a quantity is a number with an optional unit, such as 500m, 2, 8Gi or 2G")
    sign, number, exponent_mark, exponent, unit = match.groups()
    if number.startswith("."):
        number = "0" + number
    amount = Fraction(number.rstrip("."))
    if sign == "-":
        amount = -amount
    if exponent_mark:
        power = int(exponent)
        scale = Fraction(10 ** abs(power))
        return amount * scale if power >= 0 else amount / scale
    return amount * _UNITS[unit]


def cpu_millis(value: str | int | float) -> int:
    """CPU in thousandths of a core, rounded up as the scheduler does."""
    return math.ceil(parse_quantity(value) * 1000)


def memory_bytes(value: str | int | float) -> int:
    """Memory in bytes, rounded up as the scheduler does."""
    return math.ceil(parse_quantity(value))


KIB = 1024
MIB = 1024**2
GIB = 1024**3

_DATA_UNITS: dict[str, Fraction] = {unit: 1024**power for power, unit in enumerate(("B", "kB", "MB", "GB", "TB", "PB"))}
_DATA_SIZE = re.compile(r"\s*(\d{1,20}(?:\.\d{1,12})?)\s*(B|kB|MB|GB|TB|PB)\s*\Z", re.ASCII)


def trino_data_size(nbytes: int) -> str:
    """Write bytes in Trino's spelling, rounded down to whole megabytes: `6144MB`."""
    if nbytes < 0:
        raise ValueError("a data size is not negative")
    if nbytes >= MIB:
        return f"{nbytes // MIB}MB"
    return f"{nbytes // KIB}kB" if nbytes >= KIB else f"{nbytes}B"


def parse_trino_data_size(text: str) -> int:
    """Read Trino's spelling of a data size. `1GB` is 1024 * 1024 * 1024 bytes; the case counts."""
    match = _DATA_SIZE.match(text)
    if match is None:
        raise ValueError("a Trino data size is a number and one of B, kB, MB, GB, TB, PB, spelled so, such as 4GB")
    return math.floor(Fraction(match[1]) * _DATA_UNITS[match[2]])


def jvm_heap(nbytes: int) -> str:
    """Write a heap size as the JVM reads it, in whole mebibytes: `6144M`."""
    return f"{max(nbytes // MIB, 1)}M"


_DURATION_UNITS = {
    "ns": Fraction(1, 1000),
    "us": Fraction(1),
    "µs": Fraction(1),
    "ms": Fraction(1000),
    "s": Fraction(1_000_000),
    "m": Fraction(60_000_000),
    "h": Fraction(3_600_000_000),
}
_DURATION_PART = re.compile(r"(\d{1,18}(?:\.\d{0,18})?|\.\d{1,18})(ns|us|µs|ms|s|m|h)", re.ASCII)
_LONGEST_TEXT = 64
_LONGEST = timedelta(days=36_500)


def parse_duration(text: str) -> timedelta:
    """Read a Go duration: `90s`, `5m`, `1h30m`, `0`, `-1s`. Parts below a microsecond are dropped."""
    rest = text[1:] if text[:1] in {"+", "-"} else text
    if rest == "0":
        return timedelta()
    if not rest or len(text) > _LONGEST_TEXT:
        raise ValueError(_DURATION_HELP)
    micros = Fraction(0)
    position = 0
    while position < len(rest):
        part = _DURATION_PART.match(rest, position)
        if part is None:
            raise ValueError(_DURATION_HELP)
        number = part[1] if part[1][0] != "." else "0" + part[1]
        micros += Fraction(number.rstrip(".")) * _DURATION_UNITS[part[2]]
        position = part.end()
    if micros > _LONGEST // timedelta(microseconds=1):
        raise ValueError("the duration is longer than a hundred years")
    span = timedelta(microseconds=int(micros))
    return -span if text[0] == "-" else span


_DURATION_HELP = "a duration is written like 90s, 5m or 1h30m (units h, m, s, ms)"


def format_duration(span: timedelta) -> str:
    """Write a duration as Go does, without parts that are zero: `1h30m`, `5m`, `0s`."""
    micros = span // timedelta(microseconds=1)
    sign, micros = ("-", -micros) if micros < 0 else ("", micros)
    hours, micros = divmod(micros, 3_600_000_000)
    minutes, micros = divmod(micros, 60_000_000)
    seconds, micros = divmod(micros, 1_000_000)
    text = (f"{hours}h" if hours else "") + (f"{minutes}m" if minutes else "")
    if micros:
        text += f"{seconds}.{micros:06d}".rstrip("0") + "s"
    elif seconds or not text:
        text += f"{seconds}s"
    return sign + text
