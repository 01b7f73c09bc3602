"""Runs one container of a pod: start, probe, restart with back-off, stop. One task per container.

Made and awaited by the pod's worker. The runner keeps a `ContainerRecord` that says what happened and tells the
worker whenever it changes; it writes nothing to the API server itself. Once `stop` is called it starts nothing
any more, and `run` returns when the process is gone.
"""

from __future__ import annotations

import asyncio
import contextlib
import signal
import uuid
from collections.abc import Awaitable, Coroutine, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any, Protocol, TypeVar

from sandbox.kubelet import pod_status, processes, restarts
from sandbox.kubelet.checks import Checker, Subject
from sandbox.kubelet.directories import PodDirectory
from sandbox.kubelet.environment import ConfigMissing, ConfigWrong, Lookup, environment
from sandbox.kubelet.forked import ForkedProcess, Nursery, NurseryGone
from sandbox.kubelet.images import ImageRefused, Runner, runner_for
from sandbox.kubelet.launches import Place, Trino, launch, runner_of, trino_flags
from sandbox.kubelet.logs import ContainerLog
from sandbox.kubelet.objects import Object, annotations_of, key, meta, spec, uid
from sandbox.kubelet.pod_status import ContainerRecord, Running, Terminated, Waiting
from sandbox.kubelet.probes import Pace, Probe, ProbeKind, ProbeTracker, read
from sandbox.kubelet.processes import Guard, LocalProcess, StartFailed
from sandbox.kubelet.settings import Settings
from sandbox.kubelet.trino_etc import prepare_etc

T = TypeVar("T")
CONFIG_PATIENCE = 0.25  # seconds that a missing object may merely be late in our watch


class Stopped(Exception):
    """The pod is going; nothing more is to be started."""


class PodContext(Protocol):
    """What a runner needs of its pod's worker. Avoids the arrow from runner to worker."""

    @property
    def pod(self) -> Object: ...
    @property
    def pod_ip(self) -> str: ...
    @property
    def directory(self) -> PodDirectory: ...
    @property
    def settings(self) -> Settings: ...
    @property
    def guard(self) -> Guard: ...
    @property
    def nursery(self) -> Nursery: ...
    @property
    def checker(self) -> Checker: ...
    @property
    def lookup(self) -> Lookup: ...

    def place(self, container: str) -> Place: ...
    def changed(self) -> None: ...
    def event(self, kind: str, reason: str, message: str, container: str = "") -> None: ...
    def config_changed(self) -> asyncio.Future[None]:
        """Done at the next change of a ConfigMap or Secret in the pod's namespace."""
        ...


class StopOrder:
    """When the patience with a stopping pod ends. It may be shortened while others wait for it."""

    def __init__(self, at: float, *, hooks: bool = True) -> None:
        self.at = at  # on the event loop's clock
        self.hooks = hooks
        self.forced = False  # the object is gone: no courtesies
        self._moved = asyncio.Event()

    def shorten(self, at: float) -> None:
        if at < self.at:
            self.at = at
            self._moved.set()

    def force(self) -> None:
        self.forced = True
        self.shorten(0.0)

    async def reached(self) -> None:
        loop = asyncio.get_running_loop()
        while (left := self.at - loop.time()) > 0:
            self._moved.clear()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._moved.wait(), left)


class Placeholder:
    """Stands for a process that cannot run here: it does nothing until it is told to end."""

    def __init__(self, ends_at_once: bool) -> None:
        self._over = asyncio.Event()
        if ends_at_once:
            self._over.set()

    @property
    def running(self) -> bool:
        return not self._over.is_set()

    async def exited(self) -> None:
        await self._over.wait()

    async def wait(self) -> int:
        await self._over.wait()
        return 0

    def signal(self, number: int) -> None:
        if number in (signal.SIGTERM, signal.SIGKILL):
            self._over.set()


#: What a container's process can be; all three are used alike.
Process = LocalProcess | ForkedProcess | Placeholder


