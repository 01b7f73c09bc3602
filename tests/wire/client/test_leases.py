"""Leases on the wire: an election's rounds against a scripted server, the elector's thread, and the gate."""

import asyncio
import threading
import time
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from crds.client import Credentials, KubeClient, LeaderElector, RetryPolicy, Timing, release, try_acquire
from crds.client.lease_record import lease_spec
from crds.client.leases import Election
from tests.support.fake_api import Answer, FakeApi, Seen, refusal

COLLECTION = "/apis/coordination.k8s.io/v1/namespaces/sys/leases"
PATH = f"{COLLECTION}/gate"
NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


class LeaseServer:
    """One Lease with optimistic locking; `down` makes every call fail."""

    def __init__(self, api: FakeApi) -> None:
        self.lease: dict[str, Any] | None = None
        self.down = False
        self.version = 0
        for method, path in (("GET", PATH), ("PUT", PATH), ("DELETE", PATH), ("POST", COLLECTION)):
            api.on(method, path, self.answer)

    def answer(self, seen: Seen) -> Answer:
        if self.down:
            return refusal(503, "ServiceUnavailable")
        if seen.method == "GET":
            return Answer(json=self.lease) if self.lease else refusal(404, "NotFound")
        sent = seen.json
        if seen.method == "DELETE":
            if self.lease is None:
                return refusal(404, "NotFound")
            if any(self.lease["metadata"][field] != value for field, value in sent["preconditions"].items()):
                return refusal(409, "Conflict")
            self.lease = None
            return Answer(json={"kind": "Status", "status": "Success"})
        if seen.method == "POST" and self.lease is not None:
            return refusal(409, "AlreadyExists")
        if seen.method == "PUT":
            if self.lease is None:
                return refusal(404, "NotFound")
            if sent["metadata"]["resourceVersion"] != self.lease["metadata"]["resourceVersion"]:
                return refusal(409, "Conflict")
        self.put(sent["spec"], sent["metadata"].get("annotations"), sent["metadata"].get("labels"))
        return Answer(json=self.lease)

    def put(self, spec: dict[str, Any], annotations: Any = None, labels: Any = None) -> None:
        self.version += 1
        self.lease = {
            "metadata": {
                "name": "gate",
                "namespace": "sys",
                "uid": "lease-1",
                "resourceVersion": str(self.version),
                "annotations": annotations,
                "labels": labels,
            },
            "spec": spec,
        }

    @property
    def spec(self) -> dict[str, Any]:
        assert self.lease is not None
        spec: dict[str, Any] = self.lease["spec"]
        return spec


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now

    def wall(self) -> datetime:
        return NOW + timedelta(seconds=self.now - 1000.0)


@pytest.fixture
async def api() -> AsyncIterator[FakeApi]:
    async with FakeApi() as api:
        yield api


@pytest.fixture
async def client(api: FakeApi) -> AsyncIterator[KubeClient]:
    async with KubeClient(Credentials.fixed(api.url), retry=RetryPolicy(attempts=1)) as client:
        yield client


@pytest.fixture
def server(api: FakeApi) -> LeaseServer:
    return LeaseServer(api)


@pytest.fixture
def clock() -> Clock:
    return Clock()


def candidate(client: KubeClient, clock: Clock, identity: str, **options: Any) -> Election:
    return Election(client, "gate", "sys", identity, clock=clock, wall=clock.wall, **options)


# Rounds of an election


async def test_the_first_candidate_makes_the_lease(client: KubeClient, server: LeaseServer, clock: Clock) -> None:
    a = candidate(client, clock, "a")
    assert await a.round()
    assert a.still_valid()
    assert server.spec == {
        "holderIdentity": "a",
        "leaseDurationSeconds": 15,
        "acquireTime": "2026-01-02T03:04:05.000000Z",
        "renewTime": "2026-01-02T03:04:05.000000Z",
        "leaseTransitions": 0,
    }


