"""The webhook configurations that make the API server ask us, as objects to apply.

Applied by the webhook itself with the bundle of its own certificate, so that certificate and registration cannot
drift apart. Pure.
"""

from __future__ import annotations

import base64
from dataclasses import dataclass
from typing import Any

from crds.v1.meta import GROUP, MANAGED_BY, MANAGED_BY_LABEL, VERSION

MUTATING = "xtrinode-defaulting"
VALIDATING = "xtrinode-validation"
MUTATE_PATH = "/mutate"
VALIDATE_PATH = "/validate"
_RESOURCES = ("xtrinodes", "xtrinodecatalogs")


@dataclass(frozen=True, slots=True)
class Endpoint:
    """How the API server reaches us: by `url` (https, without a path), else by Service."""

    url: str | None
    service: str
    namespace: str
    port: int

    @property
    def names(self) -> tuple[str, ...]:
        """The names that the certificate must carry."""
        if self.url:
            host = self.url.partition("://")[2].partition("/")[0]
            host = host.partition("]")[0].lstrip("[") if host.startswith("[") else host.partition(":")[0]
            return (host,)
        base = f"{self.service}.{self.namespace}"
        return (f"{base}.svc", f"{base}.svc.cluster.local", base)

    def client_config(self, path: str, trusted: bytes) -> dict[str, Any]:
        bundle = base64.b64encode(trusted).decode()
        if self.url:
            return {"url": self.url.rstrip("/") + path, "caBundle": bundle}
        service = {"name": self.service, "namespace": self.namespace, "port": self.port, "path": path}
        return {"service": service, "caBundle": bundle}


def configurations(endpoint: Endpoint, trusted: bytes, timeout_seconds: int) -> tuple[dict[str, Any], dict[str, Any]]:
    """The mutating and the validating configuration.

    Both fail closed: an object of ours that nobody judged must not get in. They match our kinds only, without
    sub-resources, so that an outage never stops status updates, deletes or anybody else's objects.
    """
    return (
        _configuration("Mutating", MUTATING, "default", _RESOURCES, endpoint, MUTATE_PATH, trusted, timeout_seconds),
        _configuration(
            "Validating",
            VALIDATING,
            "validate",
            _RESOURCES,
            endpoint,
            VALIDATE_PATH,
            trusted,
            timeout_seconds,
        ),
    )


def _configuration(
    kind: str,
    name: str,
    verb: str,
    resources: tuple[str, ...],
    endpoint: Endpoint,
    path: str,
    trusted: bytes,
    timeout_seconds: int,
) -> dict[str, Any]:
    rule = {
        "apiGroups": [GROUP],
        "apiVersions": [VERSION],
        "operations": ["CREATE", "UPDATE"],
        "resources": list(resources),
        "scope": "Namespaced",
    }
    return {
        "apiVersion": "admissionregistration.k8s.io/v1",
        "kind": f"{kind}WebhookConfiguration",
        "metadata": {"name": name, "labels": {MANAGED_BY_LABEL: MANAGED_BY}},
        "webhooks": [
            {
                "name": f"{verb}.{GROUP}",
                "clientConfig": endpoint.client_config(path, trusted),
                "rules": [rule],
                "failurePolicy": "Fail",
                "matchPolicy": "Equivalent",
                "sideEffects": "None",
                "timeoutSeconds": timeout_seconds,
                "admissionReviewVersions": ["v1"],
            }
        ],
    }
