"""The reviews of authorization.k8s.io and SelfSubjectReview: questions answered, never stored.

Each function takes the posted body and returns it with a `status`. Who may ask is decided before, by the
same rules as for any other create.
"""

from __future__ import annotations

from typing import Any, Final

from sandbox.kube import errors
from sandbox.kube.causes import invalid
from sandbox.kube.errors import Cause
from sandbox.kube.rbac import Attributes, User, authorize, rules_for
from sandbox.kube.store import Object, Store

GROUP: Final = "authorization.k8s.io"


def subject_access_review(body: Object, store: Store, namespace: str | None = None) -> Object:
    """SubjectAccessReview; with `namespace` a LocalSubjectAccessReview, which must stay inside it."""
    kind = "SubjectAccessReview" if namespace is None else "LocalSubjectAccessReview"
    spec = _spec(body)
    causes = _attribute_causes(spec)
    name, groups = spec.get("user") or "", spec.get("groups") or []
    if not name and not groups:
        causes.append(invalid("spec.user", "", "at least one of user or group must be specified"))
    if namespace is not None and (spec.get("resourceAttributes") or {}).get("namespace") != namespace:
        text = f"must match the namespace of the request: {namespace}"
        causes.append(invalid("spec.resourceAttributes.namespace", spec.get("resourceAttributes"), text))
    _refuse(kind, causes)
    extra = {key: tuple(values) for key, values in (spec.get("extra") or {}).items()}
    user = User(name, spec.get("uid") or "", tuple(groups), extra)
    return _answer(body, kind, spec, user, store)


def self_subject_access_review(body: Object, user: User, store: Store) -> Object:
    """May I?"""
    spec = _spec(body)
    _refuse("SelfSubjectAccessReview", _attribute_causes(spec))
    return _answer(body, "SelfSubjectAccessReview", spec, user, store)


def self_subject_rules_review(body: Object, user: User, store: Store) -> Object:
    """What may I do in a namespace?"""
    namespace = _spec(body).get("namespace") or ""
    if not namespace:
        raise errors.bad_request("no namespace on request")
    rules = rules_for(user, namespace, store)
    resource_keys = ("verbs", "apiGroups", "resources", "resourceNames")
    status = {
        "resourceRules": [_only(rule, resource_keys) for rule in rules if rule.get("resources")],
        "nonResourceRules": [
            _only(rule, ("verbs", "nonResourceURLs")) for rule in rules if rule.get("nonResourceURLs")
        ],
        "incomplete": False,
    }
    return _reply(GROUP, "SelfSubjectRulesReview", {"spec": _spec(body), "status": status})


def self_subject_review(user: User) -> Object:
    """Who am I?"""
    return _reply("authentication.k8s.io", "SelfSubjectReview", {"status": {"userInfo": user.to_dict()}})


def _spec(body: Object) -> dict[str, Any]:
    spec = body.get("spec")
    return spec if isinstance(spec, dict) else {}


def _attribute_causes(spec: dict[str, Any]) -> list[Cause]:
    resource, path = spec.get("resourceAttributes"), spec.get("nonResourceAttributes")
    if (resource is None) == (path is None):
        text = "exactly one of nonResourceAttributes or resourceAttributes must be specified"
        if resource is not None:
            text = "cannot be specified in combination with resourceAttributes"
            return [invalid("spec.nonResourceAttributes", path, text)]
        return [invalid("spec.resourceAttributes", resource, text)]
    return []


def _refuse(kind: str, causes: list[Cause]) -> None:
    if causes:
        raise errors.invalid(kind, GROUP, "", causes)


def _attributes(spec: dict[str, Any]) -> Attributes:
    resource = spec.get("resourceAttributes")
    if resource is None:
        asked = spec["nonResourceAttributes"]
        return Attributes(asked.get("verb") or "", path=asked.get("path") or "")
    return Attributes(
        resource.get("verb") or "",
        resource.get("group") or "",
        # A question without a resource is about every resource, not about a path.
        resource.get("resource") or "*",
        resource.get("subresource") or "",
        resource.get("namespace") or "",
        resource.get("name") or "",
    )


def _answer(body: Object, kind: str, spec: dict[str, Any], user: User, store: Store) -> Object:
    decision = authorize(user, _attributes(spec), store)
    status: dict[str, Any] = {"allowed": decision.allowed}
    if decision.reason:
        status["reason"] = decision.reason
    metadata = body.get("metadata") if isinstance(body.get("metadata"), dict) else {}
    return _reply(GROUP, kind, {"metadata": metadata, "spec": spec, "status": status})


def _reply(group: str, kind: str, rest: Object) -> Object:
    return {"apiVersion": f"{group}/v1", "kind": kind, "metadata": {}, **rest}


def _only(rule: Object, keys: tuple[str, ...]) -> Object:
    return {key: rule[key] for key in keys if rule.get(key)}
