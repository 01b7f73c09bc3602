"""Posts AdmissionReviews to webhooks over HTTPS.

A webhook is named by URL or by Service. A Service is resolved here, from the EndpointSlices in the store (its
ClusterIP when there are none), because a sandbox has no cluster DNS; TLS is checked against the Service's DNS
name and the webhook's `caBundle` all the same. One client session is kept for all calls. What went wrong is
said in the words that people search for, and never holds what was sent.
"""

from __future__ import annotations

import base64
import binascii
import functools
import ssl
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import urlsplit

import aiohttp

from sandbox.kube.store import GroupResource, Object, Store
from sandbox.kube.tls import client_context
from sandbox.kube.webhook_match import Hook

SERVICES: Final = GroupResource("", "services")
ENDPOINT_SLICES: Final = GroupResource("discovery.k8s.io", "endpointslices")
_LARGEST_ANSWER: Final = 16 << 20


class CallFailed(Exception):
    """The webhook could not be asked; the text says why."""


@dataclass(frozen=True, slots=True)
class Destination:
    """Where to connect, and as whom the other side must prove itself."""

    url: str
    shown: str
    server_name: str | None
    authority: str | None
    """The Host header, when it differs from the address."""


class WebhookCaller:
    """Calls webhooks; `close` it."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._session: aiohttp.ClientSession | None = None

    async def post(self, hook: Hook, body: bytes) -> bytes:
        """The body of a 200 answer."""
        destination = destination_of(hook.client, hook.timeout, self._store)
        try:
            return await self._post(destination, hook, body)
        except TimeoutError as error:
            raise _failed(destination, "context deadline exceeded") from error
        except aiohttp.ClientConnectorCertificateError as error:
            why = getattr(error.certificate_error, "verify_message", "") or "x509: certificate is not trusted"
            raise _failed(destination, f"tls: failed to verify certificate: {why}") from error
        except aiohttp.ClientConnectorSSLError as error:
            raise _failed(destination, f"tls: {error.os_error.strerror or error.os_error}") from error
        except aiohttp.ClientConnectorError as error:
            why = (error.os_error.strerror or str(error.os_error)).lower()
            raise _failed(destination, f"dial tcp {error.host}:{error.port}: connect: {why}") from error
        except (aiohttp.ClientError, OSError) as error:
            raise _failed(destination, str(error) or type(error).__name__) from error

    async def _post(self, destination: Destination, hook: Hook, body: bytes) -> bytes:
        if self._session is None:
            self._session = aiohttp.ClientSession(auto_decompress=True, trust_env=False)
        headers = {"Content-Type": "application/json", "Accept": "application/json"}
        if destination.authority:
            headers["Host"] = destination.authority
        async with self._session.post(
            destination.url,
            data=body,
            headers=headers,
            ssl=_trust(hook.client.get("caBundle") or ""),
            server_hostname=destination.server_name,
            timeout=aiohttp.ClientTimeout(total=hook.timeout),
            allow_redirects=False,
        ) as response:
            if response.status != 200:
                raise CallFailed(
                    f"failed to call webhook: the server responded with the status code {response.status} "
                    "but did not return more information"
                )
            answer = await response.content.read(_LARGEST_ANSWER + 1)
            while len(answer) <= _LARGEST_ANSWER and (more := await response.content.read(_LARGEST_ANSWER)):
                answer += more
            if len(answer) > _LARGEST_ANSWER:
                raise CallFailed("failed to call webhook: the answer is too large")
            return answer

    async def close(self) -> None:
        """Closes idle connections; calls under way fail."""
        if self._session is not None:
            await self._session.close()
            self._session = None


def destination_of(client: Object, timeout: float, store: Store) -> Destination:
    """The address of a webhook; CallFailed when its Service leads nowhere."""
    query = f"timeout={timeout:g}s"
    if client.get("url"):
        url = client["url"]
        joined = f"{url}{'&' if urlsplit(url).query else '?'}{query}"
        return Destination(joined, joined, None, None)
    service = client.get("service") or {}
    name, namespace, port = service.get("name", ""), service.get("namespace", ""), service.get("port") or 443
    host = f"{name}.{namespace}.svc"
    path = service.get("path") or "/"
    if not path.startswith("/"):
        path = f"/{path}"
    address, target = _endpoint(store, namespace, name, port)
    shown = f"https://{host}:{port}{path}?{query}"
    literal = f"[{address}]" if ":" in address else address
    return Destination(f"https://{literal}:{target}{path}?{query}", shown, host, f"{host}:{port}")


def _endpoint(store: Store, namespace: str, name: str, port: int) -> tuple[str, int]:
    entry = store.get(SERVICES, namespace, name)
    if entry is None:
        raise CallFailed(f'failed to call webhook: service "{name}" not found in namespace "{namespace}"')
    spec = entry.obj.get("spec") or {}
    ports = [each for each in spec.get("ports") or [] if each.get("port") == port]
    if not ports:
        raise CallFailed(f'failed to call webhook: service "{name}" has no port {port}')
    found = _ready_endpoint(store, namespace, name, ports[0])
    if found is not None:
        return found
    address = spec.get("clusterIP") or ""
    if address and address != "None":
        return address, port
    raise CallFailed(f'failed to call webhook: no endpoints available for service "{name}"')


def _ready_endpoint(store: Store, namespace: str, name: str, port: Object) -> tuple[str, int] | None:
    for piece in store.objects(ENDPOINT_SLICES, namespace):
        labels = piece["metadata"].get("labels") or {}
        if labels.get("kubernetes.io/service-name") != name:
            continue
        targets = [each for each in piece.get("ports") or [] if (each.get("name") or "") == (port.get("name") or "")]
        for endpoint in piece.get("endpoints") or []:
            ready = (endpoint.get("conditions") or {}).get("ready")
            addresses = endpoint.get("addresses") or []
            if ready is not False and addresses and targets and targets[0].get("port"):
                return str(addresses[0]), int(targets[0]["port"])
    return None


@functools.lru_cache(maxsize=64)
def _trust(bundle: str) -> ssl.SSLContext:
    """The context for a caBundle (base64 of PEM); without one, the machine's own authorities."""
    if not bundle:
        return ssl.create_default_context()
    try:
        return client_context(base64.b64decode(bundle, validate=True))
    except (ValueError, binascii.Error, ssl.SSLError) as error:
        raise CallFailed(
            "failed to call webhook: unable to load root certificates: unable to parse bytes as PEM block"
        ) from error


def _failed(destination: Destination, why: Any) -> CallFailed:
    return CallFailed(f'failed to call webhook: Post "{destination.shown}": {why}')
