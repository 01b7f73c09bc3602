"""Flatness over a long run: growth after the warm-up is found, warming up and breathing are not growth."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from bench.gateway.flat import Sample, flatness

MIB = 2**20


def samples(resident: Callable[[int], float], descriptors: Callable[[int], int] = lambda at: 100) -> list[Sample]:
    return [Sample(at, int(resident(at) * MIB), descriptors(at), at) for at in range(100)]


def test_flat() -> None:
    found = flatness(samples(lambda at: 60 + at % 3))
    assert found.problems == ()
    assert found.warm_resident == found.end_resident == 61 * MIB


def test_warming_up_is_no_growth() -> None:
    assert flatness(samples(lambda at: min(60, 20 + 2 * at))).problems == ()


def test_a_slow_leak_is_found() -> None:
    (problem,) = flatness(samples(lambda at: 60 + at / 8)).problems
    assert "memory grew from 64.3 to 71.2 MiB" in problem


def test_a_single_peak_is_no_leak() -> None:
    assert flatness(samples(lambda at: 200 if at == 95 else 60)).problems == ()


def test_descriptors_that_stay_open_are_found() -> None:
    (problem,) = flatness(samples(lambda at: 60, lambda at: 100 + at)).problems
    assert problem.startswith("file descriptors grew from 13")


def test_too_few_samples_are_refused() -> None:
    with pytest.raises(ValueError, match="at least 10"):
        flatness(samples(lambda at: 60)[:9])
