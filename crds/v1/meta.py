"""What every object of ours has in common: group, keys, metadata, and the way it is parsed.

Called wherever a plain dict from the API server becomes a type (`parse`) or goes back (`to_dict`).
The models are frozen, spelled in camelCase on the wire, and refuse unknown keys, so that a misspelt
field is an error with a path and not a setting that is silently ignored. Metadata and status are
lenient: they are written by others (or by an older version of us) and are never a reason to stop.

Labels, annotations and the finalizer have one spelling each, here.

This module does not know any particular kind, and does not judge values: see `validation`.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any, Literal, TypeVar

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainSerializer,
    Strict,
    ValidationError,
)
from pydantic.alias_generators import to_camel

from crds.v1.secrets_policy import plaintext_secret, secret_in_url

# Said again for all who look for them here.
from crds.v1.spelling import ROUTES_LABEL as ROUTES_LABEL  # noqa: PLC0414
from crds.v1.spelling import format_time as format_time  # noqa: PLC0414
from crds.v1.spelling import object_key as object_key  # noqa: PLC0414
from crds.v1.spelling import parse_time as parse_time  # noqa: PLC0414

GROUP = "analytics.xtrinode.io"
VERSION = "v1"
API_VERSION = f"{GROUP}/{VERSION}"
XTRINODE_KIND = "XTrinode"
CATALOG_KIND = "XTrinodeCatalog"

_PREFIX = "xtrinode.analytics.xtrinode.io"

FINALIZER = f"{_PREFIX}/finalizer"

# Commands: a person, the lifecycle API or the idle clock asks by annotation, the controller turns the
# request into `spec.suspended` and removes it. The value is "true"; `-at` holds an RFC 3339 time.
RESUME_REQUESTED = f"{_PREFIX}/resume-requested"
RESUME_REQUESTED_AT = f"{_PREFIX}/resume-requested-at"
SUSPEND_REQUESTED = f"{_PREFIX}/suspend-requested"
SUSPEND_REQUESTED_AT = f"{_PREFIX}/suspend-requested-at"
AUTO_SUSPEND_REQUESTED = f"{_PREFIX}/auto-suspend-requested"
AUTO_SUSPEND_REQUESTED_AT = f"{_PREFIX}/auto-suspend-requested-at"
WAKE_MIN_WORKERS = f"{_PREFIX}/wake-min-workers"
WAKE_TTL = f"{_PREFIX}/wake-ttl"

# Break-glass: the two annotations that let a breaking edit through. The reason is not optional.
ALLOW_BREAKING_UPDATE = f"{_PREFIX}/allow-breaking-spec-update"
BREAKING_UPDATE_REASON = f"{_PREFIX}/breaking-spec-update-reason"

# Finalizer's drain, so that a restarted controller goes on where the last one stopped.
DRAIN_STARTED_AT = f"{_PREFIX}/drain-started-at"
DRAIN_COMPLETED_AT = f"{_PREFIX}/drain-completed-at"
DRAIN_RESULT = f"{_PREFIX}/drain-result"

# On pod templates: what the pod was made from. A change of one of these is what restarts a pod.
COORDINATOR_ROLLOUT_HASH = "trino.io/rollout-hash-coordinator"
WORKER_ROLLOUT_HASH = "trino.io/rollout-hash-worker"
REVISION = "xtrinode.io/revision"
CATALOG_HASH = f"{_PREFIX}/catalog-hash"

MANAGED_LABEL = f"{_PREFIX}/managed"
RUNTIME_LABEL = f"{_PREFIX}/runtime"
GUARDRAIL_SCOPE_LABEL = f"{_PREFIX}/guardrail-scope"
CATALOG_LABEL = "xtrinode-catalog"
CATALOG_GENERATED_LABEL = "xtrinode-catalog-generated"
NETWORK_POLICY_LABEL = "trino.io/network-policy-protection"

NAME_LABEL = "app.kubernetes.io/name"
INSTANCE_LABEL = "app.kubernetes.io/instance"
VERSION_LABEL = "app.kubernetes.io/version"
COMPONENT_LABEL = "app.kubernetes.io/component"
MANAGED_BY_LABEL = "app.kubernetes.io/managed-by"
MANAGED_BY = "xtrinode"

ErrorKind = Literal["Required", "Invalid", "Forbidden", "NotSupported", "Duplicate", "TooLong"]


@dataclass(frozen=True, slots=True)
class FieldError:
    """One complaint about one field, in the terms that the API server uses.

    `value` is what was found there. It is shown to the user unless it looks like a secret; what is known to be one
    never goes in.
    """

    path: str
    message: str
    kind: ErrorKind = "Invalid"
    value: Any = None

    def __str__(self) -> str:
        if self.kind == "Required":
            return f"{self.path}: Required value: {self.message}"
        if self.kind == "Forbidden":
            return f"{self.path}: Forbidden: {self.message}"
        words = {
            "Invalid": "Invalid value",
            "NotSupported": "Unsupported value",
            "Duplicate": "Duplicate value",
            "TooLong": "Too long",
        }
        return f"{self.path}: {words[self.kind]}: {_shown(self.path, self.value)}{self.message}"


_LONGEST_SHOWN = 128
_LAST_KEY = re.compile(r"([^.\[\]]+|\[[^\[\]]*\])\Z")
#: Texts that are whole files or environments: what is in them is nobody's business but their author's.
_NEVER_SHOWN = re.compile(r"\.value\Z|\.accessControl\.|\.additionalConfigFiles\[|\.tableDescriptions\[")
_LOGIN = re.compile(r"[^/@\s]:[^/@\s]+@")


def _shown(path: str, value: object) -> str:
    """The value as JSON, unless it may hold a secret: errors end up in logs, events and the status of GitOps tools."""
    if value is None or _NEVER_SHOWN.search(path):
        return ""
    if isinstance(value, str):
        key = _LAST_KEY.search(path)
        if len(value) > _LONGEST_SHOWN or _LOGIN.search(value) or secret_in_url(value):
            return ""
        if plaintext_secret(key[0].strip("[]") if key else "", value):
            return ""
        value = value.encode("utf-8", "replace").decode()
    return f"{json.dumps(value, ensure_ascii=False, default=repr)}: "


class InvalidObject(Exception):
    """An object does not have the form of its kind. `errors` names each field that is wrong."""

    def __init__(self, errors: Iterable[FieldError]) -> None:
        self.errors = tuple(errors)
        super().__init__("; ".join(str(error) for error in self.errors))


class Model(BaseModel):
    """Base of everything that a user writes: frozen, camelCase, strict, unknown keys refused."""

    model_config = ConfigDict(
        frozen=True,
        strict=True,
        extra="forbid",
        alias_generator=to_camel,
        validate_by_alias=True,
        validate_by_name=False,
        defer_build=True,
    )


class Lenient(Model):
    """Base of what others write (metadata, status): unknown keys are dropped, not refused."""

    model_config = ConfigDict(extra="ignore")


_T = TypeVar("_T")
#: A JSON list. A tuple inside, so that a parsed object cannot be changed by accident.
Items = Annotated[tuple[_T, ...], Strict(False)]


Time = Annotated[datetime, BeforeValidator(parse_time), PlainSerializer(format_time)]


class ObjectMeta(Lenient):
    """The parts of Kubernetes metadata that we read."""

    name: str = ""
    generate_name: str = ""
    namespace: str = ""
    uid: str = ""
    resource_version: str = ""
    generation: int = 0
    creation_timestamp: Time | None = None
    deletion_timestamp: Time | None = None
    labels: dict[str, str] = Field(default_factory=dict)
    annotations: dict[str, str] = Field(default_factory=dict)
    finalizers: Items[str] = ()
    owner_references: Items[dict[str, Any]] = ()

    @property
    def key(self) -> str:
        """`namespace/name`, the one spelling of an object's identity within its kind."""
        return object_key(self.namespace, self.name)


