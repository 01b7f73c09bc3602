"""What an XTrinode may not be: each rule with the smallest spec that breaks it, and the nearest one that does not.

Plan: a table of (spec, path of the error); a table of specs that are fine although they look close. An error names one
field and says what to type instead; together they come all at once.
"""

import pytest

from crds.v1 import rule_subject, runtime_rules
from crds.v1.meta import parse
from crds.v1.validation import validate_xtrinode
from crds.v1.xtrinode import XTrinode


def make(name="run", **spec):
    return parse(XTrinode, {"metadata": {"name": name, "namespace": "team"}, "spec": {"size": "s", **spec}})


def paths(runtime, old=None):
    return [error.path for error in validate_xtrinode(runtime, old)]


def chart(**block):
    return {"helmChartConfig": block}


def overlay(**block):
    return {"valuesOverlay": block}


def keda(**block):
    return {"keda": {"enabled": True, **block}}


OVERLAY = "spec.valuesOverlay"
EXCHANGE = "spec.faultTolerantExecution.exchangeManager"
PASSWORD = {
    "valuesOverlay": {
        "server": {"config": {"authenticationType": "PASSWORD"}},
        "additionalConfigProperties": ["internal-communication.shared-secret=${ENV:SHARED}"],
    },
    "trinoControlAuth": {"passwordSecret": {"name": "s", "key": "k"}},
}

