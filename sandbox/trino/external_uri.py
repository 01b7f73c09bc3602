"""The address that a client used, as far as the server may believe it; pure.

Every URI in a reply starts with it. With `http-server.process-forwarded=true` the forwarding headers
say what the client saw; without it a request that carries any of them is refused, because it would
get addresses that do not work.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import quote

FORWARDING_HEADERS = (
    "Forwarded",
    "X-Forwarded-For",
    "X-Forwarded-Host",
    "X-Forwarded-Port",
    "X-Forwarded-Proto",
    "X-Forwarded-Server",
    "X-Proxied-Https",
)
_PAIR = re.compile(r'\s*([!#$%&\'*+.^_`|~0-9A-Za-z-]+)\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([^;,"\s]*))\s*')
_DEFAULT_PORTS = {"http": "80", "https": "443"}


@dataclass(frozen=True, slots=True)
class ExternalUri:
    """`base` has no trailing slash."""

    scheme: str
    authority: str
    prefix: str = ""

    @property
    def base(self) -> str:
        return f"{self.scheme}://{self.authority}{self.prefix}"

    @property
    def secure(self) -> bool:
        return self.scheme == "https"


def refused_header(headers: Mapping[str, str]) -> str | None:
    """The first forwarding header of a request to a server that does not process them."""
    return next((name for name in FORWARDING_HEADERS if name in headers), None)


def external_uri(
    headers: Mapping[str, str], *, scheme: str, fallback_authority: str, process_forwarded: bool
) -> ExternalUri:
    """`Forwarded` wins over the X- headers; of a list, the first entry is the client's."""
    host = headers.get("Host") or fallback_authority
    if not process_forwarded:
        return ExternalUri(scheme, host)
    forwarded = _forwarded(headers.get("Forwarded", ""))
    proto = forwarded.get("proto") or _first(headers.get("X-Forwarded-Proto"))
    if proto is None and _first(headers.get("X-Proxied-Https")) in ("on", "true"):
        proto = "https"
    proto = (proto or scheme).lower()
    given = forwarded.get("host") or _first(headers.get("X-Forwarded-Host"))
    port = _first(headers.get("X-Forwarded-Port"))
    authority = given or host
    if port is not None and port.isdigit():
        authority = _without_port(authority)
        if port != _DEFAULT_PORTS.get(proto):
            authority = f"{authority}:{port}"
    prefix = _first(headers.get("X-Forwarded-Prefix")) or ""
    if prefix.strip("/"):
        # The server escapes the prefix as one path segment.
        prefix = "/" + quote(prefix.removeprefix("/").removesuffix("/"), safe="")
    else:
        prefix = ""
    return ExternalUri(proto, authority, prefix)


def _first(value: str | None) -> str | None:
    if value is None:
        return None
    return value.split(",", 1)[0].strip() or None


def _forwarded(value: str) -> dict[str, str]:
    """The pairs of the first element of an RFC 7239 header; malformed parts are skipped."""
    result: dict[str, str] = {}
    position = 0
    while position < len(value):
        match = _PAIR.match(value, position)
        if match is None:
            break
        text = match[2] if match[2] is not None else match[3]
        result.setdefault(match[1].lower(), re.sub(r"\\(.)", r"\1", text))
        position = match.end()
        if value[position : position + 1] != ";":
            break
        position += 1
    return result


def _without_port(authority: str) -> str:
    if authority.startswith("["):
        return authority.partition("]")[0] + "]"
    return authority.partition(":")[0]
