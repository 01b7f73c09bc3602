"""Whether a new route table may replace the one in use.

A table that lost most of its backends at once is far more often an accident (a wiped ConfigMap, a controller that
started with an empty cache) than an intent. Keeping the last good table costs little: what is really gone answers
for itself. The caller keeps the time of the first such proposal and asks again; after `grace` seconds of the same
story it is believed. An empty table after one of few backends is believed at once when its writer says that it means
it: so a cluster ends whose last runtime was deleted.
"""

from __future__ import annotations

from dataclasses import dataclass

from gateway.routing.model import RouteTable

MIN_BACKENDS = 4
GRACE = 300.0


@dataclass(frozen=True, slots=True)
class Verdict:
    """`accept`, and otherwise the reason for logs, metric and admin page."""

    accept: bool
    reason: str = ""


def judge(
    current: RouteTable | None, proposed: RouteTable, suspected_for: float, grace: float = GRACE, meant: bool = False
) -> Verdict:
    """Judge `proposed`; `suspected_for` is how long, in seconds, proposals have been refused in a row.

    `meant`: the writer says that there is no runtime any more.
    """
    if current is None:
        return Verdict(True)
    before = current.backends.keys()
    lost = before - proposed.backends.keys()
    empty = bool(before) and not proposed.backends and not meant
    mass = len(before) >= MIN_BACKENDS and 2 * len(lost) > len(before)
    if not (empty or mass) or suspected_for >= grace:
        return Verdict(True)
    return Verdict(False, f"{len(lost)} of {len(before)} backends disappeared at once; keeping the last good table")
