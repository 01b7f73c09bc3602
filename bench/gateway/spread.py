"""Medians with the lowest and the highest: how every figure of interleaved rounds is told. Pure."""

from __future__ import annotations

import statistics
from collections.abc import Sequence


def median(values: Sequence[float]) -> float:
    return statistics.median(values)


def text(values: Sequence[float], digits: int = 2) -> str:
    """`0.94 (0.91-0.97)`."""
    return f"{median(values):.{digits}f} ({min(values):.{digits}f}-{max(values):.{digits}f})"


def percentile(ordered: Sequence[float], share: float) -> float:
    """The value below which `share` (0 to 1) of the ordered values lie: one of them, never between two."""
    if not ordered:
        raise ValueError("no values, so no percentile")
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))]


def ratios(numerators: Sequence[float], denominators: Sequence[float]) -> list[float]:
    """Round by round, so that what slowed a round down is in both."""
    return [over / under for over, under in zip(numerators, denominators, strict=True)]
