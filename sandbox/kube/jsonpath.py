"""The subset of JSONPath that printer columns and scale paths use.

`.spec.size`, `['a.b']`, `.metadata.labels.app\\.kubernetes\\.io/name`, `[0]`, `[*]`, and filters of the form
`[?(@.type=="Ready")]`. Compiled once per column. A path that cannot be read is refused when its CRD is created.
Pure.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, Final

Step = Callable[[Any], list[Any]]

_TOKEN: Final = re.compile(
    r"""
      \.(?P<name>(?:\\.|[^.\[\]\\\s*'"])+)
    | \[(?P<quote>['"])(?P<quoted>(?:\\.|[^\\])*?)(?P=quote)\]
    | \[(?P<index>-?\d{1,9})\]
    | (?P<all>\[\*\]|\.\*)
    | \[\?\(\s*@(?P<left>[^=!<>]+?)\s*(?P<op>==|!=)\s*(?P<right>"[^"]*"|'[^']*'|-?\d+|true|false)\s*\)\]
    """,
    re.VERBOSE,
)


class BadPath(Exception):
    """A JSONPath outside the supported subset."""


class JSONPath:
    """A compiled path. `find` returns every value it leads to."""

    def __init__(self, text: str) -> None:
        self.text = text
        source = text.strip()
        if source.startswith("{") and source.endswith("}"):
            source = source[1:-1]
        source = source.removeprefix("$")
        if source and source[0] not in ".[":
            source = "." + source
        if source == ".":
            source = ""
        self._steps = _compile(source, text)

    def find(self, obj: Any) -> list[Any]:
        values = [obj]
        for step in self._steps:
            values = [found for value in values for found in step(value)]
        return values


def _compile(source: str, text: str) -> list[Step]:
    steps: list[Step] = []
    position = 0
    while position < len(source):
        match = _TOKEN.match(source, position)
        if match is None:
            raise BadPath(f"cannot read the JSONPath {text!r} at {source[position:]!r}")
        steps.append(_step(match, text))
        position = match.end()
    return steps


def _step(match: re.Match[str], text: str) -> Step:
    if match["name"] is not None:
        return _child(re.sub(r"\\(.)", r"\1", match["name"]))
    if match["quoted"] is not None:
        return _child(re.sub(r"\\(.)", r"\1", match["quoted"]))
    if match["index"] is not None:
        return _index(int(match["index"]))
    if match["all"] is not None:
        return _everything
    left = match["left"].strip()
    return _filter(JSONPath(left) if left else JSONPath("."), match["op"] == "==", _literal(match["right"]))


def _literal(text: str) -> Any:
    if text[0] in "\"'":
        return text[1:-1]
    if text in ("true", "false"):
        return text == "true"
    return int(text)


def _child(name: str) -> Step:
    return lambda value: [value[name]] if isinstance(value, dict) and name in value else []


def _index(number: int) -> Step:
    return lambda value: [value[number]] if isinstance(value, list) and -len(value) <= number < len(value) else []


def _everything(value: Any) -> list[Any]:
    if isinstance(value, dict):
        return list(value.values())
    return list(value) if isinstance(value, list) else []


def _filter(left: JSONPath, equal: bool, right: Any) -> Step:
    def step(value: Any) -> list[Any]:
        members = value if isinstance(value, list) else list(value.values()) if isinstance(value, dict) else []
        return [member for member in members if (right in left.find(member)) is equal]

    return step
