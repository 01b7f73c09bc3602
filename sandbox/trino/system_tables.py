"""The tables of the `system` catalog, computed when a query reads them.

Called by the catalogs in a query's thread with a view of the cluster. `jdbc` is there because JDBC
drivers list schemas and tables through it; its rows are the catalogs' business.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

from sandbox.trino import jdbc_tables
from sandbox.trino.configuration import CatalogConfiguration
from sandbox.trino.nodes import Node
from sandbox.trino.query import Query
from sandbox.trino.trino_types import TrinoType, parse_type

Columns = dict[str, TrinoType]


def _types(text: str) -> Columns:
    return {column: parse_type(kind) for column, _, kind in (item.strip().partition(" ") for item in text.split(";"))}


_SCHEMAS: dict[str, dict[str, Columns]] = {
    "runtime": {
        "nodes": _types("node_id varchar; http_uri varchar; node_version varchar; coordinator boolean; state varchar"),
        "queries": _types(
            "query_id varchar; state varchar; user varchar; source varchar; query varchar; "
            "resource_group_id array(varchar); queued_time_ms bigint; analysis_time_ms bigint; "
            "planning_time_ms bigint; created timestamp(3) with time zone; started timestamp(3) with time zone; "
            "last_heartbeat timestamp(3) with time zone; end timestamp(3) with time zone; "
            "error_type varchar; error_code varchar"
        ),
        "transactions": _types(
            "transaction_id varchar; isolation_level varchar; read_only boolean; auto_commit_context boolean"
        ),
    },
    "metadata": {
        "catalogs": _types("catalog_name varchar; connector_id varchar; connector_name varchar; state varchar"),
        "table_comments": _types("catalog_name varchar; schema_name varchar; table_name varchar; comment varchar"),
    },
    "jdbc": jdbc_tables.TABLES,
}  # fmt: skip


class ClusterTables:
    """Rows of the cluster as it is now."""

    def __init__(
        self,
        catalogs: Iterable[CatalogConfiguration],
        nodes: Callable[[], list[Node]],
        queries: Callable[[], list[Query]],
        transactions: Callable[[], list[str]],
    ) -> None:
        self._catalogs = tuple(catalogs)
        self._nodes = nodes
        self._queries = queries
        self._transactions = transactions

    def schemas(self) -> dict[str, dict[str, Columns]]:
        return _SCHEMAS

    def rows(self, schema: str, table: str) -> Iterable[Sequence[Any]]:
        if (schema, table) == ("runtime", "nodes"):
            return [
                (node.node_id, node.uri, node.version, node.coordinator, node.state.lower()) for node in self._nodes()
            ]
        if (schema, table) == ("runtime", "queries"):
            return [_query_row(query) for query in self._queries() if query.submitted]
        if (schema, table) == ("runtime", "transactions"):
            return [(identifier, "READ UNCOMMITTED", False, False) for identifier in self._transactions()]
        if (schema, table) == ("metadata", "catalogs"):
            named = [(catalog.name, catalog.name, catalog.connector, "OPERATIONAL") for catalog in self._catalogs]
            return [*named, ("system", "system", "system", "OPERATIONAL")]
        return []


def _query_row(query: Query) -> tuple[Any, ...]:
    started = query.created.isoformat() if query.state != "QUEUED" else None
    ended = query.heartbeat_time.isoformat() if query.done else None
    failure = query.failure
    return (
        query.id,
        query.state,
        query.session.user,
        query.session.source,
        query.sql,
        query.resource_group,
        int(query.seconds_in("QUEUED", "WAITING_FOR_RESOURCES", "DISPATCHING") * 1000),
        int(query.seconds_in("PLANNING") * 1000),
        int(query.seconds_in("PLANNING") * 1000),
        query.created.isoformat(),
        started,
        query.heartbeat_time.isoformat(),
        ended,
        failure.type if failure else None,
        failure.name if failure else None,
    )
