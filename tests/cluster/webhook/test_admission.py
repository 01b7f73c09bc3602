"""The webhook as the API server meets it: over TLS with its own certificate, under its own account, fail closed."""

from __future__ import annotations

import asyncio
import contextlib
import gc
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest

from crds.client import ApiError, Forbidden, Impersonation, InternalError, Invalid, KubeClient, NotFound
from crds.client.resources import (
    MUTATING_WEBHOOKS,
    ROLE_BINDINGS,
    ROLES,
    SECRETS,
    VALIDATING_WEBHOOKS,
    XTRINODE_CATALOGS,
    XTRINODES,
)
from sandbox.install import SYSTEM_NAMESPACE, install
from tests.support.clusters import Cluster
from tests.support.control_plane import free_ports
from webhook.__main__ import serve
from webhook.config import Settings
from webhook.registration import MUTATING, VALIDATING

# The API server keeps its connections to a webhook open; a webhook that stops waits for no peer's TLS goodbye.
pytestmark = pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")

Object = dict[str, Any]


@pytest.fixture(autouse=True)
def collected() -> Iterator[None]:
    """What a peer's open connection leaves behind is collected here, where its warning is expected."""
    yield
    gc.collect()


@pytest.fixture
async def webhook(cluster: Cluster, client: KubeClient, tmp_path: Path) -> AsyncIterator[Running]:
    """The webhook, registered; unregistered again afterwards, so that other tests meet a cluster without it."""
    accounts = await install(client, tmp_path / "accounts", Path(cluster.kubeconfig))
    running = Running(client, str(accounts["webhook"]))
    await running.start()
    try:
        yield running
    finally:
        for resource, name in ((MUTATING_WEBHOOKS, MUTATING), (VALIDATING_WEBHOOKS, VALIDATING)):
            with contextlib.suppress(NotFound):
                await client.delete(resource, name)
        await running.stop()


class Running:
    """The webhook's own coroutine in this process, with its own kubeconfig."""

    def __init__(self, client: KubeClient, kubeconfig: str) -> None:
        self._client = client
        (port,) = free_ports(1)
        self._settings = Settings(kubeconfig=kubeconfig, address=f"127.0.0.1:{port}", url=f"https://127.0.0.1:{port}")
        self._task: asyncio.Task[int] | None = None
        self._stop = asyncio.Event()

    async def start(self) -> None:
        self._stop = asyncio.Event()
        self._task = asyncio.create_task(serve(self._settings, self._stop))
        async with asyncio.timeout(20):
            while not await self._asked():
                assert not self._task.done(), self._task.exception()
                await asyncio.sleep(0.05)

    async def stop(self) -> None:
        if self._task is not None:
            self._stop.set()
            assert await self._task == 0

    async def _asked(self) -> bool:
        """Whether the API server asks it: only the webhook mends a size in capitals."""
        try:
            await self._client.create(XTRINODES, runtime("probe", "default", spec={"size": "S"}), dry_run=True)
        except ApiError:
            return False
        return True


def runtime(name: str, namespace: str, **fields: Any) -> Object:
    spec = {"size": "s", "maxWorkers": 1}
    return {"metadata": {"name": name, "namespace": namespace}, "spec": spec, **fields}


async def test_defaults_are_written_down(webhook: Running, client: KubeClient, namespace: str) -> None:
    made = await client.create(XTRINODES, runtime("a", namespace, spec={"size": "M"}))
    assert made["spec"]["size"] == "m"
    assert made["spec"]["autoSuspendAfter"] == "5m"


async def test_selector_of_another_runtime_is_refused_with_its_field(
    webhook: Running, client: KubeClient, namespace: str
) -> None:
    host = f"{namespace}.example.com"
    await client.create(XTRINODES, runtime("first", namespace, spec={"size": "s", "routing": {"hostname": host}}))
    await asyncio.sleep(0.2)  # the webhook's informer hears of it
    with pytest.raises(Invalid) as refused:
        await client.create(XTRINODES, runtime("second", namespace, spec={"size": "s", "routing": {"hostname": host}}))
    assert "spec.routing.hostname" in refused.value.message
    assert "first" in refused.value.message


