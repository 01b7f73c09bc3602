"""The objects of the API server, their versions and history: what etcd and the watch cache are elsewhere.

Called by the API verbs, the garbage collector, RBAC (which reads roles) and persistence (which restores at
start and journals every change). Everything is synchronous and runs on one event loop, so a call is atomic;
nothing here awaits, sleeps or touches a file.

Objects are *immutable once stored*: a write takes ownership of the dict it is given, and every reader gets
the same dict back. Copy what you change. Each entry also keeps its serialized bytes, made once per revision.
It does not default, validate, authorize or set any metadata other than `resourceVersion`.
"""

from __future__ import annotations

import asyncio
from bisect import bisect_left
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from typing import Any, Final, Literal, NamedTuple

import orjson

from sandbox.kube import errors

Object = dict[str, Any]
ChangeType = Literal["ADDED", "MODIFIED", "DELETED"]

HISTORY: Final = 4096  # changes remembered per resource; a watch from before the oldest one gets 410
RECENT: Final = 64  # changes per resource whose objects are kept as they are, for watchers that filter
QUEUE: Final = 4096  # changes a subscriber may lag behind before it is cut off


class GroupResource(NamedTuple):
    """What identifies a table of objects; versions of one resource share it. The core group is ""."""

    group: str
    plural: str


class Entry:
    """One revision of one object."""

    __slots__ = ("_obj", "_raw", "name", "namespace", "revision")

    def __init__(self, namespace: str, name: str, obj: Object, revision: int) -> None:
        self.namespace = namespace  # "" for cluster-scoped objects
        self.name = name
        self.revision = revision
        self._obj: Object | None = obj
        self._raw: bytes | None = None

    @property
    def obj(self) -> Object:
        return self._obj if self._obj is not None else orjson.loads(self.raw)

    @property
    def raw(self) -> bytes:
        """The object as JSON, serialized once."""
        if self._raw is None:
            self._raw = orjson.dumps(self._obj)
        return self._raw

    def fold(self) -> None:
        """Keep the bytes only, a seventh of the memory: for revisions that are history."""
        if self._obj is not None:
            self._raw = self.raw
            self._obj = None

    def amend(self, obj: Object) -> None:
        """Show the same revision differently from now on: a schema that changed reads it so."""
        self._obj = obj
        self._raw = None


class Change(NamedTuple):
    """One committed change. For DELETED, `entry` is the last state with the deletion's resourceVersion."""

    revision: int
    type: ChangeType
    resource: GroupResource
    entry: Entry
    previous: Entry | None


class Subscription:
    """The changes of one table (or of all), in order. Iterate it, and `close` it; `with` does both ends.

    A subscriber that lags too far is cut off: `overflowed` turns true and iteration ends. The reader then
    starts again from a list or from the last revision it saw, as after any lost connection.
    """

    def __init__(self, store: Store, resource: GroupResource | None, namespace: str, limit: int) -> None:
        self.overflowed = False
        self.closed = False
        self._store = store
        self._resource = resource
        self._namespace = namespace
        self._limit = limit
        self._pending: deque[Change] = deque()
        self._waiter: asyncio.Future[None] | None = None

    def offer(self, change: Change) -> None:
        """Called by the store for every change of its table."""
        if self._namespace and change.entry.namespace != self._namespace:
            return
        if len(self._pending) >= self._limit:
            self.overflowed = True
            self.close()
            return
        self._pending.append(change)
        self._wake()

    def drain(self) -> list[Change]:
        """Everything that has arrived and was not read yet."""
        changes = list(self._pending)
        self._pending.clear()
        return changes

    async def wait(self) -> bool:
        """True when there is something to `drain`, False when closed and empty. One waiter at a time."""
        while not self._pending:
            if self.closed:
                return False
            self._waiter = asyncio.get_running_loop().create_future()
            try:
                await self._waiter
            finally:
                self._waiter = None
        return True

    def close(self) -> None:
        if not self.closed:
            self.closed = True
            self._store.forget(self._resource, self)
            self._wake()

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    def __enter__(self) -> Subscription:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    async def __aiter__(self) -> Any:
        while await self.wait():
            for change in self.drain():
                yield change


