"""Route documents: JSON or YAML in, a table out; a bad text is an error, a bad entry is left out and named."""

from __future__ import annotations

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from crds.v1 import routes as contract
from gateway.routing.document import Document, DocumentError, compile_table, read_document
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


@pytest.mark.parametrize(
    ("text", "empty"),
    [
        ('{"routes": [], "empty": true}', True),
        ('{"routes": []}', False),
        ('{"routes": [], "empty": "true"}', False),
        ('{"routes": [{"name": "r"}], "empty": true}', False),
    ],
)
def test_empty_is_what_says_so_and_is(text: str, empty: bool) -> None:
    assert read_document(text).empty is empty


# Line by line


def line(name: str, **more: object) -> contract.Route:
    backends = (contract.Backend("team", name, f"http://trino-{name}.team.svc:8080"),)
    return contract.Route(name, name, backends, (f"team/{name}",), f"{name}.example.com", **more)  # type: ignore[arg-type]


def written(*routes: contract.Route) -> str:
    return contract.to_text(contract.RouteTable(routes))


def test_what_the_controller_writes_is_read_line_by_line() -> None:
    assert list(read_document(written(line("a"), line("b"))).lines or ()) != []
    assert read_document(written()).lines is None


def test_a_line_that_stays_is_not_read_again() -> None:
    first = read_document(written(line("a"), line("b")))
    second = read_document(written(line("a"), line("c")), first)
    (one, _), _ = compile_table([first])[0].routes, None
    (again, other), _ = compile_table([second])[0].routes, None
    assert again is one
    assert other.name == "c"


ENTRIES = st.one_of(
    st.fixed_dictionaries(
        {
            "name": st.sampled_from("abcd"),
            "backends": st.lists(
                st.fixed_dictionaries(
                    {
                        "namespace": st.just("n"),
                        "name": st.sampled_from("xyz"),
                        "coordinatorURL": st.sampled_from(["http://x:1", "https://y", "z"]),
                    },
                    optional={"state": st.sampled_from(["RUNNING", "PAUSED", "odd"])},
                ),
                max_size=2,
            ),
        },
        optional={
            "routingGroup": st.sampled_from(["g", "h"]),
            "header": st.sampled_from(["n/x", "n/y"]),
            "headers": st.lists(st.sampled_from(["n/x", "n/z", ""]), max_size=2),
            "hostname": st.sampled_from(["a.example", "A.example:8", "b.example"]),
            "default": st.booleans(),
        },
    ),
    st.sampled_from([1, None, {}, "},\n{", {"name": "s},\n{"}]),
)
TEXTS = st.lists(ENTRIES, max_size=4).map(
    lambda entries: '{"routes": [\n' + ",\n".join(orjson.dumps(one).decode() for one in entries) + "\n]}\n"
)


@given(st.lists(st.lists(TEXTS, min_size=1, max_size=2), min_size=1, max_size=3))
def test_line_by_line_reads_what_the_whole_reads(versions: list[list[str]]) -> None:
    before: dict[int, Document] = {}
    for shards in versions:
        before = {number: read_document(text, before.get(number)) for number, text in enumerate(shards)}
        whole = [Document(parsed=orjson.loads(text)) for text in shards]
        assert compile_table(before.values()) == compile_table(whole)
        assert [document.whole() for document in before.values()] == [document.parsed for document in whole]
