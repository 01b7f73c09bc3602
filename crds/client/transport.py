"""`KubeClient`: the Kubernetes API as a dozen coroutines over plain dicts. Every component's way to the cluster.

    async with await KubeClient.connect(kubeconfig) as client:
        runtime = await client.get(XTRINODES, "sales", "team-a")

kr8s authenticates where that takes a login program (what lies in files is read without it); the calls go over
aiohttp, because kr8s's are nine times slower under concurrency and cut every open stream on a single 403
(`session` says more). Objects are dicts as the server sent them: kr8s's wrapped objects take 25 times the
time and 7 times the memory, which an informer of thousands cannot pay.

A client belongs to the event loop that first used it; `clone()` gives another loop one of its own with the
same credentials. It caches nothing (the informer does) and watches nothing for longer than one connection.
Errors: `crds.client.errors`. What is retried: `crds.client.retry`.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Literal

import orjson

from crds.client.calls import (
    APPLY,
    JSON,
    PATCH_TYPES,
    Body,
    Call,
    Params,
    call_for,
    for_apply,
    metadata_of,
    params_of,
    partial_metadata,
    typed,
)
from crds.client.credentials import Credentials, Impersonation, load
from crds.client.errors import Gone, Malformed
from crds.client.resources import PODS, Resource
from crds.client.retry import Repeat, RetryPolicy
from crds.client.session import CONNECT_TIMEOUT, READ_TIMEOUT, OnCall, Session
from crds.client.watch_stream import WatchDecoder, WatchEvent

Object = dict[str, Any]

PAGE = 500
# Bookmarks come about once a minute: longer silence is a dead peer, which TCP alone would hide for hours.
INACTIVITY = 80.0
# The server is asked to end a watch after this many seconds, at random: reconnects spread out.
WATCH_SECONDS = (300.0, 600.0)


@dataclass(frozen=True, slots=True)
class ObjectList:
    """`items` carry apiVersion and kind, which the server leaves out in lists."""

    items: list[Object]
    resource_version: str


class KubeClient:
    """Made by `connect` (or from `Credentials` in tests); closed by `close()` or `async with`."""

    def __init__(
        self,
        credentials: Credentials,
        *,
        user_agent: str = "xtrinode",
        retry: RetryPolicy = RetryPolicy(),  # noqa: B008 - frozen
        on_call: OnCall | None = None,
        impersonate: Impersonation | None = None,
        connect_timeout: float = CONNECT_TIMEOUT,
        read_timeout: float = READ_TIMEOUT,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._credentials = credentials
        self._settings: dict[str, Any] = {
            "user_agent": user_agent,
            "retry": retry,
            "on_call": on_call,
            "impersonate": impersonate,
            "connect_timeout": connect_timeout,
            "read_timeout": read_timeout,
            "sleep": sleep,
        }
        self._session = Session(
            credentials,
            user_agent=user_agent,
            policy=retry,
            on_call=on_call,
            impersonate=impersonate,
            connect_timeout=connect_timeout,
            read_timeout=read_timeout,
            sleep=sleep,
        )

    @classmethod
    async def connect(
        cls,
        kubeconfig: str | None = None,
        context: str | None = None,
        *,
        user_agent: str = "xtrinode",
        retry: RetryPolicy = RetryPolicy(),  # noqa: B008 - frozen
        on_call: OnCall | None = None,
        impersonate: Impersonation | None = None,
    ) -> KubeClient:
        """Log in as the kubeconfig, KUBECONFIG, the default file or the pod says; no call is made yet.

        Raises ConfigError with what to type next when there is no way to a cluster.
        """
        return cls(
            await load(kubeconfig, context),
            user_agent=user_agent,
            retry=retry,
            on_call=on_call,
            impersonate=impersonate,
        )

    def clone(self, **changes: Any) -> KubeClient:
        """Another client with the same credentials (shared, so a new token serves both) and own connections."""
        return KubeClient(self._credentials, **{**self._settings, **changes})

    @property
    def server(self) -> str:
        return self._credentials.identity.server

    @property
    def namespace(self) -> str:
        """The namespace of the kubeconfig's context, or of the pod."""
        return self._credentials.identity.namespace

    @property
    def context(self) -> str:
        """The name of the kubeconfig's context; empty in a pod."""
        return self._credentials.identity.context

    async def close(self) -> None:
        await self._session.close()

    async def __aenter__(self) -> KubeClient:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def version(self) -> Object:
        """The server's `/version`."""
        call = Call("get", "GET", "/version", "version", "get version", repeat=Repeat.ANY)
        return self._object(call, await self._session.call(call))

    async def get(
        self, res: Resource, name: str, namespace: str | None = None, *, subresource: str | None = None
    ) -> Object:
        return await self._run("get", "GET", res, namespace, name, subresource, repeat=Repeat.ANY)

    async def list_(
        self,
        res: Resource,
        namespace: str | None = None,
        label_selector: str | None = None,
        field_selector: str | None = None,
        *,
        metadata_only: bool = False,
        page: int = PAGE,
    ) -> ObjectList:
        """All objects, fetched in pages of one consistent snapshot. When the snapshot expires on the way
        (410), the list is made again, unpaged."""
        try:
            return await self._whole_list(res, namespace, label_selector, field_selector, metadata_only, page)
        except Gone:
            return await self._whole_list(res, namespace, label_selector, field_selector, metadata_only, 0)

    async def _whole_list(
        self,
        res: Resource,
        namespace: str | None,
        label_selector: str | None,
        field_selector: str | None,
        metadata_only: bool,
        page: int,
    ) -> ObjectList:
        items: list[Object] = []
        version = ""
        pages = self.pages(res, namespace, label_selector, field_selector, metadata_only=metadata_only, page=page)
        async with contextlib.aclosing(pages):
            async for found in pages:
                items += found.items
                version = found.resource_version
        return ObjectList(items, version)

    async def pages(
        self,
        res: Resource,
        namespace: str | None = None,
        label_selector: str | None = None,
        field_selector: str | None = None,
        *,
        metadata_only: bool = False,
        page: int = PAGE,
    ) -> AsyncGenerator[ObjectList, None]:
        """The same list, page by page (`page` 0: in one). Nothing of a page is kept here: who empties its `items`
        frees it. Raises `Gone` when the snapshot expires on the way. Iterate inside `contextlib.aclosing`."""
        params = params_of(
            labelSelector=label_selector, fieldSelector=field_selector, limit=str(page) if page else None
        )
        accept = partial_metadata("PartialObjectMetadataList") if metadata_only else JSON
        token = ""
        while True:
            call = call_for(
                "list",
                "GET",
                res,
                namespace,
                params=(*params, ("continue", token)) if token else params,
                accept=accept,
                repeat=Repeat.ANY,
            )
            found, token = self._page(res, call, await self._session.call(call))
            yield found
            if not token:
                return

    def _page(self, res: Resource, call: Call, answer: bytes) -> tuple[ObjectList, str]:
        """The page, and the token of the next one ("" when it is the last)."""
        body = self._object(call, answer)
        metadata = body.get("metadata")
        found = body.get("items")
        version = metadata.get("resourceVersion") if isinstance(metadata, dict) else None
        found = [] if found is None else found
        if not isinstance(found, list) or not isinstance(version, str) or not version:
            raise Malformed(200, "Malformed", "the answer is no list of objects", target=call.target)
        for item in found:
            if not isinstance(item, dict) or not isinstance(item.get("metadata"), dict):
                raise Malformed(200, "Malformed", "an item of the list is no object", target=call.target)
            item.setdefault("apiVersion", res.api_version)
            item.setdefault("kind", res.kind)
        return ObjectList(found, version), str(metadata.get("continue") or "") if isinstance(metadata, dict) else ""

    async def create(
        self,
        res: Resource,
        obj: Mapping[str, Any],
        namespace: str | None = None,
        *,
        name: str | None = None,
        subresource: str | None = None,
        dry_run: bool = False,
        field_manager: str | None = None,
        idempotent: bool = False,
    ) -> Object:
        """POST. Never repeated, unless `idempotent` says that it makes nothing (a review).

        `name` is that of the parent when a `subresource` is posted (an eviction, a token request).
        """
        return await self._run(
            "create",
            "POST",
            res,
            namespace or metadata_of(obj).get("namespace"),
            name if subresource else None,
            subresource,
            body=typed(res, obj) if subresource is None else dict(obj),
            params=params_of(dryRun="All" if dry_run else None, fieldManager=field_manager),
            repeat=Repeat.ANY if idempotent else Repeat.NEVER,
            named=name or str(metadata_of(obj).get("name") or metadata_of(obj).get("generateName") or ""),
        )

    async def replace(
        self,
        res: Resource,
        obj: Mapping[str, Any],
        *,
        subresource: str | None = None,
        dry_run: bool = False,
        field_manager: str | None = None,
    ) -> Object:
        """PUT of the whole object; with `metadata.resourceVersion` it holds only for that version (`Conflict`)."""
        metadata = metadata_of(obj)
        return await self._run(
            "update",
            "PUT",
            res,
            metadata.get("namespace"),
            str(metadata.get("name") or ""),
            subresource,
            body=typed(res, obj),
            params=params_of(dryRun="All" if dry_run else None, fieldManager=field_manager),
            repeat=Repeat.ANY if _is_versioned(obj) else Repeat.UNSENT,
        )

    async def delete(
        self,
        res: Resource,
        name: str,
        namespace: str | None = None,
        *,
        propagation: Literal["Background", "Foreground", "Orphan"] | None = None,
        uid: str | None = None,
        resource_version: str | None = None,
        grace_period: int | None = None,
        dry_run: bool = False,
    ) -> Object:
        """DELETE; with `uid` only of that very object (`Conflict` when another one has taken the name)."""
        preconditions = {
            key: value for key, value in (("uid", uid), ("resourceVersion", resource_version)) if value is not None
        }
        options: dict[str, Any] = {"apiVersion": "v1", "kind": "DeleteOptions"}
        if propagation is not None:
            options["propagationPolicy"] = propagation
        if grace_period is not None:
            options["gracePeriodSeconds"] = grace_period
        if preconditions:
            options["preconditions"] = preconditions
        if dry_run:
            options["dryRun"] = ["All"]
        return await self._run("delete", "DELETE", res, namespace, name, None, body=options, repeat=Repeat.UNSENT)

    async def patch(
        self,
        res: Resource,
        name: str,
        namespace: str | None,
        patch: Mapping[str, Any] | Sequence[Mapping[str, Any]],
        *,
        type: Literal["merge", "json", "strategic"] = "merge",  # noqa: A002 - the field's word
        subresource: str | None = None,
        dry_run: bool = False,
        field_manager: str | None = None,
    ) -> Object:
        """PATCH; one whose `metadata.resourceVersion` is set holds only for that version (`Conflict`)."""
        return await self._run(
            "patch",
            "PATCH",
            res,
            namespace,
            name,
            subresource,
            body=patch,
            content_type=PATCH_TYPES[type],
            params=params_of(dryRun="All" if dry_run else None, fieldManager=field_manager),
            repeat=Repeat.ANY if isinstance(patch, Mapping) and _is_versioned(patch) else Repeat.UNSENT,
        )

    async def apply(
        self,
        res: Resource,
        obj: Mapping[str, Any],
        *,
        manager: str,
        force: bool = False,
        subresource: str | None = None,
        dry_run: bool = False,
    ) -> Object:
        """Server-side apply: `manager` owns exactly the fields of `obj`, and gives up those it leaves out.

        Unknown fields are refused by the server. `force` takes fields from other managers; without it they are a
        `Conflict`, whose causes name the manager. Status is sent to the status subresource only.
        """
        body = for_apply(res, obj, subresource)
        metadata = body["metadata"]
        return await self._run(
            "apply",
            "PATCH",
            res,
            metadata.get("namespace"),
            str(metadata.get("name") or ""),
            subresource,
            body=body,
            content_type=APPLY,
            params=params_of(
                fieldManager=manager,
                force="true" if force else "false",
                fieldValidation="Strict",
                dryRun="All" if dry_run else None,
            ),
            repeat=Repeat.ANY,
        )

    async def watch(
        self,
        res: Resource,
        namespace: str | None = None,
        *,
        resource_version: str | None = None,
        label_selector: str | None = None,
        field_selector: str | None = None,
        metadata_only: bool = False,
        timeout_seconds: float | None = None,
        inactivity: float = INACTIVITY,
        on_open: Callable[[], None] | None = None,
        dice: Callable[[], float] = random.random,
    ) -> AsyncGenerator[WatchEvent, None]:
        """One watch connection's events, bookmarks among them; it ends when the server ends it.

        Raises `Gone` when the version is too old (by status or in the stream), `Unavailable` when the
        connection breaks or stays silent for `inactivity` seconds, `Malformed` for bytes that are no event.
        `on_open` is called when the server has accepted. Iterate inside `contextlib.aclosing`; it never
        reconnects, so most callers want an informer.
        """
        low, high = WATCH_SECONDS
        seconds = timeout_seconds if timeout_seconds is not None else low + (high - low) * dice()
        call = call_for(
            "watch",
            "GET",
            res,
            namespace,
            params=params_of(
                watch="true",
                allowWatchBookmarks="true",
                timeoutSeconds=str(max(1, int(seconds))),
                resourceVersion=resource_version,
                labelSelector=label_selector,
                fieldSelector=field_selector,
            ),
            accept=partial_metadata("PartialObjectMetadata") if metadata_only else JSON,
        )
        decoder = WatchDecoder(target=call.target)
        async with self._session.stream(call, inactivity=inactivity) as chunks:
            if on_open is not None:
                on_open()
            async for chunk in chunks:
                for event in decoder.feed(chunk):
                    yield event

    async def logs(
        self,
        name: str,
        namespace: str,
        *,
        container: str | None = None,
        follow: bool = False,
        tail: int | None = None,
        previous: bool = False,
        timestamps: bool = False,
        inactivity: float = 3600.0,
    ) -> AsyncGenerator[bytes, None]:
        """A pod's log, in chunks as they arrive (not lines)."""
        params = params_of(
            container=container,
            follow="true" if follow else None,
            tailLines=None if tail is None else str(tail),
            previous="true" if previous else None,
            timestamps="true" if timestamps else None,
        )
        call = call_for("get", "GET", PODS, namespace, name, "log", params=params, accept="*/*")
        async with self._session.stream(call, inactivity=inactivity) as chunks:
            async for chunk in chunks:
                yield chunk

    async def raw(self, path: str, params: Mapping[str, str] | None = None, *, accept: str = JSON) -> bytes:
        """GET of any path (`/openapi/v3`, `/apis`, a service's proxy), retried like any read."""
        call = Call(
            "get", "GET", path, "raw", f"get {path}", tuple((params or {}).items()), None, "", accept, Repeat.ANY
        )
        return await self._session.call(call)

    async def _run(
        self,
        verb: str,
        method: str,
        res: Resource,
        namespace: str | None,
        name: str | None,
        subresource: str | None,
        *,
        repeat: Repeat,
        body: Body | None = None,
        params: Params = (),
        content_type: str = JSON,
        named: str = "",
    ) -> Object:
        call = call_for(
            verb,
            method,
            res,
            namespace,
            name,
            subresource,
            params=params,
            body=body,
            content_type=content_type,
            repeat=repeat,
            named=named,
        )
        return self._object(call, await self._session.call(call))

    @staticmethod
    def _object(call: Call, body: bytes) -> Object:
        try:
            parsed = orjson.loads(body)
        except orjson.JSONDecodeError as error:
            raise Malformed(200, "Malformed", "the answer is not JSON", target=call.target) from error
        if not isinstance(parsed, dict):
            raise Malformed(200, "Malformed", "the answer is no object", target=call.target)
        return parsed


def _is_versioned(body: Mapping[str, Any]) -> bool:
    """Whether the server does it once, however often it arrives."""
    return bool(metadata_of(body).get("resourceVersion"))
