"""Pods of the Trino image: the stand-in from mounted configuration, its health check, worker discovery, refusals."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import aiohttp

from crds.client.resources import DEPLOYMENTS, PODS, SERVICES
from tests.cluster.kubelet.conftest import NAMESPACE, Cluster, rolled_out, service_address

Object = dict[str, Any]
CHECK = {"exec": {"command": ["/usr/lib/trino/bin/health-check"]}, "initialDelaySeconds": 10, "periodSeconds": 10}
NODE = "node.environment=test\nnode.data-dir=/data/trino\nplugin.dir=/usr/lib/trino/plugin\n"
JVM = "-server\n-Xmx1G\n"


def config(role: str, **more: str) -> Object:
    coordinator = role == "coordinator"
    lines = [
        f"coordinator={str(coordinator).lower()}",
        "http-server.http.port=8080",
        f"discovery.uri=http://{'localhost' if coordinator else 'trino-a'}:8080",
        *(["node-scheduler.include-coordinator=false"] if coordinator else []),
        *(f"{name}={value}" for name, value in more.items()),
    ]
    data = {"config.properties": "\n".join(lines) + "\n", "node.properties": NODE, "jvm.config": JVM}
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": f"trino-a-{role}"}, "data": data}


CATALOG = {
    "apiVersion": "v1",
    "kind": "ConfigMap",
    "metadata": {"name": "trino-catalog-tpch"},
    "data": {"tpch.properties": "connector.name=tpch\n"},
}


def service() -> Object:
    ports = [{"name": "http", "port": 8080, "targetPort": "http"}]
    spec = {"selector": {"role": "coordinator"}, "ports": ports, "clusterIP": service_address()}
    return {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "trino-a"}, "spec": spec}


def deployment(role: str) -> Object:
    container = {
        "name": f"trino-{role}",
        "image": "trinodb/trino:480",
        "ports": [{"name": "http", "containerPort": 8080}],
        "livenessProbe": {"httpGet": {"path": "/v1/info", "port": "http"}, "initialDelaySeconds": 30},
        "readinessProbe": {**CHECK, "timeoutSeconds": 5, "failureThreshold": 6},
        "startupProbe": {**CHECK, "periodSeconds": 2, "timeoutSeconds": 2, "failureThreshold": 60},
        "volumeMounts": [
            {"name": "config-volume", "mountPath": "/etc/trino"},
            {"name": "catalog-volume", "mountPath": "/etc/trino/catalog"},
        ],
    }
    volumes = [
        {"name": "config-volume", "configMap": {"name": f"trino-a-{role}"}},
        {"name": "catalog-volume", "projected": {"sources": [{"configMap": {"name": "trino-catalog-tpch"}}]}},
    ]
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": f"trino-a-{role}"},
        "spec": {
            "replicas": 1,
            "selector": {"matchLabels": {"role": role}},
            "template": {
                "metadata": {"labels": {"role": role}},
                "spec": {"terminationGracePeriodSeconds": 60, "containers": [container], "volumes": volumes},
            },
        },
    }


async def query(base: str, sql: str) -> list[list[Any]]:
    """The rows of a statement, by Trino's protocol."""
    rows: list[list[Any]] = []
    async with aiohttp.ClientSession(headers={"X-Trino-User": "test"}) as session:
        async with session.post(f"{base}/v1/statement", data=sql) as answer:
            page = await answer.json()
        while True:
            assert "error" not in page, page["error"]
            rows += page.get("data") or []
            if "nextUri" not in page:
                return rows
            async with session.get(page["nextUri"]) as answer:
                page = await answer.json()


async def test_a_coordinator_and_its_worker_answer_sql_at_the_services_address(cluster: Cluster) -> None:
    await cluster.start_kubelet()
    loop = asyncio.get_running_loop()
    began = loop.time()
    await cluster.create(CATALOG, config("coordinator"), config("worker"), service())
    await cluster.create(deployment("coordinator"), deployment("worker"))
    for role in ("coordinator", "worker"):
        await cluster.until(DEPLOYMENTS, f"trino-a-{role}", rolled_out)
    assert loop.time() - began < 10  # the manifest's own delays would take 20 s
    found = await cluster.client.get(SERVICES, "trino-a", NAMESPACE)
    rows = await query(f"http://{found['spec']['clusterIP']}:8080", "SELECT count(*) FROM tpch.tiny.nation")
    assert rows == [[25]]


async def test_a_real_server_is_started_by_its_launcher_with_local_paths(cluster: Cluster, tmp_path: Path) -> None:
    home = tmp_path / "trino"
    (home / "bin").mkdir(parents=True)
    launcher = home / "bin" / "launcher"
    # As the real one does: reads what it is pointed to, and stays in the foreground.
    launcher.write_text('#!/bin/sh\necho "$@"\ncat "$3"/*.properties "$3"/jvm.config "$3"/catalog/*\nexec sleep 1000\n')
    launcher.chmod(0o755)
    await cluster.start_kubelet(trino_home=home)
    body = deployment("coordinator")
    for probe in ("livenessProbe", "readinessProbe", "startupProbe"):
        del body["spec"]["template"]["spec"]["containers"][0][probe]
    await cluster.create(CATALOG, config("coordinator"), body)
    await cluster.until(DEPLOYMENTS, "trino-a-coordinator", rolled_out)
    (pod,) = await cluster.all_until(PODS, lambda items: len(items) == 1)
    address = pod["status"]["podIP"]
    seen = ""
    async for chunk in cluster.client.logs(pod["metadata"]["name"], NAMESPACE, follow=True):
        seen += chunk.decode()
        if "connector.name" in seen:
            break
    assert seen.startswith("run --etc-dir /")
    for line in (
        f"discovery.uri=http://{address}:8080",
        f"node.internal-address={address}",
        f"plugin.dir={home}/plugin",
        "-Djdk.net.hosts.file=/",
        "connector.name=tpch",
    ):
        assert line in seen


async def test_a_configuration_that_trino_refuses_ends_in_a_crash_loop_with_the_reason_in_the_log(
    cluster: Cluster,
) -> None:
    await cluster.start_kubelet()
    await cluster.create(CATALOG, config("coordinator", **{"no.such.property": "1"}), deployment("coordinator"))

    def crashing(items: list[Object]) -> bool:
        statuses = [entry for item in items for entry in (item.get("status") or {}).get("containerStatuses") or []]
        return any(entry["lastState"].get("terminated") for entry in statuses)

    (pod,) = await cluster.all_until(PODS, crashing)
    assert pod["status"]["containerStatuses"][0]["lastState"]["terminated"]["exitCode"] == 100
    assert "no.such.property" in await cluster.logs(pod["metadata"]["name"], previous=True)
