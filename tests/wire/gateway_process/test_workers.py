"""Several workers under one supervisor: one address, one management port, one set of numbers; a dead one is replaced.

Starting processes is slow, so each test does all that needs the same ones.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from gateway.supervisor import Supervisor
from tests.support.gateway_process import (
    Client,
    FarCoordinator,
    FarRoutes,
    backend,
    document,
    free_port,
    process,
    route,
    until,
)
from tests.support.gateway_sockets import read_response

WORKERS = 2
LIVE = "xtrinode_gateway_inflight_queries"


@pytest.fixture
async def routes(tmp_path: Path) -> AsyncIterator[FarRoutes]:
    async with FarRoutes(tmp_path) as far:
        yield far


def alone() -> aiohttp.ClientSession:
    """A client that opens a connection per request: which worker gets it is the kernel's throw."""
    return aiohttp.ClientSession(connector=aiohttp.TCPConnector(force_close=True, limit=0))


async def live(client: Client) -> float:
    return sum(value for name, value in (await client.metrics()).items() if name.startswith(LIVE))


async def pids(client: Client) -> list[int]:
    return [worker["pid"] for worker in (await client.status())["workers"]]


async def all_ready(client: Client) -> bool:
    status, _ = await client.readyz()
    return status == 200


async def test_workers_answer_as_one(routes: FarRoutes, tmp_path: Path) -> None:
    async with FarCoordinator() as coordinator:
        coordinator.release.set()
        routes.publish(document(route("a", backend("a", coordinator.port), default=True)))
        async with process(routes, tmp_path, "--workers", str(WORKERS)) as gateway, alone() as session:
            client = gateway.client
            assert len(set(await pids(client)) | {gateway.process.pid}) == WORKERS + 1

            # Statements and polls of a query over many connections, and so workers: counted once, and not for ever.
            pages = [await client.submit(session=session) for _ in range(12)]
            for _ in range(3):
                pages = [await client.poll(page, session) for page in pages]
            await until(lambda: _is(live(client), 12))
            assert (await client.status())["summary"]["liveQueries"] == 12
            coordinator.finish = True
            for page in pages:
                assert "nextUri" not in await client.poll(page, session)
            await until(lambda: _is(live(client), 0))

            metrics = await client.metrics()
            assert metrics["xtrinode_gateway_workers"] == metrics["xtrinode_gateway_workers_ready"] == WORKERS
            assert metrics['gateway_requests_total{status_code="2xx"}'] == 12 * 5
            assert metrics["gateway_request_duration_seconds_count"] == 12 * 5
            assert metrics["xtrinode_gateway_routes"] == 1

            # A change of routes reaches all of them.
            routes.publish(document(route("b", backend("b", coordinator.port))))

            async def everywhere() -> bool:
                answers = [await client.submit("team/b", session) for _ in range(20)]
                return all("nextUri" in answer for answer in answers)

            await until(everywhere)

            # SIGHUP is for the workers, and harms nobody.
            gateway.process.send_signal(signal.SIGHUP)
            await until(lambda: _is(_count(gateway.log, b"SIGHUP: loading routes"), WORKERS))
            assert "nextUri" in await client.submit("team/b", session)

            # SIGTERM: what is in flight is finished, whoever holds it.
            coordinator.finish = False
            coordinator.release.clear()
            waiting = [await client.submit("team/b", session) for _ in range(8)]
            seen = coordinator.requests
            polls = [asyncio.create_task(client.poll(page, session)) for page in waiting]
            await until(lambda: _is(_value(coordinator, "requests"), seen + 8))
            gateway.process.send_signal(signal.SIGTERM)
            await until(lambda: _refused(client))
            coordinator.release.set()
            assert {page["stats"]["state"] for page in await asyncio.gather(*polls)} == {"RUNNING"}
            assert await asyncio.wait_for(gateway.process.wait(), 10) == 0


