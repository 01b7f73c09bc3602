"""Trino's SQL translated to DuckDB's, with the types and names that Trino would give the result.

Called by the engine with a parsed statement and a resolver that knows the catalogs. Tables become
whatever the resolver says, functions and types are rewritten, and each output column gets a hint: its
name as Trino would print it and, where the text decides it, its exact type (DuckDB forgets the length
of a varchar and the precision of a timestamp). Nothing is executed here.
"""

from __future__ import annotations

import logging
import secrets
from dataclasses import dataclass, field
from typing import Protocol

from sqlglot import ErrorLevel, exp
from sqlglot.dialects.duckdb import DuckDB

from sandbox.trino.dialect_version import VERSION
from sandbox.trino.errors import QueryFailure, located
from sandbox.trino.expression_types import exact_type, is_date, is_map
from sandbox.trino.functions import BY_CLASS, BY_NAME
from sandbox.trino.session import Session
from sandbox.trino.token_cursor import Name
from sandbox.trino.trino_types import TrinoType
from sandbox.trino.unnest import rewritten_unnest

logging.getLogger("sqlglot").setLevel(logging.CRITICAL)


_MARK = "xtrinode$col"
_TARGETS = (exp.Insert, exp.Create, exp.Drop, exp.Delete, exp.Update, exp.Merge, exp.Alter, exp.TruncateTable)
_MONTHS = ("YEAR", "MONTH", "QUARTER")


@dataclass(frozen=True, slots=True)
class Source:
    """What stands for a table in the translated statement, and its columns as declared.

    Either a tree or, for rows that are known now, engine SQL that is pasted in as it is: a tree of a
    thousand literals would take longer to build than the query to run.
    """

    relation: exp.Expression | str
    columns: dict[str, TrinoType]


class Resolver(Protocol):
    """The catalogs, as the translator sees them."""

    def table(self, name: Name, location: tuple[int, int] | None) -> Source: ...

    def target(self, name: Name, action: str, location: tuple[int, int] | None) -> exp.Expression: ...


@dataclass(frozen=True, slots=True)
class Output:
    """A hint for one output column; None says that the engine's own answer stands."""

    name: str | None = None
    type: TrinoType | None = None
    zone: str | None = None
    months: bool = False


@dataclass(slots=True)
class Translation:
    sql: str
    outputs: list[Output]
    starred: bool
    """Whether a star makes the number of columns unknown; the hints then hold from both ends."""
    trailing: list[Output] = field(default_factory=list)
    named_types: dict[str, TrinoType] = field(default_factory=dict)
    tables: list[Name] = field(default_factory=list)
    divides: bool = False
    subqueries: bool = False
    tree: exp.Expression = field(default_factory=exp.Null)
    aliases: frozenset[str] = frozenset()


def qualified(name: Name, session: Session, location: tuple[int, int] | None) -> Name:
    """The three parts of a table name, completed from the session."""
    if len(name) == 3:
        return name
    if session.catalog is None:
        raise located("MISSING_CATALOG_NAME", "Catalog must be specified when session catalog is not set", location)
    if len(name) == 2:
        return (session.catalog, *name)
    if session.schema is None:
        raise located("MISSING_SCHEMA_NAME", "Schema must be specified when session schema is not set", location)
    return (session.catalog, session.schema, *name)


def place_of(node: exp.Expression, sql: str) -> tuple[int, int] | None:
    """Where a possibly qualified name starts in the original text, counted from 1."""
    starts = [identifier.meta.get("start") for identifier in node.find_all(exp.Identifier)]
    known = [start for start in starts if isinstance(start, int)]
    if not known:
        return None
    before = sql[: min(known)]
    return before.count("\n") + 1, len(before) - (before.rfind("\n") + 1) + 1


