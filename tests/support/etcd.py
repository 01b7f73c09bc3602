"""The store behind the real API server, by its own interface: changed behind the server's back, or made to forget.

A test that wants something to be different when an API server comes back changes it here while the server is away.
Custom resources are kept as JSON and can be rewritten; built-in kinds are kept in another form and can be removed.
"""

from __future__ import annotations

import base64
import json
import urllib.request
from collections.abc import Callable
from typing import Any

_PREFIX = "/registry/"


class Etcd:
    """One etcd server. Keys are without the prefix that all of Kubernetes' have: `services/specs/ns/name`."""

    def __init__(self, url: str) -> None:
        self.url = url

    def rewrite(self, key: str, change: Callable[[dict[str, Any]], None]) -> None:
        """Change an object that is kept as JSON."""
        (found,) = self._call("kv/range", {"key": _encoded(key)})["kvs"]
        obj = json.loads(base64.b64decode(found["value"]))
        change(obj)
        value = base64.b64encode(json.dumps(obj).encode()).decode()
        self._call("kv/put", {"key": _encoded(key), "value": value})

    def remove(self, key: str) -> None:
        """Remove an object, finalizers or not."""
        answer = self._call("kv/deleterange", {"key": _encoded(key)})
        assert answer.get("deleted") == "1", f"{key} is not there"

    def compact(self) -> None:
        """Forget everything but the newest version: older watches then end with 410 Gone."""
        newest = self._call("kv/range", {"key": _encoded(""), "count_only": True})["header"]["revision"]
        self._call("kv/compaction", {"revision": newest, "physical": True})

    def _call(self, path: str, body: dict[str, object]) -> dict[str, Any]:
        request = urllib.request.Request(f"{self.url}/v3/{path}", json.dumps(body).encode(), method="POST")
        with urllib.request.urlopen(request, timeout=10) as answer:
            found: dict[str, Any] = json.load(answer)
            return found


def _encoded(key: str) -> str:
    return base64.b64encode(f"{_PREFIX}{key}".encode()).decode()
