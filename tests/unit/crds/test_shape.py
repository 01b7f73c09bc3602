"""A spec becomes a shape: deterministic, complete, with a source for what was decided.

Plan: presets and overrides; the three worker modes; files by role; mounts, environment, probes, security; routing and
lifecycle; the overlay on top of each; the hash. Every field of the spec that a pod depends on changes the shape.
"""

import json
from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crds.v1 import properties
from crds.v1.meta import InvalidObject, parse
from crds.v1.presets import parse_presets
from crds.v1.quantity import GIB, MIB, parse_trino_data_size
from crds.v1.role_shape import prometheus_duration
from crds.v1.shape import resolve
from crds.v1.xtrinode import SIZES, XTrinode


def make(**spec):
    return parse(XTrinode, {"metadata": {"name": "run", "namespace": "team"}, "spec": {"size": "s", **spec}})


def shape_of(**spec):
    return resolve(make(**spec))


def overlaid(**overlay):
    return shape_of(valuesOverlay=overlay)


def file_of(role, path):
    return next(file.content for file in role.files if file.path == path)


def config_of(role):
    return properties.parse(file_of(role, "config.properties"))


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("role", ["coordinator", "worker"])
def test_trino_accepts_the_memory_of_every_size(size, role):
    wanted = getattr(shape_of(size=size), role)
    config = config_of(wanted)
    heap = int(next(line for line in file_of(wanted, "jvm.config").splitlines() if line.startswith("-Xmx"))[4:-1]) * MIB
    per_node = parse_trino_data_size(config["query.max-memory-per-node"])
    headroom = parse_trino_data_size(config["memory.heap-headroom-per-node"])
    assert per_node + headroom <= heap <= wanted.resources.memory_bytes * 3 // 4
    assert parse_trino_data_size(config["query.max-memory"]) >= per_node


def test_typed_resources_replace_the_preset_of_their_role_only():
    shape = shape_of(resources={"worker": {"limits": {"cpu": "3", "memory": "4G"}}})
    assert shape.worker.resources.limits == {"cpu": "3", "memory": "4G"}
    assert shape.worker.resources.requests == {}
    assert shape.worker.memory.heap <= 3 * 10**9
    assert shape.coordinator.resources.limits["memory"] == "8Gi"
    assert shape.sources["worker.resources"] == "spec.resources.worker"
    assert shape.sources["coordinator.resources"] == "preset s"


def test_presets_are_replaceable():
    table = parse_presets({"s": {"coordinator": {"limits": {"memory": "1Gi"}}}})
    assert resolve(make(), table).coordinator.memory.heap == 768 * MIB


@pytest.mark.parametrize(
    ("spec", "mode", "least", "most", "fixed", "source"),
    [
        ({}, "fixed", 2, 2, 2, "default"),
        ({"maxWorkers": 5}, "fixed", 5, 5, 5, "spec.maxWorkers"),
        ({"minWorkers": 7, "maxWorkers": 5}, "fixed", 7, 7, 7, "spec.minWorkers"),
        ({"maxWorkers": 0}, "fixed", 0, 0, 0, "spec.maxWorkers"),
        ({"keda": {"enabled": True}}, "fixed", 2, 2, 2, "default"),
        ({"keda": {"enabled": True, "scalingMetric": "query"}}, "keda", 0, 24, None, "default"),
        (
            {"minWorkers": 1, "maxWorkers": 8, "keda": {"enabled": True, "scalerType": "http"}},
            "keda",
            1,
            8,
            None,
            "spec.maxWorkers",
        ),
        ({"valuesOverlay": {"server": {"autoscaling": {"enabled": True}}}}, "hpa", 2, 5, None, None),
        (
            {
                "valuesOverlay": {
                    "server": {
                        "autoscaling": {
                            "enabled": True,
                            "targetCPUUtilizationPercentage": "",
                            "targetMemoryUtilizationPercentage": "",
                        }
                    }
                }
            },
            "fixed",
            2,
            2,
            2,
            "default",
        ),
    ],
)
def test_the_number_of_workers(spec, mode, least, most, fixed, source):
    shape = shape_of(**spec)
    workers = shape.workers
    assert (workers.mode, workers.min, workers.max, workers.fixed) == (mode, least, most, fixed)
    assert workers.initial == (fixed if fixed is not None else least)
    if source:
        assert shape.sources["workers.fixed" if fixed is not None else "workers.max"] == source


