"""From a Service's host name to coordinator addresses: EndpointSlices in the cluster, DNS for everything else.

A Service host is `<service>.<namespace>.svc[.<cluster domain>]`. Its ready endpoints are watched, so a coordinator
that moves is followed at once, and gateway and coordinator can sit where no cluster DNS reaches. Other hosts, and
Services while the API has not answered yet, are asked of DNS every few seconds; what was known stays known when
neither answers.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from crds.client import KubeClient
from crds.client.informer import ShapedInformer
from crds.client.resources import ENDPOINT_SLICES
from gateway.routing.model import Service
from gateway.routing.router import Router

_LOG = logging.getLogger(__name__)
_DNS_INTERVAL = 10.0
_DNS_AT_ONCE = 16
_SLICES_FIRST = 2.0
_SERVICE_LABEL = "kubernetes.io/service-name"

Addresses = list[tuple[str, int]]


@dataclass(frozen=True, slots=True)
class Slice:
    """What is kept of an EndpointSlice: a cluster has many, and a tenth of each is read."""

    service: tuple[str, str]  # (namespace, name)
    ports: tuple[tuple[str, int], ...]  # (name, number), target ports
    ready: tuple[str, ...]


class AddressBook:
    """Keeps the router's services resolved. `changed` is called after any address changed."""

    def __init__(
        self, router: Router, client: KubeClient | None, *, cluster_domain: str, changed: Callable[[], None]
    ) -> None:
        self._router = router
        self._domain = cluster_domain
        self._changed = changed
        self._known: dict[Service, Addresses] = {}
        self._in_cluster: dict[tuple[str, str], list[Service]] = {}  # by (namespace, name); several differ in port
        self._telling: asyncio.Handle | None = None
        self.changes = 0  # counts changes of what `snapshot` tells
        self._wake = asyncio.Event()
        self._asked = False  # DNS has been asked for all that is left to it, once
        self._slices = (
            ShapedInformer(client, ENDPOINT_SLICES, shaped, indexers={"service": by_service}, on_change=self._on_slice)
            if client is not None
            else None
        )

    async def run(self) -> None:
        """Follow slices and DNS until cancelled."""
        async with asyncio.TaskGroup() as group:
            if self._slices is not None:
                group.create_task(self._slices.run())
                group.create_task(self._when_synced(self._slices))
            group.create_task(self._follow_dns())

    @property
    def settled(self) -> bool:
        """Whether every service has been looked up, with whatever result: before that, refusing would be rash."""
        return self._asked or all(service in self._known for service in self._router.services())

    def remember(self, known: dict[str, Addresses]) -> None:
        """Start from addresses of an earlier life, by "host:port"; fresh answers replace them."""
        for service in self._router.services():
            found = known.get(f"{service.host}:{service.port}")
            if found and service not in self._known:
                self._set(service, found)

    def snapshot(self) -> dict[str, Addresses]:
        """What is known now, by "host:port"."""
        return {f"{service.host}:{service.port}": found for service, found in self._known.items()}

    def follow(self) -> None:
        """The router's services changed: resolve new ones at once, forget old ones."""
        wanted = self._router.services()
        self._in_cluster = {}
        for service in wanted:
            name = service_of(service.host, self._domain)
            if name is not None:
                self._in_cluster.setdefault(name, []).append(service)
        for service in [service for service in self._known if service not in wanted]:
            del self._known[service]
            self.changes += 1
        for service in wanted - self._known.keys():  # what is known is kept true by every change of a slice
            self._resolve(service)
        self._wake.set()

    def _resolve(self, service: Service) -> None:
        """Set the addresses of a Service from the slices; other hosts are left to DNS."""
        name = service_of(service.host, self._domain)
        if name is not None and self._slices is not None and self._slices.synced.is_set():
            self._set(service, ready_addresses(self._slices.by_index("service", name), service.port))

    def _set(self, service: Service, found: Addresses) -> None:
        if self._known.get(service) == found:
            return
        self._known[service] = found
        self.changes += 1
        self._router.set_addresses(service, found)
        if self._telling is None:  # thousands may change at once; those who follow look at all of them
            self._telling = asyncio.get_running_loop().call_soon(self._tell)

    def _tell(self) -> None:
        self._telling = None
        self._changed()

    def _on_slice(self, event: str, old: Slice | None, new: Slice | None) -> None:
        for name in {one.service for one in (old, new) if one is not None}:
            for service in self._in_cluster.get(name, ()):
                self._resolve(service)

    async def _when_synced(self, slices: ShapedInformer[Slice]) -> None:
        await slices.synced.wait()
        for service in self._router.services():  # what was known before came from disk or DNS
            self._resolve(service)
        self._wake.set()

    async def _follow_dns(self) -> None:
        if self._slices is not None:  # it knows better, if it knows
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._slices.synced.wait(), _SLICES_FIRST)
        while True:
            self._wake.clear()
            services = self._router.services()
            names = [service for service in services if self._left_to_dns(service)]
            for start in range(0, len(names), _DNS_AT_ONCE):
                batch = names[start : start + _DNS_AT_ONCE]
                answers = await asyncio.gather(*map(_look_up, batch))
                for service, found in zip(batch, answers, strict=True):
                    if found and self._left_to_dns(service):
                        self._set(service, found)
            self._asked = self._asked or bool(services)
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._wake.wait(), _DNS_INTERVAL)

    def _left_to_dns(self, service: Service) -> bool:
        in_cluster = service_of(service.host, self._domain) is not None
        return not (in_cluster and self._slices is not None and self._slices.synced.is_set())


