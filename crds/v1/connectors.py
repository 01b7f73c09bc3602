"""Catalogs as Trino reads them: from a typed connector block to the properties of a catalog file.

`render_catalog` gives the properties and, for every secret, the environment variable that carries it:
a secret's value never gets into a ConfigMap. `generated` says which properties a block makes itself;
those are not free in `properties` and `propertySecretRefs`, because two writers of one key would mean
that one of them is ignored.

Which catalogs a runtime gets is decided by `selects`; which of them may live together by `assemble`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from crds.v1 import names, properties
from crds.v1 import xtrinodecatalog as kinds
from crds.v1.fields import LabelSelector, SecretKeySelector
from crds.v1.trino_files import BUILTIN_CATALOGS
from crds.v1.xtrinodecatalog import Connector, XTrinodeCatalog


@dataclass(frozen=True, slots=True)
class SecretEnv:
    """One environment variable of the Trino container that is read from a Secret."""

    env_name: str
    secret: str
    key: str
    optional: bool = False

    def to_env(self) -> dict[str, Any]:
        """As core/v1 EnvVar."""
        source: dict[str, Any] = {"name": self.secret, "key": self.key}
        if self.optional:
            source["optional"] = True
        return {"name": self.env_name, "valueFrom": {"secretKeyRef": source}}


@dataclass(frozen=True, slots=True)
class CatalogProperties:
    """One catalog, ready to be written."""

    name: str
    """Its name in SQL."""
    connector: str
    """connector.name."""
    properties: Mapping[str, str]
    """All lines of the file, connector.name among them. Secrets stand as `${ENV:...}`."""
    env: tuple[SecretEnv, ...] = ()

    @property
    def file(self) -> str:
        """Name of the file in /etc/trino/catalog."""
        return names.catalog_file(self.name)

    def text(self) -> str:
        """The file: connector.name first, the rest sorted, escaped."""
        rest = {key: value for key, value in self.properties.items() if key != CONNECTOR_NAME}
        return f"{properties.render_line(CONNECTOR_NAME, self.connector)}\n{properties.render(rest)}"


CONNECTOR_NAME = "connector.name"
_CASSANDRA_POLICY = "cassandra.load-policy."
_NATIVE_S3 = "fs.native-s3.enabled"
PASSWORD = "connection-password"  # noqa: S105  # a property's name

Secrets = dict[str, SecretKeySelector]


@dataclass(slots=True)
class _Made:
    """What the typed fields of a block come to."""

    plain: dict[str, str]
    secret: Secrets

    def put(self, key: str, value: object) -> None:
        if value is not None and value != "":
            self.plain[key] = str(value)

    def put_secret(self, key: str, ref: SecretKeySelector | None) -> None:
        if ref is not None:
            self.secret[key] = ref


def _jdbc(block: kinds.Jdbc, made: _Made) -> None:
    made.put("connection-url", block.connection_url)
    made.put("connection-user", block.connection_user)
    made.put_secret(PASSWORD, block.connection_password_secret)


def _big_query(block: kinds.BigQuery, made: _Made) -> None:
    made.put("bigquery.project-id", block.project_id)
    made.put("bigquery.parent-project-id", block.parent_project_id)
    made.put("bigquery.credentials-file", block.credentials_file)


def _cassandra(block: kinds.Cassandra, made: _Made) -> None:
    made.put("cassandra.contact-points", block.contact_points)
    made.put("cassandra.native-protocol-port", block.port)
    if not any(key.startswith(_CASSANDRA_POLICY) for key in (*block.properties, *block.property_secret_refs)):
        # The driver's default is to know its data centre, and a server that was not told which refuses to start.
        made.put(f"{_CASSANDRA_POLICY}use-dc-aware", "false")


def _native_s3(block: Connector, made: _Made) -> None:
    """Whoever says anything about S3 means Trino's own client. It needs a region even where the endpoint has none."""
    given = {*block.properties, *block.property_secret_refs}
    if not any(key.startswith("s3.") for key in (*given, *made.plain, *made.secret)):
        return
    if _NATIVE_S3 not in given:
        made.put(_NATIVE_S3, "true")
    if "s3.endpoint" in {*given, *made.plain} and "s3.region" not in given:
        made.put("s3.region", "us-east-1")


def _delta_lake(block: kinds.DeltaLake, made: _Made) -> None:
    kind = block.catalog_type.strip().lower()
    if kind == "glue":
        made.put("hive.metastore", "glue")
    elif kind in {"hive", "hive_metastore"}:
        made.put("hive.metastore.uri", block.warehouse_uri)
    _native_s3(block, made)


def _druid(block: kinds.Druid, made: _Made) -> None:
    url = block.broker_url
    if not url.startswith("jdbc:"):
        url = f"jdbc:avatica:remote:url={url.rstrip('/')}/druid/v2/sql/avatica/"
    made.put("connection-url", url)


def _duck_db(block: kinds.DuckDB, made: _Made) -> None:
    path = block.database_path or ""
    made.put("connection-url", path if path.startswith("jdbc:") else f"jdbc:duckdb:{path}")


