"""`status`: what was observed. Written by the controller, read by people; clocks aside nothing is decided from it.

Lenient: a status that an older or newer controller wrote is never a reason to stop.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from crds.v1.meta import Items, Lenient, Time


class Condition(Lenient):
    """One aspect of the state, as in meta/v1."""

    type: Annotated[str, Field(max_length=316)] = Field(description="Aspect.")
    status: Literal["True", "False", "Unknown"] = Field(description="True, False or Unknown.")
    reason: Annotated[str, Field(max_length=1024)] = Field(description="Machine-readable cause.")
    message: Annotated[str, Field(max_length=32_768)] = Field(default="", description="For people: what to do next.")
    last_transition_time: Time = Field(description="When status last changed.")
    observed_generation: int | None = Field(default=None, description="Generation of the spec it is about.")


Amounts = Annotated[dict[str, Annotated[str, Field(max_length=64)]], Field(max_length=16)]


class ObservedResources(Lenient):
    """Resources of one role."""

    requests: Amounts = Field(default_factory=dict, description="Requests.")
    limits: Amounts = Field(default_factory=dict, description="Limits.")


class ObservedWorkers(Lenient):
    """Numbers of workers."""

    fixed: int | None = Field(default=None, description="Number without autoscaling.")
    min: int = Field(default=0, description="Least number.")
    max: int = Field(default=0, description="Most.")
    quota: int = Field(default=0, description="Number that quotas count with.")
    capacity: int = Field(default=0, description="Number that capacity counts with.")


class ObservedRuntimeShape(Lenient):
    """What the spec was resolved to."""

    version: Annotated[str, Field(max_length=16)] = Field(default="v1", description="Of the rules that resolved it.")
    hash: Annotated[str, Field(max_length=64)] = Field(
        default="", description="Changes when anything resolved changes."
    )
    preset: Annotated[str, Field(max_length=16)] = Field(default="", description="Size.")
    autoscaling_mode: Literal["fixed", "keda", "hpa"] = Field(
        default="fixed", description="Who sets the worker number."
    )
    coordinator: ObservedResources | None = Field(default=None, description="Coordinator.")
    worker: ObservedResources | None = Field(default=None, description="Each worker.")
    workers: ObservedWorkers | None = Field(default=None, description="Numbers of workers.")
    capacity_units: int = Field(default=1, description="Weight at the gateway.")


class WakeStatus(Lenient):
    """A worker floor that holds for a while after a resume."""

    min_workers: int = Field(description="The floor.")
    expires_at: Time = Field(description="Until when.")


class XTrinodeStatus(Lenient):
    """What was observed. Written by the controller only; nothing is decided from it but clocks."""

    phase: Literal["Pending", "Reconciling", "Ready", "Suspending", "Suspended", "Resuming", "Error"] | None = Field(
        default=None, description="Where in its life the runtime is."
    )
    message: Annotated[str, Field(max_length=1024)] | None = Field(
        default=None, description="One sentence: what it waits for, or what is wrong."
    )
    coordinator_url: Annotated[str, Field(max_length=1024)] | None = Field(
        default=None, alias="coordinatorURL", description="Where Trino listens inside the cluster."
    )
    workers: int | None = Field(default=None, description="Ready workers.")
    selector: Annotated[str, Field(max_length=1024)] | None = Field(
        default=None, description="Label selector of the worker pods, for the scale subresource."
    )
    last_activity: Time | None = Field(default=None, description="When a query was last seen; the idle clock.")
    drain_started_at: Time | None = Field(default=None, description="Since when suspend or delete waits for queries.")
    current_revision: Annotated[str, Field(max_length=64)] | None = Field(
        default=None, description="Fingerprint of spec and controller version."
    )
    observed_generation: int | None = Field(default=None, description="Generation of the spec that this is about.")
    coordinator_rollout_hash: Annotated[str, Field(max_length=64)] | None = Field(
        default=None, description="What the coordinator pod was made from."
    )
    worker_rollout_hash: Annotated[str, Field(max_length=64)] | None = Field(
        default=None, description="What the worker pods were made from."
    )
    observed_catalogs: Annotated[Items[Annotated[str, Field(max_length=253)]], Field(max_length=1000)] = Field(
        default=(), description="Catalogs that the pods have."
    )
    observed_runtime_shape: ObservedRuntimeShape | None = Field(
        default=None, description="What the spec was resolved to."
    )
    wake: WakeStatus | None = Field(default=None, description="Worker floor after a resume.")
    conditions: Annotated[
        Items[Condition],
        Field(
            max_length=32,
            json_schema_extra={"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["type"]},
        ),
    ] = Field(default=(), description="State by aspect.")