WRONG = [
    ({"minWorkers": 3, "maxWorkers": 2}, "spec.minWorkers"),
    ({"maxWorkers": 0, **keda(scalingMetric="query")}, "spec.maxWorkers"),
    ({"maxWorkers": 2, "wakeMinWorkers": 3}, "spec.wakeMinWorkers"),
    (
        {"resources": {"worker": {"requests": {"cpu": 2, "memory": "1Gi"}, "limits": {"cpu": "1500m"}}}},
        "spec.resources.worker.requests.cpu",
    ),
    ({"resources": {"worker": {"limits": {"cpu": 1}}}}, "spec.resources.worker.limits.memory"),
    ({"resources": {"coordinator": {"limits": {"memory": "64Mi"}}}}, "spec.resources.coordinator.limits.memory"),
    ({"resources": {"coordinator": {"requests": {"memory": "64Mi"}}}}, "spec.resources.coordinator.requests.memory"),
    ({"limits": {"session": {"maxTotalMemoryPerNode": "30GB"}}}, "spec.limits.session.maxTotalMemoryPerNode"),
    ({"limits": {"maxQueuedPerGroup": 1}, "resourceGroupsProfile": "x"}, "spec.limits.maxQueuedPerGroup"),
    (
        {"limits": {"hardConcurrencyPerGroup": 1}, **overlay(resourceGroups={"type": "configmap"})},
        "spec.limits.hardConcurrencyPerGroup",
    ),
    ({"routing": {"hostname": "a", "hostnameDomain": "b"}}, "spec.routing.hostnameDomain"),
    ({"routing": {"hostnameDomain": "a." * 125 + "io"}}, "spec.routing.hostnameDomain"),
    ({"routing": {"header": "X-Other=team/x"}}, "spec.routing.header"),
    ({"routing": {"header": "X-Trino-XTrinode="}}, "spec.routing.header"),
    ({"routing": {"header": "a b"}}, "spec.routing.header"),
    ({"routing": {"header": "other/x"}}, "spec.routing.header"),
    (
        {
            "placement": {
                "existingNodePool": {"provider": "gcp", "name": "a"},
                "worker": {"nodeSelector": {"cloud.google.com/gke-nodepool": "b"}},
            }
        },
        "spec.placement.worker.nodeSelector[cloud.google.com/gke-nodepool]",
    ),
    ({"minWorkers": 1, **keda(httpEndpoint="jmx")}, "spec.keda.httpEndpoint"),
    ({"minWorkers": 1, **keda(httpEndpoint="aggregator")}, "spec.keda.httpEndpoint"),
    (keda(prometheusServer="prometheus:9090"), "spec.keda.prometheusServer"),
    (keda(scalerType="prometheus", threshold="many"), "spec.keda.threshold"),
    (keda(scalerType="prometheus", threshold="0"), "spec.keda.threshold"),
    ({**keda(scalingMetric="query"), **overlay(server={"autoscaling": {"enabled": True}})}, "spec.keda.enabled"),
    (keda(scalingMetric="memory"), "spec.minWorkers"),
    ({"faultTolerantExecution": {"exchangeManager": {"enabled": False}}}, f"{EXCHANGE}.enabled"),
    ({"faultTolerantExecution": {"exchangeManager": {"baseDirectories": ["a,b"]}}}, f"{EXCHANGE}.baseDirectories[0]"),
    (
        {"faultTolerantExecution": {"exchangeManager": {"properties": {"exchange.base-directories": "x"}}}},
        f"{EXCHANGE}.properties[exchange.base-directories]",
    ),
    (
        {"faultTolerantExecution": {"exchangeManager": {"properties": {"exchange.s3.aws-secret-key": "x"}}}},
        f"{EXCHANGE}.properties[exchange.s3.aws-secret-key]",
    ),
    (
        {
            "faultTolerantExecution": {
                "exchangeManager": {"properties": {"a": "x"}, "propertySecretRefs": {"a": {"name": "s", "key": "k"}}}
            }
        },
        f"{EXCHANGE}.properties[a]",
    ),
    (
        {"rolloutPolicy": {"rollingUpdateStrategy": {"maxSurge": 0, "maxUnavailable": "0%"}}},
        "spec.rolloutPolicy.rollingUpdateStrategy",
    ),
    (chart(accessControl={"type": "configmap"}), "spec.helmChartConfig.accessControl.configFile"),
    (
        chart(accessControl={"type": "configmap", "configFile": "a", "rules": {"b": "{}"}}),
        "spec.helmChartConfig.accessControl.configFile",
    ),
    (chart(accessControl={"type": "properties"}), "spec.helmChartConfig.accessControl.properties"),
    (chart(ingress={"enabled": True}), "spec.helmChartConfig.ingress.hosts"),
    (
        chart(worker={"additionalConfigFiles": {"config.properties": ""}}),
        "spec.helmChartConfig.worker.additionalConfigFiles[config.properties]",
    ),
    (
        chart(secretMounts=[{"name": "m", "secretName": "s", "path": "/etc/trino/"}]),
        "spec.helmChartConfig.secretMounts[0].path",
    ),
    (
        chart(initContainers={"worker": [{"name": "i", "image": "x", "securityContext": {"privileged": True}}]}),
        "spec.helmChartConfig.initContainers.worker[0].securityContext.privileged",
    ),
    (chart(initContainers={"worker": [{"name": "i"}]}), "spec.helmChartConfig.initContainers.worker[0].image"),
    (
        chart(initContainers={"worker": [{"name": "i", "image": "x", "ports": [{"hostPort": 80}]}]}),
        "spec.helmChartConfig.initContainers.worker[0].ports[0].hostPort",
    ),
    (
        chart(initContainers={"worker": [{"name": "i", "image": "x", "securityContext": {"procMount": "Unmasked"}}]}),
        "spec.helmChartConfig.initContainers.worker[0].securityContext.procMount",
    ),
    (
        overlay(jmx={"worker": {"exporter": {"securityContext": {"privileged": True}}}}),
        f"{OVERLAY}.jmx.worker.exporter.securityContext.privileged",
    ),
    (overlay(jmx={"worker": {"exporter": {"port": "many"}}}), f"{OVERLAY}.jmx.worker.exporter.port"),
    (
        overlay(securityContext={"windowsOptions": {"hostProcess": True}}),
        f"{OVERLAY}.securityContext.windowsOptions.hostProcess",
    ),
    (
        overlay(securityContext={"seccompProfile": {"type": "Unconfined"}}),
        f"{OVERLAY}.securityContext.seccompProfile.type",
    ),
    (overlay(securityContext={"sysctls": [{"name": "kernel.x", "value": "1"}]}), f"{OVERLAY}.securityContext.sysctls"),
    (
        overlay(containerSecurityContext={"seLinuxOptions": {"type": "spc_t"}}),
        f"{OVERLAY}.containerSecurityContext.seLinuxOptions",
    ),
    (
        overlay(worker={"additionalVolumeMounts": [{"name": "a", "mountPath": "/etc/trino/"}]}),
        f"{OVERLAY}.worker.additionalVolumeMounts[0].mountPath",
    ),
    *(
        (
            chart(secretMounts=[{"name": "m", "secretName": "s", "path": path}]),
            "spec.helmChartConfig.secretMounts[0].path",
        )
        for path in ("/etc//trino", "/etc/./trino", "/etc", "/", "//usr/lib", "/data")
    ),
    (
        chart(
            secretMounts=[
                {"name": "m", "secretName": "s", "path": "/m"},
                {"name": "n", "secretName": "t", "path": "/m/"},
            ]
        ),
        "spec.helmChartConfig.secretMounts[1].path",
    ),
    (
        {
            "customConfigMaps": ["a"],
            **overlay(configMounts=[{"name": "m", "configMap": "b", "path": "/etc/trino/custom/a"}]),
        },
        f"{OVERLAY}.configMounts[0].path",
    ),
    (overlay(worker={"additionalJVMConfig": ["-Dx=1\n-Xmx900G"]}), f"{OVERLAY}.worker.additionalJVMConfig[0]"),
    (overlay(worker={"additionalJVMConfig": ["-Xmx1g -Xms9g"]}), f"{OVERLAY}.worker.additionalJVMConfig[0]"),
    (overlay(worker={"additionalJVMConfig": ["-Xmx0"]}), f"{OVERLAY}.worker.additionalJVMConfig[0]"),
    (overlay(additionalNodeProperties=["node.id=one"]), f"{OVERLAY}.additionalNodeProperties"),
    (overlay(additionalNodeProperties=["node.environment=Prod"]), f"{OVERLAY}.additionalNodeProperties"),
    (overlay(commonLabels={"a b": "x"}), f"{OVERLAY}.commonLabels[a b]"),
    (overlay(worker={"labels": {"a": "no spaces"}}), f"{OVERLAY}.worker.labels.a"),
    (overlay(env=[{"value": "x"}]), f"{OVERLAY}.env[0].name"),
    (overlay(env=[{"name": "A"}, {"name": "A"}]), f"{OVERLAY}.env[1].name"),
    (chart(env=[{"name": "A", "value": "x"}, {"name": "A"}]), "spec.helmChartConfig.env[1].name"),
    (
        chart(env=[{"name": "A", "value": "x", "valueFrom": {"fieldRef": {"fieldPath": "a"}}}]),
        "spec.helmChartConfig.env[0].valueFrom",
    ),
    (
        {"placement": {"tolerations": [{"operator": "Exists", "value": "x"}]}},
        "spec.placement.tolerations[0].value",
    ),
    ({"placement": {"worker": {"tolerations": [{"value": "x"}]}}}, "spec.placement.worker.tolerations[0].key"),
    (
        {"placement": {"tolerations": [{"key": "a", "operator": "Exists", "tolerationSeconds": 5}]}},
        "spec.placement.tolerations[0].tolerationSeconds",
    ),
    ({"keda": {"jmxExporter": {"enabled": True, "port": 8080}}}, "spec.keda.jmxExporter.port"),
    (overlay(jmx={"enabled": True, "serverPort": 9080}), f"{OVERLAY}.jmx.serverPort"),
    (
        overlay(worker={"additionalExposedPorts": {"B C": {"port": 1}}}),
        f"{OVERLAY}.worker.additionalExposedPorts[B C]",
    ),
    (overlay(image={"pullPolicy": "always"}), f"{OVERLAY}.image.pullPolicy"),
    (overlay(image={"tag": "4 80"}), f"{OVERLAY}.image.tag"),
    (
        overlay(server={"autoscaling": {"enabled": True, "minReplicas": 9, "maxReplicas": 3}}),
        f"{OVERLAY}.server.autoscaling.minReplicas",
    ),
    (
        overlay(worker={"podDisruptionBudget": {"minAvailable": 1, "maxUnavailable": 1}}),
        f"{OVERLAY}.worker.podDisruptionBudget",
    ),
    (overlay(auth={"groups": "g:a", "refreshPeriod": "5"}), f"{OVERLAY}.auth.refreshPeriod"),
    (
        {"resources": {"worker": {"requests": {"CPU": 1}, "limits": {"memory": "4Gi"}}}},
        "spec.resources.worker.requests[CPU]",
    ),
    ({"minWorkers": 1, **keda(scalingMetric="memory", threshold="80.5")}, "spec.keda.threshold"),
    (keda(scalerType="prometheus", threshold="1Gi"), "spec.keda.threshold"),
    (keda(prometheusServer="http://"), "spec.keda.prometheusServer"),
    (keda(prometheusServer="http://u:p@prom:9090"), "spec.keda.prometheusServer"),
    (keda(prometheusServer="http://prom:port"), "spec.keda.prometheusServer"),
    (keda(httpEndpoint="http://u:p@prom:9090", scalingMetric="query"), "spec.keda.httpEndpoint"),
    (
        chart(accessControl={"type": "configmap", "configFile": "a", "rules": {"a": "{}"}, "refreshPeriod": "0s"}),
        "spec.helmChartConfig.accessControl.refreshPeriod",
    ),
    (
        chart(
            accessControl={"type": "configmap", "configFile": "a", "rules": {"a": "{}"}},
            coordinator={"additionalConfigFiles": {"access-control.properties": "x"}},
        ),
        "spec.helmChartConfig.coordinator.additionalConfigFiles[access-control.properties]",
    ),
    (
        chart(
            worker={
                "gracefulShutdown": {"enabled": True},
                "additionalConfigFiles": {"access-control.properties": "x"},
            }
        ),
        "spec.helmChartConfig.worker.additionalConfigFiles[access-control.properties]",
    ),
    (
        {"catalogSelector": {"matchExpressions": [{"key": "a", "operator": "In"}]}},
        "spec.catalogSelector.matchExpressions[0].values",
    ),
    (
        {"catalogSelector": {"matchExpressions": [{"key": "a", "operator": "Exists", "values": ["x"]}]}},
        "spec.catalogSelector.matchExpressions[0].values",
    ),
    ({"customConfigMaps": ["a", "a"]}, "spec.customConfigMaps[1]"),
    (overlay(service={"port": "many"}), f"{OVERLAY}.service.port"),
    (overlay(worker={"resources": {}}), f"{OVERLAY}.worker.resources"),
    (overlay(coordinator={"tolerations": []}), f"{OVERLAY}.coordinator.tolerations"),
    (overlay(worker={"deployment": {"strategy": {"type": "Recreate"}}}), f"{OVERLAY}.worker.deployment.strategy"),
    (overlay(hostNetwork=True), f"{OVERLAY}.hostNetwork"),
    (overlay(sidecarContainers={"worker": []}), f"{OVERLAY}.sidecarContainers"),
    (overlay(auth={"passwordAuth": "a:b"}), f"{OVERLAY}.auth.passwordAuth"),
    (overlay(service={"type": "NodePort"}), f"{OVERLAY}.service.type"),
    (overlay(service={"type": "ExternalName"}), f"{OVERLAY}.service.type"),
    (
        overlay(containerSecurityContext={"capabilities": {"add": ["SYS_ADMIN"]}}),
        f"{OVERLAY}.containerSecurityContext.capabilities.add",
    ),
    (
        overlay(jmx={"exporter": {"securityContext": {"allowPrivilegeEscalation": True}}}),
        f"{OVERLAY}.jmx.exporter.securityContext.allowPrivilegeEscalation",
    ),
    (
        overlay(worker={"additionalVolumes": [{"name": "a", "hostPath": {"path": "/"}}]}),
        f"{OVERLAY}.worker.additionalVolumes[0].hostPath",
    ),
    (overlay(env=[{"name": "A", "value": "{{ .Release.Name }}"}]), f"{OVERLAY}.env[0].value"),
    (overlay(additionalConfigProperties=["http-server.http.port=1"]), f"{OVERLAY}.additionalConfigProperties"),
    (overlay(server={"workerExtraConfig": "http-server.http.enabled=false"}), f"{OVERLAY}.server.workerExtraConfig"),
    (
        overlay(additionalConfigProperties=["query.max-total-memory-per-node=1GB"]),
        f"{OVERLAY}.additionalConfigProperties",
    ),
    (
        overlay(additionalConfigProperties=["query.max-memory=4Gi"]),
        f"{OVERLAY}.additionalConfigProperties[query.max-memory]",
    ),
    (
        overlay(worker={"config": {"query": {"maxMemoryPerNode": "lots"}}}),
        f"{OVERLAY}.worker.config.query.maxMemoryPerNode",
    ),
    (overlay(worker={"config": {"query": {"maxMemoryPerNode": "30GB"}}}), f"{OVERLAY}.worker"),
    (overlay(worker={"additionalJVMConfig": ["-Xmx64G"]}), f"{OVERLAY}.worker.additionalJVMConfig"),
    (
        chart(secretMounts=[{"name": "m", "secretName": "s", "path": "/x/../etc/trino"}]),
        "spec.helmChartConfig.secretMounts[0].path",
    ),
    (
        chart(secretMounts=[{"name": "m", "secretName": "s", "path": "/x", "subPath": "/a"}]),
        "spec.helmChartConfig.secretMounts[0].subPath",
    ),
    (overlay(server={"node": {"environment": "Prod-1"}}), f"{OVERLAY}.server.node.environment"),
    (overlay(kafka={"tableDescriptions": {"../x": "{}"}}), f"{OVERLAY}.kafka.tableDescriptions[../x]"),
    (overlay(sessionProperties={"type": "secret"}), f"{OVERLAY}.sessionProperties.type"),
    (
        {"resourceGroupsProfile": "x", **overlay(resourceGroups={"type": "configmap"})},
        f"{OVERLAY}.resourceGroups",
    ),
    (
        {
            **PASSWORD,
            "valuesOverlay": {
                **PASSWORD["valuesOverlay"],
                "server": {"config": {"authenticationType": "PASSWORD,OAUTH2"}},
            },
        },
        f"{OVERLAY}.server.config.authenticationType",
    ),
    ({"valuesOverlay": PASSWORD["valuesOverlay"]}, "spec.trinoControlAuth.passwordSecret"),
    (
        {**PASSWORD, **overlay(server={"config": {"authenticationType": "PASSWORD"}})},
        f"{OVERLAY}.additionalConfigProperties",
    ),
]


