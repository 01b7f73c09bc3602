"""Every time, size and address that the kubelet uses, stated once.

The wiring fills it from flags and their environment twins; tests make their own. Durations are seconds, sizes
are bytes. `speedup` divides the delays and periods of probes, never the time a container is given to stop.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

GIB = 1024**3


@dataclass(frozen=True)
class Settings:
    """`trino_home` None means that the stand-in runs in place of Trino."""

    data_dir: Path
    node_name: str = "sandbox"
    trino_home: Path | None = None
    java_home: Path | None = None  # for the real server; None leaves it to its launcher
    trino_cache: Path | None = None  # generated data of stand-ins; None keeps it in the data directory
    pod_network: str = "127.64.0.0/10"
    service_network: str = "127.32.0.0/16"

    allocatable_cpu: int = 256_000  # millicores; generous, so that every size preset schedules
    allocatable_memory: int = 1024 * GIB
    allocatable_pods: int = 250

    speedup: float = 1.0
    # Probe at once and often until the first success. An attempt ahead of its schedule can succeed but not fail.
    eager_probes: bool = True
    eager_interval: float = 0.05  # between the first attempts; grows to a second

    crash_backoff: float = 10.0  # before the second restart; doubles
    crash_backoff_limit: float = 300.0
    crash_backoff_reset: float = 600.0  # a container that ran so long starts afresh
    image_backoff: float = 10.0
    image_backoff_limit: float = 300.0

    log_bytes: int = 10 * 1024 * 1024  # per container file; one older file of that size is kept
    log_line_limit: int = 16 * 1024  # longer lines are split

    shutdown_timeout: float = 3.0  # for all processes together, when the kubelet itself stops
    least_stop_time: float = 2.0  # left to a container whose preStop hook used up its grace period
    relist_backoff: float = 0.2  # the first wait after the API server did not answer
    relist_backoff_limit: float = 3.0

    placeholder_images: tuple[str, ...] = field(default_factory=tuple)  # more images to stand in for, as patterns
