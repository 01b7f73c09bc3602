"""The kind XTrinodeCatalog: one data source, declared once and selected by runtimes.

`spec.connector` is a choice of one: the key names the connector, its block holds the typed fields. What
a typed field becomes in the `.properties` file stands in `connectors`, which also says which properties
a block generates and which are therefore not free.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from crds.v1.fields import AbsolutePath, DataSize, Labels, Plain, PropertyKey, SecretKeySelector
from crds.v1.meta import Items, Lenient, Model, ObjectMeta, Time
from crds.v1.status import Condition

Port = Annotated[int, Field(ge=1, le=65_535)]
CatalogName = Annotated[str, Field(min_length=1, max_length=63, pattern=r"^[a-z]([a-z0-9_-]*[a-z0-9_])?$")]
RequiredPlain = Annotated[Plain, Field(min_length=1)]


class Connector(Model):
    """What every connector block takes besides its typed fields."""

    properties: Annotated[dict[PropertyKey, Plain], Field(max_length=64)] = Field(
        default_factory=dict,
        description="Further properties, as in Trino's documentation of the connector. Taken literally: ${ is refused. "
        "Secrets do not belong here: see propertySecretRefs.",
    )
    property_secret_refs: Annotated[dict[PropertyKey, SecretKeySelector], Field(max_length=32)] = Field(
        default_factory=dict,
        description="Properties whose value comes from a Secret of the catalog's namespace. The value reaches "
        "Trino as an environment variable and is never written to a ConfigMap. "
        "Who sets this needs permission to read that Secret.",
    )


class Jdbc(Connector):
    """A database that is read over JDBC."""

    connection_url: RequiredPlain = Field(
        alias="connectionURL", description="JDBC URL without user and password (`connection-url`)."
    )
    connection_user: Plain | None = Field(default=None, description="User (`connection-user`).")
    connection_password_secret: SecretKeySelector | None = Field(
        default=None, description="Secret with the password (`connection-password`)."
    )


class BigQuery(Connector):
    """Google BigQuery."""

    project_id: RequiredPlain = Field(alias="projectID", description="Project (`bigquery.project-id`).")
    parent_project_id: Plain | None = Field(
        default=None, alias="parentProjectID", description="Project that pays (`bigquery.parent-project-id`)."
    )
    credentials_file: AbsolutePath | None = Field(
        default=None,
        description="Path of the key file in the container (`bigquery.credentials-file`), not its content.",
    )


class Cassandra(Connector):
    """Apache Cassandra. Without a `cassandra.load-policy.*` property the catalog is not aware of data centres."""

    contact_points: RequiredPlain = Field(description="Hosts, comma-separated (`cassandra.contact-points`).")
    port: Port | None = Field(default=None, description="`cassandra.native-protocol-port`. Default Trino's, 9042.")


class DeltaLake(Connector):
    """Delta Lake tables."""

    catalog_type: RequiredPlain = Field(
        description="glue: AWS Glue; hive or hive_metastore: the metastore at warehouseURI."
    )
    warehouse_uri: Plain | None = Field(
        default=None, alias="warehouseURI", description="hive: URI of the metastore (`hive.metastore.uri`)."
    )


class Druid(Connector):
    """Apache Druid."""

    broker_url: RequiredPlain = Field(
        alias="brokerURL", description="URL of the broker, or a whole JDBC URL (`connection-url`)."
    )


class DuckDB(Connector):
    """DuckDB."""

    database_path: Plain | None = Field(
        default=None, description="Path of the database, or a whole JDBC URL (`connection-url`). Default: in memory."
    )


class SearchEngine(Connector):
    """Elasticsearch or OpenSearch."""

    host: RequiredPlain = Field(description="Host (`<engine>.host`).")
    port: Port | None = Field(default=None, description="`<engine>.port`. Default Trino's, 9200.")
    default_schema: Plain | None = Field(default=None, description="`<engine>.default-schema-name`.")


class Faker(Connector):
    """Random data."""

    default_limit: Annotated[int, Field(ge=1)] | None = Field(
        default=None, description="Rows of a table without LIMIT (`faker.default-limit`)."
    )
    null_probability: Annotated[float, Field(ge=0, le=1, strict=False)] | None = Field(
        default=None, description="Share of nulls, 0 to 1 (`faker.null-probability`)."
    )


class GoogleSheets(Connector):
    """Google Sheets."""

    credentials_file_path: AbsolutePath = Field(
        description="Path of the key file in the container (`gsheets.credentials-path`)."
    )
    metadata_sheet_id: Plain | None = Field(
        default=None, alias="metadataSheetID", description="`gsheets.metadata-sheet-id`."
    )


class Hive(Connector):
    """Hive tables."""

    metastore_uri: RequiredPlain = Field(
        alias="metastoreURI", description="URI of the metastore, thrift://host:9083 (`hive.metastore.uri`)."
    )
    s3_endpoint: Plain | None = Field(
        default=None,
        description="S3 endpoint (`s3.endpoint`), such as http://minio:9000. Any S3 field or `s3.` property turns on "
        "fs.native-s3.enabled; beside an endpoint s3.region is us-east-1 unless properties set it.",
    )
    s3_access_key_secret: SecretKeySelector | None = Field(
        default=None, description="Secret with the access key (`s3.aws-access-key`); together with the next."
    )
    s3_secret_key_secret: SecretKeySelector | None = Field(
        default=None, description="Secret with the secret key (`s3.aws-secret-key`)."
    )


class Hudi(Connector):
    """Apache Hudi tables."""

    metastore_uri: RequiredPlain = Field(
        alias="metastoreURI", description="URI of the metastore (`hive.metastore.uri`)."
    )


class Iceberg(Connector):
    """Apache Iceberg tables."""

    catalog_type: RequiredPlain = Field(
        description="`iceberg.catalog.type`: hive_metastore (or hive), glue, jdbc, rest, nessie, snowflake."
    )
    warehouse_uri: Plain | None = Field(
        default=None,
        alias="warehouseURI",
        description="hive_metastore: `hive.metastore.uri` (thrift:); rest: `iceberg.rest-catalog.warehouse`; "
        "jdbc: `iceberg.jdbc-catalog.default-warehouse-dir`; nessie: `iceberg.nessie-catalog.default-warehouse-dir`; "
        "glue: `hive.metastore.glue.default-warehouse-dir`.",
    )


class Kafka(Connector):
    """Apache Kafka."""

    kafka_nodes: Annotated[Items[RequiredPlain], Field(min_length=1, max_length=64)] = Field(
        description="Brokers as host:port (`kafka.nodes`)."
    )


class Lakehouse(Connector):
    """Iceberg, Delta Lake and Hive tables in one catalog."""

    catalog_type: RequiredPlain = Field(description="`lakehouse.table-type`: ICEBERG, DELTA or HIVE.")
    metastore_uri: Plain | None = Field(
        default=None, alias="metastoreURI", description="URI of the metastore (`hive.metastore.uri`)."
    )


class Uri(Connector):
    """A service with one address."""

    uri: RequiredPlain = Field(description="Address (`<connector>.uri`).")


class Memory(Connector):
    """Tables in the memory of the workers; gone when they restart."""

    max_data_per_node: DataSize | None = Field(
        default=None, description="`memory.max-data-per-node`, such as 1GB. Default Trino's, 128MB."
    )


class Mongodb(Connector):
    """MongoDB. A URI with a password belongs into propertySecretRefs as `mongodb.connection-url`."""

    connection_uri: RequiredPlain | None = Field(
        default=None,
        alias="connectionURI",
        description="Connection URI without password (`mongodb.connection-url`). Empty: given in propertySecretRefs.",
    )


class Pinot(Connector):
    """Apache Pinot."""

    controller_urls: RequiredPlain = Field(
        alias="controllerURLs", description="Controllers, comma-separated (`pinot.controller-urls`)."
    )


class Redis(Connector):
    """Redis."""

    nodes: RequiredPlain = Field(description="Nodes as host:port, comma-separated (`redis.nodes`).")
    database: Annotated[int, Field(ge=0, le=65_535)] | None = Field(
        default=None, description="`redis.database-index`. Default 0."
    )


class Snowflake(Connector):
    """Snowflake."""

    account_url: RequiredPlain = Field(
        alias="accountURL", description="Account (`acme`), host, https URL or whole JDBC URL (`connection-url`)."
    )
    user: RequiredPlain = Field(description="`connection-user`.")
    database: Plain | None = Field(default=None, description="`snowflake.database`.")
    role: Plain | None = Field(default=None, description="`snowflake.role`.")
    warehouse: Plain | None = Field(default=None, description="`snowflake.warehouse`.")
    password_secret: SecretKeySelector | None = Field(
        default=None, description="Secret with the password (`connection-password`)."
    )


class Thrift(Connector):
    """A service that speaks Trino's thrift connector protocol."""

    host: RequiredPlain = Field(description="Host.")
    port: Port = Field(description="Port.")


