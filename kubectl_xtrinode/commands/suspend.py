"""`suspend`: put runtimes to sleep."""

from __future__ import annotations

import click

from kubectl_xtrinode.kube import Kube
from kubectl_xtrinode.lifecycle import change_and_wait, chosen
from kubectl_xtrinode.options import NAME, SECONDS, Connection, connection_options


@click.command(short_help="Put runtimes to sleep, after their queries have ended.")
@click.argument("names", nargs=-1, type=NAME, metavar="NAME...")
@click.option("-l", "--selector", default="", metavar="LABELS", help="All runtimes with these labels.")
@click.option("--wait", is_flag=True, help="Wait until they sleep.")
@click.option("--timeout", type=SECONDS, default=3600.0, help="Longest wait; default: 1h.")
@click.option("--dry-run", is_flag=True, help="Ask the server whether it would work, change nothing.")
@connection_options
def command(
    connection: Connection, names: tuple[str, ...], selector: str, wait: bool, timeout: float, dry_run: bool
) -> None:
    """Put runtimes to sleep: no new queries, wait for the running ones, then no pods.

    How long running queries may take is the runtime's spec.drainTimeout, what happens to them then its
    spec.drainPolicy.

    \b
    kubectl xtrinode suspend analytics -n team-a --wait
    kubectl xtrinode suspend -l tier=dev
    """
    kube = Kube.connect(connection)
    patch = {"spec": {"suspended": True}}
    change_and_wait(kube, chosen(kube, names, selector), patch, dry_run=dry_run, wait=timeout if wait else None)
