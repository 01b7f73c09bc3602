"""The decision about one runtime: from what is wanted and what was observed to what is to be done.

`plan(xtrinode, observed, now, rules)` is pure and total: the reconciler calls it after every event and every timer, and
performs what it returns. It never waits; what it waits for is an event to come or `requeue_after`. When it would
decide otherwise with the coordinator's query list it sets `ask`, and is called again with the answer.

Deletion has a module of its own, as have replicas, drains, selection of inputs and the status.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from controller.actions import Action, Announcement, Apply, Delete, EndQueries, PatchOwner, Plan, Scale
from controller.deletion import plan_deletion
from controller.observed import Observed, Role
from controller.render import Inputs, Rendering, render
from controller.render.config_maps import kept
from controller.render.workloads import deployment_name
from controller.replicas import Target, asleep, awake, is_due, number
from controller.routing import route_entry
from controller.selection import Selection, select
from controller.status import (
    Report,
    Situation,
    build_status,
    shown_phase,
    told_differently,
    wanted_phase,
)
from controller.suspension import (
    Command,
    Drain,
    Verdict,
    decide_drain,
    decide_idle,
    decide_wake,
    idle_since,
    take_commands,
)
from crds.v1 import meta
from crds.v1.conditions import Reason
from crds.v1.lifecycle import RouteState
from crds.v1.meta import InvalidObject
from crds.v1.runtime_shape import RuntimeShape
from crds.v1.shape import resolve
from crds.v1.validation import validate_xtrinode
from crds.v1.xtrinode import XTrinode

_DEPLOYMENT = ("apps/v1", "Deployment")
#: lastActivity is written when it moved by this much: a busy runtime is not a reason to write every minute.
_ACTIVITY_STEP = timedelta(minutes=10)
_NO_KEDA = (
    "KEDA objects are not made by this version: the workers start with spec.minWorkers (at least one) and keep "
    "the number that you or a ScaledObject of your own gives the Deployment"
)
#: Between the two steps of a phase that may not jump.
_NEXT_STEP = 0.05


@dataclass(frozen=True, slots=True)
class Rules:
    """Settings that decisions depend on, in seconds."""

    drain_poll: float = 5.0
    route_settle: float = 1.0
    auto_suspend: bool = True


def sound_shape(x: XTrinode) -> RuntimeShape:
    """What the spec resolves to. Raises InvalidObject: admission may have been down when it was written."""
    errors = validate_xtrinode(x)
    if errors:
        raise InvalidObject(errors)
    return resolve(x)


def plan(
    x: XTrinode,
    observed: Observed,
    now: datetime,
    rules: Rules,
    *,
    shape_of: Callable[[XTrinode], RuntimeShape] = sound_shape,
    rendering_of: Callable[[RuntimeShape, Inputs], Rendering] = render,
) -> Plan:
    """`shape_of` and `rendering_of` are there for a caller that remembers their answers; both are pure."""
    if x.metadata.deletion_timestamp is not None:
        return plan_deletion(x, _resolved(x), observed, now, rules.drain_poll, rules.route_settle)
    intake = take_commands(x.metadata.annotations)
    if intake.suspended is not None and intake.suspended != x.spec.suspended:
        x = x.model_copy(update={"spec": x.spec.model_copy(update={"suspended": intake.suspended})})
    owner_patch: dict[str, Any] = {}
    if intake.command is not None:
        owner_patch = {
            "metadata": {"annotations": dict.fromkeys(intake.consumed)},
            "spec": {"suspended": intake.suspended},
        }
    if meta.FINALIZER not in x.metadata.finalizers:
        owner_patch.setdefault("metadata", {})["finalizers"] = [*x.metadata.finalizers, meta.FINALIZER]
    try:
        shape = shape_of(x)
    except InvalidObject as error:
        return _invalid(x, observed, error, owner_patch, now)
    return _Look(x, shape, observed, now, rules, rendering_of, owner_patch, intake.command).plan()


def plan_unreadable(x: XTrinode, error: InvalidObject, observed: Observed, now: datetime, rules: Rules) -> Plan:
    """For an object whose spec has not even the form of one; `x` has all but the spec."""
    if x.metadata.deletion_timestamp is not None:
        return plan_deletion(x, None, observed, now, rules.drain_poll, rules.route_settle)
    return _invalid(x, observed, error, {}, now)


def _resolved(x: XTrinode) -> RuntimeShape | None:
    """To be deleted, a spec need not be sound."""
    try:
        return resolve(x)
    except InvalidObject:
        return None


def _invalid(x: XTrinode, observed: Observed, error: InvalidObject, owner_patch: dict[str, Any], now: datetime) -> Plan:
    """Admission should have refused it; perhaps it was down. What runs keeps running, nothing is changed."""
    report = Report(
        Situation.FAILED,
        Reason.INVALID_SPEC,
        f"the spec cannot be used, so nothing was changed: {error}",
        applied=False,
        published=observed.published,
        workers=_ready_workers(observed),
        last_activity=x.status.last_activity,
        drain_started=x.status.drain_started_at,
    )
    status = build_status(x, report, now)
    return Plan(
        actions=_patch_owner(x, owner_patch),
        keep_route=True,
        status=status,
        announcements=_announce(x, status, report),
    )


def _patch_owner(x: XTrinode, patch: dict[str, Any]) -> tuple[Action, ...]:
    return (PatchOwner(patch, x.metadata.resource_version),) if patch else ()


def _ready_workers(observed: Observed) -> int:
    workers = observed.workloads.get(Role.WORKER)
    return workers.ready if workers else 0


def _announce(x: XTrinode, status: dict[str, Any], report: Report) -> tuple[Announcement, ...]:
    if not told_differently(x, status):
        return ()
    bad = report.situation is Situation.FAILED
    return (Announcement(report.reason.value, report.message, "Warning" if bad else "Normal"),)


@dataclass(frozen=True, slots=True)
class _Stop:
    """The coordinator shall stop, to sleep or to be replaced: since when, and what the drain says."""

    started: datetime
    drain: Drain

    @property
    def waits(self) -> bool:
        return self.drain.verdict is Verdict.WAIT


class _Look:
    """One look at a runtime that shall exist and whose spec is sound. Lives for one call of `plan`."""

    def __init__(
        self,
        x: XTrinode,
        shape: RuntimeShape,
        observed: Observed,
        now: datetime,
        rules: Rules,
        rendering_of: Callable[[RuntimeShape, Inputs], Rendering],
        owner_patch: dict[str, Any],
        command: Command | None,
    ) -> None:
        self.x, self.shape, self.observed, self.now, self.rules = x, shape, observed, now, rules
        self.owner_patch, self.command = owner_patch, command
        self.suspended = shape.lifecycle.suspended
        self.selection: Selection = select(x, shape, observed)
        self.rendering = rendering_of(
            shape,
            Inputs(
                meta.owner_reference(meta.XTRINODE_KIND, x.metadata),
                self.selection.catalogs,
                {key: source.digest for key, source in observed.sources.items()},
            ),
        )
        self.roles = tuple(self.rendering.rollout)
        self.ask = False
        self.last_activity = x.status.last_activity
        self.wake = decide_wake(x, shape, observed, now)
        self.stop = self._stop()
        # Timers, in seconds; the nearest one is taken.
        self.timers: list[float] = []

    def plan(self) -> Plan:
        actions: list[Action] = []
        if self.wake.void:
            annotations = self.owner_patch.setdefault("metadata", {}).setdefault("annotations", {})
            annotations.update(dict.fromkeys(self.wake.void))
        idle = self._idle()
        if idle:
            self.owner_patch.setdefault("spec", {})["suspended"] = True
        actions += _patch_owner(self.x, self.owner_patch)
        targets = {role: self._target(role) for role in self.roles}
        if self.stop is not None and self.stop.drain.verdict is Verdict.CANCEL:
            actions.append(EndQueries(self.stop.drain.live, self._farewell()))
        actions += self._applies(targets)
        actions += self._prunes()
        state = self._route_state()
        report = self._report(state)
        status = build_status(self.x, report, self.now)
        shown = shown_phase(self.x)
        if status["phase"] not in (shown, wanted_phase(shown, report.situation)):
            self.timers.append(_NEXT_STEP)
        silent = self._is_about_to_be_ready(state, report)
        announcements = [] if silent else list(_announce(self.x, status, report))
        if self.command is not None:
            asked = "Resume" if self.command is Command.RESUME else "Suspend"
            announcements.insert(0, Announcement(f"{asked}Requested", f"asked to {self.command.value}"))
        if idle:
            after = self.shape.lifecycle.auto_suspend_after
            announcements.append(Announcement("AutoSuspendTriggered", f"no query for {after}: suspending"))
        return Plan(
            actions=tuple(actions),
            route=route_entry(self.x, self.shape, state),
            status=None if silent else status,
            announcements=tuple(announcements),
            requeue_after=min(self.timers, default=None),
            ask=self.ask,
        )

    # What shall happen to the coordinator.

    def _stop(self) -> _Stop | None:
        """Whether the coordinator that runs shall stop, and whether it may do so now."""
        live = self.observed.workloads.get(Role.COORDINATOR)
        if live is None or live.wanted == 0:
            return None
        restart = not self._gated and live.rollout not in ("", self.rendering.rollout[Role.COORDINATOR])
        if not self.suspended and not restart:
            return None
        started = self.x.status.drain_started_at or self.now
        lifecycle = self.shape.lifecycle
        drain = decide_drain(
            self.observed,
            started=started,
            now=self.now,
            timeout=lifecycle.drain_timeout,
            cancel=lifecycle.drain_policy == "Cancel",
        )
        self.ask = self.observed.activity is None and self.observed.coordinator_up and self.observed.route_settled
        return _Stop(started, drain)

    def _farewell(self) -> str:
        what = "suspended" if self.suspended else "restarted"
        return f"XTrinode {self.x.key} is being {what}"

    @property
    def _gated(self) -> bool:
        """Whether new pods could not start for want of something, so that the old ones had better stay."""
        return bool(self.selection.missing or self.selection.unpublished)

    # Sleep and wake.

    def _idle(self) -> bool:
        """Whether the runtime was idle for long enough. Sets `ask` when only its coordinator can tell."""
        after = self.shape.lifecycle.auto_suspend_after
        if not self.rules.auto_suspend or after is None or self.suspended or not self.observed.coordinator_up:
            return False
        since = idle_since(self.observed, known=self.last_activity)
        if since is None:
            return False
        if self.last_activity is None or since >= self.last_activity + _ACTIVITY_STEP:
            self.last_activity = since
        activity = self.observed.activity
        answered = activity is not None and not activity.error
        found = decide_idle(since, after=after, now=self.now, asked=answered)
        if found.check_after is not None:
            if found.check_after > 0:
                self.timers.append(found.check_after)
            elif activity is None:
                self.ask = True
            else:
                self.timers.append(max(self.rules.drain_poll, 30.0))  # it could not be asked; nothing is due
        return found.due and not (self.wake.until is not None and self.wake.until > self.now)

    def _target(self, role: Role) -> Target:
        live = self.observed.workloads.get(role)
        if not self.suspended:
            return awake(self.shape, role, live, self.wake.floor)
        if self.stop is not None and self.stop.waits:
            # Busy to the end: nothing moves until the last query is done.
            return Target(None, 0, "waiting for live queries")
        return asleep()

    # What is to be done.

    def _applies(self, targets: dict[Role, Target]) -> Iterable[Action]:
        deployments = {deployment_name(self.shape.name, role): role for role in self.roles}
        held_back = self._gated or (self.stop is not None and self.stop.waits)
        for manifest in self.rendering.manifests:
            role = deployments.get(manifest["metadata"]["name"]) if manifest["kind"] == "Deployment" else None
            if role is None:
                yield Apply(manifest)
                continue
            live = self.observed.workloads.get(role)
            target = targets[role]
            ref = Apply(manifest).ref
            if live is None:
                if not held_back:
                    yield Apply(manifest, replicas=target.initial)
                    if target.initial == 0:
                        yield Scale(ref, 0, target.why)  # that it was put to sleep must show, or it could not wake
                continue
            scale = [Scale(ref, number(target, live), target.why)] if is_due(target, live) else []
            first = target.replicas == 0  # what stops need not change first
            if first:
                yield from scale
            if not held_back:
                yield Apply(manifest)
            if not first and not (held_back and live.wanted == 0):
                yield from scale

    def _prunes(self) -> Iterable[Action]:
        """Owned objects that are no longer rendered. Superseded ConfigMaps stay while a rollout may need them, and then
        as long as the Deployment keeps a revision that a rollback could go to."""
        if self._gated or (self.stop is not None and self.stop.waits):
            return
        rendered = {Apply(manifest).ref for manifest in self.rendering.manifests}
        unrendered = [child for child in self.observed.children if replace(child.ref, uid="") not in rendered]
        keep = kept(self.shape, unrendered)
        for child in unrendered:
            if child.ref not in keep:
                yield Delete(child.ref)

    # What is told.

    def _route_state(self) -> RouteState:
        """From observation, never from the phase. A runtime that shall sleep is paused before its drain begins; one
        that waits to be restarted is resuming, so that new statements are held; and once running it stays so as
        long as any coordinator answers."""
        if self.suspended:
            return RouteState.PAUSED
        if self.stop is not None or not self.observed.coordinator_up:
            return RouteState.RESUMING
        if self.observed.published is RouteState.RUNNING:
            return RouteState.RUNNING
        needs = self.shape.workers.fixed or self.shape.workers.min
        return RouteState.RUNNING if not needs or _ready_workers(self.observed) else RouteState.RESUMING

    def _report(self, state: RouteState) -> Report:
        situation, reason, message = self._situation(state)
        drain_started = self.stop.started if self.stop is not None else None
        if self.stop is not None:
            self.timers.append(self._drain_timer())
        if self.wake.until is not None:
            self.timers.append(max(1.0, (self.wake.until - self.now).total_seconds()))
        return Report(
            situation,
            reason,
            message,
            shape=self.shape,
            rollout=self.rendering.rollout,
            applied=not self.selection.missing,
            catalogs=tuple(self.selection.names) or self.shape.builtin_catalogs,
            catalog_problems=self.selection.unusable,
            blocked="; ".join(self._troubles()),
            published=self.observed.published,
            conflicts=self.observed.conflicts,
            route_problem=self.observed.route_problem,
            autoscaler=_NO_KEDA if self.shape.workers.keda is not None else "",
            workers=_ready_workers(self.observed),
            drain_started=drain_started,
            last_activity=self.last_activity,
            wake=(self.wake.floor, self.wake.until) if self.wake.until is not None else None,
        )

    def _drain_timer(self) -> float:
        if not self.observed.route_settled:
            return min(self.rules.route_settle, self.rules.drain_poll)
        return self.rules.drain_poll

    def _situation(self, state: RouteState) -> tuple[Situation, Reason, str]:
        workloads = self.observed.workloads
        if self.suspended:
            return self._sleeping()
        if self.selection.missing:
            return Situation.FAILED, Reason.REFERENCE_MISSING, "; ".join(self.selection.missing)
        if self.stop is not None:
            reason = Reason.RUNTIME_NOT_READY
            return Situation.STARTING, reason, f"restarting the coordinator: {self.stop.drain.message}"
        if Role.COORDINATOR not in workloads and self._gated:
            lacking = ", ".join(self.selection.unpublished)
            return Situation.ABSENT, Reason.RUNTIME_NOT_READY, f"waiting for the ConfigMap of catalog {lacking}"
        waits = list(self._waits())
        if not waits and self._awaits_route(state):
            problem = self.observed.route_problem
            waits.append("for the gateway's route" + (f": {problem}" if problem else ""))
        if waits:
            troubles = self._troubles()
            told = f"waiting {', '.join(waits)}" + (f": {'; '.join(troubles)}" if troubles else "")
            return Situation.STARTING, Reason.RUNTIME_NOT_READY, told
        return Situation.READY, Reason.ALL_COMPONENTS_READY, "coordinator, workers and route are ready"

    def _awaits_route(self, state: RouteState) -> bool:
        return state is RouteState.RUNNING and self.observed.published is not RouteState.RUNNING

    def _is_about_to_be_ready(self, state: RouteState, report: Report) -> bool:
        """Whether its route, which is being written, is all that is missing. Its writer causes a look when it is done
        and when it cannot do it: until then there is nothing to tell that would be true for longer than that."""
        route_alone = self._awaits_route(state) and not self.observed.route_problem and not any(self._waits())
        return route_alone and report.situation is Situation.STARTING

    def _waits(self) -> Iterable[str]:
        """What is missing until the current revision serves."""
        for role in self.roles:
            live = self.observed.workloads.get(role)
            if role is Role.COORDINATOR:
                floor = 1
            else:
                floor = self.shape.workers.fixed or max(self.shape.workers.min, self.wake.floor)
            if live is None or live.rollout != self.rendering.rollout[role] or not live.serves(floor):
                ready = live.ready if live else 0
                yield f"for the {role.value}" if role is Role.COORDINATOR else f"for workers ({ready} of {floor} ready)"
        if not self.observed.coordinator_up:
            yield "for the coordinator's endpoint"

    def _sleeping(self) -> tuple[Situation, Reason, str]:
        if self.stop is not None and self.stop.waits:
            return Situation.SUSPENDING, Reason.DRAINING, self.stop.drain.message
        awake_ = [role for role, live in self.observed.workloads.items() if live.wanted > 0]
        if awake_:
            return Situation.SUSPENDING, Reason.SUSPENDING, "stopping coordinator and workers"
        if self.observed.pods:
            count = len(self.observed.pods)
            return Situation.SUSPENDING, Reason.SUSPENDING, f"waiting until {count} pods are gone"
        if self.selection.missing:
            return (
                Situation.SUSPENDED,
                Reason.SUSPENDED,
                f"suspended; before it can wake: {'; '.join(self.selection.missing)}",
            )
        return Situation.SUSPENDED, Reason.SUSPENDED, "suspended; resume it to use it"

    def _troubles(self) -> list[str]:
        found = [
            f"{role.value} Deployment: {live.blocked}" for role, live in self.observed.workloads.items() if live.blocked
        ]
        found += [
            f"pod {pod.name}: {pod.trouble}"
            for pod in self.observed.pods
            if pod.trouble and not pod.ready and not pod.terminating
        ]
        return found[:3]
