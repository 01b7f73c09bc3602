"""What is asked of the verbs: one request, understood and permitted, as a value.

Made by the HTTP shell from a request, and by the server's own controllers for themselves.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from sandbox.kube import causes, errors
from sandbox.kube.errors import Cause
from sandbox.kube.rbac import User
from sandbox.kube.resources import Kind


@dataclass(slots=True)
class Call:
    """One request. The verbs write two fields for the answer: `warnings`, and whether an apply `created` the object."""

    kind: Kind
    verb: str
    user: User
    namespace: str = ""
    name: str = ""
    subresource: str = ""
    manager: str = "unknown"
    dry_run: bool = False
    field_validation: str = "Warn"
    force: bool = False
    may_create: Callable[[], None] = lambda: None  # raises 403: apply creates what is not there
    options: Mapping[str, str] = field(default_factory=dict)
    warnings: list[str] = field(default_factory=list)
    created: bool = False


@dataclass(frozen=True, slots=True)
class DeleteOptions:
    """The body of a DELETE. Grace in seconds; None means the object's own."""

    grace: int | None = None
    propagation: str = ""
    uid: str = ""
    revision: str = ""

    @classmethod
    def parse(cls, body: Any, query: Mapping[str, str]) -> DeleteOptions:
        """From the body and the query of a request; the body wins."""
        document = body if isinstance(body, dict) else {}
        wanted = document.get("preconditions") or {}
        grace = document.get("gracePeriodSeconds", query.get("gracePeriodSeconds"))
        propagation = str(document.get("propagationPolicy") or query.get("propagationPolicy") or "")
        orphan = document.get("orphanDependents")
        dry_run = document.get("dryRun") or []
        found: list[Cause] = []
        if orphan is not None and propagation:
            why = "orphanDependents and deletionPropagation cannot be both set"
            found.append(causes.invalid("propagationPolicy", propagation, why))
        elif propagation not in ("", "Orphan", "Background", "Foreground"):
            known = ["Foreground", "Background", "Orphan", "nil"]
            found.append(causes.not_supported("propagationPolicy", propagation, known))
        if dry_run not in ([], ["All"]):
            found.append(causes.not_supported("dryRun", dry_run, ["All"]))
        if found:
            raise errors.invalid("DeleteOptions", "meta.k8s.io", "", found)
        if orphan is not None:
            propagation = "Orphan" if orphan else "Background"
        try:
            return cls(
                None if grace is None else max(int(grace), 0),
                propagation,
                str(wanted.get("uid") or ""),
                str(wanted.get("resourceVersion") or ""),
            )
        except (TypeError, ValueError, AttributeError):
            raise errors.bad_request("DeleteOptions cannot be read: check gracePeriodSeconds") from None
