"""Which catalogs, schemas, tables and columns there are, and what the engine reads for each table.

Called by the translator (as its resolver) and by the SHOW statements. `tpch` and `memory` catalogs hold
data, `blackhole` takes and forgets it, `tpcds` is listed only; `system` and each catalog's
`information_schema` are computed; any other connector is listed by name, and touching it fails as it
would when the remote system is out of reach.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Protocol

from sqlglot import exp, parse_one

from sandbox.trino import jdbc_tables, tpch
from sandbox.trino.configuration import CatalogConfiguration
from sandbox.trino.connector_keys import CONNECTORS
from sandbox.trino.dialect import Source
from sandbox.trino.errors import QueryFailure, located
from sandbox.trino.token_cursor import Name
from sandbox.trino.trino_types import ENGINE_PRECISION, TrinoType, UnknownType, parse_type

Location = tuple[int, int] | None
Columns = dict[str, TrinoType]
INFORMATION_SCHEMA = "information_schema"
_SCALES = ("sf1", "sf100", "sf1000", "sf10000", "sf100000", "sf300", "sf3000", "sf30000")
_STORED = ("memory", "blackhole")
_LISTED = (*_STORED, "tpch", "tpcds")
_TPCDS_TABLES = (
    "call_center catalog_page catalog_returns catalog_sales customer customer_address customer_demographics date_dim "
    "dbgen_version household_demographics income_band inventory item promotion reason ship_mode store store_returns "
    "store_sales time_dim warehouse web_page web_returns web_sales web_site"
)
_WRITE_VERBS = {"INSERT": "inserts", "DELETE": "deletes", "UPDATE": "updates", "MERGE": "merges"}


class Storage(Protocol):
    """The engine, as far as metadata needs it."""

    def query(self, sql: str, parameters: Sequence[object] = ()) -> list[tuple[Any, ...]]: ...

    def tpch_file(self, table: str) -> str: ...


class SystemTables(Protocol):
    """The computed tables of `system`."""

    def schemas(self) -> dict[str, dict[str, Columns]]: ...

    def rows(self, schema: str, table: str) -> Iterable[Sequence[Any]]: ...


def engine_catalog(name: str) -> str:
    """DuckDB has catalogs named memory, system and temp itself; ours are told apart by a prefix."""
    return f"trino_{name}"


class Catalogs:
    """One view per query: `storage` is the query's own connection, so it sees its own transaction."""

    def __init__(
        self,
        configured: dict[str, CatalogConfiguration],
        storage: Storage,
        system: SystemTables,
        declared: dict[Name, Columns],
    ) -> None:
        self._configured = configured
        self._storage = storage
        self._system = system
        self._declared = declared
        """Types as the user wrote them; the engine keeps neither lengths nor precisions."""

    def names(self) -> list[str]:
        return sorted((*self._configured, "system"))

    def connector(self, catalog: str) -> str:
        return "system" if catalog == "system" else self._configured[catalog].connector

    def require_catalog(self, catalog: str, location: Location = None) -> None:
        if catalog != "system" and catalog not in self._configured:
            raise located("CATALOG_NOT_FOUND", f"Catalog '{catalog}' not found", location)

    def has_data(self, catalog: str) -> bool:
        """Whether the stand-in can list what is in the catalog."""
        return self.connector(catalog) in (*_LISTED, "system")

    def has_columns(self, catalog: str) -> bool:
        """Whether the columns of its tables are known too."""
        return self.has_data(catalog) and self.connector(catalog) != "tpcds"

    def _require_data(self, catalog: str) -> None:
        """Stop where only the real connector could go on."""
        if self.has_data(catalog):
            return
        connector = self.connector(catalog)
        family = CONNECTORS[connector].family
        code = {"jdbc": "JDBC_ERROR", "lake": "HIVE_METASTORE_ERROR"}.get(family, "CONNECTOR_UNAVAILABLE")
        raise QueryFailure(
            code,
            f"Catalog '{catalog}' uses the {connector} connector, whose data the sandbox's stand-in cannot reach; "
            "run a real Trino (--trino-home) to query it",
        )

    def schemas(self, catalog: str, location: Location = None) -> list[str]:
        self.require_catalog(catalog, location)
        self._require_data(catalog)
        connector = self.connector(catalog)
        if connector == "system":
            return sorted((*self._system.schemas(), INFORMATION_SCHEMA))
        if connector in ("tpch", "tpcds"):
            return sorted(("tiny", *_SCALES, INFORMATION_SCHEMA))
        found = self._storage.query(
            "SELECT schema_name FROM duckdb_schemas() WHERE database_name = ? AND NOT internal",
            (engine_catalog(catalog),),
        )
        return sorted({row[0] for row in found} - {"main"} | {INFORMATION_SCHEMA})

    def require_schema(self, catalog: str, schema: str, location: Location = None) -> None:
        if schema not in self.schemas(catalog, location):
            raise located("SCHEMA_NOT_FOUND", f"Schema '{schema}' does not exist", location)

    def tables(self, catalog: str, schema: str) -> dict[str, str]:
        """Table names with their kind, TABLE or VIEW."""
        if schema == INFORMATION_SCHEMA:
            return dict.fromkeys(INFORMATION_TABLES, "TABLE")
        connector = self.connector(catalog)
        if connector == "system":
            return dict.fromkeys(self._system.schemas().get(schema, {}), "TABLE")
        if connector == "tpch":
            return dict.fromkeys(tpch.TABLES, "TABLE")
        if connector == "tpcds":
            return dict.fromkeys(_TPCDS_TABLES.split(), "TABLE")
        found = self._storage.query(
            "SELECT table_name, table_type FROM information_schema.tables WHERE table_catalog = ? AND table_schema = ?",
            (engine_catalog(catalog), schema),
        )
        return {row[0]: "VIEW" if row[1] == "VIEW" else "TABLE" for row in found}

    def columns(self, name: Name) -> Columns | None:
        """The columns of a table, None when there is no such table."""
        catalog, schema, table = name
        if schema == INFORMATION_SCHEMA:
            return INFORMATION_TABLES.get(table)
        connector = self.connector(catalog)
        if connector == "system":
            return self._system.schemas().get(schema, {}).get(table)
        if connector == "tpch":
            return self._tpch_columns(catalog, table)
        if connector == "tpcds" and table in _TPCDS_TABLES.split():
            raise QueryFailure("NOT_SUPPORTED", "The sandbox has no TPC-DS data; use a tpch catalog's schema tiny")
        found = self._storage.query(
            "SELECT column_name, data_type FROM duckdb_columns() "
            "WHERE database_name = ? AND schema_name = ? AND table_name = ? ORDER BY column_index",
            (engine_catalog(catalog), schema, table),
        )
        if not found:
            return None
        declared = self._declared.get(name, {})
        return {
            column.lower(): declared.get(column.lower()) or parse_type(kind, precision=ENGINE_PRECISION)
            for column, kind in found
        }

    def _tpch_columns(self, catalog: str, table: str) -> Columns | None:
        found = tpch.TABLES.get(table)
        if found is None:
            return None
        standard = self._configured[catalog].properties.get("tpch.column-naming", "SIMPLIFIED").upper() == "STANDARD"
        prefix = found.prefix if standard else ""
        return {prefix + column: kind for column, kind in found.columns}

    # The translator's questions

    def table(self, name: Name, location: Location) -> Source:
        catalog, schema, table = name
        self.require_schema(catalog, schema, location)
        columns = self.columns(name)
        if columns is None:
            raise located("TABLE_NOT_FOUND", f"Table '{'.'.join(name)}' does not exist", location)
        if schema == INFORMATION_SCHEMA:
            return Source(_values(columns, self._information_rows(catalog, table)), columns)
        connector = self.connector(catalog)
        if connector == "system":
            rows = jdbc_tables.rows(table, self) if schema == "jdbc" else self._system.rows(schema, table)
            return Source(_values(columns, rows), columns)
        if connector == "tpch":
            if schema != "tiny":
                raise QueryFailure(
                    "NOT_SUPPORTED",
                    f"The sandbox generates TPC-H data for the schema tiny only, not {catalog}.{schema}",
                )
            file = self._storage.tpch_file(table).replace("'", "''")
            renamed = ", ".join(
                f'"{plain}" AS "{shown}"' for (plain, _), shown in zip(tpch.TABLES[table].columns, columns, strict=True)
            )
            sql = f"SELECT {renamed} FROM read_parquet('{file}')"  # noqa: S608 - names and path are ours
            return Source(_relation(sql), columns)
        if connector == "blackhole":
            return Source(_nothing_of(engine_table(name)), columns)
        return Source(engine_table(name), columns)

    def swallows(self, name: Name) -> bool:
        """Whether rows written there are dropped."""
        return self.connector(name[0]) == "blackhole"

    def target(self, name: Name, action: str, location: Location) -> exp.Expression:
        """The table that a statement changes; refused where the connector cannot."""
        catalog, schema, table = name
        self.require_schema(catalog, schema, location)
        connector = self.connector(catalog)
        if connector not in _STORED or schema == INFORMATION_SCHEMA:
            verb = _WRITE_VERBS.get(action, "this operation")
            if action.startswith("CREATE"):
                verb = "creating views" if action.endswith("VIEW") else "creating tables"
            elif action.startswith("DROP"):
                verb = "dropping views" if action.endswith("VIEW") else "dropping tables"
            raise QueryFailure("NOT_SUPPORTED", f"This connector does not support {verb}")
        existing = self.tables(catalog, schema)
        if not action.startswith("CREATE") and not action.startswith("DROP") and table not in existing:
            raise located("TABLE_NOT_FOUND", f"Table '{'.'.join(name)}' does not exist", location)
        return engine_table(name)

    # information_schema

    def _information_rows(self, catalog: str, table: str) -> Iterable[Sequence[Any]]:
        schemas = self.schemas(catalog)
        if table == "schemata":
            return [(catalog, schema) for schema in schemas]
        if table == "tables":
            return [
                (catalog, schema, name, "BASE TABLE" if kind == "TABLE" else kind)
                for schema in schemas
                for name, kind in sorted(self.tables(catalog, schema).items())
            ]
        if table == "views":
            return [
                (catalog, schema, name, None)
                for schema in schemas
                for name, kind in sorted(self.tables(catalog, schema).items())
                if kind == "VIEW"
            ]
        if table == "columns":
            return [
                (catalog, schema, name, column, position, None, "YES", kind.display())
                for schema in schemas
                for name in sorted(self.tables(catalog, schema))
                if schema == INFORMATION_SCHEMA or self.has_columns(catalog)
                for position, (column, kind) in enumerate((self.columns((catalog, schema, name)) or {}).items(), 1)
            ]
        return []


