"""What an admission request comes to. Pure: who may do what has been asked before `decide` is called.

    request -> mutate -> patch
    request -> judge -> Judgement(errors, warnings, accesses) -> (authorizer) -> decide

Never in the way of leaving: deletes, objects that are being deleted, finalizers and edits that leave the spec alone
pass whatever their spec holds; what was admitted once may be kept.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

import jsonpatch
from crds.v1.defaulting import default_catalog, default_xtrinode
from crds.v1.validation import (
    breaking_changes,
    catalog_warnings,
    validate_catalog,
    validate_xtrinode,
    warnings_for,
)

from crds.v1.meta import ALLOW_BREAKING_UPDATE, CATALOG_KIND, XTRINODE_KIND, FieldError, InvalidObject, Model, parse
from crds.v1.xtrinode import XTrinode
from crds.v1.xtrinodecatalog import XTrinodeCatalog
from webhook.privileges import Access, breakglass, required_access
from webhook.review import Decision, Request

M = TypeVar("M", bound=Model)

ALLOWED = Decision()
_DEFAULTING = {XTRINODE_KIND: default_xtrinode, CATALOG_KIND: default_catalog}


@dataclass(frozen=True, slots=True)
class Judgement:
    """What the object itself says; `accesses` are asked only when there are no errors."""

    errors: tuple[FieldError, ...] = ()
    warnings: tuple[str, ...] = ()
    accesses: tuple[Access, ...] = ()


def mutate(request: Request) -> Decision:
    """Defaults as a JSON patch; an object that cannot be defaulted is left for validation to explain."""
    default = _DEFAULTING.get(request.kind)
    if default is None or request.object is None or request.subresource or _leaving(request.object):
        return ALLOWED
    if not isinstance(request.object.get("spec"), dict):
        return ALLOWED
    defaulted = default(request.object)
    operations = jsonpatch.make_patch(request.object, defaulted).patch
    return Decision(patch=tuple(operations))


def judge(request: Request) -> Judgement:
    """Errors, warnings and needed permissions of a create or update."""
    if request.operation not in ("CREATE", "UPDATE") or request.object is None or request.subresource:
        return Judgement()
    if _leaving(request.object) or not _spec_changed(request):
        return Judgement()
    new = _with_namespace(request.object, request.namespace)
    old = _with_namespace(request.old_object, request.namespace) if request.old_object is not None else None
    try:
        if request.kind == XTRINODE_KIND:
            return _judge_runtime(parse(XTrinode, new), _parse_old(XTrinode, old))
        if request.kind == CATALOG_KIND:
            return _judge_catalog(parse(XTrinodeCatalog, new), _parse_old(XTrinodeCatalog, old))
    except InvalidObject as error:
        return Judgement(errors=error.errors)
    return Judgement()


def decide(judgement: Judgement, refusals: tuple[FieldError, ...]) -> Decision:
    """The answer, given which of the needed permissions were refused."""
    if judgement.errors:
        return Decision(judgement.errors, judgement.warnings)
    return Decision(refusals, judgement.warnings, forbidden=True)


def _judge_runtime(new: XTrinode, old: XTrinode | None) -> Judgement:
    errors = tuple(validate_xtrinode(new, old))
    accesses = list(required_access(new, old))
    if old is not None and breaking_changes(new, old):
        accesses.append(breakglass(new, f"metadata.annotations[{ALLOW_BREAKING_UPDATE}]"))
    return Judgement(errors, tuple(warnings_for(new, old)), tuple(accesses))


def _judge_catalog(new: XTrinodeCatalog, old: XTrinodeCatalog | None) -> Judgement:
    errors = tuple(validate_catalog(new, old))
    return Judgement(errors, tuple(catalog_warnings(new, old)), required_access(new, old))


def _parse_old(cls: type[M], old: Mapping[str, Any] | None) -> M | None:
    """The object as it was; one that today's types cannot read is compared with nothing, so all of it is judged."""
    if old is None:
        return None
    try:
        return parse(cls, old)
    except InvalidObject:
        return None


def _leaving(obj: Mapping[str, Any]) -> bool:
    return bool((obj.get("metadata") or {}).get("deletionTimestamp"))


def _spec_changed(request: Request) -> bool:
    return request.old_object is None or (request.object or {}).get("spec") != request.old_object.get("spec")


def _with_namespace(obj: dict[str, Any], namespace: str) -> dict[str, Any]:
    """The object with the namespace of the request, which a manifest may leave out."""
    metadata = obj.get("metadata")
    if not namespace or not isinstance(metadata, dict) or metadata.get("namespace"):
        return obj
    return {**obj, "metadata": {**metadata, "namespace": namespace}}