async def test_a_worker_that_is_killed_fails_only_what_it_held(routes: FarRoutes, tmp_path: Path) -> None:
    async with FarCoordinator() as coordinator:
        coordinator.release.set()
        routes.publish(document(route("a", backend("a", coordinator.port), default=True)))
        async with process(routes, tmp_path, "--workers", str(WORKERS)) as gateway:
            client = gateway.client
            stop = asyncio.Event()
            outcomes: list[tuple[int, int]] = []
            clients = [asyncio.create_task(_keep_asking(client, stop, outcomes)) for _ in range(16)]
            await until(lambda: _is(_value(coordinator, "requests"), 200, at_least=True))
            before = await client.metrics()
            victim, survivor = await pids(client)
            os.kill(victim, signal.SIGKILL)

            async def replaced() -> bool:
                now = await pids(client)
                return victim not in now and None not in now and await all_ready(client)

            await until(replaced, 30)
            stop.set()
            await asyncio.gather(*clients)
            # What failed was on connections that the dead one held; who was with the other one saw nothing.
            # (One that is quick to come back may still meet the dying one's listener.)
            hit = [failed for _, failed in outcomes if failed]
            assert 1 <= len(hit) < len(outcomes)
            assert max(hit) <= 2
            assert all(done > 0 for done, _ in outcomes)
            assert survivor in await pids(client)

            after = await client.metrics()
            assert after["xtrinode_gateway_worker_restarts_total"] == 1
            # Counters of the dead one stay in the sum.
            gone_back = [
                name for name, value in before.items() if name.endswith("_total") and after.get(name, 0.0) < value
            ]
            assert gone_back == []
            workers = await pids(client)
            gateway.process.kill()
            await gateway.process.wait()
            # Nothing is left behind, however the supervisor ends.
            await until(lambda: _gone(workers))


async def _keep_asking(client: Client, stop: asyncio.Event, outcomes: list[tuple[int, int]]) -> None:
    """Poll over one connection, without a client's own repeats; a new connection when it is cut."""
    done = failed = 0
    page = await client.submit()
    path = page["nextUri"].partition(str(client.port))[2]
    request = f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{client.port}\r\n\r\n".encode()
    while not stop.is_set():
        try:
            reader, writer = await asyncio.open_connection("127.0.0.1", client.port)
        except ConnectionError:  # in the dead one's queue
            failed += 1
            continue
        try:
            while not stop.is_set():
                writer.write(request)
                response = await read_response(reader)
                assert response.startswith(b"HTTP/1.1 200 "), response
                done += 1
                await asyncio.sleep(0.002)
        except (ConnectionError, asyncio.IncompleteReadError):
            failed += 1
        writer.transport.abort()
    outcomes.append((done, failed))


async def _gone(workers: list[int]) -> bool:
    for pid in workers:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, 0)
            state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
            if state != "Z":
                return False
    return True


async def _refused(client: Client) -> bool:
    try:
        async with alone() as session:
            await client.submit(session=session)
    except aiohttp.ClientConnectorError:
        return True
    except aiohttp.ClientError:
        return False
    return False


async def _is(value: Any, expected: float, at_least: bool = False) -> bool:
    found = await value
    return bool(found >= expected if at_least else found == expected)


async def _value(of: object, name: str) -> float:
    return float(getattr(of, name))


async def _count(log: Path, text: bytes) -> int:
    return log.read_bytes().count(text)


async def test_a_worker_that_hangs_is_replaced(routes: FarRoutes, tmp_path: Path) -> None:
    flags = ["--kubeconfig", str(routes.kubeconfig), "--address", f"127.0.0.1:{free_port()}"]
    supervisor = Supervisor(flags, 1, tmp_path, patience=2.0)
    (slot,) = supervisor.slots
    await supervisor.start(slot)
    assert await supervisor.until_up(slot)
    keeper = asyncio.create_task(supervisor.keep(slot))
    assert slot.process is not None
    hung = slot.process.pid
    os.kill(hung, signal.SIGSTOP)

    async def replaced() -> bool:
        return slot.restarts == 1 and slot.process is not None and slot.process.pid != hung

    await until(replaced, 30)
    await supervisor.close()
    await keeper
