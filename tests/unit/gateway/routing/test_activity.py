"""Live queries: counted by state, gone with their last page, their cancel, their coordinator or their silence."""

from __future__ import annotations

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
