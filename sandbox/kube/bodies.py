"""Request bodies: bytes of JSON, YAML or protobuf become one document, duplicate fields included in the report.

The HTTP shell calls `decode` once per request that has a body. Everything a client can send wrong here is a 400
or a 415, never an exception of a parser.
"""

from __future__ import annotations

import json
from typing import Any, Final

import orjson
import yaml

from sandbox.kube import errors, protobuf

JSON: Final = "application/json"
YAML: Final = ("application/yaml", "application/x-yaml", "application/apply-patch+yaml")
PROTOBUF: Final = "application/vnd.kubernetes.protobuf"

_Loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_MOST_NODES: Final = 1_000_000
_DEEPEST: Final = 200  # levels; deeper documents are refused before anything recurses into them


def decode(body: bytes, content_type: str) -> Any:
    """The document of a body; None when it is empty."""
    if not body.strip():
        return None
    if content_type == PROTOBUF:
        document = _protobuf(body)
    elif content_type in YAML:
        document = _yaml(body)
    elif content_type in (JSON, "", "application/octet-stream") or content_type.endswith("+json"):
        document = _json(body)
    else:
        raise errors.unsupported_media_type(
            "the body of the request was in an unknown format - accepted media types include: "
            "application/json, application/yaml, application/vnd.kubernetes.protobuf"
        )
    if _too_deep(document):
        raise errors.bad_request(f"the object provided is nested deeper than {_DEEPEST} levels")
    return document


def _protobuf(body: bytes) -> Any:
    try:
        return protobuf.decode(body).obj
    except protobuf.BadProtobuf as error:
        raise errors.bad_request(f"the protobuf body cannot be read: {error}") from error
    except protobuf.UnknownMessage as error:
        raise errors.unsupported_media_type(str(error)) from error


def _json(body: bytes) -> Any:
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise errors.bad_request(f"couldn't get version/kind; json parse error: {error}") from error


def _yaml(body: bytes) -> Any:
    # Most "YAML" is JSON written by a machine, and JSON is forty times faster to read.
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError:
        pass
    try:
        loaded = yaml.load(body, Loader=_Loader)  # noqa: S506  (a safe loader, in C where there is one)
        if _expanded(loaded, {}) > _MOST_NODES:
            raise errors.bad_request("error converting YAML to JSON: document contains excessive aliasing")
        # Dates and other YAML types become what JSON would have had; aliases become copies.
        return orjson.loads(orjson.dumps(loaded, default=str, option=orjson.OPT_NON_STR_KEYS))
    except (yaml.YAMLError, orjson.JSONDecodeError, TypeError, ValueError, RecursionError) as error:
        raise errors.bad_request(f"error converting YAML to JSON: {_first_line(error)}") from error


def _expanded(value: Any, known: dict[int, int]) -> int:
    """How many values a document has once every alias is a copy. A document within itself has no end."""
    if not isinstance(value, (dict, list)):
        return 1
    size = known.get(id(value))
    if size is None:
        known[id(value)] = _MOST_NODES + 1  # what is met while it is being counted contains itself
        members = value.values() if isinstance(value, dict) else value
        size = known[id(value)] = 1 + sum(_expanded(member, known) for member in members)
    return size


def _first_line(error: Exception) -> str:
    return " ".join(str(error).split())[:300]


def _too_deep(document: Any) -> bool:
    level: list[Any] = [document]
    for _ in range(_DEEPEST):
        below: list[Any] = []
        for value in level:
            if isinstance(value, dict):
                below.extend(each for each in value.values() if isinstance(each, (dict, list)))
            elif isinstance(value, list):
                below.extend(each for each in value if isinstance(each, (dict, list)))
        if not below:
            return False
        level = below
    return True


def duplicates(body: bytes, content_type: str) -> list[str]:
    """Paths of fields that a JSON or YAML body names twice, as strict field validation reports them."""
    if content_type == PROTOBUF:
        return []
    found: list[str] = []
    try:
        tree = json.loads(body, object_pairs_hook=_Pairs)
    except (ValueError, RecursionError):
        try:
            node = yaml.compose(body, Loader=_Loader)
        except (yaml.YAMLError, RecursionError):
            return []
        _yaml_duplicates(node, "", found)
        return found
    _json_duplicates(tree, "", found)
    return found


class _Pairs(list[tuple[str, Any]]):
    """The members of a JSON object, with those that came twice."""


def _json_duplicates(value: Any, path: str, found: list[str]) -> None:
    if isinstance(value, _Pairs):
        seen: set[str] = set()
        for key, below in value:
            child = f"{path}.{key}" if path else key
            if key in seen and child not in found:
                found.append(child)
            seen.add(key)
            _json_duplicates(below, child, found)
    elif isinstance(value, list):
        for index, below in enumerate(value):
            _json_duplicates(below, f"{path}[{index}]", found)


def _yaml_duplicates(node: Any, path: str, found: list[str]) -> None:
    if isinstance(node, yaml.MappingNode):
        seen: set[str] = set()
        for key_node, below in node.value:
            key = str(key_node.value)
            child = f"{path}.{key}" if path else key
            if key in seen and child not in found:
                found.append(child)
            seen.add(key)
            _yaml_duplicates(below, child, found)
    elif isinstance(node, yaml.SequenceNode):
        for index, below in enumerate(node.value):
            _yaml_duplicates(below, f"{path}[{index}]", found)
