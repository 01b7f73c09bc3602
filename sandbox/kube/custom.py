"""Custom resources: what a CustomResourceDefinition must look like, and the kinds that it makes.

`CustomResources` completes and judges CRDs for the verbs, and keeps the registry in step with the store: a kind is
served from the moment its CRD is stored until the last of its objects and the CRD itself are gone. Every version is
stored as the storage version says; versions differ in name only (no conversion webhooks).
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any, Final

from sandbox.kube import causes, meta
from sandbox.kube.builtin_types import TYPES
from sandbox.kube.custom_schema import CustomSchema, check_schema
from sandbox.kube.errors import Cause
from sandbox.kube.jsonpath import BadPath, JSONPath
from sandbox.kube.printing import AGE, NAME, name_and_age, printer_cells
from sandbox.kube.resources import Kind, Registry, ScalePaths
from sandbox.kube.store import Change, GroupResource

Object = dict[str, Any]

CRDS: Final = GroupResource("apiextensions.k8s.io", "customresourcedefinitions")
FINALIZER: Final = "customresourcecleanup.apiextensions.k8s.io"


class CustomStrategy:
    """The schema of one version of a custom resource."""

    def __init__(self, openapi: Object) -> None:
        self._schema = CustomSchema(openapi)

    def prune(self, obj: Object) -> list[str]:
        return self._schema.prune(obj)

    def default(self, obj: Object) -> None:
        self._schema.default(obj)

    def prepare(self, obj: Object, old: Object | None) -> None:
        """Nothing depends on more than the schema."""

    def allocate(self, obj: Object, old: Object | None) -> None:
        """Nothing is given out."""

    def validate(self, obj: Object, old: Object | None) -> list[Cause]:
        return self._schema.validate(obj, old)


class CustomResources:
    """The CRDs of one server."""

    def __init__(self, registry: Registry, clock: Callable[[], datetime]) -> None:
        self._registry = registry
        self._clock = clock

    # -- as rules of the kind CustomResourceDefinition

    def prepare(self, obj: Object, old: Object | None) -> None:
        """Complete names and conditions. Only called for writes to the CRD itself, not to its status."""
        spec = obj.get("spec")
        names = spec.get("names") if isinstance(spec, dict) else None
        if not isinstance(spec, dict) or not isinstance(names, dict):
            return
        kind = str(names.get("kind") or "")
        names.setdefault("singular", kind.lower())
        names.setdefault("listKind", f"{kind}List")
        finalizers = obj["metadata"].setdefault("finalizers", [])
        if old is None and FINALIZER not in finalizers:
            finalizers.append(FINALIZER)
        obj["status"] = self._status(spec, names, old)

    def _status(self, spec: Object, names: Object, old: Object | None) -> Object:
        taken = self._name_taken(str(spec.get("group") or ""), names)
        stamp = meta.timestamp(self._clock())
        before = {each["type"]: each for each in ((old or {}).get("status") or {}).get("conditions") or ()}
        conditions = [
            _condition("NamesAccepted", not taken, "NoConflicts" if not taken else "Conflict", taken, stamp),
            _condition("Established", not taken, "InitialNamesAccepted" if not taken else "NotAccepted", "", stamp),
        ]
        if not taken:
            conditions[0]["message"] = "no conflicts found"
            conditions[1]["message"] = "the initial names have been accepted"
        for each in conditions:
            was = before.get(each["type"])
            if was is not None and was.get("status") == each["status"]:
                each["lastTransitionTime"] = was.get("lastTransitionTime", stamp)
        others = [each for name, each in before.items() if name not in ("NamesAccepted", "Established")]
        stored = list(((old or {}).get("status") or {}).get("storedVersions") or ())
        for version in _versions(spec):
            if version.get("storage") and version.get("name") not in stored:
                stored.append(version.get("name"))
        return {
            "acceptedNames": names if not taken else {"kind": "", "plural": ""},
            "conditions": [*conditions, *others],
            "storedVersions": stored,
        }

    def _name_taken(self, group: str, names: Object) -> str:
        plural = names.get("plural")
        for kind in self._registry.kinds():
            if kind.group != group or kind.plural == plural:
                continue
            if kind.kind == names.get("kind"):
                return f'"{kind.kind}" is already in use'
            wanted = {names.get("singular"), *(names.get("shortNames") or ())}
            clash = wanted & {kind.singular, kind.plural, *kind.short_names}
            if clash:
                return f'"{min(str(each) for each in clash)}" is already in use'
        return ""

    # -- as a follower of the store

    def follow(self, change: Change) -> None:
        """Serve, change or withdraw the kinds of a CRD that was written."""
        if change.resource != CRDS:
            return
        spec = change.entry.obj["spec"]
        group, plural = spec["group"], spec["names"]["plural"]
        if change.type == "DELETED":
            self._registry.remove(group, plural)
        else:
            self.serve(change.entry.obj)

    def serve(self, crd: Object) -> None:
        """Make the registry say what this CRD says."""
        self._registry.remove(crd["spec"]["group"], crd["spec"]["names"]["plural"])
        if is_established(crd):
            self._registry.add(kinds_of(crd))


def is_established(crd: Object) -> bool:
    conditions = (crd.get("status") or {}).get("conditions") or ()
    return any(each.get("type") == "Established" and each.get("status") == "True" for each in conditions)


def _condition(name: str, holds: bool, reason: str, message: str, stamp: str) -> Object:
    return {
        "type": name,
        "status": "True" if holds else "False",
        "reason": reason,
        "message": message,
        "lastTransitionTime": stamp,
    }


def _versions(spec: Object) -> list[Object]:
    listed = spec.get("versions")
    return [each for each in listed if isinstance(each, dict)] if isinstance(listed, list) else []


# -- checking


def validate_crd(obj: Object, old: Object | None) -> list[Cause]:
    """Why a CRD is refused, beyond what its own type says."""
    spec = obj["spec"]
    names, versions = spec["names"], _versions(spec)
    found: list[Cause] = []
    wanted = f"{names['plural']}.{spec['group']}"
    if obj["metadata"].get("name") != wanted:
        detail = 'must be spec.names.plural+"."+spec.group'
        found.append(causes.invalid("metadata.name", obj["metadata"].get("name"), detail))
    if "." not in spec["group"]:
        detail = "should be a domain with at least one dot"
        found.append(causes.invalid("spec.group", spec["group"], detail))
    if spec["scope"] not in ("Cluster", "Namespaced"):
        found.append(causes.not_supported("spec.scope", spec["scope"], ["Cluster", "Namespaced"]))
    if (spec.get("conversion") or {}).get("strategy", "None") != "None":
        strategy = spec["conversion"]["strategy"]
        found.append(causes.not_supported("spec.conversion.strategy", strategy, ["None"]))
    stored = [version for version in versions if version.get("storage")]
    if len(stored) != 1:
        listed = [version.get("name") for version in versions]
        detail = "must have exactly one version marked as storage version"
        found.append(causes.invalid("spec.versions", listed, detail))
    seen: set[str] = set()
    alike = len({repr(version.get("schema")) for version in versions}) == 1
    for index, version in enumerate(versions):
        at = f"spec.versions[{index}]"
        if version["name"] in seen:
            found.append(causes.duplicate(f"{at}.name", version["name"]))
        seen.add(version["name"])
        found += _validate_version(version, at, alike=alike, report=not alike or index == 0)
    if old is not None:
        before = old["spec"]
        for field in ("group", "scope"):
            if before[field] != spec[field]:
                found.append(causes.invalid(f"spec.{field}", spec[field], "field is immutable"))
        if before["names"]["plural"] != names["plural"]:
            found.append(causes.invalid("spec.names.plural", names["plural"], "field is immutable"))
    return found


def _validate_version(version: Object, at: str, *, alike: bool, report: bool) -> list[Cause]:
    found: list[Cause] = []
    openapi = (version.get("schema") or {}).get("openAPIV3Schema")
    where = "spec.validation.openAPIV3Schema" if alike else f"{at}.schema.openAPIV3Schema"
    if not isinstance(openapi, dict):
        return [causes.required(f"{at}.schema.openAPIV3Schema", "schemas are required")]
    if report:
        found += check_schema(openapi, where)
    for number, column in enumerate(version.get("additionalPrinterColumns") or ()):
        found += _path_cause(column.get("jsonPath"), f"{at}.additionalPrinterColumns[{number}].jsonPath")
        kinds = ["integer", "number", "string", "boolean", "date"]
        if column.get("type") not in kinds:
            path = f"{at}.additionalPrinterColumns[{number}].type"
            found.append(causes.not_supported(path, column.get("type"), kinds))
    scale = (version.get("subresources") or {}).get("scale") or {}
    for key in ("specReplicasPath", "statusReplicasPath", "labelSelectorPath"):
        if scale.get(key) and _keys(scale[key]) == ():
            detail = "should be a json path under .spec or .status"
            found.append(causes.invalid(f"{at}.subresources.scale.{key}", scale[key], detail))
    return found


def _path_cause(text: Any, at: str) -> list[Cause]:
    try:
        JSONPath(str(text))
    except BadPath as error:
        return [causes.invalid(at, text, str(error))]
    return []


# -- making kinds


def kinds_of(crd: Object) -> list[Kind]:
    """One Kind per served version; the storage version comes first among equals by priority elsewhere."""
    spec = crd["spec"]
    names = spec["names"]
    return [_kind(spec, names, version) for version in _versions(spec) if version.get("served")]


def _kind(spec: Object, names: Object, version: Object) -> Kind:
    openapi = version["schema"]["openAPIV3Schema"]
    printed = version.get("additionalPrinterColumns")
    columns, cells = printer_cells(printed) if printed else ((NAME, AGE), name_and_age)
    sub = version.get("subresources") or {}
    scale = sub.get("scale")
    selectable = tuple(str(each.get("jsonPath", "")).lstrip(".") for each in version.get("selectableFields") or ())
    warning = ""
    if version.get("deprecated"):
        label = f"{spec['group']}/{version['name']} {names['kind']}"
        warning = version.get("deprecationWarning") or f"{label} is deprecated"
    group_name = ".".join(reversed(spec["group"].split(".")))
    return Kind(
        group=spec["group"],
        version=version["name"],
        plural=names["plural"],
        kind=names["kind"],
        namespaced=spec["scope"] == "Namespaced",
        schema=_ownership_schema(openapi),
        schema_name=f"{group_name}.{version['name']}.{names['kind']}",
        strategy=CustomStrategy(openapi),
        singular=names.get("singular") or names["kind"].lower(),
        list_kind=names.get("listKind") or f"{names['kind']}List",
        short_names=tuple(names.get("shortNames") or ()),
        categories=tuple(names.get("categories") or ()),
        subresources=frozenset(name for name in ("status", "scale") if sub.get(name) is not None),
        scale=_scale(scale) if scale else None,
        columns=columns,
        cells=cells,
        custom=True,
        versioned_updates=True,
        warning=warning,
        field_paths=selectable,
    )


def _ownership_schema(openapi: Object) -> Object:
    """The schema as apply and documents see it: with the type and metadata that every object has."""
    properties = {
        **(openapi.get("properties") or {}),
        "apiVersion": {"type": "string"},
        "kind": {"type": "string"},
        "metadata": TYPES.resolved("ObjectMeta"),
    }
    return {**openapi, "properties": properties}


def _scale(scale: Object) -> ScalePaths:
    return ScalePaths(
        _keys(scale.get("specReplicasPath")),
        _keys(scale.get("statusReplicasPath")),
        _keys(scale.get("labelSelectorPath")),
    )


def _keys(path: Any) -> tuple[str, ...]:
    """`.spec.workers` as keys; () for anything that is not a plain path under spec or status."""
    text = str(path or "")
    keys = tuple(text.removeprefix(".").split("."))
    if not text.startswith(".") or keys[0] not in ("spec", "status") or not all(keys) or "[" in text:
        return ()
    return keys
