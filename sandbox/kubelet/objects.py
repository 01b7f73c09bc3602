"""Reading Kubernetes objects that are plain dicts: identity, ownership, labels, conditions, times.

Used by every module of the kubelet and of the workload controllers. Objects come from an API server that has
validated their structure, but any field may be absent, and a list or map may be null; these functions say
once what absence means. They never change what they are given.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any, NamedTuple

Object = dict[str, Any]


class Key(NamedTuple):
    """An object within its kind."""

    namespace: str
    name: str

    def __str__(self) -> str:
        return f"{self.namespace}/{self.name}"


def meta(obj: Mapping[str, Any]) -> Mapping[str, Any]:
    return obj.get("metadata") or {}


def spec(obj: Mapping[str, Any]) -> Mapping[str, Any]:
    return obj.get("spec") or {}


def status(obj: Mapping[str, Any]) -> Mapping[str, Any]:
    return obj.get("status") or {}


def key(obj: Mapping[str, Any]) -> Key:
    return Key(meta(obj).get("namespace") or "", meta(obj).get("name") or "")


def uid(obj: Mapping[str, Any]) -> str:
    return str(meta(obj).get("uid") or "")


def labels(obj: Mapping[str, Any]) -> Mapping[str, str]:
    return meta(obj).get("labels") or {}


def annotations_of(obj: Mapping[str, Any]) -> Mapping[str, str]:
    return meta(obj).get("annotations") or {}


def deleting(obj: Mapping[str, Any]) -> bool:
    return bool(meta(obj).get("deletionTimestamp"))


def generation(obj: Mapping[str, Any]) -> int:
    return int(meta(obj).get("generation") or 0)


def version(obj: Mapping[str, Any]) -> int:
    """The resourceVersion as a number; the API server of a sandbox and etcd both count upwards."""
    text = str(meta(obj).get("resourceVersion") or "0")
    return int(text) if text.isdigit() else 0


def controller_of(obj: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """The owner reference of the controller that manages the object."""
    for owner in meta(obj).get("ownerReferences") or []:
        if owner.get("controller"):
            return dict(owner)
    return None


def controlled_by(obj: Mapping[str, Any], owner_uid: str) -> bool:
    owner = controller_of(obj)
    return owner is not None and owner.get("uid") == owner_uid


def controller_reference(api_version: str, kind: str, owner: Mapping[str, Any]) -> Object:
    return {
        "apiVersion": api_version,
        "kind": kind,
        "name": meta(owner).get("name"),
        "uid": uid(owner),
        "controller": True,
        "blockOwnerDeletion": True,
    }


def timestamp(now: datetime) -> str:
    """RFC 3339 in whole seconds, as Kubernetes writes times."""
    return now.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def parse_time(text: Any) -> datetime | None:
    """A Kubernetes time, or None for anything else."""
    if not isinstance(text, str) or not text:
        return None
    try:
        parsed = datetime.fromisoformat(text)
    except ValueError:
        return None
    return parsed if parsed.tzinfo else parsed.replace(tzinfo=UTC)


def created(obj: Mapping[str, Any]) -> tuple[str, str]:
    """Sorts objects from old to new, by name within one second."""
    return str(meta(obj).get("creationTimestamp") or ""), str(meta(obj).get("name") or "")


def condition(obj: Mapping[str, Any], kind: str) -> Mapping[str, Any] | None:
    return find_condition(status(obj).get("conditions") or [], kind)


def find_condition(conditions: Iterable[Mapping[str, Any]], kind: str) -> Mapping[str, Any] | None:
    return next((item for item in conditions if item.get("type") == kind), None)


def pod_active(pod: Mapping[str, Any]) -> bool:
    """Counts as a replica: neither finished nor on its way out."""
    return status(pod).get("phase") not in ("Succeeded", "Failed") and not deleting(pod)


def pod_ready_since(pod: Mapping[str, Any]) -> datetime | None:
    """When the pod became ready, or None while it is not."""
    found = condition(pod, "Ready")
    if found is None or found.get("status") != "True":
        return None
    return parse_time(found.get("lastTransitionTime")) or datetime.fromtimestamp(0, UTC)
