"""The HTTP side of the API server: from a request to a verb, from a result to bytes.

One handler serves every path: health, version, discovery, OpenAPI, and the API itself. It authenticates, impersonates,
authorizes, reads the body, calls the verb and writes the answer in the form that was asked for. Every failure,
also one of our own, leaves as a Status object. It decides nothing about objects.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from datetime import datetime
from typing import Any, Final

import aiohttp
import orjson
from aiohttp import web

from sandbox.kube import authn, bodies, errors, openapi, paths, pod_endpoints, rbac, reviews, scaling
from sandbox.kube.authn import Authenticator
from sandbox.kube.call import Call, DeleteOptions
from sandbox.kube.calls import read_call
from sandbox.kube.discovery import Discovery
from sandbox.kube.errors import StatusError
from sandbox.kube.intake import read_body, read_named, report_unknown
from sandbox.kube.listing import Page, Selection, list_page
from sandbox.kube.openapi import OpenAPI
from sandbox.kube.paths import Target
from sandbox.kube.presenting import Form
from sandbox.kube.rbac import User
from sandbox.kube.resources import Kind, Registry
from sandbox.kube.verbs import Verbs
from sandbox.kube.watching import Watch

Object = dict[str, Any]

VERSION: Final = "v1.35.0-xtrinode-sandbox"
LARGEST_BODY: Final = 3 << 20  # bytes, as in the real server

_JSON: Final = "application/json"
_NOT_OFFERED: Final = ("exec", "attach", "portforward", "proxy")
_OPEN_PATHS: Final = ("/livez", "/readyz", "/healthz", "/version")
_log = logging.getLogger("sandbox.kube")


class Service:
    """Answers requests. `ready` is asked by /readyz."""

    def __init__(
        self,
        *,
        verbs: Verbs,
        registry: Registry,
        authenticator: Authenticator,
        clock: Callable[[], datetime],
        address: str,
    ) -> None:
        self._verbs = verbs
        self._store = verbs.store
        self._registry = registry
        self._authenticator = authenticator
        self._clock = clock
        self._discovery = Discovery(registry, address)
        self._openapi = OpenAPI(registry)
        self._session: aiohttp.ClientSession | None = None
        self._streams: set[Watch] = set()
        self.ready = False

    async def close(self) -> None:
        """End the watches and the connections to kubelets."""
        for watch in list(self._streams):
            watch.close()
        if self._session is not None:
            await self._session.close()

    # -- one request

    async def handle(self, request: web.BaseRequest) -> web.StreamResponse:
        try:
            return await self._answer(request)
        except StatusError as error:
            return _failure(error)
        except (ConnectionResetError, asyncio.CancelledError):
            raise
        except Exception:
            _log.exception("request failed: %s %s", request.method, request.path)
            return _failure(errors.internal("the sandbox API server failed; its log has the details"))

    async def _answer(self, request: web.BaseRequest) -> web.StreamResponse:
        user = self._authenticator.authenticate(request.headers, self._clock())
        if any(key.lower().startswith("impersonate-") for key in request.headers):
            user = authn.impersonated(user, request.headers.items(), self._allowed)
        target = paths.parse(request.url.raw_path)
        if target is None:
            return await self._other_path(request, user)
        query = dict(request.query)
        verb = paths.verb(request.method, target, query)
        attributes = rbac.Attributes(
            verb, target.group, target.plural, target.subresource, target.namespace, target.name
        )
        if not self._allowed(user, attributes):
            raise rbac.denial(user, attributes)
        if not self._registry.in_version(target.group, target.version):
            return _no_such_page()
        kind = self._kind(target)
        call = self._call(kind, verb, user, target, request)
        if verb == "watch":
            return await self._watch(request, call, query)
        try:
            answer = await self._dispatch(request, call, target, query)
        except StatusError as error:
            # Warnings that were collected on the way belong to a refusal as well.
            answer = _failure(error)
        for header in _warning_headers(call, kind):
            answer.headers.add("Warning", header)
        return answer

    def _allowed(self, user: User, attributes: rbac.Attributes) -> bool:
        return rbac.authorize(user, attributes, self._store).allowed

    def _kind(self, target: Target) -> Kind:
        kind = self._registry.find(target.group, target.version, target.plural)
        if kind is None or (kind.namespaced and not target.namespace and target.name):
            raise errors.path_not_found()
        if target.subresource in _NOT_OFFERED and kind.plural in ("pods", "services", "nodes"):
            raise errors.bad_request(
                f"the sandbox does not offer {kind.plural}/{target.subresource}: "
                "its pods are processes of this machine, reached at their pod addresses"
            )
        inside = target.namespace and kind.plural != "namespaces"
        if (inside and not kind.namespaced) or (target.subresource and target.subresource not in kind.subresources):
            raise errors.path_not_found()
        return kind

    def _call(self, kind: Kind, verb: str, user: User, target: Target, request: web.BaseRequest) -> Call:
        namespace = target.namespace if kind.namespaced else ""

        def may_create() -> None:
            attributes = rbac.Attributes("create", kind.group, kind.plural, "", namespace, target.name)
            if not self._allowed(user, attributes):
                raise rbac.denial(user, attributes)

        query = dict(request.query)
        return read_call(kind, verb, user, target, query, headers=request.headers, may_create=may_create)

    # -- the API

    async def _dispatch(
        self, request: web.BaseRequest, call: Call, target: Target, query: dict[str, str]
    ) -> web.StreamResponse:
        form = Form.parse(request.headers.get("Accept", ""), query, lambda: self._clock().timestamp())
        kind, verbs = call.kind, self._verbs
        if call.subresource not in ("", "status"):
            return await self._subresource(request, call, query)
        misplaced = target.name if call.verb == "create" else call.verb in ("update", "patch") and not target.name
        if call.verb not in kind.verbs or misplaced:
            raise errors.method_not_allowed()
        if call.verb == "get":
            return _reply(form.of_entry(kind, verbs.entry(call)))
        if call.verb == "list":
            page = list_page(self._store, Selection.parse(kind, target.namespace, "", query), query)
            return _reply(form.of_list(kind, page.entries, _list_metadata(kind, page)))
        if call.verb == "deletecollection":
            return await self._delete_collection(request, call, target, query)
        body, content_type = await _body(request)
        if call.verb == "delete":
            document = bodies.decode(body, content_type)
            options = DeleteOptions.parse(document, query)
            if isinstance(document, dict) and document.get("dryRun"):
                call.dry_run = True
            obj, gone = await verbs.delete(call, options)
            return _reply(_deleted(kind, obj) if gone and not kind.delete_returns else form.of_object(kind, obj))
        self._check_duplicates(call, body, content_type, query)
        document = None if content_type == "application/json-patch+json" else bodies.decode(body, content_type)
        if call.verb == "create":
            if not kind.verbs or kind.verbs == ("create",):
                return _reply(orjson.dumps(self._review(call, read_body(call, document))), 201)
            return _reply(form.of_object(kind, await verbs.create(call, document)), 201)
        if call.verb == "update":
            obj = await verbs.update(call, document)
            return _reply(form.of_object(kind, obj), 201 if call.created else 200)
        obj = await verbs.patch(call, content_type, body, document)
        return _reply(form.of_object(kind, obj), 201 if call.created else 200)

    @staticmethod
    def _check_duplicates(call: Call, body: bytes, content_type: str, query: dict[str, str]) -> None:
        # Only who asks pays for a second, slower parse; writers that serialize maps cannot have duplicates.
        if query.get("fieldValidation") not in ("Strict", "Warn"):
            return
        found = [f'duplicate field "{path}"' for path in bodies.duplicates(body, content_type)]
        if found:
            report_unknown(call, found)

    async def _delete_collection(
        self, request: web.BaseRequest, call: Call, target: Target, query: dict[str, str]
    ) -> web.StreamResponse:
        body, content_type = await _body(request)
        options = DeleteOptions.parse(bodies.decode(body, content_type), query)
        selection = Selection.parse(call.kind, target.namespace, "", query)
        page = list_page(self._store, selection, query)
        for entry in page.entries:
            one = Call(call.kind, "delete", call.user, entry.namespace, entry.name, dry_run=call.dry_run)
            one.warnings = call.warnings
            try:
                await self._verbs.delete(one, options)
            except StatusError as error:
                if error.code != 404:  # someone else was faster
                    raise
        form = Form(clock=lambda: self._clock().timestamp())
        return _reply(form.of_list(call.kind, page.entries, _list_metadata(call.kind, page)))

    async def _watch(self, request: web.BaseRequest, call: Call, query: dict[str, str]) -> web.StreamResponse:
        form = Form.parse(request.headers.get("Accept", ""), query, lambda: self._clock().timestamp())
        if "watch" not in call.kind.verbs:
            raise errors.method_not_allowed()
        selection = Selection.parse(call.kind, call.namespace, call.name, query)
        watch = Watch(self._store, selection, form, query)
        self._streams.add(watch)
        try:
            response = web.StreamResponse(headers={"Content-Type": _JSON, "Cache-Control": "no-cache, private"})
            response.enable_chunked_encoding()
            await response.prepare(request)
            try:
                async for chunk in watch.batches():
                    await response.write(chunk)
                await response.write_eof()
            except ConnectionResetError:
                _log.debug("a watcher of %s went away", call.kind.plural)
            return response
        finally:
            watch.close()
            self._streams.discard(watch)

    async def _subresource(self, request: web.BaseRequest, call: Call, query: dict[str, str]) -> web.StreamResponse:
        verbs = self._verbs
        if call.subresource == "log" and call.verb == "get":
            return await self._logs(request, call, query)
        body, content_type = await _body(request)
        document = None if content_type == "application/json-patch+json" else bodies.decode(body, content_type)
        match call.subresource, call.verb:
            case "scale", "get":
                return _json_reply(scaling.read(verbs, call))
            case "scale", "update":
                return _json_reply(await scaling.update(verbs, call, document))
            case "scale", "patch":
                return _json_reply(await scaling.patch(verbs, call, content_type, body, document))
            case "binding", "create":
                return _json_reply(await pod_endpoints.bind(verbs, call, document), 201)
            case "eviction", "create":
                return _json_reply(await pod_endpoints.evict(verbs, call, document, self._registry), 201)
            case "token", "create":
                wanted = document if isinstance(document, dict) else {}
                made = self._authenticator.token_request(call.namespace, call.name, wanted, self._clock())
                return _json_reply(made, 201)
            case "finalize", "update":
                return _json_reply(await self._finalize(call, document))
        raise errors.method_not_allowed()

    async def _finalize(self, call: Call, document: Any) -> Object:
        """Set a namespace's own finalizers, nothing else."""
        wanted = read_named(call, document)
        finalizers = (wanted.get("spec") or {}).get("finalizers") or []
        call.subresource = ""

        def change(namespace: Object) -> Object:
            namespace.setdefault("spec", {})["finalizers"] = finalizers
            return namespace

        return await self._verbs.modify(call, change)

    async def _logs(self, request: web.BaseRequest, call: Call, query: dict[str, str]) -> web.StreamResponse:
        if self._session is None:
            self._session = aiohttp.ClientSession()
        chunks = pod_endpoints.logs(self._verbs, call, query, self._session)
        first = await anext(chunks, None)  # raises before the stream has begun
        response = web.StreamResponse(headers={"Content-Type": "text/plain"})
        response.enable_chunked_encoding()
        await response.prepare(request)
        try:
            if first is not None:
                await response.write(first)
                async for chunk in chunks:
                    await response.write(chunk)
            await response.write_eof()
        except (StatusError, ConnectionResetError) as error:
            # The head is out, so all that can be said is that the stream ends here.
            _log.debug("the log of %s ended early: %s", call.name, error)
        return response

    def _review(self, call: Call, body: Object) -> Object:
        match call.kind.kind:
            case "TokenReview":
                return self._authenticator.token_review(body, self._clock())
            case "SelfSubjectReview":
                return reviews.self_subject_review(call.user)
            case "SubjectAccessReview":
                return reviews.subject_access_review(body, self._store)
            case "LocalSubjectAccessReview":
                return reviews.subject_access_review(body, self._store, call.namespace)
            case "SelfSubjectAccessReview":
                return reviews.self_subject_access_review(body, call.user, self._store)
        return reviews.self_subject_rules_review(body, call.user, self._store)

    # -- everything that is not the API

    async def _other_path(self, request: web.BaseRequest, user: User) -> web.StreamResponse:
        path = request.path.rstrip("/") or "/"
        attributes = rbac.Attributes(request.method.lower(), path=request.path)
        if not path.startswith(_OPEN_PATHS) and not self._allowed(user, attributes):
            raise rbac.denial(user, attributes)
        if request.method not in ("GET", "HEAD"):
            raise errors.method_not_allowed()
        accept = request.headers.get("Accept", "")
        if path in ("/livez", "/healthz") or path.startswith(("/livez/", "/readyz/", "/healthz/")):
            return web.Response(text="ok")
        if path == "/readyz":
            return web.Response(text="ok") if self.ready else web.Response(text="not ready", status=500)
        if path == "/version":
            return _json_reply(_version())
        if path == "/":
            return _json_reply({"paths": ["/api", "/apis", "/healthz", "/livez", "/openapi/v3", "/readyz", "/version"]})
        if path == "/openapi/v2":
            return web.Response(body=openapi.EMPTY_V2, content_type=openapi.V2_TYPE)
        if path == "/openapi/v3":
            return _reply(self._openapi.index())
        if path.startswith("/openapi/v3/"):
            document = self._openapi.document(path.removeprefix("/openapi/v3/"))
        else:
            document = self._discovery.document(path, accept)
        if document is None:
            return _no_such_page()
        answer = _reply(document)
        if b"APIGroupDiscoveryList" in document[:60]:
            form = "v2" if b'apidiscovery.k8s.io/v2"' in document[:120] else "v2beta1"
            answer.headers["Content-Type"] = f"{_JSON};g=apidiscovery.k8s.io;v={form};as=APIGroupDiscoveryList"
            answer.headers["Vary"] = "Accept"
        return answer