async def test_renewing_is_one_put_with_the_version(
    api: FakeApi, client: KubeClient, server: LeaseServer, clock: Clock
) -> None:
    a = candidate(client, clock, "a")
    await a.round()
    sent = len(api.requests)
    clock.now += 2
    assert await a.round()
    (renewal,) = api.requests[sent:]
    assert renewal.method == "PUT"
    assert renewal.json["metadata"]["resourceVersion"] == "1"
    assert server.spec["renewTime"] == "2026-01-02T03:04:07.000000Z"
    assert server.spec["acquireTime"] == "2026-01-02T03:04:05.000000Z"


async def test_another_waits_the_whole_duration_by_its_own_clock(
    client: KubeClient, server: LeaseServer, clock: Clock
) -> None:
    a, b = candidate(client, clock, "a"), candidate(client, clock, "b")
    await a.round()
    # The holder's clock is a day off; nothing follows from that.
    server.put({**server.spec, "renewTime": "2026-01-01T00:00:00.000000Z"})
    assert not await b.round()
    clock.now += 14.9
    assert not await b.round()
    clock.now += 0.1
    assert await b.round()
    assert server.spec["holderIdentity"] == "b"
    assert server.spec["leaseTransitions"] == 1


async def test_a_leader_that_was_replaced_knows_in_its_next_rounds(
    client: KubeClient, server: LeaseServer, clock: Clock
) -> None:
    a, b = candidate(client, clock, "a"), candidate(client, clock, "b")
    await a.round()
    await b.round()
    clock.now += 15
    await b.round()
    assert not a.still_valid()
    assert not await a.round()
    assert not a.leading
    assert a.holder in ("a", "b")
    assert not await a.round()
    assert a.holder == "b"


async def test_leadership_ends_by_the_clock_when_renewals_fail(
    client: KubeClient, server: LeaseServer, clock: Clock
) -> None:
    a = candidate(client, clock, "a")
    await a.round()
    server.down = True
    clock.now += 9
    assert not await a.round()
    assert a.leading
    assert a.still_valid()
    assert a.pause() <= 1.0
    clock.now += 1
    assert not a.still_valid()
    await a.round()
    assert not a.leading


async def test_an_outage_shorter_than_the_deadline_is_survived(
    client: KubeClient, server: LeaseServer, clock: Clock
) -> None:
    a = candidate(client, clock, "a")
    await a.round()
    server.down = True
    clock.now += 8
    await a.round()
    server.down = False
    assert await a.round()
    assert a.still_valid()


async def test_a_conflict_is_looked_into_before_giving_up(
    client: KubeClient, server: LeaseServer, clock: Clock
) -> None:
    a = candidate(client, clock, "a")
    await a.round()
    # Somebody labelled it, or our own last write arrived without its answer.
    server.put(server.spec, labels={"x": "y"})
    assert not await a.round()
    assert a.leading
    assert await a.round()


async def test_a_deleted_lease_is_made_again(client: KubeClient, server: LeaseServer, clock: Clock) -> None:
    a = candidate(client, clock, "a")
    await a.round()
    server.lease = None
    assert not await a.round()
    assert await a.round()
    assert server.spec["holderIdentity"] == "a"


async def test_releasing_lets_the_next_one_in_at_once(client: KubeClient, server: LeaseServer, clock: Clock) -> None:
    a, b = candidate(client, clock, "a"), candidate(client, clock, "b")
    await a.round()
    await b.round()
    await a.release()
    assert (server.spec["holderIdentity"], server.spec["leaseDurationSeconds"]) == ("", 1)
    assert not a.still_valid()
    assert await b.round()


async def test_releasing_takes_nothing_from_a_successor(client: KubeClient, server: LeaseServer, clock: Clock) -> None:
    a = candidate(client, clock, "a")
    await a.round()
    server.put(lease_spec("b", 15, NOW))
    await a.release()
    assert server.spec["holderIdentity"] == "b"


