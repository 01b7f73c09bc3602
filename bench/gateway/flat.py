"""Whether memory and file descriptors stayed flat over a long run. Pure; `soak` samples and obeys."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass

# Of the run: what is compared with the end begins after the warm-up.
_WARM = (0.25, 0.45)
_END = (0.80, 1.0)
# An allocator breathes; a leak in a run worth its name is far above this.
_RATIO, _BYTES = 0.05, 4 * 2**20
_DESCRIPTORS_RATIO, _DESCRIPTORS = 0.25, 20


@dataclass(frozen=True)
class Sample:
    """At `at` seconds after the start."""

    at: float
    resident: int
    descriptors: int
    answers: int


@dataclass(frozen=True)
class Flatness:
    warm_resident: float
    end_resident: float
    warm_descriptors: float
    end_descriptors: float
    problems: tuple[str, ...]


def flatness(samples: Sequence[Sample]) -> Flatness:
    """Medians after the warm-up and at the end, and what has grown more than it may. Needs ten samples."""
    if len(samples) < 10:
        raise ValueError(f"{len(samples)} samples say nothing about growth; at least 10 do")
    warm, end = _window(samples, *_WARM), _window(samples, *_END)
    resident = [statistics.median(one.resident for one in window) for window in (warm, end)]
    files = [statistics.median(one.descriptors for one in window) for window in (warm, end)]
    problems = []
    if resident[1] - resident[0] > max(_BYTES, _RATIO * resident[0]):
        problems.append(f"memory grew from {resident[0] / 2**20:.1f} to {resident[1] / 2**20:.1f} MiB")
    if files[1] - files[0] > max(_DESCRIPTORS, _DESCRIPTORS_RATIO * files[0]):
        problems.append(f"file descriptors grew from {files[0]:.0f} to {files[1]:.0f}")
    return Flatness(resident[0], resident[1], files[0], files[1], tuple(problems))


def _window(samples: Sequence[Sample], start: float, stop: float) -> Sequence[Sample]:
    return samples[int(len(samples) * start) : max(int(len(samples) * start) + 1, int(len(samples) * stop))]
