"""`sql`: run statements on a runtime through the gateway, and print their rows."""

from __future__ import annotations

import contextlib
import csv
import getpass
import os
import sys
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import click

from crds.client.errors import ApiError, ConfigError
from crds.client.resources import CONFIG_MAPS
from kubectl_xtrinode.kube import Kube
from kubectl_xtrinode.options import NAME, Connection, connection_options
from kubectl_xtrinode.output import note, print_rows

FORMATS = ("table", "csv", "tsv", "json")
# Where an installation says how its gateway is reached from outside; anybody may read kube-public.
INFO_NAMESPACE, INFO_NAME = "kube-public", "xtrinode-info"


@click.command(short_help="Run SQL on a runtime through the gateway.")
@click.argument("name", type=NAME)
@click.option("-e", "--execute", multiple=True, metavar="SQL", help="Statements to run; may be given again.")
@click.option("-f", "--file", type=click.Path(exists=True, dir_okay=False, path_type=Path), help="A file of them.")
@click.option("-o", "--output", type=click.Choice(FORMATS), default="table", show_default=True, help="Form of rows.")
@click.option("--gateway", metavar="URL", envvar="XTRINODE_GATEWAY", help="The gateway's address.")
@click.option("--user", metavar="USER", help="Trino user; default: your login name.")
@click.option("--password", is_flag=True, help="Ask for a password (or take TRINO_PASSWORD).")
@click.option("--catalog", help="Default catalog.")
@click.option("--schema", help="Default schema.")
@connection_options
def command(
    connection: Connection,
    name: str,
    execute: tuple[str, ...],
    file: Path | None,
    output: str,
    gateway: str | None,
    user: str | None,
    password: bool,
    catalog: str | None,
    schema: str | None,
) -> None:
    """Run SQL on a runtime through the gateway. Without -e and -f statements are read from standard input.

    \b
    kubectl xtrinode sql analytics -n team-a -e 'SELECT count(*) FROM tpch.tiny.orders'
    kubectl xtrinode sql analytics -f report.sql -o csv > report.csv
    """
    kube = Kube.connect(connection)
    address = gateway or _gateway_of(kube)
    secret = None
    if password:
        secret = os.environ.get("TRINO_PASSWORD") or getpass.getpass("Password: ")
    session = _connect(address, f"{kube.namespace}/{name}", user or _login(), secret, catalog, schema)
    try:
        for statement in _statements(execute, file):
            _run(session, statement, output)
    finally:
        session.close()


def _login() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError) as error:  # a container's user without a name
        raise click.UsageError("you have no login name here; say who you are with --user USER") from error


def _gateway_of(kube: Kube) -> str:
    try:
        found = kube.get(CONFIG_MAPS, INFO_NAME, INFO_NAMESPACE)
        return str(found["data"]["gateway"])
    except (ApiError, KeyError) as error:
        raise ConfigError(
            f"the gateway's address is not published (ConfigMap {INFO_NAMESPACE}/{INFO_NAME}); "
            "give it with --gateway URL or XTRINODE_GATEWAY"
        ) from error


def _connect(
    address: str, selector: str, user: str, secret: str | None, catalog: str | None, schema: str | None
) -> Any:
    import trino  # a third of a second: only this command pays for it

    parts = urlsplit(address if "//" in address else f"//{address}", scheme="http")
    try:
        port = parts.port
    except ValueError:
        port = -1
    if not parts.hostname or port == -1 or parts.scheme not in ("http", "https"):
        raise ConfigError(f"--gateway {address!r} is no address; write it like http://gateway.example.com:8080")
    if secret is not None and parts.scheme == "http":
        raise ConfigError("a password is sent over TLS only; give the gateway's address as --gateway https://...")
    auth = trino.auth.BasicAuthentication(user, secret) if secret is not None else None
    return trino.dbapi.connect(  # type: ignore[no-untyped-call]
        host=parts.hostname,
        port=port or (443 if parts.scheme == "https" else 80),
        http_scheme=parts.scheme,
        user=user,
        auth=auth,
        catalog=catalog,
        schema=schema,
        source="kubectl-xtrinode",
        http_headers={"X-Trino-XTrinode": selector},
    )


