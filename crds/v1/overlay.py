"""`spec.valuesOverlay`: values of the official Trino chart, parsed once into a frozen type.

What is declared here is used; what is not declared is listed by `unknown`, so that a misspelt or
unsupported key becomes a warning and is never ignored in silence. What must not come in by this door,
even for those who may use it, is in `DENIED` with the field to use instead.

Templates (`{{ ... }}`) are refused: there is no Helm here that would evaluate them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cache
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel

from crds.v1.fields import ConfigMapMount, Labels, SecretMount
from crds.v1.meta import FieldError, InvalidObject, parse, to_dict

PATH = "spec.valuesOverlay"


class Part(BaseModel):
    """A block of chart values. Numbers and texts may stand for one another, as in YAML they do."""

    model_config = ConfigDict(
        frozen=True,
        extra="allow",
        alias_generator=to_camel,
        validate_by_alias=True,
        validate_by_name=False,
        coerce_numbers_to_str=True,
        defer_build=True,
    )


Lines = tuple[str, ...]
Objects = tuple[dict[str, Any], ...]
Texts = dict[str, str]
ImagePart = Annotated[str, Field(pattern=r"^\S*$")]
PullPolicy = Literal["Always", "IfNotPresent", "Never"]
PortNumber = Annotated[int, Field(ge=1, le=65_535)]


class Image(Part):
    registry: ImagePart = ""
    repository: ImagePart = "trinodb/trino"
    tag: ImagePart = ""
    digest: ImagePart = ""
    pull_policy: PullPolicy = "IfNotPresent"
    use_repository_as_sole_image_reference: bool = False


class Node(Part):
    environment: str = "production"


class LogLevel(Part):
    level: str = "INFO"


class Log(Part):
    trino: LogLevel = Field(default_factory=LogLevel)


class ServerConfig(Part):
    authentication_type: str = ""


class Autoscaling(Part):
    enabled: bool = False
    min_replicas: Annotated[int, Field(ge=1, le=500)] = 2
    max_replicas: Annotated[int, Field(ge=1, le=500)] = 5
    cpu: int | str | None = Field(default=50, alias="targetCPUUtilizationPercentage")
    memory: int | str | None = Field(default=80, alias="targetMemoryUtilizationPercentage")
    behavior: dict[str, Any] | None = None

    def targets(self) -> tuple[int | None, int | None]:
        """(cpu, memory) in percent; None: that metric is off."""
        return _percent(self.cpu), _percent(self.memory)

    @property
    def active(self) -> bool:
        return self.enabled and any(self.targets())


def _percent(value: int | str | None) -> int | None:
    try:
        number = int(value) if value not in {None, ""} else 0
    except ValueError:
        return None
    return number if number > 0 else None


class KedaFallback(Part):
    failure_threshold: Annotated[int, Field(ge=1)]
    replicas: Annotated[int, Field(ge=1, le=500)]


class ServerKeda(Part):
    fallback: KedaFallback | None = None


class Server(Part):
    node: Node = Field(default_factory=Node)
    log: Log = Field(default_factory=Log)
    config: ServerConfig = Field(default_factory=ServerConfig)
    coordinator_extra_config: str = ""
    worker_extra_config: str = ""
    autoscaling: Autoscaling = Field(default_factory=Autoscaling)
    keda: ServerKeda = Field(default_factory=ServerKeda)


class SessionProperties(Part):
    type: str
    session_properties_config: str = ""
    properties: str = ""


class ResourceGroups(Part):
    type: str
    resource_groups_config: str = ""
    properties: str = ""


class Auth(Part):
    password_auth_secret: str = ""
    groups: str = ""
    groups_auth_secret: str = ""
    refresh_period: str = "5s"


class Kafka(Part):
    mount_path: str = "/etc/trino/schemas"
    table_descriptions: Texts = Field(default_factory=dict)


class JmxExporter(Part):
    enabled: bool = False
    image: ImagePart = ""
    pull_policy: PullPolicy = "IfNotPresent"
    port: PortNumber = 5556
    config_properties: str = ""
    security_context: dict[str, Any] = Field(default_factory=dict)
    resources: dict[str, Any] = Field(default_factory=dict)


class JmxRole(Part):
    enabled: bool | None = None
    registry_port: PortNumber | None = None
    server_port: PortNumber | None = None
    exporter: dict[str, Any] | None = None


class Jmx(Part):
    enabled: bool = False
    registry_port: PortNumber = 9080
    server_port: PortNumber = 9081
    exporter: JmxExporter = Field(default_factory=JmxExporter)
    coordinator: JmxRole = Field(default_factory=JmxRole)
    worker: JmxRole = Field(default_factory=JmxRole)


def jmx_of(jmx: Jmx, role: Literal["coordinator", "worker"]) -> Jmx:
    """The JMX block of one role: the common one with the role's differences."""
    own = jmx.coordinator if role == "coordinator" else jmx.worker
    changes = {
        "enabled": own.enabled,
        "registry_port": own.registry_port,
        "server_port": own.server_port,
        "exporter": parse(JmxExporter, {**to_dict(jmx.exporter), **own.exporter}) if own.exporter else None,
    }
    return jmx.model_copy(update={key: value for key, value in changes.items() if value is not None})


