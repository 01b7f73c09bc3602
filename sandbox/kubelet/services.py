"""What the node does for Services: the relays on their addresses and the hosts files with their names.

Fed by the informers of Services and EndpointSlices; recomputed once per burst of changes. Files are written
beside their place and moved into it, so that a reader never sees half of one.
"""

from __future__ import annotations

import asyncio
import socket
from pathlib import Path

from crds.client.informer import Informer
from sandbox.kubelet import addresses, relay
from sandbox.kubelet.objects import Object, key, labels
from sandbox.kubelet.workloads.endpoint_slices import SERVICE_LABEL


class ServiceAddresses:
    def __init__(self, data_dir: Path, services: Informer, slices: Informer) -> None:
        self.relay = relay.ServiceRelay()
        self._directory = data_dir / "hosts.d"
        self._all = data_dir / "hosts"
        self._machine = socket.gethostname()
        self._services = services
        self._slices = slices
        self._written: dict[Path, str] = {}
        self._changed = asyncio.Event()
        services.subscribe(self._on_change)
        slices.subscribe(self._on_change)
        self._changed.set()

    def hosts_file(self, namespace: str) -> Path:
        """The hosts file for processes of a namespace; exists from now on."""
        path = self._directory / namespace
        if path not in self._written:
            self._write_one(path, addresses.hosts_file(self._entries(), namespace, self._machine))
        return path

    async def run(self) -> None:
        async with asyncio.TaskGroup() as group:
            group.create_task(self.relay.run())
            group.create_task(self._follow())

    async def _follow(self) -> None:
        await self._services.synced.wait()
        await self._slices.synced.wait()
        while True:
            await self._changed.wait()
            self._changed.clear()
            self.relay.show(relay.targets(self._services.items(), self._slices.items()))
            entries = self._entries()
            self._write_one(self._all, addresses.hosts_file(entries, None, self._machine))
            for path in [path for path in self._written if path.parent == self._directory]:
                self._write_one(path, addresses.hosts_file(entries, path.name, self._machine))

    def _on_change(self, event: str, old: Object | None, new: Object | None) -> None:
        self._changed.set()

    def _entries(self) -> list[addresses.HostEntry]:
        ready: dict[tuple[str, str], list[str]] = {}
        for item in self._slices.items():
            name = labels(item).get(SERVICE_LABEL)
            for endpoint in item.get("endpoints") or [] if name else []:
                if (endpoint.get("conditions") or {}).get("ready", True):
                    found = ready.setdefault((key(item).namespace, str(name)), [])
                    found.extend(str(address) for address in endpoint.get("addresses") or [])
        return addresses.entries_of(self._services.items(), ready)

    def _write_one(self, path: Path, text: str) -> None:
        if self._written.get(path) == text:
            return
        path.parent.mkdir(parents=True, exist_ok=True)
        fresh = path.with_name(f".{path.name}.new")
        fresh.write_text(text)
        fresh.replace(path)
        self._written[path] = text
