"""What an XTrinodeCatalog may not be: a property has one writer, and no secret is written down."""

import pytest

from crds.v1 import catalog_rules
from crds.v1.meta import parse
from crds.v1.secrets_policy import plaintext_secret, secret_in_url
from crds.v1.validation import catalog_warnings, validate_catalog
from crds.v1.xtrinodecatalog import XTrinodeCatalog

REF = {"name": "s", "key": "k"}
JDBC = {"connectionURL": "jdbc:postgresql://h/db"}


def make(connector, name="cat", **spec):
    return parse(
        XTrinodeCatalog, {"metadata": {"name": name, "namespace": "t"}, "spec": {"connector": connector, **spec}}
    )


def postgres(**block):
    return {"postgres": {**JDBC, **block}}


WRONG = [
    ({}, "spec.connector"),
    ({"tpch": {}, "tpcds": {}}, "spec.connector"),
    (postgres(properties={"connector.name": "mysql"}), "spec.connector.postgres.properties[connector.name]"),
    (postgres(properties={"connection-url": "x"}), "spec.connector.postgres.properties[connection-url]"),
    (
        postgres(connectionUser="u", propertySecretRefs={"connection-user": REF}),
        "spec.connector.postgres.propertySecretRefs[connection-user]",
    ),
    (
        postgres(connectionPasswordSecret=REF, propertySecretRefs={"connection-password": REF}),
        "spec.connector.postgres.propertySecretRefs[connection-password]",
    ),
    (
        postgres(properties={"a.b": "x"}, propertySecretRefs={"a.b": REF}),
        "spec.connector.postgres.properties[a.b]",
    ),
    (postgres(properties={"connection-password": "x"}), "spec.connector.postgres.properties[connection-password]"),
    (postgres(properties={"s3.aws-secret-key": "x"}), "spec.connector.postgres.properties[s3.aws-secret-key]"),
    (postgres(properties={"x.url": "http://h/?password=x"}), "spec.connector.postgres.properties[x.url]"),
    ({"postgres": {"connectionURL": "jdbc:postgresql://u:p@h/db"}}, "spec.connector.postgres.connectionURL"),
    ({"mongodb": {"connectionURI": "mongodb://u:p@h/"}}, "spec.connector.mongodb.connectionURI"),
    ({"mongodb": {}}, "spec.connector.mongodb.connectionURI"),
    ({"postgres": {"connectionURL": "  "}}, "spec.connector.postgres.connectionURL"),
    ({"kafka": {"kafkaNodes": ["a:1", " "]}}, "spec.connector.kafka.kafkaNodes"),
    (
        {"hive": {"metastoreURI": "thrift://m", "s3AccessKeySecret": REF}},
        "spec.connector.hive.s3SecretKeySecret",
    ),
    ({"iceberg": {"catalogType": "hadoop"}}, "spec.connector.iceberg.catalogType"),
    ({"deltaLake": {"catalogType": "hive"}}, "spec.connector.deltaLake.warehouseURI"),
    ({"lakehouse": {"catalogType": "paimon"}}, "spec.connector.lakehouse.catalogType"),
    (
        {
            "bigQuery": {
                "projectID": "p",
                "credentialsFile": "/k",
                "propertySecretRefs": {"bigquery.credentials-key": REF},
            }
        },
        "spec.connector.bigQuery.credentialsFile",
    ),
]


@pytest.mark.parametrize(("connector", "path"), WRONG, ids=[f"{index}-{path}" for index, (_, path) in enumerate(WRONG)])
def test_a_wrong_catalog_is_refused_at_its_field(connector, path):
    assert [error.path for error in validate_catalog(make(connector))] == [path]


@pytest.mark.parametrize(
    "connector",
    [
        postgres(propertySecretRefs={"connection-password": REF}),
        postgres(properties={"kerberos.keytab-path": "/k", "x.token-cache-ttl": "1h", "auth.keytab": "/etc/k"}),
        {"mongodb": {"propertySecretRefs": {"mongodb.connection-url": REF}}},
        {"deltaLake": {"catalogType": "glue"}},
        {"iceberg": {"catalogType": "Glue"}},
        {"custom": {"connectorName": "x", "properties": {"connection-url": "jdbc:x"}}},
    ],
    ids=str,
)
def test_what_only_looks_wrong_is_allowed(connector):
    assert validate_catalog(make(connector)) == []


