"""Quantities as the real server writes them back: `1024Mi` is `1Gi`, `0.5` is `500m`, `1000000` is `1M`.

A quantity keeps its family (powers of two, of ten, or an exponent) and gets the largest unit that leaves a whole
number. The schemas of the built-in kinds say where one stands. Pure.
"""

from __future__ import annotations

import re
from fractions import Fraction
from typing import Any, Final

from crds.v1.quantity import parse_quantity

_BINARY: Final = ("", "Ki", "Mi", "Gi", "Ti", "Pi", "Ei")
_DECIMAL: Final = {9: "G", 6: "M", 3: "k", 0: "", -3: "m", -6: "u", -9: "n", 12: "T", 15: "P", 18: "E"}
_EXPONENT: Final = re.compile(r"[eE][+-]?\d+$")
_SMALLEST: Final = Fraction(1, 10**9)


def canonical(value: Any) -> str:
    """The canonical text; ValueError for what is no quantity."""
    amount = parse_quantity(value)
    text = str(value)
    if text.endswith("i") and not -1024 < amount < 1024:
        return _binary(-(-amount.numerator // amount.denominator))
    units = -(-amount // _SMALLEST)  # rounded up, as limits are
    if not units:
        return "0"
    power = -9
    while units % 1000 == 0 and power < 18:
        units, power = units // 1000, power + 3
    if _EXPONENT.search(text):
        return f"{units}e{power}" if power else str(units)
    return f"{units}{_DECIMAL[power]}"


def _binary(whole: int) -> str:
    power = 0
    while whole and whole % 1024 == 0 and power < len(_BINARY) - 1:
        whole, power = whole // 1024, power + 1
    return f"{whole}{_BINARY[power]}"
