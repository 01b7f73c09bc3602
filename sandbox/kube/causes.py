"""Why an object was refused, in Kubernetes' own words.

The constructors below hold the wording that people know from kubectl, one per reason; everything in the
API server that judges objects (schemas, CEL rules, CRD checks) builds its causes here. Nothing is raised
and nothing is formatted as HTTP.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from sandbox.kube.errors import Cause

ROOT = "<nil>"
"""How the real server prints the path of the whole object."""


def required(path: str, detail: str = "") -> Cause:
    """A field that must be there is not."""
    return Cause("FieldValueRequired", _join("Required value", detail), path or ROOT)


def forbidden(path: str, detail: str) -> Cause:
    """A field that must not be there, is."""
    return Cause("FieldValueForbidden", _join("Forbidden", detail), path or ROOT)


def invalid(path: str, value: Any, detail: str) -> Cause:
    """A value that breaks a rule."""
    return Cause("FieldValueInvalid", _join(f"Invalid value: {quote(value)}", detail), path or ROOT)


def invalid_unshown(path: str, detail: str) -> Cause:
    """A value that breaks a rule, and that is too long to be repeated."""
    return Cause("FieldValueInvalid", f"Invalid value: {detail}", path or ROOT)


def type_invalid(path: str, value: Any, detail: str) -> Cause:
    """A value of the wrong type or format."""
    return Cause("FieldValueTypeInvalid", _join(f"Invalid value: {quote(value)}", detail), path or ROOT)


def not_supported(path: str, value: Any, supported: Sequence[Any]) -> Cause:
    """A value outside an enumeration."""
    names = [item if isinstance(item, str) else _dumps(item) for item in supported]
    detail = "supported values: " + ", ".join(_quote_string(name) for name in names) if names else ""
    return Cause("FieldValueNotSupported", _join(f"Unsupported value: {quote(value)}", detail), path or ROOT)


def duplicate(path: str, value: Any) -> Cause:
    """A list that must hold each item (or key) once holds this one again."""
    return Cause("FieldValueDuplicate", f"Duplicate value: {quote(value)}", path or ROOT)


def too_long(path: str, limit: int) -> Cause:
    """A string with too many characters (the real server says bytes)."""
    unit = "byte" if limit == 1 else "bytes"
    return Cause("FieldValueTooLong", f"Too long: may not be more than {limit} {unit}", path or ROOT)


def too_many(path: str, actual: int, limit: int) -> Cause:
    """A list with too many items."""
    unit = "item" if limit == 1 else "items"
    return Cause("FieldValueTooMany", f"Too many: {actual}: must have at most {limit} {unit}", path or ROOT)


def quote(value: Any) -> str:
    """A value as the real server prints it: strings quoted, the rest as JSON."""
    if isinstance(value, str):
        return _quote_string(value)
    return _dumps(value)


def _quote_string(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)


def _dumps(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"), sort_keys=True, default=str)


def _join(head: str, detail: str) -> str:
    return f"{head}: {detail}" if detail else head
