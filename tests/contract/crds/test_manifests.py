"""The committed CRDs are what the types say, in the API server's dialect, and judge as validation does.

Plan: drift; the structural rules and bounds that a real API server insists on; for every CEL rule an object that breaks
it, refused by schema and validation alike; values that the types refuse are refused by the schema; the examples pass.
"""

import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from crds import openapi
from crds.openapi import KINDS, MANIFESTS, RULES, definition, manifests, stale
from crds.v1.defaulting import WRITTEN_DEFAULTS
from crds.v1.meta import InvalidObject, parse
from crds.v1.validation import validate_catalog, validate_xtrinode
from crds.v1.xtrinode import XTrinode
from crds.v1.xtrinodecatalog import XTrinodeCatalog
from sandbox.kube.cel import Rules
from sandbox.kube.cel_check import check_rules
from sandbox.kube.structural import StructuralSchema
from tests.support.catalogs import CONNECTORS
from tests.support.refused import BROKEN, WRONG_VALUES, catalog, runtime

ROOT = Path(__file__).parents[3]
SCHEMAS = {kind.name: openapi.schema(kind.model) for kind in KINDS}


def test_the_committed_files_are_current():
    assert stale() == []


def test_the_check_names_a_stale_file(tmp_path):
    for name, content in manifests().items():
        (tmp_path / name).write_text(content)
    assert stale(tmp_path) == []
    changed = next(iter(manifests()))
    (tmp_path / changed).write_text("other: 1\n")
    (tmp_path / "stray.yaml").write_text("")
    assert stale(tmp_path) == [changed, "stray.yaml"]


def test_the_command_line():
    run = [sys.executable, "-m", "crds.openapi"]
    assert subprocess.run([*run, "--check"], cwd=ROOT, check=False).returncode == 0
    wrong = subprocess.run([*run, "--what"], cwd=ROOT, check=False, capture_output=True, text=True)
    assert wrong.returncode == 2
    assert "usage" in wrong.stderr


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
def test_the_yaml_means_the_definition(kind):
    assert yaml.safe_load((MANIFESTS / kind.file).read_text()) == definition(kind)


def nodes(schema, path=""):
    yield path, schema
    for key, child in schema.get("properties", {}).items():
        yield from nodes(child, f"{path}.{key}")
    for key in ("items", "additionalProperties"):
        if key in schema:
            yield from nodes(schema[key], f"{path}[{key}]")


def complaints(node):
    kind = node.get("type")
    is_quantity = node.get("x-kubernetes-int-or-string") is True
    open_object = kind == "object" and not node.get("x-kubernetes-preserve-unknown-fields")
    if kind not in {"object", "array", "string", "integer", "number", "boolean"} and not is_quantity:
        yield "has no type"
    if set(node) & {"$ref", "allOf", "oneOf", "not", "title", "const", "nullable"} or ("anyOf" in node) != is_quantity:
        yield "holds what a structural schema may not"
    if "properties" in node and "additionalProperties" in node:
        yield "is an object and a map"
    if open_object and not ("properties" in node or "maxProperties" in node):
        yield "is a map without end"
    if kind == "array" and "maxItems" not in node:
        yield "is a list without end"
    if kind == "string" and not ("maxLength" in node or "enum" in node or node.get("format") == "date-time"):
        yield "is a text without end"


@pytest.mark.parametrize(("kind", "schema"), SCHEMAS.items())
def test_every_node_is_structural_and_bounded(kind, schema):
    ours = [(path, node) for path, node in nodes(schema) if path.startswith((".spec", ".status"))]
    assert len(ours) > 100
    assert [f"{path} {text}" for path, node in ours for text in complaints(node)] == []


@pytest.mark.parametrize(("kind", "schema"), SCHEMAS.items())
def test_every_field_of_a_spec_is_explained(kind, schema):
    silent = [
        path
        for path, node in nodes(schema["properties"]["spec"])
        if "description" not in node and not path.endswith(("[items]", "[additionalProperties]"))
    ]
    assert silent == []


