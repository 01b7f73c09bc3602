"""The gateway as a whole for tests: what the Kubernetes API tells it, coordinators behind it, requests to it.

`FarRoutes` is the far API (route ConfigMaps, no EndpointSlices); `FarCoordinator` is a coordinator that holds its polls
until a test lets them go; `gateway(...)` runs the real wiring in this process, `process(...)` the real program.
"""

from __future__ import annotations

import asyncio
import itertools
import socket
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp
import orjson

from crds.v1.meta import ROUTES_LABEL
from gateway.config import Settings
from gateway.server import serve
from sandbox.processes import end_with_parent
from tests.support.fake_api import Answer, FakeApi, Watch, obj, object_list

NAMESPACE = "xtrinode-gateway"
CONFIG_MAPS = f"/api/v1/namespaces/{NAMESPACE}/configmaps"
SLICES = "/apis/discovery.k8s.io/v1/endpointslices"
NAME = "trino-gateway-routes"


def backend(name: str, port: int, state: str = "RUNNING", namespace: str = "team") -> dict[str, Any]:
    return {
        "name": name,
        "namespace": namespace,
        "coordinatorURL": f"http://127.0.0.1:{port}",
        "state": state,
        "active": True,
        "capacityUnits": 1,
    }


def route(name: str, *backends: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"name": name, "routingGroup": name, "header": f"team/{name}", "backends": list(backends), **more}


def document(*routes: dict[str, Any]) -> str:
    return '{"routes": [\n' + ",\n".join(orjson.dumps(one).decode() for one in routes) + "\n]}\n"


class FarRoutes:
    """The ConfigMap that the gateway watches. `async with FarRoutes(tmp_path) as routes: routes.publish(...)`."""

    def __init__(self, directory: Path) -> None:
        self.api = FakeApi()
        self.kubeconfig = directory / "kubeconfig"
        self._versions = itertools.count(10)
        self._maps: Watch = self.api.watch(CONFIG_MAPS)
        self._slices: Watch = self.api.watch(SLICES)

    async def __aenter__(self) -> FarRoutes:
        await self.api.start()
        self._point_to(self.api.url)
        self.api.on("GET", SLICES, Answer(json=object_list("1")))
        self.publish(document())
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.api.stop()

    def _point_to(self, url: str) -> None:
        config = {
            "apiVersion": "v1",
            "kind": "Config",
            "current-context": "far",
            "contexts": [{"name": "far", "context": {"cluster": "far", "user": "far"}}],
            "clusters": [{"name": "far", "cluster": {"server": url}}],
            "users": [{"name": "far", "user": {"token": "not-a-secret"}}],
        }
        self.kubeconfig.write_bytes(orjson.dumps(config))

    async def watched(self) -> None:
        """Until one more gateway process watches."""
        await self._maps.opened()
        await self._slices.opened()

    def place(self, service: str, *addresses: str, port: int, namespace: str = "team") -> None:
        """Say which ready endpoints a Service has."""
        version = str(next(self._versions))
        one = obj(
            f"{service}-x",
            version,
            namespace,
            metadata={"labels": {"kubernetes.io/service-name": service}},
            kind="EndpointSlice",
            ports=[{"name": "http", "port": port}],
            endpoints=[{"addresses": [address], "conditions": {"ready": True}} for address in addresses],
        )
        self.api.on("GET", SLICES, Answer(json=object_list(version, one)))
        for feed in self._slices.feeds:
            feed.send("MODIFIED", one)

    def publish(self, text: str | None) -> None:
        """Replace the text of the ConfigMap; None deletes it. Heard at once by those who watch."""
        version = str(next(self._versions))
        one = obj(
            NAME,
            version,
            NAMESPACE,
            metadata={"labels": {ROUTES_LABEL: "true"}},
            kind="ConfigMap",
            apiVersion="v1",
            data={"routes.yaml": text or ""},
        )
        self.api.on("GET", CONFIG_MAPS, Answer(json=object_list(version, *([one] if text is not None else []))))
        for feed in self._maps.feeds:
            feed.send("DELETED" if text is None else "MODIFIED", one)


