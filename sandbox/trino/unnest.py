"""UNNEST of several arrays, of a map or of an array of rows, which DuckDB's UNNEST does not take.

Called by the translator for each UNNEST in a FROM clause. The relation becomes a correlated subquery
whose SELECT list unnests side by side, padding the shorter with NULL as Trino does.
"""

from __future__ import annotations

from collections.abc import Callable

from sqlglot import exp


def rewritten_unnest(node: exp.Unnest, is_map: Callable[[exp.Expression], bool]) -> exp.Expression:
    alias = node.args.get("alias")
    columns = list(alias.columns) if isinstance(alias, exp.TableAlias) else []
    offset = node.args.get("offset")
    arrays = list(node.expressions)
    rows = len(arrays) == 1 and len(columns) > 1 and not is_map(arrays[0])
    if len(arrays) == 1 and not is_map(arrays[0]) and not rows:
        return node
    selected: list[exp.Expression] = []
    for array in arrays:
        if is_map(array):
            selected += [
                _unnested(exp.Anonymous(this=name, expressions=[array.copy()])) for name in ("map_keys", "map_values")
            ]
        elif rows:
            depth = exp.PropertyEQ(this=exp.to_identifier("max_depth"), expression=exp.Literal.number(2))
            selected.append(exp.Anonymous(this="unnest", expressions=[array.copy(), depth]))
        else:
            selected.append(_unnested(array.copy()))
    if offset:
        lengths = [_length(array, is_map) for array in arrays]
        longest = exp.Anonymous(this="greatest", expressions=lengths) if len(lengths) > 1 else lengths[0]
        series = exp.Anonymous(this="generate_series", expressions=[exp.Literal.number(1), longest])
        selected.append(_unnested(series))
        columns.append(offset if isinstance(offset, exp.Identifier) else exp.to_identifier("ordinality"))
    subquery = exp.Subquery(this=exp.Select(expressions=selected))
    if isinstance(alias, exp.TableAlias):
        subquery.set("alias", exp.TableAlias(this=alias.this, columns=columns))
    return subquery


def _unnested(array: exp.Expression) -> exp.Expression:
    return exp.Anonymous(this="unnest", expressions=[array])


def _length(array: exp.Expression, is_map: Callable[[exp.Expression], bool]) -> exp.Expression:
    return exp.Anonymous(this="cardinality" if is_map(array) else "len", expressions=[array.copy()])