class ContainerRunner:
    def __init__(self, context: PodContext, container: Mapping[str, Any], is_init: bool, record: ContainerRecord):
        settings = context.settings
        self.record = record
        self.is_init = is_init
        self.name = record.name
        self.started = asyncio.Event()  # set while the startup probe has passed
        self.log: ContainerLog | None = None
        self._context = context
        self.container = container
        self._settings = settings
        self._pace = Pace(settings.speedup, settings.eager_probes, settings.eager_interval)
        self._stop = asyncio.Event()
        self._order: StopOrder | None = None
        self._ending: StopOrder | None = None  # of the current run, when only that is to end
        self._process: Process | None = None
        self._subject: Subject | None = None
        self._probes: dict[ProbeKind, asyncio.Task[None]] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._backoff = restarts.Backoff(
            settings.crash_backoff, settings.crash_backoff_limit, settings.crash_backoff_reset
        )

    # The life of a container.

    async def run(self) -> None:
        """Run, and run again as the restart policy says; returns when the container is over for good."""
        try:
            if isinstance(self.record.state, Terminated) and not self._again(self.record.state.exit_code):
                return  # it had ended before the kubelet's own restart
            while True:
                ended, ran_for = await self._run_once()
                if self._stop.is_set() or not self._again(ended.exit_code):
                    return
                delay, self._backoff = self._backoff.now(ran_for), self._backoff.after_run(ran_for)
                if delay:
                    pod = self._context.pod
                    where = f"{meta(pod).get('name')}_{key(pod).namespace}({uid(pod)})"
                    text = f"back-off {delay:g}s restarting failed container={self.name} pod={where}"
                    self._set(state=Waiting("CrashLoopBackOff", text), last=ended)
                    self._event(
                        "Warning", "BackOff", f"Back-off restarting failed container {self.name} in pod {where}"
                    )
                    await self._unless_stopped(asyncio.sleep(delay))
        except Stopped:
            return
        finally:
            self._end_probes()
            ending = list(self._tasks)
            for task in ending:
                if not task.cancelling():  # a second one would cut the first one's clean-up short
                    task.cancel()
            await asyncio.gather(*ending, return_exceptions=True)
            if self.log is not None:
                self.log.close()

    def stop(self, order: StopOrder) -> None:
        """Begin to stop; `run` returns once the process has ended."""
        if self._order is not None:
            self._order.shorten(order.at)
            return
        self._order = order
        self._stop.set()
        for kind in (ProbeKind.STARTUP, ProbeKind.LIVENESS):
            self._cancel_probe(kind)
        if self._process is not None and self._process.running:
            if self._ending is not None:
                self._ending.shorten(order.at)  # a probe is killing it already
                return
            self._event("Normal", "Killing", f"Stopping container {self.name}")
            self._spawn(self._terminate(self._process, order))

    def _again(self, exit_code: int) -> bool:
        return restarts.restarts(self._context.pod, self.container, self.is_init, exit_code)

    async def _run_once(self) -> tuple[Terminated, float]:
        loop = asyncio.get_running_loop()
        runner = await self._image()
        values = await self._values()
        first = self.record.last is None and not isinstance(self.record.state, Terminated)
        last = self.record.state if isinstance(self.record.state, Terminated) else self.record.last
        count = self.record.restart_count + (0 if first else 1)
        log = self.log = ContainerLog(
            self._context.directory.logs(self.name), count, self._settings.log_bytes, self._settings.log_line_limit
        )
        identity = uuid.uuid4().hex
        began, since = datetime.now(UTC), loop.time()
        self._ending = None
        try:
            process = self._process = await self._start(runner, values, log)
        except (StartFailed, ConfigWrong) as error:
            log.note(f"sandbox: {error}")
            log.close()
            self._event("Warning", "Failed", f"Error: {error}")
            ended = Terminated(128, "StartError", began, datetime.now(UTC), str(error))
            self._set(state=ended, last=last, restart_count=count, container_id=identity)
            return ended, 0.0
        self._event("Normal", "Started", f"Started container {self.name}")
        self._set(
            state=Running(began), last=last, restart_count=count, container_id=identity, started=False, ready=False
        )
        if self._stop.is_set() and self._order is not None:
            self._spawn(self._terminate(process, self._order))  # stop came while the process was starting
        elif await self._after_start(process):
            self._begin_probes(since)
        code = await process.wait()
        self._end_probes()
        self.started.clear()
        log.close()
        reason = "Completed" if code == 0 else "Error"
        ended = Terminated(code, reason, began, datetime.now(UTC))
        self._set(state=ended, started=False, ready=False)
        return ended, loop.time() - since

    async def _image(self) -> Runner:
        image = str(self.container.get("image") or "")
        delay = self._settings.image_backoff
        while True:
            try:
                runner = runner_for(image, self._settings.placeholder_images)
            except ImageRefused as refused:
                reason = "InvalidImageName" if refused.malformed else "ErrImagePull"
                self._event("Warning", "Failed", f'Failed to pull image "{image}": {refused}')
                self._event("Warning", "Failed", f"Error: {reason}")
                self._set(state=Waiting(reason, str(refused)))
                await self._unless_stopped(asyncio.sleep(min(delay, 1.0)))
                if not refused.malformed:
                    self._event("Normal", "BackOff", f'Back-off pulling image "{image}"')
                    text = f'Back-off pulling image "{image}": {refused}'
                    self._set(state=Waiting("ImagePullBackOff", text))
                await self._unless_stopped(asyncio.sleep(delay))
                delay = min(delay * 2, self._settings.image_backoff_limit)
                continue
            self._event("Normal", "Pulled", f'Container image "{image}" stands for {runner.value}')
            return runner_of(runner, self.container)

    async def _values(self) -> dict[str, str]:
        """The container's environment; waits while a ConfigMap or Secret that it names is missing."""
        late = True
        while True:
            try:
                return environment(self._context.pod, self.container, self._context.lookup)
            except (ConfigMissing, ConfigWrong) as error:
                if not late:
                    self._event("Warning", "Failed", f"Error: {error}")
                    self._set(state=Waiting("CreateContainerConfigError", str(error)))
            changed = self._context.config_changed()
            if late:
                late = False
                with contextlib.suppress(TimeoutError):
                    await self._unless_stopped(asyncio.wait_for(changed, CONFIG_PATIENCE))
            else:
                await self._unless_stopped(changed)

    async def _start(self, runner: Runner, values: Mapping[str, str], log: ContainerLog) -> Process:
        context = self._context
        context.directory.build_root(self.container, values)
        place = context.place(self.name)
        hostname = str(spec(context.pod).get("hostname") or meta(context.pod).get("name"))
        trino = None
        if runner is Runner.TRINO:
            home = self._settings.trino_home
            trino = Trino(
                etc=prepare_etc(place, home),
                namespace=key(context.pod).namespace,
                cache=self._settings.trino_cache or self._settings.data_dir / "trino-cache",
                home=home,
                java=self._settings.java_home,
                flags=trino_flags(annotations_of(context.pod)),
            )
        what = launch(runner, self.container, values, hostname, place, trino)
        self._subject = Subject(self.container, runner, place, what)
        self._event("Normal", "Created", f"Created container: {self.name}")
        if runner is Runner.PLACEHOLDER:
            image = self.container.get("image")
            ends = self.is_init and not restarts.is_sidecar(self.container)
            doing = "ends at once with success" if ends else "sleeps until it is stopped"
            text = f'image "{image}" cannot run in the sandbox; a placeholder {doing} in its place'
            log.note(f"sandbox: {text}")
            self._event("Normal", "Placeholder", text)
            return Placeholder(ends)
        if what.module is not None:
            with contextlib.suppress(NurseryGone):
                arguments = what.argv[what.argv.index("-m") + 2 :]
                forked = await context.nursery.start(what.module, arguments, what.environment, place.work, log.feed)
                if forked is not None:
                    return forked
        return await processes.start(what.argv, what.environment, place.work, log.feed, context.guard)

    async def _after_start(self, process: Process) -> bool:
        """The postStart hook; when it fails the container is killed."""
        hook = (self.container.get("lifecycle") or {}).get("postStart")
        if not hook or self._subject is None:
            return True
        answer = await self._context.checker.check(hook, self._subject, 60.0)
        if answer.success:
            return True
        self._event("Warning", "FailedPostStartHook", f"PostStartHook failed: {answer.message}")
        self._kill(process, "failed its postStart hook", None)
        return False

    # Probes.

    def _begin_probes(self, since: float) -> None:
        startup = read(self.container, ProbeKind.STARTUP, self._pace)
        if startup is None:
            self._startup_passed(since)
        else:
            self._begin(startup, since)

    def _startup_passed(self, since: float) -> None:
        self.started.set()
        self._set(started=True, ready=pod_status.ready_at_start(self.container))
        for kind in (ProbeKind.READINESS, ProbeKind.LIVENESS):
            probe = read(self.container, kind, self._pace)
            if probe is not None:
                self._begin(probe, since)

    def _begin(self, probe: Probe, since: float) -> None:
        task = self._probes[probe.kind] = asyncio.create_task(self._probe(probe, since))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _probe(self, probe: Probe, since: float) -> None:
        loop = asyncio.get_running_loop()
        tracker = ProbeTracker(probe, since, self._pace)
        process, subject = self._process, self._subject
        assert process is not None and subject is not None
        while True:
            await asyncio.sleep(max(0.0, tracker.next_at() - loop.time()))
            began = loop.time()
            answer = await self._context.checker.check(probe.check, subject, probe.timeout)
            if not process.running:
                return
            if not answer.success and tracker.counts(began):
                text = f"{probe.kind.value.capitalize()} probe failed: {answer.message}"
                self._event("Warning", "Unhealthy", text)
            if not tracker.record(answer.success, began, loop.time()):
                continue
            if probe.kind is ProbeKind.READINESS:
                self._set(ready=tracker.passed)
            elif tracker.failed:
                self._kill(process, f"failed {probe.kind.value} probe", probe.grace)
                return
            elif probe.kind is ProbeKind.STARTUP:
                self._startup_passed(since)
                return

    def _cancel_probe(self, kind: ProbeKind) -> None:
        task = self._probes.pop(kind, None)
        if task is not None:
            task.cancel()

    def _end_probes(self) -> None:
        for kind in list(self._probes):
            self._cancel_probe(kind)

    # The end.

    def _kill(self, process: Process, why: str, grace: int | None) -> None:
        """Stop this run only; the restart policy decides what follows."""
        self._event("Normal", "Killing", f"Container {self.name} {why}, will be restarted")
        if self._ending is not None or self._order is not None:
            return
        seconds = spec(self._context.pod).get("terminationGracePeriodSeconds") if grace is None else grace
        at = asyncio.get_running_loop().time() + (30.0 if seconds is None else float(seconds))
        self._ending = StopOrder(at)
        self._spawn(self._terminate(process, self._ending))

    async def _terminate(self, process: Process, order: StopOrder) -> None:
        """preStop, SIGTERM, and SIGKILL when the order's time is up."""
        loop = asyncio.get_running_loop()
        hook = (self.container.get("lifecycle") or {}).get("preStop")
        if hook and order.hooks and order.at > loop.time():
            await self._pre_stop(hook, process, order)
            if not order.forced and order.at < loop.time() + self._settings.least_stop_time:
                order = StopOrder(loop.time() + self._settings.least_stop_time)
                if self._order is not None:
                    self._order = order
                else:
                    self._ending = order
        if order.at > loop.time():
            process.signal(signal.SIGTERM)
            await _first(process.exited(), order.reached())
        if process.running:
            process.signal(signal.SIGKILL)

    async def _pre_stop(self, hook: Mapping[str, Any], process: Process, order: StopOrder) -> None:
        assert self._subject is not None
        seconds = max(0.1, order.at - asyncio.get_running_loop().time())
        check = asyncio.create_task(self._context.checker.check(hook, self._subject, seconds))
        await _first(asyncio.shield(check), process.exited(), order.reached())
        if not check.done():
            check.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await check
            if process.running:
                self._event("Warning", "FailedPreStopHook", "PreStopHook did not end within the grace period")
        elif not check.result().success:
            self._event("Warning", "FailedPreStopHook", f"PreStopHook failed: {check.result().message}")

    # Small things.

    def waiting(self, reason: str, message: str) -> None:
        """The pod's worker says why this container does not start yet."""
        self._set(state=Waiting(reason, message))

    def _set(self, **changes: Any) -> None:
        self.record = replace(self.record, **changes)
        self._context.changed()

    def _event(self, kind: str, reason: str, message: str) -> None:
        self._context.event(kind, reason, message, self.name)

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _unless_stopped(self, work: Awaitable[T]) -> T:
        """Wait for something, or raise Stopped as soon as the pod is to stop."""
        task = asyncio.ensure_future(work)
        stop = asyncio.create_task(self._stop.wait())
        try:
            await asyncio.wait({task, stop}, return_when=asyncio.FIRST_COMPLETED)
            if task.done():
                return task.result()
            raise Stopped
        finally:
            for item in (task, stop):
                if not item.done():
                    item.cancel()
                    with contextlib.suppress(asyncio.CancelledError):
                        await item


async def _first(*work: Awaitable[Any]) -> None:
    """Wait for the first of several things; the others are cancelled."""
    tasks = [asyncio.ensure_future(item) for item in work]
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
