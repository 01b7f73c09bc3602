"""`python -m sandbox.kube` as a process: its one line, clean stops, clear refusals, a full disk, and kill -9.

Plan: SIGTERM is exit 0; a taken port and a second server on the same data are one line and exit 1; what was answered is
there after kill -9, with the same address of the kubeconfig, credentials and growing versions.
"""

from __future__ import annotations

import resource
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import yaml

from sandbox.kube import tls


@contextmanager
def running(data: Path, port: int = 0) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """A server process that has said that it is ready, and its first line."""
    command = [sys.executable, "-m", "sandbox.kube", "--data-dir", str(data), "--port", str(port)]
    process = subprocess.Popen([*command, "--kubeconfig", str(data / "kc")], stderr=subprocess.PIPE, text=True)
    try:
        assert process.stderr is not None
        yield process, process.stderr.readline()
    finally:
        if process.poll() is None:
            process.kill()
        process.wait(10)
        if process.stderr is not None:
            process.stderr.close()


async def ask(data: Path, method: str, path: str, body: Any = None) -> tuple[int, Any]:
    document = yaml.safe_load((data / "kc").read_text())
    cluster, user = document["clusters"][0]["cluster"], document["users"][0]["user"]
    context = tls.client_context((data / "pki" / "ca.crt").read_bytes())
    headers = {"Authorization": f"Bearer {user['token']}"}
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(ssl=context)) as session:
        async with session.request(method, cluster["server"] + path, json=body, headers=headers) as answer:
            return answer.status, await answer.json()


MAPS = "/api/v1/namespaces/default/configmaps"


async def test_it_says_where_it_is_and_stops_cleanly(tmp_path: Path) -> None:
    with running(tmp_path) as (process, line):
        assert "not Kubernetes" in line and "https://127.0.0.1:" in line
        status, version = await ask(tmp_path, "GET", "/version")
        assert status == 200 and version["gitVersion"] == "v1.35.0-xtrinode-sandbox"
        process.send_signal(signal.SIGTERM)
        assert process.wait(10) == 0
        assert process.stderr is not None and "Traceback" not in process.stderr.read()


async def test_what_was_answered_survives_kill_9(tmp_path: Path) -> None:
    with running(tmp_path) as (process, _):
        made = []
        for number in range(20):
            status, obj = await ask(tmp_path, "POST", MAPS, {"metadata": {"name": f"c{number}"}})
            assert status == 201
            made.append(obj)
        port = int(yaml.safe_load((tmp_path / "kc").read_text())["clusters"][0]["cluster"]["server"].rpartition(":")[2])
        process.kill()
        process.wait(10)
    with running(tmp_path, port):
        _, listed = await ask(tmp_path, "GET", MAPS)
        there = {obj["metadata"]["name"]: obj for obj in listed["items"]}
        assert all(there[obj["metadata"]["name"]] == {"apiVersion": "v1", "kind": "ConfigMap", **obj} for obj in made)
        _, newer = await ask(tmp_path, "POST", MAPS, {"metadata": {"name": "after"}})
        assert int(newer["metadata"]["resourceVersion"]) > int(made[-1]["metadata"]["resourceVersion"])


async def test_a_full_disk_refuses_changes_and_loses_none(tmp_path: Path) -> None:
    with running(tmp_path) as (process, _):
        assert (await ask(tmp_path, "POST", MAPS, {"metadata": {"name": "before"}}))[0] == 201
        room = (tmp_path / "journal").stat().st_size + 50
        resource.prlimit(process.pid, resource.RLIMIT_FSIZE, (room, resource.RLIM_INFINITY))
        status, refusal = await ask(tmp_path, "POST", MAPS, {"metadata": {"name": "full"}})
        assert status == 500 and "the change was not kept" in refusal["message"]
        assert (await ask(tmp_path, "GET", f"{MAPS}/full"))[0] == 404
        process.send_signal(signal.SIGTERM)
        assert process.wait(10) == 0
    with running(tmp_path):
        assert (await ask(tmp_path, "GET", f"{MAPS}/before"))[0] == 200
        assert (await ask(tmp_path, "POST", MAPS, {"metadata": {"name": "full"}}))[0] == 201


def refused(*arguments: str) -> str:
    done = subprocess.run(
        [sys.executable, "-m", "sandbox.kube", *arguments], capture_output=True, text=True, timeout=30
    )
    assert done.returncode == 1, done
    return done.stderr


def test_a_taken_port_is_one_clear_line(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        text = refused("--port", str(port), "--data-dir", str(tmp_path))
    assert text == f"sandbox.kube: port {port} of 127.0.0.1 is taken: stop what uses it or name another\n"


def test_a_second_server_on_the_same_data_is_one_clear_line(tmp_path: Path) -> None:
    with running(tmp_path):
        text = refused("--data-dir", str(tmp_path))
    assert text.startswith("sandbox.kube: ") and text.count("\n") == 1 and str(tmp_path) in text


@pytest.mark.parametrize("file", ["journal", "pki/ca.key"])
def test_damaged_files_are_named(tmp_path: Path, file: str) -> None:
    with running(tmp_path) as (process, _):
        process.kill()
        process.wait(10)
    path = tmp_path / file
    path.write_bytes(b"this is no such file\nneither is this\n")
    text = refused("--data-dir", str(tmp_path))
    assert text.startswith("sandbox.kube: ") and file in text and "Traceback" not in text
