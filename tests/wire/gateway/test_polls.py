"""Polls on real sockets: the requests that nearly all others are, in every surrounding.

What is served in numbers may take a shorter way through the gateway than what is rare; these tests put the rare next
to the usual, on connections that are warm. Every page repeats the number of the poll that asked for it, so that an
answer that reaches the wrong one is seen.
"""

from __future__ import annotations

import asyncio
import gzip
import os
import random

import pytest

from gateway.proxy.settings import ProxySettings
from tests.support.gateway_peers import POLL_GET, Coordinator, Run, reset
from tests.support.gateway_sockets import Gateway, closed, coordinator, gateway_before, read_head, read_response
from tests.support.gateway_wire import OK, POST, QUERY_ID, chunked, page, reply, status_of

SEED = int(os.environ.get("XTRINODE_SEED", "1"))


def poll(number: int, *headers: bytes) -> bytes:
    """Poll number `number` of the query: the token of its URI."""
    line = f"GET /v1/statement/executing/{QUERY_ID}/yslug/{number} HTTP/1.1\r\n".encode()
    return line + b"\r\n".join([b"Host: gw:8080", b"X-Trino-User: u", *headers]) + b"\r\n\r\n"


def numbered(number: int, more: bool = True) -> bytes:
    return page(state="RUNNING" if more else "FINISHED", more=more, data=[[f"poll {number}."]])


def number_in(head: bytes) -> int:
    return int(head.partition(b"/yslug/")[2].partition(b" ")[0])


