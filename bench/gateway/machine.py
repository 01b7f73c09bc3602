"""What a figure depends on besides the code: stands beside every result."""

from __future__ import annotations

import os
import platform
import re
import shutil
import subprocess
import sysconfig
import time
from importlib import metadata
from pathlib import Path
from typing import Any

from bench.gateway.processes import ROOT

# What is measured, and by what; results are not part of it.
_MEASURED = ("gateway", "crds", "bench", "pyproject.toml", ":!bench/results")


def record() -> dict[str, Any]:
    """Take it before the run: the load is that of the minute before."""
    options = str(sysconfig.get_config_var("CONFIG_ARGS") or "")
    return {
        "date": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "cpu": _cpu(),
        "cores": os.cpu_count(),
        "memory_bytes": os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"),
        "kernel": platform.release(),
        "python": platform.python_version(),
        "python_pgo": "--enable-optimizations" in options,
        "python_lto": "--with-lto" in options,
        "uvloop": _package("uvloop"),
        "aiohttp": _package("aiohttp"),
        "mypy": _package("mypy"),
        "cython": _package("Cython"),
        "locust": _package("locust"),
        "nginx": _first_version("nginx", "-v"),
        "haproxy": _first_version("haproxy", "-v"),
        "wrk": _first_version("wrk", "-v"),
        "commit": _git("rev-parse", "--short", "HEAD"),
        "dirty": bool(_git("status", "--porcelain", "--", *_MEASURED)),
        "load_before": [round(value, 2) for value in os.getloadavg()],
    }


def in_words(machine: dict[str, Any]) -> str:
    """One line for people."""
    python = f"CPython {machine['python']} ({'PGO' if machine['python_pgo'] else 'no PGO'})"
    tree = f"commit {machine['commit']}{' with changes' if machine['dirty'] else ''}"
    tools = ", ".join(f"{tool} {machine[tool]}" for tool in ("nginx", "haproxy", "wrk", "uvloop") if machine.get(tool))
    load = machine["load_before"][0]
    return (
        f"{machine['cores']} cores {machine['cpu']}, Linux {machine['kernel']}, {python}, {tools}; "
        f"{tree}, {machine['date'][:10]}, load before {load}"
    )


def _cpu() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.machine()


def _package(name: str) -> str | None:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None


def _first_version(*command: str) -> str | None:
    if shutil.which(command[0]) is None:
        return None
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    found = re.search(r"\d+\.\d+[.\d]*", done.stdout + done.stderr)
    return found.group(0) if found else None


def _git(*arguments: str) -> str:
    done = subprocess.run(["git", *arguments], cwd=ROOT, capture_output=True, text=True, check=False)
    return done.stdout.strip()
