"""A configuration that Trino refuses is refused with its words; a good one is understood.

Plan: the smallest valid set; then, one by one, each way to be wrong; all problems come at once.
"""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sandbox.trino.configuration import ConfigurationInvalid, load_configuration
from sandbox.trino.units import format_data_size, format_duration, parse_data_size, parse_duration, parse_heap_size
from tests.support.trino_standin import MEMORY, configured, etc


def problems(files: dict[str, bytes], environment: dict[str, str] | None = None) -> str:
    with pytest.raises(ConfigurationInvalid) as caught:
        load_configuration(files, environment or {}, physical_memory=MEMORY)
    return "\n".join(caught.value.problems)


def test_a_valid_configuration_is_understood() -> None:
    found = configured(
        etc(
            {
                "query-manager.required-workers": "2",
                "shutdown.grace-period": "10s",
                "http-server.process-forwarded": "true",
                "query.max-memory-per-node": "2GB",
                "node-scheduler.include-coordinator": "false",
            }
        )
    )
    assert (found.coordinator, found.required_workers, found.grace_period) == (True, 2, 10.0)
    assert found.process_forwarded
    assert not found.include_coordinator
    assert found.max_memory_per_node == 2 * 2**30
    assert [(catalog.name, catalog.connector) for catalog in found.catalogs] == [("tpch", "tpch"), ("memory", "memory")]


def test_a_coordinator_needs_next_to_nothing_and_the_launcher_takes_any_key() -> None:
    files = etc(
        files={"config.properties": b"http-server.http.port=0\n", "node.properties": b"node.environment=a\nx=1\n"}
    )
    assert configured(files).coordinator


@pytest.mark.parametrize(
    "key", ["dynamic-filtering.large.max-size-per-driver", "exchange.http-client.max-content-length"]
)
def test_old_names_that_still_work_are_known(key: str) -> None:
    assert configured(etc({key: "1MB"})).coordinator


def test_of_a_key_that_stands_there_twice_the_last_value_counts() -> None:
    files = etc(files={"config.properties": b"query.max-history=1\nquery.max-history=2\n"})
    assert configured(files).max_history == 2


def test_memory_may_be_a_share_of_the_heap() -> None:
    assert configured(etc({"query.max-memory-per-node": "50%"})).max_memory_per_node == 2 * 2**30


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"no.such.key": "1"}, "Configuration property 'no.such.key' was not used"),
        (
            {"query.max-memory": "4Gi"},
            "Invalid value '4Gi' for type io.airlift.units.DataSize (property 'query.max-memory')",
        ),
        ({"query.client.timeout": "5 parsecs"}, "for type io.airlift.units.Duration (property 'query.client.timeout')"),
        ({"query.max-history": "many"}, "for type int (property 'query.max-history')"),
        ({"web-ui.enabled": "yes"}, "for type boolean (property 'web-ui.enabled')"),
        ({"query.max-age": "1d"}, "Defunct property 'query.max-age' cannot be configured."),
        ({"http-server.process-forwarded": "maybe"}, "ProcessForwardedMode (property 'http-server.process-forwarded')"),
        ({"memory.heap-headroom-per-node": "80%"}, "and heap headroom (3.20GB) cannot be larger than"),
        ({"query.max-memory-per-node": "most"}, "(property 'query.max-memory-per-node')"),
        ({"query.max-memory-per-node": "3.5GB"}, "cannot be larger than the available heap memory (4GB)"),
        (
            {"memory.heap-headroom-per-node": "3GB"},
            "Invalid memory configuration. The sum of max query memory per node",
        ),
        ({"http-server.https.enabled": "true"}, "serves plain HTTP only"),
        ({"http-server.http.enabled": "false"}, "serves plain HTTP only"),
        ({"discovery.uri": "not a uri"}, "for type java.net.URI (property 'discovery.uri')"),
        ({"http-server.authentication.type": "MAGIC"}, "Unknown authentication type: magic"),
        (
            {"http-server.authentication.type": "PASSWORD"},
            "Shared secret (internal-communication.shared-secret) is required",
        ),
        ({"http-server.authentication.type": "PASSWORD"}, "password-authenticator.properties does not exist"),
        ({"internal-communication.shared-secret": "${ENV:SECRET}"}, "references unset environment variable 'SECRET'"),
    ],
)
def test_a_bad_value_is_named(config: dict[str, str], message: str) -> None:
    assert message in problems(etc(config))


