"""Who we are to the API server, and where it is. kr8s does the authenticating; this keeps it true over time.

`load()` is called once per process by `KubeClient.connect`; the transport asks for `authorization()` before
each call and calls `refresh()` when the server answers 401. kr8s runs exec plugins, decodes certificates
and reads the service account; around it stands what it does not do (version 0.20.15):

- `tokenFile` and projected service-account tokens are read again every 60 s, not only after a 401;
- the namespace is that of the chosen context, in a pod that of the service account;
- certificate data that kr8s leaves in temporary files is removed once the TLS context has read it;
- a client certificate without a CA verifies the server against the system's CAs, not against none;
- exec plugins get `KUBERNETES_EXEC_INFO`;
- every failure says which file, and what to type next.

kr8s is imported on the first `load()` only (it costs a quarter of a second), and nowhere else in the project.
Instances may be shared between event loops: nothing in them is bound to one.
"""

from __future__ import annotations

import base64
import copy
import ipaddress
import logging
import os
import ssl
import urllib.request
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast
from urllib.parse import urlsplit

import orjson

from crds.client import kubeconfig as kubeconfigs
from crds.client.errors import ConfigError

log = logging.getLogger(__name__)

SERVICE_ACCOUNT = "/var/run/secrets/kubernetes.io/serviceaccount"
# client-go re-reads projected tokens at this pace; the kubelet renews them at 80 % of their life.
TOKEN_PERIOD = 60.0


@dataclass(frozen=True, slots=True)
class Impersonation:
    """Acting as someone else (`kubectl --as`): needs the `impersonate` verb."""

    user: str
    groups: tuple[str, ...] = ()
    uid: str = ""

    def headers(self) -> list[tuple[str, str]]:
        found = [("Impersonate-User", self.user)]
        found += [("Impersonate-Group", group) for group in self.groups]
        if self.uid:
            found.append(("Impersonate-Uid", self.uid))
        return found


@dataclass(slots=True)
class Identity:
    """What one round of authentication gave; secrets stay out of its repr."""

    server: str
    namespace: str = "default"
    context: str = ""
    tls: ssl.SSLContext | bool = True
    tls_server_name: str | None = None
    proxy: str | None = None
    token: str | None = field(default=None, repr=False)
    token_file: str | None = None
    client_certificate: bool = False


class Credentials:
    """An identity that stays fresh. `again` authenticates anew; None for fixed ones (tests, given URLs)."""

    def __init__(self, identity: Identity, again: Callable[[], Awaitable[Identity]] | None = None) -> None:
        self._identity = identity
        self._again = again
        self._token_read_at: float | None = None
        self.generation = 0

    @classmethod
    def fixed(
        cls, server: str, *, token: str | None = None, tls: ssl.SSLContext | bool = True, namespace: str = "default"
    ) -> Credentials:
        return cls(Identity(server=server.rstrip("/"), token=token, tls=tls, namespace=namespace))

    @property
    def identity(self) -> Identity:
        return self._identity

    def authorization(self, now: float) -> str | None:
        """The Authorization header's value; `now` is monotonic. A due token file is read here (a small file)."""
        identity = self._identity
        if identity.token_file and (self._token_read_at is None or now - self._token_read_at >= TOKEN_PERIOD):
            self._token_read_at = now
            token = read_token(identity.token_file)
            if token is None:
                log.warning("the token file %s cannot be read; the last token stays in use", identity.token_file)
            else:
                identity.token = token
        return f"Bearer {identity.token}" if identity.token else None

    async def refresh(self, seen: int) -> bool:
        """After a 401 to a call made in generation `seen`: is there anything new to try again with?"""
        if seen != self.generation:
            return True
        if self._again is None:
            return False
        old = self._identity
        try:
            new = await self._again()
        except ConfigError as error:
            log.warning("authenticating again failed: %s", error)
            return False
        self._identity = new
        self._token_read_at = None
        changed = new.token != old.token or new.client_certificate
        if changed:
            self.generation += 1
        return changed


def _is_folder(path: str) -> bool:
    return Path(path).is_dir()


