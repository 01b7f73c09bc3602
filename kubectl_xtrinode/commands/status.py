"""`status`: one runtime whole, from what was asked for to what runs. Exit code 3 when it is not ready."""

from __future__ import annotations

from typing import Any

import click

from crds.client.errors import ApiError, Forbidden
from crds.client.resources import CORE_EVENTS, DEPLOYMENTS, EVENTS, PODS, XTRINODES, Resource
from kubectl_xtrinode.kube import Kube
from kubectl_xtrinode.options import NAME, Connection, connection_options
from kubectl_xtrinode.output import age, coloured, note, plain, print_rows

NOT_READY = 3
_EVENTS = 8
_COLOURS = {"Ready": "green", "Suspended": "blue", "Error": "red"}


@click.command(short_help="Show one runtime whole: conditions, pods, route, events.")
@click.argument("name", type=NAME)
@connection_options
def command(connection: Connection, name: str) -> None:
    """Show one runtime whole: spec, conditions, workloads, pods, route and last events.

    The exit code is 0 when it is Ready (or sleeps as it was asked to) and 3 when it is not.
    """
    kube = Kube.connect(connection)
    runtime = kube.get(XTRINODES, name, kube.namespace)
    selector = f"app.kubernetes.io/name=trino,app.kubernetes.io/instance={name}"
    deployments = _listed(kube, DEPLOYMENTS, selector)
    pods = _listed(kube, PODS, selector)
    _head(runtime)
    _conditions(runtime)
    _workloads(deployments, pods)
    _events(kube, {name, *(str(one["metadata"]["name"]) for one in [*deployments, *pods])})
    wanted = "Suspended" if runtime["spec"].get("suspended") else "Ready"
    if (runtime.get("status") or {}).get("phase") != wanted:
        raise click.exceptions.Exit(NOT_READY)


def _listed(kube: Kube, resource: Resource, selector: str) -> list[dict[str, Any]]:
    """What there is, as far as one may see it: the rest of the page is worth printing all the same."""
    try:
        return kube.list_(resource, kube.namespace, labelSelector=selector)
    except Forbidden:
        note(f"no permission to list {resource.plural} in namespace {kube.namespace}: they are not shown")
        return []


def _head(runtime: dict[str, Any]) -> None:
    meta, spec, status = runtime["metadata"], runtime["spec"], runtime.get("status") or {}
    shape = status.get("observedRuntimeShape") or {}
    workers = shape.get("workers") or {}
    phase = str(status.get("phase") or "Pending")
    routing = spec.get("routing") or {}
    selectors = [f"X-Trino-XTrinode: {meta['namespace']}/{meta['name']}"]
    selectors += [f"{key}: {routing[key]}" for key in ("header", "hostname", "hostnameDomain") if routing.get(key)]
    if routing.get("default"):
        selectors.append("default route")
    rows = [
        ("Name:", f"{meta['namespace']}/{meta['name']}"),
        ("Phase:", coloured(plain(phase), _COLOURS.get(phase, "yellow"))),
        ("Message:", str(status.get("message") or "")),
        ("Size:", str(spec.get("size"))),
        ("Workers:", _workers(status, workers)),
        ("Coordinator:", str(status.get("coordinatorURL") or status.get("coordinatorUrl") or "")),
        ("Catalogs:", ", ".join(status.get("observedCatalogs") or [])),
        ("Selected by:", "; ".join(selectors)),
        ("Idle after:", str(spec.get("autoSuspendAfter") or "5m")),
        ("Age:", age(meta.get("creationTimestamp"))),
    ]
    for label, value in rows:
        if value:
            print(f"{label:<14}{value if label == 'Phase:' else plain(value)}")


def _workers(status: dict[str, Any], workers: dict[str, Any]) -> str:
    ready = status.get("workers") or 0
    if not workers:
        return str(ready)
    if workers.get("fixed") is not None:
        return f"{ready} of {workers['fixed']} ready"
    return f"{ready} ready, {workers.get('min')} to {workers.get('max')}"


def _conditions(runtime: dict[str, Any]) -> None:
    conditions = (runtime.get("status") or {}).get("conditions") or []
    if conditions:
        print("\nConditions:")
        rows = [("TYPE", "STATUS", "REASON", "SINCE", "MESSAGE")]
        for one in conditions:
            since = age(one.get("lastTransitionTime"))
            message = str(one.get("message") or "")
            rows.append((str(one["type"]), str(one["status"]), str(one.get("reason") or ""), since, message))
        print_rows(rows)


def _workloads(deployments: list[dict[str, Any]], pods: list[dict[str, Any]]) -> None:
    if deployments:
        print("\nWorkloads:")
        rows = [("DEPLOYMENT", "READY", "UP-TO-DATE", "AGE")]
        for one in deployments:
            status = one.get("status") or {}
            wanted = (one.get("spec") or {}).get("replicas", 1)
            ready = f"{status.get('readyReplicas') or 0}/{wanted}"
            updated = str(status.get("updatedReplicas") or 0)
            rows.append((str(one["metadata"]["name"]), ready, updated, age(one["metadata"].get("creationTimestamp"))))
        print_rows(rows)
    if pods:
        print("\nPods:")
        table = [("POD", "READY", "STATUS", "RESTARTS", "AGE")]
        for one in pods:
            containers = (one.get("status") or {}).get("containerStatuses") or []
            wanted = len((one.get("spec") or {}).get("containers") or [])
            ready = f"{sum(bool(c.get('ready')) for c in containers)}/{wanted}"
            restarts = str(sum(int(c.get("restartCount") or 0) for c in containers))
            created = age(one["metadata"].get("creationTimestamp"))
            table.append((str(one["metadata"]["name"]), ready, pod_state(one), restarts, created))
        print_rows(table)


def pod_state(pod: dict[str, Any]) -> str:
    """A pod's state in one word: what a container waits for, Terminating, or the phase."""
    if pod["metadata"].get("deletionTimestamp"):
        return "Terminating"
    status = pod.get("status") or {}
    for container in status.get("containerStatuses") or []:
        state = container.get("state") or {}
        reason = (state.get("waiting") or state.get("terminated") or {}).get("reason")
        if reason:
            return str(reason)
    return str(status.get("phase") or "Pending")


def _events(kube: Kube, names: set[str]) -> None:
    """The last events of the runtime and of what it owns."""
    found = []
    for resource in (EVENTS, CORE_EVENTS):
        try:
            found = kube.list_(resource, kube.namespace)
        except ApiError:
            continue  # no right to read events is no reason to show nothing
        break
    shown = []
    for event in found:
        about = event.get("regarding") or event.get("involvedObject") or {}
        if about.get("name") in names:
            when = _when(event)
            message = str(event.get("note") or event.get("message") or "")
            subject = f"{str(about.get('kind', '')).lower()}/{about.get('name')}"
            shown.append((when, (age(when), str(event.get("type")), str(event.get("reason")), subject, message)))
    if shown:
        shown.sort(key=lambda item: item[0])
        print("\nEvents:")
        print_rows([("AGE", "TYPE", "REASON", "OBJECT", "MESSAGE"), *(row for _, row in shown[-_EVENTS:])])


def _when(event: dict[str, Any]) -> str:
    series = event.get("series") or {}
    for value in (
        series.get("lastObservedTime"),
        event.get("lastTimestamp"),
        event.get("deprecatedLastTimestamp"),
        event.get("eventTime"),
        event["metadata"].get("creationTimestamp"),
    ):
        if value:
            return str(value)
    return ""