def _version() -> Object:
    return {
        "major": "1",
        "minor": "35",
        "gitVersion": VERSION,
        "gitCommit": "",
        "gitTreeState": "clean",
        "buildDate": "1970-01-01T00:00:00Z",
        "goVersion": "not Go: this is the XTrinode sandbox, not Kubernetes",
        "compiler": "CPython",
        "platform": "linux/amd64",
    }


async def _body(request: web.BaseRequest) -> tuple[bytes, str]:
    if (request.content_length or 0) > LARGEST_BODY:
        raise _too_large()
    body = bytearray()
    try:
        # Piece by piece: a chunked body does not say how large it will be.
        async for piece in request.content.iter_any():
            body += piece
            if len(body) > LARGEST_BODY:
                raise _too_large()
    except (aiohttp.ClientPayloadError, aiohttp.http_exceptions.HttpProcessingError, web.RequestPayloadError) as error:
        raise errors.bad_request(f"the body of the request cannot be read: {error}") from error
    content_type = request.headers.get("Content-Type", "").partition(";")[0].strip().lower()
    return bytes(body), content_type


def _too_large() -> StatusError:
    return StatusError(413, "RequestEntityTooLarge", f"Request entity too large: limit is {LARGEST_BODY}")


def _list_metadata(kind: Kind, page: Page) -> Object:
    metadata: Object = {"resourceVersion": str(page.revision)}
    if page.token or kind.custom:
        metadata["continue"] = page.token
    if page.remaining is not None:
        metadata["remainingItemCount"] = page.remaining
    return metadata


