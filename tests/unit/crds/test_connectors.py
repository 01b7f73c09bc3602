"""Every connector becomes the file that Trino documents, and its secrets never get into it.

Plan: each connector's file; precedence; secrets as variables; names in SQL; selection by labels; two catalogs of one
name.
"""

import pytest

from crds.v1 import properties
from crds.v1.connectors import (
    CONNECTORS as RENDERERS,
)
from crds.v1.connectors import (
    builtin_catalogs,
    render_catalog,
    selects,
    snowflake_url,
)
from crds.v1.fields import LabelSelector
from crds.v1.meta import parse
from crds.v1.validation import validate_catalog
from crds.v1.xtrinodecatalog import ConnectorChoice, XTrinodeCatalog
from tests.support.catalogs import CONNECTORS


def make(connector, name="cat", **spec):
    metadata = {"name": name, "namespace": "team"}
    return parse(XTrinodeCatalog, {"metadata": metadata, "spec": {"connector": connector, **spec}})


def test_every_connector_is_covered():
    fields = {info.alias for info in ConnectorChoice.model_fields.values()}
    assert fields == set(CONNECTORS) == {*RENDERERS, "custom"}


@pytest.mark.parametrize("field", CONNECTORS)
def test_a_connector_becomes_its_file(field):
    block, name, plain, secret = CONNECTORS[field]
    catalog = make({field: block})
    assert validate_catalog(catalog) == []
    rendered = render_catalog(catalog)
    lines = properties.parse(rendered.text())
    variables = {key: value for key, value in lines.items() if value.startswith("${ENV:")}
    assert set(variables) == secret
    assert {key: value for key, value in lines.items() if key not in variables} == {"connector.name": name, **plain}
    assert {value[6:-1] for value in variables.values()} == {env.env_name for env in rendered.env}
    assert rendered.text().splitlines()[0] == f"connector.name={name}"


@pytest.mark.parametrize(
    ("properties_", "made"),
    [
        ({}, {}),
        ({"s3.region": "eu-west-1"}, {"fs.native-s3.enabled": "true"}),
        ({"s3.endpoint": "http://minio:9000"}, {"fs.native-s3.enabled": "true", "s3.region": "us-east-1"}),
        ({"s3.endpoint": "http://minio:9000", "s3.region": "x"}, {"fs.native-s3.enabled": "true"}),
        ({"s3.region": "x", "fs.native-s3.enabled": "false"}, {}),
    ],
)
def test_s3_properties_turn_trinos_own_client_on(properties_, made):
    block = {"metastoreURI": "thrift://m:9083", "properties": properties_}
    assert validate_catalog(make({"hudi": block})) == []
    rendered = dict(render_catalog(make({"hudi": block})).properties)
    assert rendered == {"connector.name": "hudi", "hive.metastore.uri": "thrift://m:9083", **properties_, **made}


def test_a_secret_becomes_a_variable_of_the_container():
    refs = {"kafka.config": {"name": "s", "key": "k", "optional": True}}
    (env,) = render_catalog(make({"tpch": {"propertySecretRefs": refs}})).env
    assert env.to_env() == {
        "name": env.env_name,
        "valueFrom": {"secretKeyRef": {"name": "s", "key": "k", "optional": True}},
    }


def test_variables_of_different_catalogs_never_meet():
    refs = {"propertySecretRefs": {"b-c.d": {"name": "s", "key": "k"}, "c.d": {"name": "s", "key": "k"}}}
    names = [env.env_name for name in ("a", "a-b") for env in render_catalog(make({"tpch": refs}, name)).env]
    assert len(set(names)) == 4
    assert names == [env.env_name for name in ("a", "a-b") for env in render_catalog(make({"tpch": refs}, name)).env]


def test_values_are_escaped():
    text = render_catalog(make({"tpch": {"properties": {"a": " c:\\x"}}})).text()
    assert "a=\\ c:\\\\x" in text.splitlines()


