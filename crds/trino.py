"""Trino's vocabulary: paths, headers, query ids and states, error codes.

Shared by everything that speaks Trino's client protocol or asks a coordinator something. It knows words,
not behaviour: no connection is made here. Hot-path functions take and return bytes, because a proxy has
bytes and keeps them.

Stickiness rests on `coordinator_suffix`: a query id `20260131_120000_00042_abcde` ends in five characters
that a coordinator process draws when it starts, so the id itself says which process owns the query.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Literal

STATEMENT_PATH = "/v1/statement"
QUEUED_PATH = "/v1/statement/queued"
EXECUTING_PATH = "/v1/statement/executing"
PARTIAL_CANCEL_PATH = "/v1/statement/executing/partialCancel"
QUERY_PATH = "/v1/query"
INFO_PATH = "/v1/info"
INFO_STATE_PATH = "/v1/info/state"
NODE_PATH = "/v1/node"
SPOOLED_DOWNLOAD_PATH = "/v1/spooled/download"
SPOOLED_ACK_PATH = "/v1/spooled/ack"
UI_PATH = "/ui"
UI_QUERY_PAGE = "/ui/query.html"
OAUTH2_PATH = "/oauth2"
METRICS_PATH = "/metrics"

HTTP_PORT = 8080
HEALTH_CHECK_COMMAND = "/usr/lib/trino/bin/health-check"
SHUTTING_DOWN = "SHUTTING_DOWN"

# Headers of a request.
USER = "X-Trino-User"
ORIGINAL_USER = "X-Trino-Original-User"
SOURCE = "X-Trino-Source"
CATALOG = "X-Trino-Catalog"
SCHEMA = "X-Trino-Schema"
PATH = "X-Trino-Path"
TIME_ZONE = "X-Trino-Time-Zone"
LANGUAGE = "X-Trino-Language"
TRACE_TOKEN = "X-Trino-Trace-Token"  # noqa: S105  # a header's name
SESSION = "X-Trino-Session"
ROLE = "X-Trino-Role"
PREPARED_STATEMENT = "X-Trino-Prepared-Statement"
TRANSACTION_ID = "X-Trino-Transaction-Id"
CLIENT_INFO = "X-Trino-Client-Info"
CLIENT_TAGS = "X-Trino-Client-Tags"
CLIENT_CAPABILITIES = "X-Trino-Client-Capabilities"
RESOURCE_ESTIMATE = "X-Trino-Resource-Estimate"
EXTRA_CREDENTIAL = "X-Trino-Extra-Credential"
QUERY_DATA_ENCODING = "X-Trino-Query-Data-Encoding"
#: Ours, not Trino's: selects a runtime at the gateway.
RUNTIME_SELECTOR = "X-Trino-XTrinode"

#: Value of X-Trino-Transaction-Id of a client that can do transactions and has none open.
NO_TRANSACTION = "NONE"

# Headers of a response. All may occur several times.
SET_CATALOG = "X-Trino-Set-Catalog"
SET_SCHEMA = "X-Trino-Set-Schema"
SET_PATH = "X-Trino-Set-Path"
SET_SESSION = "X-Trino-Set-Session"
CLEAR_SESSION = "X-Trino-Clear-Session"
SET_ROLE = "X-Trino-Set-Role"
ADDED_PREPARE = "X-Trino-Added-Prepare"
DEALLOCATED_PREPARE = "X-Trino-Deallocated-Prepare"
STARTED_TRANSACTION_ID = "X-Trino-Started-Transaction-Id"
CLEAR_TRANSACTION_ID = "X-Trino-Clear-Transaction-Id"
SET_AUTHORIZATION_USER = "X-Trino-Set-Authorization-User"
RESET_AUTHORIZATION_USER = "X-Trino-Reset-Authorization-User"


class QueryState(StrEnum):
    """`stats.state` and `/v1/query`'s `state`."""

    QUEUED = "QUEUED"
    WAITING_FOR_RESOURCES = "WAITING_FOR_RESOURCES"
    DISPATCHING = "DISPATCHING"
    PLANNING = "PLANNING"
    STARTING = "STARTING"
    RUNNING = "RUNNING"
    FINISHING = "FINISHING"
    FINISHED = "FINISHED"
    FAILED = "FAILED"


_ID = r"[0-9]{8}_[0-9]{6}_[0-9]{5}_[a-z0-9]{5}"
_QUERY_ID = re.compile(_ID)
# An id ends at the end of its path segment, so that a longer name that merely begins like one is none.
_STATEMENT_ID = re.compile(
    rb"/v1/(?:statement/(?:queued|executing(?:/partialCancel)?)|query|spooled/(?:download|ack))/("
    + _ID.encode()
    + rb")(?![^/?#])"
)
# The UI's own API, and its pages, which take the id as their whole query string.
_PAGE_ID = re.compile(rb"/ui/(?:api/query/|[a-z]+\.html\?)(" + _ID.encode() + rb")(?![^/?#&.])")
_PARAMETER_ID = re.compile(rb"[?&]query_?[iI]d=(" + _ID.encode() + rb")(?![^&#])")


@dataclass(frozen=True, slots=True)
class QueryId:
    """A query id, taken apart. `str()` gives it back."""

    date: str
    time: str
    counter: str
    suffix: str
    """Names the coordinator process that made it."""

    @classmethod
    def parse(cls, text: str) -> QueryId | None:
        """The id, or None when `text` is not one."""
        if not _QUERY_ID.fullmatch(text):
            return None
        return cls(*text.split("_"))

    def __str__(self) -> str:
        return f"{self.date}_{self.time}_{self.counter}_{self.suffix}"