def engine_table(name: Name) -> exp.Table:
    catalog, schema, table = name
    return exp.table_(
        exp.to_identifier(table, quoted=True),
        db=exp.to_identifier(schema, quoted=True),
        catalog=exp.to_identifier(engine_catalog(catalog), quoted=True),
    )


def _types(text: str) -> Columns:
    return {column: parse_type(kind) for column, _, kind in (item.strip().partition(" ") for item in text.split(";"))}


INFORMATION_TABLES: dict[str, Columns] = {
    "applicable_roles": _types("grantee varchar; grantee_type varchar; role_name varchar; is_grantable varchar"),
    "columns": _types(
        "table_catalog varchar; table_schema varchar; table_name varchar; column_name varchar; "
        "ordinal_position bigint; column_default varchar; is_nullable varchar; data_type varchar"
    ),
    "enabled_roles": _types("role_name varchar"),
    "roles": _types("role_name varchar"),
    "schemata": _types("catalog_name varchar; schema_name varchar"),
    "table_privileges": _types(
        "grantor varchar; grantor_type varchar; grantee varchar; grantee_type varchar; table_catalog varchar; "
        "table_schema varchar; table_name varchar; privilege_type varchar; is_grantable varchar; with_hierarchy varchar"
    ),
    "tables": _types("table_catalog varchar; table_schema varchar; table_name varchar; table_type varchar"),
    "views": _types("table_catalog varchar; table_schema varchar; table_name varchar; view_definition varchar"),
}