_M = TypeVar("_M", bound=BaseModel)

# pydantic's kind of complaint -> the API server's kind and our words (None: pydantic's own words).
_KINDS: dict[str, tuple[ErrorKind, str | None]] = {
    "missing": ("Required", "this field must be set"),
    "extra_forbidden": ("Invalid", "unknown field; check its spelling and its place"),
    "literal_error": ("NotSupported", None),
    "int_type": ("Invalid", "must be a whole number"),
    "bool_type": ("Invalid", "must be true or false"),
    "string_type": ("Invalid", "must be a text; put it in quotes"),
    "dict_type": ("Invalid", "must be an object, with keys and values"),
    "model_type": ("Invalid", "must be an object, with keys and values"),
    "tuple_type": ("Invalid", "must be a list"),
    "string_too_long": ("TooLong", None),
    "too_long": ("TooLong", None),
}


def parse(cls: type[_M], obj: Mapping[str, Any]) -> _M:
    """Turn a plain dict into its type, or raise InvalidObject with the path of every wrong field."""
    try:
        return cls.model_validate(obj)
    except ValidationError as error:
        raise InvalidObject(map(_field_error, error.errors(include_url=False))) from None


def errors_in(cls: type[BaseModel], obj: Mapping[str, Any]) -> tuple[FieldError, ...]:
    """What `parse` would complain about; empty when it would not."""
    try:
        cls.model_validate(obj)
    except ValidationError as error:
        return tuple(_field_error(item) for item in error.errors(include_url=False))
    return ()


_PYDANTICS = re.compile(r"^(Input|String|Tuple|List|Dictionary) should")


def _field_error(item: Any) -> FieldError:
    kind, words = _KINDS.get(item["type"], ("Invalid", None))
    message = words or _PYDANTICS.sub("must", item["msg"].removeprefix("Value error, "))
    value = item["input"]
    shown = value if isinstance(value, (str, int, float, bool)) and kind != "Required" else None
    if item["type"] == "extra_forbidden":
        shown = None
    where = item["loc"]
    if where and where[-1] == "[key]":  # pydantic's way to say that it is about the key and not its value
        where = where[:-1]
    return FieldError(field_path(where), message, kind, shown)


_PLAIN = re.compile(r"[A-Za-z_][A-Za-z0-9_]*\Z")


def field_path(location: Sequence[str | int]) -> str:
    """Spell a location as Kubernetes does: `spec.a[0].b` and `spec.labels[a.b/c]`."""
    path = ""
    for part in location:
        if isinstance(part, int):
            path += f"[{part}]"
        elif _PLAIN.match(part):
            path += f".{part}" if path else part
        else:
            path += f"[{part}]"
    return path or "object"


def to_dict(model: BaseModel) -> dict[str, Any]:
    """The wire form of a model: camelCase, without what was never set."""
    return model.model_dump(mode="json", by_alias=True, exclude_none=True, exclude_unset=True)


def owner_reference(kind: str, meta: ObjectMeta) -> dict[str, Any]:
    """The reference that makes an object ours: it goes when its owner goes."""
    return {
        "apiVersion": API_VERSION,
        "kind": kind,
        "name": meta.name,
        "uid": meta.uid,
        "controller": True,
        "blockOwnerDeletion": True,
    }
