"""The lifecycle API under its own account: Kubernetes tokens, permissions by verb, one write of many callers."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from controller.lifecycle_api.__main__ import serve
from controller.lifecycle_api.config import Settings
from controller.lifecycle_api.requests import lease_name
from crds.client import AlreadyExists, KubeClient, NotFound
from crds.client.resources import CLUSTER_ROLE_BINDINGS, CLUSTER_ROLES, LEASES, SERVICE_ACCOUNTS, XTRINODES
from crds.v1 import meta
from sandbox.install import install
from tests.support.clusters import Cluster
from tests.support.control_plane import free_ports

Object = dict[str, Any]


class Caller:
    """An HTTP client of the API with a token of its own."""

    def __init__(self, session: aiohttp.ClientSession, base: str, token: str | None) -> None:
        self._session = session
        self._base = base
        self._headers = {"Authorization": f"Bearer {token}"} if token else {}

    async def __call__(self, method: str, path: str, body: Any = None) -> tuple[int, Object]:
        async with self._session.request(method, self._base + path, json=body, headers=self._headers) as reply:
            return reply.status, await reply.json()


class Api:
    def __init__(self, session: aiohttp.ClientSession, base: str, management: str, client: KubeClient) -> None:
        self._session = session
        self._base = base
        self._management = management
        self._client = client

    async def metrics(self) -> str:
        async with self._session.get(f"{self._management}/metrics") as reply:
            return await reply.text()

    def nobody(self) -> Caller:
        return Caller(self._session, self._base, None)

    async def caller(self, name: str, namespace: str, rules: list[Object]) -> Caller:
        """A ServiceAccount with these rules on our kinds, and its token."""
        await self._client.create(SERVICE_ACCOUNTS, {"metadata": {"name": name, "namespace": namespace}})
        role = f"{namespace}-{name}"
        for resource, obj in (
            (
                CLUSTER_ROLES,
                {"metadata": {"name": role}, "rules": [{"apiGroups": [meta.GROUP], **one} for one in rules]},
            ),
            (
                CLUSTER_ROLE_BINDINGS,
                {
                    "metadata": {"name": role},
                    "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": role},
                    "subjects": [{"kind": "ServiceAccount", "name": name, "namespace": namespace}],
                },
            ),
        ):
            with contextlib.suppress(AlreadyExists):
                await self._client.create(resource, obj)
        request = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": {}}
        made = await self._client.create(SERVICE_ACCOUNTS, request, namespace, name=name, subresource="token")
        return Caller(self._session, self._base, made["status"]["token"])


@pytest.fixture
async def api(cluster: Cluster, client: KubeClient, tmp_path: Path) -> AsyncIterator[Api]:
    accounts = await install(client, tmp_path / "accounts", Path(cluster.kubeconfig))
    port, management = free_ports(2)
    stop = asyncio.Event()
    settings = Settings(
        kubeconfig=str(accounts["controller/lifecycle_api"]),
        address=f"127.0.0.1:{port}",
        management_address=f"127.0.0.1:{management}",
    )
    task = asyncio.create_task(serve(settings, stop))
    async with aiohttp.ClientSession() as session:
        base = f"http://127.0.0.1:{port}/api/v1"
        async with asyncio.timeout(10):
            while True:
                with contextlib.suppress(aiohttp.ClientError):
                    async with session.get(base):
                        break
                await asyncio.sleep(0.02)
        yield Api(session, base, f"http://127.0.0.1:{management}", client)
    stop.set()
    assert await task == 0


async def sleeping(client: KubeClient, name: str, namespace: str, **spec: Any) -> None:
    body = {"metadata": {"name": name, "namespace": namespace}, "spec": {"size": "xs", "suspended": True, **spec}}
    await client.create(XTRINODES, body)


READ = {"resources": ["xtrinodes"], "verbs": ["get", "list"]}
WAKE = {"resources": ["xtrinodes/resume"], "verbs": ["update"]}
SLEEP = {"resources": ["xtrinodes/suspend"], "verbs": ["update"]}


async def test_caller_without_a_token_is_challenged(api: Api, namespace: str) -> None:
    status, body = await api.nobody()("GET", f"/runtimes?namespace={namespace}")
    assert (status, body["code"]) == (401, "UNAUTHORIZED")


async def test_right_to_wake_is_the_right_to_nothing_else(api: Api, client: KubeClient, namespace: str) -> None:
    await sleeping(client, "a", namespace)
    waker = await api.caller("waker", namespace, [WAKE])
    assert (await waker("GET", f"/runtimes/{namespace}/a"))[0] == 403
    assert (await waker("POST", f"/runtimes/{namespace}/a/suspend"))[0] == 403
    status, body = await waker("POST", f"/runtimes/{namespace}/a/resume", {"wakeMinWorkers": 2})
    assert (status, body["triggered"], body["desired"]) == (202, True, "resumed")
    annotations = (await client.get(XTRINODES, "a", namespace))["metadata"]["annotations"]
    assert annotations[meta.RESUME_REQUESTED] == "true"
    assert annotations[meta.WAKE_MIN_WORKERS] == "2"


async def test_of_many_callers_at_once_all_succeed_and_few_write(api: Api, client: KubeClient, namespace: str) -> None:
    await sleeping(client, "a", namespace)
    waker = await api.caller("waker", namespace, [WAKE])
    answers = await asyncio.gather(*(waker("POST", f"/runtimes/{namespace}/a/resume") for _ in range(20)))
    assert {status for status, _ in answers} <= {200, 202}
    assert any(body["triggered"] for _, body in answers)


async def test_the_next_command_is_not_taken_for_one_that_is_done(api: Api, client: KubeClient, namespace: str) -> None:
    """Whichever replica gets it: the Lease is held around a write and not beyond."""
    await sleeping(client, "a", namespace)
    caller = await api.caller("caller", namespace, [WAKE, SLEEP])
    for operation in ("resume", "suspend"):
        status, body = await caller("POST", f"/runtimes/{namespace}/a/{operation}")
        assert (status, body["triggered"]) == (202, True)
        with pytest.raises(NotFound):
            await client.get(LEASES, lease_name(operation, namespace, "a"), "xtrinode-system")
        status, body = await caller("POST", f"/runtimes/{namespace}/a/{operation}")
        already = operation == "suspend"  # it sleeps: to take the resume back was all there was to do
        assert (status, body["triggered"], body["gated"]) == (200 if already else 202, False, not already)


async def test_requests_are_counted_by_route_and_code(api: Api, client: KubeClient, namespace: str) -> None:
    await sleeping(client, "a", namespace)
    reader = await api.caller("reader", namespace, [READ])
    await reader("GET", f"/runtimes/{namespace}/a")
    await reader("POST", f"/runtimes/{namespace}/a/suspend")
    await reader("GET", f"/runtimes?namespace={namespace}&labelSelector=!!")
    await reader("GET", "/runtimes/a/b/c/d")
    page = await api.metrics()
    one = "/api/v1/runtimes/{namespace}/{name}"
    for code, route in ((200, one), (403, f"{one}/suspend"), (400, "/api/v1/runtimes")):
        assert f'xtrinode_api_request_duration_seconds_count{{code="{code}",route="{route}"}} 1.0' in page
    assert 'code="404",route="none"' in page
    assert "/a/b/c/d" not in page


async def test_runtime_that_is_as_asked_is_left_alone(api: Api, client: KubeClient, namespace: str) -> None:
    await sleeping(client, "a", namespace)
    caller = await api.caller("caller", namespace, [SLEEP])
    before = (await client.get(XTRINODES, "a", namespace))["metadata"]["resourceVersion"]
    status, body = await caller("POST", f"/runtimes/{namespace}/a/suspend")
    assert (status, body["triggered"]) == (200, False)
    assert (await client.get(XTRINODES, "a", namespace))["metadata"]["resourceVersion"] == before


async def test_group_is_woken_by_its_smallest_member(api: Api, client: KubeClient, namespace: str) -> None:
    await sleeping(client, "one", namespace, routing={"routingGroup": "pool"})
    await sleeping(client, "two", namespace, routing={"routingGroup": "pool"})
    waker = await api.caller("waker", namespace, [WAKE])
    status, body = await waker("POST", "/resume", {"candidate": {"namespace": namespace, "name": "two"}})
    assert (status, body["name"]) == (202, "two")
    assert (await waker("POST", "/resume", {"routingGroup": "nobody-has-this"}))[0] == 404


@pytest.mark.parametrize(
    ("method", "path", "body", "status"),
    [
        ("GET", "/nothing", None, 404),
        ("DELETE", "/runtimes/x/y/resume", None, 405),
        ("POST", "/resume", {}, 400),
        ("POST", "/runtimes/x/y/resume", {"typo": 1}, 400),
        ("GET", "/runtimes/default/absent", None, 404),
        ("GET", "/runtimes/default/UPPER", None, 400),
        ("POST", "/resume", {"candidate": {"namespace": "..", "name": "a"}}, 400),
        ("GET", "/runtimes?labelSelector=!!", None, 400),
    ],
)
async def test_what_cannot_be_done_is_said_with_a_code(
    api: Api, namespace: str, method: str, path: str, body: Any, status: int
) -> None:
    caller = await api.caller("all", namespace, [READ, WAKE, SLEEP])
    found, answer = await caller(method, path, body)
    assert found == status
    assert answer["code"]
    assert answer["error"]


async def test_list_and_status_tell_what_there_is(api: Api, client: KubeClient, namespace: str) -> None:
    await sleeping(client, "a", namespace)
    reader = await api.caller("reader", namespace, [READ])
    status, listed = await reader("GET", f"/runtimes?namespace={namespace}")
    assert (status, [one["metadata"]["name"] for one in listed["items"]]) == (200, ["a"])
    assert (await reader("GET", f"/runtimes/{namespace}/a/status"))[1]["phase"] == "Pending"
