"""The express lane, on real sockets: it is taken, it changes nothing, and it lets go of whatever is unusual.

Everything that the other tests on real sockets show holds over the compiled transports, too; they run there as well.
Here are: proof that the lane is in use at all; the same scenes with and without it, drawn by hypothesis, whose
transcripts and books must agree; and what may happen while a request is in it. Needs the compiled transports.
"""

from __future__ import annotations

import asyncio
import errno
import gzip
import os
import re
import resource
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import uvloop
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gateway.http1.chunks import MORE, ChunkScanner
from gateway.proxy.listening import express_built
from gateway.proxy.settings import ProxySettings
from gateway.routing.model import Outcome, RouteTable
from tests.support.gateway_peers import PAGE, POLL_GET, reset
from tests.support.gateway_sockets import Gateway, closed, coordinator, express, gateway_before, read_head
from tests.support.gateway_sockets import read_response as read_plain
from tests.support.gateway_wire import GET, POST, chunked, page, reply, status_of

if not express_built():
    pytest.skip("the compiled transports are not built; type tools/test-compiled", allow_module_level=True)

from gateway.proxy.express import Express, follow_chunks

SETTINGS = ProxySettings(response_timeout=1.0, upstream_body_timeout=1.0)


@dataclass
class Far:
    """A coordinator's side that a test speaks for: requests come in `heads`, answers are what it writes."""

    heads: asyncio.Queue[tuple[bytes, asyncio.StreamWriter]] = field(default_factory=asyncio.Queue)

    async def __call__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            head = await read_head(reader)
            length = head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0]
            body = await reader.readexactly(int(length or b"0"))
            self.heads.put_nowait((head + body, writer))


@asynccontextmanager
async def scene(compiled: bool = True) -> AsyncIterator[tuple[Gateway, Far]]:
    express.set(compiled)
    far = Far()
    async with coordinator(far) as port, gateway_before(port, settings=SETTINGS) as gateway:
        (target,) = gateway.proxy.router.targets()
        gateway.proxy.router.identified(target, b"abcde")
        yield gateway, far


def lane_of(gateway: Gateway) -> Express:
    assert gateway.proxy.express is not None
    return gateway.proxy.express


def play(scenario: Any) -> Any:
    async def bounded() -> Any:
        async with asyncio.timeout(30):
            return await scenario()

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as loop:
        return loop.run(bounded())


async def polls(far: Far, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, count: int) -> None:
    for _ in range(count):
        writer.write(POLL_GET)
        _, answer = await far.heads.get()
        answer.write(PAGE)
        assert await read_plain(reader) == PAGE


async def in_the_lane(
    gateway: Gateway, far: Far
) -> tuple[asyncio.StreamReader, asyncio.StreamWriter, asyncio.StreamWriter]:
    """A client whose poll is in the lane, and where to write its answer."""
    reader, writer = await gateway.connect()
    await polls(far, reader, writer, 4)
    before = lane_of(gateway).taken
    writer.write(POLL_GET)
    _, answer = await far.heads.get()
    assert lane_of(gateway).taken == before + 1
    return reader, writer, answer


def test_polls_take_the_lane_once_their_headers_are_known() -> None:
    async def scenario() -> None:
        async with scene() as (gateway, far):
            reader, writer = await gateway.connect()
            await polls(far, reader, writer, 10)
            lane = lane_of(gateway)
            assert lane.taken == 8
            assert lane.handed_over <= 1  # the first answer's head was not known yet
            gateway.proxy.settle(gateway.proxy.clock())
            counters = gateway.proxy.counters
            assert (counters.requests, counters.responses[2], sum(counters.latency)) == (10, 10, 10)
            assert counters.bytes_in == 10 * len(POLL_GET)
            assert counters.bytes_out == 10 * len(PAGE)
            assert counters.backend("team/t0").outcomes[Outcome.OK] == 10
            await closed(writer)

    play(scenario)


