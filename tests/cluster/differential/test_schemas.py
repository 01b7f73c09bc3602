"""The built-in kinds field by field: what the real server publishes about their types must be what ours are made of.

Plan: walk each of our kinds beside its OpenAPI v3 document; every field of the real type must be known, of the same
type, and merged alike by apply and by strategic patches. What ours keeps whole ("any") is not looked into.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from sandbox.kube.builtin import builtin_kinds
from sandbox.kube.store import Store
from tests.support.kube_http import KubeHttp

Schema = dict[str, Any]

pytestmark = [pytest.mark.real, pytest.mark.xdist_group("real")]

KINDS = [
    kind for kind in builtin_kinds(Store(), lambda _obj, _old: None) if "metadata" in kind.schema.get("properties", {})
]
KEPT_WHOLE = ("x-kubernetes-preserve-unknown-fields", "x-kubernetes-int-or-string")
MERGING = (
    *("x-kubernetes-list-type", "x-kubernetes-list-map-keys", "x-kubernetes-map-type"),
    *("x-kubernetes-patch-merge-key", "x-kubernetes-patch-strategy"),
)
# Strategic patches merge these lists, which no apply does; nobody patches them.
KNOWN = ("Pod.status.hostIPs", "Job.status.conditions")
GENERIC = {"x-kubernetes-list-type": "atomic", "x-kubernetes-map-type": "granular"}


def resolved(schema: Schema, types: Schema) -> Schema:
    """With the type that it refers to in place."""
    while True:
        whole = schema.get("allOf") or [schema]
        reference = whole[0].get("$ref")
        if reference is None:
            return schema
        kept = {key: value for key, value in schema.items() if key not in ("$ref", "allOf")}
        schema = {**types[reference.rpartition("/")[2]], **kept}


def unlike(ours: Schema, real: Schema, types: Schema, path: str) -> Iterator[str]:
    if any(ours.get(key) for key in KEPT_WHOLE) or path in KNOWN:
        return
    real = resolved(real, types)
    for key in MERGING:
        one, two = (None if each.get(key) == GENERIC.get(key) else each.get(key) for each in (ours, real))
        if one != two:
            yield f"{path}: {key} is {one}, on the real server {two}"
    if ours.get("type") != real.get("type"):
        yield f"{path}: type {ours.get('type')}, on the real server {real.get('type')}"
    mine, theirs = ours.get("properties") or {}, real.get("properties") or {}
    yield from (f"{path}.{name}: the real server has no such field" for name in mine.keys() - theirs.keys())
    yield from (f"{path}.{name}: only the real server has this field" for name in theirs.keys() - mine.keys())
    for name in mine.keys() & theirs.keys() - {"managedFields"}:
        yield from unlike(mine[name], theirs[name], types, f"{path}.{name}")
    for key in ("items", "additionalProperties"):
        if isinstance(ours.get(key), dict) and isinstance(real.get(key), dict):
            yield from unlike(ours[key], real[key], types, path + "[]")


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: f"{kind.api_version}-{kind.kind}".replace("/", "-"))
async def test_a_type_has_the_fields_of_the_real_one(servers: tuple[KubeHttp, KubeHttp], kind: Any) -> None:
    path = f"apis/{kind.api_version}" if kind.group else f"api/{kind.api_version}"
    types = (await servers[1]("GET", f"/openapi/v3/{path}")).body["components"]["schemas"]
    named = {"group": kind.group, "version": kind.version, "kind": kind.kind}
    real = next(
        each
        for each in types.values()
        if named in each.get("x-kubernetes-group-version-kind", ()) and "metadata" in each.get("properties", ())
    )
    found = sorted(unlike(kind.schema, real, types, kind.kind))
    assert not found, "\n".join(found)
