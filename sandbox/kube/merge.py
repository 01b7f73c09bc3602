"""Walks objects by their schema for server-side apply: which fields there are, what differs, merge, remove.

Ownership is decided elsewhere (`apply`); this module only knows that a schema makes a map granular or atomic and a
list atomic, a set, or a map by keys. Without a schema, maps are granular and lists atomic. Inputs are never
changed, and unchanged parts of a result are shared with them. Pure.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from typing import Any, Final, NamedTuple

from sandbox.kube import fields
from sandbox.kube.fields import FieldSet, Path

Schema = dict[str, Any]

ABSENT: Final[Any] = object()


class BadItem(Exception):
    """A list item that its schema cannot place: no key, or the same key twice."""

    def __init__(self, path: Path, why: str) -> None:
        super().__init__(f"{fields.show(path)}: {why}")


class Comparison(NamedTuple):
    """How one object differs from another."""

    added: FieldSet
    modified: FieldSet
    removed: FieldSet

    @property
    def same(self) -> bool:
        return not (self.added or self.modified or self.removed)


def _shape(schema: Schema | None, value: Any) -> str:
    """How apply treats a value: "map" (granular), "keys", "set" or "leaf"."""
    if isinstance(value, dict):
        return "leaf" if schema is not None and schema.get("x-kubernetes-map-type") == "atomic" else "map"
    if isinstance(value, list) and schema is not None:
        return {"map": "keys", "set": "set"}.get(schema.get("x-kubernetes-list-type", ""), "leaf")
    return "leaf"


def _property(schema: Schema | None, name: str) -> Schema | None:
    if schema is None:
        return None
    properties = schema.get("properties")
    if properties is not None and name in properties:
        found = properties[name]
    else:
        found = schema.get("additionalProperties")
    return found if isinstance(found, dict) else None


def _is_named(schema: Schema | None, name: str) -> bool:
    return schema is not None and name in (schema.get("properties") or ())


def _items(schema: Schema | None) -> Schema | None:
    found = schema.get("items") if schema is not None else None
    return found if isinstance(found, dict) else None


def _element(schema: Schema, member: Any, shape: str, path: Path) -> str:
    """The path element of a list's member."""
    if shape == "set":
        return fields.value(member)
    if not isinstance(member, dict):
        raise BadItem(path, "associative list with keys has an element that is not a map")
    properties = (_items(schema) or {}).get("properties") or {}
    keys = {}
    for key in schema.get("x-kubernetes-list-map-keys") or ():
        if key in member:
            keys[key] = member[key]
        elif "default" in properties.get(key, ()):
            keys[key] = properties[key]["default"]
    if not keys:
        wanted = ", ".join(schema.get("x-kubernetes-list-map-keys") or ())
        raise BadItem(path, f"associative list with keys has an element that omits all key fields ({wanted})")
    return fields.item(keys)


def _members(schema: Schema | None, listed: list[Any], shape: str, path: Path) -> dict[str, Any]:
    """Members by their element. Of members with the same keys, the last counts."""
    if schema is None:
        return {}
    return {_element(schema, member, shape, path): member for member in listed}


def check_unique(value: Any, schema: Schema | None, path: Path = ()) -> None:
    """Raise BadItem when a list that is a map or a set names a member twice."""
    shape = _shape(schema, value)
    if shape == "map":
        for name, below in value.items():
            check_unique(below, _property(schema, name), (*path, fields.field(name)))
    elif shape in ("keys", "set") and schema is not None:
        seen: set[str] = set()
        for member in value:
            element = _element(schema, member, shape, path)
            if element in seen:
                raise BadItem(path, f"duplicate entries for key {fields.show((element,))}")
            seen.add(element)
            check_unique(member, _items(schema), (*path, element))


# -- which fields


def field_set(value: Any, schema: Schema | None) -> FieldSet:
    """Every field that `value` sets."""
    found: set[Path] = set()
    _collect(value, schema, (), found)
    return frozenset(found)


def _collect(value: Any, schema: Schema | None, path: Path, found: set[Path]) -> None:
    shape = _shape(schema, value)
    if shape == "map":
        for name, below in value.items():
            child = (*path, fields.field(name))
            _collect(below, _property(schema, name), child, found)
            if below is None or below == {} or not _is_named(schema, name):
                found.add(child)
    elif shape in ("keys", "set"):
        for element, member in _members(schema, value, shape, path).items():
            child = (*path, element)
            _collect(member, _items(schema), child, found)
            found.add(child)
    else:
        found.add(path)


# -- what differs


def compare(old: Any, new: Any, schema: Schema | None) -> Comparison:
    """What `new` adds to, changes in and lacks of `old`."""
    added: set[Path] = set()
    modified: set[Path] = set()
    removed: set[Path] = set()
    _compare(old, new, schema, (), (added, modified, removed))
    return Comparison(frozenset(added), frozenset(modified), frozenset(removed))


_Sets = tuple[set[Path], set[Path], set[Path]]


