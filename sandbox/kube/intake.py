"""What a client sent as an object, checked to be one: its type, the shape of its metadata, its unknown fields.

The first step of every write, before anything is completed or judged. May change the object it is given.
"""

from __future__ import annotations

from typing import Any

from sandbox.kube import causes, errors, meta
from sandbox.kube.call import Call
from sandbox.kube.errors import StatusError, Undecodable

Object = dict[str, Any]


def read_body(call: Call, body: Any) -> Object:
    """A client's object, of the right type and without unknown fields; 400 otherwise."""
    kind = call.kind
    if not isinstance(body, dict):
        raise Undecodable(f"the object provided is unrecognized: expected a {kind.kind} as an object")
    if kind.custom:
        _require_type(call, body)
    body.setdefault("apiVersion", kind.api_version)
    body.setdefault("kind", kind.kind)
    if body["apiVersion"] != kind.api_version or body["kind"] != kind.kind:
        if body["kind"] == kind.kind:
            given = f"the API version in the data ({body['apiVersion']})"
            raise Undecodable(f"{given} does not match the expected API version ({kind.api_version})")
        version = str(body["apiVersion"]).rpartition("/")[2]
        raise Undecodable(f'{body["kind"]} in version "{version}" cannot be handled as a {kind.kind}')
    if body.get("metadata") is None:
        body["metadata"] = {}
    wrong = meta.shape_error(body)
    if wrong:
        raise Undecodable(f'{kind.kind} in version "{kind.version}" cannot be handled as a {kind.kind}: {wrong}')
    metadata = body["metadata"]
    unknown = kind.strategy.prune(body)
    if unknown:
        report_unknown(call, [f'unknown field "{path}"' for path in unknown])
    namespace = metadata.get("namespace")
    if kind.namespaced and namespace and namespace != call.namespace:
        raise Undecodable(
            f"the namespace of the provided object does not match the namespace sent on the request: "
            f'"{namespace}" is not "{call.namespace}"'
        )
    if not kind.namespaced:
        metadata.pop("namespace", None)
    return body


def _require_type(call: Call, body: Object) -> None:
    """A custom resource says what it is: nothing else here could tell one kind from another."""
    kind = call.kind
    if not body.get("kind"):
        raise Undecodable(
            f"the object provided is unrecognized (must be of type {kind.kind}): Object 'Kind' is missing"
        )
    if body.get("apiVersion") != kind.api_version:
        given = f"the API version in the data ({body.get('apiVersion') or ''})"
        raise Undecodable(f"{given} does not match the expected API version ({kind.api_version})")
    if body["kind"] != kind.kind:
        metadata = body.get("metadata")
        name = str(metadata.get("name") or "") if isinstance(metadata, dict) else ""
        wrong = causes.invalid("kind", body["kind"], f"must be {kind.kind}")
        raise errors.invalid(str(body["kind"]), kind.group, name, [wrong])


def report_unknown(call: Call, found: list[str]) -> None:
    """Refuse, warn of or ignore fields that are unknown or duplicate, as the request wishes."""
    kind = call.kind
    if call.field_validation == "Strict":
        raise Undecodable(
            f'{kind.kind} in version "{kind.version}" cannot be handled as a {kind.kind}: '
            f"strict decoding error: {', '.join(found)}"
        )
    if call.field_validation == "Warn":
        call.warnings.extend(text for text in found if text not in call.warnings)


def read_named(call: Call, body: Any) -> Object:
    """Like `read_body`, for an object that must be the one of the path."""
    obj = read_body(call, body)
    if obj["metadata"].get("name") != call.name:
        raise wrong_name(call, obj)
    return obj


def wrong_name(call: Call, obj: Object) -> StatusError:
    name = obj["metadata"].get("name")
    return errors.bad_request(f"the name of the object ({name}) does not match the name on the URL ({call.name})")


def require_object(document: Any) -> None:
    """400 unless a patch is an object."""
    if not isinstance(document, dict):
        raise errors.bad_request("error decoding patch: the patch must be an object")