class Custom(Connector):
    """Any other connector of the Trino image."""

    connector_name: Annotated[str, Field(min_length=1, max_length=63, pattern=r"^[a-z][a-z0-9_-]*$")] = Field(
        description="`connector.name`."
    )
    properties: Annotated[dict[PropertyKey, Plain], Field(max_length=64)] = Field(
        default_factory=dict, description="Properties of the connector. Taken literally: ${ is refused."
    )


class ConnectorChoice(Model):
    """Exactly one connector."""

    big_query: BigQuery | None = Field(default=None, description="Google BigQuery.")
    black_hole: Connector | None = Field(default=None, description="Swallows what is written.")
    cassandra: Cassandra | None = Field(default=None, description="Apache Cassandra.")
    click_house: Jdbc | None = Field(default=None, description="ClickHouse.")
    custom: Custom | None = Field(default=None, description="Any other connector.")
    delta_lake: DeltaLake | None = Field(default=None, description="Delta Lake.")
    druid: Druid | None = Field(default=None, description="Apache Druid.")
    duck_db: DuckDB | None = Field(default=None, alias="duckDB", description="DuckDB.")
    elasticsearch: SearchEngine | None = Field(default=None, description="Elasticsearch.")
    exasol: Jdbc | None = Field(default=None, description="Exasol.")
    faker: Faker | None = Field(default=None, description="Random data.")
    google_sheets: GoogleSheets | None = Field(default=None, description="Google Sheets.")
    hive: Hive | None = Field(default=None, description="Hive.")
    hudi: Hudi | None = Field(default=None, description="Apache Hudi.")
    iceberg: Iceberg | None = Field(default=None, description="Apache Iceberg.")
    ignite: Jdbc | None = Field(default=None, description="Apache Ignite.")
    jmx: Connector | None = Field(default=None, description="JMX of the Trino nodes as tables.")
    kafka: Kafka | None = Field(default=None, description="Apache Kafka.")
    lakehouse: Lakehouse | None = Field(default=None, description="Iceberg, Delta Lake and Hive in one.")
    loki: Uri | None = Field(default=None, description="Grafana Loki.")
    maria_db: Jdbc | None = Field(default=None, alias="mariaDB", description="MariaDB.")
    memory: Memory | None = Field(default=None, description="Tables in memory.")
    mongodb: Mongodb | None = Field(default=None, description="MongoDB.")
    mysql: Jdbc | None = Field(default=None, description="MySQL.")
    open_search: SearchEngine | None = Field(default=None, description="OpenSearch.")
    oracle: Jdbc | None = Field(default=None, description="Oracle.")
    pinot: Pinot | None = Field(default=None, description="Apache Pinot.")
    postgres: Jdbc | None = Field(default=None, description="PostgreSQL.")
    prometheus: Uri | None = Field(default=None, description="Prometheus.")
    redis: Redis | None = Field(default=None, description="Redis.")
    redshift: Jdbc | None = Field(default=None, description="Amazon Redshift.")
    single_store: Jdbc | None = Field(default=None, description="SingleStore.")
    snowflake: Snowflake | None = Field(default=None, description="Snowflake.")
    sql_server: Jdbc | None = Field(default=None, description="Microsoft SQL Server.")
    thrift: Thrift | None = Field(default=None, description="Trino's thrift connector protocol.")
    tpcds: Connector | None = Field(default=None, description="TPC-DS data, made on the fly.")
    tpch: Connector | None = Field(default=None, description="TPC-H data, made on the fly.")
    vertica: Jdbc | None = Field(default=None, description="Vertica.")

    def chosen(self) -> dict[str, Connector]:
        """The connectors that are set, by their name on the wire. A valid catalog has exactly one."""
        fields = type(self).model_fields
        values = {fields[name].alias or name: getattr(self, name) for name in fields}
        return {name: value for name, value in values.items() if value is not None}


