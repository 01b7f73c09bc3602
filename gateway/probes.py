"""Active health: asks every coordinator for /v1/info, and finds the owner of a query id that nobody knows.

Each target has its own rhythm with jitter, so a dead one delays nobody; between two looks there is a timer and no
task, because thousands of sleeping tasks are megabytes. What an answer means is decided in
`gateway.routing.health`; this module only connects, asks and feeds the router.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import random
from collections.abc import Callable
from typing import Any

import aiohttp
import orjson

from crds.trino import coordinator_suffix, is_coordinator_id
from gateway.routing.health import Probe, Reach, after
from gateway.routing.model import Candidates, Health, Target
from gateway.routing.router import Router

_LOG = logging.getLogger(__name__)
_MAX_INFO = 65_536
_AT_ONCE = 256
# A coordinator that has told its id this recently is not asked again by a search: processes start slower than that.
_FRESH = 1.0
# Probes a second of one worker; beyond `interval` times as many coordinators each is asked less often.
_RATE = 100.0
# One that starts, or has just failed, is looked at more closely: what comes back is a new process, and until it has
# told its id a poll of an old query gets its 404 instead of a clear word.
_CLOSER_SECONDS = 1.0
_CLOSER_LOOKS = 30
# Of the time-out, the share that connecting may take. It ends first, so that dropped packets (nobody there) are told
# from a server that takes the connection and then says nothing.
_CONNECT_SHARE = 0.6
_ANSWERING = frozenset({Health.UNKNOWN, Health.HEALTHY, Health.STARTING})
_USER = {"X-Trino-User": "xtrinode-gateway"}


class Probes:
    """Probes all targets while it runs. One per worker process."""

    def __init__(self, router: Router, *, interval: float, timeout: float, clock: Callable[[], float]) -> None:
        self._router = router
        self._interval = interval
        self._timeout = aiohttp.ClientTimeout(total=timeout, sock_connect=timeout * _CONNECT_SHARE)
        self._clock = clock
        self._session: aiohttp.ClientSession | None = None
        self._looks: dict[Target, asyncio.Task[None] | asyncio.TimerHandle] = {}  # the present one, or the next
        self._searches: dict[bytes, asyncio.Task[Target | None]] = {}
        self._round = asyncio.Lock()

    async def __aenter__(self) -> Probes:
        self._session = aiohttp.ClientSession(
            timeout=self._timeout,
            connector=aiohttp.TCPConnector(limit=0, ttl_dns_cache=0, force_close=True),
            headers=_USER,
            auto_decompress=True,
        )
        return self

    async def __aexit__(self, *_: object) -> None:
        looks, self._looks = list(self._looks.values()), {}
        tasks: list[asyncio.Task[Any]] = [look for look in looks if isinstance(look, asyncio.Task)]
        tasks += self._searches.values()
        for one in [*looks, *tasks]:
            one.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        if self._session is not None:
            await self._session.close()

    def follow(self) -> None:
        """Make the running probes match the router's targets; call after routes or addresses changed."""
        live = set(self._router.targets())
        for target in self._looks.keys() - live:
            self._looks.pop(target).cancel()
        new = [target for target in live if target not in self._looks]
        loop = asyncio.get_running_loop()
        for target in new:
            # At once, unless thousands came together.
            wait = len(live) / _RATE * random.random() if len(live) > _RATE else 0.0  # noqa: S311 - spreads probes
            self._looks[target] = loop.call_later(wait, self._look, target)

    async def find_owner(self, query_id: bytes, candidates: Candidates) -> Target | None:
        """Ask the candidates who made `query_id`; searches for one suffix share one round of questions."""
        suffix = coordinator_suffix(query_id)
        search = self._searches.get(suffix)
        if search is None:
            search = asyncio.create_task(self._search(query_id, candidates.targets))
            self._searches[suffix] = search
            search.add_done_callback(lambda _: self._searches.pop(suffix, None))
        return await asyncio.shield(search)

    async def _search(self, query_id: bytes, candidates: tuple[Target, ...]) -> Target | None:
        suffix = coordinator_suffix(query_id)
        # One round at a time: it asks every candidate who it is, so searches for other ids find the answers fresh,
        # and made-up ids cannot multiply into a storm of questions.
        async with self._round:
            now = self._clock()
            stale = [target for target in candidates if target.probed_at is None or now - target.probed_at > _FRESH]
            for start in range(0, len(stale), _AT_ONCE):
                await asyncio.gather(*map(self._probe_once, stale[start : start + _AT_ONCE]))
        for target in candidates:
            if target.coordinator_id == suffix:
                return target
        # Coordinators that do not tell their id (before Trino 470) are asked for the query itself.
        silent = [target for target in candidates if target.coordinator_id is None and target.health in _ANSWERING]
        for start in range(0, len(silent), _AT_ONCE):
            batch = silent[start : start + _AT_ONCE]
            answers = await asyncio.gather(*(self._has_query(target, query_id) for target in batch))
            for target, has in zip(batch, answers, strict=True):
                if has:
                    self._router.learned(query_id, target)
                    return target
        self._router.not_found(query_id, self._clock())
        return None

    def _look(self, target: Target) -> None:
        look = asyncio.create_task(self._probe_once(target))
        self._looks[target] = look
        look.add_done_callback(lambda done: self._looked(target, done))

    def _looked(self, target: Target, look: asyncio.Task[None]) -> None:
        if self._looks.get(target) is not look:
            return  # not followed any more
        if not look.cancelled() and (error := look.exception()) is not None:
            _LOG.error("probing %s at %s:%d failed", target.key, target.ip, target.port, exc_info=error)
        changing = target.health is Health.STARTING or 0 < target.health_failures <= _CLOSER_LOOKS
        interval = min(self._interval, _CLOSER_SECONDS) if changing else self._interval
        wait = pause(interval, len(self._looks), random.random())  # noqa: S311 - spreads probes
        self._looks[target] = asyncio.get_running_loop().call_later(wait, self._look, target)

    async def _probe_once(self, target: Target) -> None:
        probe = await self._ask(target)
        if target.retired:
            return
        health, failures = after(target, probe)
        if health is not target.health:
            _LOG.info(
                "coordinator %s at %s:%d is %s%s",
                target.key,
                target.ip,
                target.port,
                health.name.lower(),
                f": {probe.detail}" if probe.detail else "",
            )
        target.health, target.health_failures, target.health_detail = health, failures, probe.detail
        target.probed_at = self._clock()
        if probe.coordinator_id is not None:
            self._router.identified(target, probe.coordinator_id)

    async def _ask(self, target: Target) -> Probe:
        try:
            async with self._open().get(
                _url(target, "/v1/info"), headers=_host(target), allow_redirects=False
            ) as reply:
                body = await reply.content.read(_MAX_INFO)
                if reply.status != 200:
                    return Probe(Reach.BROKEN, f"/v1/info answered {reply.status}")
        except (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError) as error:
            return Probe(Reach.UNREACHABLE, _short(error))
        except (aiohttp.ClientError, TimeoutError, OSError, ValueError) as error:
            return Probe(Reach.BROKEN, _short(error))
        return read_info(body)

    async def _has_query(self, target: Target, query_id: bytes) -> bool:
        with contextlib.suppress(aiohttp.ClientError, TimeoutError, OSError):
            path = f"/v1/query/{query_id.decode('ascii', 'replace')}"
            async with self._open().get(_url(target, path), headers=_host(target), allow_redirects=False) as reply:
                return reply.status == 200
        return False

    def _open(self) -> aiohttp.ClientSession:
        if self._session is None:
            raise RuntimeError("Probes is used outside of `async with`")
        return self._session


