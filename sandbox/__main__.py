"""`xtrinode-sandbox`: the whole system on one machine, for trying, for demonstrations and for tests.

`up` leaves it running, `demo` shows it from apply to rows, `kube`, `kubelet` and `trino` run one part alone.
"""

from __future__ import annotations

import asyncio
import runpy
import shutil
import signal
import sys
from pathlib import Path

import click

from crds.client import KubeError
from sandbox.processes import PartFailed
from sandbox.up import CannotStart, Options, Sandbox

_SHARED_DIRECTORY = Path(".sandbox")


_trino_home = click.option(
    "--trino-home",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="Run this real Trino server, with the Java of JAVA_HOME or PATH, instead of the stand-in.",
)


def main() -> None:
    """Entry point of the console script."""
    cli(prog_name="xtrinode-sandbox")


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
def cli() -> None:
    """XTrinode on one machine: an embedded Kubernetes API, pods as processes, a stand-in Trino.

    No Docker, no cluster and no internet. It is not Kubernetes and not Trino: it calls itself a sandbox,
    and listens on loopback only.
    """


@cli.command()
@click.option("--data-dir", type=click.Path(path_type=Path), help="Keep the state here across restarts.")
@click.option("--in-memory", is_flag=True, help="Keep no state: everything is gone after Ctrl-C.")
@click.option("--kube-port", default=6550, show_default=True, help="Port of the API server; 0: any free one.")
@click.option("--gateway-port", default=8080, show_default=True, help="Port for SQL clients; 0: any free one.")
@click.option("--api-port", default=8081, show_default=True, help="Port of the lifecycle API; 0: any free one.")
@_trino_home
@click.option("--log-level", default="info", show_default=True, type=click.Choice(["debug", "info", "warning"]))
def up(
    data_dir: Path | None,
    in_memory: bool,
    kube_port: int,
    gateway_port: int,
    api_port: int,
    trino_home: Path | None,
    log_level: str,
) -> None:
    """Start everything, print what runs where, and stop it all on Ctrl-C."""
    directory = None if in_memory else (data_dir or _SHARED_DIRECTORY)
    options = Options(directory, kube_port, gateway_port, api_port, trino_home, log_level=log_level)
    sys.exit(asyncio.run(_guarded(_up(options))))


@cli.command()
@click.option("--pause", default=0.0, help="Seconds between the steps, for showing it to people.")
@_trino_home
def demo(pause: float, trino_home: Path | None) -> None:
    """From `kubectl apply` to the rows of a join, through suspend and resume, to a clean stop."""
    from sandbox.demo import run_demo

    sys.exit(asyncio.run(_guarded(run_demo(pause, trino_home))))


def _part(name: str, module: str, summary: str) -> None:
    @cli.command(name, help=summary, context_settings={"ignore_unknown_options": True, "help_option_names": []})
    @click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
    def run(arguments: tuple[str, ...]) -> None:
        sys.argv = [f"xtrinode-sandbox {name}", *arguments]
        runpy.run_module(module, run_name="__main__", alter_sys=False)


_part("kube", "sandbox.kube", "Run the embedded Kubernetes API server alone (--help for its flags).")
_part("kubelet", "sandbox.kubelet", "Run the workload controllers and the kubelet alone.")
_part("trino", "sandbox.trino", "Run one stand-in coordinator or worker alone.")


async def _up(options: Options) -> int:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    click.echo("starting the sandbox ...")
    ready = asyncio.Event()
    running = asyncio.ensure_future(_started(Sandbox(options, click.echo), ready, stop))
    stopping = asyncio.ensure_future(stop.wait())
    await asyncio.wait((running, stopping), return_when=asyncio.FIRST_COMPLETED)
    stopping.cancel()
    if not running.done() and not ready.is_set():
        running.cancel()  # Ctrl-C while starting: what has started is stopped on the way out
        await asyncio.gather(running, return_exceptions=True)
        return 130
    return await running


async def _started(sandbox: Sandbox, ready: asyncio.Event, stop: asyncio.Event) -> int:
    async with sandbox:
        ready.set()
        click.echo(sandbox.table())
        where = sandbox.where
        programs = "" if shutil.which("kubectl-xtrinode") else f"PATH={Path(sys.executable).parent}:$PATH "
        click.echo(
            f"""
kubeconfig   {where.kubeconfig}
logs         {where.directory / "logs"}
in another terminal:
  export {programs}KUBECONFIG={where.kubeconfig}
  kubectl create namespace team-a && kubectl apply -f examples/
  kubectl-xtrinode get -A
  kubectl-xtrinode sql runtime-a -n team-a -e 'SELECT * FROM tpch.tiny.nation LIMIT 3'
Ctrl-C stops everything."""  # noqa: S608 - text for a person
        )
        await stop.wait()
        click.echo("stopping ...")
    click.echo("stopped; no process is left")
    return 0


async def _guarded(work: object) -> int:
    """Errors that a person can mend become one message, without a traceback."""
    try:
        return int(await work)  # type: ignore[misc]
    except (CannotStart, PartFailed, KubeError) as error:
        click.echo(f"xtrinode-sandbox: {error}", err=True)
        return 1


if __name__ == "__main__":
    main()
