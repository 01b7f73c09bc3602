"""Locust asks here how many users there are to be. Loaded by Locust beside the locustfile; see `load`.

What the steps showed is written to the settings' `file` as JSON when the last one has ended.
"""

from __future__ import annotations

import json
import os
import time
from dataclasses import asdict
from pathlib import Path

from locust import LoadTestShape

from bench.gateway.processes import cpu_ns, waited_ns
from bench.gateway.steps import VARIABLE, Counted, Settings, Step, between, decide, limit

_SETTLE_SECONDS = 1.0
_USERS_PER_SECOND = 90.0  # Locust itself warns above a hundred


class Steps(LoadTestShape):
    """Locust asks `tick` every second for the number of users."""

    use_common_options = True

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.settings = Settings(**json.loads(os.environ[VARIABLE]))
        self._users = self.settings.start
        self._since: float | None = None
        self._before: Counted | None = None
        self._steps: list[Step] = []

    def count(self) -> Counted:
        assert self.runner is not None
        stats = self.runner.stats
        gateway = sum(cpu_ns(pid) for pid in self.settings.pids) / 1e9
        times = {str(key[0]): dict(entry.response_times) for key, entry in stats.entries.items()}
        total = stats.total
        waited = waited_ns(os.getpid()) / 1e9
        return Counted(
            time.monotonic(), total.num_requests, total.num_failures, times, time.process_time(), waited, gateway
        )

    def tick(self) -> tuple[int, float] | None:
        now = time.monotonic()
        if self._since is None:
            assert self.runner is not None
            if self.runner.user_count >= self._users:
                self._since = now
        elif self._before is None:
            if now - self._since >= _SETTLE_SECONDS:
                self._before = self.count()
        elif now - self._before.at >= self.settings.seconds:
            step = between(self._users, self._before, self.count())
            self._steps.append(step)
            print(
                f"{step.users:6d} users {step.rps:7.0f} requests/s, p50 {step.latency_ms['all'].get('p50', 0):.0f} "
                f"p99 {step.latency_ms['all'].get('p99', 0):.0f} ms, {step.failures} failed; Locust "
                f"{step.locust_cores:.0%} of a core, gateway {step.gateway_cores:.0%}",
                flush=True,
            )
            following = decide(self._steps, self.settings)
            if following is None:
                self._write()
                return None
            self._users, self._since, self._before = following, None, None
        return self._users, _USERS_PER_SECOND

    def _write(self) -> None:
        steps = [asdict(step) for step in self._steps]
        found = {"limit": limit(self._steps, self.settings), "steps": steps}
        Path(self.settings.file).write_text(json.dumps(found))