class ShareProcessNamespace(Part):
    coordinator: bool = False
    worker: bool = False


class Service(Part):
    type: str = "ClusterIP"
    annotations: Texts = Field(default_factory=dict)
    port: PortNumber = 8080


class ServiceAccount(Part):
    automount_service_account_token: bool | None = None


class NetworkPolicy(Part):
    enabled: bool = False
    ingress: Objects = ()
    egress: Objects = ()


class Deployment(Part):
    annotations: Texts = Field(default_factory=dict)
    progress_deadline_seconds: Annotated[int, Field(ge=1)] = 600


class DisruptionBudget(Part):
    enabled: bool | None = None
    min_available: int | str | None = None
    max_unavailable: int | str | None = None


class MetricsService(Part):
    enabled: bool = True


class ExposedPort(Part):
    port: PortNumber
    service_port: PortNumber | None = None
    name: str = ""
    protocol: str = "TCP"


class GracefulShutdown(Part):
    enabled: bool = False
    grace_period_seconds: Annotated[int, Field(ge=1, le=86_400)] = 120


class NodeScheduler(Part):
    include_coordinator: bool = False


class MemoryConfig(Part):
    heap_headroom_per_node: str = ""


class QueryConfig(Part):
    max_memory_per_node: str = ""


class RoleConfig(Part):
    node_scheduler: NodeScheduler = Field(default_factory=NodeScheduler)
    memory: MemoryConfig = Field(default_factory=MemoryConfig)
    query: QueryConfig = Field(default_factory=QueryConfig)


class Role(Part):
    """`coordinator` or `worker`."""

    config: RoleConfig = Field(default_factory=RoleConfig)
    additional_jvm_config: Lines = Field(default=(), alias="additionalJVMConfig")
    labels: Labels = Field(default_factory=dict)
    annotations: Texts = Field(default_factory=dict)
    deployment: Deployment = Field(default_factory=Deployment)
    termination_grace_period_seconds: Annotated[int, Field(ge=0)] | None = None
    priority_class_name: str | None = None
    lifecycle: dict[str, Any] | None = None
    liveness_probe: dict[str, Any] | None = None
    readiness_probe: dict[str, Any] | None = None
    startup_probe: dict[str, Any] | None = None
    additional_exposed_ports: dict[str, ExposedPort] = Field(default_factory=dict)
    additional_volumes: Objects = ()
    additional_volume_mounts: Objects = ()
    config_mounts: tuple[ConfigMapMount, ...] = ()
    secret_mounts: tuple[SecretMount, ...] = ()
    pod_disruption_budget: DisruptionBudget = Field(default_factory=DisruptionBudget)
    metrics_service: MetricsService = Field(default_factory=MetricsService)
    graceful_shutdown: GracefulShutdown | None = None


class Overlay(Part):
    """The whole overlay. Its defaults are those of a runtime without one."""

    image: Image = Field(default_factory=Image)
    server: Server = Field(default_factory=Server)
    additional_node_properties: Lines = ()
    additional_config_properties: Lines = ()
    additional_log_properties: Lines = ()
    additional_exchange_manager_properties: Lines = ()
    event_listener_properties: Lines = ()
    session_properties: SessionProperties | None = None
    resource_groups: ResourceGroups | None = None
    auth: Auth = Field(default_factory=Auth)
    kafka: Kafka = Field(default_factory=Kafka)
    jmx: Jmx = Field(default_factory=Jmx)
    env: Objects = ()
    security_context: dict[str, Any] | None = None
    container_security_context: dict[str, Any] | None = None
    share_process_namespace: ShareProcessNamespace = Field(default_factory=ShareProcessNamespace)
    common_labels: Labels = Field(default_factory=dict)
    service: Service = Field(default_factory=Service)
    service_account: ServiceAccount = Field(default_factory=ServiceAccount)
    network_policy: NetworkPolicy = Field(default_factory=NetworkPolicy)
    config_mounts: tuple[ConfigMapMount, ...] = ()
    secret_mounts: tuple[SecretMount, ...] = ()
    coordinator: Role = Field(default_factory=Role)
    worker: Role = Field(default_factory=Role)

    @property
    def authentication_types(self) -> tuple[str, ...]:
        """The types in server.config.authenticationType, upper case."""
        names = self.server.config.authentication_type.split(",")
        return tuple(name.strip().upper() for name in names if name.strip())


