"""Data sizes, durations and heap sizes as Trino and the JVM spell them.

Called by the configuration loader. Strict on purpose: what the real server would refuse is refused
here, so that a bad rendering is found before it reaches a cluster.
"""

from __future__ import annotations

import re

_SIZE = re.compile(r"\s*(\d+(?:\.\d+)?)\s*([a-zA-Z]+)\s*")
_SIZE_UNITS = {"B": 1, "kB": 2**10, "MB": 2**20, "GB": 2**30, "TB": 2**40, "PB": 2**50, "EB": 2**60}
_DURATION = re.compile(r"\s*(\d+(?:\.\d+)?)\s*([a-zA-Z]+)\s*")
_DURATION_UNITS = {"ns": 1e-9, "us": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_HEAP = re.compile(r"(\d+)([kKmMgGtT]?)")
_HEAP_UNITS = {"": 1, "k": 2**10, "m": 2**20, "g": 2**30, "t": 2**40}


def parse_data_size(text: str) -> int:
    """Bytes of `10GB`; ValueError with the server's wording otherwise."""
    match = _SIZE.fullmatch(text)
    if match is None:
        raise ValueError(f"size is not a valid data size string: {text}")
    unit = match[2]
    if unit not in _SIZE_UNITS:
        raise ValueError(f"Unknown unit: {unit}")
    return round(float(match[1]) * _SIZE_UNITS[unit])


def parse_duration(text: str) -> float:
    """Seconds of `5m`; ValueError with the server's wording otherwise."""
    match = _DURATION.fullmatch(text)
    if match is None:
        raise ValueError(f"duration is not a valid data duration string: {text}")
    unit = match[2]
    if unit not in _DURATION_UNITS:
        raise ValueError(f"Unknown time unit: {unit}")
    return float(match[1]) * _DURATION_UNITS[unit]


def parse_heap_size(text: str) -> int:
    """Bytes of the part after -Xmx, as the JVM reads it."""
    match = _HEAP.fullmatch(text)
    if match is None:
        raise ValueError(f"Invalid maximum heap size: -Xmx{text}")
    return int(match[1]) * _HEAP_UNITS[match[2].lower()]


def format_data_size(count: int) -> str:
    """The largest unit that keeps the number at one or above, with the rounding of the server's messages."""
    for unit in ("PB", "TB", "GB", "MB", "kB"):
        if count >= _SIZE_UNITS[unit]:
            amount = count / _SIZE_UNITS[unit]
            return f"{amount:.0f}{unit}" if amount == int(amount) else f"{amount:.2f}{unit}"
    return f"{count}B"


def format_duration(seconds: float) -> str:
    """`5.00m`: two decimals in the most fitting unit, as the server prints durations."""
    for unit in ("d", "h", "m", "s", "ms", "us"):
        amount = seconds / _DURATION_UNITS[unit]
        if amount >= 1:
            return f"{amount:.2f}{unit}"
    return f"{seconds / _DURATION_UNITS['ns']:.2f}ns"