@pytest.mark.parametrize(
    "request_",
    [GET, POST, POLL_GET.replace(b"executing", b"executing/partialCancel"), POLL_GET.replace(b"GET", b"DELETE")],
)
def test_nothing_but_polls_takes_it(request_: bytes) -> None:
    async def scenario() -> None:
        async with scene() as (gateway, far):
            reader, writer = await gateway.connect()
            for _ in range(5):
                writer.write(request_)
                _, answer = await far.heads.get()
                answer.write(PAGE)
                assert await read_plain(reader) == PAGE
            assert lane_of(gateway).taken == 0
            await closed(writer)

    play(scenario)


# -- with and without: nobody can tell ---------------------------------------------------------------------------------

_OTHER_HEADERS = POLL_GET.replace(b"X-Trino-User: u", b"X-Trino-User: somebody-else")
_OTHER_QUERY = POLL_GET.replace(b"00001", b"00002")
_UNKNOWN_QUERY = POLL_GET.replace(b"abcde", b"zzzzz")
ASKED = {
    "poll": [POLL_GET],
    "polls ahead": [POLL_GET + POLL_GET],
    "poll in pieces": [POLL_GET[:50], POLL_GET[50:]],
    "poll and a half": [POLL_GET + POLL_GET[:30], POLL_GET[30:]],
    "another query": [_OTHER_QUERY],
    "other headers": [_OTHER_HEADERS],
    "closing poll": [POLL_GET.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n")],
    "unknown query": [_UNKNOWN_QUERY],
    "HTTP/1.0": [POLL_GET.replace(b"HTTP/1.1", b"HTTP/1.0")],
    "no poll": [POLL_GET.replace(b"_00001_", b"_0000x_")],
    "bad target": [POLL_GET.replace(b"yslug", b"y#slug")],
    "two hosts": [POLL_GET.replace(b"\r\n\r\n", b"\r\nHost: other\r\n\r\n")],
    "statement": [POST],
    "something else": [GET],
    "cancel": [POLL_GET.replace(b"GET", b"DELETE")],
}
_HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
ANSWERED = {
    "page": [PAGE],
    "another state": [reply(page(state="FINISHING"))],
    "last page": [reply(page(state="FINISHED", more=False))],
    "page with data": [reply(page(columns=[{"name": "a"}], data=[[1, "x" * 900]]))],
    "large page": [reply(page(data=[["y" * 300_000]]))],
    "page of segments": [reply(page(data={"encoding": "json", "segments": [{"uri": "http://gw/v1/spooled/ack/s1"}]}))],
    "packed page": [reply(gzip.compress(page()), b"Content-Encoding: gzip")],
    "packed last page": [reply(gzip.compress(page(state="FINISHED", more=False)), b"Content-Encoding: gzip")],
    "packed nonsense": [reply(b"no gzip", b"Content-Encoding: gzip")],
    "page in pieces": [PAGE[:100], PAGE[100:]],
    "page after its head": [PAGE[: PAGE.index(b"\r\n\r\n") + 4], PAGE[PAGE.index(b"\r\n\r\n") + 4 :]],
    "head in pieces": [PAGE[:20], PAGE[20:]],
    "chunked page": [_HEAD + b"Transfer-Encoding: chunked\r\n\r\n" + chunked(page(), 64)],
    "closing page": [reply(page(), b"Connection: close")],
    "cookie": [reply(page(), b"Set-Cookie: a=b")],
    "location": [reply(b"", b"Location: http://other/", status=b"303 See Other")],
    "no content": [b"HTTP/1.1 204 No Content\r\n\r\n"],
    "early hints": [b"HTTP/1.1 103 Early Hints\r\n\r\n" + PAGE],
    "unavailable": [reply(b"wait", status=b"503 Service Unavailable")],
    "error": [reply(b"oops", status=b"500 Internal Server Error")],
    "no page": [reply(b"<html>")],
    "empty": [_HEAD + b"Content-Length: 0\r\n\r\n"],
    "not HTTP": [b"SSH-2.0-OpenSSH_9.2\r\n\r\n"],
    "two lengths": [_HEAD + b"Content-Length: 2\r\nContent-Length: 3\r\n\r\nabc"],
    "too much": [PAGE + b"more"],
}


async def read_any(reader: asyncio.StreamReader) -> bytes:
    """One response whatever its framing, or how the connection ended instead."""
    try:
        head = await reader.readuntil(b"\r\n\r\n")
        lowered = head.lower()
        if b"transfer-encoding" in lowered:
            body = await reader.readuntil(b"0\r\n\r\n")
        else:
            body = await reader.readexactly(int(lowered.partition(b"content-length: ")[2].partition(b"\r\n")[0] or 0))
    except asyncio.IncompleteReadError as error:
        return b"END " + error.partial
    except ConnectionResetError:
        return b"RESET"
    return head + body if not 100 <= status_of(head) < 200 else head + await read_any(reader)


def books(gateway: Gateway) -> dict[str, Any]:
    proxy = gateway.proxy
    proxy.settle(proxy.clock(), 0.0)
    counters = proxy.counters
    (target,) = proxy.router.targets()
    stats = counters.backend(target.key)
    plain = ("requests", "responses", "bytes_in", "bytes_out", "upstream_bytes_in", "upstream_bytes_out", "connections")
    return {
        **{name: getattr(counters, name) for name in (*plain, "problems", "refusals", "retries", "client_aborts")},
        "measured": sum(counters.latency),
        "first bytes": sum(stats.first_byte),
        "outcomes": list(stats.outcomes),
        "connects": stats.connects,
        "circuit": target.circuit.state,
        "inflight": target.inflight,
        "live": proxy.router.activity.counts(),
    }


_OUR_ID = re.compile(rb"[0-9]{8}_[0-9]{6}_[0-9]{5}_0l1o0")  # of a statement that the gateway itself has answered


async def transcript(compiled: bool, visits: list[list[tuple[str, str]]]) -> tuple[list[Any], dict[str, Any], int]:
    """What both far sides get in these visits of a client; the books; how many requests took the lane."""
    seen: list[Any] = []
    async with scene(compiled) as (gateway, far):
        for exchanges in visits:
            reader, writer = await gateway.connect()
            for asked, answered in exchanges:
                for piece in ASKED[asked]:
                    writer.write(piece)
                    await asyncio.sleep(0)
                expected = 2 if asked in {"polls ahead", "poll and a half"} else 1
                for _ in range(expected):
                    arrived = asyncio.ensure_future(far.heads.get())
                    response = asyncio.ensure_future(read_any(reader))
                    await asyncio.wait({arrived, response}, return_when=asyncio.FIRST_COMPLETED)
                    if arrived.done():
                        head, answer = arrived.result()
                        seen.append(head)
                        for piece in ANSWERED[answered]:
                            answer.write(piece)
                            await asyncio.sleep(0.002)
                        if not response.done() and answered == "not HTTP":
                            answer.close()
                    else:
                        arrived.cancel()
                    seen.append(_OUR_ID.sub(b"ID", await response))
                if seen[-1][:5] in {b"END ", b"RESET"} or b"connection: close" in seen[-1].lower():
                    break
            await closed(writer)
            while gateway.proxy.clients:
                await asyncio.sleep(0)
        taken = lane_of(gateway).taken if compiled else 0
        return seen, books(gateway), taken


# A query whose statement has come through here may have its compressed pages read later.
_warm = st.just(("poll", "page"))
_begun = st.sampled_from([[], [("statement", "page")], [("statement", "packed page")]])
_exchange = st.one_of(_warm, st.tuples(st.sampled_from(sorted(ASKED)), st.sampled_from(sorted(ANSWERED))))
_unusual = st.one_of(
    st.tuples(st.just("poll"), st.sampled_from(sorted(ANSWERED))),
    st.tuples(st.sampled_from(sorted(ASKED)), st.just("page")),
)
_visit = st.builds(
    lambda begun, warm, packed, rest: begun + [("poll", "page")] * warm + [("poll", "packed page")] * packed + rest,
    _begun,
    st.integers(0, 4),
    st.integers(0, 3),
    st.lists(st.one_of(_unusual, _exchange), min_size=1, max_size=4),
)


@settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.lists(_visit, min_size=1, max_size=3))
def test_nobody_can_tell_a_lane_from_none(visits: list[list[tuple[str, str]]]) -> None:
    without, plain_books, _ = play(lambda: transcript(False, visits))
    with_lane, books_with_lane, _ = play(lambda: transcript(True, visits))
    assert with_lane == without
    assert books_with_lane == plain_books