def _relation(sql: str) -> exp.Expression:
    return exp.Subquery(this=parse_one(sql, read="duckdb"))


def _nothing_of(table: exp.Expression) -> exp.Expression:
    """The table's columns without its rows."""
    return exp.Subquery(this=exp.select("*").from_(table).where(exp.false()))


def _values(columns: Columns, rows: Iterable[Sequence[Any]]) -> str:
    """Rows known now, as engine SQL; the first row gives the columns their types."""
    names = list(columns)
    kinds = [_engine_type(kind) for kind in columns.values()]
    listed: list[str] = []
    for row in rows:
        values = [_literal(value) for value in row]
        if not listed:
            values = [f"CAST({value} AS {kind})" for value, kind in zip(values, kinds, strict=True)]
        listed.append(f"({', '.join(values)})")
    if not listed:
        nulls = ", ".join(f'CAST(NULL AS {kind}) AS "{name}"' for name, kind in zip(names, kinds, strict=True))
        return f"(SELECT {nulls} WHERE FALSE)"
    header = ", ".join(f'"{name}"' for name in names)
    # Every value went through _literal, every name comes from our own tables.
    return f"(SELECT * FROM (VALUES {', '.join(listed)}) AS v({header}))"  # noqa: S608


def _literal(value: object) -> str:
    if value is None:
        return "NULL"
    if isinstance(value, bool | int | float):
        return str(value).upper()
    if isinstance(value, list | tuple):
        return "[" + ", ".join(_literal(item) for item in value) + "]"
    return "'" + str(value).replace("'", "''") + "'"


def _engine_type(kind: TrinoType) -> str:
    if kind.base == "array":
        return _engine_type(kind.children[0][1]) + "[]"
    if kind.base == "timestamp with time zone":
        return "TIMESTAMPTZ"
    return kind.base.upper() if kind.base != "unknown" else "VARCHAR"


def declared_columns(tree: exp.Expression) -> Columns:
    """The columns of a CREATE TABLE as written."""
    result: Columns = {}
    schema = tree.this
    if isinstance(schema, exp.Schema):
        for column in schema.expressions:
            if isinstance(column, exp.ColumnDef) and column.args.get("kind") is not None:
                try:
                    result[column.name.lower()] = parse_type(column.args["kind"].sql("trino"))
                except UnknownType as error:
                    raise QueryFailure("NOT_SUPPORTED", str(error)) from error
    return result
