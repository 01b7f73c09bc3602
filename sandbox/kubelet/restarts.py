"""Whether a container runs again after it ended, and how long it waits before that.

Called when a container's process has ended; pure. The first restart is immediate, the following ones wait
twice as long each, up to a limit, until the container once ran long enough to be trusted again.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sandbox.kubelet.objects import spec


@dataclass(frozen=True)
class Backoff:
    """`delay` is what the next restart has to wait, in seconds; 0 before the first."""

    initial: float
    limit: float
    reset_after: float
    delay: float = 0.0

    def after_run(self, ran_for: float) -> Backoff:
        """The back-off once a run of `ran_for` seconds is over: `delay` of the result is for the restart after
        the one that waits `self.delay`."""
        if ran_for >= self.reset_after:
            return Backoff(self.initial, self.limit, self.reset_after, self.initial)
        following = min(self.limit, self.delay * 2 if self.delay else self.initial)
        return Backoff(self.initial, self.limit, self.reset_after, following)

    def now(self, ran_for: float) -> float:
        """How long the restart after this run waits."""
        return 0.0 if ran_for >= self.reset_after else self.delay


def is_sidecar(container: Mapping[str, Any]) -> bool:
    """An init container that keeps running beside the others."""
    return container.get("restartPolicy") == "Always"


def restarts(pod: Mapping[str, Any], container: Mapping[str, Any], is_init: bool, exit_code: int) -> bool:
    """Whether the container runs again after ending with this exit code."""
    policy = spec(pod).get("restartPolicy") or "Always"
    if is_init:
        return is_sidecar(container) or (exit_code != 0 and policy != "Never")
    return policy == "Always" or (policy == "OnFailure" and exit_code != 0)
