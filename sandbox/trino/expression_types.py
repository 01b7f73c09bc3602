"""What the text of an expression alone says of its type; pure.

Used by the translator, with the types of the columns that the statement's tables declare (a name that
two tables declare differently is left out). It is no type checker: where the text does not decide,
the answer is None and the engine's own type stands.
"""

from __future__ import annotations

from collections.abc import Mapping

from sqlglot import exp

from sandbox.trino.trino_types import DATE, TIMESTAMP_TZ, TrinoType, UnknownType, parse_type

Types = Mapping[str, TrinoType]
_MAP_FUNCTIONS = ("map", "map_agg", "map_from_entries", "map_concat", "map_filter", "histogram")


def exact_type(node: exp.Expression, types: Types) -> TrinoType | None:
    """The exact type of an expression, where the text alone decides it."""
    if isinstance(node, exp.Column):
        return types.get(node.name.lower())
    if isinstance(node, exp.Min | exp.Max | exp.AnyValue | exp.ArgMax | exp.ArgMin | exp.Paren):
        return exact_type(node.this, types)
    if isinstance(node, exp.Literal):
        return TrinoType("varchar", (len(str(node.this)),)) if node.is_string else None
    if isinstance(node, exp.Cast | exp.TryCast):
        try:
            kind = parse_type(node.to.sql("trino"))
        except UnknownType:
            return None
        return None if kind.base == "decimal" and isinstance(node.this, exp.Literal) else kind
    if isinstance(node, exp.AtTimeZone):
        inner = exact_type(node.this, types)
        if inner is not None and inner.base.startswith("timestamp"):
            return TrinoType(TIMESTAMP_TZ.base, inner.numbers)
        return TIMESTAMP_TZ
    if isinstance(node, exp.CurrentTimestamp | exp.UnixToTime):
        return TIMESTAMP_TZ
    if isinstance(node, exp.StrToTime):
        return TrinoType("timestamp", (3,))
    if is_date(node, types):
        return DATE
    return None


def is_date(node: exp.Expression | None, types: Types) -> bool:
    if isinstance(node, exp.Column):
        return types.get(node.name.lower()) == DATE
    if isinstance(node, exp.Cast | exp.TryCast):
        return bool(node.to.this == exp.DataType.Type.DATE)
    if isinstance(node, exp.CurrentDate | exp.Date):
        return True
    if isinstance(node, exp.Add | exp.Sub):
        return isinstance(node.expression, exp.Interval) and is_date(node.this, types)
    if isinstance(node, exp.Paren | exp.DateAdd | exp.TimestampTrunc | exp.DateTrunc | exp.Min | exp.Max):
        return is_date(node.this, types)
    return False


def is_map(node: exp.Expression, types: Types) -> bool:
    if isinstance(node, exp.Column):
        kind = types.get(node.name.lower())
        return kind is not None and kind.base == "map"
    if isinstance(node, exp.Anonymous):
        return node.name.lower() in _MAP_FUNCTIONS
    return isinstance(node, exp.Map | exp.VarMap | exp.MapFromEntries | exp.StrToMap)
