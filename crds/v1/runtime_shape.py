"""What a runtime is once everything was decided: the only thing that a renderer reads.

`shape.resolve` makes it from a spec. Every number, name, file and mount that the pods of a runtime need
is in here, already merged and defaulted: a renderer turns these values into Kubernetes objects and
decides nothing. Nothing in here depends on the cluster, on time or on other objects (selected catalogs
are joined by the controller).

Values are frozen; mappings in them must not be changed. `hash` names the whole shape except the
lifecycle: two specs that mean the same have the same hash, whatever the order of their keys.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from datetime import timedelta
from typing import Any, Literal

import orjson

from crds.v1.fields import LabelSelector
from crds.v1.xtrinode import Size

SHAPE_VERSION = "v1"
CONFIG_ROOT = "/etc/trino"

Json = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Resources:
    """One container's resources, as they go into the pod, and what they come to."""

    requests: Mapping[str, str]
    limits: Mapping[str, str]
    cpu_millis: int
    """CPU request (limit when there is no request); 0 when neither is set."""
    memory_bytes: int
    """Memory limit (request when there is no limit): what the heap is cut from."""


@dataclass(frozen=True, slots=True)
class Memory:
    """How a role's memory is divided. Always `query_per_node + headroom <= heap < limit`."""

    heap: int
    """Bytes of -Xmx: 75 % of the container's memory."""
    headroom: int
    """Bytes of memory.heap-headroom-per-node."""
    query_per_node: int
    """Bytes of query.max-memory-per-node."""


@dataclass(frozen=True, slots=True)
class ConfigFile:
    """A file under /etc/trino, whole."""

    path: str
    """Relative to /etc/trino; may have a directory, such as `catalog/tpch.properties`."""
    content: str

    @property
    def key(self) -> str:
        """Its key in a ConfigMap, where a slash cannot be. Project it back to `path` with `items`."""
        return self.path.replace("/", "_-_")


@dataclass(frozen=True, slots=True)
class Mount:
    """A ConfigMap or Secret of the namespace, as files in the Trino container. Read-only."""

    volume: str
    """Name of the pod's volume; equal for mounts of the same source."""
    kind: Literal["ConfigMap", "Secret"]
    source: str
    path: str
    sub_path: str | None = None
    items: tuple[tuple[str, str], ...] = ()
    """(key, path) pairs; empty: all keys under their own names."""


@dataclass(frozen=True, slots=True)
class Placement:
    """Where the pods of a role may run, as in a pod's spec."""

    node_selector: Mapping[str, str]
    tolerations: tuple[Json, ...]
    affinity: Json | None
    topology_spread_constraints: tuple[Json, ...]
    """A constraint without labelSelector means the pods of this role: the renderer adds the selector."""


@dataclass(frozen=True, slots=True)
class ExposedPort:
    """A further port of container and Service."""

    name: str
    port: int
    service_port: int
    protocol: str


@dataclass(frozen=True, slots=True)
class Sidecar:
    """The JMX exporter beside Trino."""

    image: str
    pull_policy: str
    port: int
    config_map: str | None
    """Existing ConfigMap with `jmx-exporter-config.yaml`; None: generate one from `config`."""
    config: str
    resources: Json
    security_context: Json


@dataclass(frozen=True, slots=True)
class ServiceMonitor:
    """A ServiceMonitor for one role."""

    api_version: str
    labels: Mapping[str, str]
    interval: str | None
    scrape_timeout: str | None


@dataclass(frozen=True, slots=True)
class Role:
    """The coordinator, or the workers."""

    role: Literal["coordinator", "worker"]
    resources: Resources
    memory: Memory
    placement: Placement
    files: tuple[ConfigFile, ...]
    """All files of /etc/trino that are generated, sorted by path. config.properties, jvm.config,
    node.properties and log.properties are always there."""
    mounts: tuple[Mount, ...]
    env: tuple[Json, ...]
    """core/v1 EnvVar, in order. The environment of selected catalogs comes after these."""
    env_from: tuple[Json, ...]
    init_containers: tuple[Json, ...]
    volumes: tuple[Json, ...]
    """Further core/v1 Volumes (overlay additionalVolumes)."""
    volume_mounts: tuple[Json, ...]
    """Further core/v1 VolumeMounts of the Trino container."""
    startup_probe: Json
    readiness_probe: Json
    liveness_probe: Json
    lifecycle: Json | None
    termination_grace_seconds: int
    pod_security_context: Json
    container_security_context: Json
    share_process_namespace: bool
    labels: Mapping[str, str]
    """Further pod labels."""
    annotations: Mapping[str, str]
    """Further pod annotations."""
    deployment_annotations: Mapping[str, str]
    strategy: Json
    """apps/v1 DeploymentStrategy."""
    revision_history_limit: int
    progress_deadline_seconds: int
    priority_class: str | None
    ports: tuple[ExposedPort, ...]
    disruption_budget: Json | None
    """`{"minAvailable": ...}` or `{"maxUnavailable": ...}`; None: no PodDisruptionBudget."""
    metrics_service: bool
    sidecar: Sidecar | None
    service_monitor: ServiceMonitor | None


@dataclass(frozen=True, slots=True)
class Keda:
    """A KEDA ScaledObject, except names and owner."""

    triggers: tuple[Json, ...]
    """As in keda.sh/v1alpha1, complete with metadata. A trigger that asks the coordinator names the
    TriggerAuthentication `names.scaler_authentication`."""
    cooldown_seconds: int | None
    scale_up_stabilization_seconds: int | None
    fallback: Json | None
    asks_coordinator: bool
    """true: the TriggerAuthentication is needed."""


