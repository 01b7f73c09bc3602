"""Coordinators that fail in every way, on real sockets: what the client sees, and what is left.

Each fault meets a poll, a plain request and a statement; on the coordinator's first connection and on one that has
served before. Afterwards nothing is in flight, nothing useless is in the pool, no descriptor is left open, the circuit
has heard of it, and the next request is served. Time-outs are not waited for: the sweep is told that it is late.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable

import pytest

from gateway.http1.limits import Limits
from gateway.proxy.settings import ProxySettings
from gateway.routing.circuit import State
from gateway.routing.model import Outcome
from tests.support.gateway_peers import PAGE, POLL_GET, Coordinator, Fault, Run, descriptors, reset, until_reset
from tests.support.gateway_sockets import Gateway, closed, coordinator, gateway_before, read_head, read_response
from tests.support.gateway_wire import GET, POST, body_of, chunked, page, status_of

SETTINGS = ProxySettings(limits=Limits(head=64 * 1024))
HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
CHUNKED = HEAD + b"Transfer-Encoding: chunked\r\n\r\n"

# Before the client has heard anything: the fault, the status that a poll gets, and what the circuit hears.
UNANSWERED = {
    "reset before the head": (Fault(b"", "reset"), 502, Outcome.RESET),
    "closed before the head": (Fault(b"", "close"), 502, Outcome.RESET),
    "reset in the head": (Fault(HEAD[:20], "reset"), 502, Outcome.RESET),
    "closed in the head": (Fault(HEAD, "close"), 502, Outcome.RESET),
    "silent": (Fault(b"", "silence"), 504, Outcome.TIMEOUT),
    "stalled in the head": (Fault(HEAD, "silence"), 504, Outcome.TIMEOUT),
    "garbage": (Fault(b"SSH-2.0-OpenSSH_9.2\r\n\r\n", "silence"), 502, Outcome.BAD_RESPONSE),
    "binary garbage": (Fault(bytes(range(256)), "silence"), 502, Outcome.BAD_RESPONSE),
    "another protocol": (Fault(b"HTTP/2 200\r\n\r\n", "silence"), 502, Outcome.BAD_RESPONSE),
    "two lengths": (
        Fault(HEAD + b"Content-Length: 2\r\nContent-Length: 3\r\n\r\nabc", "silence"),
        502,
        Outcome.BAD_RESPONSE,
    ),
    "length and chunked": (
        Fault(HEAD + b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", "silence"),
        502,
        Outcome.BAD_RESPONSE,
    ),
    "signed length": (Fault(HEAD + b"Content-Length: +2\r\n\r\nok", "silence"), 502, Outcome.BAD_RESPONSE),
    "bare LF": (Fault(HEAD + b"A: b\nC: d\r\nContent-Length: 0\r\n\r\n", "silence"), 502, Outcome.BAD_RESPONSE),
    "NUL": (Fault(HEAD + b"A: \x00\r\nContent-Length: 0\r\n\r\n", "silence"), 502, Outcome.BAD_RESPONSE),
    "endless head": (Fault(HEAD + b"A: " + b"x" * 80_000, "silence"), 502, Outcome.BAD_RESPONSE),
    "switching protocols": (
        Fault(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\n", "silence"),
        502,
        Outcome.BAD_RESPONSE,
    ),
}
# After the head has gone on: the connection is cut, so that nobody takes what came for all there is.
CUT = {
    "reset in the body": (Fault(HEAD + b"Content-Length: 100\r\n\r\nsome", "reset"), Outcome.RESET),
    "closed in the body": (Fault(HEAD + b"Content-Length: 100\r\n\r\nsome", "close"), Outcome.RESET),
    "stalled in the body": (Fault(HEAD + b"Content-Length: 100\r\n\r\nsome", "silence"), Outcome.TIMEOUT),
    "reset in a chunk": (Fault(CHUNKED + b"9\r\nsome", "reset"), Outcome.RESET),
    "closed between chunks": (Fault(CHUNKED + b"4\r\nsome\r\n", "close"), Outcome.RESET),
    "closed before the last line": (Fault(CHUNKED + b"4\r\nsome\r\n0\r\n", "close"), Outcome.RESET),
    "stalled between chunks": (Fault(CHUNKED + b"4\r\nsome\r\n", "silence"), Outcome.TIMEOUT),
    "no chunk": (Fault(CHUNKED + b"4\r\nsome\r\nzz\r\n", "silence"), Outcome.BAD_RESPONSE),
    "reset instead of the end": (Fault(HEAD + b"\r\nsome", "reset"), Outcome.RESET),
}
REQUESTS = {"poll": POLL_GET, "request": GET, "statement": POST}


class Scene:
    """A gateway, the coordinator behind it, and a client that has been served `warm` times."""

    def __init__(self, gateway: Gateway, far: Coordinator, warm: int) -> None:
        self.gateway = gateway
        self.far = far
        self.warm = warm
        self.late = 0.0
        (self.target,) = gateway.proxy.router.targets()
        gateway.proxy.router.identified(self.target, b"abcde")

    async def __aenter__(self) -> Scene:
        self.descriptors = descriptors()
        self.reader, self.writer = await self.gateway.connect()
        for _ in range(self.warm):
            self.writer.write(POLL_GET)
            assert await read_response(self.reader) == PAGE
        return self

    async def __aexit__(self, *failed: object) -> None:
        if failed[0] is None:
            await self._served_again()
        await closed(self.writer)

    async def _served_again(self) -> None:
        """The next request of another client meets a sound connection, and all is given back."""
        self.far.fault = None
        reader, writer = await self.gateway.connect()
        for _ in range(3):
            writer.write(POLL_GET)
            assert await read_response(reader) == PAGE
        await closed(writer)
        await closed(self.writer)
        proxy = self.gateway.proxy
        while proxy.clients or self.target.inflight:
            await asyncio.sleep(0.01)
        proxy.pools[self.target].close()
        while descriptors() > self.descriptors or proxy.counters.upstream_open:
            await asyncio.sleep(0.01)  # the scenario's time-out ends this if something leaks

    async def said(self, what: Awaitable[bytes], timed_out: bool) -> bytes:
        """What the client gets; after the time-outs, if it is one of them that ends the wait."""
        getting = asyncio.ensure_future(what)
        while timed_out and not getting.done():
            if self.target.inflight:
                self.late += 1000
                self.gateway.proxy.sweep(asyncio.get_running_loop().time() + self.late)
            await asyncio.sleep(0.01)
        return await getting

    def outcomes(self) -> dict[Outcome, int]:
        found = self.gateway.proxy.counters.backend(self.target.key).outcomes
        return {outcome: found[outcome] for outcome in Outcome if found[outcome] and outcome is not Outcome.OK}


@pytest.mark.parametrize("case", UNANSWERED)
def test_before_the_client_has_heard_anything_it_is_told(run: Run, case: str) -> None:
    fault, status, outcome = UNANSWERED[case]

    async def scenario() -> None:
        far = Coordinator()
        far.relayed.set()
        async with coordinator(far) as port, gateway_before(port, settings=SETTINGS) as gateway:
            for warm in (0, 5):
                for name, request in REQUESTS.items():
                    async with Scene(gateway, far, warm) as scene:
                        before = scene.outcomes().get(outcome, 0)
                        far.fault, far.requests = fault, []
                        scene.writer.write(request)
                        answered = await scene.said(read_response(scene.reader), outcome is Outcome.TIMEOUT)
                        if name == "statement":
                            assert status_of(answered) == 200
                            assert body_of(answered)["error"]["errorName"] == "GENERIC_INTERNAL_ERROR"
                            assert len(far.requests) <= 1, "a statement was sent twice"
                        else:
                            assert status_of(answered) == status
                            assert body_of(answered)["error"]["code"] == status
                            assert len(far.requests) <= 2
                        assert scene.outcomes() == {outcome: before + 1}
                        far.fault = None
                        scene.writer.write(POLL_GET)  # the client's own connection is as good as before
                        assert await read_response(scene.reader) == PAGE

    run(scenario())


@pytest.mark.parametrize("case", CUT)
def test_an_answer_that_has_begun_is_cut_and_never_completed(run: Run, case: str) -> None:
    fault, outcome = CUT[case]

    async def scenario() -> None:
        far = Coordinator()
        async with coordinator(far) as port, gateway_before(port, settings=SETTINGS) as gateway:
            for warm in (0, 5):
                for name in ("poll", "request"):
                    async with Scene(gateway, far, warm) as scene:
                        before = scene.outcomes().get(outcome, 0)
                        far.fault = fault
                        far.relayed.clear()
                        scene.writer.write(REQUESTS[name])
                        head = await read_head(scene.reader)
                        assert head.startswith(b"HTTP/1.1 200 OK\r\n")
                        far.relayed.set()
                        await scene.said(until_reset(scene.reader), outcome is Outcome.TIMEOUT)
                        while scene.target.inflight:
                            await asyncio.sleep(0.01)
                        assert scene.outcomes() == {outcome: before + 1}

    run(scenario())


def test_a_statements_answer_that_breaks_off_is_an_error_to_show(run: Run) -> None:
    async def scenario() -> None:
        far = Coordinator()
        far.relayed.set()
        begun = page()[:150]
        async with coordinator(far) as port, gateway_before(port, settings=SETTINGS) as gateway:
            for said in (
                HEAD + b"Content-Length: 400\r\n\r\n" + begun,
                CHUNKED + chunked(begun, 1000)[: len(begun) + 4],
            ):
                for then in ("reset", "close", "silence"):
                    async with Scene(gateway, far, 2) as scene:
                        far.fault = Fault(said, then)
                        scene.writer.write(POST)
                        answered = await scene.said(read_response(scene.reader), then == "silence")
                        assert body_of(answered)["error"]["errorType"] == "INTERNAL_ERROR"

    run(scenario())


@pytest.mark.parametrize(
    "answer",
    [
        PAGE + b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil",
        CHUNKED + b"2\r\nok\r\n0\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil",
        b"HTTP/1.1 204 No Content\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nevil\r\n0\r\n\r\n",
        b"HTTP/1.1 304 Not Modified\r\nContent-Length: 4\r\n\r\nevil",
    ],
)
def test_more_than_was_announced_reaches_nobody(run: Run, answer: bytes) -> None:
    async def scenario() -> None:
        far = Coordinator()
        async with coordinator(far) as port, gateway_before(port, settings=SETTINGS) as gateway:
            for warm in (0, 3):
                async with Scene(gateway, far, warm) as scene:
                    far.answer = answer
                    scene.writer.write(POLL_GET)
                    await read_head(scene.reader)
                    far.answer = PAGE
                    await asyncio.sleep(0.05)
                    scene.writer.write(POLL_GET)
                    rest = b""
                    while not rest.endswith(PAGE):
                        rest += await scene.reader.readexactly(1)
                    assert b"evil" not in rest
                    assert scene.outcomes() == {}

    run(scenario())


@pytest.mark.parametrize("case", ["reset before the head", "garbage", "reset in the body"])
def test_the_circuit_opens_and_a_client_that_goes_away_does_not_open_it(run: Run, case: str) -> None:
    fault = UNANSWERED[case][0] if case in UNANSWERED else CUT[case][0]

    async def scenario() -> None:
        far = Coordinator()
        far.relayed.set()
        async with coordinator(far) as port, gateway_before(port, settings=SETTINGS) as gateway:
            (target,) = gateway.proxy.router.targets()
            gateway.proxy.router.identified(target, b"abcde")
            far.fault = Fault(b"", "silence")
            for _ in range(10):
                _, writer = await gateway.connect()
                writer.write(POLL_GET)
                while not target.inflight:
                    await asyncio.sleep(0)
                reset(writer)
                while target.inflight:
                    await asyncio.sleep(0)
            assert target.circuit.state is State.CLOSED
            far.fault = fault
            for failures in range(1, 6):
                reader, writer = await gateway.connect()
                writer.write(POLL_GET)
                await read_head(reader) if case in UNANSWERED else await until_reset(reader)
                await closed(writer)
                while target.inflight:
                    await asyncio.sleep(0)
                assert target.circuit.state is (State.OPEN if failures == 5 else State.CLOSED)

    run(scenario())
