"""The official JDBC driver against the stand-in, where Java and the driver's jar are (tools/fetch-clients).

The driver reads every field of the protocol strictly, and lists metadata through tables.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.gateway_clients import jar, run
from tests.support.trino_standin import standin

PROGRAM = Path(__file__).with_name("JdbcSession.java")


async def test_a_jdbc_session_runs_from_end_to_end() -> None:
    driver = jar("trino-jdbc-*.jar")
    if isinstance(driver, str):
        pytest.skip(driver)
    async with standin() as server:
        url = f"jdbc:trino://127.0.0.1:{server.port}/tpch/tiny"
        code, output, errors = await run("java", "-cp", str(driver), str(PROGRAM), url, within=100)
    assert code == 0, errors
    found = dict(line.split("=", 1) for line in output.splitlines())
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
