"""Who calls, and whether they may: Kubernetes' own tokens and RBAC, asked by TokenReview and SubjectAccessReview.

Reading needs `get` or `list` on `xtrinodes`; resume and suspend need `update` on the virtual sub-resources
`xtrinodes/resume` and `xtrinodes/suspend`, so that a caller such as the gateway can be granted waking and nothing else.
Answers are remembered for a few seconds. What cannot be asked is refused.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from cachetools import TTLCache

from crds.client import ApiError, KubeClient
from crds.client.resources import SUBJECT_ACCESS_REVIEWS, TOKEN_REVIEWS
from crds.v1.meta import GROUP

_REMEMBER_SECONDS = 15.0
_REMEMBER = 4096


@dataclass(frozen=True, slots=True)
class Caller:
    username: str
    uid: str
    groups: tuple[str, ...]


class Access:
    """Authentication and authorization of callers; `clock` is monotonic seconds."""

    def __init__(self, client: KubeClient, clock: Callable[[], float]) -> None:
        self._client = client
        self._callers: TTLCache[bytes, Caller | None] = TTLCache(_REMEMBER, _REMEMBER_SECONDS, timer=clock)
        self._allowed: TTLCache[tuple[object, ...], bool] = TTLCache(_REMEMBER, _REMEMBER_SECONDS, timer=clock)

    async def caller(self, authorization: str | None) -> Caller | None:
        """Whose bearer token this is; None when it is none or nobody's. Raises ApiError when it cannot be asked."""
        scheme, _, token = (authorization or "").partition(" ")
        if scheme.lower() != "bearer" or not token.strip():
            return None
        key = hashlib.sha256(token.strip().encode()).digest()  # no token in memory longer than its request
        if key not in self._callers:
            review = {"spec": {"token": token.strip()}}
            status = (await self._client.create(TOKEN_REVIEWS, review, idempotent=True)).get("status") or {}
            self._callers[key] = _caller(status) if status.get("authenticated") is True else None
        return self._callers[key]

    async def may(self, caller: Caller, verb: str, subresource: str, namespace: str, name: str) -> bool:
        """Whether `caller` holds the permission. Fails closed."""
        key = (caller, verb, subresource, namespace, name)
        if key not in self._allowed:
            attributes = {
                "verb": verb,
                "group": GROUP,
                "resource": "xtrinodes",
                "subresource": subresource,
                "namespace": namespace,
                "name": name,
            }
            spec = {
                "user": caller.username,
                "uid": caller.uid,
                "groups": list(caller.groups),
                "resourceAttributes": {field: value for field, value in attributes.items() if value},
            }
            try:
                reply = await self._client.create(SUBJECT_ACCESS_REVIEWS, {"spec": spec}, idempotent=True)
            except ApiError:
                return False
            self._allowed[key] = (reply.get("status") or {}).get("allowed") is True
        return self._allowed[key]


def _caller(status: dict[str, Any]) -> Caller:
    user = status.get("user") or {}
    groups = tuple(str(group) for group in user.get("groups") or ())
    return Caller(str(user.get("username") or ""), str(user.get("uid") or ""), groups)
