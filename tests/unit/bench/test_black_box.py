"""Benchmarks measure the project from outside: they import nothing of it."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

BENCH = Path(__file__).resolve().parents[3] / "bench"
OURS = {"crds", "controller", "webhook", "gateway", "kubectl_xtrinode", "sandbox"}
SOURCES = sorted(BENCH.rglob("*.py"))


def imported(source: str) -> set[str]:
    """The top-level packages that a module imports, wherever in it."""
    found = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            found.update(alias.name.partition(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            found.add(node.module.partition(".")[0])
    return found


def test_there_are_benchmarks() -> None:
    assert {path.stem for path in SOURCES} >= {"compare", "load", "memory", "profile", "soak"}


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(BENCH)))
def test_nothing_of_ours_is_imported(path: Path) -> None:
    assert imported(path.read_text()) & OURS == set()


def test_an_import_of_ours_would_be_found() -> None:
    assert imported("def f():\n    from gateway.proxy import server\n    import crds.v1") == {"gateway", "crds"}
