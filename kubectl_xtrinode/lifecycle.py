"""What suspend and resume share: choosing runtimes, patching them, and waiting until it is so."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Any

import click

from crds.client.errors import ApiError, ConfigError, Gone, NotFound
from crds.client.resources import XTRINODES
from kubectl_xtrinode.following import follow
from kubectl_xtrinode.kube import Kube
from kubectl_xtrinode.options import duration_text
from kubectl_xtrinode.output import note, plain

Runtime = dict[str, Any]


def chosen(kube: Kube, names: tuple[str, ...], selector: str) -> list[Runtime]:
    """The runtimes that the arguments mean. Names or a selector, not both and not neither."""
    if bool(names) == bool(selector):
        raise click.UsageError("name the runtimes, or select them with -l LABELS")
    if names:
        return [kube.get(XTRINODES, name, kube.namespace) for name in names]
    found = kube.list_(XTRINODES, kube.namespace, labelSelector=selector)
    if not found:
        note(f"No resources found in {kube.namespace} namespace.")
    return found


def change(
    kube: Kube, runtimes: list[Runtime], patch: dict[str, Any], dry_run: bool
) -> tuple[list[Runtime], list[ApiError]]:
    """Patch each runtime and say what was done: those that were, as they are now, and what kept the others from it."""
    done, refused = [], []
    for runtime in runtimes:
        name = runtime["metadata"]["name"]
        try:
            new = kube.patch(XTRINODES, name, kube.namespace, patch, dry_run)
        except ApiError as error:
            refused.append(error)
            continue
        same = new["metadata"].get("resourceVersion") == runtime["metadata"].get("resourceVersion")
        word = "unchanged" if same else "suspended" if patch["spec"]["suspended"] else "resumed"
        click.echo(f"xtrinode.analytics.xtrinode.io/{name} {word}{' (server dry run)' if dry_run else ''}")
        done.append(new)
    return done, refused


def change_and_wait(
    kube: Kube, runtimes: list[Runtime], patch: dict[str, Any], *, dry_run: bool, wait: float | None
) -> None:
    """`change`, then wait for at most `wait` seconds (None: not at all). What was refused is told in the end."""
    done, refused = change(kube, runtimes, patch, dry_run)
    for error in refused[:-1]:
        note(f"Error from server ({error.reason}): {error.message}")
    if wait is not None and done and not dry_run:
        wait_for(kube, done, "Suspended" if patch["spec"]["suspended"] else "Ready", wait)
    if refused:
        raise refused[-1]


def wait_for(
    kube: Kube, runtimes: list[Runtime], phase: str, timeout: float, now: Callable[[], float] = time.monotonic
) -> None:
    """Wait until every runtime has `phase` for its newest spec, telling each step on stderr."""
    waiting = {str(one["metadata"]["name"]) for one in runtimes}
    shown: dict[str, str] = {}
    deadline = now() + timeout
    while waiting and now() < deadline:
        try:
            for kind, runtime in _states(kube, deadline, now):
                name = str(runtime["metadata"]["name"])
                if name not in waiting:
                    continue
                if kind == "DELETED":
                    raise NotFound(404, "NotFound", f"xtrinodes {name!r} was deleted while waiting for {phase}")
                if _reached(runtime, shown, phase):
                    waiting.discard(name)
                    if not waiting:
                        return
        except Gone:
            time.sleep(1.0)  # everything is read anew, but not without a breath in between
    if waiting:
        raise ConfigError(
            f"timed out after {duration_text(timeout)} waiting for {', '.join(sorted(waiting))} to be {phase}; "
            f"it goes on by itself, see: kubectl xtrinode status {min(waiting)} -n {kube.namespace}"
        )


def _states(kube: Kube, deadline: float, now: Callable[[], float]) -> Iterator[tuple[str, Runtime]]:
    """Every runtime of the namespace, then what happens to them."""
    runtimes, version = kube.snapshot(XTRINODES, kube.namespace)
    yield from (("ADDED", runtime) for runtime in runtimes)
    yield from follow(kube, XTRINODES, kube.namespace, version, until=deadline, now=now)


def _reached(runtime: Runtime, shown: dict[str, str], phase: str) -> bool:
    """Whether the runtime has the phase for its newest spec; says so when its state is another than was shown."""
    name = str(runtime["metadata"]["name"])
    status = runtime.get("status") or {}
    state = f"{status.get('phase') or 'Pending'}{_reason(status)}"
    if shown.get(name) != state:
        shown[name] = state
        note(f"{name}: {plain(state)}")
    newest = int(runtime["metadata"].get("generation") or 0)
    return status.get("phase") == phase and int(status.get("observedGeneration") or 0) >= newest


def _reason(status: dict[str, Any]) -> str:
    """The Ready condition's message while it says why not."""
    for condition in status.get("conditions") or []:
        if condition.get("type") == "Ready" and condition.get("status") != "True" and condition.get("message"):
            return f" ({condition['message']})"
    return ""
