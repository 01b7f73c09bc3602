"""tools/reference.py: the pages in the tree are what the code says, and what is wrong with them is named."""

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def tool() -> ModuleType:
    spec = importlib.util.spec_from_file_location("reference_tool", ROOT / "tools" / "reference.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


def test_the_pages_in_the_tree_are_in_step(tool: ModuleType):
    assert tool.main(["--check"]) == 0


def test_stale_missing_and_left_over_pages_are_named_and_not_touched(
    tool: ModuleType, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    assert tool.main([], tmp_path) == 0
    assert tool.main(["--check"], tmp_path) == 0
    (tmp_path / "settings.md").write_text("old")
    (tmp_path / "xtrinode.md").unlink()
    (tmp_path / "widget.md").touch()
    capsys.readouterr()
    assert tool.main(["--check"], tmp_path) == 1
    said = capsys.readouterr().err
    assert [line.split()[0] for line in said.splitlines()] == [
        f"docs/reference/{name}.md" for name in ("xtrinode", "settings", "widget")
    ]
    assert (tmp_path / "settings.md").read_text() == "old"
    assert not (tmp_path / "xtrinode.md").exists()


def test_an_unknown_argument_writes_nothing(tool: ModuleType, tmp_path: Path):
    assert tool.main(["--chek"], tmp_path) == 2
    assert list(tmp_path.iterdir()) == []
