"""Logs: the API server asks the kubelet that the Pod's node names, and passes on what it says.

Plan: text and options arrive; a followed log streams; one container is chosen, several must be named; no node, no
kubelet, a kubelet that refuses.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
from aiohttp import web

from tests.support.cluster import Api

PODS = "/api/v1/namespaces/default/pods"


class Kubelet:
    """The far side of the wire: one endpoint for logs."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.more = asyncio.Event()
        self.port = 0

    async def answer(self, request: web.BaseRequest) -> web.StreamResponse:
        self.asked.append(request.path_qs)
        if request.query.get("previous") == "true":
            return web.Response(status=400, text="previous terminated container not found")
        response = web.StreamResponse()
        await response.prepare(request)
        await response.write(b"first\n")
        if request.query.get("follow") == "true":
            await self.more.wait()
            await response.write(b"second\n")
        await response.write_eof()
        return response


@pytest.fixture
async def kubelet(api: Api) -> AsyncIterator[Kubelet]:
    made = Kubelet()
    runner = web.ServerRunner(web.Server(made.answer))
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    made.port = runner.addresses[0][1]
    await api.post("/api/v1/nodes", {"metadata": {"name": "n1"}})
    status = {
        "addresses": [{"type": "InternalIP", "address": "127.0.0.1"}],
        "daemonEndpoints": {"kubeletEndpoint": {"Port": made.port}},
    }
    assert (await api.merge("/api/v1/nodes/n1/status", {"status": status}))[0] == 200
    yield made
    await runner.cleanup()


async def pod(api: Api, *containers: str, node: str = "n1", **metadata: Any) -> None:
    spec: dict[str, Any] = {"containers": [{"name": name, "image": "i"} for name in containers]}
    if node:
        spec["nodeName"] = node
    assert (await api.post(PODS, {"metadata": {"name": "p", **metadata}, "spec": spec}))[0] == 201


async def test_a_log_and_its_options(api: Api, kubelet: Kubelet) -> None:
    await pod(api, "main")
    assert await api.get(f"{PODS}/p/log?tailLines=5&timestamps=true&other=x") == (200, "first\n")
    assert kubelet.asked == ["/containerLogs/default/p/main?tailLines=5&timestamps=true"]


async def test_a_followed_log_streams(api: Api, kubelet: Kubelet) -> None:
    await pod(api, "main")
    async with api.session.get(f"{PODS}/p/log?follow=true") as answer:
        assert await answer.content.readline() == b"first\n"
        kubelet.more.set()
        assert await answer.content.readline() == b"second\n"


async def test_one_of_several_containers_must_be_named(api: Api, kubelet: Kubelet) -> None:
    await pod(api, "main", "side")
    status, refusal = await api.get(f"{PODS}/p/log")
    assert (status, refusal["message"]) == (
        400,
        "a container name must be specified for pod p, choose one of: [main side]",
    )
    assert (await api.get(f"{PODS}/p/log?container=side"))[0] == 200
    assert (await api.get(f"{PODS}/p/log?container=nope"))[0] == 400


async def test_the_default_container_is_taken(api: Api, kubelet: Kubelet) -> None:
    await pod(api, "main", "side", annotations={"kubectl.kubernetes.io/default-container": "side"})
    await api.get(f"{PODS}/p/log")
    assert kubelet.asked[0].startswith("/containerLogs/default/p/side")


async def test_a_kubelet_that_refuses_is_quoted(api: Api, kubelet: Kubelet) -> None:
    await pod(api, "main")
    status, refusal = await api.get(f"{PODS}/p/log?previous=true")
    assert (status, refusal["message"]) == (400, "previous terminated container not found")


async def test_no_node_and_no_kubelet(api: Api) -> None:
    await pod(api, "main", node="")
    status, refusal = await api.get(f"{PODS}/p/log")
    assert (status, refusal["message"]) == (400, "pod p does not have a host assigned")
    await api.delete(f"{PODS}/p")
    await pod(api, "main", node="elsewhere")
    assert (await api.get(f"{PODS}/p/log"))[0] == 404
    await api.post("/api/v1/nodes", {"metadata": {"name": "elsewhere"}})
    status, refusal = await api.get(f"{PODS}/p/log")
    assert status == 500 and "names no kubelet endpoint" in refusal["message"]
    unreachable = {
        "addresses": [{"type": "InternalIP", "address": "127.0.0.1"}],
        "daemonEndpoints": {"kubeletEndpoint": {"Port": 1}},
    }
    await api.merge("/api/v1/nodes/elsewhere/status", {"status": unreachable})
    status, refusal = await api.get(f"{PODS}/p/log")
    assert status == 500 and "cannot be reached" in refusal["message"]
