"""The roles and bindings that every cluster has from its first second.

`bootstrap_objects` lists them; the server creates those that are missing at start and leaves the others
alone, so an administrator may change them. The `system:aggregate-to-*` roles carry the rules of view, edit
and admin; a CRD's own roles join by the same labels.
"""

from __future__ import annotations

from typing import Any, Final

from sandbox.kube.rbac import CLUSTER_ROLE_BINDINGS, CLUSTER_ROLES, GROUP, MASTERS
from sandbox.kube.store import GroupResource, Object

_READ: Final = ["get", "list", "watch"]
_WRITE: Final = ["create", "delete", "deletecollection", "patch", "update"]

_HEALTH_PATHS: Final = ["/healthz", "/livez", "/readyz", "/version", "/version/"]
_DISCOVERY_PATHS: Final = ["/api", "/api/*", "/apis", "/apis/*", "/openapi", "/openapi/*", *_HEALTH_PATHS]

# (API group, resources that may be read, resources that may be written)
_WORKLOADS: Final[tuple[tuple[str, list[str]], ...]] = (
    (
        "",
        ["configmaps", "endpoints", "persistentvolumeclaims", "pods", "replicationcontrollers"]
        + ["replicationcontrollers/scale", "serviceaccounts", "services"],
    ),
    (
        "apps",
        ["daemonsets", "deployments", "deployments/scale", "replicasets", "replicasets/scale"]
        + ["statefulsets", "statefulsets/scale"],
    ),
    ("autoscaling", ["horizontalpodautoscalers"]),
    ("batch", ["cronjobs", "jobs"]),
    ("networking.k8s.io", ["ingresses", "networkpolicies"]),
    ("policy", ["poddisruptionbudgets"]),
)
_STATUS: Final[tuple[tuple[str, list[str]], ...]] = (
    (
        "",
        ["bindings", "events", "limitranges", "namespaces", "namespaces/status", "persistentvolumeclaims/status"]
        + ["pods/log", "pods/status", "resourcequotas", "resourcequotas/status", "services/status"],
    ),
    ("apps", ["daemonsets/status", "deployments/status", "replicasets/status", "statefulsets/status"]),
    ("discovery.k8s.io", ["endpointslices"]),
)


def bootstrap_objects() -> list[tuple[GroupResource, Object]]:
    """Every default ClusterRole and ClusterRoleBinding, with its table."""
    return [(CLUSTER_ROLES, role) for role in _roles()] + [(CLUSTER_ROLE_BINDINGS, binding) for binding in _bindings()]


def _roles() -> list[Object]:
    everything = [
        {"apiGroups": ["*"], "resources": ["*"], "verbs": ["*"]},
        {"nonResourceURLs": ["*"], "verbs": ["*"]},
    ]
    reviews = ["selfsubjectaccessreviews", "selfsubjectrulesreviews"]
    return [
        _role("cluster-admin", everything),
        _aggregated("admin", "admin", part_of=None),
        _aggregated("edit", "edit", part_of="admin"),
        _aggregated("view", "view", part_of="edit"),
        _role("system:aggregate-to-view", _view_rules(), aggregate_to="view"),
        _role("system:aggregate-to-edit", _edit_rules(), aggregate_to="edit"),
        _role("system:aggregate-to-admin", _admin_rules(), aggregate_to="admin"),
        _role("system:discovery", [{"nonResourceURLs": _DISCOVERY_PATHS, "verbs": ["get"]}]),
        _role("system:public-info-viewer", [{"nonResourceURLs": _HEALTH_PATHS, "verbs": ["get"]}]),
        _role(
            "system:basic-user",
            [
                {"apiGroups": ["authorization.k8s.io"], "resources": reviews, "verbs": ["create"]},
                {"apiGroups": ["authentication.k8s.io"], "resources": ["selfsubjectreviews"], "verbs": ["create"]},
            ],
        ),
        _role(
            "system:auth-delegator",
            [
                {"apiGroups": ["authentication.k8s.io"], "resources": ["tokenreviews"], "verbs": ["create"]},
                {"apiGroups": ["authorization.k8s.io"], "resources": ["subjectaccessreviews"], "verbs": ["create"]},
            ],
        ),
    ]


def _bindings() -> list[Object]:
    everybody = ["system:authenticated", "system:unauthenticated"]
    return [
        _binding("cluster-admin", "cluster-admin", [MASTERS]),
        _binding("system:discovery", "system:discovery", ["system:authenticated"]),
        _binding("system:basic-user", "system:basic-user", ["system:authenticated"]),
        _binding("system:public-info-viewer", "system:public-info-viewer", everybody),
    ]


def _view_rules() -> list[Object]:
    return [
        {"apiGroups": [group], "resources": sorted(resources), "verbs": _READ}
        for group, resources in (*_WORKLOADS, *_STATUS)
    ]


def _edit_rules() -> list[Object]:
    sensitive = ["pods/attach", "pods/exec", "pods/portforward", "pods/proxy", "secrets", "services/proxy"]
    rules: list[Object] = [
        {"apiGroups": [""], "resources": sensitive, "verbs": _READ},
        {"apiGroups": [""], "resources": ["serviceaccounts"], "verbs": ["impersonate"]},
        {"apiGroups": [""], "resources": [*sensitive, "events"], "verbs": _WRITE},
        {"apiGroups": [""], "resources": ["pods/eviction", "serviceaccounts/token"], "verbs": ["create"]},
        {"apiGroups": ["coordination.k8s.io"], "resources": ["leases"], "verbs": [*_WRITE, *_READ]},
    ]
    rules.extend({"apiGroups": [group], "resources": resources, "verbs": _WRITE} for group, resources in _WORKLOADS)
    return rules


def _admin_rules() -> list[Object]:
    reviews = {"apiGroups": ["authorization.k8s.io"], "resources": ["localsubjectaccessreviews"], "verbs": ["create"]}
    roles = {"apiGroups": [GROUP], "resources": ["rolebindings", "roles"], "verbs": [*_WRITE, *_READ]}
    return [reviews, roles]


def _metadata(name: str, labels: dict[str, str] | None = None) -> Object:
    return {
        "name": name,
        "labels": {"kubernetes.io/bootstrapping": "rbac-defaults", **(labels or {})},
        "annotations": {"rbac.authorization.kubernetes.io/autoupdate": "true"},
    }


def _aggregate_label(name: str) -> str:
    return f"{GROUP}/aggregate-to-{name}"


def _role(name: str, rules: list[Object], aggregate_to: str | None = None) -> Object:
    labels = {_aggregate_label(aggregate_to): "true"} if aggregate_to else None
    return {
        "apiVersion": f"{GROUP}/v1",
        "kind": "ClusterRole",
        "metadata": _metadata(name, labels),
        "rules": rules,
    }


def _aggregated(name: str, collects: str, part_of: str | None) -> Object:
    role: dict[str, Any] = _role(name, [], part_of)
    role["aggregationRule"] = {"clusterRoleSelectors": [{"matchLabels": {_aggregate_label(collects): "true"}}]}
    return role


def _binding(name: str, role: str, groups: list[str]) -> Object:
    return {
        "apiVersion": f"{GROUP}/v1",
        "kind": "ClusterRoleBinding",
        "metadata": _metadata(name),
        "roleRef": {"apiGroup": GROUP, "kind": "ClusterRole", "name": role},
        "subjects": [{"apiGroup": GROUP, "kind": "Group", "name": group} for group in groups],
    }
