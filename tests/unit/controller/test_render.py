"""Rendering: the same inputs give the same bytes, pods restart for the right reasons only, nothing runs unhardened,
and every object says whose it is."""

from __future__ import annotations

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from controller.observed import Role
from controller.render import Inputs, SelectedCatalog, render
from controller.render.config_maps import is_superseding_name
from controller.render.pods import sources
from controller.selection import catalog_digest, checked_catalog
from crds.v1 import meta
from crds.v1.names import catalog_config_map
from crds.v1.shape import resolve
from tests.support.runtimes import catalog, runtime

OWNER = meta.owner_reference(meta.XTRINODE_KIND, runtime().metadata)


def selected(name: str, spec=None) -> SelectedCatalog:
    properties = checked_catalog(catalog(name, spec))
    return SelectedCatalog(catalog_config_map(name), properties, catalog_digest(properties))


def rendering(spec=None, *, catalogs=(), digests=None):
    return render(resolve(runtime(spec)), Inputs(OWNER, tuple(catalogs), digests or {}))


def by_name(spec=None, **inputs):
    return {f"{m['kind']}/{m['metadata']['name']}": m for m in rendering(spec, **inputs).manifests}


def pod(role: str, spec=None, **inputs):
    return by_name(spec, **inputs)[f"Deployment/trino-analytics-{role}"]["spec"]["template"]


def trino(role: str, spec=None, **inputs):
    return next(c for c in pod(role, spec, **inputs)["spec"]["containers"] if c["name"] == "trino")


def with_secret(name: str, secret: str):
    ref = {"name": secret, "key": "password"}
    jdbc = {"connectionURL": f"jdbc:postgresql://{name}/x", "connectionPasswordSecret": ref}
    return selected(name, {"connector": {"postgres": jdbc}})


SECRETIVE = [with_secret(name, f"{name}-secret") for name in ("orders", "ads", "zoo", "hr")]


@settings(max_examples=30, deadline=None)
@given(st.permutations(SECRETIVE), st.permutations(["a", "b", "c"]))
def test_the_order_in_which_things_are_found_changes_no_byte(catalogs, keys):
    digests = {("Secret", f"{key}-secret"): key for key in keys}
    spec = {"catalogSelector": {}, "customConfigMaps": ["one", "two"]}
    first = rendering(spec, catalogs=SECRETIVE, digests=dict(sorted(digests.items())))
    second = rendering(spec, catalogs=catalogs, digests=digests)
    assert orjson.dumps(first.manifests) == orjson.dumps(second.manifests)


def test_every_object_is_labelled_and_owned():
    for manifest in rendering().manifests:
        assert manifest["metadata"]["labels"][meta.MANAGED_BY_LABEL] == meta.MANAGED_BY
        assert manifest["metadata"]["labels"][meta.INSTANCE_LABEL] == "analytics"
        (owner,) = manifest["metadata"]["ownerReferences"]
        assert (owner["uid"], owner["controller"], owner["blockOwnerDeletion"]) == ("uid-analytics", True, True)


def test_no_two_objects_have_one_name():
    spec = {"keda": {"jmxExporter": {"enabled": True}}, "helmChartConfig": {"networkPolicy": {"enabled": True}}}
    names = [(m["kind"], m["metadata"]["name"]) for m in rendering(spec).manifests]
    assert len(names) == len(set(names))


def test_the_coordinator_is_stopped_before_its_successor_starts():
    assert by_name()["Deployment/trino-analytics-coordinator"]["spec"]["strategy"] == {"type": "Recreate"}


@pytest.mark.parametrize("role", ["coordinator", "worker"])
def test_every_container_is_hardened(role):
    spec = {"keda": {"jmxExporter": {"enabled": True}}}
    assert pod(role, spec)["spec"]["securityContext"]["runAsNonRoot"] is True
    containers = pod(role, spec)["spec"]["containers"]
    assert len(containers) == 2
    for container in containers:
        assert container["securityContext"]["allowPrivilegeEscalation"] is False
        assert container["securityContext"]["capabilities"]["drop"] == ["ALL"]


def test_config_files_are_named_by_their_content():
    small = {name for name in by_name() if name.startswith("ConfigMap/trino-analytics-coordinator-")}
    large = {name for name in by_name({"size": "xl"}) if name.startswith("ConfigMap/trino-analytics-coordinator-")}
    assert len(small) == len(large) == 1
    assert small != large
    (name,) = small
    assert is_superseding_name(name.removeprefix("ConfigMap/"), "trino-analytics-coordinator")
    assert not is_superseding_name("trino-analytics-coordinator-notahash", "trino-analytics-coordinator")


def test_the_pods_mount_the_files_that_were_rendered():
    manifests = by_name()
    (name,) = [m for m in manifests if m.startswith("ConfigMap/trino-analytics-worker-")]
    volumes = {volume["name"]: volume for volume in pod("worker")["spec"]["volumes"]}
    assert volumes["trino-config"]["configMap"]["name"] == name.removeprefix("ConfigMap/")
    keys = {item["key"] for item in volumes["trino-config"]["configMap"]["items"]}
    assert keys == set(manifests[name]["data"])


def test_selected_catalogs_are_mounted_and_their_secrets_come_sorted():
    inputs = {"catalogs": list(reversed(SECRETIVE))}
    spec = {"catalogSelector": {}}
    volumes = {volume["name"]: volume for volume in pod("coordinator", spec, **inputs)["spec"]["volumes"]}
    mounted = [source["configMap"]["name"] for source in volumes["trino-catalogs"]["projected"]["sources"]]
    assert mounted == sorted(mounted) == [catalog_config_map(name) for name in ("ads", "hr", "orders", "zoo")]
    env = [
        e["valueFrom"]["secretKeyRef"]["name"] for e in trino("worker", spec, **inputs)["env"] if "CATALOG" in e["name"]
    ]
    assert sorted(env) == sorted(f"{name}-secret" for name in ("ads", "hr", "orders", "zoo"))