@dataclass(frozen=True, slots=True)
class Hpa:
    """A HorizontalPodAutoscaler's metrics and behaviour."""

    cpu_percent: int | None
    memory_percent: int | None
    behavior: Json | None


@dataclass(frozen=True, slots=True)
class Workers:
    """How many workers there are, and who says so."""

    mode: Literal["fixed", "keda", "hpa"]
    min: int
    max: int
    fixed: int | None
    """The number in mode fixed, else None: the Deployment's replicas belong to the autoscaler."""
    quota: int
    capacity: int
    keda: Keda | None
    hpa: Hpa | None

    @property
    def rendered(self) -> bool:
        """Whether there is a worker Deployment at all."""
        return self.max > 0

    @property
    def initial(self) -> int:
        """Replicas to create the Deployment with."""
        return self.fixed if self.fixed is not None else self.min


@dataclass(frozen=True, slots=True)
class Image:
    """Trino's image."""

    reference: str
    version: str
    """Its tag, for the version label; `unknown` for a digest."""
    pull_policy: str
    pull_secrets: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ServiceAccount:
    """The ServiceAccount of the pods."""

    name: str
    create: bool
    annotations: Mapping[str, str]
    automount_token: bool


@dataclass(frozen=True, slots=True)
class Service:
    """The Services of coordinator and workers."""

    port: int
    """Also Trino's own HTTP port."""
    annotations: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Ingress:
    """A networking.k8s.io/v1 Ingress to the coordinator."""

    class_name: str | None
    annotations: Mapping[str, str]
    hosts: tuple[tuple[str, tuple[tuple[str, str], ...]], ...]
    """(host, ((path, pathType), ...))."""
    tls: tuple[tuple[str, tuple[str, ...]], ...]
    """(secret, hosts)."""


@dataclass(frozen=True, slots=True)
class NetworkPolicy:
    """Rules beyond those that keep the runtime itself, gateway and controller working."""

    ingress: tuple[Json, ...]
    egress: tuple[Json, ...]


@dataclass(frozen=True, slots=True)
class ControlAuth:
    """How the controller signs in to Trino."""

    username: str
    secret: str | None
    """Secret with the password; None: no password."""
    key: str | None


@dataclass(frozen=True, slots=True)
class Routing:
    """How the gateway finds this runtime."""

    group: str
    shared: bool
    """true: other runtimes of the namespace may be in the group."""
    hostname: str | None
    header: str | None
    """Further value of X-Trino-XTrinode; `<namespace>/<name>` always works."""
    default: bool
    capacity_units: int


@dataclass(frozen=True, slots=True)
class Lifecycle:
    """When it sleeps and how it stops. Not part of the hash: it never changes a pod."""

    suspended: bool
    auto_suspend_after: timedelta | None
    """None: never."""
    resume_policy: Literal["OnDemand", "Manual"]
    drain_timeout: timedelta
    drain_policy: Literal["Wait", "Cancel"]
    wake_min_workers: int | None
    wake_ttl: timedelta


@dataclass(frozen=True, slots=True)
class RuntimeShape:
    """One runtime, resolved."""

    namespace: str
    name: str
    size: Size
    image: Image
    coordinator: Role
    worker: Role
    workers: Workers
    service: Service
    service_account: ServiceAccount
    common_labels: Mapping[str, str]
    ingress: Ingress | None
    network_policy: NetworkPolicy | None
    catalog_selector: LabelSelector | None
    """None: only `builtin_catalogs`."""
    builtin_catalogs: tuple[str, ...]
    """Catalogs whose files are among both roles' `files`. Empty when a selector is set; then the selected
    catalogs are mounted at /etc/trino/catalog."""
    schemas: Mapping[str, str]
    """Table descriptions (overlay kafka.tableDescriptions): file name to content; for a ConfigMap of their
    own, `names.schemas_config_map`. The mount is among both roles' `mounts`."""
    control_auth: ControlAuth
    graceful_shutdown_seconds: int | None
    """None: workers just stop."""
    query_max_memory: int
    """Bytes of query.max-memory."""
    routing: Routing
    lifecycle: Lifecycle
    sources: Mapping[str, str] = field(default_factory=dict)
    """Where a value came from: `worker.resources` -> `spec.resources.worker`, `workers.max` -> `default`."""
    version: str = SHAPE_VERSION
    hash: str = ""

    def fingerprint(self) -> str:
        """16 hex digits over everything but lifecycle and provenance."""
        left_out = {"hash", "sources", "lifecycle"}
        content = {item.name: getattr(self, item.name) for item in fields(self) if item.name not in left_out}
        if self.catalog_selector is not None:
            content["catalog_selector"] = self.catalog_selector.model_dump(mode="json")
        return hashlib.sha256(orjson.dumps(content, option=orjson.OPT_SORT_KEYS)).hexdigest()[:16]

    def to_status(self) -> dict[str, Any]:
        """`status.observedRuntimeShape`: the short form."""
        workers = {
            "min": self.workers.min,
            "max": self.workers.max,
            "quota": self.workers.quota,
            "capacity": self.workers.capacity,
        }
        if self.workers.fixed is not None:
            workers["fixed"] = self.workers.fixed
        return {
            "version": self.version,
            "hash": self.hash,
            "preset": self.size,
            "autoscalingMode": self.workers.mode,
            "coordinator": _observed(self.coordinator.resources),
            "worker": _observed(self.worker.resources),
            "workers": workers,
            "capacityUnits": self.routing.capacity_units,
        }


def _observed(resources: Resources) -> dict[str, Any]:
    return {"requests": dict(resources.requests), "limits": dict(resources.limits)}
