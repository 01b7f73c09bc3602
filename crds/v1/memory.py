"""How a container's memory is divided, so that Trino starts and the kernel does not kill it.

    container limit
      75 %  JVM heap (-Xmx); the rest is metaspace, direct buffers, code cache, threads
              30 %  memory.heap-headroom-per-node: what queries do not account for
              60 %  query.max-memory-per-node: what one query may take here
              10 %  left for rounding: the JVM rounds the heap to its regions

Trino refuses to start when headroom plus query memory exceed the heap; every function here keeps that
true. Sizes are bytes, rounded down to whole megabytes because that is what gets written.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable
from fractions import Fraction

from crds.v1.fields import ResourceRequirements
from crds.v1.quantity import MIB, cpu_millis, memory_bytes
from crds.v1.runtime_shape import Memory, Resources

HEAP_SHARE = Fraction(3, 4)
HEADROOM_SHARE = Fraction(3, 10)
QUERY_SHARE = Fraction(6, 10)
#: Below this Trino does not get through its own start.
LEAST_MEMORY = 256 * MIB


def resolve_resources(requirements: ResourceRequirements) -> Resources:
    """The resources of a role, with the two numbers that everything else is derived from."""
    requests = {key: str(value) for key, value in sorted(requirements.requests.items())}
    limits = {key: str(value) for key, value in sorted(requirements.limits.items())}
    cpu = requests.get("cpu", limits.get("cpu"))
    memory = limits.get("memory", requests.get("memory"))
    return Resources(
        requests,
        limits,
        cpu_millis(cpu) if cpu is not None else 0,
        memory_bytes(memory) if memory is not None else 0,
    )


def divide(container: int, *, heap: int | None = None, headroom: int | None = None, query: int | None = None) -> Memory:
    """Divide a container's bytes. A part that is given is taken as it is; the others make room for it."""
    whole = _whole(container * HEAP_SHARE if heap is None else heap)
    if headroom is None:
        room = whole if query is None else max(whole - query, 0)
        headroom = min(_whole(whole * HEADROOM_SHARE), room)
    if query is None:
        query = min(_whole(whole * QUERY_SHARE), max(whole - headroom, 0))
    return Memory(whole, _whole(headroom), _whole(query))


def _whole(amount: int | Fraction) -> int:
    return math.floor(amount) // MIB * MIB


_XMX = re.compile(r"-Xmx([0-9]{1,18})([kKmMgGtT]?)\Z")
_XMX_UNITS = {"": 0, "k": 1, "m": 2, "g": 3, "t": 4}


def heap_option(options: Iterable[str]) -> int | None:
    """Bytes of the last -Xmx among JVM options; None when there is none that can be read."""
    found = None
    for option in options:
        match = _XMX.match(option.strip())
        if match:
            found = int(match[1]) << (10 * _XMX_UNITS[match[2].lower()])
    return found
