"""Cells of `kubectl get`: ages as kubectl writes them, and the printer columns of CRDs.

A row is made by a function from an object and the time to its cells; kinds without one get NAME and AGE. Pure.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import datetime
from typing import Any, Final

from crds.v1.ages import age_text
from sandbox.kube.jsonpath import JSONPath
from sandbox.kube.resources import Column

Object = dict[str, Any]
Cells = Callable[[Object, float], list[Any]]

NONE: Final = "<none>"
UNKNOWN: Final = "<unknown>"

NAME: Final = Column("Name", format="name", description="Name must be unique within a namespace.")
AGE: Final = Column("Age", description="CreationTimestamp is when the server created this object.")


def age(stamp: Any, now: float) -> str:
    """The age of a timestamp, `<unknown>` when there is none."""
    if not isinstance(stamp, str) or not stamp:
        return UNKNOWN
    try:
        return age_text(now - datetime.fromisoformat(stamp).timestamp())
    except (ValueError, OverflowError):
        return UNKNOWN


def name_and_age(obj: Object, now: float) -> list[Any]:
    """The row of a kind that has no columns of its own."""
    metadata = obj["metadata"]
    return [metadata.get("name", ""), age(metadata.get("creationTimestamp"), now)]


def printer_cells(columns: Iterable[Object]) -> tuple[tuple[Column, ...], Cells]:
    """Columns and cells of a CRD version's `additionalPrinterColumns`."""
    listed = list(columns)
    made = tuple(
        Column(
            str(each.get("name", "")),
            str(each.get("type", "string")),
            str(each.get("format", "")),
            str(each.get("description", "")),
            int(each.get("priority") or 0),
        )
        for each in listed
    )
    paths = [(JSONPath(str(each.get("jsonPath", ""))), str(each.get("type", "string"))) for each in listed]

    def cells(obj: Object, now: float) -> list[Any]:
        return [obj["metadata"].get("name", ""), *(_printed(path.find(obj), kind, now) for path, kind in paths)]

    return (NAME, *made), cells


def _printed(found: list[Any], kind: str, now: float) -> Any:
    if not found or found[0] is None:
        return None
    value = found[0]
    if kind == "date":
        return age(value, now)
    if kind == "integer":
        return value if isinstance(value, int) else None
    if kind == "number":
        return value if isinstance(value, (int, float)) else None
    if kind == "boolean":
        return value if isinstance(value, bool) else None
    if len(found) > 1:
        return ",".join(_text(each) for each in found)
    return _text(value)


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, list):
        return "[" + ",".join(f'"{each}"' if isinstance(each, str) else _text(each) for each in value) + "]"
    if isinstance(value, dict):
        return "{" + ",".join(f'"{key}":{_text(each)}' for key, each in value.items()) + "}"
    return str(value)
