"""Field types that both kinds share: bounded texts, durations, sizes, and pieces of core/v1.

The checks here are about one value on its own. They are the same that the CRD's schema makes, so that
a manifest is judged alike offline and by an API server, whether or not the webhook is up. Every text,
list and map has a bound: an API server prices validation rules by the largest input that could come.

Pieces of core/v1 that we only hand on (affinity, containers, probes) stay plain objects: the API server
that runs the pods knows their schema better than a copy of it would.
"""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field, PlainValidator

from crds.v1.meta import Items, Model
from crds.v1.quantity import parse_duration, parse_quantity, parse_trino_data_size

_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_CONTROL_FREE = r"^[^\x00-\x1f\x7f]*$"


def check_line(text: str) -> str:
    """One line of text: no newline, tab or other control character, so that it cannot become two lines."""
    if _CONTROL.search(text):
        raise ValueError("must be one line without control characters")
    return text


def check_plain(text: str) -> str:
    """A line that Trino takes literally: `${` would make it read the environment or a secret."""
    check_line(text)
    if "${" in text:
        raise ValueError("must not contain ${; name a Secret in propertySecretRefs instead")
    return text


def _check_duration(text: str) -> str:
    if parse_duration(text).total_seconds() < 0:
        raise ValueError("must not be negative")
    return text


def _check_data_size(text: str) -> str:
    if parse_trino_data_size(text) <= 0:
        raise ValueError("must be greater than zero")
    return text


def _check_quantity(value: object) -> int | str:
    if isinstance(value, bool) or not isinstance(value, int | str):
        raise ValueError("must be a number or a text such as 500m or 8Gi")
    if parse_quantity(value) < 0:
        raise ValueError("must not be negative")
    return value


_PERCENT = re.compile(r"(100|[0-9]{1,2})%\Z")


def _check_int_or_percent(value: object) -> int | str:
    if isinstance(value, int) and not isinstance(value, bool) and value >= 0:
        return value
    if isinstance(value, str) and _PERCENT.match(value):
        return value
    raise ValueError("must be a number of pods or a percentage from 0% to 100%")


_NO_INTERPOLATION = {
    "rule": "!self.contains('${')",
    "message": "must not contain ${; name a Secret in propertySecretRefs instead",
}

Line = Annotated[str, AfterValidator(check_line), Field(max_length=1024, json_schema_extra={"pattern": _CONTROL_FREE})]
Plain = Annotated[
    str,
    AfterValidator(check_plain),
    Field(
        max_length=4096,
        json_schema_extra={"pattern": _CONTROL_FREE, "x-kubernetes-validations": [_NO_INTERPOLATION]},
    ),
]
PropertyKey = Annotated[
    str,
    Field(min_length=1, max_length=253, pattern=r"^[A-Za-z0-9_][A-Za-z0-9_.:-]*$"),
]
ObjectName = Annotated[str, Field(min_length=1, max_length=253, pattern=r"^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$")]
SecretKeyName = Annotated[str, Field(min_length=1, max_length=253, pattern=r"^[-._a-zA-Z0-9]+$")]
AbsolutePath = Annotated[str, Field(min_length=1, max_length=1024, pattern=r"^/[^\x00-\x1f\x7f:]*$")]
Text = Annotated[str, Field(max_length=65_536)]
Duration = Annotated[
    str,
    AfterValidator(_check_duration),
    Field(
        max_length=64,
        json_schema_extra={"pattern": r"^\+?(0|([0-9]*\.?[0-9]+(ns|us|µs|ms|s|m|h))+)$"},
    ),
]
DataSize = Annotated[
    str,
    AfterValidator(_check_data_size),
    Field(max_length=64, json_schema_extra={"pattern": r"^\s*[0-9]+(\.[0-9]+)?\s*(B|kB|MB|GB|TB|PB)\s*$"}),
]
Quantity = Annotated[
    int | str,
    PlainValidator(_check_quantity),
    Field(
        json_schema_extra={
            "x-kubernetes-int-or-string": True,
            "pattern": r"^\+?([0-9]+(\.[0-9]*)?|\.[0-9]+)(([KMGTPE]i)|[numkMGTPE]|([eE][-+]?[0-9]+))?$",
            "maxLength": 64,
        }
    ),
]
IntOrPercent = Annotated[
    int | str,
    PlainValidator(_check_int_or_percent),
    Field(
        json_schema_extra={
            "x-kubernetes-int-or-string": True,
            "pattern": r"^(100|[0-9]{1,2})%$",
            "maxLength": 4,
        }
    ),
]
#: An object that is handed on as it is: its schema belongs to someone else.
Raw = Annotated[
    dict[str, Any],
    Field(json_schema_extra={"type": "object", "x-kubernetes-preserve-unknown-fields": True}),
]
_LABEL = r"^(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?$"
LabelValue = Annotated[str, Field(max_length=63, pattern=_LABEL)]
LabelKey = Annotated[
    str,
    Field(
        min_length=1,
        max_length=317,
        pattern=r"^([a-z0-9]([-a-z0-9.]*[a-z0-9])?/)?([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]$",
    ),
]
Labels = Annotated[dict[LabelKey, LabelValue], Field(max_length=64)]
Annotations = Annotated[
    dict[Annotated[str, Field(max_length=317)], Annotated[str, Field(max_length=65_536)]],
    Field(max_length=64),
]


