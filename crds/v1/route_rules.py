"""Selectors of a runtime, and whether another runtime has them already.

`fold` decides every conflict deterministically, but by then somebody's route is gone from where it was
expected. At admission it is earlier: a runtime that *starts* to ask for a selector that another one has
is refused, whichever of them is older, so that no edit takes a route over. Members of one routing group
of one namespace share their selectors on purpose.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from crds.v1.meta import FieldError
from crds.v1.names import routing_group
from crds.v1.routes import header_value, normal_host
from crds.v1.xtrinode import XTrinode


def selectors(x: XTrinode) -> dict[str, str]:
    """What clients may be using to reach this runtime, beyond `<namespace>/<name>`; and its group."""
    routing, meta = x.spec.routing, x.metadata
    if routing is None:
        return {}
    own = routing_group(meta.namespace, meta.name)
    found: dict[str, str] = {}
    if routing.header and header_value(routing.header) != meta.key:
        found["header"] = header_value(routing.header)
    if routing.hostname:
        found["hostname"] = normal_host(routing.hostname)
    elif routing.hostname_domain:
        found["hostname"] = normal_host(f"{routing.routing_group or own}.{routing.hostname_domain}")
    if routing.routing_group and routing.routing_group != own:
        found["routingGroup"] = routing.routing_group
    if routing.default:
        found["default"] = "true"
    return found


def contested(new: XTrinode, old: XTrinode | None, others: Iterable[XTrinode]) -> Iterator[FieldError]:
    """Selectors that `new` asks for and `old` did not, and that one of `others` (of any namespace) has."""
    had = selectors(old) if old is not None else {}
    asked = {key: value for key, value in selectors(new).items() if key != "routingGroup" and had.get(key) != value}
    if not asked:
        return
    for other in sorted(others, key=lambda item: item.key):
        if other.key == new.key or _share_a_group(new, other):
            continue
        theirs = selectors(other)
        for key, value in list(asked.items()):
            if theirs.get(key) == value or (key == "header" and value == other.key):
                del asked[key]
                yield _taken(key, value, new, other)


def _share_a_group(one: XTrinode, two: XTrinode) -> bool:
    group = selectors(one).get("routingGroup")
    return (
        group is not None
        and one.metadata.namespace == two.metadata.namespace
        and selectors(two).get("routingGroup") == group
    )


def _taken(key: str, value: str, new: XTrinode, other: XTrinode) -> FieldError:
    # Who rules another namespace is none of the author's business; that the name is taken is.
    same = other.metadata.namespace == new.metadata.namespace
    owner = other.key if same else "a runtime of another namespace"
    field = key
    if key == "hostname" and new.spec.routing and not new.spec.routing.hostname:
        field = "hostnameDomain"
    message = f"selects {owner} already; choose another, or ask for it to be given up there first"
    return FieldError(f"spec.routing.{field}", message, "Duplicate", None if key == "default" else value)
