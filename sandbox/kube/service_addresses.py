"""Addresses and node ports of Services: who has which, and the next one that is free.

Every Service that wants one gets a ClusterIP of 127.32.0.0/16, loopback addresses that a kubelet on this machine
can bind. What is taken is read from the stored Services each time, so nothing can leak.
Called when a Service is created or changed, before admission.
"""

from __future__ import annotations

import ipaddress
import zlib
from collections.abc import Callable, Iterable
from typing import Any, Final

from sandbox.kube import causes
from sandbox.kube.errors import StatusError, invalid

Object = dict[str, Any]

NETWORK: Final = ipaddress.ip_network("127.32.0.0/16")
NODE_PORTS: Final = range(30000, 32768)


def allocate(obj: Object, old: Object | None, services: Callable[[], Iterable[Object]]) -> None:
    """Give a Service its addresses, families and node ports."""
    spec = obj["spec"]
    if spec.get("type") == "ExternalName":
        for key in ("clusterIP", "clusterIPs"):
            spec.pop(key, None)
        return
    # A headless Service without a selector is for whatever addresses its endpoints will have.
    anything = spec.get("clusterIP") == "None" and not spec.get("selector")
    spec.setdefault("ipFamilies", ["IPv4", "IPv6"] if anything else ["IPv4"])
    spec.setdefault("ipFamilyPolicy", "RequireDualStack" if anything else "SingleStack")
    if not spec.get("clusterIP"):
        before = ((old or {}).get("spec") or {}).get("clusterIP")
        spec["clusterIP"] = before or _free_address(obj, services())
    elif old is None and spec["clusterIP"] != "None":
        _require_free(obj, spec["clusterIP"], services())
    spec["clusterIPs"] = [spec["clusterIP"]]
    if spec.get("type") in ("NodePort", "LoadBalancer"):
        _node_ports(spec, old, services)


def _taken(services: Iterable[Object]) -> set[str]:
    return {str((service.get("spec") or {}).get("clusterIP")) for service in services}


def _free_address(obj: Object, services: Iterable[Object]) -> str:
    taken = _taken(services)
    metadata = obj["metadata"]
    # Starting at a hash of the name makes addresses stable between runs of the same manifests.
    seed = zlib.crc32(f"{metadata.get('namespace')}/{metadata.get('name')}".encode())
    size = NETWORK.num_addresses - 2
    for step in range(size):
        address = str(NETWORK[1 + (seed + step) % size])
        if address not in taken:
            return address
    raise StatusError(500, "InternalError", "Internal error occurred: failed to allocate a serviceIP: range is full")


def _require_free(obj: Object, wanted: str, services: Iterable[Object]) -> None:
    name = obj["metadata"].get("name", "")
    try:
        inside = ipaddress.ip_address(wanted) in NETWORK
    except ValueError:
        detail = "must be empty, 'None', or a valid IP address"
        raise invalid("Service", "", name, [causes.invalid("spec.clusterIP", wanted, detail)]) from None
    if not inside:
        detail = f"failed to allocate IP {wanted}: the provided IP is not in the valid range {NETWORK}"
        raise invalid("Service", "", name, [causes.invalid("spec.clusterIPs", [wanted], detail)])
    if wanted in _taken(services):
        detail = f"failed to allocate IP {wanted}: provided IP is already allocated"
        raise invalid("Service", "", name, [causes.invalid("spec.clusterIPs", [wanted], detail)])


def _node_ports(spec: Object, old: Object | None, services: Callable[[], Iterable[Object]]) -> None:
    before = {
        (port.get("port"), port.get("protocol")): port.get("nodePort")
        for port in ((old or {}).get("spec") or {}).get("ports") or ()
    }
    taken: set[Any] | None = None
    for port in spec.get("ports") or ():
        if port.get("nodePort"):
            continue
        kept = before.get((port.get("port"), port.get("protocol")))
        if kept is None:
            if taken is None:
                taken = _node_ports_of(services())
            kept = next((number for number in NODE_PORTS if number not in taken), None)
            taken.add(kept)
        if kept is not None:
            port["nodePort"] = kept


def _node_ports_of(services: Iterable[Object]) -> set[Any]:
    ports = (port for service in services for port in (service.get("spec") or {}).get("ports") or ())
    return {port.get("nodePort") for port in ports}
