"""Controller, webhook, gateway, lifecycle API and plugin together on the real control plane, each under its account.

Plan: a runtime's whole life, and what is left of it; what a bad manifest is answered; the plugin's verbs; whether the
rules that ship are enough, and whether they are all needed.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import subprocess
import sys
import urllib.request
from typing import Any

import yaml

from crds.client.errors import NotFound
from crds.client.resources import (
    DEPLOYMENTS,
    LEASES,
    PODS,
    SECRETS,
    XTRINODE_CATALOGS,
    XTRINODES,
)
from sandbox.install import SYSTEM_NAMESPACE
from tests.cluster.real.conftest import System, until
from tests.support.audit import unused
from tests.support.clusters import ONLY_REAL
from tests.support.control_plane import REPOSITORY

pytestmark = ONLY_REAL

# What an ordinary life does not need, by account, and why it is granted all the same.
SPARE = {
    "controller": {
        # Checked by an admission plugin where owner references that block deletion are protected; never called.
        "update xtrinodes/finalizers.analytics.xtrinode.io",
        "update xtrinodecatalogs/finalizers.analytics.xtrinode.io",
        # Whose object it is that already has a name which we need.
        *(
            f"get {kind}"
            for kind in (
                "configmaps",
                "services",
                "serviceaccounts",
                "deployments.apps",
                "poddisruptionbudgets.policy",
                "horizontalpodautoscalers.autoscaling",
                "ingresses.networking.k8s.io",
                "networkpolicies.networking.k8s.io",
            )
        ),
        # An event that happens again counts up.
        "patch events.events.k8s.io",
    },
    # Certificates are renewed in place.
    "webhook": {"update secrets in xtrinode-system"},
    "gateway": set[str](),
    # When a copy that held it has died.
    "controller/lifecycle_api": {"update leases.coordination.k8s.io in xtrinode-system"},
}
ACCOUNTS = {
    "controller": "xtrinode-system:xtrinode-controller",
    "webhook": "xtrinode-system:xtrinode-webhook",
    "gateway": "xtrinode-gateway:xtrinode-gateway",
    "controller/lifecycle_api": "xtrinode-system:xtrinode-api",
}
# Everything that a runtime can have, so that every kind is made and removed.
EVERYTHING = {
    "catalogSelector": {},
    "trinoControlAuth": {"passwordSecret": {"name": "control", "key": "password"}},
    "valuesOverlay": {"server": {"autoscaling": {"enabled": True, "targetCPUUtilizationPercentage": 50}}},
    "helmChartConfig": {
        "ingress": {"enabled": True, "hosts": [{"host": "a.example.com"}]},
        "networkPolicy": {"enabled": True},
    },
}
BIGGER = {"requests": {"cpu": "750m", "memory": "3Gi"}}


def kubectl(
    system: System, *arguments: str, stdin: str | None = None, admin: bool = False
) -> subprocess.CompletedProcess[str]:
    """The stock kubectl, as a member of the team or as the administrator."""
    account = system.control_plane.kubeconfig if admin else system.person
    cache = system.directory / "cache"  # its own: kubectl remembers discovery per address for hours
    command = ["kubectl", f"--kubeconfig={account}", f"--cache-dir={cache}"]
    return subprocess.run(
        [*command, "-n", system.namespace, *arguments],
        input=stdin,
        capture_output=True,
        text=True,
        timeout=60,
        env={"PATH": os.environ["PATH"], "HOME": str(system.directory)},
    )


async def plugin(system: System, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "kubectl_xtrinode", *arguments, "-n", system.namespace]
    environment = {
        "PATH": os.environ["PATH"],
        "HOME": str(system.directory),
        "KUBECONFIG": str(system.person),
    }
    return await asyncio.to_thread(
        subprocess.run, command, capture_output=True, text=True, timeout=90, env=environment, cwd=REPOSITORY
    )


def everything(system: System) -> set[str]:
    """Every object of every kind that can be listed, of all namespaces and of none."""
    kinds = kubectl(system, "api-resources", "--verbs=list", "-o", "name", admin=True).stdout.split()
    kinds = [kind for kind in kinds if not kind.startswith(("events", "widgets.", "gadgets."))]
    each = '{range .items[*]}{.kind}/{.metadata.namespace}/{.metadata.name}{"\\n"}{end}'
    listed = kubectl(system, "get", ",".join(kinds), "-A", "-o", f"jsonpath={each}", admin=True)
    assert listed.returncode == 0, listed.stderr
    return set(listed.stdout.split())


def ask(system: System, url: str, body: bytes | None = None) -> Any:
    """The lifecycle API's answer to a member of the team."""
    (user,) = yaml.safe_load(system.person.read_text())["users"]
    request = urllib.request.Request(url, body, {"Authorization": f"Bearer {user['user']['token']}"})
    with urllib.request.urlopen(request, timeout=20) as answer:
        return json.load(answer)


