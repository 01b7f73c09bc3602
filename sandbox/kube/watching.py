"""The watch stream: what happened to a selection of objects since a revision, as lines of JSON.

`Watch` turns the store's changes into events (an object that starts or stops to match is added or deleted), begins
with the present state when no revision is given, and sends bookmarks. The HTTP shell writes what `batches` yields and
closes the stream when it ends: on time-out, when the client lags too far behind, or when the server stops.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from typing import Final

from sandbox.kube import errors, listing
from sandbox.kube.listing import Selection
from sandbox.kube.paths import is_true
from sandbox.kube.presenting import Form
from sandbox.kube.store import Change, Entry, Store

BOOKMARK_EVERY: Final = 30.0  # seconds
LONGEST: Final = 3600.0  # seconds, when the client names no time-out


class Watch:
    """One watch request. Raises its 400s and 410s when made, before the stream starts."""

    def __init__(self, store: Store, selection: Selection, form: Form, query: Mapping[str, str]) -> None:
        self._store = store
        self._selection = selection
        self._form = form
        self._bookmarks = is_true(query["allowWatchBookmarks"]) if "allowWatchBookmarks" in query else False
        self._timeout = float(listing.number_of(query, "timeoutSeconds")) or LONGEST
        self._first = True
        since = listing.number_of(query, "resourceVersion")
        initial = query.get("sendInitialEvents")
        match = query.get("resourceVersionMatch", "")
        self._initial_end = False
        if initial is not None:
            if match != "NotOlderThan":
                raise _forbidden_options(
                    "resourceVersionMatch", "sendInitialEvents requires setting resourceVersionMatch to NotOlderThan"
                )
            if since > store.revision:
                raise errors.too_large_resource_version(since, store.revision)
            begin = is_true(initial)
            # Without bookmarks nobody could tell where the present ends.
            self._initial_end = begin and self._bookmarks
        elif match:
            raise _forbidden_options(
                "resourceVersionMatch",
                "resourceVersionMatch is forbidden for watch unless sendInitialEvents is provided",
            )
        else:
            begin = since == 0
        self._present: list[Entry] = []
        if begin:
            self._present = [
                entry
                for entry in store.entries(selection.kind.table, selection.namespace)
                if selection.wants(entry.obj)
            ]
            start = None
        else:
            start = since or store.revision
        self._revision = store.revision if start is None else start
        self._subscription = store.subscribe(selection.kind.table, namespace=selection.namespace or "", since=start)

    def close(self) -> None:
        self._subscription.close()

    async def batches(self) -> AsyncIterator[bytes]:
        """Chunks of whole lines, until the watch ends."""
        kind = self._selection.kind
        if self._present or self._initial_end:
            lines = [self._line("ADDED", entry) for entry in self._present]
            if self._initial_end:
                lines.append(self._form.of_bookmark(kind, self._revision, initial_end=True))
            self._present = []
            yield b"".join(lines)
        loop = asyncio.get_running_loop()
        ends = loop.time() + self._timeout
        while True:
            left = ends - loop.time()
            if left <= 0:
                break
            try:
                async with asyncio.timeout(min(left, BOOKMARK_EVERY)):
                    alive = await self._subscription.wait()
            except TimeoutError:
                if self._bookmarks and loop.time() < ends:
                    yield self._form.of_bookmark(kind, self._store.revision, initial_end=False)
                continue
            if not alive:
                break
            lines = [line for change in self._subscription.drain() if (line := self._event(change))]
            if lines:
                yield b"".join(lines)
        if self._bookmarks and not self._subscription.overflowed and not self._subscription.closed:
            # Where to go on from, for a client that saw nothing for a long time.
            yield self._form.of_bookmark(kind, self._store.revision, initial_end=False)

    def _event(self, change: Change) -> bytes:
        selection = self._selection
        self._revision = change.revision
        if selection.everything:
            return self._line(change.type, change.entry)
        before = change.previous is not None and selection.wants(change.previous.obj)
        if change.type == "DELETED":
            return self._line("DELETED", change.entry) if before else b""
        after = selection.wants(change.entry.obj)
        if after:
            return self._line("MODIFIED" if before else "ADDED", change.entry)
        return self._line("DELETED", change.entry) if before else b""

    def _line(self, event: str, entry: Entry) -> bytes:
        line = self._form.of_event(event, self._selection.kind, entry, first=self._first)
        self._first = False
        return line


def _forbidden_options(field: str, why: str) -> errors.StatusError:
    return errors.invalid(
        "ListOptions", "meta.k8s.io", "", [errors.Cause("FieldValueForbidden", f"Forbidden: {why}", field)]
    )
