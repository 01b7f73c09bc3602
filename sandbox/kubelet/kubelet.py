"""The kubelet as one object: everything that makes pods run on this machine, in start order.

Used by `python -m sandbox.kubelet` and in process by tests (`async with Kubelet(client, settings)`). It owns
the workers of the pods and hands every event to whom it concerns; what a pod does is its worker's business.
Stopping it ends all processes and leaves the API objects alone: a later kubelet on the same data directory
takes them up again.
"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import functools
import logging
import os
import shutil
import stat
import time
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType

from crds.client.events import EventRecorder
from crds.client.informer import Informer
from crds.client.resources import NODES, PODS, SERVICES
from crds.client.store import by_namespace
from crds.client.transport import KubeClient
from sandbox.kubelet import curl
from sandbox.kubelet.addresses import AddressPool
from sandbox.kubelet.binder import Binder
from sandbox.kubelet.checks import Checker
from sandbox.kubelet.config_source import ConfigSource
from sandbox.kubelet.containers import StopOrder
from sandbox.kubelet.directories import forget_strangers
from sandbox.kubelet.forked import Nursery
from sandbox.kubelet.launches import STAND_IN_MODULES
from sandbox.kubelet.log_endpoint import LogEndpoint
from sandbox.kubelet.node import NodeRegistration, node_object, node_status
from sandbox.kubelet.objects import Key, Object, deleting, key, spec, status, uid
from sandbox.kubelet.pod_worker import Node, PodWorker
from sandbox.kubelet.processes import Guard
from sandbox.kubelet.services import ServiceAddresses
from sandbox.kubelet.settings import Settings
from sandbox.kubelet.workloads.controllers import WorkloadControllers

log = logging.getLogger(__name__)

WORKER_PAUSE = 1.0  # seconds before a failed worker is replaced
LOCK_PATIENCE = 3.0  # seconds for the processes of a killed predecessor to be gone


class DataDirectoryBusy(Exception):
    """Another kubelet uses the data directory."""


class Kubelet:
    """Made on the event loop that runs it."""

    def __init__(self, client: KubeClient, settings: Settings) -> None:
        self.settings = settings
        self.client = client
        self._workers: dict[str, PodWorker] = {}  # by pod uid
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._background: list[asyncio.Task[None]] = []
        self._started = contextlib.AsyncExitStack()  # what start did, to be undone in reverse
        self._stopping = False
        self._synced = False
        self.failed = asyncio.Event()  # a part that must run has ended; start anew
        self._guard = Guard()
        self._nursery = Nursery(self._guard, STAND_IN_MODULES)
        self._checker = Checker(self._guard)
        self._events = EventRecorder(client, "xtrinode-sandbox-kubelet", instance=settings.node_name)
        index = {"namespace": by_namespace}
        self._pods = Informer(client, PODS, indexers=index)
        self._services = Informer(client, SERVICES, indexers=index)
        only_ours = f"metadata.name={settings.node_name}"
        self._nodes = Informer(client, NODES, field_selector=only_ours, on_change=self._node_changed)
        self._configs = ConfigSource(client)
        self._configs.subscribe(self._config_changed)
        self._controllers = WorkloadControllers(client, self._pods, self._services, self._report)
        self._addresses = ServiceAddresses(settings.data_dir, self._services, self._controllers.slices)
        self._logs = LogEndpoint(self.find)
        self._registration = NodeRegistration(client, settings)
        body = node_object(settings, 0)
        body["status"] = node_status(settings, 0, 0, True, datetime.now(UTC))
        self._binder = Binder(client, settings, body, self._report)
        self._pods.subscribe(self._pod_changed)
        self._node = Node(
            client=client,
            settings=settings,
            guard=self._guard,
            nursery=self._nursery,
            checker=self._checker,
            configs=self._configs,
            addresses=AddressPool(settings.pod_network, str(settings.data_dir)),
            report=self._report,
            hosts_file=self._addresses.hosts_file,
            extra_path=None if shutil.which("curl") else settings.data_dir / "bin",
        )

    async def __aenter__(self) -> Kubelet:
        try:
            await self.start()
        except BaseException:
            await self.stop()
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.stop()

    async def start(self) -> None:
        """Returns when the node is registered and pods are being looked after."""
        directory = self.settings.data_dir
        directory.mkdir(parents=True, exist_ok=True, mode=0o700)
        directory.chmod(stat.S_IRWXU)
        lock = await _lock(directory / "lock")
        self._started.callback(os.close, lock)
        self._guard.start([lock])
        self._started.callback(self._guard.stop)
        self._started.callback(self._nursery.stop)
        self._started.push_async_callback(self._checker.close)
        if self._node.extra_path is not None:
            curl.install(self._node.extra_path)
        await self._logs.start()
        self._started.push_async_callback(self._logs.stop)
        self._started.push_async_callback(self._end_background)
        informers = [self._pods, self._services, *self._configs.informers(), *self._controllers.informers()]
        for informer in informers:
            self._spawn(informer.run(), informer.resource.plural)
        await self._registration.register(self._logs.port)
        self._started.push_async_callback(self._registration.retire)
        self._spawn(self._nodes.run(), "nodes")
        self._spawn(self._events.run(), "events")
        self._spawn(self._addresses.run(), "service addresses")
        self._spawn(self._begin(), "pods")

    async def _begin(self) -> None:
        """Once the lists are complete: take up the pods of an earlier kubelet, then follow the changes."""
        for informer in (self._pods, self._services, *self._configs.informers()):
            await informer.synced.wait()
        forget_strangers(self.settings.data_dir, {uid(pod) for pod in self._pods.items()})
        self._synced = True
        for pod in self._pods.items():
            self._saw(pod)
        async with asyncio.TaskGroup() as group:
            group.create_task(self._controllers.run())
            group.create_task(self._binder.run())

    async def stop(self) -> None:
        """End every process within the settings' bound, and everything else after that."""
        self._stopping = True
        order = StopOrder(asyncio.get_running_loop().time() + self.settings.shutdown_timeout, hooks=False)
        for worker in list(self._workers.values()):
            worker.kubelet_stops(order)
        if self._tasks:
            await asyncio.wait(self._tasks.values(), timeout=self.settings.shutdown_timeout + 2.0)
        await self._started.aclose()

    async def _end_background(self) -> None:
        await self._events.close(0.2)
        tasks = [*self._tasks.values(), *self._background]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    @property
    def log_port(self) -> int:
        return self._logs.port

    def find(self, namespace: str, name: str) -> PodWorker | None:
        """The worker of a pod by name; of two (one is being removed) the newer."""
        wanted = Key(namespace, name)
        return next((item for item in reversed(self._workers.values()) if key(item.pod) == wanted), None)

    async def settled(self) -> None:
        """Wait until no pod is left whose object is gone."""
        while leaving := [task for name, task in self._tasks.items() if self._workers[name].removed]:
            await asyncio.wait(leaving)

    # Events.

    def _pod_changed(self, event: str, old: Object | None, new: Object | None) -> None:
        if not self._synced:
            return
        if old is not None and (new is None or uid(old) != uid(new)):
            self._binder.lost(old)
            worker = self._workers.get(uid(old))
            if worker is not None:
                worker.object_gone()
        if new is not None:
            self._saw(new)

    def _saw(self, pod: Object) -> None:
        self._binder.saw(pod)
        if spec(pod).get("nodeName") != self.settings.node_name or self._stopping:
            return
        worker = self._workers.get(uid(pod))
        if worker is not None:
            worker.update(pod)
            return
        if status(pod).get("phase") in ("Succeeded", "Failed") and not deleting(pod):
            return
        worker = self._workers[uid(pod)] = PodWorker(pod, self._node)
        task = self._tasks[uid(pod)] = asyncio.create_task(worker.run(), name=f"pod {key(pod)}")
        task.add_done_callback(functools.partial(self._ended, uid(pod)))

    def _ended(self, name: str, task: asyncio.Task[None]) -> None:
        worker = self._workers.get(name)
        self._tasks.pop(name, None)
        failed = not task.cancelled() and task.exception() is not None
        if failed:
            log.error("the worker of pod %s failed; it is made anew", name, exc_info=task.exception())
        if worker is not None and (worker.removed or self._stopping or failed):
            self._workers.pop(name, None)
        if failed and not self._stopping:
            asyncio.get_running_loop().call_later(WORKER_PAUSE, self._take_up, name)

    def _take_up(self, name: str) -> None:
        """Start over with a pod whose worker failed, as the API server knows it now."""
        for pod in self._pods.items():
            if uid(pod) == name:
                self._saw(pod)

    def _config_changed(self, kind: str, where: Key) -> None:
        for worker in list(self._workers.values()):
            worker.config_updated(kind, where)

    def _node_changed(self, event: str, old: Object | None, new: Object | None) -> None:
        if new is None and not self._stopping:
            log.info("the node object was removed; registering again")
            self._spawn(self._registration.register(self._logs.port), "registration")

    def _report(self, obj: Object, kind: str, reason: str, message: str) -> None:
        self._events.event(obj, "Warning" if kind == "Warning" else "Normal", reason, message)

    def _spawn(self, work: object, name: str) -> None:
        task: asyncio.Task[None] = asyncio.create_task(work, name=name)  # type: ignore[arg-type]
        self._background.append(task)
        task.add_done_callback(self._background_ended)

    def _background_ended(self, task: asyncio.Task[None]) -> None:
        with contextlib.suppress(ValueError):
            self._background.remove(task)
        if not task.cancelled() and task.exception() is not None and not self._stopping:
            log.error("%s failed", task.get_name(), exc_info=task.exception())
            self.failed.set()


async def _lock(path: Path) -> int:
    """Lock the data directory against a second kubelet; the guard shares the lock until it has cleaned up."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    deadline = time.monotonic() + LOCK_PATIENCE
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return descriptor
        except OSError as error:
            if time.monotonic() > deadline:
                os.close(descriptor)
                raise DataDirectoryBusy(
                    f"another kubelet uses {path.parent}; stop it, or give this one a directory of its own "
                    "with --data-dir"
                ) from error
            await asyncio.sleep(0.05)
