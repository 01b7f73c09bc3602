"""Clients that would smuggle requests, or hold others up, on real sockets.

Attacks come on a fresh connection and on one that has polled before, because what has been served before may take a
shorter way through the gateway.
"""

from __future__ import annotations

import asyncio
import socket

import pytest

from gateway.routing.circuit import State
from tests.support.gateway_attacks import CHUNK_ATTACKS, SMUGGLING
from tests.support.gateway_peers import PAGE, POLL_GET, Coordinator, Run, reset
from tests.support.gateway_sockets import Gateway, closed, coordinator, gateway_before, read_head, read_response
from tests.support.gateway_wire import status_of

HIDDEN = b"GET /hidden HTTP/1.1\r\nHost: gw:8080\r\n\r\n"


def identify(gateway: Gateway) -> None:
    for target in gateway.proxy.router.targets():
        gateway.proxy.router.identified(target, b"abcde")


@pytest.mark.parametrize("warm", [0, 4])
@pytest.mark.parametrize("with_a_poll", [False, True])
def test_ambiguity_is_refused_and_nothing_of_it_goes_on(run: Run, warm: int, with_a_poll: bool) -> None:
    async def attacked(gateway: Gateway, attack: bytes) -> bytes:
        reader, writer = await gateway.connect()
        for _ in range(warm):
            writer.write(POLL_GET)
            assert await read_response(reader) == PAGE
        writer.write((POLL_GET if with_a_poll else b"") + attack + HIDDEN)
        if with_a_poll:
            assert await read_response(reader) == PAGE
        answer = await reader.read()
        await closed(writer)
        return answer

    async def scenario() -> None:
        far = Coordinator()
        async with coordinator(far) as port, gateway_before(port) as gateway:
            identify(gateway)
            for attack, status in SMUGGLING.values():
                answer = await attacked(gateway, attack)
                assert status_of(answer) == status
                assert b"\r\nConnection: close\r\n" in answer
                assert answer.count(b"\r\nContent-Length: ") == 1
            for attack in CHUNK_ATTACKS.values():
                answer = await attacked(gateway, attack)
                assert status_of(answer) == 400
                assert answer.count(b"\r\nContent-Length: ") == 1
            assert all(head.startswith((b"GET /v1/statement/", b"POST / HTTP/1.1\r\n")) for head in far.requests)
            posts = [head for head in far.requests if head.startswith(b"POST")]
            assert all(b"Transfer-Encoding: chunked" in head and b"Content-Length" not in head for head in posts)

    run(scenario())


def test_slow_heads_and_slow_bodies_do_not_hold_others_back(run: Run) -> None:
    async def scenario() -> None:
        far = Coordinator()
        async with coordinator(far) as port, gateway_before(port) as gateway:
            identify(gateway)
            slow = [await gateway.connect() for _ in range(60)]
            for number, (_, writer) in enumerate(slow):
                writer.write(
                    b"GET / HTTP/1.1\r\nHost: a\r\nX-"
                    if number % 2
                    else b"POST /v1/statement HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\n\r\nSELECT"
                )
            reader, writer = await gateway.connect()
            for _ in range(100):
                writer.write(POLL_GET)
                assert await read_response(reader) == PAGE
            assert len(gateway.proxy.clients) == 61  # served while they were still holding on
            now = asyncio.get_running_loop().time()
            gateway.proxy.sweep(now + 100)
            gateway.proxy.sweep(now + 200)
            for other, theirs in slow:
                assert status_of(await other.read()) == 408
                await closed(theirs)
            assert gateway.proxy.counters.timeouts == {"request_head": 30, "request_body": 30}
            await closed(writer)

    run(scenario())


