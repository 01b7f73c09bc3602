"""Figures from outside: the audit log of the API server, and the accounting of the kernel."""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

_WRITES = ("create", "update", "patch", "delete")


def _requests(audit: Path, offset: int) -> Iterator[tuple[str, str]]:
    """(verb, resource) of every request that was answered since `offset`."""
    seen: set[str] = set()
    with audit.open("rb") as log:
        log.seek(offset)
        for line in log:
            if not line.endswith(b"\n"):
                return
            event = json.loads(line)
            if "objectRef" in event and event["auditID"] not in seen:
                seen.add(event["auditID"])
                about = event["objectRef"]
                resource = about["resource"] + (f"/{about['subresource']}" if about.get("subresource") else "")
                if resource != "leases":
                    yield event["verb"], resource


def calls_by_verb(audit: Path, offset: int) -> dict[str, int]:
    counted = Counter(f"{verb} {resource}" for verb, resource in _requests(audit, offset))
    return dict(sorted(counted.items(), key=lambda item: -item[1]))


def writes(audit: Path, offset: int) -> dict[str, int]:
    return dict(Counter(f"{verb} {resource}" for verb, resource in _requests(audit, offset) if verb in _WRITES))


def cpu_seconds(pid: int) -> float:
    """User and system time of a process so far."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def rss_mib(pid: int) -> tuple[float, float]:
    """Resident memory of a process: the highest so far, and now."""
    status = Path(f"/proc/{pid}/status").read_text()
    fields = dict(line.split(":", 1) for line in status.splitlines() if ":" in line)
    return int(fields["VmHWM"].split()[0]) / 1024, int(fields["VmRSS"].split()[0]) / 1024
