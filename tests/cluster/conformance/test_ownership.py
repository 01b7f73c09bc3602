"""Garbage collection and the life of namespaces: who goes when whom is gone."""

from __future__ import annotations

from typing import Any

import pytest

from crds.client import Forbidden, KubeClient, NotFound
from crds.client.resources import CONFIG_MAPS, NAMESPACES, SECRETS, SERVICE_ACCOUNTS, Resource
from tests.cluster.conformance.conftest import config_map, gone, until, widget

Object = dict[str, Any]


def owned_by(*owners: Object, blocks: bool = True) -> list[Object]:
    return [
        {
            "apiVersion": owner["apiVersion"],
            "kind": owner["kind"],
            "name": owner["metadata"]["name"],
            "uid": owner["metadata"]["uid"],
            "blockOwnerDeletion": blocks,
        }
        for owner in owners
    ]


async def child(client: KubeClient, namespace: str, name: str, *owners: Object, **metadata: Any) -> Object:
    return await client.create(CONFIG_MAPS, config_map(name, ownerReferences=owned_by(*owners), **metadata), namespace)


async def test_dependents_follow_in_the_background(client: KubeClient, namespace: str, widgets: Resource) -> None:
    owner = await client.create(widgets, widget(), namespace)
    first = await child(client, namespace, "first", owner)
    await child(client, namespace, "second", first)
    await child(client, namespace, "bystander")
    await client.delete(widgets, "w", namespace, propagation="Background")
    await gone(client, CONFIG_MAPS, "first", namespace)
    await gone(client, CONFIG_MAPS, "second", namespace)
    await client.get(CONFIG_MAPS, "bystander", namespace)


async def test_an_owner_must_have_the_same_uid(client: KubeClient, namespace: str, widgets: Resource) -> None:
    owner = await client.create(widgets, widget(), namespace)
    stale = {**owner, "metadata": {**owner["metadata"], "uid": "00000000-0000-0000-0000-000000000000"}}
    await child(client, namespace, "c", stale)
    await gone(client, CONFIG_MAPS, "c", namespace)
    await client.get(widgets, "w", namespace)


async def test_one_owner_is_enough_to_stay(client: KubeClient, namespace: str, widgets: Resource) -> None:
    first = await client.create(widgets, widget("a"), namespace)
    second = await client.create(widgets, widget("b"), namespace)
    await child(client, namespace, "c", first, second)
    await client.delete(widgets, "a", namespace)

    async def forgotten() -> bool:
        references = (await client.get(CONFIG_MAPS, "c", namespace))["metadata"]["ownerReferences"]
        return [each["name"] for each in references] == ["b"]

    await until(forgotten)


async def test_the_foreground_waits_for_dependents(client: KubeClient, namespace: str, widgets: Resource) -> None:
    owner = await client.create(widgets, widget(), namespace)
    await child(client, namespace, "c", owner, finalizers=["test.io/wait"])
    await client.delete(widgets, "w", namespace, propagation="Foreground")

    async def marked() -> bool:
        return "deletionTimestamp" in (await client.get(CONFIG_MAPS, "c", namespace))["metadata"]

    await until(marked)
    held = await client.get(widgets, "w", namespace)
    assert held["metadata"]["finalizers"] == ["foregroundDeletion"]
    await client.patch(CONFIG_MAPS, "c", namespace, {"metadata": {"finalizers": None}})
    await gone(client, widgets, "w", namespace)
    await gone(client, CONFIG_MAPS, "c", namespace)


async def test_orphans_stay_without_their_reference(client: KubeClient, namespace: str, widgets: Resource) -> None:
    owner = await client.create(widgets, widget(), namespace)
    await child(client, namespace, "c", owner)
    await client.delete(widgets, "w", namespace, propagation="Orphan")
    await gone(client, widgets, "w", namespace)

    async def free() -> bool:
        return "ownerReferences" not in (await client.get(CONFIG_MAPS, "c", namespace))["metadata"]

    await until(free)


class TestNamespaces:
    async def test_each_has_an_account_and_the_authority(self, client: KubeClient, namespace: str) -> None:
        await until(lambda: client.get(SERVICE_ACCOUNTS, "default", namespace))
        config = await until(lambda: client.get(CONFIG_MAPS, "kube-root-ca.crt", namespace))
        assert config["data"]["ca.crt"].startswith("-----BEGIN CERTIFICATE-----")
        stored = await client.get(NAMESPACES, namespace)
        assert stored["metadata"]["labels"]["kubernetes.io/metadata.name"] == namespace
        assert stored["status"]["phase"] == "Active" and stored["spec"]["finalizers"] == ["kubernetes"]

    async def test_deleting_one_deletes_what_is_in_it(
        self, client: KubeClient, namespace: str, widgets: Resource
    ) -> None:
        await client.create(CONFIG_MAPS, config_map(), namespace)
        await client.create(SECRETS, {"metadata": {"name": "s"}}, namespace)
        await client.create(widgets, widget(), namespace)
        await client.delete(NAMESPACES, namespace)
        await gone(client, NAMESPACES, namespace)
        with pytest.raises(NotFound):
            await client.get(CONFIG_MAPS, "c", namespace)
        assert (await client.list_(widgets, namespace)).items == []

    async def test_it_waits_for_finalizers_says_so_and_takes_nothing_new(
        self, client: KubeClient, namespace: str, widgets: Resource
    ) -> None:
        body = widget()
        body["metadata"]["finalizers"] = ["test.io/wait"]
        await client.create(widgets, body, namespace)
        await client.delete(NAMESPACES, namespace)

        async def said() -> bool:
            conditions = (await client.get(NAMESPACES, namespace))["status"].get("conditions") or []
            return any("test.io/wait in 1 resource instances" in each["message"] for each in conditions)

        await until(said)
        assert (await client.get(NAMESPACES, namespace))["status"]["phase"] == "Terminating"
        with pytest.raises(Forbidden) as refused:
            await client.create(CONFIG_MAPS, config_map("late"), namespace)
        assert "because it is being terminated" in refused.value.message
        assert [cause["reason"] for cause in refused.value.causes] == ["NamespaceTerminating"]
        await client.patch(widgets, "w", namespace, {"metadata": {"finalizers": None}})
        await gone(client, NAMESPACES, namespace)

    async def test_the_default_one_cannot_go(self, client: KubeClient) -> None:
        with pytest.raises(Forbidden):
            await client.delete(NAMESPACES, "default")
