"""What suspend and resume share: choosing runtimes, patching them, and waiting until it is so."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import click

from crds.client.errors import ConfigError, Gone, NotFound
from crds.client.resources import XTRINODES
from kubectl_xtrinode.kube import Kube
from kubectl_xtrinode.output import coloured, note

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


def change(kube: Kube, runtimes: list[Runtime], patch: dict[str, Any], dry_run: bool) -> list[Runtime]:
    """Patch each runtime and say what was done; returns them as they are now."""
    done = []
    for runtime in runtimes:
        name = runtime["metadata"]["name"]
        new = kube.patch(XTRINODES, name, kube.namespace, patch, dry_run)
        same = new["metadata"].get("resourceVersion") == runtime["metadata"].get("resourceVersion")
        word = "unchanged" if same else "suspended" if patch["spec"]["suspended"] else "resumed"
        click.echo(f"xtrinode.analytics.xtrinode.io/{name} {word}{' (server dry run)' if dry_run else ''}")
        done.append(new)
    return done


def wait_for(
    kube: Kube, runtimes: list[Runtime], phase: str, timeout: float, now: Callable[[], float] = time.monotonic
) -> None:
    """Wait until every runtime has `phase` for its newest spec, telling each step on stderr."""
    waiting = {str(one["metadata"]["name"]): one for one in runtimes}
    shown: dict[str, str] = {}
    deadline = now() + timeout
    version = ""
    while True:
        if not version:
            table = kube.list_(XTRINODES, kube.namespace)
            current = {str(one["metadata"]["name"]): one for one in table}
            for name in list(waiting):
                if name not in current:
                    raise NotFound(404, "NotFound", f"xtrinodes {name!r} was deleted while waiting for {phase}")
                _take(waiting, shown, current[name], phase)
            version = max((str(one["metadata"]["resourceVersion"]) for one in table), key=int, default="0")
        if not waiting:
            return
        left = deadline - now()
        if left <= 0:
            names = ", ".join(sorted(waiting))
            raise ConfigError(
                f"timed out after {timeout:g} s waiting for {names} to be {phase}; it goes on by itself, "
                f"see: kubectl xtrinode status {min(waiting)} -n {kube.namespace}"
            )
        try:
            for kind, runtime in kube.watch(XTRINODES, kube.namespace, version, timeout=max(1, int(min(left, 300)))):
                version = str(runtime["metadata"].get("resourceVersion") or version)
                if kind == "DELETED" and str(runtime["metadata"]["name"]) in waiting:
                    raise NotFound(404, "NotFound", f"a runtime was deleted while waiting for {phase}")
                if kind in ("ADDED", "MODIFIED"):
                    _take(waiting, shown, runtime, phase)
                if not waiting or now() > deadline:
                    break
        except Gone:
            version = ""


def _take(waiting: dict[str, Runtime], shown: dict[str, str], runtime: Runtime, phase: str) -> None:
    """Note a runtime's newest state; it stops being waited for when it is there."""
    name = str(runtime["metadata"]["name"])
    if name not in waiting:
        return
    status = runtime.get("status") or {}
    state = f"{status.get('phase') or 'Pending'}{_reason(status)}"
    if shown.get(name) != state:
        shown[name] = state
        note(f"{name}: {coloured(state, 'cyan')}")
    if status.get("phase") == phase and int(status.get("observedGeneration") or 0) >= int(
        runtime["metadata"].get("generation") or 0
    ):
        del waiting[name]


def _reason(status: dict[str, Any]) -> str:
    """The Ready condition's message while it says why not."""
    for condition in status.get("conditions") or []:
        if condition.get("type") == "Ready" and condition.get("status") != "True" and condition.get("message"):
            return f" ({condition['message']})"
    return ""
