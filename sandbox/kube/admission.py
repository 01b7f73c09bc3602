"""Admission: mutating webhooks one after the other, validating ones side by side.

The verbs call `mutate` before they validate an object and `validate` after, on every create, update and
delete that is not a read. Both raise the StatusError that the client gets; warnings are collected
for the reply. A webhook that fails is skipped or refuses the request, as its failurePolicy says.
Between the two calls other requests run: whoever stores the object checks its version once more.
"""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Callable
from dataclasses import replace

from sandbox.kube import errors
from sandbox.kube.schema_validation import same
from sandbox.kube.store import GroupResource, Object, Store
from sandbox.kube.webhook_call import CallFailed, WebhookCaller
from sandbox.kube.webhook_match import (
    MUTATING,
    VALIDATING,
    AdmissionRequest,
    ConditionFailed,
    Hook,
    hooks_for,
)
from sandbox.kube.webhook_review import Answer, BadAnswer, call_failed, denied, judge, patched, review


class Admission:
    """The webhooks of one API server. `close` it at the end."""

    def __init__(self, store: Store, caller: WebhookCaller | None = None) -> None:
        self._store = store
        self._caller = caller or WebhookCaller(store)

    async def mutate(
        self, request: AdmissionRequest, warnings: list[str], complete: Callable[[Object], None] | None = None
    ) -> Object | None:
        """The object after every mutating webhook; `complete` (defaulting) runs after each change."""
        current = request
        asked: set[tuple[str, str]] = set()
        changed_by: dict[tuple[str, str], int] = {}
        changes = 0
        # Matching is repeated after each change, because labels decide who sees the object.
        while (hook := _next(self._hooks(MUTATING, current), asked)) is not None:
            key = (hook.configuration, hook.name)
            asked.add(key)
            before = current.obj
            current = await self._mutate_once(hook, current, warnings, complete)
            changes += current.obj is not before
            changed_by[key] = changes
        # Once more for those that asked for it, when somebody after them changed the object.
        for hook in self._hooks(MUTATING, current):
            key = (hook.configuration, hook.name)
            if hook.reinvoke and key in changed_by and changed_by[key] < changes:
                current = await self._mutate_once(hook, current, warnings, complete)
        return current.obj

    async def validate(self, request: AdmissionRequest, warnings: list[str]) -> None:
        """Raises the first refusal, in the order of the configurations."""
        hooks = self._hooks(VALIDATING, request)
        if not hooks:
            return
        results = await asyncio.gather(
            *(self._ask(hook, request, mutating=False) for hook in hooks), return_exceptions=True
        )
        refusal: BaseException | None = None
        for hook, result in zip(hooks, results, strict=True):
            if isinstance(result, BaseException):
                refusal = refusal or result
            elif result is not None:
                warnings.extend(result.warnings)
                if not result.allowed:
                    refusal = refusal or denied(hook, result.status)
        if refusal is not None:
            raise refusal

    async def close(self) -> None:
        await self._caller.close()

    def _hooks(self, table: GroupResource, request: AdmissionRequest) -> list[Hook]:
        try:
            return hooks_for(table, request, self._store)
        except ConditionFailed as error:
            raise errors.forbidden(
                request.resource,
                request.group,
                request.name,
                f'failed calling webhook "{error.hook.name}": {error}',
            ) from error

    async def _mutate_once(
        self,
        hook: Hook,
        request: AdmissionRequest,
        warnings: list[str],
        complete: Callable[[Object], None] | None,
    ) -> AdmissionRequest:
        answer = await self._ask(hook, request, mutating=True)
        if answer is None:
            return request
        warnings.extend(answer.warnings)
        if not answer.allowed:
            raise denied(hook, answer.status)
        if not answer.patch or request.obj is None:
            return request
        changed = patched(request.obj, answer.patch, hook)
        if complete is not None:
            complete(changed)
        return request if same(changed, request.obj) else replace(request, obj=changed)

    async def _ask(self, hook: Hook, request: AdmissionRequest, *, mutating: bool) -> Answer | None:
        """The webhook's answer; None when it could not be had and may be done without."""
        if request.dry_run and hook.side_effects not in ("None", "NoneOnDryRun"):
            raise errors.bad_request(f'admission webhook "{hook.name}" does not support dry run')
        uid = str(uuid.uuid4())
        try:
            body = await self._caller.post(hook, review(request, uid))
            return judge(body, uid, mutating=mutating)
        except BadAnswer as error:
            why = f"received invalid webhook response: {error}"
        except CallFailed as error:
            why = str(error)
        if hook.fail_closed:
            raise call_failed(hook, why)
        return None


def _next(hooks: list[Hook], asked: set[tuple[str, str]]) -> Hook | None:
    """The first webhook in order that was not asked yet."""
    return next((hook for hook in hooks if (hook.configuration, hook.name) not in asked), None)