@pytest.mark.parametrize(
    ("name", "spec", "path"),
    [
        ("a.b", {}, "metadata.name"),
        ("1a", {}, "metadata.name"),
        ("a" * 64, {}, "metadata.name"),
        ("system", {}, "metadata.name"),
        ("x", {"catalogName": "system"}, "spec.catalogName"),
        ("1a", {"catalogName": "one_a"}, None),
        ("sales-eu", {}, None),
    ],
)
def test_a_name_must_be_usable_in_sql(name, spec, path):
    assert [error.path for error in validate_catalog(make({"tpch": {}}, name, **spec))] == ([path] if path else [])


def test_every_rule_has_a_catalog_that_breaks_it():
    subjects = [catalog_rules.one_connector(make(connector))[0] for connector, _ in WRONG]
    for rule in catalog_rules.RULES:
        assert rule is catalog_rules.name_fits or any(list(rule(at)) for at in subjects if at), rule.__name__


@pytest.mark.parametrize(
    ("old", "new", "refused"),
    [
        ({"tpch": {}}, {"tpcds": {}}, True),
        ({"custom": {"connectorName": "a"}}, {"custom": {"connectorName": "b"}}, True),
        ({"custom": {"connectorName": "tpch"}}, {"tpch": {}}, False),
        ({"tpch": {}}, {"tpch": {"properties": {"a": "b"}}}, False),
    ],
)
def test_a_catalog_stays_on_its_connector(old, new, refused):
    errors = validate_catalog(make(new), make(old))
    assert [error.path for error in errors] == (["spec.connector"] if refused else [])


def test_what_was_admitted_may_stay():
    old = make(postgres(properties={"connection-password": "x"}))
    new = make(postgres(properties={"connection-password": "x", "fetch-size": "5"}))
    assert validate_catalog(new, old) == []
    assert validate_catalog(new)


@pytest.mark.parametrize(
    ("key", "value", "secret"),
    [
        ("connection-password", "x", True),
        ("hive.s3.aws_access_key", "x", True),
        ("s3.aws-access-key", "x", True),
        ("my.API_KEY", "x", True),
        ("azure.oauth.secret", "x", True),
        ("oauth.token", "x", True),
        ("x.keytab", "base64", True),
        ("x.keytab", "/etc/x.keytab", False),
        ("x.keytab-path", "relative", False),
        ("token-cache-ttl", "1h", False),
        ("oauth2.token.uri", "http://x", False),
        ("plain", "-----BEGIN RSA PRIVATE KEY-----", True),
        ("plain", '{"private_key": "x"}', True),
        ("fetch-size", "100", False),
    ],
)
def test_secrets_are_told_by_name_and_by_value(key, value, secret):
    assert plaintext_secret(key, value) is secret


@pytest.mark.parametrize(
    ("url", "secret"),
    [
        ("jdbc:x://u:p@h/db", True),
        ("jdbc:x://h/db?user=u&password=p", True),
        ("jdbc:sqlserver://h;password=p", True),
        ("jdbc:x://h:5432/db?ssl=true", False),
        ("http://[::1]:80/", False),
    ],
)
def test_a_url_with_a_password_is_noticed(url, secret):
    assert secret_in_url(url) is secret


def test_a_warehouse_without_use_is_named():
    odd = make({"iceberg": {"catalogType": "hive", "warehouseURI": "s3://w"}})
    assert "no effect" in catalog_warnings(odd)[0]
    assert catalog_warnings(make({"iceberg": {"catalogType": "rest", "warehouseURI": "s3://w"}})) == []


def test_a_change_restarts_pods_and_says_so():
    old, new = make({"tpch": {}}), make({"tpch": {"properties": {"a": "b"}}})
    assert "restarts" in catalog_warnings(new, old)[0]
    assert catalog_warnings(old, old) == []
