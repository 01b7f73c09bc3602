"""Trino's functions that DuckDB does not have under that name or with that meaning.

Used by the translator: `MACROS` are created once in the engine; `BY_CLASS` and `BY_NAME` change one
node of the parsed statement. What is in neither goes to DuckDB as it is, and what
that does not know is answered with FUNCTION_NOT_FOUND.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from sqlglot import exp

MACROS = """
CREATE MACRO geometric_mean(x) AS exp(avg(ln(x)));
CREATE MACRO map_agg(k, v) AS map_from_entries(list(struct_pack(k := k, v := v)));
CREATE MACRO multimap_agg(k, v) AS map_from_entries(list(struct_pack(k := k, v := [v])));
CREATE MACRO set_agg(x) AS list(DISTINCT x);
CREATE MACRO every(x) AS bool_and(x);
CREATE MACRO bitwise_and_agg(x) AS bit_and(x);
CREATE MACRO bitwise_or_agg(x) AS bit_or(x);
CREATE MACRO bitwise_xor_agg(x) AS bit_xor(x);
CREATE MACRO bitwise_not(x) AS ~x;
CREATE MACRO bitwise_left_shift(x, n) AS x << n;
CREATE MACRO bitwise_right_shift(x, n) AS x >> n;
CREATE MACRO codepoint(x) AS unicode(x);
CREATE MACRO normalize(x) AS nfc_normalize(x);
CREATE MACRO hamming_distance(a, b) AS CAST(hamming(a, b) AS BIGINT);
CREATE MACRO infinity() AS CAST('inf' AS DOUBLE);
CREATE MACRO nan() AS CAST('nan' AS DOUBLE);
CREATE MACRO e() AS exp(CAST(1 AS DOUBLE));
CREATE MACRO is_nan(x) AS isnan(x);
CREATE MACRO is_finite(x) AS isfinite(x);
CREATE MACRO is_infinite(x) AS isinf(x);
CREATE MACRO width_bucket(x, low, high, n) AS
    CASE WHEN x < low THEN CAST(0 AS BIGINT) WHEN x >= high THEN CAST(n + 1 AS BIGINT)
    ELSE CAST(floor((CAST(x AS DOUBLE) - low) / (CAST(high AS DOUBLE) - low) * n) + 1 AS BIGINT) END;
CREATE MACRO day_of_month(x) AS CAST(day(x) AS BIGINT);
CREATE MACRO week_of_year(x) AS CAST(week(x) AS BIGINT);
CREATE MACRO year_of_week(x) AS CAST(isoyear(x) AS BIGINT);
CREATE MACRO yow(x) AS CAST(isoyear(x) AS BIGINT);
CREATE MACRO doy(x) AS CAST(dayofyear(x) AS BIGINT);
CREATE MACRO last_day_of_month(x) AS last_day(x);
CREATE MACRO to_milliseconds(x) AS CAST(epoch_ms(x) AS BIGINT);
CREATE MACRO to_iso8601(x) AS
    CASE typeof(x) WHEN 'DATE' THEN strftime(CAST(x AS TIMESTAMP), '%Y-%m-%d')
    WHEN 'TIMESTAMP WITH TIME ZONE' THEN strftime(CAST(x AS TIMESTAMP), '%Y-%m-%dT%H:%M:%S.%gZ')
    ELSE strftime(CAST(x AS TIMESTAMP), '%Y-%m-%dT%H:%M:%S.%g') END;
