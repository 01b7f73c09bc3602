"""Is this object allowed, may it replace that one, and what should its author know?

Pure, the same for the webhook, the controller, `lint` and CI. The rules themselves are listed in
`runtime_rules`, `overlay_rules` and `catalog_rules`; this module applies them, adds what is about a
change, and holds the ratchet: an error that the old object had in the same words is forgiven, so that a
rule that was tightened never stands in the way of an edit somewhere else.

Permissions are not asked here. Break-glass annotations are only looked for; whether the author may use
them is for whoever knows the author.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from crds.v1 import (
    catalog_rules,
    connectors,
    overlay,
    overlay_rules,
    rule_subject,
    runtime_rules,
    scaling,
    trino_files,
)
from crds.v1 import xtrinodecatalog as kinds
from crds.v1.meta import (
    ALLOW_BREAKING_UPDATE,
    BREAKING_UPDATE_REASON,
    FieldError,
    InvalidObject,
)
from crds.v1.overlay import parse_overlay, unknown
from crds.v1.route_rules import selectors
from crds.v1.secrets_policy import plaintext_secret
from crds.v1.xtrinode import SIZES, XTrinode
from crds.v1.xtrinodecatalog import XTrinodeCatalog


def validate_xtrinode(x: XTrinode, old: XTrinode | None = None) -> list[FieldError]:
    """Everything that is wrong with a runtime, and with turning `old` into it."""
    errors = _runtime_errors(x)
    if old is None:
        return errors
    return [*unforgiven(errors, _runtime_errors(old)), *_not_without_glass(x, old)]


def _runtime_errors(x: XTrinode) -> list[FieldError]:
    subject, errors = rule_subject.subject(x)
    return [*errors, *(error for rule in runtime_rules.RULES for error in rule(subject))]


def unforgiven(errors: Iterable[FieldError], old: Iterable[FieldError]) -> list[FieldError]:
    """The ratchet: `errors` without those that `old` has in the same words."""
    forgiven = set(map(_identity, old))
    return [error for error in errors if _identity(error) not in forgiven]


def validate_catalog(catalog: XTrinodeCatalog, old: XTrinodeCatalog | None = None) -> list[FieldError]:
    """Everything that is wrong with a catalog, and with turning `old` into it."""
    errors = _catalog_errors(catalog)
    if old is None:
        return errors
    return [*unforgiven(errors, _catalog_errors(old)), *_other_connector(catalog, old)]


def _catalog_errors(catalog: XTrinodeCatalog) -> list[FieldError]:
    subject, errors = catalog_rules.one_connector(catalog)
    if subject is None:
        return list(errors)
    return [error for rule in catalog_rules.RULES for error in rule(subject)]


def _identity(error: FieldError) -> tuple[str, str, str, str]:
    return (error.path, error.kind, error.message, repr(error.value))


def _other_connector(new: XTrinodeCatalog, old: XTrinodeCatalog) -> Iterator[FieldError]:
    before, after = _connector_identity(old), _connector_identity(new)
    if before and after and before != after:
        yield FieldError(
            "spec.connector",
            f"cannot change from {before} to {after}: running queries would meet another system under the same name; "
            "make a new XTrinodeCatalog and delete this one",
            "Forbidden",
        )


def _connector_identity(catalog: XTrinodeCatalog) -> str | None:
    chosen = catalog.spec.connector.chosen()
    if len(chosen) != 1:
        return None
    field, block = next(iter(chosen.items()))
    return connectors.connector_name(field, block)


# Breaking changes.


def breaking_changes(new: XTrinode, old: XTrinode) -> list[str]:
    """What would break for users when `new` replaces `old`, one sentence each, in a fixed order."""
    reasons = []
    if SIZES.index(new.spec.size) < SIZES.index(old.spec.size):
        reasons.append(f"spec.size gets smaller, from {old.spec.size} to {new.spec.size}: queries may no longer fit")
    after = selectors(new)
    for key, value in sorted(selectors(old).items()):
        if after.get(key) != value:
            reasons.append(f"spec.routing: {key} {value} stops working for the clients that use it")
    return reasons


def glass_is_broken(new: XTrinode, old: XTrinode) -> bool:
    """Whether the author says: I know. The reason must come with this very edit; an old one opens nothing."""
    given, before = new.metadata.annotations, old.metadata.annotations
    reason = given.get(BREAKING_UPDATE_REASON, "").strip()
    fresh = any(given.get(key) != before.get(key) for key in (ALLOW_BREAKING_UPDATE, BREAKING_UPDATE_REASON))
    return given.get(ALLOW_BREAKING_UPDATE) == "true" and bool(reason) and fresh


def _not_without_glass(new: XTrinode, old: XTrinode) -> Iterator[FieldError]:
    reasons = breaking_changes(new, old)
    if reasons and not glass_is_broken(new, old):
        yield FieldError(
            "spec",
            f"this edit breaks running work: {'; '.join(reasons)}. If that is wanted, set with it the annotations "
            f'{ALLOW_BREAKING_UPDATE}: "true" and {BREAKING_UPDATE_REASON}: <why>',
            "Forbidden",
        )


# Warnings.


def warnings_for(x: XTrinode, old: XTrinode | None = None) -> list[str]:
    """What the author should know although it is allowed."""
    return [*_state_warnings(x), *(_change_warnings(x, old) if old is not None else ())]


def _state_warnings(x: XTrinode) -> Iterator[str]:
    spec = x.spec
    if spec.values_overlay is not None:
        yield from _overlay_warnings(x)
    if spec.keda and spec.keda.enabled and not scaling.keda_active(spec.keda):
        yield (
            "spec.keda.enabled has no effect yet: set scalerType, scalingMetric, prometheusServer, prometheusQuery or "
            "httpEndpoint too"
        )
    manager = trino_files.exchange_manager(spec.fault_tolerant_execution)
    several = spec.max_workers is None or max(spec.max_workers, spec.min_workers) > 1
    if manager and manager.name == "filesystem" and not manager.base_directories and several:
        yield (
            "spec.faultTolerantExecution.exchangeManager.baseDirectories is empty: the exchange is on each pod's own "
            "disk and does not survive the loss of a worker; name a shared place such as s3://bucket/exchange"
        )
    if x.metadata.annotations.get(ALLOW_BREAKING_UPDATE) == "true":
        yield f"annotation {ALLOW_BREAKING_UPDATE} stays on the object without effect; remove it after this edit"


def _overlay_warnings(x: XTrinode) -> Iterator[str]:
    try:
        parsed = parse_overlay(x.spec.values_overlay)
    except InvalidObject:
        return
    for path in unknown(parsed):
        if path.removeprefix(f"{overlay.PATH}.") in overlay.DENIED:
            continue  # an error says so already
        advice = overlay.ADVICE.get(path)
        yield f"{path} is not used" + (f": {advice}" if advice else "; see the list of keys in the reference")
    for path, lines in overlay_rules.config_lines(parsed).items():
        for key, value in lines.items():
            if "${" not in value and plaintext_secret(key, value):
                yield (
                    f"{path}: {key} is there for everybody who may read this object; write {key}=${{ENV:NAME}} and set "
                    "NAME from a Secret in spec.helmChartConfig.env"
                )
    server = parsed.server.autoscaling
    if server.enabled and not server.active:
        yield f"{overlay.PATH}.server.autoscaling has no target, so the number of workers stays fixed"


#: Field of the spec -> what happens when it changes.
_RESTARTS: dict[str, str] = {
    "size": "restarts all pods",
    "resources": "restarts the pods whose resources change",
    "catalog_selector": "restarts all pods with the catalogs that are then selected",
    "resource_groups_profile": "restarts the coordinator",
    "custom_config_maps": "restarts all pods",
    "limits": "restarts all pods",
    "values_overlay": "may restart all pods",
    "fault_tolerant_execution": "restarts all pods",
    "placement": "restarts the pods whose placement changes",
    "helm_chart_config": "may restart all pods",
    "trino_control_auth": "restarts the workers",
}


def _change_warnings(new: XTrinode, old: XTrinode) -> Iterator[str]:
    fields = type(new.spec).model_fields
    for name, consequence in _RESTARTS.items():
        if getattr(new.spec, name) != getattr(old.spec, name):
            yield f"spec.{fields[name].alias} changed: {consequence}"
    if new.spec.suspended and not old.spec.suspended:
        yield "spec.suspended is now true: running queries may finish, then all pods stop"
    before, after = old.spec.max_workers, new.spec.max_workers
    if before is not None and after is not None and before != after and not (before / 2 <= after <= before * 2):
        yield f"spec.maxWorkers changes from {before} to {after}, by more than a factor of two"
    if glass_is_broken(new, old):
        for reason in breaking_changes(new, old):
            yield f"allowed by {ALLOW_BREAKING_UPDATE}: {reason}"


def catalog_warnings(catalog: XTrinodeCatalog, old: XTrinodeCatalog | None = None) -> list[str]:
    """What the author of a catalog should know although it is allowed."""
    found = []
    subject, _ = catalog_rules.one_connector(catalog)
    if subject is not None and isinstance(subject.block, kinds.Iceberg) and subject.block.warehouse_uri:
        block = subject.block
        if connectors.warehouse_property(block.catalog_type, block.warehouse_uri or "") is None:
            found.append(
                f"{subject.path}.warehouseURI has no effect with catalogType {block.catalog_type}; "
                "set the property that you mean in properties"
            )
    if old is not None and catalog.spec != old.spec:
        found.append("the catalog changed: every runtime that selects it restarts its pods")
    return found
