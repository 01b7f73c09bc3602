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
    """What we know of an object that we applied. `seen` is the version that we found in order; `before` the version
    that the cache had when we wrote; `tried` the content that an apply was tried on; `at` is in monotonic seconds."""

    hash: str
    at: float
    seen: str = ""
    before: str = ""
    tried: str = ""

    @property
    def is_fresh(self) -> bool:
        return time.monotonic() < self.at + _CACHE_LAG


class Executor:
    """One for all runtimes. `live` reads an object from the informers' caches, which keep it small; `whole` makes it
    complete again."""

    def __init__(
        self,
        client: KubeClient,
        live: Callable[[ObjectRef], dict[str, Any] | None],
        *,
        whole: Callable[[dict[str, Any]], Object] = lambda obj: obj,
        count: Callable[[str, str], None] = lambda verb, kind: None,
    ) -> None:
        self._client = client
        self._live = live
        self._whole = whole
        self._count = count
        self._written: dict[ObjectRef, _Written] = {}

    def forget(self, ref: ObjectRef) -> None:
        """The object was deleted: what we wrote before says nothing any more."""
        self._written.pop(ref, None)

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
        written = self._written.get(ref)
        if written is not None and written.hash != wanted:
            written = None
        version = str(live["metadata"].get("resourceVersion", "")) if live is not None else ""
        tried = ""
        if live is None:
            if written is not None and written.is_fresh:
                return  # our own write, which the cache has not seen yet
        else:
            if not is_owned(live, owner.uid):
                raise NotOurs(ref, _owner_of(live))
            if written is not None and (written.seen == version or (written.is_fresh and written.before == version)):
                return
            if annotation(live, APPLIED_HASH) == wanted:
                whole = self._whole(live)
                if agrees(desired, whole):
                    self._written[ref] = _Written(wanted, time.monotonic(), seen=version)
                    return
                tried = _content(whole)
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
            found = await self._client.get(resource, ref.name, ref.namespace)
            if not is_owned(found, owner.uid):
                raise NotOurs(ref, _owner_of(found)) from None
            await self._adopt_replicas(ref, found)
            desired, _ = stamped(action.manifest)
            await self._client.apply(resource, desired, manager=MANAGER, force=True)
        self._count("apply", ref.kind)
        self._written[ref] = _Written(wanted, time.monotonic(), before=version, tried=tried)
        log.debug("applied %s", ref)

    async def _adopt_replicas(self, ref: ObjectRef, live: Object) -> None:
        """Since its creation a Deployment's replicas are owned with the rest of it. Before it is applied without them
        they need the other owner, or the server would make them one."""
        replicas = (live.get("spec") or {}).get("replicas")
        if ref.kind == DEPLOYMENTS.kind and replicas is not None and not annotation(live, HELD_REPLICAS):
            await self._scale(Scale(ref, int(replicas), "as many as there are"))

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


def annotation(obj: Object, key: str) -> str:
    found = (obj.get("metadata") or {}).get("annotations") or {}
    return str(found.get(key, ""))


def is_owned(obj: Object, uid: str) -> bool:
    references = (obj.get("metadata") or {}).get("ownerReferences") or ()
    return any(reference.get("uid") == uid for reference in references)


def _owner_of(obj: Object) -> str:
    for reference in (obj.get("metadata") or {}).get("ownerReferences") or ():
        if reference.get("controller"):
            return f"{reference.get('kind')} {reference.get('name')}"
    return "somebody else (it has no owner reference to this runtime)"


def _content(obj: Object) -> str:
    """A digest of everything but versions and status."""
    moving = ("resourceVersion", "generation", "managedFields")
    metadata = {key: value for key, value in obj["metadata"].items() if key not in moving}
    return digest({**{key: value for key, value in obj.items() if key != "status"}, "metadata": metadata})


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