@pytest.mark.parametrize("answered", sorted(ANSWERED))
def test_every_kind_of_answer_to_a_poll_in_the_lane(answered: str) -> None:
    begun = [("statement", "page")] + [("poll", "page")] * 4 + [("poll", "packed page")] * 2
    visits = [[*begun, ("poll", answered), ("poll", answered)], [("poll", "page")] * 4]
    without, plain_books, _ = play(lambda: transcript(False, visits))
    with_lane, books_with_lane, taken = play(lambda: transcript(True, visits))
    assert taken >= 3
    assert with_lane == without
    assert books_with_lane == plain_books


# -- while a request is in the lane ------------------------------------------------------------------------------------


def test_a_slow_answer_leaves_the_lane_and_meets_its_time_out() -> None:
    async def scenario() -> None:
        async with scene() as (gateway, far):
            reader, writer, _ = await in_the_lane(gateway, far)
            assert status_of(await read_any(reader)) == 504
            assert lane_of(gateway).handed_over >= 1
            assert gateway.proxy.counters.timeouts == {"response_head": 1}
            await closed(writer)

    play(scenario)


def test_a_slow_answer_that_comes_in_time_is_passed_on() -> None:
    async def scenario() -> None:
        async with scene() as (gateway, far):
            reader, writer, answer = await in_the_lane(gateway, far)
            await asyncio.sleep(0.7)  # beyond the lane's patience
            answer.write(PAGE)
            assert await read_plain(reader) == PAGE
            await polls(far, reader, writer, 3)
            await closed(writer)

    play(scenario)


