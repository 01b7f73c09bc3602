"""Asks the API server whether a user holds the permissions that an edit needs (SubjectAccessReview).

Answers are remembered for a few seconds, because clients retry and GitOps tools re-apply. A question that cannot be
asked is a refusal: admission fails closed on access.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import Any

from cachetools import TTLCache

from crds.client import ApiError, KubeClient
from crds.client.resources import SUBJECT_ACCESS_REVIEWS
from crds.v1.meta import FieldError
from webhook.privileges import Access
from webhook.review import User

_LOG = logging.getLogger(__name__)
_REMEMBER_SECONDS = 10.0
_REMEMBER = 4096


class _Unknown:
    """No answer is remembered. (None is one: allowed.)"""


_UNKNOWN = _Unknown()


class Authorizer:
    """One per process; `clock` is monotonic seconds."""

    def __init__(self, client: KubeClient, *, clock: Callable[[], float], timeout: float = 3.0) -> None:
        self._client = client
        self._timeout = timeout
        self._known: TTLCache[tuple[Any, ...], str | None] = TTLCache(_REMEMBER, _REMEMBER_SECONDS, timer=clock)

    async def refusals(self, user: User, accesses: tuple[Access, ...]) -> tuple[FieldError, ...]:
        """An error for each permission that `user` does not hold; empty when all are held."""
        answers = await asyncio.gather(*(self._ask(user, access) for access in accesses))
        return tuple(
            access.refusal(user.username, reason)
            for access, reason in zip(accesses, answers, strict=True)
            if reason is not None
        )

    async def _ask(self, user: User, access: Access) -> str | None:
        """None when allowed, else the authorizer's reason (may be empty)."""
        extra = tuple(sorted(user.extra.items()))
        key = (user.username, user.uid, user.groups, extra, *_attributes(access).items())
        known = self._known.get(key, _UNKNOWN)  # one look: between two the entry may run out
        if not isinstance(known, _Unknown):
            return known
        review = {
            "apiVersion": SUBJECT_ACCESS_REVIEWS.api_version,
            "kind": SUBJECT_ACCESS_REVIEWS.kind,
            "spec": {
                "user": user.username,
                "uid": user.uid,
                "groups": list(user.groups),
                "extra": {name: list(values) for name, values in user.extra.items()},
                "resourceAttributes": _attributes(access),
            },
        }
        try:
            async with asyncio.timeout(self._timeout):
                status = (await self._client.create(SUBJECT_ACCESS_REVIEWS, review)).get("status") or {}
        except (ApiError, TimeoutError) as error:
            _LOG.warning("cannot ask whether %s may %s: %s", user.username, access.field, error)
            return "the permission could not be checked, so it is refused; try again"
        reason = None if status.get("allowed") is True else str(status.get("reason") or "")
        self._known[key] = reason
        return reason


def _attributes(access: Access) -> dict[str, str]:
    found = {
        "namespace": access.namespace,
        "verb": access.verb,
        "group": access.group,
        "resource": access.resource,
        "subresource": access.subresource,
        "name": access.name,
    }
    return {key: value for key, value in found.items() if value}
