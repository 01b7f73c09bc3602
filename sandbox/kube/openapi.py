"""OpenAPI v3: the index and one document per group and version, as kubectl reads them.

Good enough for `kubectl apply`, `explain` and client-side checks: every kind has its schema with
x-kubernetes-group-version-kind, and paths that carry the verbs and their query parameters. Made on request from
the registry and kept until it changes. Pure.
"""

from __future__ import annotations

import hashlib
from typing import Any, Final

import orjson

from sandbox.kube.builtin_types import TYPES
from sandbox.kube.resources import Kind, Registry

Object = dict[str, Any]

# kubectl asks for OpenAPI v2, in protobuf, about groups that v3 does not have: a document that says nothing (format,
# title, version) lets it find out by itself that nobody serves the kind.
V2_TYPE: Final = "application/com.github.proto-openapi.spec.v2.v1.0+protobuf"
EMPTY_V2: Final = b"\x0a\x032.0\x12\x0f\x0a\x07sandbox\x12\x041.35"

_PARAMETERS: Final[dict[str, tuple[str, ...]]] = {
    "get": ("pretty",),
    "list": ("labelSelector", "fieldSelector", "limit", "continue", "resourceVersion", "watch", "timeoutSeconds"),
    "post": ("dryRun", "fieldManager", "fieldValidation"),
    "put": ("dryRun", "fieldManager", "fieldValidation"),
    "patch": ("dryRun", "fieldManager", "fieldValidation", "force"),
    "delete": ("dryRun", "gracePeriodSeconds", "propagationPolicy"),
}
_ACTIONS: Final = {
    "get": "get",
    "list": "list",
    "post": "post",
    "put": "put",
    "patch": "patch",
    "delete": "delete",
}


class OpenAPI:
    """The OpenAPI v3 documents of one registry."""

    def __init__(self, registry: Registry) -> None:
        self._registry = registry
        self._made_for = -1
        self._kept: dict[str, bytes] = {}

    def index(self) -> bytes:
        """`/openapi/v3`: where the documents are, each with a hash of what it says."""
        paths = {}
        for group in self._registry.groups():
            for version in self._registry.versions(group):
                path = f"apis/{group}/{version}" if group else f"api/{version}"
                digest = hashlib.sha256(self.document(path) or b"").hexdigest().upper()
                paths[path] = {"serverRelativeURL": f"/openapi/v3/{path}?hash={digest}"}
        return orjson.dumps({"paths": paths})

    def document(self, path: str) -> bytes | None:
        """The document of `api/v1` or `apis/GROUP/VERSION`; None when that is not served."""
        if self._made_for != self._registry.changed:
            self._made_for, self._kept = self._registry.changed, {}
        if path not in self._kept:
            parts = path.split("/")
            if parts[0] == "api" and len(parts) == 2:
                kinds = self._registry.in_version("", parts[1])
            elif parts[0] == "apis" and len(parts) == 3:
                kinds = self._registry.in_version(parts[1], parts[2])
            else:
                kinds = []
            if not kinds:
                return None
            self._kept[path] = orjson.dumps(_document(path, kinds))
        return self._kept[path]


def _document(path: str, kinds: list[Kind]) -> Object:
    schemas: dict[str, Object] = {}
    paths: dict[str, Object] = {}
    for kind in kinds:
        _add_schema(schemas, kind)
        paths.update(_paths(f"/{path}", kind))
    return {
        "openapi": "3.0.0",
        "info": {"title": "Kubernetes", "version": "unversioned"},
        "paths": paths,
        "components": {"schemas": schemas},
    }


def _add_schema(schemas: dict[str, Object], kind: Kind) -> None:
    identity = [{"group": kind.group, "version": kind.version, "kind": kind.kind}]
    name = kind.schema_name
    if kind.custom:
        _add_builtin(schemas, "ObjectMeta")
        properties = {
            **kind.schema.get("properties", {}),
            "metadata": {"allOf": [{"$ref": f"#/components/schemas/{TYPES.prefix}ObjectMeta"}]},
        }
        schemas[name] = {**kind.schema, "properties": properties}
    else:
        _add_builtin(schemas, name.removeprefix(TYPES.prefix))
    schemas[name] = {**schemas[name], "x-kubernetes-group-version-kind": identity}
    schemas[f"{name}List"] = {
        "type": "object",
        "required": ["items"],
        "properties": {
            "apiVersion": {"type": "string"},
            "kind": {"type": "string"},
            "metadata": {"type": "object"},
            "items": {"type": "array", "items": _reference(name)},
        },
        "x-kubernetes-group-version-kind": [{**identity[0], "kind": kind.list_name}],
    }


def _add_builtin(schemas: dict[str, Object], name: str) -> None:
    """A built-in type and every type that it uses."""
    waiting = [name]
    while waiting:
        each = waiting.pop()
        full = TYPES.prefix + each
        if full in schemas:
            continue
        schemas[full] = TYPES.document(each)
        waiting.extend(_referred(schemas[full]))


def _referred(schema: Any) -> list[str]:
    if isinstance(schema, dict):
        found = [name for value in schema.values() for name in _referred(value)]
        reference = schema.get("$ref")
        if isinstance(reference, str):
            found.append(reference.rpartition("/")[2].removeprefix(TYPES.prefix))
        return found
    if isinstance(schema, list):
        return [name for value in schema for name in _referred(value)]
    return []


def _reference(name: str) -> Object:
    return {"$ref": f"#/components/schemas/{name}"}


def _paths(prefix: str, kind: Kind) -> dict[str, Object]:
    base = f"{prefix}/namespaces/{{namespace}}/{kind.plural}" if kind.namespaced else f"{prefix}/{kind.plural}"
    collection: Object = {}
    if "list" in kind.verbs:
        collection["get"] = _operation(kind, "list", f"{kind.schema_name}List")
    if "create" in kind.verbs:
        collection["post"] = _operation(kind, "post", kind.schema_name)
    made = {base: collection}
    single: Object = {
        method: _operation(kind, method, kind.schema_name)
        for method, verb in (("get", "get"), ("put", "update"), ("patch", "patch"), ("delete", "delete"))
        if verb in kind.verbs
    }
    if single:
        made[f"{base}/{{name}}"] = single
        if kind.has_status:
            made[f"{base}/{{name}}/status"] = {
                method: _operation(kind, method, kind.schema_name) for method in ("get", "put", "patch")
            }
    return made


def _operation(kind: Kind, action: str, schema: str) -> Object:
    content = {"application/json": {"schema": _reference(schema)}}
    operation: Object = {
        "operationId": f"{action}{kind.group.title().replace('.', '')}{kind.version.title()}{kind.kind}",
        "parameters": [
            {"name": name, "in": "query", "schema": {"type": "string", "uniqueItems": True}}
            for name in _PARAMETERS[action]
        ],
        "responses": {"200": {"description": "OK", "content": content}},
        "x-kubernetes-action": _ACTIONS[action],
        "x-kubernetes-group-version-kind": {"group": kind.group, "version": kind.version, "kind": kind.kind},
    }
    if action in ("post", "put"):
        operation["requestBody"] = {"content": content, "required": True}
    elif action == "patch":
        types = ["application/json-patch+json", "application/merge-patch+json", "application/apply-patch+yaml"]
        if not kind.custom:
            types.append("application/strategic-merge-patch+json")
        operation["requestBody"] = {
            "content": {media: {"schema": {"type": "object"}} for media in types},
            "required": True,
        }
    return operation
