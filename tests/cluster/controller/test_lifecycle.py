"""A runtime's life against an API server: from nothing to Ready, asleep and awake, changed, gone without a trace."""

from __future__ import annotations

import orjson

from crds.client.resources import (
    CONFIG_MAPS,
    DEPLOYMENTS,
    PODS,
    SECRETS,
    SERVICES,
    XTRINODE_CATALOGS,
    XTRINODES,
)
from crds.v1.meta import SUSPEND_REQUESTED, SUSPEND_REQUESTED_AT
from tests.cluster.controller.conftest import GATEWAY, NAMESPACE, Cluster, until


async def route(cluster: Cluster, name: str = "analytics"):
    found = await cluster.client.list_(CONFIG_MAPS, GATEWAY, "xtrinode.io/routes=true")
    for obj in found.items:
        for entry in orjson.loads(obj["data"]["routes.yaml"]).get("routes", []):
            for backend in entry["backends"]:
                if backend["name"] == name:
                    return backend["state"]
    return None


async def replicas(cluster: Cluster):
    found = await cluster.client.list_(DEPLOYMENTS, NAMESPACE)
    return {obj["metadata"]["name"]: obj["spec"]["replicas"] for obj in found.items}


async def test_a_runtime_becomes_ready_and_its_route_runs(cluster: Cluster):
    async with cluster.controller():
        await cluster.create({"maxWorkers": 2})
        obj = await cluster.reaches("Ready")
        assert await route(cluster) == "RUNNING"
        assert await replicas(cluster) == {"trino-analytics-coordinator": 1, "trino-analytics-worker": 2}
        assert obj["status"]["workers"] == 2
        assert obj["status"]["observedGeneration"] == 1


async def test_the_route_is_resuming_until_the_coordinator_answers(cluster: Cluster):
    cluster.nodes.hold = True
    async with cluster.controller():
        await cluster.create()
        await cluster.reaches("Reconciling")
        await until(lambda: route(cluster))
        assert await route(cluster) == "RESUMING"
        cluster.nodes.release()
        await cluster.reaches("Ready")
        assert await route(cluster) == "RUNNING"


async def test_suspend_ends_at_zero_pods_and_resume_brings_them_back(cluster: Cluster):
    async with cluster.controller():
        await cluster.create({"maxWorkers": 2})
        await cluster.reaches("Ready")
        await cluster.patch({"suspended": True})
        await cluster.reaches("Suspended")
        assert await replicas(cluster) == {"trino-analytics-coordinator": 0, "trino-analytics-worker": 0}
        assert (await cluster.client.list_(PODS, NAMESPACE)).items == []
        assert await route(cluster) == "PAUSED"
        await cluster.patch({"suspended": False})
        await cluster.reaches("Ready")
        assert await replicas(cluster) == {"trino-analytics-coordinator": 1, "trino-analytics-worker": 2}


async def test_suspend_waits_for_the_last_query(cluster: Cluster):
    cluster.nodes.queries = [{"queryId": "q1", "state": "RUNNING"}]
    async with cluster.controller():
        await cluster.create()
        await cluster.reaches("Ready")
        await cluster.patch({"suspended": True})
        await cluster.reaches("Suspending")

        async def told() -> bool:
            return "q1" in (await cluster.get())["status"]["message"]

        await until(told)
        assert (await replicas(cluster))["trino-analytics-coordinator"] == 1
        cluster.nodes.queries = []
        await cluster.reaches("Suspended")


async def test_suspend_with_policy_cancel_ends_the_queries(cluster: Cluster):
    cluster.nodes.queries = [{"queryId": "q1", "state": "RUNNING"}]
    async with cluster.controller():
        await cluster.create({"drainPolicy": "Cancel"})
        await cluster.reaches("Ready")
        await cluster.patch({"suspended": True})
        await cluster.reaches("Suspended")
        assert cluster.nodes.killed == ["q1"]


async def test_deletion_leaves_nothing_behind(cluster: Cluster):
    async with cluster.controller():
        await cluster.create()
        await cluster.reaches("Ready")
        await cluster.client.delete(XTRINODES, "analytics", NAMESPACE)
        await until(cluster.is_gone)

        async def empty() -> bool:
            kinds = (DEPLOYMENTS, SERVICES, CONFIG_MAPS, PODS)
            left = [obj for kind in kinds for obj in (await cluster.client.list_(kind, NAMESPACE)).items]
            ours = [obj for obj in left if (obj["metadata"].get("labels") or {}).get("app.kubernetes.io/instance")]
            return not ours

        await until(empty)
        assert await route(cluster) is None


