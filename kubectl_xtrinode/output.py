"""Printing as kubectl prints: tables without borders, ages, JSON, YAML and names.

Data goes to stdout, notes to stderr. Colour only on a terminal that wants it, never in machine-readable output.
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import Any

import click

from crds.v1.ages import age_text

FORMATS = ("wide", "json", "yaml", "name")


def print_rows(rows: Iterable[Sequence[str]]) -> None:
    """Rows as columns three spaces apart; the first row is the header."""
    lines = [tuple(plain(cell) or "<none>" for cell in row) for row in rows]
    if not lines:
        return
    widths = [max(len(row[column]) for row in lines) for column in range(len(lines[0]))]
    for row in lines:
        print("   ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())


_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]+")


def plain(text: str) -> str:
    """The text on one line and without control characters: what others wrote must not steer this terminal."""
    return _CONTROL.sub(" ", text).strip() if _CONTROL.search(text) else text


def print_objects(objects: Sequence[dict[str, Any]], form: str, kind: str, single: bool) -> None:
    """Objects as JSON, YAML or names."""
    if form == "name":
        for obj in objects:
            print(f"{kind}/{obj['metadata']['name']}")
        return
    shown: Any = objects[0] if single and objects else {"apiVersion": "v1", "kind": "List", "items": list(objects)}
    for obj in objects:
        (obj.get("metadata") or {}).pop("managedFields", None)
    if form == "json":
        import orjson

        print(orjson.dumps(shown, option=orjson.OPT_INDENT_2).decode())
    else:
        import yaml

        print(yaml.dump(shown, Dumper=getattr(yaml, "CSafeDumper", yaml.SafeDumper), sort_keys=False), end="")


def note(text: str) -> None:
    """A line for the person, beside the data."""
    click.echo(text, err=True)


def coloured(text: str, colour: str) -> str:
    """`text` in a colour, when stdout is a terminal that wants colours."""
    wanted = sys.stdout.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"
    return click.style(text, fg=colour) if wanted else text


def age(timestamp: str | None, now: datetime | None = None) -> str:
    """How long ago, in kubectl's words: 119s, 9m59s, 179m, 7h59m, 47h, 7d23h, 729d, 2y70d."""
    if not timestamp:
        return "<unknown>"
    try:
        moment = datetime.fromisoformat(timestamp)
    except ValueError:
        return "<invalid>"
    return age_text(((now or datetime.now(UTC)) - moment).total_seconds())
