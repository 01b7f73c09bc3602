"""A worker's announcements to the coordinator at `discovery.uri`, and where that host is.

Runs for the life of a worker. Names are looked up in the sandbox's hosts file first (environment
variable XTRINODE_SANDBOX_HOSTS, the format of /etc/hosts, read again when it changes), because a
laptop has no cluster DNS; what is not there goes to the system's resolver.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable
from pathlib import Path
from urllib.parse import urlsplit

import aiohttp

from sandbox.trino.dialect_version import VERSION
from sandbox.trino.internal_authentication import token
from sandbox.trino.node_resource import INTERNAL_HEADER
from sandbox.trino.node_state import NodeState

log = logging.getLogger("io.trino.server.Announcer")
_CLUSTER_SUFFIX = ".svc.cluster.local"


def parse_hosts(text: str) -> dict[str, str]:
    """Name to address; the first line that has a name wins."""
    result: dict[str, str] = {}
    for line in text.splitlines():
        address, *names = line.partition("#")[0].split() or [""]
        for name in names:
            result.setdefault(name.lower(), address)
    return result


def address_of(name: str, hosts: dict[str, str], namespace: str | None) -> str | None:
    """As a pod's resolver would with its search domains; a short name must mean one address only."""
    name = name.lower().removesuffix(".")
    candidates = [name, f"{name}{_CLUSTER_SUFFIX}"]
    if namespace:
        candidates.insert(1, f"{name}.{namespace}{_CLUSTER_SUFFIX}")
    for candidate in candidates:
        if candidate in hosts:
            return hosts[candidate]
    if "." in name:
        return None
    found = {
        address for known, address in hosts.items() if known.startswith(f"{name}.") and known.endswith(_CLUSTER_SUFFIX)
    }
    return found.pop() if len(found) == 1 else None


class HostsFile:
    """The parsed file, read again when its time stamp or size changes."""

    def __init__(self, path: Path | None, namespace: str | None = None) -> None:
        self._path = path
        self._namespace = namespace
        self._stamp: tuple[int, int] | None = None
        self._hosts: dict[str, str] = {}

    def address(self, name: str) -> str | None:
        if self._path is None:
            return None
        try:
            status = self._path.stat()
            stamp = (status.st_mtime_ns, status.st_size)
            if stamp != self._stamp:
                self._hosts = parse_hosts(self._path.read_text("utf-8", "replace"))
                self._stamp = stamp
        except OSError:
            self._hosts, self._stamp = {}, None
        return address_of(name, self._hosts, self._namespace)


class Announcer:
    """Tells the coordinator of this node, every `interval` seconds and at once after a change."""

    def __init__(
        self,
        *,
        discovery_uri: str,
        node_id: str,
        environment: str,
        own_uri: str,
        state: Callable[[], NodeState],
        secret: str | None,
        hosts: HostsFile,
        interval: float = 1.0,
    ) -> None:
        self._uri = discovery_uri
        self._node_id = node_id
        self._environment = environment
        self._own_uri = own_uri
        self._state = state
        self._secret = secret
        self._hosts = hosts
        self._interval = interval
        self._wake = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._said: str | None = None

    def start(self) -> None:
        self._task = asyncio.create_task(self._run(), name="announcer")

    def changed(self) -> None:
        self._wake.set()

    async def stop(self) -> None:
        """Stop announcing and take the node off the list."""
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task
        with contextlib.suppress(aiohttp.ClientError, TimeoutError, OSError):
            async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=1)) as session:
                await self._send(session, "DELETE")

    async def _run(self) -> None:
        async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=5)) as session:
            while True:
                self._wake.clear()
                try:
                    status = await self._send(session, "PUT")
                    self._say("announced" if status < 300 else f"refused with HTTP {status}")
                except (aiohttp.ClientError, TimeoutError, OSError) as error:
                    self._say(f"failed: {type(error).__name__}")
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(self._wake.wait(), self._interval)

    def _say(self, what: str) -> None:
        """Once per change: an unreachable coordinator is normal while a cluster starts."""
        if what != self._said:
            self._said = what
            log.info("Announcement to %s %s", self._uri, what)

    async def _send(self, session: aiohttp.ClientSession, method: str) -> int:
        parts = urlsplit(self._uri)
        address = self._hosts.address(parts.hostname or "")
        port = parts.port or (443 if parts.scheme == "https" else 80)
        target = f"{parts.scheme}://{address or parts.hostname}:{port}/v1/announcement/{self._node_id}"
        headers = {"Host": parts.netloc, "User-Agent": self._node_id}
        shown = token(self._secret, self._node_id)
        if shown is not None:
            headers[INTERNAL_HEADER] = shown
        document = {
            "environment": self._environment,
            "nodeId": self._node_id,
            "location": f"/{self._node_id}",
            "services": [
                {
                    "id": self._node_id,
                    "type": "trino",
                    "properties": {
                        "node_version": VERSION,
                        "coordinator": "false",
                        "http": self._own_uri,
                        "state": self._state().value,
                    },
                }
            ],
        }
        body = document if method == "PUT" else None
        async with session.request(method, target, json=body, headers=headers) as response:
            return response.status
