"""One pod's life on this node, from its first appearance to the removal of its object. One task per pod.

Made by the kubelet for every pod that is bound to the node. It prepares the volumes, runs the init containers
in order and then the others side by side, publishes the status, and when the pod is deleted stops everything
within the grace period and removes the object. While the API server is away the processes go on; what could
not be written is written later.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from crds.client.errors import ApiError, Conflict, Invalid, NotFound
from crds.client.resources import PODS
from crds.client.retry import backoff
from crds.client.transport import KubeClient
from sandbox.kubelet import pod_status
from sandbox.kubelet.addresses import AddressesExhausted, AddressPool
from sandbox.kubelet.checks import Checker
from sandbox.kubelet.config_source import ConfigSource
from sandbox.kubelet.containers import CONFIG_PATIENCE, ContainerRunner, StopOrder
from sandbox.kubelet.directories import PodDirectory
from sandbox.kubelet.environment import ConfigMissing, ConfigWrong, Lookup
from sandbox.kubelet.forked import Nursery
from sandbox.kubelet.launches import Place
from sandbox.kubelet.objects import Key, Object, deleting, key, meta, parse_time, spec, status, uid, version
from sandbox.kubelet.pod_status import Refusal, Terminated, Waiting
from sandbox.kubelet.processes import Guard
from sandbox.kubelet.restarts import is_sidecar
from sandbox.kubelet.settings import Settings
from sandbox.kubelet.volumes import VolumeUnsupported, content, referenced_objects

log = logging.getLogger(__name__)

#: (object, "Normal" | "Warning", reason, message)
Report = Callable[[Object, str, str, str], None]


@dataclass(frozen=True)
class Node:
    """What all pods of the node share."""

    client: KubeClient
    settings: Settings
    guard: Guard
    nursery: Nursery
    checker: Checker
    configs: ConfigSource
    addresses: AddressPool
    report: Report
    hosts_file: Callable[[str], Path]  # by namespace
    extra_path: Path | None = None


class PodWorker:
    def __init__(self, pod: Object, node: Node) -> None:
        self.pod = pod
        self.pod_ip = ""
        self.uid = uid(pod)
        self.settings = node.settings
        self.guard = node.guard
        self.nursery = node.nursery
        self.checker = node.checker
        self.directory = PodDirectory(node.settings.data_dir, self.uid)
        self.removed = False  # the API object is gone, or is no longer ours to write
        self._node = node
        self._stop = asyncio.Event()
        self._order: StopOrder | None = None
        self._leave = False  # the kubelet stops: leave object, directory and status as they are
        self._dirty = asyncio.Event()
        self._published: Object | None = None
        self._refusal: Refusal | None = None
        now = datetime.now(UTC)
        self._init = [self._runner(item, True, now) for item in spec(pod).get("initContainers") or []]
        self._main = [self._runner(item, False, now) for item in spec(pod).get("containers") or []]
        self._running: list[tuple[ContainerRunner, asyncio.Task[None]]] = []

    def _runner(self, container: Mapping[str, Any], is_init: bool, now: datetime) -> ContainerRunner:
        record = pod_status.new_record(container, is_init, bool(spec(self.pod).get("initContainers")))
        return ContainerRunner(self, container, is_init, pod_status.recovered(record, self.pod, is_init, now))

    # What runners need (PodContext).

    @property
    def lookup(self) -> Lookup:
        return self._node.configs.lookup(key(self.pod).namespace)

    def config_changed(self) -> asyncio.Future[None]:
        return self._node.configs.next_change(key(self.pod).namespace)

    def place(self, container: str) -> Place:
        root = self.directory.root(container)
        return Place(
            root, root.parent, self.pod_ip, self._node.hosts_file(key(self.pod).namespace), self._node.extra_path
        )

    def changed(self) -> None:
        self._dirty.set()

    def event(self, kind: str, reason: str, message: str, container: str = "") -> None:
        self._node.report(self.pod, kind, reason, message)

    # What the kubelet tells.

    def update(self, pod: Object) -> None:
        """A newer state of the same pod."""
        if version(pod) >= version(self.pod):
            self.pod = self._with_ip(pod)
        if deleting(pod) and not self.removed:
            seconds = meta(pod).get("deletionGracePeriodSeconds")
            self._begin_stop(30.0 if seconds is None else float(seconds))

    def object_gone(self) -> None:
        """The object was removed by someone else: end the processes now."""
        self.removed = True
        self._begin_stop(0.0)
        if self._order is not None:
            self._order.force()

    def kubelet_stops(self, order: StopOrder) -> None:
        self._leave = True
        self._stop_with(order)

    def config_updated(self, kind: str, where: Key) -> None:
        """A ConfigMap or Secret changed; mounted files follow."""
        if where.namespace == key(self.pod).namespace and (kind, where.name) in referenced_objects(self.pod):
            with contextlib.suppress(ConfigMissing, ConfigWrong, VolumeUnsupported, OSError):
                self._write_volumes(only_existing=True)

    def log_of(self, container: str) -> ContainerRunner | None:
        return next((item for item in [*self._init, *self._main] if item.name == container), None)

    @property
    def containers(self) -> list[str]:
        return [runner.name for runner in self._main]

    def _begin_stop(self, grace: float) -> None:
        loop = asyncio.get_running_loop()
        since = parse_time(meta(self.pod).get("deletionTimestamp"))
        left = grace
        if since is not None:
            # deletionTimestamp is when the grace period ends; a restarted kubelet grants no second one.
            left = min(grace, (since - datetime.now(UTC)).total_seconds() + 1.0)
        self._stop_with(StopOrder(loop.time() + max(0.0, left)))

    def _stop_with(self, order: StopOrder) -> None:
        if self._order is None:
            self._order = order
        else:
            self._order.shorten(order.at)
        self._stop.set()
        for runner, _ in self._running:
            runner.stop(self._order)
        self._dirty.set()

    # The life of a pod.

    async def run(self) -> None:
        publisher = asyncio.create_task(self._publish_changes())
        try:
            if deleting(self.pod):
                self.update(self.pod)
            if not self._stop.is_set():
                await self._live()
            if not self._stop.is_set():
                self._end_sidecars()
            await self._stop.wait()
            await asyncio.gather(*(task for _, task in self._running))
            if not self._leave:
                await self._remove(publisher)
        finally:
            publisher.cancel()
            for runner, task in self._running:
                if not task.done():
                    runner.stop(StopOrder(0.0))
            await asyncio.gather(publisher, *(task for _, task in self._running), return_exceptions=True)
            self._node.addresses.release(self.uid)

    async def _live(self) -> None:
        self.directory.prepare()
        try:
            self.pod_ip = self._node.addresses.claim(self.uid, status(self.pod).get("podIP"))
        except AddressesExhausted as error:
            self._refusal = Refusal("OutOfAddresses", str(error))
            self.changed()
            return
        self.pod = self._with_ip(self.pod)
        self.changed()
        if not await self._mount():
            return
        for runner in self._init:
            task = self._begin(runner)
            if is_sidecar(runner.container):
                await self._until_stopped(runner.started.wait())
            else:
                await task
            if self._stop.is_set() or not self._init_passed(runner):
                return
        await asyncio.gather(*(self._begin(runner) for runner in self._main))

    def _end_sidecars(self) -> None:
        """Everything else ended for good: sidecars follow."""
        order = StopOrder(asyncio.get_running_loop().time() + self._grace())
        for runner, _ in self._running:
            runner.stop(order)

    def _begin(self, runner: ContainerRunner) -> asyncio.Task[None]:
        task = asyncio.create_task(runner.run(), name=f"{key(self.pod)}/{runner.name}")
        self._running.append((runner, task))
        return task

    def _init_passed(self, runner: ContainerRunner) -> bool:
        if is_sidecar(runner.container):
            return True
        state = runner.record.state
        return isinstance(state, Terminated) and state.exit_code == 0

    def _grace(self) -> float:
        seconds = spec(self.pod).get("terminationGracePeriodSeconds")
        return 30.0 if seconds is None else float(seconds)

    async def _mount(self) -> bool:
        """Make the volumes; waits while one cannot be made. False when the pod is to stop."""
        late = True
        told = ""
        while not self._stop.is_set():
            changed = self.config_changed()
            try:
                self._write_volumes()
            except (ConfigMissing, ConfigWrong, VolumeUnsupported, OSError) as error:
                if not late and str(error) != told:
                    told = str(error)
                    self.event("Warning", "FailedMount", told)
                    self._mark_waiting(told)
                if late:
                    late = False
                    await self._until_stopped(changed, CONFIG_PATIENCE)
                else:
                    await self._until_stopped(changed)
                continue
            changed.cancel()
            if told:
                self._mark_waiting("")
            return True
        return False

    def _write_volumes(self, only_existing: bool = False) -> None:
        for volume in spec(self.pod).get("volumes") or []:
            name = str(volume.get("name"))
            if only_existing and ("emptyDir" in volume or not self.directory.volume(name).exists()):
                continue
            try:
                self.directory.write_volume(name, content(self.pod, volume, self.lookup))
            except (ConfigMissing, ConfigWrong) as error:
                raise type(error)(f'MountVolume.SetUp failed for volume "{name}": {error}') from error

    def _mark_waiting(self, message: str) -> None:
        for runner in [*self._init, *self._main]:
            if isinstance(runner.record.state, Waiting):
                runner.waiting(runner.record.state.reason, message)

    def _with_ip(self, pod: Object) -> Object:
        """The pod as its containers see it: with its address, before the status says so."""
        if not self.pod_ip or status(pod).get("podIP") == self.pod_ip:
            return pod
        return {**pod, "status": {**status(pod), "podIP": self.pod_ip, "hostIP": pod_status.HOST_IP}}

    async def _until_stopped(self, work: Awaitable[Any], seconds: float | None = None) -> None:
        task = asyncio.ensure_future(work)
        stop = asyncio.create_task(self._stop.wait())
        try:
            await asyncio.wait({task, stop}, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
        finally:
            task.cancel()
            stop.cancel()
            await asyncio.gather(task, stop, return_exceptions=True)

    # The status.

    async def _publish_changes(self) -> None:
        while not self.removed:
            await self._dirty.wait()
            self._dirty.clear()
            if not self._leave:
                await self._publish()

    async def _publish(self) -> None:
        """Write the status until it is written; each attempt writes the latest."""
        failures = 0
        while self._may_write():
            new = self._status()
            if new == self._published:
                return
            patch = {"metadata": {"uid": self.uid}, "status": new}
            name = str(meta(self.pod).get("name"))
            try:
                written = await self._node.client.patch(
                    PODS, name, key(self.pod).namespace, patch, subresource="status"
                )
            except (NotFound, Conflict):
                self.object_gone()
                return
            except Invalid as error:
                log.error("the status of pod %s was refused: %s", key(self.pod), error)
                return
            except ApiError as error:
                log.debug("the status of pod %s is written later: %s", key(self.pod), error)
                limit = self.settings.relist_backoff_limit
                await asyncio.sleep(backoff(failures, base=self.settings.relist_backoff, cap=limit))
                failures += 1
                continue
            self._published = new
            if version(written) > version(self.pod):
                self.pod = self._with_ip(written)
            return

    def _may_write(self) -> bool:
        return not self.removed and not self._leave

    def _status(self) -> Object:
        init = [runner.record for runner in self._init]
        main = [runner.record for runner in self._main]
        return pod_status.pod_status(self.pod, init, main, self.pod_ip, datetime.now(UTC), self._refusal)

    async def _remove(self, publisher: asyncio.Task[None]) -> None:
        """Publish the end, remove the object (this very one) and the files."""
        publisher.cancel()
        await asyncio.gather(publisher, return_exceptions=True)
        failures = 0
        while self._may_write():
            await self._publish()
            if not self._may_write():
                break
            name = str(meta(self.pod).get("name"))
            try:
                await self._node.client.delete(PODS, name, key(self.pod).namespace, uid=self.uid, grace_period=0)
                self.removed = True
            except (NotFound, Conflict):
                self.removed = True
            except ApiError as error:
                log.debug("pod %s is removed later: %s", key(self.pod), error)
                limit = self.settings.relist_backoff_limit
                await asyncio.sleep(backoff(failures, base=self.settings.relist_backoff, cap=limit))
                failures += 1
        if self.removed:
            self.directory.remove()
