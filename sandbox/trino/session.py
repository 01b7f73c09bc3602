"""Who asks, and with what settings: the X-Trino-* request headers as one value.

Built by the statement resource from a request that has passed authentication; read by the engine.
The headers come once, with the POST; later polls carry none of this.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from urllib.parse import unquote_plus
from zoneinfo import ZoneInfo

from sandbox.trino.time_zones import time_zone

NO_TRANSACTION = "NONE"
# As lenient as the server, which takes fewer digits, too.
_UUID = re.compile(r"[0-9a-fA-F]+(-[0-9a-fA-F]+){4}")


class InvalidSessionHeader(ValueError):
    """A header that the server answers with 400; the message says which."""


@dataclass(frozen=True, slots=True)
class Session:
    user: str
    source: str | None = None
    catalog: str | None = None
    schema: str | None = None
    time_zone: str = "UTC"
    properties: Mapping[str, str] = field(default_factory=dict)
    prepared: Mapping[str, str] = field(default_factory=dict)
    transaction_id: str | None = None
    knows_transactions: bool = False
    client_capabilities: frozenset[str] = frozenset()
    client_tags: tuple[str, ...] = ()
    trace_token: str | None = None

    @property
    def parametric_datetime(self) -> bool:
        return "PARAMETRIC_DATETIME" in self.client_capabilities

    @property
    def zone(self) -> ZoneInfo:
        return time_zone(self.time_zone)


@dataclass(slots=True)
class SessionChanges:
    """What a statement tells the client to change; each becomes a response header."""

    catalog: str | None = None
    schema: str | None = None
    path: str | None = None
    set_properties: dict[str, str] = field(default_factory=dict)
    reset_properties: list[str] = field(default_factory=list)
    added_prepared: dict[str, str] = field(default_factory=dict)
    deallocated_prepared: list[str] = field(default_factory=list)
    started_transaction: str | None = None
    clear_transaction: bool = False


def session_from_headers(headers: Any, user: str) -> Session:
    """`headers` is a case-insensitive multi-mapping with getall; raises InvalidSessionHeader."""

    def text(name: str) -> str | None:
        value = headers.get(name)
        return value.strip() or None if value is not None else None

    catalog, schema = text("X-Trino-Catalog"), text("X-Trino-Schema")
    if schema is not None and catalog is None:
        raise InvalidSessionHeader("Schema is set but catalog is not")
    transaction = text("X-Trino-Transaction-Id")
    open_transaction = None if transaction is None or transaction.upper() == NO_TRANSACTION else transaction
    if open_transaction is not None and _UUID.fullmatch(open_transaction) is None:
        raise InvalidSessionHeader(f"Invalid UUID string: {open_transaction}")
    return Session(
        user=user,
        source=text("X-Trino-Source"),
        catalog=catalog.lower() if catalog else None,
        schema=schema.lower() if schema else None,
        time_zone=text("X-Trino-Time-Zone") or "UTC",
        properties=_pairs(headers.getall("X-Trino-Session", ()), "X-Trino-Session"),
        prepared={
            unquote_plus(key): value
            for key, value in _pairs(
                headers.getall("X-Trino-Prepared-Statement", ()), "X-Trino-Prepared-Statement"
            ).items()
        },
        transaction_id=open_transaction,
        knows_transactions=transaction is not None,
        client_capabilities=frozenset(_list(headers.getall("X-Trino-Client-Capabilities", ()))),
        client_tags=tuple(_list(headers.getall("X-Trino-Client-Tags", ()))),
        trace_token=text("X-Trino-Trace-Token"),
    )


def _list(values: Iterable[str]) -> list[str]:
    return [part.strip() for value in values for part in value.split(",") if part.strip()]


def _pairs(values: Iterable[str], header: str) -> dict[str, str]:
    result = {}
    for item in _list(values):
        key, separator, value = item.partition("=")
        if not separator or not key.strip():
            raise InvalidSessionHeader(f"Invalid {header} header")
        result[key.strip()] = unquote_plus(value.strip())
    return result


def iso_utc(moment: datetime) -> str:
    """2026-01-31T10:20:30.123Z"""
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
