"""The JSON documents of the client protocol and of the query resources; pure.

Called by the resources with a query and the base of its addresses. Result rows are pasted in as the
bytes that the worker thread encoded; everything that a proxy may have to read or change stands before
them, as in the real server's documents.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import orjson

from sandbox.trino.query import Query
from sandbox.trino.query_ids import Context
from sandbox.trino.session import iso_utc
from sandbox.trino.units import format_data_size, format_duration

_MILLIS = 1000


def queued_document(query: Query, base: str, next_uri: str | None, *, failed: bool) -> bytes:
    """A page of the queued phase: it never says more than QUEUED or FAILED."""
    state = "FAILED" if failed else "QUEUED"
    stats = _zero_stats(state)
    if query.submitted:
        stats["elapsedTimeMillis"] = int(query.elapsed * _MILLIS)
        stats["queuedTimeMillis"] = int(_queued(query) * _MILLIS)
    head: dict[str, Any] = {"id": query.id, "infoUri": info_uri(query, base)}
    if next_uri is not None:
        head["nextUri"] = next_uri
    head["stats"] = stats
    if failed and query.failure is not None:
        head["error"] = query.failure.as_query_error()
    head["warnings"] = []
    return orjson.dumps(head)


def result_document(
    query: Query, base: str, next_uri: str | None, partial_cancel_uri: str | None, chunks: Sequence[bytes]
) -> bytes:
    """A page of the executing phase."""
    head: dict[str, Any] = {"id": query.id, "infoUri": info_uri(query, base)}
    if partial_cancel_uri is not None:
        head["partialCancelUri"] = partial_cancel_uri
    if next_uri is not None:
        head["nextUri"] = next_uri
    if query.columns is not None:
        head["columns"] = columns_document(query)
    tail: dict[str, Any] = {"stats": stats_document(query)}
    if query.failure is not None:
        tail["error"] = query.failure.as_query_error()
    tail["warnings"] = []
    if query.update_type is not None:
        tail["updateType"] = query.update_type
    if query.update_count is not None:
        tail["updateCount"] = query.update_count
    if not chunks:
        return orjson.dumps(head)[:-1] + b"," + orjson.dumps(tail)[1:]
    data = b'"data":[' + b",".join(chunks) + b"]"
    return b"".join((orjson.dumps(head)[:-1], b",", data, b",", orjson.dumps(tail)[1:]))


def columns_document(query: Query) -> list[dict[str, Any]]:
    result = []
    for column in query.columns or ():
        kind = column.type if query.session.parametric_datetime else column.type.without_precision()
        result.append({"name": column.name, "type": kind.display(), "typeSignature": kind.signature()})
    return result


def info_uri(query: Query, base: str) -> str:
    return f"{base}/ui/query.html?{query.id}"


def queued_uri(query: Query, base: str, token: int) -> str:
    return f"{base}/v1/statement/queued/{query.id}/{query.slug.make(Context.QUEUED, token)}/{token}"


def executing_uri(query: Query, base: str, token: int) -> str:
    return f"{base}/v1/statement/executing/{query.id}/{query.slug.make(Context.EXECUTING, token)}/{token}"


def partial_cancel_uri(query: Query, base: str, token: int) -> str:
    slug = query.slug.make(Context.EXECUTING, token)
    return f"{base}/v1/statement/executing/partialCancel/{query.id}/0/{slug}/{token}"


def _zero_stats(state: str) -> dict[str, Any]:
    return {
        "state": state,
        "queued": state == "QUEUED",
        "scheduled": False,
        "nodes": 0,
        "totalSplits": 0,
        "queuedSplits": 0,
        "runningSplits": 0,
        "completedSplits": 0,
        "planningTimeMillis": 0,
        "analysisTimeMillis": 0,
        "cpuTimeMillis": 0,
        "wallTimeMillis": 0,
        "queuedTimeMillis": 0,
        "elapsedTimeMillis": 0,
        "finishingTimeMillis": 0,
        "physicalInputTimeMillis": 0,
        "processedRows": 0,
        "processedBytes": 0,
        "physicalInputBytes": 0,
        "physicalWrittenBytes": 0,
        "internalNetworkInputBytes": 0,
        "peakMemoryBytes": 0,
        "spilledBytes": 0,
    }


def _queued(query: Query) -> float:
    return query.seconds_in("QUEUED", "WAITING_FOR_RESOURCES", "DISPATCHING")


def stats_document(query: Query) -> dict[str, Any]:
    """One split stands for the whole: queued, running or completed with the query."""
    stats = _zero_stats(query.state)
    scheduled = query.state in ("RUNNING", "FINISHING", "FINISHED") or "RUNNING" in query.entered_at
    completed = query.state in ("FINISHING", "FINISHED")
    running_seconds = query.seconds_in("STARTING", "RUNNING", "FINISHING")
    stats.update(
        queued=query.state in ("QUEUED", "WAITING_FOR_RESOURCES", "DISPATCHING"),
        scheduled=scheduled,
        nodes=query.nodes if scheduled else 0,
        totalSplits=int(scheduled),
        runningSplits=int(query.state == "RUNNING"),
        completedSplits=int(completed),
        planningTimeMillis=int(query.seconds_in("PLANNING") * _MILLIS),
        analysisTimeMillis=int(query.seconds_in("PLANNING") * _MILLIS),
        cpuTimeMillis=int(query.cpu_seconds * _MILLIS),
        wallTimeMillis=int(running_seconds * _MILLIS),
        queuedTimeMillis=int(_queued(query) * _MILLIS),
        elapsedTimeMillis=int(query.elapsed * _MILLIS),
        finishingTimeMillis=int(query.seconds_in("FINISHING") * _MILLIS),
        processedRows=query.results.rows,
        processedBytes=query.results.bytes,
        internalNetworkInputBytes=query.results.bytes,
        peakMemoryBytes=query.results.peak,
    )
    if not scheduled:
        return stats
    progress = {
        "progressPercentage": 100.0 if completed else 0.0,
        "runningPercentage": 100.0 if query.state == "RUNNING" else 0.0,
    }
    # Where the real server has them: right after the three that say how far it is.
    ordered = {**{key: stats.pop(key) for key in ("state", "queued", "scheduled")}, **progress, **stats}
    return {**ordered, "rootStage": _stage(query, running_seconds, completed=completed)}


def _stage(query: Query, seconds: float, *, completed: bool) -> dict[str, Any]:
    state = "FAILED" if query.state == "FAILED" else "FINISHED" if completed else "RUNNING"
    return {
        "stageId": "0",
        "state": state,
        "done": state != "RUNNING",
        "nodes": query.nodes,
        "totalSplits": 1,
        "queuedSplits": 0,
        "runningSplits": int(state == "RUNNING"),
        "completedSplits": int(completed),
        "cpuTimeMillis": int(query.cpu_seconds * _MILLIS),
        "wallTimeMillis": int(seconds * _MILLIS),
        "processedRows": query.results.rows,
        "processedBytes": query.results.bytes,
        "physicalInputBytes": 0,
        "failedTasks": 0,
        "coordinatorOnly": False,
        "subStages": [],
    }


def query_summary(query: Query, base: str) -> dict[str, Any]:
    """An element of GET /v1/query."""
    session = query.session
    ended = max((query.entered_at.get("FINISHED", 0.0), query.entered_at.get("FAILED", 0.0)))
    summary: dict[str, Any] = {
        "queryId": query.id,
        "session": {
            "queryId": query.id,
            "transactionId": session.transaction_id or "",
            "clientTransactionSupport": True,
            "user": session.user,
            "originalUser": session.user,
            "groups": [],
            "principal": session.user,
            "source": session.source,
            "catalog": session.catalog,
            "schema": session.schema,
            "timeZoneKey": session.time_zone,
            "clientTags": list(session.client_tags),
            "clientCapabilities": sorted(session.client_capabilities),
            "traceToken": session.trace_token,
            "systemProperties": dict(session.properties),
            "preparedStatements": dict(session.prepared),
        },
        "resourceGroupId": list(query.resource_group),
        "state": query.state,
        "scheduled": "RUNNING" in query.entered_at,
        "self": f"{base}/v1/query/{query.id}",
        "query": query.sql,
        "queryStats": {
            "createTime": iso_utc(query.created),
            "queuedTime": format_duration(_queued(query)),
            "elapsedTime": format_duration(query.elapsed),
            "executionTime": format_duration(query.seconds_in("PLANNING", "STARTING", "RUNNING", "FINISHING")),
            "totalCpuTime": format_duration(query.cpu_seconds),
            "totalDrivers": int("RUNNING" in query.entered_at),
            "queuedDrivers": 0,
            "runningDrivers": int(query.state == "RUNNING"),
            "completedDrivers": int(query.state in ("FINISHING", "FINISHED")),
            "rawInputDataSize": format_data_size(query.results.bytes),
            "rawInputPositions": query.results.rows,
            "peakUserMemoryReservation": format_data_size(query.results.peak),
            "fullyBlocked": query.state == "WAITING_FOR_RESOURCES",
            "blockedReasons": [],
        },
        "queryType": _query_type(query),
        "retryPolicy": "NONE",
    }
    if ended:
        summary["queryStats"]["endTime"] = iso_utc(
            query.created.fromtimestamp(query.created.timestamp() + query.elapsed, tz=query.created.tzinfo)
        )
    if query.update_type is not None:
        summary["updateType"] = query.update_type
    if query.failure is not None:
        failure = query.failure
        summary["errorType"] = failure.type
        code = {"code": failure.code, "name": failure.name, "type": failure.type}
        summary["errorCode"] = {**code, "fatal": failure.type == "USER_ERROR"}
    return summary


def query_details(query: Query, base: str) -> dict[str, Any]:
    """GET /v1/query/{id}."""
    details = query_summary(query, base)
    details.update(
        fieldNames=[column.name for column in query.columns or ()],
        warnings=[],
        inputs=[],
        finalQueryInfo=query.done,
        pruned=False,
        outputStage=None,
        setSessionProperties=query.changes.set_properties,
        resetSessionProperties=query.changes.reset_properties,
        addedPreparedStatements=query.changes.added_prepared,
        deallocatedPreparedStatements=query.changes.deallocated_prepared,
    )
    if query.failure is not None:
        details["failureInfo"] = query.failure.as_query_error()["failureInfo"]
    return details


def _query_type(query: Query) -> str:
    if query.update_type in ("INSERT", "CREATE TABLE"):
        return "INSERT"
    return "SELECT" if query.update_type is None else "DATA_DEFINITION"