def read_token(path: str) -> str | None:
    """The token, or None when there is none to read; bytes that no header may hold count as none."""
    try:
        token = Path(path).read_bytes().strip().decode("ascii")
    except (OSError, UnicodeDecodeError):
        return None
    return token if token and token.isprintable() and " " not in token else None


async def load(
    kubeconfig: str | None = None,
    context: str | None = None,
    *,
    environ: Mapping[str, str] = os.environ,
    service_account: str = SERVICE_ACCOUNT,
) -> Credentials:
    """Credentials by flag, KUBECONFIG, the default file, or the pod's service account, in this order."""
    if kubeconfigs.find(kubeconfig, environ):

        async def again() -> Identity:
            # Found and read anew each time: a login command may have rewritten the file.
            chosen = kubeconfigs.load(kubeconfigs.find(kubeconfig, environ), context)
            return await _from_kubeconfig(chosen, environ)

    elif _is_folder(service_account):

        async def again() -> Identity:
            return await _from_service_account(service_account, environ)

    else:
        raise ConfigError(
            "no Kubernetes cluster is configured: there is no ~/.kube/config, KUBECONFIG is not set, and this "
            "is no pod with a service account; name a file with --kubeconfig FILE"
        )
    return Credentials(await again(), again)


async def _from_kubeconfig(chosen: kubeconfigs.Context, environ: Mapping[str, str]) -> Identity:
    user = copy.deepcopy(dict(chosen.user))
    token_file = user.pop("tokenFile", None)
    plugin = user.get("exec")
    if isinstance(plugin, dict):
        plugin["env"] = [*(plugin.get("env") or []), _exec_info(plugin, chosen)]
    document = {
        "current-context": chosen.name,
        "contexts": [{"name": chosen.name, "context": {"cluster": "c", "user": "u", "namespace": chosen.namespace}}],
        "clusters": [{"name": "c", "cluster": copy.deepcopy(dict(chosen.cluster))}],
        "users": [{"name": "u", "user": user}],
    }
    where = f"context {chosen.name!r} of {', '.join(chosen.sources)}"
    _check_files(where, chosen.cluster, "certificate-authority")
    _check_files(where, user, "client-certificate", "client-key")
    auth = await _authenticate(document, "", where, plugin)
    identity = Identity(
        server=auth.server.rstrip("/"),
        namespace=chosen.namespace,
        context=chosen.name,
        tls=await _tls(auth, where),
        tls_server_name=auth.tls_server_name,
        proxy=auth.proxy or environment_proxy(auth.server),
        token=auth.token,
        client_certificate=bool(auth.client_cert_file),
    )
    if token_file:
        identity.token_file = str(token_file)
        identity.token = read_token(identity.token_file)
        if identity.token is None:
            raise ConfigError(f"{where} names the token file {token_file}, which holds no token")
    return identity


async def _from_service_account(folder: str, environ: Mapping[str, str]) -> Identity:
    for name in ("KUBERNETES_SERVICE_HOST", "KUBERNETES_SERVICE_PORT"):
        if not environ.get(name):
            raise ConfigError(
                f"{folder} holds a service account, but {name} is not set; "
                "leave enableServiceLinks and the pod's environment alone, or name a file with --kubeconfig FILE"
            )
    where = f"the service account in {folder}"
    token_file = str(Path(folder) / "token")
    if read_token(token_file) is None:
        raise ConfigError(f"{token_file} holds no token; is automountServiceAccountToken false?")
    auth = await _authenticate(None, folder, where, None)
    try:
        namespace = (Path(folder) / "namespace").read_text().strip()
    except OSError:
        namespace = ""
    return Identity(
        server=auth.server.rstrip("/"),
        namespace=namespace or "default",
        tls=await _tls(auth, where),
        proxy=environment_proxy(auth.server),
        token=read_token(token_file),
        token_file=token_file,
    )


