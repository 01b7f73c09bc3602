"""Label and field selectors: parsed once per request, then asked of many objects.

Used by list, watch, deletecollection and tables. Label selectors are the set-based and equality-based grammar of the
API's query strings and the structured form (`matchLabels`, `matchExpressions`) of specs. Pure.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any, Final

from sandbox.kube import errors

Object = dict[str, Any]
Requirement = Callable[[Mapping[str, str]], bool]
LabelSelector = tuple[Requirement, ...]

_TOKEN: Final = re.compile(r"\s*(?:(?P<op>==|!=|[=,()!<>])|(?P<word>[^\s=,()!<>]+))")
_KEY: Final = re.compile(r"(?:[a-z0-9]([-a-z0-9.]*[a-z0-9])?/)?[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?")
_VALUE: Final = re.compile(r"(?:[A-Za-z0-9](?:[-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?)?")

EVERYTHING: Final[LabelSelector] = ()


def parse_labels(text: str) -> LabelSelector:
    """`app=a,tier in (x,y),!legacy` as a selector; 400 when it cannot be read."""
    tokens = _tokens(text)
    requirements: list[Requirement] = []
    position = 0
    while position < len(tokens):
        requirement, position = _requirement(tokens, position, text)
        requirements.append(requirement)
        if position < len(tokens):
            found = tokens[position]
            if found != ",":
                raise _unreadable(text, f"found '{found}', expected: ',' or end of string")
            position += 1
            if position == len(tokens):
                raise _unreadable(text, "found '', expected: identifier after ','")
    return tuple(requirements)


def from_spec(spec: Mapping[str, Any] | None) -> LabelSelector:
    """A `LabelSelector` object. Empty selects everything; None, an absent selector, selects nothing."""
    if spec is None:
        return (lambda _labels: False,)
    requirements = [_in(key, {value}) for key, value in (spec.get("matchLabels") or {}).items()]
    for expression in spec.get("matchExpressions") or ():
        key, values = expression.get("key", ""), set(expression.get("values") or ())
        match expression.get("operator"):
            case "In":
                requirements.append(_in(key, values))
            case "NotIn":
                requirements.append(_not_in(key, values))
            case "Exists":
                requirements.append(_exists(key))
            case "DoesNotExist":
                requirements.append(_absent(key))
            case other:
                raise errors.bad_request(f"{other!r} is not a valid label selector operator")
    return tuple(requirements)


def format_spec(spec: Mapping[str, Any] | None) -> str:
    """A `LabelSelector` object in the query grammar, as the scale sub-resource shows it."""
    if not spec:
        return ""
    parts = [f"{key}={value}" for key, value in sorted((spec.get("matchLabels") or {}).items())]
    for expression in spec.get("matchExpressions") or ():
        key, operator = expression.get("key", ""), expression.get("operator", "")
        values = ",".join(sorted(expression.get("values") or ()))
        form = {"In": f"{key} in ({values})", "NotIn": f"{key} notin ({values})", "Exists": key}
        parts.append(form.get(operator, f"!{key}"))
    return ",".join(parts)


def matches(selector: LabelSelector, labels: Mapping[str, str] | None) -> bool:
    present = labels or {}
    return all(requirement(present) for requirement in selector)


def _tokens(text: str) -> list[str]:
    tokens: list[str] = []
    position = 0
    stripped = text.rstrip()
    while position < len(stripped):
        match = _TOKEN.match(stripped, position)
        if match is None:  # unreachable by construction of the pattern; kept as a parser's last word
            raise _unreadable(text, f"at {position}")
        tokens.append(match["op"] or match["word"])
        position = match.end()
    return tokens


def _requirement(tokens: list[str], at: int, text: str) -> tuple[Requirement, int]:
    if tokens[at] == "!":
        return _absent(_key(tokens, at + 1, text)), at + 2
    key = _key(tokens, at, text)
    operator = tokens[at + 1] if at + 1 < len(tokens) else ","
    if operator == ",":
        return _exists(key), at + 1
    if operator in ("in", "notin"):
        values, end = _values(tokens, at + 2, text)
        return (_in(key, values) if operator == "in" else _not_in(key, values)), end
    if operator in ("=", "==", "!=", "<", ">"):
        # An empty value is allowed: `a=` selects objects whose label a is empty.
        has_value = at + 2 < len(tokens) and tokens[at + 2] != ","
        value = _value(tokens[at + 2], text) if has_value else ""
        return _compare(key, operator, value, text), at + (3 if has_value else 2)
    raise _unreadable(text, f"found '{operator}', expected: in, notin, =, ==, !=, gt, lt")


def _values(tokens: list[str], at: int, text: str) -> tuple[set[str], int]:
    if at >= len(tokens) or tokens[at] != "(":
        raise _unreadable(text, f"found '{tokens[at] if at < len(tokens) else ''}', expected: '('")
    values: set[str] = set()
    pending = ""
    for position in range(at + 1, len(tokens)):
        word = tokens[position]
        if word in (",", ")"):
            values.add(pending)
            pending = ""
            if word == ")":
                return values, position + 1
        elif pending:
            raise _unreadable(text, f"found '{word}', expected: ',' or ')'")
        else:
            pending = _value(word, text)
    raise _unreadable(text, "found '', expected: ')'")


def _key(tokens: list[str], at: int, text: str) -> str:
    key = tokens[at] if at < len(tokens) else ""
    if _KEY.fullmatch(key) is None:
        raise _unreadable(text, f"found '{key}', expected: identifier")
    return key


def _value(token: str, text: str) -> str:
    if _VALUE.fullmatch(token) is None:
        raise _unreadable(text, f"'{token}' is not a valid label value")
    return token


def _compare(key: str, operator: str, value: str, text: str) -> Requirement:
    if operator in ("=", "=="):
        return _in(key, {value})
    if operator == "!=":
        return _not_in(key, {value})
    try:
        bound = int(value)
    except ValueError:
        raise _unreadable(text, f"for 'Gt', 'Lt' operators, the value must be an integer: '{value}'") from None
    return _greater(key, bound) if operator == ">" else _less(key, bound)


def _in(key: str, values: set[str]) -> Requirement:
    return lambda labels: labels.get(key) in values


def _not_in(key: str, values: set[str]) -> Requirement:
    return lambda labels: key not in labels or labels[key] not in values


def _exists(key: str) -> Requirement:
    return lambda labels: key in labels


def _absent(key: str) -> Requirement:
    return lambda labels: key not in labels


def _greater(key: str, bound: int) -> Requirement:
    return lambda labels: _integer(labels.get(key)) > bound if _is_integer(labels.get(key)) else False


def _less(key: str, bound: int) -> Requirement:
    return lambda labels: _integer(labels.get(key)) < bound if _is_integer(labels.get(key)) else False


def _is_integer(text: str | None) -> bool:
    return text is not None and re.fullmatch(r"[+-]?[0-9]{1,18}", text) is not None


def _integer(text: str | None) -> int:
    return int(text or "0")


def _unreadable(text: str, why: str) -> errors.StatusError:
    return errors.bad_request(f'unable to parse requirement in "{text}": {why}')


# -- fields

FieldSelector = tuple[tuple[str, str, bool], ...]  # path, value, whether it must be equal

_FIELD: Final = re.compile(r"([^=!]+)(==|=|!=)(.*)", re.DOTALL)


def parse_fields(text: str) -> FieldSelector:
    """`metadata.name=a,status.phase!=Failed`; commas, equal signs and backslashes in values are escaped by `\\`."""
    terms: list[tuple[str, str, bool]] = []
    for part in _split_fields(text):
        if not part:
            continue
        match = _FIELD.fullmatch(part)
        if match is None:
            raise errors.bad_request(f"invalid selector: '{text}'; can't understand '{part}'")
        terms.append((match[1].strip(), _unescape(match[3]), match[2] != "!="))
    return tuple(terms)


def check_fields(selector: FieldSelector, supported: tuple[str, ...]) -> None:
    """400 for a path that this kind cannot be selected by."""
    for path, _, _ in selector:
        if path not in supported and path not in ("metadata.name", "metadata.namespace"):
            raise errors.bad_request(f'field label not supported: "{path}"')


def matches_fields(selector: FieldSelector, obj: Object) -> bool:
    return all((field_value(obj, path) == value) is wanted for path, value, wanted in selector)


def name_of(selector: FieldSelector) -> str:
    """The single name that a selector asks for, "" when it is broader."""
    return next((value for path, value, wanted in selector if path == "metadata.name" and wanted), "")


def field_value(obj: Object, path: str) -> str:
    """The value at a dotted path as a field selector sees it: text, "" when absent."""
    value: Any = obj
    for key in path.split("."):
        if not isinstance(value, dict):
            return ""
        value = value.get(key)
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value)


def _split_fields(text: str) -> list[str]:
    parts, current, escaped = [], "", False
    for char in text:
        if escaped:
            current += "\\" + char
            escaped = False
        elif char == "\\":
            escaped = True
        elif char == ",":
            parts.append(current)
            current = ""
        else:
            current += char
    if escaped:
        raise errors.bad_request(f"invalid field selector: {text}: ends with an escape")
    parts.append(current)
    return parts


def _unescape(text: str) -> str:
    return re.sub(r"\\(.)", r"\1", text, flags=re.DOTALL)
