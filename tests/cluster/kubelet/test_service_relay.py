"""The relay behind Service addresses, over real sockets: turns, failures, half-close, pressure in both directions."""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest_asyncio

from sandbox.kubelet.relay import Address, ServiceRelay

# An address of this process alone: tests run side by side.
FRONT = Address(f"127.33.{os.getpid() >> 8 & 255}.{os.getpid() & 255}", 18080)
Handler = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@contextlib.asynccontextmanager
async def backend(handler: Handler) -> AsyncIterator[Address]:
    server = await asyncio.start_server(handler, "127.0.0.1", 0)
    try:
        yield Address("127.0.0.1", server.sockets[0].getsockname()[1])
    finally:
        server.close()


def says(word: bytes) -> Handler:
    async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(word)
        writer.close()

    return handler


async def echo_after_end(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Answers only once the client has finished sending, so half-close must get through."""
    data = await reader.read()
    writer.write(b"%d bytes" % len(data))
    writer.close()


@pytest_asyncio.fixture
async def relay() -> AsyncIterator[ServiceRelay]:
    made = ServiceRelay()
    task = asyncio.create_task(made.run())
    yield made
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def connect() -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    for _ in range(200):
        with contextlib.suppress(ConnectionRefusedError):
            return await asyncio.open_connection(*FRONT)
        await asyncio.sleep(0.01)
    raise AssertionError("the address never opened")


async def ask(data: bytes = b"") -> bytes:
    reader, writer = await connect()
    try:
        writer.write(data)
        writer.write_eof()
        return await reader.read()
    finally:
        writer.close()


async def test_endpoints_take_turns(relay: ServiceRelay) -> None:
    async with backend(says(b"one")) as one, backend(says(b"two")) as two:
        relay.show({FRONT: (one, two)})
        assert {await ask(), await ask()} == {b"one", b"two"}


async def test_an_endpoint_that_refuses_is_passed_over(relay: ServiceRelay) -> None:
    async with backend(says(b"alive")) as alive:
        relay.show({FRONT: (Address("127.0.0.1", 9), alive)})
        assert [await ask() for _ in range(3)] == [b"alive"] * 3


async def test_the_client_may_finish_first(relay: ServiceRelay) -> None:
    async with backend(echo_after_end) as end:
        relay.show({FRONT: (end,)})
        assert await ask(b"x" * 1_000_000) == b"1000000 bytes"


async def test_a_client_that_does_not_read_slows_the_endpoint_down(relay: ServiceRelay) -> None:
    sent = 0
    stalled = asyncio.Event()

    async def pour(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal sent
        try:
            while True:
                writer.write(b"x" * 65536)
                sent += 65536
                try:
                    await asyncio.wait_for(writer.drain(), 0.5)
                except TimeoutError:
                    stalled.set()
                    return
        finally:
            writer.transport.abort()

    async with backend(pour) as end:
        relay.show({FRONT: (end,)})
        _, writer = await connect()
        await asyncio.wait_for(stalled.wait(), 20)
        writer.close()
    assert sent < 64 * 1024 * 1024


async def test_an_endpoint_that_does_not_read_slows_the_client_down(relay: ServiceRelay) -> None:
    hold = asyncio.Event()

    async def deaf(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await hold.wait()
        writer.transport.abort()

    async with backend(deaf) as end:
        relay.show({FRONT: (end,)})
        _, writer = await connect()
        sent = 0
        with contextlib.suppress(TimeoutError):
            while sent < 64 * 1024 * 1024:
                writer.write(b"x" * 65536)
                sent += 65536
                await asyncio.wait_for(writer.drain(), 0.5)
        hold.set()
        writer.transport.abort()
    assert sent < 64 * 1024 * 1024


async def test_without_endpoints_the_address_is_closed(relay: ServiceRelay) -> None:
    async with backend(says(b"one")) as one:
        relay.show({FRONT: (one,)})
        assert await ask() == b"one"
        relay.show({})
        for _ in range(200):
            try:
                _, writer = await asyncio.open_connection(*FRONT)
            except ConnectionResetError:
                continue  # caught in the act of closing
            except ConnectionRefusedError:
                return
            writer.close()
            await asyncio.sleep(0.01)
    raise AssertionError("the address stayed open")


async def test_an_address_that_is_taken_is_served_once_it_is_free(relay: ServiceRelay) -> None:
    other = await asyncio.start_server(says(b"other"), *FRONT)
    async with backend(says(b"mine")) as mine:
        relay.show({FRONT: (mine,)})
        assert await ask() == b"other"
        other.close()
        await other.wait_closed()
        while await ask() != b"mine":
            await asyncio.sleep(0.02)


async def test_a_reset_by_the_endpoint_reaches_the_client(relay: ServiceRelay) -> None:
    async def reset(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1)
        writer.transport.abort()

    async with backend(reset) as end:
        relay.show({FRONT: (end,)})
        reader, writer = await connect()
        writer.write(b"x")
        with contextlib.suppress(ConnectionResetError):
            assert await asyncio.wait_for(reader.read(), 10) == b""
        writer.close()
