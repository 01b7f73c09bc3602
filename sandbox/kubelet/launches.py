"""The command line and environment of a container's local process.

Pure: computed right before a start from the image's runner, the container and where its tree lies. The process
gets a small environment of its own, never the kubelet's. Commands that a pod runs inside itself (hooks, exec
probes) mean the pod when they say localhost; here every pod has another address, so the word is replaced.
"""

from __future__ import annotations

import re
import shlex
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sandbox.kubelet.environment import command_line
from sandbox.kubelet.images import Runner

# The stand-in's entry point, and what it imports later than that.
STAND_IN = "sandbox.trino.__main__"
STAND_IN_MODULES = (STAND_IN, "sandbox.trino.server", "sandbox.trino.engine", "duckdb", "sqlglot")
FLAGS_ANNOTATION = "sandbox.xtrinode.io/trino-flags"
HEALTH_CHECK = "/usr/lib/trino/bin/health-check"
# What the image's own entry point is called; any other command replaces Trino with a process of the user's.
_TRINO_COMMANDS = frozenset({"/usr/lib/trino/bin/run-trino", "/usr/lib/trino/bin/launcher"})
_LOCALHOST = re.compile(r"(?<![\w.-])(?:localhost|127\.0\.0\.1)(?![\w.-])")
_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


@dataclass(frozen=True)
class Place:
    """Where a container lives on this machine."""

    root: Path  # stands for / of the container
    work: Path  # current directory and HOME
    pod_ip: str
    hosts_file: Path
    extra_path: Path | None = None  # searched first for programs


@dataclass(frozen=True)
class Launch:
    """`module` is set for Python programs of ours, which a nursery can start: then argv is its command line."""

    argv: Sequence[str]
    environment: Mapping[str, str]
    module: str | None = None


@dataclass(frozen=True)
class Trino:
    """What a Trino container needs beside its place. `home` None means the stand-in."""

    etc: Path  # the adapted configuration
    namespace: str
    cache: Path  # generated data that all stand-ins share
    home: Path | None = None
    java: Path | None = None  # the Java of a real server
    flags: Sequence[str] = ()  # of the stand-in


def trino_flags(annotations: Mapping[str, str]) -> list[str]:
    """Flags for the stand-in from a pod's annotation: faults and latencies for demonstrations and tests."""
    try:
        return shlex.split(annotations.get(FLAGS_ANNOTATION, ""))
    except ValueError:
        return []  # an unbalanced quote


def runner_of(runner: Runner, container: Mapping[str, Any]) -> Runner:
    """A Trino image with a command of its own runs that command."""
    command = container.get("command") or []
    if runner is Runner.TRINO and command and command[0] not in _TRINO_COMMANDS:
        return Runner.PROCESS
    return runner


def launch(
    runner: Runner,
    container: Mapping[str, Any],
    values: Mapping[str, str],
    hostname: str,
    place: Place,
    trino: Trino | None = None,
) -> Launch:
    """The process of a container. `trino` is given for containers that run Trino."""
    environment = process_environment(values, hostname, place)
    if runner is Runner.TRINO and trino is not None:
        if trino.home is not None:
            argv = [str(trino.home / "bin" / "launcher"), "run", "--etc-dir", str(trino.etc)]
            return Launch(argv, _with_java(environment, trino.java))
        flags = [
            *["--etc-dir", str(trino.etc), "--address", place.pod_ip, "--namespace", trino.namespace],
            *["--cache-dir", str(trino.cache), *trino.flags],
        ]
        found = {**environment, "PYTHONPATH": str(Path(__file__).resolve().parents[2])}
        return Launch([sys.executable, "-m", "sandbox.trino", *flags], found, STAND_IN)
    command, arguments = command_line(container, values)
    return Launch([*command, *arguments], environment)


def process_environment(values: Mapping[str, str], hostname: str, place: Place) -> dict[str, str]:
    """What every process of a container finds in its environment; the container's own values win."""
    path = _PATH if place.extra_path is None else f"{place.extra_path}:{_PATH}"
    return {
        "PATH": path,
        "HOME": str(place.work),
        "HOSTNAME": hostname,
        "LANG": "C.UTF-8",
        "POD_IP": place.pod_ip,
        "XTRINODE_SANDBOX_ROOT": str(place.root),
        "XTRINODE_SANDBOX_HOSTS": str(place.hosts_file),
        **values,
    }


def _with_java(environment: Mapping[str, str], java: Path | None) -> dict[str, str]:
    """As the image does: JAVA_HOME names it, and its programs are found first."""
    if java is None:
        return dict(environment)
    return {**environment, "JAVA_HOME": str(java), "PATH": f"{java / 'bin'}:{environment.get('PATH', _PATH)}"}


def inside_command(argv: Sequence[str], pod_ip: str) -> list[str]:
    """A hook's or probe's command, with the pod's address for localhost."""
    return [_LOCALHOST.sub(pod_ip, part) for part in argv]


def is_health_check(argv: Sequence[str]) -> bool:
    return len(argv) >= 1 and argv[0] == HEALTH_CHECK
