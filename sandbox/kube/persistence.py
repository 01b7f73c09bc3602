"""Keeps the store on disk: a snapshot and, after it, one line per change.

`Persistence(data_dir)` locks the directory, `attach` fills an empty store and then journals every change
before anyone sees it. Each line goes to the kernel in one write, so what was acknowledged survives `kill -9`
of the server; against a power cut only snapshots (and a clean stop) are synced, which is the price of a fast
sandbox. A torn last line is dropped, because it was never acknowledged; damage anywhere else is an error.

Lines are `crc32 json`, in files that only their owner may read. It knows nothing of what the objects mean.
"""

from __future__ import annotations

import fcntl
import logging
import os
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import orjson

from sandbox.kube.store import Change, GroupResource, Object, Store
from sandbox.kube.tls import write_private

_log = logging.getLogger("sandbox.kube")
FORMAT: Final = 1
SNAPSHOT_AFTER: Final = 8 << 20  # bytes of journal, at least; more when the snapshot itself is larger


class DataDirBusy(Exception):
    """Another server uses this data directory."""


class BadDataDir(Exception):
    """The data directory cannot be read back; nothing in it was changed."""


class Persistence:
    """The files of one data directory. `with` releases the lock."""

    def __init__(self, data_dir: Path, *, snapshot_after: int = SNAPSHOT_AFTER) -> None:
        data_dir.mkdir(parents=True, exist_ok=True)
        self._data_dir = data_dir
        self._snapshot_file = data_dir / "snapshot"
        self._journal_file = data_dir / "journal"
        self._snapshot_after = snapshot_after
        self._store: Store | None = None
        self._lock = _lock(data_dir)
        self._journal = -1
        self._size = 0
        self._limit = snapshot_after

    def attach(self, store: Store) -> None:
        """Restores what was kept into an empty `store`, and journals its changes from now on."""
        objects, revision = self._read()
        store.restore(((resource, obj) for (resource, _, _), obj in objects.items()), revision)
        self._store = store
        store.journal = self.append

    def append(self, change: Change) -> None:
        """Called by the store before a change is visible; raises OSError when it could not be kept."""
        if self._size > self._limit:
            self.snapshot()
        entry = change.entry
        head = {"r": change.revision, "g": change.resource.group, "p": change.resource.plural}
        if change.type == "DELETED":
            line = orjson.dumps({**head, "n": entry.namespace, "d": entry.name})
        else:
            # The object's bytes are made once per revision and shared with every reader.
            line = b"%s,%s%s}" % (orjson.dumps(head)[:-1], b'"o":', entry.raw)
        self._write(_framed(line))

    def snapshot(self) -> None:
        """Writes the whole store and starts the journal anew. Safe to be killed at any point."""
        if self._store is None:
            return
        store = self._store
        entries = [(resource, entry) for resource in store.resources() for entry in store.entries(resource)]
        lines = [_framed(orjson.dumps({"format": FORMAT, "revision": store.revision, "objects": len(entries)}))]
        lines.extend(
            _framed(b'%s,"o":%s}' % (orjson.dumps({"g": resource.group, "p": resource.plural})[:-1], entry.raw))
            for resource, entry in entries
        )
        data = b"".join(lines)
        write_private(self._snapshot_file, data)
        # A crash right here leaves old lines in the journal; their revisions are not newer, so they are skipped.
        os.ftruncate(self._journal, 0)
        self._size = 0
        self._limit = max(self._snapshot_after, len(data))

    def close(self) -> None:
        """A last snapshot, then the lock is released. Closing twice is fine."""
        if self._lock < 0:
            return
        try:
            if self._store is not None:
                self._store.journal = None
                self.snapshot()
        except OSError as error:
            # Nothing is lost: the journal has every change since the snapshot before.
            _log.warning("no last snapshot in %s: %s", self._snapshot_file, error)
        finally:
            if self._journal >= 0:
                os.close(self._journal)
            os.close(self._lock)
            self._lock = self._journal = -1
            self._store = None

    def __enter__(self) -> Persistence:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _write(self, line: bytes) -> None:
        try:
            written = os.write(self._journal, line)
            if written != len(line):
                raise OSError(f"{self._journal_file}: the disk took {written} of {len(line)} bytes")
        except OSError:
            # Half a line in the middle of the journal would make the whole of it unreadable.
            os.ftruncate(self._journal, self._size)
            raise
        self._size += len(line)

    def _read(self) -> tuple[dict[tuple[GroupResource, str, str], Object], int]:
        objects, revision = self._read_snapshot()
        flags = os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC
        self._journal = os.open(self._journal_file, flags, 0o600)
        good = 0
        for end, record in _records(self._journal_file, torn_tail=True):
            good = end
            if record["r"] <= revision:
                continue
            revision = record["r"]
            resource = GroupResource(record["g"], record["p"])
            if "d" in record:
                objects.pop((resource, record["n"], record["d"]), None)
            else:
                objects[_key(resource, record["o"])] = record["o"]
        os.ftruncate(self._journal, good)
        self._size = good
        return objects, revision

    def _read_snapshot(self) -> tuple[dict[tuple[GroupResource, str, str], Object], int]:
        objects: dict[tuple[GroupResource, str, str], Object] = {}
        if not self._snapshot_file.exists():
            return objects, 0
        records = _records(self._snapshot_file, torn_tail=False)
        _, header = next(records, (0, {}))
        if header.get("format") != FORMAT:
            raise BadDataDir(
                f"{self._snapshot_file} is not a snapshot of this version: use another --data-dir, or delete this one"
            )
        for _, record in records:
            objects[_key(GroupResource(record["g"], record["p"]), record["o"])] = record["o"]
        if len(objects) != header["objects"]:
            raise BadDataDir(f"{self._snapshot_file} holds {len(objects)} of {header['objects']} objects")
        self._limit = max(self._snapshot_after, self._snapshot_file.stat().st_size)
        return objects, header["revision"]


