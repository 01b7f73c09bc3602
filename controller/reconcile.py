"""One reconcile: read, observe, plan, act, tell. For runtimes and for catalogs.

The workers of the manager call these with a key and get back when to call again. Everything that decides is
pure and elsewhere; everything that waits is here: the API server, and a coordinator when a plan asks for it.

The cache is a little behind our own writes. An object that we have just written is therefore kept until the
cache shows another version than those that we know to be older, so that no decision is made twice.
"""

from __future__ import annotations

import base64
import binascii
import logging
from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from cachetools import LRUCache

from controller.actions import Announcement, EndQueries, PatchOwner, Plan
from controller.caches import Caches, Parsed
from controller.catalogs import failed_catalog, plan_catalog, refused_catalog
from controller.execute import ActionFailed, Executor
from controller.kept import Declared, Key
from controller.observe import children, observe, published_digest
from controller.observed import Activity, ObjectRef, Observed
from controller.plan import Rules, plan, plan_unreadable, sound_shape
from controller.reading import merged
from controller.render import Inputs, Rendering, render
from controller.route_book import RouteBook
from controller.status import failed_status, status_patch
from controller.trino_client import Control, TrinoClient, TrinoError
from crds.client.errors import ApiError, Conflict, NotFound
from crds.client.events import EventRecorder
from crds.client.resources import SECRETS, XTRINODE_CATALOGS, XTRINODES, Resource
from crds.client.transport import KubeClient
from crds.v1 import meta
from crds.v1.conditions import Reason
from crds.v1.meta import InvalidObject
from crds.v1.runtime_shape import RuntimeShape
from crds.v1.shape import resolve
from crds.v1.xtrinode import XTrinode

log = logging.getLogger("controller.reconcile")

#: Field manager of what we write to the objects of users: status, finalizer, consumed commands.
STATUS_MANAGER = "xtrinode-controller-status"
_REMEMBERED = 256


class RetryLater(Exception):
    """A reconcile that could not finish; the queue backs off. The message is for the log."""


@dataclass(slots=True)
class _Fresh:
    declared: Declared
    older: set[str]


class _Own:
    """Reads of one of our kinds, ahead of the cache where we wrote ourselves."""

    def __init__(
        self,
        client: KubeClient,
        resource: Resource,
        cached: Callable[[str, str], Declared | None],
        parsed: Parsed[Any],
    ) -> None:
        self._client = client
        self._resource = resource
        self._cached = cached
        self._parsed = parsed
        self._fresh: dict[Key, _Fresh] = {}

    def get(self, key: Key) -> Declared | None:
        cached = self._cached(*key)
        fresh = self._fresh.get(key)
        if fresh is None:
            return cached
        if cached is not None and cached.version in fresh.older:
            return fresh.declared
        del self._fresh[key]
        return cached

    def status(self, declared: Declared) -> Mapping[str, Any]:
        return self._parsed.whole(declared).get("status") or {}

    def caught_up(self, key: Key) -> None:
        """Forgets what we wrote once the cache has it."""
        if key in self._fresh:
            self.get(key)

    async def patch(self, key: Key, patch: Mapping[str, Any], subresource: str | None = None) -> None:
        namespace, name = key
        before = self.get(key)
        written = self._parsed.keep(
            await self._client.patch(
                self._resource, name, namespace, patch, subresource=subresource, field_manager=STATUS_MANAGER
            )
        )
        older = self._fresh[key].older if key in self._fresh else set()
        if before is not None:
            older = older | {before.version}
        older.discard(written.version)
        self._fresh[key] = _Fresh(written, older)


