"""Runtimes, catalogs and observations for the controller's tests, with what a test does not care about filled in."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from controller.actions import Apply, Plan, Scale
from controller.observed import Activity, Child, Endpoint, ObjectRef, Observed, Pod, Role, Workload
from controller.plan import Rules, plan
from crds.v1.lifecycle import RouteState
from crds.v1.meta import FINALIZER, parse
from crds.v1.xtrinode import XTrinode
from crds.v1.xtrinodecatalog import XTrinodeCatalog

NOW = datetime(2026, 1, 31, 12, 0, tzinfo=UTC)
RULES = Rules()


def runtime(
    spec: dict[str, Any] | None = None,
    *,
    name: str = "analytics",
    namespace: str = "team-a",
    status: dict[str, Any] | None = None,
    annotations: dict[str, str] | None = None,
    deleting: bool = False,
    finalizers: list[str] | None = None,
    generation: int = 1,
) -> XTrinode:
    metadata: dict[str, Any] = {
        "name": name,
        "namespace": namespace,
        "uid": f"uid-{name}",
        "resourceVersion": "1",
        "generation": generation,
        "creationTimestamp": "2026-01-01T00:00:00Z",
        "finalizers": [FINALIZER] if finalizers is None else finalizers,
        "annotations": annotations or {},
    }
    if deleting:
        metadata["deletionTimestamp"] = "2026-01-31T11:59:00Z"
    return parse(XTrinode, {"metadata": metadata, "spec": {"size": "xs"} | (spec or {}), "status": status or {}})


def catalog(name: str, spec: dict[str, Any] | None = None, **metadata: Any) -> XTrinodeCatalog:
    return parse(
        XTrinodeCatalog,
        {
            "metadata": {
                "name": name,
                "namespace": "team-a",
                "uid": f"uid-{name}",
                "creationTimestamp": "2026-01-01T00:00:00Z",
                **metadata,
            },
            "spec": spec or {"connector": {"tpch": {}}},
        },
    )


def rollouts(planned: Plan) -> dict[Role, str]:
    """The rollout hashes that a plan's Deployments carry."""
    found = {}
    for action in planned.actions:
        if isinstance(action, Apply) and action.ref.kind == "Deployment":
            template = action.manifest["spec"]["template"]["metadata"]
            role = Role(template["labels"]["app.kubernetes.io/component"])
            found[role] = template["annotations"][f"trino.io/rollout-hash-{role.value}"]
    return found


def running(x: XTrinode, **changes: Any) -> Observed:
    """What is observed of `x` when all of it is up: its current revision, its pods, its route."""
    awake = x.model_copy(update={"spec": x.spec.model_copy(update={"suspended": False})})
    hashes = rollouts(plan(awake, replace(Observed(), **_inputs(changes)), NOW, RULES))
    workers = 2 if Role.WORKER in hashes else 0
    workloads = {Role.COORDINATOR: up(1, hashes[Role.COORDINATOR])}
    if workers:
        workloads[Role.WORKER] = up(workers, hashes[Role.WORKER])
    observed = Observed(
        workloads=workloads,
        pods=tuple(
            Pod(f"{role.value}-{index}", role, ready=True)
            for role, live in workloads.items()
            for index in range(live.total)
        ),
        endpoints=(Endpoint("127.64.0.1", 8080, ready=True),),
        published=RouteState.RUNNING,
    )
    return replace(observed, **changes)


def _inputs(changes: dict[str, Any]) -> dict[str, Any]:
    return {key: changes[key] for key in ("sources", "catalogs") if key in changes}


def up(number: int, rollout: str) -> Workload:
    return Workload(
        generation=1,
        observed_generation=1,
        wanted=number,
        held=number,
        total=number,
        updated=number,
        ready=number,
        available=number,
        rollout=rollout,
    )


def asleep(rollout: str = "") -> Workload:
    return Workload(generation=2, observed_generation=2, wanted=0, held=0, rollout=rollout)


def child(kind: str, name: str, api_version: str = "v1", created: str = "2026-01-01T00:00:00Z") -> Child:
    return Child(ObjectRef(api_version, kind, "team-a", name, f"uid-{name}"), created)


def scales(planned: Plan) -> dict[str, int]:
    return {action.ref.name: action.replicas for action in planned.actions if isinstance(action, Scale)}


def applied(planned: Plan) -> list[str]:
    return [f"{a.ref.kind}/{a.ref.name}" for a in planned.actions if isinstance(a, Apply)]


def condition(planned: Plan, kind: str) -> tuple[str, str]:
    assert planned.status is not None
    return next((c["status"], c["reason"]) for c in planned.status["conditions"] if c["type"] == kind)


IDLE = Activity()
BUSY = Activity(live=("20260131_115900_00001_abcde",))
