"""The ConfigMaps and Secrets of the cluster, as the pods on this node see them.

Two informers feed it; containers and volumes look objects up and wait for the next change in their namespace.
It never asks the API server itself.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable

from crds.client.informer import Informer
from crds.client.resources import CONFIG_MAPS, SECRETS
from crds.client.transport import KubeClient
from sandbox.kubelet.environment import Lookup
from sandbox.kubelet.objects import Key, Object, key

#: Called with ("ConfigMap" | "Secret") and the object's key.
OnConfig = Callable[[str, Key], None]


class ConfigSource:
    def __init__(self, client: KubeClient) -> None:
        self._listeners: list[OnConfig] = []
        self._waiting: dict[str, set[asyncio.Future[None]]] = {}
        self._informers = {
            "ConfigMap": Informer(client, CONFIG_MAPS, on_change=self._changed("ConfigMap")),
            "Secret": Informer(client, SECRETS, on_change=self._changed("Secret")),
        }

    def informers(self) -> Iterable[Informer]:
        return self._informers.values()

    def subscribe(self, listener: OnConfig) -> None:
        self._listeners.append(listener)

    def lookup(self, namespace: str) -> Lookup:
        def find(kind: str, name: str) -> Object | None:
            return self._informers[kind].get(namespace, name)

        return find

    def next_change(self, namespace: str) -> asyncio.Future[None]:
        """Done at the next change of any object in the namespace; registered at once, so none is missed."""
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        waiting = self._waiting.setdefault(namespace, set())
        waiting.add(future)
        future.add_done_callback(waiting.discard)
        return future

    def _changed(self, kind: str) -> Callable[[str, Object | None, Object | None], None]:
        def on_change(event: str, old: Object | None, new: Object | None) -> None:
            obj = new or old
            if obj is None:
                return
            for listener in self._listeners:
                listener(kind, key(obj))
            for future in list(self._waiting.get(key(obj).namespace, ())):
                if not future.done():
                    future.set_result(None)

        return on_change
