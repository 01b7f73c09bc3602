"""The metrics page as a scraper reads it: one page, each family once, and numbers that mean what they say."""

from __future__ import annotations

from prometheus_client.parser import text_string_to_metric_families

from gateway.metrics import GatewayMetrics
from gateway.proxy.counters import Counters
from gateway.route_watch import RouteStatus
from gateway.routing.model import BackendState, Outcome
from gateway.routing.router import Router
from tests.support.routing import backend, route, router

QUERY = b"20261120_101500_00007_abcde"


async def samples(made: Router, counters: Counters, status: RouteStatus | None = None) -> dict[str, dict[str, float]]:
    """Values by sample name and labels."""
    page = await GatewayMetrics(counters, made, status or RouteStatus(), lambda: 100.0).page()
    found: dict[str, dict[str, float]] = {}
    names = set()
    for family in text_string_to_metric_families(page.decode()):
        assert family.name not in names
        names.add(family.name)
        for sample in family.samples:
            labels = ",".join(f"{key}={value}" for key, value in sorted(sample.labels.items()))
            found.setdefault(sample.name, {})[labels] = sample.value
    return found


async def test_every_runtime_tells_its_live_queries_also_one_that_sleeps() -> None:
    made = router(
        route(backend("a")), route(backend("b", BackendState.PAUSED), name="other"), addresses={"a": [("::1", 1)]}
    )
    (target,) = made.targets()
    made.query_seen(target, QUERY, b"RUNNING", False, 0.0)
    assert (await samples(made, Counters()))["xtrinode_gateway_inflight_queries"] == {
        "namespace=team,routing_group=group,state=RUNNING,xtrinode=a": 1,
        "namespace=team,routing_group=other,state=RUNNING,xtrinode=b": 0,
    }


async def test_the_histogram_of_a_runtime_is_cumulative_and_complete() -> None:
    counters = Counters()
    one = counters.backend("team/a")
    one.outcomes[Outcome.OK] = 6
    one.first_byte[0], one.first_byte[7], one.first_byte[-1] = 1, 2, 3
    one.first_byte_sum = 1.5
    found = await samples(Router(), counters)
    buckets = list(found["xtrinode_gateway_backend_first_byte_seconds_bucket"].values())
    assert buckets == sorted(buckets)
    assert (buckets[0], buckets[-1]) == (1, 6)
    where = "namespace=team,xtrinode=a"
    assert found["xtrinode_gateway_backend_first_byte_seconds_count"][where] == 6
    assert found["xtrinode_gateway_backend_first_byte_seconds_sum"][where] == 1.5
    assert found["xtrinode_gateway_backend_requests_total"] == {"namespace=team,outcome=ok,xtrinode=a": 6}


async def test_label_values_of_any_kind_come_through() -> None:
    made = router(route(backend("a"), name='odd "name" \\ here'))
    (labels,) = (await samples(made, Counters()))["xtrinode_gateway_inflight_queries"]
    assert 'routing_group=odd "name" \\ here' in labels


async def test_stale_routes_are_a_number() -> None:
    status = RouteStatus(errors={"trino-gateway-routes": "broken"}, refused_documents=2, loaded_at=40.0)
    found = await samples(Router(), Counters(), status)
    assert found["xtrinode_gateway_routes_stale"][""] == 1
    assert found["xtrinode_gateway_routes_age_seconds"][""] == 60
    assert found["xtrinode_gateway_routes_refused_total"]["reason=invalid"] == 2