async def test_overlay_needs_its_permission_and_only_when_it_changes(
    cluster: Cluster, webhook: Running, client: KubeClient, namespace: str
) -> None:
    await grant(client, namespace, "editor", ["xtrinodes"], ["get", "create", "update", "patch"])
    alice = Impersonation("alice")
    overlay = {"size": "s", "valuesOverlay": {"commonLabels": {"team": "a"}}}
    async with await KubeClient.connect(cluster.kubeconfig, impersonate=alice) as as_alice:
        await settled(as_alice, namespace)
        with pytest.raises(Forbidden) as refused:
            await as_alice.create(XTRINODES, runtime("o", namespace, spec=overlay))
        assert "xtrinodes/valuesoverlay" in refused.value.message
        await client.create(XTRINODES, runtime("o", namespace, spec=overlay))
        suspended = await as_alice.patch(XTRINODES, "o", namespace, {"spec": {"suspended": True}})
        assert suspended["spec"]["suspended"] is True


async def test_naming_a_secret_needs_the_right_to_read_it(
    cluster: Cluster, webhook: Running, client: KubeClient, namespace: str
) -> None:
    await grant(client, namespace, "editor", ["xtrinodes"], ["get", "create", "update", "patch"])
    secret = {"passwordSecret": {"name": "control", "key": "password"}}
    async with await KubeClient.connect(cluster.kubeconfig, impersonate=Impersonation("alice")) as as_alice:
        await settled(as_alice, namespace)
        with pytest.raises(Forbidden) as refused:
            await as_alice.create(XTRINODES, runtime("s", namespace, spec={"size": "s", "trinoControlAuth": secret}))
    assert "spec.trinoControlAuth.passwordSecret" in refused.value.message


async def test_outage_refuses_new_runtimes_and_lets_old_ones_go(
    webhook: Running, client: KubeClient, namespace: str
) -> None:
    await client.create(XTRINODES, runtime("old", namespace))
    await webhook.stop()
    with pytest.raises((InternalError, ApiError)) as refused:
        await client.create(XTRINODES, runtime("new", namespace))
    assert "webhook" in refused.value.message
    await client.patch(XTRINODES, "old", namespace, {"status": {"workers": 1}}, subresource="status")
    await client.delete(XTRINODES, "old", namespace)
    await webhook.start()
    await client.create(XTRINODES, runtime("new", namespace))


async def test_certificate_outlives_the_process(webhook: Running, client: KubeClient) -> None:
    before = await client.get(SECRETS, "xtrinode-webhook-tls", SYSTEM_NAMESPACE)
    await webhook.stop()
    await webhook.start()
    after = await client.get(SECRETS, "xtrinode-webhook-tls", SYSTEM_NAMESPACE)
    assert after["data"] == before["data"]


async def grant(client: KubeClient, namespace: str, name: str, resources: list[str], verbs: list[str]) -> None:
    """Let alice do this in the namespace."""
    rule = {"apiGroups": ["analytics.xtrinode.io"], "resources": resources, "verbs": verbs}
    await client.create(ROLES, {"metadata": {"name": name, "namespace": namespace}, "rules": [rule]})
    await client.create(
        ROLE_BINDINGS,
        {
            "metadata": {"name": name, "namespace": namespace},
            "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": name},
            "subjects": [{"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": "alice"}],
        },
    )


async def settled(client: KubeClient, namespace: str) -> None:
    """Wait until the API server's authorizer knows the new role."""
    async with asyncio.timeout(10):
        while True:
            with contextlib.suppress(Forbidden):
                with contextlib.suppress(NotFound):
                    await client.get(XTRINODES, "nobody", namespace)
                return
            await asyncio.sleep(0.05)


