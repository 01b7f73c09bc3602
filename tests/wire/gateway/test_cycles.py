"""Connections and coordinators that end are freed at once: they leave no cycles behind.

What is there when a table was loaded is set aside from Python's collector (`gateway.interpreter`), so a cycle in it
would stay for ever.
"""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Iterator
from contextlib import contextmanager

from gateway.routing.model import Service
from tests.support.gateway_peers import PAGE, POLL_GET, Run
from tests.support.gateway_sockets import Gateway, closed, coordinator, gateway_before, read_head, read_response
from tests.support.gateway_wire import POST, status_of


@contextmanager
def found_by_the_collector() -> Iterator[list[str]]:
    """The types of ours whose objects only the collector of cycles has found unreachable."""
    found: list[str] = []
    gc.collect()
    gc.disable()
    gc.set_debug(gc.DEBUG_SAVEALL)
    try:
        yield found
        gc.collect()
        kinds = {type(one) for one in gc.garbage}
        found += sorted(f"{kind.__module__}.{kind.__name__}" for kind in kinds if kind.__module__.startswith("gateway"))
    finally:
        gc.set_debug(0)
        gc.garbage.clear()
        gc.enable()


async def answering(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while True:
        head = await read_head(reader)
        if head.startswith(b"POST"):
            await reader.readexactly(len(POST) - len(head))
        writer.write(PAGE)


async def life_and_end(gateway: Gateway, port: int) -> None:
    """A coordinator appears, is asked by three clients, and is retired; the clients go."""
    router = gateway.proxy.router
    service = Service("localhost", port)
    router.set_addresses(service, [("127.0.0.1", port)])
    for target in router.targets():
        router.identified(target, b"abcde")
    for _ in range(3):
        reader, writer = await gateway.connect()
        for request in (POST, POLL_GET, POLL_GET, POLL_GET, POLL_GET):
            writer.write(request)
            assert status_of(await read_response(reader)) == 200
        await closed(writer)
    router.set_addresses(service, [])
    while gateway.proxy.pools or gateway.proxy.clients or gateway.proxy.tasks:
        await asyncio.sleep(0.01)


def test_clients_and_retired_coordinators_are_freed_without_the_collector(run: Run) -> None:
    async def scenario() -> None:
        async with coordinator(answering) as port, gateway_before(port) as gateway:
            await life_and_end(gateway, port)  # what is made once and kept is nobody's garbage
            with found_by_the_collector() as found:
                await life_and_end(gateway, port)
            assert found == []

    run(scenario())
