"""What the data path counts: plain integers that the metrics endpoint reads whenever it is asked.

Written from the event loop only. Cheap enough to be always on; nothing is aggregated or formatted here.
"""

from __future__ import annotations

from typing import Final

# Latency buckets double from 64 us: bucket i holds what took less than 64 us * 2**i, the last one all the rest.
BUCKETS: Final = 22
BUCKET_BOUNDS: Final[tuple[float, ...]] = tuple(64e-6 * 2**i for i in range(BUCKETS - 1))


BUCKET_SCALE: Final = 15625.0  # units of 64 us in a second


class BackendCounters:
    """Of one runtime (`namespace/name`), over all its addresses."""

    __slots__ = ("connect_failures", "connects", "first_byte", "first_byte_sum", "outcomes")

    def __init__(self) -> None:
        self.connects = 0
        self.connect_failures = 0
        self.outcomes = [0] * 8  # by Outcome
        self.first_byte = [0] * BUCKETS  # request forwarded to response head
        self.first_byte_sum = 0.0


class Counters:
    """Of one worker process."""

    __slots__ = (
        "backends",
        "bytes_in",
        "bytes_out",
        "client_aborts",
        "connections",
        "latency",
        "latency_sum",
        "open_connections",
        "parked",
        "problems",
        "refusals",
        "requests",
        "responses",
        "retries",
        "rewrites",
        "timeouts",
        "upstream_bytes_in",
        "upstream_bytes_out",
        "upstream_open",
    )

    def __init__(self) -> None:
        self.connections = 0
        self.open_connections = 0
        self.requests = 0
        self.responses = [0] * 10  # by first digit of the status, ours and relayed
        self.bytes_in = 0  # from clients
        self.bytes_out = 0  # to clients
        self.upstream_bytes_in = 0
        self.upstream_bytes_out = 0
        self.upstream_open = 0
        self.latency = [0] * BUCKETS  # forwarded requests: head read to response complete
        self.latency_sum = 0.0
        self.parked = 0  # requests that had to wait for a connection or an owner
        self.retries = 0
        self.rewrites = 0  # responses with a URI edited
        self.client_aborts = 0
        self.problems: dict[str, int] = {}  # by Problem.kind
        self.refusals: dict[str, int] = {}  # by RefusalKind or failure
        self.timeouts: dict[str, int] = {}  # by what was waited for
        self.backends: dict[str, BackendCounters] = {}

    def backend(self, key: str) -> BackendCounters:
        """The counters of `namespace/name`."""
        found = self.backends.get(key)
        if found is None:
            found = self.backends[key] = BackendCounters()
        return found


def count(into: dict[str, int], key: str) -> None:
    """One more of `key`."""
    into[key] = into.get(key, 0) + 1
