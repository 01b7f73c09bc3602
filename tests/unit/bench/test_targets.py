"""Targets of the data path: a verdict on every figure that was measured, on no other, and on the right side."""

from __future__ import annotations

import pytest

from bench.gateway.targets import targets, verdicts


def test_every_figure_has_one_target() -> None:
    names = [target.metric for target in targets()]
    assert len(names) == len(set(names))


def test_what_was_not_measured_gets_no_verdict() -> None:
    assert verdicts({"polls.nginx.rps": 50_000.0}) == []


@pytest.mark.parametrize(
    ("metric", "value", "met"),
    [
        ("polls.compiled.rps_ratio_nginx", 0.95, True),
        ("polls.compiled.rps_ratio_nginx", 0.9499, False),
        ("latency.pure.added_p50_ms", 0.2, False),
        ("latency.pure.added_p50_ms", -0.01, True),
        ("page1m.express.rss_growth_bytes", 12 * 2**20, False),
        ("page1m.express.rss_growth_bytes", 0, True),
    ],
)
def test_bounds(metric: str, value: float, met: bool) -> None:
    (verdict,) = verdicts({metric: value})
    assert (verdict.metric, verdict.met) == (metric, met)


def test_bytes_are_told_in_mebibytes() -> None:
    (verdict,) = verdicts({"page4m.pure.rss_growth_bytes": 5.0})
    assert verdict.target == "< 12 MiB"
