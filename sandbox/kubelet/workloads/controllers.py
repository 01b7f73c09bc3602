"""The shell of the workload controllers: watches, asks the pure decisions, writes what they say.

Started by the kubelet's wiring. One queue per kind; every event on an object, or on something it owns or
selects, puts its key into a queue. Nothing is remembered that the API server does not know, except this
process's own latest writes.
"""

from __future__ import annotations

import asyncio
import contextlib
import secrets
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any

from crds.client.errors import AlreadyExists, ApiError, Conflict, Forbidden, Invalid, NotFound
from crds.client.informer import Informer
from crds.client.resources import DEPLOYMENTS, ENDPOINT_SLICES, PODS, REPLICA_SETS, Resource
from crds.client.store import by_namespace
from crds.client.transport import KubeClient
from sandbox.kubelet.objects import (
    Key,
    Object,
    controlled_by,
    controller_of,
    controller_reference,
    key,
    labels,
    meta,
    spec,
    status,
    uid,
)
from sandbox.kubelet.pod_worker import Report
from sandbox.kubelet.selectors import selects, selects_exactly
from sandbox.kubelet.workloads import deployments, endpoint_slices, replica_sets, revisions
from sandbox.kubelet.workloads.latest import Latest
from sandbox.kubelet.workloads.queue import KeyQueue

_BY_NAMESPACE = "namespace"
_SUFFIX = "bcdfghjklmnpqrstvwxz2456789"