@dataclass
class FarCoordinator:
    """A coordinator. Every poll waits for `release`; a query ends with the poll after `finish` was set."""

    coordinator_id: str = "abcde"
    port: int = 0
    release: asyncio.Event = field(default_factory=asyncio.Event)
    finish: bool = False
    starting: bool = False
    address: str = "127.0.0.1"
    probes: int = 0
    polled: asyncio.Event = field(default_factory=asyncio.Event)
    requests: int = 0
    statements: int = 0
    _serial: Any = field(default_factory=lambda: itertools.count(1))
    _server: asyncio.Server | None = None
    _writers: set[asyncio.StreamWriter] = field(default_factory=set)

    async def __aenter__(self) -> FarCoordinator:
        self._server = await asyncio.start_server(self._serve, self.address, self.port, limit=1 << 22, backlog=1024)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._server is not None
        self._server.close()
        for writer in list(self._writers):
            writer.transport.abort()
        await asyncio.sleep(0)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writers.add(writer)
        with suppress(ConnectionError, asyncio.IncompleteReadError):
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                line, *lines = head.split(b"\r\n")
                headers = {
                    name.strip().lower(): value.strip() for name, _, value in (one.partition(b":") for one in lines)
                }
                await reader.readexactly(int(headers.get(b"content-length", b"0")))
                method, path, _ = line.decode().split(" ")
                status, body = await self._answer(method, path, headers.get(b"host", b"").decode())
                data = b"" if body is None else orjson.dumps(body)
                writer.write(
                    b"HTTP/1.1 %d OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n"
                    % (status, len(data))
                    + data
                )
                await writer.drain()
        self._writers.discard(writer)
        writer.close()

    async def _answer(self, method: str, path: str, host: str) -> tuple[int, Any]:
        if path == "/v1/info":
            self.probes += 1
            return 200, {"starting": self.starting, "coordinatorId": self.coordinator_id, "coordinator": True}
        self.requests += 1
        if path == "/v1/statement":
            self.statements += 1
            query_id = f"20261120_101010_{next(self._serial) % 100000:05d}_{self.coordinator_id}"
            return 200, self._page(query_id, host, "QUEUED", 0)
        if not path.startswith("/v1/statement/executing/"):
            return 404, {"message": f"no {path}"}
        _, _, _, _, query_id, _, token = path.split("/")
        if not query_id.endswith(self.coordinator_id):
            return 404, {"message": "Query not found"}
        if method == "DELETE":
            return 204, None
        self.polled.set()
        await self.release.wait()
        return 200, self._page(query_id, host, "FINISHED" if self.finish else "RUNNING", int(token) + 1)

    def _page(self, query_id: str, host: str, state: str, token: int) -> dict[str, Any]:
        page: dict[str, Any] = {"id": query_id, "infoUri": f"http://{host}/ui/query.html?{query_id}"}
        if state != "FINISHED":
            page["nextUri"] = f"http://{host}/v1/statement/executing/{query_id}/yslug/{token}"
        return {**page, "stats": {"state": state, "queued": state == "QUEUED"}, "warnings": []}


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Client:
    """Requests to one gateway's two ports. `url` for SQL, `management` for everything else."""

    def __init__(self, port: int, management_port: int) -> None:
        self.port = port
        self.url = f"http://127.0.0.1:{port}"
        self.management = f"http://127.0.0.1:{management_port}"
        self.http = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=0), timeout=aiohttp.ClientTimeout(total=20), trust_env=False
        )

    async def submit(self, selector: str | None = None, session: aiohttp.ClientSession | None = None) -> dict[str, Any]:
        """The first page of a statement."""
        headers = {"X-Trino-User": "u", **({"X-Trino-XTrinode": selector} if selector else {})}
        async with (session or self.http).post(f"{self.url}/v1/statement", data="SELECT 1", headers=headers) as reply:
            return orjson.loads(await reply.read())

    async def poll(self, page: dict[str, Any], session: aiohttp.ClientSession | None = None) -> dict[str, Any]:
        """The page after `page`."""
        async with (session or self.http).get(page["nextUri"]) as reply:
            assert reply.status == 200, await reply.text()
            return orjson.loads(await reply.read())

    async def status(self) -> dict[str, Any]:
        async with self.http.get(f"{self.management}/ui/admin/api/gateway/status") as reply:
            return orjson.loads(await reply.read())

    async def metrics(self) -> dict[str, float]:
        """Samples by name with labels, as written."""
        async with self.http.get(f"{self.management}/metrics") as reply:
            lines = (await reply.text()).splitlines()
        return {name: float(value) for name, _, value in (line.rpartition(" ") for line in lines if line[0] != "#")}

    async def readyz(self) -> tuple[int, str]:
        async with self.http.get(f"{self.management}/readyz") as reply:
            return reply.status, await reply.text()

    async def until_ready(self) -> None:
        async def ready() -> bool:
            with suppress(aiohttp.ClientConnectionError):
                return (await self.readyz())[0] == 200
            return False

        await until(ready, 30)

    async def until_no_query_is_live(self) -> None:
        """A compressed last page is read when nobody has polled its query again, which takes a moment to know."""

        async def idle() -> bool:
            return bool((await self.status())["summary"]["liveQueries"] == 0)

        await until(idle, 30)


