"""One query from its POST to its last page: state, times, results and the failure if there is one.

Owned by the dispatcher, which starts it; read by the resources, which show it. The SQL runs in a
worker thread (`execute`), everything else on the event loop; the two meet in a few attributes that
are written once each and in the result buffer. States are left in one direction only.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import orjson

from sandbox.trino.encoding import encoder_of
from sandbox.trino.errors import QueryFailure
from sandbox.trino.query_ids import Slug
from sandbox.trino.results import ResultBuffer
from sandbox.trino.session import Session, SessionChanges
from sandbox.trino.time_zones import time_zone
from sandbox.trino.tokens import QueuedTokens, ResultTokens

if TYPE_CHECKING:
    from sandbox.trino.engine import Engine
    from sandbox.trino.execution import Column

STATES = (
    "QUEUED", "WAITING_FOR_RESOURCES", "DISPATCHING", "PLANNING", "STARTING", "RUNNING", "FINISHING", "FINISHED",
    "FAILED",
)  # fmt: skip
_ORDER = {state: index for index, state in enumerate(STATES)}
_DONE = ("FINISHED", "FAILED")
_CHUNK_ROWS = 200


class Query:
    """See the module; `id` and `slug` make its addresses."""

    def __init__(self, query_id: str, sql: str, session: Session, loop: asyncio.AbstractEventLoop) -> None:
        self.id = query_id
        self.sql = sql
        self.session = session
        self.slug = Slug()
        self.created = datetime.now(UTC)
        self.started_at = time.monotonic()
        self.entered_at: dict[str, float] = {"QUEUED": self.started_at}
        self.state = "QUEUED"
        self.submitted = False
        self.purged = False
        self.heartbeat = self.started_at
        self.heartbeat_time = self.created
        self.failure: QueryFailure | None = None
        self.columns: list[Column] | None = None
        self.changes = SessionChanges()
        self.update_type: str | None = None
        self.update_count: int | None = None
        self.cpu_seconds = 0.0
        self.nodes = 0
        self.resource_group: tuple[str, ...] = ("global",)
        self.queued_tokens = QueuedTokens()
        self.result_tokens = ResultTokens()
        self.dispatched = asyncio.Event()
        self.ended = asyncio.Event()
        self.results = ResultBuffer(self._changed_from_thread)
        self._changed = asyncio.Event()
        self._loop = loop
        self._lock = threading.Lock()
        self._interrupt: Callable[[], None] | None = None
        self._stopped = threading.Event()
        self._partial = False

    # State, from either thread

    @property
    def done(self) -> bool:
        return self.state in _DONE

    def entered(self, state: str) -> None:
        """Move forward; raises what stopped the query when something did."""
        with self._lock:
            if self.state == "FAILED":
                raise self.failure or QueryFailure("USER_CANCELED", "Query was canceled")
            self._enter(state)
        self._changed_from_thread()

    def _enter(self, state: str) -> None:
        if _ORDER[state] > _ORDER[self.state] and not self.done:
            self.state = state
            self.entered_at[state] = time.monotonic()

    def fail(self, failure: QueryFailure) -> bool:
        """The first reason stands; False when the query was over already."""
        with self._lock:
            if self.done:
                return False
            self.failure = failure
            self._enter("FAILED")
            interrupt = self._interrupt
        self._stopped.set()
        self.results.close()
        if interrupt is not None:
            interrupt()
        self._changed_from_thread()
        return True

    def cancel(self) -> bool:
        return self.fail(QueryFailure("USER_CANCELED", "Query was canceled"))

    def stop_early(self) -> None:
        """Partial cancel: keep what was produced and finish."""
        with self._lock:
            self._partial = True
            interrupt = self._interrupt
        self._stopped.set()
        if interrupt is not None:
            interrupt()

    def consumed(self) -> None:
        """The client has taken the last row."""
        with self._lock:
            if self.state == "FINISHING":
                self._enter("FINISHED")

    def beat(self) -> None:
        self.heartbeat = time.monotonic()
        self.heartbeat_time = datetime.now(UTC)

    def _changed_from_thread(self) -> None:
        try:
            self._loop.call_soon_threadsafe(self._changed.set)
            if self.done:
                self._loop.call_soon_threadsafe(self.ended.set)
        except RuntimeError:
            return  # the loop is gone: the server is stopping

    async def wait_for_change(self, seconds: float) -> None:
        """Until there is a page to give or the time is over."""
        deadline = time.monotonic() + seconds
        while self.results.empty and self.state not in ("FINISHING", *_DONE):
            self._changed.clear()
            if not self.results.empty or self.state in ("FINISHING", *_DONE):
                return
            try:
                await asyncio.wait_for(self._changed.wait(), max(deadline - time.monotonic(), 0))
            except TimeoutError:
                return

    # The engine's handle, from the worker thread

    def interrupt_with(self, interrupt: Callable[[], None] | None) -> None:
        with self._lock:
            self._interrupt = interrupt
            stopped = self.state == "FAILED"
        if stopped and interrupt is not None:
            raise self.failure or QueryFailure("USER_CANCELED", "Query was canceled")

    def wait(self, seconds: float) -> None:
        if self._stopped.wait(seconds):
            raise QueryFailure("USER_CANCELED", "Query was canceled")

    def execute(self, engine: Engine) -> None:
        """Run the statement and encode its rows; never raises."""
        cpu = time.thread_time()
        try:
            with engine.execute(self.sql, self.session, self) as outcome:
                self.update_type = outcome.update_type
                # A statement without a result has no columns, not unknown ones: drivers wait for the list.
                self.columns = outcome.columns or []
                self._produce(outcome.columns or [], outcome.batches)
                self.update_count = outcome.update_count
                self.changes = outcome.changes
            self._finish()
        except QueryFailure as failure:
            if self._partial and failure.name == "USER_CANCELED":
                self._finish()
            else:
                self.fail(failure)
        except Exception as error:
            self.fail(QueryFailure("GENERIC_INTERNAL_ERROR", f"{type(error).__name__}: {error}"))
        finally:
            self.cpu_seconds = time.thread_time() - cpu

    def _produce(self, columns: list[Column], batches: Iterable[Any]) -> None:
        shown = [
            column.type if self.session.parametric_datetime else column.type.without_precision() for column in columns
        ]
        encoders = [
            encoder_of(kind, time_zone(column.zone) if column.zone else self.session.zone)
            for kind, column in zip(shown, columns, strict=True)
        ]
        plain = not any(encoders)
        for batch in batches:
            for start in range(0, len(batch), _CHUNK_ROWS):
                rows = batch[start : start + _CHUNK_ROWS]
                if not plain:
                    rows = [
                        [
                            value if encoder is None else encoder(value)
                            for value, encoder in zip(row, encoders, strict=True)
                        ]
                        for row in rows
                    ]
                if not self.results.put(orjson.dumps(rows)[1:-1], len(rows)):
                    return

    def _finish(self) -> None:
        with self._lock:
            self._enter("FINISHING")
            if self.results.empty:
                self._enter("FINISHED")
        self._changed_from_thread()

    # What the statistics say

    def seconds_in(self, *states: str) -> float:
        """Time spent in the given states up to now or to the end."""
        total = 0.0
        moments = sorted(self.entered_at.items(), key=lambda item: _ORDER[item[0]])
        for index, (state, entered) in enumerate(moments):
            if state in states:
                left = moments[index + 1][1] if index + 1 < len(moments) else time.monotonic()
                total += left - entered
        return total

    @property
    def elapsed(self) -> float:
        end = max((self.entered_at[state] for state in _DONE if state in self.entered_at), default=time.monotonic())
        return end - self.started_at
