"""The control plane itself: how fast it is there, and that nothing of it outlives its owner, however that ends."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.cluster.real.conftest import until
from tests.support import control_plane as module
from tests.support.control_plane import REPOSITORY, ControlPlane, binaries, free_ports, why_absent
from tests.support.owned_folder import remove_abandoned

pytestmark = [pytest.mark.real, pytest.mark.xdist_group("real")]


def test_the_api_server_is_ready_within_20_seconds(control_plane: ControlPlane) -> None:
    assert 0 < control_plane.ready_after < 20


class Owner:
    """A process that runs a control plane of its own."""

    def __init__(self, temporary: Path) -> None:
        environment = {**os.environ, "TMPDIR": str(temporary)}
        command = [sys.executable, "-m", "tests.support.control_plane"]
        self.temporary = temporary
        self.process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=REPOSITORY, env=environment
        )

    def told(self) -> dict[str, Any]:
        """What it prints when everything is up."""
        assert self.process.stdout is not None
        told: dict[str, Any] = json.loads(self.process.stdout.readline())
        return told

    def folders(self) -> list[Path]:
        return list(self.temporary.iterdir())

    def close(self) -> None:
        self.process.kill()
        self.process.wait()
        for pipe in (self.process.stdin, self.process.stdout):
            assert pipe is not None
            pipe.close()


@pytest.fixture
def owner(tmp_path: Path) -> Iterator[Owner]:
    if binaries() is None:
        pytest.skip(why_absent())
    running = Owner(tmp_path)
    yield running
    running.close()


def is_alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


@pytest.mark.slow
@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
async def test_nothing_outlives_its_owner(owner: Owner, how: signal.Signals, monkeypatch: pytest.MonkeyPatch) -> None:
    pids = owner.told()["pids"].values()
    assert len(pids) == 5
    assert all(map(is_alive, pids))
    owner.process.send_signal(how)
    owner.process.wait(30)
    await until(lambda: not any(map(is_alive, pids)), 10)
    if how is signal.SIGKILL:
        assert owner.folders(), "nobody was there to remove it"
        monkeypatch.setattr("tempfile.tempdir", str(owner.temporary))
        remove_abandoned("xtrinode-control-plane-")
    assert owner.folders() == []


def test_a_folder_in_use_is_left_alone(control_plane: ControlPlane) -> None:
    remove_abandoned("xtrinode-control-plane-")
    assert control_plane.kubeconfig.exists()


def test_a_port_that_somebody_else_was_quicker_to_take_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    directory = binaries()
    if directory is None:
        pytest.skip(why_absent())
    with socket.create_server(("127.0.0.1", 0)) as taken:
        monkeypatch.setattr(module, "free_ports", first_with(taken.getsockname()[1]))
        with ControlPlane(directory, workloads=False) as running:
            assert set(running.pids()) == {"etcd", "kube-apiserver"}
            assert f":{taken.getsockname()[1]}" not in running.etcd.url


def first_with(port: int) -> Callable[[int], list[int]]:
    """Chooses `port` among others the first time."""
    left = [port]

    def choose(count: int) -> list[int]:
        found = [*left, *free_ports(count)][:count]
        left.clear()
        return found

    return choose