class WorkloadControllers:
    """Deployments, ReplicaSets and EndpointSlices. `pods` and `services` are shared with the kubelet."""

    def __init__(self, client: KubeClient, pods: Informer, services: Informer, report: Report) -> None:
        self._client = client
        self._report = report
        index = {_BY_NAMESPACE: by_namespace}
        self.slices = Informer(client, ENDPOINT_SLICES, indexers=index, on_change=self._slice_changed)
        self._replica_sets = Informer(client, REPLICA_SETS, indexers=index, on_change=self._replica_set_changed)
        self._deployments = Informer(client, DEPLOYMENTS, indexers=index, on_change=self._deployment_changed)
        self._services = services
        loop = asyncio.get_running_loop()
        self._latest_pods = Latest(pods, _BY_NAMESPACE, loop.time)
        self._latest_sets = Latest(self._replica_sets, _BY_NAMESPACE, loop.time)
        self._latest_slices = Latest(self.slices, _BY_NAMESPACE, loop.time)
        self._unsure: dict[str, list[str]] = {}  # pod names that a lost answer may have created, by owner uid
        self._deployment_queue = KeyQueue("deployment", self._sync_deployment)
        self._set_queue = KeyQueue("replica set", self._sync_replica_set)
        self._service_queue = KeyQueue("service", self._sync_service)
        self._pods = pods
        pods.subscribe(self._pod_changed)
        services.subscribe(self._service_changed)

    def informers(self) -> Iterable[Informer]:
        return (self._deployments, self._replica_sets, self.slices)

    async def run(self) -> None:
        """Work until cancelled. Nothing is decided before every list is complete."""
        for informer in (self._pods, self._services, *self.informers()):
            await informer.synced.wait()
        async with asyncio.TaskGroup() as group:
            for queue in (self._deployment_queue, self._set_queue, self._service_queue):
                group.create_task(queue.run())

    # Events to keys.

    def _deployment_changed(self, event: str, old: Object | None, new: Object | None) -> None:
        obj = new or old
        if obj is not None:
            self._deployment_queue.add(key(obj))

    def _replica_set_changed(self, event: str, old: Object | None, new: Object | None) -> None:
        for obj in (new, old):
            if obj is None:
                continue
            self._set_queue.add(key(obj))
            owner = controller_of(obj)
            if owner is not None and owner.get("kind") == "Deployment":
                self._deployment_queue.add(Key(key(obj).namespace, str(owner.get("name"))))
            elif owner is None and new is not None:
                for deployment in self._deployments.by_index(_BY_NAMESPACE, key(obj).namespace):
                    if selects(spec(deployment).get("selector"), labels(obj)):
                        self._deployment_queue.add(key(deployment))

    def _pod_changed(self, event: str, old: Object | None, new: Object | None) -> None:
        for obj in (new, old):
            if obj is None:
                continue
            namespace = key(obj).namespace
            owner = controller_of(obj)
            if owner is not None and owner.get("kind") == "ReplicaSet":
                where = Key(namespace, str(owner.get("name")))
                self._set_queue.add(where)
                owning = self._replica_sets.get(*where)
                above = controller_of(owning) if owning is not None and new is None else None
                if above is not None:  # Recreate waits for the last old pod
                    self._deployment_queue.add(Key(namespace, str(above.get("name"))))
            elif owner is None and new is not None:
                for item in self._replica_sets.by_index(_BY_NAMESPACE, namespace):
                    if selects(spec(item).get("selector"), labels(obj)):
                        self._set_queue.add(key(item))
            for service in self._services.by_index(_BY_NAMESPACE, namespace):
                selector = spec(service).get("selector")
                if selector and selects_exactly(selector, labels(obj)):
                    self._service_queue.add(key(service))

    def _service_changed(self, event: str, old: Object | None, new: Object | None) -> None:
        obj = new or old
        if obj is not None:
            self._service_queue.add(key(obj))

    def _slice_changed(self, event: str, old: Object | None, new: Object | None) -> None:
        obj = new or old
        name = labels(obj).get(endpoint_slices.SERVICE_LABEL) if obj is not None else None
        if obj is not None and name and labels(obj).get(endpoint_slices.MANAGED_BY_LABEL) == endpoint_slices.MANAGED_BY:
            self._service_queue.add(Key(key(obj).namespace, name))

    # Deployments.

    async def _sync_deployment(self, where: Key) -> float | None:
        deployment = self._deployments.get(*where)
        if deployment is None:
            return None
        sets = self._latest_sets.in_namespace(where.namespace)
        pods = self._latest_pods.in_namespace(where.namespace)
        plan = deployments.plan(deployment, sets, pods, datetime.now(UTC))
        for item in plan.adopt:
            await self._adopt(REPLICA_SETS, self._latest_sets, item, "apps/v1", "Deployment", deployment)
        for item in plan.release:
            await self._release(REPLICA_SETS, self._latest_sets, item, deployment)
        if plan.adopt or plan.release:
            return 0.0
        if plan.create is not None:
            await self._create_replica_set(deployment, plan.create)
        for change in plan.changes:
            await self._change_replica_set(change)
        if plan.annotate:
            patch = {"metadata": {"uid": uid(deployment), "annotations": dict(plan.annotate)}}
            await self._client.patch(DEPLOYMENTS, where.name, where.namespace, patch)
        for item in plan.delete:
            await self._delete(REPLICA_SETS, self._latest_sets, item)
        if plan.status is not None:
            await self._write_status(DEPLOYMENTS, deployment, plan.status)
        for reason, message in plan.events:
            self._report(deployment, "Normal", reason, message)
        return plan.requeue_after

    async def _create_replica_set(self, deployment: Object, body: Object) -> None:
        body["metadata"]["ownerReferences"] = [controller_reference("apps/v1", "Deployment", deployment)]
        try:
            self._latest_sets.wrote(await self._client.create(REPLICA_SETS, body))
        except AlreadyExists:
            found = await self._client.get(REPLICA_SETS, body["metadata"]["name"], key(deployment).namespace)
            ours = controlled_by(found, uid(deployment)) and revisions.same_template(
                spec(found).get("template") or {}, spec(deployment).get("template") or {}
            )
            if ours:
                self._latest_sets.wrote(found)
                return
            # Another template has the same hash: the next attempt gets another name.
            count = int(status(deployment).get("collisionCount") or 0) + 1
            patch = {"metadata": {"uid": uid(deployment)}, "status": {"collisionCount": count}}
            where = key(deployment)
            await self._client.patch(DEPLOYMENTS, where.name, where.namespace, patch, subresource="status")

    async def _change_replica_set(self, change: deployments.ReplicaSetChange) -> None:
        item = change.replica_set
        patch: Object = {"metadata": {"uid": uid(item)}}
        if change.annotations:
            patch["metadata"]["annotations"] = dict(change.annotations)
        if change.replicas is not None:
            patch["spec"] = {"replicas": change.replicas}
        where = key(item)
        self._latest_sets.wrote(await self._client.patch(REPLICA_SETS, where.name, where.namespace, patch))

    # ReplicaSets.

    async def _sync_replica_set(self, where: Key) -> float | None:
        replica_set = self._replica_set(where)
        if replica_set is None:
            return None
        pods = self._latest_pods.in_namespace(where.namespace)
        now = datetime.now(UTC)
        plan = replica_sets.plan(replica_set, pods, now)
        for pod in plan.adopt:
            await self._adopt(PODS, self._latest_pods, pod, "apps/v1", "ReplicaSet", replica_set)
        for pod in plan.release:
            await self._release(PODS, self._latest_pods, pod, replica_set)
        if plan.adopt or plan.release:
            return 0.0
        failure = await self._create_pods(replica_set, plan.create)
        for pod in plan.delete:
            await self._delete(PODS, self._latest_pods, pod)
            self._report(replica_set, "Normal", "SuccessfulDelete", f"Deleted pod: {meta(pod).get('name')}")
        pods = self._latest_pods.in_namespace(where.namespace)
        told = (failure.reason, failure.message) if failure is not None else None
        told = ("FailedCreate", told[1]) if told is not None else None
        new = replica_sets.new_status(replica_set, pods, told, now)
        if new is not None:
            await self._write_status(REPLICA_SETS, replica_set, new)
        if failure is not None:
            raise failure
        return plan.requeue_after

    def _replica_set(self, where: Key) -> Object | None:
        """The newest known version; None once the watch says that it is gone."""
        known = self._replica_sets.get(*where)
        if known is None:
            return None
        for item in self._latest_sets.in_namespace(where.namespace):
            if uid(item) == uid(known):
                return item
        return known

    async def _create_pods(self, replica_set: Object, count: int) -> ApiError | None:
        """Create pods; the first refusal ends the round and is reported in the status."""
        names = self._unsure.pop(uid(replica_set), [])
        for _ in range(count):
            prefix = str(meta(replica_set).get("name"))[:57]
            name = names.pop() if names else f"{prefix}-{''.join(secrets.choice(_SUFFIX) for _ in range(5))}"
            try:
                pod = await self._client.create(PODS, replica_sets.new_pod(replica_set, name))
            except AlreadyExists:
                continue  # an earlier attempt whose answer was lost; the watch will show it
            except (Forbidden, Invalid, NotFound) as error:
                self._report(replica_set, "Warning", "FailedCreate", f"Error creating: {error.message}")
                return error
            except ApiError:
                self._unsure.setdefault(uid(replica_set), []).append(name)
                raise
            self._latest_pods.wrote(pod)
            self._report(replica_set, "Normal", "SuccessfulCreate", f"Created pod: {name}")
        return None

    # Services.

    async def _sync_service(self, where: Key) -> float | None:
        service = self._services.get(*where)
        if service is None:
            return None  # the garbage collector removes its slices
        slices = self._latest_slices.in_namespace(where.namespace)
        if not spec(service).get("selector") and not slices:
            return None
        pods = self._latest_pods.in_namespace(where.namespace)
        plan = endpoint_slices.plan(service, pods, slices)
        for item in plan.create:
            try:
                self._latest_slices.wrote(await self._client.create(ENDPOINT_SLICES, item))
            except AlreadyExists:
                found = await self._client.get(ENDPOINT_SLICES, item["metadata"]["name"], where.namespace)
                self._latest_slices.wrote(found)
                return 0.0
        for item in plan.update:
            try:
                self._latest_slices.wrote(await self._client.replace(ENDPOINT_SLICES, item))
            except NotFound:
                return 0.05
        for item in plan.delete:
            await self._delete(ENDPOINT_SLICES, self._latest_slices, item)
        return None

    # Writes that all kinds share.

    async def _adopt(
        self, res: Resource, latest: Latest, obj: Object, api_version: str, kind: str, owner: Object
    ) -> None:
        references = [*(meta(obj).get("ownerReferences") or []), controller_reference(api_version, kind, owner)]
        await self._own(res, latest, obj, references)

    async def _release(self, res: Resource, latest: Latest, obj: Object, owner: Object) -> None:
        references = [item for item in meta(obj).get("ownerReferences") or [] if item.get("uid") != uid(owner)]
        await self._own(res, latest, obj, references)

    async def _own(self, res: Resource, latest: Latest, obj: Object, references: list[Any]) -> None:
        metadata = {
            "uid": uid(obj),
            "resourceVersion": meta(obj).get("resourceVersion"),
            "ownerReferences": references,
        }
        where = key(obj)
        latest.wrote(await self._client.patch(res, where.name, where.namespace, {"metadata": metadata}))

    async def _delete(self, res: Resource, latest: Latest, obj: Object) -> None:
        where = key(obj)
        # Gone already, or another object has its name by now: both will do.
        with contextlib.suppress(NotFound, Conflict):
            await self._client.delete(res, where.name, where.namespace, uid=uid(obj))
        latest.deleted(obj)

    async def _write_status(self, res: Resource, obj: Object, new: Mapping[str, Any]) -> None:
        """Replace the status; counters that fell to zero are written as such."""
        where = key(obj)
        patch = {"metadata": {"uid": uid(obj)}, "status": dict(new)}
        try:
            written = await self._client.patch(res, where.name, where.namespace, patch, subresource="status")
        except NotFound:
            return
        if res is REPLICA_SETS:
            self._latest_sets.wrote(written)
