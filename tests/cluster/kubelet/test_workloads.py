"""Deployments, Services and their addresses, end to end on a sandbox API server.

Plan: rollout and Service address; an update that never leaves the Service without an answer; Recreate never
overlaps; scale to zero and back; healing; adoption and orphans; a refused pod; headless names; deletion.
"""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path
from typing import Any

import aiohttp

from crds.client.resources import DEPLOYMENTS, ENDPOINT_SLICES, PODS, REPLICA_SETS, SERVICES
from tests.cluster.kubelet.conftest import NAMESPACE, Cluster, is_ready, rolled_out, service_address

Object = dict[str, Any]
SERVER = """
import http.server, os, signal, sys
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        body = os.environ["ANSWER"].encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
    def log_message(self, *args):
        pass
server = http.server.ThreadingHTTPServer((os.environ["POD_IP"], 8080), Handler)
server.serve_forever()
"""


def deployment(name: str = "web", answer: str = "one", replicas: int = 2, **spec: Any) -> Object:
    # The endless loop of a SIGTERM handler is what a server that drains does.
    container = {
        "name": "web",
        "image": "sandbox/process",
        "command": [sys.executable, "-S", "-c", SERVER],
        "env": [{"name": "ANSWER", "value": answer}],
        "ports": [{"name": "http", "containerPort": 8080}],
        "readinessProbe": {"httpGet": {"path": "/", "port": "http"}, "initialDelaySeconds": 10},
        # Gives clients of the Service the time to hear that this endpoint leaves.
        "lifecycle": {"preStop": {"sleep": {"seconds": 1}}},
    }
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": name},
        "spec": {
            "replicas": replicas,
            "selector": {"matchLabels": {"app": name}},
            "template": {
                "metadata": {"labels": {"app": name}},
                "spec": {"terminationGracePeriodSeconds": 5, "containers": [container]},
            },
            **spec,
        },
    }


def service(name: str = "web", **spec: Any) -> Object:
    ports = [{"name": "http", "port": 80, "targetPort": "http"}]
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": name},
        "spec": {"selector": {"app": name}, "ports": ports, "clusterIP": service_address(), **spec},
    }


async def fetch(url: str) -> str:
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(force_close=True)) as session:
        async with session.get(url, timeout=aiohttp.ClientTimeout(5)) as answer:
            return await answer.text()


async def address(cluster: Cluster, name: str = "web") -> str:
    found = await cluster.client.get(SERVICES, name, NAMESPACE)
    return f"http://{found['spec']['clusterIP']}/"


async def serving(cluster: Cluster, count: int) -> None:
    def ready(slices: list[Object]) -> bool:
        endpoints = [entry for item in slices for entry in item.get("endpoints") or []]
        return sum(entry["conditions"]["ready"] for entry in endpoints) == count

    await cluster.all_until(ENDPOINT_SLICES, ready)


async def relayed(url: str) -> str:
    """The Service's answer; its relay opens a moment after the endpoints are known."""
    for _ in range(100):
        try:
            return await fetch(url)
        except aiohttp.ClientConnectorError:
            await asyncio.sleep(0.02)
    raise AssertionError(f"{url} never answered")


async def set_answer(cluster: Cluster, answer: str) -> None:
    container = {"name": "web", "env": [{"name": "ANSWER", "value": answer}]}
    patch = {"spec": {"template": {"spec": {"containers": [container]}}}}
    await cluster.client.patch(DEPLOYMENTS, "web", NAMESPACE, patch, type="strategic")


async def scale(cluster: Cluster, replicas: int) -> None:
    await cluster.client.patch(DEPLOYMENTS, "web", NAMESPACE, {"spec": {"replicas": replicas}})


async def test_a_deployment_serves_at_its_services_address(cluster: Cluster) -> None:
    await cluster.start_kubelet()
    await cluster.create(service(), deployment())
    found = await cluster.rolled_out("web")
    await serving(cluster, 2)
    assert await relayed(await address(cluster)) == "one"
    reasons = {item["type"]: item["reason"] for item in found["status"]["conditions"]}
    assert reasons["Available"] == "MinimumReplicasAvailable"
    pods = await cluster.all_until(PODS, lambda items: len(items) == 2)
    assert len({item["status"]["podIP"] for item in pods}) == 2


async def test_an_update_never_leaves_the_service_without_an_answer(cluster: Cluster) -> None:
    await cluster.start_kubelet()
    strategy = {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 1, "maxUnavailable": 0}}
    await cluster.create(service(), deployment(strategy=strategy))
    await cluster.rolled_out("web")
    url = await address(cluster)
    await relayed(url)
    await set_answer(cluster, "two")
    answers: list[str] = []

    async def ask() -> None:
        while not answers or answers[-1] != "stop":
            answers.append(await fetch(url))

    asking = asyncio.create_task(ask())
    await cluster.until(DEPLOYMENTS, "web", lambda item: item["metadata"]["generation"] == 2 and rolled_out(item))
    await cluster.all_until(PODS, lambda items: len(items) == 2)
    asking.cancel()
    await asyncio.gather(asking, return_exceptions=True)
    assert asking.cancelled(), asking.exception()
    assert answers[0] == "one"
    assert await fetch(url) == "two"
    sets = await cluster.all_until(REPLICA_SETS, lambda items: len(items) == 2)
    assert sorted(item["spec"]["replicas"] for item in sets) == [0, 2]