class Translator:
    """One statement's translation."""

    def __init__(self, sql: str, session: Session, resolver: Resolver) -> None:
        self.sql = sql
        self.session = session
        self.resolver = resolver
        self.named: dict[str, set[TrinoType]] = {}
        self.aliases: dict[str, set[str] | None] = {}
        """The columns behind each relation name; None where only the engine knows them."""
        self.pasted: dict[str, str] = {}
        self.tables: list[Name] = []

    def translate(self, tree: exp.Expression) -> Translation:
        tree = tree.copy()
        divides = tree.find(exp.Div, exp.Mod, exp.IntDiv) is not None
        subqueries = any(not isinstance(node.parent, exp.From | exp.Join) for node in tree.find_all(exp.Subquery))
        self._tables(tree)
        types = {name: next(iter(kinds)) for name, kinds in self.named.items() if len(kinds) == 1}
        outputs, starred, trailing = self._outputs(tree, types)
        self._rewrite_all(tree, types)
        text = DuckDB().generate(tree, unsupported_level=ErrorLevel.IGNORE)
        for name, relation in self.pasted.items():
            text = text.replace(f'"{name}"', relation)
        return Translation(
            text, outputs, starred, trailing, types, self.tables, divides, subqueries, tree, frozenset(self.aliases)
        )

    def _place(self, node: exp.Expression) -> tuple[int, int] | None:
        return place_of(node, self.sql)

    # Tables

    def _tables(self, tree: exp.Expression) -> None:
        with_names = {cte.alias.lower() for cte in tree.find_all(exp.CTE)}
        for relation in tree.find_all(exp.CTE, exp.Subquery, exp.Unnest, exp.Lateral):
            self._known_as(relation.alias, None)
        target = _target_of(tree)
        for table in list(tree.find_all(exp.Table)):
            if table is target or isinstance(table.parent, exp.AlterRename):
                continue
            if not isinstance(table.this, exp.Identifier):
                self._table_function(table)
                continue
            name = tuple(part.name.lower() for part in table.parts)
            if len(name) == 1 and name[0] in with_names:
                self._known_as(table.alias or name[0], None)
                continue
            location = self._place(table)
            full = qualified(name, self.session, location)
            source = self.resolver.table(full, location)
            self.tables.append(full)
            for column, kind in source.columns.items():
                self.named.setdefault(column, set()).add(kind)
            self._known_as(table.alias or full[-1], set(source.columns))
            self._replace(table, self._relation(source), full[-1])
        if target is not None:
            self._replace_target(tree, target)
        for reference in tree.find_all(exp.Column):
            self._check_column(reference)
            if reference.args.get("db") is not None:
                reference.set("db", None)
                reference.set("catalog", None)

    def _relation(self, source: Source) -> exp.Expression:
        if isinstance(source.relation, exp.Expression):
            return source.relation.copy()
        # The name is drawn per statement, so that no literal of the user's can be taken for it.
        name = f"xtrinode${secrets.token_hex(8)}"
        self.pasted[name] = source.relation
        return exp.Table(this=exp.to_identifier(name, quoted=True))

    def _known_as(self, alias: str, columns: set[str] | None) -> None:
        if not alias:
            return
        before = self.aliases.get(alias.lower(), set())
        self.aliases[alias.lower()] = None if columns is None or before is None else before | columns

    def _check_column(self, reference: exp.Column) -> None:
        """A qualified column of a table whose columns are known; anything else is the engine's to find."""
        columns = self.aliases.get(reference.table.lower())
        if columns is None or isinstance(reference.this, exp.Star) or reference.name.lower() in columns:
            return
        raise located(
            "COLUMN_NOT_FOUND",
            f"Column '{reference.table}.{reference.name}' cannot be resolved",
            self._place(reference),
        )

    def _replace(self, table: exp.Table, relation: exp.Expression, name: str) -> None:
        alias = table.args.get("alias")
        if alias is None:
            alias = exp.TableAlias(this=exp.to_identifier(name, quoted=True))
        relation.set("alias", alias)
        for key in ("joins", "laterals", "sample", "pivots"):
            if table.args.get(key):
                relation.set(key, table.args[key])
        table.replace(relation)

    def _table_function(self, table: exp.Table) -> None:
        location = self._place(table)
        inner = table.this
        if isinstance(inner, exp.Anonymous) and inner.name.lower() == "table" and inner.expressions:
            inner = inner.expressions[0]
        if isinstance(inner, exp.GenerateSeries):
            if table.args.get("alias") is None:
                columns = [exp.to_identifier("sequential_number")]
                table.set("alias", exp.TableAlias(this=exp.to_identifier("sequence"), columns=columns))
            table.set("this", inner)
            return
        if isinstance(inner, exp.Unnest | exp.Values):
            return
        raise located("FUNCTION_NOT_FOUND", f"Table function '{inner.name.lower()}' not registered", location)

    def _replace_target(self, tree: exp.Expression, target: exp.Table) -> None:
        location = self._place(target)
        name = qualified(tuple(part.name.lower() for part in target.parts), self.session, location)
        action = type(tree).__name__.upper()
        if isinstance(tree, exp.Create | exp.Drop):
            action = f"{action} {str(tree.args.get('kind') or 'TABLE').upper()}"
        relation = self.resolver.target(name, action, location)
        self.tables.append(name)
        for part in ("this", "db", "catalog"):
            target.set(part, relation.args.get(part))
        if isinstance(tree, exp.Create):
            tree.set("properties", None)
        for renamed in tree.find_all(exp.AlterRename):
            renamed.set("this", exp.to_table(renamed.this.name, quoted=True))

    # Output names and types

    def _outputs(self, tree: exp.Expression, types: dict[str, TrinoType]) -> tuple[list[Output], bool, list[Output]]:
        query: exp.Expression | None = tree
        if isinstance(tree, exp.Create | exp.Insert):
            query = tree.expression
        while isinstance(query, exp.SetOperation | exp.Subquery):
            query = query.this
        if isinstance(query, exp.Values):
            first = query.expressions[0] if query.expressions else None
            width = len(first.expressions) if isinstance(first, exp.Tuple) else 1
            return [Output(f"_col{index}") for index in range(width)], False, []
        if not isinstance(query, exp.Select):
            return [], True, []
        before: list[Output] = []
        after: list[Output] = []
        starred = False
        for index, projection in enumerate(list(query.expressions)):
            if _is_star(projection):
                starred = True
                after = []
                continue
            hint = self._hint(projection, types)
            if hint.name is None:
                projection.replace(exp.alias_(projection.copy(), f"{_MARK}{index}", quoted=True))
            (after if starred else before).append(hint)
        return before, starred, after

    def _hint(self, projection: exp.Expression, types: dict[str, TrinoType]) -> Output:
        inner: exp.Expression = projection.this if isinstance(projection, exp.Alias) else projection
        name: str | None = None
        if isinstance(projection, exp.Alias):
            name = projection.alias
        elif isinstance(inner, exp.Column | exp.Dot):
            name = inner.name
        zone = None
        zoned = inner.find(exp.AtTimeZone)
        if zoned is not None and isinstance(zoned.args.get("zone"), exp.Literal):
            zone = str(zoned.args["zone"].this)
        interval = inner.find(exp.Interval)
        months = interval is not None and str(interval.args.get("unit") or "").upper() in _MONTHS
        return Output(name, exact_type(inner, types), zone, months)

    # Rewriting

    def _rewrite_all(self, tree: exp.Expression, types: dict[str, TrinoType]) -> None:
        """Children before parents, so that a rewriting sees arguments that are done."""
        for node in reversed(list(tree.walk(bfs=True))):
            if node is tree or not isinstance(node, exp.Expression):
                continue
            rewritten = self._rewrite(node, types)
            if rewritten is not node:
                node.replace(rewritten)

    def _rewrite(self, node: exp.Expression, types: dict[str, TrinoType]) -> exp.Expression:
        if isinstance(node, exp.Cast | exp.TryCast):
            return _rewritten_cast(node)
        if isinstance(node, exp.DataType):
            return _rewritten_type(node)
        if isinstance(node, exp.Add | exp.Sub | exp.DateAdd | exp.TimestampTrunc | exp.DateTrunc) and is_date(
            node, types
        ):
            return exp.Cast(this=node.copy(), to=exp.DataType.build("DATE"))
        if isinstance(node, exp.Unnest):
            return rewritten_unnest(node, lambda array: is_map(array, types))
        if isinstance(node, exp.ArraySize) and is_map(node.this, types):
            return exp.Anonymous(this="cardinality", expressions=[node.this])
        if isinstance(node, exp.Struct) and not any(isinstance(part, exp.PropertyEQ) for part in node.expressions):
            return exp.Anonymous(this="row", expressions=node.expressions)
        fixed = self._session_value(node)
        if fixed is not None:
            return exp.Literal.string(fixed)
        if isinstance(node, exp.Anonymous):
            by_name = BY_NAME.get(node.name.lower())
            return by_name(node) if by_name is not None else node
        by_class = BY_CLASS.get(type(node))
        return by_class(node) if by_class is not None else node

    def _session_value(self, node: exp.Expression) -> str | None:
        if isinstance(node, exp.CurrentUser):
            return self.session.user
        if isinstance(node, exp.CurrentCatalog):
            return self.session.catalog or ""
        if isinstance(node, exp.CurrentSchema) or (
            isinstance(node, exp.Column) and not node.table and node.name.lower() == "current_schema"
        ):
            return self.session.schema or ""
        return VERSION if isinstance(node, exp.CurrentVersion) else None


