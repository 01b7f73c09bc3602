"""`spec.helmChartConfig`: what the official Helm chart can do and the other fields do not cover.

Typed, unlike the overlay, and privileged as a whole: most of it reaches beyond the pods of a runtime.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from crds.v1.fields import (
    Annotations,
    Duration,
    EnvVar,
    HostName,
    Labels,
    LocalObjectReference,
    ObjectName,
    Raw,
    SecretMount,
    Text,
    TopologySpreadConstraint,
)
from crds.v1.meta import Items, Model

FileName = Annotated[str, Field(min_length=1, max_length=253, pattern=r"^[-_a-zA-Z0-9][-._a-zA-Z0-9]*$")]
ConfigFiles = Annotated[dict[FileName, Text], Field(max_length=32)]


class AccessControl(Model):
    """Trino's system access control."""

    type: Literal["configmap", "properties"] = Field(
        description="configmap: the rules below, as files; properties: the text below is access-control.properties."
    )
    refresh_period: Duration | None = Field(default=None, description="How often Trino reads the rules again.")
    config_file: FileName | None = Field(default=None, description="configmap: which of `rules` is the rule file.")
    rules: ConfigFiles = Field(
        default_factory=dict, description="configmap: file name to content, in /etc/trino/access-control."
    )
    properties: Text | None = Field(default=None, description="properties: lines of access-control.properties.")


class ServiceAccountConfig(Model):
    """The ServiceAccount of the pods."""

    create: bool = Field(default=True, description="false: `name` exists already.")
    name: ObjectName | None = Field(default=None, description="Default trino-<name of the runtime>.")
    annotations: Annotations = Field(
        default_factory=dict,
        description="For workload identity. A known identity annotation also mounts the token.",
    )


class IngressPath(Model):
    """A path of a host."""

    path: Annotated[str, Field(min_length=1, max_length=1024, pattern=r"^/")] = Field(default="/", description="Path.")
    path_type: Literal["Exact", "Prefix", "ImplementationSpecific"] = Field(
        default="Prefix", description="How it matches."
    )


class IngressHost(Model):
    """A host of the Ingress."""

    host: HostName = Field(description="Host name.")
    paths: Annotated[Items[IngressPath], Field(max_length=32)] = Field(default=(), description="Default: / Prefix.")


class IngressTLS(Model):
    """A certificate of the Ingress."""

    secret_name: ObjectName = Field(description="Secret with the certificate.")
    hosts: Annotated[Items[HostName], Field(max_length=32)] = Field(default=(), description="Hosts it is for.")


class IngressConfig(Model):
    """An Ingress straight to the coordinator, past the gateway: no holding, no waking."""

    enabled: bool = Field(default=False, description="true: create it.")
    class_name: ObjectName | None = Field(default=None, description="IngressClass.")
    annotations: Annotations = Field(default_factory=dict, description="Annotations of the Ingress.")
    hosts: Annotated[Items[IngressHost], Field(max_length=32)] = Field(default=(), description="At least one.")
    tls: Annotated[Items[IngressTLS], Field(max_length=32)] = Field(default=(), description="Certificates.")


class NetworkPolicyConfig(Model):
    """A NetworkPolicy for the pods. The gateway, the controller and the runtime's own pods stay allowed."""

    enabled: bool = Field(default=False, description="true: create it.")
    ingress: Annotated[Items[Raw], Field(max_length=32)] = Field(
        default=(), description="Further networking.k8s.io/v1 ingress rules."
    )
    egress: Annotated[Items[Raw], Field(max_length=32)] = Field(
        default=(), description="Egress rules. None: egress is not restricted."
    )


class RoleServiceMonitor(Model):
    """Differences for one role."""

    enabled: bool | None = Field(default=None, description="Default: as for both.")
    labels: Labels | None = Field(default=None, description="Default: as for both.")
    interval: Duration | None = Field(default=None, description="Default: as for both.")
    scrape_timeout: Duration | None = Field(default=None, description="Default: as for both.")


