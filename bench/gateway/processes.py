"""Started servers, pinned to a core, and what the kernel's accounts say of them: CPU, memory, file descriptors.

Used by every benchmark here. A process is waited for until its port answers, and ended when its block ends. Figures
come from /proc, so this is Linux only.
"""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

ROOT = Path(__file__).resolve().parents[2]
_START_SECONDS = 30


@dataclass(frozen=True)
class Memory:
    """Bytes. `shared` pages count whole in `resident` and by their share in `proportional`."""

    resident: int
    proportional: int
    private: int


class Process:
    """A started server. Its output to stderr is kept for error messages."""

    def __init__(
        self, command: list[str], core: str, port: int, environment: dict[str, str] | None = None, cwd: Path = ROOT
    ) -> None:
        self.port = port
        self._name = command[0]
        self._errors = tempfile.TemporaryFile()  # noqa: SIM115 - lives as long as the process
        self._process = subprocess.Popen(
            ["taskset", "-c", core, *command],
            env={**os.environ, **(environment or {})},
            stdout=subprocess.DEVNULL,
            stderr=self._errors,
            stdin=subprocess.DEVNULL,
            cwd=cwd,
        )
        try:
            self._wait_for_port()
        except BaseException:
            self.stop()
            raise

    def __enter__(self) -> Process:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.stop()

    def _wait_for_port(self) -> None:
        deadline = time.monotonic() + _START_SECONDS
        while True:
            try:
                socket.create_connection(("127.0.0.1", self.port), 1).close()
                return
            except OSError:
                if self._process.poll() is not None or time.monotonic() > deadline:
                    raise SystemExit(f"{self._name} did not come up on port {self.port}: {self.errors()}") from None
                time.sleep(0.05)

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def alive(self) -> bool:
        return self._process.poll() is None

    def log(self) -> str:
        """All that it wrote to stderr."""
        # By position: the file is shared with the process, and so is where the next line goes.
        size = os.fstat(self._errors.fileno()).st_size
        return os.pread(self._errors.fileno(), size, 0).decode(errors="replace")

    def errors(self) -> str:
        """The last of it, for error messages."""
        return self.log()[-2000:]

    def cpu_ns(self) -> int:
        return cpu_ns(self.pid)

    def resident(self) -> int:
        return status_bytes(self.pid, "VmRSS")

    def stop(self) -> None:
        if self._process.poll() is None:
            self._process.terminate()
            try:
                self._process.wait(10)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()


def stop_in_order() -> None:
    """Have SIGTERM end this program as Ctrl-C does: with everything stopped that it has started."""
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(128 + number))


def cpu_ns(pid: int) -> int:
    """CPU time of all threads of a process, user and system, in nanoseconds."""
    tasks = Path(f"/proc/{pid}/task")
    return sum(int((task / "schedstat").read_text().split()[0]) for task in tasks.iterdir())


def waited_ns(pid: int) -> int:
    """How long its threads were ready to run and had no core, in nanoseconds: because of others' work, usually."""
    tasks = Path(f"/proc/{pid}/task")
    return sum(int((task / "schedstat").read_text().split()[1]) for task in tasks.iterdir())


def status_bytes(pid: int, field: str) -> int:
    """VmRSS, VmHWM, ... of a process, in bytes."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith(f"{field}:"):
            return int(line.split()[1]) * 1024
    return 0


def forget_peak(pid: int) -> None:
    """VmHWM counts from now on."""
    Path(f"/proc/{pid}/clear_refs").write_text("5")


def memory(pid: int) -> Memory:
    """What the process holds now."""
    found: dict[str, int] = {}
    for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()[1:]:
        name, _, rest = line.partition(":")
        found[name] = int(rest.split()[0]) * 1024
    return Memory(found["Rss"], found["Pss"], found["Private_Clean"] + found["Private_Dirty"])


def descriptors(pid: int) -> int:
    return sum(1 for _ in Path(f"/proc/{pid}/fd").iterdir())


def children(pid: int) -> list[int]:
    """Process ids of its children, in order of their birth."""
    tasks = Path(f"/proc/{pid}/task")
    return sorted(int(child) for task in tasks.iterdir() for child in (task / "children").read_text().split())


def extensions(pid: int, under: Path) -> set[str]:
    """File names of the extension modules below `under` that the process has loaded."""
    prefix = f"{under.resolve()}/"
    lines = Path(f"/proc/{pid}/maps").read_text().splitlines()
    paths = {line.split(maxsplit=5)[5] for line in lines if prefix in line}
    return {Path(path).name for path in paths if path.startswith(prefix) and path.endswith(".so")}


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def free_ports(count: int) -> list[int]:
    """Different ones: each is kept until all are found."""
    probes = [socket.socket() for _ in range(count)]
    try:
        for probe in probes:
            probe.bind(("127.0.0.1", 0))
        return [int(probe.getsockname()[1]) for probe in probes]
    finally:
        close_all(probes)


def close_all(sockets: Iterable[socket.socket]) -> None:
    for one in sockets:
        one.close()
