"""The demonstration: from `kubectl apply` to the rows of a join, through suspend and resume, to a clean stop.

It does what a person would, with the tools a person would use: the kubectl plugin as a process and the official
Trino client through the gateway. Every step checks what it shows; the first that does not hold ends it with exit 1.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import sys
import time
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import click
import trino

import crds
from crds.client import KubeClient
from crds.client.resources import XTRINODES
from sandbox.install import apply_all, documents, ensure_namespace
from sandbox.up import Options, Sandbox

EXAMPLES = Path(crds.__file__).parent.parent / "examples"
NAMESPACE = "team-a"
BY_HEADER = "runtime-a"
BY_HOSTNAME = "analytics"
HOSTNAME = "team-a--analytics.trino.example.com"
_READY_SECONDS = 60.0
_REAL_READY_SECONDS = 300.0  # Java machines start one after the other on a small machine
JOIN = """\
SELECT r.name AS region, count(*) AS customers, round(avg(c.acctbal), 2) AS balance
FROM tpch.tiny.customer c
JOIN tpch.tiny.nation n ON c.nationkey = n.nationkey
JOIN tpch.tiny.region r ON n.regionkey = r.regionkey
GROUP BY r.name ORDER BY r.name"""


class DemoFailed(Exception):
    """Something that the demonstration shows did not hold."""


async def run_demo(pause: float, trino_home: Path | None = None) -> int:
    """Run it all; `pause` seconds between the steps. Returns the exit code.

    With a real Trino in `trino_home` every runtime gets one worker: each is a Java process of its own.
    """
    began = time.monotonic()
    step = _Steps(began, pause)
    await step("starting an API server, webhook, kubelet, controller, gateway and lifecycle API")
    options = Options(kube_port=0, gateway_port=0, api_port=0, trino_home=trino_home)
    async with Sandbox(options, click.echo) as sandbox:
        click.echo(sandbox.table())
        demo = _Demo(sandbox, real=trino_home is not None)
        try:
            with_one = "" if trino_home is None else "   (real Trino: with one worker each)"
            await step(f"kubectl apply -f examples/{with_one}")
            await demo.apply(EXAMPLES)
            await step("kubectl xtrinode get -A --watch   (until the runtimes are Ready)")
            await demo.until_ready((BY_HEADER, BY_HOSTNAME))
            await step(f"a join on tpch.tiny, routed by header X-Trino-XTrinode: {NAMESPACE}/{BY_HEADER}")
            await demo.query(headers={"X-Trino-XTrinode": f"{NAMESPACE}/{BY_HEADER}"})
            click.echo(f"   first rows {time.monotonic() - began:.1f} s after the start")
            await step(f"the same, routed by host name {HOSTNAME} (as if /etc/hosts had it)")
            await demo.query(host=HOSTNAME)
            await step("the same, with nothing but the address: the default route")
            await demo.until_ready((await demo.default_runtime(),))
            await demo.query()
            await step(f"kubectl xtrinode suspend {BY_HEADER} -n {NAMESPACE} --wait")
            await demo.plugin("suspend", BY_HEADER, "-n", NAMESPACE, "--wait")
            await demo.expect_phase(BY_HEADER, "Suspended")
            await step(f"kubectl xtrinode resume {BY_HEADER} -n {NAMESPACE} --wait")
            await demo.plugin("resume", BY_HEADER, "-n", NAMESPACE, "--wait")
            await demo.query(headers={"X-Trino-XTrinode": f"{NAMESPACE}/{BY_HEADER}"})
            await step(f"kubectl xtrinode status {BY_HEADER} -n {NAMESPACE}")
            await demo.plugin("status", BY_HEADER, "-n", NAMESPACE)
            await step("stopping everything")
        except (DemoFailed, TimeoutError) as error:
            click.echo(f"the demonstration failed: {error or 'timed out'}", err=True)
            _show_logs(sandbox)
            return 1
    click.echo(f"done in {time.monotonic() - began:.1f} s; no process is left")
    return 0


class _Steps:
    def __init__(self, began: float, pause: float) -> None:
        self._began = began
        self._pause = pause
        self._number = 0

    async def __call__(self, text: str) -> None:
        self._number += 1
        if self._number > 1:
            await asyncio.sleep(self._pause)
        click.echo(f"\n{self._number}. [{time.monotonic() - self._began:4.1f} s] {text}")


class _Demo:
    def __init__(self, sandbox: Sandbox, *, real: bool) -> None:
        self._sandbox = sandbox
        self._real = real
        self._client: KubeClient = sandbox.client

    async def apply(self, directory: Path) -> None:
        """Every manifest of a directory, as `kubectl apply -f` would."""
        objects = [obj for path in sorted(directory.glob("*.yaml")) for obj in documents(path)]
        if self._real:
            objects = [_with_one_worker(obj) for obj in objects]
        for namespace in sorted({str(obj["metadata"].get("namespace", "")) for obj in objects} - {""}):
            await ensure_namespace(self._client, namespace)
        for applied in await apply_all(self._client, objects, manager="kubectl"):
            click.echo(f"   {applied} serverside-applied")

    async def default_runtime(self) -> str:
        """The runtime that asked for the default route."""
        for runtime in (await self._client.list_(XTRINODES, NAMESPACE)).items:
            if (runtime["spec"].get("routing") or {}).get("default"):
                return str(runtime["metadata"]["name"])
        raise DemoFailed("no example asks for the default route")

    async def until_ready(self, names: Sequence[str]) -> None:
        """Show the plugin's watch until all of `names` are Ready."""
        if await self._phases(names) == {"Ready"}:
            return
        within = _REAL_READY_SECONDS if self._real else _READY_SECONDS
        watch = await self._start_plugin("get", "-A", "--watch")
        printer = asyncio.create_task(_print_lines(watch))
        try:
            async with asyncio.timeout(within):
                while await self._phases(names) != {"Ready"}:
                    await asyncio.sleep(0.05)
        except TimeoutError:
            raise DemoFailed(f"{', '.join(names)} not Ready after {within:g} s") from None
        finally:
            await asyncio.sleep(0.1)  # let the last change be shown
            watch.terminate()
            await watch.wait()
            await printer

    async def expect_phase(self, name: str, phase: str) -> None:
        found = await self._phases((name,))
        if found != {phase}:
            raise DemoFailed(f"{name} is {', '.join(found)} and not {phase}")

    async def query(self, headers: dict[str, str] | None = None, host: str = "127.0.0.1") -> None:
        """Run the join through the gateway with the official client and print its rows."""
        try:
            names, rows = await asyncio.to_thread(_run_query, host, self._sandbox.where.gateway_port, headers or {})
        except (trino.exceptions.Error, OSError) as error:
            raise DemoFailed(f"the query failed: {error}") from error
        if len(rows) != 5:
            raise DemoFailed(f"the join has {len(rows)} rows, and there are 5 regions")
        _print_table(names, rows)

    async def plugin(self, *arguments: str) -> None:
        """Run the kubectl plugin and show what it prints."""
        process = await self._start_plugin(*arguments)
        await _print_lines(process)
        if await process.wait() != 0:
            raise DemoFailed(f"kubectl xtrinode {' '.join(arguments)} ended with exit code {process.returncode}")

    async def _start_plugin(self, *arguments: str) -> asyncio.subprocess.Process:
        return await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "kubectl_xtrinode",
            *arguments,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
            env={**os.environ, "KUBECONFIG": str(self._sandbox.where.kubeconfig), "PYTHONUNBUFFERED": "1"},
        )

    async def _phases(self, names: Iterable[str]) -> set[str]:
        wanted = set(names)
        runtimes = (await self._client.list_(XTRINODES, NAMESPACE)).items
        found = {str(one["metadata"]["name"]): str((one.get("status") or {}).get("phase")) for one in runtimes}
        return {found.get(name, "absent") for name in wanted}


