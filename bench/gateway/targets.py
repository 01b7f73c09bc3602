"""What the data path is to reach, each by the name of the figure that shows it, and the verdicts on a run.

Pure. The names are those of the `metrics` that `compare` prints; a figure that was not measured gets no verdict.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

_PAGES = ("page64k", "page1m", "page4m", "chunked1m")
_BUILDS = ("pure", "compiled", "express")
_FLAT_BYTES = 12 * 2**20


@dataclass(frozen=True)
class Target:
    """`metric` is to be at least, or when `below` less than, `bound`."""

    metric: str
    bound: float
    below: bool = False

    @property
    def text(self) -> str:
        bound = f"{self.bound / 2**20:g} MiB" if self.metric.endswith("_bytes") else f"{self.bound:g}"
        return f"{'<' if self.below else '>='} {bound}"


@dataclass(frozen=True)
class Verdict:
    metric: str
    target: str
    value: float
    met: bool


def targets() -> list[Target]:
    found = [
        Target("polls.pure.rps_ratio_nginx", 0.80),
        Target("polls.compiled.rps_ratio_nginx", 0.95),
        Target("polls.express.rps_ratio_nginx", 1.15),
        Target("mix.compiled.rps_ratio_nginx", 0.90),
        Target("unique.compiled.rps_ratio_nginx", 0.70),
        Target("polls.compiled.rps_ratio_haproxy", 1.0),
        Target("polls.pure.rps_ratio_aiohttp", 6.0),
        Target("polls.compiled.rps_ratio_aiohttp", 7.0),
    ]
    for build in _BUILDS:
        for page in _PAGES:
            found.append(Target(f"{page}.{build}.rps_ratio_nginx_tuned", 1.0))
            found.append(Target(f"{page}.{build}.rps_ratio_nginx", 1.5))
            found.append(Target(f"{page}.{build}.rss_growth_bytes", _FLAT_BYTES, below=True))
        found.append(Target(f"latency.{build}.added_p50_ms", 0.2, below=True))
        found.append(Target(f"latency.{build}.added_p99_ms", 1.0, below=True))
    return found


def bound(metric: str) -> float | None:
    """The target of one figure, for drawing it."""
    return next((target.bound for target in targets() if target.metric == metric), None)


def verdicts(metrics: Mapping[str, float]) -> list[Verdict]:
    """On every target whose figure is there."""
    return [
        Verdict(
            target.metric,
            target.text,
            metrics[target.metric],
            metrics[target.metric] < target.bound if target.below else metrics[target.metric] >= target.bound,
        )
        for target in targets()
        if target.metric in metrics
    ]