def test_slow_readers_do_not_hold_others_back(run: Run) -> None:
    large = b"HTTP/1.1 200 OK\r\nContent-Length: 4000000\r\n\r\n" + bytes(4_000_000)

    async def scenario() -> None:
        far = Coordinator(large)
        async with coordinator(far) as port, gateway_before(port) as gateway:
            identify(gateway)
            loop = asyncio.get_running_loop()
            slow = []
            for _ in range(8):
                raw = socket.socket()
                raw.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
                raw.setblocking(False)
                await loop.sock_connect(raw, ("127.0.0.1", gateway.port))
                await loop.sock_sendall(raw, POLL_GET)
                slow.append(raw)
            while sum(client.write_paused for client in gateway.proxy.clients) < len(slow):
                await asyncio.sleep(0.01)
            far.answer = PAGE
            reader, writer = await gateway.connect()
            for _ in range(100):
                writer.write(POLL_GET)
                assert await read_response(reader) == PAGE
            assert sum(client.write_paused for client in gateway.proxy.clients) == len(slow)
            for raw in slow:  # and they get all of it, at their own pace
                left = len(large)
                while left:
                    left -= len(await loop.sock_recv(raw, 1 << 18))
                raw.close()
            await closed(writer)

    run(scenario())


def test_a_connection_whose_response_ended_while_its_client_was_slow_serves_the_next_one(run: Run) -> None:
    async def scenario() -> None:
        far = Coordinator(b"HTTP/1.1 200 OK\r\nContent-Length: 3000000\r\n\r\n" + bytes(3_000_000))
        async with coordinator(far) as port, gateway_before(port) as gateway:
            identify(gateway)
            loop = asyncio.get_running_loop()
            with socket.socket() as raw:
                raw.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
                raw.setblocking(False)
                await loop.sock_connect(raw, ("127.0.0.1", gateway.port))
                await loop.sock_sendall(raw, POLL_GET)
                (target,) = gateway.proxy.router.targets()
                left = 3_000_000
                while target.pool is None or not target.pool.idle:  # read just enough for the response to end
                    left -= len(await loop.sock_recv(raw, 16384))
                assert left > 0
                far.answer = PAGE
                reader, writer = await gateway.connect()
                for _ in range(3):
                    writer.write(POLL_GET)
                    assert await read_response(reader) == PAGE
                assert far.connections == 1
                await closed(writer)

    run(scenario())


def test_a_client_that_sends_ahead_without_reading_is_held_back(run: Run) -> None:
    async def scenario() -> None:
        far = Coordinator(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n" + bytes(100_000))
        async with coordinator(far) as port, gateway_before(port) as gateway:
            identify(gateway)
            loop = asyncio.get_running_loop()
            with socket.socket() as raw:
                raw.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)
                raw.setblocking(False)
                await loop.sock_connect(raw, ("127.0.0.1", gateway.port))
                total = 2000
                sending = loop.create_task(loop.sock_sendall(raw, POLL_GET * total))
                served = -1
                while served != len(far.requests):
                    served = len(far.requests)
                    await asyncio.sleep(0.1)
                assert served < 200
                (client,) = gateway.proxy.clients
                assert client.transport.get_write_buffer_size() < 1024 * 1024
                left = total * (100_000 + 43)
                while left > 0:
                    left -= len(await loop.sock_recv(raw, 1 << 20))
                await sending
                assert left == 0
                assert len(far.requests) == total

    run(scenario())


@pytest.mark.parametrize("how", ["reset", "close"])
def test_a_client_that_goes_away_takes_its_coordinators_connection_along(run: Run, how: str) -> None:
    async def scenario() -> None:
        gone = asyncio.Event()

        async def endless(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await read_head(reader)
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000000000\r\n\r\n")
            try:
                while True:
                    writer.write(bytes(10_000))
                    await writer.drain()
                    await asyncio.sleep(0)
            finally:
                gone.set()

        async with coordinator(endless) as port, gateway_before(port) as gateway:
            identify(gateway)
            reader, writer = await gateway.connect()
            writer.write(POLL_GET)
            await read_head(reader)
            if how == "reset":
                reset(writer)
            else:
                writer.transport.abort()  # half closed, as far as the gateway can tell, until it writes
            await asyncio.wait_for(gone.wait(), 5)
            (target,) = gateway.proxy.router.targets()
            assert not target.pool.idle
            assert gateway.proxy.counters.client_aborts == 1
            assert target.circuit.state is State.CLOSED

    run(scenario())
