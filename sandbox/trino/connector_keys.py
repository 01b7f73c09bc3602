"""The connectors of Trino 480 and the catalog properties each of them accepts.

Read by the configuration loader for `catalog/*.properties`. The stand-in executes queries on `tpch`,
`memory` and `blackhole` only; of every other connector it knows the configuration, so that a catalog
that the real server would refuse at start is refused here too.
"""

from __future__ import annotations

from dataclasses import dataclass


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


@dataclass(frozen=True, slots=True)
class Connector:
    """What a catalog of this connector may and must say. A key that ends in `*` is a prefix."""

    name: str
    keys: frozenset[str]
    required: frozenset[str] = frozenset()
    family: str = "other"
    jvm: tuple[str, ...] = ()  # options without which the connector refuses to load

    def accepts(self, key: str) -> bool:
        return key in self.keys or any(key.startswith(prefix[:-1]) for prefix in self.keys if prefix.endswith("*"))


_MAPPING = _words(
    "case-insensitive-name-matching case-insensitive-name-matching.cache-ttl "
    "case-insensitive-name-matching.config-file case-insensitive-name-matching.config-file.refresh-period"
)
_JDBC = _MAPPING | _words(
    """connection-url connection-user connection-password user-credential-name password-credential-name
    credential-provider.type connection-credential-file keystore-file-path keystore-type keystore-password
    keystore-user-credential-name keystore-user-credential-password keystore-password-credential-name
    keystore-password-credential-password
    metadata.cache-ttl metadata.cache-missing metadata.cache-maximum-size metadata.schemas.cache-ttl
    metadata.tables.cache-ttl metadata.statistics.cache-ttl write.batch-size write.parallelism
    dynamic-filtering.enabled dynamic-filtering.wait-timeout domain-compaction-threshold
    insert.non-transactional-insert.enabled merge.non-transactional-merge.enabled
    join-pushdown.enabled join-pushdown.strategy join-pushdown.with-expressions
    deprecated.join-pushdown.with-expressions experimental.join-pushdown.*
    aggregation-pushdown.enabled allow-aggregation-pushdown topn-pushdown.enabled complex-expression-pushdown.enabled
    jdbc-types-mapped-to-varchar unsupported-type-handling unsupported-type.handling-strategy
    query.comment-format query.reuse-connection decimal-mapping decimal-default-scale decimal-rounding-mode
    jdbc.bulk-list-columns.enabled statistics.enabled"""
)
_SECURITY = _words(
    "security.config-file security.refresh-period security.json-pointer hive.security iceberg.security delta.security"
)
_FILE_SYSTEMS = _words(
    """fs.hadoop.enabled fs.native-s3.enabled fs.native-gcs.enabled fs.native-azure.enabled fs.native-local.enabled
    fs.local.enabled fs.tracking.enabled fs.memory-cache.*
    fs.alluxio.enabled fs.s3.enabled fs.gcs.enabled fs.azure.enabled fs.cache.* s3.* gcs.* azure.* alluxio.*
    local.location hive.config.resources hive.hdfs.* hive.fs.* hive.dfs* hive.s3.* hive.gcs.* hive.azure.* hive.ipc*"""
)
_METASTORE = _words("hive.metastore hive.metastore.* hive.metastore-* hive.hide-delta-lake-tables")
_LAKE = (
    _SECURITY
    | _FILE_SYSTEMS
    | _METASTORE
    | _words("parquet.* orc.* hive.parquet.* hive.orc.* avro.* max-open-sort-files writer-sort-buffer-size pme.*")
)


#: Libraries that read memory past the language's checks, which newer Java allows only when asked.
_NIO = "--add-opens=java.base/java.nio=ALL-UNNAMED"
_UNSAFE = "--sun-misc-unsafe-memory-access=allow"


def _jdbc(name: str, extra: str = "", jvm: tuple[str, ...] = ()) -> Connector:
    return Connector(name, _JDBC | _words(extra), _words("connection-url"), "jdbc", jvm)


def _other(name: str, keys: str, required: str = "") -> Connector:
    return Connector(name, _words(keys) | _words(required), _words(required))


_ALL = (
    Connector("bigquery", _words("bigquery.*"), jvm=(_NIO, _UNSAFE)),
    _other("blackhole", ""),
    Connector("cassandra", _words("cassandra.*"), _words("cassandra.contact-points")),
    _jdbc("clickhouse", "clickhouse.*"),
    Connector("delta_lake", _LAKE | _words("delta.* hive.*"), family="lake"),
    _jdbc("druid", "druid.*"),
    _jdbc("duckdb"),
    _other("elasticsearch", "elasticsearch.*", "elasticsearch.host elasticsearch.default-schema-name"),
    _jdbc("exasol", "exasol.*"),
    _other("faker", "faker.null-probability faker.default-limit faker.locale faker.sequence-detection-enabled "
           "faker.dictionary-detection-enabled"),
    _other("gsheets", "gsheets.* credentials-path metadata-sheet-id sheets-data-*", "gsheets.metadata-sheet-id"),
    Connector("hive", _LAKE | _words("hive.* fs.* text-file.*"), family="lake"),
    Connector("hudi", _LAKE | _words("hudi.* hive.*"), family="lake"),
    Connector("iceberg", _LAKE | _words("iceberg.* hive.* snowflake.*"), family="lake"),
    _jdbc("ignite", "ignite.*", (_NIO,)),
    _other("jmx", "jmx.dump-tables jmx.dump-period jmx.max-entries"),
    _other("kafka", "kafka.*", "kafka.nodes"),
    Connector("lakehouse", _LAKE | _words("lakehouse.* hive.* iceberg.* delta.* hudi.*"), family="lake"),
    _other("loki", "loki.*", "loki.uri"),
    _jdbc("mariadb", "mariadb.*"),
    _other("memory", "memory.max-data-per-node memory.splits-per-node memory.enable-lazy-dynamic-filtering"),
    _other("mongodb", "mongodb.*", "mongodb.connection-url"),
    _jdbc("mysql", "mysql.*"),
    _other("opensearch", "opensearch.*", "opensearch.host opensearch.default-schema-name"),
    _jdbc("oracle", "oracle.*"),
    _other("pinot", "pinot.*", "pinot.controller-urls"),
    _jdbc("postgresql", "postgresql.*"),
    _other("prometheus", "prometheus.*", "prometheus.uri"),
    _other("redis", "redis.*", "redis.nodes redis.table-names"),
    _jdbc("redshift", "redshift.* s3.* fs.* local.location"),
    _jdbc("singlestore", "singlestore.* memsql.*"),
    _jdbc("snowflake", "snowflake.*", (_NIO, _UNSAFE)),
    _jdbc("sqlserver", "sqlserver.*"),
    _other("tpcds", "tpcds.splits-per-node tpcds.split-count tpcds.with-no-sexism"),
    _other("tpch", "tpch.column-naming tpch.double-type-mapping tpch.splits-per-node tpch.max-rows-per-page "
           "tpch.predicate-pushdown-enabled tpch.table-scan-redirection-catalog "
           "tpch.table-scan-redirection-schema tpch.partitioning-enabled"),
    _other("trino_thrift", "trino.thrift.* trino-thrift.*", "trino.thrift.client.addresses"),
    _jdbc("vertica", "vertica.*"),
)  # fmt: skip

CONNECTORS: dict[str, Connector] = {connector.name: connector for connector in _ALL}