class ServiceMonitorConfig(Model):
    """A ServiceMonitor for the Prometheus operator."""

    enabled: bool = Field(default=False, description="true: create it; the cluster needs that CRD.")
    api_version: Annotated[str, Field(max_length=253)] = Field(
        default="monitoring.coreos.com/v1", description="API of the ServiceMonitor."
    )
    labels: Labels = Field(default_factory=dict, description="Labels by which Prometheus finds it.")
    interval: Duration | None = Field(default=None, description="Default: Prometheus' own.")
    scrape_timeout: Duration | None = Field(default=None, description="Default: Prometheus' own.")
    coordinator: RoleServiceMonitor | None = Field(default=None, description="Differences for the coordinator.")
    worker: RoleServiceMonitor | None = Field(default=None, description="Differences for the workers.")


class GracefulShutdown(Model):
    """Workers finish their tasks before they stop."""

    enabled: bool = Field(
        default=False,
        description="true: a stopping worker first asks Trino to shut down. "
        "Its access control then lets only the control user do so.",
    )
    grace_period_seconds: Annotated[int, Field(ge=1, le=86_400)] = Field(
        default=120,
        description="How long tasks may run on. The pod's termination grace period is at least twice that.",
    )


class CoordinatorChartConfig(Model):
    """Coordinator only."""

    secret_mounts: Annotated[Items[SecretMount], Field(max_length=32)] = Field(
        default=(), description="Secrets as files."
    )
    additional_config_files: ConfigFiles = Field(
        default_factory=dict, description="Files in /etc/trino. A name that we generate is refused."
    )


class WorkerChartConfig(Model):
    """Workers only."""

    secret_mounts: Annotated[Items[SecretMount], Field(max_length=32)] = Field(
        default=(), description="Secrets as files."
    )
    additional_config_files: ConfigFiles = Field(
        default_factory=dict, description="Files in /etc/trino. A name that we generate is refused."
    )
    graceful_shutdown: GracefulShutdown | None = Field(default=None, description="How workers stop.")
    topology_spread_constraints: Annotated[Items[TopologySpreadConstraint], Field(max_length=8)] | None = Field(
        default=None, description="Used when placement sets none."
    )


Containers = Annotated[Items[Raw], Field(max_length=16)]


class InitContainers(Model):
    """core/v1 containers that run before Trino."""

    coordinator: Containers = Field(default=(), description="On the coordinator.")
    worker: Containers = Field(default=(), description="On workers.")


class HelmChartConfig(Model):
    """What the official Helm chart can do and the fields above do not cover.

    Who sets or changes it needs `update` on the virtual subresource xtrinodes/valuesoverlay.
    """

    access_control: AccessControl | None = Field(default=None, description="Trino's system access control.")
    secret_mounts: Annotated[Items[SecretMount], Field(max_length=32)] = Field(
        default=(), description="Secrets as files, both roles."
    )
    coordinator: CoordinatorChartConfig | None = Field(default=None, description="Coordinator only.")
    worker: WorkerChartConfig | None = Field(default=None, description="Workers only.")
    image_pull_secrets: Annotated[Items[LocalObjectReference], Field(max_length=16)] = Field(
        default=(), description="Secrets for the image registry."
    )
    service_account: ServiceAccountConfig | None = Field(default=None, description="The ServiceAccount of the pods.")
    ingress: IngressConfig | None = Field(default=None, description="An Ingress straight to the coordinator.")
    network_policy: NetworkPolicyConfig | None = Field(default=None, description="A NetworkPolicy for the pods.")
    service_monitor: ServiceMonitorConfig | None = Field(default=None, description="A ServiceMonitor.")
    env: Annotated[Items[EnvVar], Field(max_length=64)] = Field(
        default=(), description="Environment of the Trino container, both roles."
    )
    env_from: Annotated[Items[Raw], Field(max_length=32)] = Field(
        default=(), description="core/v1 EnvFromSource, both roles."
    )
    init_containers: InitContainers | None = Field(default=None, description="Containers that run before Trino.")
