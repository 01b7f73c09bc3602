"""CEL: the rules of CRD schemas (`x-kubernetes-validations`) and the expressions of webhook matchConditions.

`Rules(openapi)` is compiled once per CRD version and judges objects after the schema has passed them;
`check_rules` refuses, when the CRD is created, what could not be evaluated later: broken syntax, unknown
variables and functions, `oldSelf` where no old value can be found. Supported is core CEL plus the string
functions of Kubernetes; its other libraries (quantity, url, ip, cidr, format, optional fields `.?`) are
refused with a cause that says so, never ignored. Cost is not estimated and not limited. Pure.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import cel as engine
from cel.stdlib import STDLIB_FUNCTIONS

from sandbox.kube import causes as wording
from sandbox.kube.cel_values import Converter
from sandbox.kube.errors import Cause
from sandbox.kube.schema_validation import ABSENT, child_path, counterpart, same

KEYWORD: Final = "x-kubernetes-validations"

# Operators and macros appear among a program's functions under these names.
_CORE: Final = frozenset(
    [
        "_&&_",
        "_||_",
        "_==_",
        "_!=_",
        "_<_",
        "_<=_",
        "_>_",
        "_>=_",
        "_+_",
        "_-_",
        "_*_",
        "_/_",
        "_%_",
        "_[_]",
        "_?_:_",
        "!_",
        "-_",
        "@in",
        "@not_strictly_false",
        "all",
        "exists",
        "exists_one",
        "map",
        "filter",
        "has",
        "size",
        "contains",
        "startsWith",
        "endsWith",
        "matches",
        "dyn",
        "type",
        "int",
        "uint",
        "double",
        "string",
        "bool",
        "bytes",
        "duration",
        "timestamp",
        "getDate",
        "getDayOfMonth",
        "getDayOfWeek",
        "getDayOfYear",
        "getFullYear",
        "getHours",
        "getMilliseconds",
        "getMinutes",
        "getMonth",
        "getSeconds",
    ]
)
_STRINGS: Final = frozenset(
    ["charAt", "indexOf", "lastIndexOf", "lowerAscii", "upperAscii", "replace", "split", "substring", "trim", "join"]
)
_OPTIONAL: Final = frozenset({"hasValue", "value", "orValue"})

_SIZE: Final = "xtrinode_size"
# String literals are matched first, so that a `size(` inside one is left alone.
_SIZE_CALL: Final = re.compile(
    r"""(?s)(?P<text>[rRbB]{0,2}(?:\"\"\".*?\"\"\"|'''.*?'''|"(?:\\.|[^"\\])*"|'(?:\\.|[^'\\])*')|//[^\n]*)"""
    r"|\bsize(?=\s*\()"
)
_MACRO: Final = re.compile(r"\.\s*(?:all|exists|exists_one|map|filter)\s*\(\s*([A-Za-z_]\w*)\s*,")

_REASONS: Final = ("FieldValueInvalid", "FieldValueForbidden", "FieldValueRequired", "FieldValueDuplicate")
_LONGEST_MESSAGE: Final = 5 * 1024


class BadExpression(Exception):
    """An expression that cannot be evaluated here: broken, or beyond the supported part of CEL."""


class EvaluationError(Exception):
    """An expression that failed on these values (a missing key, mismatched types)."""


class Expression:
    """One compiled expression over named variables."""

    def __init__(self, source: str, variables: frozenset[str], functions: frozenset[str] = frozenset()) -> None:
        self.source = source
        # The engine counts bytes where CEL counts characters, so `size` is ours.
        text = _SIZE_CALL.sub(lambda match: match["text"] or _SIZE, source)
        try:
            self._program = engine.compile(text)
        except ValueError as error:
            raise BadExpression(_syntax_error(error)) from error
        self.variables = frozenset(self._program.variables()) - set(_MACRO.findall(source))
        for name in sorted(self.variables - variables):
            raise BadExpression(f"undeclared reference to '{name}' (in container '')")
        known = _CORE | _STRINGS | functions | {_SIZE}
        for name in sorted(set(self._program.functions()) - known):
            raise BadExpression(
                f"undeclared reference to '{name}' (in container ''): "
                "the sandbox evaluates core CEL and the string functions only"
            )

    def evaluate(self, values: Mapping[str, Any]) -> Any:
        """The result; EvaluationError when there is none."""
        context = engine.Context()
        for name in _STRINGS:
            context.add_function(name, STDLIB_FUNCTIONS[name])
        context.add_function(_SIZE, len)
        try:
            for name in self.variables:
                context.add_variable(name, values[name])
            return self._program.execute(context)
        except KeyError as error:
            raise EvaluationError(f"no such key: {error.args[0] if error.args else ''}") from error
        except TypeError as error:
            raise EvaluationError("no such overload") from error
        except (ValueError, RuntimeError, ArithmeticError, LookupError, RecursionError) as error:
            raise EvaluationError(str(error).partition("\n")[0]) from error


@dataclass(frozen=True, slots=True)
class _Rule:
    expression: Expression
    message: str
    message_expression: Expression | None
    field_path: str
    reason: str
    uses_old: bool
    optional_old: bool

    def failure(self, path: str, value: Any, text: str) -> Cause:
        path += self.field_path if path or self.field_path.startswith("[") else self.field_path.lstrip(".")
        if self.reason == "FieldValueForbidden":
            return wording.forbidden(path, text)
        if self.reason == "FieldValueRequired":
            return wording.required(path, text)
        if self.reason == "FieldValueDuplicate":
            return wording.duplicate(path, value)
        return _invalid(path, value, text)


@dataclass(slots=True)
class _Node:
    schema: dict[str, Any]
    rules: tuple[_Rule, ...]
    converter: Converter
    properties: dict[str, _Node] = field(default_factory=dict)
    additional: _Node | None = None
    items: _Node | None = None
    # Whether rules, and rules that look at the old value, exist here or below.
    any_rules: bool = False
    transition_rules: bool = False


class Rules:
    """The compiled rules of one schema; raises BadExpression for what `check_rules` refuses."""

    def __init__(self, openapi: dict[str, Any]) -> None:
        self._root = _compile(openapi, root=True)
        self.any = self._root.any_rules

    def validate(self, obj: dict[str, Any], old: dict[str, Any] | None = None) -> list[Cause]:
        """The failed rules. Rules of parts that did not change are not held against the object."""
        found: list[Cause] = []
        if self.any:
            _judge(obj, self._root, "", ABSENT if old is None else old, found)
        return found


def check_rules(openapi: dict[str, Any], path: str = "spec.validation.openAPIV3Schema") -> list[Cause]:
    """What is wrong with the rules of a schema that is already known to be structural."""
    return list(_check(openapi, path, correlatable=True))


def _judge(value: Any, node: _Node, path: str, old: Any, found: list[Cause]) -> None:
    if value is None or not node.any_rules:
        return
    unchanged = old is not ABSENT and same(value, old)
    if unchanged and not node.transition_rules:
        return
    if node.rules:
        converted = node.converter.convert(value)
        before = node.converter.convert(old) if old is not ABSENT and old is not None else ABSENT
        for rule in node.rules:
            if rule.uses_old and before is ABSENT and not rule.optional_old:
                continue
            if not rule.uses_old and unchanged:
                continue
            cause = _apply(rule, value, path, converted, before)
            if cause is not None:
                found.append(cause)
    if isinstance(value, dict):
        before_object = old if isinstance(old, dict) else {}
        for key, item in value.items():
            below = node.properties.get(key, node.additional)
            if below is not None:
                _judge(item, below, child_path(path, key), before_object.get(key, ABSENT), found)
    elif isinstance(value, list) and node.items is not None:
        for index, item in enumerate(value):
            _judge(item, node.items, f"{path}[{index}]", counterpart(item, node.schema, old), found)


def _apply(rule: _Rule, shown_value: Any, path: str, value: Any, old: Any) -> Cause | None:
    values = {"self": value}
    if rule.optional_old:
        values["oldSelf"] = engine.OptionalValue.none() if old is ABSENT else engine.OptionalValue.of(old)
    elif rule.uses_old:
        values["oldSelf"] = old
    shown = rule.message or f"failed rule: {rule.expression.source.strip()}"
    try:
        if rule.expression.evaluate(values) is True:
            return None
    except EvaluationError as error:
        return _invalid(path, shown_value, f"{error} evaluating rule: {shown}")
    return rule.failure(path, shown_value, _message(rule, values) or shown)


def _invalid(path: str, value: Any, text: str) -> Cause:
    # Objects and lists are too long to be repeated; the real server leaves them out as well.
    if isinstance(value, dict | list):
        return wording.invalid_unshown(path, text)
    return wording.invalid(path, value, text)


def _message(rule: _Rule, values: Mapping[str, Any]) -> str:
    """What messageExpression says; empty when it says nothing usable, as on the real server."""
    if rule.message_expression is None:
        return ""
    try:
        text = rule.message_expression.evaluate(values)
    except EvaluationError:
        return ""
    if not isinstance(text, str) or "\n" in text.strip() or len(text) > _LONGEST_MESSAGE:
        return ""
    return text.strip()


def _compile(schema: dict[str, Any], *, root: bool = False) -> _Node:
    node = _Node(
        schema=schema,
        rules=tuple(_rule(raw) for raw in schema.get(KEYWORD) or []),
        converter=Converter(schema, root=root),
        properties={key: _compile(child) for key, child in (schema.get("properties") or {}).items()},
    )
    if isinstance(schema.get("additionalProperties"), dict):
        node.additional = _compile(schema["additionalProperties"])
    if isinstance(schema.get("items"), dict):
        node.items = _compile(schema["items"])
    below = [*node.properties.values(), *(each for each in (node.additional, node.items) if each)]
    node.any_rules = bool(node.rules) or any(each.any_rules for each in below)
    node.transition_rules = any(rule.uses_old for rule in node.rules) or any(each.transition_rules for each in below)
    return node


def _rule(raw: Mapping[str, Any]) -> _Rule:
    optional = raw.get("optionalOldSelf") is True
    names = frozenset({"self", "oldSelf"})
    functions = _OPTIONAL if optional else frozenset[str]()
    expression = Expression(raw["rule"], names, functions)
    said = raw.get("messageExpression")
    message = Expression(said, names, functions) if said else None
    return _Rule(
        expression=expression,
        message=(raw.get("message") or "").strip(),
        message_expression=message,
        field_path=raw.get("fieldPath") or "",
        reason=raw.get("reason") or "FieldValueInvalid",
        uses_old="oldSelf" in expression.variables,
        optional_old=optional,
    )


def _check(schema: dict[str, Any], path: str, *, correlatable: bool) -> Iterator[Cause]:
    raw_rules = schema.get(KEYWORD)
    if raw_rules is not None and not isinstance(raw_rules, list):
        yield wording.invalid(f"{path}.{KEYWORD}", raw_rules, "must be a list")
        raw_rules = None
    for index, raw in enumerate(raw_rules or []):
        yield from _check_rule(raw, schema, f"{path}.{KEYWORD}[{index}]", correlatable)
    for name, child in (schema.get("properties") or {}).items():
        yield from _check(child, f"{path}.properties[{name}]", correlatable=correlatable)
    if isinstance(schema.get("additionalProperties"), dict):
        below = f"{path}.additionalProperties"
        yield from _check(schema["additionalProperties"], below, correlatable=correlatable)
    if isinstance(schema.get("items"), dict):
        # Only the items of a list map can be told apart from one version to the next.
        matched = correlatable and schema.get("x-kubernetes-list-type") == "map"
        yield from _check(schema["items"], f"{path}.items", correlatable=matched)


def _check_rule(raw: Any, schema: dict[str, Any], path: str, correlatable: bool) -> Iterator[Cause]:
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
    functions = _OPTIONAL if raw.get("optionalOldSelf") is True else frozenset[str]()
    for key in ("rule", "messageExpression"):
        if not raw.get(key):
            continue
        try:
            expression = Expression(raw[key], names, functions)
        except BadExpression as error:
            yield wording.invalid(f"{path}.{key}", raw[key], f"compilation failed: ERROR: <input>: {error}")
            continue
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


def _syntax_error(error: ValueError) -> str:
    match = re.search(r"<input>:(\d+:\d+: [^\n]*)", str(error))
    return match[1] if match else str(error).partition("\n")[0]
