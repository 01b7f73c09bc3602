"""Field ownership: server-side apply and the bookkeeping of every other write (`metadata.managedFields`).

The verbs call `apply_config` for an apply patch and `track_update` for any other change. Both take the live object
and give back a new one with its managed fields; a change that others own raises `Conflicts` unless forced.
Objects are in the version that the request uses, because managers of other versions are not converted.
Decided by values and `now`; nothing here talks to a store. Pure.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from typing import Any, Final, NamedTuple

import orjson

from sandbox.kube import fields, merge
from sandbox.kube.errors import Cause, StatusError, apply_conflict
from sandbox.kube.fields import EMPTY, FieldSet, Path

Object = dict[str, Any]
Schema = dict[str, Any]

LAST_APPLIED: Final = "kubectl.kubernetes.io/last-applied-configuration"
KUBECTL: Final = "kubectl"
_MOST_UPDATERS: Final = 10
_BEFORE: Final = "before-first-apply"
_ANCIENT: Final = "ancient-changes"

_UNOWNED: Final = frozenset(
    {
        ("f:apiVersion",),
        ("f:kind",),
        ("f:metadata",),
        *(
            ("f:metadata", f"f:{name}")
            for name in (
                *("name", "namespace", "creationTimestamp", "selfLink", "uid", "clusterName", "generation"),
                *("managedFields", "resourceVersion"),
            )
        ),
    }
)


class Manager(NamedTuple):
    """Who owns fields. Appliers are the same across versions, so theirs is empty here."""

    name: str
    operation: str
    api_version: str
    subresource: str


@dataclass(frozen=True, slots=True)
class Owned:
    """What one manager owns."""

    paths: FieldSet
    api_version: str
    time: str


Managers = dict[Manager, Owned]


@dataclass(frozen=True, slots=True)
class Writer:
    """The request behind a change. `ignored` tells paths that this endpoint cannot own (status on the main one)."""

    manager: str
    api_version: str
    subresource: str
    now: str
    schema: Schema
    ignored: Callable[[Path], bool] = lambda _path: False
    zero: Object = field(default_factory=dict)  # what every object of the kind holds, so that nobody added it

    def owned(self, paths: FieldSet) -> FieldSet:
        """Those of `paths` that may be owned."""
        return frozenset(path for path in paths if path not in _UNOWNED and not self.ignored(path))


class Conflicts(Exception):
    """Other managers own what an apply would change."""

    def __init__(self, owners: dict[Manager, tuple[Owned, FieldSet]]) -> None:
        super().__init__("apply conflicts with other field managers")
        self.owners = owners

    @property
    def paths(self) -> FieldSet:
        return EMPTY.union(*(paths for _, paths in self.owners.values()))

    def without(self, allowed: FieldSet) -> Conflicts:
        left = {key: (owned, paths - allowed) for key, (owned, paths) in self.owners.items()}
        return Conflicts({key: (owned, paths) for key, (owned, paths) in left.items() if paths})

    def to_error(self) -> StatusError:
        """The 409 that kubectl explains to its user."""
        found = [
            (_describe(key, owned), fields.show(path))
            for key, (owned, paths) in sorted(self.owners.items())
            for path in fields.ordered(paths)
        ]
        caused = [Cause("FieldManagerConflict", f"conflict with {who}", where) for who, where in found]
        if len(found) == 1:
            return apply_conflict(f"Apply failed with 1 conflict: conflict with {found[0][0]}: {found[0][1]}", caused)
        lines: list[str] = []
        for who in dict.fromkeys(who for who, _ in found):
            lines.append(f"conflicts with {who}:")
            lines.extend(f"- {where}" for each, where in found if each == who)
        return apply_conflict(f"Apply failed with {len(found)} conflicts: " + "\n".join(lines), caused)


def _describe(manager: Manager, owned: Owned) -> str:
    text = orjson.dumps(manager.name).decode()
    if manager.subresource:
        text += f' with subresource "{manager.subresource}"'
    if manager.operation == "Update":
        text += f" using {owned.api_version}"
    return text


# -- managedFields


def read_managers(entries: Iterable[Any]) -> Managers:
    """The managers of an object; entries that say nothing are dropped. BadFields when one cannot be read."""
    managers: Managers = {}
    for entry in entries:
        if not isinstance(entry, dict):
            raise fields.BadFields("managedFields entries must be objects")
        operation = entry.get("operation") or ""
        paths = fields.decode(entry.get("fieldsV1") or {})
        if not entry:
            continue
        if operation not in ("Apply", "Update"):
            raise fields.BadFields(f"invalid operation {operation!r}: must be `Apply` or `Update`")
        version = str(entry.get("apiVersion") or "")
        key = Manager(
            str(entry.get("manager") or ""),
            operation,
            "" if operation == "Apply" else version,
            str(entry.get("subresource") or ""),
        )
        managers[key] = Owned(paths, version, str(entry.get("time") or ""))
    return managers


def write_managers(managers: Managers) -> list[Object]:
    """The managers as `metadata.managedFields`: appliers first, then by time."""
    entries = []
    for key, owned in managers.items():
        entry: Object = {
            "manager": key.name,
            "operation": key.operation,
            "apiVersion": owned.api_version,
            "time": owned.time,
            "fieldsType": "FieldsV1",
            "fieldsV1": fields.encode(owned.paths),
        }
        if not owned.time:
            del entry["time"]
        if key.subresource:
            entry["subresource"] = key.subresource
        entries.append(entry)
    entries.sort(key=lambda e: (e["operation"], e.get("time", ""), e["manager"], e.get("subresource", "")))
    return entries


def _managers_of(obj: Object) -> Managers:
    return read_managers((obj.get("metadata") or {}).get("managedFields") or ())


def with_managers(obj: Object, managers: Managers) -> Object:
    """`obj` with these managers written into it."""
    metadata = {key: value for key, value in (obj.get("metadata") or {}).items() if key != "managedFields"}
    entries = write_managers(managers)
    if entries:
        metadata["managedFields"] = entries
    return {**obj, "metadata": metadata}


def _plain(obj: Object) -> Object:
    metadata = obj.get("metadata") or {}
    if "managedFields" not in metadata:
        return obj
    return {**obj, "metadata": {key: value for key, value in metadata.items() if key != "managedFields"}}


# -- update


def track_update(old: Object, new: Object, writer: Writer, *, created: bool = False) -> Object:
    """`new` with the fields that it changes from `old` owned by the writer, and no longer by others.

    A writer may set `managedFields` itself: what `new` carries counts, and an empty list resets them. Once an object
    has no managers, they are not recorded again before the first apply.
    """
    sent = (new.get("metadata") or {}).get("managedFields")
    managers = _managers_of(old)
    if sent is not None and sent != (old.get("metadata") or {}).get("managedFields"):
        try:
            managers = read_managers(sent)
        except fields.BadFields:
            managers = _managers_of(old)  # what cannot be read is ignored, as the real server does
    if not managers and not created:
        return with_managers(new, managers)
    try:
        was, becomes = (_over(writer.zero, _plain(each)) for each in (old, new))
        difference = merge.compare(was, becomes, writer.schema)
    except merge.BadItem:
        return with_managers(new, managers)  # validation will say what is wrong with the list
    if difference.same:
        return with_managers(new, managers)
    changed = difference.added | difference.modified
    key = Manager(writer.manager, "Update", writer.api_version, writer.subresource)
    before = managers.get(key)
    managers = _take_away(managers, key, changed, difference.removed)
    mine = before.paths if before is not None else EMPTY
    paths = writer.owned((mine - difference.removed) | changed)
    if before is not None and paths == before.paths and not changed:
        managers[key] = before
    elif paths:
        managers[key] = Owned(paths, writer.api_version, writer.now)
    else:
        managers.pop(key, None)
    return with_managers(new, _capped(managers))


def _over(zero: Object, obj: Any) -> Any:
    """`obj` with what `zero` holds where it has nothing."""
    if not zero:
        return {} if obj is None else obj
    if not isinstance(obj, dict):
        return zero if obj is None else obj
    filled = dict(obj)
    for key, value in zero.items():
        held = filled.get(key)
        filled[key] = _over(value, held) if isinstance(value, dict) else value if held is None else held
    return filled


def _take_away(managers: Managers, mine: Manager, changed: FieldSet, removed: FieldSet) -> Managers:
    gone = changed | removed
    left: Managers = {}
    for key, owned in managers.items():
        kept = owned if key == mine else replace(owned, paths=owned.paths - gone)
        if kept.paths or key == mine:
            left[key] = kept
    return left


def _capped(managers: Managers) -> Managers:
    """At most ten updaters: the oldest ones of a version become one."""
    updaters = sorted(
        (key for key in managers if key.operation == "Update" and not key.subresource),
        key=lambda key: managers[key].time,
    )
    if len(updaters) <= _MOST_UPDATERS:
        return managers
    left = dict(managers)
    for key in updaters[: len(updaters) - _MOST_UPDATERS + 1]:
        owned = left.pop(key)
        ancient = Manager(_ANCIENT, "Update", key.api_version, "")
        before = left.get(ancient)
        paths = owned.paths | (before.paths if before is not None else EMPTY)
        left[ancient] = replace(owned, paths=paths)
    return left


# -- apply


def apply_config(live: Object, config: Object, writer: Writer, *, force: bool) -> Object:
    """`live` with the applied configuration merged in, and what this manager no longer mentions taken out.

    `live` is {} plus type and name when the object does not exist yet. Raises Conflicts, BadItem.
    """
    return _refresh_last_applied(_apply_or_take_over(live, config, writer, force=force), config, writer)


def _apply_or_take_over(live: Object, config: Object, writer: Writer, *, force: bool) -> Object:
    if not _managers_of(live):
        live = _before_first_apply(live, writer)
    try:
        return _apply(live, config, writer, force=force)
    except Conflicts as conflicts:
        # An object that kubectl applied from the client side goes over to server-side apply without conflicts.
        allowed = _last_applied(live, writer.schema) if writer.manager == KUBECTL else EMPTY
        left = conflicts.without(allowed)
        if left.paths:
            raise left from None
        return _apply(live, config, writer, force=True)


def _before_first_apply(live: Object, writer: Writer) -> Object:
    """What an object without managers holds already belongs to everybody who wrote it, under one name."""
    metadata = {key: value for key, value in (live.get("metadata") or {}).items() if key != "managedFields"}
    bare = {**live, "metadata": metadata}
    empty: Object = {"apiVersion": live.get("apiVersion"), "kind": live.get("kind"), "metadata": {}}
    return track_update(empty, bare, replace(writer, manager=_BEFORE), created=True)


def _apply(live: Object, config: Object, writer: Writer, *, force: bool) -> Object:
    schema = writer.schema
    merge.check_unique(config, schema)
    managers = _managers_of(live)
    current = _plain(live)
    key = Manager(writer.manager, "Apply", "", writer.subresource)
    before = managers.get(key)
    set_here = merge.field_set(config, schema)
    mine = writer.owned(set_here)
    managers = {**managers, key: Owned(mine, writer.api_version, writer.now)}
    result = merge.merge(current, config, schema)
    if before is not None and before.paths:
        # With what nobody may own (metadata.name): it keeps `metadata` itself from being dropped.
        everyone = set_here.union(*(owned.paths for owned in managers.values()))
        parents = merge.with_named_parents(everyone, schema)
        dropped = merge.with_named_parents(before.paths, schema) - parents
        result = merge.remove(result, dropped, schema)
    difference = merge.compare(current, result, schema)
    changed = difference.added | difference.modified
    owners = {
        other: (owned, owned.paths & changed)
        for other, owned in managers.items()
        if other != key and owned.paths & changed
    }
    if owners and not force:
        raise Conflicts(owners)
    managers = _take_away(managers, key, changed, difference.removed)
    if not mine:
        managers.pop(key, None)
    elif difference.same:
        # Who changes nothing of the object has written at no time.
        managers[key] = Owned(mine, writer.api_version, before.time if before is not None else "")
    return with_managers(result, _capped(managers))


def _annotation(obj: Object) -> str | None:
    return ((obj.get("metadata") or {}).get("annotations") or {}).get(LAST_APPLIED)


def _refresh_last_applied(result: Object, config: Object, writer: Writer) -> Object:
    """Keep client-side apply's record in step, so that going back to it does not undo what was applied."""
    if writer.manager != KUBECTL or _annotation(result) is None:
        return result
    metadata = result["metadata"]
    text = orjson.dumps(_plain(config), option=orjson.OPT_SORT_KEYS).decode() + "\n"
    return {**result, "metadata": {**metadata, "annotations": {**metadata["annotations"], LAST_APPLIED: text}}}


def _last_applied(live: Object, schema: Schema) -> FieldSet:
    """The fields that the last client-side apply set and that still have the value it gave them."""
    text = _annotation(live)
    if text is None:
        return EMPTY
    try:
        applied = orjson.loads(text)
        difference = merge.compare(applied, _plain(live), schema)
        held = merge.field_set(applied, schema)
    except (orjson.JSONDecodeError, merge.BadItem, AttributeError):
        return EMPTY
    return held - difference.added - difference.modified - difference.removed
