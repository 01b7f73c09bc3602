"""Binds pods to the node, or says why one cannot be bound. The sandbox's scheduler.

Fed by the kubelet with every pod it sees. Whether a pod fits is decided elsewhere; this shell carries the
decision out and looks again at the pods that did not fit whenever one leaves.
"""

from __future__ import annotations

import asyncio
import logging
from datetime import UTC, datetime

from crds.client.errors import ApiError, Conflict, NotFound
from crds.client.resources import PODS
from crds.client.retry import backoff
from crds.client.transport import KubeClient
from sandbox.kubelet import scheduling
from sandbox.kubelet.objects import Object, condition, deleting, find_condition, key, meta, spec, status, timestamp, uid
from sandbox.kubelet.pod_worker import Report
from sandbox.kubelet.settings import Settings

log = logging.getLogger(__name__)


class Binder:
    def __init__(self, client: KubeClient, settings: Settings, node: Object, report: Report) -> None:
        self._client = client
        self._settings = settings
        self._node = node  # with its status
        self._report = report
        self._waiting: dict[str, Object] = {}  # by uid; in order of arrival
        self._bound: dict[str, Object] = {}
        self._work = asyncio.Event()

    def saw(self, pod: Object) -> None:
        """A pod in its latest state."""
        name = uid(pod)
        if spec(pod).get("nodeName"):
            self._waiting.pop(name, None)
            if status(pod).get("phase") in ("Succeeded", "Failed"):
                self._gone(name)
            else:
                self._bound[name] = pod
        elif deleting(pod):
            self._waiting.pop(name, None)
        elif not spec(pod).get("schedulingGates") and self._default_scheduler(pod) and name not in self._bound:
            self._waiting[name] = pod
            self._work.set()

    def lost(self, pod: Object) -> None:
        self._waiting.pop(uid(pod), None)
        self._gone(uid(pod))

    def _gone(self, name: str) -> None:
        if self._bound.pop(name, None) is not None and self._waiting:
            self._work.set()

    @staticmethod
    def _default_scheduler(pod: Object) -> bool:
        return (spec(pod).get("schedulerName") or "default-scheduler") == "default-scheduler"

    async def run(self) -> None:
        failures = 0
        while True:
            await self._work.wait()
            self._work.clear()
            try:
                for pod in list(self._waiting.values()):
                    await self._place(pod)
                failures = 0
            except Exception as error:
                if isinstance(error, ApiError):
                    log.debug("binding goes on later: %s", error)
                else:
                    log.exception("binding failed and is tried again")
                limit = self._settings.relist_backoff_limit
                await asyncio.sleep(backoff(failures, base=self._settings.relist_backoff, cap=limit))
                failures += 1
                self._work.set()

    async def _place(self, pod: Object) -> None:
        if uid(pod) not in self._waiting:
            return
        reason = scheduling.refusal(pod, self._node, self._bound.values())
        try:
            if reason is None:
                await self._bind(pod)
            else:
                await self._refuse(pod, reason)
        except (NotFound, Conflict):
            self._waiting.pop(uid(pod), None)  # it is gone, or somebody else bound it

    async def _bind(self, pod: Object) -> None:
        where = key(pod)
        target = {"apiVersion": "v1", "kind": "Node", "name": self._settings.node_name}
        binding = {
            "apiVersion": "v1",
            "kind": "Binding",
            "metadata": {"name": where.name, "namespace": where.namespace, "uid": uid(pod)},
            "target": target,
        }
        self._waiting.pop(uid(pod), None)
        self._bound[uid(pod)] = pod
        try:
            await self._client.create(PODS, binding, where.namespace, name=where.name, subresource="binding")
        except ApiError:
            self._bound.pop(uid(pod), None)
            self._waiting[uid(pod)] = pod
            raise
        text = f"Successfully assigned {where} to {self._settings.node_name}"
        self._report(pod, "Normal", "Scheduled", text)

    async def _refuse(self, pod: Object, reason: str) -> None:
        found = condition(pod, "PodScheduled")
        if found is not None and found.get("status") == "False" and found.get("message") == reason:
            return
        self._report(pod, "Warning", "FailedScheduling", reason)
        conditions = [dict(item) for item in status(pod).get("conditions") or []]
        before = find_condition(conditions, "PodScheduled")
        same = before is not None and before.get("status") == "False"
        new = {
            "type": "PodScheduled",
            "status": "False",
            "reason": "Unschedulable",
            "message": reason,
            "lastProbeTime": None,
            "lastTransitionTime": before.get("lastTransitionTime")
            if before is not None and same
            else timestamp(datetime.now(UTC)),
        }
        others = [item for item in conditions if item.get("type") != "PodScheduled"]
        patch = {"metadata": {"uid": uid(pod)}, "status": {"phase": "Pending", "conditions": [*others, new]}}
        name = str(meta(pod).get("name"))
        written = await self._client.patch(PODS, name, key(pod).namespace, patch, subresource="status")
        if uid(pod) in self._waiting:
            self._waiting[uid(pod)] = written
