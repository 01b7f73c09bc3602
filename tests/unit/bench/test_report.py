"""A comparison's tables for people, made from its result alone."""

from __future__ import annotations

from typing import Any

from bench.gateway.report import markdown, quiet

MACHINE = {
    "cores": 2,
    "cpu": "CPU",
    "kernel": "6.1",
    "python": "3.11.7",
    "python_pgo": False,
    "nginx": "1.22.1",
    "commit": "abc1234",
    "dirty": True,
    "date": "2026-11-20T00:00:00Z",
    "load_before": [0.1, 0.2, 0.3],
}


def rounds(ratio: float) -> dict[str, list[float]]:
    figures = {"rps": 50_000.0, "cpu_us": 18.0, "p50_us": 500.0, "p99_us": 900.0, "errors": 0.0}
    return {
        **{name: [value] * 3 for name, value in figures.items()},
        "resident": [2**24] * 3,
        "waited": [0.001, 0.002, 0.3],
        "ratio_nginx": [ratio] * 3,
    }


def result(latency: dict[str, Any] | None) -> dict[str, Any]:
    peers = {"nginx": rounds(1.0), "pure": rounds(0.81)}
    return {
        "machine": MACHINE,
        "settings": {"rounds": 3, "seconds": 4},
        "workloads": [{"name": "polls", "what": "small polls", "connections": 32, "peers": peers}],
        "latency": latency,
        "targets": [{"metric": "polls.pure.rps_ratio_nginx", "target": ">= 0.8", "value": 0.81, "met": True}],
    }


def test_every_peer_has_its_row() -> None:
    text = markdown(result(None), "r.json")
    assert "| pure | 0.81 (0.81-0.81) | 18.0 | 50000 | 500 | 900 | 16 | 0 |" in text
    assert "| polls.pure.rps_ratio_nginx | >= 0.8 | 0.81 | met |" in text


def test_it_says_whether_the_machine_was_quiet() -> None:
    assert "waited up to 0.2% of the time for their core; the machine was quiet" in quiet(result(None))
    disturbed = result(None)
    disturbed["workloads"][0]["peers"]["pure"]["waited"] = [0.2] * 3
    assert "up to 20.0% of the time for their core; something else ran there" in quiet(disturbed)


def test_a_tree_with_changes_is_named_so() -> None:
    assert "commit abc1234 with changes" in markdown(result(None), "r.json")


def test_added_latency_has_its_table() -> None:
    via = {"p50_ms": [0.2], "p99_ms": [0.5], "added_p50_ms": [0.1], "added_p99_ms": [0.3], "core_share": [0.4]}
    latency = {"rate": 9000.0, "peers": {"pure": via, "direct": {"p50_ms": [0.1], "p99_ms": [0.2]}}}
    text = markdown(result(latency), "r.json")
    assert "## Added latency at 9000 requests a second" in text
    assert "| pure | 0.200 | 0.500 | 0.100 (0.100-0.100) | 0.300 (0.300-0.300) | 40% |" in text
