"""AdmissionReview as values: what the API server asks, and what it is answered.

Parsing refuses what is no review (the caller answers 400, which counts as a webhook failure); everything else ends
in a `Decision`, which `respond` writes in the API server's form. Nothing here judges an object.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import orjson

from crds.v1.meta import FieldError

# The API server shortens warnings above 256 runes and 4096 in all; ours stay whole.
_WARNING_LENGTH = 250
_WARNINGS = 16


class NotAReview(ValueError):
    """Bytes that are no AdmissionReview; says what is missing."""


@dataclass(frozen=True, slots=True)
class User:
    """Who asks, as the API server authenticated them."""

    username: str = ""
    uid: str = ""
    groups: tuple[str, ...] = ()
    extra: Mapping[str, tuple[str, ...]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Request:
    """One admission request. `object` is None on DELETE, `old_object` on CREATE."""

    uid: str
    operation: Literal["CREATE", "UPDATE", "DELETE", "CONNECT"]
    group: str
    kind: str
    resource: str
    subresource: str
    namespace: str
    name: str
    user: User
    object: dict[str, Any] | None
    old_object: dict[str, Any] | None
    dry_run: bool = False


@dataclass(frozen=True, slots=True)
class Decision:
    """What the request comes to: `errors` non-empty means refused; `patch` changes the object."""

    errors: tuple[FieldError, ...] = ()
    warnings: tuple[str, ...] = ()
    patch: tuple[dict[str, Any], ...] = ()
    forbidden: bool = False  # refused for want of permission only: 403 rather than 422

    @property
    def allowed(self) -> bool:
        return not self.errors


def parse_review(body: bytes) -> Request:
    """The request in an AdmissionReview's bytes. Raises NotAReview."""
    try:
        review = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise NotAReview(f"the body is not JSON: {error}") from error
    request = _mapping(_mapping(review, "the body").get("request"), "request")
    uid = request.get("uid")
    if not isinstance(uid, str) or not uid:
        raise NotAReview("request.uid is missing")
    operation = request.get("operation")
    if operation not in ("CREATE", "UPDATE", "DELETE", "CONNECT"):
        raise NotAReview(f"request.operation is {operation!r}")
    kind = _mapping(request.get("kind"), "request.kind")
    resource = _mapping(request.get("resource"), "request.resource")
    return Request(
        uid=uid,
        operation=operation,
        group=str(kind.get("group") or ""),
        kind=str(kind.get("kind") or ""),
        resource=str(resource.get("resource") or ""),
        subresource=str(request.get("subResource") or ""),
        namespace=str(request.get("namespace") or ""),
        name=str(request.get("name") or ""),
        user=_user(request.get("userInfo")),
        object=_object(request.get("object"), "request.object"),
        old_object=_object(request.get("oldObject"), "request.oldObject"),
        dry_run=request.get("dryRun") is True,
    )


def respond(request: Request, decision: Decision) -> bytes:
    """The AdmissionReview that answers `request`."""
    response: dict[str, Any] = {"uid": request.uid, "allowed": decision.allowed}
    if decision.warnings:
        response["warnings"] = [warning[:_WARNING_LENGTH] for warning in decision.warnings[:_WARNINGS]]
    if decision.errors:
        response["status"] = _status(request, decision)
    elif decision.patch:
        response["patchType"] = "JSONPatch"
        response["patch"] = base64.b64encode(orjson.dumps(decision.patch)).decode()
    return orjson.dumps({"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "response": response})


def _status(request: Request, decision: Decision) -> dict[str, Any]:
    causes = [
        {"reason": f"FieldValue{error.kind}", "message": str(error).partition(": ")[2], "field": error.path}
        for error in decision.errors
    ]
    listed = "; ".join(str(error) for error in decision.errors)
    subject = f'{request.kind}.{request.group} "{request.name}"'
    forbidden = decision.forbidden
    return {
        "kind": "Status",
        "apiVersion": "v1",
        "metadata": {},
        "status": "Failure",
        "message": f"{subject} is {'forbidden' if forbidden else 'invalid'}: {listed}",
        "reason": "Forbidden" if forbidden else "Invalid",
        "details": {"name": request.name, "group": request.group, "kind": request.kind, "causes": causes},
        "code": 403 if forbidden else 422,
    }


def _mapping(value: object, where: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise NotAReview(f"{where} must be an object")
    return value


def _object(value: object, where: str) -> dict[str, Any] | None:
    return None if value is None else _mapping(value, where)


def _user(value: object) -> User:
    info = value if isinstance(value, dict) else {}
    groups, extra = info.get("groups"), info.get("extra")
    return User(
        username=str(info.get("username") or ""),
        uid=str(info.get("uid") or ""),
        groups=tuple(str(group) for group in groups) if isinstance(groups, list) else (),
        extra={
            str(key): tuple(str(item) for item in values) if isinstance(values, list) else ()
            for key, values in (extra.items() if isinstance(extra, dict) else ())
        },
    )
