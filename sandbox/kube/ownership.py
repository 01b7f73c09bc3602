"""Who owns whom, and what follows from it: the decisions of the garbage collector.

`Ownership` is a graph of every stored object by uid, kept in step with the store by `note`. `decide` says what
to do about one object: collect it, drop references to owners that are gone, orphan what it owns, or let it go. The
collector acts on the decision; here nothing is read or written. Pure.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any, Final, Literal

from sandbox.kube.store import Change, GroupResource, Object

FOREGROUND: Final = "foregroundDeletion"
ORPHAN: Final = "orphan"


@dataclass(frozen=True, slots=True)
class OwnerReference:
    """One entry of metadata.ownerReferences."""

    uid: str
    api_version: str
    kind: str
    blocks: bool


@dataclass(frozen=True, slots=True)
class Node:
    """What matters about one object."""

    uid: str
    table: GroupResource
    namespace: str
    name: str
    owners: tuple[OwnerReference, ...]
    deleting: bool
    finalizers: frozenset[str]


@dataclass(frozen=True, slots=True)
class Collect:
    """Delete the object: nothing that owns it is left."""

    propagation: Literal["Background", "Foreground", "Orphan"]


@dataclass(frozen=True, slots=True)
class Disown:
    """Take these owners out of the object's references."""

    owners: frozenset[str]


@dataclass(frozen=True, slots=True)
class Release:
    """Take a finalizer of ours off the object; before, take the object out of its dependents' references."""

    finalizer: str
    dependents: tuple[Node, ...] = ()


Action = Collect | Disown | Release


@dataclass(slots=True)
class Ownership:
    """The graph. `dependents` are kept for absent owners too: they are what must be collected."""

    nodes: dict[str, Node] = field(default_factory=dict)
    _dependents: dict[str, set[str]] = field(default_factory=dict)

    def note(self, change: Change) -> list[str]:
        """Takes one change in; returns the uids that must be looked at again."""
        node = node_of(change.resource, change.entry.obj)
        if change.type == "DELETED":
            return self.remove(node)
        return self.add(node)

    def add(self, node: Node) -> list[str]:
        """A new or changed object."""
        if not node.uid:
            return []
        before = self.nodes.get(node.uid)
        if before is not None:
            self._unlink(before)
        self.nodes[node.uid] = node
        for owner in node.owners:
            self._dependents.setdefault(owner.uid, set()).add(node.uid)
        affected = [node.uid]
        if node.deleting:
            affected.extend(self._dependents.get(node.uid, ()))
            affected.extend(owner.uid for owner in node.owners)
        elif before is not None:
            affected.extend(owner.uid for owner in before.owners if owner not in node.owners)
        return affected

    def remove(self, node: Node) -> list[str]:
        """An object that is gone."""
        known = self.nodes.pop(node.uid, node)
        self._unlink(known)
        return [*self._dependents.get(node.uid, ()), *(owner.uid for owner in known.owners)]

    def dependents(self, uid: str) -> list[Node]:
        """What names `uid` as an owner."""
        return [self.nodes[each] for each in sorted(self._dependents.get(uid, ()))]

    def decide(self, uid: str, is_served: Callable[[str, str], bool]) -> Action | None:
        """What to do about one object. Owners of kinds that are not served are left in doubt, and respected."""
        node = self.nodes.get(uid)
        if node is None:
            return None
        if node.deleting:
            return self._release(node)
        if not node.owners:
            return None
        solid, waiting, absent = 0, set[str](), set[str]()
        for reference in node.owners:
            owner = self.nodes.get(reference.uid)
            if owner is None or owner.namespace not in ("", node.namespace):
                if is_served(reference.api_version, reference.kind):
                    absent.add(reference.uid)
                else:
                    solid += 1
            elif owner.deleting and FOREGROUND in owner.finalizers:
                waiting.add(reference.uid)
            else:
                solid += 1
        if solid:
            gone = absent | waiting
            return Disown(frozenset(gone)) if gone else None
        if waiting and self._dependents.get(uid):
            # The owner waits for this object, so this object waits for what it owns in turn.
            return Collect("Foreground")
        return Collect("Orphan" if ORPHAN in node.finalizers else "Background")

    def _release(self, node: Node) -> Action | None:
        dependents = self.dependents(node.uid)
        if ORPHAN in node.finalizers:
            return Release(ORPHAN, tuple(dependents))
        if FOREGROUND in node.finalizers:
            blocking = [each for each in dependents if _blocks(each, node.uid)]
            return None if blocking else Release(FOREGROUND)
        return None

    def _unlink(self, node: Node) -> None:
        for owner in node.owners:
            members = self._dependents.get(owner.uid)
            if members is not None:
                members.discard(node.uid)
                if not members:
                    del self._dependents[owner.uid]


def node_of(table: GroupResource, obj: Object) -> Node:
    """The part of an object that the graph keeps."""
    metadata = obj["metadata"]
    return Node(
        uid=metadata.get("uid", ""),
        table=table,
        namespace=metadata.get("namespace", ""),
        name=metadata["name"],
        owners=tuple(_references(metadata.get("ownerReferences") or ())),
        deleting="deletionTimestamp" in metadata,
        finalizers=frozenset(map(str, metadata.get("finalizers") or ())),
    )


def without_owners(obj: Object, owners: frozenset[str]) -> Object:
    """`obj` (changed in place) without references to `owners`."""
    metadata = obj["metadata"]
    kept = [each for each in metadata.get("ownerReferences") or [] if each.get("uid") not in owners]
    if kept:
        metadata["ownerReferences"] = kept
    else:
        metadata.pop("ownerReferences", None)
    return obj


def without_finalizer(obj: Object, finalizer: str) -> Object:
    """`obj` (changed in place) without one finalizer."""
    metadata = obj["metadata"]
    kept = [each for each in metadata.get("finalizers") or [] if each != finalizer]
    if kept:
        metadata["finalizers"] = kept
    else:
        metadata.pop("finalizers", None)
    return obj


def _references(listed: Iterable[dict[str, Any]]) -> Iterable[OwnerReference]:
    for each in listed:
        yield OwnerReference(
            uid=str(each.get("uid", "")),
            api_version=str(each.get("apiVersion", "")),
            kind=str(each.get("kind", "")),
            blocks=each.get("blockOwnerDeletion") is True,
        )


def _blocks(node: Node, owner: str) -> bool:
    return any(reference.uid == owner and reference.blocks for reference in node.owners)
