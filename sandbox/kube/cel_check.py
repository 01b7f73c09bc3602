"""Are the CEL rules of a CRD's schema ones that can be evaluated? Asked when the CRD is created or changed.

`check_rules` returns the causes of the 422 reply: broken syntax, unknown variables, functions and fields, `oldSelf`
where no old value can be told, and bad companions of a rule (message, reason, fieldPath). Fields are found by
how expressions spell them (`self.spec.size`), not by inferring types. Pure.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, Final

from sandbox.kube import causes as wording
from sandbox.kube.cel import KEYWORD, LITERALS, OPTIONAL, BadExpression, Expression
from sandbox.kube.cel_values import escape
from sandbox.kube.errors import Cause

_REASONS: Final = ("FieldValueInvalid", "FieldValueForbidden", "FieldValueRequired", "FieldValueDuplicate")
_RESOURCE: Final[dict[str, dict[str, Any]]] = {
    "apiVersion": {"type": "string"},
    "kind": {"type": "string"},
    "metadata": {
        "type": "object",
        "properties": {"name": {"type": "string"}, "generateName": {"type": "string"}},
    },
}
# `self.a.b` or `oldSelf.a`, without what is called: `self.a.size()` ends at a.
_SELECTION: Final = re.compile(r"(?<![\w.])(?:self|oldSelf)((?:\.[A-Za-z_]\w*(?!\w|\s*\())+)")


def check_rules(openapi: dict[str, Any], path: str = "spec.validation.openAPIV3Schema") -> list[Cause]:
    """What is wrong with the rules of a schema that is already known to be structural."""
    return list(_check(openapi, path, correlatable=True, resource=True))


def _check(schema: dict[str, Any], path: str, *, correlatable: bool, resource: bool = False) -> Iterator[Cause]:
    raw_rules = schema.get(KEYWORD)
    if raw_rules is not None and not isinstance(raw_rules, list):
        yield wording.invalid(f"{path}.{KEYWORD}", raw_rules, "must be a list")
        raw_rules = None
    for index, raw in enumerate(raw_rules or []):
        yield from _check_rule(raw, schema, f"{path}.{KEYWORD}[{index}]", correlatable, resource)
    for name, child in (schema.get("properties") or {}).items():
        yield from _check(child, f"{path}.properties[{name}]", correlatable=correlatable)
    if isinstance(schema.get("additionalProperties"), dict):
        below = f"{path}.additionalProperties"
        yield from _check(schema["additionalProperties"], below, correlatable=correlatable)
    if isinstance(schema.get("items"), dict):
        # Only the items of a list map can be told apart from one version to the next.
        matched = correlatable and schema.get("x-kubernetes-list-type") == "map"
        yield from _check(schema["items"], f"{path}.items", correlatable=matched)


def _check_rule(raw: Any, schema: dict[str, Any], path: str, correlatable: bool, resource: bool) -> Iterator[Cause]:
    if not isinstance(raw, dict):
        yield wording.invalid(path, raw, "must be an object")
        return
    texts = ("rule", "message", "messageExpression", "fieldPath", "reason")
    wrong = [key for key in texts if not isinstance(raw.get(key, ""), str)]
    if wrong:
        yield from (wording.invalid(f"{path}.{key}", raw[key], "must be a string") for key in wrong)
        return
    if not raw.get("rule", "").strip():
        yield wording.required(f"{path}.rule", "rule is not specified")
        return
    if raw.get("reason") and raw["reason"] not in _REASONS:
        yield wording.not_supported(f"{path}.reason", raw["reason"], _REASONS)
    message = raw.get("message")
    if message is not None and not message.strip():
        yield wording.invalid(f"{path}.message", message, "message must be non-empty if specified")
    elif message and "\n" in message.strip():
        yield wording.invalid(f"{path}.message", message, "message must not contain line breaks")
    if raw.get("fieldPath") and not _leads_somewhere(raw["fieldPath"], schema):
        text = "fieldPath must be a valid path: no such field in the schema"
        yield wording.invalid(f"{path}.fieldPath", raw["fieldPath"], text)
    names = frozenset({"self", "oldSelf"})
    functions = OPTIONAL if raw.get("optionalOldSelf") is True else frozenset[str]()
    for key in ("rule", "messageExpression"):
        if not raw.get(key):
            continue
        try:
            expression = Expression(raw[key], names, functions)
        except BadExpression as error:
            yield wording.invalid(f"{path}.{key}", raw[key], f"compilation failed: ERROR: <input>: {error}")
            continue
        unknown = _undefined_field(raw[key], schema, resource)
        if unknown and not functions:
            text = f"compilation failed: ERROR: <input>: undefined field '{unknown}'"
            yield wording.invalid(f"{path}.{key}", raw[key], text)
        if "oldSelf" in expression.variables and not correlatable:
            text = "oldSelf cannot be used on the uncorrelatable portion of the schema"
            yield wording.invalid(f"{path}.{key}", raw[key], text)


_STEP: Final = re.compile(r"\.([A-Za-z_][\w-]*)|\['([^']+)'\]")


def _leads_somewhere(field_path: str, schema: dict[str, Any]) -> bool:
    position, here = 0, schema
    while position < len(field_path):
        step = _STEP.match(field_path, position)
        if step is None:
            return False
        name, position = step[1] or step[2], step.end()
        child = (here.get("properties") or {}).get(name, here.get("additionalProperties"))
        if not isinstance(child, dict):
            return False
        here = child
    return True


def _undefined_field(source: str, schema: dict[str, Any], resource: bool) -> str:
    """The first field that an expression selects and the schema does not declare; empty when all are known."""
    for match in _SELECTION.finditer(LITERALS.sub('""', source)):
        here, is_resource = schema, resource
        for name in match[1].strip(".").split("."):
            if here.get("type") != "object":
                break
            known = {escape(key): child for key, child in (here.get("properties") or {}).items()}
            if is_resource or here.get("x-kubernetes-embedded-resource") is True:
                known = {**known, **_RESOURCE}
            if name not in known:
                # The keys of a map are fields too; anything else was never declared.
                if here.get("additionalProperties") is None:
                    return name
                known[name] = here["additionalProperties"]
            if not isinstance(known[name], dict):
                break
            here, is_resource = known[name], False
    return ""