class _Table:
    """Objects of one resource by namespace and name, with a bounded log of what happened to them."""

    __slots__ = ("floor", "history", "namespaces", "order", "subscribers")

    def __init__(self, floor: int, history: int) -> None:
        self.namespaces: dict[str, dict[str, Entry]] = {}
        self.order: dict[str, list[str]] = {}  # sorted names per namespace, dropped when a name comes or goes
        self.history: deque[Change] = deque(maxlen=history)
        self.floor = floor  # the revision of the newest change that is no longer remembered
        self.subscribers: list[Subscription] = []

    def record(self, change: Change) -> None:
        if len(self.history) == self.history.maxlen:
            self.floor = self.history[0].revision
        self.history.append(change)
        if len(self.history) >= RECENT:
            aged = self.history[-RECENT]
            if aged.previous is not None:
                aged.previous.fold()
            if aged.type == "DELETED":
                aged.entry.fold()

    def in_order(self, namespace: str | None) -> Iterator[Entry]:
        names = sorted(self.namespaces) if namespace is None else (namespace,)
        for each in names:
            members = self.namespaces.get(each)
            if not members:
                continue
            order = self.order.get(each)
            if order is None:
                order = self.order[each] = sorted(members)
            for name in order:
                yield members[name]


class Store:
    """All objects of one API server.

    `journal` is called with every change before anyone sees it; when it raises, the change did not happen.
    """

    def __init__(self, *, history: int = HISTORY, journal: Callable[[Change], None] | None = None) -> None:
        self.journal = journal
        self.listeners: list[Callable[[Change], None]] = []  # told of every change, before it is awaited on
        self._history = history
        self._revision = 1
        self._base = 0  # the revision up to which nothing is remembered: that of the last restore
        self._tables: dict[GroupResource, _Table] = {}
        self._everything: list[Subscription] = []

    # -- reading

    @property
    def revision(self) -> int:
        """The resourceVersion of the newest change anywhere."""
        return self._revision

    def resources(self) -> list[GroupResource]:
        """Every table that has held an object."""
        return list(self._tables)

    def get(self, resource: GroupResource, namespace: str, name: str) -> Entry | None:
        table = self._tables.get(resource)
        if table is None:
            return None
        members = table.namespaces.get(namespace)
        return members.get(name) if members is not None else None

    def entries(self, resource: GroupResource, namespace: str | None = None) -> list[Entry]:
        """The objects of a table sorted by namespace and name; None means every namespace."""
        table = self._tables.get(resource)
        return list(table.in_order(namespace)) if table is not None else []

    def objects(self, resource: GroupResource, namespace: str | None = None) -> list[Object]:
        """Like `entries`, just the (immutable) objects."""
        return [entry.obj for entry in self.entries(resource, namespace)]

    def entries_at(self, resource: GroupResource, namespace: str | None, revision: int) -> list[Entry]:
        """The table as it was at `revision`, by undoing what is remembered since; 410 when too long ago."""
        self.check_revision(resource, revision)
        table = self._tables.get(resource)
        if table is None:
            return []
        undone: dict[tuple[str, str], Entry | None] = {}
        for change in reversed(table.history):
            if change.revision <= revision:
                break
            if namespace is None or change.entry.namespace == namespace:
                undone[(change.entry.namespace, change.entry.name)] = change.previous
        if not undone:
            return list(table.in_order(namespace))
        kept = [entry for entry in table.in_order(namespace) if (entry.namespace, entry.name) not in undone]
        kept.extend(entry for entry in undone.values() if entry is not None)
        kept.sort(key=lambda entry: (entry.namespace, entry.name))
        return kept

    def check_revision(self, resource: GroupResource, revision: int) -> None:
        """Raise when the history since `revision` is not remembered (410) or has not happened yet (504)."""
        if revision > self._revision:
            raise errors.too_large_resource_version(revision, self._revision)
        table = self._tables.get(resource)
        floor = table.floor if table is not None else self._base
        if revision < floor:
            raise errors.gone(f"too old resource version: {revision} ({floor})")

    # -- writing

    def create(self, resource: GroupResource, namespace: str, name: str, obj: Object) -> Entry:
        """Store a new object; AlreadyExists when there is one."""
        if self.get(resource, namespace, name) is not None:
            raise errors.already_exists(resource.plural, resource.group, name)
        return self._commit("ADDED", resource, Entry(namespace, name, obj, 0), None)

    def update(self, resource: GroupResource, previous: Entry, obj: Object) -> Entry:
        """Replace exactly the revision `previous`; Conflict when it is not the newest, NotFound when gone."""
        self._require_current(resource, previous)
        return self._commit("MODIFIED", resource, Entry(previous.namespace, previous.name, obj, 0), previous)

    def delete(self, resource: GroupResource, previous: Entry, final: Object | None = None) -> Entry:
        """Remove exactly the revision `previous`, last seen as `final`; the result carries a revision of its own."""
        self._require_current(resource, previous)
        last = previous.obj if final is None else final
        obj = {**last, "metadata": {**last["metadata"]}}
        return self._commit("DELETED", resource, Entry(previous.namespace, previous.name, obj, 0), previous)

    def _require_current(self, resource: GroupResource, previous: Entry) -> None:
        current = self.get(resource, previous.namespace, previous.name)
        if current is None:
            raise errors.not_found(resource.plural, resource.group, previous.name)
        if current.revision != previous.revision:
            raise errors.conflict(resource.plural, resource.group, previous.name, errors.MODIFIED)

    def _commit(self, kind: ChangeType, resource: GroupResource, entry: Entry, previous: Entry | None) -> Entry:
        revision = self._revision + 1
        entry.revision = revision
        entry.obj["metadata"]["resourceVersion"] = str(revision)
        change = Change(revision, kind, resource, entry, previous)
        if self.journal is not None:
            try:
                self.journal(change)
            except OSError as error:
                raise errors.internal(f"the change was not kept: {error}: make room and try again") from error
        self._revision = revision
        table = self._table(resource)
        self._place(table, change)
        table.record(change)
        for subscriber in (*table.subscribers, *self._everything):
            subscriber.offer(change)
        for listener in self.listeners:
            listener(change)
        return entry

    @staticmethod
    def _place(table: _Table, change: Change) -> None:
        entry = change.entry
        members = table.namespaces.setdefault(entry.namespace, {})
        if change.type == "DELETED":
            members.pop(entry.name, None)
            table.order.pop(entry.namespace, None)
            if not members:
                del table.namespaces[entry.namespace]
            return
        if entry.name not in members:
            order = table.order.get(entry.namespace)
            if order is not None:
                order.insert(bisect_left(order, entry.name), entry.name)
        members[entry.name] = entry

    def _table(self, resource: GroupResource) -> _Table:
        table = self._tables.get(resource)
        if table is None:
            table = self._tables[resource] = _Table(self._base, self._history)
        return table

    # -- following

    def subscribe(
        self,
        resource: GroupResource | None,
        *,
        namespace: str = "",
        since: int | None = None,
        limit: int = QUEUE,
    ) -> Subscription:
        """Changes of one table after revision `since` (None: from now on), or of all tables from now on."""
        subscription = Subscription(self, resource, namespace, limit)
        if resource is None:
            self._everything.append(subscription)
            return subscription
        if since is not None:
            self.check_revision(resource, since)
        table = self._table(resource)
        if since is not None:
            for change in self._after(table, since):
                subscription.offer(change)
        if not subscription.closed:
            table.subscribers.append(subscription)
        return subscription

    @staticmethod
    def _after(table: _Table, since: int) -> Iterable[Change]:
        missed = 0
        for change in reversed(table.history):
            if change.revision <= since:
                break
            missed += 1
        return islice(table.history, len(table.history) - missed, None)

    def forget(self, resource: GroupResource | None, subscription: Subscription) -> None:
        """Called by a subscription that closes."""
        subscribers = self._everything if resource is None else self._table(resource).subscribers
        if subscription in subscribers:
            subscribers.remove(subscription)

    # -- lifetime

    def restore(self, objects: Iterable[tuple[GroupResource, Object]], revision: int) -> None:
        """Fill an empty store from persistence. History before `revision` is gone: older watches get 410."""
        self._revision = max(revision, 1)
        self._base = self._revision
        for resource, obj in objects:
            metadata = obj["metadata"]
            namespace, name = metadata.get("namespace", ""), metadata["name"]
            entry = Entry(namespace, name, obj, int(metadata["resourceVersion"]))
            self._table(resource).namespaces.setdefault(namespace, {})[name] = entry

    def compact(self) -> None:
        """Forget all history, as etcd does every five minutes: watches from before now get 410."""
        self._base = self._revision
        for table in self._tables.values():
            table.history.clear()
            table.floor = self._revision

    def close(self) -> None:
        """End every subscription."""
        for table in self._tables.values():
            for subscription in list(table.subscribers):
                subscription.close()
        for subscription in list(self._everything):
            subscription.close()
