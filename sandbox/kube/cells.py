"""Small words for writing rows: reading an object that may lack anything, and naming columns.

Used by the rows of built-in kinds. Pure.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from sandbox.kube.printing import NONE, age
from sandbox.kube.resources import Column

Object = dict[str, Any]


def age_of(obj: Object, now: float) -> str:
    return age(obj["metadata"].get("creationTimestamp"), now)


def name_of(obj: Object) -> str:
    return str(obj["metadata"].get("name", ""))


def get(obj: Any, *path: str) -> Any:
    for key in path:
        obj = obj.get(key) if isinstance(obj, dict) else None
    return obj


def count(obj: Object, *path: str) -> int:
    value = get(obj, *path)
    return value if isinstance(value, int) else 0


def joined(values: Iterable[Any]) -> str:
    return ",".join(str(value) for value in values) or NONE


def images_of(spec: Any) -> tuple[str, str]:
    containers = get(spec, "containers") or []
    return joined(c.get("name", "") for c in containers), joined(c.get("image", "") for c in containers)


def columns(text: str) -> tuple[Column, ...]:
    """`Name Ready!integer wide:IP`: columns in order; `!type`, and `wide:` for `-o wide` only."""
    made = []
    for word in text.split():
        shown, _, kind = word.partition("!")
        title = shown.removeprefix("wide:").replace("_", " ")
        made.append(
            Column(
                title,
                kind or "string",
                "name" if title == "Name" else "",
                title,
                1 if shown.startswith("wide:") else 0,
            )
        )
    return tuple(made)
