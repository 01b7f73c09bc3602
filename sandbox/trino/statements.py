"""Trino's statements, recognised and taken apart before any SQL engine sees them.

Called by the engine with the text of a statement. What the engine can execute (queries and data
changes) comes back as a parsed tree; the session, metadata and transaction statements that only a
Trino server knows come back as small frozen values. Parsing errors carry the place in the text.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlglot import ErrorLevel, exp
from sqlglot.dialects.trino import Trino
from sqlglot.errors import ParseError
from sqlglot.tokenizer_core import TokenType

from sandbox.trino.errors import QueryFailure, located
from sandbox.trino.token_cursor import Name, TokenCursor, mismatched, place_at


@dataclass(frozen=True, slots=True)
class Sql:
    """A statement for the engine. `kind` is Trino's update type, None for a query."""

    tree: exp.Expression
    kind: str | None = None


@dataclass(frozen=True, slots=True)
class Show:
    """SHOW CATALOGS and its relatives; `what` is the word, `name` its subject."""

    what: str
    name: Name = ()
    like: str | None = None
    escape: str | None = None


@dataclass(frozen=True, slots=True)
class Use:
    catalog: str | None
    schema: str


@dataclass(frozen=True, slots=True)
class SetSession:
    name: str
    value: exp.Expression


@dataclass(frozen=True, slots=True)
class ResetSession:
    name: str


@dataclass(frozen=True, slots=True)
class Prepare:
    name: str
    sql: str


@dataclass(frozen=True, slots=True)
class Execute:
    """`sql` is None when the statement is one prepared before under `name`."""

    name: str | None
    sql: str | None
    parameters: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Deallocate:
    name: str


@dataclass(frozen=True, slots=True)
class DescribeParameters:
    """DESCRIBE INPUT or DESCRIBE OUTPUT."""

    name: str
    output: bool


@dataclass(frozen=True, slots=True)
class Transaction:
    """START, COMMIT or ROLLBACK."""

    action: str


@dataclass(frozen=True, slots=True)
class Explain:
    sql: str
    analyze: bool
    kind: str


@dataclass(frozen=True, slots=True)
class Call:
    procedure: Name
    arguments: dict[str, Any] = field(default_factory=dict)


Statement = (
    Sql | Show | Use | SetSession | ResetSession | Prepare | Execute | Deallocate | DescribeParameters
    | Transaction | Explain | Call
)  # fmt: skip

_SHOW_WITH_SUBJECT = {
    "SCHEMAS": ("FROM", "IN"),
    "TABLES": ("FROM", "IN"),
    "COLUMNS": ("FROM", "IN"),
    "STATS": ("FOR",),
}
_UPDATE_KINDS: tuple[tuple[type[exp.Expression], str], ...] = (
    (exp.Insert, "INSERT"),
    (exp.Delete, "DELETE"),
    (exp.Update, "UPDATE"),
    (exp.Merge, "MERGE"),
    (exp.TruncateTable, "TRUNCATE TABLE"),
)


def parse_statement(sql: str) -> Statement:
    """The statement, or a SYNTAX_ERROR with its place."""
    cursor = TokenCursor(sql)
    first = cursor.peek()
    if first is None:
        raise mismatched(None, sql, "'SELECT', 'SHOW', 'WITH', ...")
    for token in cursor.tokens:
        if token.token_type == TokenType.SEMICOLON:
            raise mismatched(token, sql, "<EOF>")
    parser = _LEADING.get(cursor.word())
    if parser is not None:
        statement: Statement | None = parser(cursor)
        if statement is not None:
            return statement
    return _engine_statement(sql)


def _show(cursor: TokenCursor) -> Statement:
    cursor.expect("SHOW")
    name: Name = ()
    if cursor.accept("CREATE"):
        what = "CREATE " + cursor.identifier().upper()
        if what == "CREATE MATERIALIZED":
            cursor.expect("VIEW")
        name = cursor.name()
        cursor.end()
        return Show(what, name)
    what = cursor.identifier().upper()
    if what == "ROLE":
        cursor.expect("GRANTS")
        what = "ROLE GRANTS"
    if what == "CURRENT":
        cursor.expect("ROLES")
        what = "CURRENT ROLES"
    name = ()
    if cursor.word() in _SHOW_WITH_SUBJECT.get(what, ()):
        cursor.position += 1
        name = cursor.name()
    elif what in ("COLUMNS", "STATS"):
        raise cursor.mismatch("'FROM', 'IN'")
    like = escape = None
    if cursor.accept("LIKE"):
        like = cursor.string()
        if cursor.accept("ESCAPE"):
            escape = cursor.string()
    cursor.end()
    if what not in _SHOWN:
        raise located("SYNTAX_ERROR", f"mismatched input '{what.lower()}'", (1, 6))
    return Show(what, name, like, escape)


_SHOWN = frozenset(
    ("CATALOGS", "SCHEMAS", "TABLES", "COLUMNS", "SESSION", "FUNCTIONS", "STATS", "ROLES", "CURRENT ROLES",
     "ROLE GRANTS", "GRANTS")
)  # fmt: skip