def _compare(old: Any, new: Any, schema: Schema | None, path: Path, sets: _Sets) -> None:
    if old is new:
        return
    old_shape, new_shape = _shape(schema, old), _shape(schema, new)
    nothing_new = new is ABSENT or new is None
    shape = old_shape if nothing_new else new_shape
    if not nothing_new and old is not ABSENT and old is not None and old_shape != new_shape:
        shape = "leaf"
    if shape != "leaf" and _hollow(old) and _hollow(new):
        shape = "leaf"  # an empty map or list against nothing is a change of the field itself
    if shape == "leaf":
        _leaf(old, new, path, sets)
        return
    for element, before, after, below in _pairs(old, new, schema, shape, path):
        _compare(before, after, below, (*path, element), sets)
    if path and old is ABSENT:
        sets[0].add(path)
    elif path and new is ABSENT:
        sets[2].add(path)


def _hollow(value: Any) -> bool:
    return value is ABSENT or value is None or value in ({}, [])


def _leaf(old: Any, new: Any, path: Path, sets: _Sets) -> None:
    if old is ABSENT:
        sets[0].add(path)
    elif new is ABSENT:
        sets[2].add(path)
    elif old != new or (isinstance(old, bool) is not isinstance(new, bool)):
        sets[1].add(path)


def _pairs(
    old: Any, new: Any, schema: Schema | None, shape: str, path: Path
) -> Iterator[tuple[str, Any, Any, Schema | None]]:
    """Each member of either side with its counterpart and its schema."""
    if shape == "map":
        left = old if isinstance(old, dict) else {}
        right = new if isinstance(new, dict) else {}
        for name in left.keys() | right.keys():
            below = _property(schema, name)
            yield fields.field(name), left.get(name, ABSENT), right.get(name, ABSENT), below
        return
    before = _members(schema, old, shape, path) if isinstance(old, list) else {}
    after = _members(schema, new, shape, path) if isinstance(new, list) else {}
    for element in before.keys() | after.keys():
        yield element, before.get(element, ABSENT), after.get(element, ABSENT), _items(schema)


# -- merge and remove


def merge(live: Any, config: Any, schema: Schema | None, path: Path = ()) -> Any:
    """`live` with everything that `config` says."""
    shape = _shape(schema, config)
    if shape == "leaf" or _shape(schema, live) != shape:
        return config
    if shape == "map":
        merged = dict(live)
        for name, wanted in config.items():
            below = _property(schema, name)
            child = (*path, fields.field(name))
            merged[name] = merge(live[name], wanted, below, child) if name in live else wanted
        return merged
    return _merge_lists(live, config, schema, shape, path)


def _merge_lists(live: list[Any], config: list[Any], schema: Schema | None, shape: str, path: Path) -> list[Any]:
    before = _members(schema, live, shape, path)
    wanted = _members(schema, config, shape, path)
    merged: list[Any] = []
    for element in _order(list(before), list(wanted)):
        if element in before and element in wanted:
            merged.append(merge(before[element], wanted[element], _items(schema), (*path, element)))
        else:
            merged.append(wanted[element] if element in wanted else before[element])
    return merged


def _order(live: list[str], wanted: list[str]) -> list[str]:
    """The order of `wanted`; what only `live` has stays behind the shared member that it stood behind."""
    only_wanted, shared = set(wanted), set(live) & set(wanted)
    upcoming = deque(element for element in wanted if element in shared)
    order: list[str] = []
    at = 0
    for element in wanted:
        while at < len(live):
            if live[at] not in only_wanted:
                order.append(live[at])
            elif upcoming and live[at] == upcoming[0]:
                break
            at += 1
        order.append(element)
        if upcoming and element == upcoming[0]:
            upcoming.popleft()
            # Past it, when this is where `live` has it.
            at += at < len(live) and live[at] == element
    return order + [element for element in live[at:] if element not in only_wanted]


def with_named_parents(paths: FieldSet, schema: Schema | None) -> FieldSet:
    """The set with every field on the way to a member, if the schema names it, as a member too."""
    found = set(paths)
    for path in paths:
        at = schema
        for end, element in enumerate(path[:-1], start=1):
            if element.startswith("f:"):
                if _is_named(at, element[2:]):
                    found.add(path[:end])
                at = _property(at, element[2:])
            else:
                at = _items(at)
            if at is None:
                break
    return frozenset(found)


def remove(value: Any, paths: FieldSet, schema: Schema | None) -> Any:
    """`value` without the members of `paths`. A map or list that is emptied by it becomes null."""
    tree = fields.encode(paths)
    return _remove(value, tree, schema, ())


def _remove(value: Any, tree: dict[str, Any], schema: Schema | None, path: Path) -> Any:
    shape = _shape(schema, value)
    if shape == "map":
        kept_map = {}
        for name, below in value.items():
            element = fields.field(name)
            left = _member(below, tree.get(element), _property(schema, name), (*path, element))
            if left is not ABSENT:
                kept_map[name] = left
        return kept_map if kept_map or not value else None
    if shape in ("keys", "set") and schema is not None:
        kept_list = []
        for member in value:
            element = _element(schema, member, shape, path)
            left = _member(member, tree.get(element), _items(schema), (*path, element))
            if left is not ABSENT and left is not None:
                kept_list.append(left)
        return kept_list if kept_list or not value else None
    return value


def _member(value: Any, tree: dict[str, Any] | None, schema: Schema | None, path: Path) -> Any:
    if tree is None:
        return value
    if not tree or "." in tree:
        return ABSENT
    return _remove(value, tree, schema, path)
