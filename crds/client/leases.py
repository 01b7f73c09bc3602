"""Leader election and single-flight gates over coordination.k8s.io Leases.

`LeaderElector` is for the controller: one process of many acts. It renews from a thread with an event loop
and connections of its own, because the caller's loop renders manifests and may be busy for longer than it
takes to lose a Lease; for the same reason `is_leader` also looks at the clock, so a process that
was stopped and continued knows at once that it leads no more. It runs once: on loss the caller exits, and its
successor process starts clean. A candidate that `regains` may go on in the same process where the API server was away
for longer than the Lease lasts, as long as nobody else led meanwhile.

`try_acquire` is for the lifecycle API: of many replicas asked to resume one runtime, one does it.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import random
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Literal

from crds.client.errors import AlreadyExists, ApiError, Conflict, NotFound
from crds.client.lease_record import (
    KEY_ANNOTATION,
    LeaseRecord,
    Standing,
    Watcher,
    lease_spec,
    released_spec,
)
from crds.client.resources import LEASES
from crds.client.retry import ONCE
from crds.client.transport import KubeClient

log = logging.getLogger(__name__)

# An allowance for clocks that disagree, where the written time is all there is.
CLOCK_SKEW = 2.0


def wall_clock() -> datetime:
    return datetime.now(UTC)


@dataclass(frozen=True, slots=True)
class Timing:
    """In seconds. A leader that could not renew for `renew` stops; others take over after `lease`."""

    lease: float = 15.0
    renew: float = 10.0
    retry: float = 2.0
    # Pauses are retry x (1 .. 1 + jitter).
    jitter: float = 0.2

    def __post_init__(self) -> None:
        if not self.lease > self.renew > self.retry * (1 + self.jitter) > 0:
            raise ValueError(f"a lease needs lease > renew > retry x (1 + jitter) > 0, not {self}")


class Election:
    """One candidate's rounds, within one event loop. `LeaderElector` runs it in a thread; tests run it bare."""

    def __init__(
        self,
        client: KubeClient,
        name: str,
        namespace: str,
        identity: str,
        *,
        timing: Timing = Timing(),
        clock: Callable[[], float] = time.monotonic,
        wall: Callable[[], datetime] = wall_clock,
        dice: Callable[[], float] = random.random,
    ) -> None:
        if not identity:
            raise ValueError("a candidate needs an identity: the pod's uid, or host and process id")
        self.name, self.namespace, self.identity = name, namespace, identity
        self.timing = timing
        # Read by other threads; a float and a bool are written whole.
        self.leading = False
        self.valid_until = 0.0
        # We led once, lapsed, and since then somebody else has or may have led: the Lease is not ours to take again.
        self.usurped = False
        self._term: tuple[str, datetime | None] | None = None
        self._client = client
        self._clock, self._wall, self._dice = clock, wall, dice
        self._seen = Watcher()
        self._lease: dict[str, Any] | None = None

    @property
    def holder(self) -> str:
        """Who holds it as far as we know, for logs and the management page."""
        return self._seen.record.holder if self._seen.record is not None else ""

    def pause(self) -> float:
        """Seconds until the next round; never past the moment at which leadership ends."""
        pause = self.timing.retry * (1.0 + self.timing.jitter * self._dice())
        return min(pause, max(0.0, self.valid_until - self._clock())) if self.leading else pause

    def still_valid(self) -> bool:
        return self.leading and self._clock() < self.valid_until

    async def round(self) -> bool:
        """Try once to take or to renew; returns whether we hold it now. Never raises for the server's sake."""
        started = self._clock()
        budget = self.timing.renew
        if self.leading:
            budget = min(budget, max(0.05, self.valid_until - started))
        try:
            async with asyncio.timeout(budget):
                held = await self._attempt()
        except (Conflict, AlreadyExists, NotFound):
            # Somebody was quicker, or our own last write did arrive, or it was deleted: the next round sees.
            self._lease = None
            held = False
        except (ApiError, TimeoutError) as error:
            log.warning(
                "the lease %s/%s cannot be renewed or taken: %s", self.namespace, self.name, error or "timed out"
            )
            self._lease = None
            held = False
        if held:
            # From when we began: what the others see is not older than that.
            self.valid_until = started + self.timing.renew
            self.leading = True
            self._term = self._term_of(self._seen.record)
        elif self.leading and (self._clock() >= self.valid_until or self._taken_by_another()):
            self.leading = False
        return held

    async def release(self) -> None:
        """Give it back, so that the next one starts at once. Best effort."""
        if not self.leading:
            return
        self.leading = False
        with contextlib.suppress(ApiError, TimeoutError):
            async with asyncio.timeout(self.timing.retry):
                # Read anew: a write that was cut short may have arrived.
                lease = await self._client.get(LEASES, self.name, self.namespace)
                record = LeaseRecord.of(lease)
                if record.holder == self.identity:
                    await self._write(lease, released_spec(record, self._wall()))

    def _taken_by_another(self) -> bool:
        return self.holder not in ("", self.identity)

    async def _attempt(self) -> bool:
        lease = self._lease if self.leading else None
        if lease is None:
            try:
                lease = await self._client.get(LEASES, self.name, self.namespace)
            except NotFound:
                self.usurped = self._term is not None and not self.leading
                return False if self.usurped else await self._create()
        record = LeaseRecord.of(lease)
        standing = self._seen.look(record, self.identity, self._clock())
        if self._term is not None and not self.leading and self._term_of(record) != self._term:
            self.usurped = True
            return False
        if standing is Standing.HELD:
            return False
        await self._write(lease, lease_spec(self.identity, self.timing.lease, self._wall(), record))
        return True

    @staticmethod
    def _term_of(record: LeaseRecord | None) -> tuple[str, datetime | None] | None:
        """What stays the same from a take-over to the next one."""
        return (record.holder, record.acquired) if record is not None else None

    async def _create(self) -> bool:
        spec = lease_spec(self.identity, self.timing.lease, self._wall())
        self._learn(
            await self._client.create(
                LEASES, {"metadata": {"name": self.name, "namespace": self.namespace}, "spec": spec}
            )
        )
        return True

    async def _write(self, lease: Mapping[str, Any], spec: Mapping[str, Any]) -> None:
        self._learn(await self._client.replace(LEASES, {**lease, "spec": {**lease.get("spec", {}), **spec}}))

    def _learn(self, lease: dict[str, Any]) -> None:
        self._lease = lease
        self._seen.look(LeaseRecord.of(lease), self.identity, self._clock())