def _key(resource: GroupResource, obj: Object) -> tuple[GroupResource, str, str]:
    metadata = obj["metadata"]
    return resource, metadata.get("namespace") or "", metadata["name"]


def _framed(line: bytes) -> bytes:
    return b"%08x %s\n" % (zlib.crc32(line), line)


def _records(path: Path, *, torn_tail: bool) -> Iterator[tuple[int, dict[str, Any]]]:
    """Each intact record with the offset where it ends; the last one may be torn if `torn_tail`."""
    data = path.read_bytes()
    start = 0
    while start < len(data):
        end = data.find(b"\n", start)
        line = data[start:] if end < 0 else data[start:end]
        record = _parse(line) if end >= 0 else None
        if record is None:
            # A write that the kernel cut short can only be at the very end.
            if torn_tail and (end < 0 or end + 1 == len(data)):
                return
            raise BadDataDir(
                f"{path} is damaged at byte {start}: restore it from a copy, or start with another --data-dir"
            )
        start = end + 1
        yield start, record


def _parse(line: bytes) -> dict[str, Any] | None:
    try:
        if line[8:9] != b" " or int(line[:8], 16) != zlib.crc32(line[9:]):
            return None
        record = orjson.loads(line[9:])
    except ValueError:
        return None
    return record if isinstance(record, dict) else None


def _lock(data_dir: Path) -> int:
    path = data_dir / "lock"
    # Held by the open file, so the kernel releases it however the process ends.
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        owner = os.pread(descriptor, 32, 0).decode("ascii", "replace").strip() or "unknown"
        os.close(descriptor)
        raise DataDirBusy(
            f"{data_dir} is in use by another API server (process {owner}): stop it, or choose another --data-dir"
        ) from error
    os.ftruncate(descriptor, 0)
    os.pwrite(descriptor, f"{os.getpid()}\n".encode("ascii"), 0)
    return descriptor
