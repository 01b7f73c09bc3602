"""What an XTrinodeCatalog may not be: a property has one writer, and no secret is written down."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crds.v1 import addresses, catalog_rules
from crds.v1.addresses import JDBC as JDBC_PREFIXES
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


#: (connector, its field, block) that a real Trino 476 does not start with, or whose driver refuses every query.
MALFORMED = [
    *(
        ("hive", "metastoreURI", {"metastoreURI": uri})
        for uri in (
            "thrift://m",
            "m:9083",
            "http://m:9083",
            "Thrift://m:9083",
            "thrift://:9083",
            "thrift://a_b:9083",
            "thrift://a:9083,thrift://b",
            "thrift://a:9083;thrift://b:9083",
            "thrift://m:99999",
            ",",
        )
    ),
    ("hudi", "metastoreURI", {"metastoreURI": "thrift://m"}),
    ("lakehouse", "metastoreURI", {"catalogType": "hive", "metastoreURI": "thrift://m"}),
    ("deltaLake", "warehouseURI", {"catalogType": "hive", "warehouseURI": "thrift://m"}),
    ("iceberg", "warehouseURI", {"catalogType": "hive", "warehouseURI": "thrift://m"}),
    *(
        ("hive", "s3Endpoint", {"metastoreURI": "thrift://m:9083", "s3Endpoint": endpoint})
        for endpoint in ("s3.example.com", "http://s3 x", "http://", "http://s3:port")
    ),
    *(("prometheus", "uri", {"uri": uri}) for uri in ("p", "p:9090", "http://p p", "http://p:port", "ftp://p")),
    *(("loki", "uri", {"uri": uri}) for uri in ("x y", "http://", "l:3100")),
    *(
        ("mongodb", "connectionURI", {"connectionURI": uri})
        for uri in ("h:27017", "mongodb://", "mongodb://h:99999", "mongodb+srv://h:27017", "MongoDB://h")
    ),
    ("kafka", "kafkaNodes[1]", {"kafkaNodes": ["a:9092", "a:b"]}),
    ("kafka", "kafkaNodes[0]", {"kafkaNodes": ["http://a:9092"]}),
    *(("redis", "nodes", {"nodes": nodes}) for nodes in (",", "r:x", "r:70000", "redis://r:6379")),
    *(("cassandra", "contactPoints", {"contactPoints": points}) for points in (",", "a:9042")),
    *(("pinot", "controllerURLs", {"controllerURLs": urls}) for urls in (",,", "http://c p:9000", "c d:9000")),
    *(("thrift", "host", {"host": host, "port": 9090}) for host in ("http://h", "h:1", "a,b", "::1")),
    *(("elasticsearch", "host", {"host": host}) for host in ("h h", "http://h", "h:9200")),
    ("openSearch", "host", {"host": "https://h:9200"}),
    *(("druid", "brokerURL", {"brokerURL": url}) for url in ("b:8082", "jdbc:x://b")),
    *((field, "connectionURL", {"connectionURL": "jdbc:x://h/db"}) for field in JDBC_PREFIXES),
    ("postgres", "connectionURL", {"connectionURL": "postgresql://h:5432/db"}),
    ("mysql", "connectionURL", {"connectionURL": " jdbc:mysql://h:3306"}),
    ("mysql", "connectionURL", {"connectionURL": "jdbc:mysql://h:3306/db"}),
    ("mariaDB", "connectionURL", {"connectionURL": "jdbc:mariadb://h:3306/db?x=y"}),
    ("ignite", "connectionURL", {"connectionURL": "jdbc:ignite:cfg://x"}),
]
_REST = {"iceberg.rest-catalog.uri": "http://r:8181"}
_JDBC_CATALOG = {
    "iceberg.jdbc-catalog.driver-class": "org.postgresql.Driver",
    "iceberg.jdbc-catalog.connection-url": "jdbc:postgresql://a/b",
    "iceberg.jdbc-catalog.catalog-name": "x",
}
#: (field, block) of Iceberg catalogs without a property that a real Trino 476 needs.
ICEBERG_LACKS = [
    ("warehouseURI", {"catalogType": "hive"}),
    ("warehouseURI", {"catalogType": "hive", "warehouseURI": "s3://b/x"}),
    ("properties[iceberg.rest-catalog.uri]", {"catalogType": "rest"}),
    ("warehouseURI", {"catalogType": "jdbc", "properties": _JDBC_CATALOG}),
    *(
        (
            f"properties[{key}]",
            {
                "catalogType": "jdbc",
                "warehouseURI": "s3://b",
                "properties": {other: value for other, value in _JDBC_CATALOG.items() if other != key},
            },
        )
        for key in _JDBC_CATALOG
    ),
    ("warehouseURI", {"catalogType": "nessie", "properties": {"iceberg.nessie-catalog.uri": "http://n"}}),
    ("properties[iceberg.nessie-catalog.uri]", {"catalogType": "nessie", "warehouseURI": "s3://b"}),
    (
        "propertySecretRefs[iceberg.snowflake-catalog.password]",
        {
            "catalogType": "snowflake",
            "properties": {f"iceberg.snowflake-catalog.{key}": "x" for key in ("account-uri", "user", "database")},
        },
    ),
    ("catalogType", {"catalogType": "s3tables"}),
]

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
    *(({field: block}, f"spec.connector.{field}.{path}") for field, path, block in MALFORMED),
    *(({"iceberg": block}, f"spec.connector.iceberg.{path}") for path, block in ICEBERG_LACKS),
    ({"lakehouse": {"catalogType": "hive"}}, "spec.connector.lakehouse.metastoreURI"),
    ({"deltaLake": {"catalogType": "hive", "warehouseURI": "s3://b/x"}}, "spec.connector.deltaLake.warehouseURI"),
    (
        {"hive": {"metastoreURI": "thrift://m:9083", "properties": {"hive.metastore": "glue"}}},
        "spec.connector.hive.properties[hive.metastore]",
    ),
    ({"kafka": {"kafkaNodes": ["a:1", " "]}}, "spec.connector.kafka.kafkaNodes"),
    (
        {"hive": {"metastoreURI": "thrift://m:9083", "s3AccessKeySecret": REF}},
        "spec.connector.hive.s3SecretKeySecret",
    ),
    ({"iceberg": {"catalogType": "hadoop"}}, "spec.connector.iceberg.catalogType"),
    ({"deltaLake": {"catalogType": "hive"}}, "spec.connector.deltaLake.warehouseURI"),
    (
        {"lakehouse": {"catalogType": "paimon", "metastoreURI": "thrift://m:9083"}},
        "spec.connector.lakehouse.catalogType",
    ),
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
        {"iceberg": {"catalogType": "jdbc", "warehouseURI": "s3://b", "properties": _JDBC_CATALOG}},
        {"iceberg": {"catalogType": "hive", "properties": {"hive.metastore.uri": "thrift://m:9083"}}},
        {"iceberg": {"catalogType": "rest", "propertySecretRefs": {"iceberg.rest-catalog.uri": REF}}},
        {"lakehouse": {"catalogType": "hive", "properties": {"hive.metastore": "glue"}}},
        {"hive": {"metastoreURI": "thrift://a:9083, thrift://[::1]:9083/"}},
        {
            "hive": {
                "metastoreURI": "https://m/api",
                "properties": {"hive.metastore.http.client.authentication.type": "BEARER"},
            }
        },
        {"hudi": {"metastoreURI": "thrift://10.0.0.1:9083"}},
        {"mongodb": {"connectionURI": "mongodb://h:27017,g:27017/?replicaSet=x"}},
        {"mongodb": {"connectionURI": "mongodb+srv://h"}},
        {"redis": {"nodes": "r, q:6379"}},
        {"kafka": {"kafkaNodes": ["a:1,b:2", "[::1]:9092"]}},
        {"cassandra": {"contactPoints": "a, b"}},
        {"pinot": {"controllerURLs": "c:9000,http://d:9000"}},
        {"prometheus": {"uri": "http://p:9090/path?x=y"}},
        {"druid": {"brokerURL": "jdbc:avatica:remote:url=http://b:8082/druid/v2/sql/avatica/"}},
        {"mysql": {"connectionURL": "jdbc:mysql://h:3306/?useSSL=true"}},
        {"mysql": {"connectionURL": "jdbc:mysql:replication://h1,h2"}},
        {"clickHouse": {"connectionURL": "jdbc:ch://h:8123/db"}},
        {"oracle": {"connectionURL": "jdbc:oracle:thin:@//h:1521/svc"}},
        {"thrift": {"host": "[::1]", "port": 9090}},
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
    assert (
        catalog_warnings(make({"iceberg": {"catalogType": "rest", "warehouseURI": "s3://w", "properties": _REST}}))
        == []
    )


def test_a_change_restarts_pods_and_says_so():
    old, new = make({"tpch": {}}), make({"tpch": {"properties": {"a": "b"}}})
    assert "restarts" in catalog_warnings(new, old)[0]
    assert catalog_warnings(old, old) == []


CHECKS = [
    addresses.http_url,
    addresses.metastores,
    addresses.host,
    addresses.hosts,
    addresses.hosts_with_ports,
    addresses.controllers,
    addresses.mongodb,
    addresses.druid,
]


@pytest.mark.parametrize("check", CHECKS)
@given(text=st.text(max_size=60) | st.from_regex(r"[a-z+]{0,8}://[^/]{0,9}(:[0-9a-z]{0,6})?(/.*)?", fullmatch=True))
def test_no_text_makes_an_address_check_fail_or_repeat_it(check, text):
    problem = check(text)
    assert problem is None or "hunter2" not in (check(f"{text}hunter2") or "")
    assert problem is None or len(problem) < 120
