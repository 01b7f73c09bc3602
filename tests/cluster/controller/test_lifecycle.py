"""A runtime's life against an API server: from nothing to Ready, asleep and awake, changed, gone without a trace."""

from __future__ import annotations

import asyncio

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
from tests.cluster.controller.conftest import GATEWAY, NAMESPACE, Rig, idles, until


async def route(rig: Rig, name: str = "analytics"):
    found = await rig.client.list_(CONFIG_MAPS, GATEWAY, "xtrinode.io/routes=true")
    for obj in found.items:
        for entry in orjson.loads(obj["data"]["routes.yaml"]).get("routes", []):
            for backend in entry["backends"]:
                if backend["name"] == name:
                    return backend["state"]
    return None


async def replicas(rig: Rig):
    found = await rig.client.list_(DEPLOYMENTS, NAMESPACE)
    return {obj["metadata"]["name"]: obj["spec"]["replicas"] for obj in found.items}


async def test_a_runtime_becomes_ready_and_its_route_runs(rig: Rig):
    async with rig.controller():
        await rig.create({"maxWorkers": 2})
        obj = await rig.reaches("Ready")
        assert await route(rig) == "RUNNING"
        assert await replicas(rig) == {"trino-analytics-coordinator": 1, "trino-analytics-worker": 2}
        assert obj["status"]["workers"] == 2
        assert obj["status"]["observedGeneration"] == 1


async def test_the_route_is_resuming_until_the_coordinator_answers(rig: Rig):
    rig.nodes.hold = True
    async with rig.controller():
        await rig.create()
        await rig.reaches("Reconciling")
        await until(lambda: route(rig))
        assert await route(rig) == "RESUMING"
        rig.nodes.release()
        await rig.reaches("Ready")
        assert await route(rig) == "RUNNING"


async def test_suspend_ends_at_zero_pods_and_resume_brings_them_back(rig: Rig):
    async with rig.controller():
        await rig.create({"maxWorkers": 2})
        await rig.reaches("Ready")
        await rig.patch({"suspended": True})
        await rig.reaches("Suspended")
        assert await replicas(rig) == {"trino-analytics-coordinator": 0, "trino-analytics-worker": 0}
        assert (await rig.client.list_(PODS, NAMESPACE)).items == []
        assert await route(rig) == "PAUSED"
        await rig.patch({"suspended": False})
        await rig.reaches("Ready")
        assert await replicas(rig) == {"trino-analytics-coordinator": 1, "trino-analytics-worker": 2}


async def test_suspend_waits_for_the_last_query(rig: Rig):
    rig.nodes.queries = [{"queryId": "q1", "state": "RUNNING"}]
    async with rig.controller() as manager:
        await rig.create()
        await rig.reaches("Ready")
        await rig.patch({"suspended": True})
        await rig.reaches("Suspending")

        async def told() -> bool:
            return "q1" in (await rig.get())["status"]["message"]

        await until(told)
        assert (await replicas(rig))["trino-analytics-coordinator"] == 1
        rig.nodes.queries = []
        await rig.reaches("Suspended")
        assert b"xtrinode_drain_duration_seconds_count 1.0" in manager.metrics.page()


async def test_suspend_with_policy_cancel_ends_the_queries(rig: Rig):
    rig.nodes.queries = [{"queryId": "q1", "state": "RUNNING"}]
    async with rig.controller():
        await rig.create({"drainPolicy": "Cancel"})
        await rig.reaches("Ready")
        await rig.patch({"suspended": True})
        await rig.reaches("Suspended")
        assert rig.nodes.killed == ["q1"]


async def test_deletion_leaves_nothing_behind(rig: Rig):
    async with rig.controller():
        await rig.create()
        await rig.reaches("Ready")
        await rig.client.delete(XTRINODES, "analytics", NAMESPACE)
        await until(rig.is_gone)

        async def empty() -> bool:
            kinds = (DEPLOYMENTS, SERVICES, CONFIG_MAPS, PODS)
            left = [obj for kind in kinds for obj in (await rig.client.list_(kind, NAMESPACE)).items]
            ours = [obj for obj in left if (obj["metadata"].get("labels") or {}).get("app.kubernetes.io/instance")]
            return not ours

        await until(empty)
        assert await route(rig) is None


