"""Suspension: every drain ends, nothing is stopped under a query that may live, idle is never guessed, and commands
by annotation have one winner."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from controller.observed import Activity, Endpoint, Observed, Pod, Role
from controller.suspension import Command, Verdict, decide_drain, decide_idle, idle_since, take_commands
from crds.v1 import meta

NOW = datetime(2026, 1, 31, 12, 0, tzinfo=UTC)
HOUR = timedelta(hours=1)
UP = (Endpoint("127.0.0.1", 8080, ready=True),)


def drain(observed: Observed, *, started: datetime = NOW, cancel: bool = False):
    return decide_drain(observed, started=started, now=NOW, timeout=HOUR, cancel=cancel)


def busy(**changes) -> Observed:
    given_ = {"endpoints": UP, "route_settled": True, "activity": Activity(live=("q1", "q2"))} | changes
    return Observed(**given_)


def test_without_a_coordinator_there_is_nothing_to_wait_for():
    assert drain(Observed()).verdict is Verdict.EMPTY


def test_workers_that_are_up_do_not_hold_back_the_restart_of_a_coordinator_that_is_not():
    workers = (Pod("w-1", Role.WORKER, ready=True), Pod("w-2", Role.WORKER, ready=True))
    crashing = Pod("c-1", Role.COORDINATOR, ready=False)
    assert drain(Observed(pods=(*workers, crashing))).verdict is Verdict.EMPTY


def test_a_coordinator_that_was_up_and_is_too_busy_for_its_probe_still_has_its_queries():
    """Readiness comes and goes; only a container that ended has lost them."""
    unready = Pod("c-1", Role.COORDINATOR, ready=False, came_up=True)
    observed = Observed(pods=(unready,), endpoints=(), route_settled=True)
    assert drain(observed).verdict is Verdict.WAIT
    assert drain(observed, started=NOW - HOUR).verdict is Verdict.EMPTY


def test_who_wants_queries_cancelled_does_not_wait_for_a_coordinator_that_cannot_be_asked():
    assert drain(busy(activity=Activity(error="answered 401")), cancel=True).verdict is Verdict.EMPTY
    assert drain(busy(activity=None), cancel=True).verdict is Verdict.WAIT  # it will be asked
    unready = (Pod("c-1", Role.COORDINATOR, came_up=True),)
    assert drain(busy(endpoints=(), pods=unready, activity=None), cancel=True).verdict is Verdict.EMPTY


def test_what_a_drain_says_stays_the_same_while_nothing_changes():
    for observed in (busy(), busy(activity=Activity(error="answered 401"))):
        said = {
            decide_drain(observed, started=NOW, now=NOW + timedelta(seconds=passed), timeout=HOUR, cancel=False).message
            for passed in range(0, 3600, 7)
        }
        assert len(said) == 1
        assert "2026-01-31T13:00:00Z" in said.pop()


def test_no_stop_before_the_gateways_know_even_if_no_query_lives():
    assert drain(busy(route_settled=False, activity=Activity())).verdict is Verdict.WAIT


def test_live_queries_are_waited_for_and_named():
    found = drain(busy())
    assert found.verdict is Verdict.WAIT
    assert "q1, q2" in found.message
    assert "drainPolicy" in found.message


def test_no_live_query_ends_the_drain():
    assert drain(busy(activity=Activity())).verdict is Verdict.EMPTY


def test_the_timeout_cancels_what_still_lives():
    found = drain(busy(), started=NOW - HOUR)
    assert (found.verdict, found.live) == (Verdict.CANCEL, ("q1", "q2"))


def test_the_cancel_policy_does_not_wait():
    assert drain(busy(), cancel=True).verdict is Verdict.CANCEL


def test_a_coordinator_that_cannot_be_asked_counts_as_busy_until_the_timeout():
    unknown = busy(activity=Activity(error="answered 401"))
    waiting = drain(unknown)
    assert waiting.verdict is Verdict.WAIT
    assert "answered 401" in waiting.message
    assert drain(unknown, started=NOW - HOUR).verdict is Verdict.EMPTY


@settings(deadline=None)
@given(
    endpoints=st.sampled_from([(), UP]),
    settled=st.booleans(),
    activity=st.sampled_from([None, Activity(), Activity(live=("q",)), Activity(error="down")]),
    ready_pod=st.booleans(),
    came_up=st.booleans(),
    cancel=st.booleans(),
)
def test_every_drain_has_ended_when_its_timeout_has_passed(endpoints, settled, activity, ready_pod, came_up, cancel):
    pods = (Pod("p", Role.COORDINATOR, ready=ready_pod, came_up=came_up),)
    observed = Observed(endpoints=endpoints, pods=pods, route_settled=settled, activity=activity)
    assert drain(observed, started=NOW - HOUR, cancel=cancel).verdict is not Verdict.WAIT


@settings(deadline=None)
@given(settled=st.booleans(), activity=st.sampled_from([None, Activity(live=("q",)), Activity(error="down")]))
def test_nothing_is_stopped_early_under_queries_that_may_live(settled, activity):
    observed = Observed(endpoints=UP, route_settled=settled, activity=activity)
    assert drain(observed).verdict is Verdict.WAIT


def test_idle_is_due_only_when_the_coordinator_was_asked():
    long_ago = NOW - HOUR
    five = timedelta(minutes=5)
    assert decide_idle(long_ago, after=five, now=NOW, asked=True).due
    assert not decide_idle(long_ago, after=five, now=NOW, asked=False).due
    assert decide_idle(long_ago, after=five, now=NOW, asked=False).check_after == 0.0


def test_zero_means_never_idle():
    found = decide_idle(NOW - HOUR, after=timedelta(), now=NOW, asked=True)
    assert (found.due, found.check_after) == (False, None)


def test_the_next_look_is_when_idleness_may_be_reached():
    found = decide_idle(NOW - timedelta(minutes=2), after=timedelta(minutes=5), now=NOW, asked=False)
    assert (found.due, found.check_after) == (False, 180.0)


def test_time_asleep_is_not_idle_time():
    started = NOW - timedelta(seconds=10)
    observed = Observed(pods=(Pod("p", Role.COORDINATOR, started=started),), last_active=NOW - HOUR)
    assert idle_since(observed, known=NOW - 2 * HOUR) == started


def commanded(**annotations: str) -> dict[str, str]:
    return {getattr(meta, key): value for key, value in annotations.items()}


def test_no_command_changes_nothing():
    taken = take_commands(commanded())
    assert (taken.command, taken.consumed, taken.suspended) == (None, (), None)


@pytest.mark.parametrize(
    ("annotations", "winner"),
    [
        ({"RESUME_REQUESTED": "true"}, Command.RESUME),
        ({"SUSPEND_REQUESTED": "true"}, Command.SUSPEND),
        ({"AUTO_SUSPEND_REQUESTED": "true"}, Command.AUTO_SUSPEND),
        ({"RESUME_REQUESTED": "true", "AUTO_SUSPEND_REQUESTED": "true"}, Command.RESUME),
        ({"SUSPEND_REQUESTED": "true", "AUTO_SUSPEND_REQUESTED": "true"}, Command.SUSPEND),
        ({"RESUME_REQUESTED": "true", "SUSPEND_REQUESTED": "true"}, Command.SUSPEND),
        ({"RESUME_REQUESTED": "yes", "SUSPEND_REQUESTED": "true"}, Command.SUSPEND),
        (
            {
                "RESUME_REQUESTED": "true",
                "RESUME_REQUESTED_AT": "2026-01-31T12:00:01Z",
                "SUSPEND_REQUESTED": "true",
                "SUSPEND_REQUESTED_AT": "2026-01-31T12:00:00Z",
            },
            Command.RESUME,
        ),
        (
            {
                "RESUME_REQUESTED": "true",
                "RESUME_REQUESTED_AT": "garbage",
                "SUSPEND_REQUESTED": "true",
                "SUSPEND_REQUESTED_AT": "2026-01-31T12:00:00Z",
            },
            Command.SUSPEND,
        ),
    ],
)
def test_of_several_commands_one_wins_and_all_are_consumed(annotations, winner):
    taken = take_commands(commanded(**annotations))
    assert taken.command is winner
    left = {getattr(meta, key) for key, value in annotations.items() if value == "true"} - set(taken.consumed)
    assert not left


def test_a_suspend_that_wins_takes_the_wake_wishes_with_it_and_a_resume_keeps_them():
    wishes = {"WAKE_MIN_WORKERS": "2", "WAKE_TTL": "1m"}
    suspended = take_commands(commanded(SUSPEND_REQUESTED="true", **wishes))
    assert {meta.WAKE_MIN_WORKERS, meta.WAKE_TTL} <= set(suspended.consumed)
    resumed = take_commands(commanded(RESUME_REQUESTED="true", **wishes))
    assert not {meta.WAKE_MIN_WORKERS, meta.WAKE_TTL} & set(resumed.consumed)
