"""DuckDB's exceptions as Trino's failures.

Called by the engine at its edge. The engine reports errors as JSON, so that the kind, the subtype and
the name are fields; its texts are shown, never branched on. Where one of its kinds covers two of
Trino's (division by zero and a subquery of several rows), the statement's own structure decides.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from sqlglot import exp

from sandbox.trino.dialect import Translation, place_of
from sandbox.trino.errors import QueryFailure, located

_BY_EXCEPTION = {
    "Conversion": "INVALID_CAST_ARGUMENT",
    "Out of Range": "NUMERIC_VALUE_OUT_OF_RANGE",
    "Constraint": "CONSTRAINT_VIOLATION",
    "Out of Memory": "EXCEEDED_LOCAL_MEMORY_LIMIT",
    "Mismatch Type": "TYPE_MISMATCH",
    "Parser": "SYNTAX_ERROR",
    "Syntax": "SYNTAX_ERROR",
    "Not implemented": "NOT_SUPPORTED",
    "Decimal": "NUMERIC_VALUE_OUT_OF_RANGE",
    "Invalid type": "TYPE_MISMATCH",
    "TransactionContext": "TRANSACTION_CONFLICT",
    "Serialization": "TRANSACTION_CONFLICT",
    "Dependency": "SCHEMA_NOT_EMPTY",
}


@dataclass(frozen=True, slots=True)
class _Report:
    kind: str
    message: str
    subtype: str
    name: str


def _report(error: BaseException) -> _Report:
    text = str(error)
    start = text.find("{")
    fields: dict[str, Any] = {}
    if start >= 0:
        try:
            decoded = json.loads(text[start:])
            fields = decoded if isinstance(decoded, dict) else {}
        except ValueError:
            fields = {}
    message = str(fields.get("exception_message") or text)
    return _Report(
        str(fields.get("exception_type") or ""),
        message.split("\n", 1)[0],
        str(fields.get("error_subtype") or ""),
        str(fields.get("name") or ""),
    )


def as_failure(error: BaseException, translation: Translation | None, sql: str) -> QueryFailure:
    """The failure to tell the client."""
    report = _report(error)
    if report.subtype == "COLUMN_NOT_FOUND":
        return located(
            "COLUMN_NOT_FOUND",
            f"Column '{report.name}' cannot be resolved",
            _column_place(report.name, translation, sql),
        )
    if report.subtype == "NO_MATCHING_FUNCTION" and not report.name.isidentifier():
        return QueryFailure("TYPE_MISMATCH", f"Cannot apply operator: {report.message}")
    if report.subtype == "NO_MATCHING_FUNCTION":
        return QueryFailure("FUNCTION_NOT_FOUND", f"Unexpected parameters for function {report.name}. {report.message}")
    if report.kind == "Catalog":
        if report.subtype == "MISSING_ENTRY":
            return located(
                "FUNCTION_NOT_FOUND",
                f"Function '{report.name}' not registered",
                _function_place(report.name, translation, sql),
            )
        return QueryFailure("ALREADY_EXISTS", report.message)
    if report.kind == "Binder":
        unknown = _unknown_relation(translation)
        if unknown is not None:
            return located(
                "COLUMN_NOT_FOUND",
                f"Column '{unknown.table}.{unknown.name}' cannot be resolved",
                place_of(unknown, sql),
            )
        return QueryFailure("TYPE_MISMATCH", report.message)
    if report.kind == "Invalid Input":
        if translation is not None and translation.divides:
            return QueryFailure("DIVISION_BY_ZERO", "Division by zero")
        if translation is not None and translation.subqueries:
            return QueryFailure("SUBQUERY_MULTIPLE_ROWS", "Scalar sub-query has returned multiple rows")
        return QueryFailure("INVALID_FUNCTION_ARGUMENT", report.message)
    name = _BY_EXCEPTION.get(report.kind)
    if name is not None:
        return QueryFailure(name, report.message)
    return QueryFailure("GENERIC_INTERNAL_ERROR", report.message)


def _column_place(name: str, translation: Translation | None, sql: str) -> tuple[int, int] | None:
    if translation is None:
        return None
    for column in translation.tree.find_all(exp.Column):
        if column.name.lower() == name.lower():
            return place_of(column, sql)
    return None


def _unknown_relation(translation: Translation | None) -> exp.Column | None:
    """A column of a relation that the statement does not have."""
    if translation is None:
        return None
    for column in translation.tree.find_all(exp.Column):
        if column.table and column.table.lower() not in translation.aliases:
            return column
    return None


def _function_place(name: str, translation: Translation | None, sql: str) -> tuple[int, int] | None:
    index = sql.lower().find(f"{name.lower()}(")
    if translation is None or index < 0:
        return None
    before = sql[:index]
    return before.count("\n") + 1, index - (before.rfind("\n") + 1) + 1
