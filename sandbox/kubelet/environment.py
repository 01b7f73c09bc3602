"""The environment, command and arguments of a container, as its pod spec defines them.

Called right before a container starts, with a `lookup` for the ConfigMaps and Secrets of its namespace; pure.
What refers to an object that is missing raises `ConfigMissing`, whose message names object and key but never
a value: it ends in the container's status and in an event.
"""

from __future__ import annotations

import base64
import binascii
import math
import re
from collections.abc import Callable, Mapping
from fractions import Fraction
from typing import Any

from crds.v1.quantity import cpu_millis, memory_bytes, parse_quantity
from sandbox.kubelet.objects import Object, annotations_of, labels, meta, spec, status

#: Finds an object of the pod's namespace: ("ConfigMap" | "Secret", name) -> object or None.
Lookup = Callable[[str, str], Object | None]

_REFERENCE = re.compile(r"\$\$|\$\(([-._a-zA-Z][-._a-zA-Z0-9]*)\)")
_SUBSCRIPT = re.compile(r"metadata\.(labels|annotations)\['([^']+)'\]\Z")
_ENV_NAME = re.compile(r"[-._a-zA-Z][-._a-zA-Z0-9]*\Z")


class ConfigMissing(Exception):
    """A ConfigMap, Secret or key that the pod needs does not exist (yet)."""


class ConfigWrong(Exception):
    """The pod spec asks for something that cannot be given."""


def expand(text: str, values: Mapping[str, str]) -> str:
    """Replace `$(NAME)`; `$$` stands for one dollar sign, an unknown name stays as it is written."""

    def replace(match: re.Match[str]) -> str:
        if match.group(0) == "$$":
            return "$"
        return values.get(match.group(1), match.group(0))

    return _REFERENCE.sub(replace, text)


def environment(pod: Object, container: Mapping[str, Any], lookup: Lookup) -> dict[str, str]:
    """`envFrom` first, then `env` in order: later entries win and may refer to earlier ones."""
    found: dict[str, str] = {}
    for source in container.get("envFrom") or []:
        found.update(_bulk(source, lookup))
    for entry in container.get("env") or []:
        name = str(entry.get("name"))
        if entry.get("valueFrom"):
            value = _reference(entry["valueFrom"], pod, container, lookup)
            if value is not None:
                found[name] = value
        else:
            found[name] = expand(str(entry.get("value") or ""), found)
    return found


def command_line(container: Mapping[str, Any], values: Mapping[str, str]) -> tuple[list[str], list[str]]:
    """`command` and `args` with references replaced."""
    command = [expand(str(part), values) for part in container.get("command") or []]
    arguments = [expand(str(part), values) for part in container.get("args") or []]
    return command, arguments


def _bulk(source: Mapping[str, Any], lookup: Lookup) -> dict[str, str]:
    prefix = str(source.get("prefix") or "")
    for field, kind in (("configMapRef", "ConfigMap"), ("secretRef", "Secret")):
        reference = source.get(field)
        if not reference:
            continue
        obj = find_object(kind, str(reference.get("name")), bool(reference.get("optional")), lookup)
        if obj is None:
            return {}
        values = {prefix + name: data.decode("utf-8", "replace") for name, data in payload(kind, obj).items()}
        return {name: value for name, value in values.items() if _ENV_NAME.match(name) and "\0" not in value}
    return {}


def _reference(source: Mapping[str, Any], pod: Object, container: Mapping[str, Any], lookup: Lookup) -> str | None:
    for field, kind in (("configMapKeyRef", "ConfigMap"), ("secretKeyRef", "Secret")):
        reference = source.get(field)
        if reference:
            return _keyed(kind, reference, lookup)
    if source.get("fieldRef"):
        return field_value(pod, str(source["fieldRef"].get("fieldPath")))
    if source.get("resourceFieldRef"):
        return resource_value(pod, source["resourceFieldRef"], container)
    raise ConfigWrong("valueFrom needs one of configMapKeyRef, secretKeyRef, fieldRef, resourceFieldRef")


