"""The plugin's way to the API server: synchronous, on the standard library, quick to start.

A person waits for every command, so there is no connection pool, no event loop and no discovery: one kubeconfig,
one TLS connection, one or two requests. Reading and merging of kubeconfigs and the errors are those of
`crds.client`. Exec plugins, tokens, token files, client certificates and passwords are supported.
"""

from __future__ import annotations

import base64
import http.client
import json
import os
import re
import ssl
import subprocess
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlencode, urlsplit

import orjson

from crds.client import kubeconfig
from crds.client.errors import ApiError, ConfigError, Unavailable, error_from_response, error_from_status
from crds.client.resources import Resource
from kubectl_xtrinode.options import Connection
from kubectl_xtrinode.output import note, plain

JSON = "application/json"
TABLE = "application/json;as=Table;v=v1;g=meta.k8s.io,application/json"
MERGE_PATCH = "application/merge-patch+json"
_DEFAULT_TIMEOUT = 30.0

Object = dict[str, Any]


class Kube:
    """One cluster as one user. Made by `Kube.connect`; `namespace` is the one to use when none is given."""

    def __init__(
        self, server: str, headers: Iterable[tuple[str, str]], tls: ssl.SSLContext | None, options: Connection
    ) -> None:
        parts = urlsplit(server)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ConfigError(f"the server {server!r} is no URL; mend it in the kubeconfig or set --server")
        self._host = parts.hostname
        self._port = parts.port
        self._prefix = parts.path.rstrip("/")
        self._tls = tls if parts.scheme == "https" else None
        self._headers = tuple(headers)
        self._timeout = options.request_timeout or _DEFAULT_TIMEOUT
        self.server = server
        self.namespace = "default"

    @classmethod
    def connect(cls, options: Connection) -> Kube:
        """Resolve kubeconfig, context, user and flags as kubectl does."""
        paths = kubeconfig.find(options.kubeconfig, os.environ)
        if paths:
            chosen = kubeconfig.load(paths, options.context)
            cluster, user, namespace = dict(chosen.cluster), dict(chosen.user), chosen.namespace
        elif options.server:
            cluster, user, namespace = {}, {}, "default"
        else:
            raise ConfigError("no kubeconfig found; set KUBECONFIG, or name the file with --kubeconfig FILE")
        if options.insecure_skip_tls_verify:
            cluster["insecure-skip-tls-verify"] = True
        credentials = {} if options.token else _exec_credentials(user)
        user = {**user, **credentials}
        server = options.server or str(cluster.get("server") or "")
        headers = [("User-Agent", "kubectl-xtrinode"), *_authorization(user, options.token), *options.impersonation()]
        found = cls(server, headers, _tls_context(cluster, user), options)
        found.namespace = options.namespace or namespace
        return found

    def get(self, resource: Resource, name: str, namespace: str | None = None) -> Object:
        return self._json("GET", resource.path(namespace, name))

    def list_(self, resource: Resource, namespace: str | None = None, **selectors: str) -> list[Object]:
        """All objects of a kind; `labelSelector` and `fieldSelector` as keywords."""
        return self.snapshot(resource, namespace, **selectors)[0]

    def snapshot(self, resource: Resource, namespace: str | None = None, **selectors: str) -> tuple[list[Object], str]:
        """All objects of a kind, and the version from which a watch goes on."""
        found = self._json("GET", resource.path(namespace), query=_given(selectors))
        items = list(found.get("items") or [])
        for item in items:
            item.setdefault("apiVersion", resource.api_version)
            item.setdefault("kind", resource.kind)
        return items, str((found.get("metadata") or {}).get("resourceVersion") or "")

    def table(self, resource: Resource, namespace: str | None, name: str | None = None, **selectors: str) -> Object:
        """The rows that the server prints for `get`, as a meta.k8s.io Table."""
        return self._json("GET", resource.path(namespace, name), query=_given(selectors), accept=TABLE)

    def patch(self, resource: Resource, name: str, namespace: str, body: Object, dry_run: bool = False) -> Object:
        """A merge patch under the plugin's own field manager."""
        query = {"fieldManager": "kubectl-xtrinode", "fieldValidation": "Strict"}
        if dry_run:
            query["dryRun"] = "All"
        return self._json("PATCH", resource.path(namespace, name), query, body, content_type=MERGE_PATCH)

    def watch(
        self,
        resource: Resource,
        namespace: str | None,
        version: str,
        *,
        timeout: int,
        accept: str = JSON,
        **selectors: str,
    ) -> Iterator[tuple[str, Object]]:
        """Events (type, object) after `version`, for at most `timeout` seconds; ends when the stream ends.

        Raises Unavailable when there is no stream to be had. `following.follow` takes it up again.
        """
        query = {
            "watch": "true",
            "resourceVersion": version,
            "timeoutSeconds": str(timeout),
            "allowWatchBookmarks": "true",
            **_given(selectors),
        }
        connection = self._open(timeout + 10)
        try:
            path = resource.path(namespace)
            try:
                reply = self._send(connection, "GET", path, query, None, JSON, accept)
            except (OSError, http.client.HTTPException) as error:
                raise self._unreachable(error) from error
            if reply.status >= 400:
                raise error_from_response(reply.status, reply.read(), target=f"watch {resource.plural}")
            for line in reply:
                if line.strip():
                    yield _event(line, f"watch {resource.plural}")
        except (OSError, http.client.HTTPException, orjson.JSONDecodeError):
            return  # a lost stream is watched again by the caller, from the last version it saw
        finally:
            connection.close()

    def _json(
        self,
        method: str,
        path: str,
        query: Mapping[str, str] | None = None,
        body: Object | None = None,
        content_type: str = JSON,
        accept: str = JSON,
    ) -> Object:
        connection = self._open(self._timeout)
        target = f"{method.lower()} {path}"
        try:
            reply = self._send(connection, method, path, query or {}, body, content_type, accept)
            content = reply.read()
        except (OSError, http.client.HTTPException) as error:
            raise self._unreachable(error) from error
        finally:
            connection.close()
        if reply.status >= 400:
            raise error_from_response(reply.status, content, target=target)
        try:
            found = orjson.loads(content)
        except orjson.JSONDecodeError as error:
            raise ApiError(reply.status, "Malformed", "the server did not answer with JSON", target=target) from error
        return found if isinstance(found, dict) else {}

    def _send(
        self,
        connection: http.client.HTTPConnection,
        method: str,
        path: str,
        query: Mapping[str, str],
        body: Object | None,
        content_type: str,
        accept: str,
    ) -> http.client.HTTPResponse:
        url = self._prefix + path + (f"?{urlencode(query)}" if query else "")
        data = None if body is None else orjson.dumps(body)
        connection.putrequest(method, url, skip_accept_encoding=True)
        for key, value in (*self._headers, ("Accept", accept)):
            connection.putheader(key, value)
        if data is not None:
            connection.putheader("Content-Type", content_type)
            connection.putheader("Content-Length", str(len(data)))
        connection.endheaders(data)
        reply = connection.getresponse()
        for text in _warnings(reply.headers.get_all("Warning") or ()):
            note(f"Warning: {text}")
        return reply

    def _open(self, timeout: float) -> http.client.HTTPConnection:
        if self._tls is not None:
            return http.client.HTTPSConnection(self._host, self._port, timeout=timeout, context=self._tls)
        return http.client.HTTPConnection(self._host, self._port, timeout=timeout)

    def _unreachable(self, error: Exception) -> ApiError:
        reason = "certificate" if isinstance(error, ssl.SSLError) else "connection"
        hint = "check the kubeconfig's certificate-authority" if reason == "certificate" else "is the cluster up?"
        return Unavailable(0, "Unreachable", f"no {reason} to {self.server}: {error}; {hint}")


