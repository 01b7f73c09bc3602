"""The command: exit codes, refused configurations, signals; each a real process."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
import sys
import urllib.request
from pathlib import Path

import pytest

from tests.support.trino_standin import CACHE, etc


def write(folder: Path, files: dict[str, bytes]) -> Path:
    for name, data in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    return folder


async def start(folder: Path, *flags: str) -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(
        sys.executable, "-m", "sandbox.trino", "--etc-dir", str(folder), "--cache-dir", str(CACHE), *flags,
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE, env={**os.environ, "PYTHONWARNINGS": "error"},
    )  # fmt: skip


async def ended(folder: Path, *flags: str) -> tuple[int, str]:
    process = await start(folder, *flags)
    async with asyncio.timeout(60):
        _, errors = await process.communicate()
    return process.returncode or 0, errors.decode()


async def url_of(process: asyncio.subprocess.Process) -> str:
    """The address, once the log says that it has started."""
    assert process.stderr is not None
    url = ""
    async with asyncio.timeout(60):
        while True:
            line = (await process.stderr.readline()).decode()
            assert line, "the server ended"
            if " listens on " in line:
                url = line.rsplit(" ", 1)[1].strip()
            if "SERVER STARTED" in line:
                return url


async def test_a_refused_configuration_ends_with_100_and_the_list(tmp_path: Path) -> None:
    code, errors = await ended(write(tmp_path, etc({"no.such.key": "1", "query.max-memory": "4Gi"})))
    assert code == 100
    assert "Configuration is invalid" in errors
    assert "1) Error: Configuration property 'no.such.key' was not used" in errors
    assert "2) Error: Invalid value '4Gi'" in errors
    assert "Traceback" not in errors


async def test_a_missing_directory_ends_with_100(tmp_path: Path) -> None:
    code, errors = await ended(tmp_path / "nowhere")
    assert code == 100
    assert "config.properties" in errors
    assert "Traceback" not in errors


async def test_a_bad_password_file_ends_with_100(tmp_path: Path) -> None:
    (tmp_path / "password.db").write_text("alice:plain\n")
    config = {"http-server.authentication.type": "PASSWORD", "internal-communication.shared-secret": "x"}
    text = f"password-authenticator.name=file\nfile.password-file={tmp_path}/password.db\n"
    files = etc(config, files={"password-authenticator.properties": text.encode()})
    code, errors = await ended(write(tmp_path / "etc", files))
    assert (code, "line 1: Unknown encoding of password" in errors) == (100, True)
    assert "Traceback" not in errors


async def test_a_taken_port_ends_with_100(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        code, errors = await ended(write(tmp_path, etc()), "--port", str(taken.getsockname()[1]))
    assert code == 100
    assert "address already in use" in errors
    assert "Traceback" not in errors


async def test_a_good_configuration_can_be_checked_alone(tmp_path: Path) -> None:
    assert (await ended(write(tmp_path, etc()), "--check"))[0] == 0


async def test_a_bad_fault_is_a_usage_error(tmp_path: Path) -> None:
    code, errors = await ended(write(tmp_path, etc()), "--fault", "nope")
    assert code == 2
    assert "unknown fault 'nope'" in errors


@pytest.mark.parametrize(("sent", "expected"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
async def test_signals_end_it_as_they_end_a_jvm(tmp_path: Path, sent: signal.Signals, expected: int) -> None:
    process = await start(write(tmp_path, etc()))
    await url_of(process)
    process.send_signal(sent)
    async with asyncio.timeout(30):
        _, errors = await process.communicate()
    assert process.returncode == expected
    assert b"Traceback" not in errors


async def test_sigterm_ends_a_server_whose_queries_run(tmp_path: Path) -> None:
    process = await start(write(tmp_path, etc()))
    url = await url_of(process)

    def submit() -> None:
        request = urllib.request.Request(f"{url}/v1/statement", b"SELECT sandbox_sleep(60)", {"X-Trino-User": "a"})
        with urllib.request.urlopen(request, timeout=10) as response:
            document = json.load(response)
        with urllib.request.urlopen(document["nextUri"], timeout=10) as response:
            assert "/executing/" in json.load(response)["nextUri"]

    await asyncio.to_thread(submit)
    process.terminate()
    async with asyncio.timeout(30):
        await process.communicate()
    assert process.returncode == 143


async def test_a_gracefully_shut_down_worker_ends_with_0(tmp_path: Path) -> None:
    files = etc({"shutdown.grace-period": "20ms"}, coordinator=False, catalogs={})
    files["access-control.properties"] = b"access-control.name=allow-all\n"
    process = await start(write(tmp_path, files))
    url = await url_of(process)

    def shut_down() -> int:
        request = urllib.request.Request(
            f"{url}/v1/info/state",
            b'"SHUTTING_DOWN"',
            {"X-Trino-User": "a", "Content-Type": "application/json"},
            method="PUT",
        )
        with urllib.request.urlopen(request, timeout=10) as response:
            status: int = response.status
            return status

    assert await asyncio.to_thread(shut_down) == 200
    async with asyncio.timeout(30):
        await process.communicate()
    assert process.returncode == 0


async def test_the_health_command_reads_the_configured_port(tmp_path: Path) -> None:
    process = await start(write(tmp_path, etc()))
    url = await url_of(process)
    port = url.rsplit(":", 1)[1]
    (tmp_path / "config.properties").write_text(f"http-server.http.port={port}\n")
    (tmp_path / "nobody").mkdir()
    (tmp_path / "nobody" / "config.properties").write_text("http-server.http.port=1\n")
    for etc_dir, expected in ((tmp_path, 0), (tmp_path / "nobody", 1)):
        check = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "sandbox.trino.health", "--etc-dir", str(etc_dir), "--timeout", "2"
        )
        assert await check.wait() == expected
    process.terminate()
    await process.communicate()