def test_without_workers_the_coordinator_works():
    shape = shape_of(maxWorkers=0)
    assert not shape.workers.rendered
    assert config_of(shape.coordinator)["node-scheduler.include-coordinator"] == "true"
    assert shape.query_max_memory >= shape.coordinator.memory.query_per_node
    assert shape.routing.capacity_units == 1


@pytest.mark.parametrize(
    ("size", "spec", "units"),
    [
        ("xs", {}, 1),
        ("s", {}, 2),
        ("xl", {}, 16),
        ("m", {"keda": {"enabled": True, "scalingMetric": "query"}}, 48),
        ("s", {"routing": {"capacityUnits": 9}}, 9),
    ],
)
def test_capacity_follows_the_workers_cpu(size, spec, units):
    assert shape_of(**{"size": size, **spec}).routing.capacity_units == units


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ({"maxWorkers": 2}, {"maxWorkers": 5}),
        ({"maxWorkers": 2}, {"maxWorkers": 2, "minWorkers": 7}),
        ({"keda": {"enabled": True, "scalingMetric": "query"}}, {"maxWorkers": 500}),
    ],
)
def test_the_number_of_workers_is_in_no_pod(before, after):
    few, many = shape_of(**before), shape_of(**after)
    assert few.workers != many.workers
    assert (few.coordinator, few.worker) == (many.coordinator, many.worker)


def test_the_share_per_node_is_what_limits_a_query_until_a_limit_says_otherwise():
    plain = shape_of(maxWorkers=500)
    assert plain.query_max_memory >= 500 * plain.worker.memory.query_per_node
    assert (
        config_of(shape_of(maxWorkers=4).coordinator)["query.max-memory"]
        == (config_of(plain.worker)["query.max-memory"])
    )
    limited = shape_of(limits={"session": {"maxQueryMemory": "10GB", "maxTotalMemoryPerNode": "3GB"}})
    assert config_of(limited.worker)["query.max-memory"] == "10240MB"
    assert config_of(limited.worker)["query.max-memory-per-node"] == "3072MB"
    assert config_of(limited.coordinator)["query.max-memory-per-node"] == "3072MB"
    assert limited.sources["queryMaxMemory"] == "spec.limits.session.maxQueryMemory"


def test_each_role_knows_where_it_is():
    shape = shape_of()
    assert config_of(shape.coordinator)["coordinator"] == "true"
    assert config_of(shape.coordinator)["discovery.uri"] == "http://localhost:8080"
    assert config_of(shape.worker)["coordinator"] == "false"
    assert config_of(shape.worker)["discovery.uri"] == "http://trino-run:8080"
    assert config_of(shape.worker)["http-server.process-forwarded"] == "true"


def test_without_a_selector_there_are_the_example_catalogs():
    shape = shape_of()
    assert shape.builtin_catalogs == ("tpcds", "tpch")
    assert "connector.name=tpch" in file_of(shape.worker, "catalog/tpch.properties")
    selected = shape_of(catalogSelector={})
    assert selected.builtin_catalogs == ()
    assert not [file for file in selected.coordinator.files if file.path.startswith("catalog/")]


def test_a_files_key_fits_a_config_map():
    for file in shape_of().coordinator.files:
        assert "/" not in file.key


def test_limits_become_a_resource_group():
    coordinator = shape_of(limits={"hardConcurrencyPerGroup": 3, "maxQueuedPerGroup": 7}).coordinator
    (group,) = json.loads(file_of(coordinator, "resource-groups.json"))["rootGroups"]
    assert (group["hardConcurrencyLimit"], group["maxQueued"]) == (3, 7)
    assert "resource-groups.config-file=/etc/trino/resource-groups.json" in file_of(
        coordinator, "resource-groups.properties"
    )
    assert not [file for file in shape_of().coordinator.files if "resource-groups" in file.path]


