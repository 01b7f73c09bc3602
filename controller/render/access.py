"""Who the pods are, and who reaches them: ServiceAccount, Ingress, NetworkPolicy."""

from __future__ import annotations

from typing import Any

from controller.observed import Role
from controller.render.metadata import Labelled
from crds.v1 import meta, names


def service_account(at: Labelled) -> list[dict[str, Any]]:
    account = at.shape.service_account
    if not account.create:
        return []
    return [
        {
            "apiVersion": "v1",
            "kind": "ServiceAccount",
            "metadata": at.metadata(account.name, annotations=account.annotations),
            "automountServiceAccountToken": account.automount_token,
        }
    ]


def ingress(at: Labelled) -> list[dict[str, Any]]:
    wanted = at.shape.ingress
    if wanted is None:
        return []
    backend = {"service": {"name": names.coordinator_service(at.shape.name), "port": {"number": at.shape.service.port}}}
    spec: dict[str, Any] = {
        "rules": [
            {
                "host": host,
                "http": {"paths": [{"path": path, "pathType": kind, "backend": backend} for path, kind in paths]},
            }
            for host, paths in wanted.hosts
        ]
    }
    if wanted.class_name:
        spec["ingressClassName"] = wanted.class_name
    if wanted.tls:
        spec["tls"] = [{"secretName": secret, "hosts": list(hosts)} for secret, hosts in wanted.tls]
    return [
        {
            "apiVersion": "networking.k8s.io/v1",
            "kind": "Ingress",
            "metadata": at.metadata(names.ingress(at.shape.name), annotations=wanted.annotations),
            "spec": spec,
        }
    ]


def network_policy(at: Labelled) -> list[dict[str, Any]]:
    """Lets in the runtime's own pods, every XTrinode component (gateway, controller, whatever namespace they are in)
    and what the user adds. Without the components' rule a protected runtime could be neither queried nor drained."""
    wanted = at.shape.network_policy
    if wanted is None:
        return []
    own = {
        meta.NAME_LABEL: "trino",
        meta.INSTANCE_LABEL: at.shape.name,
        meta.MANAGED_BY_LABEL: meta.MANAGED_BY,
    }
    inside = [
        {"podSelector": {"matchLabels": own}},
        {"namespaceSelector": {}, "podSelector": {"matchLabels": {"app.kubernetes.io/part-of": "xtrinode"}}},
    ]
    spec: dict[str, Any] = {
        "podSelector": {
            "matchLabels": {**own, meta.NETWORK_POLICY_LABEL: "enabled"},
            "matchExpressions": [
                {"key": meta.COMPONENT_LABEL, "operator": "In", "values": [role.value for role in Role]}
            ],
        },
        "policyTypes": ["Ingress", "Egress"] if wanted.egress else ["Ingress"],
        "ingress": [{"from": inside}, *(dict(rule) for rule in wanted.ingress)],
    }
    if wanted.egress:
        spec["egress"] = [dict(rule) for rule in wanted.egress]
    return [
        {
            "apiVersion": "networking.k8s.io/v1",
            "kind": "NetworkPolicy",
            "metadata": at.metadata(names.network_policy(at.shape.name)),
            "spec": spec,
        }
    ]
