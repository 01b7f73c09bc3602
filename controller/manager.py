"""The controller's wiring: what runs, in which order it starts, and how it stops.

    caches fill -> (this copy leads) -> routes, events, workers -> stop: workers finish, routes flush, Lease returned

Everything that writes starts only once this copy leads, and ends when it no longer does. When another copy led
meanwhile the process exits and its successor starts clean; when the API server was merely away for longer than the
Lease lasts, it goes on with a new term. The caches fill before that, so a copy that waits takes over at once.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import math
import random
import socket
import time
from collections.abc import Awaitable, Callable, Coroutine, Iterable
from datetime import UTC, datetime
from typing import Any

from controller.caches import Caches, Wake
from controller.config import Settings
from controller.execute import Executor
from controller.kept import Key
from controller.metrics import Metrics, Watched
from controller.observed import ObjectRef
from controller.plan import Rules
from controller.reconcile import CatalogReconciler, RetryLater, RuntimeReconciler
from controller.route_book import RouteBook
from controller.trino_client import TrinoClient
from controller.workqueue import QueueClosed, WorkQueue
from crds.client.errors import ApiError, Unavailable
from crds.client.events import EventRecorder
from crds.client.leases import LeaderElector
from crds.client.transport import KubeClient
from crds.process.management import Management
from crds.v1.lifecycle import Phase

log = logging.getLogger("controller.manager")

LEASE = "xtrinode-controller"
_BEAT = 1.0
_COMPLAIN = 15.0
_OUTAGE_RETRY = 10.0


class LostLeadership(Exception):
    """Another copy may lead now; this process must not write any more."""


class Manager:
    """One controller process. `run` returns when `stop` is set; it raises LostLeadership when the Lease is gone."""

    def __init__(self, settings: Settings, client: KubeClient, metrics: Metrics | None = None) -> None:
        self._settings = settings
        self._client = client
        self.metrics = metrics or Metrics()
        self._tasks: list[asyncio.Task[Any]] = []
        # Workers finish what they have in hand and begin nothing new.
        self._stopping = False
        self.runtimes: WorkQueue[Key] = WorkQueue(max_delay=settings.max_retry_delay)
        self.catalog_queue: WorkQueue[Key] = WorkQueue(max_delay=settings.max_retry_delay)
        self.runtimes.listener = self.metrics.queue("xtrinode", self.runtimes.longest_running)
        self.catalog_queue.listener = self.metrics.queue("xtrinodecatalog", self.catalog_queue.longest_running)
        self.caches = Caches(
            client,
            Wake(
                runtime_now=self.runtimes.add,
                runtime_soon=lambda key: self.runtimes.add_after(key, settings.event_delay),
                catalog=self.catalog_queue.add,
                routes=self._routes_touched,
                gone=self._child_gone,
                arrived=self._runtime_arrived,
            ),
        )
        self._executor = Executor(client, self.caches.live, self.caches.whole, self.caches.keep, count=self._wrote)
        self.routes = RouteBook(
            client,
            settings.gateway_namespace,
            delay=settings.route_delay,
            settle=settings.route_settle,
            live=lambda: self.caches.route_shards(settings.gateway_namespace),
            on_published=self.runtimes.add,
            on_written=self._routes_written,
            count=self._wrote,
            may_write=self._may_write,
        )
        self._trino = TrinoClient(timeout=settings.trino_timeout, proxy=settings.trino_proxy)
        self._events = EventRecorder(client, "xtrinode-controller")
        self._reconcile_runtime = RuntimeReconciler(
            client,
            self.caches,
            self._executor,
            self.routes,
            self._trino,
            self._events,
            Rules(settings.drain_poll, settings.route_settle, settings.auto_suspend),
            clock=_now,
            count=self._wrote,
            moved=self._moved,
            drained=self.metrics.drain_seconds.observe,
        )
        self._reconcile_catalog = CatalogReconciler(
            client, self.caches, self._executor, self._events, clock=_now, count=self._wrote
        )
        self._elector = LeaderElector(client, LEASE, settings.namespace, settings.identity or _identity(), regains=True)
        self.management = Management(settings.management_address, not_ready=self._not_ready, page=self.metrics.page)
        self.metrics.describe(
            self.caches.runtimes.items,
            [Watched(informer.resource.plural, informer.__len__) for informer in self.caches.all],
        )

    async def run(self, stop: asyncio.Event) -> None:
        settings = self._settings
        stopped = asyncio.ensure_future(stop.wait())
        try:
            async with self.management:
                log.info("management port: %s", self.management.port)
                self._start("heartbeat", self._beat())
                for informer in self.caches.all:
                    self._start(f"watch {informer.resource.plural}", informer.run())
                await self._first(stopped, self._synced())
                if settings.leader_elect and not stop.is_set():
                    self._start("leader election", self._lead())
                    log.info("waiting for the lease %s/%s", settings.namespace, LEASE)
                while not stop.is_set():
                    if settings.leader_elect:
                        await self._first(stopped, self._elector.acquired.wait())
                    if not stop.is_set():
                        await self._serve(stopped)
        finally:
            stopped.cancel()
            await self._end()

    async def _serve(self, stopped: asyncio.Future[Any]) -> None:
        """Leads, for one term: reconciles everything once, then what changes. Returns when told to stop, or when the
        Lease could not be renewed in time; what was under way is then cut short, for another copy may lead."""
        settings = self._settings
        self.metrics.leader.labels(LEASE).set(1)
        log.info("leading: %d runtimes, %d catalogs", len(self.caches.runtimes), len(self.caches.catalogs))
        self.routes.start_from(declared.key for declared in self.caches.runtimes.items())
        term = [
            self._start("events", self._events.run()),
            self._start("routes", self.routes.run()),
            self._start("resync", self._resync()),
        ]
        self._enqueue_all()
        workers = self._workers("xtrinode", self.runtimes, self._reconcile_runtime, settings.workers)
        workers += self._workers(
            "xtrinodecatalog", self.catalog_queue, self._reconcile_catalog, settings.catalog_workers
        )
        try:
            await self._first(stopped, self._until_lapsed(workers))
            if not stopped.done():
                log.warning("the lease %s/%s was not renewed in time; nothing is written", settings.namespace, LEASE)
                return
            self._stopping = True
            self.runtimes.close()
            self.catalog_queue.close()
            await asyncio.wait(workers, timeout=settings.shutdown_timeout)
        finally:
            self.metrics.leader.labels(LEASE).set(0)
            for task in (*workers, *term):
                task.cancel()
            await asyncio.gather(*workers, *term, return_exceptions=True)
            self._tasks = [task for task in self._tasks if task not in term]
        if self._may_write():
            with contextlib.suppress(ApiError, TimeoutError):
                async with asyncio.timeout(5.0):
                    await self.routes.write()
            await self._events.close()

    async def _until_lapsed(self, workers: list[asyncio.Task[None]]) -> None:
        """Until this copy leads no more; a worker's exception is raised."""
        lapsed = asyncio.create_task(self._elector.lapsed.wait())
        try:
            await asyncio.wait([lapsed, *workers], return_when=asyncio.FIRST_COMPLETED)
            for worker in workers:
                if worker.done():
                    await worker
        finally:
            lapsed.cancel()

    async def _first(self, stopped: asyncio.Future[Any], other: Awaitable[Any]) -> None:
        """Waits for either, or for a part that died: its exception ends the process."""
        task = asyncio.ensure_future(other)
        try:
            await asyncio.wait([stopped, task, *self._tasks], return_when=asyncio.FIRST_COMPLETED)
            _raise_first([task, *self._tasks])
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    def _start(self, name: str, work: Coroutine[Any, Any, Any]) -> asyncio.Task[Any]:
        task = asyncio.create_task(work, name=name)
        self._tasks.append(task)
        return task

    async def _end(self) -> None:
        # The Lease last: whoever takes it must find us silent.
        for task in reversed(self._tasks):
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError, Exception):
                await task
        self._tasks.clear()
        await self._trino.close()

    async def _lead(self) -> None:
        await self._elector.run()
        raise LostLeadership(
            f"the lease {self._settings.namespace}/{LEASE} was lost to {self._elector.holder or 'nobody'}; "
            "exiting, so that two never act at once"
        )

    def _may_write(self) -> bool:
        return self._elector.is_leader if self._settings.leader_elect else True

    async def _synced(self) -> None:
        waiting = asyncio.gather(*(informer.synced.wait() for informer in self.caches.all))
        while True:
            done, _ = await asyncio.wait([waiting], timeout=_COMPLAIN)
            if done:
                return
            for informer in self.caches.all:
                if not informer.synced.is_set():
                    why = informer.last_error or "no answer yet"
                    log.warning("still waiting for %s: %s", informer.resource.plural, why)

    async def _resync(self) -> None:
        """Looks at everything again, spread over the interval: what no event told, time may have changed."""
        while True:
            await asyncio.sleep(self._settings.resync)
            for declared in self.caches.runtimes.items():
                self.runtimes.add_after(declared.key, random.uniform(0, self._settings.resync / 2))  # noqa: S311
            for declared in self.caches.catalogs.items():
                self.catalog_queue.add_after(declared.key, random.uniform(0, self._settings.resync / 2))  # noqa: S311

    def _enqueue_all(self) -> None:
        for declared in self.caches.catalogs.items():
            self.catalog_queue.add(declared.key)
        for declared in self.caches.runtimes.items():
            self.runtimes.add(declared.key)

    def _workers(
        self,
        name: str,
        queue: WorkQueue[Key],
        reconcile: Callable[[Key], Awaitable[float | None]],
        number: int,
    ) -> list[asyncio.Task[None]]:
        self.metrics.workers.labels(name).set(number)
        return [
            asyncio.create_task(self._work(name, queue, reconcile), name=f"{name} worker {index}")
            for index in range(number)
        ]

    async def _work(
        self, name: str, queue: WorkQueue[Key], reconcile: Callable[[Key], Awaitable[float | None]]
    ) -> None:
        metrics = self.metrics
        active = metrics.active.labels(name)
        while not self._stopping:
            try:
                key = await queue.get()
            except QueueClosed:
                return
            active.inc()
            started = time.perf_counter()
            result = "success"
            try:
                if not self._may_write():
                    # The Lease ran out by the clock; that this term is over comes to us as a cancellation.
                    raise RetryLater("this copy does not lead at the moment")
                after = await reconcile(key)
            except (RetryLater, ApiError) as error:
                result = "error"
                delay = queue.retry(key, _OUTAGE_RETRY if _is_outage(error) else math.inf)
                log.log(_loudness(delay), "%s %s/%s: %s; again in %.3g s", name, *key, error, delay)
            except Exception:
                # A bug of ours. The others go on; this one is retried, for its cause may pass.
                result = "error"
                delay = queue.retry(key)
                log.exception("%s %s/%s: unexpected; again in %.3g s", name, *key, delay)
            else:
                queue.forget(key)
                if after is not None:
                    result = "requeue_after"
                    queue.add_after(key, after)
            finally:
                queue.done(key)
                active.dec()
                metrics.reconciles.labels(name, result).inc()
                metrics.reconcile_seconds.labels(name).observe(time.perf_counter() - started)
                if result == "error":
                    metrics.reconcile_errors.labels(name).inc()

    async def _beat(self) -> None:
        while True:
            before = time.monotonic()
            await asyncio.sleep(_BEAT)
            self.metrics.loop_lag.set(max(0.0, time.monotonic() - before - _BEAT))

    def _not_ready(self) -> str | None:
        waiting = self.caches.unsynced()
        return f"the caches of {', '.join(waiting)} are not filled yet" if waiting else None

    def _routes_touched(self) -> None:
        self.routes.touched()

    def _child_gone(self, ref: ObjectRef) -> None:
        self._executor.forget(ref)

    def _runtime_arrived(self, key: Key) -> None:
        self._reconcile_runtime.caught_up(key)

    def _wrote(self, verb: str, kind: str) -> None:
        self.metrics.writes.labels(verb, kind).inc()

    def _routes_written(self, backends: int, conflicts: int) -> None:
        self.metrics.routes.set(backends)
        self.metrics.route_conflicts.set(conflicts)

    def _moved(self, namespace: str, old: str | None, new: str) -> None:
        if new == Phase.SUSPENDED:
            self.metrics.suspended.labels(namespace).inc()
        elif new == Phase.READY and old == Phase.RESUMING:
            self.metrics.resumed.labels(namespace).inc()


def _raise_first(tasks: Iterable[asyncio.Future[Any]]) -> None:
    """Raises what the first of the failed tasks raised: a part that died ends the process."""
    for task in tasks:
        if task.done() and not task.cancelled():
            error = task.exception()
            if error is not None:
                raise error


def _is_outage(error: BaseException) -> bool:
    """Whether the API server was away, which says nothing about the key: it should not pay for it afterwards."""
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, Unavailable):
            return True
        cause = cause.__cause__
    return False


def _loudness(delay: float) -> int:
    # The first tries of a failing key are often overtaken by the event that heals it.
    return logging.INFO if delay < 0.1 else logging.WARNING


def _now() -> datetime:
    return datetime.now(UTC)


def _identity() -> str:
    return f"{socket.gethostname()}_{random.getrandbits(32):08x}"
