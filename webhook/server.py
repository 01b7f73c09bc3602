"""The HTTPS server that the API server calls: bytes to a review, a review to a decision, a decision to bytes.

HTTP 200 for every decision; anything else would count as a webhook failure. What a decision is, is the business of
`webhook.admission`.
"""

from __future__ import annotations

import logging
import ssl
import time
from collections.abc import Awaitable, Callable, Iterable
from types import TracebackType

from aiohttp import web
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

from crds.process.listener import Listener
from crds.v1.xtrinode import XTrinode
from webhook.admission import decide, judge, mutate
from webhook.authorizer import Authorizer
from webhook.registration import MUTATE_PATH, VALIDATE_PATH
from webhook.review import Decision, NotAReview, Request, parse_review, respond

_LOG = logging.getLogger(__name__)
# An object and its former self, at the API server's own limit of 1.5 MiB each, with room.
_MAX_BODY = 8 << 20
# Longer than the 90 s after which Go's client drops an idle connection, so that it, not we, closes first.
_KEEPALIVE = 95.0


class Metrics:
    """Counters of this process under controller-runtime's names, where it has one."""

    def __init__(self, certificate_ends: Callable[[], float]) -> None:
        self.registry = CollectorRegistry()
        self.requests = Counter(
            "controller_runtime_webhook_requests",
            "Admission requests by webhook and HTTP status",
            ["webhook", "code"],
            registry=self.registry,
        )
        self.latency = Histogram(
            "controller_runtime_webhook_latency_seconds",
            "Time to answer an admission request",
            ["webhook"],
            buckets=(0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.5, 1, 5),
            registry=self.registry,
        )
        self.decisions = Counter(
            "xtrinode_webhook_decisions",
            "Decisions by kind of object and outcome",
            ["kind", "operation", "outcome"],
            registry=self.registry,
        )
        ends = Gauge("xtrinode_webhook_certificate_not_after_seconds", "When it ends", registry=self.registry)
        ends.set_function(certificate_ends)

    def page(self) -> bytes:
        return generate_latest(self.registry)


class WebhookServer:
    """Serves while it is entered (`async with`)."""

    def __init__(
        self,
        address: str,
        context: ssl.SSLContext,
        authorizer: Authorizer,
        metrics: Metrics,
        runtimes: Callable[[], Iterable[XTrinode]],
    ) -> None:
        self._authorizer = authorizer
        self._metrics = metrics
        self._runtimes = runtimes
        app = web.Application(client_max_size=_MAX_BODY)
        app.router.add_post(MUTATE_PATH, self._handler("mutate", self._mutate))
        app.router.add_post(VALIDATE_PATH, self._handler("validate", self._validate))
        self._listener = Listener(app, address, "--address", tls=context, keepalive=_KEEPALIVE, shutdown=10.0)

    async def __aenter__(self) -> WebhookServer:
        await self._listener.__aenter__()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._listener.__aexit__(kind, error, trace)

    def _handler(
        self, name: str, answer: Callable[[Request], Awaitable[Decision]]
    ) -> Callable[[web.Request], Awaitable[web.Response]]:
        async def handle(http: web.Request) -> web.Response:
            started = time.perf_counter()
            try:
                review = parse_review(await http.read())
            except NotAReview as error:
                self._metrics.requests.labels(name, "400").inc()
                return web.Response(status=400, text=f"not an AdmissionReview: {error}\n")
            decision = await answer(review)
            self._metrics.requests.labels(name, "200").inc()
            self._metrics.latency.labels(name).observe(time.perf_counter() - started)
            outcome = "allowed" if decision.allowed else "denied"
            self._metrics.decisions.labels(review.kind, review.operation, outcome).inc()
            if not decision.allowed:
                fields = {"user": review.user.username, "fields": [error.path for error in decision.errors]}
                subject = f"{review.kind} {review.namespace}/{review.name}"
                _LOG.info("refused to %s %s", review.operation.lower(), subject, extra={"fields": fields})
            return web.Response(body=respond(review, decision), content_type="application/json")

        return handle

    async def _mutate(self, request: Request) -> Decision:
        return mutate(request)

    async def _validate(self, request: Request) -> Decision:
        judgement = judge(request, self._runtimes())
        if judgement.errors or not judgement.accesses:
            return decide(judgement, ())
        return decide(judgement, await self._authorizer.refusals(request.user, judgement.accesses))
