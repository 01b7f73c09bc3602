"""The far side of a Deployment, for controller tests: pods that come and go at once, and one coordinator that answers.

It stands in for the Deployment, ReplicaSet and EndpointSlice controllers, the kubelet and Trino, as far as the
controller can see them: pods with conditions, Deployment status, an EndpointSlice whose port is a real HTTP server
on loopback. Tests turn its knobs: `hold` keeps new pods from turning ready, `queries` are what the coordinator lists.
"""

from __future__ import annotations

import asyncio
import contextlib
from datetime import UTC, datetime
from typing import Any

from aiohttp import web

from crds.client.errors import AlreadyExists, ApiError, Conflict, NotFound
from crds.client.informer import Informer
from crds.client.resources import DEPLOYMENTS, ENDPOINT_SLICES, PODS
from crds.client.transport import KubeClient

Object = dict[str, Any]


class FakeNodes:
    def __init__(self, client: KubeClient) -> None:
        self._client = client
        self.queries: list[Object] = []
        self.killed: list[str] = []
        self.query_status = 200
        self.hold = False
        self._port = 0
        self._dirty: asyncio.Queue[tuple[str, str]] = asyncio.Queue()
        self._deployments = Informer(client, DEPLOYMENTS, on_change=self._changed)
        self._pods: dict[tuple[str, str], dict[str, Object]] = {}
        self._up: set[str] = set()
        self._serial = 0
        self._tasks: list[asyncio.Task[Any]] = []
        self._runner: web.AppRunner | None = None

    async def __aenter__(self) -> FakeNodes:
        app = web.Application()
        app.router.add_get("/v1/query", self._list)
        app.router.add_put("/v1/query/{id}/killed", self._kill)
        self._runner = web.AppRunner(app)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0).start()
        self._port = self._runner.addresses[0][1]
        self._tasks = [asyncio.create_task(self._deployments.run()), asyncio.create_task(self._work())]
        return self

    async def __aexit__(self, *exc: object) -> None:
        for task in self._tasks:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task
        assert self._runner is not None
        await self._runner.cleanup()

    async def rest(self) -> None:
        """Does nothing any more: somebody else runs the pods."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def release(self) -> None:
        """Pods that were held turn ready."""
        self.hold = False
        for obj in self._deployments.items():
            self._changed("", None, obj)

    async def _list(self, request: web.Request) -> web.Response:
        return web.json_response(self.queries, status=self.query_status)

    async def _kill(self, request: web.Request) -> web.Response:
        self.killed.append(request.match_info["id"])
        self.queries = [query for query in self.queries if query["queryId"] != request.match_info["id"]]
        return web.Response(status=202)

    def _changed(self, event: str, old: Object | None, new: Object | None) -> None:
        obj = new or old
        assert obj is not None
        self._dirty.put_nowait((obj["metadata"]["namespace"], obj["metadata"]["name"]))

    async def _work(self) -> None:
        while True:
            key = await self._dirty.get()
            try:
                await self._settle(key)
            except Conflict:
                self._dirty.put_nowait(key)
            except ApiError:
                # The server of this test may be going away, or was killed on purpose.
                await asyncio.sleep(0.05)
                self._dirty.put_nowait(key)

    async def _settle(self, key: tuple[str, str]) -> None:
        namespace, name = key
        pods = self._pods.setdefault(key, {})
        obj = self._deployments.get(*key)
        spec = obj["spec"] if obj is not None else {"replicas": 0}
        template = spec.get("template", {}).get("metadata", {})
        wanted = spec.get("replicas", 1)
        stale = [pod for pod, made in pods.items() if made != template]
        fresh = [pod for pod, made in pods.items() if made == template]
        for pod in [*stale, *fresh[wanted:]]:
            with contextlib.suppress(NotFound):
                await self._client.delete(PODS, pod, namespace, grace_period=0)
            del pods[pod]
        while len(pods) < wanted:
            self._serial += 1
            pod = f"{name}-{self._serial}"
            await self._make(namespace, pod, template, spec["template"]["spec"])
            pods[pod] = template
        for pod in pods if not self.hold else ():
            if pod not in self._up:
                await self._ready(namespace, pod)
                self._up.add(pod)
        if obj is None:
            with contextlib.suppress(NotFound):
                await self._client.delete(ENDPOINT_SLICES, f"{name.removesuffix('-coordinator')}-fake", namespace)
            return
        ready = 0 if self.hold else len(pods)
        status = {
            "observedGeneration": obj["metadata"]["generation"],
            "replicas": len(pods),
            "updatedReplicas": len(pods),
            "readyReplicas": ready,
            "availableReplicas": ready,
        }
        if {k: (obj.get("status") or {}).get(k, 0) for k in status} != status:
            with contextlib.suppress(NotFound):
                await self._client.patch(DEPLOYMENTS, name, namespace, {"status": status}, subresource="status")
        if name.endswith("-coordinator"):
            await self._endpoints(namespace, name.removesuffix("-coordinator"), ready > 0)

    async def _make(self, namespace: str, name: str, template: Object, spec: Object) -> None:
        containers = [{"name": c["name"], "image": c["image"]} for c in spec["containers"]]
        pod = {"metadata": {"name": name, "namespace": namespace, **template}, "spec": {"containers": containers}}
        with contextlib.suppress(AlreadyExists):
            await self._client.create(PODS, pod)

    async def _ready(self, namespace: str, name: str) -> None:
        started = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        status = {"phase": "Running", "startTime": started, "conditions": [{"type": "Ready", "status": "True"}]}
        with contextlib.suppress(NotFound):
            await self._client.patch(PODS, name, namespace, {"status": status}, subresource="status")

    async def _endpoints(self, namespace: str, service: str, ready: bool) -> None:
        endpoint = {"addresses": ["127.0.0.1"], "conditions": {"ready": True}}
        await self._client.apply(
            ENDPOINT_SLICES,
            {
                "metadata": {
                    "name": f"{service}-fake",
                    "namespace": namespace,
                    "labels": {"kubernetes.io/service-name": service},
                },
                "addressType": "IPv4",
                "ports": [{"name": "http", "port": self._port, "protocol": "TCP"}],
                "endpoints": [endpoint] if ready else [],
            },
            manager="fake-nodes",
            force=True,
        )
