"""The routing table: one result for one set of runtimes, nobody takes another's selector, bad entries stay alone.

Plan: the built-in selector; shared groups; each conflict and who wins it; order does not matter; the document
survives a round trip, whole and in shards; a malformed entry is a problem with a place; nothing breaks the reader.
"""

import random
from datetime import UTC, datetime, timedelta

import orjson
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from crds.v1.lifecycle import RouteState
from crds.v1.routes import (
    Backend,
    RuntimeRoute,
    fold,
    from_document,
    from_documents,
    header_value,
    is_coordinator_url,
    normal_host,
    to_document,
    to_shards,
    to_text,
)

START = datetime(2026, 1, 1, tzinfo=UTC)


def runtime(namespace, name, age=0, group=None, **wishes):
    backend = Backend(namespace, name, f"http://trino-{name}.{namespace}.svc.cluster.local:8080")
    full = f"{namespace}--{group or name}"
    return RuntimeRoute(backend, full, shared=group is not None, created=START - timedelta(days=age), **wishes)


def route_of(table, name):
    return next(route for route in table.routes if route.name == name)


def test_every_runtime_answers_to_its_own_name():
    table = fold([runtime("team-a", "x")])
    (route,) = table.routes
    assert route.headers == ("team-a/x",)
    assert [backend.key for backend in route.backends] == ["team-a/x"]


def test_asking_for_the_built_in_name_changes_nothing():
    assert fold([runtime("a", "x", header="a/x")]) == fold([runtime("a", "x")])


def test_a_shared_group_pools_its_members_and_keeps_each_reachable():
    table = fold([runtime("a", "one", group="pool", hostname="p.example.com"), runtime("a", "two", group="pool")])
    pool = route_of(table, "a--pool")
    assert [backend.name for backend in pool.backends] == ["one", "two"]
    assert pool.hostname == "p.example.com"
    assert route_of(table, "a--one").headers == ("a/one",)


def test_groups_of_two_namespaces_never_mix():
    table = fold([runtime("a", "one", group="pool"), runtime("b", "two", group="pool")])
    assert [len(route_of(table, f"{ns}--pool").backends) for ns in "ab"] == [1, 1]


@pytest.mark.parametrize(
    ("wish", "attribute"),
    [({"hostname": "h.example.com"}, "hostname"), ({"header": "h"}, "headers"), ({"default": True}, "default")],
)
def test_the_elder_has_a_contested_selector_and_the_other_is_told(wish, attribute):
    young, old = runtime("a", "young", age=1, **wish), runtime("z", "old", age=2, **wish)
    table = fold([young, old])
    plain = fold([runtime("a", "young")])
    assert getattr(route_of(table, "z--old"), attribute) not in (None, False, ("z/old",))
    assert route_of(table, "a--young") == route_of(plain, "a--young")
    (conflict,) = table.conflicts
    assert (conflict.loser, conflict.winner) == ("a/young", "z/old")
    assert "a/young" in str(conflict)


def test_nobody_takes_the_built_in_name_of_another():
    table = fold([runtime("a", "thief", age=9, header="a/victim"), runtime("a", "victim")])
    assert route_of(table, "a--victim").headers == ("a/victim",)
    assert route_of(table, "a--thief").headers == ("a/thief",)
    assert table.conflicts[0].winner == "a/victim"


def test_hosts_are_compared_as_dns_does():
    table = fold([runtime("a", "x", age=2, hostname="H.Example.com:443"), runtime("a", "y", hostname="h.example.com.")])
    assert route_of(table, "a--x").hostname == "h.example.com"
    assert len(table.conflicts) == 1


def test_members_that_agree_on_a_selector_do_not_conflict():
    members = [runtime("a", n, group="pool", hostname="h", header="h", default=True) for n in ("one", "two")]
    table = fold(members)
    assert table.conflicts == ()
    assert route_of(table, "a--pool").headers == ("h",)