def test_a_resource_group_profile_is_mounted():
    shape = shape_of(resourceGroupsProfile="profile")
    (mount,) = shape.coordinator.mounts
    assert (mount.kind, mount.source, mount.path) == ("ConfigMap", "profile", "/etc/trino/resource-groups")
    assert shape.worker.mounts == ()


def test_fault_tolerance_has_its_exchange_and_its_secrets():
    manager = {
        "baseDirectories": ["s3://a", "s3://b"],
        "properties": {"exchange.s3.region": "eu"},
        "propertySecretRefs": {"exchange.s3.aws-secret-key": {"name": "s3", "key": "secret"}},
    }
    shape = shape_of(faultTolerantExecution={"exchangeManager": manager})
    assert config_of(shape.worker)["retry-policy"] == "TASK"
    lines = properties.parse(file_of(shape.worker, "exchange-manager.properties"))
    assert lines["exchange.base-directories"] == "s3://a,s3://b"
    variable = lines["exchange.s3.aws-secret-key"].removeprefix("${ENV:").removesuffix("}")
    assert {"name": variable, "valueFrom": {"secretKeyRef": {"name": "s3", "key": "secret"}}} in shape.worker.env
    assert "exchange-manager.properties" not in [
        f.path for f in shape_of(faultTolerantExecution={"retryPolicy": "QUERY"}).worker.files
    ]


def test_a_graceful_worker_is_asked_to_stop_and_only_by_the_controller():
    shape = shape_of(helmChartConfig={"worker": {"gracefulShutdown": {"enabled": True, "gracePeriodSeconds": 3000}}})
    assert shape.graceful_shutdown_seconds == 3000
    assert shape.worker.termination_grace_seconds == 6000
    assert "SHUTTING_DOWN" in shape.worker.lifecycle["preStop"]["exec"]["command"][2]
    (rule,) = json.loads(file_of(shape.worker, "access-control/graceful-shutdown.json"))["system_information"]
    assert rule["user"] == "xtrinode-operator"
    assert "write" in rule["allow"]
    assert config_of(shape.coordinator)["shutdown.grace-period"] == "3000s"
    assert shape.coordinator.lifecycle is None
    assert shape_of().worker.lifecycle is None


def test_a_worker_that_asks_for_no_password_is_sent_none():
    auth = {"passwordSecret": {"name": "s", "key": "k"}}
    graceful = {"worker": {"gracefulShutdown": {"enabled": True}}}

    def command(**overlay):
        shape = shape_of(trinoControlAuth=auth, helmChartConfig=graceful, valuesOverlay=overlay)
        return shape.worker.lifecycle["preStop"]["exec"]["command"][2]

    assert "CONTROL_PASSWORD" not in command(server={"config": {"authenticationType": "PASSWORD"}})
    assert "CONTROL_PASSWORD" in command(additionalConfigProperties=["http-server.authentication.type=PASSWORD"])


def test_access_control_is_written_with_its_rules():
    control = {"type": "configmap", "configFile": "rules.json", "refreshPeriod": "2m", "rules": {"rules.json": "{}"}}
    coordinator = shape_of(helmChartConfig={"accessControl": control}).coordinator
    lines = properties.parse(file_of(coordinator, "access-control.properties"))
    assert lines["security.config-file"] == "/etc/trino/access-control/rules.json"
    assert lines["security.refresh-period"] == "120s"
    assert file_of(coordinator, "access-control/rules.json") == "{}"
    plain = shape_of(
        helmChartConfig={"accessControl": {"type": "properties", "properties": "access-control.name=read-only"}}
    )
    assert file_of(plain.coordinator, "access-control.properties") == "access-control.name=read-only\n"


