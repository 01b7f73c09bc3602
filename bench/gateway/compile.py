"""Build the data path's compiled form: `python -m bench.gateway.compile DIR`.

The hot modules by mypyc, the express lane by Cython.

DIR becomes a copy of the package with extension modules beside the sources; the interpreter prefers those. Needs a C
compiler, setuptools, mypy and Cython. The same sources run uncompiled; nothing in them knows the difference.

The gateway's tests run on such a copy, too: tools/test-compiled.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
# The list that a compiled wheel is built with, stated once.
_HOOK = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["hatch"]["build"]["targets"]["wheel"]["hooks"]
HOT = [module.lstrip("/") for module in _HOOK["mypyc"]["include"]]
_SETUP = """
import sys
from Cython.Build import cythonize
from mypyc.build import mypycify
from setuptools import setup

modules = mypycify(["--strict", "--ignore-missing-imports", *{hot!r}], opt_level="3", debug_level="0")
if sys.platform == "linux":
    modules += cythonize(["gateway/proxy/express.pyx"], quiet=True)
setup(name="xtrinode-hot", packages=[], ext_modules=modules)
"""


def main() -> None:
    if len(sys.argv) != 2:
        raise SystemExit("usage: python -m bench.gateway.compile DIR")
    target = Path(sys.argv[1]).resolve()
    target.mkdir(parents=True, exist_ok=True)
    for package in ("gateway", "crds"):
        shutil.rmtree(target / package, ignore_errors=True)
        shutil.copytree(ROOT / package, target / package, ignore=shutil.ignore_patterns("__pycache__", "*.so"))
    (target / "setup.py").write_text(_SETUP.format(hot=HOT))
    subprocess.run([sys.executable, "setup.py", "-q", "build_ext", "--inplace"], cwd=target, check=True)
    print(f"compiled {len(HOT) + 1} modules in {target}; run them with PYTHONPATH={target}")


if __name__ == "__main__":
    main()
