"""What deleting an object means for it: gone at once, or marked and kept by finalizers or by grace.

Decided by the object, the options and `now`; the verbs act. Who removes what was marked is the business of
finalizers' owners, the kubelet and the garbage collector. Pure.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any, Final

from sandbox.kube import errors, meta
from sandbox.kube.call import Call, DeleteOptions
from sandbox.kube.resources import Kind
from sandbox.kube.store import GroupResource

Object = dict[str, Any]

NAMESPACES: Final = GroupResource("", "namespaces")
PODS: Final = GroupResource("", "pods")
IMMORTAL: Final = frozenset({"default", "kube-public", "kube-system"})
"""Namespaces that cannot be deleted."""


def check_preconditions(call: Call, options: DeleteOptions, obj: Object) -> None:
    """409 when the caller means another object, or another state of it."""
    metadata, kind = obj["metadata"], call.kind
    if kind.table == NAMESPACES and call.name in IMMORTAL:
        raise errors.forbidden("namespaces", "", call.name, "this namespace may not be deleted")
    if options.uid and options.uid != metadata.get("uid"):
        given = f"the UID in the precondition ({options.uid}) does not match the UID in record ({metadata.get('uid')})"
        why = f"{given}. The object might have been deleted and then recreated"
        raise errors.conflict(kind.kind, kind.group, call.name, why)
    if options.revision and options.revision != metadata["resourceVersion"]:
        given = f"the ResourceVersion in the precondition ({options.revision})"
        record = f"the ResourceVersion in record ({metadata['resourceVersion']})"
        why = f"{given} does not match {record}. The object might have been modified"
        raise errors.conflict(kind.kind, kind.group, call.name, why)


def mark(kind: Kind, obj: Object, options: DeleteOptions, now: datetime) -> bool:
    """Mark a fresh object as being deleted; True when nothing keeps it and it goes at once."""
    metadata = obj["metadata"]
    finalizers = _propagation_finalizers(metadata.get("finalizers") or [], options.propagation)
    grace = _grace(kind, obj, options.grace)
    already = metadata.get("deletionTimestamp")
    if finalizers:
        metadata["finalizers"] = finalizers
    else:
        metadata.pop("finalizers", None)
    if not already or grace < int(metadata.get("deletionGracePeriodSeconds") or 0):
        metadata["deletionTimestamp"] = meta.timestamp(now + timedelta(seconds=grace))
        metadata["deletionGracePeriodSeconds"] = grace
        if metadata.get("generation"):
            metadata["generation"] += 0 if already else 1
    if kind.table == NAMESPACES:
        obj["status"] = {**(obj.get("status") or {}), "phase": "Terminating"}
    return is_over(kind, obj)


def is_over(kind: Kind, obj: Object) -> bool:
    """Whether an object is marked and nothing keeps it any more."""
    metadata = obj["metadata"]
    if not metadata.get("deletionTimestamp") or metadata.get("finalizers"):
        return False
    if kind.table == NAMESPACES:
        return not (obj.get("spec") or {}).get("finalizers")
    # A Pod on a node is kept until its kubelet says, by deleting without grace, that it has stopped.
    return kind.table != PODS or int(metadata.get("deletionGracePeriodSeconds") or 0) == 0


def _propagation_finalizers(finalizers: list[str], propagation: str) -> list[str]:
    if not propagation:
        return finalizers
    kept = [name for name in finalizers if name not in ("orphan", "foregroundDeletion")]
    wanted = {"Orphan": ["orphan"], "Foreground": ["foregroundDeletion"]}
    return kept + wanted.get(propagation, [])


def _grace(kind: Kind, obj: Object, wanted: int | None) -> int:
    """Seconds that a Pod on a node gets to stop; everything else goes at once."""
    if kind.table != PODS:
        return 0
    spec = obj.get("spec") or {}
    if not spec.get("nodeName") or (obj.get("status") or {}).get("phase") in ("Succeeded", "Failed"):
        return 0
    if wanted is not None:
        return wanted
    own = obj["metadata"].get("deletionGracePeriodSeconds")
    default = spec.get("terminationGracePeriodSeconds")
    return int(own if own is not None else default if default is not None else 30)