def test_a_client_that_goes_away_takes_its_request_along() -> None:
    async def scenario() -> None:
        async with scene() as (gateway, far):
            _, writer, answer = await in_the_lane(gateway, far)
            reset(writer)
            while gateway.proxy.clients:
                await asyncio.sleep(0)
            (target,) = gateway.proxy.router.targets()
            assert target.inflight == 0
            assert gateway.proxy.counters.client_aborts == 1
            while gateway.proxy.counters.upstream_open:
                await asyncio.sleep(0)
            answer.write(PAGE)  # to nobody

    play(scenario)


def test_a_client_that_shuts_its_sending_half_gets_its_answer() -> None:
    async def scenario() -> None:
        async with scene() as (gateway, far):
            reader, writer, answer = await in_the_lane(gateway, far)
            writer.write_eof()
            await asyncio.sleep(0.02)
            answer.write(PAGE)
            assert await reader.read() == PAGE
            await closed(writer)

    play(scenario)


def test_what_is_sent_ahead_is_answered_in_order() -> None:
    async def scenario() -> None:
        async with scene() as (gateway, far):
            reader, writer, answer = await in_the_lane(gateway, far)
            writer.write(_OTHER_QUERY + GET)
            await asyncio.sleep(0.02)
            assert far.heads.empty()
            answer.write(PAGE)
            assert await read_plain(reader) == PAGE
            for body in (b"second", b"third"):
                _, answer = await far.heads.get()
                answer.write(reply(body))
                assert await read_plain(reader) == reply(body)
            await closed(writer)

    play(scenario)


def test_a_gateway_that_drains_finishes_it_and_says_close() -> None:
    async def scenario() -> None:
        async with scene() as (gateway, far):
            reader, writer, answer = await in_the_lane(gateway, far)
            gateway.proxy.drain()
            assert not gateway.proxy.drained.is_set()
            answer.write(PAGE)
            assert b"Connection: close\r\n" in await reader.read()
            await gateway.proxy.drained.wait()
            await closed(writer)

    play(scenario)


def test_a_gateway_that_closes_cuts_it() -> None:
    async def scenario() -> None:
        async with scene() as (gateway, far):
            reader, writer, _ = await in_the_lane(gateway, far)
            gateway.proxy.close()
            with pytest.raises(ConnectionResetError):
                assert not await reader.read()
                raise AssertionError("a clean end")
            await closed(writer)

    play(scenario)


