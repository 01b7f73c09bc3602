"""Sets of field paths: what a field manager owns, as an algebra and in the `fieldsV1` notation.

A path is a tuple of elements in the notation itself: `f:name` a field, `k:{"name":"a"}` a list item by its keys,
`v:"x"` a set item by its value. A set of paths is a frozenset, so union, difference and intersection are Python's.
Server-side apply builds on this; nothing here knows schemas or objects' kinds. Pure.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

import orjson

Path = tuple[str, ...]
FieldSet = frozenset[Path]

EMPTY: Final[FieldSet] = frozenset()


class BadFields(Exception):
    """A `fieldsV1` document that cannot be read."""


def field(name: str) -> str:
    return "f:" + name


def item(keys: Mapping[str, Any]) -> str:
    """The list item with these key fields."""
    return "k:" + orjson.dumps(keys, option=orjson.OPT_SORT_KEYS).decode()


def value(member: Any) -> str:
    """The set member with this value."""
    return "v:" + orjson.dumps(member, option=orjson.OPT_SORT_KEYS).decode()


def encode(paths: Iterable[Path]) -> dict[str, Any]:
    """The set as a `fieldsV1` document: nested, "." marking a member that has members below it."""
    root: dict[str, Any] = {}
    for path in sorted(paths):
        node = root
        for element in path:
            node = node.setdefault(element, {})
        node["."] = {}
    _drop_leaf_dots(root)
    return root


def _drop_leaf_dots(node: dict[str, Any]) -> None:
    for element, below in node.items():
        if element == ".":
            continue
        if len(below) == 1 and "." in below:
            below.clear()
        else:
            _drop_leaf_dots(below)


def decode(document: Any) -> FieldSet:
    """The set that a `fieldsV1` document stands for; BadFields when it is none."""
    found: set[Path] = set()
    stack: list[tuple[Path, Any]] = [((), document)]
    while stack:
        path, node = stack.pop()
        if not isinstance(node, dict):
            raise BadFields(f"expected an object at {show(path) or 'the top'}, got {type(node).__name__}")
        if path and not node:
            found.add(path)
        for element, below in node.items():
            if element == ".":
                if path:
                    found.add(path)
            else:
                _check_element(element)
                stack.append(((*path, element), below))
    return frozenset(found)


def _check_element(element: str) -> None:
    kind, colon, rest = element.partition(":")
    if not colon or kind not in ("f", "k", "v", "i"):
        raise BadFields(f"unknown path element {element!r}: expected one of f:, k:, v:, i:")
    if kind == "f":
        return
    try:
        loaded = orjson.loads(rest)
    except orjson.JSONDecodeError as error:
        raise BadFields(f"path element {element!r} is not JSON after its prefix") from error
    if kind == "k" and not isinstance(loaded, dict):
        raise BadFields(f"path element {element!r} must hold an object")


def below(paths: FieldSet, prefix: Path) -> FieldSet:
    """The members at or under `prefix`."""
    length = len(prefix)
    return frozenset(path for path in paths if path[:length] == prefix)


def ordered(paths: Iterable[Path]) -> list[Path]:
    """Level by level, members before what is below their neighbours: the order in which conflicts are listed."""
    here: list[Path] = []
    deeper: dict[str, list[Path]] = {}
    for path in paths:
        if len(path) == 1:
            here.append(path)
        else:
            deeper.setdefault(path[0], []).append(path[1:])
    found = sorted(here)
    for element in sorted(deeper):
        found += [(element, *path) for path in ordered(deeper[element])]
    return found


def show(path: Path) -> str:
    """`.spec.containers[name="a"].image`, as conflicts name a field."""
    text = ""
    for element in path:
        kind, rest = element[:1], element[2:]
        if kind == "f":
            text += "." + rest
        elif kind == "k":
            keys = orjson.loads(rest)
            text += "[" + ",".join(f"{key}={orjson.dumps(keys[key]).decode()}" for key in sorted(keys)) + "]"
        elif kind == "v":
            text += f"[={rest}]"
        else:
            text += f"[{rest}]"
    return text
