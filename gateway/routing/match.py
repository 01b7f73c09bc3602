"""Which route a new statement belongs to: hostname, then selector header, then the default.

Pure look-ups in the compiled table. A query id in the path wins over all of this and is not decided here.
"""

from __future__ import annotations

from gateway.routing.model import Refusal, RefusalKind, Route, RouteTable


def normalised_host(host: bytes) -> bytes:
    """A Host header as the table knows it: lower case, no port, no trailing dot; IPv6 brackets kept."""
    host = host.lower()
    if host.startswith(b"["):
        return host.partition(b"]")[0] + b"]"
    return host.partition(b":")[0].rstrip(b".")


def match(table: RouteTable, host: bytes, selector: bytes | None) -> Route | Refusal:
    """The route for a request's Host header and `X-Trino-XTrinode` value (None when it has none).

    A hostname that no route claims is no refusal: load balancers and addresses come through here. A selector that
    no route claims is one, always: falling back to the default would run the query on somebody else's cluster.
    """
    route = table.by_host.get(normalised_host(host))
    if route is not None:
        return route
    if selector is not None:
        route = table.by_selector.get(selector)
        if route is not None:
            return route
        shown = selector.decode("utf-8", "replace")[:200]
        return Refusal(
            RefusalKind.UNKNOWN_SELECTOR,
            f"No route found for X-Trino-XTrinode: {shown}. "
            "The value is <namespace>/<name> of a runtime; `kubectl xtrinode get -A` lists them",
        )
    if table.default is not None:
        return table.default
    return Refusal(
        RefusalKind.NO_ROUTE,
        "No route found: this host name belongs to no runtime and there is no default route. "
        "Set the header X-Trino-XTrinode: <namespace>/<name>",
    )
