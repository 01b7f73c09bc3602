"""The end of a runtime: drain, leave the routes, remove what was made, let the object go.

Every step is recognised by what is left, so that a controller that dies on the way goes on from there. Deleting
needs no sound spec: what is to be removed are the live objects that carry our owner reference, and not what a
spec would render today. It always ends: the drain by its timeout, the rest because nothing else is asked.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

from controller.actions import Action, Announcement, Delete, EndQueries, PatchOwner, Plan
from controller.observed import Observed, Role
from controller.routing import route_entry
from controller.status import Report, Situation, build_status
from controller.suspension import Drain, Verdict, decide_drain
from crds.v1 import meta
from crds.v1.conditions import Reason
from crds.v1.lifecycle import RouteState
from crds.v1.runtime_shape import RuntimeShape
from crds.v1.xtrinode import XTrinode

#: Deployments go first, so that no pod starts anew from what goes after.
_FIRST = "Deployment"
#: How often to look whether the rest is gone when no event says so.
_LOOK = 1.0


def plan_deletion(
    x: XTrinode, shape: RuntimeShape | None, observed: Observed, now: datetime, drain_poll: float, settle: float
) -> Plan:
    """`shape` None: nobody knows what the spec wants, and then nothing is waited for."""
    if meta.FINALIZER not in x.metadata.finalizers:
        return Plan()
    drain, started = _drain(x, observed, shape, now)
    if drain is not None and drain.verdict is Verdict.WAIT and shape is not None:
        return _waiting(x, observed, shape, drain, started, now, drain_poll if observed.route_settled else settle)
    actions: list[Action] = []
    if drain is not None and drain.verdict is Verdict.CANCEL:
        actions.append(EndQueries(drain.live, f"XTrinode {x.key} is being deleted"))
    if observed.published is not None:
        # The gateways must have forgotten it before it stops answering.
        message = "waiting until the gateways no longer know it"
        return Plan(tuple(actions), status=_status(x, observed, message, started, now), requeue_after=_LOOK)
    if observed.children:
        ordered = sorted(observed.children, key=lambda child: (child.ref.kind != _FIRST, str(child.ref)))
        actions += [Delete(child.ref) for child in ordered]
        message = f"removing {len(ordered)} objects"
        return Plan(tuple(actions), status=_status(x, observed, message, started, now), requeue_after=_LOOK)
    left = [name for name in x.metadata.finalizers if name != meta.FINALIZER]
    actions.append(PatchOwner({"metadata": {"finalizers": left}}, x.metadata.resource_version))
    return Plan(tuple(actions), announcements=(Announcement("Finalized", "everything that was made for it is gone"),))


def _drain(
    x: XTrinode, observed: Observed, shape: RuntimeShape | None, now: datetime
) -> tuple[Drain | None, datetime | None]:
    live = observed.workloads.get(Role.COORDINATOR)
    if live is None or live.wanted == 0 or shape is None:
        return None, x.status.drain_started_at
    started = x.status.drain_started_at or now
    cancel = shape.lifecycle.drain_policy == "Cancel"
    timeout: timedelta = shape.lifecycle.drain_timeout
    if observed.published is None:
        # It left the routes already: that is as settled as can be.
        observed = replace(observed, route_settled=True)
    return decide_drain(observed, started=started, now=now, timeout=timeout, cancel=cancel), started


def _waiting(
    x: XTrinode,
    observed: Observed,
    shape: RuntimeShape,
    drain: Drain,
    started: datetime | None,
    now: datetime,
    poll: float,
) -> Plan:
    first = x.status.drain_started_at is None
    until = (started or now) + shape.lifecycle.drain_timeout
    settled = observed.route_settled or observed.published is None
    return Plan(
        route=route_entry(x, shape, RouteState.DRAINING, drain_until=until),
        status=_status(x, observed, drain.message, started, now),
        announcements=(Announcement("DrainStarted", drain.message),) if first else (),
        requeue_after=poll,
        ask=observed.activity is None and observed.coordinator_up and settled,
    )


def _status(
    x: XTrinode, observed: Observed, message: str, started: datetime | None, now: datetime
) -> dict[str, object]:
    workers = observed.workloads.get(Role.WORKER)
    report = Report(
        Situation.DELETING,
        Reason.DELETING,
        f"deleting: {message}",
        published=observed.published,
        workers=workers.ready if workers else 0,
        drain_started=started,
        last_activity=x.status.last_activity,
    )
    return build_status(x, report, now)
