"""Our gateway in its three builds: pure Python, compiled by mypyc, and compiled with the express transport.

Pure runs from the source tree, the others from a copy that `bench.gateway.compile` made. Which build runs is decided
by PYTHONPATH and one switch only; `check` looks into the running process, so that a figure is never reported under
the wrong name.
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from pathlib import Path

from bench.gateway.processes import ROOT, extensions

NAMES = ("pure", "compiled", "express")
SWITCH = "XTRINODE_EXPRESS"


class Missing(Exception):
    """The build is not there; the message says what to type."""


@dataclass(frozen=True)
class Variant:
    """How to start one build: its environment, and where its packages lie."""

    name: str
    root: Path
    environment: dict[str, str]

    def check(self, pid: int) -> None:
        """Raise SystemExit when the process `pid` is another build than this one claims to be."""
        loaded = extensions(pid, self.root)
        ours = {name for name in loaded if "__mypyc" in name}
        handmade = loaded & handmade_extensions(self.root)
        if self.name == "pure" and (ours or handmade):
            raise SystemExit(
                f"the pure gateway loaded {sorted(ours | handmade)}: remove extension modules from the tree"
            )
        if self.name != "pure" and not ours:
            raise SystemExit(f"the {self.name} gateway loaded no compiled module of {self.root}: compile it again")
        if self.name == "express" and not handmade:
            raise SystemExit(f"the express gateway loaded no transport of its own from {self.root}: compile it again")


def handmade_extensions(root: Path) -> set[str]:
    """File names of extension modules that no Python source stands beside, so that mypyc did not make them."""
    found = (root / "gateway").rglob("*.so")
    return {path.name for path in found if not path.with_name(f"{path.name.partition('.')[0]}.py").exists()}


def variant(name: str, compiled: Path | None) -> Variant:
    """The build `name`, with `compiled` the copy that `bench.gateway.compile` made. Raises Missing."""
    off = {SWITCH: "0"}
    if name == "pure":
        return Variant(name, ROOT, {"PYTHONPATH": str(ROOT), **off})
    if compiled is None:
        raise Missing(f"{name} needs --compiled DIR; `python -m bench.gateway.compile DIR` makes it")
    root = compiled.resolve()
    if not any(root.glob("*__mypyc*.so")):
        raise Missing(f"{root} holds no compiled modules; `python -m bench.gateway.compile {compiled}` makes them")
    if name == "compiled":
        return Variant(name, root, {"PYTHONPATH": str(root), **off})
    if not handmade_extensions(root):
        raise Missing(f"{root} holds no express transport; compile again where Cython and a C compiler are")
    return Variant(name, root, {"PYTHONPATH": str(root), SWITCH: "1"})


def add_options(parser: argparse.ArgumentParser) -> None:
    """`--variant` and `--compiled`, for a benchmark of one build."""
    parser.add_argument("--variant", choices=NAMES, default="pure", help="which build to measure (default pure)")
    parser.add_argument(
        "--compiled", type=Path, metavar="DIR", help="where `python -m bench.gateway.compile DIR` put the other builds"
    )


def chosen(options: argparse.Namespace) -> Variant:
    try:
        return variant(options.variant, options.compiled)
    except Missing as error:
        raise SystemExit(str(error)) from None