def test_a_coordinator_whose_route_is_gone_still_answers_and_is_not_kept() -> None:
    async def scenario() -> None:
        async with scene() as (gateway, far):
            reader, writer, answer = await in_the_lane(gateway, far)
            gateway.proxy.router.load(RouteTable.of(()))
            answer.write(PAGE)
            assert await read_plain(reader) == PAGE
            while gateway.proxy.counters.upstream_open:
                await asyncio.sleep(0)
            writer.write(POLL_GET)
            assert b"error" in await read_any(reader)
            await closed(writer)

    play(scenario)


def test_a_client_that_does_not_read_stops_the_lane_and_loses_nothing() -> None:
    async def scenario() -> None:
        async with scene() as (gateway, far):
            reader, writer, answer = await in_the_lane(gateway, far)
            answer.write(PAGE)
            assert await read_plain(reader) == PAGE
            large = reply(page(data=[["z" * 200_000]]))
            sent = 0
            for _ in range(100):
                writer.write(POLL_GET)
                try:
                    async with asyncio.timeout(0.1):
                        _, answer = await far.heads.get()
                except TimeoutError:
                    break  # the gateway asks no more while its answers are not taken
                answer.write(large)
                sent += 1
            assert sent < 100
            for _ in range(sent):
                assert await read_plain(reader) == large
            _, answer = await far.heads.get()
            answer.write(PAGE)
            assert await read_plain(reader) == PAGE
            await closed(writer)

    play(scenario)


def test_a_connection_that_went_stale_in_the_pool_is_not_noticed() -> None:
    async def scenario() -> None:
        async with scene() as (gateway, far):
            reader, writer, answer = await in_the_lane(gateway, far)
            answer.write(PAGE)
            assert await read_plain(reader) == PAGE
            reset(answer)
            await polls(far, reader, writer, 3)
            await closed(writer)

    play(scenario)


def test_without_descriptors_nobody_is_accepted_until_there_are_some() -> None:
    async def scenario() -> None:
        async with scene() as (gateway, far):
            reader, writer = await gateway.connect()
            await polls(far, reader, writer, 1)
            waiting = await asyncio.open_connection("127.0.0.1", gateway.port, limit=1)
            soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
            while len(gateway.proxy.clients) < 2:
                await asyncio.sleep(0)
            extra = socket.socket()
            extra.setblocking(False)
            highest = max(int(path.name) for path in Path("/proc/self/fd").iterdir())
            resource.setrlimit(resource.RLIMIT_NOFILE, (highest, hard))
            try:
                assert extra.connect_ex(("127.0.0.1", gateway.port)) in {0, errno.EINPROGRESS}
                holes = []
                while True:
                    try:
                        holes.append(os.dup(extra.fileno()))
                    except OSError:
                        break
                await asyncio.sleep(0.05)
                assert len(gateway.proxy.clients) == 2
                await polls(far, reader, writer, 3)  # those that are in are served
            finally:
                for hole in holes:
                    os.close(hole)
                resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
            while len(gateway.proxy.clients) < 3:
                await asyncio.sleep(0.02)
            extra.close()
            await closed(waiting[1])
            await closed(writer)

    play(scenario)


# -- large bodies ------------------------------------------------------------------------------------------------------

_SIZE_LINES = (b"%x\r\n", b"%X\r\n", b"000%x\r\n", b"%x;ext=1\r\n")
_bodies = st.lists(
    st.tuples(st.integers(1, 90_000), st.sampled_from(_SIZE_LINES[:1] * 4 + _SIZE_LINES)), min_size=1, max_size=12
)
_cuts = st.lists(st.integers(1, 120_000), min_size=1, max_size=8)


