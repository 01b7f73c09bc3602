"""Everything a CRD version's schema asks of its objects, in one object.

The API verbs call `prune`, `default` and `validate` of a `CustomSchema`; the CRD's own validation calls
`check_schema` first. Schema before rules: rules may trust the types. Pure.
"""

from __future__ import annotations

from typing import Any

from sandbox.kube.causes import invalid
from sandbox.kube.cel import Rules
from sandbox.kube.cel_check import check_rules
from sandbox.kube.errors import Cause
from sandbox.kube.schema_check import check_structural
from sandbox.kube.structural import StructuralSchema

_UNCHECKED = (
    "some validation rules were not checked because the object was invalid; "
    "correct the existing errors to complete validation"
)
# Errors after which a rule could stumble over a value of the wrong shape.
_BLOCKING = frozenset(
    {
        "FieldValueRequired",
        "FieldValueNotSupported",
        "FieldValueTypeInvalid",
        "FieldValueTooLong",
        "FieldValueTooMany",
    }
)


class CustomSchema(StructuralSchema):
    """A structural schema with its CEL rules."""

    def __init__(self, openapi: dict[str, Any]) -> None:
        super().__init__(openapi)
        self._rules = Rules(openapi)

    def validate(self, obj: dict[str, Any], old: dict[str, Any] | None = None) -> list[Cause]:
        """What is wrong with `obj`; parts that are equal in `old` may stay as they are."""
        causes = super().validate(obj, old)
        if any(cause.reason in _BLOCKING for cause in causes):
            if self._rules.any:
                causes.append(invalid("", None, _UNCHECKED))
            return causes
        return causes + self._rules.validate(obj, old)


def check_schema(openapi: dict[str, Any], path: str = "spec.validation.openAPIV3Schema") -> list[Cause]:
    """Why a CRD with this schema is refused; empty when `CustomSchema` takes it."""
    return check_structural(openapi, path) or check_rules(openapi, path)