async def test_a_missing_secret_is_named_and_its_arrival_heals(rig: Rig):
    async with rig.controller():
        await rig.create({"trinoControlAuth": {"passwordSecret": {"name": "control", "key": "password"}}})
        obj = await rig.reaches("Error")
        assert "Secret control does not exist; create it with key password" in obj["status"]["message"]
        await rig.client.create(
            SECRETS, {"metadata": {"name": "control", "namespace": NAMESPACE}, "stringData": {"password": "x"}}
        )
        await rig.reaches("Ready")


async def test_a_catalog_reaches_the_pods_and_its_change_replaces_them(rig: Rig):
    async with rig.controller():
        meta = {"name": "sales", "namespace": NAMESPACE, "labels": {"team": "a"}}
        await rig.client.create(XTRINODE_CATALOGS, {"metadata": meta, "spec": {"connector": {"tpch": {}}}})
        await rig.create({"catalogSelector": {"matchLabels": {"team": "a"}}})
        before = await rig.reaches("Ready")
        assert before["status"]["observedCatalogs"] == ["sales"]
        made = await rig.client.get(CONFIG_MAPS, "trino-catalog-sales", NAMESPACE)
        assert made["data"] == {"sales.properties": "connector.name=tpch\n"}
        change = {"spec": {"connector": {"tpch": {"properties": {"tpch.splits-per-node": "2"}}}}}
        await rig.client.patch(XTRINODE_CATALOGS, "sales", NAMESPACE, change)

        async def rolled() -> bool:
            status = (await rig.get())["status"]
            changed = status["workerRolloutHash"] != before["status"]["workerRolloutHash"]
            return changed and status["phase"] == "Ready"

        await until(rolled)


async def test_edits_of_what_is_ours_are_mended_and_others_fields_stay(rig: Rig):
    async with rig.controller():
        await rig.create({"maxWorkers": 2})
        await rig.reaches("Ready")
        name = "trino-analytics-worker"
        await rig.client.patch(
            DEPLOYMENTS, name, NAMESPACE, {"metadata": {"labels": {"theirs": "x"}}, "spec": {"replicas": 5}}
        )
        await rig.client.delete(SERVICES, "trino-analytics", NAMESPACE)

        async def mended() -> bool:
            services = {obj["metadata"]["name"] for obj in (await rig.client.list_(SERVICES, NAMESPACE)).items}
            return (await replicas(rig))[name] == 2 and "trino-analytics" in services

        await until(mended)
        assert (await rig.client.get(DEPLOYMENTS, name, NAMESPACE))["metadata"]["labels"]["theirs"] == "x"


async def test_the_number_of_workers_survives_the_first_change_of_their_pods(rig: Rig):
    """The manifest says no replicas: applied as it is, it would take them away from a Deployment made with them."""
    async with rig.controller():
        await rig.create({"maxWorkers": 3})
        before = await rig.reaches("Ready")
        await rig.patch({"resources": {"worker": {"requests": {"memory": "6Gi"}}}})

        async def rolled() -> bool:
            assert (await replicas(rig))["trino-analytics-worker"] == 3
            status = (await rig.get())["status"]
            changed = status["workerRolloutHash"] != before["status"]["workerRolloutHash"]
            return changed and status["phase"] == "Ready"

        await until(rolled)
        assert await replicas(rig) == {"trino-analytics-coordinator": 1, "trino-analytics-worker": 3}