def large(chunked_: bool, sizes: list[tuple[int, bytes]]) -> bytes:
    """A page of a running query whose rows have these sizes."""
    head = b'{"id":"20261120_101010_00001_abcde","nextUri":"http://h/n","columns":[],"data":["'
    rows = [head, *(bytes([97 + number % 26]) * size for number, (size, _) in enumerate(sizes)), b'"]}']
    if not chunked_:
        body = b"".join(rows)
        return b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body)
    lines = [_SIZE_LINES[0], *(line for _, line in sizes), _SIZE_LINES[0]]
    pieces = [line % len(row) + row + b"\r\n" for line, row in zip(lines, rows, strict=True)]
    return b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + b"".join(pieces) + b"0\r\n\r\n"


async def delivered(compiled: bool, response: bytes, cuts: list[int], slow: bool) -> tuple[bytes, Any, int]:
    """What a client gets of a response that is written in such pieces; the books; pieces that went straight on."""
    async with scene(compiled) as (gateway, far):
        reader, writer = await gateway.connect()
        writer.write(POLL_GET)
        _, answer = await far.heads.get()

        async def say() -> None:
            at = 0
            while at < len(response):
                for cut in cuts:
                    answer.write(response[at : at + cut])
                    at += cut
                    await answer.drain()
                    await asyncio.sleep(0)

        saying = asyncio.create_task(say())
        if slow:
            await asyncio.sleep(0.02)
        got = await reader.readexactly(len(response))
        await saying
        await polls(far, reader, writer, 1)  # both connections are in step
        await closed(writer)
        while gateway.proxy.clients:
            await asyncio.sleep(0)
    return got, books(gateway), lane_of(gateway).passed_on if compiled else 0


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.booleans(), _bodies, _cuts, st.booleans())
def test_large_bodies_arrive_as_they_were_sent(
    chunked_: bool, sizes: list[tuple[int, bytes]], cuts: list[int], slow: bool
) -> None:
    response = large(chunked_, sizes)
    without, plain_books, _ = play(lambda: delivered(False, response, cuts, slow))
    straight, books_of_it, _ = play(lambda: delivered(True, response, cuts, slow))
    assert straight == without == response
    assert books_of_it == plain_books


@pytest.mark.parametrize("chunked_", [False, True])
def test_the_middle_of_a_large_body_goes_from_socket_to_socket(chunked_: bool) -> None:
    response = large(chunked_, [(32_768, b"%x\r\n")] * 32)
    got, _, passed_on = play(lambda: delivered(True, response, [32_776], False))
    assert got == response
    assert passed_on >= 8


def test_a_client_that_does_not_read_holds_a_large_body_up() -> None:
    response = large(True, [(32_768, b"%x\r\n")] * 1024)

    async def scenario() -> None:
        async with scene() as (gateway, far):
            reader, writer = await gateway.connect()
            writer.write(POLL_GET)
            _, answer = await far.heads.get()
            answer.write(response)
            held_up = gateway.proxy.counters
            before = -1
            while before != held_up.upstream_bytes_in or before <= 0:  # until nothing moves any more
                before = held_up.upstream_bytes_in
                await asyncio.sleep(0.15)
                gateway.proxy.settle(gateway.proxy.clock())
            assert held_up.upstream_bytes_in < len(response) / 2
            assert await reader.readexactly(len(response)) == response
            await closed(writer)

    play(scenario)


_pieces = st.one_of(
    st.binary(max_size=60),
    st.lists(
        st.sampled_from([b"5\r\nhello\r\n", b"5", b"\r\n", b"hello", b"0\r\n\r\n", b"a\r\n0123456789\r\n", b";x\r\n"])
    ).map(b"".join),
)


@settings(max_examples=2000, deadline=None)
@given(_pieces, st.integers(0, 20))
def test_chunks_are_followed_as_the_scanner_follows_them(piece: bytes, left: int) -> None:
    scanner = ChunkScanner(1024, 1024)
    if left:
        scanner.feed(b"%x\r\n" % left, 0)
    assert scanner.place == left
    announced = scanner.payload
    place, payload = follow_chunks(piece, left)
    end = scanner.feed(piece, 0)
    if place >= 0:
        assert (end, scanner.place, scanner.payload - announced) == (MORE, place, payload)
    elif end == MORE and scanner.place > 0:
        assert re.search(rb";|[0-9a-fA-F]{9}", piece), "only what is unusual is left to the scanner"