async def gateway_state(system: System, name: str) -> str | None:
    """How the gateway's table shows a runtime; None when it does not."""
    (gateway,) = (part for part in system.parts if part.name == "gateway")
    status = json.loads(await asyncio.to_thread(gateway.get, "/ui/admin/api/gateway/status"))
    for route in status["routes"]:
        for backend in route["backends"]:
            if (backend["namespace"], backend["name"]) == (system.namespace, name):
                return str(backend["state"])
    return None


async def test_a_whole_life(system: System) -> None:
    # An earlier test's: whoever is first makes them.
    for resource, name in ((LEASES, "xtrinode-controller"), (SECRETS, "xtrinode-webhook-tls")):
        with contextlib.suppress(NotFound):
            await system.client.delete(resource, name, SYSTEM_NAMESPACE)
    await system.webhook()
    controller = await system.controller("--leader-elect")
    await system.gateway()
    api = await system.lifecycle_api()
    # One that stays: a gateway does not believe in a table that is empty all at once.
    await system.create("other", suspended=True)
    await system.reaches("other", "Suspended")
    before = await asyncio.to_thread(everything, system)
    secret = {"metadata": {"name": "control", "namespace": system.namespace}, "stringData": {"password": "x"}}
    await system.client.create(SECRETS, secret)
    catalog = {"metadata": {"name": "sales", "namespace": system.namespace}, "spec": {"connector": {"tpch": {}}}}
    await system.client.create(XTRINODE_CATALOGS, catalog)

    made = await system.create("one", **EVERYTHING)
    assert made["spec"]["resumePolicy"] == "OnDemand", "the webhook and the schema fill in defaults"
    ready = await system.reaches("one", "Ready")
    assert ready["status"]["observedCatalogs"] == ["sales"]
    other = {f"{system.namespace}/other": "PAUSED"}
    assert await system.routes() == {f"{system.namespace}/one": "RUNNING", **other}

    async def is_routed(state: str | None) -> bool:
        return await gateway_state(system, "one") == state

    await until(lambda: is_routed("RUNNING"))
    table = await asyncio.to_thread(kubectl, system, "get", "tn")
    assert [line.split()[0] for line in table.stdout.splitlines()] == ["NAME", "one", "other"]
    assert "Ready" in table.stdout

    # To sleep, but not before its last query.
    system.coordinators.queries = [{"queryId": "q1", "state": "RUNNING"}]
    await system.change("one", suspended=True)
    await system.reaches("one", "Suspending")
    await until(lambda: is_routed("PAUSED"))
    await until(lambda: system.coordinators.asked)
    system.coordinators.queries = []
    await system.reaches("one", "Suspended")
    await until(lambda: no_pods(system))
    listed = await asyncio.to_thread(ask, system, f"{api}/runtimes?namespace={system.namespace}")
    assert {one["metadata"]["name"] for one in listed["items"]} == {"one", "other"}
    woken = await asyncio.to_thread(ask, system, f"{api}/runtimes/{system.namespace}/one/resume", b"{}")
    assert woken["triggered"]
    await system.reaches("one", "Ready")
    await until(lambda: is_routed("RUNNING"))

    # Other pods, without a moment in which none would serve.
    old = await templates(system)
    before_rolling = await replicas(system)
    await system.change("one", resources={"coordinator": BIGGER, "worker": BIGGER})
    await system.reaches("one", "Ready")
    assert await unchanged(system, old) == []
    assert await replicas(system) == before_rolling

    await system.client.delete(XTRINODES, "one", system.namespace)
    await until(lambda: is_gone(system, "one"))
    await until(lambda: is_routed(None))
    await system.client.delete(XTRINODE_CATALOGS, "sales", system.namespace)
    await system.client.delete(SECRETS, "control", system.namespace)
    left: set[str] = set()

    async def nothing_is_left() -> bool:
        nonlocal left
        left = await asyncio.to_thread(everything, system) - before
        return not left

    try:
        # The stock garbage collector learns of new kinds every 30 s.
        await until(nothing_is_left, 90)
    except AssertionError:
        raise AssertionError(f"left behind: {sorted(left)}") from None
    assert await system.routes() == other
    assert controller.process.poll() is None
    for name, account in ACCOUNTS.items():
        roles = list(yaml.safe_load_all((REPOSITORY / name / "rbac.yaml").read_text()))
        assert unused(roles, system.calls.of(account)) <= SPARE[name], f"{name}: granted and never used"


