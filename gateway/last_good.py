"""The last good routes and addresses on disk: what a gateway starts from while the Kubernetes API is away.

One JSON file, replaced atomically; a file that cannot be read is as good as none, with a warning. Written by the
route watch, read once at start.
"""

from __future__ import annotations

import logging
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import orjson

_LOG = logging.getLogger(__name__)
_FILE = "last-good-routes.json"


@dataclass(frozen=True, slots=True)
class Snapshot:
    """Route documents by ConfigMap name, and addresses by "host:port"."""

    documents: dict[str, str] = field(default_factory=dict)
    addresses: dict[str, list[tuple[str, int]]] = field(default_factory=dict)


class LastGood:
    """The file below `directory`; with no directory nothing is kept."""

    def __init__(self, directory: str | None) -> None:
        self._path = Path(directory) / _FILE if directory else None
        self._written: bytes | None = None

    def read(self) -> Snapshot | None:
        if self._path is None:
            return None
        try:
            return parse(self._path.read_bytes())
        except FileNotFoundError:
            return None
        except (OSError, ValueError) as error:
            _LOG.warning("cannot use the last good routes in %s: %s; waiting for the Kubernetes API", self._path, error)
            return None

    def write(self, snapshot: Snapshot) -> None:
        """Keep `snapshot`; failing to is logged and does not stop the routing."""
        if self._path is None:
            return
        content = orjson.dumps({"documents": snapshot.documents, "addresses": snapshot.addresses})
        if content == self._written:
            return
        temporary = self._path.with_suffix(f".{os.getpid()}.tmp")
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            temporary.write_bytes(content)
            temporary.replace(self._path)
        except OSError as error:
            _LOG.warning("cannot keep the last good routes in %s: %s", self._path, error)
        else:
            self._written = content


def parse(content: bytes) -> Snapshot:
    """The file's content as a snapshot. Raises ValueError when it is none."""
    raw: Any = orjson.loads(content)
    try:
        documents = {str(name): str(text) for name, text in raw["documents"].items()}
        addresses = {
            str(authority): [(str(ip), int(port)) for ip, port in found]
            for authority, found in raw["addresses"].items()
        }
    except (TypeError, KeyError, AttributeError) as error:
        raise ValueError(f"not a snapshot: {type(error).__name__} {error}") from error
    return Snapshot(documents, addresses)
