"""The statements that a server answers without its engine: SHOW, USE, SET SESSION, PREPARE and so on.

Called by the engine with a parsed statement. Metadata comes from the catalogs; what the client must
remember (schema, session properties, prepared statements, transactions) goes out as session changes.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any, Protocol

from sqlglot import exp

from sandbox.trino import statements
from sandbox.trino.dialect import Translation, qualified
from sandbox.trino.errors import QueryFailure, located
from sandbox.trino.execution import Column, Connection, Handle, Outcome
from sandbox.trino.session import Session, SessionChanges
from sandbox.trino.session_properties import SYSTEM, check_session_property
from sandbox.trino.token_cursor import Name
from sandbox.trino.trino_types import BIGINT, BOOLEAN, VARCHAR

if TYPE_CHECKING:
    from sandbox.trino.catalogs import Catalogs


def _texts(*names: str) -> list[Column]:
    return [Column(name, VARCHAR) for name in names]


class Planner(Protocol):
    """What a command needs of the engine that runs it; the engine knows the commands, not they it."""

    @property
    def kill_query(self) -> Callable[[str, str | None], None]: ...

    def catalogs(self, connection: Connection) -> Catalogs: ...

    def begin(self, user: str) -> str: ...

    def finish(self, identifier: str, *, commit: bool) -> None: ...

    def translate(self, sql: str, tree: exp.Expression, session: Session, connection: Connection) -> Translation: ...

    def described(self, sql: str, translation: Translation, connection: Connection) -> tuple[list[Column], str]: ...

    def guarded(self, sql: str, translation: Translation | None, action: Callable[[], Any]) -> Any: ...


class Commands:
    """One statement's execution."""

    def __init__(self, engine: Planner, session: Session, handle: Handle, connection: Connection) -> None:
        self._engine = engine
        self._session = session
        self._handle = handle
        self._connection = connection
        self._catalogs: Catalogs = engine.catalogs(connection)

    def run(self, statement: statements.Statement) -> Outcome:
        self._handle.entered("STARTING")
        self._handle.entered("RUNNING")
        match statement:
            case statements.Show():
                return self._show(statement)
            case statements.Use():
                return self._use(statement)
            case statements.SetSession(name, value):
                return self._set_session(name, value)
            case statements.ResetSession(name):
                return self._reset_session(name)
            case statements.Prepare(name, sql):
                statements.parse_statement(sql)
                return _changed("PREPARE", SessionChanges(added_prepared={name: sql}))
            case statements.Deallocate(name):
                self._prepared(name)
                return _changed("DEALLOCATE", SessionChanges(deallocated_prepared=[name]))
            case statements.DescribeParameters(name, output):
                return self._describe_output(name) if output else self._describe_input(name)
            case statements.Transaction(action):
                return self._transaction(action)
            case statements.Explain(sql, analyze, kind):
                return self._explain(sql, analyze, kind)
            case statements.Call(procedure, arguments):
                return self._call(procedure, arguments)
        raise QueryFailure("NOT_SUPPORTED", "The sandbox does not support this statement")

    # SHOW

    def _show(self, statement: statements.Show) -> Outcome:
        what = statement.what
        if what.startswith("CREATE "):
            return self._show_create(what.removeprefix("CREATE "), statement.name)
        if what == "CATALOGS":
            return _one_column("Catalog", self._catalogs.names(), statement)
        if what == "SCHEMAS":
            catalog = statement.name[0] if statement.name else self._session_catalog()
            return _one_column("Schema", self._catalogs.schemas(catalog, (1, 1)), statement)
        if what == "TABLES":
            catalog, schema = self._schema(statement.name)
            self._catalogs.require_schema(catalog, schema, (1, 1))
            return _one_column("Table", sorted(self._catalogs.tables(catalog, schema)), statement)
        if what == "COLUMNS":
            rows = [(column, kind.display(), "", "") for column, kind in self._columns(statement.name).items()]
            return _rows(_texts("Column", "Type", "Extra", "Comment"), _liked(rows, statement))
        if what == "SESSION":
            return self._show_session(statement)
        if what == "FUNCTIONS":
            return self._show_functions(statement)
        if what == "STATS":
            self._columns(statement.name)
            names = (
                "column_name",
                "data_size",
                "distinct_values_count",
                "nulls_fraction",
                "row_count",
                "low_value",
                "high_value",
            )
            return _rows(_texts(*names), [])
        if what in ("ROLES", "CURRENT ROLES"):
            return _rows(_texts("Role"), [])
        return _rows(_texts("Role Grants") if what == "ROLE GRANTS" else _texts("Grantor", "Grantee", "Privilege"), [])

    def _show_create(self, kind: str, name: Name) -> Outcome:
        if kind == "SCHEMA":
            catalog, schema = self._schema(name)
            self._catalogs.require_schema(catalog, schema, (1, 1))
            return _rows(_texts("Create Schema"), [(f"CREATE SCHEMA {catalog}.{schema}",)])
        if kind != "TABLE":
            raise QueryFailure("NOT_SUPPORTED", f"SHOW CREATE {kind} is not supported by the sandbox")
        full = qualified(name, self._session, (1, 1))
        columns = ",\n".join(f"   {column} {type_.display()}" for column, type_ in self._columns(name).items())
        return _rows(_texts("Create Table"), [(f"CREATE TABLE {'.'.join(full)} (\n{columns}\n)",)])

    def _show_session(self, statement: statements.Show) -> Outcome:
        rows = [
            (
                entry.name,
                self._session.properties.get(entry.name, entry.default),
                entry.default,
                entry.type,
                entry.description,
            )
            for entry in sorted(SYSTEM.values(), key=lambda entry: entry.name)
        ]
        return _rows(_texts("Name", "Value", "Default", "Type", "Description"), _liked(rows, statement))

    def _show_functions(self, statement: statements.Show) -> Outcome:
        found = self._connection.query(
            "SELECT DISTINCT function_name, coalesce(lower(return_type), ''), "
            "coalesce(lower(array_to_string(parameter_types, ', ')), ''), function_type, coalesce(description, '') "
            "FROM duckdb_functions() WHERE function_type IN ('scalar', 'aggregate', 'macro') "
            "AND function_name SIMILAR TO '[a-z][a-z0-9_]*' ORDER BY 1, 3"
        )
        rows = [
            (name, returned, arguments, "aggregate" if kind == "aggregate" else "scalar", True, description)
            for name, returned, arguments, kind, description in found
        ]
        columns = [
            *_texts("Function", "Return Type", "Argument Types", "Function Type"),
            Column("Deterministic", BOOLEAN),
            *_texts("Description"),
        ]
        return _rows(columns, _liked(rows, statement))

    def _columns(self, name: Name) -> dict[str, Any]:
        full = qualified(name, self._session, (1, 1))
        self._catalogs.require_schema(full[0], full[1], (1, 1))
        columns = self._catalogs.columns(full)
        if columns is None:
            raise located("TABLE_NOT_FOUND", f"Table '{'.'.join(full)}' does not exist", (1, 1))
        return dict(columns)

    def _session_catalog(self) -> str:
        if self._session.catalog is None:
            raise located("MISSING_CATALOG_NAME", "Catalog must be specified when session catalog is not set", (1, 1))
        return self._session.catalog

    def _schema(self, name: Name) -> tuple[str, str]:
        if len(name) > 1:
            return name[0], name[1]
        catalog = self._session_catalog()
        if name:
            return catalog, name[0]
        if self._session.schema is None:
            raise located("MISSING_SCHEMA_NAME", "Schema must be specified when session schema is not set", (1, 1))
        return catalog, self._session.schema

    # Session

    def _use(self, statement: statements.Use) -> Outcome:
        catalog = statement.catalog or self._session_catalog()
        self._catalogs.require_catalog(catalog)
        self._catalogs.require_schema(catalog, statement.schema)
        return _changed("USE", SessionChanges(catalog=catalog, schema=statement.schema))

    def _set_session(self, name: str, value: exp.Expression) -> Outcome:
        rows = self._connection.query(f"SELECT CAST({value.sql('duckdb')} AS VARCHAR)")
        text = str(rows[0][0])
        check_session_property(name, text, frozenset(self._catalogs.names()))
        return _changed("SET SESSION", SessionChanges(set_properties={name: text}))

    def _reset_session(self, name: str) -> Outcome:
        if "." not in name and name not in SYSTEM:
            raise QueryFailure("INVALID_SESSION_PROPERTY", f"line 1:1: Session property '{name}' does not exist")
        return _changed("RESET SESSION", SessionChanges(reset_properties=[name]))

    def _prepared(self, name: str) -> str:
        sql = self._session.prepared.get(name)
        if sql is None:
            raise QueryFailure("NOT_FOUND", f"Prepared statement not found: {name}")
        return sql

    def _describe_input(self, name: str) -> Outcome:
        count = statements.count_parameters(self._prepared(name))
        rows = [(position, "unknown") for position in range(count)]
        return _rows([Column("Position", BIGINT), Column("Type", VARCHAR)], rows)

    def _describe_output(self, name: str) -> Outcome:
        sql = self._prepared(name)
        sql = statements.bind_parameters(sql, ["NULL"] * statements.count_parameters(sql))
        columns = [
            *_texts("Column Name", "Catalog", "Schema", "Table", "Type"),
            Column("Type Size", BIGINT),
            Column("Aliased", BOOLEAN),
        ]
        statement = statements.parse_statement(sql)
        if not isinstance(statement, statements.Sql) or statement.kind is not None:
            return _rows(columns, [("rows", "", "", "", "bigint", 8, False)])
        translation = self._engine.translate(sql, statement.tree, self._session, self._connection)
        found, _ = self._engine.described(sql, translation, self._connection)
        return _rows(columns, [(column.name, "", "", "", column.type.display(), 0, False) for column in found])

    # Transactions

    def _transaction(self, action: str) -> Outcome:
        identifier = self._session.transaction_id
        if action == "START":
            if identifier is not None:
                raise QueryFailure("NOT_SUPPORTED", "Nested transactions not supported")
            if not self._session.knows_transactions:
                raise QueryFailure("INCOMPATIBLE_CLIENT", "Client does not support transactions")
            started = self._engine.begin(self._session.user)
            return _changed("START TRANSACTION", SessionChanges(started_transaction=started))
        if identifier is None:
            raise QueryFailure("NOT_IN_TRANSACTION", "No transaction in progress")
        self._engine.finish(identifier, commit=action == "COMMIT")
        return _changed(action, SessionChanges(clear_transaction=True))

    # EXPLAIN and CALL

    def _explain(self, sql: str, analyze: bool, kind: str) -> Outcome:
        statement = statements.parse_statement(sql)
        plan = sql
        if isinstance(statement, statements.Sql) and statement.kind is None:
            translation = self._engine.translate(sql, statement.tree, self._session, self._connection)
            self._engine.described(sql, translation, self._connection)
            verb = "EXPLAIN ANALYZE" if analyze else "EXPLAIN"
            rows = self._engine.guarded(sql, translation, lambda: self._connection.query(f"{verb} {translation.sql}"))
            plan = "Planned by the sandbox's engine (DuckDB), not by Trino:\n" + "\n".join(str(row[-1]) for row in rows)
        if kind == "VALIDATE":
            return Outcome([Column("Valid", BOOLEAN)], iter([[[True]]]))
        return _rows(_texts("Query Plan"), [(plan,)])

    def _call(self, procedure: Name, arguments: dict[str, Any]) -> Outcome:
        name = qualified(procedure, self._session, (1, 1))
        self._catalogs.require_catalog(name[0])
        if name != ("system", "runtime", "kill_query"):
            raise located("PROCEDURE_NOT_FOUND", f"Procedure not registered: {'.'.join(name)}", (1, 1))
        query_id = arguments.get("query_id", arguments.get("0"))
        message = arguments.get("message", arguments.get("1"))
        if query_id is None:
            raise located("INVALID_PROCEDURE_ARGUMENT", "Required procedure argument 'QUERY_ID' is missing", (1, 1))
        self._engine.kill_query(str(query_id), None if message is None else str(message))
        return Outcome(update_type="CALL")


def _changed(update_type: str, changes: SessionChanges) -> Outcome:
    return Outcome(update_type=update_type, changes=changes)


def _rows(columns: list[Column], rows: Iterable[Sequence[Any]]) -> Outcome:
    return Outcome(columns, iter([list(rows)]))


def _one_column(name: str, values: Iterable[str], statement: statements.Show) -> Outcome:
    return _rows(_texts(name), _liked([(value,) for value in values], statement))


def _liked(rows: Iterable[tuple[Any, ...]], statement: statements.Show) -> list[tuple[Any, ...]]:
    """Rows whose first value matches the LIKE pattern."""
    if statement.like is None:
        return list(rows)
    pattern = re.compile(like_pattern(statement.like, statement.escape), re.DOTALL)
    return [row for row in rows if pattern.fullmatch(str(row[0]))]


def like_pattern(like: str, escape: str | None) -> str:
    """A LIKE pattern as a regular expression."""
    result: list[str] = []
    characters = iter(like)
    for character in characters:
        if escape is not None and character == escape:
            result.append(re.escape(next(characters, "")))
        elif character == "%":
            result.append(".*")
        elif character == "_":
            result.append(".")
        else:
            result.append(re.escape(character))
    return "".join(result)
