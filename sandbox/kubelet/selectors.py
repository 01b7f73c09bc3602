"""Label selectors and node selector terms: does this selector select those labels?

Used by the workload controllers, the scheduler and the EndpointSlice decisions. An empty label selector
selects everything, an absent one nothing; callers that mean otherwise say so before they ask.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def selects(selector: Mapping[str, Any] | None, labels: Mapping[str, str]) -> bool:
    """Evaluate a LabelSelector (`matchLabels` and `matchExpressions`)."""
    if selector is None:
        return False
    if not selects_exactly(selector.get("matchLabels") or {}, labels):
        return False
    return all(_expression(item, labels) for item in selector.get("matchExpressions") or [])


def selects_exactly(wanted: Mapping[str, str], labels: Mapping[str, str]) -> bool:
    """Evaluate a plain map of labels, as Services and nodeSelectors use it."""
    return all(labels.get(name) == value for name, value in wanted.items())


def node_affinity_allows(affinity: Mapping[str, Any], labels: Mapping[str, str], node_name: str) -> bool:
    """Evaluate the required part of a pod's node affinity; its terms are alternatives."""
    node = affinity.get("nodeAffinity") or {}
    required = node.get("requiredDuringSchedulingIgnoredDuringExecution")
    if not required:
        return True
    fields = {"metadata.name": node_name}
    for term in required.get("nodeSelectorTerms") or []:
        expressions = term.get("matchExpressions") or []
        field_expressions = term.get("matchFields") or []
        if not expressions and not field_expressions:
            continue  # an empty term selects no node
        if all(_expression(item, labels) for item in expressions) and all(
            _expression(item, fields) for item in field_expressions
        ):
            return True
    return False


def _expression(item: Mapping[str, Any], labels: Mapping[str, str]) -> bool:
    name = item.get("key") or ""
    values = item.get("values") or []
    operator = item.get("operator")
    if operator == "In":
        return labels.get(name) in values
    if operator == "NotIn":
        return name not in labels or labels[name] not in values
    if operator == "Exists":
        return name in labels
    if operator == "DoesNotExist":
        return name not in labels
    if operator in ("Gt", "Lt"):
        try:
            actual, bound = int(labels[name]), int(values[0])
        except (KeyError, IndexError, ValueError):
            return False
        return actual > bound if operator == "Gt" else actual < bound
    return False
