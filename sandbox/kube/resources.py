"""What the server serves: one `Kind` per group, version and resource, and the registry that finds them.

The registry is filled once with the built-in kinds and then changes as CustomResourceDefinitions come and go.
Discovery, OpenAPI, routing of requests and RBAC's "does this resource exist" all read it. It holds no objects
and decides nothing about them: that is each kind's `Strategy`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any, Final, Protocol

from sandbox.kube.errors import Cause
from sandbox.kube.store import GroupResource

Object = dict[str, Any]
Schema = dict[str, Any]

_VERSION: Final = re.compile(r"v(\d+)(?:(alpha|beta)(\d+))?")
ALL_VERBS: Final = ("create", "delete", "deletecollection", "get", "list", "patch", "update", "watch")


class Strategy(Protocol):
    """How objects of one kind are read, completed and judged. Methods may change `obj`, never `old`."""

    def prune(self, obj: Object) -> list[str]:
        """Drop unknown fields; return their paths."""

    def default(self, obj: Object) -> None:
        """Fill in defaults, nested ones too."""

    def prepare(self, obj: Object, old: Object | None) -> None:
        """Complete what depends on more than a static default, before admission."""

    def allocate(self, obj: Object, old: Object | None) -> None:
        """Add what the server gives out on its own account, after admission; no writer owns it."""

    def validate(self, obj: Object, old: Object | None) -> list[Cause]:
        """Everything that is wrong with the object as a whole."""


@dataclass(frozen=True, slots=True)
class Column:
    """One column of the table form. `priority` above zero shows in `-o wide` only."""

    name: str
    type: str = "string"
    format: str = ""
    description: str = ""
    priority: int = 0


@dataclass(frozen=True, slots=True)
class ScalePaths:
    """Where a kind keeps what its scale sub-resource shows, as tuples of keys."""

    spec_replicas: tuple[str, ...] = ("spec", "replicas")
    status_replicas: tuple[str, ...] = ("status", "replicas")
    selector: tuple[str, ...] = ()  # empty when there is none; a dict there is a label selector


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Kind:
    """One served version of one resource."""

    group: str
    version: str
    plural: str
    kind: str
    namespaced: bool
    schema: Schema
    strategy: Strategy
    singular: str = ""
    list_kind: str = ""
    short_names: tuple[str, ...] = ()
    categories: tuple[str, ...] = ()
    verbs: tuple[str, ...] = ALL_VERBS
    subresources: frozenset[str] = frozenset()
    scale: ScalePaths | None = None
    columns: tuple[Column, ...] = ()
    cells: Callable[[Object, float], list[Any]] | None = None  # a row for `columns`, given the time
    storage: GroupResource | None = None  # another table, when two groups show the same objects
    decode: Callable[[Object], Object] | None = None  # from the stored form to this version's
    encode: Callable[[Object], Object] | None = None  # back
    schema_name: str = ""  # of the type in the OpenAPI document
    custom: bool = False
    versioned_updates: bool = False  # a write must name the version that it changes
    put_creates: bool = False  # a PUT of what is not there creates it
    delete_returns: bool = False  # a DELETE answers with what it removed, not with a Status
    zero: Schema = field(default_factory=dict)  # what an empty object of this type holds already, and no writer owns
    warning: str = ""  # sent with every answer: this version is deprecated
    field_paths: tuple[str, ...] = ()  # what a field selector may name besides metadata.name and .namespace

    @property
    def api_version(self) -> str:
        return f"{self.group}/{self.version}" if self.group else self.version

    @property
    def table(self) -> GroupResource:
        """Where the objects are kept."""
        return self.storage or GroupResource(self.group, self.plural)

    @property
    def resource(self) -> GroupResource:
        return GroupResource(self.group, self.plural)

    @property
    def list_name(self) -> str:
        return self.list_kind or f"{self.kind}List"

    @property
    def has_status(self) -> bool:
        return "status" in self.subresources

    def shown(self, obj: Object) -> Object:
        """A stored object in this version's form; the same dict when nothing differs."""
        if self.decode is not None:
            return self.decode(obj)
        if obj.get("apiVersion") != self.api_version or obj.get("kind") != self.kind:
            return {**obj, "apiVersion": self.api_version, "kind": self.kind}
        return obj


@dataclass(slots=True)
class Registry:
    """The kinds being served. `changed` counts registrations, for whoever caches what it derives."""

    changed: int = 0
    _kinds: dict[tuple[str, str, str], Kind] = field(default_factory=dict)
    _group_order: list[str] = field(default_factory=list)

    def add(self, kinds: Iterable[Kind]) -> None:
        for kind in kinds:
            if kind.group not in self._group_order:
                self._group_order.append(kind.group)
            self._kinds[(kind.group, kind.version, kind.plural)] = kind
        self.changed += 1

    def remove(self, group: str, plural: str) -> None:
        for key in [key for key in self._kinds if key[0] == group and key[2] == plural]:
            del self._kinds[key]
        if not any(key[0] == group for key in self._kinds) and group in self._group_order:
            self._group_order.remove(group)
        self.changed += 1

    def find(self, group: str, version: str, plural: str) -> Kind | None:
        return self._kinds.get((group, version, plural))

    def by_kind(self, api_version: str, kind: str) -> Kind | None:
        """The resource that an apiVersion and kind of a manifest name."""
        return next((k for k in self._kinds.values() if k.kind == kind and k.api_version == api_version), None)

    def by_resource(self, group: str, plural: str) -> Kind | None:
        """The preferred version of a resource."""
        return next((k for k in self._kinds.values() if k.group == group and k.plural == plural), None)

    def kinds(self) -> list[Kind]:
        return list(self._kinds.values())

    def groups(self) -> list[str]:
        """Group names in the order of registration; the core group is ""."""
        return list(self._group_order)

    def versions(self, group: str) -> list[str]:
        """Versions of a group, the preferred one first."""
        seen: dict[str, None] = {}
        for kind in self._kinds.values():
            if kind.group == group:
                seen[kind.version] = None
        return sorted(seen, key=version_priority)

    def in_version(self, group: str, version: str) -> list[Kind]:
        return [k for k in self._kinds.values() if k.group == group and k.version == version]


def version_priority(version: str) -> tuple[int, int, int, str]:
    """Sort key of API versions: v2, v1, v2beta1, v1beta2, v1alpha1, then anything else by name."""
    match = _VERSION.fullmatch(version)
    if match is None:
        return (3, 0, 0, version)
    stage = {None: 0, "beta": 1, "alpha": 2}[match[2]]
    return (stage, -int(match[1]), -int(match[3] or 0), version)
