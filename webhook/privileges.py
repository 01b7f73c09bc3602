"""Which permissions an edit needs beyond the right to make it.

A privilege is a virtual sub-resource of `xtrinodes` that an administrator grants with ordinary RBAC
(`update` on `xtrinodes/valuesoverlay`, ...), or `get` on a Secret that the object names. Only what an edit changes is
asked about: whoever may suspend a runtime need not hold the rights of the one who configured its overlay.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from crds.v1.meta import GROUP, FieldError
from crds.v1.references import Reference, references
from crds.v1.xtrinode import XTrinode, XTrinodeSpec
from crds.v1.xtrinodecatalog import XTrinodeCatalog


@dataclass(frozen=True, slots=True)
class Access:
    """One question to the authorizer, and the field that a refusal is reported on."""

    field: str
    verb: str
    group: str
    resource: str
    subresource: str
    namespace: str
    name: str = ""

    def refusal(self, username: str, reason: str) -> FieldError:
        """The error when the answer is no: what is missing and how an administrator grants it."""
        what = f"{self.resource}/{self.subresource}" if self.subresource else self.resource
        named = f" {self.name!r}" if self.name else ""
        group = f" in API group {self.group!r}" if self.group else ""
        message = (
            f"{username or 'the requesting user'} needs permission to {self.verb} {what}{named}{group} in namespace"
            f" {self.namespace!r}"
        )
        if self.resource == "xtrinodes":
            message += f"; an administrator grants it with a Role that allows verb {self.verb} on {what}"
        else:
            message += "; ask its owner for a Role, or name another Secret"
        return FieldError(self.field, f"{message}{f' ({reason})' if reason else ''}", "Forbidden")


def _overlay(spec: XTrinodeSpec) -> Any:
    return spec.values_overlay


def _chart_config(spec: XTrinodeSpec) -> Any:
    """helmChartConfig without what the images privilege covers."""
    config = spec.helm_chart_config
    return None if config is None else config.model_copy(update={"init_containers": None})


def _exporter_image(spec: XTrinodeSpec) -> Any:
    """The image that runs beside Trino; the overlay's images are the overlay's privilege."""
    exporter = spec.keda.jmx_exporter if spec.keda else None
    return exporter.image if exporter else None


def _init_containers(spec: XTrinodeSpec) -> Any:
    return spec.helm_chart_config.init_containers if spec.helm_chart_config else None


_GUARDED: tuple[tuple[str, str, Callable[[XTrinodeSpec], Any]], ...] = (
    ("spec.valuesOverlay", "valuesoverlay", _overlay),
    ("spec.helmChartConfig", "valuesoverlay", _chart_config),
    ("spec.keda.jmxExporter.image", "images", _exporter_image),
    ("spec.helmChartConfig.initContainers", "images", _init_containers),
)
#: Blocks that also say where the Secrets in them are sent: whoever changes the block could send them elsewhere.
_SENDING: tuple[tuple[str, Callable[[Any], Any]], ...] = (
    ("spec.connector.", lambda spec: spec.connector),
    ("spec.trinoControlAuth.", lambda spec: spec.trino_control_auth),
    ("spec.faultTolerantExecution.", lambda spec: spec.fault_tolerant_execution),
)


def required_access(new: XTrinode | XTrinodeCatalog, old: XTrinode | XTrinodeCatalog | None) -> tuple[Access, ...]:
    """Every permission that the change from `old` (None: creation) to `new` needs, without repetition."""
    found: dict[tuple[str, ...], Access] = {}
    for access in [*_guarded(new, old), *_secrets(new, old)]:
        found.setdefault((access.resource, access.subresource, access.name), access)
    return tuple(found.values())


def breakglass(new: XTrinode, field: str) -> Access:
    """The permission to let a breaking edit through."""
    return Access(field, "update", GROUP, "xtrinodes", "breakglass", new.metadata.namespace)


def _guarded(new: XTrinode | XTrinodeCatalog, old: XTrinode | XTrinodeCatalog | None) -> Iterable[Access]:
    if not isinstance(new, XTrinode):
        return
    before = old.spec if isinstance(old, XTrinode) else None
    for field, subresource, value in _GUARDED:
        was = value(before) if before is not None else value(_nothing(new))
        if value(new.spec) != was:
            yield Access(field, "update", GROUP, "xtrinodes", subresource, new.metadata.namespace)


def _nothing(new: XTrinode) -> XTrinodeSpec:
    """A spec in which nothing guarded is set: what a creation is compared with."""
    return new.spec.model_copy(update={"values_overlay": None, "helm_chart_config": None, "keda": None})


def _secrets(new: XTrinode | XTrinodeCatalog, old: XTrinode | XTrinodeCatalog | None) -> Iterable[Access]:
    known = {_identity(reference) for reference in references(old)} if old is not None else set()
    resent = () if old is None else tuple(path for path, block in _blocks(new) if block(new.spec) != block(old.spec))
    for reference in references(new):
        if reference.kind == "Secret" and (_identity(reference) not in known or reference.field.startswith(resent)):
            yield Access(reference.field, "get", "", "secrets", "", new.metadata.namespace, reference.name)


def _blocks(obj: XTrinode | XTrinodeCatalog) -> Iterable[tuple[str, Callable[[Any], Any]]]:
    of_catalog = isinstance(obj, XTrinodeCatalog)
    return [(path, block) for path, block in _SENDING if (path == "spec.connector.") == of_catalog]


_INDEX = re.compile(r"\[[0-9]+\]")


def _identity(reference: Reference) -> tuple[str, str, str, str]:
    """Which Secret is named where; places in a list do not count."""
    return (reference.kind, reference.name, reference.key or "", _INDEX.sub("[]", reference.field))
