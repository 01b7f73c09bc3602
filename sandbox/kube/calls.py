"""Reads the options of a request (`dryRun`, `fieldManager`, `fieldValidation`, `force`) into a `Call`, or refuses them.

Called by the HTTP shell once the path is understood and the kind is found. Pure.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

from sandbox.kube import causes, errors, patching
from sandbox.kube.call import Call
from sandbox.kube.errors import Cause
from sandbox.kube.paths import Target, is_true
from sandbox.kube.rbac import User
from sandbox.kube.resources import Kind

_LONGEST_MANAGER: Final = 128
_OPTIONS: Final = {"create": "CreateOptions", "update": "UpdateOptions", "patch": "PatchOptions"}
_VALIDATIONS: Final = ("", "Ignore", "Strict", "Warn")


def read_call(
    kind: Kind,
    verb: str,
    user: User,
    target: Target,
    query: Mapping[str, str],
    *,
    headers: Mapping[str, str],
    may_create: Callable[[], None],
) -> Call:
    """The call that a request makes; 422 for options that make no sense."""
    is_apply = _media_type(headers) == patching.APPLY_PATCH
    found = list(_wrong_options(verb, query, is_apply=is_apply))
    if found:
        raise errors.invalid(_OPTIONS.get(verb, "DeleteOptions"), "meta.k8s.io", "", found)
    return Call(
        kind,
        verb,
        user,
        target.namespace if kind.namespaced else "",
        target.name,
        target.subresource,
        manager=query.get("fieldManager") or _agent(headers),
        dry_run=query.get("dryRun") == "All",
        field_validation=query.get("fieldValidation") or "Warn",
        force=is_true(query["force"]) if "force" in query else False,
        may_create=may_create,
        options=query,
    )


def _wrong_options(verb: str, query: Mapping[str, str], *, is_apply: bool) -> list[Cause]:
    found: list[Cause] = []
    dry_run, validation = query.get("dryRun", ""), query.get("fieldValidation", "")
    if dry_run not in ("", "All"):
        found.append(causes.not_supported("dryRun", [dry_run], ["All"]))
    if validation not in _VALIDATIONS:
        found.append(causes.not_supported("fieldValidation", validation, _VALIDATIONS))
    manager = query.get("fieldManager", "")
    if len(manager) > _LONGEST_MANAGER:
        found.append(causes.too_long("fieldManager", _LONGEST_MANAGER))
    if not manager.isprintable():
        found.append(causes.invalid("fieldManager", manager, "should only contain printable characters"))
    if verb == "patch" and "force" in query and not is_apply:
        found.append(causes.forbidden("force", "may not be specified for non-apply patch"))
    return found


def _media_type(headers: Mapping[str, str]) -> str:
    return headers.get("Content-Type", "").partition(";")[0].strip().lower()


def _agent(headers: Mapping[str, str]) -> str:
    """The field manager of a client that names none: the product of its user agent."""
    product = headers.get("User-Agent", "").partition("/")[0][:_LONGEST_MANAGER]
    return "".join(char for char in product if char.isprintable()) or "unknown"
