"""Random writers against both API servers: the same requests must leave the same objects, owners and refusals.

Plan: several field managers apply, force, patch (merge, JSON, strategic), update and change status of one object, drawn
from a seed; after each step the two answers are compared without what must differ (uids, versions, times). Needs the
real control plane.
"""

from __future__ import annotations

import random
from typing import Any

import pytest

from tests.support.differences import differences
from tests.support.kube_http import KubeHttp

Object = dict[str, Any]

pytestmark = [pytest.mark.real, pytest.mark.xdist_group("real")]

MERGE = "application/merge-patch+json"
JSON = "application/json-patch+json"
STRATEGIC = "application/strategic-merge-patch+json"
APPLY = "application/apply-patch+yaml"

CRD = {
    "apiVersion": "apiextensions.k8s.io/v1",
    "kind": "CustomResourceDefinition",
    "metadata": {"name": "things.differential.xtrinode.io"},
    "spec": {
        "group": "differential.xtrinode.io",
        "scope": "Namespaced",
        "names": {"kind": "Thing", "plural": "things", "singular": "thing", "listKind": "ThingList"},
        "versions": [
            {
                "name": "v1",
                "served": True,
                "storage": True,
                "subresources": {"status": {}},
                "schema": {
                    "openAPIV3Schema": {
                        "type": "object",
                        "properties": {
                            "spec": {
                                "type": "object",
                                "properties": {
                                    "n": {"type": "integer"},
                                    "mode": {"type": "string", "default": "auto"},
                                    "map": {"type": "object", "additionalProperties": {"type": "string"}},
                                    "atom": {
                                        "type": "object",
                                        "x-kubernetes-map-type": "atomic",
                                        "additionalProperties": {"type": "string"},
                                    },
                                    "list": {"type": "array", "items": {"type": "string"}},
                                    "set": {
                                        "type": "array",
                                        "x-kubernetes-list-type": "set",
                                        "items": {"type": "string"},
                                    },
                                    "keyed": {
                                        "type": "array",
                                        "x-kubernetes-list-type": "map",
                                        "x-kubernetes-list-map-keys": ["name"],
                                        "items": {
                                            "type": "object",
                                            "required": ["name"],
                                            "properties": {
                                                "name": {"type": "string"},
                                                "value": {"type": "string"},
                                                "deep": {
                                                    "type": "object",
                                                    "additionalProperties": {"type": "string"},
                                                },
                                            },
                                        },
                                    },
                                    "free": {"type": "object", "x-kubernetes-preserve-unknown-fields": True},
                                },
                            },
                            "status": {
                                "type": "object",
                                "properties": {
                                    "n": {"type": "integer"},
                                    "conditions": {
                                        "type": "array",
                                        "x-kubernetes-list-type": "map",
                                        "x-kubernetes-list-map-keys": ["type"],
                                        "items": {
                                            "type": "object",
                                            "required": ["type"],
                                            "properties": {"type": {"type": "string"}, "status": {"type": "string"}},
                                        },
                                    },
                                },
                            },
                        },
                    }
                },
            }
        ],
    },
}


# -- what writers do


class Things:
    """Random custom resources."""

    api_version, kind, path = "differential.xtrinode.io/v1", "Thing", "/apis/differential.xtrinode.io/v1"
    plural = "things"
    patches = (MERGE, JSON)
    # The real server refuses its own result (null) when a map or list that somebody applied empty loses its last
    # member to an apply of somebody else. Nothing is gained by failing like that, so nothing is applied empty here.
    least = 1

    def __init__(self, rng: random.Random) -> None:
        self.rng = rng

    def text(self) -> str:
        return self.rng.choice("xyz")

    def strings(self) -> dict[str, str]:
        return {key: self.text() for key in self.rng.sample("abc", self.rng.randint(self.least, 3))}

    def spec(self) -> Object:
        rng = self.rng
        makers: dict[str, Any] = {
            "n": lambda: rng.randint(0, 2),
            "mode": self.text,
            "map": self.strings,
            "atom": self.strings,
            "list": lambda: [self.text() for _ in range(rng.randint(0, 2))],
            "set": lambda: rng.sample("pqrs", rng.randint(self.least, 3)),
            "keyed": lambda: [self.item(name) for name in rng.sample("abcd", rng.randint(self.least, 3))],
            "free": lambda: {"k": self.strings(), "l": [1, {"m": self.text()}]},
        }
        return {key: make() for key, make in makers.items() if rng.random() < 0.4}

    def item(self, name: str) -> Object:
        item: Object = {"name": name}
        if self.rng.random() < 0.6:
            item["value"] = self.text()
        if self.rng.random() < 0.3:
            item["deep"] = self.strings()
        return item

    def metadata(self) -> Object:
        made: Object = {}
        if self.rng.random() < 0.3:
            made["labels"] = self.strings()
        if self.rng.random() < 0.2:
            made["annotations"] = self.strings()
        if self.rng.random() < 0.15:
            made["finalizers"] = [f"example.io/{each}" for each in self.rng.sample("fg", self.rng.randint(1, 2))]
        return made

    def body(self) -> Object:
        return {"metadata": self.metadata(), "spec": self.spec()}

    def status(self) -> Object:
        names = self.rng.sample(["Ready", "Live", "Idle"], self.rng.randint(0, 3))
        return {"n": self.rng.randint(0, 2), "conditions": [self.condition(name) for name in names]}

    def condition(self, name: str) -> Object:
        return {"type": name, "status": self.text()}

    def json_patch(self) -> list[Object]:
        rng = self.rng
        operations: list[Object] = [
            {"op": "add", "path": "/spec/n", "value": rng.randint(0, 3)},
            {"op": "replace", "path": "/spec/mode", "value": self.text()},
            {"op": "remove", "path": "/spec/map"},
            {"op": "add", "path": "/spec/list/-", "value": self.text()},
            {"op": "add", "path": "/spec/set", "value": rng.sample("pqrs", 2)},
            {"op": "test", "path": "/spec/n", "value": 1},
            {"op": "remove", "path": "/spec/keyed/0"},
            {"op": "add", "path": "/metadata/labels", "value": self.strings()},
        ]
        return rng.sample(operations, rng.randint(1, 2))