def _deleted(kind: Kind, obj: Object) -> bytes:
    metadata = obj["metadata"]
    details = {"name": metadata["name"], "kind": kind.plural, "uid": metadata.get("uid", "")}
    if kind.group:
        details["group"] = kind.group
    return orjson.dumps({"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "details": details})


def _warning_headers(call: Call, kind: Kind) -> list[str]:
    texts = [*([kind.warning] if kind.warning else []), *dict.fromkeys(call.warnings)]
    made = []
    for text in texts:
        clean = "".join(char if char.isprintable() else " " for char in text)[:256]
        quoted = clean.replace("\\", "\\\\").replace('"', '\\"')
        made.append(f'299 - "{quoted}"')
    return made


def _no_such_page() -> web.Response:
    """The answer to paths of no API that we know: not a Status, on a real server neither."""
    return web.Response(text="404 page not found\n", status=404)


def _reply(body: bytes, status: int = 200) -> web.Response:
    return web.Response(body=body, status=status, content_type=_JSON)


def _json_reply(document: Object, status: int = 200) -> web.Response:
    return _reply(orjson.dumps(document), status)


def _failure(error: StatusError) -> web.Response:
    answer = _json_reply(error.to_status(), error.code)
    wait = (error.details or {}).get("retryAfterSeconds")
    if wait:
        answer.headers["Retry-After"] = str(wait)
    if error.code == 401:
        answer.headers["WWW-Authenticate"] = 'Bearer realm="xtrinode-sandbox"'
    return answer
