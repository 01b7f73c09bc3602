"""On real sockets, with uvloop and with asyncio: what only a kernel can show.

Resets against clean ends, half-closed connections, TLS, backpressure with memory measured, connect failures, and
clients that try to hold others up.
"""

from __future__ import annotations

import asyncio
import datetime
import os
import resource
import socket
import ssl
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from gateway.proxy.settings import ProxySettings
from gateway.routing.model import Candidates, Target
from tests.support.gateway_peers import Run, reset
from tests.support.gateway_sockets import closed, coordinator, gateway_before, read_head, read_response
from tests.support.gateway_wire import GET, OK, POLL, POST, page, reply, status_of


async def always_ok(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while True:
        await read_head(reader)
        writer.write(OK)


def test_requests_and_responses_pass(run: Run) -> None:
    async def scenario() -> None:
        async with coordinator(always_ok) as port, gateway_before(port) as gateway:
            reader, writer = await gateway.connect()
            for _ in range(20):
                writer.write(GET)
                assert await read_response(reader) == OK
            assert gateway.proxy.counters.backend("team/t0").connects == 1
            await closed(writer)

    run(scenario())


def test_a_pipeline_byte_by_byte(run: Run) -> None:
    async def scenario() -> None:
        async with coordinator(always_ok) as port, gateway_before(port) as gateway:
            reader, writer = await gateway.connect()
            for byte in GET * 5:
                writer.write(bytes([byte]))
                await asyncio.sleep(0)
            for _ in range(5):
                assert await read_response(reader) == OK
            await closed(writer)

    run(scenario())


def test_a_client_that_shuts_its_sending_half_gets_its_answer(run: Run) -> None:
    async def late(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_head(reader)
        await asyncio.sleep(0.05)
        writer.write(OK)

    async def scenario() -> None:
        async with coordinator(late) as port, gateway_before(port) as gateway:
            reader, writer = await gateway.connect()
            writer.write(GET)
            writer.write_eof()
            assert await reader.read() == OK
            await closed(writer)

    run(scenario())


def test_a_refused_client_can_read_why_while_it_is_still_sending(run: Run) -> None:
    async def scenario() -> None:
        async with coordinator(always_ok) as port, gateway_before(port) as gateway:
            for _ in range(20):
                reader, writer = await gateway.connect()
                writer.write(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3, 3\r\n\r\n" + b"x" * 500_000)
                assert status_of(await reader.read()) == 400
                await closed(writer)

    run(scenario())


@pytest.mark.parametrize("framing", [b"Content-Length: 1000", b"Transfer-Encoding: chunked", b"X-Until: close"])
def test_a_truncated_response_ends_in_a_reset(run: Run, framing: bytes) -> None:
    async def truncated(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_head(reader)
        writer.write(b"HTTP/1.1 200 OK\r\n" + framing + b"\r\n\r\n3\r\nabc\r\n")
        await asyncio.sleep(0.05)
        reset(writer)

    async def scenario() -> None:
        async with coordinator(truncated) as port, gateway_before(port) as gateway:
            reader, writer = await gateway.connect()
            writer.write(GET)
            await read_head(reader)
            with pytest.raises(ConnectionResetError):
                while await reader.read(1000):
                    pass
                raise AssertionError("a clean end")
            await closed(writer)

    run(scenario())


def test_a_coordinator_that_restarts_between_polls_is_not_noticed(run: Run) -> None:
    polls = 0

    async def one_each(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal polls
        await read_head(reader)
        polls += 1
        writer.write(OK)
        await read_head(reader)
        reset(writer)  # the next request on it meets a dead connection

    async def scenario() -> None:
        async with coordinator(one_each) as port, gateway_before(port) as gateway:
            reader, writer = await gateway.connect()
            for _ in range(5):
                writer.write(GET)
                assert await read_response(reader) == OK
            assert polls == 5
            assert gateway.proxy.counters.retries == 4
            await closed(writer)

    run(scenario())


def test_a_coordinator_that_refuses_connections(run: Run) -> None:
    async def scenario() -> None:
        with socket.socket() as unused:
            unused.bind(("127.0.0.1", 0))  # not listening
            async with gateway_before(unused.getsockname()[1]) as gateway:
                reader, writer = await gateway.connect()
                writer.write(GET)
                assert status_of(await read_response(reader)) == 502
                writer.write(POST)
                assert b"GENERIC_INTERNAL_ERROR" in await read_response(reader)
                await closed(writer)

    run(scenario())


def test_a_coordinator_that_drops_packets(run: Run) -> None:
    async def scenario() -> None:
        with socket.socket() as full:
            full.bind(("127.0.0.1", 0))
            full.listen(0)
            fillers = []
            for _ in range(4):  # a full backlog: the kernel answers no further connection
                filler = socket.socket()
                filler.setblocking(False)
                filler.connect_ex(full.getsockname())
                fillers.append(filler)
            settings = ProxySettings(connect_timeout=0.3)
            async with gateway_before(full.getsockname()[1], settings=settings) as gateway:
                reader, writer = await gateway.connect()
                writer.write(GET)
                assert status_of(await read_response(reader)) == 504
                await closed(writer)
            for filler in fillers:
                filler.close()

    run(scenario())


def test_a_coordinator_that_never_answers(run: Run) -> None:
    async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()

    async def scenario() -> None:
        settings = ProxySettings(response_timeout=0.3)
        async with coordinator(silent) as port, gateway_before(port, settings=settings) as gateway:
            reader, writer = await gateway.connect()
            writer.write(GET)
            assert status_of(await read_response(reader)) == 504
            await closed(writer)

    run(scenario())


def test_a_second_coordinator_takes_a_statement_that_the_first_refuses(run: Run) -> None:
    async def scenario() -> None:
        with socket.socket() as unused:
            unused.bind(("127.0.0.1", 0))
            async with coordinator(always_ok) as port, gateway_before(unused.getsockname()[1], port) as gateway:
                dead, _ = gateway.proxy.router.targets()
                reader, writer = await gateway.connect()
                for _ in range(20):
                    writer.write(POST)
                    assert status_of(await read_response(reader)) == 200
                assert gateway.proxy.counters.backend(dead.key).connects == 0
                await closed(writer)

    run(scenario())


def test_an_owner_is_searched_for_while_the_request_waits(run: Run) -> None:
    async def answers(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            await read_head(reader)
            writer.write(reply(page()))

    searches = 0

    async def find(query_id: bytes, candidates: Candidates) -> Target | None:
        nonlocal searches
        searches += 1
        await asyncio.sleep(0.05)
        return candidates.targets[0]

    async def scenario() -> None:
        async with coordinator(answers) as port, gateway_before(port, find_owner=find) as gateway:
            connections = [await gateway.connect() for _ in range(5)]
            for _, writer in connections:
                writer.write(GET.replace(b"/v1/info", POLL.encode()))
            for reader, writer in connections:
                assert await read_response(reader) == reply(page())
                await closed(writer)
            assert searches == 1

    run(scenario())


# -- memory


def resident() -> int:
    """Resident bytes of this process now."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize()


def test_a_stalled_download_is_held_back_not_buffered(run: Run) -> None:
    total = 64 * 1024 * 1024
    produced = 0

    async def large(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal produced
        await read_head(reader)
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % total)
        piece = b"x" * 65536
        while produced < total:
            writer.write(piece)
            produced += len(piece)
            await writer.drain()
        await reader.read()

    async def scenario() -> None:
        async with coordinator(large) as port, gateway_before(port) as gateway:
            before = resident()
            with socket.socket() as raw:
                raw.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)
                raw.setblocking(False)
                loop = asyncio.get_running_loop()
                await loop.sock_connect(raw, ("127.0.0.1", gateway.port))
                await loop.sock_sendall(raw, GET)
                seen = -1
                while seen != produced:  # until nothing moves any more
                    seen = produced
                    await asyncio.sleep(0.2)
                assert produced < total
                assert resident() - before < 12 * 1024 * 1024
                (client,) = gateway.proxy.clients
                assert client.transport.get_write_buffer_size() < 1024 * 1024
                received = 0
                while received < total:
                    received += len(await loop.sock_recv(raw, 1 << 20))
            assert produced == total
            assert resident() - before < 12 * 1024 * 1024

    run(scenario())


def test_an_upload_to_a_coordinator_that_does_not_read_is_held_back(run: Run) -> None:
    total = 64 * 1024 * 1024
    proceed: list[asyncio.Event] = []

    async def stubborn(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_head(reader)
        writer.transport.pause_reading()  # type: ignore[attr-defined]
        await proceed[0].wait()
        writer.transport.resume_reading()  # type: ignore[attr-defined]
        left = total
        while left:
            left -= len(await reader.read(1 << 20))
        writer.write(OK)

    async def scenario() -> None:
        proceed.append(asyncio.Event())
        async with coordinator(stubborn) as port, gateway_before(port) as gateway:
            reader, writer = await gateway.connect()
            before = resident()
            writer.write(b"POST /x HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n" % total)
            sent = 0

            async def upload() -> None:
                nonlocal sent
                piece = b"x" * 65536
                while sent < total:
                    writer.write(piece)
                    sent += len(piece)
                    await writer.drain()

            uploading = asyncio.get_running_loop().create_task(upload())
            seen = -1
            while seen != sent:
                seen = sent
                await asyncio.sleep(0.2)
            assert sent < total
            assert resident() - before < 12 * 1024 * 1024
            proceed[0].set()
            assert await read_response(reader) == OK
            await uploading
            await closed(writer)

    run(scenario())


# -- those who would hold others up


def test_slow_clients_do_not_hold_others_back(run: Run) -> None:
    async def scenario() -> None:
        settings = ProxySettings(head_timeout=0.5)
        async with coordinator(always_ok) as port, gateway_before(port, settings=settings) as gateway:
            loris = [await gateway.connect() for _ in range(100)]
            for _, writer in loris:
                writer.write(b"GET / HTTP/1.1\r\nHost: a\r\nX-")
            reader, writer = await gateway.connect()
            started = asyncio.get_running_loop().time()
            for _ in range(50):
                writer.write(GET)
                assert await read_response(reader) == OK
            assert asyncio.get_running_loop().time() - started < 5
            for slow, other in loris:
                assert status_of(await slow.read()) == 408
                await closed(other)
            await closed(writer)

    run(scenario())


def test_draining_finishes_what_is_in_flight(run: Run) -> None:
    async def late(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_head(reader)
        await asyncio.sleep(0.2)
        writer.write(OK)
        await reader.read()

    async def scenario() -> None:
        async with coordinator(late) as port, gateway_before(port) as gateway:
            _, idle = await gateway.connect()
            reader, writer = await gateway.connect()
            writer.write(GET)
            await asyncio.sleep(0.05)
            gateway.proxy.drain()
            assert (await reader.read()).endswith(b"Connection: close\r\n\r\nok")
            await asyncio.wait_for(gateway.proxy.drained.wait(), 5)
            await closed(writer)
            await closed(idle)

    run(scenario())


# -- TLS


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A self-signed certificate for localhost, with its key, in one file."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    now = datetime.datetime.now(datetime.UTC)
    built = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(int.from_bytes(os.urandom(8)))
        .not_valid_before(now - datetime.timedelta(hours=1))
        .not_valid_after(now + datetime.timedelta(hours=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), False)
        .sign(key, hashes.SHA256())
    )
    path = tmp_path_factory.mktemp("tls") / "localhost.pem"
    path.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
        + built.public_bytes(serialization.Encoding.PEM)
    )
    return path


def test_tls_on_both_sides(run: Run, certificate: Path) -> None:
    serving = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    serving.load_cert_chain(certificate)
    trusting = ssl.create_default_context(cafile=str(certificate))
    heads: list[bytes] = []
    body = os.urandom(3_000_000)

    async def large(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        heads.append(await read_head(reader))
        writer.write(reply(body))
        heads.append(await read_head(reader))
        writer.write(OK)

    async def scenario() -> None:
        async with (
            coordinator(large, serving) as port,
            gateway_before(port, tls=serving, upstream_tls=trusting) as gateway,
        ):
            reader, writer = await gateway.connect(trusting)
            writer.write(GET)
            assert await read_response(reader) == reply(body)
            writer.write(GET[:-2] + b"Connection: close\r\n\r\n")
            assert b"Connection: close" in await reader.read()
            assert b"X-Forwarded-Proto: https\r\n" in heads[0]
            await closed(writer)

    run(scenario())


def test_a_coordinator_whose_certificate_is_not_trusted(run: Run, certificate: Path) -> None:
    serving = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    serving.load_cert_chain(certificate)

    async def scenario() -> None:
        other = ssl.create_default_context()
        async with coordinator(always_ok, serving) as port, gateway_before(port, upstream_tls=other) as gateway:
            reader, writer = await gateway.connect()
            writer.write(GET)
            assert status_of(await read_response(reader)) == 502
            await closed(writer)

    run(scenario())