CREATE MACRO array_average(l) AS list_avg(l);
CREATE MACRO array_remove(l, x) AS list_filter(l, lambda item: item <> x);
CREATE MACRO array_union(a, b) AS list_distinct(list_concat(a, b));
CREATE MACRO array_except(a, b) AS list_distinct(list_filter(a, lambda item: NOT list_contains(b, item)));
CREATE MACRO arrays_overlap(a, b) AS list_has_any(a, b);
CREATE MACRO array_first(l) AS l[1];
CREATE MACRO array_last(l) AS l[-1];
CREATE MACRO trim_array(l, n) AS list_slice(l, 1, len(l) - n);
CREATE MACRO json_size(j, p) AS CAST(json_array_length(j, p) AS BIGINT);
CREATE MACRO json_array_contains(j, x) AS list_contains(CAST(j AS VARCHAR[]), CAST(x AS VARCHAR));
CREATE MACRO json_array_get(j, i) AS json_extract(j, '$[' || CAST(i AS VARCHAR) || ']');
CREATE MACRO is_json_scalar(j) AS json_type(j) NOT IN ('OBJECT', 'ARRAY');
CREATE MACRO url_extract_protocol(u) AS regexp_extract(u, '^([^:/?#]+):', 1);
CREATE MACRO url_extract_host(u) AS regexp_extract(u, '^[^:/?#]+://(?:[^@/?#]*@)?([^:/?#]*)', 1);
CREATE MACRO url_extract_port(u) AS TRY_CAST(regexp_extract(u, '^[^:/?#]+://[^:/?#]*:(\\d+)', 1) AS BIGINT);
CREATE MACRO url_extract_path(u) AS regexp_extract(u, '^[^:/?#]+://[^/?#]*([^?#]*)', 1);
CREATE MACRO url_extract_query(u) AS regexp_extract(u, '\\?([^#]*)', 1);
CREATE MACRO regexp_count(s, p) AS CAST(len(regexp_extract_all(s, p)) AS BIGINT);
CREATE MACRO random_below(n) AS CAST(floor(random() * n) AS INTEGER);
CREATE MACRO random_between(a, b) AS CAST(a + floor(random() * (b - a)) AS INTEGER);
CREATE MACRO trino_typeof(x) AS CASE typeof(x)
    WHEN 'VARCHAR' THEN 'varchar' WHEN 'BLOB' THEN 'varbinary' WHEN 'FLOAT' THEN 'real' WHEN 'HUGEINT' THEN 'bigint'
    WHEN 'TIMESTAMP' THEN 'timestamp(6)' WHEN 'TIMESTAMP WITH TIME ZONE' THEN 'timestamp(3) with time zone'
    WHEN '"NULL"' THEN 'unknown' WHEN 'INTERVAL' THEN 'interval day to second'
    ELSE lower(typeof(x)) END;
"""

_JODA = {
    "yyyy": "%Y", "yy": "%y", "y": "%Y", "MMMM": "%B", "MMM": "%b", "MM": "%m", "M": "%-m", "dd": "%d", "d": "%-d",
    "HH": "%H", "H": "%-H", "hh": "%I", "h": "%-I", "mm": "%M", "ss": "%S", "SSS": "%g", "a": "%p", "EEEE": "%A",
    "EEE": "%a", "E": "%a", "DDD": "%j", "Z": "%z", "ZZ": "%z", "ZZZ": "%Z",
}  # fmt: skip


def joda_pattern(pattern: str) -> str:
    """A Joda date pattern as strftime's: letters in runs, text in single quotes."""
    result: list[str] = []
    index = 0
    while index < len(pattern):
        character = pattern[index]
        if character == "'":
            end = pattern.find("'", index + 1)
            end = len(pattern) if end < 0 else end
            result.append(pattern[index + 1 : end] or "'")
            index = end + 1
        elif character.isalpha():
            run = index
            while run < len(pattern) and pattern[run] == character:
                run += 1
            letters = pattern[index:run]
            result.append(_JODA.get(letters, letters))
            index = run
        else:
            result.append(character.replace("%", "%%"))
            index += 1
    return "".join(result)


def _call(name: str, *arguments: exp.Expression) -> exp.Expression:
    return exp.Anonymous(this=name, expressions=list(arguments))


def _literal_pattern(function: str, value: exp.Expression, pattern: exp.Expression) -> exp.Expression:
    if isinstance(pattern, exp.Literal):
        pattern = exp.Literal.string(joda_pattern(str(pattern.this)))
    return _call(function, value, pattern)