async def test_scaling_starts_workers_and_restarts_nobody(rig: Rig):
    async def pods() -> set[str]:
        return {obj["metadata"]["name"] for obj in (await rig.client.list_(PODS, NAMESPACE)).items}

    async with rig.controller():
        await rig.create({"maxWorkers": 2})
        await rig.settles()
        before = await pods()
        await rig.patch({"maxWorkers": 4})

        async def scaled() -> bool:
            return bool((await rig.get())["status"]["workers"] == 4)

        await until(scaled)
        assert await pods() > before
        assert (len(before), len(await pods())) == (3, 5)


async def test_routes_that_somebody_emptied_are_written_again(rig: Rig):
    async with rig.controller():
        await rig.create()
        await rig.reaches("Ready")
        await rig.client.patch(CONFIG_MAPS, "trino-gateway-routes", GATEWAY, {"data": {"routes.yaml": "{}"}})

        async def repaired() -> bool:
            return await route(rig) == "RUNNING"

        await until(repaired)


async def test_a_steady_state_makes_no_writes(rig: Rig):
    async with rig.counted() as writes, rig.controller() as manager:
        await rig.create({"autoSuspendAfter": "0s"})
        await rig.settles()
        await idles(manager)
        assert writes
        writes.clear()
        for _ in range(3):
            manager.runtimes.add((NAMESPACE, "analytics"))
            await until(lambda: len(manager.runtimes) == manager.runtimes.processing == 0)
        assert writes == []


async def test_somebody_elses_object_of_our_name_is_not_taken(rig: Rig):
    theirs = {
        "metadata": {"name": "trino-analytics", "namespace": NAMESPACE},
        "spec": {"ports": [{"name": "http", "port": 1234}], "selector": {"app": "theirs"}},
    }
    await rig.client.create(SERVICES, theirs)
    async with rig.controller():
        await rig.create()
        obj = await rig.reaches("Error")
        assert "Service team-a/trino-analytics exists and belongs to" in obj["status"]["message"]
        live = await rig.client.get(SERVICES, "trino-analytics", NAMESPACE)
        assert live["spec"]["selector"] == {"app": "theirs"}


async def test_a_command_by_annotation_is_taken_and_removed(rig: Rig):
    async with rig.controller():
        await rig.create()
        await rig.reaches("Ready")
        annotations = {SUSPEND_REQUESTED: "true", SUSPEND_REQUESTED_AT: "2026-01-31T12:00:00Z"}
        await rig.client.patch(XTRINODES, "analytics", NAMESPACE, {"metadata": {"annotations": annotations}})
        obj = await rig.reaches("Suspended")
        assert obj["spec"]["suspended"] is True
        assert not obj["metadata"].get("annotations")


async def test_of_two_runtimes_that_want_one_hostname_the_older_has_it_and_the_other_is_told(rig: Rig):
    async def told(name: str, reason: str) -> bool:
        conditions = (await rig.get(name)).get("status", {}).get("conditions", ())
        return any(c["type"] == "GatewayReady" and c["reason"] == reason for c in conditions)

    async with rig.controller():
        await rig.create({"routing": {"hostname": "one.example.com"}}, "older")
        await rig.reaches("Ready", "older")
        await asyncio.sleep(1.0)  # creation times have whole seconds
        await rig.create({"routing": {"hostname": "one.example.com"}}, "newer")
        await rig.reaches("Ready", "newer")
        await until(lambda: told("newer", "RouteConflict"))
        assert await told("older", "GatewayRegistered")
        await rig.client.delete(XTRINODES, "older", NAMESPACE)
        await until(lambda: told("newer", "GatewayRegistered"))


async def test_an_idle_runtime_suspends_itself_and_a_busy_one_does_not(rig: Rig):
    rig.nodes.queries = [{"queryId": "q1", "state": "RUNNING"}]
    async with rig.controller():
        await rig.create({"autoSuspendAfter": "1s"})
        await rig.reaches("Ready")
        await asyncio.sleep(2.5)
        assert await rig.phase() == "Ready"
        rig.nodes.queries = []
        obj = await rig.reaches("Suspended")
        assert obj["spec"]["suspended"] is True