@pytest.mark.parametrize(("spec", "path"), WRONG, ids=[f"{index}-{path}" for index, (_, path) in enumerate(WRONG)])
def test_a_wrong_spec_is_refused_at_its_field(spec, path):
    assert paths(make(**spec)) == [path]


FINE = [
    {},
    {"minWorkers": 2, "maxWorkers": 2},
    {"wakeMinWorkers": 400},
    {"resources": {"worker": {"requests": {"memory": "2G", "cpu": "500m"}, "limits": {"memory": "2G", "cpu": 1}}}},
    {"limits": {"session": {"maxTotalMemoryPerNode": "20GB"}}},
    {"limits": {"session": {"maxQueryMemory": "1PB"}}, "resourceGroupsProfile": "x"},
    {"routing": {}},
    {"routing": {"capacityUnits": 3}},
    {"routing": {"header": "team/x"}},
    {"routing": {"header": "finance"}},
    {
        "placement": {
            "existingNodePool": {"provider": "aws", "name": "a"},
            "nodeSelector": {"eks.amazonaws.com/nodegroup": "a"},
        }
    },
    {"keda": {"enabled": True}},
    {"minWorkers": 1, **keda(httpEndpoint="jmx", jmxExporter={"enabled": True})},
    {"keda": {"enabled": False, "scalerType": "http"}, **overlay(server={"autoscaling": {"enabled": True}})},
    {"faultTolerantExecution": {"retryPolicy": "QUERY", "exchangeManager": {"enabled": False}}},
    {"rolloutPolicy": {"rollingUpdateStrategy": {"maxSurge": 0, "maxUnavailable": 1}}},
    {"rolloutPolicy": {"rollingUpdateStrategy": {"maxUnavailable": 0}}},
    chart(ingress={"hosts": []}),
    chart(secretMounts=[{"name": "m", "secretName": "s", "path": "/etc/trino/certs"}]),
    chart(secretMounts=[{"name": "m", "secretName": "s", "path": "/etc/trino/x", "subPath": "x"}]),
    chart(secretMounts=[{"name": "m", "secretName": "s", "path": "/etc/trino-certs"}]),
    chart(
        coordinator={"secretMounts": [{"name": "m", "secretName": "s", "path": "/m"}]},
        worker={"secretMounts": [{"name": "m", "secretName": "t", "path": "/m"}]},
    ),
    chart(coordinator={"additionalConfigFiles": {"access-control.properties": "access-control.name=read-only"}}),
    {"resources": {"worker": {"limits": {"memory": "4Gi", "nvidia.com/gpu": 1, "ephemeral-storage": "1Gi"}}}},
    keda(scalerType="prometheus", threshold="0.5"),
    overlay(jmx={"worker": {"exporter": {"enabled": True, "port": 5557}}}),
    overlay(worker={"additionalJVMConfig": ["-Xmx4G", "-Dx=a b"]}),
    overlay(commonLabels={"team": 7}),
    overlay(securityContext={"runAsUser": 1001, "seccompProfile": {"type": "RuntimeDefault"}}),
    {"placement": {"tolerations": [{"operator": "Exists"}, {"key": "a", "value": "b", "effect": "NoSchedule"}]}},
    overlay(
        jmx={"enabled": True, "exporter": {"enabled": True}}, worker={"additionalExposedPorts": {"a": {"port": 1}}}
    ),
    {**overlay(env=[{"name": "A", "value": "x"}]), **chart(env=[{"name": "A", "value": "y"}])},
    overlay(unknown=1),
    overlay(service={"type": "ClusterIP"}),
    overlay(server={"workers": 3}),
    PASSWORD,
]


