"""What can go wrong between us and the API server, by meaning.

Raised by the transport and by everything above it; callers catch these and nothing of aiohttp or kr8s. The
class follows from the HTTP status and the Status object's `reason`, never from message text. A body that
is no Status (a proxy's HTML page, an empty answer, foreign JSON) gives the same classes by status alone.

`ConfigError` is apart: no server was asked, because we do not know whom or as whom.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import orjson

_MESSAGE_LIMIT = 2000


class KubeError(Exception):
    """The base of all errors of this package."""


class ConfigError(KubeError):
    """The way to the API server is not known: no kubeconfig, a wrong one, or credentials that do not load."""


class ApiError(KubeError):
    """The API server refused or failed, or could not be reached (`status` is 0 then).

    `target` says what was asked of which object ("get configmaps team-a/x"); `retry_after` is in seconds,
    None when the server named no time; `in_stream` marks what a watch was told after it had opened.
    """

    in_stream: bool = False

    def __init__(
        self,
        status: int,
        reason: str,
        message: str,
        details: Mapping[str, Any] | None = None,
        *,
        target: str = "",
        retry_after: float | None = None,
    ) -> None:
        self.status = status
        self.reason = reason
        self.message = message
        self.details: Mapping[str, Any] = details or {}
        self.target = target
        self.retry_after = retry_after
        super().__init__(status, reason, message)

    def __str__(self) -> str:
        code = f"{self.status} {self.reason}".strip() if self.status else self.reason
        head = f"{self.target}: " if self.target else ""
        return f"{head}{self.message} ({code})"

    @property
    def causes(self) -> list[Mapping[str, Any]]:
        """The field-by-field causes of a refusal (`field`, `reason`, `message`), as the server sent them."""
        causes = self.details.get("causes")
        return [cause for cause in causes if isinstance(cause, Mapping)] if isinstance(causes, list) else []


class BadRequest(ApiError):
    """400: the request is malformed, which is a bug of ours or a version skew."""


class Unauthorized(ApiError):
    """401: the credentials are not accepted, even after reading them again."""


class Forbidden(ApiError):
    """403: known, and not allowed. Final; a retry changes nothing."""


class NotFound(ApiError):
    """404: no such object, or no such kind."""


class AlreadyExists(ApiError):
    """409 on create: the name is taken."""


class Conflict(ApiError):
    """409: the object changed since it was read, or another field manager owns a field."""


class Gone(ApiError):
    """410: the resourceVersion or the continue token is too old; list again."""


class Invalid(ApiError):
    """422: the object was understood and refused; `causes` name the fields."""


class TooManyRequests(ApiError):
    """429: the server sheds load; `retry_after` says for how long."""


class InternalError(ApiError):
    """500 and unknown 5xx: the server, or a webhook that it called, failed."""


class Unavailable(ApiError):
    """502-504, time-outs, refused or broken connections: nobody answered, and the object may be as it was."""


class Malformed(ApiError):
    """The answer cannot be read: not JSON, or JSON that is not what was asked for."""


_BY_STATUS: dict[int, type[ApiError]] = {
    400: BadRequest,
    401: Unauthorized,
    403: Forbidden,
    404: NotFound,
    409: Conflict,
    410: Gone,
    422: Invalid,
    429: TooManyRequests,
    500: InternalError,
    502: Unavailable,
    503: Unavailable,
    504: Unavailable,
}
# Only where the reason says more than the status does.
_BY_REASON: dict[tuple[int, str], type[ApiError]] = {
    (409, "AlreadyExists"): AlreadyExists,
    (500, "ServerTimeout"): Unavailable,
    (500, "Timeout"): Unavailable,
}
_REASONS = {
    400: "BadRequest",
    401: "Unauthorized",
    403: "Forbidden",
    404: "NotFound",
    405: "MethodNotAllowed",
    406: "NotAcceptable",
    409: "Conflict",
    410: "Gone",
    413: "RequestEntityTooLarge",
    415: "UnsupportedMediaType",
    422: "Invalid",
    429: "TooManyRequests",
    500: "InternalError",
    502: "BadGateway",
    503: "ServiceUnavailable",
    504: "Timeout",
}


def error_class(status: int, reason: str = "") -> type[ApiError]:
    found = _BY_REASON.get((status, reason)) or _BY_STATUS.get(status)
    if found is not None:
        return found
    return InternalError if status >= 500 else ApiError


def error_from_status(
    body: Mapping[str, Any], *, status: int = 0, target: str = "", retry_after: float | None = None
) -> ApiError:
    """The error that a Status object describes; `status` overrules its `code`, the only one in a watch."""
    code = body.get("code")
    if not status:
        status = code if isinstance(code, int) and not isinstance(code, bool) and 100 <= code <= 599 else 500
    reason = body.get("reason")
    reason = reason if isinstance(reason, str) and reason else _REASONS.get(status, "Unknown")
    message = body.get("message")
    message = message if isinstance(message, str) and message else f"the API server answered {status} {reason}"
    details = body.get("details")
    details = details if isinstance(details, Mapping) else {}
    if retry_after is None:
        seconds = details.get("retryAfterSeconds")
        if isinstance(seconds, int | float) and not isinstance(seconds, bool) and 0 < seconds <= 86400:
            retry_after = float(seconds)
    return error_class(status, reason)(
        status, reason, message[:_MESSAGE_LIMIT], details, target=target, retry_after=retry_after
    )


def error_from_response(status: int, body: bytes, *, target: str = "", retry_after: float | None = None) -> ApiError:
    """The error of an HTTP answer >= 300, whatever its body is."""
    try:
        parsed = orjson.loads(body)
    except orjson.JSONDecodeError:
        parsed = None
    if isinstance(parsed, dict) and parsed.get("kind") == "Status":
        return error_from_status(parsed, status=status, target=target, retry_after=retry_after)
    # A proxy or a load balancer in between: its page may be anything, so only a short excerpt is shown.
    excerpt = " ".join(body[:400].decode("utf-8", "replace").split())[:200]
    told = f"; it began with {excerpt!r}" if excerpt else ""
    return error_from_status(
        {"message": f"the answer is no Kubernetes Status, so something in between may have sent it{told}"},
        status=status,
        target=target,
        retry_after=retry_after,
    )