_WARNING = re.compile(r'299 \S+ "((?:[^"\\]|\\.)*)"')


def _warnings(headers: Iterable[str]) -> Iterator[str]:
    """What the server wants a person to know beside its answer (RFC 7234 warnings of code 299)."""
    for header in headers:
        for match in _WARNING.finditer(header):
            yield plain(re.sub(r"\\(.)", r"\1", match[1]))


def _event(line: bytes, target: str) -> tuple[str, Object]:
    """One line of a watch as (type, object); an ERROR event, or a line that is no event, is an ApiError."""
    event = orjson.loads(line)
    obj = event.get("object") if isinstance(event, dict) else None
    if not isinstance(obj, dict):
        raise ApiError(200, "Malformed", "the server sent a line that is no watch event", target=target)
    if event.get("type") == "ERROR":
        raise error_from_status(obj, target=target)
    return str(event.get("type")), obj


def _given(selectors: Mapping[str, str]) -> dict[str, str]:
    return {key: value for key, value in selectors.items() if value}


def _authorization(user: Mapping[str, Any], token: str | None) -> list[tuple[str, str]]:
    if not token and user.get("tokenFile"):
        try:
            token = Path(str(user["tokenFile"])).read_text(encoding="ascii").strip()
        except (OSError, UnicodeDecodeError) as error:
            raise ConfigError(f"the token file {user['tokenFile']} cannot be read: {error}") from error
    token = token or str(user.get("token") or "")
    if token:
        return [("Authorization", f"Bearer {token}")]
    if user.get("username"):
        pair = f"{user['username']}:{user.get('password') or ''}"
        return [("Authorization", f"Basic {base64.b64encode(pair.encode()).decode()}")]
    return []


