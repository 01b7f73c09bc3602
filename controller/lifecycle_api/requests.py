"""What a lifecycle request asks for, and what it comes to given the runtime's state. Pure.

body -> Command;  Command + runtime -> Step (answer at once, or write these annotations under a Lease)
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

import orjson

from controller.suspension import take_commands
from crds.v1 import meta
from crds.v1.lifecycle import Phase
from crds.v1.meta import format_time, object_key
from crds.v1.names import routing_group
from crds.v1.quantity import parse_duration

Operation = Literal["resume", "suspend"]
# A resume takes seconds to minutes; asking again sooner than this is no help.
RETRY_AFTER = 5
_MAX_WORKERS = 500
_NAME = re.compile(r"[a-z0-9]([-.a-z0-9]*[a-z0-9])?")


class BadRequest(ValueError):
    """A request that cannot be understood; `code` is for programs, the message for people."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


@dataclass(frozen=True, slots=True)
class Command:
    """A resume or suspend of one runtime; the wake overrides go with a resume only."""

    operation: Operation
    wake_min_workers: int | None = None
    wake_ttl: str | None = None


@dataclass(frozen=True, slots=True)
class PoolResume:
    """A resume by routing group, or of the candidate that the caller chose from it."""

    routing_group: str
    candidate: tuple[str, str] | None


@dataclass(frozen=True, slots=True)
class Step:
    """What to do: `annotations` (None: to be removed) are left on the runtime; without them it is as asked, or, when
    `is_pending`, has been asked for and waits for the controller."""

    annotations: Mapping[str, str | None] | None
    phase: str
    is_pending: bool = False


def read_command(operation: Operation, body: bytes) -> Command:
    """The command in the body of `.../resume` and `.../suspend`; an empty body is the plain command."""
    fields = _fields(body, {"wakeMinWorkers", "wakeTTL", "requestId"} if operation == "resume" else {"requestId"})
    workers, ttl = fields.get("wakeMinWorkers"), fields.get("wakeTTL")
    if workers is not None and (type(workers) is not int or not 0 <= workers <= _MAX_WORKERS):
        raise BadRequest("INVALID_REQUEST", f"wakeMinWorkers must be a number from 0 to {_MAX_WORKERS}")
    if ttl is not None:
        try:
            parse_duration(ttl if isinstance(ttl, str) else "")
        except ValueError as error:
            raise BadRequest("INVALID_REQUEST", f"wakeTTL: {error}") from error
    return Command(operation, workers, ttl)


def read_pool_resume(body: bytes) -> PoolResume:
    """The body of `POST /resume`: a routing group, a candidate of it, or both."""
    fields = _fields(body, {"routingGroup", "candidate", "reason", "routeName"})
    group, candidate = fields.get("routingGroup") or "", fields.get("candidate")
    if not isinstance(group, str):
        raise BadRequest("INVALID_REQUEST", "routingGroup must be a text")
    if candidate is None:
        if not group:
            raise BadRequest("INVALID_REQUEST", "give routingGroup, or candidate with namespace and name")
        return PoolResume(group, None)
    if not isinstance(candidate, dict):
        raise BadRequest("INVALID_REQUEST", "candidate must have namespace and name")
    namespace, name = candidate.get("namespace"), candidate.get("name")
    if not isinstance(namespace, str) or not namespace:
        raise BadRequest("INVALID_NAMESPACE", "candidate.namespace must be a text")
    if not isinstance(name, str) or not name:
        raise BadRequest("INVALID_NAME", "candidate.name must be a text")
    return PoolResume(group, read_key(namespace, name))


def read_key(namespace: str, name: str) -> tuple[str, str]:
    """A namespace and a name that objects can have: from here on they are parts of paths."""
    if not _NAME.fullmatch(namespace) or len(namespace) > 63:
        raise BadRequest("INVALID_NAMESPACE", f"{namespace[:80]!r} is no name of a namespace")
    if not _NAME.fullmatch(name) or len(name) > 253:
        raise BadRequest("INVALID_NAME", f"{name[:80]!r} is no name of a runtime")
    return namespace, name


