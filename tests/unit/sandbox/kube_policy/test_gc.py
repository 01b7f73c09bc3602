"""Objects follow their owners, namespaces empty themselves, and what every namespace has comes back."""

import asyncio
from datetime import UTC, datetime

import pytest

from sandbox.kube.admission import Admission
from sandbox.kube.bootstrap import bootstrap
from sandbox.kube.builtin import builtin_kinds
from sandbox.kube.crd_cleanup import CrdCleanup
from sandbox.kube.custom import CRDS, CustomResources
from sandbox.kube.errors import StatusError
from sandbox.kube.gc import GarbageCollector
from sandbox.kube.namespaces import Namespaces
from sandbox.kube.rbac import User
from sandbox.kube.resources import Registry
from sandbox.kube.store import Store
from sandbox.kube.verbs import Call, DeleteOptions, Verbs

USER = User("test", groups=("system:masters",))


class Cluster:
    def __init__(self):
        self.store = Store()
        self.registry = Registry()

        def clock():
            return datetime.now(UTC)

        self.custom = CustomResources(self.registry, clock)
        self.registry.add(builtin_kinds(self.store, self.custom.prepare))
        self.verbs = Verbs(self.store, clock, Admission(self.store))
        self.followers = [
            GarbageCollector(self.store, self.registry, self.verbs),
            Namespaces(self.store, self.registry, self.verbs, b"CA"),
            CrdCleanup(self.store, self.registry, self.verbs),
        ]

    def call(self, plural, verb, name="", namespace="ns", group=""):
        kind = self.registry.by_resource(group, plural)
        return Call(kind=kind, verb=verb, user=USER, name=name, namespace=namespace if kind.namespaced else "")

    async def create(self, name, *owners, plural="configmaps", finalizers=(), namespace="ns", blocks=True):
        references = [
            {
                "apiVersion": "v1",
                "kind": owner["kind"],
                "name": owner["metadata"]["name"],
                "uid": owner["metadata"]["uid"],
                "blockOwnerDeletion": blocks,
            }
            for owner in owners
        ]
        metadata = {"name": name, "ownerReferences": references, "finalizers": list(finalizers)}
        return await self.verbs.create(self.call(plural, "create", namespace=namespace), {"metadata": metadata})

    async def delete(self, name, plural="configmaps", propagation="", namespace="ns"):
        call = self.call(plural, "delete", name, namespace)
        await self.verbs.delete(call, DeleteOptions(propagation=propagation))

    async def unfinalize(self, name, plural="configmaps"):
        call = self.call(plural, "patch", name)
        await self.verbs.modify(call, lambda obj: {**obj, "metadata": {**obj["metadata"], "finalizers": []}})

    def get(self, name, plural="configmaps", namespace="ns"):
        kind = self.registry.by_resource("", plural)
        entry = self.store.get(kind.table, namespace if kind.namespaced else "", name)
        return entry.obj if entry else None

    async def until(self, condition):
        async with asyncio.timeout(5):
            with self.store.subscribe(None) as changes:
                while not condition():
                    await changes.wait()
                    changes.drain()

    async def settled(self):
        """Lets everything that is queued be worked on."""
        for _ in range(50):
            await asyncio.sleep(0)

    async def gone(self, *names):
        await self.until(lambda: all(self.get(name) is None for name in names))


@pytest.fixture
async def cluster():
    cluster = Cluster()
    await bootstrap(cluster.verbs, cluster.registry)
    for follower in cluster.followers:
        follower.start()
    await cluster.create("ns", plural="namespaces")
    await cluster.until(lambda: cluster.get("kube-root-ca.crt") is not None)
    yield cluster
    cluster.store.close()
    for follower in cluster.followers:
        await follower.stop()


async def test_dependents_go_after_their_owner(cluster):
    owner = await cluster.create("owner")
    child = await cluster.create("child", owner)
    await cluster.create("grandchild", child)
    await cluster.create("bystander")
    await cluster.delete("owner")
    await cluster.gone("child", "grandchild")
    assert cluster.get("bystander") is not None


async def test_an_owner_that_never_was_is_as_good_as_gone(cluster):
    ghost = {"kind": "ConfigMap", "metadata": {"name": "ghost", "uid": "no-such-uid"}}
    await cluster.create("child", ghost)
    await cluster.gone("child")


async def test_an_owner_of_the_same_name_is_another_owner(cluster):
    owner = await cluster.create("owner")
    child = await cluster.create("child", {**owner, "metadata": {**owner["metadata"], "uid": "older"}})
    assert child is not None
    await cluster.gone("child")
    assert cluster.get("owner") is not None


async def test_an_owner_in_another_namespace_does_not_count(cluster):
    await cluster.create("other", plural="namespaces")
    owner = await cluster.create("owner", namespace="other")
    await cluster.create("child", owner)
    await cluster.gone("child")


async def test_an_owner_of_an_unknown_kind_is_left_in_doubt(cluster):
    unknown = {"kind": "Unknown", "metadata": {"name": "x", "uid": "x"}}
    await cluster.create("child", unknown)
    await cluster.settled()
    assert cluster.get("child") is not None


