"""The coordinator's query list: what counts as live, what counts as the last activity, and no input that breaks it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from controller.queries import UnreadableQueries, read_activity

NOW = datetime(2026, 1, 31, 12, 0, tzinfo=UTC)


def activity(*entries: object):
    return read_activity(orjson.dumps(entries), NOW)


def test_finished_and_failed_queries_are_over_whatever_their_spelling():
    seen = activity({"queryId": "a", "state": "FINISHED"}, {"queryId": "b", "state": " failed "})
    assert seen.live == ()


@pytest.mark.parametrize("state", ["QUEUED", "RUNNING", "FINISHING", "SOMETHING_NEW", None, 7])
def test_any_other_state_is_live_and_so_is_an_unreadable_one(state):
    assert activity({"queryId": "a", "state": state}).live == ("a",)


def test_the_end_of_a_short_query_is_remembered_as_activity():
    seen = activity(
        {"queryId": "a", "state": "FINISHED", "queryStats": {"endTime": "2026-01-31T11:58:00.123Z"}},
        {"queryId": "b", "state": "FINISHED", "queryStats": {"endTime": "2026-01-31T11:00:00Z"}},
    )
    assert seen.newest == datetime(2026, 1, 31, 11, 58, 0, 123000, tzinfo=UTC)


def test_a_live_query_is_active_now():
    assert activity({"queryId": "a", "state": "RUNNING"}).newest == NOW


def test_a_time_in_the_future_counts_as_now():
    later = (NOW + timedelta(hours=1)).isoformat()
    assert activity({"queryId": "a", "state": "FINISHED", "queryStats": {"endTime": later}}).newest == NOW


def test_an_empty_list_means_idle_since_nobody_knows_when():
    seen = activity()
    assert (seen.live, seen.newest) == ((), None)


@pytest.mark.parametrize("body", [b"", b"<html>", b"{}", b'"x"', b"[1"])
def test_anything_but_a_list_is_refused(body):
    with pytest.raises(UnreadableQueries):
        read_activity(body, NOW)


@settings(deadline=None)
@given(
    st.binary(max_size=40)
    | st.recursive(
        st.none() | st.booleans() | st.text(max_size=4) | st.integers(-9, 9),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(st.sampled_from(["state", "queryId", "queryStats", "endTime"]), inner, max_size=3)
        ),
        max_leaves=8,
    ).map(orjson.dumps)
)
def test_no_answer_breaks_the_reader(body):
    try:
        seen = read_activity(body, NOW)
    except UnreadableQueries:
        return
    assert seen.newest is None or seen.newest <= NOW
