"""Role-based access control: may this user do this, by the roles and bindings that are stored?

`authorize` is asked for every request, `denial` words the 403, `rules_for` answers "what may I do".
Members of `system:masters` may do everything. Aggregated ClusterRoles are expanded while they are read,
so their stored `rules` stay as written. Escalation is not checked: whoever may write roles may write
any role here, unlike on a real cluster.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from sandbox.kube import errors, selectors
from sandbox.kube.store import GroupResource, Object, Store

GROUP: Final = "rbac.authorization.k8s.io"
ROLES: Final = GroupResource(GROUP, "roles")
CLUSTER_ROLES: Final = GroupResource(GROUP, "clusterroles")
ROLE_BINDINGS: Final = GroupResource(GROUP, "rolebindings")
CLUSTER_ROLE_BINDINGS: Final = GroupResource(GROUP, "clusterrolebindings")

MASTERS: Final = "system:masters"
SERVICE_ACCOUNT_PREFIX: Final = "system:serviceaccount:"


@dataclass(frozen=True, slots=True)
class User:
    """Who is asking."""

    name: str
    uid: str = ""
    groups: tuple[str, ...] = ()
    extra: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        """As `userInfo` of an AdmissionReview and `user` of a TokenReview show it."""
        document: dict[str, Any] = {"username": self.name, "groups": list(self.groups)}
        if self.uid:
            document["uid"] = self.uid
        if self.extra:
            document["extra"] = {key: list(values) for key, values in self.extra.items()}
        return document


@dataclass(frozen=True, slots=True)
class Attributes:
    """What is asked for: a resource, or a path when `resource` is empty."""

    verb: str
    group: str = ""
    resource: str = ""
    subresource: str = ""
    namespace: str = ""
    name: str = ""
    path: str = ""

    @property
    def full_resource(self) -> str:
        """`pods/log`: the resource as rules spell it."""
        return f"{self.resource}/{self.subresource}" if self.subresource else self.resource


@dataclass(frozen=True, slots=True)
class Decision:
    """`reason` names the binding that allowed it; a refusal needs none."""

    allowed: bool
    reason: str = ""


def authorize(user: User, attributes: Attributes, store: Store) -> Decision:
    """Whether any binding lets `user` do it."""
    if MASTERS in user.groups:
        return Decision(True)
    for rule, binding in _rules(user, attributes.namespace, store):
        if rule_allows(rule, attributes):
            return Decision(True, binding)
    return Decision(False)


def denial(user: User, attributes: Attributes) -> errors.StatusError:
    """The 403 for a request that was not allowed."""
    who = f'User "{user.name}" cannot {attributes.verb}'
    if not attributes.resource:
        return errors.StatusError(403, "Forbidden", f'forbidden: {who} path "{attributes.path}"', {})
    where = f'in the namespace "{attributes.namespace}"' if attributes.namespace else "at the cluster scope"
    why = f'{who} resource "{attributes.full_resource}" in API group "{attributes.group}" {where}'
    return errors.forbidden(attributes.resource, attributes.group, attributes.name, why)


def rules_for(user: User, namespace: str, store: Store) -> list[Object]:
    """Every rule that holds for `user` in `namespace`, cluster-wide ones included."""
    if MASTERS in user.groups:
        return [
            {"verbs": ["*"], "apiGroups": ["*"], "resources": ["*"]},
            {"verbs": ["*"], "nonResourceURLs": ["*"]},
        ]
    return [rule for rule, _ in _rules(user, namespace, store)]


def rule_allows(rule: Object, attributes: Attributes) -> bool:
    """Whether one rule covers the request."""
    if not _has(rule.get("verbs"), attributes.verb):
        return False
    if not attributes.resource:
        return any(_path_matches(pattern, attributes.path) for pattern in _list(rule.get("nonResourceURLs")))
    if not _has(rule.get("apiGroups"), attributes.group):
        return False
    if not any(_resource_matches(pattern, attributes) for pattern in _list(rule.get("resources"))):
        return False
    names = _list(rule.get("resourceNames"))
    return not names or attributes.name in names


def _rules(user: User, namespace: str, store: Store) -> Iterator[tuple[Object, str]]:
    """The rules bound to `user`, each with the sentence that says by which binding."""
    for binding in store.objects(CLUSTER_ROLE_BINDINGS):
        subject = _bound_subject(binding, user, "")
        if subject:
            told = f'ClusterRoleBinding "{binding["metadata"]["name"]}"'
            yield from _told(_role_rules(binding, "", store), told, binding, subject)
    if not namespace:
        return
    for binding in store.objects(ROLE_BINDINGS, namespace):
        subject = _bound_subject(binding, user, namespace)
        if subject:
            told = f'RoleBinding "{binding["metadata"]["name"]}/{namespace}"'
            yield from _told(_role_rules(binding, namespace, store), told, binding, subject)


def _told(rules: list[Object], told: str, binding: Object, subject: str) -> Iterator[tuple[Object, str]]:
    role = binding["roleRef"]
    reason = f'RBAC: allowed by {told} of {role.get("kind")} "{role.get("name")}" to {subject}'
    for rule in rules:
        yield rule, reason


def _bound_subject(binding: Object, user: User, namespace: str) -> str:
    """The subject of `binding` that is `user`, in words; empty when none is."""
    for subject in _list(binding.get("subjects")):
        kind, name = subject.get("kind"), subject.get("name", "")
        if kind == "User" and name == user.name:
            return f'User "{name}"'
        if kind == "Group" and name in user.groups:
            return f'Group "{name}"'
        if kind == "ServiceAccount":
            home = subject.get("namespace") or namespace
            if home and user.name == f"{SERVICE_ACCOUNT_PREFIX}{home}:{name}":
                return f'ServiceAccount "{name}/{home}"'
    return ""


def _role_rules(binding: Object, namespace: str, store: Store) -> list[Object]:
    reference = binding.get("roleRef") or {}
    name = reference.get("name", "")
    if reference.get("kind") == "Role":
        entry = store.get(ROLES, namespace, name) if namespace else None
        return _list(entry.obj.get("rules")) if entry else []
    entry = store.get(CLUSTER_ROLES, "", name)
    return cluster_role_rules(entry.obj, store) if entry else []


def cluster_role_rules(role: Object, store: Store, seen: frozenset[str] = frozenset()) -> list[Object]:
    """The rules of a ClusterRole; those of an aggregated one come from the roles it selects."""
    aggregation = role.get("aggregationRule")
    if not aggregation:
        return _list(role.get("rules"))
    name = role["metadata"]["name"]
    wanted = [selectors.from_spec(each) for each in _list(aggregation.get("clusterRoleSelectors"))]
    rules: list[Object] = []
    for candidate in store.objects(CLUSTER_ROLES):
        other = candidate["metadata"]["name"]
        labels = candidate["metadata"].get("labels") or {}
        # An aggregated role may select another one (admin takes all of edit), never itself.
        if other == name or other in seen or not any(selectors.matches(each, labels) for each in wanted):
            continue
        rules.extend(cluster_role_rules(candidate, store, seen | {name}))
    return rules


def _has(values: Any, wanted: str) -> bool:
    listed = _list(values)
    return "*" in listed or wanted in listed


def _path_matches(pattern: str, path: str) -> bool:
    if pattern.endswith("*"):
        return path.startswith(pattern[:-1])
    return pattern == path


def _resource_matches(pattern: str, attributes: Attributes) -> bool:
    if pattern in ("*", attributes.full_resource):
        return True
    return bool(attributes.subresource) and pattern == f"*/{attributes.subresource}"


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []
