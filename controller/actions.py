"""The vocabulary of a plan: what is to be done, as values in the order in which it is to be done.

`plan` returns these, the executing shell performs them, tests interrupt between any two of them. Each action is
idempotent: done twice, or done again after a crash, it leaves the same objects.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

from controller.observed import ObjectRef
from crds.v1.routes import RuntimeRoute

#: On every object that we apply: digest of what we rendered. Tells a change of ours from none.
APPLIED_HASH = "xtrinode.analytics.xtrinode.io/applied-hash"
#: On Deployments, written together with spec.replicas by the scaling field manager: the number we asked for.
HELD_REPLICAS = "xtrinode.analytics.xtrinode.io/held-replicas"

#: Field managers. Replicas have one of their own, so that re-applying a Deployment never touches them.
MANAGER = "xtrinode-controller"
SCALE_MANAGER = "xtrinode-controller-scale"


@dataclass(frozen=True, slots=True)
class Apply:
    """Server-side apply of an object that is ours. `replicas` is for a Deployment that does not exist yet, so that
    it does not start with Kubernetes' default of one pod."""

    manifest: Mapping[str, Any]
    replicas: int | None = None

    @property
    def ref(self) -> ObjectRef:
        meta = self.manifest["metadata"]
        return ObjectRef(self.manifest["apiVersion"], self.manifest["kind"], meta.get("namespace", ""), meta["name"])


@dataclass(frozen=True, slots=True)
class Scale:
    """Sets a Deployment's replicas and takes their ownership. `why` is for the log."""

    ref: ObjectRef
    replicas: int
    why: str


@dataclass(frozen=True, slots=True)
class Delete:
    """Deletes that very object; one that is gone or was replaced is left alone."""

    ref: ObjectRef


@dataclass(frozen=True, slots=True)
class EndQueries:
    """Kills queries at the coordinator; best effort, for they die with the coordinator anyway."""

    queries: tuple[str, ...]
    why: str


@dataclass(frozen=True, slots=True)
class PatchOwner:
    """JSON merge patch of the runtime itself; holds for the resource version that was planned from."""

    patch: Mapping[str, Any]
    resource_version: str


Action: TypeAlias = Apply | Scale | Delete | EndQueries | PatchOwner


@dataclass(frozen=True, slots=True)
class Announcement:
    """An Event. The recorder removes repetitions."""

    reason: str
    message: str
    type: Literal["Normal", "Warning"] = "Normal"


@dataclass(frozen=True, slots=True)
class Plan:
    """What one look at a runtime came to. `route` None: not in the table, unless `keep_route` says that it stays as it
    is. `status` is the whole status as it should be, written when it differs; None: leave it. `requeue_after` in
    seconds; None: an event will come. `ask`: plan again with the coordinator's queries, they matter."""

    actions: tuple[Action, ...] = ()
    route: RuntimeRoute | None = None
    keep_route: bool = False
    status: Mapping[str, Any] | None = None
    announcements: tuple[Announcement, ...] = ()
    requeue_after: float | None = None
    ask: bool = False
