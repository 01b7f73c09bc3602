"""What the engine and the statements that it hands on have in common: connections, columns, outcomes.

Values and narrow views only, so that neither side needs to know the other's module.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from sandbox.trino.session import SessionChanges
from sandbox.trino.trino_types import ENGINE_PRECISION, TrinoType, parse_type


@dataclass(frozen=True, slots=True)
class Column:
    """A result column; `zone` overrides the session's for values with a time zone."""

    name: str
    type: TrinoType
    zone: str | None = None


@dataclass(slots=True)
class Outcome:
    """What a statement gives back. `batches` is read in the same thread, lazily."""

    columns: list[Column] | None = None
    batches: Iterator[Sequence[Sequence[Any]]] = field(default_factory=lambda: iter(()))
    update_type: str | None = None
    update_count: int | None = None
    changes: SessionChanges = field(default_factory=SessionChanges)


class Handle(Protocol):
    """The query, as its execution sees it."""

    def entered(self, state: str) -> None: ...

    def interrupt_with(self, interrupt: Callable[[], None] | None) -> None: ...

    def wait(self, seconds: float) -> None:
        """Sleeps; raises when the query is cancelled meanwhile."""
        ...


class Connection:
    """One DuckDB connection with Trino's settings; also the storage that metadata reads."""

    def __init__(self, raw: Any, tpch_file: Callable[[str], str]) -> None:
        self.raw = raw
        self._tpch_file = tpch_file

    def query(self, sql: str, parameters: Sequence[object] = ()) -> list[tuple[Any, ...]]:
        found: list[tuple[Any, ...]] = self.raw.execute(sql, list(parameters)).fetchall()
        return found

    def tpch_file(self, table: str) -> str:
        return self._tpch_file(table)


def engine_type(text: str) -> TrinoType:
    """A DuckDB type name; its timestamps have six digits."""
    return parse_type(text, precision=ENGINE_PRECISION)
