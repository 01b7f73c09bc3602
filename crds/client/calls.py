"""From a verb, a resource and an object to the call that goes over the wire. Pure.

`KubeClient` builds its calls here and `Session` sends them; nobody else needs this module, apart from
`for_apply`, which whoever hashes what they apply may use.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import orjson

from crds.client.resources import Resource
from crds.client.retry import Repeat

JSON = "application/json"
PATCH_TYPES = {
    "merge": "application/merge-patch+json",
    "json": "application/json-patch+json",
    "strategic": "application/strategic-merge-patch+json",
}
APPLY = "application/apply-patch+yaml"

# What a server writes and an applied configuration must not claim.
_SERVER_FIELDS = ("managedFields", "resourceVersion", "creationTimestamp", "generation", "selfLink")

Body = Mapping[str, Any] | Sequence[Mapping[str, Any]]
Params = tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Call:
    verb: str
    method: str
    path: str
    # For metrics and messages: "pods" or "pods/status", and "get pods team-a/x".
    resource: str
    target: str
    params: Params = ()
    # Out of the repr: it may hold a Secret.
    body: bytes | None = field(default=None, repr=False)
    content_type: str = JSON
    accept: str = JSON
    repeat: Repeat = Repeat.NEVER


def call_for(
    verb: str,
    method: str,
    res: Resource,
    namespace: str | None = None,
    name: str | None = None,
    subresource: str | None = None,
    *,
    params: Params = (),
    body: Body | None = None,
    content_type: str = JSON,
    accept: str = JSON,
    repeat: Repeat = Repeat.NEVER,
    named: str = "",
) -> Call:
    """`named` is the object's name for messages where the path has none (a create)."""
    namespace = namespace if res.namespaced else None
    resource = f"{res.plural}/{subresource}" if subresource else res.plural
    shown = "/".join(part for part in (namespace, name or named) if part)
    return Call(
        verb,
        method,
        res.path(namespace, name, subresource),
        resource,
        f"{verb} {resource} {shown}".rstrip(),
        params,
        None if body is None else orjson.dumps(body),
        content_type,
        accept,
        repeat,
    )


def params_of(**given: str | None) -> Params:
    return tuple((key, value) for key, value in given.items() if value is not None)


def partial_metadata(kind: str) -> str:
    """The Accept header that asks for metadata alone; servers that cannot send the whole objects instead."""
    return f"application/json;as={kind};g=meta.k8s.io;v=v1,application/json"


def metadata_of(obj: Mapping[str, Any]) -> Mapping[str, Any]:
    metadata = obj.get("metadata")
    return metadata if isinstance(metadata, Mapping) else {}


def typed(res: Resource, obj: Mapping[str, Any]) -> dict[str, Any]:
    """The object with its apiVersion and kind, which a caller who names the resource may leave out."""
    return {"apiVersion": res.api_version, "kind": res.kind, **obj}


def for_apply(res: Resource, obj: Mapping[str, Any], subresource: str | None = None) -> dict[str, Any]:
    """What of `obj` an apply may send: no fields that the server writes, and status to the subresource only."""
    kept = {key: value for key, value in metadata_of(obj).items() if key not in _SERVER_FIELDS}
    body = {**typed(res, obj), "metadata": kept}
    if subresource is None:
        body.pop("status", None)
    return body