def _parse_datetime(node: exp.ParseDatetime) -> exp.Expression:
    parsed = _literal_pattern("strptime", node.this, node.args["format"])
    return exp.Cast(this=parsed, to=exp.DataType.build("TIMESTAMPTZ"))


def _slice(node: exp.ArraySlice) -> exp.Expression:
    """From a start, so many elements; DuckDB takes the last index."""
    start, length = node.args["start"], node.args["end"]
    last = exp.Sub(this=exp.Add(this=start.copy(), expression=length), expression=exp.Literal.number(1))
    return _call("list_slice", node.this, start, last)


def _lambda(node: exp.Expression) -> tuple[list[str], exp.Expression]:
    assert isinstance(node, exp.Lambda)
    return [parameter.name for parameter in node.expressions], node.this


def _substituted(body: exp.Expression, replacements: dict[str, exp.Expression]) -> exp.Expression:
    """The lambda's body with its parameters, which stand as bare columns or identifiers, replaced."""

    def replace(node: exp.Expression) -> exp.Expression:
        if isinstance(node, exp.Column) and not node.table and node.name in replacements:
            return replacements[node.name].copy()
        if isinstance(node, exp.Identifier) and not isinstance(node.parent, exp.Column) and node.name in replacements:
            if isinstance(node.parent, exp.Lambda | exp.Dot | exp.Alias):
                return node
            return replacements[node.name].copy()
        return node

    return body.copy().transform(replace)


def _one_parameter(name: str, body: exp.Expression) -> exp.Lambda:
    return exp.Lambda(this=body, expressions=[exp.to_identifier(name)])


def _matches(aggregate: str, empty: bool, negate: bool) -> Callable[[exp.Anonymous], exp.Expression]:
    def rewrite(node: exp.Anonymous) -> exp.Expression:
        values, condition = node.expressions
        tested = _call(aggregate, _call("list_transform", values, condition))
        result = exp.Coalesce(this=tested, expressions=[exp.Boolean(this=empty)])
        return exp.Not(this=exp.Paren(this=result)) if negate else result

    return rewrite


def _zip_with(node: exp.Anonymous) -> exp.Expression:
    first, second, function = node.expressions
    (left, right), body = _lambda(function)
    pair = exp.column("pair__")
    body = _substituted(
        body,
        {left: _call("struct_extract", pair, exp.Literal.number(1)),
         right: _call("struct_extract", pair, exp.Literal.number(2))},
    )  # fmt: skip
    return _call("list_transform", _call("list_zip", first, second), _one_parameter("pair__", body))


def _over_entries(kind: str) -> Callable[[exp.Anonymous], exp.Expression]:
    """transform_keys, transform_values and map_filter work on the map's entries."""

    def rewrite(node: exp.Anonymous) -> exp.Expression:
        source, function = node.expressions
        (key, value), body = _lambda(function)
        entry = exp.column("entry__")
        key_of = _call("struct_extract", entry, exp.Literal.string("key"))
        value_of = _call("struct_extract", entry, exp.Literal.string("value"))
        body = _substituted(body, {key: key_of, value: value_of})
        entries = _call("map_entries", source)
        if kind == "filter":
            return _call("map_from_entries", _call("list_filter", entries, _one_parameter("entry__", body)))
        pair = exp.Struct(
            expressions=[
                exp.PropertyEQ(this=exp.to_identifier("k"), expression=body if kind == "keys" else key_of),
                exp.PropertyEQ(this=exp.to_identifier("v"), expression=body if kind == "values" else value_of),
            ]
        )
        return _call("map_from_entries", _call("list_transform", entries, _one_parameter("entry__", pair)))

    return rewrite


def _format(pattern: exp.Expression, *values: exp.Expression) -> exp.Expression:
    arguments = list(values)
    if isinstance(pattern, exp.Literal):
        conversions = [part for part in str(pattern.this).replace("%%", "").split("%")[1:] if part]
        for index, conversion in enumerate(conversions[: len(arguments)]):
            letter = next((character for character in conversion if character.isalpha()), "")
            if letter == "s":
                arguments[index] = exp.Cast(this=arguments[index], to=exp.DataType.build("TEXT"))
    return _call("printf", pattern, *arguments)


