"""What the engine says of a result joined with what the statement's text says.

Called by the engine after DESCRIBE. It decides the final name and type of each column, and wraps the
statement where a value must be converted inside the engine (intervals, which Python would round).
"""

from __future__ import annotations

from sandbox.trino.dialect import Output, Translation, output_name
from sandbox.trino.execution import Column, engine_type
from sandbox.trino.trino_types import TrinoType

_MONTHS = TrinoType("interval year to month")
_COMPATIBLE = {"char": "varchar"}


def result_columns(translation: Translation, described: list[tuple[str, str]]) -> tuple[list[Column], str]:
    hints = _aligned(translation, len(described))
    columns: list[Column] = []
    conversions: list[str] = []
    converted = False
    for index, ((name, spelled), hint) in enumerate(zip(described, hints, strict=True)):
        kind = engine_type(spelled)
        place = f'"c{index}"'
        if kind.base == "interval day to second":
            converted = True
            if hint is not None and hint.months:
                kind = _MONTHS
                conversions.append(f"datepart('year', {place}) * 12 + datepart('month', {place})")
            else:
                conversions.append(
                    f"datepart('day', {place}) * 86400000000 + datepart('hour', {place}) * 3600000000 "
                    f"+ datepart('minute', {place}) * 60000000 + datepart('microsecond', {place})"
                )
        else:
            conversions.append(place)
        declared = hint.type if hint is not None else translation.named_types.get(name.lower())
        if declared is not None and _agree(declared, kind):
            kind = declared
        elif kind.base == "timestamp with time zone":
            kind = TrinoType(kind.base, (3,))
        shown = hint.name if hint is not None and hint.name is not None else output_name(name, index)
        columns.append(Column(shown, kind, hint.zone if hint is not None else None))
    if not converted:
        return columns, translation.sql
    names = ", ".join(f'"c{index}"' for index in range(len(described)))
    # The names are c0, c1, ... and the statement is the translator's own output.
    return columns, f"SELECT {', '.join(conversions)} FROM ({translation.sql}) AS q({names})"  # noqa: S608


def _aligned(translation: Translation, width: int) -> list[Output | None]:
    """The hints by position; a star in the middle leaves a gap of unknown width."""
    if not translation.starred:
        hints: list[Output | None] = list(translation.outputs[:width])
        return hints + [None] * (width - len(hints))
    before: list[Output | None] = list(translation.outputs)
    after: list[Output | None] = list(translation.trailing)
    gap = max(width - len(before) - len(after), 0)
    return (before + [None] * gap + after)[:width]


def _agree(declared: TrinoType, actual: TrinoType) -> bool:
    """Whether the declared type can be what the engine reports with less detail."""
    if _COMPATIBLE.get(declared.base, declared.base) != actual.base:
        return False
    return declared.base != "decimal" or declared.numbers == actual.numbers