async def test_two_candidates_cannot_both_make_it(client: KubeClient, server: LeaseServer, clock: Clock) -> None:
    candidates = [candidate(client, clock, name) for name in "abcdef"]
    held = await asyncio.gather(*(c.round() for c in candidates))
    assert held.count(True) == 1


async def test_the_jitter_is_applied(client: KubeClient, clock: Clock) -> None:
    dice = iter([0.0, 0.5, 1.0])
    a = candidate(client, clock, "a", dice=lambda: next(dice))
    assert [a.pause() for _ in range(3)] == [2.0, pytest.approx(2.2), pytest.approx(2.4)]


async def test_an_identity_is_needed(client: KubeClient, clock: Clock) -> None:
    with pytest.raises(ValueError, match="identity"):
        candidate(client, clock, "")


@pytest.mark.parametrize("timing", [(10, 10, 2), (15, 2, 2), (15, 10, 0)])
def test_impossible_timing_is_refused(timing: tuple[float, float, float]) -> None:
    with pytest.raises(ValueError, match="lease > renew > retry"):
        Timing(*timing)


# The elector's thread


QUICK = Timing(lease=1.0, renew=0.6, retry=0.05)


async def test_the_elector_tells_its_loop_and_gives_back_when_cancelled(
    client: KubeClient, server: LeaseServer
) -> None:
    elector = LeaderElector(client, "gate", "sys", "a", timing=QUICK)
    task = asyncio.create_task(elector.run())
    await asyncio.wait_for(elector.acquired.wait(), 5)
    assert elector.is_leader
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert not elector.is_leader
    assert not elector.lost.is_set()
    assert server.spec["holderIdentity"] == ""
    assert not [thread for thread in threading.enumerate() if thread.name == "lease-renewer"]


async def test_losing_ends_the_run_and_is_told(client: KubeClient, server: LeaseServer) -> None:
    elector = LeaderElector(client, "gate", "sys", "a", timing=QUICK)
    task = asyncio.create_task(elector.run())
    await asyncio.wait_for(elector.acquired.wait(), 5)
    server.down = True
    await asyncio.wait_for(task, 5)
    assert elector.lost.is_set()
    assert not elector.is_leader
    with pytest.raises(RuntimeError, match="runs once"):
        await elector.run()


async def test_one_that_regains_goes_on_when_nobody_led_meanwhile(client: KubeClient, server: LeaseServer) -> None:
    elector = LeaderElector(client, "gate", "sys", "a", timing=QUICK, regains=True)
    task = asyncio.create_task(elector.run())
    await asyncio.wait_for(elector.acquired.wait(), 5)
    server.down = True
    await asyncio.wait_for(elector.lapsed.wait(), 5)
    assert not elector.is_leader
    assert not elector.acquired.is_set()
    server.down = False
    await asyncio.wait_for(elector.acquired.wait(), 5)
    assert elector.is_leader
    assert not elector.lapsed.is_set()
    assert not elector.lost.is_set()
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


@pytest.mark.parametrize("after", ["another holds it", "another gave it back", "it was deleted"])
async def test_one_that_regains_has_lost_when_somebody_may_have_led(
    client: KubeClient, server: LeaseServer, after: str
) -> None:
    elector = LeaderElector(client, "gate", "sys", "a", timing=QUICK, regains=True)
    task = asyncio.create_task(elector.run())
    await asyncio.wait_for(elector.acquired.wait(), 5)
    server.down = True
    await asyncio.wait_for(elector.lapsed.wait(), 5)
    if after == "it was deleted":
        server.lease = None
    else:
        server.put(lease_spec("" if after == "another gave it back" else "b", 15, NOW))
    server.down = False
    await asyncio.wait_for(task, 5)
    assert elector.lost.is_set()
    assert not elector.is_leader
    holder = None if server.lease is None else server.spec["holderIdentity"]
    assert holder != "a"


