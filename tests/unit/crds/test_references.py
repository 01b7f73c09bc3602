"""Every Secret and ConfigMap that an object can name is found, with the field that names it."""

from crds.v1.meta import parse
from crds.v1.references import references
from crds.v1.xtrinode import XTrinode
from crds.v1.xtrinodecatalog import XTrinodeCatalog
from tests.support.catalogs import CONNECTORS


def of_runtime(**spec):
    found = references(parse(XTrinode, {"spec": {"size": "s", **spec}}))
    return {
        reference.field.removeprefix("spec."): (reference.kind, reference.name, reference.key) for reference in found
    }


def test_typed_fields():
    assert of_runtime(
        resourceGroupsProfile="rg",
        customConfigMaps=["a", "b"],
        trinoControlAuth={"passwordSecret": {"name": "s", "key": "k"}},
        faultTolerantExecution={"exchangeManager": {"propertySecretRefs": {"x.y": {"name": "e", "key": "k"}}}},
        keda={"jmxExporter": {"configMap": "jmx"}},
    ) == {
        "resourceGroupsProfile": ("ConfigMap", "rg", "resource-groups.json"),
        "customConfigMaps[0]": ("ConfigMap", "a", None),
        "customConfigMaps[1]": ("ConfigMap", "b", None),
        "trinoControlAuth.passwordSecret": ("Secret", "s", "k"),
        "faultTolerantExecution.exchangeManager.propertySecretRefs[x.y]": ("Secret", "e", "k"),
        "keda.jmxExporter.configMap": ("ConfigMap", "jmx", None),
    }


SECRET_ENV = {"name": "A", "valueFrom": {"secretKeyRef": {"name": "env", "key": "k"}}}


def test_the_charts_fields():
    mount = {"name": "m", "secretName": "mount", "path": "/m"}
    init = {"name": "i", "image": "x", "env": [SECRET_ENV], "envFrom": [{"secretRef": {"name": "i"}}]}
    found = of_runtime(
        helmChartConfig={
            "secretMounts": [mount],
            "coordinator": {"secretMounts": [mount]},
            "worker": {"secretMounts": [{**mount, "subPath": "one"}]},
            "imagePullSecrets": [{"name": "reg"}],
            "ingress": {"tls": [{"secretName": "tls"}]},
            "env": [SECRET_ENV, {"name": "B", "valueFrom": {"configMapKeyRef": {"name": "cm", "key": "k"}}}],
            "envFrom": [{"secretRef": {"name": "from"}}, {"configMapRef": {"name": "cmfrom"}}],
            "initContainers": {"worker": [init]},
        }
    )
    assert found == {
        "helmChartConfig.secretMounts[0].secretName": ("Secret", "mount", None),
        "helmChartConfig.coordinator.secretMounts[0].secretName": ("Secret", "mount", None),
        "helmChartConfig.worker.secretMounts[0].secretName": ("Secret", "mount", "one"),
        "helmChartConfig.imagePullSecrets[0]": ("Secret", "reg", None),
        "helmChartConfig.ingress.tls[0].secretName": ("Secret", "tls", None),
        "helmChartConfig.env[0].valueFrom.secretKeyRef": ("Secret", "env", "k"),
        "helmChartConfig.env[1].valueFrom.configMapKeyRef": ("ConfigMap", "cm", "k"),
        "helmChartConfig.envFrom[0].secretRef": ("Secret", "from", None),
        "helmChartConfig.envFrom[1].configMapRef": ("ConfigMap", "cmfrom", None),
        "helmChartConfig.initContainers.worker[0].env[0].valueFrom.secretKeyRef": ("Secret", "env", "k"),
        "helmChartConfig.initContainers.worker[0].envFrom[0].secretRef": ("Secret", "i", None),
    }


def test_the_overlay():
    volumes = [
        {"name": "a", "secret": {"secretName": "vs"}},
        {"name": "b", "configMap": {"name": "vc"}},
        {"name": "c", "projected": {"sources": [{"secret": {"name": "ps"}}, {"configMap": {"name": "pc"}}]}},
        {"name": "d", "csi": {"driver": "x", "nodePublishSecretRef": {"name": "csi"}}},
        {"name": "e", "azureFile": {"secretName": "azure", "shareName": "x"}},
        {"name": "f", "flexVolume": {"driver": "x", "secretRef": {"name": "flex"}}},
        {"name": "g", "cephfs": {"monitors": ["m"], "secretRef": {"name": "ceph"}}},
        {"name": "h", "some": {"later": [{"kind": {"authSecretRef": {"name": "later"}}}]}},
    ]
    found = of_runtime(
        valuesOverlay={
            "auth": {"passwordAuthSecret": "pw", "groupsAuthSecret": "gr"},
            "env": [SECRET_ENV],
            "secretMounts": [{"name": "m", "secretName": "sm", "path": "/m"}],
            "worker": {"configMounts": [{"name": "m", "configMap": "cm", "path": "/m"}], "additionalVolumes": volumes},
        }
    )
    assert {(kind, name) for kind, name, _ in found.values()} == {
        ("Secret", "pw"),
        ("Secret", "gr"),
        ("Secret", "env"),
        ("Secret", "sm"),
        ("ConfigMap", "cm"),
        ("Secret", "vs"),
        ("ConfigMap", "vc"),
        ("Secret", "ps"),
        ("ConfigMap", "pc"),
        ("Secret", "csi"),
        ("Secret", "azure"),
        ("Secret", "flex"),
        ("Secret", "ceph"),
        ("Secret", "later"),
    }


def test_an_overlay_that_cannot_be_read_names_nothing():
    assert of_runtime(valuesOverlay={"auth": "x"}) == {}


def test_catalogs():
    for field, (block, _, _, secret) in CONNECTORS.items():
        full = {**block, "propertySecretRefs": {"some.thing": {"name": "s", "key": "k", "optional": True}}}
        found = references(parse(XTrinodeCatalog, {"spec": {"connector": {field: full}}}))
        assert len(found) == len(secret) + 1
        assert all(reference.field.startswith(f"spec.connector.{field}.") for reference in found)
        assert [reference.optional for reference in found if reference.name == "s"] == [True]