class LeaderElector:
    """`await run()` in a task: it returns when leadership was lost, and gives it back when cancelled.

    `acquired` and `lost` are events of the caller's loop. `lost` tells of real loss only, not of a stop. Before each
    write that only a leader may make, ask `is_leader`.

    With `regains`, a leader that could not renew in time has `lapsed`, not lost: `acquired` is unset and `lapsed` set
    until it leads again. It must not write meanwhile, as somebody else may lead; when somebody did, it has lost.
    """

    def __init__(
        self,
        client: KubeClient,
        name: str,
        namespace: str,
        identity: str,
        *,
        timing: Timing = Timing(),
        regains: bool = False,
    ) -> None:
        self._regains = regains
        self.lapsed = asyncio.Event()
        self.acquired = asyncio.Event()
        self.lost = asyncio.Event()
        self._own_client = client.clone(retry=ONCE, read_timeout=timing.renew)
        self._election = Election(self._own_client, name, namespace, identity, timing=timing)
        self._ran = False

    @property
    def is_leader(self) -> bool:
        """Whether we may act now; may be asked from any thread."""
        return self._election.still_valid()

    @property
    def holder(self) -> str:
        """Who holds the Lease as far as we know, for logs and the management page."""
        return self._election.holder

    async def run(self) -> None:
        if self._ran:
            raise RuntimeError("a LeaderElector runs once; make a new one")
        self._ran = True
        caller = asyncio.get_running_loop()
        own = asyncio.new_event_loop()
        campaign = own.create_task(
            self._campaign(lambda: _post(caller, self._started), lambda: _post(caller, self._interrupted))
        )
        ended: asyncio.Future[None] = caller.create_future()

        def renew() -> None:
            failure: BaseException | None = None
            try:
                own.run_until_complete(campaign)
                own.run_until_complete(own.shutdown_asyncgens())
            except (Exception, asyncio.CancelledError) as error:
                failure = error
            finally:
                own.close()
                _post(caller, lambda: _settle(ended, failure))

        # A daemon: a caller that dies without stopping us must not hang in our renewals.
        renewer = threading.Thread(target=renew, name="lease-renewer", daemon=True)
        renewer.start()
        try:
            await asyncio.shield(ended)
        except asyncio.CancelledError:
            _post(own, campaign.cancel)
            await asyncio.wait([ended])
            raise
        finally:
            if ended.done():
                renewer.join(1.0)  # it has nothing left to do
        self.lost.set()

    async def _campaign(self, started: Callable[[], None], interrupted: Callable[[], None]) -> None:
        election = self._election
        async with self._own_client:
            try:
                while True:
                    led = election.leading
                    await election.round()
                    if led and not election.leading:
                        if not self._regains:
                            return
                        interrupted()
                    if election.usurped:
                        return
                    if election.leading and not led:
                        started()
                    await asyncio.sleep(election.pause())
            finally:
                await election.release()

    def _interrupted(self) -> None:
        self.acquired.clear()
        self.lapsed.set()

    def _started(self) -> None:
        self.lapsed.clear()
        self.acquired.set()


