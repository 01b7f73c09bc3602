"""The one Node object of the sandbox, and its registration.

`node_object` is pure: capacity is the machine's, allocatable is what the settings grant to pods, so that size
presets made for real machines schedule on a laptop. Registration keeps the object there, also after the API
server lost its memory, and marks it NotReady when the kubelet stops in an orderly way.
"""

from __future__ import annotations

import asyncio
import logging
import os
import platform
from datetime import UTC, datetime
from pathlib import Path

from crds.client.errors import ApiError, Conflict, NotFound
from crds.client.resources import NODES
from crds.client.retry import backoff
from crds.client.transport import KubeClient
from sandbox.kubelet.objects import Object, timestamp
from sandbox.kubelet.pod_status import HOST_IP
from sandbox.kubelet.settings import Settings

log = logging.getLogger(__name__)
MANAGER = "xtrinode-sandbox-kubelet"
FAREWELL = 0.5  # seconds that the last word to the API server may take


def machine_memory(meminfo: str) -> int:
    """Bytes of memory of this machine out of /proc/meminfo's text; 0 when it does not say."""
    for line in meminfo.splitlines():
        name, _, rest = line.partition(":")
        words = rest.split()
        if name == "MemTotal" and words and words[0].isdigit():
            return int(words[0]) * 1024
    return 0


def node_object(settings: Settings, memory: int) -> Object:
    """The Node without its status."""
    name = settings.node_name
    return {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {
            "name": name,
            "labels": {
                "kubernetes.io/hostname": name,
                "kubernetes.io/os": platform.system().lower(),
                "kubernetes.io/arch": {"x86_64": "amd64", "aarch64": "arm64"}.get(
                    platform.machine(), platform.machine()
                ),
            },
            "annotations": {"xtrinode.io/sandbox": f"pods are local processes; {memory} bytes of memory are shared"},
        },
    }


def node_status(settings: Settings, memory: int, log_port: int, ready: bool, now: datetime) -> Object:
    """Conditions, capacity and where the logs are served."""
    at = timestamp(now)
    reason, message = (
        ("KubeletReady", "the sandbox's kubelet is running")
        if ready
        else (
            "KubeletStopped",
            "the sandbox's kubelet was stopped",
        )
    )
    pressure = [
        {
            "type": kind,
            "status": "False",
            "reason": "KubeletHasSufficient" + what,
            "lastHeartbeatTime": at,
            "lastTransitionTime": at,
        }
        for kind, what in (("MemoryPressure", "Memory"), ("DiskPressure", "Disk"), ("PIDPressure", "PID"))
    ]
    return {
        "capacity": {
            "cpu": str(os.cpu_count() or 1),
            "memory": str(memory),
            "pods": str(settings.allocatable_pods),
        },
        "allocatable": {
            "cpu": f"{settings.allocatable_cpu}m",
            "memory": str(settings.allocatable_memory),
            "pods": str(settings.allocatable_pods),
        },
        "addresses": [
            {"type": "InternalIP", "address": HOST_IP},
            {"type": "Hostname", "address": settings.node_name},
        ],
        "daemonEndpoints": {"kubeletEndpoint": {"Port": log_port}},
        "conditions": [
            *pressure,
            {
                "type": "Ready",
                "status": "True" if ready else "False",
                "reason": reason,
                "message": message,
                "lastHeartbeatTime": at,
                "lastTransitionTime": at,
            },
        ],
        "nodeInfo": {
            "machineID": settings.node_name,
            "systemUUID": settings.node_name,
            "bootID": settings.node_name,
            "kernelVersion": platform.release(),
            "osImage": platform.platform(),
            "containerRuntimeVersion": "sandbox://local-processes",
            "kubeletVersion": "sandbox",
            "kubeProxyVersion": "sandbox",
            "operatingSystem": platform.system().lower(),
            "architecture": platform.machine(),
        },
    }


class NodeRegistration:
    """Keeps the Node object true."""

    def __init__(self, client: KubeClient, settings: Settings) -> None:
        self._client = client
        self._settings = settings
        self._log_port = 0
        meminfo = Path("/proc/meminfo")
        self._memory = machine_memory(meminfo.read_text()) if meminfo.exists() else 0

    async def register(self, log_port: int) -> None:
        """Create or update the Node; repeats until the API server has taken it."""
        self._log_port = log_port
        failures = 0
        while True:
            try:
                await self._write(ready=True)
                return
            except ApiError as error:
                log.log(
                    logging.WARNING if failures == 3 else logging.DEBUG, "the node is not registered yet: %s", error
                )
                limit = self._settings.relist_backoff_limit
                await asyncio.sleep(backoff(failures, base=self._settings.relist_backoff, cap=limit))
                failures += 1

    async def retire(self) -> None:
        """Mark the Node NotReady, if the API server answers soon."""
        try:
            async with asyncio.timeout(FAREWELL):
                await self._status(ready=False)
        except (ApiError, TimeoutError) as error:
            log.debug("the node was not marked as stopped: %s", error)

    async def _write(self, *, ready: bool) -> None:
        node = node_object(self._settings, self._memory)
        try:
            await self._client.apply(NODES, node, manager=MANAGER, force=True)
        except Conflict:
            log.debug("the node was written by another kubelet just now")
        await self._status(ready=ready)

    async def _status(self, *, ready: bool) -> None:
        body = node_status(self._settings, self._memory, self._log_port, ready, datetime.now(UTC))
        try:
            await self._client.patch(NODES, self._settings.node_name, None, {"status": body}, subresource="status")
        except NotFound:
            log.debug("the node object is gone")
