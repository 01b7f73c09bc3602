"""Route documents: JSON or YAML in, a table out; a bad text is an error, a bad entry is left out and named."""

from __future__ import annotations

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.routing.document import DocumentError, compile_table, read_document
from gateway.routing.match import match
from gateway.routing.model import BackendState, RouteTable, Service

YAML = """
routes:
  - name: team-a--analytics
    header: team-a/analytics
    hostname: Analytics.Trino.Example.com:443
    default: true
    backends:
      - {name: analytics, namespace: team-a, coordinatorURL: "http://trino-analytics.team-a.svc.cluster.local:8080",
         state: PAUSED, capacityUnits: 4}
"""


def table_of(*texts: str) -> tuple[RouteTable, list[str]]:
    return compile_table(read_document(text) for text in texts)


def test_yaml_becomes_a_table_that_matches() -> None:
    table, problems = table_of(YAML)
    assert problems == []
    route = match(table, b"analytics.trino.example.com", None)
    assert route is match(table, b"", b"team-a/analytics") is match(table, b"", None)
    (backend,) = table.backends.values()
    assert backend.service == Service("trino-analytics.team-a.svc.cluster.local", 8080)
    assert (backend.state, backend.capacity_units) == (BackendState.PAUSED, 4)


def test_json_reads_as_the_same_table() -> None:
    import yaml

    assert table_of(orjson.dumps(yaml.safe_load(YAML)).decode()) == table_of(YAML)


def test_bad_entry_is_named_and_costs_no_other() -> None:
    table, problems = table_of(YAML + "  - name: broken\n    backends: []\n")
    assert len(table.routes) == 1
    assert any("broken" in problem for problem in problems)


def test_shards_make_one_table() -> None:
    other = YAML.replace("analytics", "etl").replace("default: true", "default: false")
    table, _ = table_of(YAML, other)
    assert {route.name for route in table.routes} == {"team-a--analytics", "team-a--etl"}


@pytest.mark.parametrize("text", ["", "routes", "[]", "a: 1", "routes: {}", "routes: [", "\x00", "{" * 3000])
def test_text_that_is_no_document_is_an_error(text: str) -> None:
    with pytest.raises(DocumentError):
        read_document(text)


def test_error_says_where() -> None:
    with pytest.raises(DocumentError, match="line 3"):
        read_document("routes:\n  - name: a\n  bad: [\n")


@given(st.text() | st.binary().map(lambda b: b.decode("latin-1")))
def test_any_text_is_read_or_refused(text: str) -> None:
    try:
        compile_table([read_document(text)])
    except DocumentError as error:
        assert str(error)


def test_port_and_scheme_have_defaults() -> None:
    text = '{"routes":[{"name":"r","default":true,"backends":[{"name":"b","namespace":"n","coordinatorURL":"https://b"}]}]}'
    (backend,) = table_of(text)[0].backends.values()
    assert backend.service == Service("b", 443, tls=True)