async def test_a_missing_secret_is_named_and_its_arrival_heals(cluster: Cluster):
    async with cluster.controller():
        await cluster.create({"trinoControlAuth": {"passwordSecret": {"name": "control", "key": "password"}}})
        obj = await cluster.reaches("Error")
        assert "Secret control does not exist; create it with key password" in obj["status"]["message"]
        await cluster.client.create(
            SECRETS, {"metadata": {"name": "control", "namespace": NAMESPACE}, "stringData": {"password": "x"}}
        )
        await cluster.reaches("Ready")


async def test_a_catalog_reaches_the_pods_and_its_change_replaces_them(cluster: Cluster):
    async with cluster.controller():
        meta = {"name": "sales", "namespace": NAMESPACE, "labels": {"team": "a"}}
        await cluster.client.create(XTRINODE_CATALOGS, {"metadata": meta, "spec": {"connector": {"tpch": {}}}})
        await cluster.create({"catalogSelector": {"matchLabels": {"team": "a"}}})
        before = await cluster.reaches("Ready")
        assert before["status"]["observedCatalogs"] == ["sales"]
        made = await cluster.client.get(CONFIG_MAPS, "trino-catalog-sales", NAMESPACE)
        assert made["data"] == {"sales.properties": "connector.name=tpch\n"}
        change = {"spec": {"connector": {"tpch": {"properties": {"tpch.splits-per-node": "2"}}}}}
        await cluster.client.patch(XTRINODE_CATALOGS, "sales", NAMESPACE, change)

        async def rolled() -> bool:
            status = (await cluster.get())["status"]
            changed = status["workerRolloutHash"] != before["status"]["workerRolloutHash"]
            return changed and status["phase"] == "Ready"

        await until(rolled)


async def test_edits_of_what_is_ours_are_mended_and_others_fields_stay(cluster: Cluster):
    async with cluster.controller():
        await cluster.create({"maxWorkers": 2})
        await cluster.reaches("Ready")
        name = "trino-analytics-worker"
        await cluster.client.patch(
            DEPLOYMENTS, name, NAMESPACE, {"metadata": {"labels": {"theirs": "x"}}, "spec": {"replicas": 5}}
        )
        await cluster.client.delete(SERVICES, "trino-analytics", NAMESPACE)

        async def mended() -> bool:
            services = {obj["metadata"]["name"] for obj in (await cluster.client.list_(SERVICES, NAMESPACE)).items}
            return (await replicas(cluster))[name] == 2 and "trino-analytics" in services

        await until(mended)
        assert (await cluster.client.get(DEPLOYMENTS, name, NAMESPACE))["metadata"]["labels"]["theirs"] == "x"


async def test_routes_that_somebody_emptied_are_written_again(cluster: Cluster):
    async with cluster.controller():
        await cluster.create()
        await cluster.reaches("Ready")
        await cluster.client.patch(CONFIG_MAPS, "trino-gateway-routes", GATEWAY, {"data": {"routes.yaml": "{}"}})

        async def repaired() -> bool:
            return await route(cluster) == "RUNNING"

        await until(repaired)


async def test_a_steady_state_makes_no_writes(cluster: Cluster):
    async with cluster.controller() as manager:
        await cluster.create()
        await cluster.reaches("Ready")
        await until(lambda: len(manager.runtimes) == manager.runtimes.processing == manager.runtimes.delayed == 0)
        before = await cluster.client.list_(CONFIG_MAPS)
        for _ in range(3):
            manager.runtimes.add((NAMESPACE, "analytics"))
            await until(lambda: len(manager.runtimes) == manager.runtimes.processing == 0)
        after = await cluster.client.list_(CONFIG_MAPS)
        assert before.resource_version == after.resource_version


async def test_somebody_elses_object_of_our_name_is_not_taken(cluster: Cluster):
    theirs = {
        "metadata": {"name": "trino-analytics", "namespace": NAMESPACE},
        "spec": {"ports": [{"name": "http", "port": 1234}], "selector": {"app": "theirs"}},
    }
    await cluster.client.create(SERVICES, theirs)
    async with cluster.controller():
        await cluster.create()
        obj = await cluster.reaches("Error")
        assert "Service team-a/trino-analytics exists and belongs to" in obj["status"]["message"]
        live = await cluster.client.get(SERVICES, "trino-analytics", NAMESPACE)
        assert live["spec"]["selector"] == {"app": "theirs"}


async def test_a_command_by_annotation_is_taken_and_removed(cluster: Cluster):
    async with cluster.controller():
        await cluster.create()
        await cluster.reaches("Ready")
        annotations = {SUSPEND_REQUESTED: "true", SUSPEND_REQUESTED_AT: "2026-01-31T12:00:00Z"}
        await cluster.client.patch(XTRINODES, "analytics", NAMESPACE, {"metadata": {"annotations": annotations}})
        obj = await cluster.reaches("Suspended")
        assert obj["spec"]["suspended"] is True
        assert not obj["metadata"].get("annotations")