def _random(*limits: exp.Expression | None) -> exp.Expression:
    given = [limit for limit in limits if limit is not None]
    if not given:
        return exp.Rand()
    return _call("random_below" if len(given) == 1 else "random_between", *given)


def _renamed(name: str) -> Callable[[exp.Anonymous], exp.Expression]:
    return lambda node: _call(name, *node.expressions)


def _with_timezone(node: exp.Anonymous) -> exp.Expression:
    return _call("timezone", node.expressions[1], node.expressions[0])


def _reduce(node: exp.Reduce) -> exp.Expression:
    """The fourth argument is applied to the final state; DuckDB's reduce has none."""
    finish = node.args.pop("finish", None)
    if finish is None:
        return node
    (state,), body = _lambda(finish)
    return exp.Paren(this=_substituted(body, {state: node}))


def _json_value(node: exp.JSONValue) -> exp.Expression:
    return _call("json_extract_string", node.this, _json_path(node.args["path"]))


def _json_path(path: exp.Expression) -> exp.Expression:
    """SQL/JSON paths start with a mode that DuckDB's do not have."""
    if isinstance(path, exp.Literal):
        return exp.Literal.string(str(path.this).removeprefix("lax ").removeprefix("strict ").strip())
    return path


def _regexp_replace(node: exp.RegexpReplace) -> exp.Expression:
    """Groups are named $1 here and \\1 there."""
    replacement = node.args.get("replacement")
    if isinstance(replacement, exp.Literal):
        node.set("replacement", exp.Literal.string(re.sub(r"\$(\d)", r"\\\1", str(replacement.this))))
    return node


# By the class that the parser has for the function.
BY_CLASS: dict[type[exp.Expression], Callable[[Any], exp.Expression]] = {
    exp.AtTimeZone: lambda node: exp.Cast(this=node.this, to=exp.DataType.build("TIMESTAMPTZ")),
    exp.Format: lambda node: _format(node.this, *node.expressions),
    exp.JSONValue: _json_value,
    exp.RegexpReplace: _regexp_replace,
    exp.ParseDatetime: _parse_datetime,
    exp.ArraySlice: _slice,
    exp.Rand: lambda node: _random(node.this),
    exp.Reduce: _reduce,
    exp.Shuffle: lambda node: node.this,
    exp.Typeof: lambda node: _call("trino_typeof", node.this),
    exp.ArraySum: lambda node: _call("list_sum", node.this),
    exp.ArrayPosition: lambda node: exp.Coalesce(
        this=_call("list_position", node.this, node.expression), expressions=[exp.Literal.number(0)]
    ),
    exp.ArrayExcept: lambda node: _call("array_except", node.this, node.expression),
    exp.ArrayRemove: lambda node: _call("array_remove", node.this, node.expression),
    exp.ArrayMax: lambda node: _call("list_max", node.this),
    exp.ArrayMin: lambda node: _call("list_min", node.this),
}

# By the lower-case name of a function that the parser has no class for.
BY_NAME: dict[str, Callable[[exp.Anonymous], exp.Expression]] = {
    "any_match": _matches("list_bool_or", False, False),
    "all_match": _matches("list_bool_and", True, False),
    "none_match": _matches("list_bool_or", False, True),
    "zip_with": _zip_with,
    "transform_values": _over_entries("values"),
    "transform_keys": _over_entries("keys"),
    "map_filter": _over_entries("filter"),
    "format_datetime": lambda node: _literal_pattern("strftime", *node.expressions),
    "with_timezone": _with_timezone,
    "random": lambda node: _random(*node.expressions),
    "rand": lambda node: _random(*node.expressions),
    "array_concat": _renamed("list_concat"),
    "zip": _renamed("list_zip"),
}
