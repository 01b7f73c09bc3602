"""A Locust run in figures: throughput of the fastest step, latencies of a step that Locust had air in."""

from __future__ import annotations

from typing import Any

from bench.gateway.load import markdown, metrics_of


def step(users: int, rps: float, cores: float, p99: float) -> dict[str, Any]:
    return {
        "users": users,
        "rps": rps,
        "failures": 1,
        "locust_cores": cores,
        "gateway_cores": 0.1,
        "gateway_us_per_request": 60.0,
        "latency_ms": {"all": {"p50": 1, "p95": 2, "p99": p99}, "cancel": {"p50": 3, "p95": 4, "p99": 5}},
    }


STEPS = [step(20, 500, 0.3, 4), step(40, 900, 0.6, 6), step(80, 1400, 0.99, 90)]


def test_figures() -> None:
    metrics = metrics_of("pure", {"steps": STEPS})
    assert metrics["load.pure.rps"] == 1400
    assert metrics["load.pure.failures"] == 3
    assert (metrics["load.pure.calm_users"], metrics["load.pure.all.p99_ms"]) == (40, 6)


def test_without_a_calm_step_the_first_one_tells_latencies() -> None:
    assert metrics_of("pure", {"steps": STEPS[2:]})["load.pure.calm_users"] == 80


def test_table() -> None:
    machine = {"cores": 2, "cpu": "C", "kernel": "6", "python": "3", "python_pgo": True, "commit": "a", "dirty": False}
    result = {
        "machine": {**machine, "date": "2026-11-20", "load_before": [0.0]},
        "settings": {"variant": "pure"},
        "limit": "Locust",
        "steps": STEPS,
        "metrics": metrics_of("pure", {"steps": STEPS}),
    }
    text = markdown(result, "r.json")
    assert "| 80 | 1400 | 1 | 1 | 2 | 90 | 0.99 | 0.10 | 60 |" in text
    assert "## By request, at 40 users" in text
    assert "| cancel | 3 | 4 | 5 |" in text
