"""Time zones by name, on machines with and without a zone database.

Slim containers have no /usr/share/zoneinfo; a copy comes with a library that the Trino client needs
anyway, and is read then. Fixed offsets such as `+02:00` are taken where a zone of that offset exists.
"""

from __future__ import annotations

import importlib.resources
import re
from functools import cache
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

_OFFSET = re.compile(r"([+-])(\d\d):(\d\d)")
_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_+-]*(/[A-Za-z0-9_+-]+)*")


class UnknownTimeZone(ValueError):
    """No zone has that name."""


@cache
def time_zone(name: str) -> ZoneInfo:
    key = _key(name)
    if _NAME.fullmatch(key) is None:
        raise UnknownTimeZone(f"Time zone not supported: {name}")
    try:
        return ZoneInfo(key)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return _bundled(key, name)


def _bundled(key: str, name: str) -> ZoneInfo:
    try:
        with importlib.resources.files("pytz").joinpath("zoneinfo", *key.split("/")).open("rb") as file:
            return ZoneInfo.from_file(file, key=key)
    except (OSError, ImportError, ValueError) as error:
        raise UnknownTimeZone(f"Time zone not supported: {name}") from error


def _key(name: str) -> str:
    """Offsets have IANA names with the sign turned round; only whole hours have one."""
    match = _OFFSET.fullmatch(name)
    if match is None:
        return name
    hours, minutes = int(match[2]), int(match[3])
    if minutes:
        raise UnknownTimeZone(f"Time zone not supported: {name}")
    return "UTC" if hours == 0 else f"Etc/GMT{'-' if match[1] == '+' else '+'}{hours}"
