"""CEL: the rules of CRD schemas (`x-kubernetes-validations`) and the expressions of webhook matchConditions.

`Rules(openapi)` is compiled once per CRD version and judges objects after the schema has passed them. Supported is
core CEL plus the string functions of Kubernetes; an expression that needs more (quantity, url, ip, cidr, format,
optional fields `.?`) is a BadExpression, so it is refused when it is written, never ignored when it should
hold. Cost is not estimated and not limited. Pure.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
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
OPTIONAL: Final = frozenset({"hasValue", "value", "orValue"})

_SIZE: Final = "xtrinode_size"
_LITERAL: Final = r"""[rRbB]{0,2}(?:\"\"\".*?\"\"\"|'''.*?'''|"(?:\\.|[^"\\])*"|'(?:\\.|[^'\\])*')|//[^\n]*"""
# String literals are matched first, so that a `size(` inside one is left alone.
_SIZE_CALL: Final = re.compile(rf"(?s)(?P<text>{_LITERAL})|\bsize(?=\s*\()")
LITERALS: Final = re.compile(rf"(?s){_LITERAL}")
_MACRO: Final = re.compile(r"\.\s*(?:all|exists|exists_one|map|filter)\s*\(\s*([A-Za-z_]\w*)\s*,")

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
    """The compiled rules of one schema, which must have passed their check; raises BadExpression otherwise."""

    def __init__(self, openapi: dict[str, Any]) -> None:
        self._root = _compile(openapi, root=True)
        self.any = self._root.any_rules

    def validate(self, obj: dict[str, Any], old: dict[str, Any] | None = None) -> list[Cause]:
        """The failed rules. Rules of parts that did not change are not held against the object."""
        found: list[Cause] = []
        if self.any:
            _judge(obj, self._root, "", ABSENT if old is None else old, found)
        return found


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
    functions = OPTIONAL if optional else frozenset[str]()
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


def _syntax_error(error: ValueError) -> str:
    match = re.search(r"<input>:(\d+:\d+: [^\n]*)", str(error))
    return match[1] if match else str(error).partition("\n")[0]