def _post(loop: asyncio.AbstractEventLoop, callback: Callable[[], object]) -> None:
    with contextlib.suppress(RuntimeError):  # that loop is closed: nobody is left to be told
        loop.call_soon_threadsafe(callback)


def _settle(ended: asyncio.Future[None], failure: BaseException | None) -> None:
    if ended.done():
        return
    if failure is None or isinstance(failure, asyncio.CancelledError):
        ended.set_result(None)
    else:
        ended.set_exception(failure)


@dataclass(frozen=True, slots=True)
class Grant:
    """The answer of `try_acquire`: ours to do, being done already (`same`: for the same key), or busy."""

    outcome: Literal["acquired", "same", "busy"]
    holder: str
    # Seconds until another try can succeed; 0 when acquired.
    remaining: float
    lease: dict[str, Any]

    @property
    def acquired(self) -> bool:
        return self.outcome == "acquired"


async def try_acquire(
    client: KubeClient,
    name: str,
    namespace: str,
    *,
    holder: str,
    seconds: float,
    key: str = "",
    labels: Mapping[str, str] | None = None,
    wall: Callable[[], datetime] = wall_clock,
    skew: float = CLOCK_SKEW,
) -> Grant:
    """One attempt at a Lease of `seconds`, without waiting and without renewal.

    `key` says what it is taken for; whoever finds it held learns whether that is the same. A holder that asks
    again gets it again. Raises ApiError when the server cannot be asked.
    """
    for _ in range(3):
        try:
            lease = await client.get(LEASES, name, namespace)
        except NotFound:
            wanted: dict[str, Any] = {
                "metadata": {
                    "name": name,
                    "namespace": namespace,
                    "labels": dict(labels or {}),
                    "annotations": {KEY_ANNOTATION: key},
                },
                "spec": lease_spec(holder, seconds, wall()),
            }
            try:
                return Grant("acquired", holder, 0.0, await client.create(LEASES, wanted))
            except AlreadyExists:
                continue  # somebody was quicker: see who
        record = LeaseRecord.of(lease)
        remaining = record.remaining(wall(), skew)
        if remaining > 0 and record.holder != holder:
            return Grant("same" if record.key == key else "busy", record.holder, remaining, lease)
        metadata = lease["metadata"]
        taken = {
            **lease,
            "metadata": {
                **metadata,
                "labels": {**(metadata.get("labels") or {}), **(labels or {})},
                "annotations": {**(metadata.get("annotations") or {}), KEY_ANNOTATION: key},
            },
            "spec": lease_spec(holder, seconds, wall(), record),
        }
        try:
            return Grant("acquired", holder, 0.0, await client.replace(LEASES, taken))
        except (Conflict, NotFound):
            continue
    return Grant("busy", "", skew, {})


async def release(client: KubeClient, grant: Grant) -> bool:
    """Give an acquired Lease back early: it goes, for there are as many names as there are things to do once. False
    when it was no longer ours, which is fine."""
    metadata = grant.lease["metadata"]
    try:
        await client.delete(
            LEASES,
            metadata["name"],
            metadata["namespace"],
            uid=metadata["uid"],
            resource_version=metadata["resourceVersion"],
        )
    except (Conflict, NotFound):
        return False
    return True
