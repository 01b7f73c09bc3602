"""Discovery, OpenAPI, the notation of built-in types, and addresses of Services: tables and what is made of them."""

from __future__ import annotations

import ipaddress
from datetime import UTC, datetime
from typing import Any

import orjson
import pytest

from sandbox.kube import service_addresses
from sandbox.kube.builtin import builtin_kinds
from sandbox.kube.builtin_types import TYPES
from sandbox.kube.custom import CustomResources
from sandbox.kube.discovery import Discovery, aggregated_version
from sandbox.kube.errors import StatusError
from sandbox.kube.openapi import OpenAPI
from sandbox.kube.resources import Registry, version_priority
from sandbox.kube.schema_language import Types
from sandbox.kube.store import Store

NOW = datetime(2026, 1, 1, tzinfo=UTC)
V2 = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList"
BOTH = f"{V2},application/json;g=apidiscovery.k8s.io;v=v2beta1;as=APIGroupDiscoveryList,application/json"


@pytest.fixture
def registry() -> Registry:
    made, store = Registry(), Store()
    made.add(builtin_kinds(store, CustomResources(made, lambda: NOW).prepare))
    return made


def read(document: bytes | None) -> Any:
    assert document is not None
    return orjson.loads(document)


def test_legacy_discovery_leads_to_every_resource(registry: Registry) -> None:
    discovery = Discovery(registry, "127.0.0.1:1")
    groups = read(discovery.document("/apis", ""))["groups"]
    paths = ["/api/v1"] + [f"/apis/{each['preferredVersion']['groupVersion']}" for each in groups]
    found = {
        (resource["kind"], resource["name"])
        for path in paths
        for resource in read(discovery.document(path, ""))["resources"]
    }
    assert {(kind.kind, kind.plural) for kind in registry.kinds()} <= found
    assert ("Scale", "deployments/scale") in found and ("TokenRequest", "serviceaccounts/token") in found
    assert discovery.document("/apis/nope", "") is None and discovery.document("/apis/apps/v9", "") is None


@pytest.mark.parametrize(
    ("accept", "version"), [(V2, "v2"), (BOTH, "v2"), (V2.replace("v=v2", "v=v2beta1"), "v2beta1")]
)
def test_aggregated_discovery_says_the_same(registry: Registry, accept: str, version: str) -> None:
    discovery = Discovery(registry, "127.0.0.1:1")
    found = set()
    for path in ("/api", "/apis"):
        document = read(discovery.document(path, accept))
        assert document["apiVersion"] == f"apidiscovery.k8s.io/{version}"
        for group in document["items"]:
            for each in group["versions"]:
                found |= {(group["metadata"].get("name", ""), r["resource"]) for r in each["resources"]}
    assert found == {(kind.group, kind.plural) for kind in registry.kinds()}


def test_plain_json_first_means_plain() -> None:
    assert aggregated_version("application/json," + V2) == "" and aggregated_version("") == ""


def test_documents_follow_the_registry(registry: Registry) -> None:
    discovery, openapi = Discovery(registry, "a"), OpenAPI(registry)
    assert read(openapi.index())["paths"]["apis/policy/v1"]
    assert discovery.document("/apis/policy/v1", "") is not None
    registry.remove("policy", "poddisruptionbudgets")
    assert discovery.document("/apis/policy/v1", "") is None
    assert "apis/policy/v1" not in read(openapi.index())["paths"]


def references(value: Any) -> set[str]:
    if isinstance(value, dict):
        own = {value["$ref"]} if isinstance(value.get("$ref"), str) else set()
        return own.union(*(references(each) for each in value.values()))
    return set().union(*(references(each) for each in value)) if isinstance(value, list) else set()


def test_every_reference_of_every_document_leads_somewhere(registry: Registry) -> None:
    openapi = OpenAPI(registry)
    for path, entry in read(openapi.index())["paths"].items():
        document = read(openapi.document(path))
        known = {f"#/components/schemas/{name}" for name in document["components"]["schemas"]}
        assert references(document) <= known, path
        assert entry["serverRelativeURL"].startswith(f"/openapi/v3/{path}?hash=")