def output_name(name: str, index: int) -> str:
    """A result column's name: marked columns had none in the statement."""
    return f"_col{index}" if name.startswith(_MARK) else name


def _is_star(projection: exp.Expression) -> bool:
    return isinstance(projection, exp.Star) or (
        isinstance(projection, exp.Column) and isinstance(projection.this, exp.Star)
    )


def _target_of(tree: exp.Expression) -> exp.Table | None:
    """The table that a statement changes."""
    if not isinstance(tree, _TARGETS):
        return None
    found = tree.this
    if isinstance(found, exp.Schema):
        found = found.this
    if isinstance(tree, exp.TruncateTable):
        found = tree.expressions[0]
    if isinstance(tree, exp.Drop):
        found = dropped(tree)
    kind = str(tree.args.get("kind") or "TABLE").upper()
    return found if isinstance(found, exp.Table) and kind in ("TABLE", "VIEW") else None


def dropped(tree: exp.Drop) -> exp.Expression | None:
    """The one object that a DROP names."""
    tables: list[exp.Expression] = tree.args.get("tables") or []
    return tables[0] if len(tables) == 1 else None


def _rewritten_cast(node: exp.Cast) -> exp.Expression:
    """Casts whose meaning differs: bounded strings cut, JSON converts, typed decimal literals."""
    kind = node.to
    if kind.this == exp.DataType.Type.JSON:
        return exp.Anonymous(this="to_json", expressions=[node.this])
    if kind.this in (exp.DataType.Type.VARCHAR, exp.DataType.Type.CHAR, exp.DataType.Type.NCHAR):
        inner = node.this
        if isinstance(inner, exp.JSONExtract | exp.ParseJSON):
            inner = exp.Anonymous(this="json_extract_string", expressions=[inner, exp.Literal.string("$")])
        plain = type(node)(this=inner, to=exp.DataType.build("TEXT"))
        length = kind.expressions[0].this if kind.expressions else None
        if kind.this != exp.DataType.Type.VARCHAR:
            length = length or exp.Literal.number(1)
        return exp.Anonymous(this="left", expressions=[plain, length]) if length is not None else plain
    if kind.this == exp.DataType.Type.DECIMAL and not kind.expressions:
        digits = str(node.this.this) if isinstance(node.this, exp.Literal) else ""
        scale = len(digits.partition(".")[2])
        precision = max(len(digits.replace(".", "").lstrip("-+0")), scale, 1) if digits else 38
        return type(node)(this=node.this, to=exp.DataType.build(f"DECIMAL({precision},{scale})"))
    return node


def _rewritten_type(node: exp.DataType) -> exp.Expression:
    """One engine type for every precision: the result's type says how many digits are shown."""
    if node.this in (exp.DataType.Type.IPADDRESS, exp.DataType.Type.HLLSKETCH):
        raise QueryFailure("NOT_SUPPORTED", f"The sandbox has no type {node.sql('trino').lower()}")
    if node.this in _TEMPORAL and node.expressions:
        return exp.DataType(this=node.this, nested=False)
    if node.this in (exp.DataType.Type.VARCHAR, exp.DataType.Type.CHAR) and isinstance(
        node.parent, exp.ColumnDef | exp.DataType
    ):
        return exp.DataType.build("TEXT")
    return node


_TEMPORAL = (
    exp.DataType.Type.TIMESTAMP,
    exp.DataType.Type.TIMESTAMPNTZ,
    exp.DataType.Type.TIMESTAMPTZ,
    exp.DataType.Type.TIME,
    exp.DataType.Type.TIMETZ,
)