async def echoing(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while True:
        writer.write(reply(numbered(number_in(await read_head(reader)))))


def identify(gateway: Gateway) -> None:
    for target in gateway.proxy.router.targets():
        gateway.proxy.router.identified(target, b"abcde")


async def warmed(gateway: Gateway, number: int = 4) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """A client's connection that has polled a few times."""
    reader, writer = await gateway.connect()
    for _ in range(number):
        writer.write(poll(0))
        assert b"poll 0." in await read_response(reader)
    return reader, writer


@pytest.mark.parametrize("depth", [2, 7])
def test_polls_sent_ahead_in_one_piece_are_answered_in_order(run: Run, depth: int) -> None:
    async def scenario() -> None:
        async with coordinator(echoing) as port, gateway_before(port) as gateway:
            identify(gateway)
            reader, writer = await warmed(gateway)
            for start in range(1, 50, depth):
                writer.write(b"".join(poll(start + i) for i in range(depth)))
                for i in range(depth):
                    assert b"poll %d." % (start + i) in await read_response(reader)
            await closed(writer)

    run(scenario())


def test_a_poll_in_two_pieces_is_a_poll_at_every_split(run: Run) -> None:
    async def scenario() -> None:
        async with coordinator(echoing) as port, gateway_before(port) as gateway:
            identify(gateway)
            reader, writer = await warmed(gateway)
            whole = poll(123)
            client = next(iter(gateway.proxy.clients))
            for cut in range(1, len(whole)):
                before = client.partial
                writer.write(whole[:cut])
                while client.partial == before:
                    await asyncio.sleep(0)
                writer.write(whole[cut:])
                assert b"poll 123." in await read_response(reader)
            await closed(writer)

    run(scenario())


def test_an_answer_in_two_pieces_passes_at_every_split(run: Run) -> None:
    answer = reply(numbered(0))
    cuts = iter(range(1, len(answer)))

    async def halting(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for _ in range(4):
            await read_head(reader)
            writer.write(answer)
        for cut in cuts:
            await read_head(reader)
            writer.write(answer[:cut])
            await asyncio.sleep(0.001)
            writer.write(answer[cut:])

    async def scenario() -> None:
        async with coordinator(halting) as port, gateway_before(port) as gateway:
            identify(gateway)
            reader, writer = await warmed(gateway)
            for _ in range(1, len(answer)):
                writer.write(poll(0))
                assert await read_response(reader) == answer
            assert gateway.proxy.counters.responses[2] == len(answer) + 3
            await closed(writer)

    run(scenario())


def test_a_client_that_shuts_its_sending_half_gets_its_page(run: Run) -> None:
    async def scenario() -> None:
        async with coordinator(echoing) as port, gateway_before(port) as gateway:
            identify(gateway)
            for ahead in (1, 3):
                reader, writer = await warmed(gateway)
                writer.write(b"".join(poll(7 + i) for i in range(ahead)))
                writer.write_eof()
                got = await reader.read()
                assert [b"poll %d." % (7 + i) in got for i in range(ahead)] == [True] * ahead
                assert got.count(b"HTTP/1.1 200 OK") == ahead
                await closed(writer)

    run(scenario())


@pytest.mark.parametrize(
    "request_",
    [poll(5, b"Connection: close"), poll(5).replace(b"HTTP/1.1", b"HTTP/1.0")],
    ids=["asked for", "HTTP/1.0"],
)
def test_a_connection_that_will_close_says_so(run: Run, request_: bytes) -> None:
    async def scenario() -> None:
        async with coordinator(echoing) as port, gateway_before(port) as gateway:
            identify(gateway)
            reader, writer = await warmed(gateway)
            writer.write(request_)
            got = await reader.read()
            assert b"\r\nConnection: close\r\n" in got
            assert b"poll 5." in got
            await closed(writer)

    run(scenario())


def test_answers_without_bodies_do_not_shift_those_that_follow(run: Run) -> None:
    length = len(numbered(0))
    answers = {
        b"HEAD": b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % length,
        b"DELETE": b"HTTP/1.1 204 No Content\r\n\r\n",
        b"PUT": b"HTTP/1.1 304 Not Modified\r\nContent-Length: 77\r\n\r\n",
    }

    async def bodiless(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            head = await read_head(reader)
            writer.write(answers.get(head.partition(b" ")[0], reply(numbered(number_in(head)))))

    async def scenario() -> None:
        async with coordinator(bodiless) as port, gateway_before(port) as gateway:
            identify(gateway)
            reader, writer = await warmed(gateway)
            for number in range(1, 20):
                for method, expected in answers.items():
                    writer.write(poll(number).replace(b"GET", method) + poll(number))
                    assert await read_head(reader) == expected
                    assert b"poll %d." % number in await read_response(reader)
            assert gateway.proxy.counters.backend("team/t0").connects == 1
            await closed(writer)

    run(scenario())


def test_interim_responses_pass_in_their_place(run: Run) -> None:
    hints = b"HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n"
    go_on = b"HTTP/1.1 100 Continue\r\n\r\n"

    async def hinting(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for _ in range(4):
            await read_head(reader)
            writer.write(reply(numbered(0)))
        assert number_in(await read_head(reader)) == 1
        writer.write(hints)
        await asyncio.sleep(0.01)
        writer.write(hints + reply(numbered(1)))
        assert b"Expect: 100-continue\r\n" in await read_head(reader)
        writer.write(go_on)
        assert await reader.readexactly(8) == b"SELECT 1"
        writer.write(OK)
        await read_head(reader)
        writer.write(reply(numbered(2)))

    async def scenario() -> None:
        async with coordinator(hinting) as port, gateway_before(port) as gateway:
            identify(gateway)
            reader, writer = await warmed(gateway)
            writer.write(poll(1))
            assert await read_head(reader) == hints
            assert await read_head(reader) == hints
            assert b"poll 1." in await read_response(reader)
            head, _, text = POST.partition(b"\r\n\r\n")
            writer.write(head + b"\r\nExpect: 100-continue\r\n\r\n")
            assert await read_head(reader) == go_on
            writer.write(text)
            assert await read_response(reader) == OK
            writer.write(poll(2))
            assert b"poll 2." in await read_response(reader)
            await closed(writer)

    run(scenario())


def test_an_early_answer_to_an_upload_ends_both_connections_and_is_read(run: Run) -> None:
    async def early(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for _ in range(4):
            await read_head(reader)
            writer.write(reply(numbered(0)))
        await read_head(reader)
        writer.write(b"HTTP/1.1 413 Too Large\r\nContent-Length: 2\r\n\r\nno")
        while await reader.read(65536):
            pass

    async def scenario() -> None:
        async with coordinator(early) as port, gateway_before(port) as gateway:
            identify(gateway)
            reader, writer = await warmed(gateway)
            writer.write(b"PUT /x HTTP/1.1\r\nHost: a\r\nContent-Length: 3000000\r\n\r\n" + bytes(1_000_000))
            got = await reader.read()
            assert status_of(got) == 413
            assert got.endswith(b"\r\nConnection: close\r\n\r\nno")
            (target,) = gateway.proxy.router.targets()
            assert not target.pool.idle
            await closed(writer)

    run(scenario())


def test_headers_of_two_megabytes_pass_both_ways(run: Run) -> None:
    large = b"q=" + b"x" * 1_900_000

    async def scenario() -> None:
        far = Coordinator(reply(page(), b"X-Trino-Added-Prepare: " + large))
        async with coordinator(far) as port, gateway_before(port) as gateway:
            identify(gateway)
            reader, writer = await gateway.connect()
            for _ in range(3):
                writer.write(POLL_GET[:-2] + b"X-Trino-Prepared-Statement: " + large + b"\r\n\r\n")
                got = bytearray()
                while not got.endswith(page()):
                    got += await reader.read(1 << 20)
                assert bytes(got) == far.answer
                far.answer = reply(page(), b"X-Trino-Added-Prepare: " + large)
                assert b"X-Trino-Prepared-Statement: " + large in far.requests[-1]
            await closed(writer)

    # The stand-in's own reader takes no more than a megabyte at once.
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("tests.support.gateway_peers.read_head", _read_large_head)
        run(scenario())


async def _read_large_head(reader: asyncio.StreamReader) -> bytes:
    got = bytearray()
    while not got.endswith(b"\r\n\r\n"):
        piece = await reader.read(1 << 20)
        if not piece:
            raise asyncio.IncompleteReadError(bytes(got), None)
        got += piece
    return bytes(got)


def test_the_owner_is_learnt_though_the_page_comes_after_its_head(run: Run) -> None:
    async def slow_page(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            head = await read_head(reader)
            if head.startswith(b"POST"):
                await reader.readexactly(8)
            answer = reply(page() if head.startswith(b"POST") else numbered(number_in(head)))
            cut = answer.index(b"\r\n\r\n") + 4
            for piece in (answer[:cut], answer[cut : cut + 9], answer[cut + 9 :]):
                writer.write(piece)
                await asyncio.sleep(0.005)

    async def scenario() -> None:
        async with (
            coordinator(slow_page) as port,
            coordinator(echoing) as other,
            gateway_before(port, other) as gateway,
        ):
            first, second = gateway.proxy.router.targets()
            second.inflight += 100  # nobody would choose it; and then everybody
            reader, writer = await gateway.connect()
            writer.write(POST)
            await read_response(reader)
            second.inflight -= 100
            first.inflight += 100
            for number in range(20):
                writer.write(poll(number))
                assert b"poll %d." % number in await read_response(reader)
            first.inflight -= 100
            assert gateway.proxy.counters.backend(second.key).connects == 0
            await closed(writer)

    run(scenario())


def test_a_stale_connection_costs_a_poll_nothing_and_a_statement_an_error(run: Run) -> None:
    heads: list[bytes] = []

    async def dying(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for _ in range(3):
            heads.append(await read_head(reader))
            writer.write(reply(numbered(number_in(heads[-1]))))
        heads.append(await read_head(reader))
        reset(writer)

    async def scenario() -> None:
        async with coordinator(dying) as port, gateway_before(port) as gateway:
            identify(gateway)
            reader, writer = await gateway.connect()
            for number in range(10):
                writer.write(poll(number))
                assert b"poll %d." % number in await read_response(reader)
            assert gateway.proxy.counters.retries == 3
            assert len(heads) == 13
            heads.clear()
            writer.write(poll(90) + poll(91))
            await read_response(reader)
            await read_response(reader)
            writer.write(POST)
            assert b"GENERIC_INTERNAL_ERROR" in await read_response(reader)
            assert [head[:4] for head in heads] == [b"GET ", b"GET ", b"POST"]
            await closed(writer)

    run(scenario())


def test_many_clients_each_get_their_own_answers_whatever_is_around_them(run: Run) -> None:
    """Pieces, pipelines, other headers, compressed and chunked pages, connections that end: at random."""
    chance = random.Random(SEED)
    polls = again = 0
    # A poll that meets two connections, one after the other, that end at that moment. Clients repeat it.
    lost = b"closed the connection before it answered"

    async def moody(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            head = await read_head(reader)
            body = numbered(number_in(head), more=chance.random() < 0.9)
            kind = chance.random()
            if kind < 0.7:
                answer = reply(body)
            elif kind < 0.8:
                answer = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + chunked(
                    body, chance.randint(1, 200)
                )
            elif kind < 0.85:
                answer = reply(gzip.compress(body), b"Content-Encoding: gzip")
            elif kind < 0.9:
                answer = reply(body, b"Connection: close")
            elif kind < 0.95:
                answer = b"HTTP/1.1 103 Early Hints\r\n\r\n" + reply(body, b"X-Number: %d" % chance.getrandbits(30))
            else:
                answer = reply(body, status=b"503 Service Unavailable")
            if chance.random() < 0.3:
                cut = chance.randrange(len(answer))
                writer.write(answer[:cut])
                await asyncio.sleep(0.001)
                answer = answer[cut:]
            writer.write(answer)
            if b"Connection: close" in answer or chance.random() < 0.02:
                writer.close()  # also unannounced: what was asked meanwhile is asked again
                return

    async def one_response(reader: asyncio.StreamReader) -> bytes:
        head = await read_head(reader)
        while head.startswith(b"HTTP/1.1 103"):
            head = await read_head(reader)
        low = head.lower()
        body = b""
        if b"transfer-encoding: chunked" in low:
            while True:
                size = int(await reader.readuntil(b"\r\n"), 16)
                body += (await reader.readexactly(size + 2))[:-2]
                if not size:
                    return body
        body = await reader.readexactly(int(low.partition(b"content-length: ")[2].partition(b"\r\n")[0]))
        return gzip.decompress(body) if b"content-encoding: gzip" in low else body

    async def customer(gateway: Gateway, first: int) -> None:
        nonlocal polls, again
        asked = range(first, first)
        while asked.stop < first + 60:
            reader, writer = await gateway.connect()
            try:
                while asked.stop < first + 60 and chance.random() > 0.05:
                    asked = range(asked.stop, asked.stop + chance.choice((1, 1, 1, 2, 5)))
                    missing = list(asked)
                    while missing:
                        await ask(writer, missing)
                        answers = [(number, await one_response(reader)) for number in missing]
                        missing = [number for number, body in answers if lost in body]
                        assert all(b"poll %d." % n in body for n, body in answers if n not in missing)
                        polls += len(answers)
                        again += len(missing)
            finally:
                await closed(writer)

    async def ask(writer: asyncio.StreamWriter, numbers: list[int]) -> None:
        odd = (b"X-Odd: %d" % chance.getrandbits(20),)
        data = b"".join(poll(number, *(odd if chance.random() < 0.1 else ())) for number in numbers)
        while data:
            cut = len(data) if chance.random() < 0.7 else chance.randint(1, len(data))
            writer.write(data[:cut])
            data = data[cut:]
            if data:
                await asyncio.sleep(0.001)

    async def scenario() -> None:
        settings = ProxySettings(response_timeout=20)
        async with coordinator(moody) as port, gateway_before(port, settings=settings) as gateway:
            identify(gateway)
            async with asyncio.TaskGroup() as group:
                for index in range(12):
                    group.create_task(customer(gateway, 1000 * (index + 1)))
            counters = gateway.proxy.counters
            gateway.proxy.sweep(asyncio.get_running_loop().time())
            assert counters.requests == polls
            assert counters.responses[2] + counters.responses[5] == polls
            assert sum(counters.refusals.values()) == again
            assert again < polls / 50

    run(scenario())