def _keyed(kind: str, reference: Mapping[str, Any], lookup: Lookup) -> str | None:
    name, wanted = str(reference.get("name")), str(reference.get("key"))
    optional = bool(reference.get("optional"))
    obj = find_object(kind, name, optional, lookup)
    if obj is None:
        return None
    data = payload(kind, obj).get(wanted)
    if data is None:
        if optional:
            return None
        raise ConfigMissing(f"couldn't find key {wanted} in {kind} {meta(obj).get('namespace')}/{name}")
    if b"\0" in data:
        raise ConfigWrong(f"key {wanted} of {kind} {name} holds a zero byte and cannot be an environment variable")
    return data.decode("utf-8", "surrogateescape")


def find_object(kind: str, name: str, optional: bool, lookup: Lookup) -> Object | None:
    obj = lookup(kind, name)
    if obj is None and not optional:
        raise ConfigMissing(f'{kind.lower()} "{name}" not found')
    return obj


def payload(kind: str, obj: Mapping[str, Any]) -> dict[str, bytes]:
    """The data of a ConfigMap or Secret as bytes; entries that do not decode are left out."""
    found: dict[str, bytes] = {}
    plain, encoded = ("stringData", "data") if kind == "Secret" else ("data", "binaryData")
    for name, value in (obj.get(encoded) or {}).items():
        try:
            found[name] = base64.b64decode(value or "", validate=True)
        except (binascii.Error, ValueError, TypeError):
            continue
    for name, value in (obj.get(plain) or {}).items():
        found[name] = str(value).encode()
    return found


def field_value(pod: Object, path: str) -> str:
    """The downward API's fields."""
    match = _SUBSCRIPT.match(path)
    if match:
        source = labels(pod) if match.group(1) == "labels" else annotations_of(pod)
        return str(source.get(match.group(2)) or "")
    if path in ("metadata.labels", "metadata.annotations"):
        source = labels(pod) if path.endswith("labels") else annotations_of(pod)
        return "\n".join(f'{name}="{_quoted(str(value))}"' for name, value in sorted(source.items()))
    values = {
        "metadata.name": meta(pod).get("name"),
        "metadata.namespace": meta(pod).get("namespace"),
        "metadata.uid": meta(pod).get("uid"),
        "spec.nodeName": spec(pod).get("nodeName"),
        "spec.serviceAccountName": spec(pod).get("serviceAccountName") or "default",
        "status.podIP": status(pod).get("podIP"),
        "status.podIPs": status(pod).get("podIP"),
        "status.hostIP": status(pod).get("hostIP"),
        "status.hostIPs": status(pod).get("hostIP"),
    }
    if path not in values:
        raise ConfigWrong(f"fieldPath {path!r} is not one of {', '.join(values)}, metadata.labels['<key>']")
    return str(values[path] or "")


def _quoted(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")


def resource_value(pod: Object, reference: Mapping[str, Any], container: Mapping[str, Any] | None) -> str:
    """`limits.cpu` and the like, divided by `divisor` and rounded up, as the downward API does."""
    name = reference.get("containerName")
    if name:
        container = next((item for item in spec(pod).get("containers") or [] if item.get("name") == name), None)
    if container is None:
        raise ConfigWrong(f"resourceFieldRef names no container of the pod: {name!r}")
    path = str(reference.get("resource"))
    side, _, resource = path.partition(".")
    if side not in ("limits", "requests") or not resource:
        raise ConfigWrong(f"resource {path!r} is not of the form limits.cpu or requests.memory")
    resources = container.get("resources") or {}
    value = (resources.get(side) or {}).get(resource)
    if value is None:
        value = (resources.get("limits") or {}).get(resource, 0)
    divisor = reference.get("divisor") or 0
    try:
        amount = cpu_millis(value) if resource == "cpu" else memory_bytes(value)
        scale = parse_quantity(divisor) or Fraction(1)
        unit = scale * 1000 if resource == "cpu" else scale
    except (ValueError, TypeError) as error:
        raise ConfigWrong(f"{path} of container {container.get('name')}: {error}") from error
    return str(math.ceil(Fraction(amount) / unit))