class RuntimeReconciler:
    def __init__(
        self,
        client: KubeClient,
        caches: Caches,
        executor: Executor,
        routes: RouteBook,
        trino: TrinoClient,
        events: EventRecorder,
        rules: Rules,
        *,
        clock: Callable[[], datetime],
        count: Callable[[str, str], None] = lambda verb, kind: None,
        moved: Callable[[str, str | None, str], None] = lambda namespace, old, new: None,
        drained: Callable[[float], None] = lambda seconds: None,
    ) -> None:
        self._drained = drained
        self._client = client
        self._caches = caches
        self._executor = executor
        self._routes = routes
        self._trino = trino
        self._events = events
        self._rules = rules
        self._clock = clock
        self._count = count
        self._moved = moved
        self._own = _Own(client, XTRINODES, caches.runtimes.get, caches.parsed_runtimes)
        self._active: dict[Key, tuple[str, datetime]] = {}  # newest activity seen, by uid
        # A runtime is looked at several times in a row, and resolving and rendering it is most of the work.
        self._shapes: LRUCache[Hashable, RuntimeShape | InvalidObject] = LRUCache(_REMEMBERED)
        self._renderings: LRUCache[Hashable, Rendering] = LRUCache(_REMEMBERED)

    def caught_up(self, key: Key) -> None:
        """The cache has another version of the runtime."""
        self._own.caught_up(key)

    async def __call__(self, key: Key) -> float | None:
        """Seconds until the next look, None when an event will cause it. Raises RetryLater and ApiError."""
        declared = self._own.get(key)
        if declared is None:
            self._routes.put(key, None)
            self._active.pop(key, None)
            return None
        try:
            x = self._caches.parsed_runtimes.of(declared)
        except InvalidObject as error:
            # Not even its form is right: the CRD is older or newer than we are, or somebody removed its schema.
            x = self._caches.parsed_runtimes.without_spec(declared)
            planned = plan_unreadable(x, error, self._observe(x), self._clock(), self._rules)
        else:
            planned = await self._plan(x)
        if not planned.keep_route:
            self._routes.put(key, planned.route)
        status = planned.status
        failure: ActionFailed | None = None
        owner = ObjectRef(meta.API_VERSION, meta.XTRINODE_KIND, key[0], key[1], x.metadata.uid)
        try:
            await self._executor.run(
                planned.actions,
                owner=owner,
                patch_owner=lambda action: self._patch_owner(key, action),
                end_queries=lambda action: self._end_queries(x, action),
            )
        except ActionFailed as error:
            if isinstance(error.action, PatchOwner) and isinstance(error.cause, Conflict | NotFound):
                # The object moved on; its newest version is on its way to us, or it is gone.
                raise RetryLater("the object changed meanwhile") from error
            failure = error
            if status is not None:
                status = failed_status(x, status, Reason.RESOURCE_APPLY_FAILED, str(error), self._clock())
        await self._tell(key, declared, x, status, planned.announcements if failure is None else ())
        if failure is not None:
            self._events.event(declared.reference(), "Warning", Reason.RESOURCE_APPLY_FAILED, str(failure))
            raise RetryLater(str(failure)) from failure
        return planned.requeue_after

    def _observe(self, x: XTrinode) -> Observed:
        key = (x.metadata.namespace, x.metadata.name)
        known = self._active.get(key)
        return observe(
            self._caches,
            x,
            published=self._routes.published(key),
            route_settled=self._routes.is_settled(key),
            conflicts=self._routes.conflicts_of(key),
            route_problem=self._routes.problem_of(key),
            last_active=known[1] if known is not None and known[0] == x.metadata.uid else None,
        )

    async def _plan(self, x: XTrinode) -> Plan:
        observed = self._observe(x)
        planned = self._decide(x, observed)
        if not planned.ask:
            return planned
        activity = await self._ask(x, observed)
        if activity.newest is not None:
            self._active[x.metadata.namespace, x.metadata.name] = (x.metadata.uid, activity.newest)
        return self._decide(x, replace(observed, activity=activity))

    def _decide(self, x: XTrinode, observed: Observed) -> Plan:
        return plan(x, observed, self._clock(), self._rules, shape_of=self._shape_of, rendering_of=self._rendering_of)

    def _shape_of(self, x: XTrinode) -> RuntimeShape:
        # The spec changes with its generation, and in our hands when a command is taken.
        key = (x.metadata.uid, x.metadata.generation, x.spec.suspended)
        found = self._shapes.get(key)
        if found is None:
            try:
                found = sound_shape(x)
            except InvalidObject as error:
                found = error
            self._shapes[key] = found
        if isinstance(found, InvalidObject):
            raise found
        return found

    def _rendering_of(self, shape: RuntimeShape, inputs: Inputs) -> Rendering:
        key = (
            shape.hash,
            shape.lifecycle.suspended,
            inputs.owner["uid"],
            tuple((catalog.config_map, catalog.digest) for catalog in inputs.catalogs),
            tuple(sorted(inputs.digests.items())),
        )
        found = self._renderings.get(key)
        if found is None:
            found = self._renderings[key] = render(shape, inputs)
        return found

    async def _ask(self, x: XTrinode, observed: Observed) -> Activity:
        """The queries of every coordinator that answers for the runtime; usually there is one."""
        found = Activity()
        try:
            control = await self._control(x)
            for endpoint in observed.endpoints:
                if endpoint.ready:
                    one = await self._trino.activity(endpoint.address, endpoint.port, control, self._clock())
                    newest = max((moment for moment in (found.newest, one.newest) if moment), default=None)
                    found = Activity(live=(*found.live, *one.live), newest=newest)
        except TrinoError as error:
            return Activity(error=str(error))
        return found

    async def _control(self, x: XTrinode) -> Control:
        auth = resolve(x).control_auth
        if auth.secret is None or auth.key is None:
            return Control(auth.username)
        try:
            secret = await self._client.get(SECRETS, auth.secret, x.metadata.namespace)
            password = base64.b64decode((secret.get("data") or {})[auth.key], validate=True).decode()
        except (ApiError, KeyError, binascii.Error, UnicodeDecodeError) as error:
            # The cause may carry the value: only its type is told.
            raise TrinoError(
                f"key {auth.key} of Secret {auth.secret} cannot be read ({type(error).__name__}); "
                "spec.trinoControlAuth.passwordSecret names it"
            ) from None
        return Control(auth.username, password)

    async def _end_queries(self, x: XTrinode, action: EndQueries) -> None:
        try:
            control = await self._control(x)
            for endpoint in merged(self._caches.endpoints(x.metadata.namespace, x.metadata.name)):
                if endpoint.ready:
                    failed = await self._trino.kill(
                        endpoint.address, endpoint.port, control, action.queries, action.why
                    )
                    for query, why in failed.items():
                        log.warning("query %s of %s was not ended: %s", query, x.key, why)
        except TrinoError as error:
            log.warning("queries of %s were not ended, they end with their coordinator: %s", x.key, error)

    async def _patch_owner(self, key: Key, action: PatchOwner) -> None:
        metadata = {**action.patch.get("metadata", {}), "resourceVersion": action.resource_version}
        await self._own.patch(key, {**action.patch, "metadata": metadata})
        self._count("patch", meta.XTRINODE_KIND)

    async def _tell(
        self,
        key: Key,
        declared: Declared,
        x: XTrinode,
        status: Mapping[str, Any] | None,
        announcements: tuple[Announcement, ...],
    ) -> None:
        for announcement in announcements:
            self._events.event(declared.reference(), announcement.type, announcement.reason, announcement.message)
        if status is None:
            return
        patch = status_patch(self._own.status(declared), status)
        if patch is None:
            return
        try:
            await self._own.patch(key, {"status": patch}, "status")
        except NotFound:
            return  # it went while we worked
        self._count("status", meta.XTRINODE_KIND)
        started = x.status.drain_started_at
        if started is not None and "drainStartedAt" not in status:
            self._drained((self._clock() - started).total_seconds())
        if x.status.phase != status["phase"]:
            log.info("%s is %s: %s", x.key, status["phase"], status["message"])
            self._moved(key[0], x.status.phase, status["phase"])


