"""The plugin as a person runs it, against an API server without a controller: this test plays the controller."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from crds.client import KubeClient
from crds.client.resources import CONFIG_MAPS, XTRINODES
from sandbox.install import install
from tests.support.clusters import Cluster

Plugin = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
async def plugin(cluster: Cluster, client: KubeClient, namespace: str, tmp_path: Path) -> Plugin:
    """Runs `kubectl-xtrinode` in the test's namespace."""
    await install(client, tmp_path / "accounts", Path(cluster.kubeconfig))
    environment = {**os.environ, "KUBECONFIG": cluster.kubeconfig, "NO_COLOR": "1"}

    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "kubectl_xtrinode", *arguments, "-n", namespace]
        return subprocess.run(command, capture_output=True, text=True, env=environment, timeout=60, check=False)

    return run


async def create(client: KubeClient, name: str, namespace: str, **spec: Any) -> None:
    body = {"metadata": {"name": name, "namespace": namespace, "labels": {"tier": "dev"}}}
    await client.create(XTRINODES, {**body, "spec": {"size": "xs", **spec}})


async def play_controller(client: KubeClient, name: str, namespace: str) -> None:
    """Make the status what the spec asks for, as often as the spec changes."""
    while True:
        runtime = await client.get(XTRINODES, name, namespace)
        generation = runtime["metadata"]["generation"]
        phase = "Suspended" if runtime["spec"].get("suspended") else "Ready"
        status = runtime.get("status") or {}
        if (status.get("observedGeneration"), status.get("phase")) != (generation, phase):
            new = {"status": {"phase": phase, "observedGeneration": generation}}
            await client.patch(XTRINODES, name, namespace, new, subresource="status")
        await asyncio.sleep(0.05)


async def test_get_prints_the_servers_table(plugin: Plugin, client: KubeClient, namespace: str) -> None:
    await create(client, "a", namespace)
    ran = await asyncio.to_thread(plugin, "get")
    assert ran.stdout.splitlines()[0].split()[:3] == ["NAME", "SIZE", "PHASE"]
    assert ran.stdout.splitlines()[1].split()[:2] == ["a", "xs"]


async def test_get_in_other_forms(plugin: Plugin, client: KubeClient, namespace: str) -> None:
    await create(client, "a", namespace)
    assert (await asyncio.to_thread(plugin, "get", "a", "-o", "name")).stdout == "xtrinode.analytics.xtrinode.io/a\n"
    listed = yaml.safe_load((await asyncio.to_thread(plugin, "get", "-o", "yaml")).stdout)
    assert [one["spec"]["size"] for one in listed["items"]] == ["xs"]


async def test_nothing_found_is_said_and_is_no_failure(plugin: Plugin, namespace: str) -> None:
    ran = await asyncio.to_thread(plugin, "get")
    assert (ran.returncode, ran.stdout) == (0, "")
    assert f"No resources found in {namespace} namespace." in ran.stderr


async def test_missing_runtime_is_one_line_and_exit_1(plugin: Plugin) -> None:
    ran = await asyncio.to_thread(plugin, "status", "absent")
    assert (ran.returncode, ran.stdout) == (1, "")
    assert ran.stderr.startswith("Error from server (NotFound)")
    assert len(ran.stderr.splitlines()) == 1


async def test_suspend_and_resume_wait_until_it_is_so(plugin: Plugin, client: KubeClient, namespace: str) -> None:
    await create(client, "a", namespace)
    controller = asyncio.create_task(play_controller(client, "a", namespace))
    try:
        ran = await asyncio.to_thread(plugin, "suspend", "a", "--wait", "--timeout", "20s")
        assert (ran.returncode, ran.stdout) == (0, "xtrinode.analytics.xtrinode.io/a suspended\n"), ran.stderr
        assert (await client.get(XTRINODES, "a", namespace))["spec"]["suspended"] is True
        assert (await asyncio.to_thread(plugin, "suspend", "a")).stdout.endswith("unchanged\n")
        ran = await asyncio.to_thread(plugin, "resume", "-l", "tier=dev", "--wait", "--timeout", "20s")
        assert (ran.returncode, ran.stdout) == (0, "xtrinode.analytics.xtrinode.io/a resumed\n"), ran.stderr
    finally:
        controller.cancel()
        await asyncio.gather(controller, return_exceptions=True)


async def test_wait_that_is_too_long_says_where_to_look(plugin: Plugin, client: KubeClient, namespace: str) -> None:
    await create(client, "a", namespace)
    ran = await asyncio.to_thread(plugin, "suspend", "a", "--wait", "--timeout", "1s")
    assert ran.returncode == 1
    assert "kubectl xtrinode status a" in ran.stderr


async def test_dry_run_changes_nothing(plugin: Plugin, client: KubeClient, namespace: str) -> None:
    await create(client, "a", namespace)
    assert "(server dry run)" in (await asyncio.to_thread(plugin, "suspend", "a", "--dry-run")).stdout
    assert not (await client.get(XTRINODES, "a", namespace))["spec"].get("suspended")


async def test_status_of_a_runtime_that_is_not_ready_exits_3(
    plugin: Plugin, client: KubeClient, namespace: str
) -> None:
    await create(client, "a", namespace)
    ran = await asyncio.to_thread(plugin, "status", "a")
    assert ran.returncode == 3
    assert f"{namespace}/a" in ran.stdout


async def test_routes_are_read_from_where_the_gateway_reads_them(
    plugin: Plugin, client: KubeClient, namespace: str
) -> None:
    text = (
        f'{{"routes": [{{"name": "r", "backends": [{{"name": "a", "namespace": "{namespace}"}}], "default": true}}]}}'
    )
    metadata = {"name": "routes", "namespace": namespace, "labels": {"xtrinode.io/routes": "true"}}
    await client.create(CONFIG_MAPS, {"metadata": metadata, "data": {"routes.yaml": text}})
    ran = await asyncio.to_thread(plugin, "get", "routes", "--gateway-namespace", namespace)
    assert ran.stdout.splitlines()[1].split()[:3] == ["r", f"{namespace}/a", "RUNNING"]


def test_dead_api_server_is_one_line(tmp_path: Path) -> None:
    config = tmp_path / "config"
    config.write_text(
        "apiVersion: v1\nkind: Config\ncurrent-context: c\n"
        "clusters: [{name: c, cluster: {server: 'https://127.0.0.1:1', insecure-skip-tls-verify: true}}]\n"
        "contexts: [{name: c, context: {cluster: c}}]\n"
    )
    command = [sys.executable, "-m", "kubectl_xtrinode", "get", "--kubeconfig", str(config)]
    ran = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)
    assert ran.returncode == 1
    assert len(ran.stderr.splitlines()) == 1
    assert "is the cluster up?" in ran.stderr