async def until(happened: Callable[[], Awaitable[bool]], within: float = 10.0, every: float = 0.01) -> float:
    """Wait until `happened` says so; the seconds that it took."""
    start = time.monotonic()
    while not await happened():
        assert time.monotonic() - start < within, f"not within {within} s"
        await asyncio.sleep(every)
    return time.monotonic() - start


@asynccontextmanager
async def gateway(routes: FarRoutes, **settings: Any) -> AsyncIterator[Client]:
    """The wiring of one process, in this one, from start to a graceful stop."""
    port, management_port = free_port(), free_port()
    stop = asyncio.Event()
    chosen = Settings(
        address=f"127.0.0.1:{port}",
        management_address=f"127.0.0.1:{management_port}",
        **{"kubeconfig": str(routes.kubeconfig), "probe_interval": 0.2, "drain_timeout": 2.0, **settings},
    )
    task = asyncio.create_task(serve(chosen, stop))
    client = Client(port, management_port)
    try:
        await _or_ended(task, _answers(client))
        yield client
    finally:
        await client.http.close()
        stop.set()
        assert await asyncio.wait_for(task, 20) == 0


async def _answers(client: Client) -> None:
    async def up() -> bool:
        with suppress(aiohttp.ClientConnectionError):
            await client.readyz()
            return True
        return False

    await until(up, 20)


async def _or_ended(task: asyncio.Task[int], work: Awaitable[None]) -> None:
    working = asyncio.ensure_future(work)
    await asyncio.wait([task, working], return_when=asyncio.FIRST_COMPLETED)
    if task.done():
        working.cancel()
        task.result()
    await working


@dataclass
class Process:
    """The real program."""

    client: Client
    process: asyncio.subprocess.Process
    log: Path


@asynccontextmanager
async def process(routes: FarRoutes, directory: Path, *flags: str) -> AsyncIterator[Process]:
    """`xtrinode-gateway`, ready; killed at the end if it still runs."""
    port, management_port = free_port(), free_port()
    log = directory / "gateway.log"
    with log.open("wb") as out:
        running = await asyncio.create_subprocess_exec(
            *program("--kubeconfig", str(routes.kubeconfig), "--address", f"127.0.0.1:{port}"),
            "--management-address",
            f"127.0.0.1:{management_port}",
            *flags,
            stderr=out,
            preexec_fn=end_with_parent,
        )
    client = Client(port, management_port)
    try:
        await client.until_ready()
        yield Process(client, running, log)
    finally:
        await client.http.close()
        if running.returncode is None:
            running.kill()
        await running.wait()


def program(*flags: str) -> tuple[str, ...]:
    return (sys.executable, "-m", "gateway", *flags)
