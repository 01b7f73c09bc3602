"""One call on the wire, with credentials, retries and metrics: the lower half of the transport.

kr8s's own calls are not used. Under ten-way concurrency they reach 1/9 of the calls per second, they have no
time-outs, retries, PUT or apply, and one 403 anywhere closes the HTTP session that all open watches
share. So an aiohttp session is fed from kr8s's authentication. Watches have a session of their own: no burst
of writes can take their connections, and nothing here ever closes a session with streams in flight: new
credentials or certificates simply apply to the next call.

Used by `KubeClient` alone; every failure leaves as one of `crds.client.errors`.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import random
import time
import weakref
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import aiohttp
from multidict import CIMultiDict

from crds.client.calls import Call
from crds.client.credentials import Credentials, Impersonation
from crds.client.errors import ApiError, Unauthorized, Unavailable, error_from_response
from crds.client.retry import RetryPolicy, parse_retry_after

log = logging.getLogger(__name__)

CONNECT_TIMEOUT = 5.0
READ_TIMEOUT = 30.0
KEEP_ALIVE = 90.0

# (verb, resource, status code or 0 when nobody answered, seconds), once per attempt.
OnCall = Callable[[str, str, int, float], None]


@dataclass(frozen=True, slots=True)
class _Failure:
    error: ApiError
    # False: no byte of the request can have reached the server.
    sent: bool
    certificate: bool = False


class _Connector(aiohttp.TCPConnector):
    """Knows its transports, so that `close()` leaves none behind.

    A call or watch that is cancelled ends TLS politely, which takes a round trip that nobody waits for: when the
    loop ends before it, the socket stays open until it is collected.
    """

    def __init__(self, *, limit: int, keepalive_timeout: float) -> None:
        super().__init__(limit=limit, keepalive_timeout=keepalive_timeout)
        self._open_transports: weakref.WeakSet[asyncio.BaseTransport] = weakref.WeakSet()

    async def _create_connection(self, *args: Any, **kwargs: Any) -> Any:
        protocol = await super()._create_connection(*args, **kwargs)
        if protocol.transport is not None:
            with contextlib.suppress(TypeError):  # uvloop's TLS transports cannot be referred to weakly
                self._open_transports.add(protocol.transport)
        return protocol

    def abort(self) -> None:
        for transport in list(self._open_transports):
            if isinstance(transport, asyncio.WriteTransport):
                transport.abort()


class Session:
    def __init__(
        self,
        credentials: Credentials,
        *,
        user_agent: str,
        policy: RetryPolicy,
        on_call: OnCall | None,
        impersonate: Impersonation | None,
        connect_timeout: float = CONNECT_TIMEOUT,
        read_timeout: float = READ_TIMEOUT,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        dice: Callable[[], float] = random.random,
    ) -> None:
        self.credentials = credentials
        self._headers = [("User-Agent", user_agent), *(impersonate.headers() if impersonate else [])]
        self._policy = policy
        self._on_call = on_call
        self._connect_timeout = connect_timeout
        self._read_timeout = read_timeout
        self._clock, self._sleep, self._dice = clock, sleep, dice
        self._calls: aiohttp.ClientSession | None = None
        self._watches: aiohttp.ClientSession | None = None
        self._connectors: list[_Connector] = []
        self._renewing = asyncio.Lock()
        self._closed = False

    async def call(self, call: Call) -> bytes:
        """The body of the answer, after as many attempts as `call.repeat` allows."""
        attempt, renewed = 1, False
        while True:
            generation = self.credentials.generation
            answer = await self._once(call)
            if isinstance(answer, bytes):
                return answer
            # A refused token was not acted upon, so even a POST may follow with the new one.
            if not renewed and (isinstance(answer.error, Unauthorized) or answer.certificate):
                renewed = True
                if await self._renew(generation):
                    continue
            pause = self._policy.pause(attempt, answer.error, call.repeat, sent=answer.sent, dice=self._dice)
            if pause is None:
                raise answer.error
            log.debug("%s; again in %.2f s (attempt %d)", answer.error, pause, attempt)
            attempt += 1
            await self._sleep(pause)

    @contextlib.asynccontextmanager
    async def stream(self, call: Call, *, inactivity: float) -> AsyncIterator[AsyncIterator[bytes]]:
        """An open answer, as chunks. `inactivity` seconds without a byte end it with `Unavailable`."""
        limits = aiohttp.ClientTimeout(sock_connect=self._connect_timeout, sock_read=inactivity)
        generation = self.credentials.generation
        response = await self._open(call, limits)
        if response.status == 401 and await self._renew(generation):
            response.close()
            response = await self._open(call, limits)
        try:
            if response.status >= 300:
                with _translated(call):
                    body = await response.read()
                raise _refusal(call, response, body)
            # What the caller's own code raises passes through here as it is.
            yield _chunks(call, response)
        finally:
            response.close()

    async def _open(self, call: Call, limits: aiohttp.ClientTimeout) -> aiohttp.ClientResponse:
        """Reported once it is open: how long a stream lasts says nothing about the server."""
        started = self._clock()
        code = 0
        try:
            with _translated(call):
                response = await self._request(self._session(watch=True), call, limits)
            code = response.status
            return response
        finally:
            self._report(call, code, started)

    async def close(self) -> None:
        self._closed = True
        for session in (self._calls, self._watches):
            if session is not None:
                await session.close()
        self._calls = self._watches = None
        for connector in self._connectors:
            connector.abort()
        self._connectors.clear()
        # Aborted transports let go of their sockets in the loop's next turn.
        await asyncio.sleep(0)

    async def _once(self, call: Call) -> bytes | _Failure:
        limits = aiohttp.ClientTimeout(sock_connect=self._connect_timeout, sock_read=self._read_timeout)
        started = self._clock()
        code = 0
        try:
            async with await self._request(self._session(watch=False), call, limits) as response:
                code = response.status
                body = await response.read()
                if code < 300:
                    return body
                return _Failure(_refusal(call, response, body), sent=True)
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            failure = _failure(call, error)
            failure.error.__cause__ = error
            return failure
        finally:
            self._report(call, code, started)

    async def _request(
        self, session: aiohttp.ClientSession, call: Call, limits: aiohttp.ClientTimeout
    ) -> aiohttp.ClientResponse:
        identity = self.credentials.identity
        headers: CIMultiDict[str] = CIMultiDict(self._headers)
        headers["Accept"] = call.accept
        authorization = self.credentials.authorization(self._clock())
        if authorization is not None:
            headers["Authorization"] = authorization
        if call.body is not None:
            headers["Content-Type"] = call.content_type
        try:
            return await session.request(
                call.method,
                identity.server + call.path,
                params=call.params,
                data=call.body,
                headers=headers,
                timeout=limits,
                # Per request, so that a new certificate needs no new session.
                ssl=identity.tls,
                server_hostname=identity.tls_server_name,
                proxy=identity.proxy,
                # A redirect would take the token to a place that nobody configured.
                allow_redirects=False,
            )
        except RuntimeError as error:
            if session.closed:
                raise
            # uvloop, when a new socket has the number of one that was cut and that it has not let go of yet.
            raise aiohttp.ClientConnectionError(str(error)) from error

    def _session(self, *, watch: bool) -> aiohttp.ClientSession:
        if self._closed:
            raise RuntimeError("this KubeClient is closed")
        session = self._watches if watch else self._calls
        if session is None:
            # Watches are as many as there are informers and must never wait for one another.
            connector = _Connector(limit=0 if watch else 100, keepalive_timeout=KEEP_ALIVE)
            self._connectors.append(connector)
            session = aiohttp.ClientSession(connector=connector, cookie_jar=aiohttp.DummyCookieJar())
            # aiohttp repeats GET, PUT and DELETE once by itself when a connection breaks. A delete that was done may
            # then be done to a successor; what is repeated is decided by the table in `retry`, and nowhere else.
            session._retry_connection = False
            if watch:
                self._watches = session
            else:
                self._calls = session
        return session

    async def _renew(self, generation: int) -> bool:
        async with self._renewing:
            return await self.credentials.refresh(generation)

    def _report(self, call: Call, code: int, started: float) -> None:
        if self._on_call is None:
            return
        try:
            self._on_call(call.verb, call.resource, code, self._clock() - started)
        except Exception:
            log.exception("the metrics hook failed")


@contextlib.contextmanager
def _translated(call: Call) -> Iterator[None]:
    try:
        yield
    except (aiohttp.ClientError, TimeoutError, OSError) as error:
        raise _failure(call, error).error from error


async def _chunks(call: Call, response: aiohttp.ClientResponse) -> AsyncIterator[bytes]:
    while True:
        with _translated(call):
            chunk = await response.content.readany()
        if not chunk:
            return
        yield chunk


def _refusal(call: Call, response: aiohttp.ClientResponse, body: bytes) -> ApiError:
    retry_after = parse_retry_after(response.headers.get("Retry-After"), datetime.now(UTC))
    return error_from_response(response.status, body, target=call.target, retry_after=retry_after)


def _failure(call: Call, error: BaseException) -> _Failure:
    """What the HTTP library's exception means; the connection's address is in the message, no header is."""
    certificate = isinstance(error, aiohttp.ClientSSLError)
    sent = not isinstance(error, aiohttp.ClientConnectorError | aiohttp.ConnectionTimeoutError)
    if certificate:
        reason, message = "CertificateRefused", f"TLS with the API server failed: {error}"
    elif isinstance(error, aiohttp.ConnectionTimeoutError):
        reason, message = "ConnectTimeout", "the API server does not accept the connection in time"
    elif isinstance(error, TimeoutError):
        reason, message = "ReadTimeout", "the API server stopped answering"
    elif not sent:
        reason, message = "ConnectionFailed", f"the API server cannot be reached: {error}"
    else:
        reason, message = "ConnectionLost", f"the connection to the API server broke: {error or type(error).__name__}"
    return _Failure(Unavailable(0, reason, message, target=call.target), sent=sent, certificate=certificate)
