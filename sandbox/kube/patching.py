"""The three patches that are not server-side apply: merge, JSON and strategic merge.

Each takes a fresh copy of the live object and gives back the patched one, or raises the 400, 409 or 422 that the API
answers. Strategic merge reads the x-kubernetes-patch-* extensions of the kind's schema, so it works on built-in kinds
only. Pure.
"""

from __future__ import annotations

from typing import Any, Final

import jsonpatch
import orjson

from sandbox.kube import errors

Schema = dict[str, Any]

JSON_PATCH: Final = "application/json-patch+json"
MERGE_PATCH: Final = "application/merge-patch+json"
STRATEGIC_PATCH: Final = "application/strategic-merge-patch+json"
APPLY_PATCH: Final = "application/apply-patch+yaml"

_MOST_OPERATIONS: Final = 10_000


def merge_patch(live: Any, patch: Any) -> Any:
    """RFC 7386. May reuse and change `live`."""
    if not isinstance(patch, dict):
        return patch
    if not isinstance(live, dict):
        live = {}
    for key, value in patch.items():
        if value is None:
            live.pop(key, None)
        else:
            live[key] = merge_patch(live.get(key), value)
    return live


def json_patch(live: Any, body: bytes) -> Any:
    """RFC 6902. A failed `test` or a path that is not there is 422, an unreadable patch 400."""
    try:
        operations = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise errors.bad_request(f"error decoding patch: {error}") from error
    if not isinstance(operations, list) or not all(isinstance(each, dict) for each in operations):
        raise errors.bad_request("error decoding patch: a JSON patch is a list of operations")
    if len(operations) > _MOST_OPERATIONS:
        raise errors.StatusError(
            413,
            "RequestEntityTooLarge",
            f"The allowed maximum operations in a JSON patch is {_MOST_OPERATIONS}, got {len(operations)}",
        )
    try:
        for operation in operations:
            if _tests_for_nothing(operation, live):
                continue
            live = jsonpatch.JsonPatch([_as_upsert(operation, live)]).apply(live, in_place=True)
        return live
    except jsonpatch.JsonPatchTestFailed as error:
        raise _unprocessable(f"testing path failed: {_where(operations, error)}") from error
    except (jsonpatch.JsonPatchException, jsonpatch.JsonPointerException, TypeError, LookupError) as error:
        raise _unprocessable(_reason(operations, error)) from error


def _tests_for_nothing(operation: dict[str, Any], live: Any) -> bool:
    """Whether it is a `test` for null that holds: on the real server what is not there is null, too."""
    path = operation.get("path")
    if operation.get("op") != "test" or operation.get("value", ...) is not None or not isinstance(path, str):
        return False
    return jsonpatch.JsonPointer(path).resolve(live, None) is None


def _as_upsert(operation: dict[str, Any], live: Any) -> dict[str, Any]:
    """The real server's `replace` of a key that a map does not have adds it."""
    path = operation.get("path")
    if operation.get("op") != "replace" or not isinstance(path, str) or not path:
        return operation
    pointer = jsonpatch.JsonPointer(path)
    parent, key = pointer.to_last(live)
    if isinstance(parent, dict) and key not in parent:
        return {**operation, "op": "add"}
    return operation


def _reason(operations: list[Any], error: Exception) -> str:
    """What failed, without repeating the object: it may hold secrets."""
    paths = ", ".join(str(each.get("path")) for each in operations)
    return f"{type(error).__name__} for {paths}"


def _where(operations: list[Any], error: Exception) -> str:
    tested = [str(each.get("path")) for each in operations if each.get("op") == "test"]
    return ", ".join(tested) or str(error)


def _unprocessable(why: str) -> errors.StatusError:
    return errors.StatusError(
        422,
        "Invalid",
        f"the server rejected our request due to an error in our request: {why}",
        {},
    )


# -- strategic merge


def no_strategic_patch() -> errors.StatusError:
    """415: custom resources have no schema that says how their lists are merged."""
    accepted = ", ".join((JSON_PATCH, MERGE_PATCH, APPLY_PATCH))
    return errors.unsupported_media_type(
        f"the body of the request was in an unknown format - accepted media types include: {accepted}"
    )


