"""Faults on purpose: what a slow, dying, lying or overloaded server does to its clients.

Given by flags at start or, when the server was started with --admin, set while it runs. Each rule
matches requests by path prefix and method and applies with a probability or a fixed number of times.
The deciding part is pure; `apply` does what was decided, down at the socket where a fault needs it.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web

KINDS = {
    "delay": "answer later, by `seconds`",
    "status": "answer with the HTTP status `value` and nothing else",
    "reset": "reset the connection instead of answering",
    "reset-in-head": "send half of the response's head, then reset",
    "reset-in-body": "send the head and half of the body, then reset",
    "stall": "send the head and half of the body, then nothing for `seconds`",
    "hang": "never answer",
    "short-length": "announce a body shorter than the one sent",
    "long-length": "announce a body longer than the one sent and close",
    "garbage": "answer with bytes that are not HTTP",
    "empty": "answer 200 with an empty body",
}
_FOREVER = 3600.0
# What is returned once the connection is closed: the HTTP layer finds nobody to send it to.
_GONE = web.Response
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class InvalidFault(ValueError):
    """The rule cannot be used; the message says why."""


@dataclass(slots=True)
class Fault:
    """One rule. `count` None: no limit."""

    kind: str
    path: str = "/v1/statement"
    method: str | None = None
    probability: float = 1.0
    count: int | None = None
    seconds: float = 1.0
    value: int = 503

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise InvalidFault(f"unknown fault '{self.kind}'; known: {', '.join(KINDS)}")
        if not 0 <= self.probability <= 1:
            raise InvalidFault(f"probability {self.probability} is not between 0 and 1")

    def document(self) -> dict[str, Any]:
        return {
            "kind": self.kind,
            "path": self.path,
            "method": self.method,
            "probability": self.probability,
            "count": self.count,
            "seconds": self.seconds,
            "value": self.value,
        }


def fault_from_document(document: Any) -> Fault:
    """A rule from the admin path's JSON."""
    if not isinstance(document, dict):
        raise InvalidFault("a fault is an object")
    known = {
        "kind": str,
        "path": str,
        "method": str,
        "probability": float,
        "count": int,
        "seconds": float,
        "value": int,
    }
    unknown = document.keys() - known.keys()
    if unknown or "kind" not in document:
        raise InvalidFault(f"unknown or missing keys: {', '.join(sorted(unknown)) or 'kind'}")
    values: dict[str, Any] = {}
    for key, kind in known.items():
        value = document.get(key)
        if value is None:
            continue
        try:
            values[key] = kind(value)
        except (TypeError, ValueError) as error:
            raise InvalidFault(f"{key}: {value!r} is not of type {kind.__name__}") from error
    return Fault(**values)


def parse_fault(text: str) -> Fault:
    """A flag's value: `kind[,key=value...]`, for instance `status,value=503,probability=0.1`."""
    kind, *pairs = text.split(",")
    document: dict[str, Any] = {"kind": kind}
    for pair in pairs:
        key, separator, value = pair.partition("=")
        if not separator:
            raise InvalidFault(f"'{pair}' is not key=value")
        document[key] = value
    return fault_from_document(document)


@dataclass(slots=True)
class Faults:
    """The rules in force, tried in order; the first that matches wins."""

    rules: list[Fault] = field(default_factory=list)
    random: random.Random = field(default_factory=random.Random)

    def choose(self, method: str, path: str) -> Fault | None:
        for rule in self.rules:
            if not path.startswith(rule.path) or rule.method not in (None, method) or rule.count == 0:
                continue
            if rule.probability < 1 and self.random.random() >= rule.probability:
                continue
            if rule.count is not None:
                rule.count -= 1
            return rule
        return None


async def apply(fault: Fault, request: web.Request, handler: Handler) -> web.StreamResponse:
    """The faulty answer. Only kinds that answer at all let the real handler run."""
    if fault.kind == "delay":
        await asyncio.sleep(fault.seconds)
        return await handler(request)
    if fault.kind == "status":
        return web.Response(status=fault.value)
    if fault.kind == "empty":
        return web.Response(status=200)
    if fault.kind == "hang":
        await asyncio.sleep(_FOREVER)
        return web.Response(status=504)
    if fault.kind == "reset":
        _reset(request)
        return _GONE()
    if fault.kind == "garbage":
        await _write_raw(request, b"\x00\x01\x02 this is not HTTP \xff\xfe\r\n\r\n")
        return _GONE()
    response = await handler(request)
    head, body = _rendered(response, fault)
    if fault.kind == "reset-in-head":
        await _write_raw(request, head[: len(head) // 2], close=False)
    elif fault.kind in ("reset-in-body", "stall"):
        await _write_raw(request, head + body[: len(body) // 2], close=False)
        if fault.kind == "stall":
            await asyncio.sleep(fault.seconds)
    else:
        await _write_raw(request, head + body)
        return _GONE()
    _reset(request)
    return _GONE()


def _rendered(response: web.StreamResponse, fault: Fault) -> tuple[bytes, bytes]:
    body = b""
    if isinstance(response, web.Response) and isinstance(response.body, bytes | bytearray):
        body = bytes(response.body)
    length = len(body)
    if fault.kind == "short-length":
        length //= 2
    elif fault.kind == "long-length":
        length = length * 2 + 1
    lines = [f"HTTP/1.1 {response.status} {response.reason or ''}".rstrip()]
    skipped = ("content-length", "content-encoding", "transfer-encoding")
    lines += [f"{name}: {value}" for name, value in response.headers.items() if name.lower() not in skipped]
    lines.append(f"Content-Length: {length}")
    return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1"), body


async def _write_raw(request: web.Request, data: bytes, *, close: bool = True) -> None:
    """Past the HTTP layer, and out of the process before anything else happens."""
    transport = request.transport
    if transport is None:
        return
    transport.write(data)
    while transport.get_write_buffer_size() > 0 and not transport.is_closing():
        await asyncio.sleep(0.001)
    if close:
        transport.close()


def _reset(request: web.Request) -> None:
    if request.transport is not None:
        request.transport.abort()
