"""Which admission webhooks a request goes to, and in which order.

Reads the two kinds of webhook configuration from the store and yields frozen `Hook`s whose rules, selectors
and matchConditions fit the request; nothing is called here. `matchPolicy: Equivalent` is taken as `Exact`:
a kind with several versions calls only the webhooks that name the version in use. Pure.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import Any, Final

from sandbox.kube import selectors
from sandbox.kube.causes import forbidden, invalid, not_supported, required
from sandbox.kube.cel import BadExpression, EvaluationError, Expression
from sandbox.kube.errors import Cause
from sandbox.kube.rbac import User
from sandbox.kube.store import GroupResource, Object, Store

GROUP: Final = "admissionregistration.k8s.io"
MUTATING: Final = GroupResource(GROUP, "mutatingwebhookconfigurations")
VALIDATING: Final = GroupResource(GROUP, "validatingwebhookconfigurations")
NAMESPACES: Final = GroupResource("", "namespaces")

CONDITION_VARIABLES: Final = frozenset({"object", "oldObject", "request"})
_OPERATIONS: Final = ("*", "CREATE", "UPDATE", "DELETE", "CONNECT")
_CHOICES: Final = {
    "failurePolicy": ("Fail", "Ignore"),
    "matchPolicy": ("Equivalent", "Exact"),
    "reinvocationPolicy": ("IfNeeded", "Never"),
}
_LONGEST_TIMEOUT: Final = 30  # seconds


@dataclass(frozen=True, slots=True, kw_only=True)
class AdmissionRequest:
    """One write, as admission sees it. `obj` is None on DELETE, `old` on CREATE."""

    operation: str
    group: str
    version: str
    resource: str
    kind: str
    name: str
    user: User
    namespace: str = ""
    subresource: str = ""
    obj: Object | None = None
    old: Object | None = None
    dry_run: bool = False
    options: Object | None = None


@dataclass(frozen=True, slots=True)
class Hook:
    """One webhook of one configuration."""

    configuration: str
    name: str
    client: Object
    timeout: float
    fail_closed: bool
    side_effects: str
    reinvoke: bool


class ConditionFailed(Exception):
    """A matchCondition could not be evaluated, and the webhook says that this refuses the request."""

    def __init__(self, hook: Hook, message: str) -> None:
        super().__init__(message)
        self.hook = hook


def hooks_for(table: GroupResource, request: AdmissionRequest, store: Store) -> list[Hook]:
    """The webhooks of one kind of configuration that must see the request, in calling order."""
    if request.group == GROUP and request.resource in (MUTATING.plural, VALIDATING.plural):
        # A broken webhook must not be able to keep itself from being mended.
        return []
    found: list[Hook] = []
    # The store lists by name, which is the order that Kubernetes promises.
    for configuration in store.objects(table):
        name = configuration["metadata"]["name"]
        for webhook in configuration.get("webhooks") or []:
            if _wants(webhook, request, store):
                hook = _hook(name, webhook)
                if _conditions_hold(webhook, hook, request):
                    found.append(hook)
    return found


def check_configuration(obj: Object) -> list[Cause]:
    """What is wrong with a webhook configuration beyond its types."""
    causes: list[Cause] = []
    seen: set[str] = set()
    for index, webhook in enumerate(obj.get("webhooks") or []):
        path = f"webhooks[{index}]"
        name = webhook.get("name") or ""
        if name.count(".") < 2 or name.startswith(".") or name.endswith("."):
            text = "should be a domain with at least three segments separated by dots"
            causes.append(invalid(f"{path}.name", name, text))
        if name in seen:
            causes.append(Cause("FieldValueDuplicate", f'Duplicate value: "{name}"', f"{path}.name"))
        seen.add(name)
        causes.extend(_check_webhook(webhook, path))
    return causes


def _check_webhook(webhook: Object, path: str) -> list[Cause]:
    causes: list[Cause] = []
    if not {"v1", "v1beta1"} & set(webhook.get("admissionReviewVersions") or []):
        text = "must include at least one of v1, v1beta1"
        causes.append(invalid(f"{path}.admissionReviewVersions", webhook.get("admissionReviewVersions"), text))
    if webhook.get("sideEffects") not in ("None", "NoneOnDryRun"):
        causes.append(not_supported(f"{path}.sideEffects", webhook.get("sideEffects") or "", ["None", "NoneOnDryRun"]))
    for key, allowed in _CHOICES.items():
        if webhook.get(key, allowed[0]) not in allowed:
            causes.append(not_supported(f"{path}.{key}", webhook[key], allowed))
    timeout = webhook.get("timeoutSeconds", 10)
    if not isinstance(timeout, int) or not 1 <= timeout <= _LONGEST_TIMEOUT:
        text = "the timeout value must be between 1 and 30 seconds"
        causes.append(invalid(f"{path}.timeoutSeconds", timeout, text))
    client = webhook.get("clientConfig") or {}
    if bool(client.get("url")) == bool(client.get("service")):
        causes.append(required(f"{path}.clientConfig", "exactly one of url or service is required"))
    elif client.get("url") and not client["url"].startswith("https://"):
        text = "'https' is the only allowed URL scheme"
        causes.append(invalid(f"{path}.clientConfig.url", client["url"], text))
    for number, rule in enumerate(webhook.get("rules") or []):
        at = f"{path}.rules[{number}]"
        wrong = [each for each in rule.get("operations") or [] if each not in _OPERATIONS]
        causes.extend(not_supported(f"{at}.operations", each, _OPERATIONS) for each in wrong)
        missing = [key for key in ("operations", "apiGroups", "apiVersions", "resources") if not rule.get(key)]
        causes.extend(required(f"{at}.{key}") for key in missing)
    for number, condition in enumerate(webhook.get("matchConditions") or []):
        at = f"{path}.matchConditions[{number}].expression"
        source = condition.get("expression") or ""
        if "authorizer" in source:
            # Refused rather than guessed: a condition that is ignored would let requests through.
            causes.append(forbidden(at, "the sandbox has no `authorizer` in matchConditions"))
            continue
        try:
            _expression(source)
        except BadExpression as error:
            causes.append(invalid(at, source, f"compilation failed: ERROR: <input>: {error}"))
    return causes


@functools.lru_cache(maxsize=256)
def _expression(source: str) -> Expression:
    return Expression(source, CONDITION_VARIABLES)


def _hook(configuration: str, webhook: Object) -> Hook:
    return Hook(
        configuration=configuration,
        name=webhook["name"],
        client=webhook.get("clientConfig") or {},
        timeout=float(webhook.get("timeoutSeconds") or 10),
        fail_closed=webhook.get("failurePolicy", "Fail") != "Ignore",
        side_effects=webhook.get("sideEffects") or "None",
        reinvoke=webhook.get("reinvocationPolicy") == "IfNeeded",
    )


def _wants(webhook: Object, request: AdmissionRequest, store: Store) -> bool:
    return (
        any(rule_matches(rule, request) for rule in webhook.get("rules") or [])
        and _namespace_selected(webhook.get("namespaceSelector"), request, store)
        and _object_selected(webhook.get("objectSelector"), request)
    )


def rule_matches(rule: Object, request: AdmissionRequest) -> bool:
    """Whether one rule covers the request."""
    scope = rule.get("scope") or "*"
    # A Namespace is cluster-scoped, although requests about it carry its name as their namespace.
    namespaced = bool(request.namespace) and (request.group, request.resource) != NAMESPACES
    if scope == "Cluster" and namespaced:
        return False
    if scope == "Namespaced" and not namespaced:
        return False
    return (
        _listed(rule.get("operations"), request.operation)
        and _listed(rule.get("apiGroups"), request.group)
        and _listed(rule.get("apiVersions"), request.version)
        and any(_resource_matches(pattern, request) for pattern in rule.get("resources") or [])
    )


def _listed(values: Any, wanted: str) -> bool:
    return isinstance(values, list) and ("*" in values or wanted in values)


def _resource_matches(pattern: str, request: AdmissionRequest) -> bool:
    resource, slash, subresource = pattern.partition("/")
    if resource not in ("*", request.resource):
        return False
    if not slash:
        return not request.subresource
    return subresource in ("*", request.subresource)


def _namespace_selected(selector: Object | None, request: AdmissionRequest, store: Store) -> bool:
    if not selector:
        return True
    if (request.group, request.resource) == NAMESPACES:
        return _labels_match(selector, request.obj or request.old)
    if not request.namespace:
        return True
    entry = store.get(NAMESPACES, "", request.namespace)
    return entry is not None and _labels_match(selector, entry.obj)


def _object_selected(selector: Object | None, request: AdmissionRequest) -> bool:
    if not selector:
        return True
    return any(each is not None and _labels_match(selector, each) for each in (request.obj, request.old))


def _labels_match(selector: Object, obj: Object | None) -> bool:
    metadata = (obj or {}).get("metadata") or {}
    return selectors.matches(selectors.from_spec(selector), metadata.get("labels"))


def _conditions_hold(webhook: Object, hook: Hook, request: AdmissionRequest) -> bool:
    conditions = webhook.get("matchConditions") or []
    if not conditions:
        return True
    values = {"object": request.obj, "oldObject": request.old, "request": request_document(request, "")}
    failed: list[str] = []
    for condition in conditions:
        try:
            if _expression(condition["expression"]).evaluate(values) is not True:
                return False
        except (BadExpression, EvaluationError) as error:
            failed.append(f"expression '{condition['expression']}' resulted in error: {error}")
    # An error counts only when no other condition says "not for me".
    if failed and hook.fail_closed:
        raise ConditionFailed(hook, failed[0])
    return not failed


def request_document(request: AdmissionRequest, uid: str) -> Object:
    """The `request` of an AdmissionReview; also what matchConditions see."""
    kind = {"group": request.group, "version": request.version, "kind": request.kind}
    resource = {"group": request.group, "version": request.version, "resource": request.resource}
    document: Object = {
        "uid": uid,
        "kind": kind,
        "resource": resource,
        "requestKind": kind,
        "requestResource": resource,
        "name": request.name,
        "operation": request.operation,
        "userInfo": request.user.to_dict(),
        "object": request.obj,
        "oldObject": request.old,
        "dryRun": request.dry_run,
        "options": request.options,
    }
    if request.namespace:
        document["namespace"] = request.namespace
    if request.subresource:
        document["subResource"] = document["requestSubResource"] = request.subresource
    return document