def test_without_a_selector_the_built_in_catalogs_are_among_the_files():
    items = pod("coordinator")["spec"]["volumes"][0]["configMap"]["items"]
    assert {"catalog/tpch.properties", "catalog/tpcds.properties"} <= {item["path"] for item in items}


@pytest.mark.parametrize(
    "spec",
    [
        {"suspended": True},
        {"autoSuspendAfter": "1h"},
        {"drainPolicy": "Cancel"},
        {"routing": {"hostname": "a.example.com", "capacityUnits": 9}},
        {"rolloutPolicy": {"revisionHistoryLimit": 3}},
        {"maxWorkers": 9},
    ],
)
def test_edits_of_route_lifecycle_and_workers_restart_nothing(spec):
    assert rendering(spec).rollout == rendering().rollout
    for role in Role:
        assert pod(role, spec) == pod(role)


def test_a_resource_of_one_role_restarts_only_that_role():
    changed = rendering({"resources": {"worker": {"limits": {"cpu": "3", "memory": "16Gi"}}}}).rollout
    assert changed[Role.WORKER] != rendering().rollout[Role.WORKER]


def test_what_is_read_by_reference_restarts_pods_when_its_content_changes():
    spec = {"catalogSelector": {}}
    one = rendering(spec, catalogs=SECRETIVE[:1], digests={("Secret", "orders-secret"): "1"})
    two = rendering(spec, catalogs=SECRETIVE[:1], digests={("Secret", "orders-secret"): "2"})
    assert one.rollout[Role.COORDINATOR] != two.rollout[Role.COORDINATOR]
    unrelated = rendering(
        spec, catalogs=SECRETIVE[:1], digests={("Secret", "orders-secret"): "1", ("Secret", "x"): "1"}
    )
    assert one.rollout == unrelated.rollout


def test_references_are_found_wherever_a_pod_can_have_them():
    spec = {
        "imagePullSecrets": [{"name": "pull"}],
        "containers": [
            {
                "env": [
                    {"valueFrom": {"secretKeyRef": {"name": "a"}}},
                    {"valueFrom": {"configMapKeyRef": {"name": "b"}}},
                ],
                "envFrom": [{"secretRef": {"name": "c"}}, {"configMapRef": {"name": "d"}}],
            }
        ],
        "volumes": [
            {"secret": {"secretName": "e"}},
            {"configMap": {"name": "f"}},
            {"projected": {"sources": [{"secret": {"name": "g"}}, {"configMap": {"name": "h"}}]}},
        ],
    }
    assert set(sources(spec)) == {
        ("Secret", "a"),
        ("ConfigMap", "b"),
        ("Secret", "c"),
        ("ConfigMap", "d"),
        ("Secret", "e"),
        ("ConfigMap", "f"),
        ("Secret", "g"),
        ("ConfigMap", "h"),
    }


GRACEFUL = {"helmChartConfig": {"worker": {"gracefulShutdown": {"enabled": True, "gracePeriodSeconds": 30}}}}


def test_a_worker_says_that_it_leaves_and_is_waited_for():
    container = trino("worker", GRACEFUL)
    (_, _, script) = container["lifecycle"]["preStop"]["exec"]["command"]
    assert "SHUTTING_DOWN" in script
    assert "$POD_IP" in script
    assert "while" in script
    assert "kill -0 1" not in script
    assert {"name": "POD_IP", "valueFrom": {"fieldRef": {"fieldPath": "status.podIP"}}} in container["env"]
    assert pod("worker", GRACEFUL)["spec"]["terminationGracePeriodSeconds"] >= 60


def test_a_users_own_hook_is_kept():
    theirs = {"preStop": {"exec": {"command": ["/bin/true"]}}}
    assert trino("worker", GRACEFUL | {"valuesOverlay": {"worker": {"lifecycle": theirs}}})["lifecycle"] == theirs


def test_no_workers_means_no_worker_objects():
    assert not [name for name in by_name({"maxWorkers": 0}) if "worker" in name]


def test_an_autoscaler_is_rendered_awake_and_pruned_asleep():
    spec = {"valuesOverlay": {"server": {"autoscaling": {"enabled": True, "targetCPUUtilizationPercentage": 50}}}}
    hpa = by_name(spec)["HorizontalPodAutoscaler/trino-analytics-worker"]
    assert hpa["spec"]["scaleTargetRef"]["name"] == "trino-analytics-worker"
    assert hpa["spec"]["minReplicas"] >= 1
    assert "HorizontalPodAutoscaler/trino-analytics-worker" not in by_name(spec | {"suspended": True})


def test_a_network_policy_lets_the_components_in():
    policy = by_name({"helmChartConfig": {"networkPolicy": {"enabled": True}}})["NetworkPolicy/trino-analytics"]
    allowed = policy["spec"]["ingress"][0]["from"]
    assert {"app.kubernetes.io/part-of": "xtrinode"} in [peer["podSelector"]["matchLabels"] for peer in allowed]


def test_metrics_services_find_pods_that_are_not_ready():
    service = by_name()["Service/trino-analytics-metrics"]
    assert service["spec"]["publishNotReadyAddresses"] is True
    assert service["spec"]["clusterIP"] == "None"
