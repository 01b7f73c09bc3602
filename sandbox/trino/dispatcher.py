"""All queries of a coordinator: registered by POST, started by their first GET, forgotten in time.

Called by the resources. Submission is lazy, as in the real server: a POST has no side effects. A
query waits for the workers that the configuration requires, runs in a thread, is failed when its
client stops asking, and stays visible for a while when it is over.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime

from sandbox.trino.configuration import ServerConfiguration
from sandbox.trino.engine import Engine
from sandbox.trino.errors import QueryFailure
from sandbox.trino.query import Query
from sandbox.trino.query_ids import QueryIdGenerator
from sandbox.trino.resource_groups import Admission
from sandbox.trino.session import Session, iso_utc
from sandbox.trino.session_properties import check_session_property
from sandbox.trino.time_zones import UnknownTimeZone, time_zone
from sandbox.trino.units import format_duration, parse_duration

_SWEEP_SECONDS = 0.2
_WORKER_CHECK_SECONDS = 0.05
_THREADS = 128


class Dispatcher:
    def __init__(
        self,
        configuration: ServerConfiguration,
        engine: Engine,
        active_workers: Callable[[], int],
    ) -> None:
        self._configuration = configuration
        self._engine = engine
        self._active_workers = active_workers
        """How many nodes could run a task now."""
        self.ids = QueryIdGenerator()
        self.queries: dict[str, Query] = {}
        self.totals = {"started": 0, "completed": 0, "failed": 0}
        self._admission = Admission(configuration.resource_groups)
        self._admitted: dict[str, asyncio.Event] = {}
        self._threads = ThreadPoolExecutor(_THREADS, thread_name_prefix="query")
        self._tasks: set[asyncio.Task[None]] = set()
        self._sweeper: asyncio.Task[None] | None = None
        engine.kill_query = self._kill_from_thread
        self._loop: asyncio.AbstractEventLoop | None = None

    def start(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._sweeper = asyncio.create_task(self._sweep_for_ever())

    async def stop(self) -> None:
        """Fail what runs and wait for its threads."""
        if self._sweeper is not None:
            self._sweeper.cancel()
        for query in self.queries.values():
            query.fail(
                QueryFailure("SERVER_SHUTTING_DOWN", f"Server is shutting down. Query {query.id} has been cancelled")
            )
        for task in list(self._tasks):
            task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            if self._sweeper is not None:
                await self._sweeper
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await asyncio.to_thread(self._threads.shutdown, True)

    def forget_everything(self) -> None:
        """A new process would know nothing: queries gone, another coordinator id."""
        for query in self.queries.values():
            query.fail(QueryFailure("SERVER_SHUTTING_DOWN", "Server is shutting down"))
        self.queries.clear()
        self.ids = QueryIdGenerator()

    def register(self, sql: str, session: Session) -> Query:
        assert self._loop is not None
        query = Query(self.ids.next(datetime.now(UTC)), sql, session, self._loop)
        self.queries[query.id] = query
        return query

    def submit(self, query: Query, *, starting: bool = False) -> None:
        """Start it; a second call does nothing. A server that is `starting` fails it."""
        if query.submitted:
            return
        query.submitted = True
        self.totals["started"] += 1
        task = asyncio.create_task(self._run(query, starting), name=f"query {query.id}")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _run(self, query: Query, starting: bool) -> None:
        try:
            if starting:
                raise QueryFailure("SERVER_STARTING_UP", "Trino server is still initializing")
            self._check(query)
            if query.done:
                return
            await self._wait_for_group(query)
            await self._wait_for_workers(query)
            query.entered("DISPATCHING")
            query.nodes = max(self._active_workers(), 1)
            query.dispatched.set()
            await asyncio.get_running_loop().run_in_executor(self._threads, query.execute, self._engine)
        except QueryFailure as failure:
            query.fail(failure)
        finally:
            query.dispatched.set()
            for ticket in self._admission.leave(query.id):
                self._admitted[ticket].set()
            self._admitted.pop(query.id, None)
            self.totals["failed" if query.failure else "completed"] += 1

    async def _wait_for_group(self, query: Query) -> None:
        """QUEUED until the resource group has room."""
        session = query.session
        path = self._configuration.resource_groups.path_of(session.user, session.source, session.client_tags)
        query.resource_group = path
        admitted = self._admitted[query.id] = asyncio.Event()
        if self._admission.submit(query.id, path):
            return
        waiting = asyncio.create_task(admitted.wait())
        ended = asyncio.create_task(query.ended.wait())
        try:
            await asyncio.wait((waiting, ended), return_when=asyncio.FIRST_COMPLETED)
        finally:
            waiting.cancel()
            ended.cancel()
        if query.done:
            raise query.failure or QueryFailure("USER_CANCELED", "Query was canceled")

    def _check(self, query: Query) -> None:
        limit = self._configuration.max_query_length
        if len(query.sql) > limit:
            raise QueryFailure(
                "QUERY_TEXT_TOO_LARGE",
                f"Query text length ({len(query.sql)}) exceeds the maximum length ({limit})",
            )
        try:
            time_zone(query.session.time_zone)
        except UnknownTimeZone as error:
            raise QueryFailure("NOT_SUPPORTED", str(error)) from error
        catalogs = frozenset((*self._engine.catalogs_by_name, "system"))
        for name, value in query.session.properties.items():
            check_session_property(name, value, catalogs)

    async def _wait_for_workers(self, query: Query) -> None:
        required = int(query.session.properties.get("required_workers_count", self._configuration.required_workers))
        longest = self._configuration.required_workers_max_wait
        if "required_workers_max_wait_time" in query.session.properties:
            longest = parse_duration(query.session.properties["required_workers_max_wait_time"])
        if self._active_workers() >= required:
            return
        query.entered("WAITING_FOR_RESOURCES")
        deadline = time.monotonic() + longest
        while self._active_workers() < required:
            if query.done:
                raise query.failure or QueryFailure("USER_CANCELED", "Query was canceled")
            if time.monotonic() >= deadline:
                raise QueryFailure(
                    "GENERIC_INSUFFICIENT_RESOURCES",
                    f"Insufficient active worker nodes. Waited {format_duration(longest)} for at least "
                    f"{required} workers, but only {self._active_workers()} workers are active",
                )
            await asyncio.sleep(_WORKER_CHECK_SECONDS)

    def get(self, query_id: str) -> Query | None:
        return self.queries.get(query_id)

    def kill(self, query_id: str, message: str | None, name: str = "ADMINISTRATIVELY_KILLED") -> bool:
        """False when the query is over already; KeyError when it is not known."""
        query = self.queries[query_id]
        text = f"Message: {message}" if message else "No message provided."
        return query.fail(QueryFailure(name, f"Query killed. {text}"))

    def _kill_from_thread(self, query_id: str, message: str | None) -> None:
        query = self.queries.get(query_id)
        if query is None or not query.submitted:
            raise QueryFailure("NOT_FOUND", f"Target query not found: {query_id}")
        if not self.kill(query_id, message):
            raise QueryFailure("NOT_SUPPORTED", f"Target query is not running: {query_id}")

    async def _sweep_for_ever(self) -> None:
        while True:
            await asyncio.sleep(_SWEEP_SECONDS)
            self.sweep(time.monotonic())

    def sweep(self, now: float) -> None:
        """Fail the abandoned and the overdue, forget the never started and the old."""
        limit = self._configuration.client_timeout
        finished: list[Query] = []
        for query in list(self.queries.values()):
            if not query.submitted:
                if now - query.started_at > limit:
                    del self.queries[query.id]
            elif query.done:
                finished.append(query)
            elif now - query.heartbeat > limit:
                query.fail(
                    QueryFailure(
                        "ABANDONED_QUERY",
                        f"Query {query.id} has not been accessed since {iso_utc(query.heartbeat_time)}: "
                        f"currentTime {iso_utc(datetime.now(UTC))}",
                    )
                )
            elif now - query.started_at > self._longest(query):
                query.fail(
                    QueryFailure(
                        "EXCEEDED_TIME_LIMIT",
                        f"Query exceeded maximum time limit of {format_duration(self._longest(query))}",
                    )
                )
        finished.sort(key=lambda query: query.started_at)
        for query in finished[: max(len(finished) - self._configuration.max_history, 0)]:
            if now - query.started_at - query.elapsed > self._configuration.min_expire_age:
                del self.queries[query.id]

    def _longest(self, query: Query) -> float:
        wanted = query.session.properties.get("query_max_run_time")
        return (
            min(parse_duration(wanted), self._configuration.max_run_time)
            if wanted
            else self._configuration.max_run_time
        )

    def running(self) -> int:
        return sum(query.submitted and not query.done and query.dispatched.is_set() for query in self.queries.values())

    def queued(self) -> int:
        return sum(
            query.submitted and not query.done and not query.dispatched.is_set() for query in self.queries.values()
        )
