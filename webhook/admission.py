"""What an admission request comes to. Pure: who may do what has been asked before `decide` is called.

    request -> mutate -> patch
    request -> judge -> Judgement(errors, warnings, accesses) -> (authorizer) -> decide

Never in the way of leaving: deletes, objects that are being deleted, finalizers and edits that leave the spec alone
pass whatever their spec holds; what was admitted once may be kept.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

import jsonpatch

from crds.v1.defaulting import default_catalog, default_xtrinode
from crds.v1.meta import (
    ALLOW_BREAKING_UPDATE,
    CATALOG_KIND,
    XTRINODE_KIND,
    FieldError,
    InvalidObject,
    Model,
    errors_in,
    parse,
)
from crds.v1.route_rules import contested
from crds.v1.validation import (
    breaking_changes,
    catalog_warnings,
    unforgiven,
    validate_catalog,
    validate_xtrinode,
    warnings_for,
)
from crds.v1.xtrinode import XTrinode
from crds.v1.xtrinodecatalog import XTrinodeCatalog
from webhook.privileges import Access, breakglass, required_access
from webhook.review import Decision, Request

M = TypeVar("M", bound=Model)

ALLOWED = Decision()
_DEEPEST = 64
# Fields that carry no permission and name no Secret.
_HARMLESS = frozenset(
    {
        "suspended",
        "minWorkers",
        "maxWorkers",
        "autoSuspendAfter",
        "resumePolicy",
        "drainTimeout",
        "drainPolicy",
        "wakeMinWorkers",
        "wakeTTL",
        "labels",
    }
)
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
    if default is None or request.object is None or request.subresource or _leaving(request):
        return ALLOWED
    if not isinstance(request.object.get("spec"), dict) or _bottomless(request.object):
        return ALLOWED
    defaulted = default(request.object)
    operations = jsonpatch.make_patch(request.object, defaulted).patch
    return Decision(patch=tuple(operations))


def judge(request: Request, others: Iterable[XTrinode] = ()) -> Judgement:
    """Errors, warnings and needed permissions of a create or update; `others` are the runtimes that there are."""
    if request.operation not in ("CREATE", "UPDATE") or request.object is None or request.subresource:
        return Judgement()
    if _leaving(request):
        return Judgement()
    if _bottomless(request.object):
        message = f"is nested more than {_DEEPEST} levels deep, which no field of ours needs"
        return Judgement((FieldError("spec", message),))
    if not _spec_changed(request):
        return Judgement()
    if request.kind == XTRINODE_KIND:
        return _judge_runtime(request, others)
    if request.kind == CATALOG_KIND:
        return _judge_catalog(request)
    return Judgement()


def decide(judgement: Judgement, refusals: tuple[FieldError, ...]) -> Decision:
    """The answer, given which of the needed permissions were refused."""
    if judgement.errors:
        return Decision(judgement.errors, judgement.warnings)
    return Decision(refusals, judgement.warnings, forbidden=True)


def _judge_runtime(request: Request, others: Iterable[XTrinode]) -> Judgement:
    new, old, errors = _read(XTrinode, request)
    if new is None:
        return Judgement(errors)
    accesses = list(required_access(new, old))
    if old is not None and breaking_changes(new, old):
        accesses.append(breakglass(new, f"metadata.annotations[{ALLOW_BREAKING_UPDATE}]"))
    found = (*validate_xtrinode(new, old), *contested(new, old, others))
    return Judgement(found, tuple(warnings_for(new, old)), tuple(accesses))


def _judge_catalog(request: Request) -> Judgement:
    new, old, errors = _read(XTrinodeCatalog, request)
    if new is None:
        return Judgement(errors)
    found = tuple(validate_catalog(new, old))
    return Judgement(found, tuple(catalog_warnings(new, old)), required_access(new, old))


def _read(cls: type[M], request: Request) -> tuple[M | None, M | None, tuple[FieldError, ...]]:
    """The object now and before, or what keeps the new one from being read.

    An object that was stored under older rules and that today's types cannot read may still be put to sleep, scaled or
    labelled. Anything else has to mend it first: what cannot be read cannot be checked for permissions.
    """
    sent, stored = _with_namespace(request.object or {}, request.namespace), request.old_object
    before = _with_namespace(stored, request.namespace) if stored is not None else None
    old = None
    if before is not None:
        with contextlib.suppress(InvalidObject):
            old = parse(cls, before)
    try:
        return parse(cls, sent), old, ()
    except InvalidObject as error:
        if before is None or not _changed_fields(sent, before) <= _HARMLESS:
            return None, old, error.errors
        return None, old, tuple(unforgiven(error.errors, errors_in(cls, before)))


def _changed_fields(new: Mapping[str, Any], old: Mapping[str, Any]) -> set[str]:
    """Top-level fields of the spec that differ."""
    after, before = new.get("spec"), old.get("spec")
    if not isinstance(after, dict) or not isinstance(before, dict):
        return {"spec"}
    return {key for key in {*after, *before} if after.get(key) != before.get(key)}


def _leaving(request: Request) -> bool:
    """Whether the stored object is being deleted. What the new one says about that is only its author's word."""
    return bool(((request.old_object or {}).get("metadata") or {}).get("deletionTimestamp"))


def _bottomless(obj: Mapping[str, Any]) -> bool:
    """Whether the object is nested so deeply that comparing it would end the interpreter's patience."""
    level: list[Any] = [obj]
    for _ in range(_DEEPEST):
        level = [
            item
            for value in level
            for item in (value.values() if isinstance(value, dict) else value)
            if isinstance(item, dict | list)
        ]
        if not level:
            return False
    return True


def _spec_changed(request: Request) -> bool:
    return request.old_object is None or (request.object or {}).get("spec") != request.old_object.get("spec")


def _with_namespace(obj: dict[str, Any], namespace: str) -> dict[str, Any]:
    """The object with the namespace of the request, which a manifest may leave out."""
    metadata = obj.get("metadata")
    if not namespace or not isinstance(metadata, dict) or metadata.get("namespace"):
        return obj
    return {**obj, "metadata": {**metadata, "namespace": namespace}}
