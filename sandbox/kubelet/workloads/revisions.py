"""The revisions of a Deployment: which ReplicaSet is which template, and how new ones are named and numbered.

Used by the Deployment decisions only. A ReplicaSet belongs to the current template when the templates are
equal apart from the hash label; the hash only makes names, so two writers that serialize differently do not
start a rollout.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from typing import Any

import orjson

from sandbox.kubelet.objects import Object, annotations_of, created, meta, spec

HASH_LABEL = "pod-template-hash"
REVISION = "deployment.kubernetes.io/revision"
DESIRED_REPLICAS = "deployment.kubernetes.io/desired-replicas"
MAX_REPLICAS = "deployment.kubernetes.io/max-replicas"
LAST_APPLIED = "kubectl.kubernetes.io/last-applied-configuration"

# Of a Deployment, never of its ReplicaSets.
_OWN_ANNOTATIONS = frozenset({LAST_APPLIED, REVISION, DESIRED_REPLICAS, MAX_REPLICAS})
_SAFE = "bcdfghjklmnpqrstvwxz2456789"  # no vowels: a name never spells a word


def template_hash(template: Mapping[str, Any], collisions: int = 0) -> str:
    """A short name for a pod template; `collisions` makes another one when the first is taken."""
    digest = hashlib.sha256(orjson.dumps(template, option=orjson.OPT_SORT_KEYS))
    if collisions:
        digest.update(str(collisions).encode())
    number = int.from_bytes(digest.digest()[:8], "big")
    letters = []
    for _ in range(10):
        number, index = divmod(number, len(_SAFE))
        letters.append(_SAFE[index])
    return "".join(letters)


def same_template(first: Mapping[str, Any], second: Mapping[str, Any]) -> bool:
    return _without_hash(first) == _without_hash(second)


def _without_hash(template: Mapping[str, Any]) -> Object:
    metadata = {name: value for name, value in (template.get("metadata") or {}).items() if value}
    found = {name: value for name, value in (metadata.get("labels") or {}).items() if name != HASH_LABEL}
    metadata.pop("creationTimestamp", None)
    metadata["labels"] = found
    return {**template, "metadata": metadata}


def revision_of(replica_set: Mapping[str, Any]) -> int:
    text = annotations_of(replica_set).get(REVISION, "0")
    return int(text) if text.isdigit() else 0


def find_current(deployment: Mapping[str, Any], replica_sets: Iterable[Object]) -> Object | None:
    """The ReplicaSet of the Deployment's template; the oldest of several equal ones."""
    template = spec(deployment).get("template") or {}
    for replica_set in sorted(replica_sets, key=created):
        if same_template(spec(replica_set).get("template") or {}, template):
            return replica_set
    return None


def inherited_annotations(deployment: Mapping[str, Any]) -> dict[str, str]:
    return {name: value for name, value in annotations_of(deployment).items() if name not in _OWN_ANNOTATIONS}


def new_replica_set(deployment: Object, replicas: int, revision: int, bounds: Mapping[str, str]) -> Object:
    """The ReplicaSet for the Deployment's current template, without an owner reference."""
    template = spec(deployment).get("template") or {}
    collisions = int((deployment.get("status") or {}).get("collisionCount") or 0)
    label = template_hash(template, collisions)
    selector = spec(deployment).get("selector") or {}
    template_meta = template.get("metadata") or {}
    with_hash = {**(template_meta.get("labels") or {}), HASH_LABEL: label}
    body: Object = {
        "apiVersion": "apps/v1",
        "kind": "ReplicaSet",
        "metadata": {
            "name": f"{meta(deployment).get('name')}-{label}",
            "namespace": meta(deployment).get("namespace"),
            "labels": dict(with_hash),
            "annotations": {**inherited_annotations(deployment), **bounds, REVISION: str(revision)},
        },
        "spec": {
            "replicas": replicas,
            "selector": {
                **selector,
                "matchLabels": {**(selector.get("matchLabels") or {}), HASH_LABEL: label},
            },
            "template": {**template, "metadata": {**template_meta, "labels": with_hash}},
        },
    }
    if spec(deployment).get("minReadySeconds"):
        body["spec"]["minReadySeconds"] = spec(deployment)["minReadySeconds"]
    return body
