"""Following objects as they change: one watch after the other, through restarts of the API server.

Used by `get --watch` and by whatever waits for a phase. It decides nothing about objects. Gone goes to the caller, who
has to look at everything anew.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator
from typing import Any

from crds.client.errors import ApiError, InternalError, TooManyRequests, Unavailable
from crds.client.resources import Resource
from kubectl_xtrinode.kube import JSON, Kube
from kubectl_xtrinode.output import note

_LONGEST = 300.0
_PAUSE = 1.0


def follow(
    kube: Kube,
    resource: Resource,
    namespace: str | None,
    version: str,
    *,
    accept: str = JSON,
    selector: str = "",
    until: float = math.inf,
    now: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
) -> Iterator[tuple[str, dict[str, Any]]]:
    """Events (type, object) after `version`, for ever or until the moment `until` of `now`."""
    lost = False
    while (left := until - now()) > 0:
        try:
            timeout = max(1, int(min(left, _LONGEST)))
            for kind, obj in kube.watch(
                resource, namespace, version, timeout=timeout, accept=accept, labelSelector=selector
            ):
                if lost:
                    note("connected again")
                    lost = False
                version = version_of(obj) or version
                if kind != "BOOKMARK":
                    yield kind, obj
                if now() >= until:
                    return
        except (Unavailable, InternalError, TooManyRequests) as error:
            if not lost:
                note(f"{_words(error)}; trying again")
                lost = True
        sleep(min(_PAUSE, max(until - now(), 0.0)))


def _words(error: ApiError) -> str:
    return error.message or f"the server answered {error.status}"


def version_of(obj: dict[str, Any]) -> str:
    """The resource version of an object, or of the last row of a table."""
    rows = obj.get("rows") or [{}]
    metadata = (rows[-1].get("object") or {}).get("metadata") or obj.get("metadata") or {}
    return str(metadata.get("resourceVersion") or "")
