"""The JDBC driver and the Trino CLI through the gateway. Skipped, with the reason, where Java or the jars are missing.

One Java program runs all JDBC cases, and one CLI all its statements: starting a Java machine is the slow part.
"""

from __future__ import annotations

import asyncio
import shutil
from pathlib import Path

import pytest

from tests.support.gateway_clients import PASSWORD, REAL, USER, Front, front, jar, run

JDBC = jar("trino-jdbc-*.jar")
CLI = jar("trino-cli-*.jar")
NO_COMPILER = None if shutil.which("javac") else "no javac on PATH"
needs_jdbc = pytest.mark.skipif(isinstance(JDBC, str) or bool(NO_COMPILER), reason=str(NO_COMPILER or JDBC))
needs_cli = pytest.mark.skipif(isinstance(CLI, str), reason=str(CLI))
standins_only = pytest.mark.skipif(REAL is not None, reason="needs what only the stand-in has")
# Small and quick to start rather than fast for long.
JAVA = ("java", "-Xmx512m", "-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC")


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The compiled program's folder."""
    import subprocess

    folder = tmp_path_factory.mktemp("jdbc")
    source = Path(__file__).with_name("Jdbc.java")
    subprocess.run(["javac", "-cp", str(JDBC), "-d", str(folder), str(source)], check=True, timeout=120)
    return folder


async def jdbc(program: Path, gateway: Front, *options: str, host: str = "127.0.0.1") -> dict[str, str]:
    """What came of each case, by name."""
    url = f"jdbc:trino://{host}:{gateway.port}/tpch/tiny"
    code, out, errors = await run(*JAVA, "-cp", f"{program}:{JDBC}", "Jdbc", url, *options)
    assert code == 0, errors
    return dict(line.split(": ", 1) for line in out.splitlines())


async def cli(gateway: Front, sql: str, *options: str, host: str = "127.0.0.1") -> tuple[int | None, str, str]:
    return await run(
        *(*JAVA, "-jar", str(CLI), "--server", f"http://{host}:{gateway.port}", "--user", USER),
        *("--catalog", "tpch", "--schema", "tiny", "--execute", sql, *options),
    )


@needs_jdbc
async def test_jdbc_does_all_that_applications_do(program: Path, tmp_path: Path) -> None:
    async with front(tmp_path) as gateway:
        found = await jdbc(program, gateway, f"user={USER}")
        assert found.pop("error").startswith("SQLException 46 Query failed")
        assert found == {
            "query": "CANADA",
            "large": "60175",
            "prepared": "CANADA",
            "header": "7 60000",
            "transaction": "25 5",
            "metadata": "nation",
            "user": USER,
        }
        await gateway.client.until_no_query_is_live()


@needs_jdbc
@standins_only
async def test_jdbc_cancels_a_running_query(program: Path, tmp_path: Path) -> None:
    async with front(tmp_path) as gateway:
        found = await jdbc(program, gateway, f"user={USER}", "only=cancel")
        assert found["cancel"].startswith("SQLException")
        assert gateway.one is not None
        assert gateway.one.context is not None
        assert not gateway.one.context.require_dispatcher().running()


@needs_jdbc
async def test_jdbc_selects_a_runtime_by_header_and_shows_a_refusal(program: Path, tmp_path: Path) -> None:
    async with front(tmp_path) as gateway:
        two, none = await asyncio.gather(
            *(
                jdbc(program, gateway, f"user={USER}", "only=query", f"extraHeaders=X-Trino-XTrinode:team/{name}")
                for name in ("two", "none")
            )
        )
        assert two["query"] == "CANADA"
        assert "No route found for X-Trino-XTrinode: team/none" in none["query"]
        if gateway.one is not None and gateway.two is not None:
            assert gateway.two.context is not None
            assert gateway.one.context is not None
            assert len(gateway.two.context.require_dispatcher().queries) == 1
            assert not gateway.one.context.require_dispatcher().queries


@needs_jdbc
@standins_only
async def test_jdbc_signs_in_over_tls_that_ends_at_the_gateway(program: Path, tmp_path: Path) -> None:
    async with front(tmp_path, passwords=True) as gateway:
        options = (f"user={USER}", "SSL=true", f"SSLTrustStorePath={gateway.authority}")
        right, wrong = await asyncio.gather(
            jdbc(program, gateway, *options, f"password={PASSWORD}", "only=user"),
            jdbc(program, gateway, *options, "password=wrong", "only=user"),
        )
        assert right["user"] == USER
        assert "Authentication failed" in wrong["user"]


@needs_cli
async def test_the_cli_runs_statements_and_shows_errors(tmp_path: Path) -> None:
    async with front(tmp_path) as gateway:
        good, bad = await asyncio.gather(
            cli(gateway, "USE tpch.tiny; SELECT name FROM nation WHERE nationkey = 3; SELECT count(*) FROM lineitem"),
            cli(gateway, "SELECT * FROM nowhere", host="localhost"),
        )
        code, out, errors = good
        assert code == 0, errors
        assert out.split() == ['"CANADA"', '"60175"']
        code, out, errors = bad
        assert code == 1
        assert "nowhere' does not exist" in errors