class XTrinodeCatalogSpec(Model):
    """The data source."""

    connector: ConnectorChoice = Field(
        description="Exactly one connector. Another connector is another catalog: it cannot be changed later.",
        json_schema_extra={"minProperties": 1, "maxProperties": 1},
    )
    labels: Labels = Field(
        default_factory=dict,
        description="Labels by which a runtime's catalogSelector finds this catalog, besides metadata.labels. "
        "On the same key these win.",
    )
    catalog_name: CatalogName | None = Field(
        default=None,
        description="Name of the catalog in SQL. Default: the object's name without a leading trino-catalog-. "
        "Set it (sales_db) to spare users the quotes that a dash needs.",
    )


class XTrinodeCatalogStatus(Lenient):
    """What was observed. Written by the controller only."""

    phase: Literal["Pending", "Ready", "Error"] | None = Field(default=None, description="Pending, Ready or Error.")
    message: Annotated[str, Field(max_length=1024)] | None = Field(
        default=None, description="What is wrong, if anything."
    )
    connector: Annotated[str, Field(max_length=63)] | None = Field(default=None, description="`connector.name`.")
    config_map_name: Annotated[str, Field(max_length=253)] | None = Field(
        default=None, description="ConfigMap with the properties file."
    )
    last_updated: Time | None = Field(default=None, description="When the ConfigMap last changed.")
    observed_generation: int | None = Field(default=None, description="Generation of the spec that this is about.")
    conditions: Annotated[
        Items[Condition],
        Field(
            max_length=32,
            json_schema_extra={"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["type"]},
        ),
    ] = Field(default=(), description="State by aspect.")


class XTrinodeCatalog(Model):
    """A data source that runtimes of the same namespace select."""

    api_version: Literal["analytics.xtrinode.io/v1"] = Field(
        default="analytics.xtrinode.io/v1", description="Always this."
    )
    kind: Literal["XTrinodeCatalog"] = Field(default="XTrinodeCatalog", description="Always this.")
    metadata: ObjectMeta = Field(default_factory=ObjectMeta)
    spec: XTrinodeCatalogSpec = Field(description="The data source.")
    status: XTrinodeCatalogStatus = Field(default_factory=XTrinodeCatalogStatus, description="What was observed.")

    @property
    def key(self) -> str:
        """`namespace/name`."""
        return self.metadata.key

    def selection_labels(self) -> dict[str, str]:
        """What a runtime's catalogSelector is matched against."""
        return {**self.metadata.labels, **self.spec.labels}
