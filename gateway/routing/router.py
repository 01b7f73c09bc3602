"""The routing core's front: what the proxy asks per request and what the shells feed.

One `Router` per worker process, owned by one event loop; every method is synchronous and short. `now` is monotonic
seconds. `epoch` changes whenever an earlier answer of `match` may have changed: callers that remember a match
remember the epoch with it.
"""

from __future__ import annotations

import random as _random
from collections.abc import Iterable, Mapping
from typing import Final, Protocol

from cachetools import TTLCache

from gateway.routing.activity import Activity
from gateway.routing.choose import choose
from gateway.routing.circuit import Circuit, CircuitSettings, Random, State, Verdict
from gateway.routing.match import match
from gateway.routing.model import (
    Backend,
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

# Enumerations are slow to look up and to hash, and these are asked for twice per request.
_CLOSED: Final = State.CLOSED
_OK: Final = Outcome.OK
_UNHEALTHY: Final = Health.UNHEALTHY
_SLEEPING: Final = Health.SLEEPING
_VERDICTS: Final = {
    Outcome.OVERLOAD: Verdict.OVERLOAD,
    Outcome.CLIENT_ABORT: Verdict.NOTHING,
}

# Transactions, OAuth2 exchanges and spooled segments live on one coordinator; Trino's own idle timeouts are shorter.
_PIN_SECONDS = 3600.0
_PINS = 65536


def _lives(target: Target) -> None:
    """It has answered; the next probe says how well it is."""
    health = target.health
    if health is _SLEEPING or health is _UNHEALTHY:
        target.health = Health.UNKNOWN


class Siblings(Protocol):
    """The other worker processes of this gateway: what one learns of a single request, the others must know."""

    def moved(self, query_id: bytes) -> None:
        """A query that may be counted elsewhere is counted, or has ended, here."""

    def pinned(self, token: bytes, target: Target) -> None:
        """Requests that carry `token` belong to `target`."""


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
        self._users: dict[Service, list[tuple[Backend, Route]]] = {}  # which backends a service serves
        self.owners = Owners()
        self._siblings: Siblings | None = None
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
        known = self.owners.known(query_id)
        return known if known is not None else self._ownerless(query_id, now)

    def _ownerless(self, query_id: bytes, now: float) -> Target | Refusal | Candidates:
        found = self.owners.find(query_id, now)
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
        circuit = target.circuit
        return circuit.state is not _CLOSED and circuit.begin(now)

    def end(self, target: Target, outcome: Outcome, probe: bool, now: float) -> None:
        """The request ended; called exactly once for each `begin`, with what that returned."""
        target.inflight -= 1
        circuit = target.circuit
        if outcome is not _OK:
            circuit.end(_VERDICTS.get(outcome, Verdict.FAILURE), probe, now)
            return
        if circuit.state is _CLOSED:
            circuit.succeeded(now)
        else:
            circuit.end(Verdict.SUCCESS, probe, now)
        _lives(target)

    def answered(self, target: Target, times: int, now: float) -> None:
        """`times` requests that somebody else began and ended for us went well."""
        if target.circuit.state is _CLOSED:
            target.circuit.succeeded(now, times)
        _lives(target)

    def learned(self, query_id: bytes, target: Target) -> None:
        """`query_id` has turned out to be `target`'s."""
        self.owners.learn(query_id, target)

    def submitted(self, query_id: bytes, target: Target, spools: bool = False) -> None:
        """`target` answered a new statement with `query_id`: nobody else can have seen it before."""
        self.activity.began(query_id, spools)
        self.owners.learn(query_id, target)

    def not_found(self, query_id: bytes, now: float) -> None:
        """The candidates were asked for `query_id`, and none owned up."""
        self.owners.missed(query_id, now)

    def query_seen(self, target: Target, query_id: bytes, state: bytes | None, done: bool, now: float) -> None:
        """A response page of `query_id` passed through."""
        self.activity.seen(target, query_id, state, done, now)

    def page_passed(self, target: Target, query_id: bytes, now: float) -> bool:
        """A page of `query_id` passes that would take work to read; whether nobody has to."""
        return self.activity.passed(target, query_id, now)

    def is_live(self, query_id: bytes) -> bool:
        """Whether `query_id` is counted here, and has not been seen to end."""
        return query_id in self.activity.queries

    def pin(self, token: bytes, target: Target, now: float) -> None:
        """Requests that carry `token` (transaction id, OAuth2 exchange, segment) belong to `target`."""
        self._now = now
        self._pins[token] = target
        if self._siblings is not None:
            self._siblings.pinned(token, target)

    def pinned(self, token: bytes, now: float) -> Target | None:
        """The target that `token` was pinned to, None when unknown or gone."""
        self._now = now
        target = self._pins.get(token)
        return None if target is None or target.retired else target

    # -- shared with sibling processes --------------------------------------------------------------------------

    def share_with(self, siblings: Siblings) -> None:
        """Tell them from now on."""
        self._siblings = siblings
        self.activity.arrived = siblings.moved

    def moved_away(self, query_id: bytes) -> None:
        """A sibling has taken over the counting of `query_id`."""
        self.activity.moved(query_id)

    def pinned_elsewhere(self, token: bytes, key: str, ip: str, port: int, now: float) -> None:
        """A sibling has seen `token` given out by the coordinator of backend `key` at this address."""
        self._now = now
        for target in self.targets_of(key):
            if (target.ip, target.port) == (ip, port):
                self._pins[token] = target

    # -- fed by the shells --------------------------------------------------------------------------------------

    def load(self, table: RouteTable) -> None:
        """Use `table` from now on."""
        self.table = table
        self._users = {}
        used: set[str] = set()
        for route in table.routes:
            for backend in route.backends:
                if backend.key not in used:  # the same runtime through another route: the same targets
                    used.add(backend.key)
                    self._users.setdefault(backend.service, []).append((backend, route))
        self._addresses = {service: found for service, found in self._addresses.items() if service in self._users}
        before, self._targets = self._targets, {}
        for service, users in self._users.items():
            for backend, route in users:
                self._targets[backend.key] = self._built(backend, route, service, before.get(backend.key, ()))
        self._retire_missing(before)
        self.epoch += 1

    def set_addresses(self, service: Service, addresses: Iterable[tuple[str, int]]) -> None:
        """The (ip, port) pairs that `service` resolves to now."""
        fresh = tuple(dict.fromkeys(addresses))
        users = self._users.get(service)
        if users is None or self._addresses.get(service, ()) == fresh:
            return
        self._addresses[service] = fresh
        before = {backend.key: self._targets.get(backend.key, ()) for backend, _ in users}
        for backend, route in users:
            self._targets[backend.key] = self._built(backend, route, service, before[backend.key])
        self._retire_missing(before)

    def services(self) -> set[Service]:
        """The services that need resolving."""
        return set(self._users)

    def identified(self, target: Target, coordinator_id: bytes) -> None:
        """A probe of `target` told its coordinator id."""
        if target.coordinator_id not in (None, coordinator_id):
            self.activity.forget(target)
        self.owners.identify(target, coordinator_id)

    def targets(self) -> tuple[Target, ...]:
        """All live targets."""
        return tuple(target for targets in self._targets.values() for target in targets)

    def targets_of(self, key: str) -> tuple[Target, ...]:
        """The live targets of the backend `namespace/name`."""
        return self._targets.get(key, ())

    def sweep(self, now: float) -> None:
        """Periodic upkeep; call about once a second."""
        self.activity.sweep(now)

    def _built(
        self, backend: Backend, route: Route, service: Service, before: tuple[Target, ...]
    ) -> tuple[Target, ...]:
        """A backend's targets at its service's addresses, keeping those whose address stays."""
        addresses = self._addresses.get(service, ())
        if len(before) == len(addresses) == 1:  # nearly every backend, and nearly never does anything change
            only = before[0]
            if (only.ip, only.port) == addresses[0] and only.service == service:
                only.group = route.group
                return before
        known = {(target.ip, target.port): target for target in before}
        built = []
        for ip, port in addresses:
            target = known.get((ip, port))
            if target is None or target.service != service:
                circuit = Circuit(self._circuit, self._random)
                target = Target(backend.namespace, backend.name, route.group, ip, port, service, circuit)
            target.group = route.group
            built.append(target)
        return tuple(built)

    def _retire_missing(self, before: Mapping[str, tuple[Target, ...]]) -> None:
        """Of the targets `before`, give up those that are no more."""
        for key, targets in before.items():
            kept = self._targets.get(key, ())
            if kept is targets:
                continue
            for target in targets:
                if target not in kept:
                    self.owners.retire(target)
                    self.activity.forget(target)
