"""Addresses of other systems: what is wrong with one, said so that it can be mended.

Trino refuses to start with most malformed addresses, and one catalog that does so takes every query of its runtime
down. What is refused here was tried on a real server. Each function returns what the text must be, or None when it is
fine; it never repeats the text, which may hold a password. Pure, and no look-up of names.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

_NAME = r"[A-Za-z0-9](?:[-A-Za-z0-9.]*[A-Za-z0-9.])?|\[[0-9A-Fa-f:.]{2,45}\]"
_PORT = r":([0-9]{1,5})"
_HOST = re.compile(rf"(?:{_NAME})\Z")
_HOST_PORT = re.compile(rf"(?:{_NAME})(?:{_PORT})?\Z")
_METASTORE = re.compile(rf"thrift://(?:{_NAME}){_PORT}/?\Z")
_HTTP = re.compile(rf"https?://(?:[^/@\s]+@)?(?:{_NAME})(?:{_PORT})?(?:[/?#][^\s\"<>\\^`{{|}}]*)?\Z")


def _items(text: str) -> list[str]:
    """The entries of a comma-separated list, as Trino reads it: blanks around them, and empty ones, do not count."""
    return [item.strip() for item in text.split(",") if item.strip()]


def _fits(pattern: re.Pattern[str], text: str) -> bool:
    match = pattern.match(text)
    return match is not None and all(port is None or 0 < int(port) < 65_536 for port in match.groups())


def _all_fit(pattern: re.Pattern[str], items: Iterable[str]) -> bool:
    found = list(items)
    return bool(found) and all(_fits(pattern, item) for item in found)


def http_url(text: str) -> str | None:
    """One URL such as http://host:9090/path."""
    return None if _fits(_HTTP, text) else "must be a URL with a host, such as http://host:9090"


def metastores(text: str) -> str | None:
    """One or more Hive metastores."""
    if _all_fit(_METASTORE, _items(text)):
        return None
    return "must be thrift://host:port, such as thrift://metastore:9083; several are separated by commas"


def host(text: str) -> str | None:
    """One host, nothing else."""
    return (
        None
        if _fits(_HOST, text.strip())
        else "must be a host alone, such as db.example.com; the port has its own field"
    )


def hosts(text: str) -> str | None:
    """Several hosts."""
    if _all_fit(_HOST, _items(text)):
        return None
    return "must be hosts alone, separated by commas, such as a,b; the port has its own field"


def hosts_with_ports(text: str) -> str | None:
    """Several hosts, each with or without a port."""
    return (
        None
        if _all_fit(_HOST_PORT, _items(text))
        else "must be host:port, several separated by commas, such as a:9092,b:9092"
    )


def controllers(text: str) -> str | None:
    """Pinot's controllers: host:port or URLs."""
    items = _items(text)
    if items and all(_fits(_HOST_PORT, item) or _fits(_HTTP, item) for item in items):
        return None
    return "must be host:port or http://host:port, several separated by commas"


def mongodb(text: str) -> str | None:
    """A MongoDB connection string. User and password in it are another rule's business."""
    scheme, _, rest = text.partition("://")
    authority = re.split(r"[/?]", rest, maxsplit=1)[0].rpartition("@")[2]
    members = authority.split(",")
    if scheme == "mongodb" and _all_fit(_HOST_PORT, members):
        return None
    if scheme == "mongodb+srv" and len(members) == 1 and _fits(_HOST, members[0]):
        return None
    return "must be mongodb://host:27017/ or mongodb+srv://host/ (which has no port)"


def druid(text: str) -> str | None:
    """A broker's URL or a JDBC URL of its driver."""
    if text.startswith("jdbc:avatica:") or _fits(_HTTP, text):
        return None
    return "must be the broker's URL, such as http://broker:8082, or a jdbc:avatica: URL"


#: Field of spec.connector -> how a URL of its driver begins.
JDBC: dict[str, tuple[str, ...]] = {
    "clickHouse": ("jdbc:clickhouse:", "jdbc:ch:"),
    "exasol": ("jdbc:exa:",),
    "ignite": ("jdbc:ignite:thin://",),
    "mariaDB": ("jdbc:mariadb:",),
    "mysql": ("jdbc:mysql:",),
    "oracle": ("jdbc:oracle:",),
    "postgres": ("jdbc:postgresql:",),
    "redshift": ("jdbc:redshift:",),
    "singleStore": ("jdbc:singlestore:",),
    "sqlServer": ("jdbc:sqlserver:",),
    "vertica": ("jdbc:vertica:",),
}


def jdbc(field: str, url: str) -> str | None:
    """The URL of a JDBC connector."""
    prefixes = JDBC[field]
    if not url.startswith(prefixes):
        return f"must begin with {' or '.join(prefixes)}"
    path = url.partition("//")[2].partition("?")[0].partition("/")[2]
    if field in {"mysql", "mariaDB"} and path:
        return "must not name a database after the host: Trino shows every database as a schema"
    return None
