"""DuckDB behind Trino's dialect: executes one statement at a time on a connection of its own.

Called from a query's worker thread. The database lives in memory and is private to the process; the
engine library is imported in `start`, so that the server's listener is up before. Statements of the
session and metadata kind are handed to the commands module.
"""

from __future__ import annotations

import threading
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sandbox.trino.configuration import ServerConfiguration
from sandbox.trino.errors import QueryFailure
from sandbox.trino.execution import Column, Connection, Handle, Outcome
from sandbox.trino.session import Session
from sandbox.trino.tpch_cache import TpchCache
from sandbox.trino.trino_types import BIGINT
from sandbox.trino.units import parse_duration

if TYPE_CHECKING:
    from sqlglot import exp

    from sandbox.trino.catalogs import Catalogs, Columns, SystemTables
    from sandbox.trino.dialect import Translation
    from sandbox.trino.token_cursor import Name

_BATCH = 1000


@dataclass(slots=True)
class _OpenTransaction:
    connection: Any
    user: str
    aborted: bool = False
    lock: threading.Lock = field(default_factory=threading.Lock)


class Engine:
    """The process's database, its transactions and the types that its tables were declared with."""

    def __init__(self, configuration: ServerConfiguration, cache: Path, *, threads: int = 2) -> None:
        self.configuration = configuration
        self.catalogs_by_name = {catalog.name: catalog for catalog in configuration.catalogs}
        self.declared: dict[Name, Columns] = {}
        self.system: SystemTables | None = None
        self.kill_query: Callable[[str, str | None], None] = _nothing_to_kill
        self._threads = threads
        self._cache = TpchCache(cache)
        self._root: Any = None
        self._root_lock = threading.Lock()
        self._transactions: dict[str, _OpenTransaction] = {}

    def start(self) -> None:
        """Import the engine and create the catalogs; a second or so on a cold machine."""
        import duckdb

        # Imported here so that the first query need not wait for them.
        from sandbox.trino import commands, data_definition, engine_errors, result_columns, sleeping  # noqa: F401
        from sandbox.trino.functions import MACROS

        folder = self._cache.folder
        root = duckdb.connect(
            ":memory:", config={"threads": self._threads, "memory_limit": "1GB", "python_enable_replacements": False}
        )
        root.execute("SET allowed_directories = [?]", [f"{folder}/"])
        for catalog in self.configuration.catalogs:
            if catalog.connector in ("memory", "blackhole"):
                root.execute(f"ATTACH ':memory:' AS \"trino_{catalog.name}\"")
                root.execute(f'CREATE SCHEMA "trino_{catalog.name}"."default"')
        root.execute(MACROS)
        root.execute("SET enable_external_access = false")
        self._root = root

    def close(self) -> None:
        if self._root is not None:
            self._root.close()
            self._root = None
        self._cache.close()

    def tpch_file(self, table: str) -> str:
        with self._root_lock:
            cursor = self._root.cursor()
        try:
            return str(self._cache.file(table, cursor))
        finally:
            cursor.close()

    def catalogs(self, connection: Connection) -> Catalogs:
        from sandbox.trino.catalogs import Catalogs

        assert self.system is not None
        return Catalogs(self.catalogs_by_name, connection, self.system, self.declared)

    # Transactions

    def begin(self, user: str) -> str:
        identifier = str(uuid.uuid4())
        connection = self._connect("UTC")
        connection.execute("BEGIN TRANSACTION")
        self._transactions[identifier] = _OpenTransaction(connection, user)
        return identifier

    def finish(self, identifier: str, *, commit: bool) -> None:
        transaction = self._transaction(identifier)
        del self._transactions[identifier]
        aborted = transaction.aborted
        transaction.connection.execute("COMMIT" if commit and not aborted else "ROLLBACK")
        transaction.connection.close()
        if commit and aborted:
            raise QueryFailure("TRANSACTION_ALREADY_ABORTED", "Current transaction is already aborted")

    def _transaction(self, identifier: str) -> _OpenTransaction:
        found = self._transactions.get(identifier)
        if found is None:
            raise QueryFailure(
                "UNKNOWN_TRANSACTION",
                f"Unknown transaction ID: {identifier}. Possibly expired? "
                "Commands ignored until end of transaction block",
            )
        return found

    def transaction_ids(self) -> list[str]:
        return list(self._transactions)

    def _connect(self, zone: str) -> Any:
        with self._root_lock:
            if self._root is None:
                raise QueryFailure("SERVER_STARTING_UP", "Trino server is still initializing")
            cursor = self._root.cursor()
        cursor.execute("SET errors_as_json = true")
        cursor.execute("SET integer_division = true")
        cursor.execute("SET TimeZone = '" + zone.replace("'", "") + "'")
        return cursor

    # Execution

    @contextmanager
    def execute(self, sql: str, session: Session, handle: Handle) -> Iterator[Outcome]:
        """The statement's outcome; its rows can be read until the block is left."""
        identifier = session.transaction_id
        if identifier is None:
            raw = self._connect(session.zone.key)
            handle.interrupt_with(raw.interrupt)
            try:
                yield self._run(sql, session, handle, Connection(raw, self.tpch_file))
            finally:
                handle.interrupt_with(None)
                raw.close()
            return
        transaction = self._transaction(identifier)
        with transaction.lock:
            if transaction.aborted and not _ends_transaction(sql):
                raise QueryFailure(
                    "TRANSACTION_ALREADY_ABORTED",
                    "Current transaction is aborted, commands ignored until end of transaction block",
                )
            handle.interrupt_with(transaction.connection.interrupt)
            try:
                yield self._run(sql, session, handle, Connection(transaction.connection, self.tpch_file))
            except QueryFailure:
                transaction.aborted = True
                raise
            finally:
                handle.interrupt_with(None)

    def _run(self, sql: str, session: Session, handle: Handle, connection: Connection) -> Outcome:
        from sandbox.trino import statements
        from sandbox.trino.commands import Commands

        handle.entered("PLANNING")
        statement = statements.parse_statement(sql)
        if isinstance(statement, statements.Execute):
            prepared = statement.sql
            if prepared is None:
                prepared = session.prepared.get(statement.name or "")
            if prepared is None:
                raise QueryFailure("NOT_FOUND", f"Prepared statement not found: {statement.name}")
            sql = statements.bind_parameters(prepared, statement.parameters)
            statement = statements.parse_statement(sql)
        if isinstance(statement, statements.Sql):
            return self.run_sql(sql, statement, session, handle, connection)
        commands = Commands(self, session, handle, connection)
        outcome: Outcome = self.guarded(sql, None, lambda: commands.run(statement))
        return outcome

    def translate(self, sql: str, tree: exp.Expression, session: Session, connection: Connection) -> Translation:
        from sandbox.trino.dialect import Translator

        return Translator(sql, session, self.catalogs(connection)).translate(tree)

    def run_sql(self, sql: str, statement: Any, session: Session, handle: Handle, connection: Connection) -> Outcome:
        """A query or a change of data or tables."""
        from sandbox.trino.data_definition import DataDefinition
        from sandbox.trino.sleeping import take_sleeps

        tree = statement.tree
        pause = take_sleeps(tree) + parse_duration(session.properties.get("sandbox_sleep", "0s"))
        definition = DataDefinition(self.catalogs(connection), self.declared, session, connection, sql)
        if statement.kind is not None and definition.is_own(tree):
            _running(handle, pause)
            self.guarded(sql, None, lambda: definition.apply(tree))
            return Outcome(update_type=statement.kind)
        if statement.kind is None:
            translation = self.translate(sql, tree, session, connection)
            columns, text = self.described(sql, translation, connection)
            _running(handle, pause)
            return Outcome(columns, self._batches(sql, text, translation, connection))
        changed = definition.prepare(tree, lambda query: self._column_types(sql, query, session, connection))
        translation = self.translate(sql, tree, session, connection)
        _running(handle, pause)
        rows = [row for batch in self._batches(sql, translation.sql, translation, connection) for row in batch]
        changed()
        if definition.counts_rows(tree) and definition.swallows(tree):
            self.guarded(sql, None, lambda: connection.query(definition.emptying(tree)))
        if definition.counts_rows(tree):
            count = int(rows[0][0]) if rows and rows[0] else 0
            return Outcome([Column("rows", BIGINT)], iter([[[count]]]), statement.kind, count)
        return Outcome(update_type=statement.kind)

    def _column_types(self, sql: str, tree: exp.Expression, session: Session, connection: Connection) -> list[Column]:
        return self.described(sql, self.translate(sql, tree, session, connection), connection)[0]

    def described(self, sql: str, translation: Translation, connection: Connection) -> tuple[list[Column], str]:
        """The result's columns, known before it runs, and the text to run."""
        from sandbox.trino.result_columns import result_columns

        described = self.guarded(sql, translation, lambda: connection.query(f"DESCRIBE {translation.sql}"))
        return result_columns(translation, [(str(row[0]), str(row[1])) for row in described])

    def _batches(
        self, sql: str, text: str, translation: Translation, connection: Connection
    ) -> Iterator[Sequence[Sequence[Any]]]:
        cursor = self.guarded(sql, translation, lambda: connection.raw.execute(text))
        while True:
            batch = self.guarded(sql, translation, lambda: cursor.fetchmany(_BATCH))
            if not batch:
                return
            yield batch

    def guarded(self, sql: str, translation: Translation | None, action: Callable[[], Any]) -> Any:
        import duckdb

        from sandbox.trino.engine_errors import as_failure

        try:
            return action()
        except duckdb.InterruptException as error:
            raise QueryFailure("USER_CANCELED", "Query was canceled") from error
        except duckdb.Error as error:
            raise as_failure(error, translation, sql) from error


def _nothing_to_kill(query_id: str, message: str | None) -> None:
    raise QueryFailure("NOT_FOUND", f"Target query not found: {query_id}")


def _running(handle: Handle, pause: float) -> None:
    handle.entered("STARTING")
    handle.entered("RUNNING")
    if pause > 0:
        handle.wait(pause)


def _ends_transaction(sql: str) -> bool:
    return sql.split(None, 1)[0].upper() in ("ROLLBACK", "COMMIT") if sql.strip() else False