class StatefulSets(Things):
    """Random StatefulSets, whose controller does not run: built-in defaults, lists by two keys, strategic patches."""

    api_version, kind, path = "apps/v1", "StatefulSet", "/apis/apps/v1"
    plural = "statefulsets"
    patches = (MERGE, JSON, STRATEGIC)
    least = 0

    def container(self, name: str) -> Object:
        rng = self.rng
        made: Object = {"name": name, "image": f"{self.text()}:1"}
        if rng.random() < 0.4:
            made["env"] = [{"name": each, "value": self.text()} for each in rng.sample("ABC", rng.randint(0, 3))]
        if rng.random() < 0.4:
            made["ports"] = [{"containerPort": port} for port in rng.sample([80, 81, 82], rng.randint(1, 2))]
        if rng.random() < 0.3:
            made["args"] = [self.text()]
        if rng.random() < 0.3:
            made["resources"] = {"limits": {"cpu": rng.choice(["1", "2"])}}
        if rng.random() < 0.2:
            made["readinessProbe"] = {"httpGet": {"port": 80}}
        return made

    def spec(self) -> Object:
        rng = self.rng
        pod: Object = {"containers": [self.container(name) for name in rng.sample(["a", "b", "c"], rng.randint(1, 2))]}
        if rng.random() < 0.3:
            pod["tolerations"] = [{"key": self.text(), "operator": "Exists"}]
        if rng.random() < 0.3:
            pod["nodeSelector"] = self.strings()
        if rng.random() < 0.3:
            pod["volumes"] = [{"name": each, "emptyDir": {}} for each in rng.sample("vw", rng.randint(1, 2))]
        spec: Object = {
            "selector": {"matchLabels": {"app": "x"}},
            "template": {"metadata": {"labels": {"app": "x", **self.strings()}}, "spec": pod},
        }
        if rng.random() < 0.4:
            spec["replicas"] = 0
        if rng.random() < 0.3:
            spec["updateStrategy"] = rng.choice([{"type": "OnDelete"}, {"rollingUpdate": {"partition": 1}}])
        if rng.random() < 0.2:
            spec["minReadySeconds"] = 1
        return spec

    def status(self) -> Object:
        names = self.rng.sample(["Ready", "Live", "Idle"], self.rng.randint(0, 3))
        return {"replicas": self.rng.randint(0, 2), "conditions": [self.condition(name) for name in names]}

    def condition(self, name: str) -> Object:
        return {**super().condition(name), "lastTransitionTime": "2026-01-01T00:00:00Z"}

    def json_patch(self) -> list[Object]:
        rng = self.rng
        operations: list[Object] = [
            {"op": "add", "path": "/spec/minReadySeconds", "value": rng.randint(0, 3)},
            {"op": "replace", "path": "/spec/template/spec/containers/0/image", "value": f"{self.text()}:2"},
            {"op": "remove", "path": "/spec/template/spec/tolerations"},
            {"op": "test", "path": "/spec/replicas", "value": 1},
            {"op": "add", "path": "/metadata/labels", "value": self.strings()},
        ]
        return rng.sample(operations, rng.randint(1, 2))


