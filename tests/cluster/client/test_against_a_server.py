"""The client against API servers that mean it: verbs and errors, apply, informers, leases, events.

The same tests for the sandbox's server and for kube-apiserver: where they differ, the sandbox is wrong.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import aclosing, asynccontextmanager
from typing import Any

import pytest

from crds.client import (
    AlreadyExists,
    ApiError,
    BadRequest,
    Conflict,
    EventRecorder,
    Forbidden,
    Gone,
    Impersonation,
    Informer,
    Invalid,
    KubeClient,
    LeaderElector,
    NotFound,
    Timing,
    by_label,
    release,
    try_acquire,
)
from crds.client.resources import (
    CONFIG_MAPS,
    CORE_EVENTS,
    DEPLOYMENTS,
    EVENTS,
    LEASES,
    SECRETS,
    SELF_SUBJECT_ACCESS_REVIEWS,
)
from tests.support.clusters import HISTORY, Cluster


def config_map(namespace: str, name: str, data: dict[str, str] | None = None, **metadata: Any) -> dict[str, Any]:
    return {"metadata": {"name": name, "namespace": namespace, **metadata}, "data": data or {}}


def deployment(namespace: str, image: str = "one", **spec: Any) -> dict[str, Any]:
    labels = {"app": "d"}
    containers = [{"name": "main", "image": image}, {"name": "side", "image": "side"}]
    return {
        "metadata": {"name": "d", "namespace": namespace},
        "spec": {
            "selector": {"matchLabels": labels},
            "template": {"metadata": {"labels": labels}, "spec": {"containers": containers}},
            **spec,
        },
    }


class Changes:
    """What an informer told, awaitable by predicate."""

    def __init__(self) -> None:
        self.told: list[tuple[str, str]] = []
        self._news = asyncio.Event()

    def __call__(self, event: str, old: dict[str, Any] | None, new: dict[str, Any] | None) -> None:
        about = new or old
        assert about is not None
        self.told.append((event, about["metadata"]["name"]))
        self._news.set()

    async def until(self, *expected: tuple[str, str]) -> None:
        async with asyncio.timeout(20):
            while not set(expected) <= set(self.told):
                self._news.clear()
                await self._news.wait()


@asynccontextmanager
async def running(informer: Informer) -> AsyncIterator[Informer]:
    task = asyncio.create_task(informer.run())
    try:
        await asyncio.wait_for(informer.synced.wait(), 20)
        yield informer
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


# Verbs and errors


async def test_the_life_of_an_object(client: KubeClient, namespace: str) -> None:
    made = await client.create(CONFIG_MAPS, config_map(namespace, "a", {"k": "1"}))
    read = await client.get(CONFIG_MAPS, "a", namespace)
    assert read["data"] == {"k": "1"}
    assert read["metadata"]["uid"] == made["metadata"]["uid"]
    changed = await client.replace(CONFIG_MAPS, {**read, "data": {"k": "2"}})
    assert changed["metadata"]["resourceVersion"] != read["metadata"]["resourceVersion"]
    await client.delete(CONFIG_MAPS, "a", namespace)
    with pytest.raises(NotFound):
        await client.get(CONFIG_MAPS, "a", namespace)


async def test_a_taken_name(client: KubeClient, namespace: str) -> None:
    await client.create(CONFIG_MAPS, config_map(namespace, "a"))
    with pytest.raises(AlreadyExists) as error:
        await client.create(CONFIG_MAPS, config_map(namespace, "a"))
    assert error.value.details["name"] == "a"


async def test_a_generated_name(client: KubeClient, namespace: str) -> None:
    wanted = {"metadata": {"generateName": "g-", "namespace": namespace}}
    names = {(await client.create(CONFIG_MAPS, wanted))["metadata"]["name"] for _ in range(3)}
    assert len(names) == 3
    assert all(name.startswith("g-") for name in names)


async def test_a_stale_put(client: KubeClient, namespace: str) -> None:
    made = await client.create(CONFIG_MAPS, config_map(namespace, "a"))
    await client.patch(CONFIG_MAPS, "a", namespace, {"data": {"k": "1"}})
    with pytest.raises(Conflict):
        await client.replace(CONFIG_MAPS, {**made, "data": {"k": "2"}})


async def test_a_merge_patch_for_one_version_only(client: KubeClient, namespace: str) -> None:
    made = await client.create(CONFIG_MAPS, config_map(namespace, "a"))
    version = made["metadata"]["resourceVersion"]
    await client.patch(CONFIG_MAPS, "a", namespace, {"data": {"k": "1"}, "metadata": {"resourceVersion": version}})
    with pytest.raises(Conflict):
        await client.patch(CONFIG_MAPS, "a", namespace, {"data": {"k": "2"}, "metadata": {"resourceVersion": version}})


async def test_a_delete_of_another_uid(client: KubeClient, namespace: str) -> None:
    await client.create(CONFIG_MAPS, config_map(namespace, "a"))
    with pytest.raises(Conflict):
        await client.delete(CONFIG_MAPS, "a", namespace, uid="11111111-2222-3333-4444-555555555555")
    await client.get(CONFIG_MAPS, "a", namespace)


async def test_an_invalid_object_names_its_fields(client: KubeClient, namespace: str) -> None:
    with pytest.raises(Invalid) as error:
        await client.create(CONFIG_MAPS, config_map(namespace, "No_Name"))
    assert [cause["field"] for cause in error.value.causes] == ["metadata.name"]


async def test_a_json_patch_whose_test_fails(client: KubeClient, namespace: str) -> None:
    await client.create(CONFIG_MAPS, config_map(namespace, "a", {"k": "1"}))
    operations = [{"op": "test", "path": "/data/k", "value": "0"}, {"op": "remove", "path": "/data/k"}]
    with pytest.raises((Invalid, BadRequest)):
        await client.patch(CONFIG_MAPS, "a", namespace, operations, type="json")
    operations[0]["value"] = "1"
    patched = await client.patch(CONFIG_MAPS, "a", namespace, operations, type="json")
    assert "k" not in patched.get("data", {})


async def test_a_strategic_patch_merges_lists_by_key(client: KubeClient, namespace: str) -> None:
    await client.create(DEPLOYMENTS, deployment(namespace))
    patch = {"spec": {"template": {"spec": {"containers": [{"name": "main", "image": "two"}]}}}}
    patched = await client.patch(DEPLOYMENTS, "d", namespace, patch, type="strategic")
    images = {c["name"]: c["image"] for c in patched["spec"]["template"]["spec"]["containers"]}
    assert images == {"main": "two", "side": "side"}


async def test_status_is_apart(client: KubeClient, namespace: str) -> None:
    await client.create(DEPLOYMENTS, deployment(namespace))
    patch = {"spec": {"paused": True}, "status": {"replicas": 1}}
    patched = await client.patch(DEPLOYMENTS, "d", namespace, patch, subresource="status")
    assert patched["status"]["replicas"] == 1
    assert "paused" not in patched["spec"]


async def test_someone_else_is_forbidden(client: KubeClient, namespace: str) -> None:
    async with client.clone(impersonate=Impersonation("eve", ("nobodies",))) as eve:
        with pytest.raises(Forbidden):
            await eve.list_(SECRETS, namespace)
        attributes = {"namespace": namespace, "verb": "list", "resource": "secrets"}
        review = {"spec": {"resourceAttributes": attributes}}
        answer = await eve.create(SELF_SUBJECT_ACCESS_REVIEWS, review, idempotent=True)
        assert not answer["status"]["allowed"]


async def test_lists_in_pages_and_with_selectors(client: KubeClient, namespace: str) -> None:
    for number in range(7):
        labels = {"half": str(number % 2)}
        await client.create(CONFIG_MAPS, config_map(namespace, f"m{number}", labels=labels))
    everything = await client.list_(CONFIG_MAPS, namespace, page=2)
    ours = [item["metadata"]["name"] for item in everything.items if item["metadata"]["name"].startswith("m")]
    assert ours == [f"m{number}" for number in range(7)]
    assert everything.items[0]["kind"] == "ConfigMap"
    half = await client.list_(CONFIG_MAPS, namespace, label_selector="half=1", page=2)
    assert len(half.items) == 3
    one = await client.list_(CONFIG_MAPS, namespace, field_selector="metadata.name=m3")
    assert [item["metadata"]["name"] for item in one.items] == ["m3"]


# Server-side apply


async def test_apply_owns_and_gives_up_fields(client: KubeClient, namespace: str) -> None:
    await client.apply(CONFIG_MAPS, config_map(namespace, "a", {"k": "1", "gone": "x"}), manager="one")
    await client.apply(CONFIG_MAPS, config_map(namespace, "a", {"other": "2"}), manager="two")
    applied = await client.apply(CONFIG_MAPS, config_map(namespace, "a", {"k": "1"}), manager="one")
    assert applied["data"] == {"k": "1", "other": "2"}


async def test_apply_again_changes_nothing(client: KubeClient, namespace: str) -> None:
    # Not of a Deployment: on the real server its controller writes in between.
    first = await client.apply(CONFIG_MAPS, config_map(namespace, "again", {"k": "1"}), manager="one")
    again = await client.apply(CONFIG_MAPS, config_map(namespace, "again", {"k": "1"}), manager="one")
    assert again["metadata"]["resourceVersion"] == first["metadata"]["resourceVersion"]


async def test_a_conflict_names_the_other_manager_and_force_wins(client: KubeClient, namespace: str) -> None:
    await client.apply(CONFIG_MAPS, config_map(namespace, "a", {"k": "1"}), manager="one")
    with pytest.raises(Conflict) as error:
        await client.apply(CONFIG_MAPS, config_map(namespace, "a", {"k": "2"}), manager="two")
    (cause,) = error.value.causes
    assert cause["field"] == ".data.k"
    assert '"one"' in cause["message"]
    forced = await client.apply(CONFIG_MAPS, config_map(namespace, "a", {"k": "2"}), manager="two", force=True)
    assert forced["data"] == {"k": "2"}


async def test_apply_refuses_unknown_fields(client: KubeClient, namespace: str) -> None:
    with pytest.raises(ApiError) as error:
        await client.apply(DEPLOYMENTS, deployment(namespace, replcas=1), manager="one")
    assert error.value.status in (400, 422, 500)
    assert "replcas" in str(error.value)


async def test_a_dry_run_makes_nothing(client: KubeClient, namespace: str) -> None:
    await client.apply(CONFIG_MAPS, config_map(namespace, "a"), manager="one", dry_run=True)
    with pytest.raises(NotFound):
        await client.get(CONFIG_MAPS, "a", namespace)


async def test_what_was_read_can_be_applied(client: KubeClient, namespace: str) -> None:
    """No resourceVersion, managedFields or timestamps of a live object may reach the server."""
    await client.apply(CONFIG_MAPS, config_map(namespace, "a", {"k": "1"}), manager="one")
    live = await client.get(CONFIG_MAPS, "a", namespace)
    await client.apply(CONFIG_MAPS, {**live, "data": {"k": "2"}}, manager="one")
    assert (await client.get(CONFIG_MAPS, "a", namespace))["data"] == {"k": "2"}


# Informers


async def test_an_informer_follows(client: KubeClient, namespace: str) -> None:
    await client.create(CONFIG_MAPS, config_map(namespace, "a", labels={"app": "x"}))
    changes = Changes()
    informer = Informer(
        client,
        CONFIG_MAPS,
        namespace,
        indexers={"app": by_label("app")},
        on_change=changes,
        field_selector="metadata.name!=kube-root-ca.crt",
        page=1,
    )
    async with running(informer):
        await client.create(CONFIG_MAPS, config_map(namespace, "b", labels={"app": "x"}))
        await client.patch(CONFIG_MAPS, "a", namespace, {"metadata": {"labels": {"app": "y"}}})
        await changes.until(("ADDED", "a"), ("ADDED", "b"), ("MODIFIED", "a"))
        assert [item["metadata"]["name"] for item in informer.by_index("app", "x")] == ["b"]
        await client.delete(CONFIG_MAPS, "a", namespace)
        await changes.until(("DELETED", "a"))
        assert informer.get(namespace, "a") is None
        assert all("managedFields" not in item["metadata"] for item in informer.items())


async def test_leaving_a_selector_is_a_deletion(client: KubeClient, namespace: str) -> None:
    changes = Changes()
    async with running(Informer(client, CONFIG_MAPS, namespace, "app=x", on_change=changes)) as informer:
        await client.create(CONFIG_MAPS, config_map(namespace, "a", labels={"app": "x"}))
        await changes.until(("ADDED", "a"))
        await client.patch(CONFIG_MAPS, "a", namespace, {"metadata": {"labels": {"app": "y"}}})
        await changes.until(("DELETED", "a"))
        assert len(informer) == 0


async def test_a_watch_resumes_without_repeating(client: KubeClient, namespace: str) -> None:
    listed = await client.list_(CONFIG_MAPS, namespace, "mine=1")
    await client.create(CONFIG_MAPS, config_map(namespace, "a", labels={"mine": "1"}))
    first = client.watch(CONFIG_MAPS, namespace, resource_version=listed.resource_version, label_selector="mine=1")
    async with aclosing(first) as events:
        version = (await anext(events)).resource_version
    await client.create(CONFIG_MAPS, config_map(namespace, "b", labels={"mine": "1"}))
    second = client.watch(CONFIG_MAPS, namespace, resource_version=version, label_selector="mine=1")
    async with aclosing(second) as events:
        assert (await anext(events)).object["metadata"]["name"] == "b"


async def test_a_server_ends_a_watch_when_asked(client: KubeClient, namespace: str) -> None:
    listed = await client.list_(CONFIG_MAPS, namespace)
    watch = client.watch(CONFIG_MAPS, namespace, resource_version=listed.resource_version, timeout_seconds=1)
    async with asyncio.timeout(10):
        async for event in watch:
            assert event.type in ("BOOKMARK", "ADDED")


async def test_a_forgotten_version_is_gone_and_an_informer_recovers(
    client: KubeClient, cluster: Cluster, namespace: str
) -> None:
    await client.create(CONFIG_MAPS, config_map(namespace, "churn"))
    for number in range(HISTORY + 10 if cluster.control_plane is None else 2):
        await client.patch(CONFIG_MAPS, "churn", namespace, {"data": {"n": str(number)}})
    if cluster.control_plane is not None:
        # Its watch cache remembers more than etcd does, until it starts anew.
        cluster.control_plane.compact()
        await asyncio.to_thread(cluster.control_plane.kill, "kube-apiserver")
        await asyncio.to_thread(cluster.control_plane.start, "kube-apiserver")
    with pytest.raises(Gone):
        async with aclosing(client.watch(CONFIG_MAPS, namespace, resource_version="1")) as events:
            await anext(events)
    changes = Changes()
    informer = Informer(client, CONFIG_MAPS, namespace, "mine=1", on_change=changes, sleep=lambda _: asyncio.sleep(0))
    informer._version = "1"  # as after a long time away
    await client.create(CONFIG_MAPS, config_map(namespace, "a", labels={"mine": "1"}))
    async with running(informer):
        await changes.until(("ADDED", "a"))
        assert informer.connected


async def test_secrets_by_metadata(client: KubeClient, namespace: str) -> None:
    changes = Changes()
    async with running(Informer(client, SECRETS, namespace, metadata_only=True, on_change=changes)) as informer:
        secret = {"metadata": {"name": "s", "namespace": namespace}, "stringData": {"password": "hunter2"}}
        await client.create(SECRETS, secret)
        await changes.until(("ADDED", "s"))
        await client.patch(SECRETS, "s", namespace, {"stringData": {"password": "hunter3"}})
        await changes.until(("MODIFIED", "s"))
        held = informer.get(namespace, "s")
        assert held is not None
        assert set(held) == {"apiVersion", "kind", "metadata"}


# Leases


async def test_leadership_is_handed_over(client: KubeClient, namespace: str) -> None:
    timing = Timing(lease=3.0, renew=2.0, retry=0.1)
    first = LeaderElector(client, "lead", namespace, "one", timing=timing)
    second = LeaderElector(client, "lead", namespace, "two", timing=timing)
    leading = asyncio.create_task(first.run())
    await asyncio.wait_for(first.acquired.wait(), 20)
    waiting = asyncio.create_task(second.run())
    lease = await client.get(LEASES, "lead", namespace)
    assert lease["spec"]["holderIdentity"] == "one"
    assert not second.acquired.is_set()
    leading.cancel()
    await asyncio.gather(leading, return_exceptions=True)
    await asyncio.wait_for(second.acquired.wait(), 20)
    assert second.is_leader
    assert not first.is_leader
    waiting.cancel()
    await asyncio.gather(waiting, return_exceptions=True)
    lease = await client.get(LEASES, "lead", namespace)
    assert lease["spec"]["holderIdentity"] == ""
    assert lease["spec"]["leaseTransitions"] >= 1


async def test_a_gate_lets_one_of_many_through(client: KubeClient, namespace: str) -> None:
    grants = await asyncio.gather(
        *(try_acquire(client, "gate", namespace, holder=f"r{n}", seconds=30, key="resume") for n in range(10))
    )
    winners = [grant for grant in grants if grant.acquired]
    assert len(winners) == 1
    assert {grant.outcome for grant in grants} == {"acquired", "same"}
    assert await release(client, winners[0])
    assert (await try_acquire(client, "gate", namespace, holder="next", seconds=30)).acquired


# Events


async def test_events_are_accepted_as_series_and_seen_by_core(client: KubeClient, namespace: str) -> None:
    about = await client.create(CONFIG_MAPS, config_map(namespace, "a"))
    events = EventRecorder(client, "xtrinode-controller", instance="test")
    task = asyncio.create_task(events.run())
    events.event(about, "Warning", "Crashing", "it fell")
    async with asyncio.timeout(20):
        while not events.written:
            await asyncio.sleep(0.01)
        events.event(about, "Warning", "Crashing", "it fell")
        while events.written < 2:
            assert not events.dropped
            await asyncio.sleep(0.01)
    await events.close()
    await task
    (posted,) = (await client.list_(EVENTS, namespace)).items
    assert posted["series"]["count"] == 2
    assert posted["regarding"]["uid"] == about["metadata"]["uid"]
    (seen,) = (await client.list_(CORE_EVENTS, namespace, field_selector="involvedObject.name=a")).items
    assert (seen["reason"], seen["message"], seen["type"]) == ("Crashing", "it fell", "Warning")
