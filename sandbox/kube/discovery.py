"""What there is: /api, /apis, group and version documents, and the aggregated form of all of it.

Documents are made from the registry when they are asked for and kept until it changes. Pure.
"""

from __future__ import annotations

import zlib
from typing import Any, Final

import orjson

from sandbox.kube.resources import Kind, Registry

Object = dict[str, Any]

AGGREGATED: Final = ("v2", "v2beta1")

# sub-resource: (kind, group, version, verbs) where it differs from its parent
_SUBRESOURCES: Final[dict[str, tuple[str, str, str, tuple[str, ...]]]] = {
    "status": ("", "", "", ("get", "patch", "update")),
    "scale": ("Scale", "autoscaling", "v1", ("get", "patch", "update")),
    "binding": ("Binding", "", "v1", ("create",)),
    "eviction": ("Eviction", "policy", "v1", ("create",)),
    "log": ("Pod", "", "v1", ("get",)),
    "token": ("TokenRequest", "authentication.k8s.io", "v1", ("create",)),
    "finalize": ("Namespace", "", "v1", ("update",)),
}


class Discovery:
    """The discovery documents of one registry."""

    def __init__(self, registry: Registry, address: str) -> None:
        self._registry = registry
        self._address = address  # host:port, for clients that ask where the server is
        self._made_for = -1
        self._kept: dict[str, bytes] = {}

    def document(self, path: str, accept: str) -> bytes | None:
        """The bytes of a discovery path, None when there is no such group or version."""
        if self._made_for != self._registry.changed:
            self._made_for, self._kept = self._registry.changed, {}
        version = aggregated_version(accept) if path in ("/api", "/apis") else ""
        key = f"{path} {version}"
        if key not in self._kept:
            made = self._aggregated(path, version) if version else self._legacy(path)
            if made is None:
                return None
            self._kept[key] = orjson.dumps(made)
        return self._kept[key]

    # -- one document per group and version

    def _legacy(self, path: str) -> Object | None:
        parts = path.strip("/").split("/")
        if parts == ["api"]:
            host = [{"clientCIDR": "0.0.0.0/0", "serverAddress": self._address}]
            return {"kind": "APIVersions", "versions": ["v1"], "serverAddressByClientCIDRs": host}
        if parts == ["apis"]:
            groups = [self._group(group) for group in self._registry.groups() if group]
            return {"kind": "APIGroupList", "apiVersion": "v1", "groups": groups}
        if parts == ["api", "v1"]:
            return self._resources("", "v1")
        if parts[0] == "apis" and len(parts) == 2 and parts[1] in self._registry.groups():
            return {"kind": "APIGroup", "apiVersion": "v1", **self._group(parts[1])}
        if parts[0] == "apis" and len(parts) == 3:
            return self._resources(parts[1], parts[2])
        return None

    def _group(self, group: str) -> Object:
        versions = [
            {"groupVersion": f"{group}/{version}", "version": version} for version in self._registry.versions(group)
        ]
        return {"name": group, "versions": versions, "preferredVersion": versions[0]}

    def _resources(self, group: str, version: str) -> Object | None:
        kinds = self._registry.in_version(group, version)
        if not kinds:
            return None
        resources: list[Object] = []
        for kind in kinds:
            resources.append(_resource(kind))
            resources.extend(_subresource(kind, name) for name in sorted(kind.subresources))
        return {
            "kind": "APIResourceList",
            "apiVersion": "v1",
            "groupVersion": f"{group}/{version}" if group else version,
            "resources": resources,
        }

    # -- all at once

    def _aggregated(self, path: str, version: str) -> Object:
        groups = [""] if path == "/api" else [group for group in self._registry.groups() if group]
        return {
            "kind": "APIGroupDiscoveryList",
            "apiVersion": f"apidiscovery.k8s.io/{version}",
            "metadata": {},
            "items": [self._discovered(group) for group in groups],
        }

    def _discovered(self, group: str) -> Object:
        return {
            "metadata": {"name": group, "creationTimestamp": None} if group else {"creationTimestamp": None},
            "versions": [
                {
                    "version": version,
                    "freshness": "Current",
                    "resources": [_discovered(kind) for kind in self._registry.in_version(group, version)],
                }
                for version in self._registry.versions(group)
            ],
        }


def aggregated_version(accept: str) -> str:
    """The aggregated form that an Accept header asks for first, "" when it wants plain documents."""
    for offer in accept.split(","):
        if "as=APIGroupDiscoveryList" in offer and "g=apidiscovery.k8s.io" in offer:
            for version in AGGREGATED:
                if f"v={version};" in f"{offer.strip()};":
                    return version
        elif offer.strip().startswith("application/json"):
            return ""
    return ""


def _resource(kind: Kind) -> Object:
    # Clients only ask whether this value changed.
    digest = zlib.crc32(f"{kind.group}/{kind.plural}".encode())
    document: Object = {
        "name": kind.plural,
        "singularName": kind.singular,
        "namespaced": kind.namespaced,
        "kind": kind.kind,
        "verbs": list(kind.verbs),
        "storageVersionHash": f"{digest:08x}",
    }
    if kind.short_names:
        document["shortNames"] = list(kind.short_names)
    if kind.categories:
        document["categories"] = list(kind.categories)
    return document


def _subresource(kind: Kind, name: str) -> Object:
    other, group, version, verbs = _SUBRESOURCES[name]
    document: Object = {
        "name": f"{kind.plural}/{name}",
        "singularName": "",
        "namespaced": kind.namespaced,
        "kind": other or kind.kind,
        "verbs": list(verbs),
    }
    if version and (group, version) != (kind.group, kind.version):
        document["group"], document["version"] = group, version
    return document


def _discovered(kind: Kind) -> Object:
    document: Object = {
        "resource": kind.plural,
        "responseKind": {"group": kind.group, "version": kind.version, "kind": kind.kind},
        "scope": "Namespaced" if kind.namespaced else "Cluster",
        "singularResource": kind.singular,
        "verbs": list(kind.verbs),
    }
    if kind.short_names:
        document["shortNames"] = list(kind.short_names)
    if kind.categories:
        document["categories"] = list(kind.categories)
    if kind.subresources:
        document["subresources"] = [_discovered_subresource(kind, name) for name in sorted(kind.subresources)]
    return document


def _discovered_subresource(kind: Kind, name: str) -> Object:
    other, group, version, verbs = _SUBRESOURCES[name]
    response = {"group": kind.group, "version": kind.version, "kind": kind.kind}
    if other:
        response = {"group": group, "version": version, "kind": other}
    return {"subresource": name, "responseKind": response, "verbs": list(verbs)}
