"""The parts as processes on the real control plane, each under its own ServiceAccount, with every call audited."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import os
import signal
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from types import TracebackType
from typing import Any

import pytest
import yaml

from crds.client import KubeClient
from crds.client.errors import ApiError, NotFound
from crds.client.resources import (
    CONFIG_MAPS,
    MUTATING_WEBHOOKS,
    NAMESPACES,
    ROLE_BINDINGS,
    ROLES,
    SERVICE_ACCOUNTS,
    VALIDATING_WEBHOOKS,
    XTRINODE_CATALOGS,
    XTRINODES,
)
from crds.v1.meta import GROUP
from sandbox.install import GATEWAY_NAMESPACE, SYSTEM_NAMESPACE, install
from sandbox.processes import end_with_parent
from tests.support.audit import Calls
from tests.support.clusters import Cluster
from tests.support.control_plane import REPOSITORY, ControlPlane, free_ports
from tests.support.far_coordinators import FarCoordinators

Object = dict[str, Any]
_numbers = itertools.count()
HOOKS = ((MUTATING_WEBHOOKS, "xtrinode-defaulting"), (VALIDATING_WEBHOOKS, "xtrinode-validation"))


async def until(check: Callable[[], Any], seconds: float = 60.0) -> Any:
    """The first true answer of an (async) question. API errors on the way are taken for "not yet"."""
    answer: Any = None
    try:
        async with asyncio.timeout(seconds):
            while True:
                try:
                    answer = check()
                    if isinstance(answer, Awaitable):
                        answer = await answer
                except ApiError as error:
                    answer, error.__traceback__ = error, None
                else:
                    if answer:
                        return answer
                await asyncio.sleep(0.05)
    except TimeoutError:
        raise AssertionError(f"not within {seconds:g} s; the last answer was {answer!r}") from None


class Part:
    """One of our processes. It is not started again when it ends: that would be the test's failure."""

    def __init__(self, name: str, arguments: tuple[str, ...], management: int, log: Path) -> None:
        self.name, self.management, self.log = name, management, log
        with log.open("ab") as out:
            self.process = subprocess.Popen(
                [sys.executable, "-m", *arguments, "--management-address", f"127.0.0.1:{management}"],
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=out,
                cwd=REPOSITORY,
                env={"PATH": os.environ["PATH"], "HOME": str(log.parent)},
                preexec_fn=end_with_parent,
            )

    def get(self, path: str) -> bytes:
        with urllib.request.urlopen(f"http://127.0.0.1:{self.management}{path}", timeout=5) as answer:
            body: bytes = answer.read()
            return body

    def is_ready(self) -> bool:
        assert self.process.poll() is None, f"{self.name} ended:\n{self.tail()}"
        try:
            self.get("/readyz")
        except (urllib.error.URLError, OSError):
            return False
        return True

    def tail(self) -> str:
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-40:])

    def stop(self) -> int:
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(20)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        return self.process.returncode


