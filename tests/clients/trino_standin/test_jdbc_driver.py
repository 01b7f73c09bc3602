"""The official JDBC driver against the stand-in, where Java and the driver's jar are.

The jar is looked for in $XTRINODE_TRINO_JDBC_JAR and in the local Maven repository; nothing is
downloaded. The driver reads every field of the protocol strictly, and lists metadata through tables.
"""

from __future__ import annotations

import asyncio
import os
import shutil
from pathlib import Path

import pytest

from tests.support.trino_standin import standin

PROGRAM = Path(__file__).with_name("JdbcSession.java")


def driver() -> Path | None:
    named = os.environ.get("XTRINODE_TRINO_JDBC_JAR")
    if named:
        return Path(named)
    found = sorted((Path.home() / ".m2" / "repository" / "io" / "trino" / "trino-jdbc").glob("*/trino-jdbc-*.jar"))
    return found[-1] if found else None


async def test_a_jdbc_session_runs_from_end_to_end() -> None:
    jar, java = driver(), shutil.which("java")
    if jar is None or java is None:
        pytest.skip("needs java and the Trino JDBC driver: set XTRINODE_TRINO_JDBC_JAR to its jar")
    async with standin() as server:
        process = await asyncio.create_subprocess_exec(
            java, "-cp", str(jar), str(PROGRAM), f"jdbc:trino://127.0.0.1:{server.port}/tpch/tiny",
            stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
        )  # fmt: skip
        async with asyncio.timeout(100):
            output, errors = await process.communicate()
    assert process.returncode == 0, errors.decode()
    found = dict(line.split("=", 1) for line in output.decode().splitlines())
    assert found == {
        "join": "ALGERIA/AFRICA/varchar(25)",
        "values": "1.50/2020-01-02/[1, 2]/{a=1}/NaN/1 00:00:00.000/1",
        "large": "15000",
        "ctas": "25",
        "insert": "25",
        "drop": "0",
        "prepared": "2",
        "product": "Trino",
        "schemas": "1",
        "tables": "8",
        "columns": "4",
        "types": "true",
        "rolled back": "0",
        "error": "47",
        "timeout": "stopped",
    }
