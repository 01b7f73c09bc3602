"""A user of the whole system, for tests: applies, waits, queries, suspends, resumes. Nothing here looks inside."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from typing import Any

import trino

from crds.client import ApiError, KubeClient, NotFound
from crds.client.resources import CONFIG_MAPS, DEPLOYMENTS, SERVICES, XTRINODES
from sandbox.demo import resolving_to_here
from sandbox.install import ensure_namespace
from sandbox.up import Sandbox

Object = dict[str, Any]


def runtime(name: str, **spec: Any) -> Object:
    """A small runtime: one worker at most, so that tests start few processes."""
    return {
        "apiVersion": "analytics.xtrinode.io/v1",
        "kind": "XTrinode",
        "metadata": {"name": name},
        # A query whose gateway was killed stays with its coordinator until its client's time-out; drains end before.
        "spec": {"size": "xs", "minWorkers": 0, "maxWorkers": 1, "drainTimeout": "5s", **spec},
    }


class User:
    """Acts on a sandbox the way people and tools do, and repeats what a part that was killed did not answer."""

    def __init__(self, sandbox: Sandbox, namespace: str = "team-a") -> None:
        self._sandbox = sandbox
        self.namespace = namespace
        self.client: KubeClient = sandbox.client

    async def apply(self, obj: Object) -> None:
        """Apply an object in this user's namespace."""
        obj = {**obj, "metadata": {**obj["metadata"], "namespace": self.namespace}}
        await self._patiently(lambda: ensure_namespace(self.client, self.namespace))
        await self._patiently(lambda: self.client.apply(XTRINODES, obj, manager="kubectl", force=True))

    async def set_suspended(self, name: str, suspended: bool) -> None:
        patch = {"spec": {"suspended": suspended}}
        await self._patiently(lambda: self.client.patch(XTRINODES, name, self.namespace, patch))

    async def delete(self, name: str) -> None:
        with contextlib.suppress(NotFound):
            await self._patiently(lambda: self.client.delete(XTRINODES, name, self.namespace))

    async def until_phase(self, name: str, phase: str, within: float = 120.0) -> Object:
        """The runtime once it has `phase` for its newest spec."""
        found: Object = {}
        try:
            async with asyncio.timeout(within):
                while True:
                    with contextlib.suppress(ApiError):
                        found = await self.client.get(XTRINODES, name, self.namespace)
                        status = found.get("status") or {}
                        current = status.get("observedGeneration") == found["metadata"]["generation"]
                        if status.get("phase") == phase and current:
                            return found
                    await asyncio.sleep(0.05)
        except TimeoutError:
            raise AssertionError(f"{name} is not {phase}: {found.get('status')}\n{self._sandbox.table()}") from None

    async def until_gone(self, name: str, within: float = 120.0) -> None:
        async with asyncio.timeout(within):
            while True:
                try:
                    await self.client.get(XTRINODES, name, self.namespace)
                except NotFound:
                    return
                except ApiError:
                    pass
                await asyncio.sleep(0.05)

    async def query(
        self, sql: str, *, selector: str | None = None, host: str = "127.0.0.1", within: float = 60.0
    ) -> list[Any]:
        """The rows of a statement through the gateway; repeated while the gateway is being restarted."""
        headers = {} if selector is None else {"X-Trino-XTrinode": selector}
        error: Exception | None = None
        try:
            async with asyncio.timeout(within):
                while True:
                    try:
                        return await asyncio.to_thread(run_query, host, self._sandbox.where.gateway_port, sql, headers)
                    except Exception as caught:  # the client's own kinds; the last one is shown
                        error = caught
                        await asyncio.sleep(0.2)
        except TimeoutError:
            raise AssertionError(f"no answer to {sql!r}: {error}") from error

    def kill(self, part: str) -> None:
        """kill -9 one part; its supervisor starts it again."""
        with contextlib.suppress(ProcessLookupError):
            os.kill(self._sandbox.supervisor.running()[part].pid, signal.SIGKILL)

    async def footprint(self) -> Object:
        """What the system has made of the runtimes: everything that must be the same whatever happened on the way."""
        deployments = (await self.client.list_(DEPLOYMENTS, self.namespace)).items
        services = (await self.client.list_(SERVICES, self.namespace)).items
        routes = (await self.client.list_(CONFIG_MAPS, "xtrinode-gateway", "xtrinode.io/routes=true")).items
        return {
            "deployments": {
                one["metadata"]["name"]: (one["spec"].get("replicas"), one["spec"]["template"]["spec"])
                for one in deployments
            },
            "services": {one["metadata"]["name"]: one["spec"]["ports"] for one in services},
            "routes": [one["data"] for one in routes],
        }

    async def _patiently(self, call: Any, within: float = 60.0) -> Any:
        """Repeat a call that a restarting API server or webhook did not answer."""
        error: ApiError | None = None
        try:
            async with asyncio.timeout(within):
                while True:
                    try:
                        return await call()
                    except ApiError as caught:
                        if caught.status and caught.status not in (409, 429, 500, 502, 503, 504):
                            raise
                        error = caught
                        await asyncio.sleep(0.1)
        except TimeoutError:
            raise AssertionError(f"the API server did not take it: {error}") from error


def run_query(host: str, port: int, sql: str, headers: dict[str, str]) -> list[Any]:
    """Rows by the official Trino client, over a connection of its own."""
    with resolving_to_here(host):
        connection = trino.dbapi.connect(host=host, port=port, user="test", http_headers=headers)
        try:
            cursor = connection.cursor()
            cursor.execute(sql)
            return cursor.fetchall()
        finally:
            connection.close()
