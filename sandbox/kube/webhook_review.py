"""AdmissionReviews: what is asked of a webhook, and what its answer means.

`review` makes the document to post; `judge` reads what came back into an `Answer` or raises BadAnswer;
`denied` words a refusal. An answer comes from outside, so nothing about its shape is taken on trust. Pure.
"""

from __future__ import annotations

import base64
import binascii
import copy
from dataclasses import dataclass
from typing import Any, Final

import jsonpatch
import orjson
from jsonpointer import JsonPointerException

from sandbox.kube.errors import StatusError, internal
from sandbox.kube.store import Object
from sandbox.kube.webhook_match import AdmissionRequest, Hook, request_document

API_VERSION: Final = "admission.k8s.io/v1"
_WARNING_TOTAL: Final = 4096
_WARNING_ITEM: Final = 256


class BadAnswer(Exception):
    """The webhook answered, but not with a valid AdmissionReview: as if it had not been reached."""


@dataclass(frozen=True, slots=True)
class Answer:
    """A verdict. `status` explains a refusal; `patch` is a JSON patch, None when nothing changes."""

    allowed: bool
    status: Object
    patch: list[Any] | None
    warnings: tuple[str, ...]


def review(request: AdmissionRequest, uid: str) -> bytes:
    """The body to post."""
    document = {"kind": "AdmissionReview", "apiVersion": API_VERSION, "request": request_document(request, uid)}
    return orjson.dumps(document)


def judge(body: bytes, uid: str, *, mutating: bool) -> Answer:
    """The verdict in an answer's body."""
    try:
        document = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise BadAnswer("the body is not JSON") from error
    if not isinstance(document, dict):
        raise BadAnswer("the body is not an object")
    seen = f"{document.get('apiVersion')}, Kind={document.get('kind')}"
    if seen != f"{API_VERSION}, Kind=AdmissionReview":
        raise BadAnswer(f"expected webhook response of {API_VERSION}, Kind=AdmissionReview, got {seen}")
    response = document.get("response")
    if not isinstance(response, dict):
        raise BadAnswer("webhook response was absent")
    if response.get("uid") != uid:
        raise BadAnswer(f'expected response.uid="{uid}", got {orjson.dumps(response.get("uid")).decode()}')
    if not isinstance(response.get("allowed", False), bool):
        raise BadAnswer("response.allowed is not a boolean")
    status = response.get("status")
    warnings = response.get("warnings")
    return Answer(
        allowed=response.get("allowed", False),
        status=status if isinstance(status, dict) else {},
        patch=_patch(response, mutating=mutating),
        warnings=_warnings(warnings if isinstance(warnings, list) else []),
    )


def _patch(response: Object, *, mutating: bool) -> list[Any] | None:
    encoded, kind = response.get("patch"), response.get("patchType")
    if not encoded:
        if kind:
            raise BadAnswer("webhook returned response.patchType but not response.patch")
        return None
    if not mutating:
        raise BadAnswer("validating webhook may not return response.patch")
    if kind != "JSONPatch":
        raise BadAnswer(f"webhook returned invalid response.patchType of {orjson.dumps(kind).decode()}")
    try:
        operations = orjson.loads(base64.b64decode(encoded, validate=True))
    except (TypeError, ValueError, binascii.Error) as error:
        raise BadAnswer("response.patch is not base64 of JSON") from error
    if not isinstance(operations, list):
        raise BadAnswer("response.patch is not a list of operations")
    return operations


def patched(obj: Object, operations: list[Any], hook: Hook) -> Object:
    """The object after the webhook's patch; a patch that does not fit is the server's own error."""
    try:
        result = jsonpatch.apply_patch(copy.deepcopy(obj), operations)
    except (jsonpatch.JsonPatchException, JsonPointerException, TypeError, ValueError, LookupError) as error:
        raise internal(f'the patch of admission webhook "{hook.name}" does not fit: {error}') from error
    except (AttributeError, RecursionError) as error:
        raise internal(f'the patch of admission webhook "{hook.name}" is malformed') from error
    if not isinstance(result, dict) or not isinstance(result.get("metadata"), dict):
        raise internal(f'the patch of admission webhook "{hook.name}" leaves no object')
    return result


def denied(hook: Hook, status: Object) -> StatusError:
    """The refusal of a webhook, as the client sees it."""
    text, reason = status.get("message"), status.get("reason")
    said = f": {text or reason}" if text or reason else " without explanation"
    code, details = status.get("code"), status.get("details")
    return StatusError(
        code if isinstance(code, int) and 400 <= code <= 599 else 400,
        reason if isinstance(reason, str) else "",
        f'admission webhook "{hook.name}" denied the request{said}',
        details if isinstance(details, dict) else None,
    )


def call_failed(hook: Hook, why: str) -> StatusError:
    """What a client sees when a webhook that must be asked cannot be."""
    return internal(f'failed calling webhook "{hook.name}": {why}')


def _warnings(texts: list[Any]) -> tuple[str, ...]:
    """Texts as the client may see them: cut only when there are too many characters in all."""
    listed = [text for text in texts if isinstance(text, str) and text]
    if sum(map(len, listed)) <= _WARNING_TOTAL:
        return tuple(listed)
    kept: list[str] = []
    room = _WARNING_TOTAL
    for text in listed:
        short = text[:_WARNING_ITEM]
        if len(short) > room:
            break
        room -= len(short)
        kept.append(short)
    return tuple(kept)