def test_mounts_of_all_kinds_reach_their_role():
    mount = {"name": "m", "secretName": "certs", "path": "/certs"}
    shape = shape_of(
        customConfigMaps=["extra"],
        helmChartConfig={"secretMounts": [mount], "worker": {"secretMounts": [{**mount, "subPath": "ca.crt"}]}},
        valuesOverlay={"coordinator": {"configMounts": [{"name": "c", "configMap": "cm", "path": "/c"}]}},
    )
    assert [(m.source, m.path, m.sub_path) for m in shape.worker.mounts] == [
        ("extra", "/etc/trino/custom/extra", None),
        ("certs", "/certs", None),
        ("certs", "/certs", "ca.crt"),
    ]
    assert [m.source for m in shape.coordinator.mounts] == ["extra", "certs", "cm"]
    assert shape.worker.mounts[1].volume == shape.worker.mounts[2].volume


def test_placement_of_a_role_replaces_what_is_common():
    placement = {
        "nodeSelector": {"a": "1"},
        "tolerations": [{"key": "k", "operator": "Exists"}],
        "existingNodePool": {"provider": "gcp", "name": "pool"},
        "worker": {"nodeSelector": {"b": "2"}, "tolerations": []},
    }
    shape = shape_of(placement=placement)
    assert shape.coordinator.placement.node_selector == {"a": "1", "cloud.google.com/gke-nodepool": "pool"}
    assert shape.coordinator.placement.tolerations == ({"key": "k", "operator": "Exists"},)
    assert shape.worker.placement.node_selector == {"b": "2", "cloud.google.com/gke-nodepool": "pool"}
    assert shape.worker.placement.tolerations == ()


def test_the_coordinator_is_recreated_and_workers_roll():
    policy = {"revisionHistoryLimit": 3, "rollingUpdateStrategy": {"maxSurge": 1, "maxUnavailable": "10%"}}
    shape = shape_of(rolloutPolicy=policy)
    assert shape.coordinator.strategy == {"type": "Recreate"}
    assert shape.worker.strategy["rollingUpdate"] == {"maxSurge": 1, "maxUnavailable": "10%"}
    assert shape.worker.revision_history_limit == shape.coordinator.revision_history_limit == 3


def test_pods_meet_the_restricted_standard_by_default():
    for role in (shape_of().coordinator, shape_of().worker):
        assert role.pod_security_context["runAsNonRoot"] is True
        assert role.container_security_context == {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}}


def test_workers_have_a_disruption_budget_and_the_only_coordinator_does_not_stop_a_drain():
    assert shape_of().worker.disruption_budget == {"maxUnavailable": 1}
    assert shape_of().coordinator.disruption_budget is None
    asked = overlaid(
        coordinator={"podDisruptionBudget": {"enabled": True}}, worker={"podDisruptionBudget": {"enabled": False}}
    )
    assert asked.coordinator.disruption_budget == {"minAvailable": 1}
    assert asked.worker.disruption_budget is None


@pytest.mark.parametrize(
    ("routing", "group", "shared", "hostname", "header"),
    [
        (None, "team--run", False, None, None),
        ({"hostnameDomain": "t.io"}, "team--run", False, "team--run.t.io", None),
        ({"hostname": "Q.T.io"}, "team--run", False, "q.t.io", None),
        ({"routingGroup": "pool", "hostnameDomain": "t.io"}, "team--pool", True, "pool.t.io", None),
        ({"routingGroup": "team--run"}, "team--run", False, None, None),
        ({"header": "X-Trino-XTrinode: team/x"}, "team--run", False, None, "team/x"),
    ],
)
def test_routing(routing, group, shared, hostname, header):
    found = shape_of(**({"routing": routing} if routing else {})).routing
    assert (found.group, found.shared, found.hostname, found.header) == (group, shared, hostname, header)


def test_the_lifecycle_is_resolved_and_never_changes_the_hash():
    awake = shape_of()
    assert awake.lifecycle.auto_suspend_after == timedelta(minutes=5)
    sleepy = shape_of(
        suspended=True, autoSuspendAfter="0s", resumePolicy="Manual", drainTimeout="1m", drainPolicy="Cancel"
    )
    assert sleepy.lifecycle.auto_suspend_after is None
    assert (sleepy.lifecycle.suspended, sleepy.lifecycle.resume_policy) == (True, "Manual")
    assert sleepy.hash == awake.hash