@pytest.mark.parametrize(
    ("name", "given", "expected"),
    [("sales", None, "sales"), ("trino-catalog-sales", None, "sales"), ("sales", "sales_db", "sales_db")],
)
def test_the_name_in_sql(name, given, expected):
    spec = {"catalogName": given} if given else {}
    rendered = render_catalog(make({"tpch": {}}, name, **spec))
    assert (rendered.name, rendered.file) == (expected, f"{expected}.properties")


@pytest.mark.parametrize(
    ("block", "key", "value"),
    [
        ({"catalogType": "hive", "warehouseURI": "thrift://m"}, "hive.metastore.uri", "thrift://m"),
        ({"catalogType": "glue", "warehouseURI": "s3://w"}, "hive.metastore.glue.default-warehouse-dir", "s3://w"),
        ({"catalogType": "jdbc", "warehouseURI": "s3://w"}, "iceberg.jdbc-catalog.default-warehouse-dir", "s3://w"),
        ({"catalogType": "nessie", "warehouseURI": "s3://w"}, "iceberg.nessie-catalog.default-warehouse-dir", "s3://w"),
        ({"catalogType": "hive"}, "iceberg.catalog.type", "hive_metastore"),
    ],
)
def test_an_iceberg_warehouse_goes_where_its_catalog_type_looks(block, key, value):
    assert render_catalog(make({"iceberg": block})).properties[key] == value


@pytest.mark.parametrize(
    ("account", "url", "name"),
    [
        ("acme", "jdbc:snowflake://acme.snowflakecomputing.com", "acme"),
        ("acme.eu.snowflakecomputing.com", "jdbc:snowflake://acme.eu.snowflakecomputing.com", "acme.eu"),
        ("https://acme.snowflakecomputing.com/", "jdbc:snowflake://acme.snowflakecomputing.com", "acme"),
        (
            "jdbc:snowflake://acme.snowflakecomputing.com/?x=1",
            "jdbc:snowflake://acme.snowflakecomputing.com/?x=1",
            "acme",
        ),
    ],
)
def test_a_snowflake_account_is_understood(account, url, name):
    assert snowflake_url(account) == (url, name)


def test_a_catalog_needs_exactly_one_connector():
    for connector in ({}, {"tpch": {}, "tpcds": {}}):
        with pytest.raises(ValueError, match="exactly one"):
            render_catalog(make(connector))


@pytest.mark.parametrize(
    ("selector", "selected"),
    [
        (None, False),
        ({}, True),
        ({"matchLabels": {"team": "a"}}, True),
        ({"matchLabels": {"team": "b"}}, False),
        ({"matchLabels": {"team": "a", "tier": "gold"}}, True),
        ({"matchExpressions": [{"key": "team", "operator": "In", "values": ["a", "b"]}]}, True),
        ({"matchExpressions": [{"key": "team", "operator": "NotIn", "values": ["a"]}]}, False),
        ({"matchExpressions": [{"key": "other", "operator": "NotIn", "values": ["a"]}]}, True),
        ({"matchExpressions": [{"key": "tier", "operator": "Exists"}]}, True),
        ({"matchExpressions": [{"key": "tier", "operator": "DoesNotExist"}]}, False),
    ],
)
def test_catalogs_are_selected_by_both_kinds_of_labels(selector, selected):
    catalog = parse(
        XTrinodeCatalog,
        {
            "metadata": {"name": "c", "labels": {"team": "a", "tier": "tin"}},
            "spec": {"connector": {"tpch": {}}, "labels": {"tier": "gold"}},
        },
    )
    wanted = None if selector is None else parse(LabelSelector, selector)
    assert selects(wanted, catalog) is selected


def test_the_built_in_catalogs_are_trinos_examples():
    assert [(catalog.name, catalog.connector) for catalog in builtin_catalogs()] == [
        ("tpcds", "tpcds"),
        ("tpch", "tpch"),
    ]
