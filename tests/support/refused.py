"""Objects that the CRDs refuse, each as (kind, object): for a schema on its own and for whole API servers."""


def runtime(spec=None, name="run"):
    return "XTrinode", {"metadata": {"name": name, "namespace": "t"}, "spec": {"size": "s", **(spec or {})}}


def catalog(connector):
    return "XTrinodeCatalog", {"metadata": {"name": "c", "namespace": "t"}, "spec": {"connector": connector}}


CHART = "helmChartConfig"
#: message of a CEL rule -> an object that breaks it (and what it was before, for rules about changes)
BROKEN = {
    "metadata.name may have": [runtime(name="a" * 43)],
    "metadata.name must hold no dot": [runtime(name="a.b")],
    "minWorkers must not": [runtime({"minWorkers": 3, "maxWorkers": 2})],
    "maxWorkers must be at least 1": [runtime({"maxWorkers": 0, "keda": {"enabled": True, "scalingMetric": "query"}})],
    "wakeMinWorkers must not": [runtime({"wakeMinWorkers": 3, "maxWorkers": 2})],
    "limits.hardConcurrencyPerGroup and": [runtime({"limits": {"maxQueuedPerGroup": 3}, "resourceGroupsProfile": "x"})],
    "set either hostname": [runtime({"routing": {"hostname": "a", "hostnameDomain": "b"}})],
    "retryPolicy TASK needs": [runtime({"faultTolerantExecution": {"exchangeManager": {"enabled": False}}})],
    "type configmap needs": [runtime({CHART: {"accessControl": {"type": "configmap", "configFile": "x"}}})],
    "type properties needs": [runtime({CHART: {"accessControl": {"type": "properties"}}})],
    "an enabled ingress": [runtime({CHART: {"ingress": {"enabled": True}}})],
    "In and NotIn need": [runtime({"catalogSelector": {"matchExpressions": [{"key": "a", "operator": "In"}]}})],
    "the connector cannot be changed": [
        catalog({"tpch": {}}),
        catalog({"tpcds": {}}),
    ],
    "access key and secret key": [
        catalog({"hive": {"metastoreURI": "thrift://m:9083", "s3AccessKeySecret": {"name": "s", "key": "k"}}})
    ],
}

#: Values that their field cannot have.
WRONG_VALUES = [
    runtime({"size": "S"}),
    runtime({"minWorkers": -1}),
    runtime({"maxWorkers": 501}),
    runtime({"autoSuspendAfter": "5 minutes"}),
    runtime({"autoSuspendAfter": "-5m"}),
    runtime({"drainPolicy": "Kill"}),
    runtime({"customConfigMaps": ["A"]}),
    runtime({"customConfigMaps": ["a"] * 33}),
    runtime({"limits": {"session": {"maxQueryMemory": "4Gi"}}}),
    runtime({"resources": {"worker": {"limits": {"cpu": "two"}}}}),
    runtime({"rolloutPolicy": {"rollingUpdateStrategy": {"maxSurge": "101%"}}}),
    runtime({"keda": {"prometheusServer": "a\nb"}}),
    runtime({"placement": {"existingNodePool": {"provider": "ibm", "name": "a"}}}),
    catalog({}),
    catalog({"tpch": {}, "tpcds": {}}),
    catalog({"postgres": {}}),
    catalog({"postgres": {"connectionURL": ""}}),
    catalog({"postgres": {"connectionURL": "jdbc:${ENV:X}"}}),
    catalog({"tpch": {"properties": {"a": "x\ny"}}}),
    catalog({"tpch": {"properties": {"a": "${ENV:X}"}}}),
    catalog({"tpch": {"propertySecretRefs": {"a": {"name": "s"}}}}),
    catalog({"thrift": {"host": "h", "port": 0}}),
    catalog({"faker": {"nullProbability": 1.5}}),
    catalog({"kafka": {"kafkaNodes": []}}),
]