@pytest.mark.parametrize(
    ("image", "reference", "version"),
    [
        ({}, "trinodb/trino:480", "480"),
        ({"tag": 476}, "trinodb/trino:476", "476"),
        ({"registry": "r.io", "repository": "x/trino", "tag": "1"}, "r.io/x/trino:1", "1"),
        ({"digest": "sha256:ab"}, "trinodb/trino@sha256:ab", "unknown"),
        ({"repository": "r.io:5000/t:9", "useRepositoryAsSoleImageReference": True}, "r.io:5000/t:9", "9"),
        ({"repository": "r.io:5000/t", "useRepositoryAsSoleImageReference": True}, "r.io:5000/t", "unknown"),
    ],
)
def test_the_image(image, reference, version):
    found = overlaid(image=image).image
    assert (found.reference, found.version) == (reference, version)


def test_only_a_new_image_gets_the_pinning_option():
    assert "G1NumCollectionsKeepPinned" in file_of(shape_of().worker, "jvm.config")
    assert "G1NumCollectionsKeepPinned" not in file_of(overlaid(image={"tag": "447"}).worker, "jvm.config")


def test_only_an_image_with_a_new_java_gets_what_older_ones_do_not_know():
    option = "--sun-misc-unsafe-memory-access=allow"
    assert option in file_of(shape_of().coordinator, "jvm.config")
    for older in ("463", "latest"):
        assert option not in file_of(overlaid(image={"tag": older}).coordinator, "jvm.config")


def test_overlay_lines_win_by_key_and_never_twice():
    lines = ["query.max-run-time=1h", "query.max-memory=1GB"]
    shape = overlaid(
        additionalConfigProperties=lines, server={"workerExtraConfig": "query.max-memory=2GB\ntask.concurrency=8"}
    )
    assert config_of(shape.coordinator)["query.max-memory"] == "1GB"
    worker = file_of(shape.worker, "config.properties").splitlines()
    assert [line for line in worker if line.startswith("query.max-memory=")] == ["query.max-memory=2GB"]
    assert "task.concurrency=8" in worker


def test_an_overlay_cannot_move_what_makes_the_runtime_one():
    shape = overlaid(
        additionalConfigProperties=["coordinator=true", "discovery.uri=http://evil", "http-server.http.port=1"]
    )
    config = config_of(shape.worker)
    assert (config["coordinator"], config["http-server.http.port"]) == ("false", "8080")
    assert config["discovery.uri"] == "http://trino-run:8080"


def test_a_heap_option_is_respected_and_the_rest_follows():
    shape = overlaid(worker={"additionalJVMConfig": ["-Xmx4G", "-XX:+X"]})
    lines = file_of(shape.worker, "jvm.config").splitlines()
    assert [line for line in lines if line.startswith("-Xmx")] == ["-Xmx4096M"]
    assert "-XX:+X" in lines
    assert shape.worker.memory.heap == 4 * GIB
    assert shape.worker.memory.query_per_node + shape.worker.memory.headroom <= 4 * GIB


def test_the_port_is_the_same_everywhere():
    shape = overlaid(service={"port": 9000, "annotations": {"a": "b"}})
    assert (shape.service.port, shape.service.annotations) == (9000, {"a": "b"})
    assert config_of(shape.worker)["discovery.uri"] == "http://trino-run:9000"
    assert config_of(shape.coordinator)["http-server.http.port"] == "9000"


def test_jmx_is_on_when_someone_exports_it():
    shape = shape_of(keda={"jmxExporter": {"enabled": True, "port": 7000, "configMap": "cm"}})
    assert shape.worker.sidecar.port == 7000
    assert shape.worker.sidecar.config_map == "cm"
    assert config_of(shape.coordinator)["jmx.rmiregistry.port"] == "9080"
    assert shape_of().worker.sidecar is None
    own = overlaid(jmx={"exporter": {"enabled": True}, "worker": {"exporter": {"port": 1234}}})
    assert (own.coordinator.sidecar.port, own.worker.sidecar.port) == (5556, 1234)


