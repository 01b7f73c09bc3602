"""A temporary folder that is removed by its owner or, when that was killed, by the next owner of such a folder."""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import tempfile
from pathlib import Path


class OwnedFolder:
    """`path` starts with `prefix` in the system's temporary folder. The lock in it says that it is in use, and goes
    with the process."""

    def __init__(self, prefix: str) -> None:
        remove_abandoned(prefix)
        self.path = Path(tempfile.mkdtemp(prefix=prefix))
        unseen = self.path / "lock.new"
        self._lock = os.open(unseen, os.O_CREAT | os.O_WRONLY, 0o600)
        fcntl.flock(self._lock, fcntl.LOCK_EX)
        unseen.rename(self.path / "lock")  # nobody finds it before it is locked

    def remove(self) -> None:
        shutil.rmtree(self.path, ignore_errors=True)
        os.close(self._lock)


def remove_abandoned(prefix: str) -> None:
    """Remove the folders with this prefix whose owner is gone."""
    for path in Path(tempfile.gettempdir()).glob(f"{prefix}*/lock"):
        with contextlib.suppress(OSError), path.open("wb") as lock:  # in use, another user's, or just being removed
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            shutil.rmtree(path.parent, ignore_errors=True)
