"""Which coordinator takes a new statement: least load per capacity, healthy first, open when all are in doubt."""

from __future__ import annotations

import random

import pytest

from gateway.routing.choose import choose
from gateway.routing.circuit import Verdict
from gateway.routing.model import BackendState, Health, Refusal, RefusalKind, Target
from tests.support.routing import backend, route, target

RANDOM = random.Random(7)


def pick(route_, *targets: Target) -> Target | Refusal:
    by_key: dict[str, list[Target]] = {}
    for one in targets:
        by_key.setdefault(one.key, []).append(one)
    return choose(route_, by_key, 0.0, RANDOM)


def break_circuit(one: Target) -> None:
    for _ in range(5):
        one.circuit.end(Verdict.FAILURE, one.circuit.begin(0.0), 0.0)


def test_least_loaded_wins() -> None:
    busy, idle = target("a", load=3), target("b", load=1)
    assert pick(route(backend("a"), backend("b")), busy, idle) is idle


def test_load_is_judged_per_capacity_unit() -> None:
    small, large = target("a", load=1), target("b", load=3)
    assert pick(route(backend("a", capacity=1), backend("b", capacity=4)), small, large) is large


def test_equal_targets_share_the_work() -> None:
    first, second = target("a"), target("b")
    picked = {id(pick(route(backend("a"), backend("b")), first, second)) for _ in range(50)}
    assert picked == {id(first), id(second)}


@pytest.mark.parametrize("health", [Health.STARTING, Health.UNHEALTHY, Health.SLEEPING])
def test_unfit_target_is_passed_over_even_when_idle(health: Health) -> None:
    unfit, busy = target("a"), target("b", load=9)
    unfit.health = health
    assert pick(route(backend("a"), backend("b")), unfit, busy) is busy


def test_open_circuit_is_passed_over() -> None:
    broken, busy = target("a"), target("b", load=9)
    break_circuit(broken)
    assert pick(route(backend("a"), backend("b")), broken, busy) is busy


def test_when_all_are_in_doubt_the_request_goes_out_all_the_same() -> None:
    broken, sick = target("a"), target("b", load=1)
    break_circuit(broken)
    sick.health = Health.UNHEALTHY
    assert pick(route(backend("a"), backend("b")), broken, sick) is broken


def test_starting_coordinator_is_the_last_resort() -> None:
    starting, sick = target("a"), target("b", load=9)
    starting.health, sick.health = Health.STARTING, Health.UNHEALTHY
    assert pick(route(backend("a"), backend("b")), starting, sick) is sick


@pytest.mark.parametrize(
    ("states", "kind"),
    [
        ([BackendState.PAUSED], RefusalKind.PAUSED),
        ([BackendState.PAUSED, BackendState.RESUMING], RefusalKind.RESUMING),
        ([BackendState.DRAINING], RefusalKind.DRAINING),
        ([BackendState.RUNNING], RefusalKind.UNAVAILABLE),
    ],
)
def test_refusal_names_the_state_that_matters(states: list[BackendState], kind: RefusalKind) -> None:
    refused = pick(route(*(backend(f"b{number}", state) for number, state in enumerate(states))))
    assert isinstance(refused, Refusal)
    assert refused.kind is kind


def test_paused_refusal_says_what_to_type() -> None:
    refused = pick(route(backend("a", BackendState.PAUSED)))
    assert isinstance(refused, Refusal)
    assert "kubectl xtrinode resume a -n team" in refused.message


def test_inactive_backend_takes_no_work() -> None:
    assert isinstance(pick(route(backend("a", active=False)), target("a")), Refusal)
