"""Object metadata over an object's life: what the server sets, what it keeps, and what it refuses.

The verbs call `begin` for a new object and `carry_over` for a changed one; both work on fresh objects and are
decided by values and `now`. Validation of names, labels, owner references and finalizers is here too, because it
is the same for every kind. Pure but for the random suffix of generated names and the uid.
"""

from __future__ import annotations

import re
import secrets
import uuid
from datetime import UTC, datetime
from typing import Any, Final

from sandbox.kube import causes
from sandbox.kube.errors import Cause
from sandbox.kube.resources import Kind

Object = dict[str, Any]

_SUFFIX_LETTERS: Final = "bcdfghjklmnpqrstvwxz2456789"
_LONGEST_PREFIX: Final = 58  # leaves room for the suffix in a label-sized name

_SUBDOMAIN: Final = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*")
_LABEL: Final = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?")
_SERVICE: Final = re.compile(r"[a-z]([-a-z0-9]*[a-z0-9])?")
_LABEL_NAME: Final = re.compile(r"([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]")
_LABEL_VALUE: Final = re.compile(r"(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?")

_SUBDOMAIN_TEXT: Final = (
    "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must "
    "start and end with an alphanumeric character (e.g. 'example.com', regex used for validation is "
    r"'[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')"
)
_LABEL_TEXT: Final = (
    "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and "
    "end with an alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for validation is "
    "'[a-z0-9]([-a-z0-9]*[a-z0-9])?')"
)
_SERVICE_TEXT: Final = (
    "a DNS-1035 label must consist of lower case alphanumeric characters or '-', start with an alphabetic "
    "character, and end with an alphanumeric character (e.g. 'my-name',  or 'abc-123', regex used for "
    "validation is '[a-z]([-a-z0-9]*[a-z0-9])?')"
)
_LABEL_NAME_TEXT: Final = (
    "name part must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an "
    "alphanumeric character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is "
    "'([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')"
)
_LABEL_VALUE_TEXT: Final = (
    "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and must "
    "start and end with an alphanumeric character (e.g. 'MyValue',  or 'my_value',  or '12345', regex used for "
    "validation is '(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?')"
)

_ANY_NAME: Final = frozenset({"Role", "ClusterRole", "RoleBinding", "ClusterRoleBinding"})
_NO_GENERATION: Final = frozenset(
    {
        *("Namespace", "ConfigMap", "Secret", "Service", "ServiceAccount", "Endpoints", "Event", "Node"),
        *("PersistentVolumeClaim", "PersistentVolume", "ResourceQuota", "LimitRange", "ControllerRevision"),
        *("Lease", "Role", "ClusterRole", "RoleBinding", "ClusterRoleBinding", "StorageClass", "APIService"),
        "HorizontalPodAutoscaler",
    }
)


def timestamp(now: datetime) -> str:
    """A `metav1.Time`: whole seconds, UTC."""
    return now.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def generated_name(prefix: str) -> str:
    """`prefix` and five random characters that spell no words."""
    return prefix[:_LONGEST_PREFIX] + "".join(secrets.choice(_SUFFIX_LETTERS) for _ in range(5))


def begin(kind: Kind, obj: Object, namespace: str, now: datetime) -> None:
    """The metadata of an object that is about to be created."""
    metadata = obj["metadata"]
    for key in ("resourceVersion", "selfLink", "deletionTimestamp", "deletionGracePeriodSeconds", "generation"):
        metadata.pop(key, None)
    if kind.namespaced:
        metadata["namespace"] = namespace
    else:
        metadata.pop("namespace", None)
    if not metadata.get("name") and metadata.get("generateName"):
        metadata["name"] = generated_name(metadata["generateName"])
    metadata["uid"] = str(uuid.uuid4())
    metadata["creationTimestamp"] = timestamp(now)
    if _has_generation(kind):
        metadata["generation"] = 1
    obj["apiVersion"], obj["kind"] = kind.api_version, kind.kind
    if kind.has_status:
        obj.pop("status", None)


