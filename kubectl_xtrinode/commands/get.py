"""`get`: the server's own table of runtimes or catalogs, or the gateway's routes; once or as they change."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from typing import Any

import click
import orjson

from crds.client.errors import ConfigError, Gone, NotFound
from crds.client.resources import CONFIG_MAPS, XTRINODE_CATALOGS, XTRINODES, Resource
from kubectl_xtrinode.following import follow
from kubectl_xtrinode.kube import TABLE, Kube
from kubectl_xtrinode.options import NAME, Connection, connection_options
from kubectl_xtrinode.output import FORMATS, age, note, plain, print_objects, print_rows

KINDS = {
    "runtimes": XTRINODES,
    "runtime": XTRINODES,
    "tn": XTRINODES,
    "xtrinodes": XTRINODES,
    "catalogs": XTRINODE_CATALOGS,
    "catalog": XTRINODE_CATALOGS,
    "tnc": XTRINODE_CATALOGS,
}
_ROUTES = ("routes", "route")
_ROUTE_HEADERS = ("ROUTE", "BACKEND", "STATE", "CAPACITY", "HEADER", "HOST", "DEFAULT", "AGE")


@click.command(short_help="List runtimes, catalogs or routes.")
@click.argument("what", nargs=-1, metavar="[runtimes|catalogs|routes] [NAME]...")
@click.option("-A", "--all-namespaces", is_flag=True, help="In all namespaces.")
@click.option("-l", "--selector", default="", metavar="LABELS", help="Only those with these labels.")
@click.option("-o", "--output", type=click.Choice(FORMATS), help="Form of the output; default: a table.")
@click.option("-w", "--watch", is_flag=True, help="Go on printing what changes, until Ctrl-C.")
@click.option("--no-headers", is_flag=True, help="Without the line of headers.")
@click.option("--ignore-not-found", is_flag=True, help="A name that does not exist is no error.")
@click.option("--gateway-namespace", default="xtrinode-gateway", show_default=True, help="Where the routes are.")
@connection_options
def command(
    connection: Connection,
    what: tuple[str, ...],
    all_namespaces: bool,
    selector: str,
    output: str | None,
    watch: bool,
    no_headers: bool,
    ignore_not_found: bool,
    gateway_namespace: str,
) -> None:
    """List runtimes (the default), catalogs, or the routes that the gateway follows.

    \b
    kubectl xtrinode get -A                     all runtimes
    kubectl xtrinode get analytics -o yaml      one runtime
    kubectl xtrinode get catalogs -n team-a     catalogs of a namespace
    kubectl xtrinode get -A --watch             runtimes, and every change
    """
    if watch and output in ("json", "yaml", "name"):
        raise click.UsageError(f"--watch prints a table; leave out -o {output}")
    if what and what[0] in _ROUTES:
        if len(what) > 1 or all_namespaces or selector or watch:
            raise click.UsageError("get routes prints the whole table; names, -A, -l and --watch do not go with it")
        _print_routes(Kube.connect(connection), gateway_namespace, output, no_headers)
        return
    resource, given = (KINDS[what[0]], what[1:]) if what and what[0] in KINDS else (XTRINODES, what)
    names = tuple(NAME.convert(name, None, None) for name in given)
    if names and all_namespaces:
        raise click.UsageError("a name and --all-namespaces do not go together: a name lives in one namespace")
    if names and selector:
        raise click.UsageError("name the objects, or select them with -l LABELS; not both")
    kube = Kube.connect(connection)
    namespace = None if all_namespaces else kube.namespace
    if output in ("json", "yaml", "name"):
        if names:
            objects = list(_named(lambda name: kube.get(resource, name, namespace), names, ignore_not_found))
        else:
            objects = kube.list_(resource, namespace, labelSelector=selector)
        if objects or not names:
            print_objects(objects, output, f"{resource.plural[:-1]}.{resource.group}", len(names) == 1)
        return
    printer = _Printer(all_namespaces, output == "wide", no_headers)
    version = _print_once(kube, resource, names, namespace, selector, printer, ignore_not_found)
    if watch:
        _follow(kube, resource, set(names), namespace, selector, printer, version)
    elif not printer.rows and not names:
        note("No resources found" if namespace is None else f"No resources found in {namespace} namespace.")


def _print_once(
    kube: Kube,
    resource: Resource,
    names: tuple[str, ...],
    namespace: str | None,
    selector: str,
    printer: _Printer,
    ignore_not_found: bool,
) -> str:
    """Print what there is; returns the version that a watch goes on from."""
    if not names:
        table = kube.table(resource, namespace, labelSelector=selector)
        printer.show([table])
        return str((table.get("metadata") or {}).get("resourceVersion") or "")
    tables = list(_named(lambda name: kube.table(resource, namespace, name), names, ignore_not_found))
    printer.show(tables)
    return str((tables[-1].get("metadata") or {}).get("resourceVersion") or "") if tables else ""


def _named(
    read: Callable[[str], dict[str, Any]], names: tuple[str, ...], ignore_not_found: bool
) -> Iterator[dict[str, Any]]:
    """What `read` gives for each name, without those that do not exist if that is no error."""
    for name in names:
        try:
            yield read(name)
        except NotFound:
            if not ignore_not_found:
                raise


def _follow(
    kube: Kube,
    resource: Resource,
    names: set[str],
    namespace: str | None,
    selector: str,
    printer: _Printer,
    version: str,
) -> None:
    """Print changes until interrupted; a stream that ends is taken up where it ended."""
    while True:
        try:
            for _, table in follow(kube, resource, namespace, version, accept=TABLE, selector=selector):
                rows = table.get("rows") or []
                wanted = [row for row in rows if not names or _metadata(row).get("name") in names]
                if wanted:
                    printer.show([{**table, "rows": wanted}])
        except Gone:
            version = _print_once(kube, resource, (), namespace, selector, printer, True)


def _metadata(row: dict[str, Any]) -> dict[str, Any]:
    return (row.get("object") or {}).get("metadata") or {}


class _Printer:
    """Prints tables; remembers headers and widths, so that what a watch adds stays in its columns."""

    def __init__(self, namespaced: bool, wide: bool, no_headers: bool) -> None:
        self._namespaced = namespaced
        self._wide = wide
        self._headed = no_headers
        self._columns: list[dict[str, Any]] = []
        self._widths: list[int] = []
        self.rows = 0

    def show(self, tables: list[dict[str, Any]]) -> None:
        lines: list[list[str]] = []
        for table in tables:
            self._columns = table.get("columnDefinitions") or self._columns
            lines += [self._cells(row) for row in table.get("rows") or []]
        if not lines:
            return
        if not self._headed:
            self._headed = True
            headers = [column["name"].upper() for column in self._shown_columns()]
            lines.insert(0, ["NAMESPACE", *headers] if self._namespaced else headers)
        for line in lines:
            for column, cell in enumerate(line):
                if column == len(self._widths):
                    self._widths.append(0)
                self._widths[column] = max(self._widths[column], len(cell))
        for line in lines:
            print("   ".join(cell.ljust(width) for cell, width in zip(line, self._widths, strict=False)).rstrip())
        sys.stdout.flush()
        self.rows += len(lines)

    def _shown_columns(self) -> list[dict[str, Any]]:
        return [column for column in self._columns if self._wide or not column.get("priority")]

    def _cells(self, row: dict[str, Any]) -> list[str]:
        cells = row.get("cells") or []
        shown = [
            "<none>" if cell is None or cell == "" else plain(str(cell))
            for cell, column in zip(cells, self._columns, strict=False)
            if self._wide or not column.get("priority")
        ]
        if self._namespaced:
            shown.insert(0, str(_metadata(row).get("namespace") or "<none>"))
        return shown


def _print_routes(kube: Kube, namespace: str, output: str | None, no_headers: bool) -> None:
    """The routes as the controller published them."""
    maps = kube.list_(CONFIG_MAPS, namespace, labelSelector="xtrinode.io/routes=true")
    if output in ("json", "yaml", "name"):
        print_objects(maps, output, "configmap", False)
        return
    rows = [_route_row(one, route, backend) for one in maps for route, backend in _backends_in(one)]
    if not rows:
        note(f"No routes found in {namespace} namespace.")
        return
    print_rows(rows if no_headers else [_ROUTE_HEADERS, *rows])


def _backends_in(config_map: dict[str, Any]) -> list[tuple[dict[str, Any], dict[str, Any]]]:
    return [(route, backend) for route in _routes_in(config_map) for backend in route.get("backends") or []]


def _route_row(config_map: dict[str, Any], route: dict[str, Any], backend: dict[str, Any]) -> tuple[str, ...]:
    return (
        str(route.get("name")),
        f"{backend.get('namespace')}/{backend.get('name')}",
        str(backend.get("state", "RUNNING")),
        str(backend.get("capacityUnits", 1)),
        ",".join(route.get("headers") or [route.get("header") or ""]),
        str(route.get("hostname") or ""),
        "yes" if route.get("default") else "",
        age(config_map["metadata"].get("creationTimestamp")),
    )


def _routes_in(config_map: dict[str, Any]) -> list[dict[str, Any]]:
    text = str((config_map.get("data") or {}).get("routes.yaml", ""))
    try:
        document: Any = orjson.loads(text)
    except orjson.JSONDecodeError:
        import yaml

        try:
            document = yaml.load(text, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))  # noqa: S506 - a safe loader
        except yaml.YAMLError as error:
            name = config_map["metadata"]["name"]
            raise ConfigError(
                f"ConfigMap {name} holds no valid YAML; the gateway keeps its last good routes"
            ) from error
    routes = document.get("routes") if isinstance(document, dict) else None
    return [route for route in routes if isinstance(route, dict)] if isinstance(routes, list) else []