def _with_one_worker(obj: dict[str, Any]) -> dict[str, Any]:
    if obj.get("kind") != XTRINODES.kind:
        return obj
    return {**obj, "spec": {**obj["spec"], "minWorkers": 0, "maxWorkers": 1}}


def _run_query(host: str, port: int, headers: dict[str, str]) -> tuple[list[str], list[list[Any]]]:
    with resolving_to_here(host):
        connection = trino.dbapi.connect(  # type: ignore[no-untyped-call]
            host=host, port=port, user="demo", http_headers=headers
        )
        try:
            cursor = connection.cursor()
            cursor.execute(JOIN)
            rows = cursor.fetchall()
            return [str(column.name) for column in cursor.description], rows
        finally:
            connection.close()


@contextlib.contextmanager
def resolving_to_here(host: str) -> Iterator[None]:
    """What a line `127.0.0.1 <host>` in /etc/hosts would do, for this process and this long."""
    look_up = socket.getaddrinfo

    def resolve(name: Any, *arguments: Any, **options: Any) -> Any:
        return look_up("127.0.0.1" if name == host else name, *arguments, **options)

    socket.getaddrinfo = resolve  # type: ignore[assignment]
    try:
        yield
    finally:
        socket.getaddrinfo = look_up


async def _print_lines(process: asyncio.subprocess.Process) -> None:
    if process.stdout is not None:
        async for line in process.stdout:
            click.echo(f"   {line.decode('utf-8', 'replace').rstrip()}")


def _print_table(names: list[str], rows: list[list[Any]]) -> None:
    cells = [names, *[[str(value) for value in row] for row in rows]]
    widths = [max(len(row[column]) for row in cells) for column in range(len(names))]
    for row in cells:
        click.echo("   " + "   ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())


def _show_logs(sandbox: Sandbox) -> None:
    """The end of every part's log: where a failed demonstration is understood."""
    from sandbox.processes import tail

    for name in sandbox.supervisor.running():
        click.echo(f"--- {name}\n{tail(sandbox.supervisor.log_of(name))}", err=True)
