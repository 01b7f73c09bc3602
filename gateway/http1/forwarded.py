"""X-Forwarded-*: how the coordinator learns the address that the client really used.

Trino builds every URI that it hands out from these headers, and takes `X-Forwarded-Proto: https` as proof of a safe
transport; whoever may set them decides where the client goes next. They are therefore written anew, unless the peer
is one of the trusted proxies: its values are then kept, and our hop is appended to X-Forwarded-For. `Forwarded`
(RFC 7239) never passes: the server behind us would believe it before it believes the others.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable
from typing import Final

from gateway.http1.lines import name_of, value_of

_PROTO: Final = re.compile(rb"https?").fullmatch
_PORT: Final = re.compile(rb"[0-9]{1,5}").fullmatch
_HOST: Final = re.compile(rb"(?:[A-Za-z0-9._~!$&'()*+;=\-]{1,255}|\[[0-9A-Fa-f:.]{2,45}\])(?::[0-9]{1,5})?").fullmatch
_PREFIX: Final = re.compile(rb"/?[A-Za-z0-9._~\-]{1,128}").fullmatch


class TrustedProxies:
    """The peers whose X-Forwarded-* are believed: a list of networks. Empty: nobody's."""

    __slots__ = ("_networks",)

    def __init__(self, networks: Iterable[str] = ()) -> None:
        self._networks = tuple(ipaddress.ip_network(network, strict=False) for network in networks)

    def trusts(self, peer: bytes) -> bool:
        """Whether `peer`, an address in text, is one of them."""
        if not self._networks:
            return False
        try:
            address = ipaddress.ip_address(peer.decode("ascii", "replace"))
        except ValueError:
            return False
        if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped is not None:
            address = address.ipv4_mapped
        return any(address in network for network in self._networks)


class Origin:
    """What the client sees of us: scheme, host and port, as a URI's authority; and the lines that say so."""

    __slots__ = ("base", "lines")

    def __init__(self, base: bytes, lines: bytes) -> None:
        self.base = base  # `https://trino.example.com:8443`, no trailing slash
        self.lines = lines  # X-Forwarded-* header lines, each with its CRLF


def origin_of(
    host: bytes, proto: bytes, port: bytes, peer: bytes, forwarded: list[bytes] | None, trusted: bool
) -> Origin:
    """The X-Forwarded-* lines for a request.

    `host` is the Host header (or the request target's), `proto` and `port` are the listener's, `forwarded` holds the
    X-Forwarded-* and Forwarded lines that came, and `trusted` says whether the peer may set them.
    """
    chain = peer
    rest: list[bytes] = []
    named_port = _port_of(host)
    if named_port is None:
        # The client's URL had no port, so it is the scheme's own, whatever we listen on behind it.
        named_port = b"443" if proto == b"https" else b"80"
    out_host, out_proto, out_port = host, proto, named_port if host else port
    if trusted and forwarded:
        given: dict[bytes, list[bytes]] = {}
        for line in forwarded:
            given.setdefault(name_of(line), []).append(value_of(line))
        before = b", ".join(value for value in given.get(b"x-forwarded-for", []) if value)
        if before:
            chain = before + b", " + peer
        said_proto = _first(given.get(b"x-forwarded-proto")).lower()
        said_host = _first(given.get(b"x-forwarded-host"))
        said_port = _first(given.get(b"x-forwarded-port"))
        if _PROTO(said_proto) is not None:
            out_proto = said_proto
            if said_proto != proto and _port_of(host) is None:
                out_port = b"443" if said_proto == b"https" else b"80"
        if _HOST(said_host) is not None:
            out_host = said_host
            out_port = _port_of(said_host) or (b"443" if out_proto == b"https" else b"80")
        if _PORT(said_port) is not None:
            out_port = said_port
        said_prefix = _first(given.get(b"x-forwarded-prefix"))
        if _PREFIX(said_prefix) is not None:
            rest.append(b"X-Forwarded-Prefix: " + said_prefix + b"\r\n")
    lines = b"".join(
        [
            b"X-Forwarded-For: ",
            chain,
            b"\r\nX-Forwarded-Host: ",
            out_host,
            b"\r\nX-Forwarded-Proto: ",
            out_proto,
            b"\r\nX-Forwarded-Port: ",
            out_port,
            b"\r\n",
            *rest,
        ]
    )
    return Origin(_base(out_proto, out_host, out_port), lines)


def _base(proto: bytes, host: bytes, port: bytes) -> bytes:
    if _port_of(host) is not None or port == (b"443" if proto == b"https" else b"80"):
        return proto + b"://" + host
    return proto + b"://" + host + b":" + port


def _first(values: list[bytes] | None) -> bytes:
    """The first of a comma-separated list: the one nearest to the client."""
    return values[0].partition(b",")[0].strip(b" \t") if values else b""


def _port_of(host: bytes) -> bytes | None:
    """The port written in a Host value, None when there is none."""
    _, colon, port = host.rpartition(b":")
    return port if colon and port.isdigit() else None
