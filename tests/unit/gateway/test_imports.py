"""What a worker does without: there is one per core, and each library costs its megabytes in every one."""

from __future__ import annotations

import subprocess
import sys


def test_a_worker_starts_without_the_heavy() -> None:
    script = (
        "import sys, gateway.__main__, crds.client.informer, crds.client.credentials\n"
        "print(*{'kr8s', 'httpx', 'pydantic', 'cryptography', 'opentelemetry'} & sys.modules.keys())"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.split() == []
