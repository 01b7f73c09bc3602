"""Performs a plan's actions in their order, and writes nothing that already is as it should be.

Called by the reconciler with a plan; it decides nothing about runtimes. The first action that fails ends the
run: what comes later may rely on it, and the next reconcile plans anew from what was observed. Every action
is idempotent, so a process that dies between any two of them leaves nothing that the next one cannot mend.

An apply is skipped when the live object carries the hash of what we rendered *and* still says what we rendered.
When the server normalises a value in a way that the comparison does not know, the object would look changed
for ever: so the content that an apply was tried on is remembered, and the apply not repeated on the same content.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any

from controller.actions import (
    APPLIED_HASH,
    HELD_REPLICAS,
    MANAGER,
    SCALE_MANAGER,
    Action,
    Apply,
    Delete,
    EndQueries,
    PatchOwner,
    Scale,
)
from controller.drift import agrees, digest
from controller.kept import Live
from controller.observed import ObjectRef
from crds.client.errors import ApiError, Conflict, NotFound
from crds.client.resources import (
    CONFIG_MAPS,
    DEPLOYMENTS,
    HORIZONTAL_POD_AUTOSCALERS,
    INGRESSES,
    NETWORK_POLICIES,
    POD_DISRUPTION_BUDGETS,
    SERVICE_ACCOUNTS,
    SERVICES,
    Resource,
)
from crds.client.transport import KubeClient

log = logging.getLogger("controller.execute")

#: Every kind that is rendered. All but ConfigMaps are watched by our label.
OWNED: tuple[Resource, ...] = (
    SERVICE_ACCOUNTS,
    CONFIG_MAPS,
    SERVICES,
    DEPLOYMENTS,
    POD_DISRUPTION_BUDGETS,
    HORIZONTAL_POD_AUTOSCALERS,
    INGRESSES,
    NETWORK_POLICIES,
)
RESOURCES: dict[tuple[str, str], Resource] = {(kind.api_version, kind.kind): kind for kind in OWNED}

Object = Mapping[str, Any]

#: How long (seconds) the cache is given to show an object that we have just made.
_CACHE_LAG = 5.0


class NotOurs(Exception):
    """An object of a name that we need belongs to somebody else."""

    def __init__(self, ref: ObjectRef, owner: str) -> None:
        self.ref = ref
        super().__init__(
            f"{ref} exists and belongs to {owner}: delete or rename it, or rename the runtime, then it is made"
        )


class ActionFailed(Exception):
    """An action of a plan failed; the cause says why. `retry` tells whether trying again may help by itself."""

    def __init__(self, action: Action, what: str, cause: Exception) -> None:
        self.action = action
        self.cause = cause
        super().__init__(f"{what}: {cause}")


@dataclass(slots=True)
class _Written:
    """What we know of an object that we applied, until it is found in order. `before` is the version that the cache had
    when we wrote; `tried` the content that an apply was tried on; `at` is in monotonic seconds."""

    hash: str
    at: float
    before: str = ""
    tried: str = ""

    @property
    def is_fresh(self) -> bool:
        return time.monotonic() < self.at + _CACHE_LAG


class Executor:
    """One for all runtimes. `live` reads an object from the informers' caches, which keep it small; `whole` makes it
    complete again; `keep` is what they would keep of one that was read otherwise."""

    def __init__(
        self,
        client: KubeClient,
        live: Callable[[ObjectRef], Live | None],
        whole: Callable[[Live], Object],
        keep: Callable[[dict[str, Any]], Live],
        *,
        count: Callable[[str, str], None] = lambda verb, kind: None,
    ) -> None:
        self._client = client
        self._live = live
        self._whole = whole
        self._keep = keep
        self._count = count
        self._written: dict[tuple[str, str, str], _Written] = {}
        # The version in which an object was found in order, by uid: these are as many as there are objects.
        self._in_order: dict[str, str] = {}

    def forget(self, ref: ObjectRef) -> None:
        """The object was deleted: what we wrote before says nothing any more."""
        self._written.pop(_name(ref), None)
        self._in_order.pop(ref.uid, None)

    async def run(
        self,
        actions: tuple[Action, ...],
        *,
        owner: ObjectRef,
        patch_owner: Callable[[PatchOwner], Awaitable[None]],
        end_queries: Callable[[EndQueries], Awaitable[None]],
    ) -> None:
        """Raises ActionFailed at the first action that fails."""
        for action in actions:
            try:
                match action:
                    case Apply():
                        await self._apply(action, owner)
                    case Scale():
                        await self._scale(action)
                    case Delete():
                        await self._delete(action.ref)
                    case PatchOwner():
                        await patch_owner(action)
                    case EndQueries():
                        await end_queries(action)
            except (ApiError, NotOurs) as error:
                raise ActionFailed(action, _describe(action), error) from error

    async def _apply(self, action: Apply, owner: ObjectRef) -> None:
        ref = action.ref
        desired, wanted = stamped(action.manifest)
        live = self._live(ref)
        name = _name(ref)
        written = self._written.get(name)
        if written is not None and written.hash != wanted:
            written = None
        version = tried = ""
        if live is None:
            if written is not None and written.is_fresh:
                return  # our own write, which the cache has not seen yet
        else:
            version = live.version
            if not live.is_owned_by(owner.uid):
                raise NotOurs(ref, _owner_of(live))
            if written is not None and written.is_fresh and written.before == version:
                return
            if live.applied == wanted:
                if self._in_order.get(live.ref.uid) == version:
                    return
                whole = self._whole(live)
                if agrees(desired, whole):
                    self._in_order[live.ref.uid] = version
                    self._written.pop(name, None)
                    return
                tried = digest(whole)
                if written is not None and written.tried == tried:
                    return
        if live is None and action.replicas is not None:
            desired["spec"] = {**desired["spec"], "replicas": action.replicas}
        if live is not None:
            await self._adopt_replicas(ref, live)
        resource = RESOURCES[ref.api_version, ref.kind]
        try:
            # Unforced while nobody knows whether the name is free: a stranger's object is a conflict, not taken.
            await self._client.apply(resource, desired, manager=MANAGER, force=live is not None)
        except Conflict:
            found = self._keep(await self._client.get(resource, ref.name, ref.namespace))
            if not found.is_owned_by(owner.uid):
                raise NotOurs(ref, _owner_of(found)) from None
            await self._adopt_replicas(ref, found)
            desired, _ = stamped(action.manifest)
            await self._client.apply(resource, desired, manager=MANAGER, force=True)
        self._count("apply", ref.kind)
        self._written[name] = _Written(wanted, time.monotonic(), before=version, tried=tried)
        log.debug("applied %s", ref)

    async def _adopt_replicas(self, ref: ObjectRef, live: Live) -> None:
        """Since its creation a Deployment's replicas are owned with the rest of it. Before it is applied without them
        they need the other owner, or the server would make them one."""
        if live.workload is not None and live.workload.held is None:
            await self._scale(Scale(ref, live.workload.wanted, "as many as there are"))

    async def _scale(self, action: Scale) -> None:
        ref = action.ref
        await self._client.apply(
            RESOURCES[ref.api_version, ref.kind],
            {
                "apiVersion": ref.api_version,
                "kind": ref.kind,
                "metadata": {
                    "name": ref.name,
                    "namespace": ref.namespace,
                    "annotations": {HELD_REPLICAS: str(action.replicas)},
                },
                "spec": {"replicas": action.replicas},
            },
            manager=SCALE_MANAGER,
            force=True,
        )
        self._count("scale", ref.kind)
        log.info("scaled %s to %d: %s", ref, action.replicas, action.why)

    async def _delete(self, ref: ObjectRef) -> None:
        self.forget(ref)
        try:
            await self._client.delete(
                RESOURCES[ref.api_version, ref.kind],
                ref.name,
                ref.namespace,
                propagation="Background",
                uid=ref.uid or None,
            )
        except (NotFound, Conflict):
            return  # gone, or another object took the name
        self._count("delete", ref.kind)


def stamped(manifest: Object) -> tuple[dict[str, Any], str]:
    """The manifest with the hash of itself in its annotations, and that hash."""
    wanted = digest(manifest)
    metadata = {
        **manifest["metadata"],
        "annotations": {**manifest["metadata"].get("annotations", {}), APPLIED_HASH: wanted},
    }
    return {**manifest, "metadata": metadata}, wanted


def _owner_of(live: Live) -> str:
    if live.owners:
        return f"{live.owners[0].kind} {live.owners[0].name}"
    return "somebody else (it has no owner reference to this runtime)"


def _name(ref: ObjectRef) -> tuple[str, str, str]:
    """Whichever object has the name."""
    return (ref.kind, ref.namespace, ref.name)


def _describe(action: Action) -> str:
    match action:
        case Apply():
            return f"could not apply {action.ref}"
        case Scale():
            return f"could not scale {action.ref} to {action.replicas}"
        case Delete():
            return f"could not delete {action.ref}"
        case PatchOwner():
            return "could not update the runtime"
        case EndQueries():
            return "could not end queries"