async def test_one_owner_left_keeps_the_object_and_the_lost_one_is_forgotten(cluster):
    first, second = await cluster.create("first"), await cluster.create("second")
    await cluster.create("child", first, second)
    await cluster.delete("first")
    await cluster.until(lambda: len(cluster.get("child")["metadata"]["ownerReferences"]) == 1)
    assert cluster.get("child")["metadata"]["ownerReferences"][0]["name"] == "second"


async def test_foreground_waits_for_dependents(cluster):
    owner = await cluster.create("owner")
    await cluster.create("child", owner, finalizers=["test.io/wait"])
    await cluster.delete("owner", propagation="Foreground")
    await cluster.until(lambda: "deletionTimestamp" in cluster.get("child")["metadata"])
    await cluster.settled()
    assert cluster.get("owner")["metadata"]["finalizers"] == ["foregroundDeletion"]
    await cluster.unfinalize("child")
    await cluster.gone("child", "owner")


async def test_foreground_does_not_wait_for_those_that_do_not_block(cluster):
    owner = await cluster.create("owner")
    await cluster.create("child", owner, finalizers=["test.io/wait"], blocks=False)
    await cluster.delete("owner", propagation="Foreground")
    await cluster.gone("owner")


async def test_orphans_lose_their_reference_and_stay(cluster):
    owner = await cluster.create("owner")
    await cluster.create("child", owner)
    await cluster.delete("owner", propagation="Orphan")
    await cluster.gone("owner")
    await cluster.settled()
    assert "ownerReferences" not in cluster.get("child")["metadata"]


async def test_a_restart_finds_what_was_left_undone(cluster):
    owner = await cluster.create("owner")
    for follower in cluster.followers:
        await follower.stop()
    await cluster.create("child", owner)
    await cluster.delete("owner")
    assert cluster.get("child") is not None
    again = GarbageCollector(cluster.store, cluster.registry, cluster.verbs)
    again.start()
    await cluster.gone("child")
    await again.stop()


class TestNamespaces:
    async def test_defaults_are_there_and_come_back(self, cluster):
        await cluster.until(lambda: cluster.get("default", "serviceaccounts") is not None)
        assert cluster.get("kube-root-ca.crt")["data"] == {"ca.crt": "CA"}
        await cluster.delete("kube-root-ca.crt")
        await cluster.delete("default", "serviceaccounts")
        await cluster.until(lambda: cluster.get("kube-root-ca.crt") and cluster.get("default", "serviceaccounts"))

    async def test_a_deleted_namespace_takes_its_content_along(self, cluster):
        await cluster.create("a")
        await cluster.create("b", plural="secrets")
        await cluster.delete("ns", "namespaces")
        await cluster.until(lambda: cluster.get("ns", "namespaces") is None)
        assert cluster.get("a") is None and cluster.get("b", "secrets") is None
        assert cluster.get("default", "namespaces") is not None

    async def test_it_says_what_it_waits_for_and_takes_nothing_new(self, cluster):
        await cluster.create("stuck", finalizers=["test.io/wait"])
        await cluster.delete("ns", "namespaces")
        await cluster.until(lambda: cluster.get("ns", "namespaces")["status"].get("conditions"))
        status = cluster.get("ns", "namespaces")["status"]
        assert status["phase"] == "Terminating"
        messages = " ".join(condition["message"] for condition in status["conditions"])
        assert "test.io/wait in 1 resource instances" in messages
        with pytest.raises(StatusError) as refused:
            await cluster.create("late")
        assert refused.value.code == 403
        await cluster.unfinalize("stuck")
        await cluster.until(lambda: cluster.get("ns", "namespaces") is None)


async def test_a_custom_resource_definition_takes_its_objects_along(cluster):
    crd = {
        "metadata": {"name": "widgets.test.io"},
        "spec": {
            "group": "test.io",
            "scope": "Namespaced",
            "names": {"plural": "widgets", "kind": "Widget"},
            "versions": [
                {"name": "v1", "served": True, "storage": True, "schema": {"openAPIV3Schema": {"type": "object"}}}
            ],
        },
    }
    await cluster.verbs.create(cluster.call("customresourcedefinitions", "create", group=CRDS.group), crd)
    cluster.custom.serve(cluster.store.get(CRDS, "", "widgets.test.io").obj)
    widget = {"apiVersion": "test.io/v1", "kind": "Widget", "metadata": {"name": "w"}}
    await cluster.verbs.create(cluster.call("widgets", "create", group="test.io"), widget)
    call = cluster.call("customresourcedefinitions", "delete", "widgets.test.io", group=CRDS.group)
    await cluster.verbs.delete(call, DeleteOptions())
    await cluster.until(lambda: cluster.store.get(CRDS, "", "widgets.test.io") is None)
    widgets = cluster.registry.by_resource("test.io", "widgets")
    assert cluster.store.entries(widgets.table) == []


async def test_a_failing_key_is_tried_again_and_holds_no_other_up(cluster):
    owner = await cluster.create("owner")
    await cluster.create("child", owner)
    real, failures = cluster.verbs.delete, []

    async def flaky(call, options):
        if call.name == "child" and len(failures) < 2:
            failures.append(call.name)
            raise StatusError(500, "InternalError", "webhook is down")
        return await real(call, options)

    cluster.verbs.delete = flaky
    await cluster.delete("owner")
    await cluster.gone("child")
    assert len(failures) == 2