def test_a_group_has_one_host():
    table = fold([runtime("a", "one", 2, group="g", hostname="x"), runtime("a", "two", 1, group="g", hostname="y")])
    assert route_of(table, "a--g").hostname == "x"
    assert [conflict.selector for conflict in table.conflicts] == ["hostname y"]


def test_names_that_read_alike_stay_apart():
    table = fold([runtime("a", "b--c"), runtime("a--b", "c"), runtime("a", "pool"), runtime("a", "m", group="pool")])
    assert len({route.name for route in table.routes}) == len(table.routes) == 5
    assert len({route.group for route in table.routes}) == 5


@st.composite
def populations(draw):
    names = draw(st.lists(st.tuples(st.sampled_from("ab"), st.sampled_from("wxyz")), unique=True, max_size=8))
    return [
        runtime(
            namespace,
            name,
            draw(st.integers(0, 2)),
            draw(st.none() | st.sampled_from("gh")),
            hostname=draw(st.none() | st.sampled_from(["h1", "h2"])),
            header=draw(st.none() | st.sampled_from(["v", "a/w", "b/x"])),
            default=draw(st.booleans()),
        )
        for namespace, name in names
    ]


@given(populations(), st.randoms(use_true_random=False))
def test_the_table_depends_on_the_set_of_runtimes_only(population, rng: random.Random):
    shuffled = list(population)
    rng.shuffle(shuffled)
    assert fold(shuffled) == fold(population)


@given(populations())
def test_every_selector_has_one_route_and_the_document_says_the_same(population):
    table = fold(population)
    headers = [value for route in table.routes for value in route.headers]
    assert len(headers) == len(set(headers))
    assert {entry.backend.key for entry in population} <= set(headers)
    assert sum(route.default for route in table.routes) <= 1
    read, problems = from_document(orjson.loads(to_text(table)))
    assert problems == ()
    assert read.routes == table.routes
    assert yaml.safe_load(to_text(table)) == to_document(table)


def test_a_backend_keeps_all_its_facts():
    facts = Backend("a", "x", "http://h:1", RouteState.DRAINING, False, 7, False, "m", "v1", "abc", 3, START)
    table = fold([RuntimeRoute(facts, "a--x")])
    read, _ = from_document(to_document(table))
    assert read.routes[0].backends == (facts,)


def test_a_large_table_is_cut_into_shards_that_make_the_same_table():
    table = fold([runtime("a", f"r{index}") for index in range(300)])
    shards = to_shards(table, 10_000)
    assert len(shards) > 3
    assert all(len(shard.encode()) <= 10_000 for shard in shards)
    read, problems = from_documents([orjson.loads(shard) for shard in shards])
    assert read == table
    assert problems == ()


def test_an_empty_table_is_still_a_document():
    assert to_shards(fold([])) == ['{"routes": [], "empty": true}\n']
    assert from_document(orjson.loads(to_text(fold([])))) == (fold([]), ())


GOOD = {"name": "a", "namespace": "n", "coordinatorURL": "http://h:8080"}


@pytest.mark.parametrize(
    ("entry", "where"),
    [
        ("text", "routes[1]"),
        ({"backends": [GOOD]}, "routes[1].name"),
        ({"name": "r"}, "routes[1].backends"),
        ({"name": "r", "backends": [{"name": "a"}]}, "routes[1].backends[0]"),
        ({"name": "r", "backends": [{**GOOD, "coordinatorURL": "h:8080"}]}, "routes[1].backends[0].coordinatorURL"),
        ({"name": "r", "backends": [{**GOOD, "state": "ASLEEP"}]}, "routes[1].backends[0].state"),
        ({"name": "r", "backends": [{**GOOD, "drainUntil": "soon"}]}, "routes[1].backends[0].drainUntil"),
        ({"name": "r", "routingGroup": "first", "backends": [GOOD]}, "routes[1].routingGroup"),
        ({"name": "r", "backends": [GOOD], "header": "taken"}, "routes[1].header"),
        ({"name": "r", "backends": [GOOD], "headers": [3]}, "routes[1].headers"),
        ({"name": "r", "backends": [GOOD], "hostname": "TAKEN"}, "routes[1].hostname"),
        ({"name": "r", "backends": [GOOD], "default": True}, "routes[1].default"),
    ],
)
def test_a_wrong_entry_is_named_and_costs_no_other(entry, where):
    first = {"name": "first", "backends": [GOOD], "header": "taken", "hostname": "taken", "default": True}
    table, problems = from_document({"routes": [first, entry, {"name": "last", "backends": [GOOD]}]})
    assert {"first", "last"} <= {route.name for route in table.routes}
    assert where in [problem.where for problem in problems]


