"""The runtimes that there are, as the rules between objects need them: parsed once per change, from an informer.

While the API server is away the last known ones are judged by; the route fold decides any conflict that slips through.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from crds.client import Informer, KubeClient
from crds.client.resources import XTRINODES
from crds.v1.meta import InvalidObject, object_key, parse
from crds.v1.xtrinode import XTrinode


class Runtimes:
    """Followed while `run` runs."""

    def __init__(self, client: KubeClient) -> None:
        self._known: dict[str, XTrinode] = {}
        self._informer = Informer(client, XTRINODES, on_change=self._on_change)

    async def run(self) -> None:
        await self._informer.run()

    @property
    def synced(self) -> bool:
        return self._informer.synced.is_set()

    def all(self) -> Iterable[XTrinode]:
        """All that can be read; one that cannot has no selectors to lose."""
        return self._known.values()

    def _on_change(self, event: str, old: dict[str, Any] | None, new: dict[str, Any] | None) -> None:
        obj = new or old or {}
        key = object_key(str(obj["metadata"].get("namespace", "")), str(obj["metadata"]["name"]))
        if new is None or new["metadata"].get("deletionTimestamp"):
            self._known.pop(key, None)
            return
        try:
            self._known[key] = parse(XTrinode, new)
        except InvalidObject:
            self._known.pop(key, None)
