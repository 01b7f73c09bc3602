"""Events exist once and are shown in two forms: `v1` and `events.k8s.io/v1`. This converts between them. Pure."""

from __future__ import annotations

from typing import Any, Final

Object = dict[str, Any]

# v1 name, events.k8s.io name
_RENAMED: Final = (
    ("involvedObject", "regarding"),
    ("message", "note"),
    ("reportingComponent", "reportingController"),
    ("source", "deprecatedSource"),
    ("firstTimestamp", "deprecatedFirstTimestamp"),
    ("lastTimestamp", "deprecatedLastTimestamp"),
    ("count", "deprecatedCount"),
)
_TO_NEW: Final = dict(_RENAMED)
_TO_CORE: Final = {new: core for core, new in _RENAMED}


def events_form(obj: Object) -> Object:
    """A stored (v1) Event as events.k8s.io/v1."""
    renamed = {_TO_NEW.get(key, key): value for key, value in obj.items()}
    return {**renamed, "apiVersion": "events.k8s.io/v1"}


def core_form(obj: Object) -> Object:
    """An events.k8s.io/v1 Event as it is stored."""
    renamed = {_TO_CORE.get(key, key): value for key, value in obj.items()}
    return {**renamed, "apiVersion": "v1"}
