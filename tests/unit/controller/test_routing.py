"""Routes: what a runtime contributes, and what a restarted controller reads back until it has planned everything."""

from __future__ import annotations

from dataclasses import replace

import orjson
from hypothesis import given, settings
from hypothesis import strategies as st

from controller.routing import entries_of, route_entry
from crds.v1.lifecycle import RouteState
from crds.v1.routes import fold, from_document, to_document
from crds.v1.shape import resolve
from tests.support.runtimes import runtime


def entry(name: str, routing=None, state: RouteState = RouteState.RUNNING):
    x = runtime({"routing": routing} if routing else {}, name=name)
    return route_entry(x, resolve(x), state)


def test_every_runtime_contributes_a_route_declared_or_not():
    made = entry("plain")
    assert made.backend.url == "http://trino-plain.team-a.svc.cluster.local:8080"
    assert made.group == "team-a--plain"


def test_a_draining_backend_takes_nothing_new():
    assert not entry("x", state=RouteState.DRAINING).backend.active


def test_manual_resume_tells_the_gateway_not_to_wake():
    x = runtime({"resumePolicy": "Manual"})
    assert route_entry(x, resolve(x), RouteState.PAUSED).backend.wakes is False


ROUTINGS = st.sampled_from(
    [
        None,
        {"hostname": "a.example.com"},
        {"hostname": "b.example.com", "default": True},
        {"header": "team-a/special"},
        {"routingGroup": "shared", "hostname": "c.example.com"},
        {"routingGroup": "shared"},
        {"capacityUnits": 7},
    ]
)


@settings(deadline=None)
@given(st.lists(st.tuples(ROUTINGS, st.sampled_from(list(RouteState))), max_size=6))
def test_the_published_table_says_enough_to_write_it_again(wanted):
    entries = {f"team-a/r{i}": entry(f"r{i}", routing, state) for i, (routing, state) in enumerate(wanted)}
    table = fold(entries.values())
    read, problems = from_document(orjson.loads(orjson.dumps(to_document(table))))
    assert problems == ()
    again = fold(entries_of(read).values())
    assert to_document(again) == to_document(table)


def test_what_is_read_back_names_every_backend():
    table = fold([entry("one"), replace(entry("two"), shared=True, group="team-a--g")])
    assert set(entries_of(table)) == {"team-a/one", "team-a/two"}
