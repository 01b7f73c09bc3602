"""`system.jdbc`: the tables through which JDBC drivers list catalogs, schemas, tables, columns and types.

Called by the catalogs when a query reads one of them. Catalogs whose data the stand-in cannot reach
appear by name only.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Protocol

from sandbox.trino.trino_types import TrinoType, parse_type

Columns = dict[str, TrinoType]
_NULLABLE = 1
_OCTETS = 2147483647
# java.sql.Types of each raw type.
_CODES = {
    "boolean": 16, "bigint": -5, "integer": 4, "smallint": 5, "tinyint": -6, "real": 7, "double": 8, "varchar": 12,
    "char": 1, "varbinary": -3, "time": 92, "time with time zone": 2013, "timestamp": 93,
    "timestamp with time zone": 2014, "date": 91, "decimal": 3, "array": 2003,
}  # fmt: skip
_OTHER = 2000
_SIZES = {
    "boolean": None, "bigint": 19, "integer": 10, "smallint": 5, "tinyint": 3, "real": 24, "double": 53,
    "varbinary": _OCTETS, "date": 14, "time": 12, "timestamp": 25, "timestamp with time zone": 29,
}  # fmt: skip
_TYPE_NAMES = (
    "boolean", "bigint", "integer", "smallint", "tinyint", "real", "double", "varchar", "char(1)", "varbinary",
    "time(3)", "time(3) with time zone", "timestamp(3)", "timestamp(3) with time zone", "date", "decimal(38,0)",
    "uuid", "json", "interval day to second", "interval year to month",
)  # fmt: skip


class CatalogView(Protocol):
    def names(self) -> list[str]: ...

    def has_data(self, catalog: str) -> bool: ...

    def has_columns(self, catalog: str) -> bool: ...

    def schemas(self, catalog: str) -> list[str]: ...

    def tables(self, catalog: str, schema: str) -> dict[str, str]: ...

    def columns(self, name: tuple[str, ...]) -> Columns | None: ...


def _columns(texts: str, numbers: str = "", booleans: str = "", order: str = "") -> Columns:
    kinds = dict.fromkeys(texts.split(), "varchar")
    kinds.update(dict.fromkeys(numbers.split(), "bigint"))
    kinds.update(dict.fromkeys(booleans.split(), "boolean"))
    return {name: parse_type(kinds[name]) for name in (order.split() or kinds)}


TABLES: dict[str, Columns] = {
    "attributes": _columns("type_cat type_schem type_name attr_name", "data_type"),
    "catalogs": _columns("table_cat"),
    "columns": _columns(
        "table_cat table_schem table_name column_name type_name remarks column_def is_nullable scope_catalog "
        "scope_schema scope_table is_autoincrement is_generatedcolumn",
        "data_type column_size buffer_length decimal_digits num_prec_radix nullable sql_data_type sql_datetime_sub "
        "char_octet_length ordinal_position source_data_type",
        order="table_cat table_schem table_name column_name data_type type_name column_size buffer_length "
        "decimal_digits num_prec_radix nullable remarks column_def sql_data_type sql_datetime_sub char_octet_length "
        "ordinal_position is_nullable scope_catalog scope_schema scope_table source_data_type is_autoincrement "
        "is_generatedcolumn",
    ),
    "procedure_columns": _columns("procedure_cat procedure_schem procedure_name column_name"),
    "procedures": _columns("procedure_cat procedure_schem procedure_name remarks specific_name", "procedure_type"),
    "pseudo_columns": _columns("table_cat table_schem table_name column_name"),
    "schemas": _columns("table_schem table_catalog"),
    "super_tables": _columns("table_cat table_schem table_name supertable_name"),
    "super_types": _columns("type_cat type_schem type_name supertype_cat supertype_schem supertype_name"),
    "table_types": _columns("table_type"),
    "tables": _columns(
        "table_cat table_schem table_name table_type remarks type_cat type_schem type_name "
        "self_referencing_col_name ref_generation"
    ),
    "types": _columns(
        "type_name literal_prefix literal_suffix create_params local_type_name",
        "data_type precision nullable searchable minimum_scale maximum_scale sql_data_type sql_datetime_sub "
        "num_prec_radix",
        "case_sensitive unsigned_attribute fixed_prec_scale auto_increment",
        order="type_name data_type precision literal_prefix literal_suffix create_params nullable case_sensitive "
        "searchable unsigned_attribute fixed_prec_scale auto_increment local_type_name minimum_scale maximum_scale "
        "sql_data_type sql_datetime_sub num_prec_radix",
    ),
    "udts": _columns("type_cat type_schem type_name class_name remarks", "data_type base_type"),
}


def rows(table: str, catalogs: CatalogView) -> Iterable[Sequence[Any]]:
    """The rows of one table, made when asked for."""
    if table == "catalogs":
        return [(name,) for name in catalogs.names()]
    if table == "schemas":
        return [(schema, catalog) for catalog, schema in _schemas(catalogs)]
    if table == "table_types":
        return [("TABLE",), ("VIEW",)]
    if table == "tables":
        return [
            (catalog, schema, name, kind, None, None, None, None, None, None)
            for catalog, schema in _schemas(catalogs)
            for name, kind in sorted(catalogs.tables(catalog, schema).items())
        ]
    if table == "columns":
        return [
            _column_row((catalog, schema, name), column, position, kind)
            for catalog, schema in _schemas(catalogs)
            for name in sorted(catalogs.tables(catalog, schema))
            if catalogs.has_columns(catalog)
            for position, (column, kind) in enumerate((catalogs.columns((catalog, schema, name)) or {}).items(), 1)
        ]
    if table == "types":
        return [_type_row(parse_type(name)) for name in _TYPE_NAMES]
    return []


def _schemas(catalogs: CatalogView) -> Iterator[tuple[str, str]]:
    for catalog in catalogs.names():
        if catalogs.has_data(catalog):
            for schema in catalogs.schemas(catalog):
                yield catalog, schema


def _size(kind: TrinoType) -> int | None:
    if kind.base in ("varchar", "char"):
        return kind.numbers[0] if kind.numbers else _OCTETS
    if kind.base == "decimal":
        return kind.numbers[0]
    return _SIZES.get(kind.base)


def _column_row(name: tuple[str, str, str], column: str, position: int, kind: TrinoType) -> tuple[Any, ...]:
    digits = kind.numbers[1] if kind.base == "decimal" else None
    radix = 2 if kind.base in ("real", "double") else 10
    octets = _size(kind) if kind.base in ("varchar", "char") else None
    return (
        *name, column, _CODES.get(kind.base, _OTHER), kind.display(), _size(kind), None, digits, radix, _NULLABLE, None,
        None, None, None, octets, position, "YES", None, None, None, None, "NO", "NO",
    )  # fmt: skip


def _type_row(kind: TrinoType) -> tuple[Any, ...]:
    text = kind.base in ("varchar", "char")
    quote = "'" if text else None
    return (
        kind.base, _CODES.get(kind.base, _OTHER), _size(kind), quote, quote, None, _NULLABLE, text, 3, None,
        False, None, None, 0, 0, None, None, 10,
    )  # fmt: skip