@pytest.mark.parametrize(
    ("files", "message"),
    [
        ({"config.properties": b"coordinator=false\n"}, "needs discovery.uri: the address of its coordinator"),
        ({"node.properties": b""}, "property node.environment: must not be null"),
        ({"node.properties": b"node.environment=My-Env\n"}, "node.environment: should match"),
        ({"jvm.config": b"-Xmx8Q\n"}, "Invalid maximum heap size: -Xmx8Q"),
        ({"jvm.config": b"-Xmx1G\n-Xms2G\n"}, "Initial heap size set to a larger value"),
        ({"jvm.config": b"Xmx1G\n"}, "Could not find or load main class Xmx1G"),
        ({"log.properties": b"io.trino=LOUD\n"}, "unknown level 'LOUD' of logger 'io.trino'"),
        ({"catalog/x.properties": b"a=b\n"}, "does not contain connector.name"),
        ({"catalog/x.properties": b"connector.name=nope\n"}, "No factory for connector 'nope'"),
        ({"catalog/x.properties": b"connector.name=tpch\nfoo=1\n"}, "'foo' was not used [catalog/x.properties]"),
        ({"catalog/x.properties": b"connector.name=postgresql\n"}, "connection-url: must not be null"),
        ({"catalog/x.properties": b"connector.name=mysql\nconnection-url=mysql://x\n"}, "Invalid JDBC URL"),
        ({"catalog/system.properties": b"connector.name=tpch\n"}, "reserved"),
        ({"access-control.properties": b"access-control.name=nope\n"}, "'nope' is not registered"),
        ({"access-control.properties": b"access-control.name=file\n"}, "security.config-file: must not be null"),
        ({"resource-groups.properties": b"x=1\n"}, "does not contain resource-groups.configuration-manager"),
        (
            {"event-listener.properties": b"event-listener.name=http\nfoo=1\n"},
            "Configuration property 'foo' was not used [event-listener.properties]",
        ),
        (
            {"group-provider.properties": b"group-provider.name=file\nfile.group-file=/no/such/file\n"},
            "file does not exist: /no/such/file",
        ),
    ],
)
def test_a_bad_file_is_named(files: dict[str, bytes], message: str) -> None:
    assert message in problems({**etc(), **files})


def test_every_problem_is_reported_at_once() -> None:
    text = problems(etc({"a.b": "1", "c.d": "2", "query.max-memory": "x"}))
    assert all(part in text for part in ("'a.b'", "'c.d'", "'query.max-memory'"))


def test_a_missing_config_says_where_it_is_expected() -> None:
    assert "config.properties" in problems({})


def test_secrets_come_from_the_environment_and_stay_out_of_the_description() -> None:
    files = etc(
        catalogs={
            "pg": "connector.name=postgresql\nconnection-url=jdbc:postgresql://h/d\nconnection-password=${ENV:PW}\n"
        }
    )
    found = configured(files, {"PW": "s3cret"})
    assert found.catalogs[0].properties["connection-password"] == "s3cret"
    shared = configured(etc({"internal-communication.shared-secret": "${ENV:S}"}), {"S": "t0psecret"})
    assert shared.shared_secret == "t0psecret"
    assert "s3cret" not in repr(found)
    assert "t0psecret" not in repr(shared)


def test_disabled_catalogs_are_left_out() -> None:
    assert [catalog.name for catalog in configured(etc({"catalog.disabled-catalogs": "memory"})).catalogs] == ["tpch"]


def test_the_rendered_catalogs_of_many_connectors_are_accepted() -> None:
    catalogs = {
        "hive": "connector.name=hive\nhive.metastore.uri=thrift://h:9083\nfs.native-s3.enabled=true\ns3.endpoint=http://m\n",
        "lake": "connector.name=iceberg\niceberg.catalog.type=hive_metastore\nhive.metastore.uri=thrift://h:9083\n",
        "delta": "connector.name=delta_lake\nhive.metastore=glue\n",
        "kafka": "connector.name=kafka\nkafka.nodes=a:9092\nkafka.table-names=t\n",
        "mongo": "connector.name=mongodb\nmongodb.connection-url=mongodb://x\n",
        "ds": "connector.name=tpcds\n",
    }
    assert len(configured(etc(catalogs=catalogs)).catalogs) == len(catalogs)


def test_a_connector_that_needs_jvm_options_says_which() -> None:
    catalogs = {"flake": "connector.name=snowflake\nconnection-url=jdbc:snowflake://a\n"}
    assert "add the following to the JVM configuration: '--add-opens=java.base/java.nio=ALL-UNNAMED'" in problems(
        etc(catalogs=catalogs)
    )
    options = b"-Xmx4G\n--add-opens=java.base/java.nio=ALL-UNNAMED\n--sun-misc-unsafe-memory-access=allow\n"
    assert configured(etc(catalogs=catalogs, files={"jvm.config": options})).catalogs


@pytest.mark.parametrize(
    ("text", "expected"), [("1B", 1), ("10kB", 10240), ("1.5GB", 3 * 2**29), ("4GB", 2**32), (" 2 MB ", 2**21)]
)
def test_data_sizes(text: str, expected: int) -> None:
    assert parse_data_size(text) == expected


@pytest.mark.parametrize("text", ["", "4", "4Gi", "4gb", "-1GB", "GB", "1 0GB"])
def test_sizes_of_other_systems_are_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"size|unit"):
        parse_data_size(text)


@pytest.mark.parametrize(("text", "expected"), [("1s", 1.0), ("1.5m", 90.0), ("200ms", 0.2), ("1d", 86400.0)])
def test_durations(text: str, expected: float) -> None:
    assert parse_duration(text) == expected


@given(st.text(max_size=12))
def test_any_text_is_a_quantity_or_a_value_error(text: str) -> None:
    for parser in (parse_data_size, parse_duration, parse_heap_size):
        try:
            assert parser(text) >= 0
        except ValueError:
            continue


@given(st.integers(0, 2**50))
def test_sizes_print_as_something_that_reads_back_nearly_the_same(size: int) -> None:
    assert abs(parse_data_size(format_data_size(size)) - size) <= size * 0.01


def test_durations_print_in_their_most_fitting_unit() -> None:
    assert [format_duration(value) for value in (300, 0.25, 7200, 1.5)] == ["5.00m", "250.00ms", "2.00h", "1.50s"]
