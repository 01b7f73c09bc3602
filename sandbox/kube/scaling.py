"""The scale sub-resource: a small `autoscaling/v1 Scale` in front of any object that has replicas.

Reading makes a Scale from the object's paths, writing sets the one field that it may set, through the ordinary verbs,
so that generation, ownership, admission and conflicts work as for any other write.
"""

from __future__ import annotations

from typing import Any, Final

import orjson

from sandbox.kube import errors, patching, selectors
from sandbox.kube.call import Call
from sandbox.kube.resources import Kind, ScalePaths
from sandbox.kube.verbs import Verbs

Object = dict[str, Any]

API_VERSION: Final = "autoscaling/v1"


def read(verbs: Verbs, call: Call) -> Object:
    """The Scale of an object."""
    obj = verbs.get(call)
    scale = scale_of(call.kind, obj)
    if "replicas" not in scale["spec"]:
        where = ".".join(("", *(call.kind.scale or ScalePaths()).spec_replicas))
        raise errors.internal(f'the spec replicas field "{where}" does not exist')
    return scale


async def update(verbs: Verbs, call: Call, body: Any) -> Object:
    """Set the replicas that a whole Scale asks for."""
    if not isinstance(body, dict) or body.get("kind") not in (None, "Scale"):
        raise errors.bad_request(f"expected a Scale in {API_VERSION}")
    revision = str((body.get("metadata") or {}).get("resourceVersion") or "")
    return await _set(verbs, call, _replicas(call, body), revision)


async def patch(verbs: Verbs, call: Call, content_type: str, body: bytes, document: Any) -> Object:
    """Set the replicas that a patch of the Scale leaves."""
    if content_type == patching.STRATEGIC_PATCH and call.kind.custom:
        raise patching.no_strategic_patch()
    fresh: Object = orjson.loads(orjson.dumps(scale_of(call.kind, verbs.get(call))))
    if content_type == patching.JSON_PATCH:
        patched = patching.json_patch(fresh, body)
    elif content_type in (patching.MERGE_PATCH, patching.STRATEGIC_PATCH, patching.APPLY_PATCH):
        patched = patching.merge_patch(fresh, document)
    else:
        raise errors.unsupported_media_type(f"a Scale cannot be patched by {content_type or 'no content type'}")
    if not isinstance(patched, dict):
        raise errors.bad_request("the patch leaves no object")
    asked = (document or {}).get("metadata") if isinstance(document, dict) else None
    revision = str((asked or {}).get("resourceVersion") or "") if isinstance(asked, dict) else ""
    try:
        return await _set(verbs, call, _replicas(call, patched), revision)
    except errors.Undecodable as error:
        raise errors.bad_patch(error, body.decode(errors="replace")) from error


def scale_of(kind: Kind, obj: Object) -> Object:
    """An object seen as a Scale."""
    paths = kind.scale or ScalePaths()
    metadata = obj["metadata"]
    kept = ("name", "namespace", "uid", "resourceVersion", "creationTimestamp")
    status: Object = {"replicas": _at(obj, paths.status_replicas) or 0}
    selector = _at(obj, paths.selector) if paths.selector else None
    text = selectors.format_spec(selector) if isinstance(selector, dict) else str(selector or "")
    if text:
        status["selector"] = text
    wanted = _at(obj, paths.spec_replicas)
    return {
        "kind": "Scale",
        "apiVersion": API_VERSION,
        "metadata": {key: metadata[key] for key in kept if key in metadata},
        "spec": {"replicas": wanted} if wanted is not None else {},
        "status": status,
    }


def _replicas(call: Call, scale: Object) -> int:
    spec = scale.get("spec")
    replicas = (spec if isinstance(spec, dict) else {}).get("replicas", 0)
    if not isinstance(replicas, int) or isinstance(replicas, bool):
        raise errors.Undecodable(f'Scale in version "v1" cannot be handled as a Scale: spec.replicas: {replicas!r}')
    if replicas < 0:
        detail = f"Invalid value: {orjson.dumps(replicas).decode()}: must be greater than or equal to 0"
        causes = [errors.Cause("FieldValueInvalid", detail, "spec.replicas")]
        raise errors.invalid("Scale", "autoscaling", call.name, causes)
    return replicas


async def _set(verbs: Verbs, call: Call, replicas: int, revision: str) -> Object:
    paths = call.kind.scale or ScalePaths()

    def change(obj: Object) -> Object:
        node = obj
        for key in paths.spec_replicas[:-1]:
            below = node.setdefault(key, {})
            if not isinstance(below, dict):
                raise errors.bad_request(f"{call.name} has no place for replicas")
            node = below
        node[paths.spec_replicas[-1]] = replicas
        if revision:
            obj["metadata"]["resourceVersion"] = revision
        return obj

    return scale_of(call.kind, await verbs.modify(call, change))


def _at(obj: Any, path: tuple[str, ...]) -> Any:
    for key in path:
        obj = obj.get(key) if isinstance(obj, dict) else None
    return obj