async def test_recreate_never_runs_old_and_new_together(cluster: Cluster) -> None:
    await cluster.start_kubelet()
    await cluster.create(deployment(replicas=1, strategy={"type": "Recreate"}))
    await cluster.rolled_out("web")
    most = 0

    def count(items: list[Object]) -> bool:
        nonlocal most
        most = max(most, len(items))
        return len(items) == 1 and is_ready(items[0]) and "two" in str(items[0]["spec"])

    await set_answer(cluster, "two")
    await cluster.all_until(PODS, count)
    assert most == 1


async def test_scaling_to_zero_and_back(cluster: Cluster) -> None:
    await cluster.start_kubelet()
    await cluster.create(service(), deployment())
    await cluster.rolled_out("web")
    await scale(cluster, 0)
    await cluster.all_until(PODS, lambda items: not items)
    await serving(cluster, 0)
    await cluster.rolled_out("web")
    await scale(cluster, 3)
    await cluster.rolled_out("web")
    await serving(cluster, 3)
    sets = await cluster.all_until(REPLICA_SETS, lambda items: len(items) == 1)
    assert sets[0]["spec"]["replicas"] == 3


async def test_a_service_without_endpoints_refuses_connections(cluster: Cluster) -> None:
    await cluster.start_kubelet()
    await cluster.create(service(), deployment(replicas=1))
    await cluster.rolled_out("web")
    url = await address(cluster)
    await relayed(url)
    await scale(cluster, 0)
    await cluster.all_until(PODS, lambda items: not items)
    for _ in range(100):
        try:
            await fetch(url)
        except aiohttp.ClientConnectorError:
            return
        except aiohttp.ClientError:
            pass  # the relay noticed while this connection was open
        await asyncio.sleep(0.02)
    raise AssertionError("the address still answers")


async def test_a_deleted_pod_is_replaced_by_one_and_only_one(cluster: Cluster) -> None:
    await cluster.start_kubelet()
    await cluster.create(deployment())
    await cluster.rolled_out("web")
    before = await cluster.all_until(PODS, lambda items: len(items) == 2)
    await cluster.client.delete(PODS, before[0]["metadata"]["name"], NAMESPACE)
    await cluster.gone(PODS, before[0]["metadata"]["name"])
    after = await cluster.all_until(PODS, lambda items: len(items) == 2 and all(map(is_ready, items)))
    assert before[1]["metadata"]["uid"] in {item["metadata"]["uid"] for item in after}


async def test_going_back_to_the_old_template_reuses_its_replica_set(cluster: Cluster) -> None:
    await cluster.start_kubelet()
    await cluster.create(deployment(replicas=1))
    await cluster.rolled_out("web")
    for generation, answer in ((2, "two"), (3, "one")):
        await set_answer(cluster, answer)
        await cluster.until(
            DEPLOYMENTS, "web", lambda item, g=generation: item["metadata"]["generation"] == g and rolled_out(item)
        )
    found = await cluster.client.get(DEPLOYMENTS, "web", NAMESPACE)
    assert found["metadata"]["annotations"]["deployment.kubernetes.io/revision"] == "3"
    assert len(await cluster.all_until(REPLICA_SETS, lambda items: bool(items))) == 2


async def test_a_relabelled_pod_is_let_go_and_replaced_and_taken_back(cluster: Cluster) -> None:
    await cluster.start_kubelet()
    await cluster.create(deployment(replicas=1))
    await cluster.rolled_out("web")
    (pod,) = await cluster.all_until(PODS, lambda items: len(items) == 1)
    name = pod["metadata"]["name"]
    await cluster.client.patch(PODS, name, NAMESPACE, {"metadata": {"labels": {"app": "quarantine"}}})
    await cluster.all_until(PODS, lambda items: len(items) == 2 and all(map(is_ready, items)))
    freed = await cluster.until(PODS, name, lambda item: not item["metadata"].get("ownerReferences"))
    assert is_ready(freed)
    await cluster.client.patch(PODS, name, NAMESPACE, {"metadata": {"labels": {"app": "web"}}})
    await cluster.all_until(PODS, lambda items: len(items) == 1 and is_ready(items[0]))


async def test_headless_services_resolve_to_pods_in_the_hosts_file(cluster: Cluster) -> None:
    kubelet = await cluster.start_kubelet()
    await cluster.create(service(clusterIP="None"), deployment(replicas=1))
    await cluster.rolled_out("web")
    await serving(cluster, 1)
    (pod,) = await cluster.all_until(PODS, lambda items: len(items) == 1)
    worker = kubelet.find(NAMESPACE, pod["metadata"]["name"])
    assert worker is not None
    wanted = f"{pod['status']['podIP']} web.default.svc.cluster.local web.default.svc web.default web\n"
    for _ in range(100):
        if wanted in Path(worker.place("web").hosts_file).read_text():
            return
        await asyncio.sleep(0.02)
    raise AssertionError("the name never appeared")


async def test_deleting_a_deployment_leaves_nothing_behind(cluster: Cluster) -> None:
    kubelet = await cluster.start_kubelet()
    await cluster.create(service(), deployment())
    await cluster.rolled_out("web")
    await cluster.client.delete(DEPLOYMENTS, "web", NAMESPACE)
    await cluster.client.delete(SERVICES, "web", NAMESPACE)
    for res in (REPLICA_SETS, PODS, ENDPOINT_SLICES):
        await cluster.all_until(res, lambda items: not items)
    await kubelet.settled()
    assert not list((kubelet.settings.data_dir / "pods").iterdir())
