"""Whether a live object still is what we rendered.

The executor asks before every write, so that a steady state makes no writes and yet a field that somebody
edited is mended. Compared is only what we rendered: what the API server defaulted, what autoscalers,
meshes and people added beside it is theirs.

Told apart from a real difference: a quantity in another spelling (`1000m` is `1`), an empty value that the
API server dropped, a list of named items that somebody extended. What a rendered object no longer holds
cannot be seen here; the hash of the applied object tells that.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any

import orjson

from crds.v1.quantity import parse_quantity

#: Keys whose values are quantities.
_QUANTITIES = frozenset({"limits", "requests", "sizeLimit", "hard"})
#: How Kubernetes tells list items apart, in the order of preference.
_ITEM_KEYS = ("mountPath", "name", "uid")


def digest(value: Any, length: int = 16) -> str:
    """Hex digest of a JSON value; the same for equal values whatever their key order."""
    data = value if isinstance(value, bytes) else orjson.dumps(value, option=orjson.OPT_SORT_KEYS)
    return hashlib.sha256(data).hexdigest()[:length]


def agrees(desired: Any, live: Any, *, quantity: bool = False) -> bool:
    """Whether everything that `desired` says holds in `live`."""
    if isinstance(desired, Mapping):
        if not isinstance(live, Mapping):
            return not desired and live is None
        return all(
            agrees(value, live.get(key), quantity=quantity or key in _QUANTITIES) for key, value in desired.items()
        )
    if isinstance(desired, Sequence) and not isinstance(desired, str | bytes):
        return _lists_agree(desired, live, quantity)
    if desired == live and isinstance(desired, bool) == isinstance(live, bool):
        return True
    if live is None:
        return not desired
    return quantity and _same_quantity(desired, live)


def _lists_agree(desired: Sequence[Any], live: Any, quantity: bool) -> bool:
    if not isinstance(live, Sequence) or isinstance(live, str | bytes):
        return not desired and live is None
    key = _item_key(desired)
    if key is None:
        return len(desired) == len(live) and all(
            agrees(one, other, quantity=quantity) for one, other in zip(desired, live, strict=True)
        )
    by_key = {item.get(key): item for item in live if isinstance(item, Mapping)}
    return all(item[key] in by_key and agrees(item, by_key[item[key]], quantity=quantity) for item in desired)


def _item_key(items: Sequence[Any]) -> str | None:
    for key in _ITEM_KEYS:
        names = {item.get(key) for item in items if isinstance(item, Mapping) and isinstance(item.get(key), str)}
        if items and len(names) == len(items):
            return key
    return None


def _same_quantity(one: Any, other: Any) -> bool:
    try:
        return parse_quantity(one) == parse_quantity(other)
    except (ValueError, TypeError):
        return False
