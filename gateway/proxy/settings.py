"""What a user may set of the data path; one definition each. Times in seconds, sizes in bytes."""

from __future__ import annotations

from dataclasses import dataclass, field

from gateway.http1.limits import Limits


@dataclass(frozen=True, slots=True)
class ProxySettings:
    """Time-outs are checked by a sweep about once a second, and are that exact."""

    limits: Limits = field(default_factory=Limits)
    # Networks whose X-Forwarded-* are believed; anyone else's are overwritten.
    trusted_proxies: tuple[str, ...] = ()

    # The client's side.
    head_timeout: float = 10.0  # from the first byte of a head to its last
    body_timeout: float = 60.0  # without a byte of the request body
    # Longer than the pools of common clients (OkHttp: 300), so that the client closes first: a connection that we
    # close while a statement is under way to us is a failed query.
    idle_timeout: float = 360.0
    stall_timeout: float = 120.0  # without the client taking a byte of its response
    linger_timeout: float = 2.0  # for a client to read its refusal while it is still sending
    pipeline_bytes: int = 64 * 1024  # kept of requests that follow the one in progress

    # The coordinator's side.
    connect_timeout: float = 5.0
    response_timeout: float = 120.0  # from the request's last byte to the response head
    upstream_body_timeout: float = 120.0  # without a byte of the response body
    park_timeout: float = 30.0  # for a connection to come free, or an owner to be found
    # Below the server's own idle time-out (Jetty: 30), so that we close first.
    upstream_idle_timeout: float = 20.0
    upstream_connections: int = 4096  # per coordinator
    upstream_waiting: int = 16384  # requests that wait for one of them, per coordinator

    # Serve plain TCP through the compiled transports, where they are built.
    express: bool = True

    # How many other coordinators a request may try when connecting fails: nothing was sent, so nothing can run twice.
    connect_retries: int = 2