class System:
    """A namespace of a test's own, the parts it starts, and shorthands for what it does with them."""

    def __init__(
        self,
        client: KubeClient,
        control_plane: ControlPlane,
        accounts: dict[str, Path],
        directory: Path,
        coordinators: FarCoordinators,
    ) -> None:
        self.coordinators = coordinators
        self.client, self.control_plane, self.accounts, self.directory = client, control_plane, accounts, directory
        self.namespace = f"real-{next(_numbers)}"
        self.calls = Calls.since(control_plane.audit_log)
        self.parts: list[Part] = []
        self.person = directory / "person.kubeconfig"

    async def __aenter__(self) -> System:
        await self.client.create(NAMESPACES, {"metadata": {"name": self.namespace}})
        await self._invite()
        return self

    async def _invite(self) -> None:
        """An account of a member of the team that has the namespace: sees all there, and may change runtimes."""
        name = f"member-of-{self.namespace}"
        await self.client.create(SERVICE_ACCOUNTS, {"metadata": {"name": name, "namespace": SYSTEM_NAMESPACE}})
        rules = [{"apiGroups": [GROUP], "resources": ["*"], "verbs": ["*"]}]
        await self.client.create(ROLES, {"metadata": {"name": "runtimes", "namespace": self.namespace}, "rules": rules})
        for kind, role in (("ClusterRole", "view"), ("Role", "runtimes")):
            binding = {
                "metadata": {"name": role, "namespace": self.namespace},
                "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": kind, "name": role},
                "subjects": [{"kind": "ServiceAccount", "name": name, "namespace": SYSTEM_NAMESPACE}],
            }
            await self.client.create(ROLE_BINDINGS, binding)
        request = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": {"audiences": []}}
        granted = await self.client.create(SERVICE_ACCOUNTS, request, SYSTEM_NAMESPACE, name=name, subresource="token")
        config = yaml.safe_load(self.control_plane.kubeconfig.read_text())
        config["users"] = [{"name": "admin", "user": {"token": granted["status"]["token"]}}]
        self.person.touch(0o600)
        self.person.write_text(yaml.safe_dump(config))

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        # The runtimes first: only a running controller takes its finalizer off. Webhooks are nobody's without their
        # process, and would refuse the next test's objects.
        for hook, name in HOOKS:
            with contextlib.suppress(NotFound):
                await self.client.delete(hook, name)
        try:
            for resource in (XTRINODES, XTRINODE_CATALOGS):
                for obj in (await self.client.list_(resource, self.namespace)).items:
                    await self.client.delete(resource, obj["metadata"]["name"], self.namespace)
            if any(part.name == "controller" for part in self.parts):
                await until(self.is_empty, 30)
        finally:
            codes = {part.name: await asyncio.to_thread(part.stop) for part in reversed(self.parts)}
            for part in self.parts:
                print("---", part.name, part.tail(), sep="\n")  # pytest shows it with a failure
        assert codes == dict.fromkeys(codes, 0)
        assert self.calls.refused() == []

    async def is_empty(self) -> bool:
        return not (await self.client.list_(XTRINODES, self.namespace)).items

    async def start(self, name: str, *arguments: str) -> Part:
        """Starts a part and waits until it is ready."""
        modules = {"api": "controller.lifecycle_api"}
        account = self.accounts["controller/lifecycle_api" if name == "api" else name]
        (management,) = free_ports(1)
        part = Part(
            name,
            (modules.get(name, name), "--kubeconfig", str(account), *arguments),
            management,
            self.directory / f"{name}.log",
        )
        self.parts.append(part)
        await until(part.is_ready, 60)
        return part

    async def controller(self, *arguments: str) -> Part:
        quick = ("--route-settle", "200ms", "--drain-poll", "200ms", "--trino-proxy", self.coordinators.url)
        return await self.start("controller", *quick, *arguments)

    async def webhook(self) -> Part:
        (port,) = free_ports(1)
        address = f"127.0.0.1:{port}"
        part = await self.start("webhook", "--address", address, "--url", f"https://{address}")

        async def registered() -> bool:
            for resource, name in HOOKS:
                hooks = (await self.client.get(resource, name))["webhooks"]
                if not all(hook["clientConfig"].get("caBundle") for hook in hooks):
                    return False
            return True

        await until(registered)
        return part

    async def gateway(self) -> Part:
        (port,) = free_ports(1)
        state = str(self.directory / "gateway")
        return await self.start("gateway", "--address", f"127.0.0.1:{port}", "--state-dir", state)

    async def lifecycle_api(self) -> str:
        """Starts it; returns where it is asked."""
        (port,) = free_ports(1)
        await self.start("api", "--address", f"127.0.0.1:{port}")
        return f"http://127.0.0.1:{port}/api/v1"

    async def create(self, name: str, **spec: Any) -> Object:
        body = {
            "metadata": {"name": name, "namespace": self.namespace},
            "spec": {"size": "xs", "minWorkers": 1, "maxWorkers": 2, **spec},
        }
        return await self.client.create(XTRINODES, body)

    async def get(self, name: str) -> Object:
        return await self.client.get(XTRINODES, name, self.namespace)

    async def change(self, name: str, **spec: Any) -> None:
        await self.client.patch(XTRINODES, name, self.namespace, {"spec": spec})

    async def reaches(self, name: str, phase: str, seconds: float = 60.0) -> Object:
        """The runtime once it has `phase` for its newest spec."""
        found: Object = {}

        async def there() -> bool:
            nonlocal found
            found = await self.get(name)
            status = found.get("status") or {}
            current = status.get("observedGeneration") == found["metadata"]["generation"]
            return bool(status.get("phase") == phase and current)

        try:
            await until(there, seconds)
        except AssertionError:
            raise AssertionError(f"{name} is not {phase} within {seconds:g} s: {found.get('status')}") from None
        return found

    @contextlib.asynccontextmanager
    async def without_api_server(self) -> AsyncIterator[Calls]:
        """kill -9, and start afterwards; yields the calls from the kill on. Refusals until it was ready are not held
        against anybody: a server that starts may not have read the roles yet."""
        since = Calls.since(self.control_plane.audit_log)
        await asyncio.to_thread(self.control_plane.kill, "kube-apiserver")
        try:
            yield since
        finally:
            await asyncio.to_thread(self.control_plane.start, "kube-apiserver")
        self.calls = Calls.since(self.control_plane.audit_log)

    async def routes(self) -> dict[str, str]:
        """State by `namespace/name`, of this test's runtimes in the published table."""
        import orjson

        found = await self.client.list_(CONFIG_MAPS, GATEWAY_NAMESPACE, "xtrinode.io/routes=true")
        return {
            f"{backend['namespace']}/{backend['name']}": backend["state"]
            for obj in found.items
            for route in orjson.loads(obj["data"]["routes.yaml"]).get("routes") or []
            for backend in route["backends"]
            if backend["namespace"] == self.namespace
        }


@pytest.fixture
async def system(cluster: Cluster, client: KubeClient, tmp_path: Path) -> AsyncIterator[System]:
    """What an installation puts into the cluster, and an empty stage."""
    assert cluster.control_plane is not None, "this folder's tests say `cluster` is the real one"
    accounts = await install(client, tmp_path / "accounts", Path(cluster.kubeconfig))
    async with (
        FarCoordinators() as coordinators,
        System(client, cluster.control_plane, accounts, tmp_path, coordinators) as system,
    ):
        yield system
