"""Leases as values: micro-times, odd records, who may take a lease and when."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crds.client.lease_record import (
    LeaseRecord,
    Standing,
    Watcher,
    format_micro_time,
    lease_spec,
    parse_micro_time,
    released_spec,
)

NOW = datetime(2026, 1, 2, 3, 4, 5, 678, tzinfo=UTC)


def record(holder: str = "a", seconds: int = 15, renewed: datetime = NOW) -> LeaseRecord:
    return LeaseRecord.of({"spec": lease_spec(holder, seconds, renewed)})


def test_micro_time_has_six_digits_and_is_utc() -> None:
    assert format_micro_time(datetime(2026, 1, 2, tzinfo=UTC)) == "2026-01-02T00:00:00.000000Z"


@given(st.datetimes(min_value=datetime(1000, 1, 1), timezones=st.just(UTC)))  # noqa: DTZ001 - hypothesis wants it naive
def test_micro_time_round_trips(when: datetime) -> None:
    assert parse_micro_time(format_micro_time(when)) == when


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2026-01-02T03:04:05Z", datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)),
        ("2026-01-02T03:04:05.5+01:00", datetime(2026, 1, 2, 2, 4, 5, 500000, tzinfo=UTC)),
        ("2026-01-02T03:04:05.123456789Z", datetime(2026, 1, 2, 3, 4, 5, 123456, tzinfo=UTC)),
        ("2026-02-30T03:04:05Z", None),
        ("0001-01-01T00:00:00+23:59", None),
        ("yesterday", None),
        (None, None),
        (7, None),
    ],
)
def test_other_writers_times_are_read_or_ignored(text: object, expected: datetime | None) -> None:
    assert parse_micro_time(text) == expected


json_values = st.none() | st.booleans() | st.integers() | st.text(max_size=30) | st.lists(st.integers(), max_size=2)
fields = st.sampled_from(["holderIdentity", "leaseDurationSeconds", "renewTime", "acquireTime", "leaseTransitions"])


specs = st.dictionaries(fields, json_values) | json_values
metadatas = json_values | st.dictionaries(st.just("annotations"), json_values)


@given(specs, metadatas)
def test_any_lease_can_be_read(spec: Any, metadata: Any) -> None:
    read = LeaseRecord.of({"spec": spec, "metadata": metadata})
    assert read.seconds >= 0
    assert read.remaining(NOW, 2.0) >= 0


@given(st.text(max_size=40))
def test_any_time_text_is_a_time_or_nothing(text: str) -> None:
    when = parse_micro_time(text)
    assert when is None or when.tzinfo is UTC


def test_the_acquire_time_stays_while_the_holder_does() -> None:
    first = LeaseRecord.of({"spec": lease_spec("a", 15, NOW)})
    later = LeaseRecord.of({"spec": lease_spec("a", 15, NOW + timedelta(seconds=9), first)})
    assert later.acquired == first.acquired
    assert later.renewed == NOW + timedelta(seconds=9)
    assert later.transitions == 0
    taken = LeaseRecord.of({"spec": lease_spec("b", 15, NOW, later)})
    assert taken.transitions == 1
    assert taken.acquired == NOW


def test_a_duration_is_never_zero() -> None:
    assert lease_spec("a", 0.2, NOW)["leaseDurationSeconds"] == 1


def test_given_back_means_free_at_once() -> None:
    spec = released_spec(record(), NOW)
    assert (spec["holderIdentity"], spec["leaseDurationSeconds"]) == ("", 1)
    assert LeaseRecord.of({"spec": spec}).remaining(NOW, 2.0) == 0.0


def test_a_candidate_trusts_what_it_observes_not_the_written_time() -> None:
    seen = Watcher()
    ancient = record("a", renewed=NOW - timedelta(days=1))
    assert seen.look(ancient, "b", now=100.0) is Standing.HELD
    assert seen.look(ancient, "b", now=114.9) is Standing.HELD
    assert seen.look(ancient, "b", now=115.0) is Standing.FREE


def test_a_renewal_starts_the_wait_again_even_from_a_clock_that_is_wrong() -> None:
    seen = Watcher()
    seen.look(record(renewed=NOW), "b", now=0.0)
    assert seen.look(record(renewed=NOW - timedelta(hours=1)), "b", now=14.0) is Standing.HELD
    assert seen.look(record(renewed=NOW - timedelta(hours=1)), "b", now=28.0) is Standing.HELD
    assert seen.look(record(renewed=NOW - timedelta(hours=1)), "b", now=29.0) is Standing.FREE


def test_our_own_and_nobody_s_lease_can_be_taken_at_once() -> None:
    assert Watcher().look(record("b"), "b", now=0.0) is Standing.OURS
    assert Watcher().look(record(""), "b", now=0.0) is Standing.FREE


def test_a_gate_adds_the_skew_to_the_written_time() -> None:
    assert record(renewed=NOW).remaining(NOW + timedelta(seconds=16), 2.0) == pytest.approx(1.0)
    assert record(renewed=NOW).remaining(NOW + timedelta(seconds=17), 2.0) == 0.0