class ConfigMaps(Things):
    """Random ConfigMaps: the simplest object there is."""

    api_version, kind, path = "v1", "ConfigMap", "/api/v1"
    plural = "configmaps"
    patches = (MERGE, JSON, STRATEGIC)
    least = 0

    def body(self) -> Object:
        body: Object = {"metadata": self.metadata()}
        if self.rng.random() < 0.8:
            body["data"] = self.strings()
        return body

    def status(self) -> Object:
        return {}

    def json_patch(self) -> list[Object]:
        rng = self.rng
        operations: list[Object] = [
            {"op": "add", "path": "/data", "value": self.strings()},
            {"op": "add", "path": "/data/a", "value": self.text()},
            {"op": "replace", "path": "/data/b", "value": self.text()},
            {"op": "remove", "path": "/data/c"},
            {"op": "remove", "path": "/metadata/labels"},
        ]
        return rng.sample(operations, rng.randint(1, 2))


def request(writer: Things, base: str) -> tuple[str, str, Any, str]:
    """A random request: method, path, body, media type."""
    rng = writer.rng
    manager = rng.choice(["one", "two", "three"])
    query = f"?fieldManager={manager}"
    named = {"apiVersion": writer.api_version, "kind": writer.kind}
    what = rng.choices(["apply", "force", "patch", "status", "status-apply"], [4, 2, 4, 1, 1])[0]
    if what in ("status", "status-apply") and not writer.status():
        what = "apply"
    if what in ("apply", "force"):
        body = writer.body()
        body["metadata"] = {**body["metadata"], "name": "it"}
        return "PATCH", f"{base}/it{query}&force={'true' if what == 'force' else 'false'}", {**named, **body}, APPLY
    if what == "status-apply":
        body = {**named, "metadata": {"name": "it"}, "status": writer.status()}
        return "PATCH", f"{base}/it/status{query}&force=true", body, APPLY
    if what == "status":
        return "PATCH", f"{base}/it/status{query}", {"status": writer.status()}, MERGE
    media = rng.choice(writer.patches)
    if media == JSON:
        return "PATCH", f"{base}/it{query}", writer.json_patch(), JSON
    body = writer.body()
    for part in ("spec", "data"):
        if part in body and rng.random() < 0.3:
            # Some of what a patch names is taken away.
            gone = {key for key in body[part] if key != "template" and rng.random() < 0.3}
            body[part] = {key: None if key in gone else value for key, value in body[part].items()}
    if writer.kind == "StatefulSet" and body.get("spec"):
        body["spec"].pop("selector", None)
    return "PATCH", f"{base}/it{query}", body, media


# -- what must be the same


def comparable(body: Any) -> Any:
    """An answer without what differs from server to server."""
    if not isinstance(body, dict):
        return body
    if body.get("kind") == "Status":
        details = body.get("details") or {}
        causes = details.get("causes") or []
        return {
            "code": body.get("code"),
            "reason": body.get("reason", ""),
            "causes": sorted((c.get("field", ""), c.get("reason", "")) for c in causes),
            "message": body.get("message") if body.get("code") == 409 else "",
        }
    metadata = {
        key: value
        for key, value in body["metadata"].items()
        if key not in ("uid", "resourceVersion", "creationTimestamp", "managedFields")
    }
    managed = [
        {key: value for key, value in entry.items() if key != "time"}
        for entry in body["metadata"].get("managedFields", [])
    ]
    metadata["managedFields"] = sorted(managed, key=lambda e: (e["manager"], e["operation"], e.get("subresource", "")))
    return {**body, "metadata": metadata}


@pytest.mark.parametrize("writers", [Things, ConfigMaps, StatefulSets])
@pytest.mark.parametrize("seed", range(20))
async def test_both_servers_end_up_with_the_same(
    servers: tuple[KubeHttp, KubeHttp], writers: type[Things], seed: int
) -> None:
    namespace = f"diff-{writers.plural}-{seed}"
    writer = writers(random.Random(seed))
    base = f"{writers.path}/namespaces/{namespace}/{writers.plural}"
    for server in servers:
        await server("POST", "/apis/apiextensions.k8s.io/v1/customresourcedefinitions", CRD)
        assert (await server("POST", "/api/v1/namespaces", {"metadata": {"name": namespace}})).status == 201
        await served(server, f"{Things.path}/namespaces/{namespace}/{Things.plural}")
    history: list[Any] = []
    for _ in range(12):
        method, path, body, media = request(writer, base)
        history.append((method, path, body, media))
        ours, real = [await server(method, path, body, content_type=media) for server in servers]
        found = differences([ours.status, comparable(ours.body)], [real.status, comparable(real.body)])
        assert not found, "\n".join([*found, *map(str, history)])


async def served(server: KubeHttp, path: str) -> None:
    while (await server("GET", path)).status == 404:
        pass
