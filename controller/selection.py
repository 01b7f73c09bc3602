"""What a runtime takes from other objects: its catalogs, and the Secrets and ConfigMaps that it names.

Pure, called by the plan. It answers three questions: which catalogs do the pods get; what is missing before pods
can start, said so that a person knows what to type; and which digests belong into the rollout hash. A catalog that
cannot be rendered is left out and named, because one team member's mistake must not stop everybody's queries.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from controller.drift import digest
from controller.observed import CatalogFacts, Observed
from controller.render import SelectedCatalog
from crds.v1.connectors import CatalogProperties, render_catalog
from crds.v1.fields import LabelSelector
from crds.v1.meta import CATALOG_KIND, XTRINODE_KIND, InvalidObject
from crds.v1.names import catalog_config_map
from crds.v1.references import Reference, references
from crds.v1.runtime_shape import RuntimeShape
from crds.v1.validation import validate_catalog
from crds.v1.xtrinode import XTrinode
from crds.v1.xtrinodecatalog import XTrinodeCatalog

#: References that no pod waits for: a certificate often comes only after its Ingress, and images may be public.
_NO_POD_NEEDS = (".ingress.tls", ".imagePullSecrets")


@dataclass(frozen=True, slots=True)
class Selection:
    """`unusable`: selected catalogs that are left out, and why. `unpublished`: catalogs whose ConfigMap is not yet
    what they say. `missing`: objects that do not exist, each with what to do."""

    catalogs: tuple[SelectedCatalog, ...] = ()
    unusable: tuple[str, ...] = ()
    unpublished: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()

    @property
    def names(self) -> list[str]:
        return [catalog.properties.name for catalog in self.catalogs]


def select(x: XTrinode, shape: RuntimeShape, observed: Observed) -> Selection:
    chosen: dict[str, SelectedCatalog] = {}
    unusable: list[str] = []
    unpublished: list[str] = []
    missing = _missing(XTRINODE_KIND, x.metadata.name, references(x), observed)
    if shape.catalog_selector is not None:
        for facts in sorted(observed.catalogs, key=_age):
            catalog = facts.catalog
            if not matches(shape.catalog_selector, catalog.selection_labels()):
                continue
            try:
                properties = checked_catalog(catalog)
            except InvalidObject as error:
                unusable.append(f"catalog {catalog.metadata.name}: {error}")
                continue
            if properties.name in chosen:
                unusable.append(
                    f"catalog {catalog.metadata.name}: {properties.name} is the name of an older selected catalog; "
                    "set another spec.catalogName"
                )
                continue
            wanted = catalog_digest(properties)
            if facts.published != wanted:
                unpublished.append(catalog.metadata.name)
            missing += _missing(CATALOG_KIND, catalog.metadata.name, references(catalog), observed)
            chosen[properties.name] = SelectedCatalog(catalog_config_map(catalog.metadata.name), properties, wanted)
    return Selection(
        catalogs=tuple(chosen[name] for name in sorted(chosen)),
        unusable=tuple(unusable),
        unpublished=tuple(sorted(unpublished)),
        missing=tuple(dict.fromkeys(missing)),
    )


def _age(facts: CatalogFacts) -> tuple[str, str]:
    meta = facts.catalog.metadata
    return (meta.creation_timestamp.isoformat() if meta.creation_timestamp else "~", meta.name)


def checked_catalog(catalog: XTrinodeCatalog) -> CatalogProperties:
    """What the catalog's file says. Raises InvalidObject: admission may have been down when it was written."""
    errors = validate_catalog(catalog)
    if errors:
        raise InvalidObject(errors)
    return render_catalog(catalog)


def catalog_data(properties: CatalogProperties) -> dict[str, str]:
    """The data of a catalog's ConfigMap."""
    return {properties.file: properties.text()}


def catalog_digest(properties: CatalogProperties) -> str:
    return digest(catalog_data(properties))


def matches(selector: LabelSelector, labels: Mapping[str, str]) -> bool:
    """Kubernetes' label selection."""
    if any(labels.get(key) != value for key, value in selector.match_labels.items()):
        return False
    for rule in selector.match_expressions:
        value = labels.get(rule.key)
        holds = {
            "In": value is not None and value in rule.values,
            "NotIn": value is None or value not in rule.values,
            "Exists": value is not None,
            "DoesNotExist": value is None,
        }[rule.operator]
        if not holds:
            return False
    return True


def _missing(kind: str, name: str, wanted: tuple[Reference, ...], observed: Observed) -> list[str]:
    found = []
    for reference in wanted:
        if reference.optional or any(part in reference.field for part in _NO_POD_NEEDS):
            continue
        source = observed.sources.get((reference.kind, reference.name))
        told = f"{reference.kind} {reference.name}"
        where = f"{reference.field} of {kind} {name}"
        if source is None:
            key = f" with key {reference.key}" if reference.key else ""
            found.append(f"{told} does not exist; create it{key}, or change {where}")
        elif reference.key and reference.key not in source.keys:
            found.append(f"{told} has no key {reference.key}; add it, or change {where}")
    return found
