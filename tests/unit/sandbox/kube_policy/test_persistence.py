"""What was acknowledged is there after a kill; what was torn was never acknowledged; one server per directory."""

import os
import signal
import stat
import subprocess
import sys

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sandbox.kube.errors import StatusError
from sandbox.kube.persistence import BadDataDir, DataDirBusy, Persistence
from sandbox.kube.store import GroupResource, Store

PODS = GroupResource("", "pods")


def obj(name, namespace="ns", **more):
    return {"metadata": {"name": name, "namespace": namespace, **more}}


def put(store, name, **more):
    current = store.get(PODS, "ns", name)
    if current is None:
        return store.create(PODS, "ns", name, obj(name, **more))
    return store.update(PODS, current, obj(name, **more))


def contents(store):
    return {entry.name: entry.obj for entry in store.entries(PODS)}


def reopened(path):
    store = Store()
    with Persistence(path) as kept:
        kept.attach(store)
        return contents(store), store.revision


def killed(kept):
    """Ends a server as kill -9 would: the files are closed, nothing else happens."""
    os.close(kept._journal)
    os.close(kept._lock)
    kept._lock = -1


def test_changes_survive_a_kill(tmp_path):
    store, kept = Store(), Persistence(tmp_path)
    kept.attach(store)
    put(store, "a", labels={"x": "1"})
    put(store, "a", labels={"x": "2"})
    put(store, "b")
    store.delete(PODS, store.get(PODS, "ns", "b"))
    before, revision = contents(store), store.revision
    killed(kept)
    assert reopened(tmp_path) == (before, revision)
    assert before["a"]["metadata"]["resourceVersion"] == "3"


def test_a_clean_stop_leaves_a_snapshot_and_an_empty_journal(tmp_path):
    store = Store()
    with Persistence(tmp_path) as kept:
        kept.attach(store)
        put(store, "a")
    assert (tmp_path / "journal").stat().st_size == 0
    assert reopened(tmp_path)[0].keys() == {"a"}
    for name in ("journal", "snapshot", "lock"):
        assert stat.S_IMODE((tmp_path / name).stat().st_mode) == 0o600


def test_the_journal_is_folded_into_a_snapshot_when_it_grows(tmp_path):
    store, kept = Store(), Persistence(tmp_path, snapshot_after=1000)
    kept.attach(store)
    for number in range(200):
        put(store, "a", labels={"n": str(number)})
    assert (tmp_path / "journal").stat().st_size < 2000
    before, revision = contents(store), store.revision
    killed(kept)
    assert reopened(tmp_path) == (before, revision)


def test_a_crash_between_snapshot_and_truncation_repeats_nothing(tmp_path):
    store, kept = Store(), Persistence(tmp_path)
    kept.attach(store)
    put(store, "a")
    store.delete(PODS, store.get(PODS, "ns", "a"))
    put(store, "b")
    journal = (tmp_path / "journal").read_bytes()
    kept.snapshot()
    killed(kept)
    (tmp_path / "journal").write_bytes(journal)
    names, revision = reopened(tmp_path)
    assert set(names) == {"b"} and revision == store.revision


@settings(max_examples=60, deadline=None)
@given(cut=st.integers(1, 400), junk=st.binary(max_size=20).filter(lambda data: b"\n" not in data))
def test_a_torn_last_line_loses_only_itself(tmp_path_factory, cut, junk):
    path = tmp_path_factory.mktemp("torn")
    store, kept = Store(), Persistence(path)
    kept.attach(store)
    put(store, "a")
    safe = (path / "journal").stat().st_size
    put(store, "b")
    killed(kept)
    data = (path / "journal").read_bytes()
    kept_bytes = max(safe, len(data) - cut)
    (path / "journal").write_bytes(data[:kept_bytes] + junk)
    names, _ = reopened(path)
    assert "a" in names
    again, _ = reopened(path)
    assert again == names


def test_damage_in_the_middle_is_an_error_and_changes_nothing(tmp_path):
    store, kept = Store(), Persistence(tmp_path)
    kept.attach(store)
    put(store, "a")
    put(store, "b")
    killed(kept)
    journal = tmp_path / "journal"
    damaged = b"X" + journal.read_bytes()[1:]
    journal.write_bytes(damaged)
    with Persistence(tmp_path) as again, pytest.raises(BadDataDir, match="journal is damaged at byte 0"):
        again.attach(Store())
    assert journal.read_bytes() == damaged


def test_a_foreign_snapshot_is_refused(tmp_path):
    (tmp_path / "snapshot").write_bytes(b"hello\n")
    with Persistence(tmp_path) as kept, pytest.raises(BadDataDir):
        kept.attach(Store())


def test_a_change_that_cannot_be_written_did_not_happen(tmp_path, monkeypatch):
    store = Store()
    with Persistence(tmp_path) as kept:
        kept.attach(store)
        put(store, "a")
        size = (tmp_path / "journal").stat().st_size
        real_write = os.write

        def full_disk(descriptor, data):
            real_write(descriptor, data[:5])
            raise OSError(28, "No space left on device")

        monkeypatch.setattr(os, "write", full_disk)
        with pytest.raises(StatusError, match=r"not kept: .*No space left"):
            put(store, "b")
        monkeypatch.undo()
        assert set(contents(store)) == {"a"}
        assert (tmp_path / "journal").stat().st_size == size
        put(store, "c")
    assert set(reopened(tmp_path)[0]) == {"a", "c"}


def test_a_second_server_is_refused_and_told_by_whom(tmp_path):
    with Persistence(tmp_path):
        with pytest.raises(DataDirBusy, match=str(os.getpid())):
            Persistence(tmp_path)
    Persistence(tmp_path).close()


CHILD = """
import sys
from pathlib import Path
from sandbox.kube.persistence import Persistence
from sandbox.kube.store import GroupResource, Store
store = Store()
Persistence(Path(sys.argv[1]), snapshot_after=20000).attach(store)
number = 0
while True:
    name = f"p{number}"
    store.create(GroupResource("", "pods"), "ns", name, {"metadata": {"name": name, "namespace": "ns"}})
    print(number, flush=True)
    number += 1
"""


def test_a_killed_process_loses_nothing_that_it_acknowledged(tmp_path):
    with subprocess.Popen([sys.executable, "-c", CHILD, str(tmp_path)], stdout=subprocess.PIPE) as child:
        acknowledged = -1
        while acknowledged < 500:
            acknowledged = int(child.stdout.readline())
        child.send_signal(signal.SIGKILL)
        for line in child.stdout.read().splitlines(keepends=True):
            if line.endswith(b"\n"):
                acknowledged = int(line)
    names, _ = reopened(tmp_path)
    assert {f"p{number}" for number in range(acknowledged + 1)} <= set(names)