async def is_gone(system: System, name: str) -> bool:
    found = await system.client.list_(XTRINODES, system.namespace)
    return name not in {obj["metadata"]["name"] for obj in found.items}


async def no_pods(system: System) -> bool:
    return not (await system.client.list_(PODS, system.namespace)).items


async def templates(system: System) -> dict[str, Any]:
    found = await system.client.list_(DEPLOYMENTS, system.namespace)
    one = [obj for obj in found.items if obj["metadata"]["name"].startswith("trino-one-")]
    return {obj["metadata"]["name"]: obj["spec"]["template"] for obj in one}


async def replicas(system: System) -> dict[str, int]:
    found = await system.client.list_(DEPLOYMENTS, system.namespace)
    return {obj["metadata"]["name"]: obj["spec"]["replicas"] for obj in found.items}


async def unchanged(system: System, old: dict[str, Any]) -> list[str]:
    """The Deployments whose pods are made as before."""
    new = await templates(system)
    return [name for name in old if new[name] == old[name]]


async def test_a_bad_manifest_is_refused_with_the_path_of_its_field(system: System) -> None:
    await system.webhook()
    manifest = """
apiVersion: analytics.xtrinode.io/v1
kind: XTrinode
metadata: {name: bad}
spec:
  size: xs
  %s
"""
    for line, path in {
        "autoSuspendAfter: soon": "spec.autoSuspendAfter",
        "minWorkers: 5\n  maxWorkers: 2": "spec",
        "resources: {worker: {limits: {memory: 1Mi}}}": "spec.resources.worker",
        "trinoControlAuth: {passwordSecret: {name: 'Not A Name', key: k}}": "spec.trinoControlAuth.passwordSecret.name",
    }.items():
        refused = await asyncio.to_thread(kubectl, system, "apply", "-f", "-", stdin=manifest % line)
        assert refused.returncode == 1, line
        assert path in refused.stderr, refused.stderr
    assert await system.is_empty()


async def test_the_plugin_under_a_persons_account(system: System) -> None:
    await system.webhook()
    await system.controller()
    await system.create("mine")
    await system.reaches("mine", "Ready")
    listed = await plugin(system, "get")
    assert listed.returncode == 0, listed.stderr
    assert "mine" in listed.stdout
    assert "Ready" in listed.stdout
    status = await plugin(system, "status", "mine")
    assert status.returncode == 0, status.stderr
    assert "trino-mine-coordinator" in status.stdout
    suspended = await plugin(system, "suspend", "mine", "--wait")
    assert suspended.returncode == 0, suspended.stderr
    assert (await system.get("mine"))["status"]["phase"] == "Suspended"
    resumed = await plugin(system, "resume", "mine", "--wait")
    assert resumed.returncode == 0, resumed.stderr
    assert (await system.get("mine"))["status"]["phase"] == "Ready"
