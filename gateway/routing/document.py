"""From the text of the route ConfigMaps to the table that requests are matched with.

Reading is lenient per entry (a bad one is left out and named, by the contract's own reader) and strict per text: a
text that is no routes document at all is an error, so that the caller keeps the last good one.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache
from urllib.parse import urlsplit

import orjson
import yaml

from crds.v1 import routes as contract
from gateway.routing.match import normalised_host
from gateway.routing.model import Backend, BackendState, Route, RouteTable, Service

_YamlLoader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


class DocumentError(ValueError):
    """A text that is no routes document; says where it goes wrong."""


def read_document(text: str) -> object:
    """The document in `text`: JSON, which is what the controller writes, or any YAML."""
    try:
        document: object = orjson.loads(text)
    except orjson.JSONDecodeError:
        try:
            document = yaml.load(text, _YamlLoader)  # noqa: S506 - a safe loader
        except yaml.YAMLError as error:
            mark = getattr(error, "problem_mark", None)
            where = f"line {mark.line + 1}, column {mark.column + 1}: " if mark else ""
            raise DocumentError(f"invalid YAML: {where}{getattr(error, 'problem', None) or 'unreadable'}") from error
        except (ValueError, RecursionError) as error:
            raise DocumentError(f"invalid YAML: {error}") from error
    if not isinstance(document, dict) or not isinstance(document.get("routes"), list):
        raise DocumentError("the text must be a mapping with a list `routes`")
    return document


def compile_table(documents: Iterable[object]) -> tuple[RouteTable, list[str]]:
    """The table of all documents (shards, in order), and what in them cannot be used."""
    table, problems = contract.from_documents(list(documents))
    return RouteTable.of(tuple(_route(route) for route in table.routes)), [str(problem) for problem in problems]


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
