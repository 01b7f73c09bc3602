"""Reads request paths: which API, which resource, which object, which verb.

`/api/v1/namespaces/a/pods/b/log` and `/apis/GROUP/VERSION/...` become a `Target`; everything else is not an API path.
Whether the resource exists is the registry's business. Pure.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import unquote


@dataclass(frozen=True, slots=True)
class Target:
    """What a path points at. Empty strings mean "not given"."""

    group: str
    version: str
    plural: str
    namespace: str = ""
    name: str = ""
    subresource: str = ""
    rest: str = ""  # what follows the sub-resource
    watch: bool = False  # the older spelling of ?watch=true


def parse(path: str) -> Target | None:
    """The target of an API path (still percent-encoded); None for discovery and other paths."""
    parts = [unquote(part) for part in path.strip("/").split("/")]
    if parts[0] == "api" and len(parts) >= 3:
        group, version, rest = "", parts[1], parts[2:]
    elif parts[0] == "apis" and len(parts) >= 4:
        group, version, rest = parts[1], parts[2], parts[3:]
    else:
        return None
    if not all(rest):
        return None
    watch = rest[0] == "watch"
    rest = rest[1:] if watch else rest
    if not rest:
        return None
    namespace = ""
    # `namespaces/a` and its own sub-resources are the Namespace itself, anything longer is inside it.
    if rest[0] == "namespaces" and len(rest) >= 3 and rest[2] not in ("status", "finalize"):
        namespace, rest = rest[1], rest[2:]
    elif rest[0] == "namespaces" and len(rest) >= 2:
        namespace = rest[1]
    plural, name, subresource, *more = [*rest, "", "", ""][: max(3, len(rest))]
    return Target(group, version, plural, namespace, name, subresource, "/".join(filter(None, more)), watch)


def verb(method: str, target: Target, query: Mapping[str, str]) -> str:
    """The RBAC verb of a request; "" for a method that means nothing here."""
    if method in ("GET", "HEAD"):
        if (target.watch or is_true(query.get("watch"))) and not target.subresource:
            return "watch"
        return "get" if target.name else "list"
    if method == "DELETE":
        return "delete" if target.name else "deletecollection"
    return {"POST": "create", "PUT": "update", "PATCH": "patch"}.get(method, "")


def is_true(text: str | None) -> bool:
    """A boolean of a query string; `watch=1` is true, `watch=0` and `watch=false` are not."""
    return text is not None and text.lower() in ("", "1", "t", "true")
