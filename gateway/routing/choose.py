"""Which coordinator of a route takes a new statement.

Least load per capacity unit among the targets that are healthy and whose circuit is closed; among equals two are
drawn and the better one taken, so that replicas that see the same numbers do not all pick the same target. When
every target is in doubt the doubt is more likely ours: fail open, and let the request find out.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from gateway.routing.circuit import Random
from gateway.routing.model import Backend, BackendState, Health, Refusal, RefusalKind, Route, Target

_FIT = frozenset({Health.UNKNOWN, Health.HEALTHY})


def choose(route: Route, targets: Mapping[str, Sequence[Target]], now: float, random: Random) -> Target | Refusal:
    """The target for a new statement on `route`; `targets` maps a backend's key to its addresses."""
    if len(route.backends) == 1 and route.backends[0].takes_new_work:
        alone = targets.get(route.backends[0].key, ())
        if len(alone) == 1:
            return alone[0]  # what nearly every route is; in doubt or not, there is no other
    open_backends = [backend for backend in route.backends if backend.takes_new_work]
    reachable = [(target, backend) for backend in open_backends for target in targets.get(backend.key, ())]
    if not reachable:
        return _refusal(route, open_backends)
    fit = [pair for pair in reachable if pair[0].health in _FIT and pair[0].circuit.allows(now)]
    # In doubt: anything but a server that itself says "starting"; that one is asked only when it is all there is.
    doubtful = [pair for pair in reachable if pair[0].health is not Health.STARTING] or reachable
    return _least_loaded(fit or doubtful, random)


def _least_loaded(pairs: list[tuple[Target, Backend]], random: Random) -> Target:
    if len(pairs) == 1:
        return pairs[0][0]
    best: list[tuple[Target, Backend]] = []
    for pair in pairs:
        if not best:
            best = [pair]
            continue
        order = _compare(pair, best[0])
        if order < 0:
            best = [pair]
        elif order == 0:
            best.append(pair)
    if len(best) == 1:
        return best[0][0]
    # Equal load per capacity: draw two, prefer the one with fewer requests in flight right now.
    first = best[int(random.random() * len(best)) % len(best)][0]
    second = best[int(random.random() * len(best)) % len(best)][0]
    return first if first.inflight <= second.inflight else second


def _compare(left: tuple[Target, Backend], right: tuple[Target, Backend]) -> int:
    """Sign of load/capacity left minus right, by cross-multiplication: exact, and no division on the way."""
    return left[0].load * max(right[1].capacity_units, 1) - right[0].load * max(left[1].capacity_units, 1)


def _refusal(route: Route, open_backends: Iterable[Backend]) -> Refusal:
    """Why a route takes no statement, in the words of whoever can mend it."""
    names = ", ".join(sorted(backend.key for backend in route.backends)) or route.name
    if any(True for _ in open_backends):
        return Refusal(
            RefusalKind.UNAVAILABLE,
            f"{names} is running but has no coordinator address yet; retry shortly",
            2,
        )
    states = {backend.state for backend in route.backends if backend.active}
    if BackendState.RESUMING in states:
        return Refusal(RefusalKind.RESUMING, f"{names} is starting; retry when it is ready", 5)
    if BackendState.PAUSED in states:
        first = next(b for b in route.backends if b.active and b.state is BackendState.PAUSED)
        return Refusal(
            RefusalKind.PAUSED,
            f"{names} is suspended; type `kubectl xtrinode resume {first.name} -n {first.namespace}` to start it",
            30,
        )
    return Refusal(RefusalKind.DRAINING, f"{names} is being drained and takes no new queries", 30)
