"""Membership, states and the documents of a node; passwords and forwarding on real requests."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from sandbox.trino.health import is_healthy
from sandbox.trino.server import ServerOptions, TrinoServer
from tests.support.trino_standin import standin

ANYBODY_MAY = {"access-control.properties": b"access-control.name=allow-all\n"}
FAST = ServerOptions(announce_seconds=0.05)


async def call(method: str, url: str, data: str | None = None, **headers: str) -> tuple[int, Any]:
    named = {"X-Trino-User": "ops", **{key.replace("_", "-"): value for key, value in headers.items()}}
    async with (
        aiohttp.ClientSession() as session,
        session.request(method, url, data=data, headers=named, allow_redirects=False) as response,
    ):
        text = await response.text()
        try:
            return response.status, json.loads(text)
        except ValueError:
            return response.status, text


async def until(condition: Callable[[], Any]) -> None:
    async with asyncio.timeout(10):
        while not condition():
            await asyncio.sleep(0.01)


@pytest.fixture
async def coordinator() -> AsyncIterator[TrinoServer]:
    async with standin({"node-scheduler.include-coordinator": "false"}) as running:
        yield running


def worker(coordinator: TrinoServer, **config: str) -> Any:
    return standin(
        {"discovery.uri": coordinator.url, "shutdown.grace-period": "50ms", **config},
        coordinator=False,
        options=FAST,
        files=ANYBODY_MAY,
    )


def states(coordinator: TrinoServer) -> list[str]:
    assert coordinator.context is not None
    return [node.state.value for node in coordinator.context.require_inventory().nodes()[1:]]


async def test_a_coordinator_describes_itself(coordinator: TrinoServer) -> None:
    status, info = await call("GET", f"{coordinator.url}/v1/info")
    assert status == 200
    assert info["nodeVersion"] == {"version": "480"}
    assert (info["coordinator"], info["starting"], info["environment"], info["state"]) == (
        True,
        False,
        "test",
        "ACTIVE",
    )
    assert len(info["coordinatorId"]) == 5
    assert info["nodeId"] == coordinator.node_id
    assert info["uptime"][-1] in "smh"
    assert (await call("GET", f"{coordinator.url}/v1/info/state")) == (200, "ACTIVE")
    assert (await call("GET", f"{coordinator.url}/v1/info/coordinator"))[0] == 200
    node = (await call("GET", f"{coordinator.url}/v1/status"))[1]
    assert node["nodeId"] == coordinator.node_id
    assert (await call("GET", f"{coordinator.url}/v1/node"))[0] == 404


async def test_a_worker_joins_and_leaves(coordinator: TrinoServer) -> None:
    async with worker(coordinator) as node:
        await until(lambda: states(coordinator) == ["ACTIVE"])
        info = (await call("GET", f"{node.url}/v1/info"))[1]
        assert info["coordinator"] is False
        assert "coordinatorId" not in info
        assert (await call("GET", f"{node.url}/v1/info/coordinator"))[0] == 404
        assert (await call("POST", f"{node.url}/v1/statement", "SELECT 1"))[0] == 404
        assert (await call("GET", f"{node.url}/v1/query"))[0] == 404
    assert states(coordinator) == []


async def test_a_worker_shuts_down_in_two_grace_periods(coordinator: TrinoServer) -> None:
    async with worker(coordinator) as node:
        await until(lambda: states(coordinator) == ["ACTIVE"])
        status, _ = await call("PUT", f"{node.url}/v1/info/state", '"SHUTTING_DOWN"', Content_Type="application/json")
        assert status == 200
        assert (await call("GET", f"{node.url}/v1/info/state")) == (200, "SHUTTING_DOWN")
        await until(lambda: states(coordinator) == ["SHUTTING_DOWN"])
        assert (await call("PUT", f"{node.url}/v1/info/state", '"ACTIVE"'))[0] == 400
        async with asyncio.timeout(5):
            await node.stopped.wait()


async def test_draining_can_be_taken_back(coordinator: TrinoServer) -> None:
    async with worker(coordinator) as node:
        url = f"{node.url}/v1/info/state"
        assert (await call("PUT", url, '"DRAINING"'))[0] == 200
        await until(lambda: states(coordinator) == ["DRAINED"])
        assert (await call("PUT", url, '"ACTIVE"'))[0] == 200
        await until(lambda: states(coordinator) == ["ACTIVE"])
        assert (await call("PUT", url, '"DRAINED"'))[0] == 400
        assert (await call("PUT", url, '"NAPPING"'))[0] == 400
        assert (await call("PUT", url, "SHUTTING_DOWN"))[0] == 400
        assert not node.stopped.is_set()


async def test_a_coordinator_refuses_to_shut_down() -> None:
    async with standin(files=ANYBODY_MAY) as running:
        status, text = await call("PUT", f"{running.url}/v1/info/state", '"SHUTTING_DOWN"')
        assert (status, text) == (400, "Error 400 Bad Request: Cannot shutdown coordinator")


async def test_changing_a_state_needs_the_right_to_write_system_information(tmp_path: Path) -> None:
    rules = tmp_path / "rules.json"
    rules.write_text('{"system_information": [{"user": "admin", "allow": ["read", "write"]}]}')
    by_file = {"access-control.properties": f"access-control.name=file\nsecurity.config-file={rules}\n".encode()}
    for files, user, expected in (({}, "ops", 403), (by_file, "ops", 403), (by_file, "admin", 200)):
        async with standin(coordinator=False, files=files, catalogs={}) as node:
            url = f"{node.url}/v1/info/state"
            assert (await call("PUT", url, '"DRAINING"', X_Trino_User=user))[0] == expected


async def test_nodes_with_another_secret_or_environment_stay_out() -> None:
    async with standin({"internal-communication.shared-secret": "right"}) as running:
        async with worker(running, **{"internal-communication.shared-secret": "right"}):
            await until(lambda: states(running) == ["ACTIVE"])
        async with worker(running, **{"internal-communication.shared-secret": "wrong"}):
            url = f"{running.url}/v1/announcement/x"
            assert (await call("PUT", url, "{}"))[0] == 401
            assert states(running) == []


async def test_malformed_announcements_are_refused(coordinator: TrinoServer) -> None:
    url = f"{coordinator.url}/v1/announcement/n1"
    for body in ("", "[]", "{}", '{"services": []}', '{"services": [{"properties": {}}]}', "\x00"):
        assert (await call("PUT", url, body))[0] == 400
    good = {"environment": "other", "services": [{"properties": {"http": "http://x", "node_version": "480"}}]}
    assert (await call("PUT", url, json.dumps(good)))[0] == 400
    assert states(coordinator) == []


async def test_the_health_check_sees_the_start() -> None:
    async with standin(options=ServerOptions(startup_seconds=60), wait=False) as running:
        assert not await asyncio.to_thread(is_healthy, running.url)
    async with standin() as running:
        assert await asyncio.to_thread(is_healthy, running.url)
        url = running.url
    assert not await asyncio.to_thread(is_healthy, url)


async def test_metrics_are_open_metrics(coordinator: TrinoServer) -> None:
    _, text = await call("GET", f"{coordinator.url}/metrics")
    assert text.endswith("# EOF\n")
    assert "trino_execution_name_QueryManager_RunningQueries 0" in text
    assert "trino_execution_name_QueryManager_StartedQueries_TotalCount_total 0" in text


async def test_the_links_of_a_query_lead_to_its_page(coordinator: TrinoServer) -> None:
    jar = aiohttp.CookieJar(unsafe=True)
    async with aiohttp.ClientSession(cookie_jar=jar, headers={"X-Trino-User": "ops"}) as session:
        async with session.post(f"{coordinator.url}/v1/statement", data="SELECT '<b>'") as response:
            document = await response.json()
        async with session.get(document["nextUri"] + "?maxWait=1ms"):
            pass
        async with session.get(document["infoUri"], allow_redirects=False) as response:
            assert response.status == 303
            assert response.headers["Location"] == f"{coordinator.url}/ui/login.html?/ui/query.html?{document['id']}"
        async with session.get(f"{coordinator.url}/ui/api/stats") as response:
            assert response.status == 401
        async with session.post(f"{coordinator.url}/ui/login", data={"username": "ops", "password": ""}) as response:
            assert response.status == 200
            assert document["id"] in await response.text()
        async with session.get(document["infoUri"]) as response:
            page = await response.text()
            assert document["id"] in page
            assert "<b>" not in page
        async with session.get(f"{coordinator.url}/ui/api/stats") as response:
            found = await response.json()
            assert (found["queuedQueries"], found["activeWorkers"]) == (1, 0)


async def test_queries_are_listed_and_killed(coordinator: TrinoServer) -> None:
    _, document = await call("POST", f"{coordinator.url}/v1/statement", "SELECT 1", X_Trino_Source="dbt")
    await call("GET", document["nextUri"] + "?maxWait=1ms")
    url = f"{coordinator.url}/v1/query"
    _, listed = await call("GET", url)
    assert [(item["queryId"], item["state"], item["session"]["source"]) for item in listed] == [
        (document["id"], "WAITING_FOR_RESOURCES", "dbt")
    ]
    assert (await call("GET", f"{url}?state=running"))[1] == []
    assert (await call("GET", f"{url}?state=nope"))[0] == 400
    assert (await call("PUT", f"{url}/{document['id']}/killed", "enough"))[0] == 202
    assert (await call("PUT", f"{url}/{document['id']}/killed", "enough"))[0] == 409
    _, details = await call("GET", f"{url}/{document['id']}")
    assert details["failureInfo"]["message"] == "Query killed. Message: enough"
    assert (await call("GET", f"{url}/20200101_000000_00000_aaaaa"))[0] == 410


async def test_a_hosts_file_leads_the_worker_to_the_coordinator(coordinator: TrinoServer, tmp_path: Path) -> None:
    hosts = tmp_path / "hosts"
    hosts.write_text("127.0.0.9 elsewhere\n")
    options = ServerOptions(announce_seconds=0.05, hosts_file=hosts, namespace="team-a")
    config = {"discovery.uri": f"http://trino-a:{coordinator.port}"}
    async with standin(config, coordinator=False, catalogs={}, options=options):
        await asyncio.sleep(0.1)
        assert states(coordinator) == []
        hosts.write_text("127.0.0.1 trino-a.team-a.svc.cluster.local\n")
        await until(lambda: states(coordinator) == ["ACTIVE"])