def test_every_kind_can_be_patched_and_checked_by_kubectl(registry: Registry) -> None:
    openapi = OpenAPI(registry)
    for kind in registry.kinds():
        path = f"apis/{kind.group}/{kind.version}" if kind.group else f"api/{kind.version}"
        document = read(openapi.document(path))
        identity = {"group": kind.group, "version": kind.version, "kind": kind.kind}
        schemas = document["components"]["schemas"].values()
        assert any(identity in each.get("x-kubernetes-group-version-kind", []) for each in schemas), kind.kind
        if "patch" in kind.verbs:
            patches = [each["patch"] for each in document["paths"].values() if "patch" in each]
            mine = [each for each in patches if each["x-kubernetes-group-version-kind"] == identity]
            assert mine and {p["name"] for p in mine[0]["parameters"]} >= {"fieldValidation", "fieldManager"}


def test_versions_are_preferred_as_kubernetes_prefers_them() -> None:
    given = ["foo", "v1alpha1", "v2", "v1beta2", "v1", "v1beta1", "v10"]
    assert sorted(given, key=version_priority) == ["v10", "v2", "v1", "v1beta2", "v1beta1", "v1alpha1", "foo"]


def test_the_notation_of_types() -> None:
    types = Types(
        """
Root name:str! n:int32=3 parts:[Part]@key,proto names:[str]# free:any labels:{str}^
 self:Root later:{Part}
Part key:str proto:str=TCP
""",
        "x.",
    )
    root = types.resolved("Root")
    assert root["required"] == ["name"] and root["properties"]["n"] == {
        "type": "integer",
        "format": "int32",
        "default": 3,
    }
    parts = root["properties"]["parts"]
    assert parts["x-kubernetes-list-map-keys"] == ["key", "proto"] and parts["x-kubernetes-patch-merge-key"] == "key"
    assert parts["items"]["properties"]["proto"]["default"] == "TCP"
    assert root["properties"]["names"]["x-kubernetes-list-type"] == "set"
    assert root["properties"]["labels"]["x-kubernetes-map-type"] == "atomic"
    assert root["properties"]["self"] == {"x-kubernetes-preserve-unknown-fields": True}
    assert types.document("Root")["properties"]["later"]["additionalProperties"] == {
        "$ref": "#/components/schemas/x.Part"
    }


@pytest.mark.parametrize("text", ["T a", "T a:", "T a:[str", "T a:str\nT b:str", "T a:str&"])
def test_a_notation_that_cannot_be_read_is_refused(text: str) -> None:
    with pytest.raises((ValueError, KeyError)):
        types = Types(text, "x.")
        types.resolved("T")


def test_every_built_in_type_is_used_and_known() -> None:
    for name in TYPES.names():
        assert TYPES.resolved(name)["properties"]


# -- addresses of Services


def service(name: str, **spec: Any) -> dict[str, Any]:
    return {"metadata": {"name": name, "namespace": "n"}, "spec": {"ports": [{"port": 80, "protocol": "TCP"}], **spec}}


def prepared(obj: dict[str, Any], *others: dict[str, Any], old: dict[str, Any] | None = None) -> dict[str, Any]:
    service_addresses.allocate(obj, old, lambda: others)
    spec: dict[str, Any] = obj["spec"]
    return spec


def test_the_same_name_gets_the_same_address_unless_it_is_taken() -> None:
    first = prepared(service("a"))["clusterIP"]
    assert first == prepared(service("a"))["clusterIP"]
    assert ipaddress.ip_address(first) in service_addresses.NETWORK
    assert prepared(service("a"), service("b", clusterIP=first))["clusterIP"] != first


def test_an_update_keeps_the_address() -> None:
    old = service("a", clusterIP="127.32.0.7")
    assert prepared(service("a"), old=old)["clusterIP"] == "127.32.0.7"


@pytest.mark.parametrize("wanted", ["10.0.0.1", "nonsense", "127.32.0.9"])
def test_an_address_that_cannot_be_had_is_refused(wanted: str) -> None:
    with pytest.raises(StatusError) as caught:
        prepared(service("a", clusterIP=wanted), service("b", clusterIP="127.32.0.9"))
    assert caught.value.code == 422


def test_headless_external_and_node_port_services() -> None:
    assert prepared(service("a", clusterIP="None"))["clusterIPs"] == ["None"]
    assert "clusterIP" not in prepared(service("a", type="ExternalName", externalName="x"))
    ports = prepared(service("a", type="NodePort"), service("b", ports=[{"port": 1, "nodePort": 30000}]))["ports"]
    assert ports == [{"port": 80, "protocol": "TCP", "nodePort": 30001}]