@pytest.fixture
async def alice(cluster: Cluster, webhook: Running, client: KubeClient, namespace: str) -> AsyncIterator[KubeClient]:
    """An editor of runtimes and catalogs without any privilege."""
    resources = ["xtrinodes", "xtrinodes/scale", "xtrinodecatalogs"]
    await grant(client, namespace, "editor", resources, ["get", "create", "update", "patch"])
    async with await KubeClient.connect(cluster.kubeconfig, impersonate=Impersonation("alice")) as made:
        await settled(made, namespace)
        yield made


OVERLAY: Object = {"valuesOverlay": {"commonLabels": {"team": "a"}}}


async def test_no_kind_of_write_goes_round_a_privilege(alice: KubeClient, client: KubeClient, namespace: str) -> None:
    """Create, dry run, generated name, a name that is leaving, merge patch, JSON patch, apply: all are asked."""
    spec = {"size": "s", **OVERLAY}
    leaving = {"deletionTimestamp": "2026-01-01T00:00:00Z", "finalizers": ["example.com/f"]}
    for body in (
        runtime("o", namespace, spec=spec),
        {"metadata": {"generateName": "o-", "namespace": namespace}, "spec": spec},
        {"metadata": {"name": "o", "namespace": namespace, **leaving}, "spec": spec},
    ):
        for dry_run in (False, True):
            with pytest.raises(Forbidden):
                await alice.create(XTRINODES, body, dry_run=dry_run)
    await client.create(XTRINODES, runtime("plain", namespace))
    with pytest.raises(Forbidden):
        await alice.patch(XTRINODES, "plain", namespace, {"spec": OVERLAY})
    with pytest.raises(Forbidden):
        await alice.patch(
            XTRINODES, "plain", namespace, [{"op": "add", "path": "/spec/valuesOverlay", "value": {}}], type="json"
        )
    with pytest.raises(Forbidden):
        await alice.apply(XTRINODES, runtime("plain", namespace, spec=spec), manager="alice", force=True)
    assert "valuesOverlay" not in (await client.get(XTRINODES, "plain", namespace))["spec"]


async def test_scale_cannot_do_what_an_edit_may_not(alice: KubeClient, client: KubeClient, namespace: str) -> None:
    keda = {"enabled": True, "scalerType": "prometheus"}
    await client.create(XTRINODES, runtime("k", namespace, spec={"size": "s", "maxWorkers": 3, "keda": keda}))
    await alice.patch(XTRINODES, "k", namespace, {"spec": {"replicas": 4}}, subresource="scale")
    for replicas in (0, 501):
        with pytest.raises(Invalid):
            await alice.patch(XTRINODES, "k", namespace, {"spec": {"replicas": replicas}}, subresource="scale")
    assert (await client.get(XTRINODES, "k", namespace))["spec"]["maxWorkers"] == 4


async def test_password_cannot_be_sent_elsewhere(alice: KubeClient, client: KubeClient, namespace: str) -> None:
    block = {
        "connectionURL": "jdbc:postgresql://db:5432/sales",
        "connectionUser": "trino",
        "connectionPasswordSecret": {"name": "sales-db", "key": "password"},
    }
    catalog = {"metadata": {"name": "sales", "namespace": namespace}, "spec": {"connector": {"postgres": block}}}
    await client.create(XTRINODE_CATALOGS, catalog)
    elsewhere = {"spec": {"connector": {"postgres": {"connectionURL": "jdbc:postgresql://mine:5432/sales"}}}}
    with pytest.raises(Forbidden) as refused:
        await alice.patch(XTRINODE_CATALOGS, "sales", namespace, elsewhere)
    assert "connectionPasswordSecret" in refused.value.message
    await alice.patch(XTRINODE_CATALOGS, "sales", namespace, {"spec": {"labels": {"team": "a"}}})


async def test_bottomless_object_is_refused_in_words(alice: KubeClient, namespace: str) -> None:
    deep: Object = {}
    for _ in range(100):
        deep = {"a": deep}
    with pytest.raises(Invalid) as refused:
        await alice.create(XTRINODES, runtime("d", namespace, spec={"size": "s", "valuesOverlay": deep}))
    assert "nested" in refused.value.message