def decide(command: Command, runtime: Mapping[str, Any], now: datetime) -> Step:
    """What `command` needs of `runtime` at `now`: nothing when it is so already, or on its way there. A command that
    the controller has not taken yet counts, and is replaced by the opposite one: no clock decides between them."""
    phase = phase_of(runtime)
    annotations = _annotations(runtime)
    suspended = bool((runtime.get("spec") or {}).get("suspended"))
    pending = take_commands(annotations).suspended
    will_be = suspended if pending is None else pending
    stamp = format_time(now)
    if command.operation == "suspend":
        if will_be:
            return Step(None, phase, is_pending=not suspended)
        taken_back = {key: None for key in (meta.RESUME_REQUESTED, meta.RESUME_REQUESTED_AT) if key in annotations}
        return Step({meta.SUSPEND_REQUESTED: "true", meta.SUSPEND_REQUESTED_AT: stamp, **taken_back}, phase)
    overrides: dict[str, str | None] = {}
    if command.wake_min_workers is not None:
        overrides[meta.WAKE_MIN_WORKERS] = str(command.wake_min_workers)
    if command.wake_ttl is not None:
        overrides[meta.WAKE_TTL] = command.wake_ttl
    if not will_be and not overrides:
        return Step(None, phase, is_pending=suspended)
    taken_back = {key: None for key in (meta.SUSPEND_REQUESTED, meta.SUSPEND_REQUESTED_AT) if key in annotations}
    return Step({meta.RESUME_REQUESTED: "true", meta.RESUME_REQUESTED_AT: stamp, **overrides, **taken_back}, phase)


def choose_candidate(group: str, runtimes: Iterable[Mapping[str, Any]]) -> Mapping[str, Any] | None:
    """The runtime of a group to wake: one that is up or coming already, else the smallest that sleeps.

    None when the group has no runtime, or none that may be woken (resumePolicy Manual). Ties go by name.
    """
    members = [runtime for runtime in runtimes if group_of(runtime) == group]
    up = [runtime for runtime in members if not (runtime.get("spec") or {}).get("suspended")]
    if up:
        return min(up, key=_key)
    sleeping = [one for one in members if (one.get("spec") or {}).get("resumePolicy", "OnDemand") != "Manual"]
    return min(sleeping, key=lambda one: (_capacity(one), _key(one)), default=None)


def group_of(runtime: Mapping[str, Any]) -> str:
    """The routing group that a runtime asked for, by default its own."""
    metadata = runtime.get("metadata") or {}
    routing = (runtime.get("spec") or {}).get("routing") or {}
    return str(routing.get("routingGroup") or routing_group(str(metadata.get("namespace")), str(metadata.get("name"))))


def phase_of(runtime: Mapping[str, Any]) -> str:
    return str((runtime.get("status") or {}).get("phase") or Phase.PENDING.value)


def lease_name(operation: Operation, namespace: str, name: str) -> str:
    """The Lease of an operation on a runtime: a hash, because a joined name of two names is not unique."""
    digest = hashlib.sha256(f"{operation}/{object_key(namespace, name)}".encode()).hexdigest()
    return f"xtrinode-{operation}-{digest[:32]}"


def _annotations(runtime: Mapping[str, Any]) -> dict[str, str]:
    found = (runtime.get("metadata") or {}).get("annotations")
    entries = found.items() if isinstance(found, Mapping) else ()
    return {key: value for key, value in entries if isinstance(value, str)}


def _key(runtime: Mapping[str, Any]) -> str:
    metadata = runtime.get("metadata") or {}
    return object_key(str(metadata.get("namespace")), str(metadata.get("name")))


def _capacity(runtime: Mapping[str, Any]) -> int:
    shape = (runtime.get("status") or {}).get("observedRuntimeShape") or {}
    units = shape.get("capacityUnits")
    return units if type(units) is int and units > 0 else 1


def _fields(body: bytes, known: set[str]) -> dict[str, Any]:
    if not body.strip():
        return {}
    try:
        fields = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise BadRequest("INVALID_REQUEST", f"the body is not JSON: {error}") from error
    if not isinstance(fields, dict):
        raise BadRequest("INVALID_REQUEST", "the body must be a JSON object")
    unknown = sorted(set(fields) - known)
    if unknown:
        raise BadRequest("INVALID_REQUEST", f"unknown field {unknown[0]!r}; known are {', '.join(sorted(known))}")
    return fields