def _search_engine(engine: str) -> Callable[[kinds.SearchEngine, _Made], None]:
    def render(block: kinds.SearchEngine, made: _Made) -> None:
        made.put(f"{engine}.host", block.host)
        made.put(f"{engine}.port", block.port)
        made.put(f"{engine}.default-schema-name", block.default_schema)

    return render


def _faker(block: kinds.Faker, made: _Made) -> None:
    made.put("faker.default-limit", block.default_limit)
    if block.null_probability is not None:
        made.put("faker.null-probability", f"{block.null_probability:.6f}".rstrip("0").rstrip(".") or "0")


def _google_sheets(block: kinds.GoogleSheets, made: _Made) -> None:
    made.put("gsheets.credentials-path", block.credentials_file_path)
    made.put("gsheets.metadata-sheet-id", block.metadata_sheet_id)


def _hive(block: kinds.Hive, made: _Made) -> None:
    made.put("hive.metastore.uri", block.metastore_uri)
    made.put("s3.endpoint", block.s3_endpoint)
    made.put_secret("s3.aws-access-key", block.s3_access_key_secret)
    made.put_secret("s3.aws-secret-key", block.s3_secret_key_secret)
    _native_s3(block, made)


def _hudi(block: kinds.Hudi, made: _Made) -> None:
    made.put("hive.metastore.uri", block.metastore_uri)
    _native_s3(block, made)


_ICEBERG_WAREHOUSE = {
    "rest": "iceberg.rest-catalog.warehouse",
    "jdbc": "iceberg.jdbc-catalog.default-warehouse-dir",
    "nessie": "iceberg.nessie-catalog.default-warehouse-dir",
    "glue": "hive.metastore.glue.default-warehouse-dir",
}


def is_metastore(uri: str) -> bool:
    """Whether a warehouseURI means a Hive metastore rather than a place for files."""
    return uri.strip().lower().startswith(("thrift:", "http:", "https:"))


def iceberg_type(catalog_type: str) -> str:
    """`iceberg.catalog.type`: lower case, and `hive` in its long form."""
    kind = catalog_type.strip().lower()
    return "hive_metastore" if kind in {"", "hive"} else kind


def warehouse_property(catalog_type: str, uri: str) -> str | None:
    """The property that an Iceberg catalog's warehouseURI becomes; None: this type has no use for it."""
    kind = iceberg_type(catalog_type)
    if kind == "hive_metastore":
        return "hive.metastore.uri" if is_metastore(uri) else None
    return _ICEBERG_WAREHOUSE.get(kind)


def _iceberg(block: kinds.Iceberg, made: _Made) -> None:
    made.put("iceberg.catalog.type", iceberg_type(block.catalog_type))
    if block.warehouse_uri:
        key = warehouse_property(block.catalog_type, block.warehouse_uri)
        if key:
            made.put(key, block.warehouse_uri)
    _native_s3(block, made)


def _kafka(block: kinds.Kafka, made: _Made) -> None:
    made.put("kafka.nodes", ",".join(block.kafka_nodes))


def _lakehouse(block: kinds.Lakehouse, made: _Made) -> None:
    kind = block.catalog_type.strip().upper()
    made.put("lakehouse.table-type", "DELTA" if kind == "DELTA_LAKE" else kind)
    if block.metastore_uri:
        made.put("hive.metastore", "thrift")
        made.put("hive.metastore.uri", block.metastore_uri)
    _native_s3(block, made)


def _uri(connector: str) -> Callable[[kinds.Uri, _Made], None]:
    def render(block: kinds.Uri, made: _Made) -> None:
        made.put(f"{connector}.uri", block.uri)

    return render


def _memory(block: kinds.Memory, made: _Made) -> None:
    made.put("memory.max-data-per-node", block.max_data_per_node)


def _mongodb(block: kinds.Mongodb, made: _Made) -> None:
    made.put("mongodb.connection-url", block.connection_uri)


def _pinot(block: kinds.Pinot, made: _Made) -> None:
    made.put("pinot.controller-urls", block.controller_urls)


def _redis(block: kinds.Redis, made: _Made) -> None:
    made.put("redis.nodes", block.nodes)
    made.put("redis.database-index", block.database)


_SNOWFLAKE_DOMAIN = ".snowflakecomputing.com"


def snowflake_url(account: str) -> tuple[str, str]:
    """(JDBC URL, account) from an account name, a host, an https URL or a JDBC URL."""
    text = account.strip()
    host = text.removeprefix("jdbc:snowflake://").removeprefix("https://").split("/", 1)[0].split("?", 1)[0]
    name = host.lower().partition(_SNOWFLAKE_DOMAIN)[0].partition(":")[0]
    if text.startswith("jdbc:"):
        return text, name
    host = host if _SNOWFLAKE_DOMAIN in host.lower() else host + _SNOWFLAKE_DOMAIN
    return f"jdbc:snowflake://{host}", name


def _snowflake(block: kinds.Snowflake, made: _Made) -> None:
    url, account = snowflake_url(block.account_url)
    made.put("connection-url", url)
    made.put("connection-user", block.user)
    made.put("snowflake.account", account)
    made.put("snowflake.database", block.database)
    made.put("snowflake.role", block.role)
    made.put("snowflake.warehouse", block.warehouse)
    made.put_secret(PASSWORD, block.password_secret)