def test_defaults_are_the_lifecycles_only():
    defaults = {
        path: node["default"] for schema in SCHEMAS.values() for path, node in nodes(schema) if "default" in node
    }
    assert sorted(defaults) == sorted(f".spec.{name}" for name in WRITTEN_DEFAULTS)
    assert defaults[".spec.autoSuspendAfter"] == "5m"


def test_what_kubectl_shows():
    runtime, catalog = (definition(kind)["spec"] for kind in KINDS)
    assert runtime["names"]["shortNames"] == ["tn"]
    assert catalog["names"]["shortNames"] == ["tnc"]
    columns = [
        column["name"] for column in runtime["versions"][0]["additionalPrinterColumns"] if "priority" not in column
    ]
    assert columns == ["Size", "Phase", "Workers", "Ready", "Age"]
    assert runtime["versions"][0]["subresources"]["scale"]["specReplicasPath"] == ".spec.maxWorkers"
    for spec in (runtime, catalog):
        status = spec["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["status"]["properties"]
        assert status["conditions"]["x-kubernetes-list-map-keys"] == ["type"]
        assert "status" in spec["versions"][0]["subresources"]


def refused_by_schema(kind, obj, old=None):
    schema = SCHEMAS[kind]
    causes = StructuralSchema(schema).validate(obj, old)
    return [str(cause) for cause in causes or Rules(schema).validate(obj, old)]


def refused_by_validation(kind, obj, old=None):
    cls, judge = {
        "XTrinode": (XTrinode, validate_xtrinode),
        "XTrinodeCatalog": (XTrinodeCatalog, validate_catalog),
    }[kind]
    try:
        return [str(error) for error in judge(parse(cls, obj), parse(cls, old) if old else None)]
    except InvalidObject as error:
        return [str(item) for item in error.errors]


@pytest.mark.parametrize("message", BROKEN)
def test_a_rule_of_the_schema_has_its_twin_in_validation(message):
    (kind, obj), *before = BROKEN[message]
    old = before[0][1] if before else None
    assert any(message in text for text in refused_by_schema(kind, obj, old)), refused_by_schema(kind, obj, old)
    assert refused_by_validation(kind, obj, old)


def test_every_rule_is_broken_by_something():
    messages = {rule.message for rules in RULES.values() for rule in rules}
    assert all(any(message.startswith(start) for start in BROKEN) for message in messages)


def test_a_custom_connector_keeps_its_name():
    before, after = (catalog({"custom": {"connectorName": name}})[1] for name in ("a", "b"))
    assert refused_by_schema("XTrinodeCatalog", after, before)
    assert not refused_by_schema("XTrinodeCatalog", after, after)


@pytest.mark.parametrize("kind", SCHEMAS)
def test_the_rules_compile(kind):
    assert check_rules(SCHEMAS[kind]) == []


@pytest.mark.parametrize(("kind", "obj"), WRONG_VALUES, ids=str)
def test_a_wrong_value_is_refused_by_both(kind, obj):
    assert refused_by_schema(kind, obj)
    assert refused_by_validation(kind, obj)


@pytest.mark.parametrize(
    ("kind", "obj"),
    [
        runtime({"autoSuspendAfter": "0"}),
        runtime({"autoSuspendAfter": "1h30m"}),
        runtime({"resources": {"worker": {"limits": {"cpu": 2, "memory": "1.5Gi"}}}}),
        runtime({"rolloutPolicy": {"rollingUpdateStrategy": {"maxSurge": "50%", "maxUnavailable": 1}}}),
        runtime({"limits": {"session": {"maxQueryMemory": "1.5 TB"}}}),
        runtime({"valuesOverlay": {"anything": [1, {"a": None}]}}),
        *(catalog({field: block}) for field, (block, *_) in CONNECTORS.items()),
    ],
    ids=str,
)
def test_a_right_value_is_accepted_by_both(kind, obj):
    assert refused_by_schema(kind, obj) == []
    assert refused_by_validation(kind, obj) == []


def test_the_examples_pass_the_schema():
    for path in sorted((ROOT / "examples").rglob("*.yaml")):
        for document in yaml.safe_load_all(path.read_text()):
            if document["kind"] in SCHEMAS:
                schema = StructuralSchema(SCHEMAS[document["kind"]])
                assert schema.prune(document) == []
                assert refused_by_schema(document["kind"], document) == []