def _statements(execute: Sequence[str], file: Path | None) -> Iterator[str]:
    texts = list(execute)
    if file is not None:
        texts.append(_text_of(file))
    if not texts:
        if sys.stdin.isatty():
            note("reading statements from standard input; end each with ; and the last with Ctrl-D")
        texts.append(sys.stdin.read())
    for text in texts:
        yield from split_statements(text)


def _text_of(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise click.UsageError(f"{file} is no text in UTF-8") from error


def split_statements(text: str) -> Iterator[str]:
    """The statements in a script: split at semicolons outside of quotes and comments."""
    start = position = 0
    while position < len(text):
        sign = text[position]
        if sign in "'\"":
            end = text.find(sign, position + 1)
            position = len(text) if end < 0 else end
        elif text.startswith("--", position):
            end = text.find("\n", position)
            position = len(text) if end < 0 else end
        elif text.startswith("/*", position):
            end = text.find("*/", position + 2)
            position = len(text) if end < 0 else end + 1
        elif sign == ";":
            if statement := text[start:position].strip():
                yield statement
            start = position + 1
        position += 1
    if statement := text[start:].strip():
        yield statement


def _run(session: Any, statement: str, output: str) -> None:
    import trino

    cursor = session.cursor()
    try:
        cursor.execute(statement)
        names = [str(column.name) for column in cursor.description or []]
        if names:
            _print(names, _rows(cursor), output)
        else:
            cursor.fetchall()
            note(str(getattr(cursor, "update_type", None) or "done"))
    except trino.exceptions.TrinoQueryError as error:
        raise click.ClickException(f"query {error.query_id} failed: {error.error_name}: {error.message}") from error
    except BrokenPipeError:
        _cancel(cursor)
        raise
    except (trino.exceptions.TrinoConnectionError, trino.exceptions.HttpError, OSError) as error:
        raise click.ClickException(f"no answer from the gateway: {_reason(error)}; is --gateway right?") from error
    except BaseException:  # Ctrl-C, above all: nobody waits for the rows any more
        _cancel(cursor)
        raise


def _reason(error: BaseException) -> str:
    """What the system said, under what libraries made of it."""
    said, cause = str(error), error.__cause__ or error.__context__
    while cause is not None:
        if isinstance(cause, OSError) and cause.strerror:
            said = cause.strerror
        cause = cause.__cause__ or cause.__context__
    return said


def _rows(cursor: Any) -> Iterator[Sequence[Any]]:
    """The rows, as they come: a report of millions never stands in memory."""
    while (row := cursor.fetchone()) is not None:
        yield row


def _cancel(cursor: Any) -> None:
    with contextlib.suppress(Exception):  # it goes anyway, and what ended it is the news
        cursor.cancel()


def _print(names: list[str], rows: Iterable[Sequence[Any]], output: str) -> None:
    if output == "json":
        import orjson

        for row in rows:
            line = orjson.dumps(dict(zip(names, row, strict=True)), default=_text, option=orjson.OPT_NON_STR_KEYS)
            print(line.decode())
    elif output == "table":
        cells = [[_cell(value) for value in row] for row in rows]
        print_rows([names, *cells])
        note(f"({len(cells)} row{'' if len(cells) == 1 else 's'})")
    else:
        writer = csv.writer(sys.stdout, dialect="excel" if output == "csv" else "excel-tab", lineterminator="\n")
        writer.writerow(names)
        writer.writerows(["" if value is None else _text(value) for value in row] for row in rows)


def _text(value: Any) -> str:
    return value.hex() if isinstance(value, bytes | bytearray) else str(value)


def _cell(value: Any) -> str:
    return "NULL" if value is None else _text(value)
