"""Trino's error codes and the exception that carries one to the client.

Raised by everything that a query passes through; turned into the `error` object of the client
protocol by `as_query_error`. HTTP-level refusals (bad token, unknown query) are not query errors and
are not here.
"""

from __future__ import annotations

from typing import Any

_USER, _INTERNAL, _RESOURCES, _EXTERNAL = "USER_ERROR", "INTERNAL_ERROR", "INSUFFICIENT_RESOURCES", "EXTERNAL"

CODES: dict[str, tuple[int, str]] = {
    "GENERIC_USER_ERROR": (0, _USER),
    "SYNTAX_ERROR": (1, _USER),
    "ABANDONED_QUERY": (2, _USER),
    "USER_CANCELED": (3, _USER),
    "PERMISSION_DENIED": (4, _USER),
    "NOT_FOUND": (5, _USER),
    "FUNCTION_NOT_FOUND": (6, _USER),
    "INVALID_FUNCTION_ARGUMENT": (7, _USER),
    "DIVISION_BY_ZERO": (8, _USER),
    "INVALID_CAST_ARGUMENT": (9, _USER),
    "ALREADY_EXISTS": (12, _USER),
    "NOT_SUPPORTED": (13, _USER),
    "INVALID_SESSION_PROPERTY": (14, _USER),
    "CONSTRAINT_VIOLATION": (16, _USER),
    "TRANSACTION_CONFLICT": (17, _USER),
    "NUMERIC_VALUE_OUT_OF_RANGE": (19, _USER),
    "UNKNOWN_TRANSACTION": (20, _USER),
    "NOT_IN_TRANSACTION": (21, _USER),
    "TRANSACTION_ALREADY_ABORTED": (22, _USER),
    "MULTI_CATALOG_WRITE_CONFLICT": (24, _USER),
    "INCOMPATIBLE_CLIENT": (27, _USER),
    "SUBQUERY_MULTIPLE_ROWS": (28, _USER),
    "PROCEDURE_NOT_FOUND": (29, _USER),
    "INVALID_PROCEDURE_ARGUMENT": (30, _USER),
    "QUERY_REJECTED": (31, _USER),
    "SCHEMA_NOT_EMPTY": (34, _USER),
    "QUERY_TEXT_TOO_LARGE": (35, _USER),
    "ADMINISTRATIVELY_KILLED": (38, _USER),
    "CATALOG_NOT_FOUND": (44, _USER),
    "SCHEMA_NOT_FOUND": (45, _USER),
    "TABLE_NOT_FOUND": (46, _USER),
    "COLUMN_NOT_FOUND": (47, _USER),
    "SCHEMA_ALREADY_EXISTS": (49, _USER),
    "TABLE_ALREADY_EXISTS": (50, _USER),
    "MISSING_CATALOG_NAME": (56, _USER),
    "MISSING_SCHEMA_NAME": (57, _USER),
    "TYPE_MISMATCH": (58, _USER),
    "INVALID_PARAMETER_USAGE": (80, _USER),
    "GENERIC_INTERNAL_ERROR": (65536, _INTERNAL),
    "NO_NODES_AVAILABLE": (65541, _INTERNAL),
    "SERVER_SHUTTING_DOWN": (65545, _INTERNAL),
    "SERVER_STARTING_UP": (65548, _INTERNAL),
    "GENERIC_INSUFFICIENT_RESOURCES": (131072, _RESOURCES),
    "QUERY_QUEUE_FULL": (131074, _RESOURCES),
    "EXCEEDED_TIME_LIMIT": (131075, _RESOURCES),
    "EXCEEDED_LOCAL_MEMORY_LIMIT": (131079, _RESOURCES),
    # Connector codes: the remote side is at fault. The last one is our own, for connectors of no family.
    "HIVE_METASTORE_ERROR": (0x0100_0000, _EXTERNAL),
    "JDBC_ERROR": (0x0400_0000, _EXTERNAL),
    "CONNECTOR_UNAVAILABLE": (0x0500_0000, _EXTERNAL),
}


class QueryFailure(Exception):
    """A query failed for a reason that the client is told about."""

    def __init__(self, name: str, message: str, location: tuple[int, int] | None = None) -> None:
        super().__init__(message)
        self.name = name
        self.message = message
        self.location = location

    @property
    def code(self) -> int:
        return CODES[self.name][0]

    @property
    def type(self) -> str:
        return CODES[self.name][1]

    def as_query_error(self) -> dict[str, Any]:
        """The `error` member of a QueryResults document."""
        failure: dict[str, Any] = {
            "type": "io.trino.spi.TrinoException",
            "message": self.message,
            "suppressed": [],
            "stack": [],
            "errorInfo": {"code": self.code, "name": self.name, "type": self.type},
        }
        error: dict[str, Any] = {
            "message": self.message,
            "errorCode": self.code,
            "errorName": self.name,
            "errorType": self.type,
        }
        if self.location is not None:
            place = {"lineNumber": self.location[0], "columnNumber": self.location[1]}
            error["errorLocation"] = place
            failure["errorLocation"] = place
        return {**error, "failureInfo": failure}


def located(name: str, message: str, location: tuple[int, int] | None) -> QueryFailure:
    """A failure whose message starts with the place in the SQL text, as the analyser's do."""
    if location is None:
        return QueryFailure(name, message)
    return QueryFailure(name, f"line {location[0]}:{location[1]}: {message}", location)
