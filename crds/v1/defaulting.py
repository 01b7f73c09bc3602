"""What the mutating webhook fills in and tidies: a pure function of the object, on plain dicts.

It never changes what the user meant: it spells enumerations as the schema does (`S` -> `s`), drops
nulls that a schema would refuse, and writes down the defaults of the lifecycle, so that
`kubectl get -o yaml` shows what holds. Every default is also in the types and in the CRD, therefore a
cluster whose webhook is down loses nothing but the tidying.

Applying it twice is the same as applying it once.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from crds.v1.xtrinode import XTrinodeSpec

#: Fields that are written down when they are missing.
WRITTEN_DEFAULTS = ("minWorkers", "suspended", "autoSuspendAfter", "resumePolicy", "drainTimeout", "drainPolicy")

#: Enumerations that are read without regard to case, and how they are spelt.
_SPELLINGS: dict[str, Callable[[str], str]] = {
    "size": str.lower,
    "placement.existingNodePool.provider": str.lower,
    "keda.scalerType": str.lower,
    "keda.scalingMetric": str.lower,
    "faultTolerantExecution.retryPolicy": str.upper,
    "helmChartConfig.accessControl.type": str.lower,
}


def default_xtrinode(obj: Mapping[str, Any]) -> dict[str, Any]:
    """The object with defaults. What has the wrong form is left as it is, for validation to name."""
    result = dict(obj)
    spec = obj.get("spec")
    if not isinstance(spec, Mapping):
        return result
    tidy = _without_nulls(spec, keep=frozenset({"valuesOverlay"}))
    for path, spell in _SPELLINGS.items():
        tidy = _respell(tidy, path.split("."), spell)
    for name, info in XTrinodeSpec.model_fields.items():
        alias = info.alias or name
        if alias in WRITTEN_DEFAULTS and alias not in tidy:
            tidy[alias] = info.default
    result["spec"] = tidy
    return result


def default_catalog(obj: Mapping[str, Any]) -> dict[str, Any]:
    """The same for a catalog: it has no defaults, only nulls to drop."""
    result = dict(obj)
    spec = obj.get("spec")
    if isinstance(spec, Mapping):
        result["spec"] = _without_nulls(spec, keep=frozenset())
    return result


def _without_nulls(value: Mapping[str, Any], keep: frozenset[str]) -> dict[str, Any]:
    """Nulls mean "not set", in lists' objects as well. Inside an overlay they are the user's and stay."""
    return {key: item if key in keep else _tidy(item, keep) for key, item in value.items() if item is not None}


def _tidy(value: Any, keep: frozenset[str]) -> Any:
    if isinstance(value, Mapping):
        return _without_nulls(value, keep)
    return [_tidy(item, keep) for item in value] if isinstance(value, list) else value


def _respell(value: dict[str, Any], path: list[str], spell: Callable[[str], str]) -> dict[str, Any]:
    item = value.get(path[0])
    if len(path) > 1:
        return {**value, path[0]: _respell(dict(item), path[1:], spell)} if isinstance(item, Mapping) else value
    return {**value, path[0]: spell(item.strip())} if isinstance(item, str) else value
