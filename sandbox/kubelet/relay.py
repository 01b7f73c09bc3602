"""Makes Service addresses work on this machine: a TCP relay per port, to the Service's ready endpoints in turn.

Fed with Services and EndpointSlices. A port is listened on only while it has an endpoint, so that a Service
without endpoints refuses connections, as it does on a cluster. Which endpoints serve a port is decided by
`targets`, which is pure. UDP, session affinity and node ports do not exist here.
"""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import logging
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from sandbox.kubelet.objects import Key, Object, key, labels, spec
from sandbox.kubelet.workloads.endpoint_slices import SERVICE_LABEL

log = logging.getLogger(__name__)

CONNECT_TIMEOUT = 5.0
RETRY = 1.0  # seconds until an address that was taken is tried again
_CHUNK = 256 * 1024


class Address(NamedTuple):
    host: str
    port: int


def targets(services: Iterable[Object], slices: Iterable[Object]) -> dict[Address, tuple[Address, ...]]:
    """Where each Service port leads: its ready endpoints, or else those that terminate but still serve."""
    by_service: dict[Key, list[Object]] = {}
    for item in slices:
        name = labels(item).get(SERVICE_LABEL)
        if name:
            by_service.setdefault(Key(key(item).namespace, name), []).append(item)
    found: dict[Address, tuple[Address, ...]] = {}
    for service in services:
        host = str(spec(service).get("clusterIP") or "")
        if not _loopback(host):
            continue
        mine = by_service.get(key(service), [])
        for port in spec(service).get("ports") or []:
            if (port.get("protocol") or "TCP") == "TCP":
                ends = _ends(mine, str(port.get("name") or ""))
                if ends:
                    found[Address(host, int(port["port"]))] = ends
    return found


def _ends(slices: Iterable[Object], port_name: str) -> tuple[Address, ...]:
    ready: list[Address] = []
    leaving: list[Address] = []
    for item in slices:
        for port in item.get("ports") or []:
            if (port.get("name") or "") != port_name or not port.get("port"):
                continue
            for endpoint in item.get("endpoints") or []:
                state: Mapping[str, Any] = endpoint.get("conditions") or {}
                found = [Address(str(host), int(port["port"])) for host in endpoint.get("addresses") or []]
                if state.get("ready", True):
                    ready.extend(found)
                elif state.get("serving") and state.get("terminating"):
                    leaving.extend(found)
    return tuple(sorted(set(ready or leaving)))


def _loopback(text: str) -> bool:
    try:
        return ipaddress.ip_address(text).is_loopback
    except ValueError:
        return False


class ServiceRelay:
    """The listeners of all Services. `show` brings them in step with the wanted state."""

    def __init__(self) -> None:
        self._wanted: dict[Address, tuple[Address, ...]] = {}
        self._servers: dict[Address, asyncio.Server] = {}
        self._refused: set[Address] = set()
        self._turn: dict[Address, int] = {}
        self._connections: set[asyncio.Task[None]] = set()
        self._changed = asyncio.Event()

    def show(self, wanted: Mapping[Address, tuple[Address, ...]]) -> None:
        self._wanted = dict(wanted)
        self._changed.set()

    async def run(self) -> None:
        """Open and close listeners until cancelled."""
        try:
            while True:
                await self._changed.wait()
                self._changed.clear()
                for address in [item for item in self._servers if item not in self._wanted]:
                    self._servers.pop(address).close()
                for address in [item for item in self._wanted if item not in self._servers]:
                    await self._open(address)
        finally:
            for server in self._servers.values():
                server.close()
            for task in self._connections:
                task.cancel()
            await asyncio.gather(*self._connections, return_exceptions=True)

    async def _open(self, address: Address) -> None:
        async def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            task = asyncio.current_task()
            assert task is not None
            self._connections.add(task)
            task.add_done_callback(self._connections.discard)
            await self._relay(address, reader, writer)

        try:
            self._servers[address] = await asyncio.start_server(accept, address.host, address.port, backlog=512)
        except OSError as error:
            # Most likely another sandbox serves it; the address may become free.
            level = logging.DEBUG if address in self._refused else logging.WARNING
            log.log(level, "the Service address %s:%d cannot be served yet: %s", *address, error)
            self._refused.add(address)
            asyncio.get_running_loop().call_later(RETRY, self._changed.set)
        else:
            self._refused.discard(address)

    async def _relay(self, address: Address, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        back = None
        try:
            back = await self._connect(address)
            if back is not None:
                there, then = back
                await asyncio.gather(_copy(reader, then), _copy(there, writer))
        except (OSError, asyncio.CancelledError) as error:
            log.debug("a connection through %s:%d ended: %r", *address, error)
        finally:
            for end in (writer, back[1] if back else None):
                if end is not None:
                    end.transport.abort() if back is None else end.close()

    async def _connect(self, address: Address) -> tuple[asyncio.StreamReader, asyncio.StreamWriter] | None:
        """The next endpoint that takes the connection; each is tried once."""
        ends = self._wanted.get(address, ())
        first = self._turn.get(address, -1) + 1
        self._turn[address] = first
        for step in range(len(ends)):
            end = ends[(first + step) % len(ends)]
            with contextlib.suppress(OSError, TimeoutError):
                async with asyncio.timeout(CONNECT_TIMEOUT):
                    return await asyncio.open_connection(end.host, end.port)
        return None


async def _copy(source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
    """Pass bytes on until the source ends, then say so to the sink (half-close)."""
    try:
        while data := await source.read(_CHUNK):
            sink.write(data)
            await sink.drain()
        if sink.can_write_eof():
            sink.write_eof()
    except OSError:
        sink.transport.abort()  # one direction broke: the other must not wait for ever