@lru_cache(maxsize=16_384)
def service_of(host: str, cluster_domain: str) -> tuple[str, str] | None:
    """(namespace, service) of a Service's host name, None for any other host."""
    parts = host.lower().rstrip(".").removesuffix(f".{cluster_domain}").split(".")
    return (parts[1], parts[0]) if len(parts) == 3 and parts[2] == "svc" else None


def shaped(obj: dict[str, Any]) -> Slice | None:
    """What is kept of an EndpointSlice; None for one that is no Service's."""
    metadata = obj["metadata"]
    name = (metadata.get("labels") or {}).get(_SERVICE_LABEL)
    if not name:
        return None
    ports = [
        (str(port.get("name") or ""), int(port["port"]))
        for port in obj.get("ports") or ()
        if isinstance(port.get("port"), int)
    ]
    ready = [
        str(address)
        for endpoint in obj.get("endpoints") or ()
        if (endpoint.get("conditions") or {}).get("ready") is not False
        for address in endpoint.get("addresses") or ()
    ]
    return Slice((metadata.get("namespace", ""), name), _same_ports(tuple(ports)), tuple(ready))


@lru_cache(maxsize=256)
def _same_ports(ports: tuple[tuple[str, int], ...]) -> tuple[tuple[str, int], ...]:
    """One object for all slices that say the same."""
    return ports


def by_service(one: Slice) -> tuple[tuple[str, str]]:
    """Index of slices by (namespace, service)."""
    return (one.service,)


def ready_addresses(slices: Iterable[Slice], service_port: int) -> Addresses:
    """Ready endpoints of a Service's slices, sorted.

    A slice lists target ports, not Service ports: with one port there is no question, with several the one that is
    named http (or equals the Service's port) is meant.
    """
    found: set[tuple[str, int]] = set()
    for one in slices:
        port = _target_port(one.ports, service_port)
        if port is not None:
            found.update((address, port) for address in one.ready)
    return sorted(found)


def _target_port(ports: tuple[tuple[str, int], ...], service_port: int) -> int | None:
    if len(ports) == 1:
        return ports[0][1]
    for name, number in ports:
        if name in ("http", "https") or number == service_port:
            return number
    return None


async def _look_up(service: Service) -> Addresses:
    loop = asyncio.get_running_loop()
    try:
        found = await loop.getaddrinfo(service.host, service.port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        _LOG.debug("cannot resolve %s: %s", service.host, error)
        return []
    return sorted({(str(sockaddr[0]), int(sockaddr[1])) for *_, sockaddr in found})
