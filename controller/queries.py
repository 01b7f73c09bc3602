"""Reads a coordinator's query list: which queries live, and when one was last active.

Called with the bytes of `GET /v1/query`. The answer comes from outside, so nothing in it is trusted to
have a type: an entry without a readable state counts as live, because suspending under a running query is
worse than suspending late. The list keeps finished queries for a while, which is how a query that started
and ended between two looks is still seen.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

import orjson

from controller.observed import Activity
from crds.v1.meta import parse_time

#: States that a query never leaves.
_OVER = frozenset({"FINISHED", "FAILED", "CANCELED", "CANCELLED"})
_TIMES = ("endTime", "lastHeartbeat", "executionStartTime", "createTime")
#: Trino repeats the state here after a query is over; nothing else of an entry is needed.
_UNNAMED = "a query without an id"


class UnreadableQueries(ValueError):
    """The answer is not a query list."""


def read_activity(body: bytes, now: datetime) -> Activity:
    """Raises UnreadableQueries. Times in the future (a clock that is ahead) count as `now`."""
    try:
        entries = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise UnreadableQueries("the coordinator's query list is not JSON") from error
    if not isinstance(entries, list):
        raise UnreadableQueries("the coordinator's query list is not a list")
    live: list[str] = []
    newest: datetime | None = None
    for entry in entries:
        fields = entry if isinstance(entry, Mapping) else {}
        state = fields.get("state")
        if not isinstance(state, str) or state.strip().upper() not in _OVER:
            name = fields.get("queryId")
            live.append(name if isinstance(name, str) and name else _UNNAMED)
        for moment in _moments(fields):
            if newest is None or moment > newest:
                newest = moment
    if live:
        newest = now
    elif newest is not None:
        newest = min(newest, now)
    return Activity(live=tuple(sorted(live)), newest=newest)


def _moments(entry: Mapping[str, Any]) -> list[datetime]:
    stats = entry.get("queryStats")
    found: list[datetime] = []
    for place in (entry, stats if isinstance(stats, Mapping) else {}):
        for key in _TIMES:
            text = place.get(key)
            if isinstance(text, str):
                try:
                    found.append(parse_time(text))
                except (ValueError, OverflowError):
                    continue
    return found