def _describe(cursor: TokenCursor) -> Statement:
    cursor.position += 1
    if cursor.word() in ("INPUT", "OUTPUT") and cursor.peek(1) is not None:
        output = cursor.word() == "OUTPUT"
        cursor.position += 1
        name = cursor.identifier()
        cursor.end()
        return DescribeParameters(name, output)
    subject = cursor.name()
    cursor.end()
    return Show("COLUMNS", subject)


def _use(cursor: TokenCursor) -> Statement:
    cursor.expect("USE")
    name = cursor.name()
    cursor.end()
    if len(name) > 2:
        raise located("SYNTAX_ERROR", "mismatched input '.'. Expecting: <EOF>", (1, 5))
    return Use(name[0] if len(name) == 2 else None, name[-1])


def _set(cursor: TokenCursor) -> Statement | None:
    cursor.expect("SET")
    if cursor.accept("TIME", "ZONE"):
        text = cursor.rest()
        if text.upper() == "LOCAL":
            return ResetSession("time_zone_id")
        return SetSession("time_zone_id", parse_expression(text))
    cursor.expect("SESSION")
    if cursor.accept("AUTHORIZATION"):
        raise QueryFailure("NOT_SUPPORTED", "SET SESSION AUTHORIZATION is not supported by the sandbox")
    name = ".".join(cursor.name())
    cursor.expect("=")
    return SetSession(name, parse_expression(cursor.rest()))


def _reset(cursor: TokenCursor) -> Statement:
    cursor.expect("RESET", "SESSION")
    name = ".".join(cursor.name())
    cursor.end()
    return ResetSession(name)


def _prepare(cursor: TokenCursor) -> Statement:
    cursor.expect("PREPARE")
    name = cursor.identifier()
    cursor.expect("FROM")
    sql = cursor.rest()
    if not sql:
        raise cursor.mismatch("'SELECT', 'SHOW', 'WITH', ...")
    return Prepare(name, sql)


def _execute(cursor: TokenCursor) -> Statement:
    cursor.expect("EXECUTE")
    name: str | None = None
    sql: str | None = None
    if cursor.accept("IMMEDIATE"):
        sql = cursor.string()
    else:
        name = cursor.identifier()
    parameters: tuple[str, ...] = ()
    if cursor.accept("USING"):
        parameters = _expressions(cursor)
    else:
        cursor.end()
    return Execute(name, sql, parameters)


def _deallocate(cursor: TokenCursor) -> Statement:
    cursor.expect("DEALLOCATE", "PREPARE")
    name = cursor.identifier()
    cursor.end()
    return Deallocate(name)


def _start(cursor: TokenCursor) -> Statement:
    cursor.expect("START", "TRANSACTION")
    return Transaction("START")


def _commit(cursor: TokenCursor) -> Statement:
    cursor.expect("COMMIT")
    cursor.accept("WORK")
    cursor.end()
    return Transaction("COMMIT")


def _rollback(cursor: TokenCursor) -> Statement:
    cursor.expect("ROLLBACK")
    cursor.accept("WORK")
    cursor.end()
    return Transaction("ROLLBACK")


def _explain(cursor: TokenCursor) -> Statement:
    cursor.expect("EXPLAIN")
    analyze = cursor.accept("ANALYZE")
    cursor.accept("VERBOSE")
    kind = "DISTRIBUTED"
    if cursor.word() == "(" and cursor.word(1) in ("TYPE", "FORMAT"):
        cursor.position += 1
        while not cursor.accept(")"):
            option, value = cursor.identifier(), cursor.identifier()
            if option == "type":
                kind = value.upper()
            cursor.accept(",")
    sql = cursor.rest()
    if not sql:
        raise cursor.mismatch("'SELECT', 'SHOW', 'WITH', ...")
    return Explain(sql, analyze, kind)


def _call(cursor: TokenCursor) -> Statement:
    cursor.expect("CALL")
    name = cursor.name()
    cursor.expect("(")
    arguments: dict[str, Any] = {}
    while not cursor.accept(")"):
        key = str(len(arguments))
        if cursor.word(1) == "=>" or (cursor.word(1) == "=" and cursor.word(2) == ">"):
            key = cursor.identifier()
            cursor.position += 1 if cursor.word() == "=>" else 2
        token = cursor.peek()
        if token is None:
            raise cursor.mismatch("')'")
        cursor.position += 1
        arguments[key] = token.text if token.token_type != TokenType.NULL else None
        if not cursor.accept(",") and cursor.word() != ")":
            raise cursor.mismatch("')'")
    cursor.end()
    return Call(name, arguments)


_LEADING = {
    "SHOW": _show, "DESCRIBE": _describe, "DESC": _describe, "USE": _use, "SET": _set, "RESET": _reset,
    "PREPARE": _prepare, "EXECUTE": _execute, "DEALLOCATE": _deallocate, "START": _start, "COMMIT": _commit,
    "ROLLBACK": _rollback, "EXPLAIN": _explain, "CALL": _call,
}  # fmt: skip