def pause(interval: float, targets: int, dice: float) -> float:
    """Seconds until a target is probed again, jittered by a fifth; longer when there are very many."""
    return max(interval, targets / _RATE) * (0.8 + 0.4 * dice)


def read_info(body: bytes) -> Probe:
    """A /v1/info body as a probe's result."""
    try:
        info = orjson.loads(body)
    except orjson.JSONDecodeError:
        return Probe(Reach.BROKEN, "/v1/info is not JSON")
    if not isinstance(info, dict):
        return Probe(Reach.BROKEN, "/v1/info is not an object")
    found = info.get("coordinatorId")
    coordinator_id = found.encode() if isinstance(found, str) and is_coordinator_id(found) else None
    return Probe(Reach.ANSWERED, starting=bool(info.get("starting", False)), coordinator_id=coordinator_id)


def _url(target: Target, path: str) -> str:
    host = f"[{target.ip}]" if ":" in target.ip else target.ip
    return f"{'https' if target.tls else 'http'}://{host}:{target.port}{path}"


def _host(target: Target) -> dict[str, str]:
    return {"Host": target.authority.decode("ascii")}


def _short(error: BaseException) -> str:
    if isinstance(error, aiohttp.ConnectionTimeoutError):
        return "nothing answers: connecting timed out"
    if isinstance(error, TimeoutError):
        return "connected, but no answer in time"
    if isinstance(error, aiohttp.ClientConnectorError) and error.os_error.errno:
        return f"connecting failed: {os.strerror(error.os_error.errno)}"
    return (str(error) or type(error).__name__)[:200]