class CatalogReconciler:
    def __init__(
        self,
        client: KubeClient,
        caches: Caches,
        executor: Executor,
        events: EventRecorder,
        *,
        clock: Callable[[], datetime],
        count: Callable[[str, str], None] = lambda verb, kind: None,
    ) -> None:
        self._caches = caches
        self._executor = executor
        self._events = events
        self._clock = clock
        self._count = count
        self._own = _Own(client, XTRINODE_CATALOGS, caches.catalogs.get, caches.parsed_catalogs)

    async def __call__(self, key: Key) -> float | None:
        declared = self._own.get(key)
        if declared is None or declared.deleting:
            return None
        uid = declared.uid
        try:
            catalog = self._caches.parsed_catalogs.of(declared)
            published = published_digest(self._caches, catalog)
            planned = plan_catalog(catalog, children(self._caches, uid), published, self._clock())
        except InvalidObject as error:
            catalog = self._caches.parsed_catalogs.without_spec(declared)
            planned = refused_catalog(catalog, error, self._clock())
        status = planned.status
        failure: ActionFailed | None = None
        try:
            await self._executor.run(
                planned.actions,
                owner=ObjectRef(meta.API_VERSION, meta.CATALOG_KIND, key[0], key[1], uid),
                patch_owner=_unused,
                end_queries=_unused,
            )
        except ActionFailed as error:
            failure = error
            status = failed_catalog(catalog, str(error), self._clock())
        patch = status_patch(self._own.status(declared), status)
        if patch is not None:
            try:
                await self._own.patch(key, {"status": patch}, "status")
                self._count("status", meta.CATALOG_KIND)
            except NotFound:
                return None
        if failure is not None:
            self._events.event(declared.reference(), "Warning", Reason.RESOURCE_APPLY_FAILED, str(failure))
            raise RetryLater(str(failure)) from failure
        for announcement in planned.announcements:
            self._events.event(declared.reference(), announcement.type, announcement.reason, announcement.message)
        return None


async def _unused(action: object) -> None:
    raise AssertionError(f"a catalog has no {type(action).__name__}")