def _parse(sql: str) -> exp.Expression:
    try:
        trees = Trino().parse(sql, error_level=ErrorLevel.IMMEDIATE)
    except ParseError as error:
        detail = error.errors[0] if error.errors else {}
        place = (int(detail.get("line") or 1), 1)
        highlight = str(detail.get("highlight") or "")
        offset = sql.find(str(detail.get("start_context") or "") + highlight)
        if highlight and offset >= 0:
            place = place_at(sql, offset + len(str(detail.get("start_context") or "")))
        raise located("SYNTAX_ERROR", f"mismatched input '{highlight}'", place) from error
    tree = trees[0] if trees else None  # of a stray word like ELSE nothing is left
    if not isinstance(tree, exp.Expression):
        raise mismatched(None, sql)
    return tree


def _engine_statement(sql: str) -> Sql:
    tree = _parse(sql)
    if isinstance(tree, exp.Query | exp.Values):
        return Sql(tree)
    for kind, name in _UPDATE_KINDS:
        if isinstance(tree, kind):
            return Sql(tree, name)
    if isinstance(tree, exp.Create):
        what = str(tree.args.get("kind") or "TABLE").upper()
        if what == "TABLE" and isinstance(tree.expression, exp.Query | exp.Values | exp.Subquery):
            return Sql(tree, "CREATE TABLE")
        return Sql(tree, f"CREATE {what}")
    if isinstance(tree, exp.Drop):
        return Sql(tree, f"DROP {str(tree.args.get('kind') or 'TABLE').upper()}")
    if isinstance(tree, exp.Alter):
        return Sql(tree, "ALTER TABLE")
    if isinstance(tree, exp.Comment):
        return Sql(tree, "COMMENT")
    cursor = TokenCursor(sql)
    raise cursor.mismatch(
        "'ALTER', 'ANALYZE', 'CALL', 'COMMENT', 'COMMIT', 'CREATE', 'DEALLOCATE', 'DELETE', 'DESC', 'DESCRIBE', "
        "'DROP', 'EXECUTE', 'EXPLAIN', 'INSERT', 'MERGE', 'PREPARE', 'RESET', 'ROLLBACK', 'SET', 'SHOW', 'START', "
        "'TRUNCATE', 'UPDATE', 'USE', 'WITH', <query>"
    )


def parse_expression(sql: str) -> exp.Expression:
    """One expression, as after SET SESSION name =."""
    if not sql.strip():
        raise located("SYNTAX_ERROR", "mismatched input '<EOF>'. Expecting: <expression>", (1, 1))
    tree = _parse(f"SELECT {sql}")
    if not isinstance(tree, exp.Select) or {key for key, value in tree.args.items() if value} - {
        "expressions",
        "kind",
    }:
        raise located("SYNTAX_ERROR", f"mismatched input '{sql.split(maxsplit=1)[0]}'. Expecting: <expression>", (1, 1))
    if len(tree.expressions) != 1:
        raise located("SYNTAX_ERROR", "mismatched input ','. Expecting: <EOF>", (1, 1))
    found: exp.Expression = tree.expressions[0]
    return found


def _expressions(cursor: TokenCursor) -> tuple[str, ...]:
    """The texts of a comma-separated list that runs to the end of the statement."""
    parts: list[str] = []
    depth = 0
    start = cursor.peek()
    while (token := cursor.peek()) is not None:
        if token.text in ("(", "[") and token.token_type != TokenType.STRING:
            depth += 1
        elif token.text in (")", "]") and token.token_type != TokenType.STRING:
            depth -= 1
        elif token.token_type == TokenType.COMMA and depth == 0:
            if start is None or start is token:
                raise cursor.mismatch("<expression>")
            parts.append(cursor.sql[start.start : token.start].strip())
            start = cursor.peek(1)
        cursor.position += 1
    if start is None:
        raise cursor.mismatch("<expression>")
    parts.append(cursor.sql[start.start :].strip())
    for part in parts:
        parse_expression(part)
    return tuple(parts)


def count_parameters(sql: str) -> int:
    return sum(token.token_type == TokenType.PLACEHOLDER for token in TokenCursor(sql).tokens)


def bind_parameters(sql: str, parameters: Sequence[str]) -> str:
    """The statement with each `?` replaced, in the order of the text."""
    places = [token for token in TokenCursor(sql).tokens if token.token_type == TokenType.PLACEHOLDER]
    if len(places) != len(parameters):
        raise located(
            "INVALID_PARAMETER_USAGE",
            f"Incorrect number of parameters: expected {len(places)} but found {len(parameters)}",
            (1, 1),
        )
    result: list[str] = []
    position = 0
    for token, value in zip(places, parameters, strict=True):
        single = len(TokenCursor(value).tokens) == 1
        result += [sql[position : token.start], value if single else f"({value})"]
        position = token.end + 1
    return "".join(result) + sql[position:]