@cache
def empty() -> Overlay:
    """The overlay of a runtime that has none. Made when first needed: it builds every block's checks."""
    return Overlay()


def parse_overlay(raw: Mapping[str, Any] | None) -> Overlay:
    """Read the overlay; raises InvalidObject with full paths when a used key has the wrong type."""
    if raw is None:
        return empty()
    try:
        return parse(Overlay, raw)
    except InvalidObject as error:
        raise InvalidObject(
            FieldError(f"{PATH}.{item.path}", item.message, item.kind, item.value) for item in error.errors
        ) from None


def unknown(overlay: Overlay) -> tuple[str, ...]:
    """Paths of keys that nothing uses, sorted."""
    return tuple(sorted(_unknown(overlay, PATH)))


def _unknown(part: BaseModel, path: str) -> Iterator[str]:
    for key in part.model_extra or ():
        yield f"{path}.{key}"
    fields = type(part).model_fields
    for name in part.model_fields_set & set(fields):
        value, alias = getattr(part, name), fields[name].alias or name
        here = f"{path}.{alias}"
        inner = {f"{here}.{key}": item for key, item in value.items()} if isinstance(value, dict) else {here: value}
        for where, item in inner.items():
            if isinstance(item, Part):
                yield from _unknown(item, where)


_PLACEMENT = "use spec.placement"
_RESOURCES = "use spec.resources"
_ROLLOUT = "use spec.rolloutPolicy"
_PLAIN_PATHS: dict[str, str] = {
    "resources": _RESOURCES,
    "coordinator.resources": _RESOURCES,
    "worker.resources": _RESOURCES,
    "hostNetwork": "pods of a runtime stay in the pod network",
    "hostPID": "pods of a runtime stay in their own namespaces",
    "hostIPC": "pods of a runtime stay in their own namespaces",
    "sidecarContainers": "there is no field for sidecars",
    "envFrom": "use spec.helmChartConfig.envFrom",
    "auth.passwordAuth": "put the text into a Secret under the key password.db and name it in auth.passwordAuthSecret",
}
#: Keys of the chart that have a place elsewhere: unused here, and the warning says which place.
ADVICE: dict[str, str] = {
    f"{PATH}.{key}": instead
    for key, instead in {
        "coordinator.jvm": "the heap follows spec.resources",
        "worker.jvm": "the heap follows spec.resources",
        "initContainers": "use spec.helmChartConfig.initContainers",
        "imagePullSecrets": "use spec.helmChartConfig.imagePullSecrets",
        "accessControl": "use spec.helmChartConfig.accessControl",
        "ingress": "use spec.helmChartConfig.ingress",
        "serviceMonitor": "use spec.helmChartConfig.serviceMonitor",
        "catalogs": "use XTrinodeCatalog objects and spec.catalogSelector",
        "additionalCatalogs": "use XTrinodeCatalog objects and spec.catalogSelector",
        "coordinator.additionalConfigFiles": "use spec.helmChartConfig.coordinator.additionalConfigFiles",
        "worker.additionalConfigFiles": "use spec.helmChartConfig.worker.additionalConfigFiles",
        "server.workers": "use spec.maxWorkers",
        "server.exchangeManager": "use spec.faultTolerantExecution.exchangeManager",
        "server.config.query": "use spec.limits.session",
    }.items()
}
#: Path below the overlay -> what to use instead. These are errors for everybody.
DENIED: dict[str, str] = {
    **_PLAIN_PATHS,
    **{
        f"{role}{key}": _PLACEMENT
        for role in ("", "coordinator.", "worker.")
        for key in ("nodeSelector", "tolerations", "affinity", "topologySpreadConstraints")
    },
    **{
        f"{role}.deployment.{key}": _ROLLOUT
        for role in ("coordinator", "worker")
        for key in ("strategy", "revisionHistoryLimit")
    },
}
