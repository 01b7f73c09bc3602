"""Access to Kubernetes: the only package that speaks kr8s, and that decides how the API server is called.

Names are imported from here or from their modules; they load on first use, so that a command that only
wants `Resource` pays for neither aiohttp nor kr8s.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from crds.client.credentials import Credentials as Credentials
    from crds.client.credentials import Impersonation as Impersonation
    from crds.client.errors import AlreadyExists as AlreadyExists
    from crds.client.errors import ApiError as ApiError
    from crds.client.errors import BadRequest as BadRequest
    from crds.client.errors import ConfigError as ConfigError
    from crds.client.errors import Conflict as Conflict
    from crds.client.errors import Forbidden as Forbidden
    from crds.client.errors import Gone as Gone
    from crds.client.errors import InternalError as InternalError
    from crds.client.errors import Invalid as Invalid
    from crds.client.errors import KubeError as KubeError
    from crds.client.errors import Malformed as Malformed
    from crds.client.errors import NotFound as NotFound
    from crds.client.errors import TooManyRequests as TooManyRequests
    from crds.client.errors import Unauthorized as Unauthorized
    from crds.client.errors import Unavailable as Unavailable
    from crds.client.events import EventRecorder as EventRecorder
    from crds.client.informer import Informer as Informer
    from crds.client.informer import ShapedInformer as ShapedInformer
    from crds.client.leases import Grant as Grant
    from crds.client.leases import LeaderElector as LeaderElector
    from crds.client.leases import Timing as Timing
    from crds.client.leases import release as release
    from crds.client.leases import try_acquire as try_acquire
    from crds.client.resources import Resource as Resource
    from crds.client.resources import resource_for as resource_for
    from crds.client.retry import RetryPolicy as RetryPolicy
    from crds.client.store import by_label as by_label
    from crds.client.store import by_namespace as by_namespace
    from crds.client.transport import KubeClient as KubeClient
    from crds.client.transport import ObjectList as ObjectList
    from crds.client.watch_stream import WatchEvent as WatchEvent

_HOMES = {
    "credentials": ("Credentials", "Impersonation"),
    "errors": (
        "AlreadyExists",
        "ApiError",
        "BadRequest",
        "ConfigError",
        "Conflict",
        "Forbidden",
        "Gone",
        "InternalError",
        "Invalid",
        "KubeError",
        "Malformed",
        "NotFound",
        "TooManyRequests",
        "Unauthorized",
        "Unavailable",
    ),
    "events": ("EventRecorder",),
    "informer": ("Informer", "ShapedInformer"),
    "leases": ("Grant", "LeaderElector", "Timing", "release", "try_acquire"),
    "resources": ("Resource", "resource_for"),
    "retry": ("RetryPolicy",),
    "store": ("by_label", "by_namespace"),
    "transport": ("KubeClient", "ObjectList"),
    "watch_stream": ("WatchEvent",),
}
_MODULE_OF = {name: module for module, names in _HOMES.items() for name in names}

__all__ = sorted(_MODULE_OF)  # noqa: PLE0605 - one table, not two lists


def __getattr__(name: str) -> Any:
    module = _MODULE_OF.get(name)
    if module is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{module}"), name)
