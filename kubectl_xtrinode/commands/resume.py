"""`resume`: wake runtimes up."""

from __future__ import annotations

from typing import Any

import click

from kubectl_xtrinode.kube import Kube
from kubectl_xtrinode.lifecycle import change_and_wait, chosen
from kubectl_xtrinode.options import NAME, SECONDS, Connection, connection_options, duration_text

# Spelled a second time because the contract's constants import pydantic; a contract test compares the two.
WAKE_MIN_WORKERS = "xtrinode.analytics.xtrinode.io/wake-min-workers"
WAKE_TTL = "xtrinode.analytics.xtrinode.io/wake-ttl"


@click.command(short_help="Wake runtimes up.")
@click.argument("names", nargs=-1, type=NAME, metavar="NAME...")
@click.option("-l", "--selector", default="", metavar="LABELS", help="All runtimes with these labels.")
@click.option("--min-workers", type=click.IntRange(0, 500), help="At least this many workers for --ttl.")
@click.option("--ttl", type=SECONDS, help="How long --min-workers holds.")
@click.option("--wait", is_flag=True, help="Wait until they are Ready.")
@click.option("--timeout", type=SECONDS, default=600.0, help="Longest wait; default: 10m.")
@click.option("--dry-run", is_flag=True, help="Ask the server whether it would work, change nothing.")
@connection_options
def command(
    connection: Connection,
    names: tuple[str, ...],
    selector: str,
    min_workers: int | None,
    ttl: float | None,
    wait: bool,
    timeout: float,
    dry_run: bool,
) -> None:
    """Wake runtimes up.

    \b
    kubectl xtrinode resume analytics -n team-a --wait
    kubectl xtrinode resume analytics --min-workers 4 --ttl 30m
    """
    if ttl is not None and min_workers is None:
        raise click.UsageError("--ttl says how long --min-workers holds; give both")
    kube = Kube.connect(connection)
    patch: dict[str, Any] = {"spec": {"suspended": False}}
    if min_workers is not None:
        annotations = {WAKE_MIN_WORKERS: str(min_workers)}
        if ttl is not None:
            annotations[WAKE_TTL] = duration_text(ttl)
        patch["metadata"] = {"annotations": annotations}
    change_and_wait(kube, chosen(kube, names, selector), patch, dry_run=dry_run, wait=timeout if wait else None)
