"""Stepping up Locust's users: what a step showed, when there is another one, and why the last was the last."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from bench.gateway.steps import Counted, Settings, Step, between, decide, limit, percentiles, plateau

SETTINGS = Settings(file="f", pids=[], start=10, factor=1.5, most=100, seconds=5)


def step(users: int, rps: float, cores: float = 0.5, waiting: float = 0.0) -> Step:
    return Step(users, rps, 0, cores, waiting, 0.1, 50.0, {})


def test_first_step_has_the_users_to_start_with() -> None:
    assert decide([], SETTINGS) == 10


def test_next_step_has_more_users_up_to_the_most() -> None:
    assert decide([step(20, 100)], SETTINGS) == 30
    assert decide([step(90, 100)], SETTINGS) == 100
    assert decide([step(1, 100)], SETTINGS) == 2


def test_locust_at_a_whole_core_ends_it() -> None:
    steps = [step(20, 100, cores=0.97)]
    assert decide(steps, SETTINGS) is None
    assert "Locust" in limit(steps, SETTINGS)


def test_a_machine_that_does_other_work_ends_it_and_is_named() -> None:
    steps = [step(20, 100, cores=0.3, waiting=0.66)]
    assert decide(steps, SETTINGS) is None
    assert "something else ran there" in limit(steps, SETTINGS)


def test_the_most_users_end_it() -> None:
    assert decide([step(100, 100)], SETTINGS) is None
    assert "100 users that were allowed" in limit([step(100, 100)], SETTINGS)


def test_two_steps_that_bring_nothing_end_it() -> None:
    steps = [step(10, 100), step(15, 101), step(22, 102)]
    assert decide(steps, SETTINGS) is None
    assert "not Locust" in limit(steps, SETTINGS)
    assert not plateau(steps[:2])
    assert not plateau([step(10, 100), step(15, 101), step(22, 140)])


def test_a_step_counts_only_what_happened_in_it() -> None:
    before = Counted(10.0, 100, 1, {"page": {5: 100}}, 3.0, 0.5, 2.0)
    after = Counted(20.0, 300, 3, {"page": {5: 150, 9: 50}, "submit": {100: 100}}, 8.0, 1.5, 4.0)
    found = between(7, before, after)
    assert (found.users, found.rps, found.failures, found.locust_cores) == (7, 20.0, 2, 0.5)
    assert found.locust_waiting == 0.1
    assert (found.gateway_cores, found.gateway_us_per_request) == (0.2, 10_000.0)
    assert found.latency_ms["page"] == {"p50": 5, "p95": 9, "p99": 9}
    assert found.latency_ms["all"] == {"p50": 9, "p95": 100, "p99": 100}


@given(st.dictionaries(st.integers(0, 10_000), st.integers(1, 1000), min_size=1))
def test_percentiles_rise_and_are_values_that_were_seen(times: dict[int, int]) -> None:
    found = percentiles(times)
    assert found["p50"] <= found["p95"] <= found["p99"] <= max(times)
    assert set(found.values()) <= set(times)


def test_percentiles_of_nothing() -> None:
    assert percentiles({}) == {}