def test_a_busy_caller_does_not_lose_the_lease() -> None:
    """The server runs in a thread of its own here, so that only the caller's loop is blocked."""
    ready = threading.Event()
    stop: list[Any] = []
    shared: dict[str, Any] = {}

    async def serve() -> None:
        stopped = asyncio.Event()
        loop = asyncio.get_running_loop()
        stop.append(lambda: loop.call_soon_threadsafe(stopped.set))
        async with FakeApi() as api:
            shared["server"], shared["url"] = LeaseServer(api), api.url
            ready.set()
            await stopped.wait()

    thread = threading.Thread(target=lambda: asyncio.run(serve()))
    thread.start()
    assert ready.wait(10)

    async def lead() -> None:
        async with KubeClient(Credentials.fixed(shared["url"])) as client:
            elector = LeaderElector(client, "gate", "sys", "a", timing=QUICK)
            task = asyncio.create_task(elector.run())
            await asyncio.wait_for(elector.acquired.wait(), 5)
            renewed = shared["server"].version
            busy_until = time.monotonic() + 1.5
            while time.monotonic() < busy_until:
                sum(range(1000))
            assert elector.is_leader
            assert shared["server"].version > renewed + 5
            assert not elector.lost.is_set()
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    try:
        asyncio.run(lead())
    finally:
        stop[0]()
        thread.join(10)


# The gate


async def acquire(client: KubeClient, clock: Clock, holder: str, key: str = "resume") -> Any:
    return await try_acquire(
        client, "gate", "sys", holder=holder, seconds=30, key=key, labels={"l": "1"}, wall=clock.wall
    )


async def test_the_gate_lets_one_through(client: KubeClient, server: LeaseServer, clock: Clock) -> None:
    first = await acquire(client, clock, "a")
    assert first.acquired
    assert server.lease is not None
    assert server.lease["metadata"]["annotations"] == {"xtrinode.io/lease-key": "resume"}
    assert server.lease["metadata"]["labels"] == {"l": "1"}
    same = await acquire(client, clock, "b")
    assert (same.outcome, same.holder, same.remaining) == ("same", "a", pytest.approx(32.0))
    assert (await acquire(client, clock, "b", key="suspend")).outcome == "busy"


async def test_many_at_once_are_one_flight(client: KubeClient, server: LeaseServer, clock: Clock) -> None:
    grants = await asyncio.gather(*(acquire(client, clock, f"r{n}") for n in range(12)))
    assert sorted(grant.outcome for grant in grants) == ["acquired"] + ["same"] * 11


async def test_an_expired_gate_is_taken_over(client: KubeClient, server: LeaseServer, clock: Clock) -> None:
    await acquire(client, clock, "a")
    clock.now += 31
    assert not (await acquire(client, clock, "b")).acquired
    clock.now += 2
    taken = await acquire(client, clock, "b", key="suspend")
    assert taken.acquired
    assert server.spec["leaseTransitions"] == 1


async def test_the_same_holder_gets_it_again(client: KubeClient, server: LeaseServer, clock: Clock) -> None:
    await acquire(client, clock, "a")
    assert (await acquire(client, clock, "a")).acquired


async def test_a_gate_given_back_is_free(client: KubeClient, server: LeaseServer, clock: Clock) -> None:
    grant = await acquire(client, clock, "a")
    assert await release(client, grant)
    assert server.lease is None, "nothing of it stays"
    assert (await acquire(client, clock, "b")).acquired
    assert not await release(client, grant)
    assert server.spec["holderIdentity"] == "b"


async def test_a_gate_that_makes_no_sense_is_free(client: KubeClient, server: LeaseServer, clock: Clock) -> None:
    server.put({"holderIdentity": "a", "renewTime": "once", "leaseDurationSeconds": -3})
    assert (await acquire(client, clock, "b")).acquired
