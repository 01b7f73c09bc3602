"""When a call is made again, and after how long. Pure: the clock and the dice are arguments.

Used by the transport for single calls and by the informer for its back-off. What may be repeated depends on
what the call does (`Repeat`), never on who calls:

| failure | ANY | UNSENT | NEVER |
| --- | --- | --- | --- |
| no connection was made | again | again | raise |
| 429 | again | again | raise |
| connection lost, time-out, 500, 502-504 | again | raise | raise |

ANY: reads, apply, PUT and PATCH with a resourceVersion, reviews. UNSENT: other patches and PUTs, deletes: what
never arrived may be sent again, what may have been done may not. NEVER: POST, where the caller alone
can tell a repeated create from a new one. 401 is handled apart (new token, once); 403 is final.
"""

from __future__ import annotations

import enum
import random
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

from crds.client.errors import ApiError

_MAX_RETRY_AFTER = 86400.0


class Repeat(enum.Enum):
    ANY = "any"
    UNSENT = "unsent"
    NEVER = "never"


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """`attempts` in all (1 = never again); the pauses grow from `base` to `cap`, in seconds.

    A `Retry-After` longer than `patience` is not waited for: the error goes to the caller, who has a queue.
    """

    attempts: int = 5
    base: float = 0.2
    cap: float = 5.0
    patience: float = 30.0

    def pause(
        self, attempt: int, error: ApiError, repeat: Repeat, *, sent: bool, dice: Callable[[], float] = random.random
    ) -> float | None:
        """Seconds until the next attempt after the `attempt`-th (from 1) failed, or None to give up."""
        if attempt >= self.attempts or not _repeatable(error, repeat, sent=sent):
            return None
        pause = backoff(attempt - 1, base=self.base, cap=self.cap, dice=dice)
        if error.retry_after is None:
            return pause
        if error.retry_after > self.patience:
            return None
        # Never earlier than asked; the jitter on top keeps a crowd from coming back together.
        return error.retry_after + pause * 0.25


ONCE = RetryPolicy(attempts=1)


def _repeatable(error: ApiError, repeat: Repeat, *, sent: bool) -> bool:
    if repeat is Repeat.NEVER:
        return False
    if error.status == 429 or not sent:
        return True
    return repeat is Repeat.ANY and error.status in (0, 500, 502, 503, 504)


def backoff(failures: int, *, base: float, cap: float, dice: Callable[[], float] = random.random) -> float:
    """`base` x 2^failures up to `cap`, of which the upper half is random."""
    ceiling = min(cap, base * 2.0 ** min(failures, 60))
    return ceiling * (0.5 + 0.5 * dice())


def parse_retry_after(value: str | None, now: datetime) -> float | None:
    """Seconds of a `Retry-After` header (a number, or an HTTP date), None when there is no sense in it."""
    if value is None:
        return None
    text = value.strip()
    if text.isascii() and text.isdigit() and len(text) <= 9:
        return min(float(text), _MAX_RETRY_AFTER)
    try:
        when = parsedate_to_datetime(text)
    except (ValueError, TypeError, IndexError, OverflowError):
        return None
    if when.tzinfo is None:
        when = when.replace(tzinfo=UTC)
    try:
        seconds = (when - now).total_seconds()
    except OverflowError:
        return None
    return min(max(seconds, 0.0), _MAX_RETRY_AFTER)