def test_a_refused_route_takes_no_selector_with_it():
    bad = {"name": "bad", "hostname": "h", "header": "h", "backends": []}
    good = {"name": "good", "hostname": "h", "header": "h", "backends": [GOOD]}
    table, _ = from_document({"routes": [bad, good]})
    assert (table.routes[0].hostname, table.routes[0].headers) == ("h", ("h",))


def test_a_state_that_nobody_knows_keeps_queries_and_takes_none():
    table, _ = from_document({"routes": [{"name": "r", "backends": [{**GOOD, "state": "NEW"}]}]})
    assert table.routes[0].backends[0].state is RouteState.DRAINING


@pytest.mark.parametrize("document", [None, [], {}, {"routes": None}, "routes: []", {"routes": {}}])
def test_what_is_no_table_is_a_problem_and_not_an_empty_table(document):
    table, problems = from_document(document)
    assert table.routes == ()
    assert problems


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                [
                    *GOOD,
                    "routes",
                    "backends",
                    "header",
                    "headers",
                    "hostname",
                    "state",
                    "default",
                    "capacityUnits",
                    "drainUntil",
                    "routingGroup",
                ]
            ),
            inner,
            max_size=5,
        )
    ),
    max_leaves=20,
)


@given(json_values, st.lists(json_values, max_size=3))
def test_no_document_makes_the_reader_fail(document, entries):
    from_document(document)
    table, _ = from_document({"routes": entries})
    assert from_document(to_document(table))[1] == ()


@pytest.mark.parametrize(
    "text", ["foo", "X-Trino-XTrinode=foo", "X-Trino-XTrinode: foo", " foo ", "X-Trino-XTrinode = foo"]
)
def test_a_header_is_written_in_three_ways(text):
    assert header_value(text) == "foo"


@given(st.from_regex(r"[A-Za-z0-9]([-A-Za-z0-9.]{0,20}[A-Za-z0-9])?", fullmatch=True), st.integers(0, 65_535))
def test_a_port_and_case_never_make_another_host(host, port):
    assert normal_host(f"{host}:{port}") == normal_host(host.upper()) == normal_host(f" {host}. ") == host.lower()


@given(st.text(max_size=60))
def test_a_header_value_is_a_stripped_part_of_what_was_written(text):
    value = header_value(text)
    assert value == value.strip()
    assert value in text


@pytest.mark.parametrize(
    ("host", "normal"),
    [("A.b", "a.b"), ("a.b:80", "a.b"), ("a.b.", "a.b"), ("[::1]:80", "[::1]"), ("::1", "::1"), ("", "")],
)
def test_a_host_is_normalised(host, normal):
    assert normal_host(host) == normal


@pytest.mark.parametrize(
    ("url", "fits"),
    [
        ("http://h", True),
        ("https://a.b:443/", True),
        ("http://[::1]:80", True),
        ("http://h:0", False),
        ("http://h:99999", False),
        ("http://u@h", False),
        ("http://h/path", False),
        ("http://h\r\nX: y", False),
        ("ftp://h", False),
        ("http://", False),
    ],
)
def test_a_coordinator_url_is_an_origin(url, fits):
    assert is_coordinator_url(url) is fits