HostName = Annotated[
    str,
    Field(
        min_length=1,
        max_length=253,
        pattern=r"^[A-Za-z0-9]([-A-Za-z0-9]*[A-Za-z0-9])?(\.[A-Za-z0-9]([-A-Za-z0-9]*[A-Za-z0-9])?)*$",
    ),
]


class SecretKeySelector(Model):
    """One key of a Secret in the namespace of the object that names it."""

    name: ObjectName = Field(description="Name of the Secret.")
    key: SecretKeyName = Field(description="Key within the Secret.")
    optional: bool | None = Field(
        default=None,
        description="true: a missing Secret or key leaves the variable unset. "
        "Default false: pods wait until the Secret exists.",
    )


class LocalObjectReference(Model):
    """An object of the same namespace."""

    name: ObjectName = Field(description="Name of the object.")


class LabelSelectorRequirement(Model):
    """One condition of a label selector."""

    key: LabelKey = Field(description="Label key.")
    operator: Literal["In", "NotIn", "Exists", "DoesNotExist"] = Field(
        description="How the label's value is compared with `values`."
    )
    values: Annotated[Items[LabelValue], Field(max_length=64)] = Field(
        default=(), description="Needed by In and NotIn, empty for Exists and DoesNotExist."
    )


class LabelSelector(Model):
    """All conditions must hold. An empty selector selects everything."""

    match_labels: Labels = Field(default_factory=dict, description="Labels that must have these values.")
    match_expressions: Annotated[Items[LabelSelectorRequirement], Field(max_length=32)] = Field(
        default=(), description="Further conditions."
    )


class ResourceRequirements(Model):
    """Requests and limits of one container, as in core/v1."""

    requests: Annotated[dict[Annotated[str, Field(max_length=253)], Quantity], Field(max_length=16)] = Field(
        default_factory=dict, description="What the scheduler reserves."
    )
    limits: Annotated[dict[Annotated[str, Field(max_length=253)], Quantity], Field(max_length=16)] = Field(
        default_factory=dict,
        description="What the container may use. The JVM heap is 75 % of the memory limit "
        "(of the request when there is no limit).",
    )


class Toleration(Model):
    """Lets pods onto nodes with a matching taint, as in core/v1."""

    key: Annotated[str, Field(max_length=317)] | None = Field(default=None, description="Taint key.")
    operator: Literal["Exists", "Equal"] | None = Field(default=None, description="Default Equal.")
    value: LabelValue | None = Field(default=None, description="Taint value.")
    effect: Literal["NoSchedule", "PreferNoSchedule", "NoExecute"] | None = Field(
        default=None, description="Taint effect; empty matches all."
    )
    toleration_seconds: int | None = Field(
        default=None, description="For NoExecute: how long the pod stays. Empty: for ever."
    )


class TopologySpreadConstraint(Model):
    """How the pods of a role spread over zones or nodes, as in core/v1."""

    max_skew: Annotated[int, Field(ge=1, le=1000)] = Field(description="Largest allowed difference.")
    topology_key: LabelKey = Field(description="Node label that names the domain.")
    when_unsatisfiable: Literal["DoNotSchedule", "ScheduleAnyway"] = Field(
        description="What happens when the spread cannot be kept."
    )
    label_selector: LabelSelector | None = Field(
        default=None, description="Pods that count. Empty: the pods of this role of this runtime."
    )
    min_domains: Annotated[int, Field(ge=1)] | None = Field(default=None, description="Least number of domains.")
    match_label_keys: Annotated[Items[LabelKey], Field(max_length=16)] = Field(
        default=(), description="Pod label keys that also must be equal."
    )
    node_affinity_policy: Literal["Honor", "Ignore"] | None = Field(default=None, description="Default Honor.")
    node_taints_policy: Literal["Honor", "Ignore"] | None = Field(default=None, description="Default Ignore.")


class EnvVar(Model):
    """An environment variable of the Trino container, as in core/v1."""

    name: Annotated[str, Field(min_length=1, max_length=253, pattern=r"^[-._a-zA-Z][-._a-zA-Z0-9]*$")] = Field(
        description="Name of the variable."
    )
    value: Annotated[str, Field(max_length=32_768)] | None = Field(default=None, description="Literal value.")
    value_from: Raw | None = Field(
        default=None, description="Source of the value: secretKeyRef, configMapKeyRef, fieldRef, resourceFieldRef."
    )


class SecretMount(Model):
    """Puts a Secret's keys into the Trino container as files."""

    name: ObjectName = Field(description="A name for this mount; unique among the mounts.")
    secret_name: ObjectName = Field(description="Name of the Secret.")
    path: AbsolutePath = Field(description="Directory (or file, with subPath) in the container.")
    sub_path: Annotated[str, Field(max_length=253)] | None = Field(
        default=None,
        description="Mount only this key, as the file `path`. Such a file is not updated while the pod runs.",
    )


class ConfigMapMount(Model):
    """Puts a ConfigMap's keys into the Trino container as files."""

    name: ObjectName = Field(description="A name for this mount; unique among the mounts.")
    config_map: ObjectName = Field(description="Name of the ConfigMap.")
    path: AbsolutePath = Field(description="Directory (or file, with subPath) in the container.")
    sub_path: Annotated[str, Field(max_length=253)] | None = Field(
        default=None, description="Mount only this key, as the file `path`."
    )