def carry_over(kind: Kind, obj: Object, old: Object, subresource: str) -> None:
    """Give a changed object what a client cannot change, and split spec from status by the endpoint used."""
    before = old["metadata"]
    if subresource == "status":
        # Only status may change here. What a client sent for the rest is ignored.
        managed = obj["metadata"].get("managedFields")
        for key in [key for key in obj if key not in ("status", "metadata")]:
            del obj[key]
        obj["metadata"] = {**before}
        if managed is not None:
            obj["metadata"]["managedFields"] = managed
        obj.update({key: value for key, value in old.items() if key not in ("status", "metadata")})
    elif kind.has_status:
        if "status" in old:
            obj["status"] = old["status"]
        else:
            obj.pop("status", None)
    metadata = obj["metadata"]
    for key in ("name", "namespace", "uid", "creationTimestamp", "deletionTimestamp", "deletionGracePeriodSeconds"):
        if key in before:
            metadata[key] = before[key]
        else:
            metadata.pop(key, None)
    metadata.pop("selfLink", None)
    metadata["resourceVersion"] = before["resourceVersion"]
    if "generation" in before:
        metadata["generation"] = before["generation"]
    else:
        metadata.pop("generation", None)
    obj["apiVersion"], obj["kind"] = kind.api_version, kind.kind


def changed_deletion(obj: Object, old: Object) -> list[Cause]:
    """What a client tries to change about a deletion: nothing may be, but it may leave it out."""
    found = []
    for key in ("deletionTimestamp", "deletionGracePeriodSeconds"):
        wanted, actual = obj["metadata"].get(key), old["metadata"].get(key)
        if actual is None and wanted is not None:
            found.append(causes.invalid(f"metadata.{key}", wanted, "field is immutable"))
    return found


def bump_generation(kind: Kind, obj: Object, old: Object) -> None:
    """Count a change of what the object asks for. Metadata and separated status do not count."""
    if _has_generation(kind) and _desired(kind, obj) != _desired(kind, old):
        obj["metadata"]["generation"] = int(old["metadata"].get("generation") or 0) + 1


def _desired(kind: Kind, obj: Object) -> Object:
    aside = ("apiVersion", "kind", "metadata", "status") if kind.has_status else ("apiVersion", "kind", "metadata")
    return {key: value for key, value in obj.items() if key not in aside}


def _has_generation(kind: Kind) -> bool:
    return kind.custom or kind.kind not in _NO_GENERATION


# -- checking


def shape_error(obj: Object) -> str:
    """What makes `metadata` unreadable, "" when it can be worked with: the verbs rely on these types."""
    metadata = obj.get("metadata")
    if not isinstance(metadata, dict):
        return "metadata must be an object"
    for key in ("name", "generateName", "namespace", "uid", "resourceVersion"):
        if metadata.get(key) is not None and not isinstance(metadata[key], str):
            return f"metadata.{key} must be a string"
    for key in ("labels", "annotations"):
        values = metadata.get(key)
        if values is None:
            continue
        if not isinstance(values, dict) or not all(isinstance(value, str) for value in values.values()):
            return f"metadata.{key} must be a map of strings"
    for key in ("finalizers", "ownerReferences", "managedFields"):
        if metadata.get(key) is not None and not isinstance(metadata[key], list):
            return f"metadata.{key} must be a list"
    if not all(isinstance(each, str) for each in metadata.get("finalizers") or ()):
        return "metadata.finalizers must be a list of strings"
    listed = [*(metadata.get("ownerReferences") or ()), *(metadata.get("managedFields") or ())]
    if not all(isinstance(each, dict) for each in listed):
        return "metadata.ownerReferences and metadata.managedFields must be lists of objects"
    return ""


def tidy(metadata: Object) -> None:
    """Drop nulls and empty maps and lists, which mean "absent" in metadata."""
    for key in [key for key, value in metadata.items() if value is None or value in ({}, [])]:
        del metadata[key]


