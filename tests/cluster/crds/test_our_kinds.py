"""Our CRDs on an API server: accepted with their rules, strict, defaulting, scalable, readable.

Plan: both definitions are established and structural; every example is stored in strict mode; what breaks a rule or
holds a wrong value is refused; defaults are the server's; scale and table work; a catalog keeps its connector.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
import yaml

from crds import openapi
from crds.client import KubeClient
from crds.client.resources import CRDS, XTRINODES
from tests.support.control_plane import REPOSITORY
from tests.support.kube_http import KubeHttp
from tests.support.refused import BROKEN, WRONG_VALUES, catalog, runtime

Object = dict[str, Any]
BASE = f"/apis/{openapi.meta.API_VERSION}/namespaces"
PLURALS = {kind.name: kind.plural for kind in openapi.KINDS}
EXAMPLES = [
    pytest.param(document, id=f"{document['kind']}-{document['metadata']['name']}")
    for path in sorted((REPOSITORY / "examples").rglob("*.yaml"))
    for document in yaml.safe_load_all(path.read_text())
    if document["kind"] in PLURALS
]


@pytest.fixture(autouse=True)
async def installed(client: KubeClient, http: KubeHttp) -> AsyncIterator[None]:
    for kind in openapi.KINDS:
        await client.apply(CRDS, openapi.definition(kind), manager="test", force=True)
    async with asyncio.timeout(20):
        for plural in PLURALS.values():
            while (await http("GET", f"/apis/{openapi.meta.API_VERSION}/{plural}")).status != 200:
                await asyncio.sleep(0.02)
    yield


async def create(http: KubeHttp, namespace: str, obj: Object, kind: str, **params: str) -> tuple[int, Object]:
    """The status code and the body of a strict create in the test's namespace."""
    body = {
        "apiVersion": openapi.meta.API_VERSION,
        "kind": kind,
        **obj,
        "metadata": {**obj["metadata"], "namespace": namespace},
    }
    reply = await http("POST", f"{BASE}/{namespace}/{PLURALS[kind]}", body, fieldValidation="Strict", **params)
    return reply.status, reply.body


async def test_both_kinds_are_established_and_structural(client: KubeClient) -> None:
    for kind in openapi.KINDS:
        async with asyncio.timeout(20):
            while True:
                crd = await client.get(CRDS, f"{kind.plural}.{openapi.meta.GROUP}")
                conditions = {item["type"]: item["status"] for item in crd.get("status", {}).get("conditions", ())}
                if conditions.get("Established") == "True":
                    break
                await asyncio.sleep(0.02)
        assert conditions.get("NonStructuralSchema") != "True"


@pytest.mark.parametrize("document", EXAMPLES)
async def test_every_example_is_stored(http: KubeHttp, namespace: str, document: Object) -> None:
    status, body = await create(http, namespace, document, document["kind"])
    assert status == 201, body
    stored = body["spec"]
    assert {key: stored[key] for key in document["spec"]} == document["spec"]


async def test_the_lifecycle_has_its_defaults(http: KubeHttp, namespace: str) -> None:
    _, body = await create(http, namespace, runtime()[1], "XTrinode")
    assert body["spec"] == {
        "size": "s",
        "minWorkers": 0,
        "suspended": False,
        "autoSuspendAfter": "5m",
        "resumePolicy": "OnDemand",
        "drainTimeout": "1h",
        "drainPolicy": "Wait",
    }


@pytest.mark.parametrize("message", sorted(message for message, states in BROKEN.items() if len(states) == 1))
async def test_a_broken_rule_is_named(http: KubeHttp, namespace: str, message: str) -> None:
    kind, obj = BROKEN[message][0]
    status, body = await create(http, namespace, obj, kind, dryRun="All")
    assert status == 422
    assert message in body["message"]


@pytest.mark.parametrize(("kind", "obj"), WRONG_VALUES, ids=str)
async def test_a_wrong_value_is_refused(http: KubeHttp, namespace: str, kind: str, obj: Object) -> None:
    status, body = await create(http, namespace, obj, kind, dryRun="All")
    assert status == 422, body


async def test_an_unknown_field_is_refused_in_strict_mode(http: KubeHttp, namespace: str) -> None:
    status, body = await create(http, namespace, runtime({"nodePool": {}})[1], "XTrinode", dryRun="All")
    assert status == 400
    assert "spec.nodePool" in body["message"]


async def test_an_overlay_is_kept_whole(http: KubeHttp, namespace: str) -> None:
    overlay = {"image": {"tag": "480"}, "any": [1, {"deep": {"er": True}}]}
    _, body = await create(http, namespace, runtime({"valuesOverlay": overlay})[1], "XTrinode")
    assert body["spec"]["valuesOverlay"] == overlay


async def test_a_catalog_keeps_its_connector(http: KubeHttp, namespace: str) -> None:
    await create(http, namespace, catalog({"tpch": {}})[1], "XTrinodeCatalog")
    path = f"{BASE}/{namespace}/xtrinodecatalogs/c"
    patch = {"spec": {"connector": {"tpch": None, "tpcds": {}}}}
    reply = await http("PATCH", path, patch, content_type="application/merge-patch+json")
    assert reply.status == 422
    assert "the connector cannot be changed" in reply.body["message"]
    labels = {"spec": {"labels": {"team": "a"}}}
    assert (await http("PATCH", path, labels, content_type="application/merge-patch+json")).status == 200


async def test_scale_sets_the_number_of_workers(http: KubeHttp, client: KubeClient, namespace: str) -> None:
    await create(http, namespace, runtime({"maxWorkers": 2})[1], "XTrinode")
    path = f"{BASE}/{namespace}/xtrinodes/run/scale"
    reply = await http("PATCH", path, {"spec": {"replicas": 5}}, content_type="application/merge-patch+json")
    assert reply.status == 200, reply.body
    assert (await client.get(XTRINODES, "run", namespace))["spec"]["maxWorkers"] == 5


async def test_the_table_shows_what_a_person_asks_first(http: KubeHttp, client: KubeClient, namespace: str) -> None:
    await create(http, namespace, runtime({"size": "xl"})[1], "XTrinode")
    now = "2026-01-01T00:00:00Z"
    ready = {
        "type": "Ready",
        "status": "True",
        "reason": "AllComponentsReady",
        "message": "",
        "lastTransitionTime": now,
    }
    status = {"phase": "Ready", "workers": 3, "conditions": [ready]}
    await client.patch(XTRINODES, "run", namespace, {"status": status}, type="merge", subresource="status")
    accept = {"Accept": "application/json;as=Table;v=v1;g=meta.k8s.io"}
    table = (await http("GET", f"{BASE}/{namespace}/xtrinodes", headers=accept)).body
    names = [column["name"] for column in table["columnDefinitions"] if not column.get("priority")]
    assert names == ["Name", "Size", "Phase", "Workers", "Ready", "Age"]
    row = dict(zip((column["name"] for column in table["columnDefinitions"]), table["rows"][0]["cells"], strict=True))
    assert (row["Size"], row["Phase"], row["Workers"], row["Ready"]) == ("xl", "Ready", 3, "True")
