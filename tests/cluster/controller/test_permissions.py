"""The rules that ship are what the controller uses: a whole life under its own ServiceAccount, with no call refused
and no rule that nothing needs."""

from __future__ import annotations

from collections import defaultdict

import yaml

from crds.client.credentials import Impersonation
from crds.client.resources import (
    CLUSTER_ROLE_BINDINGS,
    CLUSTER_ROLES,
    ROLE_BINDINGS,
    ROLES,
    SECRETS,
    SERVICE_ACCOUNTS,
    XTRINODE_CATALOGS,
    XTRINODES,
)
from tests.cluster.controller.conftest import NAMESPACE, Rig, until
from tests.support.control_plane import REPOSITORY

ACCOUNT = "xtrinode-controller"
SYSTEM = "xtrinode-system"
VERBS = {"apply": {"create", "patch"}}
#: Rules that an ordinary life does not exercise, and why they are there.
NOT_IN_AN_ORDINARY_LIFE = {
    "xtrinodes/finalizers": {"update"},  # checked by an admission plugin, never called
    "xtrinodecatalogs/finalizers": {"update"},
}
#: Every rendered kind has the same verbs: `get` is for a name that somebody else holds.
RENDERED = {
    "configmaps",
    "services",
    "serviceaccounts",
    "deployments",
    "poddisruptionbudgets",
    "horizontalpodautoscalers",
    "ingresses",
    "networkpolicies",
}
SPEC = {
    "maxWorkers": 2,
    "catalogSelector": {},
    "trinoControlAuth": {"passwordSecret": {"name": "control", "key": "password"}},
    "valuesOverlay": {"server": {"autoscaling": {"enabled": True, "targetCPUUtilizationPercentage": 50}}},
    "helmChartConfig": {
        "ingress": {"enabled": True, "hosts": [{"host": "a.example.com"}]},
        "networkPolicy": {"enabled": True},
    },
}


def shipped() -> list[dict]:
    return list(yaml.safe_load_all((REPOSITORY / "controller" / "rbac.yaml").read_text()))


async def grant(rig: Rig) -> None:
    subject = {"kind": "ServiceAccount", "name": ACCOUNT, "namespace": SYSTEM}
    await rig.client.create(SERVICE_ACCOUNTS, {"metadata": {"name": ACCOUNT, "namespace": SYSTEM}})
    for role in shipped():
        is_cluster = role["kind"] == "ClusterRole"
        await rig.client.create(CLUSTER_ROLES if is_cluster else ROLES, role)
        metadata = {"name": ACCOUNT} | ({} if is_cluster else {"namespace": SYSTEM})
        reference = {"apiGroup": "rbac.authorization.k8s.io", "kind": role["kind"], "name": ACCOUNT}
        await rig.client.create(
            CLUSTER_ROLE_BINDINGS if is_cluster else ROLE_BINDINGS,
            {"metadata": metadata, "roleRef": reference, "subjects": [subject]},
        )


async def live_a_life(rig: Rig, **settings: object) -> None:
    async with rig.controller(**settings):
        await rig.create(SPEC)
        await rig.reaches("Ready")
        await rig.patch({"suspended": True})
        await rig.reaches("Suspended")
        await rig.patch({"suspended": False})
        await rig.reaches("Ready")
        await rig.client.delete(XTRINODES, "analytics", NAMESPACE)
        await until(rig.is_gone)


async def test_the_shipped_rules_are_enough_and_none_is_unused(rig: Rig):
    await grant(rig)
    secret = {"metadata": {"name": "control", "namespace": NAMESPACE}, "stringData": {"password": "x"}}
    await rig.client.create(SECRETS, secret)
    catalog = {"metadata": {"name": "sales", "namespace": NAMESPACE}, "spec": {"connector": {"tpch": {}}}}
    await rig.client.create(XTRINODE_CATALOGS, catalog)
    used: dict[str, set[str]] = defaultdict(set)
    refused: list[tuple[str, str]] = []

    def heard(verb: str, resource: str, status: int, seconds: float) -> None:
        used[resource] |= VERBS.get(verb, {verb})
        if status == 403:
            refused.append((verb, resource))

    admin = rig.client
    me = Impersonation(f"system:serviceaccount:{SYSTEM}:{ACCOUNT}", groups=(f"system:serviceaccounts:{SYSTEM}",))
    async with admin.clone(impersonate=me, on_call=heard) as restricted:
        rig.controller_client = restricted
        await live_a_life(rig, leader_elect=True)
    assert refused == []
    allowed: dict[str, set[str]] = defaultdict(set)
    for role in shipped():
        for rule in role["rules"]:
            for resource in rule["resources"]:
                allowed[resource] |= set(rule["verbs"])
    unused = {resource: verbs - used[resource] for resource, verbs in allowed.items() if verbs - used[resource]}
    for resource in RENDERED:
        unused[resource] = unused.get(resource, set()) - {"get"}
    assert {resource: verbs for resource, verbs in unused.items() if verbs} == NOT_IN_AN_ORDINARY_LIFE