async def _authenticate(
    document: dict[str, Any] | None, service_account: str, where: str, plugin: Mapping[str, Any] | None
) -> Any:
    """kr8s's KubeAuth, authenticated; `document` None means the service account and no kubeconfig at all."""
    from kr8s._auth import KubeAuth

    # kr8s takes a dict too, whatever its annotation says.
    auth = KubeAuth(kubeconfig=cast(Any, document), serviceaccount=service_account)
    if document is None:
        # A falsy `kubeconfig` argument means "the default file" to kr8s; False in this place means none.
        auth._kubeconfig_path_or_dict = False  # type: ignore[assignment]
    try:
        try:
            await auth.reauthenticate()
        except BaseException:
            _remove_temporary_files(auth)
            raise
    except FileNotFoundError as error:
        hint = str((plugin or {}).get("installHint") or "install it, or log in another way")
        raise ConfigError(f"{where} needs the program {error.filename}, which is not there: {hint}") from error
    except (RuntimeError, orjson.JSONDecodeError, KeyError, ValueError, TypeError, OSError) as error:
        if plugin is not None:
            told = (
                " ".join(str(error).split())[:500]
                if isinstance(error, RuntimeError)
                else "its answer is no ExecCredential"
            )
            command = plugin.get("command")
            raise ConfigError(f"{where}: the login program {command} failed: {told}; run it by hand") from error
        # Not the error's own words: those of a decoder may quote a key.
        told = str(error) if type(error) is ValueError else type(error).__name__
        raise ConfigError(f"{where} cannot be used to log in: {told}") from error
    return auth


async def _tls(auth: Any, where: str) -> ssl.SSLContext | bool:
    try:
        context: ssl.SSLContext | bool = await auth.ssl_context()
    except (ssl.SSLError, OSError, ValueError) as error:
        raise ConfigError(f"{where}: its certificate, key or CA does not load: {error}") from error
    finally:
        _remove_temporary_files(auth)
    if isinstance(context, ssl.SSLContext) and not auth.server_ca_file and context.verify_mode != ssl.CERT_NONE:
        context.load_default_certs()
    return context


def _check_files(where: str, entry: Mapping[str, Any], *keys: str) -> None:
    """Before kr8s meets them: it opens a temporary file first and finds out then."""
    for key in keys:
        path, data = entry.get(key), entry.get(f"{key}-data")
        if data is not None:
            try:
                if "-----" not in data:
                    base64.b64decode(data)
            except (ValueError, TypeError):
                raise ConfigError(f"{where} has {key}-data that is not base64") from None
        elif path and not Path(str(path)).is_file():
            raise ConfigError(f"{where} names the {key} {path}, which is no file")


def _remove_temporary_files(auth: Any) -> None:
    for holder, key, file in (
        (auth._user, "client-key-data", auth.client_key_file),
        (auth._user, "client-certificate-data", auth.client_cert_file),
        (auth._cluster, "certificate-authority-data", auth.server_ca_file),
    ):
        if key in holder and file:
            Path(str(file)).unlink(missing_ok=True)


def _exec_info(plugin: Mapping[str, Any], chosen: kubeconfigs.Context) -> dict[str, str]:
    spec: dict[str, Any] = {"interactive": False}
    if plugin.get("provideClusterInfo"):
        shared = ("tls-server-name", "insecure-skip-tls-verify", "certificate-authority-data", "proxy-url")
        spec["cluster"] = {
            "server": chosen.server,
            **{key: chosen.cluster[key] for key in shared if key in chosen.cluster},
        }
    info = {"apiVersion": plugin.get("apiVersion"), "kind": "ExecCredential", "spec": spec}
    return {"name": "KUBERNETES_EXEC_INFO", "value": orjson.dumps(info).decode()}


def environment_proxy(server: str) -> str | None:
    """The proxy that HTTPS_PROXY and NO_PROXY ask for; never one for this machine itself."""
    parts = urlsplit(server)
    host = parts.hostname or ""
    try:
        loopback = ipaddress.ip_address(host).is_loopback
    except ValueError:
        loopback = host == "localhost"
    if loopback or urllib.request.proxy_bypass(host):
        return None
    return urllib.request.getproxies().get(parts.scheme)
