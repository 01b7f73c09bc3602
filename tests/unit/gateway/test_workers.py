"""What a worker is told, and how often coordinators are asked."""

from __future__ import annotations

from pathlib import Path

import pytest

from gateway.probes import pause
from gateway.worker import Worker, worker_of


def test_a_worker_learns_who_it_is_from_its_environment() -> None:
    worker = Worker(1, 4, 4711, Path("/tmp/a:b"))
    assert worker_of(worker.to_environment()) == worker
    assert worker_of({}) is None


@pytest.mark.parametrize(("targets", "low", "high"), [(1, 4.0, 6.0), (400, 4.0, 6.0), (5000, 40.0, 60.0)])
def test_probes_are_spread_and_bounded(targets: int, low: float, high: float) -> None:
    assert pause(5.0, targets, 0.0) == pytest.approx(low)
    assert pause(5.0, targets, 1.0) == pytest.approx(high)