@pytest.mark.parametrize("spec", FINE, ids=str)
def test_what_only_looks_wrong_is_allowed(spec):
    assert paths(make(**spec)) == []


@pytest.mark.parametrize(
    ("name", "fits"), [("a", True), ("a" * 42, True), ("a" * 43, False), ("a.b", False), ("1a", True), ("a-", False)]
)
def test_a_name_must_fit_its_services(name, fits):
    assert (paths(make(name)) == []) is fits


def test_all_errors_come_at_once():
    runtime = make(minWorkers=3, maxWorkers=1, customConfigMaps=["a", "a"], **overlay(hostPID=True))
    assert paths(runtime) == ["spec.minWorkers", "spec.customConfigMaps[1]", "spec.valuesOverlay.hostPID"]


def test_every_rule_has_a_spec_that_breaks_it():
    def broken_by(rule, spec):
        return list(rule(rule_subject.subject(make(**spec))[0]))

    for rule in runtime_rules.RULES:
        assert rule is runtime_rules.name_fits or any(broken_by(rule, spec) for spec, _ in WRONG), rule.__name__


def test_no_error_shows_a_secret():
    exchange = {"properties": {"exchange.s3.aws-secret-key": "hunter2"}}
    (error,) = validate_xtrinode(make(faultTolerantExecution={"exchangeManager": exchange}))
    assert "hunter2" not in f"{error} {error!r}"
