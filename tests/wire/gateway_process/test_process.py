"""The program itself: how it starts, refuses to start, reloads and stops. One real process per test at most."""

from __future__ import annotations

import asyncio
import os
import signal
import ssl
import subprocess
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import pytest

from tests.support.authority import Authority
from tests.support.gateway_process import (
    FarCoordinator,
    FarRoutes,
    backend,
    document,
    gateway,
    process,
    program,
    route,
    until,
)


@pytest.fixture
async def routes(tmp_path: Path) -> AsyncIterator[FarRoutes]:
    async with FarRoutes(tmp_path) as far:
        yield far


async def output(routes: FarRoutes, *flags: str) -> tuple[int | None, list[str]]:
    """How the program ends, and its lines."""
    running = await asyncio.create_subprocess_exec(
        *program("--kubeconfig", str(routes.kubeconfig), "--address", "127.0.0.1:0"),
        *("--management-address", "127.0.0.1:0", *flags),
        stderr=subprocess.PIPE,
    )
    _, text = await asyncio.wait_for(running.communicate(), 60)
    return running.returncode, text.decode().splitlines()


async def test_what_stops_the_start_is_one_clear_line(routes: FarRoutes, tmp_path: Path) -> None:
    broken = tmp_path / "broken.pem"
    broken.write_text("not a certificate")
    listener = await asyncio.start_server(lambda reader, writer: writer.close(), "127.0.0.1", 0)
    taken = f"127.0.0.1:{listener.sockets[0].getsockname()[1]}"
    cases = [
        (("--address", taken), f"cannot listen on {taken}: Address already in use", "--address"),
        (("--address", taken, "--workers", "2"), f"cannot listen on {taken}: Address already in use", "--address"),
        (("--management-address", taken), f"cannot listen on {taken}", "--management-address"),
        (("--tls-cert", str(broken)), f"cannot use the certificate {broken}", "--tls-cert and --tls-key"),
        (("--tls-cert", "/none.pem", "--workers", "2"), "cannot use the certificate /none.pem", "No such file"),
        (("--tls-key", str(broken)), "--tls-key needs --tls-cert", "set both"),
        (("--kubeconfig", "/none", "--workers", "2"), "the kubeconfig /none does not exist", "--kubeconfig FILE"),
    ]
    ends = await asyncio.gather(*(output(routes, *flags) for flags, _, _ in cases))
    for (flags, said, todo), (code, lines) in zip(cases, ends, strict=True):
        assert code == 1, (flags, lines)
        assert len(lines) == 1, (flags, lines)
        assert said in lines[0]
        assert todo in lines[0]
    listener.close()


async def test_sigterm_lets_a_long_poll_finish(routes: FarRoutes, tmp_path: Path) -> None:
    async with FarCoordinator() as coordinator:
        routes.publish(document(route("a", backend("a", coordinator.port), default=True)))
        async with process(routes, tmp_path, "--drain-delay", "300ms") as gateway:
            client = gateway.client
            poll = asyncio.create_task(client.poll(await client.submit()))
            await coordinator.polled.wait()
            gateway.process.send_signal(signal.SIGTERM)

            async def draining() -> bool:
                return await client.readyz() == (503, "not ready: draining\n")

            await until(draining)
            # Not ready, and still serving whom a load balancer has not yet sent elsewhere.
            assert "nextUri" in await client.submit()

            async def refused() -> bool:
                try:
                    async with aiohttp.ClientSession() as fresh:
                        await client.submit(session=fresh)
                except aiohttp.ClientConnectorError:
                    return True
                except (aiohttp.ClientOSError, aiohttp.ServerDisconnectedError):
                    return False  # it was in the listener's queue when that closed: the kernel's race, not ours
                return False

            await until(refused)
            assert not poll.done()
            coordinator.release.set()
            assert (await poll)["stats"]["state"] == "RUNNING"
            assert await asyncio.wait_for(gateway.process.wait(), 10) == 0


async def test_a_certificate_is_loaded_again_in_place(routes: FarRoutes, tmp_path: Path) -> None:
    authority = Authority("test")
    cert, key = tmp_path / "tls.crt", tmp_path / "tls.key"

    def issue() -> None:
        for path, content in zip((cert, key), authority.issue("gateway", addresses=("localhost",)), strict=True):
            path.write_bytes(content)

    issue()
    trusting = ssl.create_default_context(cadata=authority.certificate_pem.decode())

    async def serial(port: int) -> str:
        _, writer = await asyncio.open_connection("127.0.0.1", port, ssl=trusting, server_hostname="localhost")
        found = writer.get_extra_info("peercert")["serialNumber"]
        writer.transport.abort()
        return str(found)

    async with gateway(routes, tls_cert=str(cert), tls_key=str(key)) as client:
        before = await serial(client.port)
        issue()
        os.kill(os.getpid(), signal.SIGHUP)

        async def changed() -> bool:
            return await serial(client.port) != before

        await until(changed)
        now = await serial(client.port)
        # A key that does not belong to the certificate is refused, and what works stays.
        key.write_bytes(authority.issue("gateway", addresses=("localhost",))[1])
        os.kill(os.getpid(), signal.SIGHUP)
        await asyncio.sleep(0.05)
        assert await serial(client.port) == now