def test_password_and_group_files():
    shape = overlaid(
        server={"config": {"authenticationType": "password"}},
        auth={"passwordAuthSecret": "pw", "groups": "g:u"},
    )
    assert config_of(shape.coordinator)["http-server.authentication.type"] == "PASSWORD"
    assert "http-server.authentication.type" not in config_of(shape.worker)
    assert file_of(shape.coordinator, "auth/group/group.db") == "g:u"
    assert "password-authenticator.name=file" in file_of(shape.coordinator, "password-authenticator.properties")
    (mount,) = shape.coordinator.mounts
    assert (mount.source, mount.items) == ("pw", (("password.db", "password.db"),))


def test_control_credentials_reach_workers_only():
    shape = shape_of(trinoControlAuth={"username": "ctl", "passwordSecret": {"name": "s", "key": "k"}})
    assert shape.control_auth.username == "ctl"
    assert [variable["name"] for variable in shape.worker.env] == [
        "XTRINODE_TRINO_CONTROL_USER",
        "XTRINODE_TRINO_CONTROL_PASSWORD",
    ]
    assert shape.coordinator.env == ()


def test_typed_environment_wins_over_the_overlays():
    shape = shape_of(
        valuesOverlay={"env": [{"name": "A", "value": "overlay"}, {"name": "B", "value": "1"}]},
        helmChartConfig={"env": [{"name": "A", "value": "typed"}]},
    )
    assert {variable["name"]: variable["value"] for variable in shape.coordinator.env} == {"A": "typed", "B": "1"}


def test_identity_annotations_mount_the_token():
    account = {"annotations": {"eks.amazonaws.com/role-arn": "arn"}}
    assert shape_of(helmChartConfig={"serviceAccount": account}).service_account.automount_token
    plain = shape_of().service_account
    assert (plain.name, plain.create, plain.automount_token) == ("trino-run", True, False)


def test_objects_beside_the_pods():
    chart = {
        "ingress": {"enabled": True, "hosts": [{"host": "q.io"}], "tls": [{"secretName": "t", "hosts": ["q.io"]}]},
        "networkPolicy": {"enabled": True, "ingress": [{"from": []}]},
        "serviceMonitor": {"enabled": True, "interval": "30s", "worker": {"enabled": False}},
        "imagePullSecrets": [{"name": "reg"}],
        "envFrom": [{"secretRef": {"name": "e"}}],
        "initContainers": {"worker": [{"name": "i", "image": "x"}]},
    }
    shape = shape_of(helmChartConfig=chart)
    assert shape.ingress.hosts == (("q.io", (("/", "Prefix"),)),)
    assert shape.network_policy.ingress == ({"from": []},)
    assert shape.coordinator.service_monitor.interval == "30s"
    assert shape.worker.service_monitor is None
    assert shape.image.pull_secrets == ("reg",)
    assert shape.worker.env_from == ({"secretRef": {"name": "e"}},)
    assert [container["name"] for container in shape.worker.init_containers] == ["i"]
    assert shape.coordinator.init_containers == ()
    plain = shape_of()
    assert (plain.ingress, plain.network_policy, plain.coordinator.service_monitor) == (None, None, None)


@pytest.mark.parametrize(
    ("keda", "kind", "key", "value"),
    [
        ({"scalerType": "prometheus", "threshold": "5"}, "prometheus", "threshold", "5"),
        (
            {"prometheusQuery": "up{x='{namespace}/{xtrinodeName}/{releaseName}'}"},
            "prometheus",
            "query",
            "up{x='team/run/trino-run'}",
        ),
        (
            {"scalerType": "http", "scalingMetric": "query"},
            "metrics-api",
            "url",
            "http://trino-run.team.svc.cluster.local:8080/v1/query",
        ),
        ({"scalerType": "http"}, "memory", "value", "80"),
        (
            {"scalerType": "http", "scalingMetric": "query", "httpEndpoint": "http://x/m", "httpValueLocation": "v"},
            "metrics-api",
            "valueLocation",
            "v",
        ),
    ],
)
def test_keda_triggers(keda, kind, key, value):
    scaled = shape_of(minWorkers=1, keda={"enabled": True, **keda}).workers.keda
    (trigger,) = scaled.triggers
    assert trigger["type"] == kind
    assert trigger["metadata"][key] == value
    assert scaled.asks_coordinator == ("authenticationRef" in trigger)


