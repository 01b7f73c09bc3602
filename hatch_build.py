"""Builds the gateway's express lane into a wheel: `HATCH_BUILD_HOOKS_ENABLE=1 pip wheel .` calls this.

The mypyc hook beside it compiles the hot modules; this compiles what is written in Cython. Only on Linux, because the
lane stands on epoll; a wheel for anything else goes without.
"""

from __future__ import annotations

import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

SOURCE = "gateway/proxy/express.pyx"


class ExpressHook(BuildHookInterface[Any]):
    """Compiles `SOURCE` and puts the extension where the module belongs."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        if version == "editable" or sys.platform != "linux":
            return
        from Cython.Build import cythonize
        from setuptools import Distribution

        self._directory = TemporaryDirectory()
        directory = Path(self._directory.name)
        source = str(Path(self.root, SOURCE))
        extensions = cythonize([source], build_dir=str(directory / "c"), quiet=True)
        command = Distribution({"ext_modules": extensions}).get_command_obj("build_ext")
        command.build_lib, command.build_temp = str(directory / "lib"), str(directory / "o")
        command.ensure_finalized()
        command.run()
        for built in map(Path, command.get_outputs()):
            build_data["force_include"][str(built)] = str(Path(SOURCE).with_name(built.name))
        build_data["infer_tag"] = True
        build_data["pure_python"] = False

    def finalize(self, version: str, build_data: dict[str, Any], artifact_path: str) -> None:
        if hasattr(self, "_directory"):
            self._directory.cleanup()
