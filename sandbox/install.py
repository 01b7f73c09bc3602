"""What has to be in a cluster before the parts can run: CRDs, namespaces, accounts, rights, and their kubeconfigs.

The same files that a real installation uses: the generated CRDs and each component's `rbac.yaml`. Every part then runs
under its own ServiceAccount with exactly those rights, as it would in a cluster.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import yaml

import crds
from crds.client import AlreadyExists, KubeClient
from crds.client.resources import CRDS, NAMESPACES, SERVICE_ACCOUNTS, resource_for

FIELD_MANAGER = "xtrinode-sandbox"
SYSTEM_NAMESPACE = "xtrinode-system"
GATEWAY_NAMESPACE = "xtrinode-gateway"
_ROOT = Path(crds.__file__).parent.parent
_TOKEN_SECONDS = 365 * 24 * 3600
_ESTABLISHED_SECONDS = 30.0

# Component folder -> namespace and name of its ServiceAccount, as its rbac.yaml says.
ACCOUNTS = {
    "controller": (SYSTEM_NAMESPACE, "xtrinode-controller"),
    "webhook": (SYSTEM_NAMESPACE, "xtrinode-webhook"),
    "gateway": (GATEWAY_NAMESPACE, "xtrinode-gateway"),
    "controller/lifecycle_api": (SYSTEM_NAMESPACE, "xtrinode-api"),
}


def documents(path: Path) -> list[dict[str, Any]]:
    """The objects in a YAML file."""
    with path.open(encoding="utf-8") as file:
        return [document for document in yaml.safe_load_all(file) if document]


async def apply_all(client: KubeClient, objects: Iterable[dict[str, Any]], manager: str = FIELD_MANAGER) -> list[str]:
    """Server-side apply objects in order; returns `kind/name` of each."""
    applied = []
    for obj in objects:
        resource = resource_for(obj["apiVersion"], obj["kind"])
        await client.apply(resource, obj, manager=manager, force=True)
        applied.append(f"{resource.plural}/{obj['metadata']['name']}")
    return applied


async def ensure_namespace(client: KubeClient, name: str) -> None:
    """Create a namespace that is not there."""
    with contextlib.suppress(AlreadyExists):
        await client.create(NAMESPACES, {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}})


async def install(client: KubeClient, directory: Path, kubeconfig: Path) -> dict[str, Path]:
    """Install everything and write one kubeconfig per component into `directory`; returns them by component."""
    for name in (SYSTEM_NAMESPACE, GATEWAY_NAMESPACE):
        await ensure_namespace(client, name)
    definitions = [obj for path in sorted((_ROOT / "crds" / "manifests").glob("*.yaml")) for obj in documents(path)]
    await apply_all(client, definitions)
    await asyncio.gather(*(_established(client, str(obj["metadata"]["name"])) for obj in definitions))
    directory.mkdir(parents=True, exist_ok=True)
    base = yaml.safe_load(kubeconfig.read_text(encoding="utf-8"))
    written = {}
    for component, (namespace, account) in ACCOUNTS.items():
        await apply_all(client, access_of(component))
        token = await _token(client, namespace, account)
        path = directory / f"{account}.kubeconfig"
        _write_private(path, _kubeconfig(base, account, namespace, token))
        written[component] = path
    return written


def access_of(component: str) -> list[dict[str, Any]]:
    """A component's ServiceAccount, its roles as its rbac.yaml states them, and their bindings."""
    namespace, account = ACCOUNTS[component]
    identity = {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": account, "namespace": namespace}}
    objects: list[dict[str, Any]] = [identity]
    for role in documents(_ROOT / component / "rbac.yaml"):
        reference = {"apiGroup": "rbac.authorization.k8s.io", "kind": role["kind"], "name": role["metadata"]["name"]}
        subject = {"kind": "ServiceAccount", "name": account, "namespace": namespace}
        binding = {
            "apiVersion": role["apiVersion"],
            "kind": f"{role['kind']}Binding",
            "metadata": {key: role["metadata"][key] for key in ("name", "namespace") if key in role["metadata"]},
            "roleRef": reference,
            "subjects": [subject],
        }
        objects += [role, binding]
    return objects


async def _established(client: KubeClient, name: str) -> None:
    async with asyncio.timeout(_ESTABLISHED_SECONDS):
        while True:
            conditions = ((await client.get(CRDS, name)).get("status") or {}).get("conditions") or []
            if any(one["type"] == "Established" and one["status"] == "True" for one in conditions):
                return
            await asyncio.sleep(0.02)


async def _token(client: KubeClient, namespace: str, account: str) -> str:
    request = {
        "apiVersion": "authentication.k8s.io/v1",
        "kind": "TokenRequest",
        "spec": {"expirationSeconds": _TOKEN_SECONDS, "audiences": []},
    }
    granted = await client.create(SERVICE_ACCOUNTS, request, namespace, name=account, subresource="token")
    return str(granted["status"]["token"])


def _kubeconfig(base: dict[str, Any], account: str, namespace: str, token: str) -> str:
    document = {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": account,
        "clusters": base["clusters"][:1],
        "users": [{"name": account, "user": {"token": token}}],
        "contexts": [
            {
                "name": account,
                "context": {"cluster": base["clusters"][0]["name"], "user": account, "namespace": namespace},
            }
        ],
    }
    return yaml.safe_dump(document, sort_keys=False)


def _write_private(path: Path, text: str) -> None:
    """Replace a file that only we may read."""
    temporary = path.with_suffix(".tmp")
    with os.fdopen(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="utf-8") as file:
        file.write(text)
    temporary.replace(path)
