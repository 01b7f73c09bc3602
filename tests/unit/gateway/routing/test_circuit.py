"""The circuit breaker: opens on a window of failures, backs off, probes one at a time, never leaks the probe."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.routing.circuit import Circuit, CircuitSettings, State, Verdict

SETTINGS = CircuitSettings(jitter=0.0)


def circuit() -> Circuit:
    return Circuit(SETTINGS, random.Random(1))


def send(breaker: Circuit, verdict: Verdict, now: float, times: int = 1) -> None:
    for _ in range(times):
        breaker.end(verdict, breaker.begin(now), now)


def opened() -> Circuit:
    breaker = circuit()
    send(breaker, Verdict.FAILURE, 0.0, 5)
    return breaker


def test_opens_at_the_fifth_failure_in_the_window() -> None:
    breaker = circuit()
    send(breaker, Verdict.FAILURE, 0.0, 4)
    assert breaker.state is State.CLOSED
    send(breaker, Verdict.FAILURE, 1.0)
    assert breaker.state is State.OPEN


def test_failures_that_left_the_window_do_not_count() -> None:
    breaker = circuit()
    send(breaker, Verdict.FAILURE, 0.0, 4)
    send(breaker, Verdict.FAILURE, 11.0, 4)
    assert breaker.state is State.CLOSED


def test_stays_closed_while_most_requests_succeed() -> None:
    breaker = circuit()
    send(breaker, Verdict.SUCCESS, 0.0, 20)
    send(breaker, Verdict.FAILURE, 0.0, 8)
    assert breaker.state is State.CLOSED


@pytest.mark.parametrize(("overloads", "state"), [(14, State.CLOSED), (15, State.OPEN)])
def test_overload_weighs_a_third(overloads: int, state: State) -> None:
    breaker = circuit()
    send(breaker, Verdict.OVERLOAD, 0.0, overloads)
    assert breaker.state is state


def test_client_aborts_never_open_it() -> None:
    breaker = circuit()
    send(breaker, Verdict.NOTHING, 0.0, 100)
    assert breaker.state is State.CLOSED


def test_half_open_lets_one_probe_through() -> None:
    breaker = opened()
    assert not breaker.allows(4.9)
    assert breaker.allows(5.0)
    assert breaker.begin(5.0)
    assert not breaker.allows(5.0)
    assert not breaker.begin(5.0)


def test_probe_slot_is_given_back_whatever_the_outcome() -> None:
    breaker = opened()
    breaker.end(Verdict.NOTHING, breaker.begin(5.0), 5.0)
    assert breaker.allows(5.0)


def test_two_good_probes_close_it() -> None:
    breaker = opened()
    send(breaker, Verdict.SUCCESS, 5.0, 2)
    assert breaker.state is State.CLOSED


def test_failed_probe_doubles_the_pause_up_to_the_limit() -> None:
    breaker = opened()
    now, pauses = 0.0, []
    for _ in range(6):
        pauses.append(breaker.retry_in(now))
        now += pauses[-1]
        send(breaker, Verdict.FAILURE, now)
    assert pauses == [5.0, 10.0, 20.0, 40.0, 60.0, 60.0]


def test_request_sent_through_an_open_circuit_is_no_probe() -> None:
    breaker = opened()
    assert not breaker.begin(1.0)
    breaker.end(Verdict.SUCCESS, False, 1.0)
    assert breaker.state is State.OPEN


@given(st.lists(st.tuples(st.sampled_from(list(Verdict)), st.floats(0, 20))))
def test_it_always_recovers_once_the_target_does(history: list[tuple[Verdict, float]]) -> None:
    breaker, now = circuit(), 0.0
    for verdict, pause in history:
        now += pause
        send(breaker, verdict, now)
    for _ in range(3):
        now += SETTINGS.open_for_max
        assert breaker.allows(now)
        send(breaker, Verdict.SUCCESS, now)
    assert breaker.state is State.CLOSED


@given(st.lists(st.tuples(st.sampled_from([Verdict.SUCCESS, Verdict.OVERLOAD, Verdict.FAILURE]), st.floats(0, 3))))
def test_the_short_way_of_a_success_counts_as_the_long_one(history: list[tuple[Verdict, float]]) -> None:
    short, long, now = circuit(), circuit(), 50.0
    for verdict, pause in history:
        now += pause
        probe = (short.begin(now), long.begin(now))
        assert probe[0] == probe[1]
        long.end(verdict, probe[1], now)
        if verdict is Verdict.SUCCESS and short.state is State.CLOSED:
            short.succeeded(now)
        else:
            short.end(verdict, probe[0], now)
        assert (short.state, short.retry_in(now)) == (long.state, long.retry_in(now))
