"""Names, labels and owner of everything that is rendered for one runtime."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from controller.observed import Role
from crds.v1 import meta
from crds.v1.runtime_shape import Role as RoleShape
from crds.v1.runtime_shape import RuntimeShape

APP = "trino"


def selector(name: str, role: Role) -> dict[str, str]:
    """The labels that select the pods of a role. Immutable in a Deployment: never add to them."""
    return {
        meta.NAME_LABEL: APP,
        meta.INSTANCE_LABEL: name,
        meta.MANAGED_BY_LABEL: meta.MANAGED_BY,
        meta.COMPONENT_LABEL: role.value,
    }


@dataclass(frozen=True, slots=True)
class Labelled:
    """A shape, and the metadata that its objects share."""

    shape: RuntimeShape
    owner: Mapping[str, Any]

    def role(self, role: Role) -> RoleShape:
        return self.shape.coordinator if role is Role.COORDINATOR else self.shape.worker

    def selector(self, role: Role) -> dict[str, str]:
        return selector(self.shape.name, role)

    def labels(self, role: Role | None = None) -> dict[str, str]:
        labels = {
            **self.shape.common_labels,
            meta.NAME_LABEL: APP,
            meta.INSTANCE_LABEL: self.shape.name,
            meta.VERSION_LABEL: self.shape.image.version,
            meta.MANAGED_BY_LABEL: meta.MANAGED_BY,
            meta.RUNTIME_LABEL: self.shape.name,
        }
        if role is not None:
            labels[meta.COMPONENT_LABEL] = role.value
        return labels

    def metadata(
        self, name: str, role: Role | None = None, annotations: Mapping[str, str] | None = None
    ) -> dict[str, Any]:
        metadata: dict[str, Any] = {
            "name": name,
            "namespace": self.shape.namespace,
            "labels": self.labels(role),
            "ownerReferences": [dict(self.owner)],
        }
        if annotations:
            metadata["annotations"] = dict(annotations)
        return metadata

    def pod_labels(self, role: Role) -> dict[str, str]:
        guarded = "enabled" if self.shape.network_policy is not None else "disabled"
        return {
            **self.role(role).labels,
            **self.labels(role),
            meta.NETWORK_POLICY_LABEL: guarded,
            **self.selector(role),
        }
