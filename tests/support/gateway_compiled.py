"""A pytest plugin that refuses to run the gateway's tests on anything but the compiled copy.

`tools/test-compiled` loads it (`-p tests.support.gateway_compiled`) in a copy of the tree whose hot modules are
extension modules. Beside each extension lies the source that it was made of, and an interpreter that takes that
instead passes the same tests: so every process of the run, workers included, looks at what it has imported.

`python -m tests.support.gateway_compiled` does the same for a process of its own, as tests start them.
"""

from __future__ import annotations

import importlib
import sys
import tomllib
from importlib.machinery import EXTENSION_SUFFIXES
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


def extensions() -> list[str]:
    """Dotted names of all modules that lie compiled in the copy."""
    found = [path.relative_to(ROOT) for package in ("gateway", "crds") for path in (ROOT / package).rglob("*.so")]
    return sorted(".".join([*path.parent.parts, path.name.partition(".")[0]]) for path in found)


def promised() -> list[str]:
    """Dotted names of the modules that a compiled wheel has."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    paths = project["tool"]["hatch"]["build"]["targets"]["wheel"]["hooks"]["mypyc"]["include"]
    names = {str(path).strip("/").removesuffix(".py").replace("/", ".") for path in paths}
    if sys.platform == "linux":  # what is written for the compiler, and for this system's sockets
        sources = (path.relative_to(ROOT).with_suffix("") for path in (ROOT / "gateway").rglob("*.pyx"))
        names |= {".".join(path.parts) for path in sources}
    return sorted(names)


def complaints() -> list[str]:
    """What is not as it should be: a module that is not compiled, or not the one of this copy."""
    found = []
    for name in sorted({*extensions(), *promised()}):
        file = str(importlib.import_module(name).__file__)
        if not file.endswith(tuple(EXTENSION_SUFFIXES)):
            found.append(f"{name} is not compiled: {file}")
        elif ROOT not in Path(file).resolve().parents:
            found.append(f"{name} is another copy's: {file}")
    return found


def pytest_sessionstart(session: pytest.Session) -> None:
    found = complaints()
    if found:
        pytest.exit("this is no compiled copy of the gateway:\n" + "\n".join(found), returncode=4)


def main() -> None:
    found = complaints()
    sys.stdout.write("".join(f"{line}\n" for line in found) or f"{len(extensions())} compiled modules\n")
    raise SystemExit(1 if found else 0)


if __name__ == "__main__":
    main()
