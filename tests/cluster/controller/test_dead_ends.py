"""What must not be a dead end: a gateway's namespace that is gone, an object that only another version can read, a
table that nobody finds any more, a Deployment of somebody else under our name. None wedges a deletion, all are told.
"""

from __future__ import annotations

from typing import Any

import pytest

from crds.client.resources import CONFIG_MAPS, CRDS, DEPLOYMENTS, NAMESPACES, XTRINODE_CATALOGS, XTRINODES
from tests.cluster.controller.conftest import GATEWAY, NAMESPACE, Rig, until

ROUTES = "trino-gateway-routes"


async def condition(rig: Rig, kind: str) -> dict[str, Any]:
    found = (await rig.get()).get("status", {}).get("conditions", ())
    return next((entry for entry in found if entry["type"] == kind), {})


async def forget_the_schema(rig: Rig, plural: str) -> None:
    """As if a newer version had been here, whose fields this one does not know."""
    name = f"{plural}.analytics.xtrinode.io"
    version = dict((await rig.client.get(CRDS, name))["spec"]["versions"][0])
    anything = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
    version["schema"] = {"openAPIV3Schema": {"type": "object", "properties": {"spec": anything, "status": anything}}}
    await rig.client.patch(CRDS, name, None, {"spec": {"versions": [version]}})


async def test_a_runtime_can_be_deleted_after_the_gateway_s_namespace(rig: Rig):
    async with rig.controller():
        await rig.create()
        await rig.reaches("Ready")
        await rig.client.delete(NAMESPACES, GATEWAY)
        await rig.client.delete(XTRINODES, "analytics", NAMESPACE)
        await until(rig.is_gone)


async def test_why_there_is_no_route_is_told_and_ends_when_there_is_one(rig: Rig):
    async with rig.controller(gateway_namespace="later"):
        await rig.create()

        async def told() -> bool:
            found = await condition(rig, "GatewayReady")
            return found.get("reason") == "GatewayRegistrationFailed" and "create it" in found["message"]

        async def waits() -> bool:
            return "route: namespace later does not exist" in (await rig.get())["status"]["message"]

        await until(told)
        await until(waits)
        await rig.client.create(NAMESPACES, {"metadata": {"name": "later"}})
        await rig.reaches("Ready")
        assert (await condition(rig, "GatewayReady"))["reason"] == "GatewayRegistered"


@pytest.mark.parametrize(
    "change",
    [{"metadata": {"labels": {"xtrinode.io/routes": None}}}, {"metadata": {"labels": {"xtrinode.io/routes": "no"}}}],
)
async def test_a_table_that_lost_its_label_gets_it_back(rig: Rig, change: dict[str, Any]):
    async with rig.controller():
        await rig.create()
        await rig.reaches("Ready")
        await rig.client.patch(CONFIG_MAPS, ROUTES, GATEWAY, change)

        async def labelled() -> bool:
            labels = (await rig.client.get(CONFIG_MAPS, ROUTES, GATEWAY))["metadata"]["labels"]
            return labels.get("xtrinode.io/routes") == "true"

        await until(labelled)


async def test_a_runtime_that_cannot_be_read_says_so_keeps_running_and_can_be_deleted(rig: Rig):
    async with rig.controller():
        await rig.create()
        await rig.reaches("Ready")
        await forget_the_schema(rig, "xtrinodes")
        await rig.patch({"fieldOfTomorrow": 1})
        found = await rig.reaches("Error")
        assert "spec.fieldOfTomorrow" in found["status"]["message"]
        assert found["status"]["observedGeneration"] == 1
        assert "RUNNING" in (await rig.client.get(CONFIG_MAPS, ROUTES, GATEWAY))["data"]["routes.yaml"]
        await rig.patch({"fieldOfTomorrow": None})
        await rig.reaches("Ready")
        await rig.patch({"fieldOfTomorrow": 1})
        await rig.client.delete(XTRINODES, "analytics", NAMESPACE)
        await until(rig.is_gone)


async def test_a_catalog_that_cannot_be_read_says_so(rig: Rig):
    async with rig.controller():
        metadata = {"name": "sales", "namespace": NAMESPACE}
        spec = {"connector": {"tpch": {}}}
        await rig.client.create(XTRINODE_CATALOGS, {"metadata": metadata, "spec": spec})

        async def is_in(phase: str) -> dict[str, Any] | None:
            found = await rig.client.get(XTRINODE_CATALOGS, "sales", NAMESPACE)
            return found if found.get("status", {}).get("phase") == phase else None

        await until(lambda: is_in("Ready"))
        await forget_the_schema(rig, "xtrinodecatalogs")
        await rig.client.patch(XTRINODE_CATALOGS, "sales", NAMESPACE, {"spec": {"fieldOfTomorrow": 1}})
        found = await until(lambda: is_in("Error"))
        assert "spec.fieldOfTomorrow" in found["status"]["message"]
        assert (await rig.client.get(CONFIG_MAPS, "trino-catalog-sales", NAMESPACE))["data"]


async def test_a_deployment_of_somebody_else_under_our_name_is_left_as_it_is(rig: Rig):
    """Also by a runtime that sleeps, whose first wish is that nothing runs."""
    labels = {"app.kubernetes.io/managed-by": "xtrinode", "theirs": "yes"}
    pod = {"metadata": {"labels": {"theirs": "yes"}}, "spec": {"containers": [{"name": "c", "image": "i"}]}}
    theirs = {
        "metadata": {"name": "trino-analytics-coordinator", "namespace": NAMESPACE, "labels": labels},
        "spec": {"replicas": 3, "selector": {"matchLabels": {"theirs": "yes"}}, "template": pod},
    }
    await rig.client.create(DEPLOYMENTS, theirs)
    async with rig.controller():
        await rig.create({"suspended": True})
        found = await rig.reaches("Error")
        assert "exists and belongs to" in found["status"]["message"]
        live = await rig.client.get(DEPLOYMENTS, "trino-analytics-coordinator", NAMESPACE)
        assert live["spec"]["replicas"] == 3
