"""The sandbox with a real Trino in its pods: what the controller renders is what a real server starts from."""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path

import pytest

from sandbox.kubelet.java import java_for

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]


async def test_the_demonstration_holds_with_a_real_server(home: Path, tmp_path: Path) -> None:
    """Apply, Ready, a join by header, host name and default route, suspend, resume: six Java processes."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "sandbox", "demo", "--trino-home", str(home)),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        cwd=tmp_path,
        env={**os.environ, "JAVA_HOME": str(java_for(home, os.environ)), "PYTHONPATH": str(Path.cwd())},
    )
    try:
        async with asyncio.timeout(800):
            said, _ = await process.communicate()
    finally:
        if process.returncode is None:
            process.terminate()
            await process.wait()
    text = said.decode()
    assert process.returncode == 0, text[-8000:]
    assert text.count("AFRICA") == 4
    assert "no process is left" in text