def validate(kind: Kind, obj: Object, old: Object | None) -> list[Cause]:
    """Everything that is wrong with the metadata of an object."""
    metadata = obj["metadata"]
    found: list[Cause] = []
    if old is None:
        found += _name_causes(kind, metadata)
    for key, value in (metadata.get("labels") or {}).items():
        found += _key_causes("metadata.labels", key)
        if len(value) > 63 or _LABEL_VALUE.fullmatch(value) is None:
            text = "must be no more than 63 characters" if len(value) > 63 else _LABEL_VALUE_TEXT
            found.append(causes.invalid("metadata.labels", value, text))
    for key in metadata.get("annotations") or {}:
        found += _key_causes("metadata.annotations", key.lower())
    size = sum(len(key) + len(value) for key, value in (metadata.get("annotations") or {}).items())
    if size > 256 * 1024:
        found.append(causes.too_long("metadata.annotations", 256 * 1024))
    found += _owner_causes(metadata)
    for index, finalizer in enumerate(metadata.get("finalizers") or ()):
        standard = finalizer in ("orphan", "foregroundDeletion", "kubernetes")
        if kind.custom or kind.group == "apiextensions.k8s.io":
            found += _key_causes(f"metadata.finalizers[{index}]", finalizer)
        elif "/" not in finalizer and not standard:
            text = "name is neither a standard finalizer name nor is it fully qualified"
            found.append(causes.invalid(f"metadata.finalizers[{index}]", finalizer, text))
    if old is not None and metadata.get("deletionTimestamp"):
        before = set(old["metadata"].get("finalizers") or ())
        added = [name for name in metadata.get("finalizers") or () if name not in before]
        if added and old["metadata"].get("deletionTimestamp"):
            text = f"no new finalizers can be added if the object is being deleted, found new finalizers {added}"
            found.append(causes.forbidden("metadata.finalizers", text.replace("'", '"')))
    return found


def _name_causes(kind: Kind, metadata: Object) -> list[Cause]:
    name = metadata.get("name") or ""
    if not name:
        return [causes.required("metadata.name", "name or generateName is required")]
    if kind.kind in _ANY_NAME:
        if name in (".", "..") or "/" in name or "%" in name:
            return [causes.invalid("metadata.name", name, "may not contain '/' or '%', nor be '.' or '..'")]
        return []
    pattern, text, longest = _SUBDOMAIN, _SUBDOMAIN_TEXT, 253
    if kind.kind == "Namespace":
        pattern, text, longest = _LABEL, _LABEL_TEXT, 63
    elif kind.kind == "Service" and not kind.group:
        pattern, text, longest = _SERVICE, _SERVICE_TEXT, 63
    found = []
    prefix = metadata.get("generateName") or ""
    if prefix and pattern.fullmatch(prefix.rstrip("-") or "-") is None:
        found.append(causes.invalid("metadata.generateName", prefix, text))
    if len(name) > longest:
        found.append(causes.invalid("metadata.name", name, f"must be no more than {longest} characters"))
    if pattern.fullmatch(name) is None:
        found.append(causes.invalid("metadata.name", name, text))
    return found


def _key_causes(path: str, key: str) -> list[Cause]:
    prefix, slash, name = key.rpartition("/")
    found = []
    if slash and (not prefix or len(prefix) > 253 or _SUBDOMAIN.fullmatch(prefix) is None):
        found.append(causes.invalid(path, key, f"prefix part {_SUBDOMAIN_TEXT}"))
    if not name:
        found.append(causes.invalid(path, key, "name part must be non-empty"))
    elif len(name) > 63:
        found.append(causes.invalid(path, key, "name part must be no more than 63 characters"))
    if _LABEL_NAME.fullmatch(name) is None:
        found.append(causes.invalid(path, key, _LABEL_NAME_TEXT))
    return found


def _owner_causes(metadata: Object) -> list[Cause]:
    found: list[Cause] = []
    controllers = 0
    for index, owner in enumerate(metadata.get("ownerReferences") or ()):
        path = f"metadata.ownerReferences[{index}]"
        missing = [key for key in ("apiVersion", "kind", "name", "uid") if not owner.get(key)]
        found += [causes.invalid(f"{path}.{key}", "", "must not be empty") for key in missing]
        controllers += owner.get("controller") is True
    if controllers > 1:
        text = "Only one reference can have Controller set to true"
        found.append(causes.invalid("metadata.ownerReferences", metadata["ownerReferences"], text))
    return found
