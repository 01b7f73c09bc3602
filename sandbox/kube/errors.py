"""The one exception of the API server, and a constructor for each way a request can fail.

Handlers, the store, admission and authentication raise `StatusError`; the HTTP shell turns it into the
`Status` object that clients decode. Reasons, codes and the wording of messages follow what client-go's
predicates and kubectl's printers read, so a caller branches on `reason`, never on text.
It knows nothing of HTTP servers or of the store.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NamedTuple

Object = dict[str, Any]


class Cause(NamedTuple):
    """One invalid field: `reason` is FieldValueInvalid or the like, `field` a path like spec.size."""

    reason: str
    message: str
    field: str


class StatusError(Exception):
    """A request that failed, as the API reports it."""

    def __init__(self, code: int, reason: str, message: str, details: Object | None = None) -> None:
        super().__init__(message)
        self.code = code
        self.reason = reason
        self.message = message
        self.details = details

    def to_status(self) -> Object:
        """The `v1 Status` body of the answer."""
        status: Object = {
            "kind": "Status",
            "apiVersion": "v1",
            "metadata": {},
            "status": "Failure",
            "message": self.message,
            "reason": self.reason,
        }
        if not self.reason:
            del status["reason"]
        if self.details:
            status["details"] = self.details
        status["code"] = self.code
        return status


class Undecodable(StatusError):
    """400: what was sent is not an object of its kind. A patch that leads there is 422 instead."""

    def __init__(self, message: str) -> None:
        super().__init__(400, "BadRequest", message)


def bad_patch(error: Undecodable, patch: str) -> StatusError:
    """422 for a patch whose result cannot be decoded."""
    shown = patch if len(patch) <= 300 else patch[:300] + "..."
    cause = Cause("FieldValueInvalid", f"Invalid value: {shown}: {error.message}", "patch")
    details = {"causes": [_cause(cause)]}
    return StatusError(422, "Invalid", f' "" is invalid: patch: {cause.message}', details)


def qualified(plural: str, group: str) -> str:
    """`deployments.apps`, or `pods` in the core group."""
    return f"{plural}.{group}" if group else plural


def _details(name: str, group: str, kind: str) -> Object:
    details: Object = {}
    if name:
        details["name"] = name
    if group:
        details["group"] = group
    if kind:
        details["kind"] = kind
    return details


def bad_request(message: str) -> StatusError:
    return StatusError(400, "BadRequest", message)


def unauthorized(message: str = "Unauthorized") -> StatusError:
    return StatusError(401, "Unauthorized", message)


def forbidden(plural: str, group: str, name: str, why: str) -> StatusError:
    what = qualified(plural, group) + (f' "{name}"' if name else "")
    return StatusError(403, "Forbidden", f"{what} is forbidden: {why}", _details(name, group, plural))


def path_not_found() -> StatusError:
    return StatusError(404, "NotFound", "the server could not find the requested resource", {})


def not_found(plural: str, group: str, name: str) -> StatusError:
    message = f'{qualified(plural, group)} "{name}" not found'
    return StatusError(404, "NotFound", message, _details(name, group, plural))


def method_not_allowed() -> StatusError:
    message = "the server does not allow this method on the requested resource"
    return StatusError(405, "MethodNotAllowed", message, {})


def not_acceptable(message: str) -> StatusError:
    return StatusError(406, "NotAcceptable", message)


def already_exists(plural: str, group: str, name: str) -> StatusError:
    message = f'{qualified(plural, group)} "{name}" already exists'
    return StatusError(409, "AlreadyExists", message, _details(name, group, plural))


def conflict(plural: str, group: str, name: str, why: str) -> StatusError:
    message = f'Operation cannot be fulfilled on {qualified(plural, group)} "{name}": {why}'
    return StatusError(409, "Conflict", message, _details(name, group, plural))


MODIFIED = "the object has been modified; please apply your changes to the latest version and try again"


def apply_conflict(message: str, causes: Iterable[Cause]) -> StatusError:
    """Another field manager owns what this apply would change."""
    return StatusError(409, "Conflict", message, {"causes": [_cause(cause) for cause in causes]})


def gone(message: str) -> StatusError:
    return StatusError(410, "Expired", message)


def unsupported_media_type(message: str) -> StatusError:
    return StatusError(415, "UnsupportedMediaType", message)


def invalid(kind: str, group: str, name: str, causes: Iterable[Cause]) -> StatusError:
    """422: every invalid field at once, as `Kind.group "name" is invalid: path: message`."""
    listed = list(causes)
    texts = [f"{cause.field}: {cause.message}" if cause.field else cause.message for cause in listed]
    text = texts[0] if len(texts) == 1 else f"[{', '.join(texts)}]"
    details = _details(name, group, kind)
    details["causes"] = [_cause(cause) for cause in listed]
    subject = f'{qualified(kind, group)} "{name}"'
    return StatusError(422, "Invalid", f"{subject} is invalid: {text}", details)


def too_many_requests(message: str, retry_after: int = 1) -> StatusError:
    return StatusError(429, "TooManyRequests", message, {"retryAfterSeconds": retry_after})


def internal(message: str) -> StatusError:
    return StatusError(500, "InternalError", f"Internal error occurred: {message}", {"causes": [{"message": message}]})


def too_large_resource_version(wanted: int, current: int) -> StatusError:
    message = f"Timeout: Too large resource version: {wanted}, current: {current}"
    cause = {"reason": "ResourceVersionTooLarge", "message": "Too large resource version"}
    return StatusError(504, "Timeout", message, {"causes": [cause], "retryAfterSeconds": 1})


def _cause(cause: Cause) -> Object:
    document: Object = {"reason": cause.reason, "message": cause.message}
    if cause.field:
        document["field"] = cause.field
    return document
