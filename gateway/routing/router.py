"""The routing core's front: what the proxy asks per request and what the shells feed.

One `Router` per worker process, owned by one event loop; every method is synchronous and short. `now` is monotonic
seconds. `epoch` changes whenever an earlier answer of `match` may have changed: callers that remember a match
remember the epoch with it.
"""

from __future__ import annotations

import random as _random
from collections.abc import Iterable

from cachetools import TTLCache

from gateway.routing.activity import Activity
from gateway.routing.choose import choose
from gateway.routing.circuit import Circuit, CircuitSettings, Random, Verdict
from gateway.routing.match import match
from gateway.routing.model import (
    Candidates,
    Health,
    Outcome,
    Refusal,
    RefusalKind,
    Route,
    RouteTable,
    Service,
    Target,
)
from gateway.routing.ownership import Absent, Owners

_VERDICTS = {
    Outcome.OK: Verdict.SUCCESS,
    Outcome.OVERLOAD: Verdict.OVERLOAD,
    Outcome.CLIENT_ABORT: Verdict.NOTHING,
}

# Transactions, OAuth2 exchanges and spooled segments live on one coordinator; Trino's own idle timeouts are shorter.
_PIN_SECONDS = 3600.0
_PINS = 65536


class Router:
    """Routes, targets and everything known about them."""

    def __init__(self, random: Random | None = None, circuit: CircuitSettings | None = None) -> None:
        self.epoch = 0
        self.table = RouteTable()
        self.activity = Activity()
        self._random = random or _random.Random()  # noqa: S311 - spreads load, keeps no secret
        self._circuit = circuit or CircuitSettings()
        self._targets: dict[str, tuple[Target, ...]] = {}  # by backend key
        self._addresses: dict[Service, tuple[tuple[str, int], ...]] = {}
        self._owners = Owners()
        self._now = 0.0
        self._pins: TTLCache[bytes, Target] = TTLCache(_PINS, _PIN_SECONDS, timer=lambda: self._now)

    # -- asked by the proxy -------------------------------------------------------------------------------------

    def match(self, host: bytes, selector: bytes | None) -> Route | Refusal:
        """The route for a new statement."""
        return match(self.table, host, selector)

    def choose(self, route: Route, now: float) -> Target | Refusal:
        """The coordinator that takes a new statement on `route`."""
        return choose(route, self._targets, now, self._random)

    def owner(self, query_id: bytes, now: float) -> Target | Refusal | Candidates:
        """The coordinator that made `query_id`; candidates to ask when it is not known."""
        found = self._owners.find(query_id, now)
        if isinstance(found, Target):
            return found
        if found is Absent.UNKNOWN:
            candidates = tuple(target for targets in self._targets.values() for target in targets)
            if candidates:
                return Candidates(candidates)
        shown = query_id.decode("ascii", "replace")
        if found is Absent.GONE:
            message = f"Query {shown} is lost: the coordinator that ran it has stopped. Run the query again"
        else:
            message = f"Query {shown} belongs to no coordinator that this gateway knows"
        return Refusal(RefusalKind.COORDINATOR_GONE, message)

    def begin(self, target: Target, now: float) -> bool:
        """A request goes to `target`; keep what this returns for `end`."""
        target.inflight += 1
        return target.circuit.begin(now)

    def end(self, target: Target, outcome: Outcome, probe: bool, now: float) -> None:
        """The request ended; called exactly once for each `begin`, with what that returned."""
        target.inflight -= 1
        target.circuit.end(_VERDICTS.get(outcome, Verdict.FAILURE), probe, now)
        if outcome is Outcome.OK and target.health in (Health.SLEEPING, Health.UNHEALTHY):
            target.health = Health.UNKNOWN  # it lives; the next probe says how well

    def learned(self, query_id: bytes, target: Target) -> None:
        """`target` answered a new statement with `query_id`."""
        self._owners.learn(query_id, target)

    def not_found(self, query_id: bytes, now: float) -> None:
        """The candidates were asked for `query_id`, and none owned up."""
        self._owners.missed(query_id, now)

    def query_seen(self, target: Target, query_id: bytes, state: bytes | None, done: bool, now: float) -> None:
        """A response page of `query_id` passed through."""
        self.activity.seen(target, query_id, state, done, now)

    def pin(self, token: bytes, target: Target, now: float) -> None:
        """Requests that carry `token` (transaction id, OAuth2 exchange, segment) belong to `target`."""
        self._now = now
        self._pins[token] = target

    def pinned(self, token: bytes, now: float) -> Target | None:
        """The target that `token` was pinned to, None when unknown or gone."""
        self._now = now
        target = self._pins.get(token)
        return None if target is None or target.retired else target

    # -- fed by the shells --------------------------------------------------------------------------------------

    def load(self, table: RouteTable) -> None:
        """Use `table` from now on."""
        self.table = table
        self._rebuild()

    def set_addresses(self, service: Service, addresses: Iterable[tuple[str, int]]) -> None:
        """The (ip, port) pairs that `service` resolves to now."""
        fresh = tuple(dict.fromkeys(addresses))
        if self._addresses.get(service) != fresh:
            self._addresses[service] = fresh
            self._rebuild()

    def services(self) -> set[Service]:
        """The services that need resolving."""
        return {backend.service for backend in self.table.backends.values()}

    def identified(self, target: Target, coordinator_id: bytes) -> None:
        """A probe of `target` told its coordinator id."""
        if target.coordinator_id not in (None, coordinator_id):
            self.activity.forget(target)
        self._owners.identify(target, coordinator_id)

    def targets(self) -> tuple[Target, ...]:
        """All live targets."""
        return tuple(target for targets in self._targets.values() for target in targets)

    def targets_of(self, key: str) -> tuple[Target, ...]:
        """The live targets of the backend `namespace/name`."""
        return self._targets.get(key, ())

    def sweep(self, now: float) -> None:
        """Periodic upkeep; call about once a second."""
        self.activity.sweep(now)

    def _rebuild(self) -> None:
        """Make targets match table and addresses, keeping those whose address stays."""
        targets: dict[str, tuple[Target, ...]] = {}
        kept: set[int] = set()
        for route in self.table.routes:
            for backend in route.backends:
                if backend.key in targets:
                    continue  # the same runtime through another route: the same targets
                known = {(target.ip, target.port): target for target in self._targets.get(backend.key, ())}
                built = []
                for ip, port in self._addresses.get(backend.service, ()):
                    target = known.get((ip, port)) or Target(
                        backend.namespace,
                        backend.name,
                        route.group,
                        ip,
                        port,
                        backend.service,
                        Circuit(self._circuit, self._random),
                    )
                    target.group = route.group
                    kept.add(id(target))
                    built.append(target)
                targets[backend.key] = tuple(built)
        for target in self.targets():
            if id(target) not in kept:
                self._owners.retire(target)
                self.activity.forget(target)
        used = self.services()
        self._addresses = {service: found for service, found in self._addresses.items() if service in used}
        self._targets = targets
        self.epoch += 1