def coordinator_suffix(query_id: bytes) -> bytes:
    """The five characters that name the coordinator process. `query_id` must be a whole id."""
    return query_id[-5:]


def is_coordinator_id(text: str) -> bool:
    """Whether `text` can be a coordinator's own id (`coordinatorId` of /v1/info)."""
    return len(text) == 5 and all(letter.isascii() and letter.isalnum() and not letter.isupper() for letter in text)


def query_id_in_path(path: bytes) -> bytes | None:
    """The query id in a request target (path with query string), or None.

    Statement paths, /v1/query, and the web UI's pages and API. Such a request belongs to the coordinator
    that made the id, whatever its headers select.
    """
    match = _STATEMENT_ID.match(path)
    if match is None and path.startswith(b"/ui/"):
        match = _PAGE_ID.match(path)
    if match is None and b"?" in path:
        match = _PARAMETER_ID.search(path)
    return match[1] if match else None


ErrorType = Literal["USER_ERROR", "INTERNAL_ERROR", "INSUFFICIENT_RESOURCES", "EXTERNAL"]


@dataclass(frozen=True, slots=True)
class ErrorCode:
    """One of Trino's standard error codes."""

    name: str
    code: int
    type: ErrorType


# Numbers as in Trino: user errors from 0, internal ones from 65536, missing resources from 131072.
GENERIC_USER_ERROR = ErrorCode("GENERIC_USER_ERROR", 0, "USER_ERROR")
SYNTAX_ERROR = ErrorCode("SYNTAX_ERROR", 1, "USER_ERROR")
ABANDONED_QUERY = ErrorCode("ABANDONED_QUERY", 2, "USER_ERROR")
USER_CANCELED = ErrorCode("USER_CANCELED", 3, "USER_ERROR")
PERMISSION_DENIED = ErrorCode("PERMISSION_DENIED", 4, "USER_ERROR")
NOT_FOUND = ErrorCode("NOT_FOUND", 5, "USER_ERROR")
DIVISION_BY_ZERO = ErrorCode("DIVISION_BY_ZERO", 8, "USER_ERROR")
NOT_SUPPORTED = ErrorCode("NOT_SUPPORTED", 13, "USER_ERROR")
INVALID_SESSION_PROPERTY = ErrorCode("INVALID_SESSION_PROPERTY", 14, "USER_ERROR")
UNKNOWN_TRANSACTION = ErrorCode("UNKNOWN_TRANSACTION", 20, "USER_ERROR")
QUERY_REJECTED = ErrorCode("QUERY_REJECTED", 31, "USER_ERROR")
ADMINISTRATIVELY_KILLED = ErrorCode("ADMINISTRATIVELY_KILLED", 38, "USER_ERROR")
CATALOG_NOT_FOUND = ErrorCode("CATALOG_NOT_FOUND", 44, "USER_ERROR")
SCHEMA_NOT_FOUND = ErrorCode("SCHEMA_NOT_FOUND", 45, "USER_ERROR")
TABLE_NOT_FOUND = ErrorCode("TABLE_NOT_FOUND", 46, "USER_ERROR")
COLUMN_NOT_FOUND = ErrorCode("COLUMN_NOT_FOUND", 47, "USER_ERROR")
TABLE_ALREADY_EXISTS = ErrorCode("TABLE_ALREADY_EXISTS", 50, "USER_ERROR")
TYPE_MISMATCH = ErrorCode("TYPE_MISMATCH", 58, "USER_ERROR")
GENERIC_INTERNAL_ERROR = ErrorCode("GENERIC_INTERNAL_ERROR", 65_536, "INTERNAL_ERROR")
NO_NODES_AVAILABLE = ErrorCode("NO_NODES_AVAILABLE", 65_541, "INTERNAL_ERROR")
SERVER_SHUTTING_DOWN = ErrorCode("SERVER_SHUTTING_DOWN", 65_545, "INTERNAL_ERROR")
SERVER_STARTING_UP = ErrorCode("SERVER_STARTING_UP", 65_548, "INTERNAL_ERROR")
GENERIC_INSUFFICIENT_RESOURCES = ErrorCode("GENERIC_INSUFFICIENT_RESOURCES", 131_072, "INSUFFICIENT_RESOURCES")
QUERY_QUEUE_FULL = ErrorCode("QUERY_QUEUE_FULL", 131_074, "INSUFFICIENT_RESOURCES")
EXCEEDED_TIME_LIMIT = ErrorCode("EXCEEDED_TIME_LIMIT", 131_075, "INSUFFICIENT_RESOURCES")
CLUSTER_OUT_OF_MEMORY = ErrorCode("CLUSTER_OUT_OF_MEMORY", 131_076, "INSUFFICIENT_RESOURCES")
ADMINISTRATIVELY_PREEMPTED = ErrorCode("ADMINISTRATIVELY_PREEMPTED", 131_080, "INSUFFICIENT_RESOURCES")


def query_error(code: ErrorCode, message: str) -> dict[str, Any]:
    """The `error` object of a response: how Trino reports a failure, with HTTP status 200."""
    return {
        "message": message,
        "errorCode": code.code,
        "errorName": code.name,
        "errorType": code.type,
        "failureInfo": {
            "type": "io.trino.spi.TrinoException",
            "message": message,
            "suppressed": [],
            "stack": [],
            "errorInfo": {"code": code.code, "name": code.name, "type": code.type},
        },
    }
