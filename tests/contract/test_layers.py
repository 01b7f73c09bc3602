"""The layers are held by a tool, and the tool sees a violation: a planted import breaks the contract it belongs to."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PARTS = ("crds", "controller", "webhook", "gateway", "kubectl_xtrinode", "sandbox")

LINT = "import sys; from importlinter.cli import lint_imports_command; sys.path.insert(0, '.'); lint_imports_command()"


def lint(directory: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-I", "-c", LINT, "--no-cache"], cwd=directory, capture_output=True, text=True, check=False
    )


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """The project's code and configuration, to be spoiled."""
    for part in PARTS:
        shutil.copytree(ROOT / part, tmp_path / part, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    return tmp_path


@pytest.mark.parametrize(
    ("module", "line", "contract"),
    [
        ("gateway/routing/match.py", "import asyncio", "pure cores"),
        ("controller/plan.py", "import gateway.routing.match", "Components never import one another"),
        ("crds/v1/quantity.py", "import crds.client.transport", "(crds.v1, crds.trino, crds.openapi) is pure"),
        ("webhook/server.py", "import kr8s", "Only crds.client speaks kr8s"),
    ],
)
def test_planted_violation_is_caught(copy: Path, module: str, line: str, contract: str) -> None:
    path = copy / module
    path.write_text(
        path.read_text().replace("from __future__ import annotations", f"from __future__ import annotations\n{line}")
    )
    ran = lint(copy)
    assert ran.returncode != 0, ran.stdout + ran.stderr
    broken = [text for text in ran.stdout.splitlines() if text.endswith("BROKEN")]
    assert any(contract in text for text in broken), ran.stdout
