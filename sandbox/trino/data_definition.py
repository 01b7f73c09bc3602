"""CREATE, DROP, ALTER and what they leave behind in the catalogs' own records.

Called by the engine around statements that change tables. It checks existence first, because the
codes for it are Trino's, and remembers the types that tables were declared with.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

from sqlglot import exp

from sandbox.trino.catalogs import Catalogs, Columns, declared_columns, engine_catalog, engine_table
from sandbox.trino.dialect import dropped, place_of, qualified
from sandbox.trino.errors import QueryFailure, located
from sandbox.trino.session import Session
from sandbox.trino.token_cursor import Name
from sandbox.trino.trino_types import TrinoType


class _Column(Protocol):
    @property
    def name(self) -> str: ...

    @property
    def type(self) -> TrinoType: ...


class _Connection(Protocol):
    def query(self, sql: str, parameters: Sequence[object] = ()) -> object: ...


class DataDefinition:
    """One statement's changes to the catalogs."""

    def __init__(
        self,
        catalogs: Catalogs,
        declared: dict[Name, Columns],
        session: Session,
        connection: _Connection,
        sql: str,
    ) -> None:
        self._catalogs = catalogs
        self._declared = declared
        self._session = session
        self._connection = connection
        self._sql = sql

    def is_own(self, tree: exp.Expression) -> bool:
        """Whether `apply` does the whole of it; the rest goes through the translator."""
        return isinstance(tree, exp.Comment) or (isinstance(tree, exp.Create | exp.Drop) and _kind(tree) == "SCHEMA")

    def counts_rows(self, tree: exp.Expression) -> bool:
        if isinstance(tree, exp.Create):
            return _kind(tree) == "TABLE" and tree.expression is not None
        return isinstance(tree, exp.Insert | exp.Delete | exp.Update | exp.Merge)

    def swallows(self, tree: exp.Expression) -> bool:
        return self._catalogs.swallows(self._target(tree))

    def emptying(self, tree: exp.Expression) -> str:
        """What forgets the rows that the statement has just written."""
        return f"TRUNCATE {engine_table(self._target(tree)).sql('duckdb')}"

    def _target(self, tree: exp.Expression) -> Name:
        table = tree.this.this if isinstance(tree.this, exp.Schema) else tree.this
        return self._name(table)

    def apply(self, tree: exp.Expression) -> None:
        if isinstance(tree, exp.Comment):
            self._existing(self._name(tree.this))
            return
        subject = dropped(tree) if isinstance(tree, exp.Drop) else tree.this
        catalog, schema = self._schema_name(subject)
        self._require_memory(catalog, "schemas")
        there = schema in self._catalogs.schemas(catalog, (1, 1))
        quoted = '"' + schema.replace('"', '""') + '"'
        if isinstance(tree, exp.Create):
            if there:
                if tree.args.get("exists"):
                    return
                raise located("SCHEMA_ALREADY_EXISTS", f"Schema '{catalog}.{schema}' already exists", (1, 1))
            self._connection.query(f'CREATE SCHEMA "{engine_catalog(catalog)}".{quoted}')
            return
        if not there:
            if tree.args.get("exists"):
                return
            raise located("SCHEMA_NOT_FOUND", f"Schema '{catalog}.{schema}' does not exist", (1, 1))
        tables = self._catalogs.tables(catalog, schema)
        if tables and not tree.args.get("cascade"):
            raise QueryFailure("SCHEMA_NOT_EMPTY", f"Cannot drop non-empty schema '{schema}'")
        self._connection.query(f'DROP SCHEMA "{engine_catalog(catalog)}".{quoted} CASCADE')

    def prepare(
        self, tree: exp.Expression, types_of: Callable[[exp.Expression], Sequence[_Column]]
    ) -> Callable[[], None]:
        """Check the statement; the result records its effect once it has happened."""
        if isinstance(tree, exp.Create):
            return self._create(tree, types_of)
        if isinstance(tree, exp.Drop):
            name = self._name(dropped(tree))
            self._refuse(name, tree, (1, 1))
            if not tree.args.get("exists"):
                self._existing(name, "View" if _kind(tree) == "VIEW" else "Table")
            return lambda: self._forget(name)
        if isinstance(tree, exp.Alter):
            name = self._name(tree.this)
            return lambda: self._altered(name, tree)
        return lambda: None

    def _create(self, tree: exp.Create, types_of: Callable[[exp.Expression], Sequence[_Column]]) -> Callable[[], None]:
        if _kind(tree) not in ("TABLE", "VIEW"):
            raise QueryFailure("NOT_SUPPORTED", f"CREATE {_kind(tree)} is not supported by the sandbox")
        target = tree.this.this if isinstance(tree.this, exp.Schema) else tree.this
        name = self._name(target)
        self._refuse(name, tree, place_of(target, self._sql))
        replace = bool(tree.args.get("replace"))
        if self._catalogs.columns(name) is not None and not tree.args.get("exists") and not replace:
            raise located(
                "TABLE_ALREADY_EXISTS",
                f"{_kind(tree).capitalize()} '{'.'.join(name)}' already exists",
                place_of(target, self._sql),
            )
        if _kind(tree) == "VIEW":
            return lambda: self._forget(name)
        if tree.expression is None:
            columns = declared_columns(tree)
            for definition in tree.find_all(exp.ColumnDef):
                kept = [
                    part
                    for part in definition.args.get("constraints") or ()
                    if isinstance(part.kind, exp.NotNullColumnConstraint)
                ]
                definition.set("constraints", kept)
        else:
            columns = {column.name.lower(): column.type for column in types_of(tree.expression.copy())}
            self._without_data(tree)
        return lambda: self._declared.__setitem__(name, columns)

    def _without_data(self, tree: exp.Create) -> None:
        for clause in tree.find_all(exp.WithDataProperty):
            if clause.args.get("no"):
                limited = exp.select("*").from_(exp.Subquery(this=tree.expression.copy(), alias="q")).limit(0)
                tree.set("expression", limited)

    def _altered(self, name: Name, tree: exp.Alter) -> None:
        declared = self._declared.pop(name, {})
        for renamed in tree.find_all(exp.AlterRename):
            name = (*name[:2], renamed.this.name.lower())
        self._declared[name] = declared

    def _refuse(self, name: Name, tree: exp.Expression, location: tuple[int, int] | None) -> None:
        """The connector's refusal comes before any complaint about existence."""
        verb = "CREATE" if isinstance(tree, exp.Create) else "DROP"
        self._catalogs.target(name, f"{verb} {_kind(tree)}", location)

    def _require_memory(self, catalog: str, what: str) -> None:
        self._catalogs.require_catalog(catalog, (1, 1))
        if self._catalogs.connector(catalog) != "memory":
            raise QueryFailure("NOT_SUPPORTED", f"This connector does not support creating {what}")

    def _existing(self, name: Name, what: str = "Table") -> None:
        self._catalogs.require_schema(name[0], name[1], (1, 1))
        if self._catalogs.columns(name) is None:
            raise located("TABLE_NOT_FOUND", f"{what} '{'.'.join(name)}' does not exist", (1, 1))

    def _forget(self, name: Name) -> None:
        self._declared.pop(name, None)

    def _name(self, table: exp.Expression | None) -> Name:
        if not isinstance(table, exp.Table):
            raise QueryFailure("NOT_SUPPORTED", "The sandbox cannot change this kind of object")
        parts = tuple(part.name.lower() for part in table.parts)
        return qualified(parts, self._session, place_of(table, self._sql))

    def _schema_name(self, table: exp.Expression | None) -> tuple[str, str]:
        parts = [part.name.lower() for part in table.parts if part.name] if isinstance(table, exp.Table) else []
        if len(parts) == 2:
            return parts[0], parts[1]
        if len(parts) != 1 or self._session.catalog is None:
            raise located("MISSING_CATALOG_NAME", "Session catalog must be set", (1, 1))
        return self._session.catalog, parts[0]


def _kind(tree: exp.Expression) -> str:
    return str(tree.args.get("kind") or "TABLE").upper()
