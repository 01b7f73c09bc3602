"""Requests on a fixed schedule: `python -m bench.gateway.paced --port N --rate 2000 --seconds 3`. JSON on stdout.

Every request has a time at which it is due, and its latency counts from then, whether or not a connection was free
or this process was awake: a stall is seen by all the requests that it delayed (no coordinated omission). One thread,
plain sockets; `select` wakes within some fifty microseconds of the time, and what that costs is in the direct figure as
well as in the proxied one, so that the difference is the proxy's.
"""

from __future__ import annotations

import argparse
import ctypes
import json
import re
import select
import socket
import time
from collections import deque
from dataclasses import dataclass, field

from bench.gateway.spread import percentile
from bench.gateway.workloads import poll_request

_PR_SET_TIMERSLACK = 29
_GRACE_SECONDS = 5.0
_LENGTH = re.compile(rb"\r\ncontent-length: *([0-9]+)", re.IGNORECASE).search


@dataclass(slots=True)
class Outcome:
    """Latencies in nanoseconds, by order of completion."""

    latencies: list[int] = field(default_factory=list)
    sent: int = 0
    failed: int = 0
    seconds: float = 0.0


@dataclass(slots=True)
class Connection:
    socket: socket.socket
    due: int = 0
    received: bytes = b""


def due_at(start: int, number: int, rate: float) -> int:
    """When request `number` is due, in nanoseconds; computed from the start, so that rounding does not add up."""
    return start + int(number * 1e9 / rate)


def complete(received: bytes) -> bool | None:
    """Whether a whole response is there; None when it is none that this client understands."""
    end = received.find(b"\r\n\r\n")
    if end < 0:
        return False
    length = _LENGTH(received, 0, end + 2)
    if length is None or not received.startswith(b"HTTP/1.1 200"):
        return None
    return len(received) >= end + 4 + int(length[1])


def drive(port: int, rate: float, seconds: float, connections: int, requests: list[bytes]) -> Outcome:
    """Send what is due within `seconds`, then wait for what is outstanding; what stays unsent has failed.

    A `rate` of 0 keeps every connection busy instead, to see how much there is to have.
    """
    outcome = Outcome()
    clock = time.perf_counter_ns
    idle = deque(Connection(_connect(port)) for _ in range(connections))
    busy: dict[int, Connection] = {}
    start = clock() + 10_000_000
    end = start + int(seconds * 1e9)
    total = int(rate * seconds) if rate else 10**12
    due = start
    try:
        while True:
            now = clock()
            while idle and due <= now and outcome.sent < total and (rate or now < end):
                connection = idle.pop()
                connection.due = due
                connection.received = b""
                connection.socket.sendall(requests[outcome.sent % len(requests)])
                busy[connection.socket.fileno()] = connection
                outcome.sent += 1
                due = due_at(start, outcome.sent, rate) if rate else due
            finished = outcome.sent == total if rate else now >= end
            if (finished and not busy) or now > end + _GRACE_SECONDS * 1e9:
                outcome.failed += len(busy) + (total - outcome.sent if rate else 0)
                outcome.seconds = (now - start) / 1e9
                return outcome
            wait = max(0.0, (due - clock()) / 1e9) if idle and not finished else 0.1
            for number in select.select(list(busy), [], [], wait)[0]:
                connection = busy[number]
                part = connection.socket.recv(65536)
                connection.received += part
                whole = complete(connection.received) if part else None
                if whole is None:
                    outcome.failed += 1
                    del busy[number]
                    connection.socket.close()
                    idle.appendleft(Connection(_connect(port)))
                elif whole:
                    outcome.latencies.append(clock() - connection.due)
                    del busy[number]
                    idle.append(connection)
    finally:
        for connection in [*idle, *busy.values()]:
            connection.socket.close()


def _connect(port: int) -> socket.socket:
    connection = socket.create_connection(("127.0.0.1", port))
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return connection


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.gateway.paced", description=__doc__)
    parser.add_argument("--port", type=int, required=True, help="where to send, on 127.0.0.1")
    parser.add_argument("--rate", type=float, required=True, help="requests a second; 0 keeps every connection busy")
    parser.add_argument("--seconds", type=float, default=3.0, help="for how long (default 3)")
    parser.add_argument("--connections", type=int, default=32, help="at most so many in flight (default 32)")
    options = parser.parse_args()
    # A sleep may otherwise be rounded up by fifty microseconds.
    ctypes.CDLL(None).prctl(_PR_SET_TIMERSLACK, 1, 0, 0, 0)
    requests = [poll_request(number) for number in range(1, 101)]
    outcome = drive(options.port, options.rate, options.seconds, options.connections, requests)
    ordered = sorted(outcome.latencies)
    if not ordered:
        raise SystemExit(f"nothing was answered on port {options.port}")
    print(
        json.dumps(
            {
                "rate": len(ordered) / outcome.seconds,
                "sent": outcome.sent,
                "failed": outcome.failed,
                "p50_ms": percentile(ordered, 0.5) / 1e6,
                "p99_ms": percentile(ordered, 0.99) / 1e6,
                "max_ms": ordered[-1] / 1e6,
            }
        )
    )


if __name__ == "__main__":
    main()
