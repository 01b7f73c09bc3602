"""The system session properties that a client may set, with their types and defaults.

Read by SET SESSION, SHOW SESSION and the check of the X-Trino-Session header. The stand-in acts on
`query_max_run_time` and on `sandbox_sleep`, which the real server does not have: a time that every
statement of the session waits for while it is RUNNING. The rest is accepted and has no effect.
"""

from __future__ import annotations

from dataclasses import dataclass

from sandbox.trino.errors import QueryFailure
from sandbox.trino.units import parse_data_size, parse_duration


@dataclass(frozen=True, slots=True)
class SessionProperty:
    name: str
    type: str
    default: str
    description: str
    choices: tuple[str, ...] = ()
    unit: str = ""

    def check(self, value: str) -> None:
        """INVALID_SESSION_PROPERTY when the value cannot be of this property's type."""
        try:
            if self.type in ("integer", "bigint"):
                int(value)
            elif self.type == "double":
                float(value)
            elif self.type == "boolean" and value.lower() not in ("true", "false"):
                raise ValueError("not a boolean")
            elif self.unit == "duration":
                parse_duration(value)
            elif self.unit == "size":
                parse_data_size(value)
        except ValueError as error:
            raise QueryFailure("INVALID_SESSION_PROPERTY", f"{self.name} is invalid: {value}") from error
        if self.choices and value.upper() not in self.choices:
            raise QueryFailure(
                "INVALID_SESSION_PROPERTY",
                f"Invalid value [{value}] for session property {self.name}. Valid values: {', '.join(self.choices)}",
            )


def _property(name: str, kind: str, default: str, description: str, unit: str = "") -> SessionProperty:
    return SessionProperty(name, kind, default, description, (), unit)


_ALL = (
    _property("query_max_run_time", "varchar", "100.00d", "Maximum run time of a query", "duration"),
    _property("query_max_execution_time", "varchar", "100.00d", "Maximum execution time of a query", "duration"),
    _property("query_max_planning_time", "varchar", "10.00m", "Maximum planning time of a query", "duration"),
    _property("query_max_cpu_time", "varchar", "1000000000.00d", "Maximum CPU time of a query", "duration"),
    _property("query_max_memory", "varchar", "20GB", "Maximum amount of distributed memory a query can use", "size"),
    _property("query_max_memory_per_node", "varchar", "1GB", "Maximum memory of a query on one node", "size"),
    _property("query_max_total_memory", "varchar", "40GB", "Maximum distributed total memory of a query", "size"),
    _property("query_max_scan_physical_bytes", "varchar", "", "Maximum scan of a query", "size"),
    _property("query_priority", "integer", "1", "The priority of queries; larger numbers are higher"),
    _property("query_max_stage_count", "integer", "150", "Temporary: maximum number of stages"),
    _property("required_workers_count", "integer", "1", "Minimum number of active workers that must be available"),
    _property("required_workers_max_wait_time", "varchar", "5.00m", "How long to wait for workers", "duration"),
    SessionProperty("join_distribution_type", "varchar", "AUTOMATIC", "Join distribution type",
                    ("BROADCAST", "PARTITIONED", "AUTOMATIC")),
    SessionProperty("join_reordering_strategy", "varchar", "AUTOMATIC", "Join reordering strategy",
                    ("NONE", "ELIMINATE_CROSS_JOINS", "AUTOMATIC")),
    SessionProperty("retry_policy", "varchar", "NONE", "Retry policy", ("NONE", "QUERY", "TASK")),
    _property("hash_partition_count", "integer", "100", "Number of partitions for distributed joins and aggregations"),
    _property("max_hash_partition_count", "integer", "100", "Maximum number of partitions"),
    _property("min_hash_partition_count", "integer", "4", "Minimum number of partitions"),
    _property("task_concurrency", "integer", "8", "Default number of local parallel jobs per worker"),
    _property("task_max_writer_count", "integer", "64", "Maximum number of writers per task"),
    _property("task_min_writer_count", "integer", "1", "Minimum number of writers per task"),
    _property("redistribute_writes", "boolean", "true", "Force parallel distributed writes"),
    _property("scale_writers", "boolean", "true", "Scale out writers based on throughput"),
    _property("spill_enabled", "boolean", "false", "Enable spilling"),
    _property("distributed_sort", "boolean", "true", "Parallelize sort across multiple nodes"),
    _property("optimize_hash_generation", "boolean", "false", "Compute hash codes early in the query plan"),
    _property("push_aggregation_through_outer_join", "boolean", "true", "Allow pushing aggregations below joins"),
    _property("enable_dynamic_filtering", "boolean", "true", "Enable dynamic filtering"),
    _property("enable_large_dynamic_filters", "boolean", "false", "Enable collection of large dynamic filters"),
    _property("colocated_join", "boolean", "true", "Use a colocated join when possible"),
    _property("use_preferred_write_partitioning", "boolean", "true", "Use preferred write partitioning"),
    _property("statistics_precalculation_for_pushdown_enabled", "boolean", "true", "Enable statistics precalculation"),
    _property("filter_and_project_min_output_page_size", "varchar", "500kB", "Minimum output page size", "size"),
    _property("client_supplied_resource_estimates", "varchar", "", "Resource estimates"),
    _property("resource_overcommit", "boolean", "false", "Use resources which are not guaranteed to be available"),
    _property("time_zone_id", "varchar", "", "Time zone id of the session"),
    _property("legacy_materialized_view_grace_period", "boolean", "false", "Enable legacy handling of stale views"),
    _property("close_idle_writers_trigger_duration", "varchar", "5.00s", "Close idle writers after", "duration"),
    _property("sandbox_sleep", "varchar", "0.00s", "Sandbox only: how long each statement stays RUNNING", "duration"),
)  # fmt: skip

SYSTEM: dict[str, SessionProperty] = {entry.name: entry for entry in _ALL}


def check_session_property(name: str, value: str, catalogs: frozenset[str]) -> None:
    """Refuse what the server would: an unknown name, an unknown catalog, a value of the wrong type."""
    catalog, separator, _ = name.partition(".")
    if separator:
        if catalog not in catalogs:
            raise QueryFailure("INVALID_SESSION_PROPERTY", f"Session property catalog does not exist: {name}")
        return
    if name not in SYSTEM:
        raise QueryFailure("INVALID_SESSION_PROPERTY", f"Session property '{name}' does not exist")
    SYSTEM[name].check(value)