def strategic_patch(live: dict[str, Any], patch: dict[str, Any], schema: Schema | None) -> dict[str, Any]:
    """Like a merge patch, but lists with a merge key are merged item by item. May reuse and change `live`."""
    directive = patch.get("$patch")
    if directive == "replace":
        return {key: _clean(value) for key, value in patch.items() if key != "$patch"}
    if directive == "delete":
        return {}
    if directive not in (None, "merge"):
        raise errors.bad_request(f"Unknown patch type: {directive}")
    if "$retainKeys" in patch:
        retained = patch["$retainKeys"]
        if not isinstance(retained, list):
            raise errors.bad_request("$retainKeys must be a list")
        live = {key: value for key, value in live.items() if key in retained}
    orders = {key.partition("/")[2]: value for key, value in patch.items() if key.startswith("$setElementOrder/")}
    live_lists = {name: live.get(name) for name in orders}
    for key, value in patch.items():
        if key.startswith("$deleteFromPrimitiveList/"):
            name = key.partition("/")[2]
            live[name] = [each for each in live.get(name) or [] if each not in value]
        elif not key.startswith("$"):
            _field(live, key, value, _property(schema, key))
    for name, order in orders.items():
        if isinstance(live.get(name), list) and isinstance(order, list):
            before = live_lists.get(name) or []
            live[name] = _ordered(live[name], order, before, _merge_key(_property(schema, name)))
    return live


def _field(live: dict[str, Any], key: str, value: Any, schema: Schema | None) -> None:
    if value is None:
        live.pop(key, None)
    elif schema is not None and schema.get("x-kubernetes-patch-strategy") == "replace":
        live[key] = _clean(value)
    elif isinstance(value, dict):
        before = live.get(key)
        patched = strategic_patch(before if isinstance(before, dict) else {}, value, schema)
        if value.get("$patch") == "delete":
            live.pop(key, None)
        else:
            live[key] = patched
    elif isinstance(value, list):
        before = live.get(key)
        live[key] = _list(before if isinstance(before, list) else [], value, schema)
    else:
        live[key] = value


def _list(live: list[Any], patch: list[Any], schema: Schema | None) -> list[Any]:
    if schema is None or "merge" not in schema.get("x-kubernetes-patch-strategy", ""):
        return [_clean(each) for each in patch]
    key = _merge_key(schema)
    if not key:
        return _ordered([*live, *(each for each in patch if each not in live)], patch, live, "")
    if any(isinstance(each, dict) and each.get("$patch") == "replace" for each in patch):
        return [_clean(each) for each in patch if not (isinstance(each, dict) and each.get("$patch") == "replace")]
    items = schema.get("items")
    result = list(live)
    for each in patch:
        if not isinstance(each, dict) or key not in each:
            raise errors.bad_request(f"map: {each} does not contain declared merge key: {key}")
        at = next((n for n, old in enumerate(result) if isinstance(old, dict) and old.get(key) == each[key]), None)
        if each.get("$patch") == "delete":
            result = [old for old in result if not (isinstance(old, dict) and old.get(key) == each[key])]
        elif at is None:
            result.append(strategic_patch({}, each, items))
        else:
            result[at] = strategic_patch(result[at], each, items)
    return _ordered(result, patch, live, key)


def _ordered(members: list[Any], order: list[Any], live: list[Any], key: str) -> list[Any]:
    """What `order` names in its order; each other member stands before the first one that it stood before in `live`."""

    def identity(member: Any) -> Any:
        return member.get(key) if key and isinstance(member, dict) else member

    wanted, stood = [identity(each) for each in order], [identity(each) for each in live]
    named = sorted((m for m in members if identity(m) in wanted), key=lambda m: wanted.index(identity(m)))
    others = [member for member in members if identity(member) not in wanted]
    placed: list[Any] = []
    for member in named:
        place = stood.index(identity(member)) if identity(member) in stood else -1
        while others and identity(others[0]) in stood and stood.index(identity(others[0])) < place:
            placed.append(others.pop(0))
        placed.append(member)
    return placed + others


def _property(schema: Schema | None, name: str) -> Schema | None:
    if schema is None:
        return None
    found = (schema.get("properties") or {}).get(name, schema.get("additionalProperties"))
    return found if isinstance(found, dict) else None


def _merge_key(schema: Schema | None) -> str:
    return str((schema or {}).get("x-kubernetes-patch-merge-key", ""))


def _clean(value: Any) -> Any:
    """A value that is taken whole, without directives that were meant for a merge."""
    if isinstance(value, dict):
        return {key: _clean(each) for key, each in value.items() if not key.startswith("$")}
    if isinstance(value, list):
        return [_clean(each) for each in value]
    return value
