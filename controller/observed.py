"""What was observed about one runtime: a frozen snapshot, everything that a plan needs and nothing else.

Made by the observing shell from the informers' caches (and, while a runtime drains or may be idle, from its
coordinator); read by `plan` and the functions below it. No Kubernetes object appears here as a dict: what a
decision may depend on is a field with a name.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from crds.v1.lifecycle import RouteState
from crds.v1.xtrinodecatalog import XTrinodeCatalog


class Role(StrEnum):
    COORDINATOR = "coordinator"
    WORKER = "worker"


@dataclass(frozen=True, slots=True)
class ObjectRef:
    """The identity of one object. `uid` empty: any object of that name."""

    api_version: str
    kind: str
    namespace: str
    name: str
    uid: str = ""

    def __str__(self) -> str:
        return f"{self.kind} {self.namespace}/{self.name}"


@dataclass(frozen=True, slots=True)
class Child:
    """A live object that carries our owner reference."""

    ref: ObjectRef
    created: str = ""  # RFC 3339, sorts as text


@dataclass(frozen=True, slots=True)
class Workload:
    """A live Deployment.

    `wanted` is spec.replicas, whoever wrote it; `held` is the number that we last asked for, None when we never
    did. `rollout` is the rollout hash of its pod template, `blocked` the reason why it cannot create pods.
    """

    generation: int = 1
    observed_generation: int = 0
    wanted: int = 0
    held: int | None = None
    total: int = 0
    updated: int = 0
    ready: int = 0
    available: int = 0
    rollout: str = ""
    blocked: str = ""

    def serves(self, floor: int) -> bool:
        """Whether the current template is rolled out, with at least `floor` ready pods of it."""
        return (
            self.observed_generation >= self.generation
            and self.updated >= min(floor, self.wanted)
            and self.total <= max(self.updated, self.wanted)
            and self.available >= floor
        )


@dataclass(frozen=True, slots=True)
class Pod:
    """A live pod, terminating ones included. `trouble` says why it does not run, for people. `came_up`: its Trino has
    started and still runs, whether or not it is ready at the moment."""

    name: str
    role: Role
    ready: bool = False
    came_up: bool = False
    terminating: bool = False
    trouble: str = ""
    started: datetime | None = None


@dataclass(frozen=True, slots=True)
class Endpoint:
    """An address of the coordinator's Service."""

    address: str
    port: int
    ready: bool


@dataclass(frozen=True, slots=True)
class Source:
    """A Secret or ConfigMap that a spec refers to: which keys it has and a digest of its content."""

    keys: frozenset[str]
    digest: str


@dataclass(frozen=True, slots=True)
class CatalogFacts:
    """A catalog of the runtime's namespace, and the digest of the ConfigMap published for it ("" when none is)."""

    catalog: XTrinodeCatalog
    published: str = ""


@dataclass(frozen=True, slots=True)
class Activity:
    """What a coordinator said of its queries. `error` set: it could not be asked, and nothing is known."""

    live: tuple[str, ...] = ()
    newest: datetime | None = None  # when the most recent query was last active
    error: str = ""


@dataclass(frozen=True, slots=True)
class Observed:
    workloads: Mapping[Role, Workload] = field(default_factory=dict)
    pods: tuple[Pod, ...] = ()
    endpoints: tuple[Endpoint, ...] = ()
    children: tuple[Child, ...] = ()
    sources: Mapping[tuple[str, str], Source] = field(default_factory=dict)  # (kind, name)
    catalogs: tuple[CatalogFacts, ...] = ()
    published: RouteState | None = None  # this runtime's backend in the live routes; None: not in them
    route_settled: bool = False  # `published` has been so for long enough that no query is on its way
    conflicts: tuple[str, ...] = ()  # selectors that this runtime wants and an older one has, in words
    route_problem: str = ""  # why this runtime's route cannot be written as it should be
    activity: Activity | None = None  # None: the coordinator was not asked
    last_active: datetime | None = None  # newest activity known from earlier observations

    @property
    def coordinator_up(self) -> bool:
        return any(endpoint.ready for endpoint in self.endpoints)
