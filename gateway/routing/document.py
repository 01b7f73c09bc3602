"""From the text of the route ConfigMaps to the table that requests are matched with.

Reading is lenient per entry (a bad one is left out and named, by the contract's own reader) and strict per text: a
text that is no routes document at all is an error, so that the caller keeps the last good one.

The controller writes a route per line, and from one text to the next nearly all lines stay. Such a text is read line
by line, and a line that was there before is not read again: with 5,000 routes a change of one costs a tenth of
reading them all. Any other text is read as a whole, and so is a table in which an entry is wrong or two compete.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from urllib.parse import urlsplit

import orjson

from crds.v1 import routes as contract
from gateway.routing.match import normalised_host
from gateway.routing.model import Backend, BackendState, Route, RouteTable, Service

# How the contract writes a table: what stands between these, cut at the separator, is one JSON value each.
_HEAD, _SEPARATOR, _TAIL = '{"routes": [\n', ",\n", "\n]}\n"


class DocumentError(ValueError):
    """A text that is no routes document; says where it goes wrong."""


@dataclass(frozen=True, slots=True)
class Document:
    """A routes document: by line when each of its lines is a sound route of its own, else as it was parsed."""

    lines: Mapping[str, Route] | None = None
    parsed: object = None
    empty: bool = False
    """It says itself that there are no routes: the writer knows of none, rather than knowing nothing."""

    def whole(self) -> object:
        """As the contract reads it."""
        if self.lines is None:
            return self.parsed
        return orjson.loads(_HEAD + _SEPARATOR.join(self.lines) + _TAIL)


def read_document(text: str, before: Document | None = None) -> Document:
    """The document in `text`: JSON, which is what the controller writes, or any YAML. `before` is its last version."""
    lines = _read_lines(text, (before and before.lines) or {})
    if lines is not None:
        return Document(lines)
    parsed: object
    try:
        parsed = orjson.loads(text)
    except orjson.JSONDecodeError:
        parsed = _read_yaml(text)
    if not isinstance(parsed, dict) or not isinstance(parsed.get("routes"), list):
        raise DocumentError("the text must be a mapping with a list `routes`")
    return Document(parsed=parsed, empty=not parsed["routes"] and parsed.get("empty") is True)


def _read_yaml(text: str) -> object:
    import yaml  # a megabyte that is not needed where the controller alone writes

    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    try:
        return yaml.load(text, loader)  # noqa: S506 - both are safe loaders
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f"line {mark.line + 1}, column {mark.column + 1}: " if mark else ""
        raise DocumentError(f"invalid YAML: {where}{getattr(error, 'problem', None) or 'unreadable'}") from error
    except (ValueError, RecursionError) as error:
        raise DocumentError(f"invalid YAML: {error}") from error


def _read_lines(text: str, known: Mapping[str, Route]) -> dict[str, Route] | None:
    """The routes of a text with one per line; None when it is written otherwise, or an entry has a fault."""
    if not (text.startswith(_HEAD) and text.endswith(_TAIL)):
        return None
    found: dict[str, Route] = {}
    lines = text[len(_HEAD) : -len(_TAIL)].split(_SEPARATOR)
    for line in lines:
        route = known.get(line) or _read_line(line)
        if route is None:
            return None
        found[line] = route
    return found if len(found) == len(lines) else None


def _read_line(line: str) -> Route | None:
    try:
        entry = orjson.loads(line)
    except orjson.JSONDecodeError:
        return None
    table, problems = contract.from_document({"routes": [entry]})
    return None if problems else _route(table.routes[0])


def compile_table(documents: Iterable[Document]) -> tuple[RouteTable, list[str]]:
    """The table of all documents (shards, in order), and what in them cannot be used."""
    documents = list(documents)
    routes = _side_by_side(documents)
    if routes is not None:
        return RouteTable.of(tuple(routes)), []
    table, problems = contract.from_documents([document.whole() for document in documents])
    return RouteTable.of(tuple(_route(route) for route in table.routes)), [str(problem) for problem in problems]


def _side_by_side(documents: Sequence[Document]) -> list[Route] | None:
    """All routes in the contract's order; None when they are not all known, or two claim the same."""
    routes: list[Route] = []
    for document in documents:
        if document.lines is None:
            return None
        routes += document.lines.values()
    selectors = [selector for route in routes for selector in route.selectors]
    hostnames = [hostname for route in routes for hostname in route.hostnames]
    apart = (
        len({route.group for route in routes}) == len(routes)
        and len(set(selectors)) == len(selectors)
        and len(set(hostnames)) == len(hostnames)
        and sum(route.default for route in routes) <= 1
    )
    return sorted(routes, key=lambda route: route.name) if apart else None


def _route(route: contract.Route) -> Route:
    return Route(
        name=route.name,
        group=route.group,
        backends=tuple(_backend(backend) for backend in route.backends),
        hostnames=(normalised_host(route.hostname.encode()),) if route.hostname else (),
        selectors=tuple(value.encode() for value in route.headers),
        default=route.default,
    )


@lru_cache(maxsize=16_384)
def _service(url: str) -> Service:
    """Taking URLs apart is most of compiling a table, and from one table to the next they stay the same."""
    parts = urlsplit(url)
    tls = parts.scheme == "https"
    return Service((parts.hostname or "").lower(), parts.port or (443 if tls else 80), tls)


def _backend(backend: contract.Backend) -> Backend:
    service = _service(backend.url)
    state = BackendState(backend.state.value)
    return Backend(backend.namespace, backend.name, service, state, backend.active, backend.capacity_units)
