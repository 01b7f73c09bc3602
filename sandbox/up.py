"""The whole system on one machine: the list of parts, the order in which they start, and the table that says where.

    async with Sandbox(options) as sandbox: ...

The API server first, then what must be in it, then everything that watches it. Parts stop in reverse order, and
nothing is left behind: no process, and without `--data-dir` no file either.
"""

from __future__ import annotations

import asyncio
import fcntl
import os
import shutil
import socket
import sys
import tempfile
from collections.abc import Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any

import aiohttp

from crds.client import ApiError, KubeClient, KubeError
from crds.client.resources import NODES
from sandbox.install import GATEWAY_NAMESPACE, SYSTEM_NAMESPACE, apply_all, install
from sandbox.processes import Part, Ready, Supervisor

Say = Callable[[str], None]


class CannotStart(Exception):
    """The sandbox cannot start; the message says why and what to type."""


@dataclass(frozen=True, slots=True)
class Options:
    """What a person may choose. Port 0 means any free one."""

    data_dir: Path | None = None
    kube_port: int = 6550
    gateway_port: int = 8080
    api_port: int = 8081
    trino_home: Path | None = None
    kubelet_arguments: tuple[str, ...] = ()
    log_level: str = "info"


@dataclass(slots=True)
class Where:
    """Files and addresses of a running sandbox."""

    directory: Path
    kubeconfig: Path
    kube_port: int
    gateway_port: int
    gateway_management_port: int
    api_port: int
    accounts: dict[str, Path] = field(default_factory=dict)

    @property
    def gateway(self) -> str:
        return f"http://127.0.0.1:{self.gateway_port}"


class Sandbox:
    """Runs while it is entered (`async with`). `say` prints one line for the user."""

    def __init__(self, options: Options, say: Say) -> None:
        self._options = options
        self._say = say
        self._stack = AsyncExitStack()
        self.where: Where
        self.client: KubeClient
        self.supervisor: Supervisor

    async def __aenter__(self) -> Sandbox:
        try:
            await self._start()
        except BaseException:
            await self._stack.aclose()
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._stack.aclose()

    async def _start(self) -> None:
        options = self._options
        directory = _claim_directory(options.data_dir, self._stack)
        self.where = Where(
            directory,
            directory / "kubeconfig",
            _port(options.kube_port, "--kube-port"),
            _port(options.gateway_port, "--gateway-port"),
            _port(0, ""),
            _port(options.api_port, "--api-port"),
        )
        self.supervisor = await self._stack.enter_async_context(Supervisor(directory / "logs", self._restarted))
        self._http = await self._stack.enter_async_context(
            aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=2))
        )
        await self.supervisor.start(self._kube())
        self.client = await self._stack.enter_async_context(
            await KubeClient.connect(str(self.where.kubeconfig), user_agent="xtrinode-sandbox")
        )
        self.where.accounts = await install(self.client, directory / "accounts", self.where.kubeconfig)
        await apply_all(self.client, [_gateway_address(self.where.gateway)])
        # The webhook before the controller: what is admitted first is then already judged.
        started = await asyncio.gather(*map(self.supervisor.start, self._others()), return_exceptions=True)
        for result in started:
            if isinstance(result, BaseException):
                raise result

    def _kube(self) -> Part:
        where = self.where
        argv = _module("sandbox.kube", "--data-dir", str(where.directory / "kube"), "--port", str(where.kube_port))
        return Part(
            "kube",
            (*argv, "--kubeconfig", str(where.kubeconfig)),
            ready=self._kube_ready,
            where=f"https://127.0.0.1:{where.kube_port}",
            what="embedded Kubernetes API",
        )

    def _others(self) -> list[Part]:
        where, level = self.where, ("--log-level", self._options.log_level)
        webhook_port, webhook_management, controller_management, api_management = (_port(0, "") for _ in range(4))
        webhook = f"127.0.0.1:{webhook_port}"
        kubelet = ["--data-dir", str(where.directory / "kubelet"), *self._options.kubelet_arguments]
        if self._options.trino_home is not None:
            kubelet += ["--trino-home", str(self._options.trino_home)]
        return [
            Part(
                "webhook",
                _module("webhook", *self._as("webhook"), "--address", webhook, "--url", f"https://{webhook}", *level)
                + ("--management-address", f"127.0.0.1:{webhook_management}"),
                ready=self._readyz(webhook_management),
                where=f"https://{webhook}",
                what="admission: defaults, validation, privileges",
            ),
            Part(
                "kubelet",
                _module("sandbox.kubelet", "--kubeconfig", str(where.kubeconfig), *kubelet),
                ready=self._node_ready,
                where="127.64.0.0/10",
                what="Deployments to Pods to local processes",
                stop_within=20.0,
            ),
            Part(
                "controller",
                _module("controller", *self._as("controller"), "--namespace", SYSTEM_NAMESPACE, *level)
                + ("--gateway-namespace", GATEWAY_NAMESPACE)
                + ("--management-address", f"127.0.0.1:{controller_management}", "--no-leader-elect"),
                ready=self._readyz(controller_management),
                where=f"http://127.0.0.1:{controller_management}/metrics",
                what="reconciles runtimes and catalogs",
            ),
            Part(
                "gateway",
                _module("gateway", *self._as("gateway"), "--address", f"127.0.0.1:{where.gateway_port}", *level)
                + ("--namespace", GATEWAY_NAMESPACE, "--state-dir", str(where.directory / "gateway"))
                + ("--management-address", f"127.0.0.1:{where.gateway_management_port}"),
                ready=self._readyz(where.gateway_management_port),
                where=where.gateway,
                what="the SQL entry point",
            ),
            Part(
                "api",
                _module("controller.lifecycle_api", *self._as("controller/lifecycle_api"), *level)
                + ("--address", f"127.0.0.1:{where.api_port}", "--namespace", SYSTEM_NAMESPACE)
                + ("--management-address", f"127.0.0.1:{api_management}"),
                ready=self._readyz(api_management),
                where=f"http://127.0.0.1:{where.api_port}/api/v1",
                what="lifecycle over HTTP: resume, suspend, status",
            ),
        ]

    def _as(self, component: str) -> tuple[str, str]:
        return ("--kubeconfig", str(self.where.accounts[component]))

    async def _kube_ready(self) -> bool:
        if not self.where.kubeconfig.exists():
            return False
        try:
            async with await KubeClient.connect(str(self.where.kubeconfig)) as client:
                return (await client.raw("/readyz")) is not None
        except KubeError:
            return False

    async def _node_ready(self) -> bool:
        try:
            nodes = (await self.client.list_(NODES)).items
        except ApiError:
            return False
        return any(
            condition.get("type") == "Ready" and condition.get("status") == "True"
            for node in nodes
            for condition in (node.get("status") or {}).get("conditions") or []
        )

    def _readyz(self, port: int) -> Ready:
        async def ready() -> bool:
            try:
                async with self._http.get(f"http://127.0.0.1:{port}/readyz") as reply:
                    return reply.status == 200
            except (aiohttp.ClientError, TimeoutError, OSError):
                return False

        return ready

    def _restarted(self, name: str, code: int) -> None:
        how = f"was ended by signal {-code}" if code < 0 else f"ended with exit code {code}"
        self._say(f"{name} {how}; starting it again (log: {self.supervisor.log_of(name)})")

    def table(self) -> str:
        """What runs where, one line per part."""
        rows = [("PART", "WHAT", "WHERE", "PID")]
        for name, running in self.supervisor.running().items():
            rows.append((name, running.part.what, running.part.where, str(running.pid)))
        widths = [max(len(row[column]) for row in rows) for column in range(3)]
        return "\n".join(
            "   ".join([*(cell.ljust(width) for cell, width in zip(row, widths, strict=False)), row[3]]) for row in rows
        )


