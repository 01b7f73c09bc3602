"""The router as the proxy and the shells use it: decisions, reloads that keep what is alive, owners, pins."""

from __future__ import annotations

from gateway.routing.model import BackendState, Candidates, Health, Outcome, Refusal, RefusalKind, RouteTable, Target
from gateway.routing.router import Router
from tests.support.routing import backend, route, router

QUERY = b"20261120_101500_00007_abcde"


def only(made: Router) -> Target:
    (found,) = made.targets()
    return found


def test_statement_is_matched_and_given_to_a_coordinator() -> None:
    made = router(route(backend("a"), selectors=(b"team/a",)))
    matched = made.match(b"gateway", b"team/a")
    assert not isinstance(matched, Refusal)
    assert made.choose(matched, 0.0) is only(made)


def test_reload_keeps_targets_whose_address_stays() -> None:
    made = router(route(backend("a")))
    before, epoch = only(made), made.epoch
    before.queries = 3
    made.load(RouteTable.of((route(backend("a", BackendState.DRAINING)),)))
    assert only(made) is before
    assert made.epoch > epoch


def test_address_that_leaves_retires_its_target_and_its_queries() -> None:
    made = router(route(backend("a")))
    gone = only(made)
    made.learned(QUERY, gone)
    made.query_seen(gone, QUERY, b"RUNNING", False, 0.0)
    made.set_addresses(gone_service(made), [("127.0.0.9", 8080)])
    assert gone.retired
    refused = made.owner(QUERY, 0.0)
    assert isinstance(refused, Refusal)
    assert refused.kind is RefusalKind.COORDINATOR_GONE
    assert len(made.activity) == 0


def gone_service(made: Router):
    (service,) = made.services()
    return service


def test_draining_backend_keeps_its_queries() -> None:
    made = router(route(backend("a", BackendState.DRAINING)))
    made.learned(QUERY, only(made))
    assert made.owner(QUERY, 0.0) is only(made)
    assert isinstance(made.choose(made.table.routes[0], 0.0), Refusal)


def test_unknown_query_names_the_candidates_once_per_search() -> None:
    made = router(route(backend("a"), backend("b")))
    found = made.owner(QUERY, 0.0)
    assert isinstance(found, Candidates)
    assert len(found.targets) == 2
    made.not_found(QUERY, 0.0)
    assert isinstance(made.owner(QUERY, 1.0), Refusal)


def test_restart_seen_by_a_probe_ends_the_queries_of_the_old_process() -> None:
    made = router(route(backend("a")))
    one = only(made)
    made.learned(QUERY, one)
    made.query_seen(one, QUERY, b"RUNNING", False, 0.0)
    made.identified(one, b"fghij")
    assert isinstance(made.owner(QUERY, 0.0), Refusal)
    assert one.queries == 0


def test_failures_open_the_circuit_and_aborts_do_not() -> None:
    made = router(route(backend("a")))
    one = only(made)
    for _ in range(20):
        made.end(one, Outcome.CLIENT_ABORT, made.begin(one, 0.0), 0.0)
    assert one.circuit.allows(0.0)
    for _ in range(5):
        made.end(one, Outcome.CONNECT_FAILED, made.begin(one, 0.0), 0.0)
    assert not one.circuit.allows(0.0)
    assert one.inflight == 0


def test_complete_response_clears_a_stale_verdict_of_the_probes() -> None:
    made = router(route(backend("a")))
    one = only(made)
    one.health = Health.SLEEPING
    made.end(one, Outcome.OK, made.begin(one, 0.0), 0.0)
    assert one.health is Health.UNKNOWN


def test_pin_holds_until_it_expires_or_its_target_is_gone() -> None:
    made = router(route(backend("a")))
    one = only(made)
    made.pin(b"tx-1", one, 0.0)
    assert made.pinned(b"tx-1", 10.0) is one
    assert made.pinned(b"tx-1", 4000.0) is None
    made.pin(b"tx-2", one, 4000.0)
    made.load(RouteTable())
    assert made.pinned(b"tx-2", 4001.0) is None


def test_runtime_in_two_routes_has_one_set_of_targets() -> None:
    one = backend("a")
    made = router(route(one, name="r1"), route(one, name="r2", default=True))
    assert len(made.targets()) == 1


def test_circuit_that_others_closed_during_a_probe_can_be_probed_again() -> None:
    made = router(route(backend("a")))
    one = only(made)

    def fail(now: float) -> None:
        for _ in range(5):
            made.end(one, Outcome.RESET, made.begin(one, now), now)

    fail(0.0)
    probe = made.begin(one, 10.0)
    assert probe
    for _ in range(2):  # sent all the same, since there is no other target
        made.end(one, Outcome.OK, made.begin(one, 10.0), 10.0)
    made.end(one, Outcome.OK, probe, 10.0)
    fail(100.0)
    assert one.circuit.allows(200.0)
