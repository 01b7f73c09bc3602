"""Live queries: counted by state, gone with their last page, their cancel, their coordinator or their silence."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from gateway.routing.activity import Activity
from tests.support.routing import target

QUERY = b"20261120_101500_00007_abcde"


def test_query_moves_through_its_states_and_leaves_no_trace() -> None:
    activity, one = Activity(), target()
    activity.seen(one, QUERY, b"QUEUED", False, 0.0)
    activity.seen(one, QUERY, b"RUNNING", False, 1.0)
    assert activity.counts() == {("team/a", "group", b"RUNNING"): 1}
    assert one.queries == 1
    activity.seen(one, QUERY, b"FINISHED", True, 2.0)
    assert activity.counts() == {}
    assert one.queries == 0


def test_page_that_does_not_tell_its_state_keeps_the_last_one() -> None:
    activity, one = Activity(), target()
    activity.seen(one, QUERY, b"RUNNING", False, 0.0)
    activity.seen(one, QUERY, None, False, 1.0)
    assert activity.counts() == {("team/a", "group", b"RUNNING"): 1}


def test_query_done_with_its_first_page_is_never_live() -> None:
    activity, one = Activity(), target()
    activity.seen(one, QUERY, b"FAILED", True, 0.0)
    assert (len(activity), one.queries) == (0, 0)


def test_only_the_silent_are_swept() -> None:
    activity, one = Activity(timeout=10.0), target()
    activity.seen(one, b"old", b"RUNNING", False, 0.0)
    activity.seen(one, b"polled", b"RUNNING", False, 0.0)
    activity.seen(one, b"polled", b"RUNNING", False, 9.0)
    assert activity.sweep(10.0) == 1
    assert len(activity) == 1


def test_queries_go_with_their_coordinator() -> None:
    activity, one, other = Activity(), target("a"), target("b")
    activity.seen(one, b"1", b"RUNNING", False, 0.0)
    activity.seen(other, b"2", b"RUNNING", False, 0.0)
    activity.forget(one)
    assert activity.counts() == {("team/b", "group", b"RUNNING"): 1}


def test_a_query_follows_its_coordinator_to_another_group() -> None:
    activity, one = Activity(), target()
    activity.seen(one, QUERY, b"RUNNING", False, 0.0)
    one.group = "shared"
    assert activity.counts() == {("team/a", "shared", b"RUNNING"): 1}
    activity.seen(one, QUERY, b"FINISHED", True, 1.0)
    assert activity.counts() == {}


def test_a_response_that_outlives_its_coordinator_counts_nothing() -> None:
    activity, gone = Activity(), target()
    gone.retired = True
    activity.seen(gone, QUERY, b"RUNNING", False, 0.0)
    assert (len(activity), gone.queries) == (0, 0)


def test_a_coordinator_knows_when_it_was_last_heard_of() -> None:
    activity, one = Activity(), target()
    assert one.last_seen == 0.0
    activity.seen(one, QUERY, b"RUNNING", False, 7.0)
    activity.seen(one, QUERY, None, True, 9.0)
    assert one.last_seen == 9.0


@given(st.lists(st.tuples(st.integers(0, 5), st.booleans(), st.floats(0.0, 8.0))))
def test_nobody_is_swept_early_and_nobody_stays_long(polls: list[tuple[int, bool, float]]) -> None:
    timeout = 10.0
    activity, one, now = Activity(timeout), target(), 100.0
    last: dict[int, float] = {}  # what a list of all would say
    for number, done, pause in polls:
        now += pause
        activity.sweep(now)
        live = {int(state) for _, _, state in activity.counts()}
        assert {query for query, seen in last.items() if now - seen < timeout} <= live
        assert live <= {query for query, seen in last.items() if now - seen < timeout * 1.02}
        last = {query: last[query] for query in live}
        activity.seen(one, b"query %d" % number, b"%d" % number, done, now)
        last[number] = now
        if done:
            del last[number]
        assert one.queries == len(activity) == len(last)