def _exec_credentials(user: Mapping[str, Any]) -> dict[str, Any]:
    """What a credential plugin answers, under the kubeconfig's own keys."""
    plugin = user.get("exec")
    if not isinstance(plugin, dict):
        return {}
    command = [str(plugin.get("command") or ""), *(str(argument) for argument in plugin.get("args") or [])]
    version = str(plugin.get("apiVersion") or "client.authentication.k8s.io/v1")
    info = {"apiVersion": version, "kind": "ExecCredential", "spec": {"interactive": False}}
    extra = {str(item["name"]): str(item["value"]) for item in plugin.get("env") or []}
    environment = {**os.environ, **extra, "KUBERNETES_EXEC_INFO": json.dumps(info)}
    try:
        ran = subprocess.run(command, env=environment, stdout=subprocess.PIPE, check=True)
        status = orjson.loads(ran.stdout)["status"]
    except FileNotFoundError as error:
        hint = plugin.get("installHint") or "install it, or choose another user in the kubeconfig"
        raise ConfigError(f"the credential plugin {command[0]!r} is not installed; {hint}") from error
    except (subprocess.CalledProcessError, orjson.JSONDecodeError, KeyError, TypeError) as error:
        raise ConfigError(f"the credential plugin {command[0]!r} gave no credential: {type(error).__name__}") from error
    found = {"token": status.get("token")}
    for ours, theirs in (("client-certificate-data", "clientCertificateData"), ("client-key-data", "clientKeyData")):
        if status.get(theirs):
            found[ours] = base64.b64encode(str(status[theirs]).encode()).decode()
    return found


def _tls_context(cluster: Mapping[str, Any], user: Mapping[str, Any]) -> ssl.SSLContext:
    """A bare context with the cluster's CA: loading the system's CAs costs 20 ms and is only done without one."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    try:
        if cluster.get("insecure-skip-tls-verify"):
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
        elif cluster.get("certificate-authority-data"):
            pem = base64.b64decode(str(cluster["certificate-authority-data"]))
            context.load_verify_locations(cadata=pem.decode("ascii"))
        elif cluster.get("certificate-authority"):
            context.load_verify_locations(cafile=str(cluster["certificate-authority"]))
        else:
            context.load_default_certs()
        _load_client_certificate(context, user)
    except (OSError, ssl.SSLError, ValueError) as error:
        raise ConfigError(f"a certificate of the kubeconfig cannot be used: {error}") from error
    return context


def _load_client_certificate(context: ssl.SSLContext, user: Mapping[str, Any]) -> None:
    certificate, key = user.get("client-certificate"), user.get("client-key")
    if user.get("client-certificate-data"):
        # The ssl module reads certificates from files only; this one is private and gone at once.
        with tempfile.TemporaryDirectory(prefix="kubectl-xtrinode-") as directory:
            pem = Path(directory, "client.pem")
            pem.touch(0o600)
            parts = (user["client-certificate-data"], user.get("client-key-data") or "")
            pem.write_bytes(b"\n".join(base64.b64decode(str(part)) for part in parts))
            context.load_cert_chain(pem, None if user.get("client-key-data") else key)
    elif certificate:
        context.load_cert_chain(str(certificate), str(key) if key else None)
