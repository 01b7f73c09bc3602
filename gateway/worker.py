"""What a process is told when it is one of several workers: its number, and where it meets the others.

Passed from the supervisor to its children in one environment variable; everything else they read from the same flags
as the supervisor. Also ties a worker's life to its supervisor's.
"""

from __future__ import annotations

import ctypes
import logging
import os
import signal
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

VARIABLE = "XTRINODE_GATEWAY_WORKER"
_PR_SET_PDEATHSIG = 1


@dataclass(frozen=True, slots=True)
class Worker:
    """Number `index` of `count`; `directory` is private to this gateway, `supervisor` its process id."""

    index: int
    count: int
    supervisor: int
    directory: Path

    @property
    def management_path(self) -> str:
        """The Unix socket of this worker's own management endpoints."""
        return str(self.directory / f"{self.index}.management")

    def to_environment(self) -> dict[str, str]:
        return {VARIABLE: f"{self.index}:{self.count}:{self.supervisor}:{self.directory}"}


def worker_of(environ: Mapping[str, str]) -> Worker | None:
    """The worker that this process is; None for a process that a person started."""
    text = environ.get(VARIABLE)
    if not text:
        return None
    index, count, supervisor, directory = text.split(":", 3)
    return Worker(int(index), int(count), int(supervisor), Path(directory))


def end_with_supervisor(worker: Worker) -> None:
    """Have the kernel end this process when the supervisor is gone, however that ends (Linux)."""
    prctl = getattr(ctypes.CDLL(None, use_errno=True), "prctl", None)
    if prctl is not None:
        prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != worker.supervisor:  # gone before the kernel was asked
        os._exit(1)


def sign_log_lines(worker: Worker) -> None:
    """Say in every record which worker it comes from."""

    def sign(record: logging.LogRecord) -> bool:
        record.fields = {**getattr(record, "fields", {}), "worker": worker.index}
        return True

    for handler in logging.getLogger().handlers:
        handler.addFilter(sign)
