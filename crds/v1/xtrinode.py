"""The kind XTrinode: one Trino runtime as a user declares it. (Its status has a module of its own.)

The field docs are the manual; the CRD, `kubectl explain` and the reference page are made from them.
Types say what one value may be. What several values may be together stands in `validation`, what they
mean for pods in `shape`.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from crds.v1.chart_config import HelmChartConfig
from crds.v1.fields import (
    DataSize,
    Duration,
    HostName,
    IntOrPercent,
    Labels,
    LabelSelector,
    Line,
    ObjectName,
    Plain,
    PropertyKey,
    Raw,
    ResourceRequirements,
    SecretKeySelector,
    Toleration,
    TopologySpreadConstraint,
)
from crds.v1.meta import Items, Model, ObjectMeta
from crds.v1.status import Condition, XTrinodeStatus

__all__ = [
    "MAX_WORKERS",
    "SIZES",
    "Condition",
    "ExchangeManager",
    "ExistingNodePool",
    "FaultTolerantExecution",
    "JmxExporter",
    "Keda",
    "Limits",
    "Placement",
    "RolePlacement",
    "RoleResources",
    "RollingUpdateStrategy",
    "RolloutPolicy",
    "Routing",
    "SessionLimits",
    "Size",
    "TrinoControlAuth",
    "Workers",
    "XTrinode",
    "XTrinodeSpec",
    "XTrinodeStatus",
]

MAX_WORKERS = 500
Workers = Annotated[int, Field(ge=0, le=MAX_WORKERS)]
Size = Literal["xs", "s", "m", "l", "xl"]
SIZES: tuple[Size, ...] = ("xs", "s", "m", "l", "xl")


class RoleResources(Model):
    """Requests and limits by role."""

    coordinator: ResourceRequirements | None = Field(
        default=None, description="Of the coordinator. Replaces the preset as a whole."
    )
    worker: ResourceRequirements | None = Field(
        default=None, description="Of each worker. Replaces the preset as a whole."
    )


class SessionLimits(Model):
    """Memory limits of one query."""

    max_query_memory: DataSize | None = Field(
        default=None,
        description="User memory that one query may use on all workers together (`query.max-memory`), "
        "such as 40GB. Default: so much that only the share per node limits a query, however many workers there are; "
        "changing their number therefore restarts nothing.",
    )
    max_total_memory_per_node: DataSize | None = Field(
        default=None,
        description="Memory that one query may use on one worker (`query.max-memory-per-node`; Trino no longer "
        "tells user memory from total memory per node). Default: 60 % of the heap. "
        "With the headroom it must fit into the worker's heap.",
    )


class Limits(Model):
    """Guardrails for the queries of this runtime."""

    hard_concurrency_per_group: Annotated[int, Field(ge=1, le=100_000)] | None = Field(
        default=None,
        description="Queries that run at the same time; more wait in Trino's queue. "
        "Setting it gives the coordinator a resource-group file with one group for all users; therefore not "
        "together with resourceGroupsProfile or valuesOverlay.resourceGroups. Default: no limit.",
    )
    max_queued_per_group: Annotated[int, Field(ge=0, le=100_000)] | None = Field(
        default=None,
        description="Queries that may wait; the next is refused with QUERY_QUEUE_FULL. Goes into the same "
        "resource-group file. Default 1000 when hardConcurrencyPerGroup is set.",
    )
    session: SessionLimits | None = Field(default=None, description="Memory limits of one query.")


class TrinoControlAuth(Model):
    """How the controller signs in to Trino when the runtime asks for passwords."""

    username: Annotated[str, Field(min_length=1, max_length=253, pattern=r"^[^\s:\x00-\x1f]+$")] = Field(
        default="xtrinode-operator",
        description="User for the calls that ask for running queries and shut workers down.",
    )
    password_secret: SecretKeySelector = Field(
        description="Secret in the runtime's namespace that holds the password. "
        "Who sets this needs permission to read that Secret."
    )


class ExchangeManager(Model):
    """Where intermediate data goes when a task may be retried."""

    enabled: bool = Field(default=True, description="false: no exchange manager; only with retryPolicy QUERY.")
    name: Annotated[str, Field(min_length=1, max_length=63, pattern=r"^[a-z0-9][a-z0-9-]*$")] = Field(
        default="filesystem", description="Plugin (`exchange-manager.name`): filesystem or hdfs."
    )
    base_directories: Annotated[Items[Plain], Field(max_length=32)] = Field(
        default=(),
        description="Shared places such as s3://bucket/exchange (`exchange.base-directories`). "
        "A path on a node's own disk works only with a single worker.",
    )
    properties: Annotated[dict[PropertyKey, Plain], Field(max_length=64)] = Field(
        default_factory=dict, description="Further lines of exchange-manager.properties. No secrets: see next."
    )
    property_secret_refs: Annotated[dict[PropertyKey, SecretKeySelector], Field(max_length=32)] = Field(
        default_factory=dict,
        description="Properties whose value is read from a Secret, such as exchange.s3.aws-secret-key.",
    )


class FaultTolerantExecution(Model):
    """Lets queries survive the loss of a worker. Present: on."""

    retry_policy: Literal["TASK", "QUERY"] = Field(
        default="TASK",
        description="TASK repeats the failed part and needs an exchange manager; QUERY repeats the whole query.",
    )
    exchange_manager: ExchangeManager | None = Field(
        default=None, description="Needed by TASK. Default: filesystem in the pod's /tmp, for trials only."
    )


class RollingUpdateStrategy(Model):
    """How many pods may be added or missing while pods are replaced."""

    max_surge: IntOrPercent | None = Field(default=None, description="Additional pods. Default 25%.")
    max_unavailable: IntOrPercent | None = Field(default=None, description="Missing pods. Default 25%.")


class RolloutPolicy(Model):
    """How changed pods are replaced."""

    revision_history_limit: Annotated[int, Field(ge=0, le=100)] | None = Field(
        default=None, description="Old ReplicaSets that are kept. Default 10."
    )
    rolling_update_strategy: RollingUpdateStrategy | None = Field(
        default=None,
        description="For workers. The coordinator is always stopped before its successor starts: two would "
        "answer for one Service and lose each other's queries.",
    )


class ExistingNodePool(Model):
    """A node pool of a cloud provider that exists already."""

    provider: Literal["azure", "aws", "gcp"] = Field(
        description="azure: kubernetes.azure.com/agentpool; aws: eks.amazonaws.com/nodegroup; "
        "gcp: cloud.google.com/gke-nodepool."
    )
    name: Annotated[str, Field(min_length=1, max_length=63)] = Field(description="Name of the pool.")


class RolePlacement(Model):
    """Placement of one role. A field that is set replaces the common one."""

    node_selector: Labels | None = Field(default=None, description="Labels that the node must have.")
    tolerations: Annotated[Items[Toleration], Field(max_length=32)] | None = Field(
        default=None, description="Taints that the pods accept."
    )
    affinity: Raw | None = Field(default=None, description="core/v1 Affinity.")
    topology_spread_constraints: Annotated[Items[TopologySpreadConstraint], Field(max_length=8)] | None = Field(
        default=None, description="How the pods spread. Without labelSelector: over the pods of this role."
    )


class Placement(Model):
    """On which nodes the pods run."""

    node_selector: Labels | None = Field(default=None, description="Labels that the node must have, both roles.")
    tolerations: Annotated[Items[Toleration], Field(max_length=32)] | None = Field(
        default=None, description="Taints that the pods accept, both roles."
    )
    affinity: Raw | None = Field(default=None, description="core/v1 Affinity, both roles.")
    existing_node_pool: ExistingNodePool | None = Field(
        default=None, description="Adds the provider's node-pool label to the node selector of both roles."
    )
    coordinator: RolePlacement | None = Field(default=None, description="Coordinator only.")
    worker: RolePlacement | None = Field(default=None, description="Workers only.")


class Routing(Model):
    """How clients find this runtime at the gateway.

    With or without this block every runtime answers to the header `X-Trino-XTrinode: <namespace>/<name>`.
    """

    routing_group: (
        Annotated[str, Field(min_length=1, max_length=63, pattern=r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$")] | None
    ) = Field(
        default=None,
        description="Runtimes of one namespace with the same group share their selectors and their load. "
        "Default: a group of its own, named <namespace>--<name>.",
    )
    hostname: HostName | None = Field(
        default=None, description="Host that selects this route. Not together with hostnameDomain."
    )
    hostname_domain: HostName | None = Field(
        default=None,
        description="Domain under which <namespace>--<name>.<domain>, or <routingGroup>.<domain> when a group is set, "
        "selects this route. Not together with hostname.",
    )
    header: Annotated[str, Field(min_length=1, max_length=512)] | None = Field(
        default=None,
        description="Further value of X-Trino-XTrinode that selects this route, written `X-Trino-XTrinode=value` or "
        "just `value`. A value with a slash begins with the runtime's own namespace. "
        "<namespace>/<name> always works and need not be set.",
    )
    default: bool = Field(
        default=False, description="true: statements that select nothing come here. One runtime in all may have it."
    )
    capacity_units: Annotated[int, Field(ge=1, le=100_000)] | None = Field(
        default=None,
        description="Weight among the runtimes of a group. Default: worker CPU requests in units of two cores.",
    )


class JmxExporter(Model):
    """A sidecar that turns JMX into Prometheus metrics. (Trino also serves /metrics itself.)"""

    enabled: bool = Field(default=False, description="true: sidecar on both roles, with or without KEDA.")
    image: Annotated[str, Field(min_length=1, max_length=512, pattern=r"^\S+$")] | None = Field(
        default=None, description="Image of the exporter. Who sets this needs the images permission."
    )
    port: Annotated[int, Field(ge=1, le=65_535)] = Field(default=5556, description="Port of the metrics.")
    config_map: ObjectName | None = Field(
        default=None, description="ConfigMap with jmx-exporter-config.yaml. Default: a generated one."
    )


class Keda(Model):
    """Worker scaling by KEDA. Active when enabled and at least one of scalerType, scalingMetric,
    prometheusServer, prometheusQuery or httpEndpoint is set."""

    enabled: bool = Field(default=False, description="true: workers follow a metric between minWorkers and maxWorkers.")
    scaler_type: Literal["prometheus", "http"] | None = Field(
        default=None, description="Default prometheus when a server or query is given, else http."
    )
    scaling_metric: Literal["query", "memory", "cpu"] | None = Field(
        default=None,
        description="query: statements in flight; memory, cpu: utilisation of the workers (with http: needs "
        "minWorkers >= 1). Default query for prometheus, memory for http.",
    )
    threshold: Annotated[str, Field(min_length=1, max_length=32)] | None = Field(
        default=None, description="Value per worker at which one more is added. Default 1 (query) or 80 (percent)."
    )
    prometheus_server: Line | None = Field(
        default=None,
        description="URL of Prometheus. Default http://prometheus-operated.monitoring.svc.cluster.local:9090.",
    )
    prometheus_query: Annotated[str, Field(min_length=1, max_length=4096)] | None = Field(
        default=None,
        description="PromQL; {namespace}, {xtrinodeName} and {releaseName} (trino-<name>) are replaced. "
        "Default: from scalingMetric.",
    )
    http_endpoint: Line | None = Field(
        default=None, description="coordinator, jmx (needs jmxExporter.enabled), or a URL. Default coordinator."
    )
    http_value_location: Line | None = Field(
        default=None, description="Where in the answer the number is (GJSON path or metric name). Default: by metric."
    )
    scale_down_cooldown: Duration | None = Field(
        default=None, description="How long to wait before workers are removed. Default: KEDA's, 300s."
    )
    scale_up_cooldown: Duration | None = Field(
        default=None, description="Stabilisation before workers are added. Default: KEDA's, 0s."
    )
    jmx_exporter: JmxExporter | None = Field(default=None, description="JMX metrics as Prometheus metrics.")


class XTrinodeSpec(Model):
    """What the runtime shall be."""

    size: Size = Field(
        description="Preset of both roles' CPU and memory: xs, s, m, l or xl. Larger ones also get a larger "
        "coordinator. Making it smaller restarts all pods with less memory and needs the break-glass annotations."
    )
    min_workers: Workers = Field(
        default=0,
        description="Least number of workers when KEDA scales them. With a fixed number of workers it raises that "
        "number when it is the greater one. Default 0.",
    )
    max_workers: Workers | None = Field(
        default=None,
        description="The number of workers, or with KEDA the most there may be. Default 2, with KEDA 24. "
        "0: the coordinator works alone.",
    )
    suspended: bool = Field(
        default=False,
        description="true: let running queries finish, then stop all pods. The route stays, and "
        "tells clients that the runtime sleeps and how to wake it. Default false.",
    )
    auto_suspend_after: Duration = Field(
        default="5m",
        description="Suspend after this long without a query. 0s: never. Default 5m.",
    )
    resume_policy: Literal["OnDemand", "Manual"] = Field(
        default="OnDemand",
        description="OnDemand: it may be chosen when its routing group is woken. Manual: it sleeps until it is "
        "resumed by name. Default OnDemand.",
    )
    drain_timeout: Duration = Field(
        default="1h",
        description="How long suspend and delete wait for running queries. After that drainPolicy decides. Default 1h.",
    )
    drain_policy: Literal["Wait", "Cancel"] = Field(
        default="Wait",
        description="Wait: let queries run until drainTimeout, then stop. Cancel: cancel them at once. Default Wait.",
    )
    wake_min_workers: Workers | None = Field(
        default=None, description="Least number of workers for wakeTTL after a resume. Default: minWorkers."
    )
    wake_ttl: Duration = Field(
        default="5m", alias="wakeTTL", description="How long wakeMinWorkers holds after a resume. Default 5m."
    )
    resources: RoleResources | None = Field(default=None, description="Replaces the preset's CPU and memory by role.")
    resource_groups_profile: ObjectName | None = Field(
        default=None,
        description="ConfigMap whose key resource-groups.json configures Trino's resource groups on the coordinator.",
    )
    custom_config_maps: Annotated[Items[ObjectName], Field(max_length=32)] = Field(
        default=(), description="ConfigMaps mounted at /etc/trino/custom/<name> on both roles."
    )
    catalog_selector: LabelSelector | None = Field(
        default=None,
        description="Selects the XTrinodeCatalogs of this namespace by spec.labels and metadata.labels. {} selects "
        "all. Not set: no XTrinodeCatalog, but Trino's built-in example catalogs tpch and tpcds.",
    )
    limits: Limits | None = Field(default=None, description="Guardrails for queries.")
    values_overlay: Raw | None = Field(
        default=None,
        description="Values of the official Trino chart for what no other field covers. "
        "Who sets or changes it needs `update` on the virtual subresource xtrinodes/valuesoverlay. "
        "Keys that are not used are named in a warning.",
    )
    trino_control_auth: TrinoControlAuth | None = Field(
        default=None, description="How the controller signs in to Trino. Needed when Trino asks for passwords."
    )
    fault_tolerant_execution: FaultTolerantExecution | None = Field(
        default=None, description="Lets queries survive the loss of a worker."
    )
    rollout_policy: RolloutPolicy | None = Field(default=None, description="How changed pods are replaced.")
    placement: Placement | None = Field(default=None, description="On which nodes the pods run.")
    routing: Routing | None = Field(
        default=None,
        description="How clients find this runtime at the gateway. Changing it needs the break-glass annotations.",
    )
    keda: Keda | None = Field(default=None, description="Worker scaling by KEDA.")
    helm_chart_config: HelmChartConfig | None = Field(
        default=None, description="What the official chart can do and the other fields do not cover. Privileged."
    )


class XTrinode(Model):
    """A Trino runtime: coordinator, workers, catalogs, route and lifecycle."""

    api_version: Literal["analytics.xtrinode.io/v1"] = Field(
        default="analytics.xtrinode.io/v1", description="analytics.xtrinode.io/v1"
    )
    kind: Literal["XTrinode"] = Field(default="XTrinode", description="Always this.")
    metadata: ObjectMeta = Field(default_factory=ObjectMeta)
    spec: XTrinodeSpec = Field(description="What the runtime shall be.")
    status: XTrinodeStatus = Field(default_factory=XTrinodeStatus, description="What was observed.")

    @property
    def key(self) -> str:
        """`namespace/name`."""
        return self.metadata.key
