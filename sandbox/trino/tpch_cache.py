"""The generated TPC-H tables as Parquet files, made once per machine and shared by every stand-in.

Called by the engine from a query's thread. A table is written under a temporary name and renamed, so
that two servers that need it at once cannot see half a file. Where the cache folder cannot be
written, a folder of this process takes its place.
"""

from __future__ import annotations

import contextlib
import csv
import os
import tempfile
import threading
from pathlib import Path
from typing import Any

from sandbox.trino import tpch
from sandbox.trino.trino_types import TrinoType

# A change to the generator must change this, or old files would stay in use.
_GENERATION = 1
_ENGINE_TYPES = {"bigint": "BIGINT", "integer": "INTEGER", "double": "DOUBLE", "date": "DATE"}


class TpchCache:
    """Where the files are; `folder` is created when first needed."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._own: tempfile.TemporaryDirectory[str] | None = None
        self._lock = threading.Lock()

    @property
    def folder(self) -> Path:
        """A folder that can be written."""
        if self._own is None and not _writable(self._folder):
            self._own = tempfile.TemporaryDirectory(prefix="xtrinode-tpch-")
        return Path(self._own.name) if self._own is not None else self._folder

    def file(self, table: str, connection: Any) -> Path:
        """The table's Parquet file, generated if it is not there; `connection` may write there."""
        path = self.folder / f"tpch-tiny-{table}-{_GENERATION}.parquet"
        with self._lock:
            if not path.exists():
                _generate(table, path, connection)
        return path

    def close(self) -> None:
        if self._own is not None:
            self._own.cleanup()
            self._own = None


def _writable(folder: Path) -> bool:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError:
        return False
    return os.access(folder, os.W_OK)


def _generate(table: str, path: Path, connection: Any) -> None:
    handle, name = tempfile.mkstemp(prefix=f"{table}-", suffix=".csv", dir=path.parent)
    text, parquet = Path(name), Path(name).with_suffix(".parquet.new")
    try:
        with os.fdopen(handle, "w", newline="") as file:
            csv.writer(file, quoting=csv.QUOTE_MINIMAL).writerows(tpch.rows(table))
        columns = ", ".join(f"'{column}': '{_engine_type(kind)}'" for column, kind in tpch.TABLES[table].columns)
        source = (
            f"read_csv('{_quoted(text)}', header = false, auto_detect = false, delim = ',', "
            f"quote = '\"', escape = '\"', columns = {{{columns}}})"
        )
        # Both paths are ours and quoted.
        connection.execute(f"COPY (FROM {source}) TO '{_quoted(parquet)}' (FORMAT parquet)")
        parquet.replace(path)
    finally:
        for leftover in (text, parquet):
            with contextlib.suppress(FileNotFoundError):
                leftover.unlink()


def _engine_type(kind: TrinoType) -> str:
    return _ENGINE_TYPES.get(kind.base, "VARCHAR")


def _quoted(path: Path) -> str:
    return str(path).replace("'", "''")