def test_keda_cooldowns_and_fallback():
    scaled = shape_of(
        keda={"enabled": True, "scalingMetric": "query", "scaleDownCooldown": "10m", "scaleUpCooldown": "30s"},
        valuesOverlay={"server": {"keda": {"fallback": {"failureThreshold": 3, "replicas": 2}}}},
    ).workers.keda
    assert (scaled.cooldown_seconds, scaled.scale_up_stabilization_seconds) == (600, 30)
    assert scaled.fallback == {"failureThreshold": 3, "replicas": 2}


def test_an_overlay_that_cannot_be_read_is_an_error_with_a_path():
    with pytest.raises(InvalidObject) as caught:
        overlaid(service={"port": "many"})
    assert caught.value.errors[0].path == "spec.valuesOverlay.service.port"


def test_the_status_shows_the_short_form():
    assert shape_of(size="xs", maxWorkers=1).to_status() | {"hash": ""} == {
        "version": "v1",
        "hash": "",
        "preset": "xs",
        "autoscalingMode": "fixed",
        "coordinator": {"requests": {"cpu": "1", "memory": "4Gi"}, "limits": {"cpu": "2", "memory": "8Gi"}},
        "worker": {"requests": {"cpu": "1", "memory": "4Gi"}, "limits": {"cpu": "2", "memory": "8Gi"}},
        "workers": {"min": 1, "max": 1, "quota": 1, "capacity": 1, "fixed": 1},
        "capacityUnits": 1,
    }


SPEC = {
    "size": "m",
    "keda": {"enabled": True, "scalingMetric": "query", "threshold": "2"},
    "placement": {"nodeSelector": {"a": "1", "b": "2"}, "worker": {"nodeSelector": {"c": "3"}}},
    "resources": {"worker": {"limits": {"cpu": "2", "memory": "8Gi"}, "requests": {"memory": "4Gi", "cpu": "1"}}},
    "valuesOverlay": {"commonLabels": {"x": "1", "y": "2"}, "additionalConfigProperties": ["a=1", "b=2"]},
    "catalogSelector": {"matchLabels": {"a": "1", "b": "2"}},
}


def shuffled(value, rng):
    if isinstance(value, dict):
        keys = list(value)
        rng.shuffle(keys)
        return {key: shuffled(value[key], rng) for key in keys}
    return value


@given(st.randoms(use_true_random=False))
def test_the_shape_does_not_depend_on_the_order_of_keys(rng):
    assert shape_of(**shuffled(SPEC, rng)) == shape_of(**SPEC)


def test_the_hash_is_of_everything_that_was_resolved():
    plain = shape_of()
    changes = [
        {"size": "m"},
        {"maxWorkers": 3},
        {"catalogSelector": {}},
        {"routing": {"default": True}},
        {"limits": {"session": {"maxQueryMemory": "1GB"}}},
        {"valuesOverlay": {"commonLabels": {"a": "b"}}},
        {"placement": {"nodeSelector": {"a": "b"}}},
        {"helmChartConfig": {"env": [{"name": "A", "value": "b"}]}},
    ]
    hashes = {shape_of(**change).hash for change in changes}
    assert len(hashes | {plain.hash}) == len(changes) + 1
    assert all(len(text) == 16 for text in hashes)
    assert replace(plain, sources={"x": "y"}).fingerprint() == plain.hash


@pytest.mark.parametrize(
    ("given", "written"),
    [("30s", "30s"), ("1m30s", "1m30s"), ("1.5m", "90000ms"), ("+30s", "30000ms"), ("1us", "1ms"), (None, None)],
)
def test_a_scrape_interval_is_one_that_prometheus_reads(given, written):
    assert prometheus_duration(given) == written
