"""Retries: the table of what may be sent again, the pauses, `Retry-After`, and the rate limit."""

from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crds.client.errors import ApiError, error_class
from crds.client.retry import ONCE, Repeat, RetryPolicy, backoff, parse_retry_after

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
POLICY = RetryPolicy(attempts=3, base=1.0, cap=8.0, patience=30.0)


def failure(status: int, retry_after: float | None = None) -> ApiError:
    return error_class(status)(status, "", "m", retry_after=retry_after)


@pytest.mark.parametrize("status", [0, 429, 500, 502, 503, 504])
def test_reads_are_repeated(status: int) -> None:
    assert POLICY.pause(1, failure(status), Repeat.ANY, sent=True) is not None


@pytest.mark.parametrize("status", [400, 401, 403, 404, 409, 410, 422, 501])
def test_answers_are_final(status: int) -> None:
    for repeat in Repeat:
        assert POLICY.pause(1, failure(status), repeat, sent=True) is None


@pytest.mark.parametrize(
    ("status", "sent", "again"), [(0, False, True), (429, True, True), (0, True, False), (500, True, False)]
)
def test_what_may_have_been_done_is_not_done_again(status: int, sent: bool, again: bool) -> None:
    assert (POLICY.pause(1, failure(status), Repeat.UNSENT, sent=sent) is not None) is again


@pytest.mark.parametrize("status", [0, 429, 500, 503])
@pytest.mark.parametrize("sent", [True, False])
def test_a_post_is_never_repeated(status: int, sent: bool) -> None:
    assert POLICY.pause(1, failure(status), Repeat.NEVER, sent=sent) is None


def test_attempts_end() -> None:
    assert POLICY.pause(2, failure(503), Repeat.ANY, sent=True) is not None
    assert POLICY.pause(3, failure(503), Repeat.ANY, sent=True) is None
    assert ONCE.pause(1, failure(503), Repeat.ANY, sent=True) is None


def test_the_server_s_wish_is_a_lower_bound() -> None:
    pause = POLICY.pause(1, failure(429, retry_after=7.0), Repeat.ANY, sent=True, dice=lambda: 1.0)
    assert pause == pytest.approx(7.25)


def test_a_wish_beyond_patience_goes_to_the_caller() -> None:
    assert POLICY.pause(1, failure(503, retry_after=31.0), Repeat.ANY, sent=True) is None


@given(st.integers(0, 10_000), st.floats(0, 1, exclude_max=True))
def test_backoff_stays_between_half_and_cap(failures: int, dice: float) -> None:
    pause = backoff(failures, base=0.8, cap=30.0, dice=lambda: dice)
    ceiling = min(30.0, 0.8 * 2.0 ** min(failures, 60))
    assert ceiling / 2 <= pause <= ceiling


def test_backoff_doubles() -> None:
    assert [backoff(n, base=0.8, cap=30.0, dice=lambda: 1.0) for n in range(7)] == [
        pytest.approx(x) for x in (0.8, 1.6, 3.2, 6.4, 12.8, 25.6, 30.0)
    ]


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("0", 0.0),
        (" 12 ", 12.0),
        ("999999999", 86400.0),
        ("", None),
        ("-1", None),
        ("1.5", None),
        ("soon", None),
        ("٣", None),
        (None, None),
    ],
)
def test_retry_after_as_a_number(text: str | None, seconds: float | None) -> None:
    assert parse_retry_after(text, NOW) == seconds


def test_retry_after_as_a_date() -> None:
    assert parse_retry_after(format_datetime(NOW + timedelta(seconds=9), usegmt=True), NOW) == 9.0
    assert parse_retry_after(format_datetime(NOW - timedelta(seconds=9), usegmt=True), NOW) == 0.0
    assert parse_retry_after("Fri, 31 Dec 9999 23:59:59 -2359", NOW) == 86400.0


@given(st.text(max_size=60))
def test_any_retry_after_is_bounded_or_nothing(text: str) -> None:
    seconds = parse_retry_after(text, NOW)
    assert seconds is None or 0 <= seconds <= 86400
