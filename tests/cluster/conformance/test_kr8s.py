"""kr8s, whose authentication and calls our client builds on: what it asks of a server on its own.

It runs in a process of its own, because it leaves its connections for the end of the process to close.
"""

from __future__ import annotations

import json
import subprocess
import sys

from crds.client.resources import Resource
from tests.support.clusters import Cluster

SCRIPT = """
import asyncio, json, sys
import kr8s.asyncio
from kr8s.asyncio.objects import ConfigMap, new_class

async def main(kubeconfig, namespace, group):
    api = await kr8s.asyncio.api(kubeconfig=kubeconfig)
    told = {}
    body = {"metadata": {"name": "c", "namespace": namespace}, "data": {"a": "1"}}
    config = await ConfigMap(body, api=api)
    await config.create()
    await config.patch({"data": {"b": "2"}})
    await config.refresh()
    told["data"] = dict(config.data)
    told["listed"] = [each.name async for each in api.get("configmaps", namespace=namespace)]

    Widget = new_class(kind="Widget", version=f"{group}/v1", namespaced=True)
    widget = await Widget({"metadata": {"name": "w", "namespace": namespace}, "spec": {"size": "s"}}, api=api)
    await widget.create()
    told["widgets"] = [each.name async for each in api.get(f"widgets.{group}", namespace=namespace)]

    async def follow():
        async for kind, each in api.watch("configmaps", namespace=namespace):
            if each.name == "late":
                return kind

    following = asyncio.create_task(follow())
    await (await ConfigMap({"metadata": {"name": "late", "namespace": namespace}}, api=api)).create()
    told["watched"] = await asyncio.wait_for(following, 20)
    await config.delete()
    told["left"] = await config.exists()
    print(json.dumps(told))

asyncio.run(main(*sys.argv[1:]))
"""


async def test_its_calls_work(cluster: Cluster, namespace: str, widgets: Resource) -> None:
    command = [sys.executable, "-W", "ignore", "-c", SCRIPT, cluster.kubeconfig, namespace, widgets.group]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert told["data"] == {"a": "1", "b": "2"} and "c" in told["listed"]
    assert told["widgets"] == ["w"]
    assert told["watched"] == "ADDED" and told["left"] is False
