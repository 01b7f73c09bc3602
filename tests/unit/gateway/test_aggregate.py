"""Several workers' metrics and documents as one: sums, worsts, and counters that never go backwards."""

from __future__ import annotations

import datetime
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from prometheus_client.parser import text_string_to_metric_families

from gateway.aggregate import Totals, merge_status, read_page, readiness, worker_metrics
from gateway.exposition import escaped, head

PAGE = b"""\
# HELP gateway_requests_total Responses
# TYPE gateway_requests_total counter
gateway_requests_total{status_code="2xx"} %d
# HELP xtrinode_gateway_open_connections Open
# TYPE xtrinode_gateway_open_connections gauge
xtrinode_gateway_open_connections{side="client"} %d
# HELP xtrinode_gateway_routes_stale Stale
# TYPE xtrinode_gateway_routes_stale gauge
xtrinode_gateway_routes_stale %d
# HELP took_seconds Time
# TYPE took_seconds histogram
took_seconds_bucket{le="0.1"} %d
took_seconds_bucket{le="+Inf"} %d
took_seconds_count %d
took_seconds_sum 1.5
"""


def page(requests: int, connections: int = 0, stale: int = 0) -> bytes:
    return PAGE % (requests, connections, stale, requests, requests, requests)


def samples(totals: Totals) -> dict[str, float]:
    lines = totals.page().decode().splitlines()
    return {name: float(value) for name, _, value in (line.rpartition(" ") for line in lines if line[0] != "#")}


def test_counters_and_loads_add_up_and_states_are_the_worst() -> None:
    totals = Totals()
    totals.seen(0, read_page(page(3, 5, 0)))
    totals.seen(1, read_page(page(4, 6, 1)))
    found = samples(totals)
    assert found['gateway_requests_total{status_code="2xx"}'] == 7
    assert found['xtrinode_gateway_open_connections{side="client"}'] == 11
    assert found["xtrinode_gateway_routes_stale"] == 1
    assert found['took_seconds_bucket{le="0.1"}'] == found['took_seconds_bucket{le="+Inf"}'] == 7
    assert (found["took_seconds_count"], found["took_seconds_sum"]) == (7, 3)


def test_a_dead_worker_keeps_its_counts_and_loses_its_gauges() -> None:
    totals = Totals()
    totals.seen(0, read_page(page(3, 5)))
    totals.seen(1, read_page(page(4, 6)))
    totals.ended(1)
    totals.seen(1, read_page(page(1, 2)))
    found = samples(totals)
    assert found['gateway_requests_total{status_code="2xx"}'] == 8
    assert found['xtrinode_gateway_open_connections{side="client"}'] == 7


def test_a_worker_that_does_not_answer_keeps_its_counts() -> None:
    totals = Totals()
    totals.seen(0, read_page(page(3, 5)))
    totals.unheard(0)
    assert samples(totals)['gateway_requests_total{status_code="2xx"}'] == 3
    assert 'xtrinode_gateway_open_connections{side="client"}' not in samples(totals)


@given(
    st.lists(st.tuples(st.integers(0, 2), st.sampled_from(["more", "dies", "silent"]), st.integers(0, 50)), max_size=30)
)
def test_counters_never_go_back(story: list[tuple[int, str, int]]) -> None:
    totals, counted, before = Totals(), [0, 0, 0], 0.0
    for worker, what, more in story:
        if what == "dies":
            totals.ended(worker)
            counted[worker] = 0
        elif what == "silent":
            totals.unheard(worker)
        else:
            counted[worker] += more
            totals.seen(worker, read_page(page(counted[worker])))
        now = samples(totals).get('gateway_requests_total{status_code="2xx"}', 0.0)
        assert now >= before
        before = now


def test_the_page_is_a_valid_exposition_with_each_family_once() -> None:
    totals = Totals()
    totals.seen(0, read_page(page(3)))
    text = totals.page(worker_metrics(2, 1, 0)).decode()
    helps = [line for line in text.splitlines() if line.startswith("# TYPE ")]
    assert len(helps) == len(set(helps)) == 7
    assert set(read_page(text.encode())) >= {"gateway_requests_total", "xtrinode_gateway_workers"}
    assert {family.name for family in text_string_to_metric_families(text)} >= {"gateway_requests", "took_seconds"}


VALUES = st.floats() | st.integers(-5, 5).map(float)


@given(st.dictionaries(st.text('ab\\"\n {}=,é', max_size=6), VALUES, max_size=4))
def test_any_label_and_value_goes_through_as_the_library_reads_it(written: dict[str, float]) -> None:
    lines = [f'size{{of="{escaped(label)}"}} {value!r}\n' for label, value in written.items()]
    totals = Totals()
    totals.seen(0, read_page((head("size", "gauge", "Size") + "".join(lines)).encode()))
    (family,) = text_string_to_metric_families(totals.page().decode())
    found = {sample.labels["of"]: sample.value for sample in family.samples}
    assert {label: repr(value) for label, value in found.items()} == {k: repr(v) for k, v in written.items()}


@given(st.binary() | st.text('# HELPTYPE a{}="\n 1.5').map(str.encode))
def test_any_page_is_read_or_refused(page: bytes) -> None:
    try:
        found = read_page(page)
    except ValueError:
        return
    totals = Totals()
    totals.seen(0, found)
    assert sum(len(family.samples) for family in read_page(totals.page()).values()) == sum(
        len(family.samples) for family in found.values()
    )


def test_ready_is_when_all_are() -> None:
    assert readiness([None, None]) is None
    assert readiness([None, "no routes loaded yet"]) == "worker 1: no routes loaded yet"


def status(live: int, inflight: int, health: str, circuit: str, stale: bool) -> dict[str, Any]:
    coordinator = {
        "address": "10.0.0.1:8080",
        "coordinatorId": None,
        "inflightRequests": inflight,
        "liveQueries": live,
        "health": {"state": health},
        "circuitBreaker": {"state": circuit},
    }
    one = {"namespace": "team", "name": "a", "coordinators": [coordinator]}
    routes = [{"name": name, "backends": [one]} for name in ("r1", "r2")]
    return {
        "summary": {"routes": 2, "liveQueries": live, "inflightRequests": inflight},
        "reload": {"stale": stale, "ageSeconds": 1.0, "reason": "why" if stale else ""},
        "routes": routes,
    }


def test_documents_fold_into_one_that_shows_the_worst() -> None:
    now = datetime.datetime(2026, 11, 20, tzinfo=datetime.UTC)
    workers = [{"index": 0}, {"index": 1}]
    merged = merge_status(
        [status(1, 2, "healthy", "closed", False), status(3, 4, "sleeping", "open", True)], workers, now
    )
    assert merged["summary"]["liveQueries"] == 4
    assert merged["summary"]["sleepingCoordinators"] == merged["summary"]["openCircuits"] == 1
    assert merged["reload"]["reason"] == "why"
    for route in merged["routes"]:  # a runtime in two routes is counted once, and looks the same in both
        (coordinator,) = route["backends"][0]["coordinators"]
        assert (coordinator["liveQueries"], coordinator["inflightRequests"]) == (4, 6)
        assert (coordinator["health"]["state"], coordinator["circuitBreaker"]["state"]) == ("sleeping", "open")


def test_no_worker_that_answers_is_an_honest_document() -> None:
    merged = merge_status([], [{"index": 0, "state": "dead"}], datetime.datetime(2026, 11, 20, tzinfo=datetime.UTC))
    assert merged["routes"] == []
    assert merged["workers"] == [{"index": 0, "state": "dead"}]
