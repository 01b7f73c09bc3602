"""A custom resource that has everything our own ones have, and a namespace-wide vocabulary for the tests."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from crds.client import AlreadyExists, ApiError, KubeClient, NotFound
from crds.client.resources import CRDS, Resource

Object = dict[str, Any]

GROUP = "conformance.xtrinode.io"
WIDGETS = Resource(GROUP, "v1", "widgets", "Widget")

STRING, INTEGER = {"type": "string"}, {"type": "integer"}
SPEC: Object = {
    "type": "object",
    "required": ["size"],
    "properties": {
        "size": {"type": "string", "enum": ["xs", "s", "m"]},
        "mode": {"type": "string", "default": "auto"},
        "owner": {
            "type": "string",
            "x-kubernetes-validations": [{"rule": "self == oldSelf", "message": "owner is immutable"}],
        },
        "replicas": {"type": "integer", "minimum": 0, "maximum": 10},
        "min": INTEGER,
        "max": INTEGER,
        "port": {"x-kubernetes-int-or-string": True},
        "note": {
            "type": "string",
            "maxLength": 8,
            "pattern": "^[a-z]*$",
            "x-kubernetes-validations": [
                {"rule": "self != 'taken'", "messageExpression": "'the note ' + self + ' is taken'"}
            ],
        },
        "nothing": {"type": "string", "nullable": True},
        "tags": {"type": "array", "items": STRING, "x-kubernetes-list-type": "set", "maxItems": 5},
        "parts": {
            "type": "array",
            "x-kubernetes-list-type": "map",
            "x-kubernetes-list-map-keys": ["name"],
            "items": {
                "type": "object",
                "required": ["name"],
                "properties": {"name": STRING, "count": {"type": "integer", "default": 1}},
            },
        },
        "free": {"type": "object", "x-kubernetes-preserve-unknown-fields": True},
    },
    "x-kubernetes-validations": [
        {
            "rule": "!has(self.min) || !has(self.max) || self.min <= self.max",
            "message": "min is above max",
            "fieldPath": ".min",
        }
    ],
}
STATUS: Object = {
    "type": "object",
    "properties": {"phase": STRING, "replicas": INTEGER, "selector": STRING},
}
CRD: Object = {
    "metadata": {"name": f"widgets.{GROUP}"},
    "spec": {
        "group": GROUP,
        "scope": "Namespaced",
        "names": {"plural": "widgets", "kind": "Widget", "shortNames": ["wd"], "categories": ["conformance"]},
        "versions": [
            {
                "name": "v1",
                "served": True,
                "storage": True,
                "schema": {"openAPIV3Schema": {"type": "object", "properties": {"spec": SPEC, "status": STATUS}}},
                "subresources": {
                    "status": {},
                    "scale": {
                        "specReplicasPath": ".spec.replicas",
                        "statusReplicasPath": ".status.replicas",
                        "labelSelectorPath": ".status.selector",
                    },
                },
                "additionalPrinterColumns": [
                    {"name": "Size", "type": "string", "jsonPath": ".spec.size"},
                    {"name": "Phase", "type": "string", "jsonPath": ".status.phase"},
                    {"name": "Mode", "type": "string", "jsonPath": ".spec.mode", "priority": 1},
                    {"name": "Age", "type": "date", "jsonPath": ".metadata.creationTimestamp"},
                ],
            }
        ],
    },
}


async def until(check: Callable[[], Awaitable[Any]], seconds: float = 30.0) -> Any:
    """The first true answer; refusals on the way are taken for "not yet"."""
    answer: Any = None
    try:
        async with asyncio.timeout(seconds):
            while True:
                try:
                    answer = await check()
                except ApiError as error:
                    answer = error
                else:
                    if answer:
                        return answer
                await asyncio.sleep(0.05)
    except TimeoutError:
        raise AssertionError(f"not within {seconds} s; the last answer was {answer!r}") from None


async def gone(client: KubeClient, resource: Resource, name: str, namespace: str | None = None) -> None:
    """Waits until an object is not there any more."""

    async def check() -> bool:
        try:
            await client.get(resource, name, namespace)
        except NotFound:
            return True
        return False

    await until(check)


def conditions_of(obj: Object) -> dict[str, str]:
    """The statuses by type; the real server leaves `conditions` null for a moment."""
    return {each["type"]: each["status"] for each in (obj.get("status") or {}).get("conditions") or []}


def widget(name: str = "w", *, labels: dict[str, str] | None = None, **spec: Any) -> Object:
    metadata: Object = {"name": name}
    if labels:
        metadata["labels"] = labels
    return {"metadata": metadata, "spec": {"size": "s", **spec}}


def config_map(name: str = "c", data: dict[str, str] | None = None, **metadata: Any) -> Object:
    return {"metadata": {"name": name, **metadata}, "data": data or {}}


@pytest.fixture
async def widgets(client: KubeClient) -> Resource:
    """The custom resource, served."""
    with contextlib.suppress(AlreadyExists):
        await client.create(CRDS, CRD)

    async def served() -> bool:
        await client.list_(WIDGETS)
        crd = await client.get(CRDS, f"widgets.{GROUP}")
        return conditions_of(crd).get("Established") == "True"

    await until(served)
    return WIDGETS
