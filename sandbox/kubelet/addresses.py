"""Loopback addresses for pods, and the hosts files through which processes find Services.

Every pod of the sandbox listens on an address of its own out of 127.64.0.0/10: Linux answers on all of
127.0.0.0/8 without any set-up, so two coordinators can both use port 8080. Used by the kubelet's shell, which
writes the files; everything here is pure, and deterministic given the order of calls.
"""

from __future__ import annotations

import ipaddress
import zlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

CLUSTER_DOMAIN = "cluster.local"


class AddressesExhausted(Exception):
    """Every address of the network is in use."""


class AddressPool:
    """Hands out addresses in turn, so that a new pod does not inherit the address of one that just left.

    `seed` says where to begin: two sandboxes on one machine share the network without knowing of each other.
    """

    def __init__(self, network: str, seed: str = "") -> None:
        self._network = ipaddress.ip_network(network)
        self._used: dict[str, str] = {}  # address -> pod uid
        self._size = self._network.num_addresses - 2  # neither the network's own address nor the last one
        self._next = 1 + zlib.crc32(seed.encode()) % self._size

    def claim(self, owner: str, wanted: str | None = None) -> str:
        """An address for `owner`: the one it has, the wanted one if that is free, or the next free one."""
        for address, holder in self._used.items():
            if holder == owner:
                return address
        if wanted and self._inside(wanted) and wanted not in self._used:
            self._used[wanted] = owner
            return wanted
        for _ in range(self._size):
            address = str(self._network.network_address + self._next)
            self._next = self._next % self._size + 1
            if address not in self._used:
                self._used[address] = owner
                return address
        raise AddressesExhausted(f"all {self._size} addresses of {self._network} are in use; delete some pods")

    def release(self, owner: str) -> None:
        self._used = {address: holder for address, holder in self._used.items() if holder != owner}

    def _inside(self, text: str) -> bool:
        try:
            return ipaddress.ip_address(text) in self._network
        except ValueError:
            return False


@dataclass(frozen=True, order=True)
class HostEntry:
    """A Service's name and the addresses it resolves to: its cluster IP, or its pods' when it is headless."""

    namespace: str
    name: str
    addresses: tuple[str, ...]


def hosts_file(entries: Iterable[HostEntry], local_namespace: str | None = None, machine: str = "") -> str:
    """The names in /etc/hosts format; `local_namespace` adds the short names that hold inside it.

    A JVM that is given this file asks nobody else, so the machine's own name has to be in it.
    """
    own = f"127.0.0.1 localhost {machine}".rstrip()
    lines = ["# Services of the XTrinode sandbox; rewritten on every change.", own]
    for entry in sorted(entries):
        full = f"{entry.name}.{entry.namespace}"
        names = [f"{full}.svc.{CLUSTER_DOMAIN}", f"{full}.svc", full]
        if entry.namespace == local_namespace:
            names.append(entry.name)
        lines.extend(f"{address} {' '.join(names)}" for address in entry.addresses)
    return "\n".join(lines) + "\n"


def entries_of(
    services: Iterable[Mapping[str, object]], ready_addresses: Mapping[tuple[str, str], Iterable[str]]
) -> list[HostEntry]:
    """Entries for Services: `ready_addresses` holds those of headless ones by (namespace, name)."""
    found = []
    for service in services:
        metadata = service.get("metadata")
        body = service.get("spec")
        if not isinstance(metadata, Mapping) or not isinstance(body, Mapping):
            continue
        namespace, name = str(metadata.get("namespace")), str(metadata.get("name"))
        cluster_ip = body.get("clusterIP")
        if cluster_ip == "None":
            addresses = tuple(sorted(ready_addresses.get((namespace, name), ())))
        else:
            addresses = (str(cluster_ip),) if cluster_ip else ()
        if addresses:
            found.append(HostEntry(namespace, name, addresses))
    return found