def _gateway_address(url: str) -> dict[str, Any]:
    """Where the plugin's `sql` finds the gateway; any user may read kube-public."""
    metadata = {"name": "xtrinode-info", "namespace": "kube-public"}
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": {"gateway": url}}


def _module(name: str, *arguments: str) -> tuple[str, ...]:
    return (sys.executable, "-m", name, *arguments)


def _claim_directory(data_dir: Path | None, stack: AsyncExitStack) -> Path:
    """The directory of this sandbox, locked; without `data_dir` one that goes when the sandbox stops."""
    if data_dir is None:
        temporary = Path(tempfile.mkdtemp(prefix="xtrinode-sandbox-"))
        stack.callback(shutil.rmtree, temporary, ignore_errors=True)
        return temporary
    try:
        data_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
        lock = (data_dir / "lock").open("a+", encoding="ascii")
    except OSError as error:
        raise CannotStart(f"cannot use {data_dir}: {error.strerror}; choose another with --data-dir") from error
    stack.callback(lock.close)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        lock.seek(0)
        holder = lock.read().strip() or "?"
        raise CannotStart(
            f"a sandbox (pid {holder}) already runs on {data_dir}; stop it with Ctrl-C or choose another --data-dir"
        ) from None
    lock.truncate(0)
    lock.write(str(os.getpid()))
    lock.flush()
    return data_dir.resolve()


def _port(wanted: int, flag: str) -> int:
    """`wanted` if it is free (0: any free port)."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", wanted))
        except OSError as error:
            raise CannotStart(
                f"port {wanted} is taken ({error.strerror}); stop what listens there or set {flag} (0: any free port)"
            ) from error
        return int(probe.getsockname()[1])