def _thrift(block: kinds.Thrift, made: _Made) -> None:
    made.put("trino.thrift.client.addresses", f"{block.host}:{block.port}")


def _nothing(_block: Connector, _made: _Made) -> None:
    """No typed fields."""


#: Field of spec.connector -> (connector.name, what its typed fields become).
CONNECTORS: dict[str, tuple[str, Callable[[Any, _Made], None]]] = {
    "bigQuery": ("bigquery", _big_query),
    "blackHole": ("blackhole", _nothing),
    "cassandra": ("cassandra", _cassandra),
    "clickHouse": ("clickhouse", _jdbc),
    "deltaLake": ("delta_lake", _delta_lake),
    "druid": ("druid", _druid),
    "duckDB": ("duckdb", _duck_db),
    "elasticsearch": ("elasticsearch", _search_engine("elasticsearch")),
    "exasol": ("exasol", _jdbc),
    "faker": ("faker", _faker),
    "googleSheets": ("gsheets", _google_sheets),
    "hive": ("hive", _hive),
    "hudi": ("hudi", _hudi),
    "iceberg": ("iceberg", _iceberg),
    "ignite": ("ignite", _jdbc),
    "jmx": ("jmx", _nothing),
    "kafka": ("kafka", _kafka),
    "lakehouse": ("lakehouse", _lakehouse),
    "loki": ("loki", _uri("loki")),
    "mariaDB": ("mariadb", _jdbc),
    "memory": ("memory", _memory),
    "mongodb": ("mongodb", _mongodb),
    "mysql": ("mysql", _jdbc),
    "openSearch": ("opensearch", _search_engine("opensearch")),
    "oracle": ("oracle", _jdbc),
    "pinot": ("pinot", _pinot),
    "postgres": ("postgresql", _jdbc),
    "prometheus": ("prometheus", _uri("prometheus")),
    "redis": ("redis", _redis),
    "redshift": ("redshift", _jdbc),
    "singleStore": ("singlestore", _jdbc),
    "snowflake": ("snowflake", _snowflake),
    "sqlServer": ("sqlserver", _jdbc),
    "thrift": ("trino_thrift", _thrift),
    "tpcds": ("tpcds", _nothing),
    "tpch": ("tpch", _nothing),
    "vertica": ("vertica", _jdbc),
}


def catalog_name(catalog: XTrinodeCatalog) -> str:
    """The catalog's name in SQL."""
    return catalog.spec.catalog_name or catalog.metadata.name.removeprefix("trino-catalog-")


def connector_name(field: str, block: Connector) -> str:
    """`connector.name` of a block."""
    return block.connector_name if isinstance(block, kinds.Custom) else CONNECTORS[field][0]


def generated(field: str, block: Connector) -> tuple[dict[str, str], Secrets]:
    """The properties that the typed fields of a block make: plain ones, and those read from Secrets."""
    made = _Made({CONNECTOR_NAME: connector_name(field, block)}, {})
    if not isinstance(block, kinds.Custom):
        CONNECTORS[field][1](block, made)
    return made.plain, made.secret


def render_catalog(catalog: XTrinodeCatalog) -> CatalogProperties:
    """The catalog file of a valid catalog. Raises ValueError when it has not exactly one connector."""
    chosen = catalog.spec.connector.chosen()
    if len(chosen) != 1:
        raise ValueError(f"catalog {catalog.key} must have exactly one connector, not {len(chosen)}")
    field, block = next(iter(chosen.items()))
    plain, secret = generated(field, block)
    secret = {**block.property_secret_refs, **secret}
    # The object's name, not the SQL name: it is unique in the namespace, whatever users call the catalog.
    variables = {key: names.env_name("CATALOG", catalog.metadata.name, key) for key in secret}
    lines = {**block.properties, **{key: f"${{ENV:{name}}}" for key, name in variables.items()}, **plain}
    env = tuple(SecretEnv(variables[key], ref.name, ref.key, bool(ref.optional)) for key, ref in sorted(secret.items()))
    return CatalogProperties(catalog_name(catalog), connector_name(field, block), lines, env)


def builtin_catalogs() -> tuple[CatalogProperties, ...]:
    """The catalogs of a runtime without a selector."""
    return tuple(
        CatalogProperties(name, content[CONNECTOR_NAME], content) for name, content in sorted(BUILTIN_CATALOGS.items())
    )


def selects(selector: LabelSelector | None, catalog: XTrinodeCatalog) -> bool:
    """Whether a runtime's catalogSelector selects a catalog of its own namespace. None selects nothing."""
    if selector is None:
        return False
    labels = catalog.selection_labels()
    if any(labels.get(key) != value for key, value in selector.match_labels.items()):
        return False
    for term in selector.match_expressions:
        value = labels.get(term.key)
        holds = {
            "In": value is not None and value in term.values,
            "NotIn": value is None or value not in term.values,
            "Exists": value is not None,
            "DoesNotExist": value is None,
        }
        if not holds[term.operator]:
            return False
    return True
