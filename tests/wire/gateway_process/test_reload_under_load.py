"""Five thousand routes change while clients poll: no request fails, and none waits for the tables."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

import pytest

from tests.support.gateway_process import Client, FarCoordinator, FarRoutes, backend, document, process, route, until
from tests.support.gateway_sockets import read_response

ROUTES = 5000
CLIENTS = 8
RELOADS = 8


def table(port: int, generation: int) -> str:
    """Routes by the thousand, a fifth of which differ from generation to generation; the last one names it."""
    many = [
        route(f"r{number}-{generation if number % 5 == 0 else 0}", backend(f"r{number}", port))
        for number in range(ROUTES)
    ]
    return document(*many, route(f"generation-{generation}", backend("marker", port)))


async def test_a_reload_of_thousands_of_routes_drops_no_request(
    tmp_path: Path, record_property: pytest.RecordProperty
) -> None:
    async with FarRoutes(tmp_path) as routes, FarCoordinator() as coordinator:
        coordinator.release.set()
        routes.publish(table(coordinator.port, 0))
        async with process(routes, tmp_path) as gateway:
            client = gateway.client
            stop = asyncio.Event()
            load = [asyncio.create_task(_poll(client, stop)) for _ in range(CLIENTS)]
            for generation in range(1, RELOADS + 1):
                routes.publish(table(coordinator.port, generation))

                async def live(name: str = f"team/generation-{generation}") -> bool:
                    return "nextUri" in await client.submit(name)

                await until(live, 30)
            stop.set()
            waits = sorted(wait for one in await asyncio.gather(*load) for wait in one)
            assert len(waits) > 100
            worst, usual = waits[-1], waits[len(waits) // 2]
            record_property("worst_seconds", worst)
            print(f"\n{len(waits)} polls, {RELOADS} reloads: median {usual * 1000:.1f} ms, at most {worst * 1000:.0f}")
            metrics = await client.metrics()
            assert metrics["xtrinode_gateway_routes"] == ROUTES + 1
            assert not any(
                name.startswith("xtrinode_gateway_client_aborts") and value for name, value in metrics.items()
            )
            assert worst < 2.0


async def _poll(client: Client, stop: asyncio.Event) -> list[float]:
    """Poll one query over one connection, and say how long each answer took."""
    page = await client.submit("team/r1-0")
    path = page["nextUri"].partition(str(client.port))[2]
    request = f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{client.port}\r\n\r\n".encode()
    reader, writer = await asyncio.open_connection("127.0.0.1", client.port)
    waits = []
    while not stop.is_set():
        start = time.perf_counter()
        writer.write(request)
        response = await read_response(reader)
        waits.append(time.perf_counter() - start)
        assert response.startswith(b"HTTP/1.1 200 "), response
        await asyncio.sleep(0.005)
    writer.transport.abort()
    return waits
