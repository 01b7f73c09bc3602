"""What a container image means on a machine without a container runtime.

One table, read top to bottom, maps image names to a way of running them as local processes. Called when a
container is about to start; pure. What is not in the table cannot run here, and the refusal lists what can.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum
from fnmatch import fnmatchcase


class Runner(Enum):
    """How the container's process is made."""

    TRINO = "Trino: the sandbox's stand-in, or the real server with --trino-home"
    PROCESS = "a local process: the container's own command"
    PLACEHOLDER = "a placeholder that sleeps"


@dataclass(frozen=True)
class ImageRule:
    """`pattern` is matched against the image's name without registry host, tag and digest."""

    pattern: str
    runner: Runner


class ImageRefused(Exception):
    """The image cannot run here; the message says which can. `malformed` tells a name that is no image name."""

    def __init__(self, message: str, malformed: bool = False) -> None:
        super().__init__(message)
        self.malformed = malformed


# Companions of Trino pods which cannot run without a container runtime and which nothing here depends on.
_SIDECARS = (
    "*/jmx-exporter",
    "*/jmx-prometheus-exporter",
    "prom/*",
    "prometheus/*",
    "fluent/*",
    "*/fluent-bit",
    "grafana/*",
    "otel/*",
    "*/opentelemetry-collector*",
    "timberio/vector",
    "openpolicyagent/*",
    "envoyproxy/*",
    "istio/*",
    "git-sync/*",
    "*/git-sync",
    "cloud-sql-connectors/*",
    "oauth2-proxy/*",
    "library/busybox",
    "library/alpine",
    "library/nginx",
    "curlimages/curl",
    "pause",
)

RULES = (
    ImageRule("trinodb/trino", Runner.TRINO),
    ImageRule("*/trinodb/trino", Runner.TRINO),
    ImageRule("sandbox/process", Runner.PROCESS),
    *(ImageRule(pattern, Runner.PLACEHOLDER) for pattern in _SIDECARS),
)

_NAME = re.compile(r"[a-z0-9]+(?:[._-]+[a-z0-9]+)*(?:/[a-z0-9]+(?:[._-]+[a-z0-9]+)*)*\Z")


def repository(image: str) -> str:
    """`registry.example:5000/trinodb/trino:480@sha256:...` -> `trinodb/trino`; a bare name is in `library/`."""
    name = image.split("@", 1)[0]
    head, _, last = name.rpartition("/")
    last = last.split(":", 1)[0]
    parts = [part for part in head.split("/") if head] + [last]
    if len(parts) > 1 and ("." in parts[0] or ":" in parts[0] or parts[0] == "localhost"):
        parts = parts[1:]
        return "/".join(parts)
    return "/".join(parts) if len(parts) > 1 else f"library/{last}"


def runner_for(image: str, placeholders: Iterable[str] = ()) -> Runner:
    """The runner of an image; `placeholders` are further patterns to stand in for. Raises ImageRefused."""
    name = repository(image)
    if not _NAME.match(name):
        raise ImageRefused(f'Failed to apply default image tag "{image}": it is no image name', malformed=True)
    for rule in (*RULES, *(ImageRule(pattern, Runner.PLACEHOLDER) for pattern in placeholders)):
        if fnmatchcase(name, rule.pattern):
            return rule.runner
    runnable = sorted(rule.pattern for rule in RULES if rule.runner is not Runner.PLACEHOLDER)
    sidecars = sorted({*_SIDECARS, *placeholders})
    raise ImageRefused(
        f'the sandbox has no way to run image "{image}". It runs {", ".join(runnable)}, and stands in with a '
        f"sleeping placeholder for {', '.join(sidecars)}; --placeholder-image PATTERN adds to that list"
    )
