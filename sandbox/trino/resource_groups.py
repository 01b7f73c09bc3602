"""Resource groups: who may run how many queries at once, and who waits in which queue; pure.

Parsed by the configuration loader from the file manager's JSON, asked by the dispatcher before and
after every query. Concurrency and queue limits are kept, first come first served within a group;
memory and CPU limits and scheduling weights are read and not acted on.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from sandbox.trino.errors import QueryFailure

_GROUP_KEYS = frozenset(
    ("name", "softMemoryLimit", "maxQueued", "softConcurrencyLimit", "hardConcurrencyLimit", "schedulingPolicy",
     "schedulingWeight", "jmxExport", "subGroups", "softCpuLimit", "hardCpuLimit", "hardPhysicalDataScanLimit")
)  # fmt: skip
_SELECTOR_KEYS = frozenset(
    ("user", "originalUser", "authenticatedUser", "userGroup", "source", "queryText", "queryType", "clientTags",
     "selectorResourceEstimate", "group")
)  # fmt: skip
_ROOT_KEYS = frozenset(("rootGroups", "selectors", "cpuQuotaPeriod", "physicalDataScanQuotaPeriod"))
Path = tuple[str, ...]


class InvalidResourceGroups(ValueError):
    """The file cannot be used; the message says why."""


@dataclass(frozen=True, slots=True)
class GroupSpec:
    name: str
    limit: int
    max_queued: int
    children: tuple[GroupSpec, ...] = ()


@dataclass(frozen=True, slots=True)
class Selector:
    """None matches everything. `group` may hold ${USER} and ${SOURCE}."""

    group: Path
    user: re.Pattern[str] | None = None
    source: re.Pattern[str] | None = None
    tags: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class ResourceGroups:
    roots: tuple[GroupSpec, ...]
    selectors: tuple[Selector, ...]

    def path_of(self, user: str, source: str | None, tags: Iterable[str]) -> Path:
        """The group of a query; QUERY_REJECTED when no selector matches."""
        given = frozenset(tags)
        for selector in self.selectors:
            if selector.user is not None and not selector.user.fullmatch(user):
                continue
            if selector.source is not None and not selector.source.fullmatch(source or ""):
                continue
            if not selector.tags <= given:
                continue
            named = {"${USER}": user, "${SOURCE}": source or ""}
            return tuple(_filled(part, named) for part in selector.group)
        raise QueryFailure("QUERY_REJECTED", "Query did not match any selection rule")

    def specs_on(self, path: Path) -> tuple[GroupSpec, ...]:
        """The specification of each group from the root down to `path`."""
        found: list[GroupSpec] = []
        level = self.roots
        for part in path:
            spec = next((item for item in level if _matches(item.name, part)), None)
            if spec is None:
                raise QueryFailure("QUERY_REJECTED", f"Resource group '{'.'.join(path)}' does not exist")
            found.append(spec)
            level = spec.children
        return tuple(found)


# What a server without resource groups does: one group, wide.
DEFAULT = ResourceGroups((GroupSpec("global", 1000, 5000),), (Selector(("global",)),))


def _filled(part: str, values: Mapping[str, str]) -> str:
    for name, value in values.items():
        part = part.replace(name, value)
    return part


def _matches(template: str, name: str) -> bool:
    if "${" not in template:
        return template == name
    pattern = re.sub(r"\\\$\\\{[A-Z]+\\\}", ".*", re.escape(template))
    return re.fullmatch(pattern, name, re.DOTALL) is not None


def parse_resource_groups(document: Any) -> ResourceGroups:
    if not isinstance(document, dict):
        raise InvalidResourceGroups("the document is not an object")
    _known(document, _ROOT_KEYS, "the document")
    roots = tuple(_group(item) for item in _list(document, "rootGroups"))
    selectors = tuple(_selector(item) for item in _list(document, "selectors"))
    result = ResourceGroups(roots, selectors)
    for selector in selectors:
        try:
            result.specs_on(selector.group)
        except QueryFailure as failure:
            raise InvalidResourceGroups(
                f"Selector refers to nonexistent group: {'.'.join(selector.group)}"
            ) from failure
    return result


def _list(document: Mapping[str, Any], key: str) -> list[Any]:
    value = document.get(key)
    if not isinstance(value, list):
        raise InvalidResourceGroups(f"{key} is missing or not a list")
    return value


def _known(document: Mapping[str, Any], keys: frozenset[str], where: str) -> None:
    unknown = sorted(str(key) for key in document.keys() - keys)
    if unknown:
        raise InvalidResourceGroups(f"Unknown property at {where}: {', '.join(unknown)}")


def _group(document: Any) -> GroupSpec:
    if not isinstance(document, dict) or not isinstance(document.get("name"), str):
        raise InvalidResourceGroups("a group has no name")
    name = document["name"]
    _known(document, _GROUP_KEYS, f"group '{name}'")
    limits = []
    for key in ("hardConcurrencyLimit", "maxQueued"):
        value = document.get(key)
        if not isinstance(value, int) or isinstance(value, bool) or value < 0:
            raise InvalidResourceGroups(f"{key} of group '{name}' is missing or not a number >= 0")
        limits.append(value)
    children = document.get("subGroups", [])
    if not isinstance(children, list):
        raise InvalidResourceGroups(f"subGroups of group '{name}' is not a list")
    return GroupSpec(name, limits[0], limits[1], tuple(_group(child) for child in children))


def _selector(document: Any) -> Selector:
    if not isinstance(document, dict) or not isinstance(document.get("group"), str):
        raise InvalidResourceGroups("a selector has no group")
    _known(document, _SELECTOR_KEYS, "a selector")
    tags = document.get("clientTags", [])
    if not isinstance(tags, list):
        raise InvalidResourceGroups("clientTags of a selector is not a list")
    return Selector(
        tuple(document["group"].split(".")),
        _pattern(document.get("user")),
        _pattern(document.get("source")),
        frozenset(str(tag) for tag in tags),
    )


def _pattern(text: Any) -> re.Pattern[str] | None:
    if text is None:
        return None
    try:
        return re.compile(str(text))
    except re.error as error:
        raise InvalidResourceGroups(f"invalid pattern in a selector: {text}") from error


@dataclass(slots=True)
class Admission:
    """The running and waiting queries by group; `ticket` is a query id."""

    groups: ResourceGroups = DEFAULT
    _running: dict[str, Path] = field(default_factory=dict)
    _waiting: dict[str, Path] = field(default_factory=dict)

    def submit(self, ticket: str, path: Path) -> bool:
        """True when it may run now, False when it waits; QUERY_QUEUE_FULL when it may not even wait."""
        specs = self.groups.specs_on(path)
        if self._fits(path, specs) and path not in self._waiting.values():
            self._running[ticket] = path
            return True
        for depth, spec in enumerate(specs, start=1):
            prefix = path[:depth]
            if sum(other[:depth] == prefix for other in self._waiting.values()) >= spec.max_queued:
                raise QueryFailure("QUERY_QUEUE_FULL", f'Too many queued queries for "{".".join(prefix)}"')
        self._waiting[ticket] = path
        return False

    def leave(self, ticket: str) -> list[str]:
        """A query is over or gives up; who may run instead, in the order of arrival."""
        self._running.pop(ticket, None)
        self._waiting.pop(ticket, None)
        started: list[str] = []
        for waiting, path in list(self._waiting.items()):
            if self._fits(path, self.groups.specs_on(path)):
                del self._waiting[waiting]
                self._running[waiting] = path
                started.append(waiting)
        return started

    def path(self, ticket: str) -> Path | None:
        return self._running.get(ticket) or self._waiting.get(ticket)

    def _fits(self, path: Path, specs: Sequence[GroupSpec]) -> bool:
        return all(
            sum(other[:depth] == path[:depth] for other in self._running.values()) < spec.limit
            for depth, spec in enumerate(specs, start=1)
        )
