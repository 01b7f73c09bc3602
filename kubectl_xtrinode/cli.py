"""The command line: a table of verbs, each loaded when it is called."""

from __future__ import annotations

import importlib
import os
import sys
from pathlib import Path
from typing import Any

import click

from crds.client.errors import ApiError, KubeError
from kubectl_xtrinode.options import Connection, connection_options
from kubectl_xtrinode.verbs import COMMANDS


class ReaderGone(Exception):
    """Nobody reads our output any more, as after `| head`. Not an OSError: click answers those with exit code 1."""


class Verbs(click.Group):
    """A group that knows its commands' names without importing them."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        module = importlib.import_module(f"kubectl_xtrinode.commands.{COMMANDS[cmd_name][0]}")
        command: click.Command = module.command
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, summary) for name, (_, summary) in COMMANDS.items()])

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except BrokenPipeError as error:
            raise ReaderGone from error

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if args and args[0] not in COMMANDS and not args[0].startswith("-"):
            known = ", ".join(COMMANDS)
            ctx.fail(f"unknown command {args[0]!r}; there are {known}")
        return super().resolve_command(ctx, args)


@click.group(cls=Verbs, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="xtrinode", prog_name="kubectl-xtrinode")
@connection_options
@click.pass_context
def cli(context: click.Context, connection: Connection) -> None:
    """Trino runtimes on Kubernetes, in friendly verbs.

    \b
    kubectl xtrinode get -A                              what there is
    kubectl xtrinode status analytics -n team-a          how it is
    kubectl xtrinode suspend analytics -n team-a         to sleep
    kubectl xtrinode sql analytics -n team-a -e 'SHOW CATALOGS'
    """
    context.obj = connection


def main() -> None:
    """Entry point of the console script. Exit codes as kubectl's: 0 fine, 1 anything else (`status`: 3, not ready)."""
    name = Path(sys.argv[0]).name
    program = "kubectl xtrinode" if name.startswith("kubectl-") else "kubectl-xtrinode"
    try:
        code = cli.main(prog_name=program, standalone_mode=False)
        sys.stdout.flush()  # here, where a reader that has gone is still ours to answer
    except click.exceptions.Abort:
        code = 130
    except click.ClickException as error:
        error.show()
        code = 1
    except ApiError as error:
        click.echo(f"Error from server ({error.reason}): {error.message}", err=True)
        code = 1
    except KubeError as error:
        click.echo(f"Error: {error}", err=True)
        code = 1
    except (ReaderGone, BrokenPipeError):
        # `| head` has what it wanted. What is left in the buffer goes nowhere, or the interpreter would complain.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        code = 0
    except OSError as error:
        click.echo(f"Error: {error}", err=True)
        code = 1
    except KeyboardInterrupt:
        code = 130
    sys.exit(code if isinstance(code, int) else 0)
