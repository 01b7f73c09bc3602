"""One valid block for every connector: the least that the API accepts, or a bit more where typed fields matter."""

_SECRET = {"name": "db", "key": "password"}
_JDBC = {"connectionUser": "u", "connectionPasswordSecret": _SECRET}

#: field of spec.connector -> (block, connector.name, plain properties, properties read from a Secret)
CONNECTORS = {
    **{
        field: (
            {"connectionURL": url, **_JDBC},
            name,
            {"connection-url": url, "connection-user": "u"},
            {"connection-password"},
        )
        for field, name, url in (
            ("clickHouse", "clickhouse", "jdbc:clickhouse://h:8123/"),
            ("exasol", "exasol", "jdbc:exa:h:8563"),
            ("ignite", "ignite", "jdbc:ignite:thin://h:10800"),
            ("mariaDB", "mariadb", "jdbc:mariadb://h:3306"),
            ("mysql", "mysql", "jdbc:mysql://h:3306"),
            ("oracle", "oracle", "jdbc:oracle:thin:@h:1521:X"),
            ("postgres", "postgresql", "jdbc:postgresql://h:5432/db"),
            ("redshift", "redshift", "jdbc:redshift://h:5439/db"),
            ("singleStore", "singlestore", "jdbc:singlestore://h:3306"),
            ("sqlServer", "sqlserver", "jdbc:sqlserver://h:1433;databaseName=d"),
            ("vertica", "vertica", "jdbc:vertica://h:5433/db"),
        )
    },
    "bigQuery": (
        {"projectID": "p", "parentProjectID": "q", "credentialsFile": "/k.json"},
        "bigquery",
        {
            "bigquery.project-id": "p",
            "bigquery.parent-project-id": "q",
            "bigquery.credentials-file": "/k.json",
        },
        set(),
    ),
    "blackHole": ({}, "blackhole", {}, set()),
    "cassandra": (
        {"contactPoints": "a,b", "port": 9042},
        "cassandra",
        {
            "cassandra.contact-points": "a,b",
            "cassandra.native-protocol-port": "9042",
            "cassandra.load-policy.use-dc-aware": "false",
        },
        set(),
    ),
    "custom": ({"connectorName": "opa", "properties": {"opa.x": "1"}}, "opa", {"opa.x": "1"}, set()),
    "deltaLake": (
        {"catalogType": "hive", "warehouseURI": "thrift://m:9083"},
        "delta_lake",
        {"hive.metastore.uri": "thrift://m:9083"},
        set(),
    ),
    "druid": (
        {"brokerURL": "http://b:8082/"},
        "druid",
        {"connection-url": "jdbc:avatica:remote:url=http://b:8082/druid/v2/sql/avatica/"},
        set(),
    ),
    "duckDB": ({"databasePath": "/db"}, "duckdb", {"connection-url": "jdbc:duckdb:/db"}, set()),
    "elasticsearch": (
        {"host": "h", "port": 9200, "defaultSchema": "d"},
        "elasticsearch",
        {"elasticsearch.host": "h", "elasticsearch.port": "9200", "elasticsearch.default-schema-name": "d"},
        set(),
    ),
    "faker": (
        {"defaultLimit": 5, "nullProbability": 0.25},
        "faker",
        {"faker.default-limit": "5", "faker.null-probability": "0.25"},
        set(),
    ),
    "googleSheets": (
        {"credentialsFilePath": "/k", "metadataSheetID": "i"},
        "gsheets",
        {"gsheets.credentials-path": "/k", "gsheets.metadata-sheet-id": "i"},
        set(),
    ),
    "hive": (
        {
            "metastoreURI": "thrift://m:9083",
            "s3Endpoint": "http://s3",
            "s3AccessKeySecret": _SECRET,
            "s3SecretKeySecret": _SECRET,
        },
        "hive",
        {
            "hive.metastore.uri": "thrift://m:9083",
            "s3.endpoint": "http://s3",
            "fs.native-s3.enabled": "true",
            "s3.region": "us-east-1",
        },
        {"s3.aws-access-key", "s3.aws-secret-key"},
    ),
    "hudi": ({"metastoreURI": "thrift://m:9083"}, "hudi", {"hive.metastore.uri": "thrift://m:9083"}, set()),
    "iceberg": (
        {"catalogType": "REST", "warehouseURI": "s3://w", "properties": {"iceberg.rest-catalog.uri": "http://r"}},
        "iceberg",
        {
            "iceberg.catalog.type": "rest",
            "iceberg.rest-catalog.warehouse": "s3://w",
            "iceberg.rest-catalog.uri": "http://r",
        },
        set(),
    ),
    "jmx": ({}, "jmx", {}, set()),
    "kafka": (
        {"kafkaNodes": ["a:9092", "b:9092"], "properties": {"kafka.table-names": "t"}},
        "kafka",
        {"kafka.nodes": "a:9092,b:9092", "kafka.table-names": "t"},
        set(),
    ),
    "lakehouse": (
        {"catalogType": "delta_lake", "metastoreURI": "thrift://m:9083"},
        "lakehouse",
        {"lakehouse.table-type": "DELTA", "hive.metastore": "thrift", "hive.metastore.uri": "thrift://m:9083"},
        set(),
    ),
    "loki": ({"uri": "http://l"}, "loki", {"loki.uri": "http://l"}, set()),
    "memory": ({"maxDataPerNode": "1GB"}, "memory", {"memory.max-data-per-node": "1GB"}, set()),
    "mongodb": (
        {"connectionURI": "mongodb://h/"},
        "mongodb",
        {"mongodb.connection-url": "mongodb://h/"},
        set(),
    ),
    "openSearch": (
        {"host": "h", "defaultSchema": "d"},
        "opensearch",
        {"opensearch.host": "h", "opensearch.default-schema-name": "d"},
        set(),
    ),
    "pinot": ({"controllerURLs": "c:9000"}, "pinot", {"pinot.controller-urls": "c:9000"}, set()),
    "prometheus": ({"uri": "http://p"}, "prometheus", {"prometheus.uri": "http://p"}, set()),
    "redis": (
        {"nodes": "r:6379", "database": 2, "properties": {"redis.table-names": "t"}},
        "redis",
        {"redis.nodes": "r:6379", "redis.database-index": "2", "redis.table-names": "t"},
        set(),
    ),
    "snowflake": (
        {
            "accountURL": "acme",
            "user": "u",
            "database": "d",
            "role": "r",
            "warehouse": "w",
            "passwordSecret": _SECRET,
        },
        "snowflake",
        {
            "connection-url": "jdbc:snowflake://acme.snowflakecomputing.com",
            "connection-user": "u",
            "snowflake.account": "acme",
            "snowflake.database": "d",
            "snowflake.role": "r",
            "snowflake.warehouse": "w",
        },
        {"connection-password"},
    ),
    "thrift": ({"host": "h", "port": 9090}, "trino_thrift", {"trino.thrift.client.addresses": "h:9090"}, set()),
    "tpcds": ({}, "tpcds", {}, set()),
    "tpch": ({}, "tpch", {}, set()),
}
